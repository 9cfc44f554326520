//! How the cost of a check grows: what is made larger, and the table of what that costs.

use super::{
    super::numbers::count,
    report::{Outcome, micros, number, ratio, table},
};

/// What is made larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Tokens in turn.
    Tokens,
    /// Customers in the snapshot, over whom as many tokens lie each time.
    Customers,
}

impl Axis {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Customers];

    /// In the names of scenarios.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Customers => "customers",
        }
    }

    /// For people.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Tokens => "How the cost grows with tokens in turn",
            Self::Customers => "How the cost grows with customers, over whom the same number of tokens lies",
        }
    }
}

/// A point: how many, and what that came to.
pub fn points(outcomes: &[Outcome], axis: Axis) -> Vec<(u64, &Outcome)> {
    let points = outcomes.iter().filter_map(|outcome| {
        let (own, count) = outcome.growth?;
        (own == axis).then_some((count, outcome))
    });
    let mut points: Vec<_> = points.collect();
    points.sort_by_key(|(count, _)| *count);
    points
}

/// CPU time of an answer of `subject`, in microseconds.
pub fn cpu_micros(outcome: &Outcome, subject: &str) -> Option<f64> {
    number(outcome.row(subject)?, &["cpu_micros"])
}

/// A section for each axis that was measured, in so many turns of each subject.
pub fn markdown(outcomes: &[Outcome], turns: u64) -> String {
    let sections = Axis::ALL.into_iter().filter_map(|axis| {
        let points = points(outcomes, axis);
        if points.is_empty() {
            return None;
        }
        let head = [axis.name(), "floor", "Admit", "JS by hand", "floor / Admit", "floor / JS by hand"];
        let rows = points.into_iter().map(|(size, outcome)| {
            let micros = |subject| cpu_micros(outcome, subject).map_or_else(String::new, micros);
            let ratio =
                |subject| outcome.row(subject).map_or_else(String::new, |row| ratio(row, "cpu_ratio"));
            let times = ["floor", "admit", "plain-cached"].map(micros);
            [count(size)].into_iter().chain(times).chain(["admit", "plain-cached"].map(ratio)).collect()
        });
        let table = table(&head.map(str::to_owned), &rows.collect::<Vec<Vec<_>>>());
        let (about, name) = (axis.about(), axis.name());
        Some(format!(
            "\n#### {about}\n\n`growth-{name}-N`: CPU time of a check, the median of {turns} turns.\n\n{table}"
        ))
    });
    sections.collect()
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// A point at which Admit takes so many microseconds.
    pub fn point(axis: Axis, size: u64, admit: f64) -> Outcome {
        let row = |name: &str, micros: f64| {
            let ratio = json!({ "median": 30.0 / micros, "low": 0.5, "high": 1.0, "error": 0.02 });
            json!({ "name": name, "cpu_micros": micros, "cpu_ratio": ratio })
        };
        let measured = json!([row("floor", 30.0), row("admit", admit), row("plain-cached", 60.0)]);
        Outcome {
            scenario: format!("growth-{}-{size}", axis.name()),
            about: "",
            growth: Some((axis, size)),
            measured,
        }
    }

    #[test]
    fn a_row_for_each_point_by_its_size() {
        let outcomes = [
            point(Axis::Tokens, 1_000, 40.0),
            point(Axis::Customers, 7, 33.0),
            point(Axis::Tokens, 1, 31.25),
        ];
        let text = markdown(&outcomes, 9);
        let (tokens, customers) = text.split_once("\n#### ").unwrap().1.split_once("\n#### ").unwrap();
        let rows: Vec<_> = tokens.lines().filter(|line| line.starts_with("| 1")).collect();
        assert_eq!(
            rows,
            [
                "| 1 | 30.0 µs | 31.2 µs | 60.0 µs | 0.960 ±0.020 (0.50 to 1.00) | 0.500 ±0.020 (0.50 to 1.00) |",
                "| 1,000 | 30.0 µs | 40.0 µs | 60.0 µs | 0.750 ±0.020 (0.50 to 1.00) | 0.500 ±0.020 (0.50 to 1.00) |",
            ]
        );
        assert!(customers.contains("| 7 | 30.0 µs | 33.0 µs |"), "{customers}");
    }

    #[test]
    fn what_was_not_measured_is_not_there() {
        assert_eq!(markdown(&[], 9), "");
        assert!(!markdown(&[point(Axis::Tokens, 1, 30.0)], 9).contains("customers"));
    }
}
