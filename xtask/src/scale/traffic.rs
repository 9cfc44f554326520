//! Who asks when and where.

use super::{
    assume::{
        CHECKS_PER_DAY, CHECKS_PER_DAY_MAX, CHECKS_PER_ISOLATE, DAY_SECS, HOURLY_PER_MILLE, ISOLATES_MIN,
        POPS, ZIPF_EXPONENT,
    },
    random::Zipf,
};

/// A point of presence: the checks that arrive there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pop {
    /// Its place by size, from 0.
    pub number: usize,
    /// Its part of all customers. Each asks at one point of presence only.
    pub share: f64,
}

impl Pop {
    /// All of them, the largest first: the second is half as large as the first, the third a third.
    pub fn all() -> Vec<Self> {
        let weight = |number: usize| 1.0 / (number as f64 + 1.0);
        let total: f64 = (0..POPS).map(weight).sum();
        (0..POPS).map(|number| Self { number, share: weight(number) / total }).collect()
    }

    /// Customers who ask here.
    pub const fn customers(self, all: u64) -> f64 {
        all as f64 * self.share
    }

    /// Checks in a day.
    pub const fn checks_per_day(self, all: u64) -> f64 {
        self.customers(all) * CHECKS_PER_DAY
    }

    /// Isolates that answer here.
    pub fn isolates(self, all: u64) -> f64 {
        let peak = HOURLY_PER_MILLE.iter().max().copied().unwrap_or(0);
        let peak_per_sec = self.checks_per_day(all) * f64::from(peak) / 1_000.0 / 3_600.0;
        libm::ceil(peak_per_sec / CHECKS_PER_ISOLATE).max(ISOLATES_MIN)
    }
}

/// How often customers ask, in relation to each other.
pub fn activity() -> Zipf {
    Zipf::new(ZIPF_EXPONENT, CHECKS_PER_DAY_MAX / CHECKS_PER_DAY)
}

/// How busy the moment is, 1 on average over a day.
pub fn intensity(at_secs: f64) -> f64 {
    let hour = (at_secs % DAY_SECS / 3_600.0) as usize;
    HOURLY_PER_MILLE.get(hour).map_or(0.0, |per_mille| f64::from(*per_mille) * 24.0 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_a_whole() {
        assert_eq!(HOURLY_PER_MILLE.iter().sum::<u32>(), 1_000);
        let pops = Pop::all();
        assert!((pops.iter().map(|pop| pop.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((pops[0].share / pops[3].share - 4.0).abs() < 1e-9);
        let day: f64 = (0..24).map(|hour| intensity(f64::from(hour) * 3_600.0)).sum();
        assert!((day / 24.0 - 1.0).abs() < 1e-12);
        assert!((intensity(86_400.0 + 20.5 * 3_600.0) - 2.832).abs() < 1e-9);
    }

    #[test]
    fn busy_places_run_more_isolates() {
        let pops = Pop::all();
        assert!((pops[99].isolates(1_000_000) - 2.0).abs() < 1e-9);
        // 1 billion: 19.3 % of 500 million, 11.8 % of it in an hour: 3,159 per second.
        assert!((pops[0].isolates(1_000_000_000) - 32.0).abs() < 1e-9);
    }
}
