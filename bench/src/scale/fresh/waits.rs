//! How long checks wait for the head, by what the isolate did before: it was in use, it slept, or it is new.

use super::{
    super::{
        assume::{
            CHANGE_RATE, COLD_MS, DAY_SECS, DELTA_BYTES, HEAD_SECS, HEAD_STALE_SECS, HOT_MS,
            ISOLATE_LIFE_SECS, LOAD_MS_PER_BYTE, MEAN_DELTA_BYTES, SYNC_SECS, TTL_SECS,
        },
        caches::{day_at, head_reads},
        demand::{Pop, hours},
        layout::Shape,
    },
    assume::{CARRIED_BYTES, FRESH_SECS, MAX_AGE_SECS, OBJECT_MS, SLEPT_SECS},
};

/// How heads are stored and asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// How the lane is asked; `None` without one.
    pub lane: Option<Asking>,
    /// Longest delta that is one value with its head, in bytes. `None`: head, delta, index and directory are values of
    /// their own. Otherwise what a new isolate needs beside the head is one value, too.
    pub carried: Option<f64>,
}

/// How isolates ask the lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asking {
    /// Seconds between two questions.
    pub fresh_secs: f64,
    /// Seconds after the last question from which an answer waits for the next.
    pub slept_secs: f64,
    /// How long a point of presence keeps the answer, in seconds.
    pub kept_secs: f64,
    /// Purges a second.
    pub purges: f64,
}

impl Reading {
    /// Of KV alone: head, delta, index and directory are values of their own.
    pub const BEFORE: Self = Self { lane: None, carried: None };

    /// With the lane, in a business that takes away this often, in times a second.
    pub const fn now(purges: f64) -> Self {
        let lane = Asking { fresh_secs: FRESH_SECS, slept_secs: SLEPT_SECS, kept_secs: MAX_AGE_SECS, purges };
        Self { lane: Some(lane), carried: Some(CARRIED_BYTES) }
    }
}

/// Waits in milliseconds with their weights.
#[derive(Clone, Debug, Default)]
pub struct Waits(Vec<(f64, f64)>);

impl Waits {
    /// Hot with a probability, else cold; each after `bytes` are loaded.
    fn read(hot: f64, bytes: f64) -> Self {
        let load = bytes * LOAD_MS_PER_BYTE;
        Self(vec![(HOT_MS + load, hot), (COLD_MS + load, 1.0 - hot)])
    }

    fn none() -> Self {
        Self(vec![(0.0, 1.0)])
    }

    fn combined(&self, other: &Self, by: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.0.iter().flat_map(|(left, part)| {
            let by = &by;
            other.0.iter().map(move |(right, other)| (by(*left, *right), part * other))
        });
        Self(pairs.filter(|(_, weight)| *weight > 0.0).collect())
    }

    /// One after the other.
    fn then(&self, other: &Self) -> Self {
        self.combined(other, |left, right| left + right)
    }

    /// Both at once.
    fn beside(&self, other: &Self) -> Self {
        self.combined(other, f64::max)
    }

    fn add(&mut self, other: &Self, weight: f64) {
        self.0.extend(other.0.iter().map(|(ms, part)| (*ms, part * weight)));
    }

    /// The wait that a fraction does not exceed, in milliseconds.
    pub fn percentile(&self, fraction: f64) -> f64 {
        let mut waits = self.0.clone();
        waits.sort_by(|left, right| left.0.total_cmp(&right.0));
        let wanted = fraction * self.weight();
        let mut sum = 0.0;
        let reached = waits.iter().find(|(_, weight)| {
            sum += weight;
            sum >= wanted
        });
        reached.or(waits.last()).map_or(0.0, |(ms, _)| *ms)
    }

    /// The mean wait, in milliseconds.
    pub fn mean(&self) -> f64 {
        self.0.iter().map(|(ms, weight)| ms * weight).sum::<f64>() / self.weight()
    }

    /// The part that waits for at least a cold read.
    pub fn cold(&self) -> f64 {
        self.0.iter().filter(|(ms, _)| *ms >= COLD_MS).map(|(_, weight)| weight).sum::<f64>() / self.weight()
    }

    /// The same with a weight of 1 in all.
    fn whole(mut self) -> Self {
        let weight = self.weight();
        self.0.iter_mut().for_each(|(_, part)| *part /= weight);
        self
    }

    fn weight(&self) -> f64 {
        self.0.iter().map(|(_, weight)| weight).sum::<f64>().max(f64::MIN_POSITIVE)
    }
}

/// What checks wait for, head and customer together.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// All checks.
    pub all: Waits,
    /// Those of isolates that slept for longer than a head is used, or than the lane's answer is.
    pub woken: Waits,
    /// The same without the customer.
    pub woken_head: Waits,
    /// The first of a new isolate.
    pub new: Waits,
    /// The part of checks that wait for a head at all.
    pub waiting: f64,
    /// The part that wait for a cold one.
    pub cold_heads: f64,
}

/// The part of a delta's life in which it is not larger than `bytes`: it grows evenly.
pub fn carried_part(bytes: f64) -> f64 {
    (bytes / DELTA_BYTES as f64).min(1.0)
}

/// Mean size of a delta that is larger than `bytes`.
fn larger(bytes: f64) -> f64 {
    f64::midpoint(bytes, DELTA_BYTES as f64)
}

/// Checks at all points of presence.
pub fn of(shape: &Shape, reading: Reading) -> Found {
    let mut sum = Found::default();
    Pop::all().into_iter().for_each(|pop| add(&mut sum, shape, reading, pop, pop.share));
    sum
}

/// The chance that a value is there which is kept for a time, and removed at random moments.
pub fn there(asks_per_sec: f64, kept_secs: f64, removals_per_sec: f64) -> f64 {
    let kept = if removals_per_sec > 0.0 {
        -libm::expm1(-removals_per_sec * kept_secs) / removals_per_sec
    } else {
        kept_secs
    };
    asks_per_sec * kept / (1.0 + asks_per_sec * kept)
}

/// How often an isolate with this rate of checks a second asks the lane, a second.
pub fn lane_asks(rate: f64, fresh_secs: f64) -> f64 {
    if rate > 0.0 { 1.0 / (fresh_secs + 1.0 / rate) } else { 0.0 }
}

/// The part of checks that come so long after the last reading that they wait for the next: it is due after `fresh`, and
/// waited for after `stale`.
fn sleepers(rate: f64, fresh: f64, stale: f64) -> f64 {
    libm::exp(-rate * (stale - fresh)) / (1.0 + rate * fresh)
}

fn add(sum: &mut Found, shape: &Shape, reading: Reading, pop: Pop, weight: f64) {
    let isolates = pop.isolates(shape.customers);
    let per_sec = pop.checks_per_isolate(shape.customers);
    let customer = Waits(day_at(shape, TTL_SECS, CHANGE_RATE, pop).customer_waits(shape));
    // A new isolate has nothing in memory.
    let fetched = Waits(customer.0.iter().copied().filter(|(ms, _)| *ms > 0.0).collect()).whole();
    for busy in hours() {
        let rate = per_sec * busy;
        let part = weight * busy / 24.0;
        let new = (1.0 / (per_sec * ISOLATE_LIFE_SECS)).min(1.0);
        let slept = (1.0 - new) * sleepers(rate, HEAD_SECS, HEAD_STALE_SECS);
        let others = HEAD_SECS * (isolates - 1.0) * head_reads(rate);
        let kv_hot = others / (1.0 + others);
        let (lane, asked, dozed) = match reading.lane {
            None => (Waits::none(), Waits::none(), 0.0),
            Some(asking) => {
                let dozed = (1.0 - new) * sleepers(rate, asking.fresh_secs, asking.slept_secs);
                let (lane, asked) = asking.waits(shape, reading.carried.unwrap_or(0.0), isolates, rate);
                (lane, asked, (dozed - slept).max(0.0))
            }
        };
        let woken_head = lane.beside(&head(reading.carried, kv_hot));
        // The index that it knows names the customer's shard, unless a compaction came since.
        let woken =
            if reading.carried.is_some() { woken_head.beside(&customer) } else { woken_head.then(&customer) };
        let dozing = asked.beside(&customer);
        let first = first(reading.carried, kv_hot, shape, &lane, &fetched);
        sum.all.add(&first, part * new);
        sum.all.add(&woken, part * slept);
        sum.all.add(&dozing, part * dozed);
        sum.all.add(&customer, part * (1.0 - new - slept - dozed).max(0.0));
        sum.new.add(&first, part * new);
        sum.woken.add(&woken, part * slept);
        sum.woken.add(&dozing, part * dozed);
        sum.woken_head.add(&woken_head, part * slept);
        sum.woken_head.add(&asked, part * dozed);
        sum.waiting += part * (new + slept + dozed);
        sum.cold_heads += part * (new + slept * woken_head.cold() + dozed * asked.cold());
    }
}

impl Asking {
    /// The wait of an isolate that asks the lane before it answers, with this rate of checks a second in each isolate:
    /// without a delta, and with one if it is needed and larger than `carried`.
    fn waits(self, shape: &Shape, carried: f64, isolates: f64, rate: f64) -> (Waits, Waits) {
        let asks = isolates * lane_asks(rate, self.fresh_secs);
        let hit = there(asks, self.kept_secs, self.purges);
        let lane = Waits(vec![(HOT_MS, hit), (OBJECT_MS, 1.0 - hit)]);
        // The delta of a new head, which an isolate nearby may have read.
        let change = shape.customers as f64 * CHANGE_RATE / DAY_SECS;
        let since = (1.0 / rate.max(f64::MIN_POSITIVE)).max(self.slept_secs);
        let apart = (1.0 - carried_part(carried)) * -libm::expm1(-change * since.min(HEAD_STALE_SECS));
        let nearby = there(asks * (isolates - 1.0) / isolates, SYNC_SECS, 0.0);
        let mut waits = Waits::default();
        waits.add(&lane, 1.0 - apart);
        waits.add(&lane.then(&Waits::read(nearby, larger(carried))), apart);
        (lane, waits)
    }
}

/// The head and its delta, from KV. What is hot is hot for both: they were read together.
fn head(carried: Option<f64>, hot: f64) -> Waits {
    let mut waits = Waits::default();
    for (is_hot, part) in [(1.0, hot), (0.0, 1.0 - hot)] {
        let apart = |bytes: f64| Waits::read(is_hot, 0.0).then(&Waits::read(is_hot, bytes));
        match carried {
            Some(limit) => {
                waits.add(&Waits::read(is_hot, limit / 2.0), part * carried_part(limit));
                waits.add(&apart(larger(limit)), part * (1.0 - carried_part(limit)));
            }
            None => waits.add(&apart(MEAN_DELTA_BYTES), part),
        }
    }
    waits
}

/// The first answer of a new isolate. What only new isolates read is cold; `fetched` is the customer, `lane` is asked
/// beside the first read.
fn first(carried: Option<f64>, hot: f64, shape: &Shape, lane: &Waits, fetched: &Waits) -> Waits {
    let index = Waits::read(0.0, shape.index_bytes as f64);
    let head = Waits::read(hot, 0.0).beside(lane);
    let Some(limit) = carried else {
        // The head names the delta, index and directory, which are read at once.
        return head.then(&Waits::read(hot, MEAN_DELTA_BYTES).beside(&index)).then(fetched);
    };
    // Index and directory come beside the head; a delta that does not is read beside the shard.
    let whole = Waits::read(hot, limit / 2.0).beside(lane).beside(&index).then(fetched);
    let apart = head.beside(&index).then(&fetched.beside(&Waits::read(hot, larger(limit))));
    let mut waits = Waits::default();
    waits.add(&whole, carried_part(limit));
    waits.add(&apart, 1.0 - carried_part(limit));
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{assume::SHARD_TARGET, layout::Layout};

    fn shape(customers: u64) -> Shape {
        Shape::new(customers, Layout::Shards(SHARD_TARGET))
    }

    #[test]
    fn kv_alone_waits_as_the_rest_of_the_page_says() {
        let shape = shape(1_000_000);
        let found = of(&shape, Reading::BEFORE);
        let known = crate::scale::caches::day(&shape, TTL_SECS, CHANGE_RATE);
        assert!((found.waiting - known.head_ratio()).abs() < 0.005, "{}", found.waiting);
        assert!((found.all.mean() / known.mean_ms(&shape) - 1.0).abs() < 0.05, "{}", found.all.mean());
    }

    #[test]
    fn waits_are_joined_one_after_the_other_or_at_once() {
        let half = Waits(vec![(2.0, 0.5), (80.0, 0.5)]);
        let (row, both) = (half.then(&half), half.beside(&half));
        assert_eq!([0.2, 0.5, 0.99].map(|part| row.percentile(part)), [4.0, 82.0, 160.0]);
        assert_eq!([0.2, 0.5, 0.99].map(|part| both.percentile(part)), [2.0, 80.0, 80.0]);
        assert!((both.cold() - 0.75).abs() < 1e-12 && (half.mean() - 41.0).abs() < 1e-12);
    }

    #[test]
    fn a_value_that_is_removed_is_there_less_often() {
        assert!((there(1.0, 30.0, 0.0) - 30.0 / 31.0).abs() < 1e-12);
        // Removed every ten seconds on average, it is kept for 9.5 s on average.
        assert!((there(1.0, 30.0, 0.1) - 9.502 / 10.502).abs() < 1e-3);
    }

    /// The targets of the page: two reads in a row for a new isolate, one for a woken one.
    #[test]
    fn new_isolates_wait_for_two_reads_and_woken_ones_for_one() {
        for customers in [1_000_000, 10_000_000] {
            let shape = shape(customers);
            let (before, now) = (of(&shape, Reading::BEFORE), of(&shape, Reading::now(0.0)));
            let p99 = |waits: &Waits| waits.percentile(0.99);
            assert!(
                p99(&now.new) < p99(&before.new) - 0.9 * COLD_MS,
                "{} {}",
                p99(&now.new),
                p99(&before.new)
            );
            assert!(p99(&now.woken) < p99(&before.woken), "{} {}", p99(&now.woken), p99(&before.woken));
            // Where every delta comes with its head.
            let small = Reading { carried: Some(DELTA_BYTES as f64), ..Reading::now(0.0) };
            let small = of(&shape, small);
            assert!(p99(&small.woken_head) < 1.2 * COLD_MS, "{}", p99(&small.woken_head));
        }
    }
}
