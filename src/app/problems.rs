//! Repeated problems, for the log: the first time at once, repetitions as one line with a count.

use crate::{
    limits::{PROBLEM_REPEATS_MS, PROBLEMS_MAX},
    ports::UpstreamError,
};

/// Why a server could not be used, or its answer was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Problems of one kind are counted together: the text may name a value that differs each time.
    kind: String,
    /// What the log says.
    pub text: String,
}

impl From<&UpstreamError> for Problem {
    fn from(error: &UpstreamError) -> Self {
        let text = error.to_string();
        Self { kind: text.clone(), text }
    }
}

impl Problem {
    /// Problems of one `kind` are counted together, whatever their texts.
    pub fn new(kind: &str, text: String) -> Self {
        Self { kind: kind.to_owned(), text }
    }
}

/// The problems of late.
#[derive(Debug, Default)]
pub struct Problems(Vec<Counted>);

#[derive(Debug)]
struct Counted {
    kind: String,
    logged_at_ms: u64,
    /// How often it has come since it was logged.
    unlogged: u32,
}

impl Problems {
    /// Counts a problem. If it is due for the log, returns how often it came since the last line, this time included.
    pub fn count(&mut self, problem: &Problem, now_ms: u64) -> Option<u32> {
        if let Some(known) = self.0.iter_mut().find(|known| known.kind == problem.kind) {
            known.unlogged = known.unlogged.saturating_add(1);
            if now_ms.saturating_sub(known.logged_at_ms) < PROBLEM_REPEATS_MS {
                return None;
            }
            known.logged_at_ms = now_ms;
            return Some(std::mem::take(&mut known.unlogged));
        }
        if self.0.len() >= PROBLEMS_MAX {
            self.0.remove(0);
        }
        self.0.push(Counted { kind: problem.kind.clone(), logged_at_ms: now_ms, unlogged: 0 });
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str) -> Problem {
        Problem { kind: kind.to_owned(), text: String::new() }
    }

    #[test]
    fn repetitions_are_counted() {
        let mut problems = Problems::default();
        assert_eq!(problems.count(&problem("a"), 1_000), Some(1));
        for _ in 0..500 {
            assert_eq!(problems.count(&problem("a"), 1_000 + PROBLEM_REPEATS_MS - 1), None);
        }
        assert_eq!(problems.count(&problem("b"), 1_001), Some(1), "another is logged at once");
        assert_eq!(problems.count(&problem("a"), 1_000 + PROBLEM_REPEATS_MS), Some(501));
        assert_eq!(problems.count(&problem("a"), 1_001 + PROBLEM_REPEATS_MS), None);
        for kind in 0..1_000 {
            problems.count(&problem(&kind.to_string()), 1_000);
        }
        assert_eq!(problems.0.len(), PROBLEMS_MAX);
    }
}
