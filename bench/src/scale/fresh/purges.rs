//! How long a purge waits for the limit on purges: a bucket of tokens that refills slowly.

use super::{
    super::{
        assume::{CHANGE_RATE, DAY_SECS, SEED, SYNC_SECS},
        demand::Random,
    },
    assume::{PURGE_BURST, PURGE_EVERY_SECS, TAKES_AWAY},
};

/// Syncs that are followed: a day and a half, after which a bucket is as it stays.
const SYNCS: usize = 24_000;

/// The part of syncs whose head takes something away, for a number of customers.
pub fn taking_syncs(customers: u64) -> f64 {
    let per_sync = customers as f64 * CHANGE_RATE * TAKES_AWAY / DAY_SECS * SYNC_SECS;
    -libm::expm1(-per_sync)
}

/// Seconds that the purges of single heads wait, if this part of all syncs takes something away. While one waits, a
/// further head waits for the same purge.
pub fn waits(taking: f64) -> Vec<f64> {
    let mut random = Random::new(SEED, 2 << 40 | (taking * 1e6) as u64);
    let (mut tokens, mut now, mut next_purge) = (PURGE_BURST, 0.0, f64::NEG_INFINITY);
    let mut waits = Vec::new();
    for sync in 0..SYNCS {
        now += SYNC_SECS;
        tokens = (tokens + SYNC_SECS / PURGE_EVERY_SECS).min(PURGE_BURST);
        if random.fraction() >= taking {
            continue;
        }
        if next_purge < now {
            // The token of a purge that has to wait is spent in advance, and comes while it waits.
            next_purge = now + (1.0 - tokens).max(0.0) * PURGE_EVERY_SECS;
            tokens -= 1.0;
        }
        if sync >= SYNCS / 2 {
            waits.push(next_purge - now);
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_purges_go_at_once_and_a_storm_shares_them() {
        assert!(waits(0.1).iter().all(|wait| wait.abs() < 1e-9));
        let storm = waits(1.0);
        let longest = storm.iter().copied().fold(0.0, f64::max);
        assert!((5.0..=PURGE_EVERY_SECS).contains(&longest), "{longest}");
        // Five a minute, although there are twelve syncs in a minute: 7 of 12 heads share another one's purge.
        let mean = storm.iter().sum::<f64>() / storm.len() as f64;
        assert!((3.0..9.0).contains(&mean), "{mean}");
    }

    #[test]
    fn more_customers_take_away_more_often() {
        let [small, large] = [1_000_000, 100_000_000].map(taking_syncs);
        // 10,000 changes a day, 500 of which take away: one in 34 syncs.
        assert!((small - 0.0285).abs() < 0.001 && large > 0.9, "{small} {large}");
    }
}
