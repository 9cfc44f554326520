//! How long checks wait, and what the budget for deltas has to do with it.

use super::{
    super::{
        super::{
            assume::{
                CHANGE_RATE, COLD_MS, DAY_SECS, DELTA_BYTES, EARLIER_DELTA_BYTES, HOT_MS, LOAD_MS_PER_BYTE,
            },
            cost::{Bill, Method, compaction_load, written},
        },
        assume::{CARRIED_BYTES, FRESH_SECS, SLEPT_SECS},
        purges::Purges,
        waits::{self, Asking, Found, Reading, Waits, carried_part},
    },
    SIZES, ms, shape,
};
use crate::{
    numbers::{binary, count, decimal, dollars, duration, percent, short},
    table::table,
};

/// Seconds after which an isolate asks before it answers, that are compared.
const SLEEPS: [f64; 4] = [SLEPT_SECS, 10.0, 30.0, 60.0];

/// Budgets for deltas that are compared, each with the longest delta that comes with its head, in bytes.
const BUDGETS: [(u64, f64); 6] = [
    (512 << 10, CARRIED_BYTES),
    (DELTA_BYTES, CARRIED_BYTES),
    (CARRIED_BYTES as u64, CARRIED_BYTES),
    (2 << 20, CARRIED_BYTES),
    (2 << 20, 2_097_152.0),
    (EARLIER_DELTA_BYTES, CARRIED_BYTES),
];

/// The wait for head and delta by the isolate, the origin and KV, in two objects and in one value.
pub fn one_value() -> String {
    let load = |bytes: f64| bytes * LOAD_MS_PER_BYTE;
    let carried = DELTA_BYTES as f64 / 2.0;
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

fn two(waits: &Waits) -> String {
    format!("{}, {}", ms(waits, 0.5), ms(waits, 0.99))
}

/// How long checks wait, before and now.
pub fn waiting(found: &[[Found; 4]]) -> String {
    let row = |customers: u64, name: &str, found: &Found| {
        vec![
            count(customers as f64),
            name.to_owned(),
            percent(found.waiting),
            percent(found.cold_heads),
            percent(1.0 - found.all.cold()),
            short(found.all.mean()),
            two(&found.all),
            two(&found.woken_head),
            two(&found.woken),
            two(&found.new),
        ]
    };
    let names = ["KV alone, before", "lane, before", "KV alone", "lane"];
    let rows = SIZES.into_iter().zip(found).flat_map(|(customers, found)| {
        names.into_iter().zip(found).map(move |(name, found)| row(customers, name, found))
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

/// What it would change if isolates answered from an older head, and asked the lane behind the answer.
pub fn slept() -> String {
    let [one, ten, _] = SIZES;
    let rows = SLEEPS.map(|slept_secs| {
        let mut cells = vec![duration(slept_secs)];
        for customers in [one, ten] {
            let reading = Reading::now(&Purges::of(customers));
            let lane = reading.lane.map(|lane| Asking { slept_secs, ..lane });
            let found = waits::of(&shape(customers), Reading { lane, ..reading });
            cells.extend([percent(found.waiting), percent(found.cold_heads), short(found.all.mean())]);
        }
        cells
    });
    let mut head = vec!["asks first after:".to_owned()];
    for customers in [one, ten] {
        head.push(format!("{}: wait for the head", count(customers as f64)));
        head.extend(["cold heads", "mean ms"].map(str::to_owned));
    }
    table(&head, &rows)
}

/// What the budget for deltas decides: how often it is compacted, and whether it comes with its head.
pub fn budgets() -> String {
    let row = |customers: u64, budget: u64, limit: f64| {
        let shape = shape(customers).with_deltas_of(budget);
        let every = DAY_SECS / shape.compactions_per_day(CHANGE_RATE);
        let day = written(&shape, Method::Deltas, CHANGE_RATE);
        let reading = Reading { carried: limit, ..Reading::now(&Purges::of(customers)) };
        let found = waits::of(&shape, reading);
        // The mean of what comes with the head.
        let carried = carried_part(limit, budget) * limit.min(budget as f64) / 2.0;
        vec![
            count(customers as f64),
            binary(budget as f64),
            binary(limit),
            duration(every),
            format!("{:.1}", shape.touched(shape.delta_customers()) * DAY_SECS / every),
            percent(compaction_load(&shape, CHANGE_RATE)),
            dollars(Bill::new(0.0, &day, 0.0).writes),
            percent(1.0 - found.all.cold()),
            percent(found.cold_heads),
            short(found.all.mean()),
            two(&found.woken),
            two(&found.new),
            decimal(carried / FRESH_SECS),
        ]
    };
    let rows = SIZES
        .into_iter()
        .flat_map(|customers| BUDGETS.map(|(budget, limit)| row(customers, budget, limit)))
        .collect::<Vec<_>>();
    let head = [
        "customers",
        "budget",
        "with the head up to",
        "compaction every",
        "a shard is new, times a day",
        "publisher's time",
        "writes a month",
        "nothing cold",
        "cold heads",
        "mean ms",
        "woken: p50, p99 ms",
        "new: p50, p99 ms",
        "an isolate reads, a second",
    ];
    table(&head, &rows)
}
