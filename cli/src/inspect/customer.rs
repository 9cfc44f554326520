//! A customer's record, as text and JSON show it.

use admit_publish::published::{FoundRecord, Published};
use admit_snapshot::{
    customer::{CustomerRecord, HeldLicense},
    holding::{HeldAccess, HeldItem, HeldSubscription, State},
    item::ItemRecord,
    schema::{RenewStatus, SubscriptionStatus},
    time::{UnixSecs, iso8601},
};
use anyhow::Result;
use serde::Serialize;
use uuid::Uuid;

use super::{
    find::Sought,
    who::{TokenReport, Unverified},
};

/// The customer that was asked for.
#[derive(Debug, Serialize)]
pub struct CustomerReport {
    /// The customer's name, as it was given.
    pub asked: String,
    /// How the customer was found: `name`, `subject`, `number`, `uuid` or `token`.
    pub found_by: &'static str,
    /// The issuer's namespace, if known: the snapshot holds only a hash of namespace and subject.
    pub namespace: Option<String>,
    /// The value of the customer claim, if known.
    pub subject: Option<String>,
    /// Whether a missing record means that the customer owns nothing.
    pub is_certain: bool,
    /// What could not be determined, or where the record was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The token that named the customer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenReport>,
    /// The time that dates are compared with.
    pub at: String,
    /// The record; `None` for a customer without one.
    pub record: Option<RecordReport>,
}

/// A customer's record.
#[derive(Debug, Serialize)]
pub struct RecordReport {
    /// `delta` or `shard`.
    pub found_in: &'static str,
    /// `customer_id` in answers.
    pub id: i64,
    /// `customer_uuid` in answers.
    pub uuid: Uuid,
    /// The merchant.
    pub merchant_id: i64,
    /// Grants on items and packages.
    pub accesses: Vec<AccessReport>,
    /// Subscriptions to licences.
    pub licenses: Vec<LicenseReport>,
}

/// Whether an access or a subscription counts at a moment, as reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// It counts.
    Active,
    /// It has ended.
    Expired,
    /// It has not started.
    NotStarted,
    /// The subscription was cancelled.
    Cancelled,
}

impl From<State> for Counts {
    fn from(state: State) -> Self {
        match state {
            State::Running => Self::Active,
            State::Past => Self::Expired,
            State::Future => Self::NotStarted,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl Counts {
    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::NotStarted => "not started",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A grant on an item or a package.
#[derive(Debug, Serialize)]
pub struct AccessReport {
    /// The access's id.
    pub id: i64,
    /// The id of the item or package.
    pub item_id: i64,
    /// Its title, if it is published.
    pub title: Option<String>,
    /// Whether it is a package.
    pub is_package: bool,
    /// When it was granted.
    pub created_at: Option<String>,
    /// When it starts, if it has a start.
    pub starts_at: Option<String>,
    /// When it ends, if it does.
    pub expires_at: Option<String>,
    /// Whether it counts.
    pub state: Counts,
}

/// A subscription to a licence.
#[derive(Debug, Serialize)]
pub struct LicenseReport {
    /// The licence's UUID.
    pub license_id: Uuid,
    /// The licence's own name, if it is published.
    pub license: Option<String>,
    /// The subscription's name.
    pub name: String,
    /// The status that the origin gives it.
    pub status: SubscriptionStatus,
    /// Whether it will be renewed.
    pub renew_status: RenewStatus,
    /// When it was bought.
    pub date_added: String,
    /// The next renewal.
    pub renews_on: Option<String>,
    /// When it was cancelled.
    pub cancelled_at: Option<String>,
    /// When it starts, if it has a start.
    pub starts_at: Option<String>,
    /// When it ends, if it has an end.
    pub expires_at: Option<String>,
    /// Whether it counts.
    pub state: Counts,
}

/// Describes a customer, with dates compared with `at`.
///
/// # Errors
/// An object cannot be read.
pub fn describe(
    snapshot: &mut Published,
    asked: &str,
    sought: &Sought,
    token: Option<&Unverified>,
    at: UnixSecs,
) -> Result<CustomerReport> {
    let record = sought.known.as_ref().map(|known| describe_record(snapshot, known, at)).transpose()?;
    let (namespace, subject) = sought.name.clone().unzip();
    Ok(CustomerReport {
        asked: if token.is_some() { "a token".to_owned() } else { asked.to_owned() },
        found_by: sought.found_by,
        namespace,
        subject,
        is_certain: sought.is_certain,
        note: sought.note.clone(),
        token: token.map(|token| token.report(at)),
        at: iso8601(at, 0),
        record,
    })
}

fn describe_record(snapshot: &mut Published, known: &FoundRecord, at: UnixSecs) -> Result<RecordReport> {
    let customer = CustomerRecord::new(known.record.bytes())?;
    let mut accesses = Vec::new();
    for bought in customer.purchases() {
        let (access, purchase) = bought?;
        let item = snapshot.item(access.item_id)?;
        let item = item.as_ref().map(|item| ItemRecord::new(item.record.bytes())).transpose()?;
        let HeldAccess { access, item, state, .. } = HeldAccess::new(access, purchase, item.as_ref(), at);
        accesses.push(AccessReport {
            id: access.id,
            item_id: access.item_id,
            is_package: item.as_ref().is_some_and(|item| item.is_package),
            title: item.and_then(|HeldItem { title, .. }| title),
            created_at: date(Some(access.created_at)),
            starts_at: date(access.starts_at),
            expires_at: date(access.expires_at),
            state: state.into(),
        });
    }
    let licenses = customer.licenses()?;
    let licenses = licenses.into_iter().map(|held| describe_license(snapshot, held, at)).collect();
    Ok(RecordReport {
        found_in: known.found_in.name(),
        id: customer.id,
        uuid: customer.uuid,
        merchant_id: customer.merchant_id,
        accesses,
        licenses,
    })
}

fn describe_license(snapshot: &Published, held: HeldLicense<'_>, at: UnixSecs) -> LicenseReport {
    let subscription = HeldSubscription::new(held, &snapshot.version.directory, at);
    let HeldSubscription { held, license, state, .. } = subscription;
    LicenseReport {
        license_id: Uuid::from_u128(held.license_id),
        license: license.map(|license| license.name.clone()),
        name: held.name.to_owned(),
        status: held.status,
        renew_status: held.renew_status,
        date_added: held.date_added.to_string(),
        renews_on: held.renews_on.map(|zoned| zoned.to_string()),
        cancelled_at: date(held.cancelled_at),
        starts_at: date(held.starts_at),
        expires_at: date(held.expires_at),
        state: state.into(),
    }
}

/// A date as text. A number outside of the calendar is shown as such.
pub fn date(at: Option<UnixSecs>) -> Option<String> {
    at.map(|at| {
        let iso = iso8601(at, 0);
        if at != 0 && iso == iso8601(0, 0) { at.to_string() } else { iso }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_keep_their_names() {
        for (state, name, member) in [
            (State::Running, "active", "\"active\""),
            (State::Past, "expired", "\"expired\""),
            (State::Future, "not started", "\"not_started\""),
            (State::Cancelled, "cancelled", "\"cancelled\""),
        ] {
            let counts = Counts::from(state);
            assert_eq!((counts.name(), serde_json::to_string(&counts).unwrap().as_str()), (name, member));
        }
    }

    #[test]
    fn dates_that_no_calendar_has_are_numbers() {
        assert_eq!(date(Some(0)).as_deref(), Some("1970-01-01T00:00:00+00:00"));
        assert_eq!(date(Some(i64::MAX)).as_deref(), Some("9223372036854775807"));
        assert_eq!(date(None), None);
    }
}
