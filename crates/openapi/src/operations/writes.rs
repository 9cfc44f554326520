//! Writes and sign-ins, which an edge with an origin passes on.

use admit::api::{
    contract::{Endpoint, Methods, table},
    error::ApiError,
};
use serde_json::{Value, json};

use super::Group;
use crate::{
    describe::{Ask, Caller, Description, Shape},
    headers,
    parameters::required_query,
    schema::{id, named},
};

const MERCHANT: Caller = Caller::Variable("merchant");
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PASSED_ON: &str = "An edge checks token, role, numbers and headers, and passes the request on to its origin, whose answer it is. 502, 503 and 504 say whether the write may have been applied.";

fn write(endpoint: &'static Endpoint, methods: Methods, answer: &str) -> Description {
    let description = Description::of(endpoint, methods, PASSED_ON)
        .parameter(headers::idempotency_key())
        .errors(&[ApiError::INVALID_IDEMPOTENCY_KEY]);
    description
        .answer("201", "The reference origin's answer: it is stored", Shape::Json(named(answer)))
        .answer("2XX", "Another origin's answer: it is stored", Shape::Origin(named("OriginAnswer")))
}

/// A write whose success has no body.
fn removal(endpoint: &'static Endpoint) -> Description {
    Description::of(endpoint, Methods::DELETE, PASSED_ON)
        .parameter(headers::idempotency_key())
        .errors(&[ApiError::INVALID_IDEMPOTENCY_KEY])
        .answer("204", "It is removed", Shape::Nothing)
        .answer("2XX", "Another origin's answer: it is removed", Shape::Origin(named("OriginAnswer")))
}

fn fields(description: Description, schema: &str) -> Description {
    description.body(FORM, named(schema)).body(JSON, named(schema))
}

fn ask(
    name: &'static str,
    method: &'static str,
    target: &'static str,
    body: Value,
    status: u16,
    answer: Value,
) -> Ask {
    Ask::new(name, MERCHANT, target).by(method).with(body).shows(status, answer)
}

fn item() -> Value {
    json!({ "id": 5121, "title": "Halfway Light", "merchant_id": 2101, "is_active": true })
}

fn fee() -> Value {
    json!({ "id": 7201, "item_id": 5101, "amount": 4.99, "currency": "USD", "description": "48-hour rental" })
}

pub fn group() -> Group {
    let grant_command = "curl -H \"Authorization: Bearer $merchant\" -H 'Idempotency-Key: order-1005' -d item_id=5101 -d consumer_id=88005 -d access_fee_id=7013 http://127.0.0.1:8787/items/access";
    let body = json!({ "item_id": 5101, "consumer_id": 88005, "access_fee_id": 7013 });
    let answer = json!({ "id": 340024, "item_id": 5101, "consumer_id": 88005, "expires_at": 1_795_677_351 });
    let grant = fields(write(&table::GRANT, Methods::POST, "OriginAccess"), "Grant")
        .example(ask("a purchase", "POST", "/items/access", body, 201, answer).command(grant_command));
    let revoke = removal(&table::ACCESS)
        .parameter(required_query("consumer_id", id(), "The customer's number", 88005))
        .example(
            Ask::new("a refund", MERCHANT, "/items/5101/access?consumer_id=88005")
                .by("DELETE")
                .shows(204, Value::Null),
        );
    let new_item =
        json!({ "item_type": "brightcove_asset", "title": "Halfway Light", "access_control_type_id": 4 });
    let create = fields(write(&table::ITEMS_V2, Methods::POST, "OriginItem"), "NewItem").example(ask(
        "a film",
        "POST",
        "/v2/items",
        new_item.clone(),
        201,
        item(),
    ));
    let replace = fields(write(&table::ITEM_V2, Methods::PUT, "OriginItem"), "NewItem").example(ask(
        "a film",
        "PUT",
        "/v2/items/5121",
        new_item,
        201,
        item(),
    ));
    let change = fields(write(&table::ITEM_V2, Methods::PATCH, "OriginItem"), "ItemChange").example(ask(
        "a title",
        "PATCH",
        "/v2/items/5121",
        json!({ "title": "Halfway Light" }),
        201,
        item(),
    ));
    let delete = write(&table::ITEM_V2, Methods::DELETE, "OriginItem")
        .example(Ask::new("a film", MERCHANT, "/v2/items/5121").by("DELETE").shows(201, item()));
    let new_fee =
        json!({ "access_type_id": 101, "amount": 4.99, "currency": "USD", "description": "48-hour rental" });
    let create_fee = fields(write(&table::FEES_V2, Methods::POST, "OriginFee"), "NewFee").example(ask(
        "a rental",
        "POST",
        "/v2/items/5101/access-fees",
        new_fee.clone(),
        201,
        fee(),
    ));
    let replace_fee = fields(write(&table::FEE, Methods::PUT, "OriginFee"), "NewFee").example(ask(
        "a rental",
        "PUT",
        "/v2/items/5101/access-fees/7201",
        new_fee,
        201,
        fee(),
    ));
    let delete_fee = removal(&table::FEE).example(
        Ask::new("a rental", MERCHANT, "/v2/items/5101/access-fees/7201")
            .by("DELETE")
            .shows(204, Value::Null),
    );
    let listed = json!({ "access_fees": [{ "id": 0, "access_type_id": 101, "amount": 4.99, "currency": "USD", "description": "48-hour rental" }] });
    let fees = fields(write(&table::BULK_FEES, Methods::PATCH, "OriginAnswer"), "FeeChanges").example(ask(
        "a new fee",
        "PATCH",
        "/v2/items/5101/access-fees/bulk",
        listed,
        201,
        json!([fee()]),
    ));
    let members =
        fields(write(&table::BULK_PACKAGE, Methods::PATCH, "OriginItem"), "MemberChanges").example(ask(
            "a new member",
            "PATCH",
            "/v2/items/packages/5001/bulk",
            json!({ "add_asset_ids": [5101] }),
            201,
            json!({ "id": 5001, "title": "Fernhollow Films", "merchant_id": 2101, "is_active": true }),
        ));
    Group {
        name: "Writes",
        text: "By merchants, at the origin or at an edge with an origin behind it. An edge without one answers 404, or 405 where a read has the same path",
        operations: vec![
            grant,
            revoke,
            create,
            replace,
            change,
            delete,
            create_fee,
            replace_fee,
            delete_fee,
            fees,
            members,
        ],
    }
}

pub fn sign_ins() -> Group {
    let sign_in = |endpoint, target| {
        let body = json!({ "grant_type": "password", "client_id": "5hq2v8mfernhollowweb71c0", "username": "ada@example.com", "password": "correct horse" });
        let answer = json!({ "access_token": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "refresh_token": "r1", "expires": 1_795_324_913 });
        let description = Description::of(
            endpoint,
            Methods::POST,
            "The origin's routes of sign-in, which an edge passes on. Errors are the API's, or OAuth's own.",
        );
        fields(description, "Credentials")
            .answers("The tokens", named("Tokens"))
            .answer("2XX", "Another success of the origin's", Shape::Origin(named("OriginAnswer")))
            .errors(&[ApiError::LONG_SIGN_IN_QUERY, ApiError::MANY_SIGN_IN_FIELDS])
            .example(Ask::new("a password", Caller::Stranger, target).post(body).shows(200, answer))
    };
    Group {
        name: "Sign-in",
        text: "Tokens for credentials, at the origin or at an edge with an origin behind it",
        operations: vec![
            sign_in(&table::AUTHENTICATE, "/accounts/authenticate"),
            sign_in(&table::TOKEN, "/oauth2/token"),
            sign_in(&table::LEGACY_TOKEN, "/oauth2/authorization"),
        ],
    }
}
