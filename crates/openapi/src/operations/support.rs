//! Questions of support staff.

use admit::api::{
    contract::{Methods, table},
    error::ApiError,
};
use serde_json::{Value, json};

use super::Group;
use crate::{
    describe::{Ask, Caller, Description},
    parameters::query,
    schema::{integer, named, text, uuid},
};

const SUPPORT: Caller = Caller::Sample("support");

/// An expired token with an invalid signature.
const ENDED: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6InZlbmRvci0xIn0.eyJpc3MiOiJodHRwczovL3ZlbmRvci5kZXYuYWRtaXQuZXhhbXBsZSIsImV4cCI6MX0.c2lnbmF0dXJl";

/// The shell signs a token that has ended.
const INSPECT: &str = r#"curl -X POST -H "Authorization: Bearer $(cargo xtask token support)" -H 'Content-Type: application/json' \
  -d "{\"token\": \"$(cargo xtask token expired-token)\"}" http://127.0.0.1:8787/tokens/inspect"#;

fn page_token() -> Value {
    query("page_token", text(), "The `next_token` of an earlier answer to the same question")
}

pub fn group() -> Group {
    let one = Description::of(
        &table::CUSTOMER,
        Methods::READ,
        "The record as the snapshot has it, and holdings with where they come from. `view` alone shows the token's own customer, `check` those of the issuer's merchants.",
    )
    .parameter(query(
        "at",
        text(),
        "The moment that `state` is about: unix seconds or RFC 3339; the present without it",
    ))
    .parameter(page_token())
    .answers("The customer", named("CustomerPage"))
    .errors(&[ApiError::INVALID_WHO, ApiError::INVALID_AT, ApiError::INVALID_PAGE_TOKEN])
    .errors(&[ApiError::CustomerNotFound, ApiError::SHARED_UUID])
    .example(Ask::new(
        "customer",
        SUPPORT,
        "/customers/vendor:22eb023f-a94b-49a8-9304-c220ab90301f",
    ));
    let find = Description::of(
        &table::CUSTOMERS,
        Methods::READ,
        "Nothing in the snapshot leads from a number to a customer: a page looks at some shards, may be empty, and is the last one only if `next_token` is empty.",
    )
    .parameter(query("number", integer(), "The customer's number at the origin"))
    .parameter(query("uuid", uuid(), "The customer's UUID, in place of the number"))
    .parameter(page_token())
    .answers("The customers that these shards have", named("CustomersPage"))
    .errors(&[ApiError::INVALID_NUMBER, ApiError::INVALID_PAGE_TOKEN])
    .example(Ask::new("number", SUPPORT, "/customers?number=88011"));
    let token = Description::of(
        &table::TOKEN_INSPECTION,
        Methods::POST,
        "The token is verified as that of a request is, at the present moment, and not logged.",
    )
    .body("application/json", named("PresentedToken"))
    .answers("What it says, and what becomes of it", named("InspectedToken"))
    .errors(&[ApiError::NOT_JSON, ApiError::INVALID_TOKEN_TEXT])
    .example(
        Ask::new("ended token", SUPPORT, "/tokens/inspect").post(json!({ "token": ENDED })).command(INSPECT),
    );
    Group {
        name: "Support",
        text: "For support staff: what a customer holds, and what is wrong with a token. They change nothing",
        operations: vec![one, find, token],
    }
}
