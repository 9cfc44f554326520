//! What changed between two versions. Only the shards that differ are read.
//!
//! [`compare`] reads the parts of two opened versions and has them compared by [`admit_snapshot::compare`], which the
//! edge uses, too. [`report`] has the result.

pub mod compare;
pub mod report;

use std::{path::Path, str::FromStr};

use admit_snapshot::{compare::DirectoryChanges, index::Tree};
use anyhow::{Context, Result, anyhow};

use self::{
    compare::compare,
    report::{DiffReport, facts},
};
use crate::{head::SignedHead, published::Published, store::Store};

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

/// Compares two versions in `store`, and lists at most `list` changed customers and `list` changed items. If there is a `key`,
/// it must have signed both.
///
/// # Errors
/// A version is not kept or cannot be read, or the store does not answer or refuses.
pub fn diff(
    store: &Store,
    before: Which,
    after: Which,
    key: Option<&Path>,
    list: usize,
) -> Result<DiffReport> {
    let before = before.open(store, key)?;
    let after = after.open(store, key)?;
    Ok(DiffReport {
        customers: compare(Tree::Customers, &before, &after, list)?,
        items: compare(Tree::Items, &before, &after, list)?,
        directory: DirectoryChanges::new(&before.version.directory, &after.version.directory),
        before: facts(&before)?,
        after: facts(&after)?,
    })
}

impl Which {
    /// Opens the version.
    ///
    /// # Errors
    /// The version is not kept, is not signed by `key` (if given), or cannot be read.
    pub fn open(self, store: &Store, key: Option<&Path>) -> Result<Published> {
        let (name, jws) = match self {
            Self::Head => {
                ("the published head".to_owned(), store.head()?.context("nothing is published yet")?)
            }
            Self::Seq(seq) => (format!("version {seq}"), version(store, seq)?),
        };
        let head = SignedHead::read(&jws, key)?.trusted(&name)?;
        Published::at(store, head).with_context(|| format!("{name} cannot be read"))
    }
}

/// The head of a version: a kept one, or the published one, whose version may be a delta and have no record.
fn version(store: &Store, seq: u64) -> Result<String> {
    if let Some(jws) = store.version(seq)? {
        return Ok(jws);
    }
    if let Some(jws) = store.head()?
        && let SignedHead::Unverified(head) = SignedHead::read(&jws, None)?
        && head.seq == seq
    {
        return Ok(jws);
    }
    let versions: Vec<_> = store.versions()?.iter().map(ToString::to_string).collect();
    Err(anyhow!("unknown version {seq}: expected one of {}, or head", versions.join(", ")))
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
