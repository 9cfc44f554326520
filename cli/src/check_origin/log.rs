//! Collects findings from many answers, to be reported once as one check.

use super::{checks::Check, report::ConformanceReport};

/// How many problems are shown.
const SHOWN_MAX: usize = 3;

/// How much was looked at, and the problems.
#[derive(Debug, Default)]
pub struct Log {
    seen: usize,
    problems: Vec<String>,
    more: usize,
    oddity: Option<String>,
}

impl Log {
    /// Counts the answers or lines that were looked at.
    pub const fn seen(&mut self, count: usize) {
        self.seen += count;
    }

    /// Records a problem.
    pub fn problem(&mut self, problem: String) {
        if self.problems.len() < SHOWN_MAX {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Records something that works for the edge but not for every client. Only the first is kept.
    pub fn oddity(&mut self, oddity: String) {
        self.oddity.get_or_insert(oddity);
    }

    /// Reports everything as one check.
    pub fn conclude(&self, report: &mut ConformanceReport, check: &Check, noun: &str, none: &str) {
        if self.seen == 0 {
            return report.skip(check, none);
        }
        let mut shown = self.problems.clone();
        if self.more > 0 {
            shown.push(format!("and {} more", self.more));
        }
        match (shown.is_empty(), &self.oddity) {
            (false, _) => report.fail(check, shown.join("; ")),
            (true, Some(oddity)) => report.warn(check, oddity.clone()),
            (true, None) => report.pass(check, format!("{} {noun}", self.seen)),
        }
    }
}
