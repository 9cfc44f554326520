//! The export: requested, read and built as a publisher does it.

use std::{io, path::Path, time::Duration};

use admit_publish::{
    build::{BuildOutcome, ObjectSink},
    diff::compare::compare,
    published::Published,
    source::{Catalogue, Listed, Source, SpillPlan, Strictness},
    store::Store,
};
use admit_snapshot::{
    head::Head,
    index::Tree,
    key::EntryKey,
    object::{ObjectKind, ObjectName},
    time::UnixSecs,
};
use anyhow::Result;
use ureq::http::header;

use super::{
    checks::{
        EXPORT_ACCESS, EXPORT_ANSWER, EXPORT_BUILDS, EXPORT_END, EXPORT_LINES, EXPORT_SNAPSHOT,
        EXPORT_STABLE, EXPORT_TYPE,
    },
    client::{Ask, OriginClient, tells_its_end},
    report::{CheckOutcome, ConformanceReport},
    strangers,
};

/// The longest time that an export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// How much is kept in memory before temporary files are used.
const MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// How many wrong lines a message lists.
const SHOWN_MAX: usize = 5;

/// How many differing customers are kept, for comparison with those that changed again.
const LISTED_MAX: usize = 10_000;

/// How often the export is requested again when its seq has grown meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// Media types for lines of JSON, registered or not.
const TYPES: [&str; 7] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
    "application/octet-stream",
    "text/plain",
];

/// The export, and everything that reading it needs.
pub struct Export<'a> {
    /// Sends the requests.
    pub client: &'a OriginClient,
    /// The URL of the export.
    pub url: &'a str,
    /// The bearer that may read it.
    pub token: Option<&'a str>,
    /// Receives the built objects.
    pub store: &'a Store,
    /// The directory for temporary files.
    pub dir: &'a Path,
    /// The time at which relative times are resolved: the same for all exports that are compared.
    pub now: UnixSecs,
}

/// An export that was read and built.
pub struct Taken {
    /// The head that would be published.
    pub head: Head,
    /// The records that it was built from, without the customers.
    pub catalogue: Catalogue,
    /// The objects that edges would read.
    pub side: Published,
}

impl Export<'_> {
    /// Runs all checks of the export. Returns its content if it can be published.
    pub fn check(&self, report: &mut ConformanceReport) -> Option<Taken> {
        let taken = self.take(report);
        if let Some(taken) = &taken {
            self.check_stable(report, taken);
        }
        report.skip_rest("export.", "the export could not be read");
        taken
    }

    /// Checks that the export needs a token.
    pub fn check_access(&self, report: &mut ConformanceReport) {
        strangers::check(report, &EXPORT_ACCESS, self.client, self.url, self.token);
    }

    /// Requests, reads and builds the export.
    pub fn take(&self, report: &mut ConformanceReport) -> Option<Taken> {
        let response = match self.client.call(Ask::get(self.url).bearer(self.token), EXPORT_TIMEOUT) {
            Ok(response) => response,
            Err(problem) => {
                report.fail(&EXPORT_ANSWER, problem);
                return None;
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if status != 200 {
            let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
            let location = location.map(|to| format!(" to {to}: redirects are not followed"));
            report.fail(&EXPORT_ANSWER, format!("{status}{}", location.unwrap_or_default()));
            return None;
        }
        report.pass(&EXPORT_ANSWER, "200");
        check_type(report, headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()));
        let plan = SpillPlan { dir: self.dir.to_owned(), memory_bytes: MEMORY_BYTES };
        let mut source = Source::new(self.now, Strictness::Refuse, plan);
        let outcome = source.read("export", response.into_body().into_reader());
        if let Err(error) = outcome {
            report.fail(&EXPORT_END, format!("it breaks off: {error}"));
            return None;
        }
        if tells_its_end(&headers) {
            report.pass(&EXPORT_END, "it can");
        } else {
            report.fail(&EXPORT_END, "neither Content-Length nor chunks");
        }
        self.build(report, source)
    }

    fn build(&self, report: &mut ConformanceReport, source: Source) -> Option<Taken> {
        let is_readable = source.problems.errors.is_empty();
        report.judge(&EXPORT_LINES, listed(&source.problems.errors), "all");
        let snapshot = source.catalogue.snapshot.as_ref().map(|line| &line.value);
        let seq = snapshot.map(|line| line.seq);
        let as_of = snapshot.and_then(|line| line.as_of).map_or(self.now, |as_of| as_of.resolve(self.now));
        match seq {
            Some(seq) => report.pass(&EXPORT_SNAPSHOT, format!("seq {seq}")),
            // The unreadable line may be the one with the seq.
            None if !is_readable => report.skip(&EXPORT_SNAPSHOT, "not all lines can be read"),
            None => report.fail(&EXPORT_SNAPSHOT, "no line of the type snapshot"),
        }
        if !is_readable {
            return None;
        }
        let BuildOutcome { built, problems, catalogue, .. } = match source.build(None, &Scratch(self.store)) {
            Ok(outcome) => outcome,
            Err(error) => {
                report.fail(&EXPORT_BUILDS, error.to_string());
                return None;
            }
        };
        let Some(built) = built else {
            report.fail(&EXPORT_BUILDS, listed(&problems.errors).unwrap_or_default());
            return None;
        };
        if catalogue.merchants.is_empty() {
            report
                .fail(&EXPORT_BUILDS, "no line of the type merchant: publishing it would remove everything");
            return None;
        }
        let warnings = match listed(&problems.warnings) {
            Some(warnings) => format!(", {} warnings: {warnings}", problems.warnings.total()),
            None => String::new(),
        };
        report
            .pass(&EXPORT_BUILDS, format!("{} items, {} customers{warnings}", built.items, built.customers));
        let head = built.head(seq?, as_of);
        match Published::at(self.store, head.clone()) {
            Ok(side) => Some(Taken { head, catalogue, side }),
            Err(error) => {
                report.fail(&EXPORT_BUILDS, format!("{error:#}"));
                None
            }
        }
    }

    fn check_stable(&self, report: &mut ConformanceReport, first: &Taken) {
        let mut before: Option<Taken> = None;
        for _ in 0..ATTEMPTS_MAX {
            let after = match self.take_again() {
                Ok(after) => after,
                Err(problem) => return report.fail(&EXPORT_STABLE, format!("the second time: {problem}")),
            };
            let reference = before.as_ref().unwrap_or(first);
            if after.head.seq == reference.head.seq {
                return match differences(reference, &after) {
                    Ok(differences) => {
                        report.judge(
                            &EXPORT_STABLE,
                            differences.map(|differences| differences.text),
                            "it is",
                        );
                    }
                    Err(error) => report.fail(&EXPORT_STABLE, format!("{error:#}")),
                };
            }
            if after.head.seq < reference.head.seq {
                let (was, is) = (reference.head.seq, after.head.seq);
                return report.fail(&EXPORT_STABLE, format!("seq fell from {was} to {is}"));
            }
            before = Some(after);
        }
        report.skip(&EXPORT_STABLE, "the origin's data changed each time: ask it while it is not written to");
    }

    /// Requests the export again. The error is the problem that it has this time.
    ///
    /// # Errors
    /// The finding of the check that failed.
    pub fn take_again(&self) -> Result<Taken, String> {
        let mut report = ConformanceReport::new(self.url);
        self.take(&mut report).ok_or_else(|| {
            let failed = report.checks.into_iter().find(|finding| finding.outcome == CheckOutcome::Fail);
            failed.map_or_else(
                || "no export".to_owned(),
                |finding| format!("{}: {}", finding.id, finding.found),
            )
        })
    }
}

fn check_type(report: &mut ConformanceReport, content_type: Option<&str>) {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let is_known = TYPES.iter().any(|known| known.eq_ignore_ascii_case(essence));
    let problem = (!is_known).then(|| content_type.map_or("no Content-Type".to_owned(), str::to_owned));
    report.judge(&EXPORT_TYPE, problem, essence);
}

/// The first problems as text, if there are any.
fn listed(problems: &Listed) -> Option<String> {
    if problems.is_empty() {
        return None;
    }
    let kept = problems.kept();
    let mut shown: Vec<_> = kept.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    let more = problems.total().saturating_sub(shown.len() as u64);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    Some(shown.join("; "))
}

/// Records that edges would read differently in two snapshots.
#[derive(Debug)]
pub struct Differences {
    /// A summary for people.
    pub text: String,
    /// Whether items, merchants, apps, clients or licences differ.
    pub in_catalogue: bool,
    /// The keys of differing customers, at most [`LISTED_MAX`].
    pub customers: Vec<EntryKey>,
    /// How many customers differ.
    pub customers_total: u64,
}

/// Compares what edges would read in two snapshots. `None` if nothing differs.
///
/// # Errors
/// A temporary file cannot be read.
pub fn differences(before: &Taken, after: &Taken) -> Result<Option<Differences>> {
    let mut texts = Vec::new();
    if before.head.directory != after.head.directory {
        texts.push("merchants, apps, clients or licences differ".to_owned());
    }
    let (mut in_catalogue, mut customers, mut customers_total) = (!texts.is_empty(), Vec::new(), 0);
    for (tree, noun) in [(Tree::Customers, "customer"), (Tree::Items, "item")] {
        let report = compare(tree, &before.side, &after.side, LISTED_MAX)?;
        let total = report.added + report.removed + report.changed;
        if total == 0 {
            continue;
        }
        let ids: Vec<_> = report.changes.iter().take(SHOWN_MAX).map(|change| change.id.to_string()).collect();
        let (added, removed, changed) = (report.added, report.removed, report.changed);
        texts.push(format!(
            "{noun}s: {changed} differ, {added} were added, {removed} were removed; the first: {noun} {}",
            ids.join(", ")
        ));
        if tree == Tree::Customers {
            customers = report.changes.iter().map(|change| change.key).collect();
            customers_total = total;
        } else {
            in_catalogue = true;
        }
    }
    let text = texts.join("; ");
    Ok((!text.is_empty()).then_some(Differences { text, in_catalogue, customers, customers_total }))
}

/// A destination for built objects that lives for this run.
pub struct Scratch<'a>(pub &'a Store);

impl ObjectSink for Scratch<'_> {
    fn store(&self, name: ObjectName, object: Vec<u8>) -> io::Result<()> {
        self.0.put_objects(&[(name, object)]).map_err(io::Error::other)
    }
}

impl Taken {
    /// The same objects with another directory, and a delta of the changes since the shards were
    /// written.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    pub fn with(&self, store: &Store, directory: Vec<u8>, delta: Option<Vec<u8>>) -> Result<Self> {
        let put = |kind, object: Vec<u8>| -> Result<_> {
            let name = ObjectName::of(kind, &object);
            store.put_objects(&[(name, object)])?;
            Ok(name.digest)
        };
        let directory = put(ObjectKind::Directory, directory)?;
        let delta = delta.map(|delta| put(ObjectKind::Delta, delta)).transpose()?;
        let head = Head { directory, delta, ..self.head.clone() };
        Ok(Self { side: Published::at(store, head.clone())?, head, catalogue: self.catalogue.clone() })
    }
}
