//! What a viewer holds.

use admit::{
    api::{
        contract::{Methods, table},
        error::ApiError,
    },
    limits::PAGE_MAX_ITEMS,
};
use serde_json::json;

use super::Group;
use crate::{
    describe::{Ask, Caller, Description},
    headers,
    parameters::query,
    schema::{named, one_of},
};

const BUYER: Caller = Caller::Sample("item-buyer");
const SUBSCRIBER: Caller = Caller::Sample("subscriber");

pub fn group() -> Group {
    let licenses = Description::of(
        &table::LICENSE,
        Methods::READ,
        "The customer's licences within the app of the client that the token names. Being listed is not being entitled: only `ACTIVE` and `OVERDUE` unlock items.",
    )
    .parameter(headers::min_seq())
    .answers("By descending rank", named("Licenses"))
    .example(Ask::new("a subscriber", SUBSCRIBER, "/license"));
    let trial = Description::of(
        &table::USED_TRIAL,
        Methods::READ,
        "Used is a trial that the customer's record names, or with which an access to the item began.",
    )
    .answers("`true` or `false`, bare", named("UsedTrial"))
    .example(Ask::new("not used", BUYER, "/items/used-trial-period/5101"));
    let size = json!({ "type": "integer", "minimum": 1, "maximum": PAGE_MAX_ITEMS, "default": 25 });
    let purchases = Description::of(
        &table::PURCHASES,
        Methods::READ,
        "The customer's accesses, the newest first. Licences are not in this list.",
    )
    .parameter(query("status", one_of(&["active", "inactive"]), "Which ones; all without it"))
    .parameter(query(
        "page",
        json!({ "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32, "default": 0 }),
        "The first page is 0",
    ))
    .parameter(query("size", size, "How many entries a page has"))
    .answers("A page of accesses", named("Purchases"))
    .errors(&[ApiError::INVALID_STATUS, ApiError::INVALID_PURCHASE_PAGE, ApiError::INVALID_SIZE])
    .example(Ask::new("all", BUYER, "/items/access/customers?page=0&size=25"));
    let entitlements = Description::of(
        &table::ENTITLEMENTS,
        Methods::READ,
        "The licences that unlock items for the viewer now, as JW's access bridge lists plans. Any site is accepted, because the token says whose plans they are. Without a token the list is empty.",
    )
    .answers("The plans", named("Plans"))
    .example(Ask::new("a subscriber", SUBSCRIBER, "/v3/sites/fernhollow/entitlements"));
    let plans = Description::of(
        &table::PLANS,
        Methods::READ,
        "The live licences of an app, for anyone, as JW's access bridge lists plans. Where the snapshot has one app, any site means it.",
    )
    .answers("The plans", named("Plans"))
    .errors(&[ApiError::SiteNotFound])
    .example(Ask::new("an app", Caller::Stranger, "/v3/sites/5hq2v8mfernhollowweb71c0/plans"));
    Group {
        name: "Holdings",
        text: "Licences, accesses and plans of a viewer. They are not confirmed by the origin: right after a purchase they lag behind the check",
        operations: vec![licenses, trial, purchases, entitlements, plans],
    }
}
