//! What `admit gc` found unreferenced, and when: the key `garbage`.
//!
//! An object in it has not been named by any head that was published since. Whoever publishes a head that
//! leads to one of them takes it out first ([`unmark`]); that is what makes it safe to delete what is still in
//! it, and still unreferenced, once the grace is over.

use std::collections::{BTreeMap, HashSet};

use admit::{
    limits::GARBAGE_MAX_BYTES,
    snapshot::{object::ObjectName, time::UnixSecs},
};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Store;

/// Objects that are marked at most: about 75 bytes each, in [`GARBAGE_MAX_BYTES`]. What exceeds it is found
/// again by a later run.
pub const MARKS_MAX: usize = 100_000;

/// Objects that nothing referred to, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    since: BTreeMap<ObjectName, UnixSecs>,
}

#[derive(Serialize, Deserialize)]
struct Marks {
    marks: Vec<Mark>,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    at: UnixSecs,
    objects: Vec<String>,
}

impl Garbage {
    /// Reads the value of the key.
    ///
    /// # Errors
    /// It is no such list.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let Marks { marks } = serde_json::from_slice(json).context("the published list of garbage")?;
        let mut garbage = Self::default();
        for Mark { at, objects } in marks {
            garbage.mark(objects.iter().filter_map(|name| ObjectName::parse(name)), at);
        }
        Ok(garbage)
    }

    /// The value of the key.
    ///
    /// # Errors
    /// It would be longer than a Worker takes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut by_moment: BTreeMap<UnixSecs, Vec<String>> = BTreeMap::new();
        for (name, at) in &self.since {
            by_moment.entry(*at).or_default().push(name.to_string());
        }
        let marks = by_moment.into_iter().map(|(at, objects)| Mark { at, objects }).collect();
        let json = serde_json::to_vec(&Marks { marks })?;
        if json.len() > GARBAGE_MAX_BYTES {
            bail!("the list of garbage has {} bytes, more than {GARBAGE_MAX_BYTES}", json.len());
        }
        Ok(json)
    }

    /// Adds objects that nothing refers to at `at`. What is marked already stays marked since then; what does
    /// not fit is left out.
    pub fn mark(&mut self, names: impl IntoIterator<Item = ObjectName>, at: UnixSecs) {
        for name in names {
            if self.since.len() < MARKS_MAX || self.since.contains_key(&name) {
                self.since.entry(name).or_insert(at);
            }
        }
    }

    /// Keeps those objects only for which `is_garbage` is true.
    pub fn retain(&mut self, mut is_garbage: impl FnMut(ObjectName) -> bool) {
        self.since.retain(|name, _| is_garbage(*name));
    }

    /// What has been marked at `moment` or before.
    pub fn marked_before(&self, moment: UnixSecs) -> Vec<ObjectName> {
        self.since.iter().filter(|(_, at)| **at <= moment).map(|(name, _)| *name).collect()
    }

    /// How many objects are marked.
    pub fn len(&self) -> usize {
        self.since.len()
    }
}

/// Takes objects out of the list, because a head that leads to them is about to be published. Writes only if
/// there are such.
///
/// # Errors
/// The lease is lost, or the store does not answer or refuses.
pub fn unmark(store: &Store, names: &HashSet<ObjectName>) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut garbage = store.garbage()?;
    let before = garbage.len();
    garbage.retain(|name| !names.contains(&name));
    if garbage.len() < before { store.put_garbage(&garbage) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use admit::snapshot::object::{Digest, ObjectKind};

    use super::*;

    fn name(number: u32) -> ObjectName {
        ObjectName { kind: ObjectKind::Directory, digest: Digest::of(&number.to_le_bytes()) }
    }

    #[test]
    fn an_object_is_marked_since_it_was_found_first() {
        let mut garbage = Garbage::default();
        garbage.mark([name(1), name(2)], 100);
        garbage.mark([name(2), name(3)], 200);
        garbage.retain(|it| it != name(1));
        assert_eq!(garbage.marked_before(99), []);
        assert_eq!(garbage.marked_before(100), [name(2)]);
        assert_eq!(garbage.marked_before(200).len(), 2);
        assert_eq!(Garbage::parse(&garbage.to_json().unwrap()).unwrap(), garbage);
        assert!(Garbage::parse(b"{}").is_err());
    }

    #[test]
    fn as_many_as_may_be_marked_can_be_stored() {
        let mut garbage = Garbage::default();
        garbage.mark((0..).take(MARKS_MAX + 1).map(name), 1_700_000_000);
        assert_eq!(garbage.len(), MARKS_MAX);
        garbage.to_json().unwrap();
    }
}
