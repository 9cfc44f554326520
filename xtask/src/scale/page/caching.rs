//! How often a check is cold.

use crate::scale::{
    assume::{CACHE_TTLS, CHANGE_RATES, SHARD_TARGET},
    results::{Results, Row},
    shape::{Layout, Shape},
    text::{cells, count, duration, percent, short, table},
    tiers::Tiers,
};

pub fn section(results: &Results) -> String {
    format!(
        "## How often a check is cold

A check looks for its customer in three places: the isolate's memory, KV at its point of presence (hot), and KV elsewhere (cold). Before that it needs a head that is not older than a minute: where nobody asked for as long, it waits for the head, and for the delta that the head names. The plot shows how many cold reads a check makes on average, over a whole day, with {change} of all customers changing.

![Cold reads per check for each layout, by number of customers](scale.svg)

The lines of shards bend at both ends: on the left it is quiet, and checks wait for the head; on the right compactions are frequent, and make shards cold.

{main}
*In memory* is the part of checks whose customer the isolate has. *Head* is the part that waits for the head. *Hit* is the part that waits for nothing cold, neither head nor customer. A head brings two reads, its own and the delta's, and where an index has pages, a check may need a page and a shard: hence more than one cold read in some checks.

What the table says:

- **A key per customer is cold nearly always, and at any size.** A customer comes back the next evening, long after KV has dropped the key. Keeping it for a day or a week would help, but a key that changes must not be kept: a revocation would take as long to be seen. A shard never changes, and may be kept for as long as anybody likes.
- **A shard is only hot if its customers come more often than it is dropped.** A shard of 64 KiB holds a few hundred customers, of whom each point of presence sees its own part. In five minutes that is mostly nobody, in a day it is somebody at the busier ones.
- **Larger shards are hotter but heavier.** A shard of 1 MiB takes some {mib_ms} ms to load and hash, each time that it is not in memory, and memory holds 16 times fewer of them. A few dozen checks at once, each with a shard of its own, would fill an isolate.
- **More customers make no shard busier.** Twice the customers make twice the shards. They only keep the head fresh.

Busy places are much better off than quiet ones. With {ten} customers, shards of 64 KiB and a day in KV:

{places}
Each compaction gives the shards that it touches new names, and nobody has those yet. With shards of 64 KiB and a day in KV, checks that wait for nothing cold, by how many customers change in a day:

{changes}
### Simulated and computed

Up to {simulated} customers each check of a day is simulated after two days that fill the caches: who asks when, which isolate answers, what it drops, what KV still has. Above that, and with changes, the numbers are computed: for an isolate's memory by Che's approximation, for KV by the renewal equation of a cache with a fixed time to live, for the head by the chance of a minute's silence. Where both can be had, without changes, the hit ratios are:

{pairs}
The two differ by {worst:.1} percentage points at most.
",
        change = percent(crate::scale::assume::CHANGE_RATE),
        main = main_table(results),
        mib_ms = short(crate::scale::assume::LOAD_MS_PER_BYTE * 1_048_576.0),
        ten = count(10e6),
        places = places(results),
        changes = changes(results),
        simulated = count(crate::scale::assume::SIMULATED_MAX_CUSTOMERS as f64),
        pairs = pairs(results),
        worst = 100.0 * worst(results),
    )
}

fn main_table(results: &Results) -> String {
    let mut head = cells(["customers", "layout", "customers in each", "in memory", "head"]);
    for ttl in CACHE_TTLS.map(duration) {
        head.extend([format!("{ttl}: hit"), "cold reads".to_owned(), "p50, p99 ms".to_owned()]);
    }
    let mut rows = vec![head];
    rows.extend(results.rows.iter().map(row));
    table(&rows)
}

fn row(row: &Row) -> Vec<String> {
    let Row { layout, shape, tiers } = row;
    let mut text = vec![
        count(shape.customers as f64),
        layout.name(),
        count((shape.customers as f64 / shape.objects as f64).round()),
        percent(row.day().memory_ratio()),
        percent(row.day().head_ratio()),
    ];
    for tiers in tiers {
        text.extend([
            percent(tiers.hit_ratio()),
            format!("{:.2}", tiers.cold_reads()),
            format!("{}, {}", ms(tiers, shape, 0.5), ms(tiers, shape, 0.99)),
        ]);
    }
    text
}

fn ms(tiers: &Tiers, shape: &Shape, fraction: f64) -> String {
    format!("{:.0}", tiers.percentile_ms(fraction, shape))
}

fn places(results: &Results) -> String {
    let shape = Shape::new(10_000_000, Layout::Shards(SHARD_TARGET));
    let mut rows = vec![cells([
        "point of presence",
        "of all customers",
        "checks per shard and day",
        "cold reads per check",
    ])];
    for (pop, cold) in &results.places {
        rows.push(vec![
            format!("number {} by size", pop.number + 1),
            percent(pop.share),
            format!("{:.2}", pop.checks_per_day(shape.customers) / shape.objects as f64),
            format!("{cold:.2}"),
        ]);
    }
    table(&rows)
}

fn changes(results: &Results) -> String {
    let mut head = cells(["customers", "none"]);
    head.extend(CHANGE_RATES.map(percent));
    let mut rows = vec![head];
    for (customers, ratios) in &results.changes {
        let mut row = vec![count(*customers as f64)];
        row.extend(ratios.iter().map(|ratio| percent(*ratio)));
        rows.push(row);
    }
    table(&rows)
}

fn pairs(results: &Results) -> String {
    let mut rows = vec![cells(["customers", "layout", "KV keeps", "simulated", "computed"])];
    for pair in &results.pairs {
        rows.push(vec![
            count(pair.customers as f64),
            pair.layout.name(),
            duration(pair.ttl_secs),
            format!("{:.1} %", 100.0 * pair.simulated.hit_ratio()),
            format!("{:.1} %", 100.0 * pair.computed.hit_ratio()),
        ]);
    }
    table(&rows)
}

fn worst(results: &Results) -> f64 {
    let gaps =
        results.pairs.iter().map(|pair| (pair.simulated.hit_ratio() - pair.computed.hit_ratio()).abs());
    gaps.fold(0.0, f64::max)
}
