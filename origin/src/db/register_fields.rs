//! The fields that a merchant asks viewers for when they register. Their values become metadata of the account.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{DbError, from_json_or_null, to_json};
use crate::limits::{REGISTER_FIELDS_MAX, TEXT_MAX_BYTES};

/// A field, as SDKs show it in their forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterField {
    /// The name in the account's metadata.
    pub name: String,
    /// The text beside the field.
    pub label: String,
    /// How it is shown.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Whether a registration needs it.
    #[serde(default)]
    pub required: bool,
    /// The value that the form begins with.
    #[serde(default)]
    pub default_value: String,
    /// The text in the empty field.
    #[serde(default)]
    pub placeholder: String,
    /// The values to choose from, with their labels.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// The kinds of fields that ott-web-app shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is a kind of field in HTML, or of its options")]
pub enum FieldKind {
    Input,
    Select,
    Country,
    UsState,
    Radio,
    Checkbox,
    Datepicker,
}

impl RegisterField {
    /// Whether `value` answers the field. A box that is not ticked does not.
    #[must_use]
    pub fn is_answered_by(&self, value: &str) -> bool {
        let is_off = self.kind == FieldKind::Checkbox && matches!(value, "off" | "false" | "0");
        !value.is_empty() && !is_off
    }
}

/// Checks fields before they are stored.
///
/// # Errors
/// The first invalid field, and why.
pub fn check(fields: &[RegisterField]) -> Result<(), String> {
    if fields.len() > REGISTER_FIELDS_MAX {
        return Err(format!("expected at most {REGISTER_FIELDS_MAX} fields, found {}", fields.len()));
    }
    let mut names = BTreeSet::new();
    for RegisterField { name, label, default_value, placeholder, options, .. } in fields {
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !is_name {
            return Err(format!("name: expected letters, digits, _ and -, found {name:?}"));
        }
        if !names.insert(name) {
            return Err(format!("the field {name} occurs twice"));
        }
        let texts = [name, label, default_value, placeholder].into_iter();
        let mut texts = texts.chain(options.iter().flat_map(|(value, label)| [value, label]));
        if texts.any(|text| text.len() > TEXT_MAX_BYTES) {
            return Err(format!("the field {name}: expected texts of at most {TEXT_MAX_BYTES} bytes"));
        }
    }
    Ok(())
}

/// The fields of a merchant, in their order.
///
/// # Errors
/// If the database cannot be read.
pub fn load(connection: &Connection, merchant_id: i64) -> Result<Vec<RegisterField>, DbError> {
    let sql = "SELECT fields_json FROM register_fields WHERE merchant_id = ?1";
    let json = connection.prepare_cached(sql)?.query_row([merchant_id], |row| row.get(0)).optional()?;
    Ok(from_json_or_null(json)?.unwrap_or_default())
}

/// Replaces the fields of a merchant.
///
/// # Errors
/// If the database refuses it.
pub fn set(connection: &Connection, merchant_id: i64, fields: &[RegisterField]) -> Result<(), DbError> {
    let sql = "INSERT INTO register_fields (merchant_id, fields_json) VALUES (?1, ?2)
               ON CONFLICT DO UPDATE SET fields_json = excluded.fields_json";
    connection.prepare_cached(sql)?.execute(params![merchant_id, to_json(&fields)?])?;
    Ok(())
}
