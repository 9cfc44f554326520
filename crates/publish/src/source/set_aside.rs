//! Records that cannot be used. Their last good state stays published, and everything else is published
//! without them.

use std::{collections::BTreeMap, fmt};

use admit_snapshot::{key::EntryKey, schema::Removal};
use uuid::Uuid;

use super::{customer::key as customer_key, problems::LineError};

/// Largest number of records that may be set aside. Their keys take some 64 MiB of memory. A larger number
/// points to a broken export rather than to broken records, and nothing is published.
pub const SET_ASIDE_MAX: usize = 1_000_000;

/// Number of records whose reason is kept. A follower repeats its reports, so the reasons stay in memory.
const REASONS_MAX: usize = 1_000;

/// The types of records, in the order in which errors are reported: causes before the records that refer to
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// The line with the position of the data in the origin's history.
    Snapshot,
    /// A merchant.
    Merchant,
    /// An app.
    App,
    /// A kind of access.
    AccessType,
    /// An item or a package, with its fees.
    Item,
    /// A licence.
    License,
    /// A customer.
    Customer,
}

impl RecordKind {
    /// All kinds, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Snapshot,
        Self::Merchant,
        Self::App,
        Self::AccessType,
        Self::Item,
        Self::License,
        Self::Customer,
    ];

    /// The value of `type` in lines of this kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Merchant => "merchant",
            Self::App => "app",
            Self::AccessType => "access_type",
            Self::Item => "item",
            Self::License => "license",
            Self::Customer => "customer",
        }
    }

    /// The kind with this value of `type`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Identifies a record in little memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// Number of a merchant.
    Merchant(i64),
    /// Identifier of an app.
    App(String),
    /// Number of an access type.
    AccessType(i64),
    /// Number of an item or package.
    Item(i64),
    /// UUID of a licence.
    License(Uuid),
    /// Key of a customer, a hash of namespace and subject.
    Customer(EntryKey),
}

impl RecordKey {
    /// The key of the record with this name. `None` if the name is invalid for a record.
    #[must_use]
    pub fn of(name: &Removal) -> Option<Self> {
        Some(match name {
            Removal::Merchant { id } => Self::Merchant(*id),
            Removal::App { id } => Self::App(id.clone()),
            Removal::AccessType { id } => Self::AccessType(*id),
            Removal::Item { id } => Self::Item(*id),
            Removal::License { id } => Self::License(Uuid::try_parse(id).ok()?),
            Removal::Customer { namespace, subject } => {
                Self::Customer(customer_key(namespace, subject).ok()?)
            }
        })
    }

    /// Type of the record.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Merchant(_) => RecordKind::Merchant,
            Self::App(_) => RecordKind::App,
            Self::AccessType(_) => RecordKind::AccessType,
            Self::Item(_) => RecordKind::Item,
            Self::License(_) => RecordKind::License,
            Self::Customer(_) => RecordKind::Customer,
        }
    }
}

/// The record that a line concerns, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    kind: Option<RecordKind>,
    key: Option<RecordKey>,
    id: String,
}

impl About {
    /// A record of which at most the type is known.
    #[must_use]
    pub const fn kind_only(kind: Option<RecordKind>) -> Self {
        Self { kind, key: None, id: String::new() }
    }

    /// The record with this name.
    #[must_use]
    pub fn record(name: &Removal) -> Self {
        let (kind, id) = match name {
            Removal::Merchant { id } => (RecordKind::Merchant, id.to_string()),
            Removal::App { id } => (RecordKind::App, id.clone()),
            Removal::AccessType { id } => (RecordKind::AccessType, id.to_string()),
            Removal::Item { id } => (RecordKind::Item, id.to_string()),
            Removal::License { id } => (RecordKind::License, id.to_ascii_lowercase()),
            Removal::Customer { namespace, subject } => {
                (RecordKind::Customer, format!("{namespace}:{subject}"))
            }
        };
        Self { kind: Some(kind), key: RecordKey::of(name), id }
    }

    /// The record with this key.
    #[must_use]
    pub fn key(key: RecordKey) -> Self {
        let id = match &key {
            RecordKey::Merchant(id) | RecordKey::AccessType(id) | RecordKey::Item(id) => id.to_string(),
            RecordKey::App(id) => id.clone(),
            RecordKey::License(id) => id.to_string(),
            RecordKey::Customer(EntryKey(key)) => format!("{:032x}", u128::from_be_bytes(*key)),
        };
        Self { kind: Some(key.kind()), key: Some(key), id }
    }

    /// The customer with this key and number, which is all that an encoded record knows of its identity.
    #[must_use]
    pub fn customer(key: EntryKey, id: i64) -> Self {
        Self { kind: Some(RecordKind::Customer), key: Some(RecordKey::Customer(key)), id: id.to_string() }
    }

    /// Type of the record, if it can be read.
    #[must_use]
    pub const fn kind(&self) -> Option<RecordKind> {
        self.kind
    }

    /// Key of the record, if it can be read.
    #[must_use]
    pub const fn record_key(&self) -> Option<&RecordKey> {
        self.key.as_ref()
    }

    /// The record's id for people, or an empty text if it cannot be read. A customer appears as
    /// `namespace:subject`, or as its number where only that is known.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for About {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.id.as_str()) {
            (None, _) => formatter.write_str("unknown record"),
            (Some(kind), "") => formatter.write_str(kind.name()),
            (Some(kind), id) => write!(formatter, "{} {id}", kind.name()),
        }
    }
}

/// The state that is published in place of a record that is set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: the record has no last good state, or that state no longer fits.
    #[default]
    Absent,
    /// The last good state.
    LastGood,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    standing: Standing,
    /// The reason, if it is kept.
    reason: Option<Box<LineError>>,
}

/// The records that are set aside, with counts for the report.
#[derive(Clone, Debug, Default)]
pub struct SetAside {
    records: BTreeMap<RecordKey, Entry>,
    reasons: usize,
    /// Number of lines whose record is unknown, by their type if that is known.
    unattributed: BTreeMap<Option<RecordKind>, u64>,
    kept_missing: u64,
    dependents: u64,
    /// Number of records that another run set aside. Their names are unknown.
    carried: u64,
}

impl SetAside {
    /// Starts with the number of records that another run set aside.
    #[must_use]
    pub fn carried(count: u64) -> Self {
        Self { carried: count, ..Self::default() }
    }

    /// Sets aside the record that `error` concerns. Only the first reason for a record is kept.
    pub(crate) fn add(&mut self, error: &LineError) {
        let About { kind, key, .. } = &error.about;
        let Some(key) = key else {
            *self.unattributed.entry(*kind).or_default() += 1;
            return;
        };
        if self.records.len() > SET_ASIDE_MAX {
            return;
        }
        let entry = self.records.entry(key.clone()).or_default();
        if entry.reason.is_none() && self.reasons < REASONS_MAX {
            self.reasons += 1;
            entry.reason = Some(Box::new(error.clone()));
        }
    }

    /// Takes a record back because it is good again, or removed. Returns whether it was set aside.
    pub(crate) fn clear(&mut self, key: &RecordKey) -> bool {
        let Some(entry) = self.records.remove(key) else { return false };
        self.reasons -= usize::from(entry.reason.is_some());
        true
    }

    /// Whether the record is set aside.
    #[must_use]
    pub fn contains(&self, key: &RecordKey) -> bool {
        !self.records.is_empty() && self.records.contains_key(key)
    }

    /// Notes which state is published in place of a record that is set aside.
    pub(crate) fn stand(&mut self, key: &RecordKey, standing: Standing) {
        if let Some(entry) = self.records.get_mut(key) {
            entry.standing = standing;
        }
    }

    /// Notes that the last good state of a customer is published.
    pub(crate) fn mark_last_good(&mut self, key: RecordKey) {
        self.records.entry(key).or_default().standing = Standing::LastGood;
    }

    /// Resets the counts of references and of records that stay.
    pub(crate) const fn reset_counts(&mut self) {
        (self.kept_missing, self.dependents) = (0, 0);
    }

    /// The records of the catalogue that are set aside.
    pub(crate) fn of_catalogue(&self) -> Vec<RecordKey> {
        // Keys sort by kind, and customers come last.
        self.records.keys().take_while(|key| key.kind() != RecordKind::Customer).cloned().collect()
    }

    /// The customers that are set aside, with keys from `first` to `last`.
    pub(crate) fn customers(&self, first: EntryKey, last: EntryKey) -> Vec<EntryKey> {
        let range = RecordKey::Customer(first)..=RecordKey::Customer(last);
        let key = |(key, _): (&RecordKey, _)| match key {
            RecordKey::Customer(key) => Some(*key),
            _ => None,
        };
        self.records.range(range).filter_map(key).collect()
    }

    /// Whether a record of this kind may have been on a line whose record is unknown.
    #[must_use]
    pub fn may_hide(&self, kind: RecordKind) -> bool {
        self.unattributed.contains_key(&None) || self.unattributed.contains_key(&Some(kind))
    }

    /// Counts records that stay although the input lacks them.
    pub(crate) fn keep_missing(&mut self, count: u64) {
        self.kept_missing += count;
    }

    /// Counts references to records that are set aside without a last good state.
    pub(crate) fn depend(&mut self, count: u64) {
        self.dependents += count;
    }

    pub(crate) fn append(&mut self, other: Self) {
        for (key, entry) in other.records {
            if self.records.len() > SET_ASIDE_MAX {
                break;
            }
            let known = self.records.entry(key).or_default();
            known.standing = entry.standing;
            if known.reason.is_none() && self.reasons < REASONS_MAX {
                self.reasons += usize::from(entry.reason.is_some());
                known.reason = entry.reason;
            }
        }
        for (kind, count) in other.unattributed {
            *self.unattributed.entry(kind).or_default() += count;
        }
        self.kept_missing += other.kept_missing;
        self.dependents += other.dependents;
        self.carried += other.carried;
    }

    /// Number of records that are set aside, including those without a known name.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.records.len() as u64 + self.unattributed() + self.carried
    }

    /// Number of lines whose record is unknown.
    #[must_use]
    pub fn unattributed(&self) -> u64 {
        self.unattributed.values().sum()
    }

    /// Number of records whose last good state is published.
    #[must_use]
    pub fn last_good(&self) -> u64 {
        self.records.values().filter(|entry| entry.standing == Standing::LastGood).count() as u64
    }

    /// Number of records that the input lacks and that stay, because a line with an unknown record may have
    /// been theirs.
    #[must_use]
    pub const fn kept_missing(&self) -> u64 {
        self.kept_missing
    }

    /// Number of references to records that are set aside without a last good state. They grant nothing.
    #[must_use]
    pub const fn dependents(&self) -> u64 {
        self.dependents
    }

    /// Whether the line with the position in the origin's history cannot be used.
    #[must_use]
    pub fn is_position_lost(&self) -> bool {
        self.unattributed.contains_key(&Some(RecordKind::Snapshot))
    }

    /// Whether more records are set aside than allowed ([`SET_ASIDE_MAX`]).
    #[must_use]
    pub fn is_overflowing(&self) -> bool {
        self.records.len() > SET_ASIDE_MAX
    }

    /// The reasons that were kept, in the order of records.
    pub fn reasons(&self) -> impl Iterator<Item = (&LineError, Standing)> {
        self.records.values().filter_map(|entry| Some((entry.reason.as_deref()?, entry.standing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Location, Problem};

    fn error(about: About) -> LineError {
        let at = Location { file: "f".into(), line: 1 };
        LineError { about, at, problem: Problem::new("field", "wrong") }
    }

    #[test]
    fn a_record_is_counted_once_until_it_is_good_again() {
        let mut set_aside = SetAside::carried(2);
        let item = Removal::Item { id: 7 };
        for _ in 0..3 {
            set_aside.add(&error(About::record(&item)));
        }
        set_aside.add(&error(About::kind_only(None)));
        assert_eq!((set_aside.total(), set_aside.unattributed()), (4, 1));
        let key = RecordKey::Item(7);
        set_aside.stand(&key, Standing::LastGood);
        assert_eq!((set_aside.last_good(), set_aside.reasons().count()), (1, 1));
        assert!(set_aside.contains(&key) && set_aside.clear(&key) && !set_aside.clear(&key));
        assert_eq!((set_aside.total(), set_aside.reasons().count()), (3, 0));
    }

    #[test]
    fn invalid_names_are_not_attributed_to_records() {
        let license = About::record(&Removal::License { id: "x".to_owned() });
        let nobody = About::record(&Removal::Customer { namespace: String::new(), subject: "s".to_owned() });
        let mut set_aside = SetAside::default();
        set_aside.add(&error(license));
        assert!(set_aside.may_hide(RecordKind::License) && !set_aside.may_hide(RecordKind::Customer));
        set_aside.add(&error(nobody));
        assert!(set_aside.may_hide(RecordKind::Customer) && !set_aside.may_hide(RecordKind::Item));
        set_aside.add(&error(About::default()));
        assert!(RecordKind::ALL.into_iter().all(|kind| set_aside.may_hide(kind)));
    }

    #[test]
    fn the_kept_reasons_are_bounded() {
        let mut set_aside = SetAside::default();
        for id in 0..5_000 {
            set_aside.add(&error(About::key(RecordKey::Item(id))));
        }
        assert_eq!((set_aside.total(), set_aside.reasons().count()), (5_000, REASONS_MAX));
        let mut all = SetAside::default();
        all.append(set_aside.clone());
        all.append(set_aside);
        assert_eq!((all.total(), all.reasons().count()), (5_000, REASONS_MAX));
    }
}
