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
    /// Number of the item.
    #[cfg_attr(feature = "schema", schemars(with = "json::PathId"))]
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Number of the merchant that owns the item.
    #[serde(deserialize_with = "read::whole")]
    pub merchant_id: i64,
    /// Title of the item, for people.
    pub title: String,
    /// Whether the item exists for clients. An inactive item is answered like an unknown one.
    pub is_active: bool,
    /// `auth: false` makes the item free for every signed-in customer of the merchant.
    pub access_control_type: AccessControlType,
    /// Type of the item. The type named `package` makes it a package.
    pub item_type: ItemType,
    /// Minimum age, if there is one.
    #[serde(default)]
    pub age_restriction: Option<AgeRestriction>,
    /// Metadata. Answers show them as an array (`metadata`) and as a map (`metahash`).
    #[serde(default)]
    pub metadata: Vec<MetadataEntry>,
    /// Content, usually JSON text with a video id. Only entitled viewers see it.
    #[serde(default)]
    pub content: String,
    /// Another id of the item, by which clients may ask for it: no two active items of one merchant and type have the
    /// same. The media id in `content` is found without it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<json::ExternalId>"))]
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read::name_or_null")]
    pub external_asset_id: Option<String>,
    /// Whether holders may switch between plans.
    #[serde(default)]
    pub plan_switch_enabled: bool,
    /// Numbers of the members, for a package.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::MEMBERS_MAX)))]
    #[serde(default, deserialize_with = "read::wholes")]
    pub item_ids: Vec<i64>,
    /// Prices for which access can be bought.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::FEES_MAX)))]
    #[serde(default)]
    pub fees: Vec<AccessFee>,
    /// When it was created. Answers show unix seconds.
    pub created_at: Timestamp,
    /// When it was last changed. Answers show unix seconds.
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
    /// The vendor's number of the type, e.g. 4.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Name of the type, e.g. `Paid` or `Free`.
    pub name: String,
    /// Whether access must be bought.
    pub auth: bool,
}

/// The type of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ItemType {
    /// The vendor's number of the type, e.g. 44.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Name of the type, e.g. `brightcove_asset` or `package`.
    pub name: String,
    /// Kind of content, e.g. `ovp`.
    pub content_type: String,
    /// Host of the content, e.g. `inplayer`.
    pub host: String,
    /// Description of the type, for people.
    pub description: String,
}

/// A minimum age for viewers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgeRestriction {
    /// Minimum age in years.
    #[serde(deserialize_with = "read::whole")]
    pub min_age: u32,
}

/// One entry of an item's metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetadataEntry {
    /// Number of the entry.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Key of the entry in `metahash`.
    pub name: String,
    /// Value of the entry in `metahash`.
    pub value: String,
}

/// A price for access to an item. Rendering adds `merchant_id`, `item_id` and `item`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessFee {
    /// Number of the fee.
    #[cfg_attr(feature = "schema", schemars(with = "json::PathId"))]
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Price in units of `currency`, e.g. 9.99.
    pub amount: serde_json::Number,
    /// Currency of the price: ISO 4217.
    pub currency: String,
    /// Description of the fee, for people.
    pub description: String,
    /// Number of the access type that is sold. An `access_type` line describes it.
    #[serde(deserialize_with = "read::whole")]
    pub access_type_id: i64,
    /// A free period at the start of the subscription.
    #[serde(default)]
    pub trial_period: Option<TrialPeriod>,
    /// An amount paid once at the start.
    #[serde(default)]
    pub setup_fee: Option<SetupFee>,
    /// Countries where the fee is, or is not, sold.
    #[serde(default)]
    pub geo_restriction: Option<GeoRestriction>,
    /// When the fee begins to be sold.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// When the fee ceases to be sold.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Whether holders of another plan may switch to this fee.
    #[serde(default)]
    pub plan_switch_enabled: bool,
    /// When it was created. Answers show unix seconds.
    pub created_at: Timestamp,
    /// When it was last changed. Answers show unix seconds.
    pub updated_at: Timestamp,
}

/// A free period at the start of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TrialPeriod {
    /// Number of periods.
    #[serde(deserialize_with = "read::whole")]
    pub quantity: i64,
    /// Unit of the period: `day`, `week` or `month`.
    pub period: String,
    /// Description of the period, for people.
    pub description: String,
}

/// An amount paid once at the start of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetupFee {
    /// Number of the set-up fee.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Amount in units of the fee's currency.
    pub fee_amount: serde_json::Number,
    /// Description of the set-up fee, for people.
    pub description: String,
}

/// Countries where a fee is, or is not, sold. Exactly one of the two selectors is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = json::one_selector))]
#[serde(deny_unknown_fields)]
pub struct GeoRestriction {
    /// Number of the restriction.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Code of one country: ISO 3166-1 alpha-2.
    #[serde(default)]
    pub country_iso: Option<String>,
    /// Number of a set of countries that the origin keeps.
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
    /// The fee is not sold in these countries.
    Blacklist,
    /// The fee is sold only in these countries.
    Whitelist,
}

/// The map of metadata that web pages read beside the array of entries.
#[must_use]
pub fn metahash(metadata: &[MetadataEntry]) -> BTreeMap<&str, &str> {
    metadata.iter().map(|entry| (entry.name.as_str(), entry.value.as_str())).collect()
}
