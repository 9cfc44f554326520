//! The limits, and where the design stops.

use crate::scale::{
    assume::*,
    cost::{Bill, Written, compaction, compaction_load},
    results::Results,
    shape::{Layout, Shape, delta_customers},
    text::{binary, cells, count, decimal, dollars, duration, percent, short, table},
};

pub fn section(results: &Results) -> String {
    format!(
        "## Where the design stops

{}
{}",
        tables(),
        remedies(results)
    )
}

/// What needs no simulation.
pub fn tables() -> String {
    format!(
        "The limits that apply, and how near Admit comes to them:

{}
By size, with shards of 64 KiB:

{}
An isolate's memory is the sum of {base} before anything is loaded (assumed), the caches of shards and tokens, two versions' indexes, and three deltas: the current version's, the one before, and one that is being read. The platform ends an isolate at {limit}. What is left serves requests.

Each isolate reads the head every {head}, and with it a new delta of {mean_delta} on average: {rate} per isolate, and {cpu} of CPU time for the hash. At a point of presence that read is cold each time, but behind the requests: nobody waits for it.
",
        limits(),
        sizes(),
        base = binary(ISOLATE_BASE_BYTES as f64),
        limit = decimal(ISOLATE_BYTES as f64),
        head = duration(HEAD_SECS),
        mean_delta = binary(DELTA_BYTES as f64 / 2.0),
        rate = format!("{}/s", decimal(DELTA_BYTES as f64 / 2.0 / HEAD_SECS)),
        cpu = format!("{} ms", short(DELTA_BYTES as f64 / 2.0 * LOAD_MS_PER_BYTE)),
    )
}

fn limits() -> String {
    let largest_page = DIGEST_BYTES << PAGE_ABOVE_BITS;
    table(&[
        cells(["limit", "value", "what comes near it"]),
        cells([
            "a value in KV",
            &binary(KV_VALUE_BYTES as f64),
            &format!(
                "nothing: a delta has {}, an index or a page {}, and Admit refuses objects above {}",
                binary(DELTA_BYTES as f64),
                binary(largest_page as f64),
                binary(OBJECT_MAX_BYTES as f64)
            ),
        ]),
        cells([
            "writes to one key",
            &format!("{KV_WRITES_PER_KEY} a second"),
            &format!("only `head` is written twice, once in {}", duration(SYNC_SECS)),
        ]),
        cells([
            "operations in one invocation",
            &count(KV_OPERATIONS as f64),
            &format!("a pack of {PACK_OBJECTS} objects, small enough for the 50 of the smallest plan"),
        ]),
        cells([
            "an isolate's memory",
            &decimal(ISOLATE_BYTES as f64),
            "caches are bounded by bytes; see the next table",
        ]),
        cells([
            "customers in a full delta",
            &count(delta_customers()),
            "the more customers change, the more often it is compacted",
        ]),
    ])
}

/// An isolate's memory with everything loaded.
pub fn isolate_bytes(shape: &Shape) -> f64 {
    let fixed = ISOLATE_BASE_BYTES + OBJECT_CACHE_BYTES + TOKEN_CACHE_BYTES;
    (fixed + 2 * shape.index_bytes + 3 * DELTA_BYTES) as f64
}

fn sizes() -> String {
    let shapes = CUSTOMERS.map(|customers| Shape::new(customers, Layout::Shards(SHARD_TARGET)));
    let line = |what: &str, of: &dyn Fn(&Shape) -> String| {
        let mut row = vec![what.to_owned()];
        row.extend(shapes.iter().map(of));
        row
    };
    let mut head = vec!["customers".to_owned()];
    head.extend(CUSTOMERS.map(|customers| count(customers as f64)));
    let mut rows = vec![
        head,
        line("shards", &|s| count(s.objects as f64)),
        line("bytes of a shard", &|s| binary(s.object_bytes)),
        line("customers in a shard", &|s| count((s.customers as f64 / s.objects as f64).round())),
        line("index", &|s| binary(s.index_bytes as f64)),
        line("pages, of 1 MiB each", &|s| s.pages.to_string()),
        line("pages, of the memory for objects", &|s| {
            percent(s.pages as f64 * s.page_bytes / OBJECT_CACHE_BYTES as f64)
        }),
        line("an isolate's memory", &|s| decimal(isolate_bytes(s))),
        line("whole snapshot", &|s| decimal(s.total_bytes())),
        line("first upload", &|s| duration(s.total_bytes() / UPLOAD_BYTES_PER_SEC)),
        line("its writes", &|s| {
            let keys = (s.objects + s.pages) as f64 / MONTH_DAYS;
            dollars(Bill::new(0.0, &Written { keys, ..Written::default() }, 0.0).writes)
        }),
        line("a compaction writes, keys", &|s| count(compaction(s).keys)),
        line("of all shards", &|s| percent(s.touched(delta_customers()))),
        line("bytes", &|s| decimal(compaction(s).bytes)),
        line("time", &|s| duration(compaction(s).bytes / UPLOAD_BYTES_PER_SEC)),
    ];
    for rate in [CHANGE_RATE, 0.1] {
        let every = |s: &Shape| duration(DAY_SECS / s.compactions_per_day(rate));
        rows.push(line(&format!("{} change a day: a compaction every", percent(rate)), &every));
        rows.push(line("publisher's time spent on them", &|s| percent(compaction_load(s, rate))));
    }
    table(&rows)
}

fn remedies(results: &Results) -> String {
    let usual = |customers| results.row(customers, Layout::Shards(SHARD_TARGET));
    let billion = 1_000_000_000;
    let shape = Shape::new(billion, Layout::Shards(SHARD_TARGET));
    let mut rows = vec![cells(["customers", "pages", "index", "reads per check", "mean ms", "p99 ms"])];
    for small in &results.small_pages {
        for row in usual(small.shape.customers).into_iter().chain([small]) {
            rows.push(vec![
                count(row.shape.customers as f64),
                format!("{} of {}", count(row.shape.pages as f64), binary(row.shape.page_bytes)),
                binary(row.shape.index_bytes as f64),
                format!("{:.2}", row.day().reads()),
                short(row.day().mean_ms(&row.shape)),
                format!("{:.0}", row.day().percentile_ms(0.99, &row.shape)),
            ]);
        }
    }
    format!(
        "What breaks first, in this order:

1. **The five minutes, at any size.** Today the Worker lets KV keep objects for {today}, although they never change, because KV keeps \"not found\" as long, and an object that an edge asked for before it arrived would stay away. At {ten} customers that costs {cold_today} cold reads per check instead of {cold_day}. The remedy is small: ask for a day, and only when KV says \"not found\" ask again with the shortest time, which KV then keeps to. Before that, larger shards are the only help.
2. **Compaction, from some ten million customers with many changes.** A full delta holds {delta_customers} customers, however large the business. At {hundred} customers with 10 % changing a day a compaction comes every {hundred_every}; at {billion_name} every {billion_every}, which takes {load} of the publisher's time: it does not keep up. Each one also makes the shards that it touches cold. A larger delta is no remedy, because every isolate loads it anew every {head}. A second level is: deltas for groups of shards, loaded like shards when they are asked for, with the small one above them.
3. **The pages of the index, between {hundred} and {billion_name} customers.** Pages of 1 MiB share the memory with shards. At {billion_name} they are {pages} MiB, four times what there is, so that most checks read a page of 1 MiB to find one digest. The format allows smaller pages, and readers take any size; only the builder has to choose another (`PAGE_ABOVE_BITS`). With pages of {small_digests} digests:

{small_pages}
4. **The bill.** Writes grow with changes, and KV has no cheaper ones: at {billion_name} customers and 10 % a day, no layout is cheap. There it is time for a store that charges by the byte, or for one snapshot for each market, each with its own head, publisher and Worker. That works today without any change, and makes a business of {billion_name} customers ten of {hundred}.

So: **{ten} customers are what the design is made for**, and it is comfortable there once the time in KV is raised. **{hundred} work**, with a steady stream of compactions. **{billion_name} need** smaller pages, a second level of deltas, and few changes, or several snapshots.
",
        today = duration(CACHE_TTLS.first().copied().unwrap_or_default()),
        ten = count(10e6),
        hundred = count(100e6),
        billion_name = count(1e9),
        cold_today = cold(usual(10_000_000).map(|row| row.today().cold_reads())),
        cold_day = cold(usual(10_000_000).map(|row| row.day().cold_reads())),
        delta_customers = count(delta_customers()),
        hundred_every = every(100_000_000),
        billion_every = every(billion),
        load = percent(compaction_load(&shape, 0.1)),
        head = duration(HEAD_SECS),
        pages = short(shape.pages as f64 * shape.page_bytes / 1_048_576.0),
        small_digests = count(f64::from(1 << SMALL_PAGE_BITS)),
        small_pages = table(&rows),
    )
}

fn cold(cold_reads: Option<f64>) -> String {
    cold_reads.map_or_else(String::new, |reads| format!("{reads:.2}"))
}

fn every(customers: u64) -> String {
    let shape = Shape::new(customers, Layout::Shards(SHARD_TARGET));
    duration(DAY_SECS / shape.compactions_per_day(0.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(customers: u64) -> Shape {
        Shape::new(customers, Layout::Shards(SHARD_TARGET))
    }

    /// What the prose says in words must be what the numbers say.
    #[test]
    fn the_prose_is_true() {
        let [one, ten, hundred, billion] = CUSTOMERS.map(usual);
        let pages = |shape: &Shape| shape.pages as f64 * shape.page_bytes / OBJECT_CACHE_BYTES as f64;
        assert_eq!((one.pages, ten.pages), (0, 0));
        assert!(pages(&hundred) < 1.0);
        assert!((pages(&billion) - 4.0).abs() < 1e-9, "four times what there is");
        for shape in [&one, &ten, &hundred] {
            assert!(compaction_load(shape, 0.1) < 1.0, "keeps up");
        }
        assert!(compaction_load(&billion, 0.1) > 1.0, "does not keep up");
        assert!([one, ten, hundred, billion].iter().all(|s| isolate_bytes(s) < ISOLATE_BYTES as f64));
    }
}
