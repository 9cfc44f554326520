//! Reads for an origin, which answers from its own data at this moment: the same routes, permissions, decisions and
//! bodies as at the edge, but no published snapshot, no store and nothing to wait for.

use std::rc::Rc;

use super::{
    Event, MemberWindow, ServiceReason,
    plan::{Plan, page_and_limit},
    read::{ReadError, Source},
    unavailable,
};
use crate::{
    api::{
        contract::Server,
        error::ApiError,
        reply::{Reply, Request},
    },
    ports::Log,
    snapshot::{
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
    token::{IssuerConfig, VerifiedToken},
};

/// A read that is answered from a version at hand.
pub struct LocalRead<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// The issuers whose tokens are accepted.
    pub issuers: &'a [IssuerConfig],
    /// The moment, unix seconds.
    pub now: UnixSecs,
    /// Takes log lines.
    pub log: &'a dyn Log,
}

impl LocalRead<'_> {
    /// Answers from `version`, all of whose objects are in `objects`. If it has one page of a package's members,
    /// `window` says which. `verify` gives the request's token, or the answer to one that is not accepted.
    ///
    /// The answer is not complete: see [`Completion`](super::Completion).
    pub fn answer(
        &self,
        version: &Version,
        objects: &mut ObjectCache,
        window: Option<MemberWindow>,
        verify: impl FnOnce() -> Result<Rc<VerifiedToken>, Reply>,
    ) -> Reply {
        self.answered(version, objects, window, verify).unwrap_or_else(|refusal| refusal)
    }

    fn answered(
        &self,
        version: &Version,
        objects: &mut ObjectCache,
        window: Option<MemberWindow>,
        verify: impl FnOnce() -> Result<Rc<VerifiedToken>, Reply>,
    ) -> Result<Reply, Reply> {
        let Plan::Read(plan) = Plan::of(self.request, Server::Origin)? else {
            return Err(ApiError::RouteNotFound.into());
        };
        let read = plan.permitted(!self.request.authorization.is_empty(), self.issuers, verify)?;
        let source = Source { version, condition: super::health::Condition::OK, window };
        match read.answer(source, objects, self.request, self.now) {
            Ok(reply) => return Ok(reply),
            Err(ReadError::Missing(_)) => {}
            Err(ReadError::Corrupt(error)) => {
                Event::Corrupt { seq: version.head.seq, error }.log(self.log);
            }
        }
        Err(Reply::error(unavailable(), ServiceReason::Unreadable.code()))
    }
}

/// The offset and length of the page of members that `query` asks for. Nothing if its parameters are invalid.
#[must_use]
pub fn member_page(query: &str) -> Option<(u64, usize)> {
    let (page, limit) = page_and_limit(query).ok()?;
    // At most 100 a page: the product fits.
    Some((u64::from(page.saturating_sub(1)) * limit as u64, limit))
}
