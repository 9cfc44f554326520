//! Items, fees and packages.

use admit::{
    api::{
        contract::{Endpoint, Methods, table},
        error::ApiError,
    },
    limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS},
};
use serde_json::json;

use super::Group;
use crate::{
    describe::{Ask, Caller, Description},
    headers,
    parameters::query,
    schema::{array, named, pattern},
};

fn read(endpoint: &'static Endpoint, text: &'static str) -> Description {
    Description::of(endpoint, Methods::READ, text)
        .parameter(headers::min_seq())
        .errors(&[ApiError::ItemNotFound])
}

const fn ask(name: &'static str, target: &'static str) -> Ask {
    Ask::new(name, Caller::Stranger, target)
}

pub fn group() -> Group {
    let item = read(&table::ITEM, "An item without `content`, the same for all clients.")
        .answers("The item", named("Item"))
        .example(ask("a film", "/items/5101"))
        .example(ask("an invalid id", "/items/abc"));
    let merchant_item = read(&table::MERCHANT_ITEM, "404 if the item is another merchant's.")
        .answers("The item", named("Item"))
        .example(ask("a film", "/items/3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934/5101"));
    let merchant = pattern("^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$");
    let external = read(
        &table::EXTERNAL_ITEM,
        "For an app that knows the item by its `external_asset_id` or by its host's media id. Of several items of one merchant with one id, the first is shown.",
    )
    .parameter(query("merchant_uuid", merchant, "Required if items of several merchants have the id; empty counts as absent"))
    .answers("The item", named("Item"))
    .errors(&[ApiError::INVALID_EXTERNAL_ID, ApiError::INVALID_MERCHANT_UUID, ApiError::SHARED_EXTERNAL_ID])
    .example(ask("by a media id", "/items/assets/external/jw_asset/5tb8rxr7"));
    let fees = |endpoint, target| {
        read(endpoint, "All of them, also those that are not offered now, or not in the client's country.")
            .answers("The fees, a bare list", array(named("Fee")))
            .example(ask("a film", target))
    };
    let fee = read(&table::FEE, "A fee of another item is unknown.")
        .answers("The fee", named("Fee"))
        .errors(&[ApiError::FeeNotFound])
        .example(ask("a rental", "/v2/items/5101/access-fees/7013"));
    let package = read(&table::PACKAGE, "404 for an item that is not a package.")
        .answers("The package, an item like any other", named("Item"))
        .example(ask("a package", "/items/packages/5001"));
    let limit =
        json!({ "type": "integer", "minimum": 1, "maximum": PAGE_MAX_ITEMS, "default": PAGE_DEFAULT_ITEMS });
    let page = json!({ "type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32, "default": 1 });
    let members = read(
        &table::PACKAGE_ITEMS,
        "Its active members. A page past the end is 200 with an empty `collection`.",
    )
    .parameter(query("page", page, "The first page is 1"))
    .parameter(query("limit", limit, "How many items a page has"))
    .answers("A page of items", named("PackageItems"))
    .errors(&[ApiError::INVALID_PAGE, ApiError::INVALID_LIMIT, ApiError::LARGE_PAGE])
    .example(ask("the second page", "/items/packages/5001/items?page=2&limit=5"));
    Group {
        name: "Catalogue",
        text: "Items, their fees, and packages: the same for all clients, without a token",
        operations: vec![
            item,
            merchant_item,
            external,
            fees(&table::FEES, "/items/5101/access-fees"),
            fees(&table::FEES_V2, "/v2/items/5101/access-fees"),
            fee,
            package,
            members,
        ],
    }
}
