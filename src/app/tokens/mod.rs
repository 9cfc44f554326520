//! The owner of tokens and of issuers' keys: verifies a token, says when keys are missing, and hands out the right to
//! fetch them.
//!
//! ```text
//! verify() ──► the verified token
//!          ──► Unverified::Refused ── the answer
//!          ──► Unverified::NeedKeys(ticket) ──► ticket.send() ──► KeyFetch ── the caller asks the URL ──► answered()
//!          ──► Unverified::Busy ── other requests fetch the keys: wait a little
//! ```
//!
//! Nothing here waits or does I/O, so that a Worker asks issuers asynchronously and a native server with a thread of
//! its own, by the same code.

mod claim;
mod fetch;
mod loader;
mod stored;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

pub use self::fetch::{Fetched, KeyFetch, KeyTicket};
pub(super) use self::{claim::claim, loader::KeyLoader};
use super::{Event, ServiceReason};
use crate::{
    api::{error::ApiError, reply::Reply},
    config::ConfigError,
    ports::{Entropy, Log, SignatureVerifier},
    snapshot::{denylist::Denylist, time::UnixSecs},
    token::{
        IssuerConfig, KeysFetched, Rejection, Rule, TokenVerifier, Undecided, VerifiedToken, VerifyError,
    },
};

/// The tokens of the configured issuers. A clone is another handle of the same memory.
pub struct Tokens<V: SignatureVerifier>(Rc<Memory<V>>);

struct Memory<V: SignatureVerifier> {
    verifier: RefCell<TokenVerifier<V>>,
    // Copies of what `verifier` says, so that a kept answer is judged without borrowing it or asking every issuer.
    epoch: Cell<u32>,
    refresh_due_from: Cell<UnixSecs>,
}

impl<V: SignatureVerifier> Clone for Tokens<V> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// Why a token is not verified.
pub enum Unverified<V: SignatureVerifier> {
    /// It is refused, or can be neither accepted nor refused now.
    Refused(Refusal),
    /// The issuer's keys are missing, and this request may fetch them.
    NeedKeys(KeyTicket<V>),
    /// The issuer's keys are missing, and enough other requests are fetching them.
    Busy,
}

/// The answer to a request whose token is not accepted.
pub struct Refusal {
    /// The answer. It is not complete: see [`Completion`](super::Completion).
    pub reply: Reply,
    /// The rule that the token breaks, or that cannot be checked now. A newer head may have lifted a revocation.
    pub rule: Rule,
}

impl<V: SignatureVerifier> Tokens<V> {
    /// Makes the issuers' configured keys ready, and logs those that cannot be used.
    ///
    /// # Errors
    /// An inline JWKS or a secret cannot be used.
    pub fn new(issuers: &[IssuerConfig], platform: &V, log: &dyn Log) -> Result<Self, ConfigError> {
        let verifier = TokenVerifier::new(issuers.to_vec(), platform)?;
        let (epoch, refresh_due_from) = (Cell::new(0), Cell::new(UnixSecs::MAX));
        let tokens = Self(Rc::new(Memory { verifier: RefCell::new(verifier), epoch, refresh_due_from }));
        (0..issuers.len()).for_each(|issuer| tokens.log_left_out(issuer, log));
        Ok(tokens)
    }

    /// Verifies the token in `authorization`, the header's value, at `now`.
    ///
    /// # Errors
    /// The token is not accepted, or keys are missing.
    pub fn verify(
        &self,
        authorization: &str,
        now: UnixSecs,
        platform: &V,
        entropy: &dyn Entropy,
    ) -> Result<Rc<VerifiedToken>, Unverified<V>> {
        // Not by `change`: a token that is accepted changes neither keys nor fetches.
        let verified = self.0.verifier.borrow_mut().verify(authorization, now, platform, entropy);
        verified.map_err(|error| self.unverified(error))
    }

    /// The token in `authorization` if it was verified before, is remembered, and is within its times.
    #[must_use]
    pub fn remembered(
        &self,
        authorization: &str,
        now: UnixSecs,
        entropy: &dyn Entropy,
    ) -> Option<Rc<VerifiedToken>> {
        self.0.verifier.borrow_mut().remembered(authorization, now, entropy)
    }

    /// Whether a token that was verified in the present [`epoch`](Self::epoch) is within its times.
    #[must_use]
    pub fn is_in_force(&self, token: &VerifiedToken, now: UnixSecs) -> bool {
        self.0.verifier.borrow().is_in_force(token, now)
    }

    #[cold]
    fn unverified(&self, error: VerifyError) -> Unverified<V> {
        // A fetch may have been reserved.
        self.change(|_| ());
        let rule = error.rule().unwrap_or(Rule::Key);
        let (error, reason, detail) = match error {
            VerifyError::NeedKeys(issuer) => {
                return Unverified::NeedKeys(KeyTicket::new(self.clone(), issuer));
            }
            VerifyError::KeysUnavailable { is_being_fetched: true, .. } => return Unverified::Busy,
            VerifyError::Rejected(Rejection { error, detail }) => {
                (ApiError::InvalidToken, error.code(), detail)
            }
            VerifyError::KeysUnavailable { retry_after_secs, issuer, .. } => {
                let detail = format!("ISSUERS[{issuer}].keys: the last fetch failed");
                (ApiError::Unavailable { retry_after_secs }, ServiceReason::KeysUnavailable.code(), detail)
            }
            VerifyError::Undecided(Undecided { cause, retry_after_secs, detail }) => {
                (ApiError::Unavailable { retry_after_secs }, cause.code(), detail)
            }
        };
        Unverified::Refused(Refusal { reply: Reply::error(error, reason).with_detail(detail), rule })
    }

    /// Refuses the tokens on this denylist from now on.
    pub fn deny(&self, denylist: &Denylist) {
        self.change(|verifier| verifier.deny(denylist));
    }

    /// Changes with each change of an issuer's keys or of the denylist.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.0.epoch.get()
    }

    /// Whether [`Self::begin_refresh`] would give a ticket.
    #[must_use]
    pub fn is_refresh_due(&self, now: UnixSecs) -> bool {
        now >= self.0.refresh_due_from.get()
    }

    /// The right to fetch the keys of an issuer behind a request, because the present ones are old.
    #[must_use]
    pub fn begin_refresh(&self, now: UnixSecs) -> Option<KeyTicket<V>> {
        if !self.is_refresh_due(now) {
            return None;
        }
        let issuer = self.change(|verifier| verifier.keys_refresh_due(now))?;
        Some(KeyTicket::new(self.clone(), issuer))
    }

    /// The names of an issuer's keys, if the configuration has them: fetched ones may have changed since.
    #[must_use]
    pub fn fixed_key_names(&self, issuer: usize) -> Option<Vec<String>> {
        let verifier = self.0.verifier.borrow();
        let names = verifier.fixed_key_names(issuer)?;
        Some(names.into_iter().map(str::to_owned).collect())
    }

    /// Changes the memory. Every change goes through here but that of a token that was accepted.
    fn change<T>(&self, change: impl FnOnce(&mut TokenVerifier<V>) -> T) -> T {
        let Memory { verifier, epoch, refresh_due_from } = &*self.0;
        let verifier = &mut *verifier.borrow_mut();
        let changed = change(verifier);
        epoch.set(verifier.epoch());
        refresh_due_from.set(verifier.refresh_due_from().unwrap_or(UnixSecs::MAX));
        changed
    }

    /// Logs the keys of an issuer that cannot be used, if there are any: once for each change of its document.
    fn log_left_out(&self, issuer: usize, log: &dyn Log) {
        if let Some(keys) = self.0.verifier.borrow().left_out(issuer).filter(|keys| !keys.is_empty()) {
            Event::KeysLeftOut { issuer, keys }.log(log);
        }
    }

    fn log_fetched(&self, issuer: usize, outcome: &KeysFetched, log: &dyn Log) {
        match outcome {
            KeysFetched::Unchanged => {}
            KeysFetched::Changed { usable, skipped } => {
                Event::Keys { issuer, usable: *usable, skipped: *skipped }.log(log);
                self.log_left_out(issuer, log);
            }
            KeysFetched::Kept(problem) => {
                let problem = problem.as_ref().map(|problem| problem as &dyn std::fmt::Display);
                Event::KeysKept { issuer, problem }.log(log);
            }
        }
    }
}
