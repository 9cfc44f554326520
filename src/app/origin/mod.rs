//! The origin: what an isolate knows of it, what it is asked, and what is passed on to it.

mod admission;
mod ask;
mod breaker;
mod bucket;
mod evidence;
mod forward;
mod memory;
mod problems;
mod received;
mod sent;

use breaker::Breaker;
use bucket::Bucket;
use evidence::Evidence;
use problems::Problems;

pub use ask::Question;
pub(super) use ask::Turn;
pub(super) use forward::StreamOf;
pub use forward::Write;
pub use memory::{Check, Memory, Verdict, asker};
pub use received::{Unreadable, Written, verdict, written};

/// The reason of what the origin granted or answered, for logs.
const ANSWERED_BY_ORIGIN: &str = "origin";

/// Breakers, because writes, sign-ins and checks fail apart, and two budgets. What no token is needed for must
/// neither keep merchants from writing nor use up what checks may ask.
#[derive(Debug, Default)]
pub struct OriginState {
    /// Of writes by merchants.
    pub writes: Breaker,
    /// Of sign-ins.
    pub sign_ins: Breaker,
    /// Of reads.
    pub reads: Breaker,
    /// Of checks.
    pub checks_budget: Bucket,
    /// Of other reads.
    pub reads_budget: Bucket,
    /// What it said.
    pub memory: Memory,
    /// What was granted through this edge a moment ago.
    evidence: Evidence,
    /// What went wrong with it a moment ago.
    problems: Problems,
}

impl OriginState {
    /// The breaker of what is passed on. `is_signed` is whether it needed a token.
    pub const fn breaker(&mut self, is_signed: bool) -> &mut Breaker {
        if is_signed { &mut self.writes } else { &mut self.sign_ins }
    }
}
