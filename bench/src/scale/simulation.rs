//! Every check of three days, one after the other: who asks, which isolate answers, what it has to read. Checks the
//! formulas of [`super::caches`] at one size. Points of presence share nothing, and nothing changes meanwhile.

use lru::LruCache;

use super::{
    assume::{
        CHECKS_PER_DAY, DAY_SECS, HEAD_SECS, HEAD_STALE_SECS, ISOLATE_LIFE_SECS, OBJECT_CACHE_BYTES, SEED,
    },
    demand::{Pop, Random, STEP, Zipf, intensity},
    layout::Shape,
    tiers::{Source, Tiers},
};
use admit::snapshot::key::mix;

/// Days that fill the caches before a day is counted: the longest `cacheTtl` of the comparison is one day.
const WARM_UP_SECS: f64 = 2.0 * DAY_SECS;

/// How the checks of one day are answered at all points of presence, for each `cacheTtl`.
pub fn day<const N: usize>(shape: &Shape, ttls_secs: [f64; N]) -> [Tiers; N] {
    let mut sums = [Tiers::default(); N];
    for pop in Pop::all() {
        sums.iter_mut().zip(at(shape, ttls_secs, pop)).for_each(|(sum, tiers)| sum.add(&tiers, 1.0));
    }
    sums
}

fn at<const N: usize>(shape: &Shape, ttls_secs: [f64; N], pop: Pop) -> [Tiers; N] {
    let mut random = Random::new(SEED, pop.number as u64);
    let activity = Zipf::of_customers();
    let customers = pop.customers(shape.customers).round().max(1.0);
    // Keys are numbered here, since customers ask at one place only; shards are the same everywhere.
    let objects = if shape.is_immutable() { shape.objects } else { customers as u64 };
    let mut kv = ttls_secs.map(|ttl_secs| Expiring::new((objects + shape.pages) as usize, ttl_secs));
    let mut heads = Expiring::new(1, HEAD_SECS);
    let mut isolates: Vec<_> =
        (0..pop.isolates(shape.customers) as u64).map(|_| Isolate::new(&mut random)).collect();
    let mut tiers = [Tiers::default(); N];
    let mut now = 0.0;
    while now < WARM_UP_SECS + DAY_SECS {
        let rate = customers * CHECKS_PER_DAY / DAY_SECS * intensity(now);
        let Some(next) = next_event(&mut now, rate, &mut random) else { continue };
        let customer = (activity.draw(&mut random) * customers) as u64;
        let chosen = below(&mut random, isolates.len());
        let isolate = &mut isolates[chosen];
        isolate.live_until(next, &mut random);
        let (mut head, mut page, mut object) = (Source::Memory, None, Some(customer));
        if shape.is_immutable() {
            head = isolate.head(next, &mut heads);
            // A hash decides in which shard a customer lies.
            let shard =
                mix((customer ^ ((pop.number as u64 + 1) << 40)).wrapping_sub(STEP)) & (shape.objects - 1);
            if let Some(per_page) = shape.objects.checked_div(shape.pages) {
                let number = shape.objects + shard / per_page;
                page = (!isolate.has(number, shape.page_bytes)).then_some(number);
            }
            object = (!isolate.has(shard, shape.object_bytes)).then_some(shard);
        }
        for (kv, tiers) in kv.iter_mut().zip(&mut tiers) {
            let mut source = |wanted: Option<u64>| match wanted {
                None => Source::Memory,
                Some(number) if kv.read(number as usize, next) => Source::Hot,
                Some(_) => Source::Cold,
            };
            let way = [head, source(page), source(object)];
            if next >= WARM_UP_SECS {
                tiers.count(way);
            }
        }
    }
    tiers
}

/// The hit ratio of one value of KV that is replaced at random moments, over 4,000 days.
pub fn changing_value(reads_per_day: f64, ttl_secs: f64, changes_per_sec: f64) -> f64 {
    let mut random = Random::new(7, 7);
    let (mut hits, mut reads) = (0.0, 0.0);
    for _ in 0..4_000 {
        let mut value = Expiring::new(1, ttl_secs);
        let mut change_at = exponential(&mut random, changes_per_sec);
        let mut now = 0.0;
        while now < WARM_UP_SECS + DAY_SECS {
            let rate = reads_per_day * intensity(now) / DAY_SECS;
            let Some(next) = next_event(&mut now, rate, &mut random) else { continue };
            if change_at <= next {
                value = Expiring::new(1, ttl_secs);
                change_at = next + exponential(&mut random, changes_per_sec);
            }
            let hit = value.read(0, next);
            if next >= WARM_UP_SECS {
                reads += 1.0;
                hits += f64::from(hit);
            }
        }
    }
    hits / reads
}

/// Moves `now` on to the next of events that come at random, and returns it; none before the next hour, which has
/// another rate. To wait anew from there changes nothing: the process has no memory.
fn next_event(now: &mut f64, rate: f64, random: &mut Random) -> Option<f64> {
    let next = *now + exponential(random, rate);
    let next_hour = ((*now / 3_600.0).floor() + 1.0) * 3_600.0;
    *now = next.min(next_hour);
    (next < next_hour).then_some(next)
}

fn exponential(random: &mut Random, rate: f64) -> f64 {
    -libm::log(random.fraction()) / rate
}

fn below(random: &mut Random, bound: usize) -> usize {
    ((u128::from(random.next()) * bound as u128) >> 64) as usize
}

/// Values of KV at a point of presence. Each is kept for a time from its fetch, however often it is read.
struct Expiring {
    fetched_at: Vec<f64>,
    ttl_secs: f64,
}

impl Expiring {
    fn new(values: usize, ttl_secs: f64) -> Self {
        Self { fetched_at: vec![f64::NEG_INFINITY; values], ttl_secs }
    }

    /// Whether a value is there. It is afterwards.
    fn read(&mut self, number: usize, now: f64) -> bool {
        let fetched_at = &mut self.fetched_at[number];
        let is_there = now - *fetched_at < self.ttl_secs;
        if !is_there {
            *fetched_at = now;
        }
        is_there
    }
}

/// An isolate: objects in memory by number with their sizes, least recently used out first.
struct Isolate {
    objects: LruCache<u64, f64>,
    bytes: f64,
    ends_at: f64,
    head_at: f64,
}

impl Isolate {
    fn new(random: &mut Random) -> Self {
        let ends_at = exponential(random, 1.0 / ISOLATE_LIFE_SECS);
        Self { objects: LruCache::unbounded(), bytes: 0.0, ends_at, head_at: f64::NEG_INFINITY }
    }

    fn live_until(&mut self, now: f64, random: &mut Random) {
        while self.ends_at <= now {
            self.ends_at += exponential(random, 1.0 / ISOLATE_LIFE_SECS);
            self.objects.clear();
            (self.bytes, self.head_at) = (0.0, f64::NEG_INFINITY);
        }
    }

    /// Whether an object is in memory. It is afterwards, and counts as used now.
    fn has(&mut self, number: u64, bytes: f64) -> bool {
        if self.objects.get(&number).is_some() {
            return true;
        }
        self.objects.put(number, bytes);
        self.bytes += bytes;
        while self.bytes > OBJECT_CACHE_BYTES as f64 && self.objects.len() > 1 {
            self.bytes -= self.objects.pop_lru().unwrap().1;
        }
        false
    }

    /// From where the head came that a request waited for. A hot head has a hot delta: both were read together.
    fn head(&mut self, now: f64, heads: &mut Expiring) -> Source {
        let age = now - self.head_at;
        if age < HEAD_SECS {
            return Source::Memory;
        }
        self.head_at = now;
        match (age < HEAD_STALE_SECS, heads.read(0, now)) {
            // Read behind the request.
            (true, _) => Source::Memory,
            (false, true) => Source::Hot,
            (false, false) => Source::Cold,
        }
    }
}
