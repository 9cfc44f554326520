//! How long a purge waits: for the limit on purges, and for the object that spaces them so that a storm shares them.

use super::{
    super::{
        assume::{CHANGE_RATE, DAY_SECS, SEED, SYNC_SECS},
        demand::Random,
    },
    assume::{PURGE_BURST, PURGE_EVERY_SECS, SPACING_SECS, STORM_SECS, STORM_SYNC_SECS, TAKES_AWAY},
};

/// Syncs that are followed: a day and a half, after which a bucket is as it stays.
const SYNCS: usize = 24_000;

/// The part of syncs whose head takes something away, for a number of customers.
pub fn taking_syncs(customers: u64) -> f64 {
    let per_sync = customers as f64 * CHANGE_RATE * TAKES_AWAY / DAY_SECS * SYNC_SECS;
    -libm::expm1(-per_sync)
}

/// The purges of the Durable Object, by the rules of `src/worker/head_keeper.mjs`.
#[derive(Clone, Debug)]
pub struct Purges {
    /// Seconds that each head which takes something away waits for its purge. While one waits, a further head waits for
    /// the same purge.
    pub waits: Vec<f64>,
    /// How many were sent.
    pub sent: usize,
    /// Purges a second.
    pub per_sec: f64,
    /// The part of the time in which none could be sent at once: answers are kept for a short time then.
    pub short_part: f64,
}

impl Purges {
    /// In a business of this size.
    pub fn of(customers: u64) -> Self {
        Self::lasting(taking_syncs(customers))
    }

    /// If this part of all syncs takes something away, for hours.
    pub fn lasting(taking: f64) -> Self {
        let mut random = Random::new(SEED, 2 << 40 | (taking * 1e6) as u64);
        let mut object = Object::default();
        let mut purges = Sent::default();
        for sync in 0..SYNCS {
            if sync == SYNCS / 2 {
                purges = Sent::default();
            }
            if random.fraction() < taking {
                object.takes_away(sync as f64 * SYNC_SECS, &mut purges);
            }
        }
        purges.within((SYNCS - SYNCS / 2) as f64 * SYNC_SECS)
    }

    /// In a storm that lasts a minute and comes when no purge was sent for long.
    pub fn storm() -> Self {
        let (mut object, mut purges) = (Object::default(), Sent::default());
        for sync in 0..(STORM_SECS / STORM_SYNC_SECS) as usize {
            object.takes_away(sync as f64 * STORM_SYNC_SECS, &mut purges);
        }
        purges.within(STORM_SECS)
    }
}

#[derive(Default)]
struct Sent {
    waits: Vec<f64>,
    count: usize,
    short_secs: f64,
}

impl Sent {
    fn within(self, secs: f64) -> Purges {
        Purges {
            waits: self.waits,
            sent: self.count,
            per_sec: self.count as f64 / secs,
            short_part: (self.short_secs / secs).min(1.0),
        }
    }
}

/// What the object knows of its purges.
struct Object {
    at_hand: f64,
    counted_at: f64,
    /// The last purge, or the next one if it is to come.
    purge_at: f64,
}

impl Default for Object {
    fn default() -> Self {
        Self { at_hand: PURGE_BURST, counted_at: 0.0, purge_at: f64::NEG_INFINITY }
    }
}

impl Object {
    fn at_hand(&self, now: f64) -> f64 {
        (self.at_hand + (now - self.counted_at) / PURGE_EVERY_SECS).min(PURGE_BURST)
    }

    /// When the next purge may be sent, if it is wanted at `now`.
    fn due(&self, now: f64) -> f64 {
        let at_hand = self.at_hand(now);
        let missing = (1.0 - at_hand).max(0.0) * PURGE_EVERY_SECS;
        let spacing = SPACING_SECS + (PURGE_EVERY_SECS - SPACING_SECS) * (1.0 - at_hand / PURGE_BURST);
        (now + missing).max(self.purge_at + spacing)
    }

    /// A head that takes something away, at `now`.
    fn takes_away(&mut self, now: f64, sent: &mut Sent) {
        if self.purge_at < now {
            let due = self.due(now);
            self.at_hand = self.at_hand(due) - 1.0;
            (self.counted_at, self.purge_at) = (due, due);
            sent.count += 1;
            sent.short_secs += self.due(due) - due;
        }
        sent.waits.push(self.purge_at - now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_purges_go_at_once_and_a_storm_shares_them() {
        let rare = Purges::lasting(0.1);
        assert!(rare.waits.iter().all(|wait| wait.abs() < 1e-9) && rare.short_part < 0.2, "{rare:?}");
        let storm = Purges::lasting(1.0);
        let longest = storm.waits.iter().copied().fold(0.0, f64::max);
        assert!((5.0..=PURGE_EVERY_SECS).contains(&longest), "{longest}");
        // Five a minute, although there are twelve syncs in a minute: 7 of 12 heads share another one's purge.
        let mean = storm.waits.iter().sum::<f64>() / storm.waits.len() as f64;
        assert!((3.0..9.0).contains(&mean), "{mean}");
        assert!(storm.per_sec <= 1.0 / PURGE_EVERY_SECS + 1e-3 && storm.short_part > 0.9, "{storm:?}");
    }

    /// The same figures as a test of the object has.
    #[test]
    fn a_minutes_storm_is_a_dozen_purges_at_least_four_seconds_apart() {
        let storm = Purges::storm();
        assert!((8..=13).contains(&storm.sent), "{}", storm.sent);
        let longest = storm.waits.iter().copied().fold(0.0, f64::max);
        assert!((SPACING_SECS - STORM_SYNC_SECS - 1e-9..2.0 * SPACING_SECS).contains(&longest), "{longest}");
    }

    #[test]
    fn more_customers_take_away_more_often() {
        let [small, large] = [1_000_000, 100_000_000].map(taking_syncs);
        // 10,000 changes a day, 500 of which take away: one in 34 syncs.
        assert!((small - 0.0285).abs() < 0.001 && large > 0.9, "{small} {large}");
        assert!(Purges::of(1_000_000).per_sec < Purges::of(10_000_000).per_sec);
    }
}
