//! The subject of the tests: the service in this process (`in_process.rs`), or the Worker in workerd or
//! behind `wrangler dev` (`workerd.rs`).

use super::wire::{Answer, Wire};

/// Answers requests as the Worker does.
pub trait Subject {
    /// Sends a request and returns the answer.
    fn send(&self, wire: &Wire) -> Answer;
    /// The subject's clock, in unix seconds.
    fn now(&self) -> i64;
    /// A token of a sample viewer.
    fn token(&self, persona: &str) -> String {
        super::personas::token(persona, self.now())
    }
    /// Whether requests reach the Worker's runtime byte by byte, without another server in between.
    fn takes_raw_requests(&self) -> bool;
    /// Whether the runtime, which answers malformed requests itself, is part of the subject.
    fn has_runtime(&self) -> bool;
    /// Whether an origin is behind the subject.
    fn has_origin(&self) -> bool {
        false
    }
    /// `country_code` in answers to a request without a country; `None` if it is unknown.
    fn default_country(&self) -> Option<&'static str> {
        Some("XX")
    }
}
