//! What was measured, for people and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{machine::Machine, numbers::Unit};

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
    /// Just that.
    Exactly(f64),
    /// Nothing in particular.
    None,
}

impl Target {
    /// Whether `value` is what it should be; `None` if nothing is said.
    fn is_reached(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            #[expect(clippy::float_cmp, reason = "of counts")]
            Self::Exactly(exact) => Some(value == exact),
            Self::None => None,
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(least) => format!("at least {}", unit.show(least)),
            Self::AtMost(most) => format!("at most {}", unit.show(most)),
            Self::Exactly(exact) => unit.show(exact),
            Self::None => String::new(),
        }
    }
}

/// A number and what it is.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The name that programs read.
    pub id: String,
    /// What it is, for people.
    pub what: String,
    /// In `unit`; `None` where it could not be measured.
    pub value: Option<f64>,
    /// Of `value` and `target`.
    pub unit: Unit,
    /// What it should be.
    pub target: Target,
}

impl Figure {
    /// A figure without a target.
    pub fn new(
        id: impl Into<String>,
        what: impl Into<String>,
        unit: Unit,
        value: impl Into<Option<f64>>,
    ) -> Self {
        Self { id: id.into(), what: what.into(), value: value.into(), unit, target: Target::None }
    }

    /// The same with a target.
    pub fn with_target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    fn row(&self) -> [String; 3] {
        let value = self.value.map_or_else(|| "not measured".to_owned(), |value| self.unit.show(value));
        let mut target = self.target.show(self.unit);
        if let Some(false) = self.value.and_then(|value| self.target.is_reached(value)) {
            target += ": missed";
        }
        [self.what.clone(), value, target]
    }

    fn json(&self) -> Value {
        let Self { id, what, value, unit, target } = self;
        let (bound, target_value) = match target {
            Target::AtLeast(value) => (Some("at_least"), Some(*value)),
            Target::AtMost(value) => (Some("at_most"), Some(*value)),
            Target::Exactly(value) => (Some("exactly"), Some(*value)),
            Target::None => (None, None),
        };
        json!({
            "id": id, "what": what, "value": value, "unit": unit.name(),
            "bound": bound, "target": target_value,
            "reached": value.and_then(|value| target.is_reached(value)),
        })
    }
}

/// Figures that belong together.
#[derive(Clone, Debug)]
pub struct Section {
    /// A heading.
    pub title: &'static str,
    /// How it was measured: a paragraph.
    pub method: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// Everything that a run measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// The command that measures it again.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// What.
    pub sections: Vec<Section>,
}

impl Report {
    /// For people: Markdown that also reads well as it is.
    pub fn markdown(&self) -> String {
        let mut out = format!("`{}` on {}.\n", self.command, self.machine.describe());
        for Section { title, method, figures } in &self.sections {
            let _infallible = write!(out, "\n### {title}\n\n{method}\n");
            if !figures.is_empty() {
                let _infallible = write!(out, "\n{}", table(figures));
            }
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let figures: Vec<_> = self.sections.iter().flat_map(|it| &it.figures).map(Figure::json).collect();
        json!({ "command": self.command, "machine": self.machine.json(), "figures": figures })
    }
}

fn table(figures: &[Figure]) -> String {
    let mut rows = vec![["what", "measured", "to reach"].map(str::to_owned)];
    rows.extend(figures.iter().map(Figure::row));
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let [first, second, third] = [width(0), width(1), width(2)];
    let mut out = String::new();
    for (position, [what, measured, to_reach]) in rows.iter().enumerate() {
        let _infallible = writeln!(out, "| {what:<first$} | {measured:>second$} | {to_reach:<third$} |");
        if position == 0 {
            let rule = |width: usize| "-".repeat(width);
            let _infallible =
                writeln!(out, "| {} | {}: | {} |", rule(first), rule(second.saturating_sub(1)), rule(third));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: Option<f64>, target: Target) -> Figure {
        Figure::new("look_up", "A look-up", Unit::Nanos, value).with_target(target)
    }

    #[test]
    fn a_target_that_is_missed_is_seen() {
        let rows = [
            (Some(900.0), Target::AtMost(1_000.0), "at most 1.00 µs"),
            (Some(1_000.0), Target::AtMost(1_000.0), "at most 1.00 µs"),
            (Some(1_001.0), Target::AtMost(1_000.0), "at most 1.00 µs: missed"),
            (Some(999.0), Target::AtLeast(1_000.0), "at least 1.00 µs: missed"),
            (Some(1_001.0), Target::AtLeast(1_000.0), "at least 1.00 µs"),
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
    fn for_programs_a_figure_that_is_not_there_is_null() {
        let json = figure(None, Target::AtMost(1.0)).json();
        assert_eq!(
            (&json["value"], &json["reached"], &json["target"]),
            (&Value::Null, &Value::Null, &json!(1.0))
        );
        let json = figure(Some(2.0), Target::AtMost(1.0)).json();
        assert_eq!(
            (&json["value"], &json["reached"], &json["bound"]),
            (&json!(2.0), &json!(false), &json!("at_most"))
        );
    }

    #[test]
    fn tables_are_aligned_and_are_markdown() {
        let table = table(&[figure(Some(12.0), Target::None), figure(Some(12_000.0), Target::AtMost(1.0))]);
        let expected = "\
| what      | measured | to reach                |
| --------- | -------: | ----------------------- |
| A look-up |  12.0 ns |                         |
| A look-up |  12.0 µs | at most 1.00 ns: missed |
";
        assert_eq!(table, expected);
    }
}
