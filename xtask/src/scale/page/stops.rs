//! The limits, and where the design stops.

use crate::scale::{
    assume::*,
    cost::{Bill, Written, compaction, compaction_load},
    results::{Results, Row},
    shape::{Layout, Shape, delta_customers},
    text::{binary, cells, count, decimal, dollars, duration, percent, short, table},
};

/// The size of shard that is nearest to being chosen instead.
const LARGER: u64 = 256 << 10;

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

A busy isolate reads the head every {head}, and with it a new delta of {mean_delta} on average: {rate}/s, and {cpu} ms of CPU time each time for the hash. Unless an isolate nearby was first, that is cold, but it happens behind the requests: nobody waits for it.
",
        limits(),
        sizes(),
        base = binary(ISOLATE_BASE_BYTES as f64),
        limit = decimal(ISOLATE_BYTES as f64),
        head = duration(HEAD_SECS),
        mean_delta = binary(MEAN_DELTA_BYTES),
        rate = decimal(MEAN_DELTA_BYTES / HEAD_SECS),
        cpu = short(MEAN_DELTA_BYTES * LOAD_MS_PER_BYTE),
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
            &format!("`head`, every {} at most; objects are written once", duration(SYNC_SECS)),
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
    let fixed = ISOLATE_BASE_BYTES + OBJECT_CACHE_BYTES + TOKEN_CACHE_BYTES + ANSWERS_BYTES;
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
    let [_, ten, hundred, billion] = CUSTOMERS;
    let shape = Shape::new(billion, Layout::Shards(SHARD_TARGET));
    let pages_ms = shape.page_bytes * LOAD_MS_PER_BYTE;
    let of_ten = |target, of: fn(&Row) -> f64| results.row(ten, Layout::Shards(target)).map_or(0.0, of);
    let cold = |target| of_ten(target, |row| row.day().cold_reads());
    let mean_ms = |target| of_ten(target, |row| row.day().mean_ms(&row.shape));
    format!(
        "What breaks first, in this order:

1. **The head, where it is quiet.** The promise that a revocation arrives in about two minutes makes an isolate that slept read the head first. The fewer checks, the more of them wait: {head_one} at {one} customers, {head_ten} at {ten}. Nothing but a longer `HEAD_STALE_SECS` and later revocations would change that, or more customers.
2. **Shards of 64 KiB, up to {ten} customers.** Larger ones are hotter. But a compaction rewrites them whole, and a check loads them whole. With a day in KV and {change} of customers changing:

{variants}
   Admit builds shards of 64 KiB (`SHARD_TARGET_BYTES`) all the same. What 256 KiB would bring at {ten} customers: {saved} cold reads fewer in a hundred checks, which would take {saved_ms} ms less than {usual_ms} ms on average. What they would cost: memory has few shards of any size, so that nearly every check loads one, and that could take {larger_ms} ms of CPU time instead of {usual_load_ms} ms, by the bound that the project sets itself. And room: an object is there twice while it is copied out of JavaScript's memory. An isolate whose caches are full has room to load {usual_room} shards of 64 KiB at once, {larger_room} of 256 KiB, {mib_room} of 1 MiB. If KV becomes slow, {waiting} checks wait in a busy isolate, {checks} a second for {timeout}, and when KV comes round, larger shards would end the isolate with everything that it has in memory. Beyond {ten} customers the size makes no difference to checks, because compactions make shards cold before KV drops them, and larger ones cost the publisher more.
3. **Compaction, from {hundred} customers on.** A full delta holds {delta_customers} customers, however large the business. At {hundred} customers with 10 % changing a day a compaction comes every {hundred_every}; at {billion} every {billion_every}, which takes {load} of the publisher's time: it does not keep up. Each one also makes the shards that it touches cold. A larger delta is no remedy, because every isolate loads it anew every {head}. A second level of deltas, for groups of shards, would let several changes of a shard collect before it is rewritten, at the price of one more object in each check. It is not designed yet.
4. **The pages of the index, between {hundred} and {billion} customers.** Pages of 1 MiB share the memory with shards. At {billion} they are {pages} MiB, four times what there is, so that most checks read a page, and load it in {pages_ms} ms, to find one digest. Smaller pages, which the format allows, are no remedy: the table's last lines show that they are colder. Fewer and larger shards need fewer pages, but the publisher cannot keep up with them.
5. **The bill.** Writes grow with changes, and KV has no cheaper ones: at {billion} customers and 10 % a day no layout is cheap. There it is time for a store that charges by the byte.

What works today without any change is **one snapshot for each market**, each with its own head, publisher and Worker: ten of {hundred} customers instead of one of {billion}. Each is as far from the limits as its own size says. The bill stays the same.

So: **{ten} customers are what the design is made for**: two checks in three wait for nothing cold. **{hundred} work** nearly as well, with a steady stream of compactions. **{billion} do not** in one snapshot, unless hardly anybody changes.
",
        one = count(1e6),
        ten = count(ten as f64),
        hundred = count(hundred as f64),
        billion = count(billion as f64),
        change = percent(CHANGE_RATE),
        saved = short(100.0 * (cold(SHARD_TARGET) - cold(LARGER))),
        saved_ms = short(mean_ms(SHARD_TARGET) - mean_ms(LARGER)),
        usual_ms = short(mean_ms(SHARD_TARGET)),
        usual_load_ms = short(SHARD_TARGET as f64 * LOAD_MS_PER_BYTE),
        larger_ms = short(LARGER as f64 * LOAD_MS_PER_BYTE),
        usual_room = count(room(ten, SHARD_TARGET)),
        larger_room = count(room(ten, LARGER)),
        mib_room = count(room(ten, 1 << 20)),
        waiting = count(waiting()),
        checks = count(CHECKS_PER_ISOLATE),
        timeout = duration(STORE_TIMEOUT_SECS),
        head_one = usual(1_000_000).map_or_else(String::new, |row| percent(row.day().head_ratio())),
        head_ten = usual(ten).map_or_else(String::new, |row| percent(row.day().head_ratio())),
        variants = variants(results),
        delta_customers = count(delta_customers()),
        hundred_every = every(hundred),
        billion_every = every(billion),
        load = percent(compaction_load(&shape, 0.1)),
        head = duration(HEAD_SECS),
        pages = short(shape.pages as f64 * shape.page_bytes / 1_048_576.0),
        pages_ms = short(pages_ms),
    )
}

/// Other sizes of shards and pages.
fn variants(results: &Results) -> String {
    let mut rows = vec![cells([
        "customers",
        "layout",
        "pages",
        "in memory",
        "cold reads",
        "mean ms",
        "p50, p99 ms",
        "publisher's time",
    ])];
    let large = results.rows.iter().filter(|row| {
        let is_shown = matches!(row.layout, Layout::Shards(target) if target >= SHARD_TARGET);
        is_shown && row.shape.customers >= 10_000_000
    });
    for row in large.chain(&results.small_pages) {
        let Row { layout, shape, .. } = row;
        let tiers = row.day();
        let pages = if shape.pages == 0 {
            "0".to_owned()
        } else {
            format!("{} of {}", count(shape.pages as f64), binary(shape.page_bytes))
        };
        rows.push(vec![
            count(shape.customers as f64),
            layout.name(),
            pages,
            percent(tiers.memory_ratio()),
            format!("{:.2}", tiers.cold_reads()),
            short(tiers.mean_ms(shape)),
            format!("{:.0}, {:.0}", tiers.percentile_ms(0.5, shape), tiers.percentile_ms(0.99, shape)),
            percent(compaction_load(shape, CHANGE_RATE)),
        ]);
    }
    // Within an item of a list.
    table(&rows).lines().map(|line| format!("   {line}\n")).collect()
}

/// How many shards an isolate can load at once while everything else that it may hold is there.
fn room(customers: u64, target: u64) -> f64 {
    let left = ISOLATE_BYTES as f64 - isolate_bytes(&Shape::new(customers, Layout::Shards(target)));
    // In JavaScript's memory and in the module's.
    (left / (2 * target) as f64).floor()
}

/// Checks that wait in a busy isolate while KV answers none.
const fn waiting() -> f64 {
    CHECKS_PER_ISOLATE * STORE_TIMEOUT_SECS
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
        let larger = Shape::new(1_000_000_000, Layout::Shards(LARGER));
        assert!(compaction_load(&larger, CHANGE_RATE) > 1.0, "cannot keep up with larger shards");
        assert!(room(ten.customers, SHARD_TARGET) > waiting(), "64 KiB withstands a slow store");
        assert!(room(ten.customers, LARGER) < waiting(), "256 KiB does not");
        assert!([one, ten, hundred, billion].iter().all(|s| isolate_bytes(s) < ISOLATE_BYTES as f64));
    }
}
