//! Tokens with a bad signature by keys that never change. Each is remembered for a moment, so that a flood of
//! one token costs a single signature check.

use std::collections::VecDeque;

use crate::limits::{REJECTED_MAX_TOKENS, REJECTED_SECS};

/// Rejected tokens by fingerprint, oldest first. A good token shares one of 256 fingerprints with a
/// probability of 2^-56. Clients do not know the fingerprint's key, so they cannot raise it. A collision
/// would refuse the token for ten seconds.
#[derive(Default)]
pub(super) struct RejectedTokens(VecDeque<Rejected>);

struct Rejected {
    fingerprint: u64,
    until: i64,
}

impl RejectedTokens {
    pub fn contains(&self, fingerprint: u64, now: i64) -> bool {
        self.0.iter().any(|rejected| rejected.fingerprint == fingerprint && now < rejected.until)
    }

    pub fn insert(&mut self, fingerprint: u64, now: i64) {
        while self.0.front().is_some_and(|oldest| oldest.until <= now) || self.0.len() >= REJECTED_MAX_TOKENS
        {
            self.0.pop_front();
        }
        self.0.push_back(Rejected { fingerprint, until: now.saturating_add(REJECTED_SECS) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn remembered_for_ten_seconds() {
        let mut rejected = RejectedTokens::default();
        assert!(!rejected.contains(7, NOW));
        rejected.insert(7, NOW);
        assert!(rejected.contains(7, NOW));
        assert!(rejected.contains(7, NOW + REJECTED_SECS - 1));
        assert!(!rejected.contains(7, NOW + REJECTED_SECS));
        assert!(!rejected.contains(8, NOW));
    }

    #[test]
    fn bounded_the_oldest_goes_first() {
        let mut rejected = RejectedTokens::default();
        for fingerprint in 0..1000 {
            rejected.insert(fingerprint, NOW);
        }
        assert_eq!(rejected.0.len(), REJECTED_MAX_TOKENS);
        assert!(rejected.contains(999, NOW));
        assert!(!rejected.contains(0, NOW));
        rejected.insert(1000, NOW + REJECTED_SECS);
        assert_eq!(rejected.0.len(), 1);
    }

    #[test]
    fn a_clock_set_back_is_harmless() {
        let mut rejected = RejectedTokens::default();
        rejected.insert(7, i64::MAX);
        rejected.insert(8, i64::MIN);
        assert!(rejected.contains(7, NOW));
        assert!(!rejected.contains(8, NOW));
    }
}
