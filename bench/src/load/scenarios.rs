//! The scenarios: which requests, in which order, and which subjects answer them.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    drive::{Order, Plan},
    server::{Latency, Setting},
    subjects::{SUBJECTS, Subject},
};

/// The number that a series of scenarios increases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Tokens,
    /// Customers in the snapshot, each time with the same number of tokens.
    Customers,
}

impl Axis {
    /// In the names of scenarios.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Customers => "customers",
        }
    }

    pub const fn about(self) -> &'static str {
        match self {
            Self::Tokens => "How the cost grows with tokens in turn",
            Self::Customers => "How the cost grows with customers, for the same number of tokens",
        }
    }
}

/// The sizes of a run.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Customers in the snapshot, and documents in KV.
    pub customers: u64,
    /// Turns of each subject.
    pub rounds: u64,
    /// How long a turn is, in milliseconds.
    pub slice_ms: u64,
    /// Tokens of scenarios in which each is new.
    pub new_tokens: u64,
    /// Tokens that each ask for several items.
    pub item_tokens: u64,
    /// Tokens of the scenario with more than the caches hold.
    pub many_tokens: u64,
    /// First checks of viewers, each of another one.
    pub first_checks: u64,
    /// Numbers of tokens to see growth by.
    pub growth_tokens: &'static [u64],
    /// Numbers of customers to see growth by, each a snapshot of its own, the last with all customers.
    pub growth_customers: &'static [u64],
    /// Turns of each subject at each point of growth.
    pub growth_rounds: u64,
    /// Processes that are started to see how long they take.
    pub cold_starts: usize,
    /// Whether it is too short to be relied upon.
    pub is_a_first_look: bool,
    /// Only to see that everything works.
    pub is_smoke: bool,
}

impl Scale {
    /// The smallest of everything.
    pub const SMOKE: Self = Self {
        customers: 200,
        rounds: 2,
        slice_ms: 10,
        new_tokens: 60,
        item_tokens: 20,
        many_tokens: 500,
        first_checks: 100,
        growth_tokens: &[1, 100],
        growth_customers: &[100, 200],
        growth_rounds: 2,
        cold_starts: 1,
        is_a_first_look: true,
        is_smoke: true,
    };
    pub const QUICK: Self = Self {
        customers: 10_000,
        rounds: 10,
        slice_ms: 40,
        new_tokens: 3_000,
        item_tokens: 200,
        many_tokens: 20_000,
        first_checks: 500,
        growth_tokens: &[1, 10, 100, 1_000, 8_000, 30_000],
        growth_customers: &[1_000, 10_000],
        growth_rounds: 6,
        cold_starts: 3,
        is_a_first_look: true,
        is_smoke: false,
    };
    /// The run that docs/performance.md shows.
    pub const FULL: Self = Self {
        customers: 100_000,
        rounds: 150,
        slice_ms: 70,
        new_tokens: 30_000,
        item_tokens: 1_000,
        many_tokens: 100_000,
        first_checks: 4_000,
        growth_tokens: &[1, 10, 100, 1_000, 8_000, 30_000],
        growth_customers: &[1_000, 10_000, 100_000],
        growth_rounds: 40,
        cold_starts: 21,
        is_a_first_look: false,
        is_smoke: false,
    };
}

/// Up to this number of tokens all are verified before anything is measured: Admit's cache of them, and the peers'.
const WARM_TOKENS_MAX: u64 = 8_192;

/// The usual subjects. The first of a list is the base of comparisons.
pub const USUAL: &[&str] =
    &["floor", "constant", "admit", "plain-cached", "hono-cached", "hono", "workers-rs"];
const WITH_ORIGIN: &[&str] =
    &["floor", "constant", "admit", "admit-unconfirmed", "plain-cached", "hono-cached", "hono", "workers-rs"];
const WITHOUT_FLOORS: &[&str] = &["admit", "plain-cached", "hono-cached", "hono", "workers-rs"];
const OF_ALGORITHM: &[&str] = &["floor", "admit", "plain-cached", "hono"];
/// A check by the same tokens, and the same question for playback to each signer.
const OF_PLAYBACK: &[&str] =
    &["floor", "admit", "admit-jw", "hono-cached-jw", "admit-mux", "hono-cached-mux"];
const OF_GROWTH: &[&str] = &["floor", "admit", "plain-cached"];

/// A Worker that asks before it does something: by a call, by a request, or by itself. `admit` is the HTTP check from
/// outside, and answers the other two.
const OF_CALLS: &[&str] = &["floor", "admit", "gate-rpc", "gate-fetch", "gate-socket", "gate-kv"];
/// A single check by the same tokens, and several items in one request.
const OF_BATCH: &[&str] = &["floor", "admit", "admit-many", "hono-cached-many", "hono-many"];
/// A single check, and a page of what a customer may play who holds 1,000 items.
const OF_SEARCH: &[&str] = &["floor", "admit", "admit-search"];
/// How many items one request of `batch` is about.
const BATCHES: [u64; 3] = [1, 10, 100];

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub about: &'static str,
    pub setting: Setting,
    /// Whether memory must be empty at the beginning.
    pub wants_new_process: bool,
    /// The series that it is a point of, and its place there.
    pub growth: Option<(Axis, u64)>,
    alg: &'static str,
    tokens: u64,
    /// Items that each token is asked for, in turn.
    items: u64,
    /// Items in one request of those that ask for many.
    many: u64,
    /// Whether no two of its URLs are the same.
    unlike: bool,
    denied: f64,
    written: f64,
    order: Order,
    rounds: u64,
    slice_ms: u64,
    subjects: &'static [&'static str],
}

/// The name of all points of growth in `--only`.
const GROWTH: &str = "growth";

/// The name of both scenarios of playback in `--only`.
const PLAYBACK: &str = "playback";

/// The name of all scenarios with several items in one request in `--only`.
const BATCH: &str = "batch";

/// Names in `--only` of all scenarios whose names begin with them.
const GROUPS: [&str; 3] = [PLAYBACK, BATCH, GROWTH];

/// The scenarios with these names; without names all of them.
pub fn chosen(scale: Scale, only: &[String]) -> Result<Vec<Scenario>> {
    let all = all(scale);
    let is_of = |scenario: &Scenario, name: &String| scenario.name == *name || scenario.group() == Some(name);
    if let Some(unknown) = only.iter().find(|name| *name != COLD && !all.iter().any(|it| is_of(it, name))) {
        let names = all.iter().filter(|it| it.group().is_none()).map(|scenario| scenario.name.as_str());
        let names: Vec<_> = names.chain(GROUPS).chain([COLD]).collect();
        bail!("unknown scenario {unknown:?}: expected one of {}", names.join(", "));
    }
    Ok(all.into_iter().filter(|it| only.is_empty() || only.iter().any(|name| is_of(it, name))).collect())
}

/// The scenario that starts processes instead of driving load.
pub const COLD: &str = "cold";

/// Whether that scenario is wanted.
pub fn wants_cold(only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|name| name == COLD)
}

/// The surroundings of most scenarios.
pub const fn usual_setting(scale: Scale) -> Setting {
    Setting { latency: Latency::None, has_origin: false, customers: scale.customers, has_idle_kv: false }
}

fn all(scale: Scale) -> Vec<Scenario> {
    let hot = Scenario {
        name: "hot".to_owned(),
        about: "One token, granted: a player that polls",
        setting: usual_setting(scale),
        wants_new_process: false,
        growth: None,
        alg: "HS256",
        tokens: 1,
        items: 1,
        many: 1,
        unlike: false,
        denied: 0.0,
        written: 0.0,
        order: Order::Cycle,
        rounds: scale.rounds,
        slice_ms: scale.slice_ms,
        subjects: USUAL,
    };
    let named = |name: &str, about: &'static str| Scenario { name: name.to_owned(), about, ..hot.clone() };
    let thousand = scale.customers.min(1_000);
    let of = |alg: &'static str, scenario: Scenario| Scenario { alg, subjects: OF_ALGORITHM, ..scenario };
    let new = |alg: &'static str, name: &str, about: &'static str| Scenario {
        alg,
        tokens: scale.new_tokens,
        order: Order::Once,
        ..named(name, about)
    };
    let mut scenarios = vec![
        hot.clone(),
        of("RS256", named("hot-rs256", "The same, the token's algorithm RS256")),
        of("ES256", named("hot-es256", "The same, the token's algorithm ES256")),
        Scenario { tokens: thousand, ..named("thousand", "1,000 tokens in turn, granted") },
        Scenario {
            tokens: scale.item_tokens,
            items: 8,
            ..named("items", "Tokens in turn, each for another one of its 8 items every time")
        },
        Scenario {
            tokens: scale.item_tokens,
            items: 30,
            unlike: true,
            ..named("unrepeated", "Tokens in turn, no question the same as one before")
        },
        Scenario { tokens: scale.many_tokens, ..named("many", "More tokens in turn than any cache holds") },
        Scenario {
            tokens: thousand,
            denied: 1.0,
            ..named("denied", "1,000 tokens in turn, none of them granted")
        },
        new("HS256", "new-hs256", "Each token new: HS256"),
        new("RS256", "new-rs256", "Each token new: RS256"),
        new("ES256", "new-es256", "Each token new: ES256"),
        new("EdDSA", "new-eddsa", "Each token new: EdDSA"),
    ];
    scenarios.extend(growth(scale, &hot));
    scenarios.extend([
        Scenario {
            setting: Setting { has_origin: true, ..hot.setting },
            tokens: scale.new_tokens,
            denied: 0.05,
            written: 0.01,
            order: Order::Zipf,
            subjects: WITH_ORIGIN,
            ..named("evening", "An evening: viewers by Zipf's law, 5 % denied, 1 % writes, an origin behind")
        },
        Scenario {
            setting: Setting { latency: Latency::Edge, ..hot.setting },
            wants_new_process: true,
            tokens: scale.first_checks,
            order: Order::Once,
            // Long enough for all: the time to the answer is compared.
            slice_ms: 600_000,
            rounds: 1,
            subjects: WITHOUT_FLOORS,
            ..named("first-check", "Viewers' first checks, KV at 2 ms hot and 80 ms cold")
        },
    ]);
    scenarios.extend(playback(&hot));
    scenarios.push(Scenario {
        wants_new_process: true,
        subjects: OF_CALLS,
        ..named("rpc", "A Worker asks before it serves: one token, granted")
    });
    scenarios.extend(batches(&hot));
    scenarios.push(Scenario {
        tokens: thousand,
        items: 8,
        subjects: OF_SEARCH,
        ..named("search", "The first 100 of 1,000 items that a customer may play, beside single checks")
    });
    scenarios
}

/// The scenarios with several items in one request, in a process of their own.
fn batches(hot: &Scenario) -> [Scenario; 3] {
    BATCHES.map(|many| Scenario {
        name: format!("{BATCH}-{many}"),
        about: match many {
            1 => "A page with 1 item in one request, beside single checks",
            10 => "A page with 10 items in one request, beside single checks",
            _ => "A page with 100 items in one request, beside single checks",
        },
        wants_new_process: many == 1,
        tokens: hot.setting.customers.min(1_000),
        items: 8,
        many,
        subjects: OF_BATCH,
        ..hot.clone()
    })
}

/// The scenarios of playback. A group of its own, last, so that its Workers take no memory from the others.
fn playback(hot: &Scenario) -> [Scenario; 2] {
    let named = |name: &str, about: &'static str| Scenario {
        name: format!("{PLAYBACK}-{name}"),
        about,
        subjects: OF_PLAYBACK,
        ..hot.clone()
    };
    [
        Scenario {
            // Eight signatures for each token: eight times of what an isolate remembers, each gone when its turn comes
            // again.
            tokens: hot.setting.customers.min(1_000),
            items: 8,
            unlike: true,
            ..named("first", "Playback, each signature the first of its window")
        },
        named("repeated", "Playback, one signature again and again"),
    ]
}

/// The points of growth.
fn growth(scale: Scale, hot: &Scenario) -> impl Iterator<Item = Scenario> {
    let point = move |axis: Axis, count: u64, tokens: u64, customers: u64| Scenario {
        name: format!("{GROWTH}-{}-{count}", axis.name()),
        about: axis.about(),
        growth: Some((axis, count)),
        setting: Setting { customers, ..hot.setting },
        tokens,
        rounds: scale.growth_rounds,
        subjects: OF_GROWTH,
        ..hot.clone()
    };
    let by_tokens =
        scale.growth_tokens.iter().map(move |count| point(Axis::Tokens, *count, *count, scale.customers));
    // The same number of tokens over ever more customers: they lie in ever more shards, and those alone are loaded.
    let tokens = scale.growth_customers.iter().copied().min().unwrap_or(1).min(1_000);
    // Each check is looked up: kept answers know nothing of customers.
    let by_customers = scale.growth_customers.iter().map(move |count| Scenario {
        wants_new_process: true,
        items: 12,
        unlike: true,
        ..point(Axis::Customers, *count, tokens, *count)
    });
    by_tokens.chain(by_customers)
}

impl Scenario {
    /// How `make.mjs` makes the list of its requests.
    pub fn list(&self) -> Value {
        json!({
            "alg": self.alg, "tokens": self.tokens, "customers": self.setting.customers, "items": self.items, "many": self.many, "unlike": self.unlike,
            "denied": self.denied, "written": self.written,
            "order": if self.order == Order::Zipf { "zipf" } else { "cycle" },
            "more": SUBJECTS.iter().filter(|it| self.wants(it)).filter_map(Subject::list).collect::<BTreeSet<_>>(),
        })
    }

    /// The file with the requests to a subject.
    pub fn file(&self, subject: &Subject) -> String {
        let list = subject.list().map_or_else(String::new, |list| format!(".{list}"));
        format!("{}{list}.tsv", self.name)
    }

    /// The name of several scenarios with this one.
    fn group(&self) -> Option<&'static str> {
        let is_of = |group: &&str| self.name.strip_prefix(group).is_some_and(|rest| rest.starts_with('-'));
        GROUPS.into_iter().find(is_of)
    }

    /// Whether a subject takes part.
    pub fn wants(&self, subject: &Subject) -> bool {
        self.subjects.contains(&subject.role())
    }

    /// The subjects that take part, with their names in the results. The duplicate of the floor says how far apart
    /// equals come out.
    pub fn subjects(&self, all: &[Subject]) -> Vec<(String, Subject)> {
        let chosen = all.iter().filter(|subject| self.wants(subject));
        let mut chosen: Vec<_> = chosen.map(|subject| (subject.name.to_owned(), *subject)).collect();
        if let Some((name, floor)) = chosen.first().filter(|(_, first)| first.is_floor()).cloned() {
            chosen.insert(1, (format!("{name} again"), floor));
        }
        chosen
    }

    /// How the load drives its subjects in the process `pid`.
    pub fn plan(&self, pid: u32) -> Plan {
        // Where all tokens are remembered, all of them are, before it begins.
        let is_warm = self.order == Order::Cycle && self.tokens <= WARM_TOKENS_MAX;
        // Answers are kept at the second time.
        let times = if self.unlike { 1 } else { 2 * self.items };
        Plan {
            pid,
            slice: Duration::from_millis(self.slice_ms),
            rounds: self.rounds,
            warm_up: if self.order == Order::Once { 0 } else { 2 },
            warm_up_requests: if is_warm { times * self.tokens } else { 0 },
            order: self.order,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scale: Scale, only: &[&str]) -> Vec<String> {
        let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
        chosen(scale, &only).unwrap().into_iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn growth_is_chosen_as_a_whole_and_others_by_name() {
        assert_eq!(names(Scale::FULL, &["items", "hot"]), ["hot", "items"]);
        let growth = names(Scale::FULL, &["growth"]);
        assert!(growth.iter().all(|name| name.starts_with("growth-")), "{growth:?}");
        assert!(growth.contains(&"growth-tokens-8000".to_owned()), "{growth:?}");
        assert!(growth.contains(&"growth-customers-100000".to_owned()), "{growth:?}");
        assert_eq!(names(Scale::FULL, &["growth-tokens-1"]), ["growth-tokens-1"]);
        assert_eq!(names(Scale::FULL, &["playback"]), ["playback-first", "playback-repeated"]);
        assert!(names(Scale::FULL, &["cold"]).is_empty());
        let error = chosen(Scale::FULL, &["hat".to_owned()]).unwrap_err().to_string();
        assert!(
            error.contains("hot, hot-rs256") && error.contains("playback, batch, growth, cold"),
            "{error}"
        );
        assert_eq!(names(Scale::FULL, &["batch", "rpc"]), ["rpc", "batch-1", "batch-10", "batch-100"]);
    }

    #[test]
    fn every_scenario_has_known_subjects_and_no_more_customers_than_the_snapshot() {
        for scale in [Scale::SMOKE, Scale::QUICK, Scale::FULL] {
            assert_eq!(scale.growth_customers.last(), Some(&scale.customers));
            for scenario in all(scale) {
                for name in scenario.subjects {
                    assert!(SUBJECTS.iter().any(|it| it.name == *name), "{}: {name}", scenario.name);
                }
                assert!(scenario.setting.customers <= scale.customers, "{}", scenario.name);
            }
        }
    }

    #[test]
    fn each_signature_has_gone_when_its_turn_comes_again() {
        for scale in [Scale::QUICK, Scale::FULL] {
            let all = all(scale);
            let first = all.iter().find(|scenario| scenario.name == "playback-first").unwrap();
            // Each signature that comes in between takes one of the places: the share that is left is e^-7, 0.1 %.
            assert!(first.tokens * first.items >= 7 * admit::limits::SIGNATURES_MAX as u64);
            assert_eq!(first.list()["more"], json!(["jw", "mux"]));
            let files = first.subjects(&SUBJECTS).into_iter().map(|(_, subject)| first.file(&subject));
            let files: BTreeSet<_> = files.collect();
            let expected = ["playback-first.jw.tsv", "playback-first.mux.tsv", "playback-first.tsv"];
            assert!(files.iter().eq(expected), "{files:?}");
        }
    }

    #[test]
    fn what_calls_admit_runs_beside_it() {
        for scenario in all(Scale::FULL) {
            let subjects = scenario.subjects(&SUBJECTS);
            let calls = subjects.iter().any(|(_, subject)| subject.calls.is_some());
            assert!(!calls || scenario.subjects.contains(&"admit"), "{}", scenario.name);
        }
    }

    #[test]
    fn the_floor_takes_part_twice_where_there_is_one() {
        let of = |name: &str| {
            let scenario = all(Scale::FULL).into_iter().find(|scenario| scenario.name == name).unwrap();
            let names = scenario.subjects(&SUBJECTS).into_iter().map(|(name, _)| name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            of("hot-es256"),
            ["floor", "floor again", "admit", "admit-against", "plain-cached", "hono"]
        );
        assert_eq!(of("first-check").first().map(String::as_str), Some("admit"));
        assert!(of("evening").contains(&"admit-unconfirmed".to_owned()));
        assert!(!of("denied").contains(&"admit-unconfirmed".to_owned()));
    }
}
