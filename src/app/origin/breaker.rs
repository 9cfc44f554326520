//! Leaves an origin alone that fails again and again, and finds out when it is back.

use crate::limits::{BREAKER_FAILURES, BREAKER_OPEN_MS, BREAKER_PAUSE_MAX_SECS};

/// A circuit breaker. Closed until [`BREAKER_FAILURES`] failures in a row; then open for [`BREAKER_OPEN_MS`];
/// then one request at a time may try.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    open_until_ms: u64,
    /// Until when the origin has asked to be left alone.
    paused_until_ms: u64,
    /// When the request that tries is given up, if there is one.
    probe_until_ms: u64,
}

impl Breaker {
    /// Whether a request may be sent that ends by `deadline_ms`, one way or the other.
    ///
    /// # Errors
    /// With the time until it is worth asking again, in milliseconds.
    pub fn admit(&mut self, now_ms: u64, deadline_ms: u64) -> Result<(), u64> {
        let closed_at_ms = self.open_until_ms.max(self.paused_until_ms);
        if now_ms < closed_at_ms {
            return Err(closed_at_ms - now_ms);
        }
        if self.failures >= BREAKER_FAILURES {
            if now_ms < self.probe_until_ms {
                return Err(self.probe_until_ms - now_ms);
            }
            self.probe_until_ms = deadline_ms;
        }
        Ok(())
    }

    /// Whether the origin has asked to be left alone until later than now.
    pub const fn is_paused(&self, now_ms: u64) -> bool {
        now_ms < self.paused_until_ms
    }

    /// The origin answered. A pause that it asked for goes on: this answer may be to what was sent before.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
        self.open_until_ms = 0;
        self.probe_until_ms = 0;
    }

    /// The origin answered a request of another kind. That is evidence that it is back: the next request may try,
    /// whatever the circuit was open for.
    pub const fn half_open(&mut self) {
        self.open_until_ms = 0;
    }

    /// The origin did not answer, or not as an origin does. `true` when that opens the circuit.
    pub fn failed(&mut self, now_ms: u64) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.probe_until_ms = 0;
        let is_open = self.failures >= BREAKER_FAILURES;
        if is_open {
            self.open_until_ms = self.open_until_ms.max(now_ms.saturating_add(BREAKER_OPEN_MS));
        }
        is_open
    }

    /// Nothing was learnt of the origin.
    pub fn unknown(&mut self) {
        self.probe_until_ms = 0;
    }

    /// The origin asks to be left alone for so long.
    pub fn pause(&mut self, now_ms: u64, secs: u64) {
        let pause_ms = secs.min(BREAKER_PAUSE_MAX_SECS).saturating_mul(1_000);
        self.paused_until_ms = self.paused_until_ms.max(now_ms.saturating_add(pause_ms));
        self.probe_until_ms = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for failure in 1..=BREAKER_FAILURES {
            assert_eq!(breaker.admit(1_000, 2_000), Ok(()));
            assert_eq!(breaker.failed(1_000), failure == BREAKER_FAILURES);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..BREAKER_FAILURES {
                breaker.failed(1_000);
            }
            breaker.succeeded();
            assert_eq!(breaker.admit(1_000, 2_000), Ok(()));
        }
        assert_eq!(opened().admit(1_000, 2_000), Err(BREAKER_OPEN_MS));
    }

    #[test]
    fn one_request_tries_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(5_999, 7_000), Err(1));
        assert_eq!(breaker.admit(6_000, 8_000), Ok(()));
        assert_eq!(breaker.admit(6_001, 8_001), Err(1_999), "one at a time");
        assert!(breaker.failed(6_100));
        assert_eq!(breaker.admit(6_101, 8_101), Err(4_999));
        assert_eq!(breaker.admit(11_100, 13_100), Ok(()));
        breaker.succeeded();
        assert_eq!((breaker.admit(11_200, 0), breaker.admit(11_200, 0)), (Ok(()), Ok(())));
    }

    #[test]
    fn evidence_of_another_kind_lets_one_try_at_once() {
        let mut breaker = opened();
        breaker.half_open();
        assert_eq!(breaker.admit(1_001, 3_001), Ok(()));
        assert_eq!(breaker.admit(1_002, 3_002), Err(1_999), "one at a time");
        assert!(breaker.failed(1_100), "it was not evidence of this kind");
        assert_eq!(breaker.admit(1_101, 3_101), Err(4_999));
        breaker.half_open();
        assert_eq!(breaker.admit(1_102, 3_102), Ok(()));
        breaker.succeeded();
        assert_eq!((breaker.admit(1_103, 0), breaker.admit(1_103, 0)), (Ok(()), Ok(())));
        // What the origin asked for holds.
        breaker.pause(2_000, 3);
        breaker.half_open();
        assert_eq!(breaker.admit(2_001, 0), Err(2_999));
    }

    #[test]
    fn one_that_is_lost_keeps_nobody_out() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(6_000, 8_000), Ok(()));
        assert_eq!(breaker.admit(8_000, 10_000), Ok(()));
        breaker.unknown();
        assert_eq!(breaker.admit(8_001, 10_001), Ok(()), "nor one that taught nothing");
    }

    #[test]
    fn a_pause_is_heeded_within_reason() {
        let mut breaker = Breaker::default();
        breaker.pause(1_000, 3);
        assert_eq!(breaker.admit(1_000, 0), Err(3_000));
        breaker.succeeded();
        assert_eq!(breaker.admit(3_999, 0), Err(1), "what was under way succeeds, and ends no pause");
        assert_eq!(breaker.admit(4_000, 0), Ok(()));
        breaker.pause(5_000, u64::MAX);
        assert_eq!(breaker.admit(5_000, 0), Err(BREAKER_PAUSE_MAX_SECS * 1_000));
    }
}
