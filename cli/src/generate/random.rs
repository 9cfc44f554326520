//! Pseudo-random numbers that are the same on every machine: SplitMix64, and Zipf's law by basic arithmetic
//! only.

use admit_snapshot::key::mix;
use uuid::Uuid;

/// SplitMix64 (Steele, Lea and Flood, 2014): 64 bits of state that grow by a constant at each step. It uses
/// only integers, so every machine gets the same numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of one record: each seed, topic and number has its own.
    pub const fn new(seed: u64, topic: u64, number: u64) -> Self {
        Self { state: mix(mix(mix(seed) ^ topic) ^ number) }
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        let output = mix(self.state);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        output
    }

    /// A number below `bound`, or 0 if `bound` is 0: the high half of a product. Its bias, `bound` / 2^64, is
    /// negligible.
    pub fn below(&mut self, bound: u64) -> u64 {
        let high = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u64::try_from(high).unwrap_or(0)
    }

    /// True with a probability of `percent` in 100.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number from 0 to less than 1, with the 53 bits that a float holds.
    fn fraction(&mut self) -> f64 {
        const STEPS: f64 = 9_007_199_254_740_992.0;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.next() >> 11) as f64;
        bits / STEPS
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> Uuid {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// Ranks by Zipf's law: rank `r`, counted from 0, has a weight of `(r + 1)^-s`.
pub struct Zipf {
    /// The sum of the weights up to and including each rank.
    sums: Vec<f64>,
}

impl Zipf {
    /// Weights for `ranks` ranks.
    pub fn new(ranks: u64, exponent: f64) -> Self {
        let (mut weight, mut sum, mut rank) = (1.0, 0.0, 1.0);
        let sums = (0..ranks).map(|_| {
            sum += weight;
            // (rank + 1)^-s = rank^-s × (1 - 1 / (rank + 1))^s
            rank += 1.0;
            weight *= power_of_complement(1.0 / rank, exponent);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// A random rank among the first `ranks`.
    pub fn rank(&self, random: &mut Random, ranks: u64) -> u64 {
        // A uniform number up to the sum of the first `ranks` weights; the first sum above it is the rank.
        let last = usize::try_from(ranks).unwrap_or(usize::MAX).min(self.sums.len()).saturating_sub(1);
        let total = self.sums.get(last).copied().unwrap_or(0.0);
        let wanted = random.fraction() * total;
        (self.sums.partition_point(|sum| *sum <= wanted).min(last)) as u64
    }
}

/// `(1 - x)^s` by the binomial series. `powf` rounds differently on different machines; sums and products do
/// not. With `x` at most 1/2, 64 terms give more digits than a float can hold.
fn power_of_complement(x: f64, s: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 0.0);
    for _ in 0..64 {
        n += 1.0;
        term *= x * (n - 1.0 - s) / n;
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data that was generated once must be generated again: a change here changes the data of every seed.
    #[test]
    fn numbers_are_pinned() {
        // The published test vector of SplitMix64, for the state 1234567.
        let mut random = Random { state: 1_234_567 };
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        assert_ne!(Random::new(1, 1, 2).next(), Random::new(1, 2, 1).next());
    }

    #[test]
    fn powers_are_those_of_the_library() {
        for (x, s) in [(0.5_f64, 1.0), (0.5, 0.8), (0.25, 2.0), (0.001, 1.1), (0.5, 0.0)] {
            assert!((power_of_complement(x, s) - (1.0 - x).powf(s)).abs() < 1e-12, "{x} {s}");
        }
    }

    #[test]
    fn the_first_rank_is_twice_as_popular_as_the_second() {
        let (zipf, mut random) = (Zipf::new(100, 1.0), Random::new(1, 1, 1));
        let mut counts = [0_u32; 100];
        (0..100_000).for_each(|_| counts[usize::try_from(zipf.rank(&mut random, 100)).unwrap()] += 1);
        assert!((1.8..2.2).contains(&(f64::from(counts[0]) / f64::from(counts[1]))), "{counts:?}");
        assert!(counts.iter().all(|count| *count > 0));
        assert!((0..1_000).all(|_| zipf.rank(&mut random, 3) < 3));
    }
}
