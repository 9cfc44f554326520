//! An entry of the `ISSUERS` variable as written, before its values are judged.
//!
//! The reader is written by hand and words its errors as serde does: derived code for two structs and an enum
//! would be larger, also in the Worker.

use serde_json::{Map, Value};

use super::{
    capability::{Capabilities, Capability},
    config::AudienceRule,
};
use crate::limits::LEEWAY_DEFAULT_SECS;

/// An entry of the `ISSUERS` variable: types are checked, values are not.
pub(super) struct RawIssuer {
    pub issuer: String,
    pub namespace: String,
    pub audience: AudienceRule,
    pub customer_claim: String,
    pub leeway_secs: u32,
    pub keys: RawKeys,
    pub merchants: Option<Vec<i64>>,
    pub may: Capabilities,
    pub may_publish: bool,
    pub test_clients: bool,
    pub accept_missing_iss: bool,
}

/// The member `keys` of an entry.
pub(super) struct RawKeys {
    pub jwks: Option<Map<String, Value>>,
    pub jwks_url: Option<String>,
    pub secret: Option<String>,
    pub alg: Option<String>,
}

impl RawIssuer {
    /// Reads an entry of the array.
    ///
    /// # Errors
    /// The problem with the entry. Text that was found stands in quotation marks: it may be a secret in the
    /// wrong place.
    pub fn read(entry: Value) -> Result<Self, String> {
        const NAMES: [&str; 11] = [
            "issuer",
            "namespace",
            "audience",
            "customer_claim",
            "leeway_secs",
            "keys",
            "merchants",
            "may",
            "may_publish",
            "test_clients",
            "accept_missing_iss",
        ];
        let mut members = Members::of(entry, "struct RawIssuer", &NAMES)?;
        let mut flag = |name: &str| members.take(name).map_or(Ok(false), flag);
        let (may_publish, accept_missing_iss) = (flag("may_publish")?, flag("accept_missing_iss")?);
        let test_clients = flag("test_clients")?;
        let may = members.optional("may").map_or(Ok(Capabilities::DEFAULT), capabilities)?;
        Ok(Self {
            issuer: text(members.required("issuer")?)?,
            namespace: text(members.required("namespace")?)?,
            audience: audience(members.required("audience")?)?,
            customer_claim: members.take("customer_claim").map_or_else(|| Ok("sub".to_owned()), text)?,
            leeway_secs: members.take("leeway_secs").map_or(Ok(LEEWAY_DEFAULT_SECS), |value| {
                integer(&value, "u32", || u32::try_from(value.as_u64()?).ok())
            })?,
            keys: RawKeys::read(members.required("keys")?)?,
            merchants: members.optional("merchants").map(merchants).transpose()?,
            may,
            may_publish,
            test_clients,
            accept_missing_iss,
        })
    }
}

impl RawKeys {
    fn read(keys: Value) -> Result<Self, String> {
        let mut members = Members::of(keys, "struct RawKeys", &["jwks", "jwks_url", "secret", "alg"])?;
        let jwks = members.optional("jwks").map(|value| match value {
            Value::Object(jwks) => Ok(jwks),
            other => Err(wrong_type(&other, "a map")),
        });
        let mut text = |name: &str| members.optional(name).map(text).transpose();
        Ok(Self {
            jwks: jwks.transpose()?,
            jwks_url: text("jwks_url")?,
            secret: text("secret")?,
            alg: text("alg")?,
        })
    }
}

/// The members of an object that have not been read yet.
struct Members(Map<String, Value>);

impl Members {
    /// The members of `value`. Names other than `known` are an error.
    fn of(value: Value, expected: &str, known: &[&str]) -> Result<Self, String> {
        let Value::Object(members) = value else { return Err(wrong_type(&value, expected)) };
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(format!("unknown field `{name}`, expected one of `{}`", known.join("`, `"))),
            None => Ok(Self(members)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// A member that may be absent; `null` counts as absent.
    fn optional(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| !value.is_null())
    }

    fn required(&mut self, name: &str) -> Result<Value, String> {
        self.take(name).ok_or_else(|| format!("missing field `{name}`"))
    }
}

/// Reads `"none_required"` or `{"any_of": [texts]}`.
fn audience(value: Value) -> Result<AudienceRule, String> {
    let (name, allowed) = match value {
        Value::String(name) => (name, None),
        Value::Object(rule) => {
            let mut members = rule.into_iter();
            match (members.next(), members.next()) {
                (Some((name, allowed)), None) => (name, Some(allowed)),
                _ => return Err("invalid value: map, expected map with a single key".to_owned()),
            }
        }
        other => return Err(wrong_type(&other, "string or map")),
    };
    match (name.as_str(), allowed) {
        ("any_of", Some(allowed)) => Ok(AudienceRule::AnyOf(sequence(allowed, text)?)),
        ("any_of", None) => Err("invalid type: unit variant, expected newtype variant".to_owned()),
        // serde's spellings of a unit variant: the bare name, or a map from the name to `null`.
        ("none_required", None | Some(Value::Null)) => Ok(AudienceRule::NoneRequired),
        ("none_required", Some(other)) => Err(wrong_type(&other, "unit")),
        _ => Err(format!("unknown variant `{name}`, expected `any_of` or `none_required`")),
    }
}

/// Reads a list of capability names.
fn capabilities(value: Value) -> Result<Capabilities, String> {
    sequence(value, |name| {
        let name = text(name)?;
        Capability::from_name(&name).ok_or_else(|| {
            let expected = Capability::ALL.map(|known| ["`", known.name(), "`"].concat()).join(", ");
            format!("unknown capability `{name}` in may, expected one of {expected}")
        })
    })
    .map(|named| named.into_iter().collect())
}

fn merchants(value: Value) -> Result<Vec<i64>, String> {
    sequence(value, |number| integer(&number, "i64", || number.as_i64()))
}

fn sequence<T>(value: Value, read: impl Fn(Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    match value {
        Value::Array(values) => values.into_iter().map(read).collect(),
        other => Err(wrong_type(&other, "a sequence")),
    }
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&other, "a string")),
    }
}

fn flag(value: Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong_type(&value, "a boolean"))
}

fn integer<T>(value: &Value, expected: &str, read: impl Fn() -> Option<T>) -> Result<T, String> {
    read().ok_or_else(|| match value {
        Value::Number(number) if !number.is_f64() => {
            format!("invalid value: integer `{number}`, expected {expected}")
        }
        other => wrong_type(other, expected),
    })
}

/// Names the type that was found and the one that was expected.
fn wrong_type(found: &Value, expected: &str) -> String {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("boolean `{flag}`"),
        Value::Number(number) if number.is_f64() => format!("floating point `{number}`"),
        Value::Number(number) => format!("integer `{number}`"),
        Value::String(_) => r#"string "...""#.to_owned(),
        Value::Array(_) => "sequence".to_owned(),
        Value::Object(_) => "map".to_owned(),
    };
    format!("invalid type: {found}, expected {expected}")
}
