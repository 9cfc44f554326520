//! What the model of the fresh lane takes for given. `docs/scale.md` shows the values and names their sources.

use admit::limits::{self, HEAD_DELTA_MAX_BYTES, LANE_SLEPT_INTERVALS, LANE_TIMEOUT_MS};

/// Seconds between two questions of an isolate to the lane.
pub const FRESH_SECS: f64 = limits::FRESH_SECS as f64;

/// Seconds after its last question to the lane from which an isolate asks before it answers.
pub const SLEPT_SECS: f64 = LANE_SLEPT_INTERVALS as f64 * FRESH_SECS;

/// Other values of `FRESH_SECS` whose price is shown.
pub const INTERVALS: [f64; 5] = [1.0, FRESH_SECS, 5.0, 10.0, 30.0];

/// How long a point of presence keeps the lane's answer, in seconds: `CACHE_SECS` of `src/worker/head_keeper.mjs`. It bounds
/// what a lost purge costs.
pub const MAX_AGE_SECS: f64 = 30.0;

/// The same while no purge can be sent at once: `BRIEF_SECS`. It bounds what a storm costs.
pub const SHORT_SECS: f64 = 1.0;

/// An isolate does not wait for the lane for longer, in seconds.
pub const LANE_TIMEOUT_SECS: f64 = LANE_TIMEOUT_MS as f64 / 1e3;

/// The first pause after a failed question to the lane, in seconds.
pub const LANE_PAUSE_SECS: f64 = limits::LANE_PAUSE_SECS as f64;

/// Purges that may be sent at once.
pub const PURGE_BURST: f64 = 25.0;

/// Seconds until another purge may be sent: five a minute.
pub const PURGE_EVERY_SECS: f64 = 12.0;

/// Least time from one purge to the next, in seconds. It grows to [`PURGE_EVERY_SECS`] as purges are used up.
pub const SPACING_SECS: f64 = 4.0;

/// How long a storm lasts, in seconds.
pub const STORM_SECS: f64 = 60.0;

/// Seconds between two heads of a storm.
pub const STORM_SYNC_SECS: f64 = 1.0;

/// Longest delta that is stored in one value with the head, in bytes.
pub const CARRIED_BYTES: f64 = HEAD_DELTA_MAX_BYTES as f64;

/// The Durable Object's answer to a point of presence, in milliseconds: the median of a log-normal distribution.
pub const OBJECT_MS: f64 = 80.0;

/// From a purge until the last point of presence has dropped the value, in milliseconds: the median.
pub const PURGE_MS: f64 = 150.0;

/// The 99th percentile of both, in medians.
pub const TAIL: f64 = 3.0;

/// Longest time until KV shows a new value at a point of presence that asks for it, in seconds.
pub const KV_VISIBLE_SECS: f64 = 60.0;

/// How long a point of presence keeps the key `head`, in seconds: the least `cacheTtl`.
pub const HEAD_CACHE_SECS: f64 = 30.0;

/// Part of all changes that take something away: refunds, cancelled and narrowed licences, deactivated items.
pub const TAKES_AWAY: f64 = 0.05;

/// Dollars per million requests to a Worker; a hit of its cache is one.
pub const REQUEST_DOLLARS: f64 = 0.3;

/// Dollars per million requests to a Durable Object.
pub const OBJECT_DOLLARS: f64 = 0.15;

/// Dollars per million rows that a Durable Object writes.
pub const ROW_DOLLARS: f64 = 1.0;

/// Rows that one head writes: the value in one piece, and what is known of it.
pub const ROWS_PER_HEAD: f64 = 2.0;

/// Seconds between two checks of the viewer whose access was taken away.
pub const ASK_SECS: f64 = 0.5;

/// Revocations that are followed for each line of a table.
pub const SAMPLES: usize = 4_000;

#[cfg(test)]
mod tests {
    /// What the Worker's JavaScript has, and the compiler does not see.
    #[test]
    fn the_lanes_own_numbers_are_those_of_the_model() {
        let keeper = std::fs::read_to_string("../src/worker/head_keeper.mjs").unwrap();
        assert!(keeper.contains(&format!("const CACHE_SECS = {};", super::MAX_AGE_SECS)));
        assert!(keeper.contains(&format!("const BRIEF_SECS = {};", super::SHORT_SECS)));
        assert!(keeper.contains(&format!("const SPACING_MS = {}_000;", super::SPACING_SECS)));
        assert!(keeper.contains(&format!("const PURGES_AT_ONCE = {};", super::PURGE_BURST)));
        assert!(keeper.contains(&format!("const PURGE_MS = {}_000;", super::PURGE_EVERY_SECS)));
    }
}
