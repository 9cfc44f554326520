//! What changed between two versions. Only the shards that differ are read.
//!
//! `side` loads a version, `compare` walks both, `report` has the result.

pub mod compare;
pub mod report;
pub mod side;

use std::{path::Path, str::FromStr};

use admit_snapshot::index::Tree;
use anyhow::Result;

use self::{
    compare::compare,
    report::{DirectoryReport, Report},
    side::Side,
};
use crate::store::Store;

/// A version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The published version.
    Head,
    /// A version that is kept for rollbacks.
    Seq(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "head" => Ok(Self::Head),
            _ => text.parse().map(Self::Seq).map_err(|_| "expected the seq of a version, or head".to_owned()),
        }
    }
}

/// Compares two versions in `store`, and lists at most `list` changed customers and as many items. If there is a `key`,
/// it must have signed both.
///
/// # Errors
/// A version is not kept or cannot be read, or the store does not answer or refuses.
pub fn diff(store: &Store, before: Which, after: Which, key: Option<&Path>, list: usize) -> Result<Report> {
    let before = Side::load(store, before, key)?;
    let after = Side::load(store, after, key)?;
    Ok(Report {
        customers: compare(store, Tree::Customers, &before, &after, list)?,
        items: compare(store, Tree::Items, &before, &after, list)?,
        directory: DirectoryReport::new(&before.directory, &after.directory),
        before: before.report(store)?,
        after: after.report(store)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_or_the_head() {
        assert_eq!("head".parse(), Ok(Which::Head));
        assert_eq!("42".parse(), Ok(Which::Seq(42)));
        for wrong in ["", "HEAD", "-1", "latest"] {
            assert!(wrong.parse::<Which>().is_err(), "{wrong}");
        }
    }
}
