//! The key `garbage`: the objects that `admit gc` found unreferenced or has deleted, and when.
//!
//! No head that was published since the mark refers to a marked object: before a head refers to one, its
//! publisher unmarks it ([`forget`]). So an object that is still marked and still unreferenced after the
//! grace is safe to delete.
//!
//! Deleted objects stay in the list for a while. KV may show them for another minute, and a publisher that
//! needs one again must not believe that it is stored.

use std::collections::{BTreeMap, HashSet};

use admit_snapshot::{limits::GARBAGE_MAX_BYTES, object::ObjectName, time::UnixSecs};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Store, reach::read};

/// The most objects in the list, at about 75 bytes each in [`GARBAGE_MAX_BYTES`]. A later run finds the
/// others again.
pub const LISTED_MAX: usize = 100_000;

/// How long a deleted object is remembered: KV may show it to publishers for a minute or two.
const DELETED_SECS: i64 = 600;

/// Unreferenced and deleted objects, each with its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    marked: BTreeMap<ObjectName, UnixSecs>,
    deleted: BTreeMap<ObjectName, UnixSecs>,
}

#[derive(Serialize, Deserialize)]
struct Lists {
    marked: Vec<List>,
    #[serde(default)]
    deleted: Vec<List>,
}

#[derive(Serialize, Deserialize)]
struct List {
    at: UnixSecs,
    objects: Vec<String>,
}

impl Garbage {
    /// Parses the value of the key.
    ///
    /// # Errors
    /// The value is not such a list.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let lists: Lists = serde_json::from_slice(json).context("the stored list of garbage")?;
        let read = |lists: Vec<List>| {
            let mut moments = BTreeMap::new();
            for List { at, objects } in lists {
                moments.extend(objects.iter().filter_map(|name| Some((ObjectName::parse(name)?, at))));
            }
            moments
        };
        Ok(Self { marked: read(lists.marked), deleted: read(lists.deleted) })
    }

    /// Encodes the value of the key.
    ///
    /// # Errors
    /// It would be longer than a Worker accepts.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let write = |moments: &BTreeMap<ObjectName, UnixSecs>| {
            let mut lists: BTreeMap<UnixSecs, Vec<String>> = BTreeMap::new();
            for (name, at) in moments {
                lists.entry(*at).or_default().push(name.to_string());
            }
            lists.into_iter().map(|(at, objects)| List { at, objects }).collect()
        };
        let lists = Lists { marked: write(&self.marked), deleted: write(&self.deleted) };
        let json = serde_json::to_vec(&lists)?;
        if json.len() > GARBAGE_MAX_BYTES {
            bail!("the list of garbage has {} bytes, more than {GARBAGE_MAX_BYTES}", json.len());
        }
        Ok(json)
    }

    /// Marks objects that are unreferenced at `at`, and unmarks all others. Objects that are already marked
    /// keep their time; those that do not fit are left for a later run. Returns how many marks are new.
    pub fn mark(&mut self, unreferenced: &HashSet<ObjectName>, at: UnixSecs) -> usize {
        self.marked.retain(|name, since| {
            // A time in the future comes from a wrong clock.
            *since = at.min(*since);
            unreferenced.contains(name)
        });
        // Deleted objects take room in the list too.
        let room = LISTED_MAX.saturating_sub(self.marked.len() + self.deleted.len());
        let new: Vec<_> =
            unreferenced.iter().copied().filter(|name| !self.marked.contains_key(name)).take(room).collect();
        self.marked.extend(new.iter().map(|name| (*name, at)));
        new.len()
    }

    /// The objects that were marked at `moment` or before.
    pub fn marked_before(&self, moment: UnixSecs) -> Vec<ObjectName> {
        self.marked.iter().filter(|(_, at)| **at <= moment).map(|(name, _)| *name).collect()
    }

    /// The time of the oldest mark.
    pub fn oldest_mark(&self) -> Option<UnixSecs> {
        self.marked.values().min().copied()
    }

    /// Records that marked objects are deleted at `at`, and forgets those that were deleted long before.
    pub fn delete(&mut self, names: &[ObjectName], at: UnixSecs) {
        self.deleted.retain(|_, since| *since > at.saturating_sub(DELETED_SECS));
        for name in names {
            self.marked.remove(name);
            self.deleted.insert(*name, at);
        }
    }

    /// Removes objects from the list. Returns those that were in it.
    pub fn forget(&mut self, names: &HashSet<ObjectName>) -> HashSet<ObjectName> {
        let mut forgotten = HashSet::new();
        for list in [&mut self.marked, &mut self.deleted] {
            list.retain(|name, _| {
                let is_wanted = names.contains(name);
                if is_wanted {
                    forgotten.insert(*name);
                }
                !is_wanted
            });
        }
        forgotten
    }

    /// The number of marked objects.
    pub fn marked(&self) -> usize {
        self.marked.len()
    }
}

/// Removes objects from the list, because a head that refers to them is about to be published. Returns those
/// that were in the list: they may be deleted already, whatever the store shows, and must be uploaded again.
/// Writes only if there are any.
///
/// # Errors
/// The lease is lost, or the store does not answer or refuses.
pub fn forget(store: &Store, names: &HashSet<ObjectName>) -> Result<HashSet<ObjectName>> {
    if names.is_empty() {
        return Ok(HashSet::new());
    }
    let mut garbage = store.garbage()?;
    let forgotten = garbage.forget(names);
    if !forgotten.is_empty() {
        store.put_garbage(&garbage)?;
    }
    Ok(forgotten)
}

/// Removes stored objects from the list, as [`forget`] does, and stores those that were in it again.
///
/// # Errors
/// One of them is missing, the lease is lost, or the store does not answer or refuses.
pub fn revive(store: &Store, names: &HashSet<ObjectName>) -> Result<()> {
    for name in forget(store, names)? {
        store.put_objects(&[(name, read(store, name)?)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use admit_snapshot::object::{Digest, ObjectKind};

    use super::*;

    fn name(number: u32) -> ObjectName {
        ObjectName { kind: ObjectKind::Directory, digest: Digest::of(&number.to_le_bytes()) }
    }

    fn names(numbers: impl IntoIterator<Item = u32>) -> HashSet<ObjectName> {
        numbers.into_iter().map(name).collect()
    }

    #[test]
    fn an_object_is_marked_since_it_was_found_first() {
        let mut garbage = Garbage::default();
        assert_eq!(garbage.mark(&names([1, 2]), 100), 2);
        assert_eq!(garbage.mark(&names([2, 3]), 200), 1);
        assert_eq!(garbage.marked_before(99), []);
        assert_eq!(garbage.marked_before(100), [name(2)]);
        assert_eq!((garbage.marked_before(200).len(), garbage.oldest_mark()), (2, Some(100)));
        assert_eq!(Garbage::parse(&garbage.to_json().unwrap()).unwrap(), garbage);
        // A clock that was far ahead does not delay a deletion for ever.
        garbage.mark(&names([3, 4]), 300_000);
        garbage.mark(&names([3, 4]), 300);
        assert_eq!(garbage.marked_before(300).len(), 2);
        assert!(Garbage::parse(b"[]").is_err());
    }

    #[test]
    fn what_was_deleted_is_remembered_for_a_while() {
        let mut garbage = Garbage::default();
        garbage.mark(&names([1, 2, 3]), 100);
        garbage.delete(&[name(1), name(2)], 200);
        assert_eq!(garbage.marked(), 1);
        assert_eq!(Garbage::parse(&garbage.to_json().unwrap()).unwrap(), garbage);
        assert_eq!(garbage.forget(&names([2, 3, 4])), names([2, 3]));
        assert_eq!(garbage.forget(&names([2, 3])), names([]));
        garbage.delete(&[], 200 + DELETED_SECS - 1);
        assert_eq!(garbage.clone().forget(&names([1])), names([1]));
        garbage.delete(&[], 200 + DELETED_SECS);
        assert_eq!(garbage, Garbage::default());
    }

    #[test]
    fn as_many_as_may_be_listed_can_be_stored() {
        let mut garbage = Garbage::default();
        assert_eq!(garbage.mark(&names(0..LISTED_MAX as u32 + 1), 1_700_000_000), LISTED_MAX);
        garbage.to_json().unwrap();
    }
}
