//! The numbers and tables of the lane, in `docs/scale.md` and `docs/freshness.md`.

mod bills;
mod delays;
mod waiting;

use super::{
    super::{
        assume::{CUSTOMERS, EARLIER_DELTA_BYTES, POPS, SHARD_TARGET},
        layout::{Layout, Shape},
    },
    assume::{
        ASK_SECS, CARRIED_BYTES, FRESH_SECS, HEAD_CACHE_SECS, KV_VISIBLE_SECS, LANE_TIMEOUT_SECS,
        MAX_AGE_SECS, OBJECT_DOLLARS, OBJECT_MS, PURGE_BURST, PURGE_EVERY_SECS, PURGE_MS, REQUEST_DOLLARS,
        ROW_DOLLARS, ROWS_PER_HEAD, SAMPLES, SHORT_SECS, SLEPT_SECS, SPACING_SECS, STORM_SECS,
        STORM_SYNC_SECS, TAIL, TAKES_AWAY,
    },
    price::Month,
    purges::Purges,
    revoked::{Place, Purge, Scene, delays},
    waits::{self, Found, Reading, Waits},
};
use crate::{
    numbers::{binary, count, decimal, dollars, duration, grouped, percent, short},
    page::Values,
};

/// The sizes that are shown. Beyond them the design stops.
const SIZES: [u64; 3] = {
    let [one, ten, hundred, _] = CUSTOMERS;
    [one, ten, hundred]
};

fn shape(customers: u64) -> Shape {
    Shape::new(customers, Layout::Shards(SHARD_TARGET))
}

/// The lane as it is, with these purges.
fn lane(purges: &Purges) -> Scene {
    Scene {
        fresh_secs: Some(FRESH_SECS),
        max_age_secs: MAX_AGE_SECS,
        short_secs: SHORT_SECS,
        stale_secs: 0.0,
        purge: Purge::After(purges.waits.clone()),
    }
}

fn secs(secs: f64) -> String {
    format!("{secs:.1}")
}

fn ms(waits: &Waits, part: f64) -> String {
    format!("{:.0}", waits.percentile(part))
}

/// What is assumed, for the page; quick.
pub fn assumptions() -> Values {
    let secs = |secs: f64| short(secs);
    [
        ("fresh_secs", secs(FRESH_SECS)),
        ("fresh_wait_secs", secs(SLEPT_SECS)),
        ("lane_max_age", duration(MAX_AGE_SECS)),
        ("lane_short", duration(SHORT_SECS)),
        ("lane_timeout", grouped(1e3 * LANE_TIMEOUT_SECS)),
        ("lane_object_ms", grouped(OBJECT_MS)),
        ("lane_purge_ms", grouped(PURGE_MS)),
        ("lane_tail", secs(TAIL)),
        ("purge_burst", grouped(PURGE_BURST)),
        ("purge_every", duration(PURGE_EVERY_SECS)),
        ("purge_spacing", duration(SPACING_SECS)),
        ("storm", duration(STORM_SECS)),
        ("storm_sync", duration(STORM_SYNC_SECS)),
        ("storm_purges", Purges::storm().sent.to_string()),
        ("kv_visible", duration(KV_VISIBLE_SECS)),
        ("head_cache", duration(HEAD_CACHE_SECS)),
        ("takes_away", percent(TAKES_AWAY)),
        ("ask_secs", secs(ASK_SECS)),
        ("lane_samples", grouped(SAMPLES as f64)),
        ("carried", binary(CARRIED_BYTES)),
        ("earlier_delta", binary(EARLIER_DELTA_BYTES as f64)),
        ("request_price", format!("${REQUEST_DOLLARS:.2}")),
        ("object_price", format!("${OBJECT_DOLLARS:.2}")),
        ("row_price", format!("${ROW_DOLLARS:.2}")),
        ("rows_per_head", secs(ROWS_PER_HEAD)),
        ("lane_most", count(Month::most(FRESH_SECS))),
        ("lane_most_price", dollars(Month::most(FRESH_SECS) * REQUEST_DOLLARS / 1e6)),
        ("table_one_value", waiting::one_value()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// How checks wait in a business of this size, by KV alone and by the lane: before docs/adr/0067, and now.
fn by_head(customers: u64) -> [Found; 4] {
    let (shape, lane) = (shape(customers), Reading::now(&Purges::of(customers)));
    let earlier = shape.with_deltas_of(EARLIER_DELTA_BYTES);
    [
        waits::of(&earlier, Reading::KV.before()),
        waits::of(&earlier, lane.before()),
        waits::of(&shape, Reading::KV),
        waits::of(&shape, lane),
    ]
}

/// What is computed, for the page; takes some seconds.
pub fn results() -> Values {
    let found = SIZES.map(by_head);
    let [[before, .., one], [.., ten], [.., hundred]] = &found;
    let usual = lane(&Purges::of(SIZES[1]));
    let dead = delays(&Scene { fresh_secs: None, ..usual.clone() }, SIZES[1], Place::Any);
    let largest = delays(&lane(&Purges::of(SIZES[2])), SIZES[2], Place::Any);
    let usual = delays(&usual, SIZES[1], Place::Any);
    let storm = delays(&lane(&Purges::lasting(1.0)), SIZES[1], Place::Any);
    [
        ("lane_p50", secs(usual.percentile(0.5))),
        ("lane_p99", secs(usual.percentile(0.99))),
        ("lane_dead_p50", secs(dead.percentile(0.5))),
        ("lane_dead_max", secs(dead.max())),
        ("lane_hundred_p50", secs(largest.percentile(0.5))),
        ("lane_hundred_p99", secs(largest.percentile(0.99))),
        ("lane_storm_p50", secs(storm.percentile(0.5))),
        ("lane_storm_p99", secs(storm.percentile(0.99))),
        ("lane_object_rate", decimal(POPS as f64 / SHORT_SECS * shape(SIZES[1]).mean_delta_bytes())),
        ("lane_new_p99", ms(&ten.new, 0.99)),
        ("lane_new_hundred", ms(&hundred.new, 0.99)),
        ("lane_woken_p99", ms(&ten.woken, 0.99)),
        ("lane_cold_before", percent(before.cold_heads)),
        ("lane_cold_one", percent(one.cold_heads)),
        ("lane_cold_ten", percent(ten.cold_heads)),
        ("table_waits", waiting::waiting(&found)),
        ("table_slept", waiting::slept()),
        ("table_budgets", waiting::budgets()),
        ("table_revoked", delays::revoked()),
        ("table_revoked_sizes", delays::revoked_sizes()),
        ("table_short", delays::short_times()),
        ("table_kept", delays::kept()),
        ("table_lane_price", bills::price()),
        ("table_lane_bill", bills::bill()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::{super::purges::taking_syncs, *};
    use crate::scale::{
        assume::{DELTA_BYTES, SYNC_SECS},
        demand::Pop,
    };

    /// What the pages say in words.
    #[test]
    fn the_prose_is_true() {
        let [one, ten, hundred] = SIZES;
        assert!(taking_syncs(ten) / SYNC_SECS < 1.0 / PURGE_EVERY_SECS, "10 million are within the limit");
        assert!(taking_syncs(hundred) / SYNC_SECS > 1.0 / PURGE_EVERY_SECS, "100 million are beyond it");
        assert!(Pop::all().len() == 100 && (DELTA_BYTES as f64) < CARRIED_BYTES, "each delta fits");
        let found = delays(&lane(&Purges::of(ten)), ten, Place::Any);
        assert!(found.percentile(0.5) <= 2.0 && found.percentile(0.99) <= 6.0, "{}", found.percentile(0.99));
        for (purges, customers) in
            [(Purges::storm(), ten), (Purges::lasting(1.0), ten), (Purges::of(hundred), hundred)]
        {
            let found = delays(&lane(&purges), customers, Place::Any);
            assert!(found.percentile(0.99) <= 6.0, "{customers}: {}", found.percentile(0.99));
        }
        let dead = Scene { fresh_secs: None, ..lane(&Purges::of(one)) };
        assert!(delays(&dead, one, Place::Any).max() <= 120.5);
    }
}
