//! The table of assumptions.

use crate::scale::{
    assume::*,
    text::{binary, cells, count, duration, percent, table},
};

pub fn section() -> String {
    let pops = crate::scale::traffic::Pop::all();
    let share = |n: usize| pops.get(n).map_or(0.0, |pop| pop.share);
    let peak = HOURLY_PER_MILLE.iter().max().copied().unwrap_or(0);
    let activity = crate::scale::traffic::activity();
    let rows = [
        cells(["what", "value", "why"]),
        cells([
            "customer's bytes, in shard or delta",
            &format!("{RECORD_BYTES} B"),
            "8 accesses on average, a subscription in three cases of ten; measured, see below",
        ]),
        cells([
            "checks per customer and day",
            &CHECKS_PER_DAY.to_string(),
            "a viewing session every other day, one check each",
        ]),
        cells([
            "who checks",
            &format!("Zipf, {ZIPF_EXPONENT}"),
            &format!(
                "the busiest 1 % make {} of all checks, the busiest half {}; nobody more than {CHECKS_PER_DAY_MAX} a day",
                percent(activity.share(0.01)),
                percent(activity.share(0.5))
            ),
        ]),
        cells([
            "busiest hour",
            &percent(f64::from(peak) / 1_000.0),
            "of the day's checks; all customers in one time zone",
        ]),
        cells([
            "points of presence",
            &POPS.to_string(),
            &format!(
                "sizes by Zipf's law: the largest has {} of all customers, the fiftieth {}",
                percent(share(0)),
                percent(share(49))
            ),
        ]),
        cells([
            "isolates in each",
            &format!("{ISOLATES_MIN} or more"),
            &format!("one more for every {CHECKS_PER_ISOLATE} checks/s in the busiest hour"),
        ]),
        cells(["an isolate lives", &duration(ISOLATE_LIFE_SECS), "on average; its memory goes with it"]),
        cells([
            "memory for shards and pages",
            &binary(OBJECT_CACHE_BYTES as f64),
            "`OBJECT_CACHE_BYTES`; least recently used out first",
        ]),
        cells([
            "KV keeps a value",
            &CACHE_TTLS.map(duration).join(", "),
            "`cacheTtl`; the day is what the Worker asks for, `OBJECT_CACHE_TTL_SECS`",
        ]),
        cells(["a hot read", &format!("{HOT_MS} ms"), "the point of presence has the value"]),
        cells(["a cold read", &format!("{COLD_MS} ms"), "it has not"]),
        cells([
            "a read takes at most",
            &duration(STORE_TIMEOUT_SECS),
            "`STORE_TIMEOUT_MS`; then the version before answers",
        ]),
        cells([
            "to load 64 KiB",
            &format!("{:.1} ms", LOAD_MS_PER_BYTE * 65_536.0),
            "hash included; a bound that the project sets itself",
        ]),
        cells(["a sync every", &duration(SYNC_SECS), "if anything changed"]),
        cells([
            "customers who change",
            &percent(CHANGE_RATE),
            &format!("a day, where nothing else is said; also {}", CHANGE_RATES.map(percent).join(", ")),
        ]),
        cells([
            "a head is used for",
            &duration(HEAD_SECS),
            &format!(
                "then read again behind a request; after {} of silence before it. A delta comes with it, of {} on average",
                duration(HEAD_STALE_SECS),
                binary(MEAN_DELTA_BYTES)
            ),
        ]),
        cells(["largest delta", &binary(DELTA_BYTES as f64), "compacted when it is fuller"]),
        cells(["upload", &format!("{} MB/s", UPLOAD_BYTES_PER_SEC / 1e6), "from the publisher to KV"]),
    ];
    let prices = [
        cells(["KV, beyond what is included", "price", "included in a month"]),
        cells(["reads, hot or cold", &format!("${READ_DOLLARS:.2} per million"), &count(READS_INCLUDED)]),
        cells([
            "writes; deletes the same",
            &format!("${WRITE_DOLLARS:.2} per million"),
            &format!("{} of each", count(WRITES_INCLUDED)),
        ]),
        cells([
            "stored",
            &format!("${STORED_DOLLARS:.2} per GB and month"),
            &format!("{STORED_INCLUDED} GB"),
        ]),
    ];
    format!(
        "## What is assumed

Change a number in `xtask/src/scale/assume.rs` and run the command again.

{}
The customer's bytes come from `{RECORD_COMMAND}` with 50,000 and with 100,000 customers: the difference of the two sizes, divided by 50,000. A test measures it again.

Cloudflare's public prices and limits as of {PRICES_AS_OF} ([prices](https://developers.cloudflare.com/kv/platform/pricing/), [limits](https://developers.cloudflare.com/kv/platform/limits/)):

{}",
        table(&rows),
        table(&prices)
    )
}
