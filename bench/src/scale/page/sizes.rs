//! Limits and sizes of a snapshot, and what publishing writes.

use super::{
    super::{
        assume::{
            CHANGE_RATE, CHANGE_RATES, CHECKS_PER_ISOLATE, CUSTOMERS, DAY_SECS, DELTA_BYTES, DIGEST_BYTES,
            HEAD_SECS, ISOLATE_BASE_BYTES, ISOLATE_BYTES, LARGER_TARGET, LOAD_MS_PER_BYTE, MONTH_DAYS,
            OBJECT_CACHE_BYTES, OTHER_CACHES_BYTES, PAGE_ABOVE_BITS, SHARD_TARGET, STORE_TIMEOUT_SECS,
            UPLOAD_BYTES_PER_SEC,
        },
        cost::{Bill, Method, Written, compaction, compaction_load, written},
        layout::{Layout, Shape},
    },
    USUAL, values,
};
use crate::{
    numbers::{binary, count, decimal, dollars, duration, percent, short},
    page::Values,
    table::table,
};

/// Limits and sizes that need no caches.
pub fn limits() -> Values {
    let [_, ten, hundred, billion] = CUSTOMERS;
    let largest = Shape::new(billion, USUAL);
    values([
        ("index_page", binary((DIGEST_BYTES << PAGE_ABOVE_BITS) as f64)),
        ("isolate_limit", decimal(ISOLATE_BYTES as f64)),
        ("isolate_base", binary(ISOLATE_BASE_BYTES as f64)),
        ("delta_customers", count(largest.delta_customers())),
        ("delta_rate", decimal(largest.mean_delta_bytes() / HEAD_SECS)),
        ("delta_ms", short(largest.mean_delta_bytes() * LOAD_MS_PER_BYTE)),
        ("room_usual", count(room(ten, SHARD_TARGET))),
        ("room_larger", count(room(ten, LARGER_TARGET))),
        ("room_mib", count(room(ten, 1 << 20))),
        ("waiting", count(waiting())),
        ("compaction_hundred", compaction_every(&Shape::new(hundred, USUAL), 0.1)),
        ("compaction_billion", compaction_every(&largest, 0.1)),
        ("load_billion", percent(compaction_load(&largest, 0.1))),
        ("pages_billion", binary(largest.pages as f64 * largest.page_bytes)),
        ("table_writing", writing()),
        ("table_sizes", sizes()),
    ])
}

/// Writes per second, bytes and dollars, for each business and change rate.
fn writing() -> String {
    let methods =
        [(Method::Deltas, USUAL), (Method::Rewrite, USUAL), (Method::KeyPerCustomer, Layout::KeyPerCustomer)];
    let row = |customers: u64, rate: f64| {
        let mut row = vec![count(customers as f64), percent(rate)];
        for (method, layout) in methods {
            let day = written(&Shape::new(customers, layout), method, rate);
            let per_sec = day.keys / DAY_SECS;
            row.push(if per_sec < 0.95 { format!("{per_sec:.2}") } else { count(per_sec) });
            if method != Method::KeyPerCustomer {
                row.push(decimal(day.bytes / DAY_SECS));
            }
            row.push(dollars(Bill::new(0.0, &day, 0.0).writes));
        }
        row
    };
    let rows = CUSTOMERS.into_iter().flat_map(|customers| CHANGE_RATES.map(|rate| row(customers, rate)));
    let head = [
        "customers",
        "change a day",
        "deltas: writes/s",
        "sent/s",
        "a month",
        "no deltas: writes/s",
        "sent/s",
        "a month",
        "key per customer: writes/s",
        "a month",
    ];
    table(&head, &rows.collect::<Vec<_>>())
}

/// Numbers and sizes of objects by business, with shards of the usual size.
fn sizes() -> String {
    let shapes = CUSTOMERS.map(|customers| Shape::new(customers, USUAL));
    let line = |what: &str, of: &dyn Fn(&Shape) -> String| {
        [what.to_owned()].into_iter().chain(shapes.iter().map(of)).collect::<Vec<_>>()
    };
    let upload = |bytes: f64| duration(bytes / UPLOAD_BYTES_PER_SEC);
    let mut rows = vec![
        line("shards", &|s| count(s.objects as f64)),
        line("bytes of a shard", &|s| binary(s.object_bytes)),
        line("customers in a shard", &|s| count((s.customers as f64 / s.objects as f64).round())),
        line("index", &|s| binary(s.index_bytes as f64)),
        line("pages, of 1 MiB each", &|s| s.pages.to_string()),
        line("pages, of the memory for objects", &|s| percent(pages_of_memory(s))),
        line("an isolate's memory", &|s| decimal(isolate_bytes(s))),
        line("whole snapshot", &|s| decimal(s.total_bytes())),
        line("first upload", &|s| upload(s.total_bytes())),
        line("its writes", &|s| {
            let keys = (s.objects + s.pages) as f64 / MONTH_DAYS;
            dollars(Bill::new(0.0, &Written { keys, ..Written::default() }, 0.0).writes)
        }),
        line("a compaction writes, keys", &|s| count(compaction(s).keys)),
        line("of all shards", &|s| percent(s.touched(s.delta_customers()))),
        line("bytes", &|s| decimal(compaction(s).bytes)),
        line("time", &|s| upload(compaction(s).bytes)),
    ];
    for rate in [CHANGE_RATE, 0.1] {
        let every = format!("{} change a day: a compaction every", percent(rate));
        rows.push(line(&every, &|s| compaction_every(s, rate)));
        rows.push(line("publisher's time spent on them", &|s| percent(compaction_load(s, rate))));
    }
    let head: Vec<_> =
        ["customers".to_owned()].into_iter().chain(CUSTOMERS.map(|n| count(n as f64))).collect();
    table(&head, &rows)
}

fn compaction_every(shape: &Shape, change_rate: f64) -> String {
    duration(DAY_SECS / shape.compactions_per_day(change_rate))
}

/// The index's pages as a part of the memory for objects.
pub fn pages_of_memory(shape: &Shape) -> f64 {
    shape.pages as f64 * shape.page_bytes / OBJECT_CACHE_BYTES as f64
}

/// An isolate's memory with full caches: two versions' indexes, and three deltas.
pub fn isolate_bytes(shape: &Shape) -> f64 {
    let fixed = ISOLATE_BASE_BYTES + OBJECT_CACHE_BYTES + OTHER_CACHES_BYTES;
    (fixed + 2 * shape.index_bytes + 3 * DELTA_BYTES) as f64
}

/// How many shards an isolate with full caches can load at once: each in JavaScript's memory and in the module's.
pub fn room(customers: u64, target: u64) -> f64 {
    let left = ISOLATE_BYTES as f64 - isolate_bytes(&Shape::new(customers, Layout::Shards(target)));
    (left / (2 * target) as f64).floor()
}

/// Checks that wait in a busy isolate while KV answers none.
pub const fn waiting() -> f64 {
    CHECKS_PER_ISOLATE * STORE_TIMEOUT_SECS
}
