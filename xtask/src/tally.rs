//! Runs a test runner, shows its output and counts the results.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result};

use crate::job::Job;

/// How many tests passed, failed, and did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that did not run: ignored or skipped ones.
    pub ignored: usize,
}

impl Tally {
    /// Adds what a line of a runner's output reports: Cargo's `test result:`, Node's `pass`, `fail` and `skipped`.
    fn read(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        if line.starts_with("test result:") {
            let before = |name| {
                let at = words.iter().position(|word| word.trim_end_matches(';') == name)?;
                words.get(at.checked_sub(1)?)?.parse::<usize>().ok()
            };
            self.passed += before("passed").unwrap_or(0);
            self.failed += before("failed").unwrap_or(0);
            self.ignored += before("ignored").unwrap_or(0);
        } else if let ["#" | "ℹ", kind, number] = words.as_slice() {
            let number = number.parse().unwrap_or(0);
            match *kind {
                "pass" => self.passed += number,
                "fail" | "cancelled" => self.failed += number,
                "skipped" | "todo" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// The sum of both.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }
}

/// Runs `command` to its end with its output shown; says whether it succeeded and what it counted.
pub fn run(command: &mut Command) -> Result<(bool, Tally)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut job = Job::spawn(command)?;
    let stdout = job.child().stdout.take().context("a pipe is missing")?;
    let stderr = job.child().stderr.take().context("a pipe is missing")?;
    let out = thread::spawn(move || show(stdout, |line| println!("{line}")));
    let err = thread::spawn(move || show(stderr, |line| eprintln!("{line}")));
    let status = job.wait()?;
    // A thread of ours that panicked has counted nothing.
    let tally =
        [out, err].into_iter().filter_map(|thread| thread.join().ok()).fold(Tally::default(), Tally::plus);
    Ok((status.success(), tally))
}

fn show(pipe: impl Read, print: impl Fn(&str)) -> Tally {
    let mut tally = Tally::default();
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        print(text.trim_end_matches('\n'));
        tally.read(&text);
        line.clear();
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(lines: &str) -> Tally {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn cargo_results_add_up() {
        let text = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(count(text), Tally { passed: 15, failed: 2, ignored: 1 });
    }

    #[test]
    fn node_results_add_up_in_both_formats() {
        assert_eq!(
            count("# tests 9\n# pass 8\n# fail 1\n# cancelled 0"),
            Tally { passed: 8, failed: 1, ignored: 0 }
        );
        let text = "ℹ tests 12\nℹ pass 7\nℹ fail 1\nℹ cancelled 1\nℹ skipped 2\nℹ todo 1";
        assert_eq!(count(text), Tally { passed: 7, failed: 2, ignored: 3 });
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(count("test a ... ok\n# pass\nℹ pass x\n# Subtest: pass 3"), Tally::default());
    }
}
