//! The one report of a run: tables for people, figures for programs.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use xtask::paths::Paths;

use crate::{machine::Machine, numbers::Unit, page, table::table};

/// Where a report goes beside standard output.
#[derive(clap::Args)]
pub struct Destination {
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put tables and plots into docs/
    #[arg(long)]
    pub write_docs: bool,
}

/// A bound on a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// No more is known than the figure.
    None,
    AtLeast(f64),
    AtMost(f64),
    Exactly(f64),
}

impl Target {
    /// The bound's name in JSON, its value, and how people read it.
    const fn parts(self) -> Option<(&'static str, f64, &'static str)> {
        match self {
            Self::None => None,
            Self::AtLeast(value) => Some(("at_least", value, "at least ")),
            Self::AtMost(value) => Some(("at_most", value, "at most ")),
            Self::Exactly(value) => Some(("exactly", value, "")),
        }
    }

    fn is_reached(self, value: f64) -> Option<bool> {
        match self {
            Self::None => None,
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::Exactly(exact) => Some((value - exact).abs() < f64::EPSILON),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Figure {
    /// The name in JSON.
    pub id: String,
    /// The label for people.
    pub label: String,
    /// `None` where it could not be measured.
    pub value: Option<f64>,
    /// The unit of value and target.
    pub unit: Unit,
    /// The bound to reach.
    pub target: Target,
}

impl Figure {
    /// A figure without a target.
    pub fn new(
        id: impl Into<String>,
        label: impl Into<String>,
        unit: Unit,
        value: impl Into<Option<f64>>,
    ) -> Self {
        Self { id: id.into(), label: label.into(), value: value.into(), unit, target: Target::None }
    }

    /// The same with a target.
    pub fn with_target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    fn is_reached(&self) -> Option<bool> {
        self.target.is_reached(self.value?)
    }

    fn row(&self) -> Vec<String> {
        let value = self.value.map_or_else(|| "not measured".to_owned(), |value| self.unit.show(value));
        let target = self.target.parts().map(|(_, bound, words)| format!("{words}{}", self.unit.show(bound)));
        let missed = if self.is_reached() == Some(false) { ": missed" } else { "" };
        vec![self.label.clone(), value, target.unwrap_or_default() + missed]
    }

    fn json(&self) -> Value {
        let (bound, target) = self.target.parts().map(|(name, value, _)| (name, value)).unzip();
        json!({
            "id": self.id, "what": self.label, "value": self.value, "unit": self.unit.name(),
            "bound": bound, "target": target, "reached": self.is_reached(),
        })
    }
}

/// A table with its heading.
#[derive(Clone, Debug)]
pub struct Section {
    pub title: String,
    /// A line below the heading, which may be empty.
    pub note: String,
    /// The table in Markdown.
    pub table: String,
}

/// The results of a run.
#[derive(Debug)]
pub struct Report {
    /// Its place in docs/performance.md.
    pub name: &'static str,
    /// The command that measures it again.
    pub command: String,
    /// Lines about the run as a whole.
    pub notes: Vec<String>,
    pub sections: Vec<Section>,
    /// The results for programs, beside command and machine.
    pub json: (&'static str, Value),
    /// Plots: file, description, SVG.
    pub plots: Vec<(&'static str, &'static str, String)>,
}

impl Report {
    /// A report of figures, each group below a heading.
    pub fn of_figures(name: &'static str, command: String, groups: Vec<(&'static str, Vec<Figure>)>) -> Self {
        let figures = groups.iter().flat_map(|(_, figures)| figures).map(Figure::json).collect();
        let section = |(title, figures): (&str, Vec<Figure>)| {
            let rows: Vec<_> = figures.iter().map(Figure::row).collect();
            let table = table(&["figure", "measured", "to reach"], &rows);
            Section { title: title.to_owned(), note: String::new(), table }
        };
        let sections = groups.into_iter().map(section).collect();
        Self {
            name,
            command,
            notes: Vec::new(),
            sections,
            json: ("figures", Value::Array(figures)),
            plots: Vec::new(),
        }
    }

    fn markdown(&self) -> String {
        let mut paragraphs = vec![format!("`{}` on {}.", self.command, Machine::here().describe())];
        paragraphs.extend(self.notes.iter().cloned());
        for Section { title, note, table } in &self.sections {
            let heading = if title.is_empty() { String::new() } else { format!("#### {title}") };
            paragraphs.extend([heading, note.clone(), table.trim_end().to_owned()]);
        }
        paragraphs.retain(|paragraph| !paragraph.is_empty());
        paragraphs.join("\n\n") + "\n"
    }

    /// Prints the report, and writes it to its destinations.
    pub fn publish(&self, paths: &Paths, destination: &Destination) -> Result<()> {
        let mut markdown = self.markdown();
        println!("{markdown}");
        if let Some(path) = &destination.json {
            let (name, results) = &self.json;
            let json = json!({ "command": self.command, "machine": Machine::here().json(), *name: results });
            write(path.clone(), &(serde_json::to_string_pretty(&json)? + "\n"))?;
        }
        if !destination.write_docs {
            return Ok(());
        }
        for (file, about, svg) in &self.plots {
            markdown += &format!("\n![{about}]({file})\n");
            write(paths.in_root("docs").join(file), svg)?;
        }
        let path = paths.in_root("docs/performance.md");
        let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write(path, &page::fill(&page, &[(self.name.to_owned(), markdown)].into())?)
    }
}

fn write(path: PathBuf, text: &str) -> Result<()> {
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: Option<f64>, target: Target) -> Figure {
        Figure::new("look_up", "A look-up", Unit::Nanos, value).with_target(target)
    }

    #[test]
    fn a_missed_target_is_marked() {
        let rows = [
            (Some(1_000.0), Target::AtMost(1_000.0), "at most 1.00 µs"),
            (Some(1_001.0), Target::AtMost(1_000.0), "at most 1.00 µs: missed"),
            (Some(999.0), Target::AtLeast(1_000.0), "at least 1.00 µs: missed"),
            (Some(2.0), Target::Exactly(2.0), "2.00 ns"),
            (Some(3.0), Target::Exactly(2.0), "2.00 ns: missed"),
            (Some(3.0), Target::None, ""),
            (None, Target::AtMost(1_000.0), "at most 1.00 µs"),
        ];
        for (value, target, shown) in rows {
            assert_eq!(figure(value, target).row()[2], shown, "{value:?} {target:?}");
        }
        assert_eq!(figure(None, Target::None).row()[1], "not measured");
    }

    #[test]
    fn json_has_null_for_a_missing_figure() {
        let json = figure(None, Target::AtMost(1.0)).json();
        assert_eq!(
            (&json["value"], &json["reached"], &json["target"]),
            (&Value::Null, &Value::Null, &json!(1.0))
        );
        let json = figure(Some(2.0), Target::AtMost(1.0)).json();
        assert_eq!((&json["reached"], &json["bound"]), (&json!(false), &json!("at_most")));
    }

    #[test]
    fn every_report_has_its_place_in_the_page() {
        let page = fs::read_to_string("../docs/performance.md").unwrap();
        for name in ["load", "profile", "steps", "snapshot"] {
            let filled = page::fill(&page, &[(name.to_owned(), "text".to_owned())].into()).unwrap();
            assert!(filled.contains(&format!("<!--{name}-->text<!--/-->")));
        }
    }
}
