//! How checks were answered: from an isolate's memory, from the point of presence, or from far away.

use super::{
    assume::{COLD_MS, HOT_MS, LOAD_MS_PER_BYTE, MEAN_DELTA_BYTES},
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

/// What a check waited for, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The head and, after it, the delta that it names.
    pub head: Source,
    /// The page of the index.
    pub page: Source,
    /// The shard, or the customer's key.
    pub object: Source,
}

impl Way {
    fn all() -> impl Iterator<Item = Self> {
        let pairs = Source::ALL.into_iter().flat_map(|head| Source::ALL.map(|page| (head, page)));
        pairs.flat_map(|(head, page)| Source::ALL.map(|object| Self { head, page, object }))
    }

    const fn position(self) -> usize {
        (self.head as usize * 3 + self.page as usize) * 3 + self.object as usize
    }

    fn ms(self, shape: &Shape) -> f64 {
        let head = self.head.ms(0.0) + self.head.ms(MEAN_DELTA_BYTES);
        head + self.page.ms(shape.page_bytes) + self.object.ms(shape.object_bytes)
    }
}

/// Checks, or parts of all checks, by the way that they went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiers {
    cells: [f64; 27],
}

impl Default for Tiers {
    fn default() -> Self {
        Self { cells: [0.0; 27] }
    }
}

impl Tiers {
    /// From the parts of memory, hot and cold of each, as if they had nothing to do with each other.
    pub fn of_parts(heads: [f64; 3], pages: [f64; 3], objects: [f64; 3]) -> Self {
        let mut tiers = Self::default();
        let part = |parts: [f64; 3], source: Source| parts.get(source as usize).copied().unwrap_or(0.0);
        for way in Way::all() {
            tiers.add_at(way, part(heads, way.head) * part(pages, way.page) * part(objects, way.object));
        }
        tiers
    }

    /// Counts a check.
    pub fn count(&mut self, way: Way) {
        self.add_at(way, 1.0);
    }

    fn add_at(&mut self, way: Way, weight: f64) {
        if let Some(cell) = self.cells.get_mut(way.position()) {
            *cell += weight;
        }
    }

    /// Adds others with a weight.
    pub fn add(&mut self, other: &Self, weight: f64) {
        self.cells.iter_mut().zip(other.cells).for_each(|(to, from)| *to += weight * from);
    }

    fn mean(&self, of: impl Fn(Way) -> f64) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (way, weight) in Way::all().zip(self.cells) {
            sum += weight * of(way);
            total += weight;
        }
        if total > 0.0 { sum / total } else { 0.0 }
    }

    /// All checks that were counted.
    #[cfg(test)]
    pub fn total(&self) -> f64 {
        self.cells.iter().sum()
    }

    /// Checks that waited for nothing far away, as a part of all.
    pub fn hit_ratio(&self) -> f64 {
        self.mean(|way| f64::from([way.head, way.page, way.object].iter().all(|it| *it != Source::Cold)))
    }

    /// Checks whose customer was in memory, as a part of all.
    pub fn memory_ratio(&self) -> f64 {
        self.mean(|way| f64::from(way.page == Source::Memory && way.object == Source::Memory))
    }

    /// Checks that waited for the head, as a part of all.
    pub fn head_ratio(&self) -> f64 {
        self.mean(|way| f64::from(way.head != Source::Memory))
    }

    /// Reads from far away for each check. A head is followed by a delta.
    pub fn cold_reads(&self) -> f64 {
        let cold = |source: Source| f64::from(source == Source::Cold);
        self.mean(|way| 2.0 * cold(way.head) + cold(way.page) + cold(way.object))
    }

    /// Reads of pages and customers for each check, hot or cold: both are paid for.
    pub fn reads(&self) -> f64 {
        let read = |source: Source| f64::from(source != Source::Memory);
        self.mean(|way| read(way.page) + read(way.object))
    }

    /// What a check waits for, on average, in milliseconds.
    pub fn mean_ms(&self, shape: &Shape) -> f64 {
        self.mean(|way| way.ms(shape))
    }

    /// The wait that a fraction of checks do not exceed, in milliseconds.
    pub fn percentile_ms(&self, fraction: f64, shape: &Shape) -> f64 {
        let mut waits: Vec<_> = Way::all().map(|way| way.ms(shape)).zip(self.cells).collect();
        waits.retain(|(_, weight)| *weight > 0.0);
        waits.sort_by(|left, right| left.0.total_cmp(&right.0));
        let wanted = fraction * waits.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut sum = 0.0;
        let reached = waits.iter().find(|(_, weight)| {
            sum += weight;
            sum >= wanted
        });
        reached.or(waits.last()).map_or(0.0, |(ms, _)| *ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::shape::Layout;

    #[test]
    fn a_hand_made_mixture() {
        let shape = Shape::new(1_000_000, Layout::KeyPerCustomer);
        // 30 % in memory, 60 % hot, 10 % cold; no pages, no head.
        let none = [1.0, 0.0, 0.0];
        let tiers = Tiers::of_parts(none, none, [0.3, 0.6, 0.1]);
        assert!((tiers.hit_ratio() - 0.9).abs() < 1e-12);
        assert!((tiers.memory_ratio() - 0.3).abs() < 1e-12);
        assert!((tiers.reads() - 0.7).abs() < 1e-12);
        assert!((tiers.percentile_ms(0.5, &shape) - 2.0).abs() < 0.01);
        assert!((tiers.percentile_ms(0.99, &shape) - 80.0).abs() < 0.01);
        assert!((tiers.mean_ms(&shape) - 9.2).abs() < 0.01);
        assert!(tiers.percentile_ms(0.3, &shape) < 1e-12);
    }

    #[test]
    fn what_is_cold_is_waited_for_one_after_the_other() {
        let shape = Shape::new(1_000_000_000, Layout::Shards(64 << 10));
        let mut tiers = Tiers::default();
        tiers.count(Way { head: Source::Memory, page: Source::Cold, object: Source::Cold });
        assert!((tiers.cold_reads() - 2.0).abs() < 1e-12);
        // Two reads, and 1 MiB and 43.5 KiB to load.
        assert!((tiers.percentile_ms(0.5, &shape) - 165.0).abs() < 0.1);
        tiers.count(Way { head: Source::Cold, page: Source::Memory, object: Source::Memory });
        assert!((tiers.cold_reads() - 2.0).abs() < 1e-12);
        assert!((tiers.head_ratio() - 0.5).abs() < 1e-12);
        // Head, then a delta of 2 MiB.
        assert!((tiers.percentile_ms(1.0, &shape) - 169.6).abs() < 0.1);
    }
}
