//! The differences, as text and as JSON.

use std::fmt::{self, Display, Formatter};

use admit_snapshot::{
    compare::{Counts, DirectoryChanges, Holdings, How, RecordChange, VersionFacts},
    index::Tree,
    time::iso8601,
};
use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use crate::published::Published;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct DiffReport {
    /// The version before.
    pub before: VersionFacts,
    /// The version after.
    pub after: VersionFacts,
    /// Merchants, apps, licences.
    pub directory: DirectoryChanges,
    /// Customers.
    pub customers: TreeReport,
    /// Items.
    pub items: TreeReport,
}

/// Describes a version, with the numbers of its customers and items.
///
/// # Errors
/// A shard that the delta touches cannot be read.
pub fn facts(published: &Published) -> Result<VersionFacts> {
    Ok(VersionFacts {
        customers: Some(published.total(Tree::Customers)?),
        items: Some(published.total(Tree::Items)?),
        ..VersionFacts::new(&published.version, published.directory_bytes)
    })
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

/// The counts as text.
fn counted(counts: Counts) -> String {
    let Counts { added, removed, changed } = counts;
    if counts == Counts::default() {
        return "none changed".to_owned();
    }
    let [added, removed, changed] = [added, removed, changed].map(HumanCount);
    format!("{added} added, {removed} removed, {changed} changed")
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
            let VersionFacts { seq, as_of, index_bytes, directory_bytes, delta_bytes, .. } = version;
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
            let [before, after] = [before, after].map(|count| HumanCount(count.unwrap_or_default()));
            writeln!(formatter, "{label:<10} {before} before, {after} after: {}", counted(tree.counts()))?;
            let TreeReport { shards_before, shards_after, shards_shared, changes, .. } = tree;
            let shards =
                format!("{shards_before} shards before, {shards_after} after, {shards_shared} in both");
            writeln!(formatter, "{:<10} {shards}", "")?;
            changes.iter().try_for_each(|change| writeln!(formatter, "{:<10} {}", "", line(change)))?;
            let unlisted = tree.added + tree.removed + tree.changed - changes.len() as u64;
            if unlisted > 0 {
                writeln!(formatter, "{:<10} ... and {} more (--list N lists N)", "", HumanCount(unlisted))?;
            }
        }
        let directory = &self.directory;
        writeln!(formatter, "Merchants  {}", counted(directory.merchants))?;
        writeln!(formatter, "Apps       {}", counted(directory.apps))?;
        writeln!(formatter, "Licences   {}", counted(directory.licenses))
    }
}

/// A change as a line of text.
fn line(change: &RecordChange) -> String {
    let how = match change.how {
        How::Added => "added",
        How::Removed => "removed",
        How::Changed => "changed",
    };
    let mut line = format!("{how:<8} {}", change.id);
    if let Some(uuid) = change.uuid {
        line = format!("{line}  {uuid}");
    }
    if let Some(title) = &change.title {
        line = format!("{line}  {title}");
    }
    let held = |it: Holdings| format!("{} accesses, {} licences", it.accesses, it.licenses);
    match (change.before, change.after) {
        (Some(before), Some(after)) if before != after => {
            format!("{line}  {} -> {}", held(before), held(after))
        }
        (Some(it), None) | (None | Some(_), Some(it)) => format!("{line}  {}", held(it)),
        (None, None) => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_in_words() {
        assert_eq!(counted(Counts { added: 2, removed: 1, changed: 1 }), "2 added, 1 removed, 1 changed");
        assert_eq!(counted(Counts::default()), "none changed");
    }
}
