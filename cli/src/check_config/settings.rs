//! The settings of one environment, by wrangler's rules: some keys are inherited from the top level, the
//! others must be repeated in each environment.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use super::document::{Document, member};

/// Keys that wrangler 4 does not inherit.
pub const NOT_INHERITED: [&str; 16] = [
    "vars",
    "secrets",
    "kv_namespaces",
    "durable_objects",
    "ratelimits",
    "analytics_engine_datasets",
    "services",
    "tail_consumers",
    "version_metadata",
    "define",
    "queues",
    "r2_buckets",
    "d1_databases",
    "secrets_store_secrets",
    "workflows",
    "unsafe",
];

/// One environment: the top level, or a table of `env`.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'d> {
    /// The file that the settings come from.
    pub document: &'d Document,
    /// The environment's name; `None` for the top level.
    pub name: Option<&'d str>,
    own: &'d Map<String, Value>,
}

/// A value and its place in the file.
#[derive(Clone, Debug)]
pub struct Found<'d> {
    /// The place, such as `env.staging.vars`.
    pub place: String,
    /// The value.
    pub value: &'d Value,
}

impl<'d> Found<'d> {
    /// The member `name`, if this is a table that has it.
    pub fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name)?;
        Some(Self { place: member(&self.place, name), value })
    }

    /// The elements, or nothing if this is not an array.
    pub fn elements(&self) -> Vec<Self> {
        let elements = self.value.as_array().map(Vec::as_slice).unwrap_or_default().iter().enumerate();
        elements
            .map(|(position, value)| Self { place: format!("{}[{position}]", self.place), value })
            .collect()
    }
}

impl<'d> Settings<'d> {
    /// The top level, or the environment called `name`.
    ///
    /// # Errors
    /// The file does not have the environment.
    pub fn of(document: &'d Document, name: Option<&'d str>) -> Result<Self> {
        let Some(name) = name else { return Ok(Self { document, name: None, own: &document.root }) };
        let known = environments(document);
        match known.iter().find(|(known, _)| *known == name) {
            Some((name, own)) => Ok(Self { document, name: Some(name), own }),
            None => {
                let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                bail!("{} has no environment {name:?}; it has {known}", document.path.display())
            }
        }
    }

    /// The top level, then every environment.
    pub fn all(document: &'d Document) -> Vec<Self> {
        let environments = environments(document).into_iter();
        let top = Self { document, name: None, own: &document.root };
        std::iter::once(top)
            .chain(environments.map(|(name, own)| Self { document, name: Some(name), own }))
            .collect()
    }

    /// The place of a key of this environment, present or not.
    pub fn place(&self, key: &str) -> String {
        self.name.map_or_else(|| key.to_owned(), |name| format!("env.{name}.{key}"))
    }

    /// A key that this environment sets itself.
    pub fn own(&self, key: &str) -> Option<Found<'d>> {
        Some(Found { place: self.place(key), value: self.own.get(key)? })
    }

    /// A key that this environment sets itself or inherits from the top level.
    pub fn inherited(&self, key: &str) -> Option<Found<'d>> {
        self.own(key).or_else(|| self.at_the_top(key))
    }

    /// A key of the top level, whether or not environments inherit it.
    pub fn at_the_top(&self, key: &str) -> Option<Found<'d>> {
        Some(Found { place: key.to_owned(), value: self.document.root.get(key)? })
    }
}

fn environments(document: &Document) -> Vec<(&str, &Map<String, Value>)> {
    let environments = document.root.get("env").and_then(Value::as_object).into_iter().flatten();
    environments.filter_map(|(name, table)| Some((name.as_str(), table.as_object()?))).collect()
}
