//! A request as the server has read it, without HTTP in it.

use admit::api::reply::Request;

use crate::{db::audit::Via, guessing::Source, wire::Payload};

/// A request as the service sees it: its body is read, its headers are picked out, and its sender is known.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// Upper case.
    pub method: String,
    /// The path as it was sent, without the query.
    pub path: String,
    /// The text after `?`, empty without one.
    pub query: String,
    /// `Authorization`, empty if absent.
    pub authorization: String,
    /// `Origin` of the web page that asks, empty if absent.
    pub origin: String,
    /// `Access-Control-Request-Headers` of a preflight, empty if absent.
    pub requested_headers: String,
    /// `Idempotency-Key`, if it was sent.
    pub idempotency_key: Option<String>,
    /// The viewer's address, as far as the server believes it.
    pub ip_address: String,
    /// The viewer's country code, as far as the server believes it.
    pub country: String,
    /// Where guesses at passwords are counted.
    pub from: Source,
    /// Whether the sender proved to be the edge, by its secret.
    pub is_edge: bool,
    /// Identifies the request in logs, in the answer and in the audit trail.
    pub request_id: String,
    /// The header `traceparent`, if it is valid.
    pub passed: Vec<(&'static str, String)>,
    /// The body, with the headers that say how to read it.
    pub payload: Payload,
}

impl Incoming {
    /// The part that an audit entry records.
    #[must_use]
    pub fn via(&self) -> Via<'_> {
        Via { request_id: &self.request_id, address: &self.ip_address }
    }

    /// The part that the edge's service reads.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request {
            // Only the edge's own routes name its address.
            base_url: "",
            method: &self.method,
            path: &self.path,
            query: &self.query,
            authorization: &self.authorization,
            // The publish API is the edge's alone.
            holder: "",
            // Answers come from the newest data, and nothing is forwarded.
            min_seq: 0,
            merchant: None,
            passed: &self.passed,
            page_origin: &self.origin,
            ip_address: &self.ip_address,
            country: &self.country,
        }
    }
}
