//! Reads an entry of `PLAYBACK` member by member. Errors name the place and the expected value, never the found
//! one: a secret may stand in the wrong place.
//!
//! Written by hand over one `Value`, as for `ISSUERS`: derived readers for seven signers would be larger in the Worker.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::{
    error::PlaybackError,
    limits::{LIST_MAX, TEXT_MAX_BYTES},
};

/// The members of an object that have not been read yet.
pub(crate) struct Members {
    at: String,
    members: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Members {
    /// The members of the object at the path `at`.
    pub fn of(at: String, value: Value) -> Result<Self, PlaybackError> {
        match value {
            Value::Object(members) => Ok(Self { at, members, asked: Vec::new() }),
            _ => Err(PlaybackError::new(at, "expected a JSON object")),
        }
    }

    /// An error about a member.
    pub fn wrong(&self, name: &str, problem: impl Into<String>) -> PlaybackError {
        PlaybackError::new(format!("{}.{name}", self.at), problem)
    }

    /// A member that may be absent; `null` counts as absent.
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A text that is neither empty nor very long.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, PlaybackError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=TEXT_MAX_BYTES).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, format!("expected a text of 1 to {TEXT_MAX_BYTES} bytes"))),
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, name: &'static str) -> Result<String, PlaybackError> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "missing"))
    }

    /// One of `choices`, by its name. `None` if the member is absent.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, PlaybackError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let chosen = choices.iter().find(|(known, _)| *known == text);
        let names = || choices.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
        chosen
            .map(|(_, value)| Some(*value))
            .ok_or_else(|| self.wrong(name, format!("expected one of {}", names())))
    }

    /// A whole number within `range`, else `default`.
    pub fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> Result<u32, PlaybackError> {
        let Some(value) = self.take(name) else { return Ok(default) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            self.wrong(name, format!("expected a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// The number of a merchant.
    pub fn merchant(&mut self, name: &'static str) -> Result<i64, PlaybackError> {
        let value = self.take(name).ok_or_else(|| self.wrong(name, "missing"))?;
        value.as_i64().ok_or_else(|| self.wrong(name, "expected the number of a merchant"))
    }

    /// `true` or `false`; absent means `false`.
    pub fn flag(&mut self, name: &'static str) -> Result<bool, PlaybackError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.wrong(name, "expected true or false")),
        }
    }

    /// A list of texts. `None` if the member is absent.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, PlaybackError> {
        let wrong = |members: &Self| members.wrong(name, format!("expected a list of 1 to {LIST_MAX} texts"));
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::Array(values) = value else { return Err(wrong(self)) };
        if values.is_empty() || values.len() > LIST_MAX {
            return Err(wrong(self));
        }
        let text = |value| match value {
            Value::String(text) if (1..=TEXT_MAX_BYTES).contains(&text.len()) => Some(text),
            _ => None,
        };
        values.into_iter().map(text).collect::<Option<_>>().map(Some).ok_or_else(|| wrong(self))
    }

    /// The members of an object inside this one.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Self>, PlaybackError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        Self::of(format!("{}.{name}", self.at), value).map(Some)
    }

    /// Refuses members that nothing has asked for: misspelt ones, and options of other signers.
    pub fn finish(self) -> Result<(), PlaybackError> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => {
                let known = self.asked.join(", ");
                Err(PlaybackError::new(
                    &self.at,
                    format!("unknown member `{name}`; expected some of {known}"),
                ))
            }
        }
    }
}
