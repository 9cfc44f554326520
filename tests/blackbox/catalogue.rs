//! The sample catalogue, and how it is published.

use std::{collections::BTreeMap, fs, path::Path};

use admit::snapshot::schema::{AccessType, App, Customer, Item, License, Line, Merchant};
use admit_publish::build::{Built, build_ndjson};

use super::{
    issuers::{self, Signer},
    subject::Subject,
    wire::Wire,
};

/// The lines of a catalogue, by type.
#[derive(Default)]
pub struct Lines {
    pub merchants: BTreeMap<i64, Merchant>,
    pub apps: Vec<App>,
    pub licenses: Vec<License>,
    pub access_types: BTreeMap<i64, AccessType>,
    pub items: BTreeMap<i64, Item>,
    pub customers: BTreeMap<(String, String), Customer>,
}

impl Lines {
    /// The lines of the sample catalogue.
    pub fn of_samples() -> Self {
        Self::of(&samples())
    }

    fn of(ndjson: &str) -> Self {
        let mut lines = Self::default();
        for line in ndjson.lines() {
            match serde_json::from_str(line).unwrap() {
                Line::Snapshot(_) => {}
                Line::Merchant(one) => drop(lines.merchants.insert(one.id, one)),
                Line::App(one) => lines.apps.push(one),
                Line::License(one) => lines.licenses.push(one),
                Line::AccessType(one) => drop(lines.access_types.insert(one.id, one)),
                Line::Item(one) => drop(lines.items.insert(one.id, one)),
                Line::Customer(one) => {
                    lines.customers.insert((one.namespace.clone(), one.subject.clone()), one);
                }
            }
        }
        lines
    }
}

fn samples() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/catalogue");
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// A published catalogue.
pub struct Published {
    pub lines: Lines,
    pub built: Built,
    pub at: i64,
}

/// Publishes the sample catalogue through the service's own routes, as `admit publish` does.
pub fn publish(subject: &dyn Subject, seq: u64) -> Published {
    publish_lines(subject, seq, &samples())
}

/// Publishes the sample catalogue and more lines.
pub fn publish_with(subject: &dyn Subject, seq: u64, more: &str) -> Published {
    publish_lines(subject, seq, &(samples() + more))
}

/// Publishes the sample catalogue without customers, so that nothing was bought.
pub fn publish_without_customers(subject: &dyn Subject, seq: u64) -> Published {
    let samples = samples();
    let lines = samples.lines().filter(|line| !line.contains(r#""type": "customer""#));
    publish_lines(subject, seq, &lines.map(|line| format!("{line}\n")).collect::<String>())
}

fn publish_lines(subject: &dyn Subject, seq: u64, ndjson: &str) -> Published {
    let at = subject.now();
    let (lines, built) = (Lines::of(ndjson), build_ndjson(ndjson.as_bytes(), at).unwrap());
    let token = issuers::publisher_token(at + 86_400);
    for (name, object) in &built.objects {
        let stored = subject.send(&Wire::put(&format!("/snapshot/{name}"), object.clone()).bearer(&token));
        assert_eq!(stored.status, 201, "{name}: {}", stored.text());
    }
    let head = issuers::sign_head(&issuers::head(&built, seq, at), Signer::Publisher);
    let stored = subject.send(&Wire::put("/snapshot/head", head.into_bytes()).bearer(&token));
    assert_eq!(stored.status, 201, "head: {}", stored.text());
    assert_eq!(stored.json()["stored"], "head");
    Published { lines, built, at }
}
