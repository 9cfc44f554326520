//! The same caches by formula, for businesses too large to simulate, and for what changes do to them.
//!
//! An isolate's memory: Che's approximation of an LRU cache (Che, Tung and Wang, 2002). There is one time
//! after which whatever was not used has been dropped, the same for all objects, and it is such that what was
//! used within it just fills the memory. It is exact for many objects and holds for unequal sizes.
//!
//! KV at a point of presence: the renewal equation of a cache in which a value stays for a fixed time from its
//! fetch, solved over the hours of a day.

use super::{
    assume::{
        CHECKS_PER_DAY, DAY_SECS, HEAD_SECS, HEAD_STALE_SECS, ISOLATE_LIFE_SECS, OBJECT_CACHE_BYTES, SEED,
    },
    random::Random,
    shape::Shape,
    tiers::Tiers,
    traffic::{Pop, activity, intensity},
};

/// Steps in which a value's life is cut.
const STEPS_PER_LIFE: f64 = 50.5;

/// Longest step: the day's profile has steps of an hour.
const STEP_MAX_SECS: f64 = 450.0;

/// Shards with fewer customers at a place than this are drawn by lot; more, and they differ little.
const MIXED_BELOW: f64 = 48.0;

/// Shards that stand for all where they differ, and classes of customers.
const SAMPLES: usize = 300;

/// Table of a cache's hit ratio by how often a value is read.
struct HitRatios {
    ratios: Vec<f64>,
}

impl HitRatios {
    const FIRST_LOG10: f64 = -6.0;
    const PER_DECADE: f64 = 16.0;
    const DECADES: f64 = 14.0;

    fn new(ttl_secs: f64, changes_per_sec: f64) -> Self {
        let count = (Self::DECADES * Self::PER_DECADE) as u32;
        let reads_per_day = |n| libm::exp10(Self::FIRST_LOG10 + f64::from(n) / Self::PER_DECADE);
        let ratio = |n| hit_ratio(reads_per_day(n), ttl_secs, changes_per_sec);
        Self { ratios: (0..=count).map(ratio).collect() }
    }

    fn at(&self, reads_per_day: f64) -> f64 {
        let position = ((libm::log10(reads_per_day) - Self::FIRST_LOG10) * Self::PER_DECADE).max(0.0);
        let below = (position as usize).min(self.ratios.len().saturating_sub(2));
        let ratio = |n: usize| self.ratios.get(n).copied().unwrap_or(0.0);
        let part = (position - below as f64).min(1.0);
        ratio(below) + part * (ratio(below + 1) - ratio(below))
    }
}

/// The hit ratio of a value that is read so often on average over a day, kept for a time from its fetch, and
/// replaced by another at random moments.
///
/// Let `m(t)` be the rate of misses. The value is there at `t` if a miss within the time that it is kept put
/// it there, and no change came since: `m(t) = rate(t) × (1 - sum of m(s) × exp(-changes × (t - s)))`.
fn hit_ratio(reads_per_day: f64, ttl_secs: f64, changes_per_sec: f64) -> f64 {
    // What is read within the step of a miss hits: half a step on average, hence the half in the number.
    let steps = libm::floor((ttl_secs / STEP_MAX_SECS).max(STEPS_PER_LIFE)) + 0.5;
    let step_secs = ttl_secs / steps;
    let kept = libm::exp(-changes_per_sec * step_secs);
    let kept_for_life = libm::exp(-changes_per_sec * step_secs * libm::floor(steps));
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

/// How checks are answered at all points of presence when a fraction of customers changes in a day.
pub fn day(shape: &Shape, ttl_secs: f64, change_rate: f64) -> Tiers {
    let model = Model::new(shape, ttl_secs, change_rate);
    let mut sum = Tiers::default();
    for pop in Pop::all() {
        sum.add(&model.at(pop), pop.share);
    }
    sum
}

/// The same at one point of presence.
pub fn at(shape: &Shape, ttl_secs: f64, change_rate: f64, pop: Pop) -> Tiers {
    Model::new(shape, ttl_secs, change_rate).at(pop)
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
        let full = super::shape::delta_customers();
        let shard_changes = compactions * shape.touched(full);
        let page_changes = compactions * shape.pages_touched(full);
        Self {
            shape,
            ttl_secs,
            shard_changes,
            page_changes,
            shards: HitRatios::new(ttl_secs, shard_changes),
            pages: (shape.pages > 0).then(|| HitRatios::new(ttl_secs, page_changes)),
        }
    }

    fn at(&self, pop: Pop) -> Tiers {
        let shape = self.shape;
        let classes = classes(shape, pop);
        let total: f64 = classes.iter().map(|class| class.objects * class.reads_per_day).sum();
        let isolates = pop.isolates(shape.customers);
        let page_reads = if shape.pages > 0 { total / shape.pages as f64 } else { 0.0 };
        let lost = |changes_per_sec: f64| DAY_SECS * (changes_per_sec + 1.0 / ISOLATE_LIFE_SECS);
        let drop_days = if shape.immutable {
            let mut all = classes.clone();
            all.iter_mut().for_each(|class| class.reads_per_day /= isolates);
            all.push(Class {
                objects: shape.pages as f64,
                reads_per_day: page_reads / isolates,
                bytes: shape.page_bytes,
            });
            drop_days(&all, OBJECT_CACHE_BYTES as f64)
        } else {
            0.0
        };
        // What an isolate has just read from KV it keeps for a while, so that within that time only the
        // others find it there.
        let kept_secs = (drop_days * DAY_SECS).min(ISOLATE_LIFE_SECS);
        let others = 1.0 - (kept_secs / self.ttl_secs).min(1.0) / isolates;
        let parts = |reads_per_day: f64, changes: f64, kv: &HitRatios| {
            let memory = if shape.immutable {
                memory_ratio(reads_per_day / isolates, lost(changes), drop_days)
            } else {
                0.0
            };
            let hot = (1.0 - memory) * kv.at(reads_per_day * (1.0 - memory) * others);
            [memory, hot, 1.0 - memory - hot]
        };
        let pages = match &self.pages {
            Some(kv) => parts(page_reads, self.page_changes, kv),
            None => [1.0, 0.0, 0.0],
        };
        let mut objects = [0.0; 3];
        for class in &classes {
            let weight = class.objects * class.reads_per_day / total;
            let parts = parts(class.reads_per_day, self.shard_changes, &self.shards);
            objects.iter_mut().zip(parts).for_each(|(sum, part)| *sum += weight * part);
        }
        let heads = if shape.immutable { head_parts(shape, pop) } else { [1.0, 0.0, 0.0] };
        Tiers::of_parts(heads, pages, objects)
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
    let zipf = activity();
    let bytes = shape.object_bytes;
    let customers = pop.customers(shape.customers);
    if !shape.immutable {
        // Classes of customers, each a little less active than the one before, from one customer to all.
        let edge = |n: usize| libm::pow(customers, n as f64 / SAMPLES as f64 - 1.0);
        let class = |n: usize| {
            let (from, to) = (if n == 0 { 0.0 } else { edge(n) }, edge(n + 1));
            let checks = (zipf.share(to) - zipf.share(from)) / (to - from) * CHECKS_PER_DAY;
            Class { objects: (to - from) * customers, reads_per_day: checks, bytes }
        };
        return (0..SAMPLES).map(class).collect();
    }
    let per_shard = customers / shape.objects as f64;
    if per_shard >= MIXED_BELOW {
        // Two kinds, one above the mean and one below, that vary as much as all do.
        let spread = libm::sqrt(zipf.mean_square() / per_shard);
        let class = |factor: f64| Class {
            objects: shape.objects as f64 / 2.0,
            reads_per_day: per_shard * CHECKS_PER_DAY * factor,
            bytes,
        };
        return vec![class(1.0 + spread), class(1.0 - spread)];
    }
    // Chance decides who shares a shard.
    let mut random = Random::new(SEED, 1 << 32 | pop.number as u64);
    let samples = SAMPLES * if per_shard < 1.0 { 8 } else { 1 };
    let mut activities: Vec<f64> = (0..samples)
        .map(|_| {
            let customers_here = random.poisson(per_shard);
            (0..customers_here).map(|_| zipf.activity(random.fraction())).sum()
        })
        .collect();
    // The sample's mean is not quite that of all.
    let mean = activities.iter().sum::<f64>() / samples as f64;
    activities.retain(|activity| *activity > 0.0);
    let class = |activity: f64| Class {
        objects: shape.objects as f64 / samples as f64,
        reads_per_day: activity * per_shard / mean * CHECKS_PER_DAY,
        bytes,
    };
    activities.into_iter().map(class).collect()
}

/// Days of average traffic after which a memory of so many bytes has dropped an object that was not used.
fn drop_days(classes: &[Class], limit_bytes: f64) -> f64 {
    let held = |days: f64| -> f64 {
        let part = |class: &Class| used_within(class.reads_per_day, 0.0, days);
        classes.iter().map(|class| class.objects * class.bytes * part(class)).sum()
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

/// The chance that an object which is used so often is in an isolate's memory when it is used: an average
/// over the hours. All uses are more frequent in the evening, so that objects are dropped sooner then, but
/// isolates end as at any time.
fn memory_ratio(uses_per_day: f64, lost_per_day: f64, drop_days: f64) -> f64 {
    let hours = (0..24_u32).map(|hour| {
        let busy = intensity(f64::from(hour) * 3_600.0);
        busy / 24.0 * used_within(uses_per_day * busy, lost_per_day, drop_days / busy)
    });
    hours.sum()
}

/// Checks that wait for no head, for one that KV has at the point of presence, and for one that it has not.
///
/// An isolate that has read the head answers from it for [`HEAD_SECS`]. The next request reads it anew: behind
/// itself if it comes before [`HEAD_STALE_SECS`], else before its answer. On average `rate × HEAD_SECS + 1`
/// requests come from one reading to the next.
fn head_parts(shape: &Shape, pop: Pop) -> [f64; 3] {
    let isolates = pop.isolates(shape.customers);
    let per_sec = pop.checks_per_day(shape.customers) / isolates / DAY_SECS;
    let mut parts = [0.0; 3];
    for hour in 0..24_u32 {
        let busy = intensity(f64::from(hour) * 3_600.0);
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

/// How often an isolate reads the head, per second, that gets so many requests per second.
pub fn head_reads(rate: f64) -> f64 {
    if rate > 0.0 { 1.0 / (HEAD_SECS + 1.0 / rate) } else { 0.0 }
}

#[cfg(test)]
mod tests;
