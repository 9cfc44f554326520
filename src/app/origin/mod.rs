//! The origin: what an isolate knows of it, what it is asked, and what is passed on to it.

mod admission;
mod ask;
mod breaker;
mod bucket;
mod customers;
mod evidence;
mod forward;
mod lane;
mod memory;
mod problems;
mod received;
mod sent;
mod signs;
mod stops;

use bucket::Bucket;
use customers::Buckets;
use evidence::Evidence;
use lane::Lane;
use problems::Problems;

pub(super) use admission::number_of;
pub use ask::Question;
pub(super) use ask::Turn;
pub(super) use forward::StreamOf;
pub use forward::Write;
pub(super) use lane::Party;
pub use memory::{Check, Memory, Verdict, asker};
pub use received::{Unreadable, Written, verdict, written};

/// The reason of what the origin granted or answered, for logs.
const ANSWERED_BY_ORIGIN: &str = "origin";

/// What an isolate knows of the upstream. Every kind of traffic has a lane of its own, so that none closes another: what
/// no token is needed for must neither keep merchants from writing nor buyers from being let in (docs/adr/0025).
#[derive(Debug, Default)]
pub struct OriginState {
    /// Denials that are confirmed.
    checks: Lane,
    /// What clients with a token insist on.
    reads: Lane,
    /// What clients without one do.
    anonymous: Lane,
    /// Writes by merchants.
    writes: Lane,
    /// Sign-ins by a password, a code or a secret.
    sign_ins: Lane,
    /// Sign-ins by a refresh token.
    refreshes: Lane,
    /// Confirmations for customers who have just come.
    fresh: Bucket,
    /// How much of the confirmations tenants use.
    tenants: Buckets,
    /// How often addresses ask without a token.
    addresses: Buckets,
    /// What it said.
    memory: Memory,
    /// What was granted through this edge a moment ago.
    evidence: Evidence,
    /// What went wrong with it a moment ago.
    problems: Problems,
}

impl OriginState {
    /// What is passed on has just succeeded: whatever the circuits of reads were open for, the upstream is back.
    fn is_back(&mut self) {
        for lane in [&mut self.checks, &mut self.reads, &mut self.anonymous] {
            lane.half_open();
        }
    }
}
