//! Checks that the Worker's issuers have the namespaces of the customers in the input.

use std::fmt::Write as _;

use admit_snapshot::schema::{Change, Record, Removal};
use anyhow::Result;

use crate::{
    change::LeftOut,
    run::Settings,
    source::{About, LineError, Location, Namespace, Problem, Source},
    store::Store,
};

/// How many unknown namespaces a message names.
const NAMED_MAX: usize = 5;

/// What to do about customers that no token finds.
const ADVICE: &str = "correct the lines, or ISSUERS, or publish with --allow-unknown-namespaces";

/// How many letters a namespace may differ from the one that is meant.
const NEAR_EDITS: usize = 3;

/// Why these customers must not be published: no issuer has their namespace, so no token finds them.
///
/// # Errors
/// The Worker does not answer, or refuses.
pub fn refusal(settings: &Settings, source: &Source, store: &Store) -> Result<Option<String>> {
    if settings.allow_unknown_namespaces || source.namespaces.iter().next().is_none() {
        return Ok(None);
    }
    if !store.is_worker() {
        return Ok(None);
    }
    Ok(known(store)?.and_then(|known| unknown(source.namespaces.iter(), &known)))
}

/// The namespaces of the Worker's issuers, if it tells them.
fn known(store: &Store) -> Result<Option<Vec<String>>> {
    let Some(issuers) = store.issuers()? else {
        eprintln!("note: this Worker does not say which namespaces its issuers have; they are not checked");
        return Ok(None);
    };
    Ok(Some(issuers.into_iter().map(|issuer| issuer.namespace).collect()))
}

/// Checks the customers of changes. The Worker is asked again only when an unknown namespace arrives, because
/// issuers may be added while a follower runs.
pub struct Checker {
    is_on: bool,
    known: Vec<String>,
}

impl Checker {
    /// A checker that knows no namespace yet.
    pub const fn new(settings: &Settings) -> Self {
        Self { is_on: !settings.allow_unknown_namespaces, known: Vec::new() }
    }

    /// Removes customers with an unknown namespace from the changes of `feed`, and reports each.
    ///
    /// # Errors
    /// The Worker does not answer, or refuses. The changes are unchanged then.
    pub fn take_unknown(
        &mut self,
        changes: &mut [Change],
        feed: &str,
        store: &Store,
    ) -> Result<Vec<LeftOut>> {
        let mut records = changes.iter().flat_map(|change| &change.put);
        if !self.is_on || !store.is_worker() || records.all(|record| self.knows(record)) {
            return Ok(Vec::new());
        }
        match known(store)? {
            Some(known) => self.known = known,
            None => {
                self.is_on = false;
                return Ok(Vec::new());
            }
        }
        let mut taken = Vec::new();
        for change in changes {
            let at = Location { file: feed.into(), line: change.seq };
            let mut position = 0;
            change.put.retain(|record| {
                let error = self.error(record, position, &at);
                position += 1;
                let is_known = error.is_none();
                taken.extend(error.map(|error| LeftOut { seq: at.line, error }));
                is_known
            });
        }
        Ok(taken)
    }

    fn knows(&self, record: &Record) -> bool {
        match record {
            Record::Customer(customer) => self.known.contains(&customer.namespace),
            _ => true,
        }
    }

    fn error(&self, record: &Record, position: usize, at: &Location) -> Option<LineError> {
        let Record::Customer(customer) = record else { return None };
        if self.knows(record) {
            return None;
        }
        let name = &customer.namespace;
        let meant = nearest(name, &self.known).map(|near| format!("; did you mean {near:?}?"));
        let meant = meant.unwrap_or_default();
        let message = format!(
            "no issuer of the Worker has the namespace {name:?}{meant} (its namespaces: {}). No token finds this \
             customer: {ADVICE}",
            listed(&self.known)
        );
        let problem = Problem { field: format!("put[{position}].namespace"), message };
        Some(LineError { about: About::record(&Removal::from(customer)), at: at.clone(), problem })
    }
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

fn unknown<'a>(found: impl Iterator<Item = (&'a str, &'a Namespace)>, known: &[String]) -> Option<String> {
    let unknown: Vec<_> = found.filter(|(name, _)| !known.iter().any(|known| known == name)).collect();
    if unknown.is_empty() {
        return None;
    }
    let mut message = String::new();
    for (name, Namespace { customers, first }) in unknown.iter().take(NAMED_MAX) {
        let noun = if *customers == 1 { "customer" } else { "customers" };
        let _ = write!(
            message,
            "no issuer of the Worker has the namespace {name:?} of {customers} {noun} (first: {first}"
        );
        if let Some(near) = nearest(name, known) {
            let _ = write!(message, "; did you mean {near:?}?");
        }
        message.push_str("); ");
    }
    let more = unknown.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        let _ = write!(message, "and {more} more; ");
    }
    let known = listed(known);
    let _ = write!(message, "its namespaces: {known}. No token finds such customers: {ADVICE}");
    Some(message)
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let edits = |known: &&String| strsim::damerau_levenshtein(&lower, &known.to_lowercase());
    let nearest = known.iter().min_by_key(edits)?;
    (edits(&nearest) <= NEAR_EDITS.min(name.chars().count() / 2)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Location;

    #[test]
    fn an_unknown_namespace_is_reported_with_the_one_that_is_meant() {
        let known = ["cognito".to_owned(), "vendor".to_owned()];
        let namespace = |customers| Namespace { customers, first: Location { file: "f".into(), line: 3 } };
        let (one, many) = (namespace(1), namespace(7));
        assert_eq!(unknown([("vendor", &one), ("cognito", &many)].into_iter(), &known), None);
        let refusal = unknown([("Vendor", &many), ("vendor", &one)].into_iter(), &known).unwrap();
        assert!(refusal.starts_with("no issuer of the Worker has the namespace \"Vendor\" of 7 customers (first: f:3; did you mean \"vendor\"?)"), "{refusal}");
        for (name, near) in
            [("vender", Some("vendor")), ("cognto", Some("cognito")), ("x", None), ("other", None)]
        {
            assert_eq!(nearest(name, &known), near, "{name}");
        }
        assert!(unknown([("x", &one)].into_iter(), &[]).unwrap().contains("its namespaces: none"));
    }
}
