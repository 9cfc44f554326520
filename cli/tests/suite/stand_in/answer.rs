//! The answers to reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    BUYER, BUYER_ID, FEED_TOKEN, ITEM, OWNER, STRANGER, Shared, State,
    world::{access, buyer, customer, item, stranger},
};

/// A request.
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn token(&self) -> Option<&str> {
        self.headers.get("authorization")?.strip_prefix("Bearer ")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// How an answer ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// After `Content-Length` bytes.
    Told,
    /// With the connection, without a length.
    Untold,
    /// With the connection, too early.
    BreaksOff,
    /// It does not begin.
    Never,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub end: End,
}

impl Answer {
    fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { status, headers, body: body.into(), end: End::Told }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    fn lines(body: impl Into<String>) -> Self {
        Self::new(200, "application/x-ndjson", body)
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl Shared {
    /// The answer to a request.
    pub fn answer(&self, request: &Request) -> Answer {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let state = &mut *self.state();
        match (request.method.as_str(), path) {
            ("GET", "/export") => {
                let answer = match query.strip_prefix("after=") {
                    None => self.export(state, request),
                    Some(after) => self.changes(state, request, after.parse().unwrap()),
                };
                self.others_write(state);
                answer
            }
            ("GET", "/.well-known/openid-configuration") => {
                let issuer = if self.is("issuer-other") { "https://id.example" } else { &self.url };
                Answer::json(200, &json!({"issuer": issuer, "jwks_uri": format!("{}/jwks", self.url)}))
            }
            ("GET", "/jwks") => self.keys(),
            ("POST", "/items/access") => self.grant(state, request),
            (method, path) => {
                let id = path.strip_prefix("/items/").and_then(|path| path.strip_suffix("/access"));
                let id = id.and_then(|id| id.parse().ok()).unwrap_or_default();
                let caching = if self.is("cached") { "private, max-age=60" } else { "private, no-store" };
                match method {
                    "DELETE" => self.revoke(state, id, query),
                    _ => self.access(state, request, id).with("Cache-Control", caching),
                }
            }
        }
    }

    /// An error.
    pub fn error(&self, status: u16, field: &str, message: &str) -> Answer {
        let code = if self.is("code-is-text") { json!(status.to_string()) } else { json!(status) };
        let is_denial = status == 402;
        let errors = if self.is("denials-are-lists") && is_denial {
            json!([message])
        } else {
            json!({field: message})
        };
        if self.is("denials-are-pages") && is_denial {
            return Answer::new(status, "text/html", "<h1>No</h1>");
        }
        Answer::json(status, &json!({"code": code, "message": message, "errors": errors}))
    }

    fn export(&self, state: &mut State, request: &Request) -> Answer {
        if request.token() != Some(FEED_TOKEN) {
            let for_all = self.is("export-for-all");
            return if for_all { Answer::lines("") } else { self.error(401, "401", "Invalid auth token") };
        }
        state.exports += 1;
        let is_second = state.exports == 2;
        let mut item = item(if self.is("export-drifts") && is_second { "Ebb" } else { "Slack Water" });
        item["type"] = json!("item");
        let owned = json!({"id": 1, "item_id": ITEM, "created_at": 1_700_000_000});
        let seq = state.changes.len() - usize::from(self.is("export-seq-falls") && is_second);
        let mut lines = vec![
            json!({"type": "snapshot", "seq": seq}),
            json!({"type": "merchant", "id": 21, "uuid": "e5ac2013-8d10-42ba-abb5-291c5201cea8"}),
            item,
            customer("owner", 1, vec![owned]),
            stranger(state.others),
            buyer(state.bought),
        ];
        match self.flaw {
            "export-without-snapshot" => drop(lines.remove(0)),
            "export-in-milliseconds" => lines[2]["updated_at"] = json!(1_700_000_000_000_i64),
            "export-wrong-line" => lines[2]["title"] = json!(7),
            "export-dangling" => lines[2]["merchant_id"] = json!(22),
            "export-empty" => lines.truncate(1),
            _ => {}
        }
        let answer = Answer::lines(lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        match self.flaw {
            "export-down" => self.error(500, "500", "Oh"),
            "export-moved" => Answer::json(301, &json!({})).with("Location", "https://elsewhere.example/"),
            "export-is-a-page" => Answer { headers: vec![("Content-Type", "text/html".into())], ..answer },
            "export-end-untold" => Answer { end: End::Untold, ..answer },
            "export-breaks-off" => Answer { end: End::BreaksOff, ..answer },
            _ => answer,
        }
    }

    fn changes(&self, state: &State, request: &Request, after: usize) -> Answer {
        if request.token() != Some(FEED_TOKEN) && !self.is("feed-for-all") {
            return self.error(403, "403", "Invalid privileges");
        }
        let is_past = after == 0;
        match self.flaw {
            "feed-down" => return self.error(500, "500", "Oh"),
            "feed-past-unknown" if is_past => return self.error(404, "404", "Not found"),
            "feed-past-forgotten" if is_past => return Answer::lines(""),
            "feed-wait-hangs" if request.headers.contains_key("prefer") => {
                return Answer { end: End::Never, ..Answer::lines("") };
            }
            _ => {}
        }
        if after > state.changes.len() && !self.is("feed-ahead-is-new") {
            return self.error(410, "410", "The history before is gone");
        }
        let mut lines: Vec<_> = state.changes.iter().skip(after).cloned().collect();
        if self.is_busy() {
            // The lines are written on request, with the record as it is now.
            for (seq, line) in (after + 1..).zip(&mut lines) {
                if line.contains(r#""subject":"stranger""#) {
                    *line = format!("{{\"seq\":{seq},\"put\":[{}]}}", stranger(state.others));
                }
            }
        }
        match self.flaw {
            "feed-in-milliseconds" if is_past => {
                lines[1] = r#"{"seq":2,"as_of":1700000000000}"#.to_owned();
            }
            "feed-gap" if is_past => drop(lines.remove(1)),
            "feed-wrong-line" if is_past => r#"{"seq":2,"puts":[]}"#.clone_into(&mut lines[1]),
            // The revocation is the fifth change.
            "feed-lags" => lines.truncate(4_usize.saturating_sub(after)),
            _ => {}
        }
        let mut body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if self.is("feed-cut") && is_past {
            body.truncate(body.len() - 3);
        }
        let end = if self.is("feed-breaks-off") && is_past { End::BreaksOff } else { End::Told };
        let answer = Answer { end, ..Answer::lines(body) };
        if self.is("feed-is-untyped") { Answer { headers: Vec::new(), ..answer } } else { answer }
    }

    fn access(&self, state: &mut State, request: &Request, id: i64) -> Answer {
        let customer_id = match request.token() {
            None if self.is("no-token-is-forbidden") => return self.error(403, "403", "Invalid privileges"),
            Some(OWNER) => 1,
            Some(STRANGER) => 2,
            Some(BUYER) => BUYER_ID,
            Some(_) if self.is("any-token-is-known") => 2,
            _ => return self.error(401, "401", "Invalid auth token"),
        };
        let denied = self.error(402, "402", "No access");
        if id != ITEM {
            return if self.is("unknown-is-denied") {
                denied
            } else {
                self.error(404, "404", "Item not found")
            };
        }
        let mut holds = match customer_id {
            1 => !self.is("owner-is-denied"),
            2 if self.is("stranger-is-forbidden") => return self.error(403, "403", "Not entitled"),
            2 => self.is("stranger-is-granted"),
            _ => state.bought > 0 || self.is("buyer-has-it"),
        };
        if customer_id == BUYER_ID && std::mem::take(&mut state.lags) {
            holds = !holds;
        }
        if !holds {
            return denied;
        }
        let mut body = access(customer_id);
        match self.flaw {
            "numbers-are-text" => body["item"]["item_type"]["id"] = json!("44"),
            "ids-are-text" => body["customer_id"] = json!(customer_id.to_string()),
            "access-in-milliseconds" => body["expires_at"] = json!(1_893_456_000_000_i64),
            _ => {}
        }
        Answer::json(200, &body)
    }

    fn keys(&self) -> Answer {
        let mut jwks: Value = serde_json::from_str(&self.jwks).unwrap();
        let key = jwks["keys"][0].clone();
        let keys = jwks["keys"].as_array_mut().unwrap();
        match self.flaw {
            "keys-are-gone" => return self.error(404, "404", "Not found"),
            "key-is-secret" => keys.push(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"})),
            "key-is-unknown" => {
                keys.push(json!({"kty": "EC", "crv": "P-384", "alg": "ES384", "kid": "p"}));
            }
            "key-is-nameless" => drop(keys[0].as_object_mut().unwrap().remove("kid")),
            "key-is-listed-twice" => keys.push(key),
            "kid-names-two-keys" => {
                // RFC 8032 §7.1, TEST 1.
                let mut other = key;
                other["x"] = json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
                keys.push(other);
            }
            // A key for another purpose is not a problem.
            _ => keys.push(json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "e"})),
        }
        Answer::json(200, &jwks)
    }
}
