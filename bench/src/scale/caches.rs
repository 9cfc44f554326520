//! The two caches between a check and the store, by formula.
//!
//! An isolate's memory: Che's approximation of an LRU cache (Che, Tung and Wang, 2002). One time holds for all objects:
//! an object that was not used within it has been dropped, and the objects that were used within it just fill the
//! memory. It is exact for many objects and holds for unequal sizes.
//!
//! KV at a point of presence: the renewal equation of a cache in which a value stays for a fixed time from its fetch,
//! solved over the hours of a day.

use super::{
    assume::{
        CHECKS_PER_DAY, DAY_SECS, HEAD_SECS, HEAD_STALE_SECS, ISOLATE_LIFE_SECS, OBJECT_CACHE_BYTES, SEED,
    },
    demand::{Pop, Random, Zipf, hours, intensity},
    layout::Shape,
    tiers::Tiers,
};

/// Steps that a value's life is cut into.
const STEPS_PER_LIFE: f64 = 50.5;

/// Longest step: the day's profile has steps of an hour.
const STEP_MAX_SECS: f64 = 450.0;

/// Shards with fewer customers at a place than this are drawn by lot; with more, they differ little.
const MIXED_BELOW: f64 = 48.0;

/// Shards that stand for all where they differ, and classes of customers.
const SAMPLES: usize = 300;

/// How checks are answered at all points of presence, for a `cacheTtl` and a fraction of customers that change in a day.
pub fn day(shape: &Shape, ttl_secs: f64, change_rate: f64) -> Tiers {
    let model = Model::new(shape, ttl_secs, change_rate);
    let mut sum = Tiers::default();
    Pop::all().into_iter().for_each(|pop| sum.add(&model.at(pop), pop.share));
    sum
}

/// The same at one point of presence.
pub fn day_at(shape: &Shape, ttl_secs: f64, change_rate: f64, pop: Pop) -> Tiers {
    Model::new(shape, ttl_secs, change_rate).at(pop)
}

/// Table of a cache's hit ratio by how often a value is read.
struct HitRatios(Vec<f64>);

impl HitRatios {
    const FIRST_LOG10: f64 = -6.0;
    const PER_DECADE: f64 = 16.0;
    const DECADES: f64 = 14.0;

    fn new(ttl_secs: f64, changes_per_sec: f64) -> Self {
        let count = (Self::DECADES * Self::PER_DECADE) as u32;
        let reads_per_day = |n| libm::exp10(Self::FIRST_LOG10 + f64::from(n) / Self::PER_DECADE);
        Self((0..=count).map(|n| hit_ratio(reads_per_day(n), ttl_secs, changes_per_sec)).collect())
    }

    fn at(&self, reads_per_day: f64) -> f64 {
        let position = ((libm::log10(reads_per_day) - Self::FIRST_LOG10) * Self::PER_DECADE).max(0.0);
        let below = (position as usize).min(self.0.len().saturating_sub(2));
        let ratio = |n: usize| self.0.get(n).copied().unwrap_or(0.0);
        let part = (position - below as f64).min(1.0);
        ratio(below) + part * (ratio(below + 1) - ratio(below))
    }
}

/// The hit ratio of a value with this mean rate of reads over a day, kept for a time from its fetch, and replaced by
/// another at random moments.
///
/// Let `m(t)` be the rate of misses. The value is there at `t` if a miss within the time that it is kept put it there,
/// and no change came since: `m(t) = rate(t) × (1 - sum of m(s) × exp(-changes × (t - s)))`.
pub fn hit_ratio(reads_per_day: f64, ttl_secs: f64, changes_per_sec: f64) -> f64 {
    // A read within the step of a miss hits: half a step on average, hence the half in the number.
    let steps = libm::floor((ttl_secs / STEP_MAX_SECS).max(STEPS_PER_LIFE)) + 0.5;
    let step_secs = ttl_secs / steps;
    let kept = libm::exp(-changes_per_sec * step_secs);
    let kept_for_life = libm::exp(-changes_per_sec * step_secs * libm::floor(steps));
    // The misses of one life, as a ring.
    let mut misses = vec![0.0_f64; steps as usize];
    let warm_up = 2.0 * ttl_secs + DAY_SECS;
    let (mut there, mut missed, mut read) = (0.0_f64, 0.0, 0.0);
    let (mut slot, mut at) = (0, 0.0);
    while at < warm_up + DAY_SECS {
        let reads = reads_per_day * intensity(at) * step_secs / DAY_SECS;
        let miss = (1.0 - there).max(0.0) * -libm::expm1(-reads);
        let Some(oldest) = misses.get_mut(slot) else { break };
        there = (there + miss) * kept - *oldest * kept_for_life * kept;
        *oldest = miss;
        slot = (slot + 1) % misses.len();
        if at >= warm_up {
            missed += miss;
            read += reads;
        }
        at += step_secs;
    }
    1.0 - missed / read
}

struct Model<'a> {
    shape: &'a Shape,
    ttl_secs: f64,
    /// How often a compaction replaces a shard, and a page, per second.
    shard_changes: f64,
    page_changes: f64,
    shards: HitRatios,
    pages: Option<HitRatios>,
}

impl<'a> Model<'a> {
    fn new(shape: &'a Shape, ttl_secs: f64, change_rate: f64) -> Self {
        let compactions = shape.compactions_per_day(change_rate) / DAY_SECS;
        let shard_changes = compactions * shape.touched(shape.delta_customers());
        let page_changes = compactions * shape.pages_touched(shape.delta_customers());
        let shards = HitRatios::new(ttl_secs, shard_changes);
        let pages = (shape.pages > 0).then(|| HitRatios::new(ttl_secs, page_changes));
        Self { shape, ttl_secs, shard_changes, page_changes, shards, pages }
    }

    fn at(&self, pop: Pop) -> Tiers {
        let shape = self.shape;
        let classes = classes(shape, pop);
        let total: f64 = classes.iter().map(|class| class.objects * class.reads_per_day).sum();
        let isolates = pop.isolates(shape.customers);
        let page_reads = if shape.pages > 0 { total / shape.pages as f64 } else { 0.0 };
        let drop_days = if shape.is_immutable() {
            let in_isolate =
                |class: &Class| Class { reads_per_day: class.reads_per_day / isolates, ..*class };
            let pages = Class {
                objects: shape.pages as f64,
                reads_per_day: page_reads / isolates,
                bytes: shape.page_bytes,
            };
            let all: Vec<_> = classes.iter().map(in_isolate).chain([pages]).collect();
            drop_days(&all, OBJECT_CACHE_BYTES as f64)
        } else {
            0.0
        };
        // An isolate keeps a value for a while that it has just read from KV, so that within that time only the other
        // isolates find it there.
        let kept_secs = (drop_days * DAY_SECS).min(ISOLATE_LIFE_SECS);
        let others = 1.0 - (kept_secs / self.ttl_secs).min(1.0) / isolates;
        let parts = |reads_per_day: f64, changes_per_sec: f64, kv: &HitRatios| {
            let lost_per_day = DAY_SECS * (changes_per_sec + 1.0 / ISOLATE_LIFE_SECS);
            let memory = if shape.is_immutable() {
                memory_ratio(reads_per_day / isolates, lost_per_day, drop_days)
            } else {
                0.0
            };
            let hot = (1.0 - memory) * kv.at(reads_per_day * (1.0 - memory) * others);
            [memory, hot, 1.0 - memory - hot]
        };
        let in_memory = [1.0, 0.0, 0.0];
        let pages = self.pages.as_ref().map_or(in_memory, |kv| parts(page_reads, self.page_changes, kv));
        let mut objects = [0.0; 3];
        for class in &classes {
            let weight = class.objects * class.reads_per_day / total;
            let parts = parts(class.reads_per_day, self.shard_changes, &self.shards);
            objects.iter_mut().zip(parts).for_each(|(sum, part)| *sum += weight * part);
        }
        let heads = if shape.is_immutable() { head_parts(shape, pop) } else { in_memory };
        Tiers::of_parts([heads, pages, objects])
    }
}

/// Objects that are read equally often at a point of presence.
#[derive(Clone, Copy, Debug)]
struct Class {
    objects: f64,
    reads_per_day: f64,
    bytes: f64,
}

/// The objects of customers at a point of presence, by how often they are read.
fn classes(shape: &Shape, pop: Pop) -> Vec<Class> {
    let zipf = Zipf::of_customers();
    let customers = pop.customers(shape.customers);
    let class =
        |objects: f64, reads_per_day: f64| Class { objects, reads_per_day, bytes: shape.object_bytes };
    if !shape.is_immutable() {
        // Classes of customers, each a little less active than the one before, from one customer to all.
        let edge = |n: usize| libm::pow(customers, n as f64 / SAMPLES as f64 - 1.0);
        let nth = |n: usize| {
            let (from, to) = (if n == 0 { 0.0 } else { edge(n) }, edge(n + 1));
            let checks = (zipf.share(to) - zipf.share(from)) / (to - from) * CHECKS_PER_DAY;
            class((to - from) * customers, checks)
        };
        return (0..SAMPLES).map(nth).collect();
    }
    let objects = shape.objects as f64;
    let per_shard = customers / objects;
    if per_shard >= MIXED_BELOW {
        // Two kinds, one above the mean and one below, that vary as much as all do.
        let spread = libm::sqrt(zipf.mean_square() / per_shard);
        return [1.0 + spread, 1.0 - spread]
            .map(|factor| class(objects / 2.0, per_shard * CHECKS_PER_DAY * factor))
            .to_vec();
    }
    // Chance decides who shares a shard.
    let mut random = Random::new(SEED, 1 << 32 | pop.number as u64);
    let samples = SAMPLES * if per_shard < 1.0 { 8 } else { 1 };
    let mut activity = || (0..random.poisson(per_shard)).map(|_| zipf.activity(random.fraction())).sum();
    let mut activities: Vec<f64> = (0..samples).map(|_| activity()).collect();
    // The sample's mean is not quite that of all.
    let mean = activities.iter().sum::<f64>() / samples as f64;
    activities.retain(|activity| *activity > 0.0);
    let of = |activity: f64| class(objects / samples as f64, activity * per_shard / mean * CHECKS_PER_DAY);
    activities.into_iter().map(of).collect()
}

/// Days of average traffic after which a memory of `limit_bytes` has dropped an object that was not used.
fn drop_days(classes: &[Class], limit_bytes: f64) -> f64 {
    let held = |days: f64| -> f64 {
        classes
            .iter()
            .map(|class| class.objects * class.bytes * used_within(class.reads_per_day, 0.0, days))
            .sum()
    };
    let (mut low, mut high) = (0.0, 1e4);
    if held(high) <= limit_bytes {
        return high;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if held(middle) > limit_bytes { high = middle } else { low = middle }
    }
    low
}

/// The chance that an object was used within some days, and not lost since.
fn used_within(uses_per_day: f64, lost_per_day: f64, days: f64) -> f64 {
    let both = uses_per_day + lost_per_day;
    if both > 0.0 { uses_per_day / both * -libm::expm1(-both * days) } else { 0.0 }
}

/// The chance that an object is in an isolate's memory when it is used: an average over the hours. All uses are more
/// frequent in the evening, so that objects are dropped sooner then, but isolates end as at any time.
fn memory_ratio(uses_per_day: f64, lost_per_day: f64, drop_days: f64) -> f64 {
    hours().map(|busy| busy / 24.0 * used_within(uses_per_day * busy, lost_per_day, drop_days / busy)).sum()
}

/// The parts of checks that wait for no head, for one that KV has at the point of presence, and for a cold one.
///
/// An isolate that has read the head answers from it for [`HEAD_SECS`]. The next request reads it anew: behind itself
/// if it comes before [`HEAD_STALE_SECS`], else before its answer. On average `rate × HEAD_SECS + 1` requests come from
/// one reading to the next.
fn head_parts(shape: &Shape, pop: Pop) -> [f64; 3] {
    let isolates = pop.isolates(shape.customers);
    let per_sec = pop.checks_per_isolate(shape.customers);
    let mut parts = [0.0; 3];
    for busy in hours() {
        let rate = per_sec * busy;
        let waits = libm::exp(-rate * (HEAD_STALE_SECS - HEAD_SECS)) / (1.0 + rate * HEAD_SECS);
        // A new isolate has none.
        let new = (1.0 / (per_sec * ISOLATE_LIFE_SECS)).min(1.0);
        let waits = waits + (1.0 - waits) * new;
        let others = HEAD_SECS * (isolates - 1.0) * head_reads(rate);
        let hot = waits * others / (1.0 + others);
        for (sum, part) in parts.iter_mut().zip([1.0 - waits, hot, waits - hot]) {
            *sum += busy / 24.0 * part;
        }
    }
    parts
}

/// How often an isolate with this rate of requests per second reads the head, per second.
pub fn head_reads(rate: f64) -> f64 {
    if rate > 0.0 { 1.0 / (HEAD_SECS + 1.0 / rate) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::{layout::Layout, simulation};

    #[test]
    fn a_value_that_is_read_at_random_moments_hits_as_renewal_theory_says() {
        // With an even day the ratio is known: rate × life / (1 + rate × life). The profile is uneven, but for a value
        // that is read rarely only the mean matters while it is kept for whole days.
        for reads_per_day in [0.01, 0.05] {
            let expected = reads_per_day * 2.0 / (1.0 + reads_per_day * 2.0);
            let found = hit_ratio(reads_per_day, 2.0 * DAY_SECS, 0.0);
            assert!((found / expected - 1.0).abs() < 0.02, "{reads_per_day}: {found} {expected}");
        }
        // Read all the time, it is fetched anew every five minutes.
        assert!((1.0 - hit_ratio(1e6, 300.0, 0.0) - 288.0 / 1e6).abs() < 1e-5);
    }

    /// Large enough that chance plays no part, small enough to be quick.
    #[test]
    fn formulas_and_simulation_agree_at_half_a_million_customers() {
        for layout in [Layout::KeyPerCustomer, Layout::Shards(4 << 10), Layout::Shards(64 << 10)] {
            let shape = Shape::new(500_000, layout);
            let ttls = [300.0, DAY_SECS];
            for (ttl_secs, simulated) in ttls.into_iter().zip(simulation::day(&shape, ttls)) {
                let computed = day(&shape, ttl_secs, 0.0);
                for (name, of) in [
                    ("hit", Tiers::hit_ratio as fn(&Tiers) -> f64),
                    ("head", Tiers::head_ratio),
                    ("memory", Tiers::memory_ratio),
                ] {
                    let (left, right) = (of(&simulated), of(&computed));
                    assert!((left - right).abs() < 0.015, "{layout:?} {ttl_secs} {name}: {left} {right}");
                }
            }
        }
    }

    #[test]
    fn formula_and_simulation_agree_on_a_value_that_changes() {
        let computed = hit_ratio(12.0, 20_000.0, 1.0 / 30_000.0);
        let simulated = simulation::changing_value(12.0, 20_000.0, 1.0 / 30_000.0);
        assert!((simulated - computed).abs() < 0.01, "{simulated} {computed}");
    }
}
