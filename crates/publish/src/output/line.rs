//! Lines of the log as JSON objects: `time`, `level`, `event` and `message`, and the event's own fields.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};

use crate::clock::now_unix_millis;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Ordinary.
    Info,
    /// Something is wrong that the program copes with.
    Warning,
    /// Something is wrong that a person has to look at.
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// That of a line of prose, by its first word, without which the level is `otherwise`.
    fn of(prose: &str, otherwise: Self) -> Self {
        match prose.split_once(": ").map_or("", |(first, _)| first) {
            "warning" | "set aside" => Self::Warning,
            "error" | "ERROR" => Self::Error,
            _ => otherwise,
        }
    }
}

/// An event for the log: a line of prose for people, and the same as fields for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    event: &'static str,
    text: String,
    fields: Map<String, Value>,
}

impl Notice {
    /// An event without fields.
    pub fn new(event: &'static str, text: impl Into<String>) -> Self {
        Self { event, text: text.into(), fields: Map::new() }
    }

    /// The event with one field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// The event's name.
    pub const fn event(&self) -> &'static str {
        self.event
    }

    /// The line of prose.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line as a JSON object. The line's own first word may say more than `level`.
    pub fn json(&self, level: Level) -> String {
        let mut object = beginning(self.event, &self.text, Level::of(&self.text, level));
        object.extend(self.fields.clone());
        Value::Object(object).to_string()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Lines of prose as JSON objects, each with its line feed.
pub fn of_prose(prose: &str, level: Level) -> String {
    let lines = prose.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| Value::Object(beginning("message", line, Level::of(line, level))).to_string() + "\n")
        .collect()
}

/// A JSON object with the time as its first member.
pub fn with_time(object: &str) -> String {
    match object.strip_prefix('{') {
        Some(members) => format!("{{\"time\":\"{}\",{members}", time()),
        None => object.to_owned(),
    }
}

fn time() -> String {
    let at = now_unix_millis().ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn beginning(event: &str, text: &str, level: Level) -> Map<String, Value> {
    let time = time();
    let members =
        [("time", time.as_str()), ("level", level.name()), ("event", event), ("message", text.trim())];
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(line: &str) -> Value {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_notice_is_prose_and_fields() {
        let notice = Notice::new("published", "Published seq 7").with("seq", 7).with("changes", 2);
        assert_eq!(notice.to_string(), "Published seq 7");
        let json = object(&notice.json(Level::Info));
        assert_eq!((&json["event"], &json["level"]), (&"published".into(), &"info".into()));
        assert_eq!((&json["message"], &json["seq"]), (&"Published seq 7".into(), &7.into()));
        assert!(DateTime::parse_from_rfc3339(json["time"].as_str().unwrap()).is_ok());
    }

    #[test]
    fn an_object_gets_the_time() {
        let json = object(&with_time(r#"{"event":"request","status":402}"#));
        assert_eq!((&json["event"], &json["status"]), (&"request".into(), &402.into()));
        assert!(DateTime::parse_from_rfc3339(json["time"].as_str().unwrap()).is_ok());
    }

    #[test]
    fn each_line_of_prose_is_an_object_and_none_is_forged() {
        let lines =
            of_prose("warning: a\n  \"b\": {\"level\":\"error\"}\n\nERROR: c\nset aside: d\n", Level::Info);
        let levels: Vec<_> = lines.lines().map(|line| object(line)["level"].clone()).collect();
        assert_eq!(levels, ["warning", "info", "error", "warning"]);
    }
}
