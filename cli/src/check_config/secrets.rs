//! Files of secrets: `.dev.vars`, or a file for `wrangler deploy --secrets-file`.

use std::{collections::BTreeMap, fs, path::Path};

use admit_native::private_file;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Reads a file of `NAME=value` lines, or a JSON object of texts.
///
/// # Errors
/// The file cannot be read, or has neither form. Messages never contain a value.
pub fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    private_file::warn_if_shared(path);
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    if text.trim_start().starts_with('{') {
        // serde_json's own messages quote values, so they are not shown.
        let Ok(Value::Object(members)) = serde_json::from_str(text) else { bail!("not a valid JSON object") };
        return Ok(members.into_iter().map(|(name, value)| (name, as_binding(&value))).collect());
    }
    let mut values = BTreeMap::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let entry = first.trim();
        let entry = entry.strip_prefix("export ").unwrap_or(entry);
        if entry.is_empty() || entry.starts_with('#') {
            (rest, line) = (after, line + 1);
            continue;
        }
        let Some((name, value)) = entry.split_once('=') else {
            bail!("line {line}: expected NAME=value");
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|first| matches!(first, '\'' | '"' | '`'));
        let Some(quote) = quote else {
            let value = value.split(" #").next().unwrap_or_default().trim_end();
            values.insert(name.trim().to_owned(), value.to_owned());
            (rest, line) = (after, line + 1);
            continue;
        };
        // A quoted value may continue over several lines.
        let open = first.find(quote).map_or(0, |at| at + quote.len_utf8());
        let body = rest.get(open..).unwrap_or_default();
        let Some((value, end)) = body.split_once(quote) else {
            bail!("line {line}: the value of {} has no closing {quote}", name.trim());
        };
        let value = if quote == '"' { value.replace("\\n", "\n") } else { value.to_owned() };
        line += value.matches('\n').count() + 1;
        values.insert(name.trim().to_owned(), value);
        rest = end.split_once('\n').map_or("", |(_, after)| after);
    }
    Ok(values)
}

/// A variable as the Worker reads it: text as it is, everything else as JSON.
pub fn as_binding(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_wrangler_reads_them() {
        let text = "# comment\n\nA=plain # comment\nexport B = 'it is # here'\nC=\"two\\nlines\"\nD='{\n \"a\": 1\n}'\nE=\n";
        let values = parse(text).unwrap();
        let expected =
            [("A", "plain"), ("B", "it is # here"), ("C", "two\nlines"), ("D", "{\n \"a\": 1\n}"), ("E", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(values, BTreeMap::from(expected));
        let values = parse("{\"A\": \"text\", \"B\": [1]}").unwrap();
        assert_eq!((values["A"].as_str(), values["B"].as_str()), ("text", "[1]"));
    }

    #[test]
    fn wrong_lines_are_named_and_no_value_is_shown() {
        for (text, expected) in [
            ("A=1\nhunter2\n", "line 2"),
            ("A='hunter2\n", "line 1: the value of A"),
            ("{\"A\": hunter2}", "JSON"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
