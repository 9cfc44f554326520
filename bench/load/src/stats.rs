//! Medians and their spread.

use crate::plan::Ratio;

/// The value that `share` of the samples are below, from 0 to 1; 0 of none.
pub fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    samples.get(index(share * index_float(last)).min(last)).copied().unwrap_or(0.0)
}

/// The median of ratios with its spread; `None` of none.
pub fn ratio(mut ratios: Vec<f64>) -> Option<Ratio> {
    ratios.retain(|ratio| ratio.is_finite());
    if ratios.is_empty() {
        return None;
    }
    let count = index_float(ratios.len());
    // Order statistics: the median of n independent samples lies, with 95 % certainty, between those that are
    // 0.98 times the root of n places from the middle.
    let off = 0.98 / count.sqrt();
    let [median, low, high] = [0.5, 0.25, 0.75].map(|share| quantile(&mut ratios, share));
    let between = |share: f64| share.clamp(0.0, 1.0);
    let error = (quantile(&mut ratios, between(0.5 + off)) - quantile(&mut ratios, between(0.5 - off))) / 2.0;
    Some(Ratio { median, low, high, error })
}

#[expect(clippy::cast_precision_loss, reason = "counts of slices and requests")]
pub const fn index_float(index: usize) -> f64 {
    index as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position, never negative")]
const fn index(position: f64) -> usize {
    position.round() as usize
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
    fn ratios_that_agree_have_no_error() {
        let agreed = ratio(vec![0.9; 50]).unwrap();
        assert_eq!((agreed.median, agreed.low, agreed.high, agreed.error), (0.9, 0.9, 0.9, 0.0));
        assert!(ratio(vec![f64::NAN]).is_none());
    }

    #[test]
    fn more_rounds_make_the_median_surer() {
        let spread = |count: usize| {
            let ratios = (0..count).map(|at| index_float(at * 7 % count) / index_float(count)).collect();
            ratio(ratios).unwrap().error
        };
        assert!(spread(400) < spread(100) && spread(100) < spread(20));
    }
}
