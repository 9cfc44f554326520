//! The scenarios: which requests, in which order, and which subjects answer them.

mod scale;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail};
use serde_json::{Value, json};

pub use self::scale::Scale;
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
mod tests;
