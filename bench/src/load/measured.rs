//! The measurements of a subject, and the statistics behind them.

use std::collections::BTreeMap;

use serde::Serialize;

/// The measurements of a subject in a scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    pub name: String,
    /// Answers, all of them right.
    pub requests: u64,
    /// The same by the expected status.
    pub by_status: BTreeMap<u16, u64>,
    /// Answers a second, the median of the slices.
    pub per_second: f64,
    /// CPU time of the process for an answer, in microseconds: the median of the slices.
    pub cpu_micros: Option<f64>,
    /// Time to the answer, in microseconds: the median.
    pub p50_micros: f64,
    /// Time to the answer, in microseconds: the 99th percentile.
    pub p99_micros: f64,
    /// Answers a second against the first subject's in the same round.
    pub rate_ratio: Option<Ratio>,
    /// The first subject's CPU time for an answer against this one's in the same round.
    pub cpu_ratio: Option<Ratio>,
}

/// A ratio over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub median: f64,
    /// A quarter of the rounds has less.
    pub low: f64,
    /// A quarter has more.
    pub high: f64,
    /// How far the median itself may be off: half of the interval that holds it with 95 % certainty.
    pub error: f64,
}

impl Ratio {
    /// `None` without samples.
    pub fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.retain(|ratio| ratio.is_finite());
        if ratios.is_empty() {
            return None;
        }
        // Order statistics: the median of n independent samples lies, with 95 % certainty, between those that are
        // 0.98 times the root of n places from the middle.
        let off = 0.98 / (ratios.len() as f64).sqrt();
        let [median, low, high, below, above] =
            [0.5, 0.25, 0.75, 0.5 - off, 0.5 + off].map(|share| quantile(&mut ratios, share.clamp(0.0, 1.0)));
        Some(Self { median, low, high, error: (above - below) / 2.0 })
    }

    pub fn show(self) -> String {
        let Self { median, low, high, error } = self;
        format!("{median:.3} ±{error:.3} ({low:.2} to {high:.2})")
    }
}

/// The value that `share` of the samples are below, from 0 to 1; 0 without samples.
pub fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    samples.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let mut samples = [5.0, 1.0, 3.0, 2.0, 4.0];
        let found = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&mut samples, share));
        assert_eq!(found, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn more_rounds_make_the_median_surer() {
        let agreed = Ratio::of(vec![0.9; 50]).unwrap();
        assert_eq!((agreed.median, agreed.low, agreed.high, agreed.error), (0.9, 0.9, 0.9, 0.0));
        assert!(Ratio::of(vec![f64::NAN]).is_none());
        let spread = |count: u32| {
            let ratios = (0..count).map(|at| f64::from(at * 7 % count) / f64::from(count)).collect();
            Ratio::of(ratios).unwrap().error
        };
        assert!(spread(400) < spread(100) && spread(100) < spread(20));
    }
}
