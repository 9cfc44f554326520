//! The numbers and tables of the lane, in `docs/scale.md` and `docs/freshness.md`.

use super::{
    super::{
        assume::{
            CHANGE_RATE, COLD_MS, CUSTOMERS, DAY_SECS, DELTA_BYTES, HEAD_SECS, HOT_MS, LOAD_MS_PER_BYTE,
            RECORD_BYTES, SHARD_TARGET, SYNC_SECS, UPLOAD_BYTES_PER_SEC,
        },
        layout::{Layout, Shape},
    },
    assume::{
        ASK_SECS, CARRIED_BYTES, FRESH_SECS, HEAD_CACHE_SECS, INTERVALS, KV_VISIBLE_SECS, LANE_TIMEOUT_SECS,
        MAX_AGE_SECS, OBJECT_DOLLARS, OBJECT_MS, PURGE_BURST, PURGE_EVERY_SECS, PURGE_MS, REQUEST_DOLLARS,
        ROW_DOLLARS, ROWS_PER_HEAD, SAMPLES, SLEPT_SECS, TAIL, TAKES_AWAY,
    },
    price::Month,
    purges::{self, taking_syncs},
    revoked::{Delays, Place, Purge, Scene, delays},
    waits::{self, Asking, Found, Reading, Waits, carried_part},
};
use crate::{
    numbers::{binary, count, decimal, dollars, duration, grouped, percent, short},
    page::Values,
    table::table,
};

/// The sizes that are shown. Beyond them the design stops.
const SIZES: [u64; 3] = {
    let [one, ten, hundred, _] = CUSTOMERS;
    [one, ten, hundred]
};

/// Points of presence that are shown: the largest, one in the middle, the smallest.
const PLACES: [usize; 3] = [0, 49, 99];

/// How the lane's answer may be kept: `max-age`, and for how much longer it answers while the next is fetched.
const KEPT: [(f64, f64); 5] =
    [(5.0, 0.0), (MAX_AGE_SECS, 0.0), (MAX_AGE_SECS, 60.0), (120.0, 0.0), (120.0, 300.0)];

/// Seconds after which an isolate asks before it answers, that are compared.
const SLEEPS: [f64; 4] = [SLEPT_SECS, 10.0, 30.0, 60.0];

/// Limits for a delta beside its head that are compared, in bytes.
const LIMITS: [f64; 4] = [0.0, CARRIED_BYTES, 2_097_152.0, DELTA_BYTES as f64];

fn shape(customers: u64) -> Shape {
    Shape::new(customers, Layout::Shards(SHARD_TARGET))
}

/// Purges a second in a business of this size: as often as something is taken away, and as the limit allows.
fn purges_per_sec(customers: u64) -> f64 {
    (taking_syncs(customers) / SYNC_SECS).min(1.0 / PURGE_EVERY_SECS)
}

/// The lane as it is, in a business of this size.
fn lane(customers: u64) -> Scene {
    Scene {
        fresh_secs: Some(FRESH_SECS),
        max_age_secs: MAX_AGE_SECS,
        stale_secs: 0.0,
        purge: Purge::After(purges::waits(taking_syncs(customers))),
    }
}

/// What is assumed, for the page; quick.
pub fn assumptions() -> Values {
    let secs = |secs: f64| short(secs);
    [
        ("fresh_secs", secs(FRESH_SECS)),
        ("fresh_wait_secs", secs(SLEPT_SECS)),
        ("lane_max_age", duration(MAX_AGE_SECS)),
        ("lane_timeout", grouped(1e3 * LANE_TIMEOUT_SECS)),
        ("lane_object_ms", grouped(OBJECT_MS)),
        ("lane_purge_ms", grouped(PURGE_MS)),
        ("lane_tail", secs(TAIL)),
        ("purge_burst", grouped(PURGE_BURST)),
        ("purge_every", duration(PURGE_EVERY_SECS)),
        ("kv_visible", duration(KV_VISIBLE_SECS)),
        ("head_cache", duration(HEAD_CACHE_SECS)),
        ("takes_away", percent(TAKES_AWAY)),
        ("ask_secs", secs(ASK_SECS)),
        ("lane_samples", grouped(SAMPLES as f64)),
        ("carried", binary(CARRIED_BYTES)),
        ("carried_part", percent(carried_part(CARRIED_BYTES))),
        ("request_price", format!("${REQUEST_DOLLARS:.2}")),
        ("object_price", format!("${OBJECT_DOLLARS:.2}")),
        ("row_price", format!("${ROW_DOLLARS:.2}")),
        ("rows_per_head", secs(ROWS_PER_HEAD)),
        ("lane_most", count(Month::most(FRESH_SECS))),
        ("lane_most_price", dollars(Month::most(FRESH_SECS) * REQUEST_DOLLARS / 1e6)),
        ("table_one_value", one_value()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// What is computed, for the page; takes some seconds.
pub fn results() -> Values {
    let [one, ten, hundred] = SIZES.map(|customers| {
        (
            waits::of(&shape(customers), Reading::BEFORE),
            waits::of(&shape(customers), Reading::now(purges_per_sec(customers))),
        )
    });
    let usual = delays(&lane(SIZES[1]), SIZES[1], Place::Any);
    let dead = delays(&Scene { fresh_secs: None, ..lane(SIZES[1]) }, SIZES[1], Place::Any);
    let of = |found: &(Found, Found)| [found.0.cold_heads, found.1.cold_heads].map(percent);
    let ([cold_before, cold_now], [_, ten_now]) = (of(&one), of(&ten));
    [
        ("lane_p50", secs(usual.percentile(0.5))),
        ("lane_p99", secs(usual.percentile(0.99))),
        ("lane_dead_p50", secs(dead.percentile(0.5))),
        ("lane_dead_max", secs(dead.max())),
        ("lane_new_p99", ms(&ten.1.new, 0.99)),
        ("lane_cold_before", cold_before),
        ("lane_cold_one", cold_now),
        ("lane_cold_ten", ten_now),
        ("table_waits", waiting(&[(SIZES[0], &one), (SIZES[1], &ten), (SIZES[2], &hundred)])),
        ("table_revoked", revoked()),
        ("table_revoked_sizes", revoked_sizes()),
        ("table_kept", kept()),
        ("table_carried", carried()),
        ("table_slept", slept()),
        ("table_budgets", budgets()),
        ("table_lane_price", price()),
        ("table_lane_bill", bill()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn secs(secs: f64) -> String {
    format!("{secs:.1}")
}

fn ms(waits: &Waits, part: f64) -> String {
    format!("{:.0}", waits.percentile(part))
}

fn three(delays: &Delays) -> Vec<String> {
    vec![secs(delays.percentile(0.5)), secs(delays.percentile(0.99)), secs(delays.max())]
}

/// The wait for head and delta by the isolate, the origin and KV, in two objects and in one value.
fn one_value() -> String {
    let load = |bytes: f64| bytes * LOAD_MS_PER_BYTE;
    let carried = CARRIED_BYTES / 2.0;
    let row = |isolate: &str, origin: &str, apart: u32, is_behind: bool| {
        let wait = |reads: u32, read_ms: f64, bytes: f64| {
            if is_behind { "0, behind".to_owned() } else { short(f64::from(reads) * read_ms + load(bytes)) }
        };
        // A delta that the isolate has is read again with the value, and is not loaded again.
        let loads = if apart > 1 { carried } else { 0.0 };
        vec![
            isolate.to_owned(),
            origin.to_owned(),
            apart.to_string(),
            wait(apart, HOT_MS, loads),
            wait(apart, COLD_MS, loads),
            "1".to_owned(),
            wait(1, HOT_MS, loads),
            wait(1, COLD_MS, loads),
        ]
    };
    let rows = [
        row("in use", "quiet", 1, true),
        row("in use", "busy", 2, true),
        row("woken", "quiet", 1, false),
        row("woken", "busy", 2, false),
        row("new", "quiet or busy", 2, false),
    ];
    let head = [
        "isolate",
        "origin",
        "two objects: reads in a row",
        "hot ms",
        "cold ms",
        "one value: reads",
        "hot ms",
        "cold ms",
    ];
    table(&head, &rows)
}

/// How long checks wait, before and now.
fn waiting(found: &[(u64, &(Found, Found))]) -> String {
    let row = |customers: u64, name: &str, found: &Found| {
        vec![
            count(customers as f64),
            name.to_owned(),
            percent(found.waiting),
            percent(found.cold_heads),
            percent(1.0 - found.all.cold()),
            short(found.all.mean()),
            format!("{}, {}", ms(&found.all, 0.5), ms(&found.all, 0.99)),
            format!("{}, {}", ms(&found.woken_head, 0.5), ms(&found.woken_head, 0.99)),
            format!("{}, {}", ms(&found.woken, 0.5), ms(&found.woken, 0.99)),
            format!("{}, {}", ms(&found.new, 0.5), ms(&found.new, 0.99)),
        ]
    };
    let rows = found.iter().flat_map(|(customers, (before, now))| {
        [row(*customers, "KV alone, two objects", before), row(*customers, "lane, one value", now)]
    });
    let head = [
        "customers",
        "head by",
        "wait for it",
        "for a cold read of it",
        "all checks: nothing cold",
        "mean ms",
        "p50, p99 ms",
        "woken, head: p50, p99 ms",
        "woken, all: p50, p99 ms",
        "new isolate: p50, p99 ms",
    ];
    table(&head, &rows.collect::<Vec<_>>())
}

/// Delays by what is broken, and where.
fn revoked() -> String {
    let [_, ten, _] = SIZES;
    let quiet = Purge::After(vec![0.0]);
    let lane = Scene { purge: quiet, ..lane(ten) };
    // Every sync takes something away, for hours.
    let storm = Purge::After(purges::waits(1.0));
    let scenes = [
        ("everything works", lane.clone()),
        ("a storm: every sync takes something away", Scene { purge: storm, ..lane.clone() }),
        ("every purge is lost", Scene { purge: Purge::Lost, ..lane.clone() }),
        ("no lane, or a dead one", Scene { fresh_secs: None, ..lane }),
    ];
    let rows = scenes.iter().map(|(name, scene)| {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(three(&delays(scene, ten, Place::Any)));
        cells.push(three(&delays(scene, ten, Place::AnyInTurn)).join(", "));
        for place in PLACES {
            let found = delays(scene, ten, Place::One(place));
            cells.push(three(&found).join(", "));
        }
        cells
    });
    let mut head = ["", "p50 s", "p99 s", "max s", "the place's last isolate: p50, p99, max"]
        .map(str::to_owned)
        .to_vec();
    head.extend(PLACES.map(|place| format!("place {}: p50, p99, max", place + 1)));
    table(&head, &rows.collect::<Vec<_>>())
}

/// Delays by the size of the business, with the purges that it needs.
fn revoked_sizes() -> String {
    let rows = SIZES.map(|customers| {
        let taking = taking_syncs(customers);
        let mut cells = vec![
            count(customers as f64),
            percent(taking),
            short(60.0 * purges_per_sec(customers)),
            secs(percentile(&purges::waits(taking), 0.99)),
        ];
        cells.extend(three(&delays(&lane(customers), customers, Place::Any)));
        for place in [PLACES[0], PLACES[2]] {
            cells.push(three(&delays(&lane(customers), customers, Place::One(place))).join(", "));
        }
        cells
    });
    let head = [
        "customers",
        "syncs that take away",
        "purges a minute",
        "wait of a purge: p99 s",
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

/// What it would change if isolates answered from an older head, and asked the lane behind the answer.
fn slept() -> String {
    let [one, ten, _] = SIZES;
    let rows = SLEEPS.map(|slept_secs| {
        let mut cells = vec![duration(slept_secs)];
        for limit in [CARRIED_BYTES, DELTA_BYTES as f64] {
            for customers in [one, ten] {
                let reading = Reading::now(purges_per_sec(customers));
                let lane = reading.lane.map(|lane| Asking { slept_secs, ..lane });
                let found = waits::of(&shape(customers), Reading { lane, carried: Some(limit) });
                cells.extend([percent(found.cold_heads), short(found.all.mean())]);
            }
        }
        cells
    });
    let mut head = vec!["asks first after:".to_owned()];
    for deltas in ["", "every delta fits: "] {
        for customers in [one, ten] {
            head.push(format!("{deltas}{}: cold heads", count(customers as f64)));
            head.push("mean ms".to_owned());
        }
    }
    table(&head, &rows)
}

/// What a smaller budget for deltas would cost.
fn budgets() -> String {
    let rows = [CARRIED_BYTES, DELTA_BYTES as f64].map(|budget| {
        let held = (budget / RECORD_BYTES as f64).floor();
        let mut cells = vec![binary(budget), grouped(held)];
        for customers in SIZES {
            let shape = shape(customers);
            let every = held / (customers as f64 * CHANGE_RATE) * DAY_SECS;
            let bytes = shape.objects as f64 * shape.touched(held) * shape.object_bytes;
            let shards = shape.touched(held) * DAY_SECS / every;
            cells.extend([
                duration(every),
                format!("{shards:.1}"),
                percent(bytes / UPLOAD_BYTES_PER_SEC / every),
            ]);
        }
        cells
    });
    let mut head = ["budget for deltas:", "customers in it"].map(str::to_owned).to_vec();
    for customers in SIZES {
        let customers = count(customers as f64);
        head.extend([
            format!("{customers}: compaction every"),
            "a shard is new, times a day".to_owned(),
            "publisher's time".to_owned(),
        ]);
    }
    table(&head, &rows)
}

/// What another limit for deltas beside their head would change.
fn carried() -> String {
    let [one, ten, _] = SIZES;
    let rows = LIMITS.map(|limit| {
        let mut cells = vec![binary(limit), percent(carried_part(limit))];
        for customers in [one, ten] {
            let reading = Reading { carried: Some(limit), ..Reading::now(purges_per_sec(customers)) };
            let found = waits::of(&shape(customers), reading);
            cells.push(format!("{}, {}", ms(&found.woken_head, 0.5), ms(&found.woken_head, 0.99)));
            cells.push(format!("{}, {}", ms(&found.new, 0.5), ms(&found.new, 0.99)));
        }
        let kept = carried_part(limit) * limit / 2.0;
        cells.push(decimal(kept / HEAD_SECS));
        cells
    });
    let head = [
        "largest delta in the value:",
        "of the time",
        "1 million: woken, head p50, p99 ms",
        "new p50, p99 ms",
        "10 million: woken, head p50, p99 ms",
        "new p50, p99 ms",
        "an isolate in use reads",
    ];
    table(&head, &rows)
}

/// What another time in the cache of the points of presence would change.
fn kept() -> String {
    let [one, ten, _] = SIZES;
    let rows = KEPT.map(|(max_age, stale)| {
        let asking = |customers| Asking {
            fresh_secs: FRESH_SECS,
            slept_secs: SLEPT_SECS,
            kept_secs: max_age + stale,
            purges: purges_per_sec(customers),
        };
        let cold = |customers| {
            let reading = Reading { lane: Some(asking(customers)), carried: Some(CARRIED_BYTES) };
            percent(waits::of(&shape(customers), reading).cold_heads)
        };
        let scene =
            |purge| Scene { fresh_secs: Some(FRESH_SECS), max_age_secs: max_age, stale_secs: stale, purge };
        let lost = delays(&scene(Purge::Lost), ten, Place::Any);
        let storm = delays(&scene(Purge::After(purges::waits(1.0))), ten, Place::Any);
        let kept = if stale > 0.0 {
            format!("{}, then stale for {}", duration(max_age), duration(stale))
        } else {
            duration(max_age)
        };
        let month = Month::of(ten, FRESH_SECS, max_age + stale, purges_per_sec(ten));
        vec![
            kept,
            cold(one),
            cold(ten),
            secs(lost.percentile(0.5)),
            secs(lost.percentile(0.99)),
            secs(storm.percentile(0.99)),
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
        "storm: p99 s",
        "reads of the object a month",
        "price",
    ];
    table(&head, &rows)
}

/// The lane's price by `FRESH_SECS` and the size of the business.
fn price() -> String {
    let rows = INTERVALS.map(|fresh_secs| {
        let mut cells = vec![short(fresh_secs)];
        for customers in SIZES {
            let month = Month::of(customers, fresh_secs, MAX_AGE_SECS, purges_per_sec(customers));
            cells.extend([count(month.asks), dollars(month.dollars())]);
        }
        let most = Month::most(fresh_secs);
        cells.extend([count(most), dollars(most * REQUEST_DOLLARS / 1e6)]);
        cells
    });
    let mut head = vec!["`FRESH_SECS`".to_owned()];
    for customers in SIZES {
        head.extend([format!("{}: questions", count(customers as f64)), "a month".to_owned()]);
    }
    head.extend(["all isolates always in use: questions".to_owned(), "a month".to_owned()]);
    table(&head, &rows)
}

/// The lane's bill in its parts.
fn bill() -> String {
    let rows = SIZES.map(|customers| {
        let month = Month::of(customers, FRESH_SECS, MAX_AGE_SECS, purges_per_sec(customers));
        let heads = month.heads * (OBJECT_DOLLARS + ROWS_PER_HEAD * ROW_DOLLARS) / 1e6;
        let objects = month.misses * OBJECT_DOLLARS / 1e6;
        vec![
            count(customers as f64),
            count(month.asks),
            percent(1.0 - month.misses / month.asks),
            dollars(month.asks * REQUEST_DOLLARS / 1e6),
            dollars(objects),
            dollars(heads),
            dollars(month.dollars()),
        ]
    });
    let head = [
        "customers",
        "questions",
        "hits of the cache",
        "questions cost",
        "misses",
        "writes",
        "the lane in all",
    ];
    table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::demand::Pop;

    /// What the pages say in words.
    #[test]
    fn the_prose_is_true() {
        let [one, ten, hundred] = SIZES;
        assert!(taking_syncs(ten) / SYNC_SECS < 1.0 / PURGE_EVERY_SECS, "10 million are within the limit");
        assert!(taking_syncs(hundred) / SYNC_SECS > 1.0 / PURGE_EVERY_SECS, "100 million are beyond it");
        assert!(Pop::all().len() == 100 && DELTA_BYTES as f64 > CARRIED_BYTES);
        let found = delays(&lane(ten), ten, Place::Any);
        assert!(found.percentile(0.5) <= 2.0 && found.percentile(0.99) <= 6.0, "{}", found.percentile(0.99));
        let dead = delays(&Scene { fresh_secs: None, ..lane(one) }, one, Place::Any);
        assert!(dead.max() <= 120.5, "{}", dead.max());
    }
}
