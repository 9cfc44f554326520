//! How checks were answered: from an isolate's memory, from the point of presence, or from far away.

use super::{
    assume::{COLD_MS, HOT_MS, LOAD_MS_PER_BYTE},
    shape::Shape,
};

/// Where an object came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The isolate's memory, or none was needed.
    Memory,
    /// KV, which had it at this point of presence.
    Hot,
    /// KV, from another data centre.
    Cold,
}

impl Source {
    const ALL: [Self; 3] = [Self::Memory, Self::Hot, Self::Cold];

    fn ms(self, bytes: f64) -> f64 {
        match self {
            Self::Memory => 0.0,
            Self::Hot => HOT_MS + bytes * LOAD_MS_PER_BYTE,
            Self::Cold => COLD_MS + bytes * LOAD_MS_PER_BYTE,
        }
    }
}

/// Checks, or parts of all checks, by where the page and the customer's object came from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tiers {
    cells: [[f64; 3]; 3],
}

impl Tiers {
    /// From the parts of memory, hot and cold of each, as if they had nothing to do with each other.
    pub fn of_parts(pages: [f64; 3], objects: [f64; 3]) -> Self {
        Self { cells: pages.map(|page| objects.map(|object| page * object)) }
    }

    /// Counts a check.
    pub fn count(&mut self, page: Source, object: Source) {
        if let Some(cell) = self.cells.get_mut(page as usize).and_then(|row| row.get_mut(object as usize)) {
            *cell += 1.0;
        }
    }

    /// Adds others with a weight.
    pub fn add(&mut self, other: &Self, weight: f64) {
        for (to, from) in self.cells.as_flattened_mut().iter_mut().zip(other.cells.as_flattened()) {
            *to += weight * from;
        }
    }

    fn mean(&self, of: impl Fn(Source, Source) -> f64) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (page, object, weight) in self.outcomes() {
            sum += weight * of(page, object);
            total += weight;
        }
        if total > 0.0 { sum / total } else { 0.0 }
    }

    fn outcomes(&self) -> impl Iterator<Item = (Source, Source, f64)> {
        let pairs = Source::ALL.into_iter().flat_map(|page| Source::ALL.map(|object| (page, object)));
        pairs.zip(self.cells.as_flattened()).map(|((page, object), weight)| (page, object, *weight))
    }

    /// All checks that were counted.
    #[cfg(test)]
    pub fn total(&self) -> f64 {
        self.cells.as_flattened().iter().sum()
    }

    /// Checks that waited for nothing far away, as a part of all.
    pub fn hit_ratio(&self) -> f64 {
        self.mean(|page, object| f64::from(page != Source::Cold && object != Source::Cold))
    }

    /// Checks that needed no read at all, as a part of all.
    pub fn memory_ratio(&self) -> f64 {
        self.mean(|page, object| f64::from(page == Source::Memory && object == Source::Memory))
    }

    /// Reads from far away for each check.
    pub fn cold_reads(&self) -> f64 {
        self.mean(|page, object| f64::from(page == Source::Cold) + f64::from(object == Source::Cold))
    }

    /// Reads of KV for each check: both kinds are paid for.
    pub fn reads(&self) -> f64 {
        self.mean(|page, object| f64::from(page != Source::Memory) + f64::from(object != Source::Memory))
    }

    /// What a check waits for, on average, in milliseconds.
    pub fn mean_ms(&self, shape: &Shape) -> f64 {
        self.mean(|page, object| page.ms(shape.page_bytes) + object.ms(shape.object_bytes))
    }

    /// The wait that a fraction of checks do not exceed, in milliseconds.
    pub fn percentile_ms(&self, fraction: f64, shape: &Shape) -> f64 {
        let ms = |page: Source, object: Source| page.ms(shape.page_bytes) + object.ms(shape.object_bytes);
        let mut waits: Vec<_> =
            self.outcomes().map(|(page, object, weight)| (ms(page, object), weight)).collect();
        waits.sort_by(|left, right| left.0.total_cmp(&right.0));
        let wanted = fraction * waits.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut sum = 0.0;
        for (ms, weight) in &waits {
            sum += weight;
            if sum >= wanted && *weight > 0.0 {
                return *ms;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::shape::Layout;

    #[test]
    fn a_hand_made_mixture() {
        let shape = Shape::new(1_000_000, Layout::KeyPerCustomer);
        // 30 % in memory, 60 % hot, 10 % cold; no pages.
        let tiers = Tiers::of_parts([1.0, 0.0, 0.0], [0.3, 0.6, 0.1]);
        assert!((tiers.hit_ratio() - 0.9).abs() < 1e-12);
        assert!((tiers.memory_ratio() - 0.3).abs() < 1e-12);
        assert!((tiers.reads() - 0.7).abs() < 1e-12);
        assert!((tiers.percentile_ms(0.5, &shape) - 2.0).abs() < 0.01);
        assert!((tiers.percentile_ms(0.99, &shape) - 80.0).abs() < 0.01);
        assert!((tiers.mean_ms(&shape) - 9.2).abs() < 0.01);
        assert!(tiers.percentile_ms(0.3, &shape) < 1e-12);
    }

    #[test]
    fn a_cold_page_and_a_cold_shard_are_waited_for_one_after_the_other() {
        let shape = Shape::new(1_000_000_000, Layout::Shards(64 << 10));
        let mut tiers = Tiers::default();
        tiers.count(Source::Cold, Source::Cold);
        assert!((tiers.cold_reads() - 2.0).abs() < 1e-12);
        assert!(tiers.percentile_ms(0.5, &shape) > 160.0);
    }
}
