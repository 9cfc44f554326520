//! The origin: what an isolate knows of it, what it is asked, and what is passed on to it.

mod ask;
mod breaker;
mod bucket;
mod forward;
mod memory;
mod sent;

use breaker::Breaker;
use bucket::Bucket;

pub use ask::Question;
pub(super) use forward::StreamOf;
pub use memory::{Check, Memory, Verdict};

/// The reason of what the origin granted or answered, for logs.
const ANSWERED_BY_ORIGIN: &str = "origin";

/// Two breakers, because writes and checks fail apart, and two budgets, because reads that no token is needed for
/// must not use up that of checks.
#[derive(Debug, Default)]
pub struct OriginState {
    /// Of writes.
    pub writes: Breaker,
    /// Of reads.
    pub reads: Breaker,
    /// Of checks.
    pub checks_budget: Bucket,
    /// Of other reads.
    pub reads_budget: Bucket,
    /// What it said.
    pub memory: Memory,
}
