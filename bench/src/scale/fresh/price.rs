//! What the lane costs in a month.

use super::{
    super::{
        assume::{CHANGE_RATE, DAY_SECS, ISOLATES_MIN, MONTH_DAYS, POPS, SYNC_SECS},
        demand::{Pop, hours},
    },
    assume::{OBJECT_DOLLARS, REQUEST_DOLLARS, ROW_DOLLARS, ROWS_PER_HEAD},
    waits::{Kept, lane_asks},
};

/// A month of the lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Month {
    /// Questions of isolates; each is a request to the Worker, whether its cache has the answer or not.
    pub asks: f64,
    /// Those that reach the Durable Object.
    pub misses: f64,
    /// Heads that are published.
    pub heads: f64,
}

impl Month {
    /// For a business with the usual changes.
    pub fn of(customers: u64, fresh_secs: f64, kept: Kept) -> Self {
        let mut month = Self::default();
        for pop in Pop::all() {
            let (isolates, per_sec) = (pop.isolates(customers), pop.checks_per_isolate(customers));
            for busy in hours() {
                let asks = isolates * lane_asks(per_sec * busy, fresh_secs);
                let secs = MONTH_DAYS * DAY_SECS / 24.0;
                month.asks += asks * secs;
                month.misses += asks * (1.0 - kept.hits(asks)) * secs;
            }
        }
        let syncs = DAY_SECS / SYNC_SECS;
        let changes = customers as f64 * CHANGE_RATE;
        month.heads = MONTH_DAYS * syncs * -libm::expm1(-changes / syncs);
        month
    }

    /// The most that the fewest isolates ask, if all are in use all the time.
    pub fn most(fresh_secs: f64) -> f64 {
        POPS as f64 * ISOLATES_MIN / fresh_secs * DAY_SECS * MONTH_DAYS
    }

    /// Its price, in dollars, beyond what the subscription includes.
    pub fn dollars(&self) -> f64 {
        let objects = (self.misses + self.heads) * OBJECT_DOLLARS;
        (self.asks * REQUEST_DOLLARS + objects + self.heads * ROWS_PER_HEAD * ROW_DOLLARS) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_by_hand() {
        // 100 places × 2 isolates × a question every two seconds.
        assert!((Month::most(2.0) - 259.2e6).abs() < 1.0);
        // 260 million × $0.30, 10 million × $0.15, 500,000 × ($0.15 + 2 × $1).
        let month = Month { asks: 260e6, misses: 10e6, heads: 0.5e6 };
        assert!((month.dollars() - (78.0 + 1.5 + 1.075)).abs() < 1e-9);
        let kept = Kept { secs: 30.0, short_secs: 1.0, short_part: 0.0, purges: 0.0 };
        // Isolates that nobody asks do not ask either.
        let quiet = Month::of(100_000, 2.0, kept);
        assert!(quiet.asks < 0.02 * Month::most(2.0) && quiet.misses <= quiet.asks, "{quiet:?}");
    }
}
