//! Items and packages, and what can be bought.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::json;
use super::read;
use crate::time::Timestamp;

/// An item that viewers play, or a package of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The item's number.
    #[cfg_attr(feature = "schema", schemars(with = "json::PathId"))]
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Owner.
    #[serde(deserialize_with = "read::whole")]
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
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::MEMBERS_MAX)))]
    #[serde(default, deserialize_with = "read::wholes")]
    pub item_ids: Vec<i64>,
    /// What can be bought.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::FEES_MAX)))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessControlType {
    /// Vendor number, e.g. 4.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// E.g. `Paid`, `Free`.
    pub name: String,
    /// Whether access has to be bought.
    pub auth: bool,
}

/// What kind of item it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ItemType {
    /// Vendor number, e.g. 44.
    #[serde(deserialize_with = "read::whole")]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgeRestriction {
    /// Years.
    #[serde(deserialize_with = "read::whole")]
    pub min_age: u32,
}

/// One entry of an item's metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetadataEntry {
    /// The entry's number.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Key in `metahash`.
    pub name: String,
    /// Value in `metahash`.
    pub value: String,
}

/// A price for access to an item. `merchant_id`, `item_id` and `item` are added when it is rendered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessFee {
    /// The fee's number.
    #[cfg_attr(feature = "schema", schemars(with = "json::PathId"))]
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// In units of `currency`, e.g. 9.99.
    pub amount: serde_json::Number,
    /// ISO 4217.
    pub currency: String,
    /// For people.
    pub description: String,
    /// What is sold; an `access_type` line has it.
    #[serde(deserialize_with = "read::whole")]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TrialPeriod {
    /// How many periods.
    #[serde(deserialize_with = "read::whole")]
    pub quantity: i64,
    /// `day`, `week`, `month`.
    pub period: String,
    /// For people.
    pub description: String,
}

/// An amount paid once at the start of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetupFee {
    /// The set-up fee's number.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// In units of the fee's currency.
    pub fee_amount: serde_json::Number,
    /// For people.
    pub description: String,
}

/// Countries where a fee is, or is not, sold. Exactly one of the two selectors is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = json::one_selector))]
#[serde(deny_unknown_fields)]
pub struct GeoRestriction {
    /// The restriction's number.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// ISO 3166-1 alpha-2.
    #[serde(default)]
    pub country_iso: Option<String>,
    /// A set of countries kept by the origin.
    #[serde(default, deserialize_with = "read::whole_or_null")]
    pub country_set_id: Option<i64>,
    /// Whether the countries are excluded or the only ones.
    #[serde(rename = "type")]
    pub kind: GeoRestrictionKind,
}

/// Whether the named countries are excluded or the only ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GeoRestrictionKind {
    /// Not sold there.
    Blacklist,
    /// Sold there only.
    Whitelist,
}

/// The string map that web pages read beside the array of entries.
#[must_use]
pub fn metahash(metadata: &[MetadataEntry]) -> BTreeMap<&str, &str> {
    metadata.iter().map(|entry| (entry.name.as_str(), entry.value.as_str())).collect()
}
