//! Every check of some days, one after the other: who asks, which isolate answers, what it has to read.
//!
//! Points of presence share nothing, so each is simulated by itself. Nothing changes meanwhile: what changes
//! do to the caches is computed (`compute.rs`).

use std::thread;

use super::{
    assume::{CHECKS_PER_DAY, DAY_SECS, ISOLATE_LIFE_SECS, OBJECT_CACHE_BYTES, SEED},
    cache::{Expiring, Memory},
    random::{Random, mix},
    shape::Shape,
    tiers::{Source, Tiers},
    traffic::{Pop, activity, intensity},
};

/// Days that fill the caches before a day is counted: the longest that is simulated keeps values for one.
const WARM_UP_DAYS: f64 = 2.0;

/// How the checks of one day are answered at all points of presence, for each of some times for which KV keeps
/// a value. On two threads.
pub fn day<const N: usize>(shape: &Shape, ttls_secs: [f64; N]) -> [Tiers; N] {
    let pops = Pop::all();
    // The largest has a fifth of all checks, so that its thread gets every fourth of the others only.
    let of = |first: bool| {
        let mut sums = [Tiers::default(); N];
        for pop in pops.iter().filter(|pop| (pop.number % 4 == 0) == first) {
            sums.iter_mut().zip(at(shape, ttls_secs, *pop)).for_each(|(sum, tiers)| sum.add(&tiers, 1.0));
        }
        sums
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| of(true));
        let mut sums = of(false);
        // A thread that panicked has nothing to add; the cross-check notices.
        if let Ok(others) = other.join() {
            sums.iter_mut().zip(others).for_each(|(sum, tiers)| sum.add(&tiers, 1.0));
        }
        sums
    })
}

/// The same at one point of presence.
fn at<const N: usize>(shape: &Shape, ttls_secs: [f64; N], pop: Pop) -> [Tiers; N] {
    let mut random = Random::new(SEED, pop.number as u64);
    let activity = activity();
    let customers = libm::round(pop.customers(shape.customers)).max(1.0) as u64;
    // Keys are numbered here, since customers ask at one place only; shards are the same everywhere.
    let objects = if shape.immutable { shape.objects } else { customers };
    let mut kv = ttls_secs.map(|ttl_secs| Expiring::new((objects + shape.pages) as usize, ttl_secs));
    let mut isolates: Vec<_> =
        (0..pop.isolates(shape.customers) as u64).map(|_| Isolate::new(&mut random)).collect();
    let per_sec = customers as f64 * CHECKS_PER_DAY / DAY_SECS;
    let mut tiers = [Tiers::default(); N];
    let mut now = 0.0;
    while now < (WARM_UP_DAYS + 1.0) * DAY_SECS {
        let next = now + random.exponential(per_sec * intensity(now));
        let next_hour = (libm::floor(now / 3_600.0) + 1.0) * 3_600.0;
        if next >= next_hour {
            // Another rate from here on. Waiting anew changes nothing: the process has no memory.
            now = next_hour;
            continue;
        }
        now = next;
        let customer = (activity.draw(&mut random) * customers as f64) as u64;
        let chosen = random.below(isolates.len() as u64) as usize;
        let Some(isolate) = isolates.get_mut(chosen) else { break };
        isolate.live_until(now, &mut random);
        let (mut page, mut object) = (None, Some(customer));
        if shape.immutable {
            let shard = shard_of(customer, pop, shape.objects);
            if shape.pages > 0 {
                let number = shape.objects + shard / (shape.objects / shape.pages);
                page = (!isolate.memory.use_object(number, shape.page_bytes)).then_some(number);
            }
            object = (!isolate.memory.use_object(shard, shape.object_bytes)).then_some(shard);
        }
        for (kv, tiers) in kv.iter_mut().zip(&mut tiers) {
            let mut source = |wanted: Option<u64>| match wanted {
                None => Source::Memory,
                Some(number) if kv.read(number as usize, now) => Source::Hot,
                Some(_) => Source::Cold,
            };
            let (page, object) = (source(page), source(object));
            if now >= WARM_UP_DAYS * DAY_SECS {
                tiers.count(page, object);
            }
        }
    }
    tiers
}

/// The shard of a customer: anyone's may lie in any, as a hash decides.
const fn shard_of(customer: u64, pop: Pop, shards: u64) -> u64 {
    mix(customer ^ ((pop.number as u64 + 1) << 40)) & (shards - 1)
}

struct Isolate {
    memory: Memory,
    ends_at: f64,
}

impl Isolate {
    fn new(random: &mut Random) -> Self {
        let ends_at = random.exponential(1.0 / ISOLATE_LIFE_SECS);
        Self { memory: Memory::new(OBJECT_CACHE_BYTES as f64), ends_at }
    }

    fn live_until(&mut self, now: f64, random: &mut Random) {
        while self.ends_at <= now {
            self.ends_at += random.exponential(1.0 / ISOLATE_LIFE_SECS);
            self.memory.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::shape::Layout;

    #[test]
    fn the_same_day_twice_is_the_same() {
        let shape = Shape::new(20_000, Layout::Shards(16 << 10));
        assert_eq!(day(&shape, [300.0]), day(&shape, [300.0]));
    }

    #[test]
    fn as_many_checks_come_as_customers_make() {
        let [checks] = day(&Shape::new(200_000, Layout::KeyPerCustomer), [300.0]);
        assert!((checks.total() / 100_000.0 - 1.0).abs() < 0.02, "{}", checks.total());
    }

    #[test]
    fn values_that_are_kept_longer_are_cold_less_often() {
        let shape = Shape::new(100_000, Layout::Shards(64 << 10));
        let [short, long] = day(&shape, [300.0, DAY_SECS]);
        assert!(long.cold_reads() < short.cold_reads() / 2.0, "{short:?} {long:?}");
        let [keys] = day(&Shape::new(100_000, Layout::KeyPerCustomer), [DAY_SECS]);
        assert!(long.cold_reads() < keys.cold_reads() / 2.0, "{keys:?}");
    }
}
