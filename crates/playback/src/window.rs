//! When a signature is valid: the one place that decides it.

use crate::limits::{LEEWAY_DEFAULT_SECS, ROUND_DEFAULT_SECS, TTL_DEFAULT_SECS};

/// The configured part of a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRule {
    /// Lifetime in seconds, before rounding.
    pub ttl_secs: u32,
    /// The end is rounded up to a multiple of this, and the beginning down. At least 1.
    pub round_secs: u32,
    /// How far the verifier's clock may be behind, in seconds.
    pub leeway_secs: u32,
}

impl Default for WindowRule {
    fn default() -> Self {
        Self { ttl_secs: TTL_DEFAULT_SECS, round_secs: ROUND_DEFAULT_SECS, leeway_secs: LEEWAY_DEFAULT_SECS }
    }
}

/// The time in which a signature is valid, in unix seconds.
///
/// ```
/// use admit_playback::{Window, WindowRule};
///
/// let rule = WindowRule { ttl_secs: 3600, round_secs: 300, leeway_secs: 60 };
/// let window = Window::new(1_000_010, i64::MAX, rule).unwrap();
/// assert_eq!((window.not_before(), window.expires_at()), (999_840, 1_003_800));
/// // The grant ends within the hour, and so does the signature.
/// assert_eq!(Window::new(1_000_010, 1_000_777, rule).unwrap().expires_at(), 1_000_777);
/// // Nothing is signed for a grant that has ended.
/// assert!(Window::new(1_000_010, 1_000_010, rule).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    not_before: i64,
    expires_at: i64,
    same_until: i64,
}

impl Window {
    /// The window of a signature made at `now` for a grant that ends at `grant_ends_at`. `None` if the grant has ended.
    ///
    /// The end is the earlier of the grant's end and `now + ttl_secs` rounded up; the grant's own end is never rounded.
    #[must_use]
    pub fn new(now: i64, grant_ends_at: i64, rule: WindowRule) -> Option<Self> {
        let (ttl, round) = (i64::from(rule.ttl_secs), i64::from(rule.round_secs.max(1)));
        let wanted = now.saturating_add(ttl);
        // Up to the next multiple: -x.rem_euclid(round) is the distance to it.
        let rounded = wanted.saturating_add((-wanted.rem_euclid(round)).rem_euclid(round));
        let expires_at = rounded.min(grant_ends_at);
        if expires_at <= now {
            return None;
        }
        let begun = now.saturating_sub(now.rem_euclid(round));
        let not_before = begun.saturating_sub(i64::from(rule.leeway_secs)).max(0);
        // The rounded end changes a second after `now + ttl` has passed it, the beginning after a whole round.
        let same_until = rounded.saturating_sub(ttl).saturating_add(1).min(begun.saturating_add(round));
        Some(Self { not_before, expires_at, same_until: same_until.min(expires_at) })
    }

    /// `nbf`: earlier than now by the leeway, so that a CDN whose clock is behind accepts the signature.
    #[must_use]
    pub const fn not_before(self) -> i64 {
        self.not_before
    }

    /// `exp`: the first second in which the signature is no longer valid. Never after the grant's end.
    #[must_use]
    pub const fn expires_at(self) -> i64 {
        self.expires_at
    }

    /// Until then (exclusive), the same question has the same window, and a signature may be given again.
    #[must_use]
    pub const fn same_until(self) -> i64 {
        self.same_until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> impl Strategy<Value = WindowRule> {
        (1..1_000_000_u32, 0..4_000_u32, 0..400_u32)
            .prop_map(|(ttl_secs, round_secs, leeway_secs)| WindowRule { ttl_secs, round_secs, leeway_secs })
    }

    proptest! {
        #[test]
        fn never_beyond_the_grant(now in any::<i64>(), ends_at in any::<i64>(), rule in rules()) {
            match Window::new(now, ends_at, rule) {
                None => prop_assert!(ends_at <= now || now > i64::MAX - 1_000_000),
                Some(window) => {
                    prop_assert!(now < window.expires_at() && window.expires_at() <= ends_at);
                    prop_assert!(window.same_until() <= window.expires_at());
                }
            }
        }

        #[test]
        fn as_long_as_configured(now in 0..i64::from(u32::MAX), rule in rules()) {
            let window = Window::new(now, i64::MAX, rule).unwrap();
            let (ttl, round) = (i64::from(rule.ttl_secs), i64::from(rule.round_secs.max(1)));
            prop_assert!((now + ttl..now + ttl + round).contains(&window.expires_at()));
            prop_assert_eq!(window.expires_at() % round, 0);
            let begun = window.not_before() + i64::from(rule.leeway_secs);
            prop_assert!(window.not_before() == 0 || (now - round < begun && begun <= now));
        }

        #[test]
        fn the_same_until_it_is_not(
            now in 0..i64::from(u32::MAX),
            left in 1..2_000_000_i64,
            rule in rules(),
            part in 0.0..1.0_f64,
        ) {
            let window = Window::new(now, now + left, rule).unwrap();
            prop_assert!(now < window.same_until());
            // Any moment in between has the same window.
            let between = now + ((window.same_until() - now) as f64 * part) as i64;
            prop_assert_eq!(Window::new(between, now + left, rule), Some(window));
        }
    }
}
