//! A request as the server has read it, without HTTP in it.

use admit::api::reply::Request;

use crate::{db::audit::Via, wire::Payload};

/// A request, as far as it is read.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// In capitals.
    pub method: String,
    /// As it was sent, without the query.
    pub path: String,
    /// What follows `?`.
    pub query: String,
    /// The header of that name, empty when there is none.
    pub authorization: String,
    /// The header of that name, empty when there is none.
    pub origin: String,
    /// `Access-Control-Request-Headers` of a preflight, empty when there is none.
    pub requested_headers: String,
    /// The header of that name.
    pub idempotency_key: Option<String>,
    /// The viewer's address.
    pub ip_address: String,
    /// The viewer's country.
    pub country: String,
    /// Whether the edge has shown its secret.
    pub is_edge: bool,
    /// Names the request in logs, in the answer and in the audit trail.
    pub request_id: String,
    /// The body, with the headers that say how to read it.
    pub payload: Payload,
}

impl Incoming {
    /// As the audit trail names it.
    #[must_use]
    pub fn via(&self) -> Via<'_> {
        Via { request_id: &self.request_id, address: &self.ip_address }
    }

    /// As the edge's service reads it.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            authorization: &self.authorization,
            // Nobody publishes to an origin.
            holder: "",
            // What is answered here is the newest there is, and nothing is passed on.
            min_seq: 0,
            passed: &[],
            origin: &self.origin,
            ip_address: &self.ip_address,
            country: &self.country,
        }
    }
}
