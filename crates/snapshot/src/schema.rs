//! The publish schema: one JSON object a line, tagged by `type`. Any origin can write it;
//! `docs/publish-schema.md` is its reference.
//!
//! Unknown fields are errors: a misspelt `expires_at` must not become access for ever.

mod change;
mod customer;
mod item;
#[cfg(feature = "schema")]
pub mod json;
pub mod read;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{change::*, customer::*, item::*};
use super::time::Timestamp;

/// One line of a publish file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// Where the data stands in the origin's history. At most one a file.
    Snapshot(SnapshotLine),
    /// A merchant: the owner of items and customers.
    Merchant(Merchant),
    /// An app of a merchant, with its OAuth clients.
    App(App),
    /// A licence that customers of an app can hold.
    License(License),
    /// A kind of access that fees sell.
    AccessType(AccessType),
    /// An item, with its fees. A package is an item whose type is `package`.
    Item(Item),
    /// A customer, with accesses and licences.
    Customer(Customer),
}

/// Where the data stands in the origin's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SnapshotLine {
    /// The origin's count of committed changes.
    #[serde(deserialize_with = "read::whole")]
    pub seq: u64,
    /// When the data was true at the origin. The time of publishing when absent.
    #[serde(default)]
    pub as_of: Option<Timestamp>,
}

/// A merchant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// The merchant's account number.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// The merchant's UUID, as clients name it in `/items/{merchant_uuid}/{id}`.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
    pub uuid: String,
    /// For people.
    #[serde(default)]
    pub name: String,
}

/// An app and the OAuth clients that sign its users in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The app's identifier; licences name it.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub id: String,
    /// Owner.
    #[serde(deserialize_with = "read::whole")]
    pub merchant_id: i64,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `plan_id` in the answer of `/license`.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub plan_id: String,
    /// The app's OAuth clients.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::CLIENTS_MAX)))]
    #[serde(default)]
    pub clients: Vec<Client>,
}

/// An OAuth client of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// As tokens name it in `client_id`, `azp` or a single `aud`.
    #[cfg_attr(feature = "schema", schemars(with = "json::ClientName"))]
    #[serde(deserialize_with = "read::name")]
    pub client_id: String,
    /// Live clients see live licences only, test clients test licences only.
    pub mode: ClientMode,
}

/// Whether a client sees live or test-mode licences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientMode {
    /// For real users.
    Live,
    /// For developers: gets all of the app's pending test-mode licences.
    Test,
}

/// A licence: what customers of an app can hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct License {
    /// UUID.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
    pub id: String,
    /// The merchant's own name for it, e.g. `KS001`.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub internal_id: String,
    /// The app it belongs to.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub app_id: String,
    /// For people.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Answers list licences by descending rank.
    #[serde(default, deserialize_with = "read::whole")]
    pub rank: i64,
    /// Draft and pending licences are not available to end users.
    pub status: LicenseState,
    /// Seen by test-mode clients only.
    #[serde(default)]
    pub test_mode: bool,
    /// Countries where it is sold.
    #[serde(default)]
    pub locales: Vec<Locale>,
    /// A label of the price tier, passed on as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_tier: Option<Value>,
    /// Items and packages that it unlocks.
    #[serde(default, deserialize_with = "read::wholes")]
    pub item_ids: Vec<i64>,
}

/// The state of a licence itself (not of somebody's subscription to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LicenseState {
    /// Not available to end users.
    Draft,
    /// Not available to end users; test-mode clients see it if it is a test-mode licence.
    Pending,
    /// Available.
    Live,
    /// Only for those who already hold it.
    Inactive,
}

/// A country where a licence is sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Locale {
    /// For people.
    pub name: String,
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
}

/// A kind of access that fees sell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessType {
    /// Fees name it.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// The merchant's account.
    #[serde(deserialize_with = "read::whole")]
    pub account_id: i64,
    /// `ppv` and `ppv_custom` mean pay-per-view.
    pub name: String,
    /// How many periods.
    #[serde(deserialize_with = "read::whole")]
    pub quantity: i64,
    /// `hour`, `day`, `week`, `month`, `year`.
    pub period: String,
    /// Unix seconds in answers.
    pub created_at: Timestamp,
    /// Unix seconds in answers.
    pub updated_at: Timestamp,
}
