//! Tables for people, JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    super::{machine::Machine, numbers::count},
    growth::{self, Axis},
    peers::SUBJECTS,
    scenarios::{COLD, Scale},
    targets,
};

/// What came of a scenario.
pub struct Outcome {
    /// Its name.
    pub scenario: String,
    /// For people.
    pub about: &'static str,
    /// Of which growth it is a point.
    pub growth: Option<(Axis, u64)>,
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
        if scale.is_a_first_look {
            out += "\nA first look: so few turns say which is faster where it is clear, and no more. The run without \
                    `--quick` takes ten times as many.\n";
        }
        let targets = targets::rows(self);
        if !targets.is_empty() {
            let head = ["", "by requests/s", "by CPU time", "to reach"].map(str::to_owned);
            let _infallible = write!(out, "\n{}", table(&head, &targets));
        }
        for outcome in self.outcomes.iter().filter(|outcome| outcome.growth.is_none()) {
            let _infallible = write!(out, "\n#### {}\n\n`{}`", outcome.about, outcome.scenario);
            if let Some(mix) = outcome.mix() {
                let _infallible = write!(out, ": {mix}");
            }
            out += "\n\n";
            out += &if outcome.scenario == COLD { outcome.cold_table() } else { outcome.table() };
        }
        out + &growth::markdown(&self.outcomes, scale.growth_rounds)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let outcomes = self.outcomes.iter().map(|outcome| {
            let growth = outcome.growth.map(|(axis, size)| json!({ "by": axis.name(), "size": size }));
            json!({ "scenario": outcome.scenario, "about": outcome.about, "growth": growth,
                "subjects": outcome.measured })
        });
        let outcomes = outcomes.collect::<Vec<_>>();
        json!({ "command": self.command, "machine": self.machine.json(), "customers": self.scale.customers,
            "scenarios": outcomes })
    }

    /// A figure of a subject in a scenario.
    pub fn figure(&self, scenario: &str, subject: &str, path: &[&str]) -> Option<f64> {
        let outcome = self.outcomes.iter().find(|outcome| outcome.scenario == scenario)?;
        number(outcome.row(subject)?, path)
    }

    fn accuracy(&self) -> Option<String> {
        let off: Vec<_> = self.outcomes.iter().filter_map(Outcome::off).collect();
        let widest = |of: fn(&(f64, f64)) -> f64| off.iter().map(of).fold(0.0, f64::max) * 100.0;
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

    /// How far equals came out apart in a scenario, as a share.
    pub fn unsure(&self, scenario: &str) -> f64 {
        let outcome = self.outcomes.iter().find(|outcome| outcome.scenario == scenario);
        outcome.and_then(Outcome::off).map_or(0.0, |(by_rate, by_cpu)| by_rate.max(by_cpu))
    }
}

impl Outcome {
    fn rows(&self) -> impl Iterator<Item = &Value> {
        self.measured.as_array().into_iter().flatten()
    }

    /// The figures of a subject.
    pub fn row(&self, subject: &str) -> Option<&Value> {
        self.rows().find(|row| name(row) == subject)
    }

    /// How far the floor's duplicate came out from it, as a share, by requests/s and by CPU time.
    fn off(&self) -> Option<(f64, f64)> {
        let again = self.row("floor again")?;
        let off = |kind| Some((number(again, &[kind, "median"])? - 1.0).abs());
        Some((off("rate_ratio")?, off("cpu_ratio")?))
    }

    /// What was asked, where it is not all the same: shares by the status that was right, of Admit's answers.
    fn mix(&self) -> Option<String> {
        let by_status = self.row("admit")?.get("by_status")?.as_object().filter(|it| it.len() > 1)?;
        let counts: Vec<_> =
            by_status.iter().filter_map(|(status, count)| Some((status, count.as_f64()?))).collect();
        let sum: f64 = counts.iter().map(|(_, count)| count).sum();
        let shares = counts.iter().map(|(status, count)| format!("{:.1} % {status}", count / sum * 100.0));
        Some(shares.collect::<Vec<_>>().join(", "))
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

/// A figure of a row.
pub fn number(row: &Value, path: &[&str]) -> Option<f64> {
    path.iter().try_fold(row, |value, name| value.get(name))?.as_f64()
}

/// A ratio with its spread, for people.
pub fn ratio(row: &Value, kind: &str) -> String {
    let figure = |name: &str| number(row, &[kind, name]);
    match (figure("median"), figure("error"), figure("low"), figure("high")) {
        (Some(median), Some(error), Some(low), Some(high)) => {
            format!("{median:.3} ±{error:.3} ({low:.2} to {high:.2})")
        }
        _ => String::new(),
    }
}

/// Microseconds, for people.
pub fn micros(value: f64) -> String {
    if value < 9_995.0 { format!("{value:.1} µs") } else { format!("{:.1} ms", value / 1e3) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people to read")]
fn whole(value: f64) -> String {
    count(value.round().max(0.0) as u64)
}

/// A table in Markdown, the numbers to the right.
pub fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let mut out =
        format!("| {} |\n| --- |{}\n", head.join(" | "), " ---: |".repeat(head.len().saturating_sub(1)));
    for row in rows {
        let _infallible = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A run of one scenario in which Admit came to so much, and the floor's duplicate to that.
    pub fn report(admit: f64, again: f64) -> Report {
        let ratio = |median: f64| json!({ "median": median, "low": median, "high": median, "error": 0.01 });
        let row = |name: &str, value: f64| {
            json!({ "name": name, "per_second": 1_000.0, "cpu_micros": 30.0, "p50_micros": 500.0,
                "p99_micros": 900.0, "rate_ratio": ratio(value), "cpu_ratio": ratio(value),
                "by_status": { "200": 940, "201": 10, "402": 50 } })
        };
        let measured =
            json!([row("floor", 1.0), row("floor again", again), row("admit", admit), row("hono", 0.25)]);
        let outcomes = vec![Outcome { scenario: "hot".to_owned(), about: "Hot", growth: None, measured }];
        Report { command: "x".to_owned(), machine: Machine::here(), scale: Scale::FULL, outcomes }
    }

    #[test]
    fn the_duplicate_says_how_sure_the_run_is() {
        assert!(report(1.0, 0.97).markdown().contains("within 3.0 % of it"));
        assert!(report(1.0, 1.04).markdown().contains("within 4.0 % of it"));
        assert!((report(1.0, 0.97).unsure("hot") - 0.03).abs() < 1e-9);
    }

    #[test]
    fn a_first_look_says_that_it_is_one() {
        let mut report = report(1.0, 1.0);
        assert!(!report.markdown().contains("first look"));
        report.scale = Scale::QUICK;
        assert!(report.markdown().contains("first look"));
    }

    #[test]
    fn a_mix_is_told() {
        assert!(report(1.0, 1.0).markdown().contains("`hot`: 94.0 % 200, 1.0 % 201, 5.0 % 402\n"));
    }

    #[test]
    fn points_of_growth_have_one_table() {
        let mut report = report(1.0, 1.0);
        report.outcomes.push(growth::tests::point(Axis::Tokens, 10, 40.0));
        let text = report.markdown();
        assert!(
            text.contains("| 10 | 30.0 µs | 40.0 µs |") && !text.contains("`growth-tokens-10`"),
            "{text}"
        );
    }
}
