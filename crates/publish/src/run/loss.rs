//! Guards against an export that is well formed and has lost most of its content: it was cut off at the end
//! of a line, a query went wrong, or a namespace is spelled differently.

use std::io;

use admit_snapshot::{head::Head, object::ObjectName, time::UnixSecs};
use anyhow::{Error, Result};

use crate::{
    build::Built,
    published::{Loss, Losses, Named, PublishedRecords, Side},
};

/// With fewer of a kind than this, losing half of them is nothing unusual.
const HALF_MATTERS_FROM: u64 = 100;

/// With fewer of a kind than this, losing all of them is nothing unusual.
const ALL_MATTERS_FROM: u64 = 10;

/// Why a version must not replace the published one: it removes too much of what that grants. `read` gets the
/// objects of the new version.
///
/// # Errors
/// The new version cannot be read. It must not be published then, because its losses are unknown.
pub fn refusal(
    current: &Head,
    before: Option<&PublishedRecords<'_>>,
    built: &Built<u64>,
    read: impl Fn(ObjectName) -> io::Result<Vec<u8>> + Sync,
    now: UnixSecs,
) -> Result<Option<String>> {
    Ok(match before.map(|before| compare(before, built, Box::new(read), now)) {
        Some(Ok(losses)) => judge(&losses.named(), losses),
        Some(Err(Side::After(error))) => {
            return Err(Error::from(error).context("the new version cannot be read"));
        }
        Some(Err(Side::Before(error))) => {
            eprintln!(
                "warning: only counts are compared, because the published version cannot be read: {error}"
            );
            judge(&counts(current, built), "only the counts are known")
        }
        None => judge(&counts(current, built), "only the counts are known"),
    })
}

fn compare<'a>(
    before: &PublishedRecords<'_>,
    built: &Built<u64>,
    read: Box<dyn Fn(ObjectName) -> io::Result<Vec<u8>> + Sync + 'a>,
    now: UnixSecs,
) -> std::result::Result<Losses, Side> {
    let named = Named { index: built.index, directory: built.directory, delta: None };
    let after = PublishedRecords::new(named, read).map_err(Side::After)?;
    Losses::between(before, &after, now)
}

/// The counts of two heads.
fn counts(current: &Head, built: &Built<u64>) -> [(&'static str, Loss); 2] {
    let loss = |before: u64, after| Loss { before, gone: before.saturating_sub(after) };
    [("customers", loss(current.customers, built.customers)), ("items", loss(current.items, built.items))]
}

fn judge(named: &[(&'static str, Loss)], all: impl std::fmt::Display) -> Option<String> {
    // More than half of many, or all of some.
    let is_too_much = |loss: Loss| {
        (loss.before >= HALF_MATTERS_FROM && loss.is_most())
            || (loss.before >= ALL_MATTERS_FROM && loss.gone == loss.before)
    };
    let too_much: Vec<_> = named
        .iter()
        .filter(|(_, loss)| is_too_much(*loss))
        .map(|(name, Loss { before, gone })| format!("{gone} of {before} {name}"))
        .collect();
    if too_much.is_empty() {
        return None;
    }
    let too_much = too_much.join(" and ");
    Some(format!(
        "this would remove {too_much} that are published; if that is right, publish with --allow-loss. Gone in \
         all: {all}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_many_and_all_of_some_are_too_much() {
        for (before, gone, expected) in [
            (0, 0, false),
            (9, 9, false),
            (10, 9, false),
            (10, 10, true),
            (99, 98, false),
            (100, 50, false),
            (100, 51, true),
            (1_000_000, 500_001, true),
        ] {
            let refusal = judge(&[("customers", Loss { before, gone })], "");
            assert_eq!(refusal.is_some(), expected, "{gone} of {before}");
        }
        let named =
            [("customers", Loss { before: 10, gone: 10 }), ("items", Loss { before: 500, gone: 400 })];
        let refusal = judge(&named, "all").unwrap();
        assert!(
            refusal.contains("10 of 10 customers and 400 of 500 items") && refusal.contains("--allow-loss")
        );
    }
}
