//! The catalogue: all that is published but customers. Small enough to be held whole.

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

/// A merchant whose UUID has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownMerchant {
    /// `merchant_uuid` in answers.
    pub uuid: Uuid,
}

/// Merchants, apps, licences, access types and items, each with the place where it was written.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Where the data stands in the origin's history.
    pub snapshot: Option<Located<SnapshotLine>>,
    /// By id.
    pub merchants: BTreeMap<i64, Located<KnownMerchant>>,
    /// By id.
    pub apps: BTreeMap<String, Located<App>>,
    /// By UUID.
    pub licenses: BTreeMap<Uuid, Located<License>>,
    /// By id.
    pub access_types: BTreeMap<i64, Located<AccessType>>,
    /// By id.
    pub items: BTreeMap<i64, Located<Item>>,
    /// Records that cannot be used: what is here under their ids is their last good state. References to those of
    /// which there is none are not errors on top.
    pub set_aside: SetAside,
    /// What the keys of its items are derived with where it is published: which of them share a shard.
    pub salt: ItemSalt,
}

/// What became of a line.
#[derive(Debug)]
pub enum Added {
    /// It is part of the catalogue.
    Taken,
    /// It says the same again as the line at this place.
    Repeated(Location),
    /// A customer is no part of the catalogue: it is given back.
    Customer(Customer),
}

/// What to do with a line whose id is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// An error unless both say the same, and the first stays: which of the two is meant would be chance.
    Refuse,
    /// It replaces the one that is there: a change.
    Replace,
}

impl Catalogue {
    /// Adds a line, whose relative times are resolved at `now`.
    ///
    /// # Errors
    /// What is wrong with the line.
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

    /// Whether there is an item of this number and it is active.
    #[must_use]
    pub fn is_active(&self, item_id: i64) -> bool {
        self.items.get(&item_id).is_some_and(|item| item.value.is_active)
    }
}

/// The catalogue is rendered again when something in it changes: what is relative must mean the same then.
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

/// A UUID, or what is wrong with the field.
pub(crate) fn parse_uuid(field: &str, text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::new(field, format!("expected a UUID, found {text:?}")))
}

/// Where the same stands already, if it does.
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
        Entry::Occupied(first) if first.get().value == located.value => {
            return Ok(Some(first.get().at.clone()));
        }
        Entry::Occupied(first) => {
            return Err(Problem::new("id", format!("{:?} again; first: {}", first.key(), first.get().at)));
        }
    }
    Ok(None)
}
