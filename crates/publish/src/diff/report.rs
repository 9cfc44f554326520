//! The differences, as text and as JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use admit_snapshot::{
    directory::Directory,
    index::Tree,
    key::EntryKey,
    time::{UnixSecs, iso8601},
};
use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use uuid::Uuid;

use crate::published::Published;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct DiffReport {
    /// The version before.
    pub before: VersionReport,
    /// The version after.
    pub after: VersionReport,
    /// Merchants, apps, licences.
    pub directory: DirectoryReport,
    /// Customers.
    pub customers: TreeReport,
    /// Items.
    pub items: TreeReport,
}

/// The head of a version, and the sizes of its objects.
#[derive(Debug, Serialize)]
pub struct VersionReport {
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
    /// Number of customers, including those that only the delta has.
    pub customers: u64,
    /// Number of items, including those that only the delta has.
    pub items: u64,
    /// Bytes of the index.
    pub index_bytes: usize,
    /// Bytes of the directory.
    pub directory_bytes: usize,
    /// Bytes of the delta; 0 without one.
    pub delta_bytes: usize,
}

impl VersionReport {
    /// Describes a version.
    ///
    /// # Errors
    /// A shard that the delta touches cannot be read.
    pub fn new(published: &Published) -> Result<Self> {
        let head = published.head();
        Ok(Self {
            aud: head.aud.clone(),
            denylist: head.denylist.entries().len(),
            seq: head.seq,
            origin_seq: head.origin_seq(),
            as_of: head.as_of,
            published_at: head.published_at,
            customers: published.total(Tree::Customers)?,
            items: published.total(Tree::Items)?,
            index_bytes: published.index_bytes,
            directory_bytes: published.directory_bytes,
            delta_bytes: published.version.delta.as_deref().map_or(0, <[u8]>::len),
        })
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

/// Changes of the directory.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DirectoryReport {
    /// Merchants, by id.
    pub merchants: Counts,
    /// Apps with their clients, by id.
    pub apps: Counts,
    /// Licences, by UUID.
    pub licenses: Counts,
}

/// Changes of a tree.
#[derive(Debug, Serialize)]
pub struct TreeReport {
    /// Shards before.
    pub shards_before: usize,
    /// Shards after.
    pub shards_after: usize,
    /// Shards that both versions have.
    pub shards_shared: usize,
    /// Records only in the version after.
    pub added: u64,
    /// Records only in the version before.
    pub removed: u64,
    /// Records in both, with different content.
    pub changed: u64,
    /// The first changes, by key.
    pub changes: Vec<RecordChange>,
}

/// How a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Only in the version after.
    Added,
    /// Only in the version before.
    Removed,
    /// In both, with different content.
    Changed,
}

/// A customer or an item that differs.
#[derive(Debug, Serialize)]
pub struct RecordChange {
    /// How it changed.
    pub how: How,
    /// The record's key in the snapshot.
    #[serde(skip)]
    pub key: EntryKey,
    /// The customer's or the item's number.
    pub id: i64,
    /// The customer's UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// The item's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the customer held before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Holdings>,
    /// What the customer holds after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Holdings>,
}

/// How much a customer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// Accesses to items and packages.
    pub accesses: usize,
    /// Subscriptions to licences.
    pub licenses: usize,
}

impl Counts {
    fn of<K: Ord, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Self {
        let mut counts = Self::default();
        for (key, value) in after {
            match before.get(key) {
                None => counts.added += 1,
                Some(old) if old != value => counts.changed += 1,
                Some(_) => {}
            }
        }
        counts.removed = before.keys().filter(|key| !after.contains_key(key)).count() as u64;
        counts
    }
}

impl DirectoryReport {
    /// Compares two directories.
    pub fn new(before: &Directory, after: &Directory) -> Self {
        let apps = |directory: &Directory| -> BTreeMap<_, _> {
            directory.apps.iter().map(|app| (app.id.clone(), app.clone())).collect()
        };
        // A licence refers to its app by position. Compare the app itself: its position changes with other
        // apps.
        let licenses = |directory: &Directory| -> BTreeMap<_, _> {
            let app = |position: usize| directory.apps.get(position).map(|app| app.id.clone());
            let license = |(id, it): (&u128, &admit_snapshot::directory::LicenseEntry)| {
                (*id, (app(it.app), it.rank, it.state, it.is_test_mode, it.name.clone(), it.json.clone()))
            };
            directory.licenses.iter().map(license).collect()
        };
        Self {
            merchants: Counts::of(&before.merchants, &after.merchants),
            apps: Counts::of(&apps(before), &apps(after)),
            licenses: Counts::of(&licenses(before), &licenses(after)),
        }
    }
}

impl Display for Counts {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { added, removed, changed } = *self;
        if *self == Self::default() {
            return formatter.write_str("none changed");
        }
        let count = HumanCount;
        write!(formatter, "{} added, {} removed, {} changed", count(added), count(removed), count(changed))
    }
}

impl TreeReport {
    fn counts(&self) -> Counts {
        Counts { added: self.added, removed: self.removed, changed: self.changed }
    }
}

impl Display for DiffReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (before, after) = (&self.before, &self.after);
        for (label, version) in [("Before", before), ("After", after)] {
            let VersionReport { seq, as_of, index_bytes, directory_bytes, delta_bytes, .. } = version;
            let aud = version.aud.as_ref().map_or_else(String::new, |aud| format!(", for the store {aud}"));
            let denied = match version.denylist {
                0 => String::new(),
                count => format!(", {count} revocations"),
            };
            writeln!(formatter, "{label:<10} seq {seq}, as of {}{aud}{denied}", iso8601(*as_of, 0))?;
            let [index, directory, delta] =
                [index_bytes, directory_bytes, delta_bytes].map(|bytes| HumanBytes(*bytes as u64));
            writeln!(formatter, "{:<10} index {index}, directory {directory}, delta {delta}", "")?;
        }
        let trees = [
            ("Customers", before.customers, after.customers, &self.customers),
            ("Items", before.items, after.items, &self.items),
        ];
        for (label, before, after, tree) in trees {
            let (before, after) = (HumanCount(before), HumanCount(after));
            writeln!(formatter, "{label:<10} {before} before, {after} after: {}", tree.counts())?;
            let TreeReport { shards_before, shards_after, shards_shared, changes, .. } = tree;
            let shards =
                format!("{shards_before} shards before, {shards_after} after, {shards_shared} in both");
            writeln!(formatter, "{:<10} {shards}", "")?;
            changes.iter().try_for_each(|change| writeln!(formatter, "{:<10} {change}", ""))?;
            let unlisted = tree.added + tree.removed + tree.changed - changes.len() as u64;
            if unlisted > 0 {
                writeln!(formatter, "{:<10} ... and {} more (--list N lists N)", "", HumanCount(unlisted))?;
            }
        }
        let directory = &self.directory;
        writeln!(formatter, "Merchants  {}", directory.merchants)?;
        writeln!(formatter, "Apps       {}", directory.apps)?;
        writeln!(formatter, "Licences   {}", directory.licenses)
    }
}

impl Display for RecordChange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Added => "added",
            How::Removed => "removed",
            How::Changed => "changed",
        };
        write!(formatter, "{how:<8} {}", self.id)?;
        if let Some(uuid) = self.uuid {
            write!(formatter, "  {uuid}")?;
        }
        if let Some(title) = &self.title {
            write!(formatter, "  {title}")?;
        }
        let held = |it: Holdings| format!("{} accesses, {} licences", it.accesses, it.licenses);
        match (self.before, self.after) {
            (Some(before), Some(after)) if before != after => {
                write!(formatter, "  {} -> {}", held(before), held(after))
            }
            (Some(it), None) | (None | Some(_), Some(it)) => write!(formatter, "  {}", held(it)),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_compared_by_their_keys() {
        let before = BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]);
        let after = BTreeMap::from([(2, 'b'), (3, 'x'), (4, 'd'), (5, 'e')]);
        let counts = Counts::of(&before, &after);
        assert_eq!(counts, Counts { added: 2, removed: 1, changed: 1 });
        assert_eq!(counts.to_string(), "2 added, 1 removed, 1 changed");
        assert_eq!(Counts::of(&before, &before).to_string(), "none changed");
    }

    #[test]
    fn a_licence_is_the_same_when_its_app_has_moved() {
        use admit_snapshot::{
            directory::{AppEntry, LicenseEntry},
            schema::LicenseState,
        };
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
        let report = DirectoryReport::new(&directory(&["b"], 0), &directory(&["a", "b"], 1));
        assert_eq!(report.apps, Counts { added: 1, ..Counts::default() });
        assert_eq!(report.licenses, Counts::default());
        let report = DirectoryReport::new(&directory(&["b"], 0), &directory(&["a", "b"], 0));
        assert_eq!(report.licenses, Counts { changed: 1, ..Counts::default() });
    }
}
