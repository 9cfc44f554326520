//! Checks, and the health of the service.

use admit::{
    api::{
        contract::{Methods, table},
        error::ApiError,
    },
    limits::CHECKS_MAX_ITEMS,
};
use serde_json::json;

use super::Group;
use crate::{
    describe::{Ask, Caller, Description},
    headers,
    parameters::required_query,
    schema::named,
};

const BUYER: Caller = Caller::Sample("item-buyer");

pub fn group() -> Group {
    let access = Description::of(
        &table::ACCESS,
        Methods::READ,
        "200 means that access is granted, and nothing else does. A denial is 402 and nothing else; 503 means that it cannot be told now. With an origin behind the edge, a denial is confirmed before it is given.",
    )
    .parameter(headers::min_seq())
    .answers("Access is granted", named("Access"))
    .errors(&[ApiError::NoAccess, ApiError::ItemNotFound, ApiError::InvalidIdOnAccess])
    .example(Ask::new("granted", BUYER, "/items/5110/access"));
    let items = json!({
        "type": "string", "pattern": "^0*[1-9][0-9]{0,18}(,0*[1-9][0-9]{0,18})*$",
        "description": format!("1 to {CHECKS_MAX_ITEMS} numbers, separated by commas"),
    });
    let many = Description::of(
        &table::ACCESSES,
        Methods::READ,
        "200 means that the question was answered, and each entry has its own decision. Do not use it where 2xx means that the viewer may play.",
    )
    .parameter(required_query("items", items, "The items; repeated ones count once", "5110,5101,5999"))
    .parameter(headers::min_seq())
    .answers("One entry for each item, in the order of the request", named("Checks"))
    .errors(&[ApiError::INVALID_ITEMS])
    .example(Ask::new("three items", BUYER, "/access?items=5110,5101,5999"));
    let health = Description::of(
        &table::HEALTH,
        Methods::READ,
        "200 once a snapshot can be read, 503 before. A token with the scope `snapshot:read`, or of an issuer with the capability `explain`, shows the numbers; without one the answer has status and age alone. The reference origin answers with its own state.",
    )
    .answers(
        "It works. `status` is `ok`, or the worst of what this isolate knows",
        json!({ "anyOf": [named("Health"), named("OriginHealth")] }),
    )
    .example(Ask::new("for strangers", Caller::Stranger, "/healthz"))
    .example(Ask::new("for operators", Caller::Sample("operator"), "/healthz"));
    Group {
        name: "Checks",
        text: "May this viewer play this item, now?",
        operations: vec![access, many, health],
    }
}
