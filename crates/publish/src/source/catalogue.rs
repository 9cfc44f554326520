//! The catalogue: all published records except customers. It is small enough to be kept in memory.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use admit_snapshot::{
    key::ItemSalt,
    schema::{AccessType, App, Customer, Item, License, Line, Merchant, SnapshotLine},
    time::{Timestamp, UnixSecs},
};
use uuid::Uuid;

use super::{
    problems::{Located, Location, Problem},
    set_aside::SetAside,
    size,
};

/// A merchant with a parsed UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownMerchant {
    /// `merchant_uuid` in answers.
    pub uuid: Uuid,
}

/// Merchants, apps, licences, access types and items, each with the place where it was written.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The position of the data in the origin's history.
    pub snapshot: Option<Located<SnapshotLine>>,
    /// Merchants by number.
    pub merchants: BTreeMap<i64, Located<KnownMerchant>>,
    /// Apps by identifier.
    pub apps: BTreeMap<String, Located<App>>,
    /// Licences by UUID.
    pub licenses: BTreeMap<Uuid, Located<License>>,
    /// Access types by number.
    pub access_types: BTreeMap<i64, Located<AccessType>>,
    /// Items by number.
    pub items: BTreeMap<i64, Located<Item>>,
    /// Records that cannot be used. Under their ids the catalogue holds their last good state. If a record
    /// has no such state, references to it are not reported as further errors.
    pub set_aside: SetAside,
    /// The salt from which the keys of the items are derived, and thereby which items share a shard.
    pub salt: ItemSalt,
}

/// Result of adding a line.
#[derive(Debug)]
pub enum Added {
    /// The record is part of the catalogue now.
    Taken,
    /// The line repeats the one at this place.
    Repeated(Location),
    /// A customer, returned because customers are not part of the catalogue.
    Customer(Customer),
}

/// What to do with a line whose id is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Keep the first. It is an error unless both lines are equal, because either could be the right one.
    Refuse,
    /// Replace the record: the line is a change.
    Replace,
}

impl Catalogue {
    /// Adds a line. Its relative times are resolved at `now`.
    ///
    /// # Errors
    /// The problem with the line.
    pub fn add(&mut self, line: Line, at: &Location, now: UnixSecs, taken: Taken) -> Result<Added, Problem> {
        size::check(&line)?;
        let repeated = match line {
            Line::Snapshot(snapshot) => match &self.snapshot {
                Some(first) => {
                    return Err(Problem::new("type", format!("a second snapshot line; first: {}", first.at)));
                }
                None => {
                    self.snapshot = Some(Located { value: snapshot, at: at.clone() });
                    None
                }
            },
            Line::Merchant(Merchant { id, uuid, .. }) => {
                let uuid = parse_uuid("uuid", &uuid)?;
                insert(&mut self.merchants, id, KnownMerchant { uuid }, at, taken)?
            }
            Line::App(app) => insert(&mut self.apps, app.id.clone(), app, at, taken)?,
            Line::License(license) => {
                insert(&mut self.licenses, parse_uuid("id", &license.id)?, license, at, taken)?
            }
            Line::AccessType(mut access_type) => {
                let times = [&mut access_type.created_at, &mut access_type.updated_at];
                times.into_iter().for_each(|time| resolve(time, now));
                insert(&mut self.access_types, access_type.id, access_type, at, taken)?
            }
            Line::Item(mut item) => {
                resolve_item(&mut item, now);
                insert(&mut self.items, item.id, item, at, taken)?
            }
            Line::Customer(customer) => return Ok(Added::Customer(customer)),
        };
        Ok(repeated.map_or(Added::Taken, Added::Repeated))
    }

    /// Whether the item exists and is active.
    #[must_use]
    pub fn is_active(&self, item_id: i64) -> bool {
        self.items.get(&item_id).is_some_and(|item| item.value.is_active)
    }
}

/// Makes a time absolute. The catalogue is rendered again at each change, and a relative time would then mean
/// another moment.
fn resolve(time: &mut Timestamp, now: UnixSecs) {
    *time = Timestamp::At(time.resolve(now));
}

fn resolve_item(item: &mut Item, now: UnixSecs) {
    resolve(&mut item.created_at, now);
    resolve(&mut item.updated_at, now);
    for fee in &mut item.fees {
        let optional = [&mut fee.starts_at, &mut fee.expires_at].into_iter().flatten();
        optional.chain([&mut fee.created_at, &mut fee.updated_at]).for_each(|time| resolve(time, now));
    }
}

/// Parses a UUID, or describes the problem with the field.
pub(crate) fn parse_uuid(field: &str, text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::new(field, format!("expected a UUID, found {text:?}")))
}

/// Inserts a record, or returns the place of an equal one.
fn insert<K: Ord + fmt::Debug, T: PartialEq>(
    map: &mut BTreeMap<K, Located<T>>,
    key: K,
    value: T,
    at: &Location,
    taken: Taken,
) -> Result<Option<Location>, Problem> {
    let located = Located { value, at: at.clone() };
    match map.entry(key) {
        Entry::Vacant(vacant) => {
            vacant.insert(located);
        }
        Entry::Occupied(mut first) if taken == Taken::Replace => {
            first.insert(located);
        }
        // The same record twice is harmless; two different ones are an error.
        Entry::Occupied(first) if first.get().value == located.value => {
            return Ok(Some(first.get().at.clone()));
        }
        Entry::Occupied(first) => {
            return Err(Problem::new(
                "id",
                format!("duplicate id {:?}; first: {}", first.key(), first.get().at),
            ));
        }
    }
    Ok(None)
}
