//! Every check of some days, one after the other: who asks, which isolate answers, what it has to read.
//!
//! Points of presence share nothing, so each is simulated by itself. Nothing changes meanwhile: what changes
//! do to the caches is computed (`compute.rs`).

use std::thread;

use super::{
    assume::{
        CHECKS_PER_DAY, DAY_SECS, HEAD_SECS, HEAD_STALE_SECS, ISOLATE_LIFE_SECS, OBJECT_CACHE_BYTES, SEED,
    },
    cache::{Expiring, Memory},
    random::{Random, mix},
    shape::Shape,
    tiers::{Source, Tiers, Way},
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
    let mut heads = Expiring::new(1, HEAD_SECS);
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
        let (mut head, mut page, mut object) = (Source::Memory, None, Some(customer));
        if shape.immutable {
            head = isolate.head(now, &mut heads);
            let shard = shard_of(customer, pop, shape.objects);
            if let Some(per_page) = shape.objects.checked_div(shape.pages) {
                let number = shape.objects + shard / per_page;
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
            let way = Way { head, page: source(page), object: source(object) };
            if now >= WARM_UP_DAYS * DAY_SECS {
                tiers.count(way);
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
    /// When it read the head.
    head_at: f64,
}

impl Isolate {
    fn new(random: &mut Random) -> Self {
        let ends_at = random.exponential(1.0 / ISOLATE_LIFE_SECS);
        Self { memory: Memory::new(OBJECT_CACHE_BYTES as f64), ends_at, head_at: f64::NEG_INFINITY }
    }

    fn live_until(&mut self, now: f64, random: &mut Random) {
        while self.ends_at <= now {
            self.ends_at += random.exponential(1.0 / ISOLATE_LIFE_SECS);
            self.memory.clear();
            self.head_at = f64::NEG_INFINITY;
        }
    }

    /// Where the head came from that a request waited for. Whoever reads a head that is hot finds its delta
    /// hot as well, because somebody has read both.
    fn head(&mut self, now: f64, heads: &mut Expiring) -> Source {
        let age = now - self.head_at;
        if age < HEAD_SECS {
            return Source::Memory;
        }
        self.head_at = now;
        let is_hot = heads.read(0, now);
        match (age < HEAD_STALE_SECS, is_hot) {
            // Read behind the request.
            (true, _) => Source::Memory,
            (false, true) => Source::Hot,
            (false, false) => Source::Cold,
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
        assert!(long.hit_ratio() > short.hit_ratio() + 0.1, "{short:?} {long:?}");
        // The head is another matter.
        assert!((long.head_ratio() - short.head_ratio()).abs() < 1e-9);
        assert!((long.memory_ratio() - short.memory_ratio()).abs() < 1e-9);
    }

    #[test]
    fn the_three_ages_of_a_head() {
        let mut random = Random::new(1, 1);
        let (mut isolate, mut heads) = (Isolate::new(&mut random), Expiring::new(1, HEAD_SECS));
        for (now, source) in [
            (1_000.0, Source::Cold),
            (1_029.0, Source::Memory),
            // Read behind the request, so that the next 30 s begin here.
            (1_031.0, Source::Memory),
            (1_060.0, Source::Memory),
            (1_091.0, Source::Cold),
        ] {
            assert_eq!(isolate.head(now, &mut heads), source, "{now}");
        }
        // Another isolate of the same place, which KV has it for.
        assert_eq!(Isolate::new(&mut random).head(1_120.0, &mut heads), Source::Hot);
    }
}
