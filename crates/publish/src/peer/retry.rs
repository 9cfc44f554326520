//! How long to wait before the next attempt, and when to give up.

use std::time::Duration;

/// Attempts at one call. With the pauses below they take about six seconds, as long as a Worker takes to be
/// replaced. A longer outage is left to the caller.
const ATTEMPTS: u32 = 6;

/// The longest pause that `Retry-After` may ask for: after too many calls Cloudflare's API rejects every call
/// for five minutes.
const ASKED_MAX: Duration = Duration::from_secs(300);

/// Pauses that double. Each is shortened at random, so that several publishers do not come back together.
#[derive(Debug)]
pub struct Patience {
    attempts: u32,
    attempts_max: u32,
    pause: Duration,
    pause_max: Duration,
}

impl Patience {
    /// For a call that failed.
    pub const fn for_calls() -> Self {
        let (pause, pause_max) = (Duration::from_millis(200), Duration::from_secs(10));
        Self { attempts: 1, attempts_max: ATTEMPTS, pause, pause_max }
    }

    /// For an object that was written and cannot be read yet: Workers KV may cache for a minute that it was
    /// missing. Shortened at random by an eighth on average, 24 pauses of at most 5 s are about 90 s.
    pub const fn for_objects() -> Self {
        let (pause, pause_max) = (Duration::from_millis(100), Duration::from_secs(5));
        Self { attempts: 1, attempts_max: 25, pause, pause_max }
    }

    /// The pause before the next attempt; `None` to give up.
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.attempts >= self.attempts_max {
            return None;
        }
        self.attempts += 1;
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(self.pause_max);
        match asked {
            Some(asked) => Some(asked.min(ASKED_MAX)),
            None => Some(shortened(pause)),
        }
    }

    /// Attempts so far.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// `pause`, shortened at random by up to a quarter, so that several publishers do not come back together.
pub fn shortened(pause: Duration) -> Duration {
    pause - pause.mul_f64(random_fraction() / 4.0)
}

/// From 0 to less than 1; 0 if the system has no random numbers, so that all wait equally long, which does no
/// harm.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let mut patience = Patience::for_calls();
        let pauses: Vec<_> = std::iter::from_fn(|| patience.next(None)).collect();
        assert_eq!(pauses.len(), 5);
        for (pause, full) in pauses.iter().zip([200, 400, 800, 1_600, 3_200]) {
            let full = Duration::from_millis(full);
            assert!(*pause <= full && *pause >= full.mul_f64(0.75), "{pauses:?}");
        }
        assert_eq!(patience.attempts(), 6);
    }

    #[test]
    fn what_the_worker_asks_for_is_done_within_reason() {
        let mut patience = Patience::for_calls();
        assert_eq!(patience.next(Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(patience.next(Some(Duration::from_secs(86_400))), Some(ASKED_MAX));
    }

    #[test]
    fn written_objects_are_awaited_for_longer_than_a_minute() {
        let mut patience = Patience::for_objects();
        let total: Duration = std::iter::from_fn(|| patience.next(None)).sum();
        assert!(total > Duration::from_secs(70) && total < Duration::from_secs(120), "{total:?}");
    }
}
