//! Tokens that no key at hand verifies, and when each was first seen (docs/adr/0013).

use std::collections::VecDeque;

use super::error::JwsError;
use crate::limits::JWKS_PENDING_MAX_TOKENS;

/// Number of fetches of an issuer's keys, in the order in which they were sent. 0 stands for "before the
/// first".
pub(super) type FetchCount = u32;

/// Undecided tokens by fingerprint, oldest first. Two tokens share a fingerprint with a probability of 2^-64.
/// The fingerprint's key is secret, so clients cannot construct a collision.
#[derive(Default)]
pub(super) struct PendingTokens(VecDeque<Pending>);

struct Pending {
    fingerprint: u64,
    /// Number of fetches sent when the token was first seen. Never decreases from front to back.
    seen_after: FetchCount,
    /// Why the present keys do not verify the token. `None` until they have been tried.
    problem: Option<JwsError>,
}

impl PendingTokens {
    /// Whether one of the first `settled` fetches was sent after the token was first seen.
    pub fn is_settled(&self, fingerprint: u64, settled: FetchCount) -> bool {
        self.find(fingerprint).is_some_and(|pending| pending.seen_after < settled)
    }

    /// Why the present keys do not verify the token. Saves a flood of one token its signature checks: the
    /// first costs one.
    pub fn problem(&self, fingerprint: u64) -> Option<JwsError> {
        self.find(fingerprint)?.problem
    }

    /// Remembers a token, first seen after `begun` fetches were sent, unless it is remembered already.
    ///
    /// One half of the room is for tokens that wait for a decision. When it is full, only a token that
    /// `must_stay` is added. The other half is for tokens that one of the first `settled` fetches has decided
    /// and that have not been presented since; the oldest of these is dropped first. Made-up tokens therefore
    /// push out neither kind before the next decision.
    pub fn remember(
        &mut self,
        fingerprint: u64,
        problem: Option<JwsError>,
        begun: FetchCount,
        settled: FetchCount,
        must_stay: bool,
    ) {
        if let Some(pending) = self.0.iter_mut().find(|pending| pending.fingerprint == fingerprint) {
            pending.problem = problem.or(pending.problem);
            return;
        }
        // `seen_after` never decreases, so the decided tokens are the first ones.
        let decided = self.0.partition_point(|pending| pending.seen_after < settled);
        if self.0.len() - decided >= JWKS_PENDING_MAX_TOKENS / 2 && !must_stay {
            return;
        }
        if self.0.len() >= JWKS_PENDING_MAX_TOKENS {
            self.0.pop_front();
        }
        self.0.push_back(Pending { fingerprint, seen_after: begun, problem });
    }

    /// Forgets a token that was verified or refused.
    pub fn forget(&mut self, fingerprint: u64) {
        self.0.retain(|pending| pending.fingerprint != fingerprint);
    }

    /// Forgets why tokens failed, because the issuer's keys have changed.
    pub fn forget_problems(&mut self) {
        for pending in &mut self.0 {
            pending.problem = None;
        }
    }

    fn find(&self, fingerprint: u64) -> Option<&Pending> {
        self.0.iter().find(|pending| pending.fingerprint == fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: Option<JwsError> = Some(JwsError::UnknownKey);

    #[test]
    fn a_fetch_decides_about_tokens_that_were_seen_before_it_began() {
        let mut tokens = PendingTokens::default();
        tokens.remember(7, PROBLEM, 1, 0, false);
        assert!(!tokens.is_settled(7, 1), "the first had begun already");
        assert!(tokens.is_settled(7, 2));
        tokens.remember(7, PROBLEM, 2, 1, false);
        assert!(tokens.is_settled(7, 2), "it was first seen before");
        assert!(!tokens.is_settled(8, u32::MAX), "never seen");
        tokens.forget(7);
        assert!(!tokens.is_settled(7, 2));
    }

    #[test]
    fn made_up_tokens_do_not_push_out_waiting_tokens() {
        let mut tokens = PendingTokens::default();
        tokens.remember(u64::MAX, PROBLEM, 1, 1, false);
        for made_up in 0..10_000 {
            tokens.remember(made_up, PROBLEM, 1, 1, false);
        }
        assert_eq!(tokens.0.len(), JWKS_PENDING_MAX_TOKENS / 2);
        // It hears of the decision, whatever comes in between.
        for made_up in 20_000..30_000 {
            tokens.remember(made_up, PROBLEM, 2, 2, false);
        }
        assert_eq!(tokens.0.len(), JWKS_PENDING_MAX_TOKENS);
        assert!(tokens.is_settled(u64::MAX, 2) && tokens.is_settled(20_000, 3));
        // After the next one, the oldest make room.
        tokens.remember(30_000, PROBLEM, 3, 3, false);
        assert_eq!(tokens.0.len(), JWKS_PENDING_MAX_TOKENS);
        assert!(!tokens.is_settled(u64::MAX, 3) && tokens.is_settled(20_000, 3));
        // The one for which keys are fetched is always remembered.
        let mut tokens = PendingTokens::default();
        for made_up in 0..10_000 {
            tokens.remember(made_up, PROBLEM, 0, 0, false);
        }
        tokens.remember(u64::MAX, None, 0, 0, true);
        assert!(tokens.is_settled(u64::MAX, 1));
        for must_stay in 20_000..30_000 {
            tokens.remember(must_stay, None, 0, 0, true);
        }
        assert_eq!(tokens.0.len(), JWKS_PENDING_MAX_TOKENS);
    }

    #[test]
    fn a_problem_lasts_as_long_as_the_keys() {
        let mut tokens = PendingTokens::default();
        tokens.remember(7, None, 0, 0, true);
        assert_eq!(tokens.problem(7), None);
        tokens.remember(7, Some(JwsError::BadSignature), 1, 1, false);
        assert_eq!(tokens.problem(7), Some(JwsError::BadSignature));
        tokens.forget_problems();
        assert_eq!(tokens.problem(7), None);
        assert!(tokens.is_settled(7, 1));
    }
}
