//! OpenID AuthZEN Authorization API 1.0.

use admit::api::{
    contract::{Methods, table},
    error::ApiError,
};
use serde_json::{Value, json};

use super::Group;
use crate::{
    describe::{Ask, Caller, Description},
    headers,
    schema::named,
};

const BUYER: Caller = Caller::Sample("item-buyer");

fn question(item: Option<&str>) -> Value {
    let mut body = json!({
        "subject": { "type": "customer", "id": "vendor:687701d2-7eef-4ae9-a1be-cd432fc3af69" },
        "action": { "name": "play" },
    });
    if let (Some(item), Some(body)) = (item, body.as_object_mut()) {
        body.insert("resource".to_owned(), json!({ "type": "item", "id": item }));
    }
    body
}

fn post(endpoint: &'static admit::api::contract::Endpoint, text: &'static str, schema: &str) -> Description {
    Description::of(endpoint, Methods::POST, text)
        .parameter(headers::own_request_id())
        .body("application/json", named(schema))
        .errors(&[ApiError::INVALID_SUBJECT, ApiError::INVALID_ACTION, ApiError::INVALID_RESOURCE])
        .errors(&[ApiError::INVALID_CONTEXT, ApiError::INVALID_TIME])
}

pub fn group() -> Group {
    let one = post(
        &table::EVALUATION,
        "A denial is 200 with `\"decision\": false`. A viewer's token asks about its owner, a service's about any customer.",
        "Evaluation",
    )
    .answers("The decision", named("Decision"))
    .example(Ask::new("permit", BUYER, "/access/v1/evaluation").post(question(Some("5110"))));
    let mut several = question(None);
    if let Some(body) = several.as_object_mut() {
        let item = |id: &str| json!({ "resource": { "type": "item", "id": id } });
        body.insert("evaluations".to_owned(), json!([item("5110"), item("5101")]));
    }
    let several = post(
        &table::EVALUATIONS,
        "The top-level members are the defaults of each evaluation. One question that is malformed, not the caller's to ask, or cannot be told now, is an error in its place. Without `evaluations` it is one question, with its own answer.",
        "Evaluations",
    )
    .answers("The decisions, in the order of the questions", json!({ "anyOf": [named("Decisions"), named("Decision")] }))
    .errors(&[ApiError::INVALID_EVALUATIONS, ApiError::INVALID_OPTIONS])
    .example(Ask::new("two items", BUYER, "/access/v1/evaluations").post(several));
    let mut search = question(None);
    if let Some(body) = search.as_object_mut() {
        body.insert("resource".to_owned(), json!({ "type": "item" }));
    }
    let search = post(
        &table::RESOURCE_SEARCH,
        "A page may be short, or empty, and not the last: go on with `page.token` until `next_token` is empty.",
        "Search",
    )
    .answers("A page of items", named("Found"))
    .errors(&[ApiError::INVALID_PAGE_OBJECT, ApiError::OTHER_QUESTION])
    .example(Ask::new("first page", BUYER, "/access/v1/search/resource").post(search));
    let configuration = Description::of(
        &table::AUTHZEN_CONFIGURATION,
        Methods::READ,
        "The metadata of the decision point (AuthZEN, section 9).",
    )
    .answers("The endpoints", named("AuthzenConfiguration"))
    .example(Ask::new("endpoints", Caller::Stranger, "/.well-known/authzen-configuration"));
    Group {
        name: "AuthZEN",
        text: "Questions in the form of the OpenID AuthZEN Authorization API 1.0",
        operations: vec![one, several, search, configuration],
    }
}
