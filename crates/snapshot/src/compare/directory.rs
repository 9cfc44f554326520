//! What changed beside customers and items: the heads, and merchants, apps and licences.

use serde::Serialize;

use crate::{
    directory::{Directory, LicenseEntry},
    sorted_map::SortedMap,
    time::UnixSecs,
    version::Version,
};

/// The head of a version, and the sizes of its objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionFacts {
    /// The store that the head is for, if it names one.
    pub aud: Option<String>,
    /// Number of revocations in the head, including those that have ended or were lifted.
    pub denylist: usize,
    /// The version.
    pub seq: u64,
    /// The origin's count of changes.
    pub origin_seq: u64,
    /// When the data was true, unix seconds.
    pub as_of: UnixSecs,
    /// When it was published, unix seconds.
    pub published_at: Option<UnixSecs>,
    /// Number of customers, including those that only the delta has. `None`: with a delta, the shards that it touches
    /// must be read to count them.
    pub customers: Option<u64>,
    /// Number of items, likewise.
    pub items: Option<u64>,
    /// Bytes of the index.
    pub index_bytes: usize,
    /// Bytes of the directory.
    pub directory_bytes: usize,
    /// Bytes of the delta; 0 without one.
    pub delta_bytes: usize,
}

impl VersionFacts {
    /// Describes a version whose directory has `directory_bytes`. Without a delta it has the numbers of customers and
    /// items.
    #[must_use]
    pub fn new(version: &Version, directory_bytes: usize) -> Self {
        let head = &version.head;
        let counted = |count| head.delta.is_none().then_some(count);
        Self {
            aud: head.aud.clone(),
            denylist: head.denylist.entries().len(),
            seq: head.seq,
            origin_seq: head.origin_seq(),
            as_of: head.as_of,
            published_at: head.published_at,
            customers: counted(head.customers),
            items: counted(head.items),
            index_bytes: version.index.object().len(),
            directory_bytes,
            delta_bytes: version.delta.as_deref().map_or(0, <[u8]>::len),
        }
    }
}

/// How many records of a kind were added, removed and changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Only in the version after.
    pub added: u64,
    /// Only in the version before.
    pub removed: u64,
    /// In both, with different content.
    pub changed: u64,
}

impl Counts {
    /// Compares two maps by their keys.
    fn of<K: Ord, V>(
        before: &SortedMap<K, V>,
        after: &SortedMap<K, V>,
        is_equal: impl Fn(&V, &V) -> bool,
    ) -> Self {
        let mut counts = Self::default();
        for (key, value) in after {
            match before.get(key) {
                None => counts.added += 1,
                Some(old) if !is_equal(old, value) => counts.changed += 1,
                Some(_) => {}
            }
        }
        counts.removed = before.keys().filter(|key| !after.contains_key(*key)).count() as u64;
        counts
    }
}

/// Changes of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DirectoryChanges {
    /// Merchants, by id.
    pub merchants: Counts,
    /// Apps with their clients, by id.
    pub apps: Counts,
    /// Licences, by UUID.
    pub licenses: Counts,
}

impl DirectoryChanges {
    /// Compares two directories.
    #[must_use]
    pub fn new(before: &Directory, after: &Directory) -> Self {
        fn apps(directory: &Directory) -> SortedMap<&str, &crate::directory::AppEntry> {
            directory.apps.iter().map(|app| (app.id.as_str(), app)).collect()
        }
        // A licence refers to its app by position. Compare the app itself: its position changes with other apps.
        let app = |directory: &Directory, license: &LicenseEntry| {
            directory.apps.get(license.app).map(|app| app.id.clone())
        };
        let is_same = |old: &LicenseEntry, new: &LicenseEntry| {
            let moved = LicenseEntry { app: new.app, ..old.clone() };
            moved == *new && app(before, old) == app(after, new)
        };
        Self {
            merchants: Counts::of(&before.merchants, &after.merchants, PartialEq::eq),
            apps: Counts::of(&apps(before), &apps(after), PartialEq::eq),
            licenses: Counts::of(&before.licenses, &after.licenses, is_same),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{directory::AppEntry, schema::LicenseState};

    #[test]
    fn things_are_compared_by_their_keys() {
        let before = SortedMap::from_iter([(1, 'a'), (2, 'b'), (3, 'c')]);
        let after = SortedMap::from_iter([(2, 'b'), (3, 'x'), (4, 'd'), (5, 'e')]);
        let counts = Counts::of(&before, &after, PartialEq::eq);
        assert_eq!(counts, Counts { added: 2, removed: 1, changed: 1 });
        assert_eq!(Counts::of(&before, &before, PartialEq::eq), Counts::default());
    }

    #[test]
    fn a_licence_is_the_same_when_its_app_has_moved() {
        let directory = |apps: &[&str], app| {
            let mut directory = Directory::default();
            let entry = |id: &&str| AppEntry {
                id: (*id).to_owned(),
                merchant_id: 1,
                plan_id: String::new(),
                clients: vec![],
            };
            directory.set_apps(apps.iter().map(entry).collect()).unwrap();
            let license = LicenseEntry {
                app,
                rank: 1,
                state: LicenseState::Live,
                is_test_mode: false,
                name: String::new(),
                json: "{}".to_owned(),
            };
            directory.licenses.insert(1, license);
            directory
        };
        let report = DirectoryChanges::new(&directory(&["b"], 0), &directory(&["a", "b"], 1));
        assert_eq!(report.apps, Counts { added: 1, ..Counts::default() });
        assert_eq!(report.licenses, Counts::default());
        let report = DirectoryChanges::new(&directory(&["b"], 0), &directory(&["a", "b"], 0));
        assert_eq!(report.licenses, Counts { changed: 1, ..Counts::default() });
    }
}
