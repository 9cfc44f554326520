//! The delays, as text and as JSON.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use serde::Serialize;

use super::watch::Sighting;

/// What a run has measured.
#[derive(Debug, Serialize)]
pub struct Report {
    marker: String,
    /// Whether a signal ended it before the last round.
    #[serde(rename = "interrupted")]
    pub is_interrupted: bool,
    edges: Vec<OfEdge>,
}

#[derive(Debug, Serialize)]
struct OfEdge {
    url: String,
    revocation: Delays,
    grant: Delays,
}

/// Delays of one kind at one edge, in milliseconds.
#[derive(Debug, Default, Serialize)]
struct Delays {
    seen: usize,
    unseen: usize,
    p50_ms: Option<u64>,
    p99_ms: Option<u64>,
    max_ms: Option<u64>,
    first_p50_ms: Option<u64>,
    /// Older answers after the first that knew.
    relapses: u32,
    /// Answers that said neither.
    odd: u32,
    problem: Option<String>,
    /// Where heads were read, with how often.
    head_from: BTreeMap<String, usize>,
    #[serde(skip)]
    settled: Vec<u64>,
    #[serde(skip)]
    first: Vec<u64>,
}

impl Delays {
    fn add(&mut self, sighting: Sighting) {
        match sighting.settled {
            Some(settled) => self.settled.push(millis(settled)),
            None => self.unseen += 1,
        }
        self.first.extend(sighting.first.map(millis));
        self.seen = self.settled.len();
        self.relapses += sighting.relapses;
        self.odd += sighting.odd;
        self.problem = sighting.problem.or(self.problem.take());
        if let Some(source) = sighting.head_from {
            *self.head_from.entry(source).or_default() += 1;
        }
        [self.p50_ms, self.p99_ms, self.max_ms] =
            [50, 99, 100].map(|part| percentile(&mut self.settled, part));
        self.first_p50_ms = percentile(&mut self.first, 50);
    }

    fn row(&self, url: &str, change: &str) -> Vec<String> {
        let secs = |ms: Option<u64>| {
            ms.map_or("-".to_owned(), |ms| format!("{:.2} s", Duration::from_millis(ms).as_secs_f64()))
        };
        let sources: Vec<_> = self.head_from.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let seen = format!("{} of {}", self.seen, self.seen + self.unseen);
        let mut row = vec![url.to_owned(), change.to_owned(), seen];
        row.extend([self.p50_ms, self.p99_ms, self.max_ms, self.first_p50_ms].map(secs));
        row.push(if sources.is_empty() { "-".to_owned() } else { sources.join(", ") });
        row
    }
}

impl Report {
    /// An empty report.
    pub fn new(marker: String, urls: &[String]) -> Self {
        let of = |url: &String| OfEdge {
            url: url.clone(),
            revocation: Delays::default(),
            grant: Delays::default(),
        };
        Self { marker, is_interrupted: false, edges: urls.iter().map(of).collect() }
    }

    /// Adds what each edge has seen of one change.
    pub fn add(&mut self, is_granted: bool, seen: Vec<Sighting>) {
        for (edge, sighting) in self.edges.iter_mut().zip(seen) {
            let delays = if is_granted { &mut edge.grant } else { &mut edge.revocation };
            delays.add(sighting);
        }
    }

    /// Whether every edge has seen every change.
    pub fn is_complete(&self) -> bool {
        self.edges.iter().all(|edge| edge.revocation.unseen + edge.grant.unseen == 0)
    }

    /// Prints it.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn print(&self, as_json: bool) -> Result<()> {
        if as_json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        println!("Marker: {}. It is as it was before.", self.marker);
        let head =
            ["edge", "change", "seen", "p50", "p99", "max", "first, p50", "head from"].map(str::to_owned);
        let mut rows = vec![head.to_vec()];
        for edge in &self.edges {
            rows.push(edge.revocation.row(&edge.url, "revocation"));
            rows.push(edge.grant.row(&edge.url, "grant"));
        }
        print!("{}", aligned(&rows));
        for edge in &self.edges {
            for delays in [&edge.revocation, &edge.grant] {
                if let Some(problem) = &delays.problem {
                    eprintln!("{}: {} answers said neither, the last one {problem}", edge.url, delays.odd);
                }
            }
        }
        if self.is_interrupted {
            eprintln!("interrupted: the figures are of the rounds until then");
        }
        Ok(())
    }
}

/// A line about one change, while the command runs.
pub fn progress(round: u32, rounds: u32, is_granted: bool, seen: &[Sighting]) -> String {
    let change = if is_granted { "grant" } else { "revocation" };
    let delays: Vec<_> = seen
        .iter()
        .map(|sighting| match sighting.settled {
            Some(settled) => format!("{:.2} s", settled.as_secs_f64()),
            None => "not seen".to_owned(),
        })
        .collect();
    format!("round {round} of {rounds}, {change}: {}", delays.join(", "))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The value that `percent` of all do not exceed. Sorts them.
fn percentile(values: &mut [u64], percent: usize) -> Option<u64> {
    values.sort_unstable();
    let at = (values.len() * percent).div_ceil(100);
    values.get(at.saturating_sub(1)).copied()
}

/// Columns of equal width.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_summed_up_and_an_edge_that_saw_nothing_is_said() {
        let mut report =
            Report::new("m".to_owned(), &["https://a.example".to_owned(), "https://b.example".to_owned()]);
        for ms in [400, 100, 200, 300] {
            let settled = Some(Duration::from_millis(ms));
            let seen = Sighting {
                first: settled,
                settled,
                head_from: Some("lane".to_owned()),
                ..Sighting::default()
            };
            let unseen = Sighting { odd: 2, problem: Some("503".to_owned()), ..Sighting::default() };
            report.add(false, vec![seen, unseen]);
        }
        assert!(!report.is_complete());
        let json = serde_json::to_value(&report).unwrap();
        let [a, b] = [0, 1].map(|at| &json["edges"][at]["revocation"]);
        assert_eq!([&a["p50_ms"], &a["p99_ms"], &a["max_ms"], &a["seen"]], [200, 400, 400, 4]);
        assert_eq!(a["head_from"]["lane"], 4);
        assert_eq!(
            (&b["unseen"], &b["odd"], &b["problem"], &b["p50_ms"]),
            (&4.into(), &8.into(), &"503".into(), &serde_json::Value::Null)
        );
        let text = aligned(&[report.edges[0].revocation.row("u", "revocation")]);
        assert_eq!(text, "u  revocation  4 of 4  0.20 s  0.40 s  0.40 s  0.20 s  lane 4\n");
    }

    #[test]
    fn percentiles_of_few_values() {
        assert_eq!((percentile(&mut [], 50), percentile(&mut [7], 99)), (None, Some(7)));
        assert_eq!(
            [50, 99, 100].map(|part| percentile(&mut [3, 1, 2, 4], part)),
            [Some(2), Some(4), Some(4)]
        );
    }
}
