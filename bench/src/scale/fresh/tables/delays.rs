//! How long revocations take.

use super::{
    super::{
        super::assume::POPS,
        assume::{FRESH_SECS, MAX_AGE_SECS, OBJECT_DOLLARS, SHORT_SECS, SLEPT_SECS},
        price::Month,
        purges::{Purges, taking_syncs},
        revoked::{Delays, Place, Purge, Scene, delays},
        waits::{self, Asking, Kept, Reading},
    },
    SIZES, lane, secs, shape,
};
use crate::{
    numbers::{count, dollars, duration, percent, short},
    table::table,
};

/// Points of presence that are shown: the largest, one in the middle, the smallest.
const PLACES: [usize; 3] = [0, 49, 99];

/// How the lane's answer may be kept: `max-age`, and for how much longer it answers while the next is fetched.
const KEPT: [(f64, f64); 5] =
    [(5.0, 0.0), (MAX_AGE_SECS, 0.0), (MAX_AGE_SECS, 60.0), (120.0, 0.0), (120.0, 300.0)];

/// For how long it may be kept while no purge can be sent at once.
const SHORT: [f64; 5] = [SHORT_SECS, 2.0, 3.0, 5.0, MAX_AGE_SECS];

fn three(delays: &Delays) -> [String; 3] {
    [0.5, 0.99, 1.0].map(|fraction| secs(delays.percentile(fraction)))
}

fn at(scene: &Scene, customers: u64, place: Place) -> String {
    three(&delays(scene, customers, place)).join(", ")
}

/// Delays by what is broken, and where.
pub fn revoked() -> String {
    let [_, ten, _] = SIZES;
    let usual = Scene { purge: Purge::After(vec![0.0]), ..lane(&Purges::of(ten)) };
    let scenes = [
        ("everything works", usual.clone()),
        ("a storm of a minute", lane(&Purges::storm())),
        ("a storm without end: every sync takes something away", lane(&Purges::lasting(1.0))),
        ("every purge is lost", Scene { purge: Purge::Lost, ..usual.clone() }),
        ("no lane, or a dead one", Scene { fresh_secs: None, ..usual }),
    ];
    let rows = scenes.iter().map(|(name, scene)| {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(three(&delays(scene, ten, Place::Any)));
        cells.push(at(scene, ten, Place::AnyInTurn));
        cells.extend(PLACES.map(|place| at(scene, ten, Place::One(place))));
        cells
    });
    let mut head = ["", "p50 s", "p99 s", "max s", "the place's last isolate: p50, p99, max"]
        .map(str::to_owned)
        .to_vec();
    head.extend(PLACES.map(|place| format!("place {}: p50, p99, max", place + 1)));
    table(&head, &rows.collect::<Vec<_>>())
}

/// Delays by the size of the business, with the purges that it needs.
pub fn revoked_sizes() -> String {
    let rows = SIZES.map(|customers| {
        let purges = Purges::of(customers);
        let scene = lane(&purges);
        let mut cells = vec![
            count(customers as f64),
            percent(taking_syncs(customers)),
            short(60.0 * purges.per_sec),
            secs(percentile(&purges.waits, 0.99)),
            percent(purges.short_part),
        ];
        cells.extend(three(&delays(&scene, customers, Place::Any)));
        cells.extend([PLACES[0], PLACES[2]].map(|place| at(&scene, customers, Place::One(place))));
        cells
    });
    let head = [
        "customers",
        "syncs that take away",
        "purges a minute",
        "wait of a purge: p99 s",
        "answers are kept for a short time",
        "p50 s",
        "p99 s",
        "max s",
        "largest place: p50, p99, max",
        "smallest place: p50, p99, max",
    ];
    table(&head, &rows)
}

fn percentile(values: &[f64], fraction: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (fraction * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// What another time would change for which answers are kept while no purge can be sent at once.
pub fn short_times() -> String {
    let [_, ten, hundred] = SIZES;
    let purges = Purges::of(hundred);
    let rows = SHORT.map(|short_secs| {
        let scene = |purges: &Purges| Scene { short_secs, ..lane(purges) };
        let kept = Kept { short_secs, ..Kept::now(&purges) };
        let month = Month::of(hundred, FRESH_SECS, kept);
        vec![
            duration(short_secs),
            at(&scene(&Purges::storm()), ten, Place::Any),
            at(&scene(&Purges::lasting(1.0)), ten, Place::Any),
            at(&scene(&purges), hundred, Place::Any),
            format!("{:.0}", POPS as f64 / short_secs),
            count(month.misses),
            dollars(month.misses * OBJECT_DOLLARS / 1e6),
        ]
    });
    let head = [
        "kept for:",
        "a storm of a minute: p50, p99, max s",
        "a storm without end",
        "100 million customers",
        "reads of the object: a second, at most",
        "a month, 100 million",
        "price",
    ];
    table(&head, &rows)
}

/// What another time in the cache of the points of presence would change.
pub fn kept() -> String {
    let [one, ten, _] = SIZES;
    let rows = KEPT.map(|(max_age, stale)| {
        let kept = |customers| Kept { secs: max_age + stale, ..Kept::now(&Purges::of(customers)) };
        let cold = |customers| {
            let lane = Asking { fresh_secs: FRESH_SECS, slept_secs: SLEPT_SECS, kept: kept(customers) };
            percent(waits::of(&shape(customers), Reading { lane: Some(lane), ..Reading::KV }).cold_heads)
        };
        let scene = Scene { max_age_secs: max_age, stale_secs: stale, ..lane(&Purges::of(ten)) };
        let lost = delays(&Scene { purge: Purge::Lost, ..scene }, ten, Place::Any);
        let duration = if stale > 0.0 {
            format!("{}, then stale for {}", duration(max_age), duration(stale))
        } else {
            duration(max_age)
        };
        let month = Month::of(ten, FRESH_SECS, kept(ten));
        vec![
            duration,
            cold(one),
            cold(ten),
            secs(lost.percentile(0.5)),
            secs(lost.percentile(0.99)),
            count(month.misses),
            dollars(month.misses * OBJECT_DOLLARS / 1e6),
        ]
    });
    let head = [
        "kept for:",
        "cold heads, 1 million",
        "10 million",
        "purge lost: p50 s",
        "p99 s",
        "reads of the object a month",
        "price",
    ];
    table(&head, &rows)
}
