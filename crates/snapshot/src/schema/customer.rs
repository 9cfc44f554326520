//! Customers and what they hold.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::json;
use super::read;
use crate::time::{Timestamp, ZonedTime};

/// A customer: somebody whom an issuer's tokens name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// The customer namespace of the issuer, as the Worker's `ISSUERS` names it.
    #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
    #[serde(deserialize_with = "read::name")]
    pub namespace: String,
    /// The value of the issuer's customer claim (`sub` unless configured otherwise).
    #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
    #[serde(deserialize_with = "read::name")]
    pub subject: String,
    /// `customer_id` in answers.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// `customer_uuid` in answers.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
    pub uuid: String,
    /// The merchant whose customer it is.
    #[serde(deserialize_with = "read::whole")]
    pub merchant_id: i64,
    /// Grants on items and packages.
    #[serde(default)]
    pub accesses: Vec<Access>,
    /// Subscriptions to licences.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::LICENSES_MAX)))]
    #[serde(default)]
    pub licenses: Vec<CustomerLicense>,
}

/// A grant on an item or a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The access record's number, `id` in the answer.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// The item or package.
    #[serde(deserialize_with = "read::whole")]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CustomerLicense {
    /// UUID of the licence.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
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
    #[serde(deserialize_with = "read::whole")]
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
    #[serde(default, deserialize_with = "read::whole_or_null")]
    pub trial_duration: Option<u32>,
    /// Days until another trial is possible.
    #[serde(default, deserialize_with = "read::whole_or_null")]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum LicenseType {
    /// Alone.
    Single,
    /// Part of a bundle.
    Bundle,
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum RenewStatus {
    /// It will.
    Renew,
    /// It will not.
    Cancel,
}

/// Unit of a subscription's interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
