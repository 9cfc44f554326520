//! Tables for people, JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    super::{machine::Machine, numbers::count},
    peers::SUBJECTS,
    scenarios::{COLD, Scale},
};

/// What came of a scenario.
pub struct Outcome {
    /// Its name.
    pub scenario: &'static str,
    /// For people.
    pub about: &'static str,
    /// A list of subjects with their figures, as the load gives it.
    pub measured: Value,
}

/// What a run measured.
pub struct Report {
    /// The command that measures it again.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// How much of everything.
    pub scale: Scale,
    /// What.
    pub outcomes: Vec<Outcome>,
}

/// A target: that a subject's figure in a scenario is so many times another's.
struct Target {
    what: &'static str,
    scenario: &'static str,
    against: &'static str,
    is_time: bool,
    least: f64,
}

const TARGETS: [Target; 7] = [
    Target {
        what: "cached check / floor that reads the same",
        scenario: "hot",
        against: "floor",
        is_time: false,
        least: 0.95,
    },
    Target {
        what: "cached check / JS by hand with the same caches",
        scenario: "hot",
        against: "plain-cached",
        is_time: false,
        least: 1.0,
    },
    Target {
        what: "cached check / Hono + jose + KV",
        scenario: "hot",
        against: "hono",
        is_time: false,
        least: 4.5,
    },
    Target {
        what: "new HS256 token / jose with the same caches",
        scenario: "new-hs256",
        against: "plain-cached",
        is_time: false,
        least: 1.5,
    },
    Target {
        what: "new RS256 token / jose with the same caches",
        scenario: "new-rs256",
        against: "plain-cached",
        is_time: false,
        least: 1.3,
    },
    Target {
        what: "new ES256 token / jose with the same caches",
        scenario: "new-es256",
        against: "plain-cached",
        is_time: false,
        least: 1.2,
    },
    Target {
        what: "viewers' first checks, median time: a key per customer / Admit",
        scenario: "first-check",
        against: "hono-cached",
        is_time: true,
        least: 5.0,
    },
];

impl Report {
    /// For people: Markdown that also reads well as it is.
    pub fn markdown(&self) -> String {
        let scale = self.scale;
        let mut out = format!(
            "`{}` on {}. {} customers with 8 grants each; turns of {} ms, {} of them for each subject.\n",
            self.command,
            self.machine.describe(),
            count(scale.customers),
            scale.slice_ms,
            scale.rounds,
        );
        if let Some(line) = self.accuracy() {
            let _infallible = write!(out, "\n{line}\n");
        }
        let targets = self.targets();
        if !targets.is_empty() {
            let head = ["", "by requests/s", "by CPU time", "to reach"].map(str::to_owned);
            let _infallible = write!(out, "\n{}", table(&head, &targets));
        }
        for outcome in &self.outcomes {
            let _infallible = write!(out, "\n#### {}\n\n`{}`\n\n", outcome.about, outcome.scenario);
            out += &if outcome.scenario == COLD { outcome.cold_table() } else { outcome.table() };
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let outcomes = self.outcomes.iter().map(|outcome| {
            json!({ "scenario": outcome.scenario, "about": outcome.about, "subjects": outcome.measured })
        });
        let outcomes = outcomes.collect::<Vec<_>>();
        json!({ "command": self.command, "machine": self.machine.json(), "customers": self.scale.customers,
            "scenarios": outcomes })
    }

    /// A figure of a subject in a scenario.
    pub fn figure(&self, scenario: &str, subject: &str, path: &[&str]) -> Option<f64> {
        let outcome = self.outcomes.iter().find(|outcome| outcome.scenario == scenario)?;
        let row = outcome.rows().find(|row| name(row) == subject)?;
        number(row, path)
    }

    fn accuracy(&self) -> Option<String> {
        let off = self.outcomes.iter().filter_map(|outcome| {
            let again = outcome.rows().find(|row| name(row) == "floor again")?;
            Some((number(again, &["rate_ratio", "median"])?, number(again, &["cpu_ratio", "median"])?))
        });
        let off: Vec<_> = off.collect();
        let widest = |of: fn(&(f64, f64)) -> f64| {
            off.iter().map(|pair| (of(pair) - 1.0).abs()).fold(0.0, f64::max) * 100.0
        };
        (!off.is_empty()).then(|| {
            format!(
                "A duplicate of the floor, driven like any other subject, came out within {:.1} % of it by \
                 requests/s and {:.1} % by CPU time, in the worst of {} scenarios: what is closer is not told apart.",
                widest(|pair| pair.0),
                widest(|pair| pair.1),
                off.len()
            )
        })
    }

    fn targets(&self) -> Vec<Vec<String>> {
        let rows = TARGETS.iter().filter_map(|target| {
            let (by_rate, by_cpu) = if target.is_time {
                let ours = self.figure(target.scenario, "admit", &["p50_micros"])?;
                (self.figure(target.scenario, target.against, &["p50_micros"])? / ours, None)
            } else {
                let ratio = |kind: &str| {
                    let of = |subject: &str| self.figure(target.scenario, subject, &[kind, "median"]);
                    Some(of("admit")? / of(target.against)?)
                };
                (ratio("rate_ratio")?, ratio("cpu_ratio"))
            };
            let mut to_reach = format!("at least {}", target.least);
            if by_cpu.unwrap_or(by_rate).max(by_rate) < target.least {
                to_reach += ": missed";
            }
            Some(vec![
                target.what.to_owned(),
                format!("{by_rate:.2}"),
                by_cpu.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                to_reach,
            ])
        });
        rows.collect()
    }
}

impl Outcome {
    fn rows(&self) -> impl Iterator<Item = &Value> {
        self.measured.as_array().into_iter().flatten()
    }

    fn table(&self) -> String {
        let base = self.rows().next().map_or("", name);
        let head = [
            "subject".to_owned(),
            "requests/s".to_owned(),
            "p50".to_owned(),
            "p99".to_owned(),
            "CPU".to_owned(),
            format!("requests/s by {base}"),
            "by CPU time".to_owned(),
        ];
        let rows = self.rows().map(|row| {
            let figure = |path: &[&str]| number(row, path);
            let micros = |value: Option<f64>| value.map_or_else(String::new, micros);
            vec![
                about(name(row)),
                figure(&["per_second"]).map_or_else(String::new, whole),
                micros(figure(&["p50_micros"])),
                micros(figure(&["p99_micros"])),
                micros(figure(&["cpu_micros"])),
                ratio(row, "rate_ratio"),
                ratio(row, "cpu_ratio"),
            ]
        });
        table(&head, &rows.collect::<Vec<_>>())
    }

    fn cold_table(&self) -> String {
        let head = ["subject", "median", "least", "most", "more than the floor"].map(str::to_owned);
        let rows = self.rows().map(|row| {
            let millis = |name: &str| {
                number(row, &[name]).map_or_else(String::new, |micros| format!("{:.1} ms", micros / 1e3))
            };
            let figures = ["p50_micros", "low_micros", "high_micros", "more_than_floor_micros"].map(millis);
            [about(name(row))].into_iter().chain(figures).collect()
        });
        table(&head, &rows.collect::<Vec<Vec<String>>>())
    }
}

/// What a subject is, for people.
pub fn about(name: &str) -> String {
    if let Some(first) = name.strip_suffix(" again") {
        return format!("{}, a second time", about(first));
    }
    SUBJECTS.iter().find(|subject| subject.name == name).map_or(name, |subject| subject.about).to_owned()
}

fn name(row: &Value) -> &str {
    row.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn number(row: &Value, path: &[&str]) -> Option<f64> {
    path.iter().try_fold(row, |value, name| value.get(name))?.as_f64()
}

fn ratio(row: &Value, kind: &str) -> String {
    let figure = |name: &str| number(row, &[kind, name]);
    match (figure("median"), figure("error"), figure("low"), figure("high")) {
        (Some(median), Some(error), Some(low), Some(high)) => {
            format!("{median:.3} ±{error:.3} ({low:.2} to {high:.2})")
        }
        _ => String::new(),
    }
}

fn micros(value: f64) -> String {
    if value < 9_995.0 { format!("{value:.1} µs") } else { format!("{:.1} ms", value / 1e3) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people to read")]
fn whole(value: f64) -> String {
    count(value.round().max(0.0) as u64)
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let mut out =
        format!("| {} |\n| --- |{}\n", head.join(" | "), " ---: |".repeat(head.len().saturating_sub(1)));
    for row in rows {
        let _infallible = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(admit: f64, again: f64) -> Report {
        let ratio = |median: f64| json!({ "median": median, "low": median, "high": median, "error": 0.01 });
        let row = |name: &str, value: f64| {
            json!({ "name": name, "per_second": 1_000.0, "cpu_micros": 30.0, "p50_micros": 500.0,
                "p99_micros": 900.0, "rate_ratio": ratio(value), "cpu_ratio": ratio(value) })
        };
        let measured = json!([row("floor", 1.0), row("floor again", again), row("admit", admit)]);
        let outcomes = vec![Outcome { scenario: "hot", about: "Hot", measured }];
        Report { command: "x".to_owned(), machine: Machine::here(), scale: Scale::SMOKE, outcomes }
    }

    #[test]
    fn a_target_that_is_missed_is_seen() {
        assert!(!report(0.96, 1.0).markdown().contains("missed"));
        assert!(report(0.94, 1.0).markdown().contains("missed"));
    }

    #[test]
    fn the_duplicate_says_how_sure_the_run_is() {
        assert!(report(1.0, 0.97).markdown().contains("within 3.0 % of it"));
        assert!(report(1.0, 1.04).markdown().contains("within 4.0 % of it"));
    }

    #[test]
    fn every_target_is_of_subjects_that_there_are() {
        for target in &TARGETS {
            assert!(SUBJECTS.iter().any(|subject| subject.name == target.against), "{}", target.against);
        }
    }
}
