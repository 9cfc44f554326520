//! How long checks wait for the head, by what the isolate did before: it was in use, it slept, or it is new.

use std::collections::BTreeMap;

use super::{
    super::{
        assume::{
            CHANGE_RATE, COLD_MS, DAY_SECS, HEAD_SECS, HEAD_STALE_SECS, HOT_MS, ISOLATE_LIFE_SECS,
            LOAD_MS_PER_BYTE, SYNC_SECS, TTL_SECS,
        },
        caches::{day_at, head_reads},
        demand::{Pop, hours},
        layout::Shape,
    },
    assume::{CARRIED_BYTES, FRESH_SECS, MAX_AGE_SECS, OBJECT_MS, SHORT_SECS, SLEPT_SECS},
    purges::Purges,
};

/// Sizes that stand for all of a delta's life, in which it grows evenly.
const SIZES: u32 = 16;

/// How heads are stored and asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// How the lane is asked; `None` without one.
    pub lane: Option<Asking>,
    /// Longest delta that is one value with its head, in bytes. A longer one is read after it.
    pub carried: f64,
    /// Whether an isolate that slept reads the customer's shard at the same time as the head.
    pub is_ahead: bool,
}

/// How isolates ask the lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asking {
    /// Seconds between two questions.
    pub fresh_secs: f64,
    /// Seconds after the last question from which an answer waits for the next.
    pub slept_secs: f64,
    /// How points of presence keep the answer.
    pub kept: Kept,
}

/// How points of presence keep the lane's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// For how long, in seconds.
    pub secs: f64,
    /// The same while no purge can be sent at once.
    pub short_secs: f64,
    /// The part of the time in which none can.
    pub short_part: f64,
    /// Purges a second.
    pub purges: f64,
}

impl Kept {
    /// As the object says, with these purges.
    pub const fn now(purges: &Purges) -> Self {
        Self {
            secs: MAX_AGE_SECS,
            short_secs: SHORT_SECS,
            short_part: purges.short_part,
            purges: purges.per_sec,
        }
    }

    /// The part of questions that find it, at this rate a second.
    pub fn hits(self, asks_per_sec: f64) -> f64 {
        let [short, long] = [self.short_secs, self.secs].map(|secs| there(asks_per_sec, secs, self.purges));
        self.short_part * short + (1.0 - self.short_part) * long
    }
}

impl Reading {
    /// Of KV alone.
    pub const KV: Self = Self { lane: None, carried: CARRIED_BYTES, is_ahead: true };

    /// With the lane, in a business with these purges.
    pub const fn now(purges: &Purges) -> Self {
        let lane = Asking { fresh_secs: FRESH_SECS, slept_secs: SLEPT_SECS, kept: Kept::now(purges) };
        Self { lane: Some(lane), ..Self::KV }
    }

    /// The same before docs/adr/0067: shards were read after the head, and answers kept for their whole time in storms.
    pub fn before(self) -> Self {
        let kept = |lane: Asking| Kept { short_secs: lane.kept.secs, ..lane.kept };
        Self { lane: self.lane.map(|lane| Asking { kept: kept(lane), ..lane }), is_ahead: false, ..self }
    }
}

/// Waits in microseconds with their weights.
#[derive(Clone, Debug, Default)]
pub struct Waits(BTreeMap<u64, f64>);

impl Waits {
    /// Hot with a probability, else cold; each after `bytes` are loaded.
    fn read(hot: f64, bytes: f64) -> Self {
        let load = bytes * LOAD_MS_PER_BYTE;
        Self::of([(HOT_MS + load, hot), (COLD_MS + load, 1.0 - hot)])
    }

    /// Of milliseconds and weights.
    fn of(waits: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut all = Self::default();
        for (ms, weight) in waits.into_iter().filter(|(_, weight)| *weight > 0.0) {
            *all.0.entry((ms * 1e3).round() as u64).or_default() += weight;
        }
        all
    }

    fn none() -> Self {
        Self::of([(0.0, 1.0)])
    }

    fn combined(&self, other: &Self, by: impl Fn(u64, u64) -> u64) -> Self {
        let mut all = Self::default();
        for (left, part) in &self.0 {
            for (right, other) in &other.0 {
                *all.0.entry(by(*left, *right)).or_default() += part * other;
            }
        }
        all
    }

    /// One after the other.
    fn then(&self, other: &Self) -> Self {
        self.combined(other, |left, right| left + right)
    }

    /// Both at once.
    fn beside(&self, other: &Self) -> Self {
        self.combined(other, u64::max)
    }

    fn add(&mut self, other: &Self, weight: f64) {
        for (micros, part) in &other.0 {
            *self.0.entry(*micros).or_default() += part * weight;
        }
    }

    fn each(&self) -> impl Iterator<Item = (f64, f64)> {
        self.0.iter().map(|(micros, weight)| (*micros as f64 / 1e3, *weight))
    }

    /// The wait that a fraction does not exceed, in milliseconds.
    pub fn percentile(&self, fraction: f64) -> f64 {
        let wanted = fraction * self.weight();
        let mut sum = 0.0;
        let reached = self.each().find(|(_, weight)| {
            sum += weight;
            sum >= wanted
        });
        reached.or(self.each().last()).map_or(0.0, |(ms, _)| ms)
    }

    /// The mean wait, in milliseconds.
    pub fn mean(&self) -> f64 {
        self.each().map(|(ms, weight)| ms * weight).sum::<f64>() / self.weight()
    }

    /// The part that waits for at least a cold read.
    pub fn cold(&self) -> f64 {
        self.each().filter(|(ms, _)| *ms >= COLD_MS).map(|(_, weight)| weight).sum::<f64>() / self.weight()
    }

    /// The same with a weight of 1 in all.
    fn whole(mut self) -> Self {
        let weight = self.weight();
        self.0.values_mut().for_each(|part| *part /= weight);
        self
    }

    fn weight(&self) -> f64 {
        self.0.values().sum::<f64>().max(f64::MIN_POSITIVE)
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

/// The part of the life of a delta of this budget in which it is not larger than `bytes`: it grows evenly.
pub fn carried_part(bytes: f64, budget: u64) -> f64 {
    (bytes / budget as f64).min(1.0)
}

/// Sizes of a delta in its life, each as long as any other.
fn deltas(shape: &Shape) -> impl Iterator<Item = f64> {
    let each = shape.delta_bytes as f64 / f64::from(SIZES);
    (0..SIZES).map(move |number| (f64::from(number) + 0.5) * each)
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
    let tiers = day_at(shape, TTL_SECS, CHANGE_RATE, pop);
    let customer = Waits::of(tiers.customer_waits(shape));
    // A new isolate has nothing in memory.
    let fetched = Waits::of(tiers.fetched_waits(shape)).whole();
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
                let (lane, asked) = asking.waits(shape, reading.carried, isolates, rate);
                (lane, asked, (dozed - slept).max(0.0))
            }
        };
        let woken_head = lane.beside(&head(shape, reading.carried, kv_hot));
        // The index that it knows names the customer's shard, unless a compaction came since.
        let with_customer =
            |head: &Waits| if reading.is_ahead { head.beside(&customer) } else { head.then(&customer) };
        let (woken, dozing) = (with_customer(&woken_head), with_customer(&asked));
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
        let hit = self.kept.hits(asks);
        let lane = Waits::of([(HOT_MS, hit), (OBJECT_MS, 1.0 - hit)]);
        // The delta of a new head, which an isolate nearby may have read.
        let change = shape.customers as f64 * CHANGE_RATE / DAY_SECS;
        let since = (1.0 / rate.max(f64::MIN_POSITIVE)).max(self.slept_secs);
        let changed = -libm::expm1(-change * since.min(HEAD_STALE_SECS));
        let nearby = there(asks * (isolates - 1.0) / isolates, SYNC_SECS, 0.0);
        let mut waits = Waits::default();
        waits.add(&lane, 1.0 - changed);
        for bytes in deltas(shape) {
            let new = if bytes <= carried {
                lane.then(&Waits::of([(bytes * LOAD_MS_PER_BYTE, 1.0)]))
            } else {
                lane.then(&Waits::read(nearby, bytes))
            };
            waits.add(&new, changed / f64::from(SIZES));
        }
        (lane, waits)
    }
}

/// The head and its delta, from KV. What is hot is hot for both: they were read together.
fn head(shape: &Shape, carried: f64, hot: f64) -> Waits {
    let mut waits = Waits::default();
    for (is_hot, part) in [(1.0, hot), (0.0, 1.0 - hot)] {
        for bytes in deltas(shape) {
            let read = Waits::read(is_hot, bytes);
            let read = if bytes <= carried { read } else { Waits::read(is_hot, 0.0).then(&read) };
            waits.add(&read, part / f64::from(SIZES));
        }
    }
    waits
}

/// The first answer of a new isolate. What only new isolates read is cold; `fetched` is the customer, `lane` is asked
/// beside the first read.
fn first(carried: f64, hot: f64, shape: &Shape, lane: &Waits, fetched: &Waits) -> Waits {
    // Index and directory come beside the head, in one value.
    let index = Waits::read(0.0, shape.index_bytes as f64);
    let mut waits = Waits::default();
    for bytes in deltas(shape) {
        let delta = Waits::read(hot, bytes);
        let wait = if bytes <= carried {
            delta.beside(lane).beside(&index)
        } else {
            Waits::read(hot, 0.0).beside(lane).beside(&index).then(&delta)
        };
        waits.add(&wait.then(fetched), 1.0 / f64::from(SIZES));
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{
        assume::{EARLIER_DELTA_BYTES, SHARD_TARGET},
        layout::Layout,
    };

    fn shape(customers: u64) -> Shape {
        Shape::new(customers, Layout::Shards(SHARD_TARGET))
    }

    #[test]
    fn kv_alone_waits_as_the_rest_of_the_page_says() {
        let shape = shape(1_000_000);
        let found = of(&shape, Reading { is_ahead: false, ..Reading::KV });
        let known = crate::scale::caches::day(&shape, TTL_SECS, CHANGE_RATE);
        assert!((found.waiting - known.head_ratio()).abs() < 0.005, "{}", found.waiting);
        assert!((found.all.mean() / known.mean_ms(&shape) - 1.0).abs() < 0.05, "{}", found.all.mean());
    }

    #[test]
    fn waits_are_joined_one_after_the_other_or_at_once() {
        let half = Waits::of([(2.0, 0.5), (80.0, 0.5)]);
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
        let kept = Kept { secs: 30.0, short_secs: 1.0, short_part: 0.5, purges: 0.0 };
        assert!((kept.hits(1.0) - (0.5 + 30.0 / 31.0) / 2.0).abs() < 1e-12);
    }

    /// The targets of the page: two reads in a row for a new isolate, one for a woken one.
    #[test]
    fn new_isolates_wait_for_two_reads_and_woken_ones_for_one() {
        for customers in [1_000_000, 10_000_000] {
            let shape = shape(customers);
            let earlier = shape.with_deltas_of(EARLIER_DELTA_BYTES);
            let reading = Reading::now(&Purges::of(customers));
            let (before, now) = (of(&earlier, reading.before()), of(&shape, reading));
            let p99 = |waits: &Waits| waits.percentile(0.99);
            assert!(
                p99(&now.new) < p99(&before.new) - 0.9 * COLD_MS && p99(&now.new) < 165.5,
                "{}",
                p99(&now.new)
            );
            assert!(p99(&now.woken) <= 90.0 && p99(&now.woken_head) <= 90.0, "{}", p99(&now.woken));
            // Where a delta outgrows the value, and where the shard waits for the head.
            let large = of(&earlier, reading);
            assert!(p99(&large.new) > p99(&now.new) && p99(&large.woken_head) > 160.0, "{}", p99(&large.new));
            let behind = of(&shape, Reading { is_ahead: false, ..reading });
            assert!(p99(&behind.woken) > 160.0, "{}", p99(&behind.woken));
        }
    }
}
