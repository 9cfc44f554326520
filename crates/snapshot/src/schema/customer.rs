//! Customers and what they hold.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::json;
use super::read;
use crate::time::{Timestamp, UnixSecs, ZonedTime};

/// A customer, identified by an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Namespace of the issuer's customers, as the Worker's `ISSUERS` names it.
    #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
    #[serde(deserialize_with = "read::name")]
    pub namespace: String,
    /// Value of the issuer's customer claim (`sub` unless configured otherwise).
    #[cfg_attr(feature = "schema", schemars(with = "json::NamePart"))]
    #[serde(deserialize_with = "read::name")]
    pub subject: String,
    /// Number of the customer, `customer_id` in answers.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// UUID of the customer, `customer_uuid` in answers.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
    pub uuid: String,
    /// Number of the merchant that the customer belongs to.
    #[serde(deserialize_with = "read::whole")]
    pub merchant_id: i64,
    /// Grants on items and packages.
    #[serde(default)]
    pub accesses: Vec<Access>,
    /// Subscriptions to licences.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::LICENSES_MAX)))]
    #[serde(default)]
    pub licenses: Vec<CustomerLicense>,
    /// Numbers of the items whose trial the customer has used.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "read::wholes")]
    pub used_trials: Vec<i64>,
}

/// A grant on an item or a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Number of the access record, `id` in answers.
    #[serde(deserialize_with = "read::whole")]
    pub id: i64,
    /// Number of the item or package.
    #[serde(deserialize_with = "read::whole")]
    pub item_id: i64,
    /// First moment at which the access counts. From the beginning if absent.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// First moment at which the access no longer counts. It never ends if absent.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When the access was granted.
    pub created_at: Timestamp,
    /// When the access will be renewed next, if it will be. It decides nothing: `expires_at` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews_on: Option<Timestamp>,
    /// How the access was bought, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
}

/// How an access was bought. Lists of a customer's purchases show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// Amount that was paid, in units of `currency`, e.g. 9.99.
    pub amount: serde_json::Number,
    /// Currency of the amount: ISO 4217.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::PURCHASE_TEXT_MAX_BYTES)))]
    pub currency: String,
    /// Number of the fee that was bought. It may have been removed since.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read::whole_or_null")]
    pub access_fee_id: Option<i64>,
    /// Name of the payment method, e.g. `card`.
    #[cfg_attr(feature = "schema", schemars(length(max = crate::limits::PURCHASE_TEXT_MAX_BYTES)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// Whether the access began with a trial.
    #[serde(default)]
    pub trial: bool,
}

/// A customer's subscription to a licence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CustomerLicense {
    /// UUID of the licence.
    #[cfg_attr(feature = "schema", schemars(with = "json::UuidText"))]
    pub license_id: String,
    /// Whether it was bought alone or as part of a bundle.
    pub license_type: LicenseType,
    /// Name of the subscription, for people, e.g. `Kidstream: Monthly Access`.
    pub name: String,
    /// Whether it unlocks items.
    pub status: SubscriptionStatus,
    /// Whether it will be renewed.
    pub renew_status: RenewStatus,
    /// When it will be renewed next.
    #[serde(default)]
    pub renews_on: Option<ZonedTime>,
    /// Length of the billing interval, in `interval_unit`.
    #[serde(deserialize_with = "read::whole")]
    pub interval_length: u32,
    /// Unit of the billing interval.
    pub interval_unit: IntervalUnit,
    /// The moment from which renewals are counted.
    #[serde(default)]
    pub billing_cycle_anchor: Option<ZonedTime>,
    /// When it was bought.
    pub date_added: ZonedTime,
    /// Whether it began with a trial.
    #[serde(default)]
    pub trial: bool,
    /// Length of the trial in days.
    #[serde(default, deserialize_with = "read::whole_or_null")]
    pub trial_duration: Option<u32>,
    /// Days until another trial is possible.
    #[serde(default, deserialize_with = "read::whole_or_null")]
    pub trial_reset: Option<u32>,
    /// When it was cancelled. Cancelled subscriptions are listed for 12 months from this moment.
    #[serde(default)]
    pub cancelled_at: Option<Timestamp>,
    /// First moment at which it unlocks items. From the beginning if absent.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// First moment at which it no longer unlocks items. It never ends if absent.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Whether a subscription was bought alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum LicenseType {
    /// Bought alone.
    Single,
    /// Part of a bundle of licences.
    Bundle,
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum SubscriptionStatus {
    /// Unlocks items.
    Active,
    /// Unlocks items: a payment has failed, and its grace period runs.
    Overdue,
    /// Unlocks nothing. Listed for 12 months.
    Cancelled,
}

impl SubscriptionStatus {
    /// The status of a subscription as clients see it at `now`: a subscription that has ended is cancelled, whatever
    /// the origin last reported, because clients take the others for access. `None` if it has not begun.
    #[must_use]
    pub fn shown_at(
        self,
        now: UnixSecs,
        starts_at: Option<UnixSecs>,
        expires_at: Option<UnixSecs>,
    ) -> Option<Self> {
        if self == Self::Cancelled || expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Some(Self::Cancelled);
        }
        starts_at.is_none_or(|starts_at| starts_at <= now).then_some(self)
    }
}

/// Whether a subscription will be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum RenewStatus {
    /// It will be renewed.
    Renew,
    /// It will not be renewed.
    Cancel,
}

/// Unit of a subscription's billing interval.
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
