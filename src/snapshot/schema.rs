//! The publish schema: one JSON object a line, tagged by `type`. Any origin can write it;
//! `docs/publish-schema.md` is its reference.
//!
//! Unknown fields are errors: a misspelt `expires_at` must not become access for ever.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::{Timestamp, ZonedTime};

/// One line of a publish file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields)]
pub struct SnapshotLine {
    /// The origin's count of committed changes.
    pub seq: u64,
    /// When the data was true at the origin. The time of publishing when absent.
    #[serde(default)]
    pub as_of: Option<Timestamp>,
}

/// A merchant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// The merchant's account number.
    pub id: i64,
    /// The merchant's UUID, as clients name it in `/items/{merchant_uuid}/{id}`.
    pub uuid: String,
    /// For people.
    #[serde(default)]
    pub name: String,
}

/// An app and the OAuth clients that sign its users in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The app's identifier; licences name it.
    pub id: String,
    /// Owner.
    pub merchant_id: i64,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `plan_id` in the answer of `/license`.
    pub plan_id: String,
    /// The app's OAuth clients.
    #[serde(default)]
    pub clients: Vec<Client>,
}

/// An OAuth client of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// As tokens name it in `client_id`, `azp` or a single `aud`.
    pub client_id: String,
    /// Live clients see live licences only, test clients test licences only.
    pub mode: ClientMode,
}

/// Whether a client sees live or test-mode licences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientMode {
    /// For real users.
    Live,
    /// For developers: gets all of the app's pending test-mode licences.
    Test,
}

/// A licence: what customers of an app can hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct License {
    /// UUID.
    pub id: String,
    /// The merchant's own name for it, e.g. `KS001`.
    pub internal_id: String,
    /// The app it belongs to.
    pub app_id: String,
    /// For people.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Answers list licences by descending rank.
    #[serde(default)]
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
    #[serde(default)]
    pub item_ids: Vec<i64>,
}

/// The state of a licence itself (not of somebody's subscription to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields)]
pub struct Locale {
    /// For people.
    pub name: String,
    /// ISO 3166-1 alpha-2.
    pub country_code: String,
}

/// A kind of access that fees sell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessType {
    /// Fees name it.
    pub id: i64,
    /// The merchant's account.
    pub account_id: i64,
    /// `ppv` and `ppv_custom` mean pay-per-view.
    pub name: String,
    /// How many periods.
    pub quantity: i64,
    /// `hour`, `day`, `week`, `month`, `year`.
    pub period: String,
    /// Unix seconds in answers.
    pub created_at: Timestamp,
    /// Unix seconds in answers.
    pub updated_at: Timestamp,
}

/// An item that viewers play, or a package of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The item's number.
    pub id: i64,
    /// Owner.
    pub merchant_id: i64,
    /// For people.
    pub title: String,
    /// An inactive item is answered like one that does not exist.
    pub is_active: bool,
    /// `auth: false` makes the item free for every signed-in customer of the merchant.
    pub access_control_type: AccessControlType,
    /// What it is; the type named `package` makes it a package.
    pub item_type: ItemType,
    /// Minimum age, or none.
    #[serde(default)]
    pub age_restriction: Option<AgeRestriction>,
    /// Rendered as an array (`metadata`) and as a map (`metahash`).
    #[serde(default)]
    pub metadata: Vec<MetadataEntry>,
    /// Usually JSON text with a video id. Shown to the entitled only.
    #[serde(default)]
    pub content: String,
    /// Whether holders may switch between plans.
    #[serde(default)]
    pub plan_switch_enabled: bool,
    /// The members, for a package.
    #[serde(default)]
    pub item_ids: Vec<i64>,
    /// What can be bought.
    #[serde(default)]
    pub fees: Vec<AccessFee>,
    /// Unix seconds in answers.
    pub created_at: Timestamp,
    /// Unix seconds in answers.
    pub updated_at: Timestamp,
}

impl Item {
    /// Whether the item is a package of other items.
    #[must_use]
    pub fn is_package(&self) -> bool {
        self.item_type.name == "package"
    }
}

/// How access to an item is controlled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessControlType {
    /// Vendor number, e.g. 4.
    pub id: i64,
    /// E.g. `Paid`, `Free`.
    pub name: String,
    /// Whether access has to be bought.
    pub auth: bool,
}

/// What kind of item it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemType {
    /// Vendor number, e.g. 44.
    pub id: i64,
    /// E.g. `brightcove_asset`, `package`.
    pub name: String,
    /// E.g. `ovp`.
    pub content_type: String,
    /// E.g. `inplayer`.
    pub host: String,
    /// For people.
    pub description: String,
}

/// A minimum age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeRestriction {
    /// Years.
    pub min_age: u32,
}

/// One entry of an item's metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataEntry {
    /// The entry's number.
    pub id: i64,
    /// Key in `metahash`.
    pub name: String,
    /// Value in `metahash`.
    pub value: String,
}

/// A price for access to an item. `merchant_id`, `item_id` and `item` are added when it is rendered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessFee {
    /// The fee's number.
    pub id: i64,
    /// In units of `currency`, e.g. 9.99.
    pub amount: serde_json::Number,
    /// ISO 4217.
    pub currency: String,
    /// For people.
    pub description: String,
    /// What is sold; an `access_type` line has it.
    pub access_type_id: i64,
    /// A free period at the start.
    #[serde(default)]
    pub trial_period: Option<TrialPeriod>,
    /// Paid once at the start.
    #[serde(default)]
    pub setup_fee: Option<SetupFee>,
    /// Where it is, or is not, sold.
    #[serde(default)]
    pub geo_restriction: Option<GeoRestriction>,
    /// When it is sold from.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// When it is sold until.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Whether holders may switch to it from another plan.
    #[serde(default)]
    pub plan_switch_enabled: bool,
    /// Unix seconds in answers.
    pub created_at: Timestamp,
    /// Unix seconds in answers.
    pub updated_at: Timestamp,
}

/// A free period at the start of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialPeriod {
    /// How many periods.
    pub quantity: i64,
    /// `day`, `week`, `month`.
    pub period: String,
    /// For people.
    pub description: String,
}

/// An amount paid once at the start of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupFee {
    /// The set-up fee's number.
    pub id: i64,
    /// In units of the fee's currency.
    pub fee_amount: serde_json::Number,
    /// For people.
    pub description: String,
}

/// Countries where a fee is, or is not, sold. Exactly one of the two selectors is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoRestriction {
    /// The restriction's number.
    pub id: i64,
    /// ISO 3166-1 alpha-2.
    #[serde(default)]
    pub country_iso: Option<String>,
    /// A set of countries kept by the origin.
    #[serde(default)]
    pub country_set_id: Option<i64>,
    /// Whether the countries are excluded or the only ones.
    #[serde(rename = "type")]
    pub kind: GeoRestrictionKind,
}

/// Whether the named countries are excluded or the only ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeoRestrictionKind {
    /// Not sold there.
    Blacklist,
    /// Sold there only.
    Whitelist,
}

/// A customer: somebody whom an issuer's tokens name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// The customer namespace of the issuer, as the Worker's `ISSUERS` names it.
    pub namespace: String,
    /// The value of the issuer's customer claim (`sub` unless configured otherwise).
    pub subject: String,
    /// `customer_id` in answers.
    pub id: i64,
    /// `customer_uuid` in answers.
    pub uuid: String,
    /// The merchant whose customer it is.
    pub merchant_id: i64,
    /// Grants on items and packages.
    #[serde(default)]
    pub accesses: Vec<Access>,
    /// Subscriptions to licences.
    #[serde(default)]
    pub licenses: Vec<CustomerLicense>,
}

/// A grant on an item or a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The access record's number, `id` in the answer.
    pub id: i64,
    /// The item or package.
    pub item_id: i64,
    /// Not before this moment, if set.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// Not from this moment on, if set; for ever otherwise.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it was granted.
    pub created_at: Timestamp,
}

/// A customer's subscription to a licence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerLicense {
    /// UUID of the licence.
    pub license_id: String,
    /// Alone or part of a bundle.
    pub license_type: LicenseType,
    /// For people, e.g. `Kidstream: Monthly Access`.
    pub name: String,
    /// Whether it unlocks items.
    pub status: SubscriptionStatus,
    /// Whether it will be renewed.
    pub renew_status: RenewStatus,
    /// The next renewal.
    #[serde(default)]
    pub renews_on: Option<ZonedTime>,
    /// Length of the interval, in `interval_unit`.
    pub interval_length: u32,
    /// Unit of the interval.
    pub interval_unit: IntervalUnit,
    /// The moment that renewals are counted from.
    #[serde(default)]
    pub billing_cycle_anchor: Option<ZonedTime>,
    /// When it was bought.
    pub date_added: ZonedTime,
    /// Whether it began with a trial.
    #[serde(default)]
    pub trial: bool,
    /// Days of trial.
    #[serde(default)]
    pub trial_duration: Option<u32>,
    /// Days until another trial is possible.
    #[serde(default)]
    pub trial_reset: Option<u32>,
    /// When it was cancelled. Cancelled ones are listed for 12 months from here.
    #[serde(default)]
    pub cancelled_at: Option<Timestamp>,
    /// Unlocks nothing before this moment, if set.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// Unlocks nothing from this moment on, if set.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Whether a subscription stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LicenseType {
    /// Alone.
    Single,
    /// Part of a bundle.
    Bundle,
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SubscriptionStatus {
    /// Entitled.
    Active,
    /// Entitled: a payment problem in grace.
    Overdue,
    /// Not entitled; listed for 12 months.
    Cancelled,
}

/// Whether a subscription will be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RenewStatus {
    /// It will.
    Renew,
    /// It will not.
    Cancel,
}

/// Unit of a subscription's interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum IntervalUnit {
    /// Days.
    Days,
    /// Weeks.
    Weeks,
    /// Months.
    Months,
    /// Years.
    Years,
}

/// The string map that web pages read beside the array of entries.
#[must_use]
pub fn metahash(metadata: &[MetadataEntry]) -> Map<String, Value> {
    metadata.iter().map(|entry| (entry.name.clone(), Value::String(entry.value.clone()))).collect()
}
