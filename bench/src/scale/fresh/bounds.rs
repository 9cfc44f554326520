//! The bounds of a revocation, added up from the limits of the code, in `docs/freshness.md`.

use admit::limits::{
    HEAD_FRESH_SECS, HEAD_STALE_SECS, LANE_ANNOUNCE_TIMEOUT_MS, LANE_PAUSE_MAX_SECS, LANE_PAUSE_SECS,
    LANE_SLEPT_INTERVALS, LANE_TIMEOUT_MS,
};

use super::assume::{
    FRESH_SECS, HEAD_CACHE_SECS, KV_VISIBLE_SECS, MAX_AGE_SECS, PURGE_BURST, PURGE_EVERY_SECS, PURGE_MS,
    SHORT_SECS, SLEPT_SECS, SPACING_SECS,
};
use crate::{
    numbers::short,
    page::{self, Values},
};

/// What the page says of the model.
const MODELLED: [&str; 11] = [
    "lane_p50",
    "lane_p99",
    "lane_hundred_p50",
    "lane_hundred_p99",
    "lane_storm_p50",
    "lane_storm_p99",
    "lane_new_p99",
    "lane_new_hundred",
    "lane_woken_p99",
    "lane_cold_one",
    "lane_cold_before",
];

/// `page` with the bounds, and with what the model says, `lane`.
///
/// # Errors
/// The page has no place for one of them.
pub fn fill(page: &str, lane: &Values) -> anyhow::Result<String> {
    let mut all = values();
    all.extend(
        lane.iter()
            .filter(|(name, _)| MODELLED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    page::fill(page, &all)
}

/// The numbers of the page.
pub fn values() -> Values {
    let purge = PURGE_MS / 1e3;
    // A copy that was asked for just before the purge, and came at the end of the question's time.
    let slept = SLEPT_SECS + LANE_TIMEOUT_MS as f64 / 1e3;
    [
        ("fresh_secs", short(FRESH_SECS)),
        ("slept_intervals", LANE_SLEPT_INTERVALS.to_string()),
        ("slept", short(SLEPT_SECS)),
        ("lane_timeout_ms", LANE_TIMEOUT_MS.to_string()),
        ("announce_ms", LANE_ANNOUNCE_TIMEOUT_MS.to_string()),
        ("pause", LANE_PAUSE_SECS.to_string()),
        ("pause_max", LANE_PAUSE_MAX_SECS.to_string()),
        ("cache", short(MAX_AGE_SECS)),
        ("brief", short(SHORT_SECS)),
        ("spacing", short(SPACING_SECS)),
        ("purge_ms", short(PURGE_MS)),
        ("purges_at_once", short(PURGE_BURST)),
        ("purge_every", short(PURGE_EVERY_SECS)),
        ("head_fresh", HEAD_FRESH_SECS.to_string()),
        ("head_stale", HEAD_STALE_SECS.to_string()),
        ("kv", short(KV_VISIBLE_SECS)),
        ("kv_cache", short(HEAD_CACHE_SECS)),
        ("bound_lane", format!("{:.2}", purge + slept)),
        ("bound_storm", format!("{:.2}", SHORT_SECS + slept)),
        ("bound_lost", format!("{:.2}", MAX_AGE_SECS + slept)),
        ("bound_kv", short(KV_VISIBLE_SECS + HEAD_STALE_SECS as f64)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{fill, places};

    #[test]
    fn the_page_has_the_present_bounds() {
        let page = std::fs::read_to_string("../docs/freshness.md").unwrap();
        assert!(fill(&page, &values()).unwrap() == page, "docs/freshness.md is old: cargo xtask scale");
        let has_value = |place: &String| values().contains_key(place) || MODELLED.contains(&place.as_str());
        assert!(places(&page).iter().all(has_value), "each place has a value");
        // The promise of two minutes, whatever the lane does.
        assert!((KV_VISIBLE_SECS + HEAD_STALE_SECS as f64) <= 120.0);
    }
}
