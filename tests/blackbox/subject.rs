//! What is tested: the service in this process (`in_process.rs`), the Worker in workerd and behind
//! `wrangler dev` (`workerd.rs`).

use super::wire::{Answer, Wire};

/// Something that answers requests as the Worker does.
pub trait Subject {
    /// The answer to a request.
    fn send(&self, wire: &Wire) -> Answer;
    /// The clock that it goes by, in unix seconds.
    fn now(&self) -> i64;
    /// A token of a sample viewer.
    fn token(&self, persona: &str) -> String {
        super::personas::token(persona, self.now())
    }
    /// Whether requests reach the Worker's runtime byte by byte, and no server stands before it.
    fn takes_raw_requests(&self) -> bool;
    /// Whether the runtime that answers malformed requests itself is part of it.
    fn has_runtime(&self) -> bool;
    /// Whether an origin is behind it.
    fn has_origin(&self) -> bool {
        false
    }
    /// What `country_code` says of a request to which the test gave no country.
    fn default_country(&self) -> Option<&'static str> {
        Some("XX")
    }
}
