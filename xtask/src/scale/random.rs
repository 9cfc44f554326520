//! Numbers that look random and are the same everywhere. Powers and logarithms come from `libm`, because
//! each platform's own round in their own way.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of one thing: each seed and topic has a sequence of its own.
    pub const fn new(seed: u64, topic: u64) -> Self {
        Self(mix(mix(seed) ^ topic))
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// More than 0, less than 1.
    pub const fn fraction(&mut self) -> f64 {
        const STEPS: f64 = 9_007_199_254_740_992.0;
        ((self.next() >> 11) as f64 + 0.5) / STEPS
    }

    /// A number below `bound`; 0 for none.
    pub fn below(&mut self, bound: u64) -> u64 {
        let high = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u64::try_from(high).unwrap_or(0)
    }

    /// The time to the next of events that come at random, `rate` of them per unit of time.
    pub fn exponential(&mut self, rate: f64) -> f64 {
        -libm::log(self.fraction()) / rate
    }

    /// How many such events come where `mean` are expected; meant for small means.
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

/// The output of SplitMix64 for a state: every input bit changes every output bit with probability one half.
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Zipf's law in its continuous form: of a population sorted by activity, the first fraction `u` accounts for
/// `u^(1 - s)` of all events. It looks the same for a thousand customers and for a billion, and needs no table.
/// The most active, who would be no people any more, are levelled out among themselves.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    exponent: f64,
    /// The fraction of the population that is equally, and most, active.
    level: f64,
}

impl Zipf {
    /// With an exponent of more than 0 and less than 1. Nobody is more than `most` times as active as all are
    /// on average.
    pub fn new(exponent: f64, most: f64) -> Self {
        Self { exponent, level: libm::pow(most, -1.0 / exponent) }
    }

    /// The part of all events that the most active fraction of the population accounts for.
    pub fn share(self, fraction: f64) -> f64 {
        let upto = libm::pow(fraction.max(self.level), 1.0 - self.exponent);
        upto * (fraction / self.level).min(1.0)
    }

    /// Who causes the next event, as a fraction of the population that is more active.
    pub fn draw(self, random: &mut Random) -> f64 {
        let fraction = libm::pow(random.fraction(), 1.0 / (1.0 - self.exponent));
        if fraction < self.level { random.fraction() * self.level } else { fraction }
    }

    /// How active somebody is, 1 on average, whom `fraction` of the population surpass.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pinned() {
        // The published test vector of SplitMix64 with the state 1234567.
        let mut random = Random(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        assert_ne!(Random::new(1, 2).next(), Random::new(2, 1).next());
    }

    #[test]
    fn draws_follow_the_law() {
        let (zipf, mut random) = (Zipf::new(0.6, 48.0), Random::new(1, 1));
        let draws: Vec<_> = (0..100_000).map(|_| zipf.draw(&mut random)).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        for fraction in [0.0005, 0.001, 0.01, 0.1, 0.5] {
            let found = draws.iter().filter(|draw| **draw < fraction).count() as f64 / 1e5;
            assert!((found - zipf.share(fraction)).abs() < 0.005, "{fraction}: {found}");
        }
        assert!((zipf.share(0.5) - 0.5_f64.powf(0.4)).abs() < 1e-12);
        assert!((zipf.activity(0.0) - 48.0).abs() < 1e-9);
        // Activity is the derivative of the share.
        let slope = (zipf.share(0.3001) - zipf.share(0.2999)) / 0.0002;
        assert!((slope - zipf.activity(0.3)).abs() < 1e-6);
        let activities = (0..1_000_000).map(|n| zipf.activity((f64::from(n) + 0.5) / 1e6));
        let (sum, squares) = activities.fold((0.0, 0.0), |(sum, squares), a| (sum + a, squares + a * a));
        assert!((sum / 1e6 - 1.0).abs() < 0.001, "{sum}");
        assert!((squares / 1e6 - zipf.mean_square()).abs() < 0.01, "{squares}");
    }

    #[test]
    fn events_at_random_have_the_right_means() {
        let mut random = Random::new(1, 2);
        let waits: f64 = (0..100_000).map(|_| random.exponential(4.0)).sum();
        assert!((waits / 1e5 - 0.25).abs() < 0.003, "{waits}");
        let counts: u32 = (0..100_000).map(|_| random.poisson(2.5)).sum();
        assert!((f64::from(counts) / 1e5 - 2.5).abs() < 0.03, "{counts}");
        assert!((0..1_000).all(|_| random.below(7) < 7));
    }
}
