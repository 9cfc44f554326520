//! Customers. There may be a hundred million of them, so each is checked and encoded as it is read.
//! References to other lines are checked on the encoded record, when all lines have been read.
//!
//! Oddities in a customer's accesses and licences are warnings: they grant nothing, or nothing more, and one
//! stale record must not keep the news of all other customers from the edge. All other problems are errors.

use std::collections::{BTreeSet, HashMap};

use admit_snapshot::{
    cost, customer,
    customer::{CustomerRecord, NewCustomer},
    instant::Zoned,
    key::EntryKey,
    limits::{
        ANSWER_MAX_BYTES, CUSTOMER_MAX_BYTES, LICENSE_MAX_BYTES, LICENSES_FRAME_BYTES, LICENSES_MAX,
        PURCHASE_TEXT_MAX_BYTES, RECORD_MAX_BYTES,
    },
    object::FormatError,
    schema::{Access, Customer, CustomerLicense, Purchase, Removal},
    time::{Timestamp, UnixSecs, ZonedTime},
};
use uuid::Uuid;

use super::{
    budget,
    catalogue::{Catalogue, parse_uuid},
    problems::{Location, Problem, Problems},
    set_aside::{About, RecordKey},
    size,
};

/// Longest list of accesses that is searched for duplicates by comparing all pairs. A longer one uses a set.
const FEW: usize = 16;

/// Checks a customer and appends the encoded record to `out`. Relative times are resolved at `now`.
///
/// # Errors
/// The customer cannot be identified, or the record is too large. All other problems are added to `problems`.
pub fn encode(
    customer: &Customer,
    at: &Location,
    now: UnixSecs,
    problems: &mut Problems,
    out: &mut Vec<u8>,
) -> Result<EntryKey, Problem> {
    let key = key(&customer.namespace, &customer.subject)?;
    let uuid = parse_uuid("uuid", &customer.uuid)?;
    check_accesses(&customer.accesses, at, now, problems);
    check_purchases(customer, at, problems);
    let mut licenses = Vec::with_capacity(customer.licenses.len());
    for (position, held) in customer.licenses.iter().enumerate() {
        check_license(customer, position, at, now, problems);
        let license_id = match Uuid::try_parse(&held.license_id) {
            Ok(id) => id.as_u128(),
            Err(_) => {
                let found = &held.license_id;
                let field = format!("licenses[{position}].license_id");
                let problem = Problem::new(field, format!("expected a UUID, found {found:?}"));
                problems.error(at, about(customer), problem);
                continue;
            }
        };
        licenses.push(held_license(held, license_id, now));
    }
    let accesses = customer.accesses.iter().map(|access| customer::Access {
        id: access.id,
        item_id: access.item_id,
        created_at: access.created_at.resolve(now),
        starts_at: access.starts_at.map(|moment| moment.resolve(now)),
        expires_at: access.expires_at.map(|moment| moment.resolve(now)),
        renews_on: access.renews_on.map(|moment| moment.resolve(now)),
    });
    // Most customers' purchases are not published: do not collect a list of nothing.
    let is_bought = customer.accesses.iter().any(|access| access.purchase.is_some());
    let amounts: Vec<String> = match is_bought {
        true => customer.accesses.iter().map(amount).collect(),
        false => Vec::new(),
    };
    let bought = customer.accesses.iter().zip(&amounts);
    let purchases = bought.map(|(access, amount)| access.purchase.as_ref().map(|it| purchase(it, amount)));
    let record = NewCustomer {
        id: customer.id,
        uuid,
        merchant_id: customer.merchant_id,
        accesses: accesses.collect(),
        purchases: purchases.collect(),
        licenses,
        used_trials: customer.used_trials.clone(),
    };
    let start = out.len();
    record.encode_into(out);
    size::within(out.len() - start, RECORD_MAX_BYTES)?;
    Ok(key)
}

/// The amount of an access's purchase as JSON. Empty if there is no purchase.
fn amount(access: &Access) -> String {
    access.purchase.as_ref().map(|purchase| purchase.amount.to_string()).unwrap_or_default()
}

fn purchase<'a>(purchase: &'a Purchase, amount: &'a str) -> customer::Purchase<'a> {
    customer::Purchase {
        amount,
        currency: &purchase.currency,
        access_fee_id: purchase.access_fee_id,
        payment_method: purchase.payment_method.as_deref(),
        is_trial: purchase.trial,
    }
}

/// The record that a customer's line concerns.
pub(super) fn about(customer: &Customer) -> About {
    About::record(&Removal::from(customer))
}

/// The key of a customer.
///
/// # Errors
/// Namespace or subject is invalid: no token can name such a customer.
pub fn key(namespace: &str, subject: &str) -> Result<EntryKey, Problem> {
    for (field, value) in [("namespace", namespace), ("subject", subject)] {
        if value.is_empty() || value.len() > CUSTOMER_MAX_BYTES || value.contains('\0') {
            let expected = format!("expected 1 to {CUSTOMER_MAX_BYTES} bytes, none of them zero");
            return Err(Problem::new(field, expected));
        }
    }
    Ok(EntryKey::customer(namespace, subject))
}

fn check_accesses(accesses: &[Access], at: &Location, now: UnixSecs, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for (position, access) in accesses.iter().enumerate() {
        // Most customers have few accesses, for which comparing is cheaper than a set.
        let is_repeated = if accesses.len() <= FEW {
            accesses.iter().take(position).any(|earlier| earlier.id == access.id)
        } else {
            !seen.insert(access.id)
        };
        if is_repeated {
            let message = format!("duplicate {} in this list", access.id);
            problems.warn(at, Problem::new(format!("accesses[{position}].id"), message));
        }
        if is_never(access.starts_at, access.expires_at, now) {
            problems.warn(at, never(&format!("accesses[{position}]")));
        }
    }
}

/// Checks the texts of purchases, which lists of them repeat.
fn check_purchases(customer: &Customer, at: &Location, problems: &mut Problems) {
    for (position, access) in customer.accesses.iter().enumerate() {
        let Some(purchase) = &access.purchase else { continue };
        let method = purchase.payment_method.as_deref().unwrap_or_default();
        for (field, text) in [("currency", purchase.currency.as_str()), ("payment_method", method)] {
            if text.len() > PURCHASE_TEXT_MAX_BYTES {
                let field = format!("accesses[{position}].purchase.{field}");
                let message =
                    format!("expected at most {PURCHASE_TEXT_MAX_BYTES} bytes, found {}", text.len());
                problems.error(at, about(customer), Problem::new(field, message));
            }
        }
    }
}

fn check_license(
    customer: &Customer,
    position: usize,
    at: &Location,
    now: UnixSecs,
    problems: &mut Problems,
) {
    let Some(held) = customer.licenses.get(position) else { return };
    let zoned = [
        ("renews_on", held.renews_on),
        ("billing_cycle_anchor", held.billing_cycle_anchor),
        ("date_added", Some(held.date_added)),
    ];
    for (name, moment) in zoned {
        if moment.is_some_and(|moment| !is_expressible(moment, now)) {
            let expected = "expected a moment in the years 1 to 9999";
            let problem = Problem::new(format!("licenses[{position}].{name}"), expected);
            problems.error(at, about(customer), problem);
        }
    }
    if is_never(held.starts_at, held.expires_at, now) {
        problems.warn(at, never(&format!("licenses[{position}]")));
    }
}

/// Whether a period ends before it begins. Real data has such records; they do no harm.
pub(super) fn is_never(starts_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: UnixSecs) -> bool {
    matches!((starts_at, expires_at), (Some(start), Some(end)) if end.resolve(now) <= start.resolve(now))
}

fn never(path: &str) -> Problem {
    Problem::new(format!("{path}.expires_at"), "not after starts_at: this grants nothing")
}

/// Whether answers can show the moment: RFC 3339 has four digits for the year.
fn is_expressible(moment: ZonedTime, now: UnixSecs) -> bool {
    // One day less at both ends, so that no UTC offset leads beyond them.
    (-62_135_510_400..253_402_214_400).contains(&moment.at.resolve(now))
}

fn held_license(license: &CustomerLicense, license_id: u128, now: UnixSecs) -> customer::HeldLicense<'_> {
    let zoned = |moment: ZonedTime| Zoned { at: moment.at.resolve(now), offset_mins: moment.offset_mins };
    customer::HeldLicense {
        license_id,
        license_type: license.license_type,
        status: license.status,
        renew_status: license.renew_status,
        name: &license.name,
        interval_unit: license.interval_unit,
        interval_length: license.interval_length,
        trial: license.trial,
        date_added: zoned(license.date_added),
        renews_on: license.renews_on.map(zoned),
        billing_cycle_anchor: license.billing_cycle_anchor.map(zoned),
        trial_duration: license.trial_duration,
        trial_reset: license.trial_reset,
        cancelled_at: license.cancelled_at.map(|moment| moment.resolve(now)),
        starts_at: license.starts_at.map(|moment| moment.resolve(now)),
        expires_at: license.expires_at.map(|moment| moment.resolve(now)),
    }
}

/// The records that customers may refer to.
pub struct References<'a> {
    catalogue: &'a Catalogue,
    /// For each item its merchant. A customer needs some eight look-ups.
    items: HashMap<i64, i64>,
}

impl<'a> References<'a> {
    /// Collects the records of `catalogue` that customers may refer to.
    #[must_use]
    pub fn new(catalogue: &'a Catalogue) -> Self {
        let items = catalogue.items.iter().map(|(id, item)| (*id, item.value.merchant_id)).collect();
        Self { catalogue, items }
    }

    /// Checks the references of a customer's record. Returns whether its merchant exists; without the
    /// merchant the record cannot be published.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn check(
        &self,
        key: EntryKey,
        record: &[u8],
        at: &Location,
        problems: &mut Problems,
    ) -> Result<bool, FormatError> {
        let record = CustomerRecord::new(record)?;
        let merchant_id = record.merchant_id;
        let has_merchant = self.catalogue.merchants.contains_key(&merchant_id);
        if !has_merchant && !self.is_set_aside(&RecordKey::Merchant(merchant_id)) {
            let message = format!("unknown merchant {merchant_id}");
            problems.error(at, About::customer(key, record.id), Problem::new("merchant_id", message));
        }
        for access in record.accesses() {
            let access = access?;
            self.check_access(&access, merchant_id, at, problems);
        }
        if let Err(problem) = self.check_listed(&record)? {
            problems.error(at, About::customer(key, record.id), problem);
            return Ok(has_merchant);
        }
        for (position, held) in record.held()?.enumerate() {
            let id = Uuid::from_u128(held?.license_id);
            if let Some(message) = self.check_held(id, merchant_id, problems) {
                problems.warn(at, Problem::new(format!("licenses[{position}].license_id"), message));
            }
        }
        Ok(has_merchant)
    }

    /// Checks that one answer can list all licences of a customer. Counts all of them, also those of other
    /// apps and those that have ended.
    fn check_listed(&self, record: &CustomerRecord<'_>) -> Result<Result<(), Problem>, FormatError> {
        let count = record.held()?.len();
        if count > LICENSES_MAX {
            let message = format!("expected at most {LICENSES_MAX} licences, found {count}");
            return Ok(Err(Problem::new("licenses", message)));
        }
        let room = ANSWER_MAX_BYTES - LICENSES_FRAME_BYTES;
        // Sums the lengths of all entries; `shown` returns the length of a licence's JSON.
        let bytes = |shown: &dyn Fn(u128) -> usize| {
            record.held()?.try_fold(0_usize, |sum, held| {
                let held = held?;
                Ok(sum.saturating_add(cost::held_entry(held.name, shown(held.license_id))))
            })
        };
        // Only large lists need the exact lengths, so try with the largest possible ones first.
        if bytes(&|_| LICENSE_MAX_BYTES)? <= room {
            return Ok(Ok(()));
        }
        let licenses = &self.catalogue.licenses;
        let shown =
            |id| licenses.get(&Uuid::from_u128(id)).map_or(0, |license| budget::shown(&license.value));
        let found = bytes(&shown)?;
        if found <= room {
            return Ok(Ok(()));
        }
        let message =
            format!("expected at most {room} bytes of licences as an answer lists them, found {found}");
        Ok(Err(Problem::new("licenses", message)))
    }

    /// Whether the merchant of a record that was taken over exists, so that the record can be published.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn has_merchant(&self, record: &[u8]) -> Result<bool, FormatError> {
        let merchant_id = CustomerRecord::new(record)?.merchant_id;
        Ok(self.catalogue.merchants.contains_key(&merchant_id))
    }

    /// Checks the item of an access. Messages name the access by its id, because the record has another order
    /// than the line.
    fn check_access(
        &self,
        access: &customer::Access,
        merchant_id: i64,
        at: &Location,
        problems: &mut Problems,
    ) {
        let (id, item_id) = (access.id, access.item_id);
        let message = match self.items.get(&item_id) {
            Some(owner) if *owner == merchant_id => return,
            Some(_) => format!("item {item_id} is another merchant's: access {id} grants nothing"),
            None if self.is_set_aside(&RecordKey::Item(item_id)) => {
                return problems.set_aside.depend(1);
            }
            None => format!("unknown item {item_id}: access {id} grants nothing"),
        };
        problems.warn(at, Problem::new("accesses[].item_id", message));
    }

    fn check_held(&self, id: Uuid, merchant_id: i64, problems: &mut Problems) -> Option<String> {
        let app_id = match self.catalogue.licenses.get(&id) {
            Some(license) => &license.value.app_id,
            None if self.is_set_aside(&RecordKey::License(id)) => {
                problems.set_aside.depend(1);
                return None;
            }
            None => return Some(format!("unknown licence {id}: this grants nothing")),
        };
        let owner = self.catalogue.app_merchant(app_id)?;
        (owner != merchant_id).then(|| format!("licence {id} is another merchant's: this grants nothing"))
    }

    fn is_set_aside(&self, key: &RecordKey) -> bool {
        self.catalogue.set_aside.contains(key)
    }
}
