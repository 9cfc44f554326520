//! What is wrong with lines, and where: bounded, however much is wrong.

use std::{fmt, sync::Arc};

/// Problems that are kept, of errors and of warnings: those of the first lines. More are only counted, so that
/// a file of ten million wrong lines does not fill the memory.
pub const KEPT_MAX: usize = 1_000;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// The line's number, from 1.
    pub line: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: Location,
}

/// Something wrong with a field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, as a path such as `fees[0].amount`; empty when it is the line as a whole.
    pub field: String,
    /// What was found or expected.
    pub message: String,
}

impl Problem {
    pub(in crate::snapshot) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Something wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Which line.
    pub at: Location,
    /// Which field, and what is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, problem: Problem { field, message } } = self;
        if field.is_empty() {
            write!(formatter, "{at}: {message}")
        } else {
            write!(formatter, "{at}: {field}: {message}")
        }
    }
}

/// Problems of one kind: the first in the order of lines, and how many there are in all.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    kept: Vec<LineError>,
    total: u64,
}

impl Listed {
    /// Adds one.
    pub fn push(&mut self, error: LineError) {
        self.total += 1;
        self.kept.push(error);
        if self.kept.len() >= 2 * KEPT_MAX {
            self.settle();
        }
    }

    /// Those that are kept, in the order of their lines once they have been sorted.
    #[must_use]
    pub fn kept(&self) -> &[LineError] {
        &self.kept
    }

    /// How many there are, the forgotten included.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn append(&mut self, mut other: Self) {
        self.total += other.total;
        self.kept.append(&mut other.kept);
        if self.kept.len() >= 2 * KEPT_MAX {
            self.settle();
        }
    }

    /// Sorts by line and forgets what is too much. A stable sort: what is wrong with one line stays in the
    /// order of its fields.
    fn settle(&mut self) {
        self.kept.sort_by(|left, right| left.at.cmp(&right.at));
        self.kept.truncate(KEPT_MAX);
    }
}

/// Everything that is wrong or odd.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// What makes the lines unpublishable.
    pub errors: Listed,
    /// What is odd but harmless.
    pub warnings: Listed,
}

impl Problems {
    /// Adds an error.
    pub fn error(&mut self, at: &Location, problem: Problem) {
        self.errors.push(LineError { at: at.clone(), problem });
    }

    /// Adds a warning.
    pub fn warn(&mut self, at: &Location, problem: Problem) {
        self.warnings.push(LineError { at: at.clone(), problem });
    }

    pub(in crate::snapshot) fn append(&mut self, other: Self) {
        self.errors.append(other.errors);
        self.warnings.append(other.warnings);
    }

    pub(in crate::snapshot) fn settle(&mut self) {
        self.errors.settle();
        self.warnings.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_are_kept_and_all_are_counted() {
        let file: Arc<str> = "f".into();
        let mut problems = Problems::default();
        for line in (1..=5_000).rev() {
            let at = Location { file: Arc::clone(&file), line };
            problems.error(&at, Problem::new("a", "first"));
            problems.error(&at, Problem::new("b", "second"));
        }
        let mut all = Problems::default();
        all.append(problems);
        all.settle();
        assert_eq!(all.errors.total(), 10_000);
        assert_eq!(all.errors.kept().len(), KEPT_MAX);
        let shown: Vec<_> = all.errors.kept().iter().take(3).map(ToString::to_string).collect();
        assert_eq!(shown, ["f:1: a: first", "f:1: b: second", "f:2: a: first"]);
        assert!(all.warnings.is_empty() && !all.errors.is_empty());
    }
}
