//! What somebody reads who reads nothing else.

use crate::scale::{
    assume::{CHANGE_RATE, SHARD_TARGET},
    cost::{Bill, Method, reads, written},
    results::Results,
    shape::Layout,
    text::{count, dollars, percent, short},
};

pub fn section(results: &Results) -> String {
    let shards = Layout::Shards(SHARD_TARGET);
    let bill = |customers: u64| {
        results.row(customers, shards).map_or_else(String::new, |row| {
            let day = written(&row.shape, Method::Deltas, CHANGE_RATE);
            dollars(Bill::new(reads(&row.shape, row.day()), &day, row.shape.total_bytes()).total())
        })
    };
    let Some(keys) = results.row(10_000_000, Layout::KeyPerCustomer) else { return String::new() };
    let Some(usual) = results.row(10_000_000, shards) else { return String::new() };
    let Some(small) = results.row(1_000_000, shards) else { return String::new() };
    let Some(large) = results.row(10_000_000, Layout::Shards(256 << 10)) else { return String::new() };
    format!(
        "## In short

For {ten} customers, each watching every other day, at a hundred points of presence, {change} of them changing in a day:

- With **a key per customer**, kept for five minutes, which is more than revocations allow, {keys} of all checks wait for a cold read of KV: {keys_ms} ms on average.
- With **shards of 64 KiB, as Admit builds them, and KV asked to keep them for five minutes, as the Worker does today**, it is {today}: {today_ms} ms. That is hardly better. Shards pay only when KV keeps them for long, which it may, because they never change.
- **Kept for a day, it is {day}**: {day_ms} ms; with shards of 256 KiB {large}: {large_ms} ms. Raising the time is the first thing to do, larger shards the second.
- **Quiet places wait for the head.** An isolate that nobody asked for a minute reads the head before it answers, so that revocations arrive. That holds up {head} of these checks, but {head_one} of those of a business with {one}.
- KV costs about **{bill_ten} a month** at {ten} customers, {bill_one} at {one}, {bill_hundred} at {hundred}.
- **Up to {hundred} customers the design holds.** At {billion} the index and the compactions break: [where the design stops](#where-the-design-stops).
",
        ten = count(10e6),
        one = count(1e6),
        hundred = count(100e6),
        billion = count(1e9),
        change = percent(CHANGE_RATE),
        keys = percent(1.0 - keys.today().hit_ratio()),
        keys_ms = short(keys.today().mean_ms(&keys.shape)),
        today = percent(1.0 - usual.today().hit_ratio()),
        today_ms = short(usual.today().mean_ms(&usual.shape)),
        day = percent(1.0 - usual.day().hit_ratio()),
        day_ms = short(usual.day().mean_ms(&usual.shape)),
        large = percent(1.0 - large.day().hit_ratio()),
        large_ms = short(large.day().mean_ms(&large.shape)),
        head = percent(usual.day().head_ratio()),
        head_one = percent(small.day().head_ratio()),
        bill_one = bill(1_000_000),
        bill_ten = bill(10_000_000),
        bill_hundred = bill(100_000_000),
    )
}
