//! Applies changes of the origin to the published content.

use std::{collections::BTreeSet, sync::Arc};

use admit_snapshot::{
    directory::Directory,
    key::EntryKey,
    object::ObjectKind,
    schema::{Change, Customer, Line, Record, Removal},
    time::UnixSecs,
};

use super::{
    compact::{Compacted, SetAsideRecord},
    delta::{Delta, ItemRecords, Records, difference},
};
use crate::{
    build::{BuildError, Rendered, check_size},
    source::{
        About, Catalogue, LineError, Location, Problem, Problems, RecordKey, References, SetAside, Taken,
        customer_key, encode_customer, parse_uuid,
    },
};

/// The published content, as far as the next change depends on it. The customers in the shards are not loaded.
#[derive(Clone, Debug)]
pub struct Content {
    pub(super) known: Known,
    pub(super) customers: Records,
    pub(super) set_aside: SetAside,
}

/// How much of the catalogue is known.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// All of it, so that changes can be rendered.
    Lines {
        catalogue: Box<Catalogue>,
        rendered: Rendered,
        /// The records in the shards.
        in_shards: Box<InShards>,
    },
    /// Only what edges read, so that only customers can be changed.
    Published {
        merchants: BTreeSet<i64>,
        directory: Vec<u8>,
        changed_items: ItemRecords,
        changed_external_ids: Records,
    },
}

/// Records of the catalogue that lie in shards.
#[derive(Clone, Debug)]
pub(super) struct InShards {
    items: ItemRecords,
    external_ids: Records,
}

/// Why a change cannot be applied. The content stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The change is invalid.
    #[error("{0}")]
    Change(Box<LineError>),
    /// The catalogue cannot be rendered with the change.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Content {
    /// The content of a snapshot that has just been built, with all records in shards.
    ///
    /// # Errors
    /// The catalogue cannot be rendered.
    pub fn built(catalogue: Catalogue) -> Result<Self, BuildError> {
        let rendered = Rendered::of(&catalogue)?;
        let (items, external_ids) = (rendered.items.clone(), rendered.external_ids.clone());
        let in_shards = Box::new(InShards { items, external_ids });
        let set_aside = catalogue.set_aside.clone();
        let known = Known::Lines { catalogue: Box::new(catalogue), rendered, in_shards };
        Ok(Self { known, customers: Records::new(), set_aside })
    }

    /// The content that an edge has: a directory object and a delta. The lines of the catalogue are unknown,
    /// so only customers can be changed.
    ///
    /// # Errors
    /// The bytes are not a directory.
    pub fn published(directory: Vec<u8>, delta: Delta) -> Result<Self, BuildError> {
        let merchants = Directory::decode(&directory)?.merchants.into_keys().collect();
        let Delta { customers, items, external_ids } = delta;
        let known = Known::Published {
            merchants,
            directory,
            changed_items: items,
            changed_external_ids: external_ids,
        };
        Ok(Self { known, customers, set_aside: SetAside::default() })
    }

    /// The same content, with the number of records that its publisher has set aside.
    #[must_use]
    pub fn with_set_aside(self, count: u64) -> Self {
        Self { set_aside: SetAside::carried(count), ..self }
    }

    /// The records that are set aside. Their last good state is published.
    #[must_use]
    pub const fn set_aside(&self) -> &SetAside {
        &self.set_aside
    }

    /// The bytes of the directory object.
    #[must_use]
    pub fn directory(&self) -> &[u8] {
        match &self.known {
            Known::Lines { rendered, .. } => &rendered.directory,
            Known::Published { directory, .. } => directory,
        }
    }

    /// The changes since the shards were written.
    #[must_use]
    pub fn delta(&self) -> Delta {
        let (items, external_ids) = match &self.known {
            Known::Lines { rendered, in_shards, .. } => (
                difference(&in_shards.items, &rendered.items),
                difference(&in_shards.external_ids, &rendered.external_ids),
            ),
            Known::Published { changed_items, changed_external_ids, .. } => {
                (changed_items.clone(), changed_external_ids.clone())
            }
        };
        Delta { customers: self.customers.clone(), items, external_ids }
    }

    /// Applies all changes in order, or none of them. Relative times are resolved at `now`. In messages,
    /// `feed` stands for the file and `seq` for the line. Oddities are added to `problems`.
    ///
    /// # Errors
    /// The problem with the first invalid change.
    pub fn apply(
        &mut self,
        changes: &[Change],
        feed: &str,
        now: UnixSecs,
        problems: &mut Problems,
    ) -> Result<(), UpdateError> {
        let feed: Arc<str> = feed.into();
        let at = |change: &Change| Location { file: Arc::clone(&feed), line: change.seq };
        // Work on a copy, so that an invalid change leaves no traces. Most syncs change customers only.
        let changed = match changes.iter().find(|change| changes_catalogue(change)) {
            Some(first) => Some(self.changed_catalogue(changes, &at, &at(first), now)?),
            None => None,
        };
        // Customers refer to the catalogue as it is after the changes.
        let merchants = match (&changed, &self.known) {
            (Some((catalogue, _)), _) => Merchants::Lines(References::new(catalogue)),
            (None, Known::Lines { catalogue, .. }) => Merchants::Lines(References::new(catalogue)),
            (None, Known::Published { merchants, .. }) => Merchants::Known(merchants),
        };
        let mut customers = Records::new();
        for change in changes {
            change_customers(&mut customers, &merchants, change, &at(change), now, problems)?;
        }
        self.customers.append(&mut customers);
        if let (Some((changed, rendered_anew)), Known::Lines { catalogue, rendered, .. }) =
            (changed, &mut self.known)
        {
            **catalogue = changed;
            *rendered = rendered_anew;
        }
        Ok(())
    }

    /// The catalogue after `changes`, and its rendered form.
    fn changed_catalogue(
        &self,
        changes: &[Change],
        at: &impl Fn(&Change) -> Location,
        first: &Location,
        now: UnixSecs,
    ) -> Result<(Catalogue, Rendered), UpdateError> {
        let Known::Lines { catalogue: before, rendered: earlier, .. } = &self.known else {
            return Err(customers_only(first));
        };
        let mut catalogue = Catalogue::clone(before);
        for change in changes {
            let at = at(change);
            change_catalogue(&mut catalogue, change, &at, now).map_err(|problem| wrong(&at, problem))?;
        }
        let mut problems = Problems::default();
        catalogue.check(&mut problems);
        first_error(&mut problems)?;
        let rendered = Rendered::after(&catalogue, (before, earlier))?;
        catalogue.check_sizes(&rendered, &mut problems);
        first_error(&mut problems)?;
        check_size(ObjectKind::Directory, rendered.directory.len())
            .map_err(|error| wrong(first, Problem::new("", error.to_string())))?;
        Ok((catalogue, rendered))
    }

    /// Notes that the shards now hold the content as it was at `then`. Later changes stay in the delta.
    /// Records for which the shards had no room are set aside.
    pub fn compacted(&mut self, then: &Self, compacted: &Compacted) {
        match (&mut self.known, &then.known) {
            (Known::Lines { in_shards, .. }, Known::Lines { rendered, .. }) => {
                in_shards.items.clone_from(&rendered.items);
                in_shards.external_ids.clone_from(&rendered.external_ids);
            }
            (
                Known::Published { changed_items, changed_external_ids, .. },
                Known::Published { changed_items: written, changed_external_ids: written_ids, .. },
            ) => {
                // Keep the records that have changed again since the compaction began.
                changed_items.retain(|key, record| written.get(key) != Some(record));
                changed_external_ids.retain(|key, record| written_ids.get(key) != Some(record));
            }
            _ => {}
        }
        self.customers.retain(|key, record| then.customers.get(key) != Some(record));
        for SetAsideRecord { error, standing } in &compacted.set_aside {
            // The delta holds a newer state of the record, and edges read that one.
            let is_newer = match error.about.record_key() {
                Some(RecordKey::Customer(key)) => self.customers.contains_key(key),
                _ => false,
            };
            if let Some(key) = error.about.record_key().filter(|_| !is_newer) {
                self.set_aside.add(error);
                self.set_aside.stand(key, *standing);
            }
        }
        if let Known::Lines { catalogue, .. } = &mut self.known {
            catalogue.set_aside.clone_from(&self.set_aside);
        }
    }
}

pub(super) fn wrong(at: &Location, problem: Problem) -> UpdateError {
    UpdateError::Change(Box::new(LineError { about: About::default(), at: at.clone(), problem }))
}

/// The error that a change of the catalogue needs its lines, which are unknown.
pub(super) fn customers_only(at: &Location) -> UpdateError {
    let message = "expected changes of customers only: for others the whole catalogue is needed (--from)";
    wrong(at, Problem::new("", message))
}

/// The merchants that customers may belong to, and their other references as far as these are known.
pub(super) enum Merchants<'a> {
    Lines(References<'a>),
    Known(&'a BTreeSet<i64>),
}

impl Merchants<'_> {
    /// Checks the references of a customer. Returns whether its merchant exists.
    pub(super) fn check(
        &self,
        customer: &Customer,
        key: EntryKey,
        record: &[u8],
        at: &Location,
        problems: &mut Problems,
    ) -> Result<bool, BuildError> {
        let id = customer.merchant_id;
        match self {
            Self::Lines(references) => Ok(references.check(key, record, at, problems)?),
            Self::Known(merchants) if merchants.contains(&id) => Ok(true),
            Self::Known(_) => {
                let message = format!("unknown merchant {id}");
                let about = About::record(&Removal::from(customer));
                problems.error(at, about, Problem::new("merchant_id", message));
                Ok(false)
            }
        }
    }
}

pub(super) fn changes_catalogue(change: &Change) -> bool {
    change.put.iter().any(|record| !matches!(record, Record::Customer(_)))
        || change.remove.iter().any(|removal| !matches!(removal, Removal::Customer { .. }))
}

fn first_error(problems: &mut Problems) -> Result<(), UpdateError> {
    problems.settle();
    match problems.errors.kept().first() {
        Some(error) => Err(UpdateError::Change(Box::new((*error).clone()))),
        None => Ok(()),
    }
}

fn change_catalogue(
    catalogue: &mut Catalogue,
    change: &Change,
    at: &Location,
    now: UnixSecs,
) -> Result<(), Problem> {
    for record in &change.put {
        if !matches!(record, Record::Customer(_)) {
            catalogue.add(Line::from(record.clone()), at, now, Taken::Replace)?;
        }
    }
    for removal in &change.remove {
        // Removing an unknown record is allowed: a feed may repeat itself.
        if let Removal::License { id } = removal {
            parse_uuid("id", id)?;
        }
        if let Some(key) = RecordKey::of(removal) {
            catalogue.remove(&key);
        }
    }
    Ok(())
}

fn change_customers(
    customers: &mut Records,
    merchants: &Merchants<'_>,
    change: &Change,
    at: &Location,
    now: UnixSecs,
    problems: &mut Problems,
) -> Result<(), UpdateError> {
    for record in &change.put {
        let Record::Customer(customer) = record else { continue };
        let (mut record, mut found) = (Vec::new(), Problems::default());
        let key = encode_customer(customer, at, now, &mut found, &mut record)
            .map_err(|problem| wrong(at, problem))?;
        merchants.check(customer, key, &record, at, &mut found)?;
        first_error(&mut found)?;
        problems.append(found);
        customers.insert(key, record);
    }
    for removal in &change.remove {
        if let Removal::Customer { namespace, subject } = removal {
            let key = customer_key(namespace, subject).map_err(|problem| wrong(at, problem))?;
            customers.insert(key, Vec::new());
        }
    }
    Ok(())
}
