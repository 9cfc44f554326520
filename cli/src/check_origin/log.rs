//! What is looked at in many answers, and reported once.

use super::{checks::Check, report::Report};

/// Problems that are shown.
const SHOWN_MAX: usize = 3;

/// How much was looked at, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Log {
    seen: usize,
    problems: Vec<String>,
    more: usize,
    oddity: Option<String>,
}

impl Log {
    /// So much more was looked at.
    pub const fn seen(&mut self, count: usize) {
        self.seen += count;
    }

    /// Something is wrong.
    pub fn problem(&mut self, problem: String) {
        if self.problems.len() < SHOWN_MAX {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Something will do, but not for everybody. The first of these is kept.
    pub fn oddity(&mut self, oddity: String) {
        self.oddity.get_or_insert(oddity);
    }

    /// Reports all of it as one check.
    pub fn conclude(&self, report: &mut Report, check: &Check, noun: &str, none: &str) {
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
