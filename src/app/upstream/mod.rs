//! The owner of everything that concerns the upstream: confirmations of denials, writes that are passed on, and when it is
//! left alone.
//!
//! | module | home of |
//! | --- | --- |
//! | `ask` | reads that the upstream is asked: denials are confirmed (docs/adr/0007) |
//! | `many`, `evaluations` | one question about several items (docs/adr/0051): when it is asked; its form, and whether the upstream has it |
//! | `forward` | writes and sign-ins that are passed on (docs/adr/0008) |
//! | `pass` | requests that are passed through as they are (docs/adr/0047) |
//! | `places` | how many of these are under way |
//! | `exchange` | one request to the upstream, repeated if the connection broke |
//! | `sent`, `received` | the headers that it gets; which of its answers count |
//! | `admission`, `customers`, `evidence`, `bucket` | budgets, and which customers go first |
//! | `lane`, `breaker`, `stops`, `signs` | circuits for each kind of traffic (docs/adr/0025) |
//! | `memory` | recent answers |

mod admission;
mod ask;
mod breaker;
mod bucket;
mod customers;
mod evaluations;
mod evidence;
mod exchange;
mod forward;
mod lane;
mod many;
mod memory;
mod pass;
mod places;
mod received;
mod sent;
mod signs;
mod stops;

use std::cell::{RefCell, RefMut};

use bucket::Bucket;
use customers::Buckets;
use evaluations::EvaluationsRoute;
use evidence::Evidence;
use lane::Lane;
use places::Places;

use super::problems::Problems;

pub(super) use admission::number_of;
pub(super) use ask::{CANNOT_TELL, Heard, UpstreamQuestion};
pub use evaluations::verdicts;
pub(super) use exchange::{Exchange, StreamOf};
pub(super) use forward::Write;
pub(super) use lane::Party;
pub(super) use many::{HeardOfEach, ManyQuestion};
pub use memory::{Memory, Verdict};
pub(super) use pass::Passage;
pub use received::{Unreadable, Written, verdict, written};

/// What an isolate knows of the upstream.
#[derive(Debug, Default)]
pub(super) struct UpstreamTraffic(RefCell<UpstreamState>);

impl UpstreamTraffic {
    /// Whether an access was granted through this edge a moment ago.
    pub fn has_recent_grants(&self, now_ms: u64) -> bool {
        self.0.borrow().evidence.is_any(now_ms)
    }

    // Borrowed for the length of a synchronous call only, never across an await.
    fn write(&self) -> RefMut<'_, UpstreamState> {
        self.0.borrow_mut()
    }
}

/// Every kind of traffic has a lane of its own, so that none closes another: requests without a token must neither keep
/// merchants from writing nor buyers from being let in (docs/adr/0025).
#[derive(Debug, Default)]
struct UpstreamState {
    /// Confirmations of denials.
    checks: Lane,
    /// Reads on which clients with a token insist.
    reads: Lane,
    /// Reads on which clients without a token insist.
    anonymous: Lane,
    /// Writes by merchants.
    writes: Lane,
    /// Sign-ins by a password, a code or a secret.
    sign_ins: Lane,
    /// Sign-ins by a refresh token.
    refreshes: Lane,
    /// Requests that are passed through.
    passed: Lane,
    /// Those of them that are under way.
    places: Places,
    /// Confirmations for customers who have just come.
    fresh: Bucket,
    /// How much of the confirmations tenants use.
    tenants: Buckets,
    /// How often addresses ask without a token.
    addresses: Buckets,
    /// Whether the upstream answers questions about several items.
    evaluations: EvaluationsRoute,
    /// Recent answers to confirmed denials.
    memory: Memory,
    /// Accesses that were granted through this edge a moment ago.
    evidence: Evidence,
    /// Recent problems.
    problems: Problems,
}

impl UpstreamState {
    /// A write or a sign-in has just succeeded: the upstream is back, so the circuits of reads may try again.
    fn is_back(&mut self) {
        for lane in [&mut self.checks, &mut self.reads, &mut self.anonymous] {
            lane.half_open();
        }
    }
}
