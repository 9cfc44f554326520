//! `Idempotency-Key`: the answer to a write is stored, and given again if the same write comes again with the
//! same key.
//!
//! Two requests are the same if they have the same meaning: method, path, and parameters of query and body.
//! Spelling does not matter: the order of fields, form or JSON, `1` or `"1"`, parameters of the
//! `Content-Type`. The table stores a hash of the meaning.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::job::Caller;
use crate::{
    db::DbError,
    limits::{IDEMPOTENCY_KEY_MAX_BYTES, IDEMPOTENCY_SECS},
    request::Incoming,
    wire::{Body, Refused, form},
};

/// A stored answer.
pub struct StoredAnswer {
    /// 201 or 204.
    pub status: u16,
    /// JSON; empty for a 204.
    pub body: String,
    /// The change that the write made.
    pub seq: u64,
}

/// The request's key, if it has one.
///
/// # Errors
/// 422 if the key is empty, too long, or not visible ASCII.
pub fn key(incoming: &Incoming) -> Result<Option<&str>, Refused> {
    let Some(key) = &incoming.idempotency_key else { return Ok(None) };
    let is_key = (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_key {
        return Ok(Some(key));
    }
    let problem =
        format!("The Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_MAX_BYTES} visible characters");
    Err(Refused::field("Idempotency-Key", &problem))
}

/// The stored answer of the same write. Only successful writes are stored: a refused write changed nothing,
/// so it is judged again.
///
/// # Errors
/// 422 if the key was used for a different request.
pub fn earlier(
    transaction: &Connection,
    caller: &Caller,
    key: &str,
    incoming: &Incoming,
    fields: &Map<String, Value>,
    now: i64,
) -> Result<Option<StoredAnswer>, Refused> {
    let sql = "DELETE FROM idempotency WHERE created_at <= ?1";
    transaction.prepare_cached(sql)?.execute([now.saturating_sub(IDEMPOTENCY_SECS)])?;
    let sql = "SELECT request, status, body, seq FROM idempotency WHERE caller = ?1 AND key = ?2";
    let kept = transaction
        .prepare_cached(sql)?
        .query_row([&caller.name, key], |row| {
            let kept = StoredAnswer { status: row.get(1)?, body: row.get(2)?, seq: row.get(3)? };
            Ok((row.get::<_, Vec<u8>>(0)?, kept))
        })
        .optional()?;
    let Some((request, kept)) = kept else { return Ok(None) };
    let is_same = match request.first_chunk() {
        Some(&[MEANING]) if request.len() == MEANING_BYTES => request == meaning(incoming, fields),
        _ => request == bytes_sent(incoming),
    };
    if is_same {
        return Ok(Some(kept));
    }
    let problem = "The Idempotency-Key was used for another request";
    Err(Refused::field("Idempotency-Key", problem))
}

/// Stores the answer to a write.
///
/// # Errors
/// If the database cannot be written.
pub fn keep(
    transaction: &Connection,
    caller: &Caller,
    key: &str,
    incoming: &Incoming,
    fields: &Map<String, Value>,
    kept: &StoredAnswer,
    now: i64,
) -> Result<(), DbError> {
    let sql = "INSERT INTO idempotency (caller, key, request, status, body, seq, created_at, merchant_id)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let StoredAnswer { status, body, seq } = kept;
    let request = meaning(incoming, fields);
    let values = params![caller.name, key, request, status, body, seq, now, caller.merchant_id];
    transaction.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// The first byte of `idempotency.request` in rows that store a [`meaning`].
const MEANING: u8 = 2;

/// [`MEANING`], then a SHA-256.
const MEANING_BYTES: usize = 33;

/// A hash of a request's meaning.
#[must_use]
pub fn meaning(incoming: &Incoming, fields: &Map<String, Value>) -> Vec<u8> {
    let mut meaning = Meaning(Sha256::new());
    meaning.text(incoming.method.as_bytes());
    meaning.text(incoming.path.as_bytes());
    let parameters = form::parameters(&incoming.query);
    meaning.count(parameters.len());
    for (name, value) in parameters {
        meaning.text(&name);
        meaning.text(&value);
    }
    meaning.object(fields.iter().map(|(name, value)| (name.clone(), value)));
    [&[MEANING][..], &meaning.0.finalize()].concat()
}

/// Hashes a JSON value. Each part starts with its kind and its length, so that only values that are read
/// alike get the same hash. Values are hashed as a form has them: every value is text, and a list is an
/// object whose names are positions.
struct Meaning(Sha256);

impl Meaning {
    fn count(&mut self, count: usize) {
        self.0.update(u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.0.update(b"t");
        self.count(text.len());
        self.0.update(text);
    }

    fn object<'v>(&mut self, members: impl Iterator<Item = (String, &'v Value)>) {
        let members: BTreeMap<_, _> = members.collect();
        self.0.update(b"o");
        self.count(members.len());
        for (name, value) in members {
            self.text(name.as_bytes());
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            // `null` and empty text both mean that nothing was sent: see `Fields::value`.
            Value::Null => self.text(b""),
            Value::Bool(value) => self.text(value.to_string().as_bytes()),
            Value::Number(number) => self.text(number.to_string().as_bytes()),
            Value::String(text) => self.text(text.as_bytes()),
            Value::Array(values) => {
                self.object(values.iter().enumerate().map(|(position, value)| (position.to_string(), value)));
            }
            Value::Object(object) => {
                self.object(object.iter().map(|(name, value)| (name.clone(), value)));
            }
        }
    }
}

/// The hash of a request's bytes that earlier versions stored. Rows live for [`IDEMPOTENCY_SECS`], so this
/// function can go once a database has been served by this version for that long.
fn bytes_sent(incoming: &Incoming) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [&incoming.method, &incoming.path, &incoming.query, &incoming.payload.content_type] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    if let Body::Whole(body) = &incoming.payload.body {
        hash.update(body);
    }
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::{btree_map, vec},
        prelude::*,
    };
    use serde_json::json;

    use super::*;

    fn request(method: &str, path: &str, query: &str) -> Incoming {
        Incoming {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            ..Incoming::default()
        }
    }

    fn of(fields: &Value) -> Vec<u8> {
        meaning(&request("POST", "/items/access", ""), fields.as_object().unwrap())
    }

    fn of_form(form: &str) -> Vec<u8> {
        of(&Value::Object(form::parse(form.as_bytes()).unwrap()))
    }

    #[test]
    fn requests_with_the_same_meaning_are_the_same() {
        let expected = of(&json!({"a": 1, "b": "x", "l": [7, 8], "o": [{"n": 1.5}], "e": null, "t": true}));
        for form in [
            "a=1&b=x&l[]=7&l[]=8&o[0][n]=1.5&e=&t=true",
            "t=true&l[1]=8&l[0]=7&e&o%5B0%5D%5Bn%5D=1.5&b=%78&a=9&a=1",
        ] {
            assert_eq!(of_form(form), expected, "{form}");
        }
        assert_eq!(
            of(
                &json!({"t": "true", "b": "x", "a": "1", "e": "", "l": {"0": "7", "1": 8}, "o": [{"n": "1.5"}]})
            ),
            expected
        );
        let by_query = |query| meaning(&request("DELETE", "/x", query), &Map::new());
        assert_eq!(by_query("a=1&b=%20"), by_query("b=+&a=2&a=1"));
    }

    #[test]
    fn requests_that_may_mean_something_else_differ() {
        let requests = [
            of_form("a=1"),
            of_form("a=2"),
            of_form("b=1"),
            of_form("a=1&b="),
            of_form("a[b]=1"),
            of_form("a[0]=1"),
            of_form("a[1]=1"),
            of_form("a=1.0"),
            of_form("a=01"),
            of_form("a="),
            of_form(""),
            of_form("a[b][c]=1&d=2"),
            of_form("a[b]=1&a[c]=2"),
            of_form("a[b]=1&c=2"),
            meaning(&request("PUT", "/items/access", ""), &Map::new()),
            meaning(&request("POST", "/items/acces", ""), &Map::new()),
            meaning(&request("POST", "/items/access", "a=1"), &Map::new()),
            meaning(&request("POST", "/items/access", "a"), &Map::new()),
        ];
        for (position, one) in requests.iter().enumerate() {
            assert_eq!((one.len(), one[0]), (MEANING_BYTES, MEANING));
            for other in &requests[position + 1..] {
                assert_ne!(one, other, "{position}");
            }
        }
    }

    fn fields() -> impl Strategy<Value = Value> {
        let text = any::<String>().prop_map(Value::String);
        let values = prop_oneof![
            text.clone(),
            any::<i64>().prop_map(Value::from),
            vec(text.clone(), 1..4).prop_map(Value::Array),
            btree_map("[a-zé]{1,3}", text, 1..4).prop_map(|object| json!(object)),
        ];
        btree_map("[a-z_]{1,3}", values, 0..6).prop_map(|object| json!(object))
    }

    /// The fields of a form with the same meaning as the JSON value.
    fn pairs(value: &Value, name: &str, pairs: &mut Vec<(String, String)>) {
        match value {
            Value::Object(object) => {
                for (inner, value) in object {
                    let name = if name.is_empty() { inner.clone() } else { format!("{name}[{inner}]") };
                    self::pairs(value, &name, pairs);
                }
            }
            Value::Array(values) => {
                for (position, value) in values.iter().enumerate() {
                    self::pairs(value, &format!("{name}[{position}]"), pairs);
                }
            }
            Value::String(text) => pairs.push((name.to_owned(), text.clone())),
            other => pairs.push((name.to_owned(), other.to_string())),
        }
    }

    proptest! {
        #[test]
        fn a_form_in_any_order_means_what_json_means(
            (json, pairs) in fields().prop_flat_map(|json| {
                let mut fields = Vec::new();
                pairs(&json, "", &mut fields);
                (Just(json), Just(fields).prop_shuffle())
            }),
        ) {
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            prop_assert_eq!(of_form(&form), of(&json), "{}", form);
        }
    }
}
