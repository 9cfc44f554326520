//! Who asks when and where: points of presence, the hours of a day, Zipf's law.

use admit::snapshot::key::mix;

use super::assume::{
    CHECKS_PER_DAY, CHECKS_PER_DAY_MAX, CHECKS_PER_ISOLATE, DAY_SECS, HOURLY_PER_MILLE, ISOLATES_MIN, POPS,
    ZIPF_EXPONENT,
};

/// A point of presence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pop {
    /// Its place by size, from 0.
    pub number: usize,
    /// Its part of all customers. Each customer asks at one point of presence only.
    pub share: f64,
}

impl Pop {
    /// All of them, the largest first: the second is half as large as the first, the third a third.
    pub fn all() -> Vec<Self> {
        let weight = |number: usize| 1.0 / (number as f64 + 1.0);
        let total: f64 = (0..POPS).map(weight).sum();
        (0..POPS).map(|number| Self { number, share: weight(number) / total }).collect()
    }

    /// Customers who ask here, out of `all`.
    pub const fn customers(self, all: u64) -> f64 {
        all as f64 * self.share
    }

    pub const fn checks_per_day(self, all: u64) -> f64 {
        self.customers(all) * CHECKS_PER_DAY
    }

    /// Isolates that answer here.
    pub fn isolates(self, all: u64) -> f64 {
        let peak_per_sec = self.checks_per_day(all) * peak() / 3_600.0;
        libm::ceil(peak_per_sec / CHECKS_PER_ISOLATE).max(ISOLATES_MIN)
    }

    /// Checks per second that each isolate gets, averaged over a day.
    pub fn checks_per_isolate(self, all: u64) -> f64 {
        self.checks_per_day(all) / self.isolates(all) / DAY_SECS
    }
}

/// The part of a day's checks that the busiest hour gets.
pub fn peak() -> f64 {
    HOURLY_PER_MILLE.iter().max().map_or(0.0, |per_mille| f64::from(*per_mille) / 1_000.0)
}

/// How busy the moment is, 1 on average over a day.
pub fn intensity(at_secs: f64) -> f64 {
    let hour = (at_secs % DAY_SECS / 3_600.0) as usize;
    HOURLY_PER_MILLE.get(hour).map_or(0.0, |per_mille| f64::from(*per_mille) * 24.0 / 1_000.0)
}

/// The same for each hour of a day.
pub fn hours() -> impl Iterator<Item = f64> {
    (0..24_u32).map(|hour| intensity(f64::from(hour) * 3_600.0))
}

/// Zipf's law in its continuous form: of a population sorted by activity, the first fraction `u` accounts for
/// `u^(1 - s)` of all events. It looks the same for a thousand customers and for a billion, and needs no table.
/// The most active, above [`CHECKS_PER_DAY_MAX`], are levelled out among themselves.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    exponent: f64,
    /// The fraction of the population that is equally, and most, active.
    level: f64,
}

impl Zipf {
    /// How often customers ask, in relation to each other.
    pub fn of_customers() -> Self {
        Self::new(ZIPF_EXPONENT, CHECKS_PER_DAY_MAX / CHECKS_PER_DAY)
    }

    fn new(exponent: f64, most: f64) -> Self {
        Self { exponent, level: libm::pow(most, -1.0 / exponent) }
    }

    /// The part of all events that the most active fraction of the population accounts for.
    pub fn share(self, fraction: f64) -> f64 {
        let upto = libm::pow(fraction.max(self.level), 1.0 - self.exponent);
        upto * (fraction / self.level).min(1.0)
    }

    /// The activity, 1 on average, at the place in the population that `fraction` of it surpass.
    pub fn activity(self, fraction: f64) -> f64 {
        if fraction < self.level {
            self.share(self.level) / self.level
        } else {
            (1.0 - self.exponent) * libm::pow(fraction, -self.exponent)
        }
    }

    /// The mean square of activity.
    pub fn mean_square(self) -> f64 {
        let s = self.exponent;
        let levelled = self.level * self.activity(0.0) * self.activity(0.0);
        // The integral of ((1 - s) u^-s)^2 from the level to 1.
        levelled + (1.0 - s) * (1.0 - s) * (1.0 - libm::pow(self.level, 1.0 - 2.0 * s)) / (1.0 - 2.0 * s)
    }

    /// The place in the population of the next event's author.
    #[cfg(test)]
    pub fn draw(self, random: &mut Random) -> f64 {
        let fraction = libm::pow(random.fraction(), 1.0 / (1.0 - self.exponent));
        if fraction < self.level { random.fraction() * self.level } else { fraction }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// The step of its state, which [`mix`] adds before it mixes.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// Each seed and topic has a sequence of its own.
    pub const fn new(seed: u64, topic: u64) -> Self {
        Self(mix((mix(seed.wrapping_sub(STEP)) ^ topic).wrapping_sub(STEP)))
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        let number = mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        number
    }

    /// More than 0, less than 1.
    pub const fn fraction(&mut self) -> f64 {
        const STEPS: f64 = 9_007_199_254_740_992.0;
        ((self.next() >> 11) as f64 + 0.5) / STEPS
    }

    /// How many events come at random where `mean` are expected; meant for small means.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let limit = libm::exp(-mean);
        let (mut count, mut product) = (0, self.fraction());
        while product > limit {
            count += 1;
            product *= self.fraction();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_a_whole() {
        assert_eq!(HOURLY_PER_MILLE.iter().sum::<u32>(), 1_000);
        let pops = Pop::all();
        assert!((pops.iter().map(|pop| pop.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((hours().sum::<f64>() / 24.0 - 1.0).abs() < 1e-12);
        assert!((pops[99].isolates(1_000_000) - 2.0).abs() < 1e-9);
        // 1 billion: 19.3 % of 500 million, 11.8 % of it in an hour: 3,159 per second.
        assert!((pops[0].isolates(1_000_000_000) - 32.0).abs() < 1e-9);
    }

    #[test]
    fn draws_follow_zipfs_law() {
        let (zipf, mut random) = (Zipf::of_customers(), Random::new(1, 1));
        let draws: Vec<_> = (0..100_000).map(|_| zipf.draw(&mut random)).collect();
        for fraction in [0.0005, 0.01, 0.1, 0.5] {
            let found = draws.iter().filter(|draw| **draw < fraction).count() as f64 / 1e5;
            assert!((found - zipf.share(fraction)).abs() < 0.005, "{fraction}: {found}");
        }
        assert!((zipf.activity(0.0) - 48.0).abs() < 1e-9);
        let activities = (0..1_000_000).map(|n| zipf.activity((f64::from(n) + 0.5) / 1e6));
        let (sum, squares) = activities.fold((0.0, 0.0), |(sum, squares), a| (sum + a, squares + a * a));
        assert!((sum / 1e6 - 1.0).abs() < 0.001 && (squares / 1e6 - zipf.mean_square()).abs() < 0.01);
        let counts: u32 = (0..100_000).map(|_| random.poisson(2.5)).sum();
        assert!((f64::from(counts) / 1e5 - 2.5).abs() < 0.03, "{counts}");
    }
}
