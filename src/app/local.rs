//! The service for an origin, which answers from its own data at this moment: the same routes, tokens,
//! decisions and bodies, but no published snapshot, no store and nothing to wait for.

use std::rc::Rc;

use super::{
    App, Event, Need,
    answer::{Refusal, page_and_limit},
    finish::Timing,
    read::{Known, MemberWindow, Missing, Read},
    seconds, unavailable,
};
use crate::{
    api::{
        error::ApiError,
        reply::{Reply, Request},
        route::Route,
    },
    ports::Platform,
    snapshot::{
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
    token::VerifiedToken,
};

impl<P: Platform> App<P> {
    /// Verifies the request's token, with its issuer's keys fetched if they have to be. Reads by the same token
    /// find it verified.
    ///
    /// # Errors
    /// With the answer to a request whose token is refused, or cannot be verified now. It is not complete:
    /// see [`Self::complete`].
    pub async fn verify(&self, request: &Request<'_>) -> Result<Rc<VerifiedToken>, Reply> {
        let verified = match self.token(request, self.now()) {
            Err(Refusal::Need(Need::Keys(issuer))) => {
                self.fetch_keys(issuer).await;
                self.token(request, self.now())
            }
            verified => verified,
        };
        verified.map_err(Reply::from)
    }

    /// Answers a read from `version`, all of whose objects are in `objects`. The answer is not complete: see
    /// [`Self::complete`].
    pub fn answer_from(&self, request: &Request<'_>, version: &Version, objects: &mut ObjectCache) -> Reply {
        self.answer_page_from(request, version, objects, None)
    }

    /// As [`Self::answer_from`]. If the version has one page of a package's members, `window` says which.
    pub fn answer_page_from(
        &self,
        request: &Request<'_>,
        version: &Version,
        objects: &mut ObjectCache,
        window: Option<MemberWindow>,
    ) -> Reply {
        let now = seconds(self.platform.now_ms());
        let read = match self.read(request, now) {
            Ok(read) => read,
            Err(refusal) => return refusal.into(),
        };
        match read.answer(Known { version, epoch: None, condition: "ok", window }, objects, request, now) {
            Ok(reply) => reply,
            Err(Missing::Objects(_)) => Reply::error(unavailable(), "unreadable"),
            Err(Missing::Corrupt(error)) => {
                Event::Corrupt { seq: version.head.seq, error }.log(self.platform.log());
                Reply::error(unavailable(), "unreadable")
            }
        }
    }

    /// Adds the headers that every answer has, and writes the log line.
    pub fn complete(&self, request: &Request<'_>, reply: Reply) -> Reply {
        self.finish(request, reply, Timing::Memory)
    }

    fn read(&self, request: &Request<'_>, now: UnixSecs) -> Result<Read, Refusal> {
        let route = Route::parse(request.path).ok_or(ApiError::RouteNotFound)?;
        if !matches!(request.method, "GET" | "HEAD") {
            return Err(ApiError::MethodNotAllowed(route.allow()).into());
        }
        self.checked(request, route, now)
    }
}

/// The offset and length of the page of members that `query` asks for. Nothing if its parameters are invalid.
#[must_use]
pub fn member_page(query: &str) -> Option<(u64, usize)> {
    let (page, limit) = page_and_limit(query).ok()?;
    // At most 100 a page: the product fits.
    Some((u64::from(page.saturating_sub(1)) * limit as u64, limit))
}

/// Nothing but an issuer's keys has to be fetched for a read at hand.
impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Reply(reply) => reply,
            Refusal::Need(_) => Self::error(unavailable(), "keys_unavailable"),
        }
    }
}
