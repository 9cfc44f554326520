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
- With **shards of 64 KiB, as Admit builds them, kept for a day, as the Worker asks of KV**, it is {day}: {day_ms} ms. A shard may be kept for so long because it never changes.
- **The day is what makes shards worth it.** Kept for five minutes they would be hardly better than keys: {minutes}, {minutes_ms} ms. A week would make it {week}: compactions give shards new names before.
- **Larger shards would be hotter**: {large} and {large_ms} ms with 256 KiB. They would also cost more time and memory in every check; [why it is 64 KiB](#where-the-design-stops).
- **Quiet places wait for the head.** An isolate that nobody asked for a minute reads the head before it answers, so that revocations arrive. That holds up {head} of these checks, but {head_one} of those of a business with {one}.
- KV costs about **{bill_ten} a month** at {ten} customers, {bill_one} at {one}, {bill_hundred} at {hundred}.
- **Up to {hundred} customers the design holds.** At {billion} the index and the compactions break: [where the design stops](#where-the-design-stops).
",
        ten = count(10e6),
        one = count(1e6),
        hundred = count(100e6),
        billion = count(1e9),
        change = percent(CHANGE_RATE),
        keys = percent(1.0 - keys.minutes().hit_ratio()),
        keys_ms = short(keys.minutes().mean_ms(&keys.shape)),
        minutes = percent(1.0 - usual.minutes().hit_ratio()),
        minutes_ms = short(usual.minutes().mean_ms(&usual.shape)),
        week = percent(1.0 - usual.week().hit_ratio()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{
        assume::{CACHE_TTLS, SHARD_TARGETS},
        compute,
        shape::Shape,
    };

    /// What the prose says in words must be what the numbers say.
    #[test]
    fn the_prose_is_true() {
        let [_, _, usual, larger, _] = SHARD_TARGETS.map(Layout::Shards);
        assert_eq!(usual, Layout::Shards(SHARD_TARGET));
        let cold = |layout, ttl_secs| {
            1.0 - compute::day(&Shape::new(10_000_000, layout), ttl_secs, CHANGE_RATE).hit_ratio()
        };
        let [minutes, day, week] = CACHE_TTLS.map(|ttl_secs| cold(usual, ttl_secs));
        let [short, long, _] = CACHE_TTLS;
        assert!(minutes > 0.9 && minutes < cold(Layout::KeyPerCustomer, short), "hardly better: {minutes}");
        assert!((0.28..0.38).contains(&day), "two checks in three wait for nothing cold: {day}");
        assert!(day - week < 0.05, "a week changes little: {day} {week}");
        assert!(cold(larger, long) < day - 0.05, "larger shards are hotter");
    }
}
