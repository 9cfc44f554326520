//! The targets: ratios between subjects, and what playback may cost beyond a check.

use super::{
    measured::{Measured, Ratio},
    report::LoadResults,
};

/// A subject's figure in a scenario as a multiple of another's.
struct Target {
    label: &'static str,
    scenario: &'static str,
    of: &'static str,
    against: &'static str,
    is_time: bool,
    /// `None` where the figure is only shown.
    least: Option<f64>,
}

const fn target(label: &'static str, scenario: &'static str, against: &'static str, least: f64) -> Target {
    Target { label, scenario, of: "admit", against, is_time: false, least: Some(least) }
}

/// A figure without a target.
const fn shown(label: &'static str, scenario: &'static str, against: &'static str) -> Target {
    Target { least: None, ..target(label, scenario, against, 0.0) }
}

/// The best that any Worker could reach against Hono.
const fn ceiling(label: &'static str, scenario: &'static str) -> Target {
    Target { of: "floor", ..shown(label, scenario, "hono") }
}

/// Signatures beside a peer's, which knows no other way than the platform.
const fn against_jose(label: &'static str, of: &'static str, against: &'static str) -> Target {
    Target { of, ..shown(label, "playback-first", against) }
}

/// A Worker that asks Admit before it serves, against one that asks or knows otherwise.
const fn of_call(label: &'static str, against: &'static str, least: Option<f64>) -> Target {
    Target { of: "gate-rpc", least, ..shown(label, "rpc", against) }
}

/// A page of 100 items, against something else.
const fn of_page(label: &'static str, against: &'static str, least: Option<f64>) -> Target {
    Target { of: "admit-many", least, ..shown(label, "batch-100", against) }
}

const TARGETS: [Target; 26] = [
    of_call("a Worker that asks by RPC / by fetch over the same binding", "gate-fetch", None),
    of_call("a Worker that asks by RPC / that reads KV itself", "gate-kv", None),
    Target {
        of: "admit-search",
        least: Some(0.2),
        ..shown("100 of 1,000 items that a customer may play / one check by HTTP", "search", "admit")
    },
    of_page("100 items in one request / one check by HTTP", "admit", Some(0.5)),
    of_page("100 items in one request / Hono + jose + KV doing the same", "hono-many", None),
    target("cached check / floor that reads the same", "hot", "floor", 0.95),
    target("the same, another one of 8 items every time / floor", "items", "floor", 0.95),
    target("cached check / JS by hand with the same caches", "hot", "plain-cached", 1.0),
    target("the same, another one of 8 items every time / JS by hand", "items", "plain-cached", 1.0),
    target("known token, a question that is new / floor", "unrepeated", "floor", 0.9),
    target("known token, a question that is new / JS by hand", "unrepeated", "plain-cached", 1.0),
    target("more tokens than memory holds / floor", "many", "floor", 0.65),
    target("an evening with denials and writes / floor", "evening", "floor", 0.65),
    target(
        "an evening with denials and writes / JS by hand, which confirms nothing",
        "evening",
        "plain-cached",
        1.0,
    ),
    target("cached check / Hono + jose + KV: HS256", "hot", "hono", 4.5),
    ceiling("floor that checks nothing / Hono + jose + KV: HS256", "hot"),
    target("cached check / Hono + jose + KV: RS256", "hot-rs256", "hono", 4.5),
    ceiling("floor that checks nothing / Hono + jose + KV: RS256", "hot-rs256"),
    target("cached check / Hono + jose + KV: ES256", "hot-es256", "hono", 4.5),
    ceiling("floor that checks nothing / Hono + jose + KV: ES256", "hot-es256"),
    target("new HS256 token / jose with the same caches", "new-hs256", "plain-cached", 2.0),
    target("new RS256 token / jose with the same caches", "new-rs256", "plain-cached", 1.5),
    target("new ES256 token / jose with the same caches", "new-es256", "plain-cached", 1.4),
    against_jose("playback, first, HS256 / jose that signs each time", "admit-jw", "hono-cached-jw"),
    against_jose("playback, first, RS256 / jose that signs each time", "admit-mux", "hono-cached-mux"),
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

/// CPU time of an answer with a signature, beyond that of a check by the same tokens in the same rounds.
struct Surcharge {
    label: &'static str,
    scenario: &'static str,
    of: &'static str,
    /// The most microseconds. `None` where the figure is only shown.
    most: Option<f64>,
}

const SURCHARGES: [Surcharge; 4] = [
    Surcharge {
        label: "playback, first, HS256, beyond a check",
        scenario: "playback-first",
        of: "admit-jw",
        most: Some(10.0),
    },
    Surcharge {
        label: "playback, repeated, HS256, beyond a cached check",
        scenario: "playback-repeated",
        of: "admit-jw",
        most: Some(2.0),
    },
    // The platform's signature, which the peer's row shows.
    Surcharge {
        label: "playback, first, RS256, beyond a check",
        scenario: "playback-first",
        of: "admit-mux",
        most: None,
    },
    Surcharge {
        label: "playback, repeated, RS256, beyond a cached check",
        scenario: "playback-repeated",
        of: "admit-mux",
        most: Some(2.0),
    },
];

/// CPU time beyond that of the scenario's floor, as a share of what another subject takes beyond it.
struct Share {
    label: &'static str,
    scenario: &'static str,
    of: &'static str,
    against: &'static str,
    most: f64,
}

/// The cost that a question adds to a Worker: the floor answers as they do, and sends no question.
const SHARES: [Share; 1] = [Share {
    label: "a check by RPC / by HTTP over loopback, both beyond a Worker that asks nobody",
    scenario: "rpc",
    of: "gate-rpc",
    against: "gate-socket",
    most: 0.5,
}];

/// The subject that sends no question.
const FLOOR: &str = "floor";

/// The subject that only checks.
const CHECK: &str = "admit";

/// A row for each target that was measured: label, by requests a second, by CPU time, and the target.
pub fn rows(outcomes: &LoadResults) -> Vec<Vec<String>> {
    let ratios = TARGETS.iter().filter_map(|target| target.row(outcomes));
    let shares = SHARES.iter().filter_map(|share| share.row(outcomes));
    ratios.chain(shares).chain(SURCHARGES.iter().filter_map(|surcharge| surcharge.row(outcomes))).collect()
}

impl Target {
    fn row(&self, outcomes: &LoadResults) -> Option<Vec<String>> {
        let ours = outcomes.of(self.scenario, self.of)?;
        let theirs = outcomes.of(self.scenario, self.against)?;
        let (by_rate, by_cpu) = if self.is_time {
            ((theirs.p50_micros / ours.p50_micros, 0.0), None)
        } else {
            (ratio(ours, theirs, |it| it.rate_ratio)?, ratio(ours, theirs, |it| it.cpu_ratio))
        };
        let (best, unsure) = by_cpu.filter(|by_cpu| by_cpu.0 > by_rate.0).unwrap_or(by_rate);
        Some(vec![
            self.label.to_owned(),
            format!("{:.2}", by_rate.0),
            by_cpu.map_or_else(String::new, |(ratio, _)| format!("{ratio:.2}")),
            self.to_reach(best, unsure.max(outcomes.unsure(self.scenario))),
        ])
    }

    /// The target, and whether it is reached by a figure that may be off by the share `unsure`.
    fn to_reach(&self, reached: f64, unsure: f64) -> String {
        let Some(least) = self.least else { return String::new() };
        format!("at least {least}{}", verdict(reached >= least, reached * (1.0 + unsure) >= least))
    }
}

impl Surcharge {
    fn row(&self, outcomes: &LoadResults) -> Option<Vec<String>> {
        let ours = outcomes.of(self.scenario, self.of)?;
        let check = outcomes.of(self.scenario, CHECK)?;
        let micros = ours.cpu_micros? - check.cpu_micros?;
        // How far the two medians may be off.
        let off = |it: &Measured| {
            let ratio = it.cpu_ratio?;
            Some(it.cpu_micros? * (ratio.error / ratio.median).max(outcomes.unsure(self.scenario)))
        };
        let unsure = off(ours)? + off(check)?;
        let most = |most| format!("at most {most} µs{}", verdict(micros <= most, micros - unsure <= most));
        let to_reach = self.most.map_or_else(String::new, most);
        Some(vec![self.label.to_owned(), String::new(), format!("{micros:+.1} ±{unsure:.1} µs"), to_reach])
    }
}

impl Share {
    fn row(&self, outcomes: &LoadResults) -> Option<Vec<String>> {
        let floor = outcomes.of(self.scenario, FLOOR)?.cpu_micros?;
        let beyond = |name| Some(outcomes.of(self.scenario, name)?.cpu_micros? - floor);
        let share = beyond(self.of)? / beyond(self.against)?;
        let unsure = outcomes.unsure(self.scenario);
        let verdict = verdict(share <= self.most, share * (1.0 - unsure) <= self.most);
        let to_reach = format!("at most {}{verdict}", self.most);
        Some(vec![self.label.to_owned(), String::new(), format!("{share:.2}"), to_reach])
    }
}

/// The words behind a target that is reached or missed, or perhaps reached.
const fn verdict(is_reached: bool, may_be_reached: bool) -> &'static str {
    match (is_reached, may_be_reached) {
        (true, _) => "",
        (false, true) => ": missed, by less than this run can tell",
        (false, false) => ": missed",
    }
}

/// How many times theirs ours is, and how far the two medians that it is made of may be off, as a share.
fn ratio(ours: &Measured, theirs: &Measured, of: fn(&Measured) -> Option<Ratio>) -> Option<(f64, f64)> {
    let (ours, theirs) = (of(ours)?, of(theirs)?);
    Some((ours.median / theirs.median, ours.error / ours.median + theirs.error / theirs.median))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{report::tests::outcomes, scenarios, subjects::SUBJECTS},
        *,
    };

    #[test]
    fn a_missed_target_is_marked() {
        let to_reach = |admit, again| {
            let rows = rows(&outcomes(admit, again));
            rows.into_iter().find(|row| row[0].starts_with("cached check / floor")).unwrap().pop().unwrap()
        };
        assert_eq!(to_reach(0.96, 1.0), "at least 0.95");
        assert_eq!(to_reach(0.90, 1.0), "at least 0.95: missed");
        assert_eq!(to_reach(0.94, 1.05), "at least 0.95: missed, by less than this run can tell");
        assert_eq!(to_reach(0.60, 1.05), "at least 0.95: missed");
        // Hono's ratio to the floor is 0.25.
        let ceiling = ceiling("ceiling", "hot").row(&outcomes(0.9, 1.0)).unwrap();
        assert_eq!(ceiling, ["ceiling", "4.00", "4.00", ""]);
    }

    #[test]
    fn a_signature_is_charged_beside_a_check_of_the_same_rounds() {
        let to_reach = |admit: f64, again| {
            // A check takes 30 µs by the ratio of `admit`, an answer with a signature 60 µs.
            let row = Surcharge { label: "s", scenario: "hot", of: "plain-cached", most: Some(10.0) };
            row.row(&outcomes(admit, again)).unwrap().split_off(2)
        };
        assert_eq!(to_reach(0.5, 1.0), ["+0.0 ±2.4 µs", "at most 10 µs"]);
        assert_eq!(
            to_reach(0.62, 1.0),
            ["+11.6 ±2.0 µs", "at most 10 µs: missed, by less than this run can tell"]
        );
        assert_eq!(to_reach(1.0, 1.0), ["+30.0 ±1.5 µs", "at most 10 µs: missed"]);
        // The floor's duplicate came out 30 % from the first: no figure is sure.
        assert_eq!(to_reach(1.0, 1.3)[1], "at most 10 µs: missed, by less than this run can tell");
    }

    #[test]
    fn a_share_is_of_what_comes_beyond_the_floor() {
        let share = |of| {
            let share = Share { label: "s", scenario: "hot", of, against: "hono", most: 0.5 };
            share.row(&outcomes(0.5, 1.0)).unwrap().split_off(2)
        };
        assert_eq!(share("hono"), ["1.00", "at most 0.5: missed"]);
        assert_eq!(share("floor"), ["0.00", "at most 0.5"]);
    }

    #[test]
    fn every_target_names_a_scenario_and_its_subjects() {
        let scenarios = scenarios::chosen(scenarios::Scale::FULL, &[]).unwrap();
        let ratios = TARGETS.iter().map(|it| (it.label, it.scenario, it.of, it.against));
        let surcharges = SURCHARGES.iter().map(|it| (it.label, it.scenario, it.of, CHECK));
        let shares = SHARES.iter().flat_map(|it| {
            [(it.label, it.scenario, it.of, it.against), (it.label, it.scenario, it.of, FLOOR)]
        });
        for (label, scenario, of, against) in ratios.chain(surcharges).chain(shares) {
            let scenario = scenarios.iter().find(|it| it.name == scenario).unwrap();
            for name in [of, against] {
                let subject = SUBJECTS.iter().find(|subject| subject.name == name).unwrap();
                assert!(scenario.wants(subject), "{label}: {name}");
            }
        }
    }
}
