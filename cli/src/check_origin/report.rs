//! The findings of `admit check-origin`, as text and as JSON.

use std::fmt;

use serde::Serialize;

use super::checks::{ALL, Check};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// As expected.
    Pass,
    /// The edge copes with it; other clients may not.
    Warn,
    /// Not as expected.
    Fail,
    /// Could not be determined, or was not requested.
    Skip,
}

/// The finding of one check.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The check's name for programs.
    pub id: &'static str,
    /// The check's name for people.
    pub name: &'static str,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// The answer that is expected.
    pub expected: &'static str,
    /// What this origin answered, or why the check was skipped.
    pub found: String,
    /// What to change at the origin, for failures and warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<&'static str>,
}

/// All findings.
#[derive(Debug, Serialize)]
pub struct ConformanceReport {
    /// The origin's URL.
    pub origin: String,
    /// Whether no check failed.
    pub conforms: bool,
    /// How many checks passed.
    pub passed: usize,
    /// How many passed with a warning.
    pub warned: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were skipped.
    pub skipped: usize,
    /// The findings, in the order of the table.
    pub checks: Vec<Finding>,
}

impl ConformanceReport {
    /// An empty report.
    pub fn new(origin: &str) -> Self {
        let origin = origin.to_owned();
        Self { origin, conforms: true, passed: 0, warned: 0, failed: 0, skipped: 0, checks: Vec::new() }
    }

    /// The check passed.
    pub fn pass(&mut self, check: &Check, found: impl Into<String>) {
        self.add(check, CheckOutcome::Pass, found.into());
    }

    /// The check passed, but something about it is worth a change.
    pub fn warn(&mut self, check: &Check, found: impl Into<String>) {
        self.add(check, CheckOutcome::Warn, found.into());
    }

    /// The check failed.
    pub fn fail(&mut self, check: &Check, found: impl Into<String>) {
        self.add(check, CheckOutcome::Fail, found.into());
    }

    /// Fails the check if there is a problem; otherwise it passes and found `well`.
    pub fn judge(&mut self, check: &Check, problem: Option<String>, well: impl Into<String>) {
        match problem {
            Some(problem) => self.fail(check, problem),
            None => self.pass(check, well),
        }
    }

    /// The check was not made.
    pub fn skip(&mut self, check: &Check, why: impl Into<String>) {
        self.add(check, CheckOutcome::Skip, why.into());
    }

    /// Whether a check has failed.
    pub fn has_failed(&self, id: &str) -> bool {
        self.checks.iter().any(|finding| finding.id == id && finding.outcome == CheckOutcome::Fail)
    }

    /// Skips every check whose id begins with `prefix` and that has no finding yet.
    pub fn skip_rest(&mut self, prefix: &str, why: &str) {
        for check in ALL.iter().filter(|check| check.id.starts_with(prefix)) {
            if !self.checks.iter().any(|finding| finding.id == check.id) {
                self.skip(check, why);
            }
        }
    }

    /// Skips the checks that are left, counts, and sorts the findings.
    pub fn finish(&mut self) {
        self.skip_rest("", "not reached: something that it needs failed");
        let place = |finding: &Finding| ALL.iter().position(|check| check.id == finding.id);
        self.checks.sort_by_key(place);
        let count = |outcome| self.checks.iter().filter(|finding| finding.outcome == outcome).count();
        (self.passed, self.warned) = (count(CheckOutcome::Pass), count(CheckOutcome::Warn));
        (self.failed, self.skipped) = (count(CheckOutcome::Fail), count(CheckOutcome::Skip));
        self.conforms = self.failed == 0;
    }

    fn add(&mut self, check: &Check, outcome: CheckOutcome, found: String) {
        let change = matches!(outcome, CheckOutcome::Fail | CheckOutcome::Warn).then_some(check.change);
        let Check { id, name, expected, .. } = *check;
        self.checks.push(Finding { id, name, outcome, expected, found, change });
    }
}

impl Finding {
    /// Whether both were skipped for the same reason and belong to the same group.
    fn is_skipped_like(&self, other: &Self) -> bool {
        let are_skipped = self.outcome == CheckOutcome::Skip && other.outcome == CheckOutcome::Skip;
        are_skipped && self.found == other.found && group(self.id) == group(other.id)
    }
}

/// The part of an id before the dot.
fn group(id: &str) -> &str {
    id.split_once('.').map_or(id, |(group, _)| group)
}

impl fmt::Display for ConformanceReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = ALL.iter().map(|check| check.id.len()).max().unwrap_or_default();
        // Checks that were skipped for one reason share a line.
        for findings in self.checks.chunk_by(Finding::is_skipped_like) {
            let Some(Finding { id, name, outcome, expected, found, change }) = findings.first() else {
                continue;
            };
            let outcome = match outcome {
                CheckOutcome::Pass => "pass",
                CheckOutcome::Warn => "warn",
                CheckOutcome::Fail => "FAIL",
                CheckOutcome::Skip => "skip",
            };
            match change {
                None if findings.len() > 1 => {
                    let group = format!("{}.* ({})", group(id), findings.len());
                    writeln!(formatter, "{outcome}  {group:<width$}  {found}")?;
                }
                None => writeln!(formatter, "{outcome}  {id:<width$}  {name}: {found}")?,
                Some(change) => {
                    writeln!(formatter, "{outcome}  {id:<width$}  {name}")?;
                    for (label, text) in [("expected", *expected), ("found", found), ("change", change)] {
                        writeln!(formatter, "      {label:<width$}  {text}")?;
                    }
                }
            }
        }
        let Self { origin, passed, warned, failed, skipped, .. } = self;
        let warned = if *warned == 0 { String::new() } else { format!("{warned} with a warning, ") };
        writeln!(formatter, "{origin}: {passed} passed, {warned}{failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_origin::checks;

    #[test]
    fn failures_say_what_to_change_and_nothing_is_left_out() {
        let mut report = ConformanceReport::new("https://o.example");
        report.fail(&checks::FEED_AHEAD, "200");
        report.pass(&checks::EXPORT_ANSWER, "200");
        report.skip_rest("feed.", "no feed");
        report.finish();
        assert_eq!(report.checks.len(), ALL.len());
        assert_eq!((report.passed, report.failed, report.conforms), (1, 1, false));
        let text = report.to_string();
        assert!(text.starts_with("pass  export.answer"), "{text}");
        assert!(text.contains("skip  feed.* (6)") && text.contains("  no feed\n"), "{text}");
        assert!(text.contains("FAIL  feed.ahead") && text.contains(checks::FEED_AHEAD.change), "{text}");
        assert!(text.ends_with(&format!("1 passed, 1 failed, {} skipped\n", ALL.len() - 2)), "{text}");
    }
}
