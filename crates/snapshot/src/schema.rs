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
    /// The position of the data in the origin's history. At most one per file.
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

/// The position of the data in the origin's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SnapshotLine {
    /// The origin's count of committed changes.
    #[serde(deserialize_with = "read::whole")]
    pub seq: u64,
    /// When the data was true at the origin. The time of publishing if absent.
    #[serde(default)]
    pub as_of: Option<Timestamp>,
}

/// A merchant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// Account number of the merchant.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// UUID of the merchant, as clients name it in `/items/{merchant_uuid}/{id}`.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
    pub uuid: String,
    /// Name of the merchant, for people.
    #[serde(default)]
    pub name: String,
}

/// An app of a merchant, and the OAuth clients that sign its users in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Identifier of the app, to which licences refer.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub id: String,
    /// Number of the merchant that owns the app.
    #[serde(deserialize_with = "read::whole")]
    pub merchant_id: i64,
    /// Name of the app, for people.
    #[serde(default)]
    pub name: String,
    /// `plan_id` in answers of `/license`.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub plan_id: String,
    /// OAuth clients of the app.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::CLIENTS_MAX)))]
    #[serde(default)]
    pub clients: Vec<Client>,
}

/// An OAuth client of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Identifier of the client, as tokens name it in `client_id`, `azp` or a single `aud`.
    #[cfg_attr(feature = "schema", schemars(with = "json::ClientName"))]
    #[serde(deserialize_with = "read::name")]
    pub client_id: String,
    /// Live clients see live licences only, test clients see test licences only.
    pub mode: ClientMode,
}

/// Whether a client sees live or test-mode licences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientMode {
    /// A client for real users.
    Live,
    /// A client for developers: it gets all pending test-mode licences of the app.
    Test,
}

/// A licence, which customers of an app can hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct License {
    /// UUID of the licence.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
    pub id: String,
    /// The merchant's own name for the licence, e.g. `KS001`.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub internal_id: String,
    /// Identifier of the app that the licence belongs to.
    #[cfg_attr(feature = "schema", schemars(with = "json::Name"))]
    #[serde(deserialize_with = "read::name")]
    pub app_id: String,
    /// Name of the licence, for people.
    pub name: String,
    /// Description of the licence, for people.
    #[serde(default)]
    pub description: String,
    /// Answers list licences by descending rank.
    #[serde(default, deserialize_with = "read::whole")]
    pub rank: i64,
    /// State of the licence. Draft and pending licences are not available to end users.
    pub status: LicenseState,
    /// Whether only test-mode clients see the licence.
    #[serde(default)]
    pub test_mode: bool,
    /// Countries where the licence is sold.
    #[serde(default)]
    pub locales: Vec<Locale>,
    /// A label of the price tier, passed on unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_tier: Option<Value>,
    /// Numbers of the items and packages that the licence unlocks.
    #[serde(default, deserialize_with = "read::wholes")]
    pub item_ids: Vec<i64>,
}

/// The state of a licence itself, independent of subscriptions to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LicenseState {
    /// Not available to end users.
    Draft,
    /// Not available to end users. Test-mode clients see it if it is a test-mode licence.
    Pending,
    /// Available to all customers of the app.
    Live,
    /// Available only to customers who already hold it.
    Inactive,
}

/// A country where a licence is sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Locale {
    /// Name of the country, for people.
    pub name: String,
    /// Code of the country: ISO 3166-1 alpha-2.
    pub country_code: String,
}

/// A kind of access that fees sell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessType {
    /// Number of the access type, to which fees refer.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Account number of the merchant.
    #[serde(deserialize_with = "read::whole")]
    pub account_id: i64,
    /// Name of the access type. `ppv` and `ppv_custom` mean pay-per-view.
    pub name: String,
    /// Number of periods.
    #[serde(deserialize_with = "read::whole")]
    pub quantity: i64,
    /// Unit of the period: `hour`, `day`, `week`, `month` or `year`.
    pub period: String,
    /// When it was created. Answers show unix seconds.
    pub created_at: Timestamp,
    /// When it was last changed. Answers show unix seconds.
    pub updated_at: Timestamp,
}
