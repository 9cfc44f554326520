//! From where checks are answered: an isolate's memory, KV at the point of presence, or KV far away.

use super::{
    assume::{COLD_MS, HOT_MS, LOAD_MS_PER_BYTE},
    layout::Shape,
};

/// From where an object came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The isolate's memory, or none was needed.
    Memory,
    /// KV, which had it at this point of presence.
    Hot,
    /// KV, from another data centre.
    Cold,
}

use Source::{Cold, Hot, Memory};

impl Source {
    const ALL: [Self; 3] = [Memory, Hot, Cold];

    fn ms(self, bytes: f64) -> f64 {
        match self {
            Memory => 0.0,
            Hot => HOT_MS + bytes * LOAD_MS_PER_BYTE,
            Cold => COLD_MS + bytes * LOAD_MS_PER_BYTE,
        }
    }
}

/// What a check waited for, one after the other: the head with its delta, the page of the index, shard or key.
pub type Way = [Source; 3];

/// All 27 of them.
fn ways() -> impl Iterator<Item = Way> {
    let pairs = Source::ALL.into_iter().flat_map(|head| Source::ALL.map(|page| (head, page)));
    pairs.flat_map(|(head, page)| Source::ALL.map(|object| [head, page, object]))
}

fn ms([head, page, object]: Way, shape: &Shape) -> f64 {
    head.ms(shape.mean_delta_bytes()) + page.ms(shape.page_bytes) + object.ms(shape.object_bytes)
}

/// Checks, or parts of all checks, by the way that they went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tiers([f64; 27]);

impl Tiers {
    /// From the parts of memory, hot and cold of head, page and object, as if they were independent.
    pub fn of_parts(parts: [[f64; 3]; 3]) -> Self {
        let mut tiers = Self::default();
        for (way, cell) in ways().zip(&mut tiers.0) {
            let part = |(source, [memory, hot, cold]): (Source, [f64; 3])| match source {
                Memory => memory,
                Hot => hot,
                Cold => cold,
            };
            *cell = way.into_iter().zip(parts).map(part).product();
        }
        tiers
    }

    /// Adds a check that went one way.
    #[cfg(test)]
    pub fn count(&mut self, way: Way) {
        ways().zip(&mut self.0).filter(|(own, _)| *own == way).for_each(|(_, cell)| *cell += 1.0);
    }

    /// Adds others with a weight.
    pub fn add(&mut self, other: &Self, weight: f64) {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to += weight * from);
    }

    fn mean(&self, of: impl Fn(Way) -> f64) -> f64 {
        let sum: f64 = ways().zip(self.0).map(|(way, weight)| weight * of(way)).sum();
        sum / self.0.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }

    /// Checks that waited for nothing far away, as a part of all.
    pub fn hit_ratio(&self) -> f64 {
        self.mean(|way| f64::from(!way.contains(&Cold)))
    }

    /// Checks whose customer was in memory, as a part of all.
    pub fn memory_ratio(&self) -> f64 {
        self.mean(|[_, page, object]| f64::from([page, object] == [Memory, Memory]))
    }

    /// Checks that waited for the head, as a part of all.
    pub fn head_ratio(&self) -> f64 {
        self.mean(|[head, ..]| f64::from(head != Memory))
    }

    /// Reads from far away for each check. A head has its delta with it.
    pub fn cold_reads(&self) -> f64 {
        self.mean(|way| way.into_iter().filter(|source| *source == Cold).count() as f64)
    }

    /// Reads of pages and customers for each check, hot or cold: both are paid for.
    pub fn reads(&self) -> f64 {
        let read = |source| f64::from(source != Memory);
        self.mean(|[_, page, object]| read(page) + read(object))
    }

    /// The mean wait of a check, in milliseconds.
    pub fn mean_ms(&self, shape: &Shape) -> f64 {
        self.mean(|way| ms(way, shape))
    }

    /// The waits for page and customer in milliseconds, each with its weight; the head is left out.
    pub fn customer_waits(&self, shape: &Shape) -> Vec<(f64, f64)> {
        ways()
            .zip(self.0)
            .map(|([_, page, object], weight)| (ms([Memory, page, object], shape), weight))
            .collect()
    }

    /// The same of isolates that have neither page nor object in memory.
    pub fn fetched_waits(&self, shape: &Shape) -> Vec<(f64, f64)> {
        let is_fetched = |[_, page, object]: Way| object != Memory && (page != Memory || shape.pages == 0);
        ways()
            .zip(self.0)
            .filter(|(way, _)| is_fetched(*way))
            .map(|([_, page, object], weight)| (ms([Memory, page, object], shape), weight))
            .collect()
    }

    /// The wait that a fraction of checks do not exceed, in milliseconds.
    pub fn percentile_ms(&self, fraction: f64, shape: &Shape) -> f64 {
        let mut waits: Vec<_> = ways().map(|way| ms(way, shape)).zip(self.0).collect();
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
    use crate::scale::layout::Layout;

    #[test]
    fn a_mixture_by_hand() {
        let shape = Shape::new(1_000_000, Layout::KeyPerCustomer);
        // 30 % in memory, 60 % hot, 10 % cold; no pages, no head.
        let tiers = Tiers::of_parts([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.3, 0.6, 0.1]]);
        assert!((tiers.hit_ratio() - 0.9).abs() < 1e-12 && (tiers.reads() - 0.7).abs() < 1e-12);
        assert!((tiers.memory_ratio() - 0.3).abs() < 1e-12 && (tiers.mean_ms(&shape) - 9.2).abs() < 0.01);
        let waits = [0.3, 0.5, 0.99].map(|fraction| tiers.percentile_ms(fraction, &shape).round());
        assert_eq!(waits, [0.0, 2.0, 80.0]);
    }

    #[test]
    fn cold_reads_are_waited_for_one_after_the_other() {
        let shape = Shape::new(1_000_000_000, Layout::Shards(64 << 10));
        let mut tiers = Tiers::default();
        tiers.count([Memory, Cold, Cold]);
        // Two reads, and 1 MiB and 43.5 KiB to load.
        assert!((tiers.percentile_ms(0.5, &shape) - 165.0).abs() < 0.1);
        tiers.count([Cold, Memory, Memory]);
        assert!((tiers.cold_reads() - 1.5).abs() < 1e-12 && (tiers.head_ratio() - 0.5).abs() < 1e-12);
        // The head with a delta of 2 MiB.
        let shape = shape.with_deltas_of(4 << 20);
        let mut tiers = Tiers::default();
        tiers.count([Cold, Memory, Memory]);
        assert!((tiers.percentile_ms(1.0, &shape) - 89.6).abs() < 0.1);
    }
}
