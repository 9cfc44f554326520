//! Replays the feed on the first export, and compares the result with a new export.
//!
//! An origin may write the lines of its feed when they are requested, with the records as they are at that
//! moment. A record may therefore be newer than its line, and a difference counts only when no later change
//! explains it: take the export again, read the changes up to its seq, and leave out the records that they
//! touch.

use std::collections::BTreeSet;

use admit_publish::{source::Problems, update::Content};
use admit_snapshot::{
    key::EntryKey,
    schema::{Change, Record, Removal},
};
use anyhow::{Error, Result};

use super::{
    checks::FEED_REPLAY,
    export::{Differences, Export, Taken, differences},
    feed::Feed,
    report::ConformanceReport,
};

/// The most changes that are replayed.
const REPLAYED_MAX: usize = 100_000;

/// How often the replay is compared with a new export while the origin is being written to.
const ATTEMPTS_MAX: usize = 3;

/// The result of a replay.
enum Replay {
    /// Nothing has changed.
    Nothing,
    /// More than [`REPLAYED_MAX`] changes.
    TooMuch,
    /// Equal: the number of changes, and of customers left out because they changed again.
    Same(usize, u64),
    /// A difference that later changes explain.
    Unsettled(String),
    /// A difference that they do not explain.
    Differs(String),
}

/// Runs the check.
pub fn check(report: &mut ConformanceReport, feed: &mut Feed<'_>, export: &Export<'_>, first: &Taken) {
    match replay(feed, export, first) {
        Ok(Replay::Nothing) => report.skip(
            &FEED_REPLAY,
            "nothing changed meanwhile: make changes while this runs, or have it make some with --writes",
        ),
        Ok(Replay::TooMuch) => report.skip(&FEED_REPLAY, format!("more than {REPLAYED_MAX} changes")),
        Ok(Replay::Same(count, 0)) => report.pass(&FEED_REPLAY, format!("{count} changes were replayed")),
        Ok(Replay::Same(count, left_out)) => report.pass(
            &FEED_REPLAY,
            format!(
                "{count} changes were replayed; customers left out because they changed again: {left_out}"
            ),
        ),
        Ok(Replay::Unsettled(what)) => report.skip(
            &FEED_REPLAY,
            format!(
                "the origin was written to all the while, and later changes may explain what differs: {what}"
            ),
        ),
        Ok(Replay::Differs(what)) => report.fail(&FEED_REPLAY, what),
        Err(error) => report.fail(&FEED_REPLAY, format!("{error:#}")),
    }
}

/// A comparison that found differences, kept until later changes are known.
struct Open {
    seq: u64,
    replayed: usize,
    outcome: Compared,
}

/// How the replayed export differs from the new one.
enum Compared {
    /// Records differ.
    Records(Differences),
    /// The changes cannot be applied to the first export.
    Refused(String),
}

fn replay(feed: &mut Feed<'_>, export: &Export<'_>, first: &Taken) -> Result<Replay> {
    let mut changes: Vec<Change> = Vec::new();
    let mut open: Option<Open> = None;
    for attempt in 0..=ATTEMPTS_MAX {
        let next = export.take_again().map_err(Error::msg)?;
        let to = next.head.seq;
        if to <= first.head.seq {
            return Ok(Replay::Nothing);
        }
        if let Some(problem) = read_on(feed, &mut changes, first.head.seq, to)? {
            return Ok(problem);
        }
        if let Some(open) = open.take() {
            let later: Vec<_> = changes.iter().filter(|change| change.seq > open.seq).collect();
            match (explanation(&open.outcome, &later), attempt == ATTEMPTS_MAX) {
                (Explained::Not, _) => return Ok(Replay::Differs(describe(&open.outcome))),
                (Explained::Customers(count), true) => return Ok(Replay::Same(open.replayed, count)),
                (Explained::Perhaps, true) => return Ok(Replay::Unsettled(describe(&open.outcome))),
                (Explained::Customers(_) | Explained::Perhaps, false) => {}
            }
        }
        let upto: Vec<_> = changes.iter().filter(|change| change.seq <= to).cloned().collect();
        match compare(export, first, &upto, &next)? {
            None => return Ok(Replay::Same(upto.len(), 0)),
            Some(outcome) => open = Some(Open { seq: to, replayed: upto.len(), outcome }),
        }
    }
    Ok(Replay::Nothing)
}

/// Reads more changes, at least up to `to`. Returns a result if that ends the replay.
fn read_on(feed: &mut Feed<'_>, changes: &mut Vec<Change>, from: u64, to: u64) -> Result<Option<Replay>> {
    loop {
        let after = changes.last().map_or(from, |change| change.seq);
        if after >= to {
            return Ok(None);
        }
        let page = feed.changes(after, None).map_err(Error::msg)?;
        if page.last().is_none_or(|last| last.seq <= after) {
            let what = format!("the export has seq {to}, the changes end with {after}");
            return Ok(Some(Replay::Differs(what)));
        }
        changes.extend(page);
        if changes.len() > REPLAYED_MAX {
            return Ok(Some(Replay::TooMuch));
        }
    }
}

/// Applies the changes to the first export and compares the result with a new one.
fn compare(export: &Export<'_>, first: &Taken, changes: &[Change], next: &Taken) -> Result<Option<Compared>> {
    let mut content = Content::built(first.catalogue.clone())?;
    if let Err(error) = content.apply(changes, "change", export.now, &mut Problems::default()) {
        return Ok(Some(Compared::Refused(error.to_string())));
    }
    let delta = content.delta().encode(first.side.version.index.salt())?;
    let replayed = first.with(export.store, content.directory().to_vec(), delta)?;
    Ok(differences(&replayed, next)?.map(Compared::Records))
}

/// Whether later changes explain a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Explained {
    /// They do not.
    Not,
    /// These customers changed again, and nothing else differs.
    Customers(u64),
    /// They changed records that many others are made of.
    Perhaps,
}

fn explanation(outcome: &Compared, later: &[&Change]) -> Explained {
    let touched = Touched::of(later);
    match outcome {
        // A record may refer to one that a later change brings.
        Compared::Refused(_) => {
            if later.is_empty() {
                Explained::Not
            } else {
                Explained::Perhaps
            }
        }
        Compared::Records(differences) => {
            if differences.customers.iter().any(|key| !touched.customers.contains(key)) {
                Explained::Not
            } else if differences.in_catalogue {
                if touched.catalogue { Explained::Perhaps } else { Explained::Not }
            } else if differences.customers_total > differences.customers.len() as u64 {
                Explained::Perhaps
            } else {
                Explained::Customers(differences.customers_total)
            }
        }
    }
}

fn describe(outcome: &Compared) -> String {
    match outcome {
        Compared::Refused(error) => format!("the changes cannot be applied to the export: {error}"),
        Compared::Records(differences) => format!("in the new export, {}", differences.text),
    }
}

/// The records that changes name.
#[derive(Default)]
struct Touched {
    customers: BTreeSet<EntryKey>,
    /// Whether they name other records: a package or a licence is part of other items' records too.
    catalogue: bool,
}

impl Touched {
    fn of(changes: &[&Change]) -> Self {
        let mut touched = Self::default();
        let put = changes.iter().flat_map(|change| change.put.iter().map(Record::name));
        let removed = changes.iter().flat_map(|change| change.remove.iter().cloned());
        for name in put.chain(removed) {
            match name {
                Removal::Customer { namespace, subject } => {
                    touched.customers.insert(EntryKey::customer(&namespace, &subject));
                }
                _ => touched.catalogue = true,
            }
        }
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(line: &str) -> Change {
        serde_json::from_str(line).unwrap()
    }

    fn differs(customers: &[&str], in_catalogue: bool) -> Compared {
        let customers: Vec<_> =
            customers.iter().map(|subject| EntryKey::customer("vendor", subject)).collect();
        let customers_total = customers.len() as u64;
        Compared::Records(Differences { text: String::new(), in_catalogue, customers, customers_total })
    }

    #[test]
    fn only_what_changed_again_is_explained() {
        let ada = change(r#"{"seq":9,"remove":[{"type":"customer","namespace":"vendor","subject":"ada"}]}"#);
        let item = change(r#"{"seq":9,"remove":[{"type":"item","id":7}]}"#);
        for (outcome, later, expected) in [
            (differs(&["ada"], false), vec![&ada], Explained::Customers(1)),
            (differs(&["ada"], false), vec![], Explained::Not),
            (differs(&["ada", "bob"], false), vec![&ada], Explained::Not),
            (differs(&["ada"], false), vec![&item], Explained::Not),
            (differs(&[], true), vec![&ada], Explained::Not),
            (differs(&[], true), vec![&item], Explained::Perhaps),
            (differs(&["bob"], true), vec![&item, &ada], Explained::Not),
            (Compared::Refused(String::new()), vec![], Explained::Not),
            (Compared::Refused(String::new()), vec![&ada], Explained::Perhaps),
        ] {
            assert_eq!(explanation(&outcome, &later), expected);
        }
    }
}
