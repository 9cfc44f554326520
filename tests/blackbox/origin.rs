//! The origin behind the subject: its answers, and the requests that reached it. The same code serves in
//! memory and behind a socket.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

/// A request that reached the origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer of the origin.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Given {
    pub fn json(status: u16, body: &Value) -> Self {
        let mut given = Self { status, body: body.to_string().into_bytes(), ..Self::default() };
        given.headers.push(("content-type", "application/json".to_owned()));
        given
    }
}

/// The origin's data, and the requests so far.
#[derive(Default)]
pub struct OriginState {
    pub seen: Vec<Seen>,
    /// The writes that were done, once for each idempotency key.
    pub done: Vec<Seen>,
    keys: Vec<String>,
    granted: BTreeSet<(String, String)>,
}

/// The origin's state, shared by its server and the test.
#[derive(Clone, Default)]
pub struct Origin(pub Arc<Mutex<OriginState>>);

impl Origin {
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// The requests since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }

    pub fn done(&self) -> usize {
        self.0.lock().unwrap().done.len()
    }

    /// Gives a customer access to an item.
    pub fn grant(&self, subject: &str, item_id: i64) {
        self.0.lock().unwrap().granted.insert((subject.to_owned(), item_id.to_string()));
    }

    /// Does a request, once for each idempotency key, and answers.
    pub fn answer(&self, seen: &Seen) -> Given {
        let mut known = self.0.lock().unwrap();
        known.seen.push(seen.clone());
        if seen.method != "GET" {
            let key = seen.header("idempotency-key").unwrap_or_default().to_owned();
            let is_new = key.is_empty() || !known.keys.contains(&key);
            if is_new {
                known.done.push(seen.clone());
                known.keys.push(key);
            }
        }
        let seq = known.done.len();
        let mut given = known.answer(seen);
        given.headers.extend([
            ("entitlement-seq", seq.to_string()),
            // These headers must not reach clients.
            ("set-cookie", "session=of-the-origin".to_owned()),
            ("location", "https://internal.example/items/33".to_owned()),
            ("x-powered-by", "the origin".to_owned()),
            ("cache-control", "public, max-age=9999".to_owned()),
            ("access-control-allow-origin", "https://internal.example".to_owned()),
        ]);
        given
    }
}

impl OriginState {
    fn answer(&mut self, seen: &Seen) -> Given {
        let path = seen.target.split('?').next().unwrap_or_default();
        let segments: Vec<_> = path.split('/').skip(1).collect();
        match (seen.method.as_str(), segments.as_slice()) {
            ("GET", ["items", id, "access"]) => {
                let subject = subject_of(seen.header("authorization").unwrap_or_default());
                if self.granted.contains(&(subject, (*id).to_owned())) {
                    Given::json(200, &access(id.parse().unwrap()))
                } else {
                    denial(402, "No access")
                }
            }
            ("GET", ["license"]) => {
                Given::json(200, &json!({"plan_id": null, "client_id": null, "items": []}))
            }
            (method, ["payments", rest @ ..]) => payments(method, rest, seen),
            ("GET", _) => denial(404, "Item not found"),
            ("DELETE", ["items", _, "access"] | ["v2", "items", _, "access-fees", _]) => {
                Given { status: 204, ..Given::default() }
            }
            ("POST", ["items", "access"]) => {
                let field = |name| form_field(&seen.body, name);
                self.granted.insert((field("consumer_id"), field("item_id")));
                Given::json(201, &json!({"id": 44}))
            }
            _ if seen.body == b"title=refused" => denial(422, "The title is taken"),
            (_, ["accounts" | "oauth2", ..] | ["v2", "accounts", ..]) => {
                Given::json(200, &json!({"access_token": "a.b.c", "refresh_token": "r"}))
            }
            _ => Given::json(201, &json!({"id": 33, "title": "Ünïcode “quotes”"})),
        }
    }
}

/// A receipt as PDF, with bytes of every value.
pub fn receipt() -> Vec<u8> {
    let bytes = (0..=u8::MAX).cycle().take(70_000);
    b"%PDF-1.7\r\n".iter().copied().chain(bytes).collect()
}

/// The answer to a request that is passed through: the request comes back, unless the path says otherwise.
fn payments(method: &str, path: &[&str], seen: &Seen) -> Given {
    let given = |status, content_type: &str, body: &[u8]| Given {
        status,
        headers: vec![("content-type", content_type.to_owned())],
        body: if method == "HEAD" { Vec::new() } else { body.to_vec() },
    };
    match path {
        ["receipts", ..] => {
            let mut given = given(200, "application/pdf", &receipt());
            given.headers.push(("content-disposition", "attachment; filename=\"receipt.pdf\"".to_owned()));
            given
        }
        ["long", length] => given(200, "application/octet-stream", &vec![b'x'; length.parse().unwrap()]),
        ["status", "204"] => Given { status: 204, ..Given::default() },
        ["status", status] => Given::json(status.parse().unwrap(), &json!({"code": 1, "message": "as told"})),
        ["page", status] => given(status.parse().unwrap(), "text/html; charset=utf-8", b"<html>"),
        _ => given(200, seen.header("content-type").unwrap_or("text/plain"), &seen.body),
    }
}

pub fn denial(status: u16, message: &str) -> Given {
    Given::json(status, &super::check::error_body(status, message, None))
}

/// The origin's answer to a check that it grants.
pub fn access(item_id: i64) -> Value {
    json!({"id": 44, "account_id": 7, "customer_id": 9, "customer_uuid": "u", "ip_address": "10.0.0.1",
    "country_code": "ZZ", "created_at": 1, "expires_at": 4_000_000_000_i64,
    "item": {
        "content": "of the origin", "id": item_id, "merchant_id": 7,
        "merchant_uuid": "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934", "title": "Of the origin", "is_active": true,
        "active": true, "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {"id": 1, "name": "t", "content_type": "ovp", "host": "h", "description": "d"},
        "age_restriction": null, "metadata": [], "metahash": {}, "plan_switch_enabled": false, "created_at": 1,
        "updated_at": 1,
    }})
}

/// The subject of a bearer token.
pub fn subject_of(authorization: &str) -> String {
    let payload = authorization.split('.').nth(1).unwrap_or_default();
    let payload = Base64UrlUnpadded::decode_vec(payload).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&payload).unwrap_or_default();
    claims["sub"].as_str().unwrap_or_default().to_owned()
}

/// A field of a form such as `item_id=1&consumer_id=alice`, without decoding.
pub fn form_field(body: &[u8], name: &str) -> String {
    let form = String::from_utf8_lossy(body);
    let found = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_default().to_owned()
}
