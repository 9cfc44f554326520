//! Customers: checked and encoded one by one as they are read, because there may be a hundred million of them.
//! What refers to other lines is checked on the record, when all lines have been read.
//!
//! What is odd about a customer's accesses and licences is a warning: it grants nothing, or nothing more, and
//! one stale record must not keep every other customer's news from the edge. All else is an error.

use std::collections::{BTreeSet, HashMap};

use admit_snapshot::{
    cost, customer,
    customer::{CustomerRecord, NewCustomer, Zoned},
    key::EntryKey,
    limits::{
        ANSWER_MAX_BYTES, CUSTOMER_MAX_BYTES, LICENSE_MAX_BYTES, LICENSES_FRAME_BYTES, LICENSES_MAX,
        RECORD_MAX_BYTES,
    },
    object::FormatError,
    schema::{Access, Customer, CustomerLicense, Removal},
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

/// More accesses than this are compared through a set.
const FEW: usize = 16;

/// Checks a customer by itself and encodes it, its relative times resolved at `now`. Its record is appended to
/// `out`.
///
/// # Errors
/// What makes it impossible to say who it is, or that its record is too large. All else that is wrong is in
/// `problems`.
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
    });
    let (id, merchant_id) = (customer.id, customer.merchant_id);
    let start = out.len();
    NewCustomer { id, uuid, merchant_id, accesses: accesses.collect(), licenses }.encode_into(out);
    size::within(out.len() - start, RECORD_MAX_BYTES)?;
    Ok(key)
}

/// Which record a customer is.
pub(super) fn about(customer: &Customer) -> About {
    About::record(&Removal::from(customer))
}

/// The key of a customer.
///
/// # Errors
/// Such a namespace or subject names nobody, as in tokens.
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
        let is_repeated = if accesses.len() <= FEW {
            accesses.iter().take(position).any(|earlier| earlier.id == access.id)
        } else {
            !seen.insert(access.id)
        };
        if is_repeated {
            let message = format!("{} again in the same list", access.id);
            problems.warn(at, Problem::new(format!("accesses[{position}].id"), message));
        }
        if is_never(access.starts_at, access.expires_at, now) {
            problems.warn(at, never(&format!("accesses[{position}]")));
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
            let expected = "expected a moment of the years 1 to 9999";
            let problem = Problem::new(format!("licenses[{position}].{name}"), expected);
            problems.error(at, about(customer), problem);
        }
    }
    if is_never(held.starts_at, held.expires_at, now) {
        problems.warn(at, never(&format!("licenses[{position}]")));
    }
}

/// An end that is not after its start makes a period that never comes. Real data has such records, and they do
/// no harm.
pub(super) fn is_never(starts_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: UnixSecs) -> bool {
    matches!((starts_at, expires_at), (Some(start), Some(end)) if end.resolve(now) <= start.resolve(now))
}

fn never(path: &str) -> Problem {
    Problem::new(format!("{path}.expires_at"), "not after starts_at: this grants nothing")
}

/// Whether answers can show the moment: RFC 3339 has four digits for the year.
fn is_expressible(moment: ZonedTime, now: UnixSecs) -> bool {
    // A day less at both ends, so that no offset carries the moment over them.
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

/// What customers may refer to.
pub struct References<'a> {
    catalogue: &'a Catalogue,
    /// Items and their merchants, for eight look-ups per customer.
    items: HashMap<i64, i64>,
}

impl<'a> References<'a> {
    /// The references into `catalogue`.
    #[must_use]
    pub fn new(catalogue: &'a Catalogue) -> Self {
        let items = catalogue.items.iter().map(|(id, item)| (*id, item.value.merchant_id)).collect();
        Self { catalogue, items }
    }

    /// Checks what the record of the customer `key` refers to. Whether its merchant is there: without it nothing can
    /// be published of it.
    ///
    /// # Errors
    /// When it is no customer record.
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
            let message = format!("expected a merchant's id, there is no merchant {merchant_id}");
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

    /// Checks that one answer can list what a customer holds. Not looked at is which of the customer's licences are the
    /// asking app's, and which are over.
    fn check_listed(&self, record: &CustomerRecord<'_>) -> Result<Result<(), Problem>, FormatError> {
        let count = record.held()?.len();
        if count > LICENSES_MAX {
            let message = format!("expected at most {LICENSES_MAX} licences, found {count}");
            return Ok(Err(Problem::new("licenses", message)));
        }
        let room = ANSWER_MAX_BYTES - LICENSES_FRAME_BYTES;
        let bytes = |shown: &dyn Fn(u128) -> usize| {
            record.held()?.try_fold(0_usize, |sum, held| {
                let held = held?;
                Ok(sum.saturating_add(cost::held_entry(held.name, shown(held.license_id))))
            })
        };
        // Few hold so many that it is worth looking at how long each is.
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

    /// Whether a record that was taken over can be published: its merchant is there.
    ///
    /// # Errors
    /// When it is no customer record.
    pub fn has_merchant(&self, record: &[u8]) -> Result<bool, FormatError> {
        let merchant_id = CustomerRecord::new(record)?.merchant_id;
        Ok(self.catalogue.merchants.contains_key(&merchant_id))
    }

    /// A record has its accesses in another order than its line: they are told apart by their ids.
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
            None => format!("there is no item {item_id}: access {id} grants nothing"),
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
            None => return Some(format!("there is no licence {id}: this grants nothing")),
        };
        let owner = self.catalogue.app_merchant(app_id)?;
        (owner != merchant_id).then(|| format!("licence {id} is another merchant's: this grants nothing"))
    }

    fn is_set_aside(&self, key: &RecordKey) -> bool {
        self.catalogue.set_aside.contains(key)
    }
}
