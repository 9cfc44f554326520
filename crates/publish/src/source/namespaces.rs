//! Counts the namespaces of customers. There are a few, one for each issuer.

use std::{collections::BTreeMap, sync::Arc};

use super::Location;

/// Number of namespaces that are told apart. A Worker has at most 64 issuers; more namespaces mean that the
/// field holds something else.
const NAMESPACES_MAX: usize = 256;

/// The customers of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Number of their lines.
    pub customers: u64,
    /// The place of the first line.
    pub first: Location,
}

/// Namespaces by name.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(BTreeMap<String, Namespace>);

impl Namespaces {
    /// All namespaces with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Namespace)> {
        self.0.iter().map(|(name, namespace)| (name.as_str(), namespace))
    }

    /// Adds the namespaces of a part of a file.
    pub(super) fn append(&mut self, file: &Arc<str>, lines: Lines) {
        for (name, (customers, line)) in lines.found {
            let at = Location { file: Arc::clone(file), line };
            if self.0.len() >= NAMESPACES_MAX && !self.0.contains_key(&name) {
                continue;
            }
            let known = self.0.entry(name).or_insert_with(|| Namespace { customers: 0, first: at.clone() });
            known.customers += customers;
            if known.first.file == at.file {
                known.first.line = known.first.line.min(at.line);
            }
        }
    }
}

/// The namespaces in a part of a file: for each the number of customers and the line of the first.
#[derive(Debug, Default)]
pub(super) struct Lines {
    found: BTreeMap<String, (u64, u64)>,
}

impl Lines {
    pub fn add(&mut self, name: &str, line: u64) {
        if let Some((customers, _)) = self.found.get_mut(name) {
            *customers += 1;
        } else if self.found.len() < NAMESPACES_MAX {
            self.found.insert(name.to_owned(), (1, line));
        }
    }
}
