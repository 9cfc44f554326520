//! Renders JSON when the snapshot is built, so that answers need no serialisation.
//!
//! ```
//! use admit_publish::render::license_object;
//! use admit_snapshot::schema::License;
//! use serde_json::{Value, json};
//!
//! let line = json!({
//!     "id": "528b1b80-5868-4abc-a9b6-4d3455d719c8", "internal_id": "KS001", "app_id": "tv",
//!     "name": "Monthly", "status": "live",
//! });
//! let license: License = serde_json::from_value(line)?;
//! let json: Value = serde_json::from_str(&license_object(&license, uuid::Uuid::nil())?)?;
//! assert_eq!((&json["name"], &json["internal_id"]), (&json!("Monthly"), &json!("KS001")));
//! assert_eq!(json["app_id"], Value::Null, "clients do not see the app");
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::{collections::BTreeMap, io};

use admit_snapshot::{
    schema::{
        AccessControlType, AccessFee, AccessType, AgeRestriction, GeoRestriction, Item, ItemType, License,
        Locale, MetadataEntry, SetupFee, TrialPeriod, metahash,
    },
    time::UnixSecs,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// An item's JSON object without `content` and without its opening brace.
#[derive(Serialize)]
struct ItemDetails<'a> {
    id: i64,
    merchant_id: i64,
    merchant_uuid: Uuid,
    title: &'a str,
    // Both names: players read `is_active`; the websocket and fees use `active`.
    is_active: bool,
    active: bool,
    access_control_type: &'a AccessControlType,
    item_type: &'a ItemType,
    age_restriction: &'a Option<AgeRestriction>,
    metadata: &'a [MetadataEntry],
    metahash: BTreeMap<&'a str, &'a str>,
    // Only where there is one: other items keep the bytes that they had before external ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_asset_id: Option<&'a str>,
    plan_switch_enabled: bool,
    created_at: UnixSecs,
    updated_at: UnixSecs,
}

impl<'a> ItemDetails<'a> {
    fn of(item: &'a Item, merchant_uuid: Uuid, now: UnixSecs) -> Self {
        Self {
            id: item.id,
            merchant_id: item.merchant_id,
            merchant_uuid,
            title: &item.title,
            is_active: item.is_active,
            active: item.is_active,
            access_control_type: &item.access_control_type,
            item_type: &item.item_type,
            age_restriction: &item.age_restriction,
            metadata: &item.metadata,
            metahash: metahash(&item.metadata),
            external_asset_id: item.external_asset_id.as_deref(),
            plan_switch_enabled: item.plan_switch_enabled,
            created_at: item.created_at.resolve(now),
            updated_at: item.updated_at.resolve(now),
        }
    }
}

/// Renders the `details` of an item (see [`admit_snapshot::item`]).
///
/// # Errors
/// Never for data that was read from JSON.
pub fn item_details(item: &Item, merchant_uuid: Uuid, now: UnixSecs) -> Result<String, serde_json::Error> {
    fragment(&ItemDetails::of(item, merchant_uuid, now))
}

/// Length of [`item_details`] in bytes, computed without rendering it.
///
/// # Errors
/// Never for data that was read from JSON.
pub fn item_details_len(item: &Item, merchant_uuid: Uuid, now: UnixSecs) -> Result<usize, serde_json::Error> {
    fragment_len(&ItemDetails::of(item, merchant_uuid, now))
}

#[derive(Serialize)]
struct FeeDetails<'a> {
    id: i64,
    merchant_id: i64,
    amount: &'a serde_json::Number,
    currency: &'a str,
    description: &'a str,
    item_id: i64,
    access_type: AccessTypeDetails<'a>,
    trial_period: &'a Option<TrialPeriod>,
    setup_fee: &'a Option<SetupFee>,
    geo_restriction: &'a Option<GeoRestriction>,
    starts_at: Option<UnixSecs>,
    expires_at: Option<UnixSecs>,
    plan_switch_enabled: bool,
    created_at: UnixSecs,
    updated_at: UnixSecs,
}

#[derive(Serialize)]
struct AccessTypeDetails<'a> {
    id: i64,
    account_id: i64,
    name: &'a str,
    quantity: i64,
    period: &'a str,
    created_at: UnixSecs,
    updated_at: UnixSecs,
}

impl<'a> FeeDetails<'a> {
    fn of(fee: &'a AccessFee, item: &Item, access_type: &'a AccessType, now: UnixSecs) -> Self {
        Self {
            id: fee.id,
            merchant_id: item.merchant_id,
            amount: &fee.amount,
            currency: &fee.currency,
            description: &fee.description,
            item_id: item.id,
            access_type: AccessTypeDetails {
                id: access_type.id,
                account_id: access_type.account_id,
                name: &access_type.name,
                quantity: access_type.quantity,
                period: &access_type.period,
                created_at: access_type.created_at.resolve(now),
                updated_at: access_type.updated_at.resolve(now),
            },
            trial_period: &fee.trial_period,
            setup_fee: &fee.setup_fee,
            geo_restriction: &fee.geo_restriction,
            starts_at: fee.starts_at.map(|moment| moment.resolve(now)),
            expires_at: fee.expires_at.map(|moment| moment.resolve(now)),
            plan_switch_enabled: fee.plan_switch_enabled,
            created_at: fee.created_at.resolve(now),
            updated_at: fee.updated_at.resolve(now),
        }
    }
}

/// Renders the `details` of a fee (see [`admit_snapshot::item`]).
///
/// # Errors
/// Never for data that was read from JSON.
pub fn fee_details(
    fee: &AccessFee,
    item: &Item,
    access_type: &AccessType,
    now: UnixSecs,
) -> Result<String, serde_json::Error> {
    fragment(&FeeDetails::of(fee, item, access_type, now))
}

/// Length of [`fee_details`] in bytes, computed without rendering it.
///
/// # Errors
/// Never for data that was read from JSON.
pub fn fee_details_len(
    fee: &AccessFee,
    item: &Item,
    access_type: &AccessType,
    now: UnixSecs,
) -> Result<usize, serde_json::Error> {
    fragment_len(&FeeDetails::of(fee, item, access_type, now))
}

#[derive(Serialize)]
struct LicenseDetails<'a> {
    id: Uuid,
    internal_id: &'a str,
    name: &'a str,
    description: &'a str,
    locales: &'a [Locale],
    rank: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_tier: &'a Option<Value>,
}

/// Renders the `license` object of answers to `/license`.
///
/// # Errors
/// Never for data that was read from JSON.
pub fn license_object(license: &License, id: Uuid) -> Result<String, serde_json::Error> {
    serde_json::to_string(&LicenseDetails {
        id,
        internal_id: &license.internal_id,
        name: &license.name,
        description: &license.description,
        locales: &license.locales,
        rank: license.rank,
        price_tier: &license.price_tier,
    })
}

/// Serialises an object and removes its opening brace.
fn fragment(object: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut json = serde_json::to_string(object)?;
    json.remove(0);
    Ok(json)
}

/// Length of a [`fragment`] in bytes.
fn fragment_len(object: &impl Serialize) -> Result<usize, serde_json::Error> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, object)?;
    Ok(length.0.saturating_sub(1))
}

/// A writer that only counts bytes.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
