//! How a business lies in KV: a key for each customer, or shards of a target size with an index.

use super::assume::{DELTA_BYTES, DIGEST_BYTES, PAGE_ABOVE_BITS, RECORD_BYTES, SHARD_TARGETS};

/// How customers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each customer under a key of its own, which changes with the customer.
    KeyPerCustomer,
    /// In immutable shards of at most about this size, in bytes.
    Shards(u64),
}

impl Layout {
    /// Every layout, in the order of the tables.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::KeyPerCustomer].into_iter().chain(SHARD_TARGETS.map(Self::Shards))
    }

    pub fn name(self) -> String {
        match self {
            Self::KeyPerCustomer => "key per customer".to_owned(),
            Self::Shards(target) => format!("shards of {}", crate::numbers::binary(target as f64)),
        }
    }
}

/// Numbers and sizes of a business's objects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub customers: u64,
    /// How they are stored.
    pub layout: Layout,
    /// Objects that hold them: keys or shards.
    pub objects: u64,
    /// Mean size of an object.
    pub object_bytes: f64,
    /// Pages of the index; 0 while the index itself holds all digests.
    pub pages: u64,
    pub page_bytes: f64,
    pub index_bytes: u64,
    /// The budget for deltas, in bytes: a fuller one is compacted.
    pub delta_bytes: u64,
}

impl Shape {
    /// The shape of `customers` in a layout.
    pub fn new(customers: u64, layout: Layout) -> Self {
        Self::paged(customers, layout, PAGE_ABOVE_BITS)
    }

    /// The same with pages of 2 to the power of `page_bits` digests, where there are more shards.
    pub fn paged(customers: u64, layout: Layout, page_bits: u32) -> Self {
        let bytes = customers * RECORD_BYTES;
        let (objects, pages) = match layout {
            Layout::KeyPerCustomer => (customers, 0),
            Layout::Shards(target) => {
                // As the builder does: a power of two, so that the leading bits of a key choose the shard.
                let objects = bytes.div_ceil(target).next_power_of_two();
                (objects, if objects >> page_bits > 1 { objects >> page_bits } else { 0 })
            }
        };
        let digests = match layout {
            Layout::KeyPerCustomer => 0,
            Layout::Shards(_) if pages > 0 => pages,
            Layout::Shards(_) => objects,
        };
        let page_bytes = if pages > 0 { (DIGEST_BYTES << page_bits) as f64 } else { 0.0 };
        let object_bytes = bytes as f64 / objects as f64;
        Self {
            customers,
            layout,
            objects,
            object_bytes,
            pages,
            page_bytes,
            index_bytes: DIGEST_BYTES * digests,
            delta_bytes: DELTA_BYTES,
        }
    }

    /// The same with another budget for deltas, in bytes.
    pub const fn with_deltas_of(self, delta_bytes: u64) -> Self {
        Self { delta_bytes, ..self }
    }

    /// Whether objects never change, so that only an isolate's memory bounds how long it keeps them.
    pub fn is_immutable(&self) -> bool {
        self.layout != Layout::KeyPerCustomer
    }

    /// Bytes of everything that is stored.
    pub fn total_bytes(&self) -> f64 {
        self.objects as f64 * self.object_bytes
            + self.pages as f64 * self.page_bytes
            + self.index_bytes as f64
    }

    /// The part of all shards in which this number of changed customers lie.
    pub fn touched(&self, changes: f64) -> f64 {
        // 1 - (1 - 1/n)^changes, exact also where n is a billion.
        -libm::expm1(changes * libm::log1p(-1.0 / self.objects as f64))
    }

    /// The same for pages.
    pub fn pages_touched(&self, changes: f64) -> f64 {
        if self.pages < 2 { 1.0 } else { -libm::expm1(changes * libm::log1p(-1.0 / self.pages as f64)) }
    }

    /// Compactions in a day at a change rate: a full delta each.
    pub fn compactions_per_day(&self, change_rate: f64) -> f64 {
        if self.is_immutable() { self.customers as f64 * change_rate / self.delta_customers() } else { 0.0 }
    }

    /// Customers that a full delta holds.
    pub const fn delta_customers(&self) -> f64 {
        (self.delta_bytes / RECORD_BYTES) as f64
    }

    /// Bytes of a delta on average: it grows evenly from nothing to its budget, over and over.
    pub const fn mean_delta_bytes(&self) -> f64 {
        self.delta_bytes as f64 / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_as_the_builder_does() {
        let shape = |customers| Shape::new(customers, Layout::Shards(64 << 10));
        let of = |shape: Shape| (shape.objects, shape.pages, shape.index_bytes);
        // 187 MB / 64 KiB = 2,853.4, and the next power of two.
        assert_eq!(of(shape(1_000_000)), (4_096, 0, 131_072));
        assert!((shape(1_000_000).object_bytes - 45_654.3).abs() < 0.1);
        // 2^15 shards still fit into the index; more have pages.
        assert_eq!(of(shape(10_000_000)), (32_768, 0, 1 << 20));
        assert_eq!(of(shape(100_000_000)), (524_288, 16, 512));
        // Few changes touch a shard each; 1 - (1 - 1/4096)^4096 is 1 - 1/e.
        assert!((shape(1_000_000).touched(1.0) * 4_096.0 - 1.0).abs() < 1e-9);
        assert!((shape(1_000_000).touched(4_096.0) - 0.632).abs() < 0.001);
    }
}
