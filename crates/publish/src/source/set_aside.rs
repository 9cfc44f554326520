//! Records that cannot be used. Their last good state stays published; everything else is published without them.

use std::{collections::BTreeMap, fmt};

use admit_snapshot::{key::EntryKey, schema::Removal};
use uuid::Uuid;

use super::{customer::key as customer_key, problems::LineError};

/// Most records that are set aside before nothing is published: their keys are held in memory, some 64 MiB. More
/// than that is not a record that went wrong but an export that did.
pub const SET_ASIDE_MAX: usize = 1_000_000;

/// Records of which the reason is kept, for reports that are repeated while an origin is followed.
const REASONS_MAX: usize = 1_000;

/// The types of records, in the order in which errors are told: a cause before what refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The line that says where the data stands in the origin's history.
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

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Snapshot,
        Self::Merchant,
        Self::App,
        Self::AccessType,
        Self::Item,
        Self::License,
        Self::Customer,
    ];

    /// The `type` of its lines.
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

    /// The kind whose lines have this `type`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What tells records apart, in little memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// A merchant's number.
    Merchant(i64),
    /// An app's identifier.
    App(String),
    /// An access type's number.
    AccessType(i64),
    /// An item's number.
    Item(i64),
    /// A licence's UUID.
    License(Uuid),
    /// A customer's key.
    Customer(EntryKey),
}

impl RecordKey {
    /// The key of the record of this name; `None` if no record can have it.
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

    /// The record's type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Merchant(_) => Kind::Merchant,
            Self::App(_) => Kind::App,
            Self::AccessType(_) => Kind::AccessType,
            Self::Item(_) => Kind::Item,
            Self::License(_) => Kind::License,
            Self::Customer(_) => Kind::Customer,
        }
    }
}

/// Which record a line is about, as far as that can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    kind: Option<Kind>,
    key: Option<RecordKey>,
    id: String,
}

impl About {
    /// A record of which nothing but the type can be read, or not even that.
    #[must_use]
    pub const fn kind_only(kind: Option<Kind>) -> Self {
        Self { kind, key: None, id: String::new() }
    }

    /// The record of this name.
    #[must_use]
    pub fn record(name: &Removal) -> Self {
        let (kind, id) = match name {
            Removal::Merchant { id } => (Kind::Merchant, id.to_string()),
            Removal::App { id } => (Kind::App, id.clone()),
            Removal::AccessType { id } => (Kind::AccessType, id.to_string()),
            Removal::Item { id } => (Kind::Item, id.to_string()),
            Removal::License { id } => (Kind::License, id.to_ascii_lowercase()),
            Removal::Customer { namespace, subject } => (Kind::Customer, format!("{namespace}:{subject}")),
        };
        Self { kind: Some(kind), key: RecordKey::of(name), id }
    }

    /// A record of the catalogue.
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

    /// The customer of this key, whose number is `id`: what a record knows of itself.
    #[must_use]
    pub fn customer(key: EntryKey, id: i64) -> Self {
        Self { kind: Some(Kind::Customer), key: Some(RecordKey::Customer(key)), id: id.to_string() }
    }

    /// The record's type, if it can be read.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// What tells the record apart, if that can be read.
    #[must_use]
    pub const fn record_key(&self) -> Option<&RecordKey> {
        self.key.as_ref()
    }

    /// The record's id as people know it; empty if it cannot be read. A customer is `namespace:subject`, or its
    /// number where only that is known.
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

/// What is published of a record that is set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: there is no last good state, or it no longer fits.
    #[default]
    Absent,
    /// Its last good state.
    LastGood,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    standing: Standing,
    /// Why it is set aside, if that is kept.
    reason: Option<Box<LineError>>,
}

/// The records that are set aside.
#[derive(Clone, Debug, Default)]
pub struct SetAside {
    records: BTreeMap<RecordKey, Entry>,
    reasons: usize,
    /// Lines of which the record cannot be told, by what is known of its type.
    unattributed: BTreeMap<Option<Kind>, u64>,
    kept_missing: u64,
    dependents: u64,
    /// From another run: how many there were, which ones is not known.
    carried: u64,
}

impl SetAside {
    /// What another run has set aside and still is, without names.
    #[must_use]
    pub fn carried(count: u64) -> Self {
        Self { carried: count, ..Self::default() }
    }

    /// Sets aside the record that `error` is about. Of several reasons the first is kept.
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

    /// The record is good again, or gone for good. Whether it was set aside.
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

    /// Says what is published of a record that is set aside.
    pub(crate) fn stand(&mut self, key: &RecordKey, standing: Standing) {
        if let Some(entry) = self.records.get_mut(key) {
            entry.standing = standing;
        }
    }

    /// Says of a customer that is set aside that its last good state is published.
    pub(crate) fn mark_last_good(&mut self, key: RecordKey) {
        self.records.entry(key).or_default().standing = Standing::LastGood;
    }

    /// Begins to count references and records that stay anew.
    pub(crate) const fn reset_counts(&mut self) {
        (self.kept_missing, self.dependents) = (0, 0);
    }

    /// The records of the catalogue that are set aside.
    pub(crate) fn of_catalogue(&self) -> Vec<RecordKey> {
        // Customers come last in the order of keys.
        self.records.keys().take_while(|key| key.kind() != Kind::Customer).cloned().collect()
    }

    /// The customers that are set aside, from `first` to `last`.
    pub(crate) fn customers(&self, first: EntryKey, last: EntryKey) -> Vec<EntryKey> {
        let range = RecordKey::Customer(first)..=RecordKey::Customer(last);
        let key = |(key, _): (&RecordKey, _)| match key {
            RecordKey::Customer(key) => Some(*key),
            _ => None,
        };
        self.records.range(range).filter_map(key).collect()
    }

    /// Whether a record of this kind may be lost behind a line that cannot be attributed.
    #[must_use]
    pub fn may_hide(&self, kind: Kind) -> bool {
        self.unattributed.contains_key(&None) || self.unattributed.contains_key(&Some(kind))
    }

    /// Counts records that stay although the input leaves them out.
    pub(crate) fn keep_missing(&mut self, count: u64) {
        self.kept_missing += count;
    }

    /// Counts references to records that are set aside and not published.
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

    /// How many records are set aside, those that cannot be told by name included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.records.len() as u64 + self.unattributed() + self.carried
    }

    /// Lines of which the record cannot be told.
    #[must_use]
    pub fn unattributed(&self) -> u64 {
        self.unattributed.values().sum()
    }

    /// Records that are set aside and of which the last good state is published.
    #[must_use]
    pub fn last_good(&self) -> u64 {
        self.records.values().filter(|entry| entry.standing == Standing::LastGood).count() as u64
    }

    /// Records that the input leaves out, and that stay because a line could not be attributed.
    #[must_use]
    pub const fn kept_missing(&self) -> u64 {
        self.kept_missing
    }

    /// References to records that are set aside and not published: they grant nothing.
    #[must_use]
    pub const fn dependents(&self) -> u64 {
        self.dependents
    }

    /// Whether the line cannot be used that says where the data stands in the origin's history.
    #[must_use]
    pub fn is_position_lost(&self) -> bool {
        self.unattributed.contains_key(&Some(Kind::Snapshot))
    }

    /// Whether there are more than can be held.
    #[must_use]
    pub fn is_overflowing(&self) -> bool {
        self.records.len() > SET_ASIDE_MAX
    }

    /// The reasons that are kept, in the order of records.
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
    fn names_that_no_record_can_have_are_not_attributed() {
        let license = About::record(&Removal::License { id: "x".to_owned() });
        let nobody = About::record(&Removal::Customer { namespace: String::new(), subject: "s".to_owned() });
        let mut set_aside = SetAside::default();
        set_aside.add(&error(license));
        assert!(set_aside.may_hide(Kind::License) && !set_aside.may_hide(Kind::Customer));
        set_aside.add(&error(nobody));
        assert!(set_aside.may_hide(Kind::Customer) && !set_aside.may_hide(Kind::Item));
        set_aside.add(&error(About::default()));
        assert!(Kind::ALL.into_iter().all(|kind| set_aside.may_hide(kind)));
    }

    #[test]
    fn what_is_kept_of_many_is_bounded() {
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
