//! Tables, targets and plots of a run of the load benchmark.

use serde_json::{Value, json};

use super::{
    cold::Cold,
    compiled::Compiled,
    measured::{Measured, Ratio},
    scenarios::{Axis, COLD, Scale},
    subjects::{SUBJECTS, label},
    targets,
};
use crate::{
    numbers::grouped,
    plot::{self, Looks, Panel},
    report::{Report, Section},
    table::table,
};

/// The results of a scenario.
pub struct ScenarioResults {
    pub scenario: String,
    pub about: &'static str,
    /// The series that it is a point of, and its place there.
    pub growth: Option<(Axis, u64)>,
    pub measured: Vec<Measured>,
}

impl ScenarioResults {
    /// The measurements of a subject.
    pub fn of(&self, subject: &str) -> Option<&Measured> {
        self.measured.iter().find(|row| row.name == subject)
    }

    /// How far the floor's duplicate came out from it, as a share, by requests/s and by CPU time.
    fn off(&self) -> Option<(f64, f64)> {
        let again = self.of("floor again")?;
        let off = |ratio: Option<Ratio>| Some((ratio?.median - 1.0).abs());
        Some((off(again.rate_ratio)?, off(again.cpu_ratio)?))
    }

    /// The shares of the expected statuses, where there are several, in Admit's answers.
    fn mix(&self) -> Option<String> {
        let by_status = &self.of("admit")?.by_status;
        let sum: u64 = by_status.values().sum();
        let share =
            |(status, count): (&u16, &u64)| format!("{:.1} % {status}", *count as f64 / sum as f64 * 100.0);
        (by_status.len() > 1).then(|| by_status.iter().map(share).collect::<Vec<_>>().join(", "))
    }

    fn section(&self) -> Section {
        let base = self.measured.first().map_or("", |row| &row.name);
        let by_base = format!("requests/s by {base}");
        let head = ["subject", "requests/s", "p50", "p99", "CPU", &by_base, "by CPU time"];
        let show = |ratio: Option<Ratio>| ratio.map_or_else(String::new, Ratio::show);
        let row = |row: &Measured| {
            vec![
                label(&row.name),
                grouped(row.per_second),
                micros(row.p50_micros),
                micros(row.p99_micros),
                row.cpu_micros.map_or_else(String::new, micros),
                show(row.rate_ratio),
                show(row.cpu_ratio),
            ]
        };
        let mix = self.mix().map_or_else(String::new, |mix| format!(": {mix}"));
        let table = table(&head, &self.measured.iter().map(row).collect::<Vec<_>>());
        Section { title: self.about.to_owned(), note: format!("`{}`{mix}", self.scenario), table }
    }
}

/// The results of a run.
pub struct LoadResults {
    pub scale: Scale,
    pub all: Vec<ScenarioResults>,
    pub cold: Vec<Cold>,
    /// What the first check compiles, if cold starts were measured.
    pub compiled: Option<Compiled>,
}

impl LoadResults {
    /// The measurements of a subject in a scenario.
    pub fn of(&self, scenario: &str, subject: &str) -> Option<&Measured> {
        self.all.iter().find(|outcome| outcome.scenario == scenario)?.of(subject)
    }

    /// How far equals came out apart in a scenario, as a share.
    pub fn unsure(&self, scenario: &str) -> f64 {
        let outcome = self.all.iter().find(|outcome| outcome.scenario == scenario);
        outcome.and_then(ScenarioResults::off).map_or(0.0, |(by_rate, by_cpu)| by_rate.max(by_cpu))
    }

    /// The report of the run.
    pub fn report(&self, command: String) -> Report {
        let targets = targets::rows(self);
        let mut sections = Vec::new();
        if !targets.is_empty() {
            let table = table(&["target", "by requests/s", "by CPU time", "to reach"], &targets);
            sections.push(Section { title: String::new(), note: String::new(), table });
        }
        sections.extend(self.all.iter().filter(|it| it.growth.is_none()).map(ScenarioResults::section));
        if !self.cold.is_empty() {
            sections.push(Cold::section(&self.cold));
            sections.extend(self.compiled.iter().map(Compiled::section));
        }
        sections.extend([Axis::Tokens, Axis::Customers].into_iter().filter_map(|axis| self.growth(axis)));
        let mut plots = vec![("performance.svg", "The hot check", self.hot_plot())];
        plots.extend(
            self.growth_plot().map(|svg| ("performance-growth.svg", "How the cost of a check grows", svg)),
        );
        Report {
            name: "load",
            command,
            notes: self.notes(),
            sections,
            json: ("scenarios", self.json()),
            plots,
        }
    }

    fn notes(&self) -> Vec<String> {
        let Scale { customers, slice_ms, rounds, is_a_first_look, .. } = self.scale;
        let customers = grouped(customers as f64);
        let mut notes = vec![format!(
            "{customers} customers with 8 grants each; turns of {slice_ms} ms, {rounds} for each subject."
        )];
        let off: Vec<_> = self.all.iter().filter_map(ScenarioResults::off).collect();
        if !off.is_empty() {
            let widest = |of: fn(&(f64, f64)) -> f64| off.iter().map(of).fold(0.0, f64::max) * 100.0;
            let (rate, cpu, count) = (widest(|pair| pair.0), widest(|pair| pair.1), off.len());
            notes.push(format!(
                "A second floor came out within {rate:.1} % of the first by requests/s and {cpu:.1} % by CPU time, in \
                 the worst of {count} scenarios."
            ));
        }
        if is_a_first_look {
            notes.push("A first look: few turns show clear differences only.".to_owned());
        }
        notes
    }

    fn json(&self) -> Value {
        let outcome = |outcome: &ScenarioResults| {
            let growth = outcome.growth.map(|(axis, size)| json!({ "by": axis.name(), "size": size }));
            json!({ "scenario": outcome.scenario, "about": outcome.about, "growth": growth,
                "subjects": outcome.measured })
        };
        let mut all: Vec<_> = self.all.iter().map(outcome).collect();
        if !self.cold.is_empty() {
            all.push(
                json!({ "scenario": COLD, "about": Cold::ABOUT, "growth": null, "subjects": self.cold }),
            );
        }
        Value::Array(all)
    }

    /// The points of a series, by size.
    fn points(&self, axis: Axis) -> Vec<(u64, &ScenarioResults)> {
        let point = |outcome: &'_ _| {
            let outcome: &ScenarioResults = outcome;
            outcome.growth.filter(|(own, _)| *own == axis).map(|(_, size)| size)
        };
        let mut points: Vec<_> = self.all.iter().filter_map(|it| Some((point(it)?, it))).collect();
        points.sort_by_key(|(size, _)| *size);
        points
    }

    fn growth(&self, axis: Axis) -> Option<Section> {
        let points = self.points(axis);
        points.first()?;
        let row = |(size, outcome): (u64, &ScenarioResults)| {
            let of = |subject| outcome.of(subject);
            let cpu = |subject| of(subject).and_then(|row| row.cpu_micros).map_or_else(String::new, micros);
            let ratio =
                |subject| of(subject).and_then(|row| row.cpu_ratio).map_or_else(String::new, Ratio::show);
            let times = GROWN.map(|(subject, _)| cpu(subject));
            let ratios = ["admit", "plain-cached"].map(ratio);
            [grouped(size as f64)].into_iter().chain(times).chain(ratios).collect::<Vec<_>>()
        };
        let rows: Vec<_> = points.into_iter().map(row).collect();
        let head = [axis.name(), "floor", "JS by hand", "Admit", "floor / Admit", "floor / JS by hand"];
        let (name, turns) = (axis.name(), self.scale.growth_rounds);
        let note = format!("`growth-{name}-N`: CPU time of a check, the median of {turns} turns.");
        Some(Section { title: axis.about().to_owned(), note, table: table(&head, &rows) })
    }

    /// CPU time of a check over the number of tokens and of customers; `None` if growth was not measured.
    fn growth_plot(&self) -> Option<String> {
        let mut most = 0.0_f64;
        let panels = [Axis::Tokens, Axis::Customers].map(|axis| {
            let points = self.points(axis);
            let lines = GROWN.into_iter().enumerate().map(|(at, (subject, _))| {
                let cpu = |(size, outcome): &(u64, &ScenarioResults)| {
                    Some((*size as f64, outcome.of(subject)?.cpu_micros?))
                };
                (at, points.iter().filter_map(cpu).collect::<Vec<_>>())
            });
            let lines: Vec<_> = lines.collect();
            most = lines.iter().flat_map(|(_, points)| points).fold(most, |most, (_, cpu)| most.max(*cpu));
            let column = |(size, _): &(u64, _)| (*size as f64, short(*size));
            let columns = points.iter().map(column).collect();
            Panel { title: format!("By number of {}", axis.name()), columns, unit: axis.name(), lines }
        });
        let step = step(most);
        let levels = [0.0, 1.0, 2.0, 3.0, 4.0].map(|level| level * step).to_vec();
        let legend = GROWN.map(|(subject, looks)| (label(subject), looks));
        let title = "CPU time of a check, by number of tokens and of customers";
        let head = "CPU time of a check, in microseconds (less is better)";
        let axis = plot::Axis { levels, is_logarithmic: false };
        (most > 0.0).then(|| plot::lines(title, head, panels, &axis, &legend))
    }

    /// Requests a second of the hot check and of new tokens, against the floor.
    fn hot_plot(&self) -> String {
        let titles = ["One cached token", "Each token new: HS256", "Each token new: RS256"];
        let groups = ["hot", "new-hs256", "new-rs256"].into_iter().zip(titles).map(|(scenario, title)| {
            let bar =
                |name| Some((label(name), self.of(scenario, name)?.rate_ratio?.median, name == "admit"));
            (title, SUBJECTS.iter().filter_map(|subject| bar(subject.name)).collect())
        });
        let title = "Requests a second, where a Worker that reads the same and checks nothing is 1";
        plot::bars(title, &groups.collect::<Vec<_>>())
    }
}

/// The subjects of growth, with their looks in the plot.
const GROWN: [(&str, Looks); 3] = [
    ("floor", ("#8f9a9c", "2 4", 3.0)),
    ("plain-cached", ("#3f8fdc", "9 5", 3.0)),
    ("admit", ("#c63", "", 4.5)),
];

fn micros(value: f64) -> String {
    if value < 9_995.0 { format!("{value:.1} µs") } else { format!("{:.1} ms", value / 1e3) }
}

/// A number that leaves room for its neighbour.
fn short(size: u64) -> String {
    if size >= 1_000 && size.is_multiple_of(1_000) { format!("{}k", size / 1_000) } else { size.to_string() }
}

/// A round number, four of which are at least `most`.
fn step(most: f64) -> f64 {
    let round = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 75.0, 100.0, 250.0, 500.0, 1_000.0];
    round.into_iter().find(|step| *step >= most / 4.0).unwrap_or(most / 4.0)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A run of one scenario in which Admit and the floor's duplicate came to these ratios of the floor.
    pub fn outcomes(admit: f64, again: f64) -> LoadResults {
        let row = |(name, median): (&str, f64)| Measured {
            name: name.to_owned(),
            per_second: 1_000.0,
            cpu_micros: Some(30.0 / median),
            rate_ratio: Some(Ratio { median, low: 0.5, high: 1.0, error: 0.01 }),
            cpu_ratio: Some(Ratio { median, low: 0.5, high: 1.0, error: 0.01 }),
            by_status: [(200, 940), (201, 10), (402, 50)].into(),
            ..Measured::default()
        };
        let rows =
            [("floor", 1.0), ("floor again", again), ("admit", admit), ("hono", 0.25), ("plain-cached", 0.5)];
        let measured = rows.map(row).to_vec();
        let hot = ScenarioResults { scenario: "hot".to_owned(), about: "Hot", growth: None, measured };
        LoadResults { scale: Scale::FULL, all: vec![hot], cold: Vec::new(), compiled: None }
    }

    #[test]
    fn the_duplicate_says_how_sure_the_run_is() {
        assert!(outcomes(1.0, 0.97).notes().concat().contains("within 3.0 % of the first"));
        assert!((outcomes(1.0, 0.97).unsure("hot") - 0.03).abs() < 1e-9);
        assert!(!outcomes(1.0, 1.0).notes().concat().contains("first look"));
        assert_eq!(outcomes(1.0, 1.0).all[0].section().note, "`hot`: 94.0 % 200, 1.0 % 201, 5.0 % 402");
    }

    #[test]
    fn points_of_growth_share_a_table_and_a_plot() {
        let mut outcomes = outcomes(0.75, 1.0);
        assert!(outcomes.growth(Axis::Tokens).is_none() && outcomes.growth_plot().is_none());
        for (axis, size) in [(Axis::Tokens, 1_000), (Axis::Tokens, 1), (Axis::Customers, 7)] {
            let growth = Some((axis, size));
            let measured = outcomes.all[0].measured.clone();
            outcomes.all.push(ScenarioResults { scenario: String::new(), about: "", growth, measured });
        }
        let table = outcomes.growth(Axis::Tokens).unwrap().table;
        let rows: Vec<_> =
            table.lines().skip(2).map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!((rows.len(), rows[0][1], rows[1][1]), (2, "1", "1,000"));
        assert!(
            table.contains("| 30.0 µs |    60.0 µs | 40.0 µs | 0.750 ±0.010 (0.50 to 1.00) |"),
            "{table}"
        );
        let svg = outcomes.growth_plot().unwrap();
        assert!(svg.contains(">By number of tokens<") && svg.contains(">1k<"), "{svg}");
        assert_eq!([3.9, 80.0, 81.0, 350.0].map(step), [1.0, 20.0, 25.0, 100.0]);
    }
}
