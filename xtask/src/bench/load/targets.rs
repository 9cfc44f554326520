//! What the figures should come to, and whether they do.

use super::report::Report;

/// That a subject's figure in a scenario is so many times another's.
struct Target {
    what: &'static str,
    scenario: &'static str,
    of: &'static str,
    against: &'static str,
    is_time: bool,
    /// None of what is there to compare with.
    least: Option<f64>,
}

const fn target(what: &'static str, scenario: &'static str, against: &'static str, least: f64) -> Target {
    Target { what, scenario, of: "admit", against, is_time: false, least: Some(least) }
}

/// A figure that no target was set for.
const fn told(what: &'static str, scenario: &'static str, against: &'static str) -> Target {
    Target { least: None, ..target(what, scenario, against, 0.0) }
}

/// What the fastest that there could be would come to against Hono.
const fn ceiling(what: &'static str, scenario: &'static str) -> Target {
    Target { of: "floor", ..told(what, scenario, "hono") }
}

const TARGETS: [Target; 16] = [
    target("cached check / floor that reads the same", "hot", "floor", 0.95),
    target("the same, another one of 8 items every time / floor", "items", "floor", 0.95),
    target("cached check / JS by hand with the same caches", "hot", "plain-cached", 1.0),
    target("the same, another one of 8 items every time / JS by hand", "items", "plain-cached", 1.0),
    told("known token, a question that is new / floor", "unrepeated", "floor"),
    told("known token, a question that is new / JS by hand", "unrepeated", "plain-cached"),
    target("cached check / Hono + jose + KV: HS256", "hot", "hono", 4.5),
    ceiling("floor that checks nothing / Hono + jose + KV: HS256", "hot"),
    target("cached check / Hono + jose + KV: RS256", "hot-rs256", "hono", 4.5),
    ceiling("floor that checks nothing / Hono + jose + KV: RS256", "hot-rs256"),
    target("cached check / Hono + jose + KV: ES256", "hot-es256", "hono", 4.5),
    ceiling("floor that checks nothing / Hono + jose + KV: ES256", "hot-es256"),
    target("new HS256 token / jose with the same caches", "new-hs256", "plain-cached", 1.5),
    target("new RS256 token / jose with the same caches", "new-rs256", "plain-cached", 1.3),
    target("new ES256 token / jose with the same caches", "new-es256", "plain-cached", 1.2),
    Target {
        is_time: true,
        ..target(
            "viewers' first checks, median time: a key per customer / Admit",
            "first-check",
            "hono-cached",
            5.0,
        )
    },
];

/// A row for each target that was measured: what, by requests a second, by CPU time, and what is to be reached.
pub fn rows(report: &Report) -> Vec<Vec<String>> {
    TARGETS.iter().filter_map(|target| target.row(report)).collect()
}

impl Target {
    fn row(&self, report: &Report) -> Option<Vec<String>> {
        let ratio = |kind| self.ratio(report, kind);
        let (by_rate, by_cpu) = if self.is_time {
            let of = |subject| report.figure(self.scenario, subject, &["p50_micros"]);
            ((of(self.against)? / of(self.of)?, 0.0), None)
        } else {
            (ratio("rate_ratio")?, ratio("cpu_ratio"))
        };
        let (best, unsure) = by_cpu.filter(|by_cpu| by_cpu.0 > by_rate.0).unwrap_or(by_rate);
        Some(vec![
            self.what.to_owned(),
            format!("{:.2}", by_rate.0),
            by_cpu.map_or_else(String::new, |(ratio, _)| format!("{ratio:.2}")),
            self.to_reach(best, unsure.max(report.unsure(self.scenario))),
        ])
    }

    /// How many times, and how far the two medians that it is made of may be off, as a share.
    fn ratio(&self, report: &Report, kind: &str) -> Option<(f64, f64)> {
        let of = |subject| {
            let figure = |name| report.figure(self.scenario, subject, &[kind, name]);
            let median = figure("median")?;
            Some((median, figure("error")? / median))
        };
        let (ours, theirs) = (of(self.of)?, of(self.against)?);
        Some((ours.0 / theirs.0, ours.1 + theirs.1))
    }

    /// What is to be reached, and whether it is. `unsure` is by how much the figure may be off, as a share.
    fn to_reach(&self, reached: f64, unsure: f64) -> String {
        let Some(least) = self.least else { return String::new() };
        let verdict = if reached >= least {
            ""
        } else if reached * (1.0 + unsure) >= least {
            ": missed, by less than this run can tell"
        } else {
            ": missed"
        };
        format!("at least {least}{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{peers::SUBJECTS, report::tests::report, scenarios},
        *,
    };

    #[test]
    fn a_target_that_is_missed_is_seen() {
        let to_reach = |admit, again| {
            let rows = rows(&report(admit, again));
            rows.into_iter().find(|row| row[0].starts_with("cached check / floor")).unwrap().pop().unwrap()
        };
        assert_eq!(to_reach(0.96, 1.0), "at least 0.95");
        assert_eq!(to_reach(0.90, 1.0), "at least 0.95: missed");
        assert_eq!(to_reach(0.94, 1.05), "at least 0.95: missed, by less than this run can tell");
        assert_eq!(to_reach(0.60, 1.05), "at least 0.95: missed");
    }

    #[test]
    fn the_ceiling_is_the_floors_and_has_no_target() {
        let row = ceiling("ceiling", "hot").row(&report(0.9, 1.0)).unwrap();
        // Hono's ratio to the floor is 0.25.
        assert_eq!(row, ["ceiling", "4.00", "4.00", ""]);
    }

    #[test]
    fn every_target_is_of_a_scenario_and_of_subjects_that_there_are() {
        let scenarios = scenarios::chosen(scenarios::Scale::FULL, &[]).unwrap();
        for Target { what, scenario, of, against, .. } in &TARGETS {
            let scenario = scenarios.iter().find(|it| it.name == *scenario).unwrap();
            for name in [of, against] {
                let subject = SUBJECTS.iter().find(|subject| subject.name == *name).unwrap();
                assert!(scenario.wants(subject), "{what}: {name}");
            }
        }
    }
}
