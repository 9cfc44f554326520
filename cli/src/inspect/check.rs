//! Explains a check: decided by the code that the edge runs.

use admit::entitlement::{Considered, Decision, Grant, NEVER_EXPIRES, Question, explain};
use admit_publish::published::{FoundRecord, Published};
use admit_snapshot::{
    customer::CustomerRecord,
    details::{object, title},
    item::ItemRecord,
    time::{UnixSecs, iso8601},
    version::Source,
};
use admit_token::Principal;
use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::customer::date;

/// A decision, and every grant that was considered.
#[derive(Debug, Serialize)]
pub struct CheckReport {
    /// The item.
    pub item_id: i64,
    /// Its title, if it is published.
    pub title: Option<String>,
    /// The time of the check.
    pub at: String,
    /// The status that the edge answers with.
    pub status: u16,
    /// Whether the viewer may play the item.
    pub is_allowed: bool,
    /// The reason, as logs name it.
    pub reason: &'static str,
    /// When access ends, if it does.
    pub expires_at: Option<String>,
    /// Every grant for the item, valid or not.
    pub grants: Vec<GrantReport>,
    /// The fees by which the item can be bought.
    pub fees: Vec<FeeReport>,
}

/// A grant for the item.
#[derive(Debug, Serialize)]
pub struct GrantReport {
    /// The kind of grant, as logs name it.
    pub from: &'static str,
    /// Where it was found: `shard`, `delta` or `directory`.
    pub found_in: &'static str,
    /// The id of the access, if it is one.
    pub access_id: Option<i64>,
    /// The licence, if it is one.
    pub license_id: Option<Uuid>,
    /// When the grant starts, if it has a start.
    pub starts_at: Option<String>,
    /// When the grant ends, if it does.
    pub expires_at: Option<String>,
    /// Why it does not grant access; `None` if it does.
    pub obstacle: Option<&'static str>,
    /// Whether the decision is based on this grant.
    pub is_chosen: bool,
}

/// A fee of the item.
#[derive(Debug, Serialize)]
pub struct FeeReport {
    /// The fee's id.
    pub id: i64,
    /// The description for people.
    pub description: String,
    /// Amount and currency.
    pub price: String,
    /// Whether it is sold to the viewer; `None` when that depends on facts that are unknown here.
    pub is_sold: Option<bool>,
}

/// Decides whether the viewer may play an item at `at`. The viewer's country does not matter: fees are shown
/// by country, and the country is never enforced.
///
/// # Errors
/// An object cannot be read.
pub fn check(
    snapshot: &mut Published,
    viewer: &Principal,
    country: Option<&str>,
    known: Option<&FoundRecord>,
    item_id: i64,
    at: UnixSecs,
) -> Result<CheckReport> {
    let mut report = CheckReport {
        item_id,
        title: None,
        at: iso8601(at, 0),
        status: 404,
        is_allowed: false,
        reason: "unknown_item",
        expires_at: None,
        grants: Vec::new(),
        fees: Vec::new(),
    };
    let Some(found) = snapshot.item(item_id)? else { return Ok(report) };
    let item = ItemRecord::new(found.record.bytes())?;
    let customer = known.map(|known| CustomerRecord::new(known.record.bytes())).transpose()?;
    let (decision, considered) = explain(&Question {
        principal: viewer,
        customer: customer.as_ref(),
        item: &item,
        directory: &snapshot.version.directory,
        now: at,
    })?;
    report.title = title(&item);
    let chosen = match decision {
        Decision::Allow(grant) => {
            report.expires_at = end(&grant);
            (report.status, report.is_allowed, report.reason) = (200, true, grant.reason.code());
            Some(grant)
        }
        Decision::Deny(reason) => {
            report.reason = reason.code();
            report.status = if item.is_active { 402 } else { 404 };
            None
        }
    };
    let found_in = |one: &Considered| one.found_in(known.map(|known| known.found_in), found.found_in);
    report.grants = considered.iter().map(|one| describe(one, found_in(one), chosen.as_ref())).collect();
    for fee in item.fees()? {
        let details = object(fee.details).map(Value::Object).unwrap_or_default();
        let text = |name: &str| details.get(name).and_then(Value::as_str).unwrap_or_default();
        let amount = details.get("amount").map(Value::to_string).unwrap_or_default();
        report.fees.push(FeeReport {
            id: fee.id,
            description: text("description").to_owned(),
            price: format!("{amount} {}", text("currency")),
            is_sold: is_sold(&details, country, at),
        });
    }
    Ok(report)
}

fn describe(considered: &Considered, found_in: Source, chosen: Option<&Grant>) -> GrantReport {
    let Considered { grant, license_id, obstacle } = considered;
    GrantReport {
        from: grant.reason.code(),
        found_in: found_in.name(),
        access_id: (grant.access_id != 0).then_some(grant.access_id),
        license_id: license_id.map(Uuid::from_u128),
        starts_at: date(grant.starts_at),
        expires_at: end(grant),
        obstacle: obstacle.map(|reason| reason.code()),
        is_chosen: obstacle.is_none() && chosen == Some(grant),
    }
}

fn end(grant: &Grant) -> Option<String> {
    date(Some(grant.expires_at).filter(|expires_at| *expires_at < NEVER_EXPIRES))
}

/// Whether a fee is sold in a country at a moment. `None` without a country, or when only the origin knows
/// which countries are meant.
fn is_sold(fee: &Value, country: Option<&str>, at: UnixSecs) -> Option<bool> {
    let moment = |name: &str| fee.get(name).and_then(Value::as_i64);
    if moment("starts_at").is_some_and(|from| at < from) || moment("expires_at").is_some_and(|to| to <= at) {
        return Some(false);
    }
    let Some(restriction) = fee.get("geo_restriction").filter(|restriction| !restriction.is_null()) else {
        return Some(true);
    };
    let is_there = restriction.get("country_iso")?.as_str()?.eq_ignore_ascii_case(country?);
    let is_whitelist = restriction.get("type").and_then(Value::as_str) == Some("whitelist");
    Some(is_there == is_whitelist)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fees_are_sold_by_date_and_country() {
        let only = |kind: &str| json!({"geo_restriction": {"country_iso": "CH", "type": kind}});
        let set = json!({"geo_restriction": {"country_iso": null, "country_set_id": 3, "type": "whitelist"}});
        for (fee, country, expected) in [
            (json!({}), None, Some(true)),
            (json!({"geo_restriction": null, "starts_at": 100, "expires_at": 101}), None, Some(true)),
            (json!({"starts_at": 101}), None, Some(false)),
            (json!({"expires_at": 100}), Some("CH"), Some(false)),
            (only("whitelist"), Some("CH"), Some(true)),
            (only("whitelist"), Some("DE"), Some(false)),
            (only("blacklist"), Some("CH"), Some(false)),
            (only("blacklist"), Some("DE"), Some(true)),
            (only("blacklist"), None, None),
            (set, Some("CH"), None),
        ] {
            assert_eq!(is_sold(&fee, country, 100), expected, "{fee} {country:?}");
        }
    }
}
