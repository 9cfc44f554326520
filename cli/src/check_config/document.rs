//! A configuration file of wrangler: TOML, JSON, or JSON with comments. The line of each key is kept for
//! messages.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use jsonc_parser::{
    ParseOptions,
    ast::{ObjectPropName, Value as JsonNode},
    common::Ranged,
    parse_to_ast,
};
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

/// The file names that wrangler looks for, in its order.
const NAMES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

/// A parsed configuration file.
#[derive(Debug)]
pub struct Document {
    /// The path, as messages print it.
    pub path: PathBuf,
    /// The top-level table.
    pub root: Map<String, Value>,
    /// The line of each key, from 1, by its place: `env.staging.vars.ISSUERS`, `kv_namespaces[0].id`.
    lines: BTreeMap<String, usize>,
}

impl Document {
    /// Reads the file at `path`, or the one that wrangler would find in the current directory.
    ///
    /// # Errors
    /// The file is missing, or is not valid TOML or JSON.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => NAMES.iter().map(PathBuf::from).find(|path| path.is_file()).with_context(|| {
                format!("found no {} in this directory; name the file with --config", NAMES.join(", "))
            })?,
        };
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut lines = Lines { text, found: BTreeMap::new() };
        let root = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => from_toml(text, &mut lines),
            Some("json" | "jsonc") => from_json(text, &mut lines),
            _ => Err(anyhow!("expected a file that ends with .toml, .json or .jsonc")),
        };
        let root = root.with_context(|| path.display().to_string())?;
        Ok(Self { path: path.to_owned(), root, lines: lines.found })
    }

    /// The line of a place, or of the closest table around it that has one.
    pub fn line(&self, place: &str) -> Option<usize> {
        let mut place = place;
        loop {
            if let Some(line) = self.lines.get(place) {
                return Some(*line);
            }
            place = place.get(..place.rfind(['.', '['])?)?;
        }
    }
}

/// The place of a member of the table at `parent`.
pub fn member(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

struct Lines<'t> {
    text: &'t str,
    found: BTreeMap<String, usize>,
}

impl Lines<'_> {
    fn add(&mut self, place: &str, offset: usize) {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.found.insert(place.to_owned(), line);
    }
}

fn from_toml(text: &str, lines: &mut Lines<'_>) -> Result<Map<String, Value>> {
    // The parser's message shows the line and what it expected.
    let table =
        DeTable::parse(text).map_err(|error| anyhow!("not valid TOML: {}", error.to_string().trim()))?;
    Ok(toml_table(table.get_ref(), "", lines))
}

fn toml_table(table: &DeTable<'_>, at: &str, lines: &mut Lines<'_>) -> Map<String, Value> {
    let members = table.iter().map(|(name, value)| {
        let place = member(at, name.get_ref());
        lines.add(&place, name.span().start);
        (name.get_ref().to_string(), toml_value(value.get_ref(), &place, lines))
    });
    members.collect()
}

fn toml_value(value: &DeValue<'_>, at: &str, lines: &mut Lines<'_>) -> Value {
    match value {
        DeValue::Table(table) => Value::Object(toml_table(table, at, lines)),
        DeValue::Array(elements) => {
            let elements = elements.iter().enumerate().map(|(position, element)| {
                let place = format!("{at}[{position}]");
                lines.add(&place, element.span().start);
                toml_value(element.get_ref(), &place, lines)
            });
            Value::Array(elements.collect())
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::String(text) => Value::String(text.to_string()),
        // Hexadecimal numbers and the like are not used in this file: they stay text.
        DeValue::Integer(number) => number_or_text(number.as_str()),
        DeValue::Float(number) => number_or_text(number.as_str()),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
    }
}

fn number_or_text(text: &str) -> Value {
    let plain = text.replace('_', "");
    plain.parse::<Number>().map_or_else(|_| Value::String(text.to_owned()), Value::Number)
}

fn from_json(text: &str, lines: &mut Lines<'_>) -> Result<Map<String, Value>> {
    // What wrangler accepts: comments and trailing commas, and no other extension of JSON.
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &Default::default(), &options)
        .map_err(|error| anyhow!("not valid JSON: {error}"))?;
    match parsed.value.as_ref().map(|value| json_value(value, "", lines)) {
        Some(Value::Object(root)) => Ok(root),
        _ => bail!("expected a JSON object"),
    }
}

fn json_value(value: &JsonNode<'_>, at: &str, lines: &mut Lines<'_>) -> Value {
    match value {
        JsonNode::Object(object) => {
            let members = object.properties.iter().map(|property| {
                let name = match &property.name {
                    ObjectPropName::String(name) => name.value.to_string(),
                    ObjectPropName::Word(name) => name.value.to_owned(),
                };
                let place = member(at, &name);
                lines.add(&place, property.range().start);
                let value = json_value(&property.value, &place, lines);
                (name, value)
            });
            Value::Object(members.collect())
        }
        JsonNode::Array(array) => {
            let elements = array.elements.iter().enumerate().map(|(position, element)| {
                let place = format!("{at}[{position}]");
                lines.add(&place, element.range().start);
                json_value(element, &place, lines)
            });
            Value::Array(elements.collect())
        }
        JsonNode::StringLit(text) => Value::String(text.value.to_string()),
        JsonNode::NumberLit(number) => number_or_text(number.value),
        JsonNode::BooleanLit(flag) => Value::Bool(flag.value),
        JsonNode::NullKeyword(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn toml_and_json_say_the_same_and_know_their_lines() {
        let toml =
            "name = \"a\"\n[vars]\nN = 1_000\nJ = { a = [1.5, true] }\n[[kv_namespaces]]\nbinding = \"S\"\n";
        let json = "{ // comment\n\"name\": \"a\",\n\"vars\": {\"N\": 1000,\n \"J\": {\"a\": [1.5, true]}},\n\n\"kv_namespaces\": [\n{\"binding\": \"S\"},]}";
        let expected = json!({
            "name": "a", "vars": {"N": 1000, "J": {"a": [1.5, true]}}, "kv_namespaces": [{"binding": "S"}]
        });
        let toml = Document::parse(Path::new("w.toml"), toml).unwrap();
        let json = Document::parse(Path::new("w.jsonc"), json).unwrap();
        assert_eq!(Value::Object(toml.root.clone()), expected);
        assert_eq!(Value::Object(json.root.clone()), expected);
        for (place, in_toml, in_json) in [
            ("name", Some(1), Some(2)),
            ("vars.N", Some(3), Some(3)),
            ("vars.J.a[1]", Some(4), Some(4)),
            // A missing key has the line of the table around it.
            ("vars.J.b.c", Some(4), Some(4)),
            ("kv_namespaces[0].binding", Some(6), Some(7)),
            ("vars.MISSING", Some(2), Some(3)),
            ("missing", None, None),
        ] {
            assert_eq!((toml.line(place), json.line(place)), (in_toml, in_json), "{place}");
        }
    }

    #[test]
    fn broken_files_say_where() {
        for (name, text, expected) in [
            ("w.toml", "a = 1\nb = [", "line 2"),
            ("w.json", "{\"a\": }", "line 1"),
            ("w.json", "[]", "expected a JSON object"),
            ("w.yaml", "a: 1", ".toml, .json or .jsonc"),
        ] {
            let error = format!("{:#}", Document::parse(Path::new(name), text).unwrap_err());
            assert!(error.contains(expected) && error.starts_with(name), "{error}");
        }
    }
}
