//! The findings of a walk, as text and as JSON.

use std::{collections::BTreeMap, fmt};

use admit_snapshot::{
    index::Tree,
    key::EntryKey,
    object::{ObjectKind, ObjectName},
    report::Effect,
    time::{UnixSecs, iso8601},
};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use crate::overlay::note;

/// How many problems are listed, of about 200 bytes each. With more, everything is wrong: the rest is only
/// counted.
const KEPT_MAX: usize = 10_000;

/// The result of a walk.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Whether everything was read and nothing is wrong.
    pub is_sound: bool,
    /// The head, if it can be read.
    pub head: Option<HeadReport>,
    /// State of the starting value; `None` if the head cannot be read.
    pub start: Option<StartState>,
    /// Objects that were read, by kind.
    pub objects: BTreeMap<&'static str, Volume>,
    /// Number of customers, including those that only the delta has; `None` if not everything could be read.
    pub customers: Option<u64>,
    /// Number of items, including those that only the delta has; `None` likewise.
    pub items: Option<u64>,
    /// The effect of the delta on the customers of the shards.
    pub delta_customers: Effect,
    /// The effect of the delta on the items.
    pub delta_items: Effect,
    /// The problems, sorted by object and key.
    pub problems: Vec<Problem>,
    /// The number of problems, including those that are not listed.
    pub problems_total: u64,
    /// How long the walk took.
    pub elapsed_secs: f64,
    /// Objects that could not be read or decoded.
    #[serde(skip)]
    pub unread: u64,
}

/// The head.
#[derive(Debug, Serialize)]
pub struct HeadReport {
    /// The store that the head is for, if it names one.
    pub aud: Option<String>,
    /// Number of revocations, including those that have ended or were lifted.
    pub denylist: usize,
    /// The origin's count of committed changes.
    pub seq: u64,
    /// When the data was true, unix seconds.
    pub as_of: UnixSecs,
    /// Number of customers.
    pub customers: u64,
    /// Number of items.
    pub items: u64,
}

/// The value under the key of the starting value, compared with the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartState {
    /// Index and directory of the head: an edge starts with them.
    Right,
    /// Something else, which edges ignore: of another version, or damaged.
    Other,
    /// Nothing.
    Absent,
}

/// A number of objects and their size.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Volume {
    /// The number of objects.
    pub count: u64,
    /// Their size.
    pub bytes: u64,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The object: `head`, or a name such as `shard/<digest>`.
    pub object: String,
    /// The key of the entry, in 32 hexadecimal digits, if the problem is about one.
    pub key: Option<String>,
    /// The problem.
    pub what: String,
}

impl VerifyReport {
    /// Adds a problem with an object, or with one of its entries.
    pub fn problem(&mut self, object: &impl ToString, entry: Option<(Tree, EntryKey)>, what: &str) {
        self.problems_total += 1;
        if self.problems.len() >= KEPT_MAX {
            return;
        }
        let what = match entry {
            Some((tree, key)) => format!("{}: {what}", entry_name(tree, key)),
            None => what.to_owned(),
        };
        let key = entry.map(|(_, key)| format!("{:032x}", u128::from_be_bytes(key.0)));
        self.problems.push(Problem { object: object.to_string(), key, what });
    }

    /// Adds an object that cannot be read or decoded. The counts are incomplete then.
    pub fn unreadable(&mut self, name: ObjectName, what: &str) {
        self.unread += 1;
        self.problem(&name, None, what);
    }

    /// Counts an object that was read.
    pub fn count(&mut self, kind: ObjectKind, bytes: usize) {
        let volume = self.objects.entry(kind.prefix()).or_default();
        volume.count += 1;
        volume.bytes += bytes as u64;
    }

    /// Compares a number of entries with the one in the head.
    pub fn compare(&mut self, noun: &str, in_head: u64, found: u64) {
        if in_head != found {
            self.problem(
                &"head",
                None,
                &format!("it counts {in_head} {noun} in the shards, and {found} were found"),
            );
        }
    }

    /// Sorts the problems by object and key, so that two runs print the same.
    pub fn finish(&mut self, is_complete: bool) {
        self.problems.sort();
        self.is_sound = is_complete && self.problems_total == 0;
    }
}

/// The name of an entry: the keys of customers and external ids are hashes, those of items contain the id.
fn entry_name(tree: Tree, key: EntryKey) -> String {
    match tree {
        Tree::Customers => "a customer".to_owned(),
        Tree::ExternalIds => "an external id".to_owned(),
        Tree::Items => {
            let low = key.0.last_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
            format!("item {low}")
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { object, key, what } in &self.problems {
            match key {
                Some(key) => writeln!(formatter, "problem: {object}: {key}: {what}")?,
                None => writeln!(formatter, "problem: {object}: {what}")?,
            }
        }
        let unlisted = self.problems_total - self.problems.len() as u64;
        if unlisted > 0 {
            writeln!(formatter, "problem: ... and {unlisted} more")?;
        }
        if let Some(head) = &self.head {
            writeln!(formatter, "Head       seq {}, as of {}", head.seq, iso8601(head.as_of, 0))?;
            if let Some(aud) = &head.aud {
                writeln!(formatter, "           for the store {aud}")?;
            }
            if head.denylist > 0 {
                writeln!(formatter, "           {} revocations: admit revoke --list", head.denylist)?;
            }
        }
        let (mut count, mut bytes, mut kinds) = (0, 0, Vec::new());
        for (kind, volume) in &self.objects {
            count += volume.count;
            bytes += volume.bytes;
            kinds.push(format!("{kind} {}", HumanCount(volume.count)));
        }
        let kinds = kinds.join(", ");
        match self.start {
            Some(StartState::Other) => writeln!(
                formatter,
                "Start      not the head's index and directory: edges read those one by one when they start"
            )?,
            Some(StartState::Absent) => {
                writeln!(
                    formatter,
                    "Start      not stored: edges read index and directory one by one when they start"
                )?;
            }
            Some(StartState::Right) | None => {}
        }
        writeln!(formatter, "Objects    {} ({}): {kinds}", HumanCount(count), HumanBytes(bytes))?;
        for (label, found, delta) in
            [("Customers", self.customers, self.delta_customers), ("Items", self.items, self.delta_items)]
        {
            match found {
                Some(found) => writeln!(formatter, "{label:<10} {}{}", HumanCount(found), note(delta))?,
                None => writeln!(formatter, "{label:<10} not counted, because not all could be read")?,
            }
        }
        writeln!(formatter, "Time       {:.1} s", self.elapsed_secs)?;
        if self.is_sound {
            writeln!(formatter, "Nothing is wrong.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_sorted_and_bounded() {
        let mut report = VerifyReport::default();
        report.problem(&"shard/b", None, "second");
        report.problem(
            &"head",
            Some((Tree::Items, EntryKey::item(admit_snapshot::key::ItemSalt::NONE, -33))),
            "first",
        );
        for _ in 0..KEPT_MAX {
            report.problem(&"shard/c", None, "third");
        }
        report.finish(true);
        assert_eq!((report.problems.len(), report.problems_total), (KEPT_MAX, KEPT_MAX as u64 + 2));
        assert_eq!((report.problems[0].what.as_str(), report.is_sound), ("item -33: first", false));
        let text = report.to_string();
        assert!(text.starts_with("problem: head: ") && text.contains("... and 2 more"), "{text}");
    }

    #[test]
    fn only_a_complete_walk_is_sound() {
        let mut report = VerifyReport::default();
        report.compare("items", 5, 5);
        report.finish(false);
        assert!(!report.is_sound);
        report.finish(true);
        assert!(report.is_sound && report.to_string().ends_with("Nothing is wrong.\n"));
        report.compare("items", 5, 4);
        assert_eq!(report.problems[0].what, "it counts 5 items in the shards, and 4 were found");
    }
}
