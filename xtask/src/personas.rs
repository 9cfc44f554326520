//! The sample viewers: tokens for them, curl lines, and what the Worker must answer them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::{
    keys::DevKeys,
    paths::Paths,
    server::{self, Server},
};

/// How long a persona's token lives unless it says otherwise: 30 days, as the vendor's do.
const TTL_SECS: i64 = 30 * 86_400;

/// One sample viewer with a token.
#[derive(Debug)]
pub struct Persona {
    name: String,
    why: String,
    token: String,
    base_url: String,
    item_id: u64,
    expect: Map<String, Value>,
}

/// Reads `samples/personas.json` and mints the tokens.
///
/// # Errors
/// The file is wrong or a token cannot be made.
pub fn mint(paths: &Paths, keys: &DevKeys, base_url: &str) -> Result<Vec<Persona>> {
    let path = paths.in_root("samples/personas.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let samples: Vec<Value> = serde_json::from_str(&text)?;
    let mint = |sample: &Value| {
        let text = |name: &str| {
            let value = sample.get(name).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("a persona has no {name:?}: {sample}"))
        };
        let object = |name: &str| sample.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let ttl_secs = sample.get("ttl_secs").and_then(Value::as_i64).unwrap_or(TTL_SECS);
        let item_id = sample.get("item_id").and_then(Value::as_u64);
        Ok(Persona {
            name: text("name")?,
            why: text("why")?,
            token: keys.token(&text("issuer")?, &object("claims"), ttl_secs)?,
            base_url: base_url.to_owned(),
            item_id: item_id.with_context(|| format!("a persona has no \"item_id\": {sample}"))?,
            expect: object("expect"),
        })
    };
    samples.iter().map(mint).collect()
}

/// Writes the personas as JSON into `dir`, for tests and other programs.
///
/// # Errors
/// The file cannot be written.
pub fn write(dir: &Path, personas: &[Persona]) -> Result<PathBuf> {
    let path = dir.join("personas.json");
    let all: Vec<_> = personas.iter().map(Persona::to_json).collect();
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Asks the Worker what every persona expects and prints a table; says how many answers were wrong.
///
/// # Errors
/// The Worker does not answer at all.
pub fn check(server: &Server, personas: &[Persona]) -> Result<(usize, usize)> {
    let (mut right, mut wrong) = (0, 0);
    println!("{:<30} {:<8} {:>8} {:>8}", "persona", "question", "expected", "answered");
    for persona in personas {
        for (question, expected) in &persona.expect {
            let Some(expected) = expected.as_u64() else { continue };
            let url = format!("{}{}", server.base_url, persona.path(question));
            let answered = server::get(&url, Some(&persona.token))?;
            let verdict = if u64::from(answered) == expected { "ok" } else { "WRONG" };
            println!("{:<30} {question:<8} {expected:>8} {answered:>8}  {verdict}", persona.name);
            *(if verdict == "ok" { &mut right } else { &mut wrong }) += 1;
        }
    }
    println!("{right} as expected, {wrong} not");
    Ok((right, wrong))
}

impl Persona {
    fn path(&self, question: &str) -> String {
        match question {
            "access" => format!("/items/{}/access", self.item_id),
            other => format!("/{other}"),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "why": self.why,
            "token": self.token,
            "base_url": self.base_url,
            "item_id": self.item_id,
            "expect": self.expect,
        })
    }

    /// Lines for people: who this is, and a command for each question that works by copy and paste.
    pub fn describe(&self) -> String {
        let mut text = format!("\n{}: {}", self.name, self.why);
        for (question, expected) in &self.expect {
            text += &format!(
                "\n  {question} -> {expected}\n  curl -i -H 'Authorization: Bearer {}' {}{}",
                self.token,
                self.base_url,
                self.path(question)
            );
        }
        text
    }
}
