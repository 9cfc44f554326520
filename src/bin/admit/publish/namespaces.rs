//! Whether the Worker's issuers know the namespaces of the customers that are to be published.

use std::fmt::Write as _;

use admit::snapshot::source::{Namespace, Source};
use anyhow::Result;

use super::Args;
use crate::store::Store;

/// Unknown namespaces that are named.
const NAMED_MAX: usize = 5;

/// How many letters a namespace may differ in from one that is meant.
const NEAR_EDITS: usize = 3;

/// Why these customers may not be published: no token finds them, because no issuer has their namespace.
///
/// # Errors
/// The Worker does not answer, or refuses.
pub fn refusal(args: &Args, source: &Source, store: &Store) -> Result<Option<String>> {
    if args.allow_unknown_namespaces || source.namespaces.iter().next().is_none() {
        return Ok(None);
    }
    if !store.is_worker() {
        return Ok(None);
    }
    let Some(issuers) = store.issuers()? else {
        eprintln!("note: this Worker does not say which namespaces its issuers have; they are not checked");
        return Ok(None);
    };
    let known: Vec<_> = issuers.into_iter().map(|issuer| issuer.namespace).collect();
    Ok(unknown(source.namespaces.iter(), &known))
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
            let _ = write!(message, "; is {near:?} meant?");
        }
        message.push_str("); ");
    }
    let more = unknown.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        let _ = write!(message, "and {more} more; ");
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let _ = write!(
        message,
        "its namespaces: {known}. No token finds such customers: correct the lines, or ISSUERS, or publish with \
         --allow-unknown-namespaces"
    );
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
    use admit::snapshot::source::Location;

    use super::*;

    #[test]
    fn an_unknown_namespace_is_named_with_the_one_that_is_meant() {
        let known = ["cognito".to_owned(), "vendor".to_owned()];
        let namespace = |customers| Namespace { customers, first: Location { file: "f".into(), line: 3 } };
        let (one, many) = (namespace(1), namespace(7));
        assert_eq!(unknown([("vendor", &one), ("cognito", &many)].into_iter(), &known), None);
        let refusal = unknown([("Vendor", &many), ("vendor", &one)].into_iter(), &known).unwrap();
        assert!(refusal.starts_with("no issuer of the Worker has the namespace \"Vendor\" of 7 customers (first: f:3; is \"vendor\" meant?)"), "{refusal}");
        for (name, near) in
            [("vender", Some("vendor")), ("cognto", Some("cognito")), ("x", None), ("other", None)]
        {
            assert_eq!(nearest(name, &known), near, "{name}");
        }
        assert!(unknown([("x", &one)].into_iter(), &[]).unwrap().contains("its namespaces: none"));
    }
}
