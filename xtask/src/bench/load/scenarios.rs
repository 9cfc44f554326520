//! What is asked, how often, and of whom.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{peers::Subject, server::Latency};

/// How much of everything.
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
    /// Tokens of the scenario with more than the caches hold.
    pub many_tokens: u64,
    /// First checks of viewers, each of another one.
    pub first_checks: u64,
    /// Processes that are started to see how long they take.
    pub cold_starts: usize,
    /// Only whether it works.
    pub is_smoke: bool,
}

impl Scale {
    /// Whether it works.
    pub const SMOKE: Self = Self {
        customers: 200,
        rounds: 2,
        slice_ms: 10,
        new_tokens: 60,
        many_tokens: 500,
        first_checks: 100,
        cold_starts: 1,
        is_smoke: true,
    };
    /// A first look.
    pub const QUICK: Self = Self {
        customers: 2_000,
        rounds: 12,
        slice_ms: 50,
        new_tokens: 3_000,
        many_tokens: 10_000,
        first_checks: 500,
        cold_starts: 3,
        is_smoke: false,
    };
    /// What the documents show.
    pub const FULL: Self = Self {
        customers: 100_000,
        rounds: 150,
        slice_ms: 70,
        new_tokens: 30_000,
        many_tokens: 100_000,
        first_checks: 4_000,
        cold_starts: 21,
        is_smoke: false,
    };
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// For people.
    pub about: &'static str,
    /// How long KV takes.
    pub latency: Latency,
    /// Whether nothing may be in memory at the beginning.
    pub wants_new_process: bool,
    alg: &'static str,
    tokens: u64,
    denied: f64,
    order: &'static str,
    rounds: u64,
    slice_ms: u64,
    /// Whether floors and their duplicate take part.
    with_floors: bool,
}

/// The scenarios with these names; all of them if none is named.
///
/// # Errors
/// There is none of a name.
pub fn chosen(scale: Scale, only: &[String]) -> Result<Vec<Scenario>> {
    let all = all(scale);
    if let Some(unknown) = only.iter().find(|name| *name != COLD && !all.iter().any(|it| it.name == **name)) {
        let names: Vec<_> = all.iter().map(|scenario| scenario.name).chain([COLD]).collect();
        bail!("no scenario {unknown:?}: there are {}", names.join(", "));
    }
    Ok(all.into_iter().filter(|it| only.is_empty() || only.iter().any(|name| name == it.name)).collect())
}

/// The scenario that no load is needed for.
pub const COLD: &str = "cold";

/// Whether that one is wanted.
pub fn wants_cold(only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|name| name == COLD)
}

fn all(scale: Scale) -> Vec<Scenario> {
    let hot = Scenario {
        name: "hot",
        about: "One token, granted: a player that polls",
        latency: Latency::None,
        wants_new_process: false,
        alg: "HS256",
        tokens: 1,
        denied: 0.0,
        order: "cycle",
        rounds: scale.rounds,
        slice_ms: scale.slice_ms,
        with_floors: true,
    };
    let new = Scenario { tokens: scale.new_tokens, order: "once", ..hot.clone() };
    vec![
        hot.clone(),
        Scenario {
            name: "thousand",
            about: "1,000 tokens in turn, granted",
            tokens: scale.customers.min(1_000),
            ..hot.clone()
        },
        Scenario {
            name: "many",
            about: "More tokens in turn than any cache holds",
            tokens: scale.many_tokens,
            ..hot.clone()
        },
        Scenario {
            name: "denied",
            about: "1,000 tokens in turn, none of them granted",
            tokens: scale.customers.min(1_000),
            denied: 1.0,
            ..hot.clone()
        },
        Scenario {
            name: "evening",
            about: "Viewers by Zipf's law, 5 % of them denied",
            tokens: scale.new_tokens,
            denied: 0.05,
            order: "zipf",
            ..hot.clone()
        },
        Scenario { name: "new-hs256", about: "Each token new: HS256", ..new.clone() },
        Scenario { name: "new-rs256", about: "Each token new: RS256", alg: "RS256", ..new.clone() },
        Scenario { name: "new-es256", about: "Each token new: ES256", alg: "ES256", ..new.clone() },
        Scenario { name: "new-eddsa", about: "Each token new: EdDSA", alg: "EdDSA", ..new },
        Scenario {
            name: "first-check",
            about: "Viewers' first checks, KV at 2 ms hot and 80 ms cold",
            latency: Latency::Edge,
            wants_new_process: true,
            tokens: scale.first_checks,
            order: "once",
            // Long enough for all: what is compared is the time to the answer.
            slice_ms: 600_000,
            rounds: 1,
            with_floors: false,
            ..hot
        },
    ]
}

impl Scenario {
    /// What makes the list of its requests.
    pub fn list(&self) -> Value {
        json!({ "alg": self.alg, "tokens": self.tokens, "denied": self.denied })
    }

    /// Who takes part, under which names. The duplicate of the first one says how far apart equals come out.
    pub fn subjects(&self, all: &[Subject]) -> Vec<(String, Subject)> {
        let mut chosen = Vec::new();
        for subject in all {
            if subject.kv.is_some() || self.with_floors {
                chosen.push((subject.name.to_owned(), *subject));
            }
        }
        if let (true, Some((name, first))) = (self.with_floors, chosen.first().cloned()) {
            chosen.insert(1, (format!("{name} again"), first));
        }
        chosen
    }

    /// What the load reads.
    pub fn plan(&self, dir: &Path, pid: u32, subjects: &[Value]) -> Value {
        let warm_up = if self.order == "once" { 0 } else { 2 };
        json!({
            "pid": pid, "connections": 16, "slice_ms": self.slice_ms, "rounds": self.rounds, "warm_up": warm_up,
            "requests": dir.join(format!("{}.tsv", self.name)), "order": self.order, "subjects": subjects,
        })
    }
}
