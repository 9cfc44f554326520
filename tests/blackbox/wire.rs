//! Requests and answers on the wire.

use serde_json::Value;

/// A request, byte by byte.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    pub method: String,
    /// Path and query.
    pub target: Vec<u8>,
    /// Path and query as the Worker sees them, if the runtime's URL parser changes them.
    pub seen: Option<String>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Payload,
    /// The viewer's country as the platform tells it; clients cannot send it as a header.
    pub country: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub enum Payload {
    #[default]
    None,
    Whole(Vec<u8>),
    /// Without `Content-Length`.
    Chunked(Vec<u8>),
    /// `Content-Length` is larger than the body; then the client goes away.
    Interrupted(Vec<u8>),
}

impl Wire {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.into(), ..Self::default() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn put(target: &str, body: Vec<u8>) -> Self {
        Self { body: Payload::Whole(body), ..Self::new("PUT", target) }
    }

    pub fn post(target: &str, body: Vec<u8>) -> Self {
        Self { body: Payload::Whole(body), ..Self::new("POST", target) }
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub fn country(mut self, country: &str) -> Self {
        self.country = Some(country.to_owned());
        self
    }

    pub fn head(&self) -> Self {
        Self { method: "HEAD".to_owned(), ..self.clone() }
    }

    /// Path and query as the Worker sees them.
    pub fn seen(&self) -> String {
        self.seen.clone().unwrap_or_else(|| String::from_utf8_lossy(&self.target).into_owned())
    }

    /// Method and target for messages, without tokens, which are long.
    pub fn describe(&self) -> String {
        let target = String::from_utf8_lossy(&self.target);
        format!("{} {}", self.method, target.chars().take(120).collect::<String>())
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
