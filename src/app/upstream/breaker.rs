//! Leaves the upstream alone when all parties fail, and finds out when it is back.

use super::lane::Closed;
use crate::limits::{BREAKER_OPEN_MS, BREAKER_PAUSE_MAX_SECS, PAUSE_TRY_MS};

/// A circuit breaker. Closed until it is opened; then open for [`BREAKER_OPEN_MS`]; then one request at a time may try.
/// In a pause that the upstream asked for, one request may try every [`PAUSE_TRY_MS`].
#[derive(Debug, Default)]
pub struct Breaker {
    is_open: bool,
    open_until_ms: u64,
    /// Since when and until when the upstream has asked to be left alone.
    paused_at_ms: u64,
    paused_until_ms: u64,
    /// When the next request may try although there is a pause.
    pause_try_ms: u64,
    /// When the request that tries is given up, if there is one.
    probe_until_ms: u64,
}

impl Breaker {
    /// Whether a request may be sent that ends by `deadline_ms`, one way or the other.
    ///
    /// # Errors
    /// Why not, and how long it is until asking is worth it.
    pub fn admit(&mut self, now_ms: u64, deadline_ms: u64) -> Result<(), Closed> {
        if now_ms < self.paused_until_ms.min(self.pause_try_ms) {
            return Err(Closed::Pause(self.paused_until_ms - now_ms));
        }
        if now_ms < self.open_until_ms {
            return Err(Closed::Circuit(self.open_until_ms - now_ms));
        }
        if self.is_open {
            if now_ms < self.probe_until_ms {
                return Err(Closed::Circuit(self.probe_until_ms - now_ms));
            }
            self.probe_until_ms = deadline_ms;
        }
        if now_ms < self.paused_until_ms {
            self.pause_try_ms = now_ms.saturating_add(PAUSE_TRY_MS);
        }
        Ok(())
    }

    /// Whether it is open, or waits for the request that tries.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// The upstream answered a request that was sent at `sent_at_ms`. That ends a pause only if it was sent in it.
    pub const fn succeeded(&mut self, sent_at_ms: u64) {
        self.is_open = false;
        self.open_until_ms = 0;
        self.probe_until_ms = 0;
        if sent_at_ms > self.paused_at_ms {
            self.paused_until_ms = 0;
        }
    }

    /// The upstream answered a request of another kind. That is evidence that it is back: the next request may try,
    /// whatever the circuit was open for.
    pub const fn half_open(&mut self) {
        self.open_until_ms = 0;
    }

    /// Opens it: all parties' requests fail.
    pub fn open(&mut self, now_ms: u64) {
        self.is_open = true;
        self.probe_until_ms = 0;
        self.open_until_ms = self.open_until_ms.max(now_ms.saturating_add(BREAKER_OPEN_MS));
    }

    /// Nothing was learnt of the upstream.
    pub const fn unknown(&mut self) {
        self.probe_until_ms = 0;
    }

    /// The upstream asks all parties for a pause of `secs` seconds.
    pub fn pause(&mut self, now_ms: u64, secs: u64) {
        let pause_ms = secs.min(BREAKER_PAUSE_MAX_SECS).saturating_mul(1_000);
        self.paused_at_ms = now_ms;
        self.paused_until_ms = self.paused_until_ms.max(now_ms.saturating_add(pause_ms));
        self.pause_try_ms = now_ms.saturating_add(PAUSE_TRY_MS);
        self.probe_until_ms = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.admit(1_000, 2_000), Ok(()));
        breaker.open(1_000);
        breaker
    }

    #[test]
    fn one_request_tries_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(5_999, 7_000), Err(Closed::Circuit(1)));
        assert_eq!(breaker.admit(6_000, 8_000), Ok(()));
        assert_eq!(breaker.admit(6_001, 8_001), Err(Closed::Circuit(1_999)), "one at a time");
        breaker.open(6_100);
        assert_eq!(breaker.admit(6_101, 8_101), Err(Closed::Circuit(4_999)));
        assert_eq!(breaker.admit(11_100, 13_100), Ok(()));
        breaker.succeeded(11_100);
        assert_eq!((breaker.admit(11_200, 0), breaker.admit(11_200, 0)), (Ok(()), Ok(())));
    }

    #[test]
    fn evidence_of_another_kind_lets_one_try_at_once() {
        let mut breaker = opened();
        breaker.half_open();
        assert_eq!(breaker.admit(1_001, 3_001), Ok(()));
        assert_eq!(breaker.admit(1_002, 3_002), Err(Closed::Circuit(1_999)), "one at a time");
        breaker.open(1_100);
        assert_eq!(
            breaker.admit(1_101, 3_101),
            Err(Closed::Circuit(4_999)),
            "it was not evidence of this kind"
        );
        breaker.half_open();
        assert_eq!(breaker.admit(1_102, 3_102), Ok(()));
        breaker.succeeded(1_102);
        assert_eq!((breaker.admit(1_103, 0), breaker.admit(1_103, 0)), (Ok(()), Ok(())));
        // What the upstream asked for holds.
        breaker.pause(2_000, 3);
        breaker.half_open();
        assert_eq!(breaker.admit(2_001, 0), Err(Closed::Pause(2_999)));
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
    fn a_pause_is_heeded_within_reason_and_one_request_a_second_tries() {
        let mut breaker = Breaker::default();
        breaker.pause(1_000, 3);
        assert_eq!(breaker.admit(1_000, 0), Err(Closed::Pause(3_000)));
        breaker.succeeded(999);
        assert_eq!(breaker.admit(1_999, 0), Err(Closed::Pause(2_001)), "what was under way ends no pause");
        assert_eq!(breaker.admit(2_000, 0), Ok(()));
        assert_eq!(breaker.admit(2_999, 0), Err(Closed::Pause(1_001)));
        let tried = (2_999..4_000).filter(|now_ms| breaker.admit(*now_ms, 0).is_ok()).count();
        assert_eq!(tried, 1);
        assert_eq!((breaker.admit(4_000, 0), breaker.admit(4_000, 0)), (Ok(()), Ok(())));
        breaker.pause(5_000, u64::MAX);
        assert_eq!(breaker.admit(5_000, 0), Err(Closed::Pause(BREAKER_PAUSE_MAX_SECS * 1_000)));
        assert_eq!(breaker.admit(6_000, 0), Ok(()));
        breaker.succeeded(6_000);
        assert_eq!(
            (breaker.admit(6_001, 0), breaker.admit(6_001, 0)),
            (Ok(()), Ok(())),
            "it takes requests again"
        );
    }
}
