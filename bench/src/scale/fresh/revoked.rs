//! Follows single revocations: from the publish to the last answer that does not know of it.
//!
//! A viewer asks twice a second at one point of presence, on one connection to one isolate, which other viewers ask too.
//! Their access is taken away at second 0. The last isolate of the place is told beside that: it matters to a viewer who
//! asks all of them. An isolate asks the lane, and KV, as the Worker does: behind an
//! answer while it is in use, before an answer if it slept. The point of presence has a cache for each of the two.

use super::{
    super::{
        assume::{HEAD_SECS, HEAD_STALE_SECS, HOT_MS, SEED},
        demand::{Pop, Random, hours},
    },
    assume::{
        ASK_SECS, FRESH_SECS, HEAD_CACHE_SECS, KV_VISIBLE_SECS, LANE_PAUSE_SECS, LANE_TIMEOUT_SECS,
        OBJECT_MS, PURGE_MS, SAMPLES, SLEPT_SECS, TAIL,
    },
};
use crate::scale::assume::COLD_MS;

/// Seconds before the revocation in which the caches fill.
const WARM_UP_SECS: f64 = 150.0;

/// Seconds before the revocation from which the viewer asks.
const ASKS_FROM_SECS: f64 = -10.0;

/// Seconds after which an edge that still does not know counts as one that never will.
const END_SECS: f64 = 300.0;

/// What happens to the purge of a revocation.
#[derive(Clone, Debug)]
pub enum Purge {
    /// It is sent after one of these waits, in seconds, each equally likely.
    After(Vec<f64>),
    /// It is lost, or was never sent.
    Lost,
}

/// How the head reaches isolates.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Seconds between two questions to the lane; `None` without a lane that answers.
    pub fresh_secs: Option<f64>,
    /// How long a point of presence keeps the lane's answer, in seconds.
    pub max_age_secs: f64,
    /// The same while no purge can be sent at once.
    pub short_secs: f64,
    /// For how much longer it answers with it while it asks for the next, in seconds.
    pub stale_secs: f64,
    /// What happens to purges.
    pub purge: Purge,
}

/// Where the viewer asks.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// One point of presence, by its number.
    One(usize),
    /// Any, as viewers are spread.
    Any,
    /// The same; the viewer asks every isolate there in turn, until the last one knows.
    AnyInTurn,
}

/// Delays, in seconds, in their order.
#[derive(Clone, Debug)]
pub struct Delays(Vec<f64>);

impl Delays {
    /// The delay that a fraction of revocations do not exceed.
    pub fn percentile(&self, fraction: f64) -> f64 {
        let at = (fraction * self.0.len() as f64).ceil() as usize;
        self.0.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub fn max(&self) -> f64 {
        self.percentile(1.0)
    }
}

/// Delays of [`SAMPLES`] revocations in a business of this size.
pub fn delays(scene: &Scene, customers: u64, place: Place) -> Delays {
    let pops = Pop::all();
    let mut random = Random::new(SEED, 3 << 40);
    let mut delays: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let pop = match place {
                Place::One(number) => pops.get(number).copied(),
                Place::Any | Place::AnyInTurn => drawn(&pops, random.fraction(), |pop| pop.share),
            };
            let hour = drawn(&hours().collect::<Vec<_>>(), random.fraction(), |busy| busy / 24.0);
            pop.zip(hour).map_or(f64::NAN, |(pop, busy)| {
                let rate = pop.checks_per_isolate(customers) * busy;
                let mut here = Here::new(scene, pop.isolates(customers) as usize, rate, &mut random);
                let asked = if matches!(place, Place::AnyInTurn) { here.isolates.len() } else { 1 };
                here.delay(asked, &mut random)
            })
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    Delays(delays)
}

/// The one of `all` at which the sum of parts reaches `fraction`.
fn drawn<T: Copy>(all: &[T], fraction: f64, part: impl Fn(&T) -> f64) -> Option<T> {
    let mut sum = 0.0;
    let reached = all.iter().find(|one| {
        sum += part(one);
        sum >= fraction
    });
    reached.or(all.last()).copied()
}

/// A time with this median, in seconds.
fn tailed(median_ms: f64, random: &mut Random) -> f64 {
    // Box and Muller; the 99th percentile of a normal distribution is 2.326.
    let normal = libm::sqrt(-2.0 * libm::log(random.fraction()))
        * libm::cos(std::f64::consts::TAU * random.fraction());
    median_ms / 1e3 * libm::exp(normal * libm::log(TAIL) / 2.326)
}

fn exponential(rate: f64, random: &mut Random) -> f64 {
    if rate > 0.0 { -libm::log(random.fraction()) / rate } else { f64::INFINITY }
}

/// A head in a cache of the point of presence.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// From when it is there.
    from: f64,
    until: f64,
    /// Whether it has the revocation.
    is_new: bool,
}

#[derive(Clone, Copy, Debug)]
struct Isolate {
    /// When the lane was asked last, with success.
    lane_at: f64,
    /// The lane is left alone until then.
    paused_until: f64,
    pause: f64,
    /// When KV was asked last.
    kv_at: f64,
    /// From when it answers from a head with the revocation.
    new_from: f64,
    /// When another viewer's question next makes it ask for its head.
    next_at: f64,
}

/// A point of presence.
struct Here<'a> {
    scene: &'a Scene,
    /// Other viewers' questions to each isolate, a second.
    rate: f64,
    isolates: Vec<Isolate>,
    lane: Option<Kept>,
    kv: Option<Kept>,
    /// From when the Durable Object has the revocation.
    stored_at: f64,
    purged_at: f64,
    /// How long the lane's answers are kept. All are brief if the purge has to wait: those from before the last purge are
    /// gone, and since then none could be sent at once.
    max_age_secs: f64,
    /// From when KV shows the revocation here.
    visible_at: f64,
}

impl<'a> Here<'a> {
    fn new(scene: &'a Scene, isolates: usize, rate: f64, random: &mut Random) -> Self {
        let stored_at = tailed(OBJECT_MS, random);
        let (purged_at, max_age_secs) = match &scene.purge {
            Purge::Lost => (f64::INFINITY, scene.max_age_secs),
            Purge::After(waits) => {
                let at = (random.fraction() * waits.len() as f64) as usize;
                let wait = waits.get(at).copied().unwrap_or(0.0);
                let max_age_secs = if wait > 0.0 { scene.short_secs } else { scene.max_age_secs };
                (stored_at + wait + tailed(PURGE_MS, random), max_age_secs)
            }
        };
        let visible_at = random.fraction() * KV_VISIBLE_SECS;
        let isolate = |random: &mut Random| {
            // Asked at some moment before; the warm-up forgets it.
            let asked_at = -WARM_UP_SECS - random.fraction() * HEAD_SECS;
            Isolate {
                lane_at: asked_at,
                paused_until: f64::NEG_INFINITY,
                pause: LANE_PAUSE_SECS,
                kv_at: asked_at,
                new_from: f64::INFINITY,
                next_at: -WARM_UP_SECS + exponential(rate, random),
            }
        };
        let isolates = (0..isolates).map(|_| isolate(random)).collect();
        // Values of any age, so that places do not ask for the next at the same moment.
        let kept = |secs: f64, random: &mut Random| {
            let until = -WARM_UP_SECS + random.fraction() * secs;
            Some(Kept { from: f64::NEG_INFINITY, until, is_new: false })
        };
        let (lane, kv) = (kept(max_age_secs, random), kept(HEAD_CACHE_SECS, random));
        Self { scene, rate, isolates, lane, kv, stored_at, purged_at, max_age_secs, visible_at }
    }

    /// Seconds from the publish to the viewer's first answer after the last old one, if they ask this number of isolates.
    fn delay(&mut self, asked: usize, random: &mut Random) -> f64 {
        let mut asks_at = ASKS_FROM_SECS + random.fraction() * ASK_SECS;
        let mut delay = None;
        loop {
            let others = self.isolates.iter().enumerate();
            let next = others.map(|(at, isolate)| (isolate.next_at, at)).min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((other_at, other)) = next else { return f64::NAN };
            if other_at < asks_at {
                self.ask(other, other_at, random);
                continue;
            }
            let chosen = (random.fraction() * asked as f64) as usize;
            let is_new = self.ask(chosen, asks_at, random);
            if asks_at >= 0.0 {
                match (is_new, delay) {
                    (true, None) => delay = Some(asks_at),
                    (false, _) => delay = None,
                    _ => {}
                }
                let all_know = self.isolates.iter().take(asked).all(|isolate| isolate.new_from <= asks_at);
                if (all_know && delay.is_some()) || asks_at > END_SECS {
                    return delay.unwrap_or(END_SECS);
                }
            }
            asks_at += ASK_SECS;
        }
    }

    /// A question at `now` to an isolate. Whether its answer knows of the revocation.
    fn ask(&mut self, number: usize, now: f64, random: &mut Random) -> bool {
        let Some(mut isolate) = self.isolates.get(number).copied() else { return false };
        let mut answered_at = now;
        if let Some(fresh_secs) = self.scene.fresh_secs
            && now - isolate.lane_at >= fresh_secs
            && now >= isolate.paused_until
        {
            let slept = now - isolate.lane_at >= fresh_secs * SLEPT_SECS / FRESH_SECS;
            let (took, is_new) = self.ask_lane(now, random);
            if took <= LANE_TIMEOUT_SECS {
                (isolate.lane_at, isolate.pause) = (now, LANE_PAUSE_SECS);
                if is_new {
                    isolate.new_from = isolate.new_from.min(now + took);
                }
            } else {
                isolate.paused_until = now + LANE_TIMEOUT_SECS + isolate.pause;
                isolate.pause = (2.0 * isolate.pause).min(60.0);
            }
            if slept {
                answered_at = answered_at.max(now + took.min(LANE_TIMEOUT_SECS));
            }
        }
        if now - isolate.kv_at >= HEAD_SECS {
            let slept = now - isolate.kv_at >= HEAD_STALE_SECS;
            let (took, is_new) = self.ask_kv(now, random);
            isolate.kv_at = now;
            if is_new {
                isolate.new_from = isolate.new_from.min(now + took);
            }
            if slept {
                answered_at = answered_at.max(now + took);
            }
        }
        let lane_due = self
            .scene
            .fresh_secs
            .map_or(f64::INFINITY, |fresh_secs| (isolate.lane_at + fresh_secs).max(isolate.paused_until));
        let due = lane_due.min(isolate.kv_at + HEAD_SECS).max(now);
        isolate.next_at = due + exponential(self.rate, random);
        if let Some(own) = self.isolates.get_mut(number) {
            *own = isolate;
        }
        isolate.new_from <= answered_at
    }

    /// How long the lane takes, and whether its head has the revocation.
    fn ask_lane(&mut self, now: f64, random: &mut Random) -> (f64, bool) {
        let hot = HOT_MS / 1e3;
        let kept = self.lane.filter(|kept| {
            // One that arrives during the purge stays: whether the cache drops it is not documented.
            let is_purged = kept.from < self.purged_at && self.purged_at <= now;
            now < kept.until + self.scene.stale_secs && !is_purged
        });
        if let Some(kept) = kept.filter(|kept| now < kept.until) {
            return ((kept.from - now).max(0.0) + hot, kept.is_new);
        }
        let took = tailed(OBJECT_MS, random);
        let is_new = now + took / 2.0 >= self.stored_at;
        self.lane = Some(Kept { from: now + took, until: now + took + self.max_age_secs, is_new });
        // A stale one answers while the next is on its way.
        kept.map_or((took, is_new), |kept| (hot, kept.is_new))
    }

    /// The same for KV.
    fn ask_kv(&mut self, now: f64, random: &mut Random) -> (f64, bool) {
        if let Some(kept) = self.kv.filter(|kept| now < kept.until) {
            return (HOT_MS / 1e3, kept.is_new);
        }
        let took = tailed(COLD_MS, random);
        let is_new = now >= self.visible_at;
        self.kv = Some(Kept { from: now + took, until: now + HEAD_CACHE_SECS, is_new });
        (took, is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::fresh::assume::{MAX_AGE_SECS, SHORT_SECS};

    const LANE: Scene = Scene {
        fresh_secs: Some(FRESH_SECS),
        max_age_secs: MAX_AGE_SECS,
        short_secs: SHORT_SECS,
        stale_secs: 0.0,
        purge: Purge::After(Vec::new()),
    };

    /// The targets of the page, at every size and place.
    #[test]
    fn revocations_are_seen_in_seconds_with_the_lane_and_in_two_minutes_without() {
        let dead = Scene { fresh_secs: None, ..LANE };
        let lost = Scene { purge: Purge::Lost, ..LANE };
        for (customers, place) in
            [(1_000_000, Place::Any), (10_000_000, Place::One(0)), (10_000_000, Place::One(99))]
        {
            let found = delays(&LANE, customers, place);
            assert!(found.percentile(0.5) <= 2.0, "{place:?}: {}", found.percentile(0.5));
            assert!(found.percentile(0.99) <= 6.0, "{place:?}: {}", found.percentile(0.99));
            let found = delays(&lost, customers, place);
            // The value's age, an interval, a question that failed, and its repetition.
            assert!((20.0..45.0).contains(&found.max()), "{place:?}: {}", found.max());
            let found = delays(&dead, customers, place);
            assert!((60.0..=121.0).contains(&found.max()), "{place:?}: {}", found.max());
        }
    }

    #[test]
    fn a_purge_that_waits_delays_the_revocation() {
        let prompt = delays(&LANE, 10_000_000, Place::One(0)).percentile(0.5);
        let late = Scene { purge: Purge::After(vec![10.0]), ..LANE };
        let long = Scene { short_secs: MAX_AGE_SECS, ..late.clone() };
        let [late, long] = [late, long].map(|scene| delays(&scene, 10_000_000, Place::One(0)));
        assert!(long.percentile(0.5) > prompt + 5.0, "{prompt} {}", long.percentile(0.5));
        // Copies that end by themselves do not wait for it.
        assert!(
            late.percentile(0.99) <= 6.0 && late.percentile(0.5) < prompt + 1.0,
            "{}",
            late.percentile(0.99)
        );
    }

    #[test]
    fn times_have_the_median_and_the_tail_that_are_assumed() {
        let mut random = Random::new(1, 9);
        let mut times: Vec<_> = (0..20_000).map(|_| tailed(100.0, &mut random)).collect();
        times.sort_by(f64::total_cmp);
        let times = Delays(times);
        assert!((times.percentile(0.5) - 0.1).abs() < 0.003, "{}", times.percentile(0.5));
        assert!((times.percentile(0.99) - 0.3).abs() < 0.03, "{}", times.percentile(0.99));
    }
}
