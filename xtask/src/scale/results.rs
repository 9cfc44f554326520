//! Everything that the page shows about caches, in the order in which it takes time.

use std::thread;

use super::{
    assume::{
        CACHE_TTLS, CHANGE_RATE, CHANGE_RATES, CUSTOMERS, DAY_SECS, SHARD_TARGET, SHARD_TARGETS,
        SIMULATED_MAX_CUSTOMERS, SMALL_PAGE_BITS,
    },
    compute,
    shape::{Layout, Shape},
    simulate,
    tiers::Tiers,
    traffic::Pop,
};

/// How long KV keeps a value in what is shown for one time only: a day, as the Worker asks.
pub const TTL: f64 = DAY_SECS;

/// The places whose hit ratios are shown, by size.
pub const PLACES: [usize; 4] = [0, 9, 49, 99];

/// One layout of one business, with the usual changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// How customers are stored.
    pub layout: Layout,
    /// How many objects there are of what size.
    pub shape: Shape,
    /// For each of [`CACHE_TTLS`].
    pub tiers: [Tiers; CACHE_TTLS.len()],
}

impl Row {
    fn new(customers: u64, layout: Layout, page_bits: Option<u32>) -> Self {
        let shape = match page_bits {
            Some(bits) => Shape::paged(customers, layout, bits),
            None => Shape::new(customers, layout),
        };
        Self { layout, shape, tiers: CACHE_TTLS.map(|ttl| compute::day(&shape, ttl, CHANGE_RATE)) }
    }

    /// With five minutes in KV.
    pub const fn minutes(&self) -> &Tiers {
        let [minutes, _, _] = &self.tiers;
        minutes
    }

    /// With a day in KV, which is what the Worker asks for.
    pub const fn day(&self) -> &Tiers {
        let [_, day, _] = &self.tiers;
        day
    }

    /// With a week in KV.
    pub const fn week(&self) -> &Tiers {
        let [_, _, week] = &self.tiers;
        week
    }
}

/// The same day simulated and computed, without changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// How customers are stored.
    pub layout: Layout,
    /// Customers.
    pub customers: u64,
    /// How long KV keeps a value.
    pub ttl_secs: f64,
    /// Each check followed.
    pub simulated: Tiers,
    /// By formula.
    pub computed: Tiers,
}

/// What the page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// Every layout of every business.
    pub rows: Vec<Row>,
    /// Those with pages, with small ones.
    pub small_pages: Vec<Row>,
    /// Cold reads per check at [`PLACES`]: 10 million customers, 64 KiB, a day.
    pub places: Vec<(Pop, f64)>,
    /// Hit ratios for no changes and each of [`CHANGE_RATES`], by business: 64 KiB, a day.
    pub changes: Vec<(u64, Vec<f64>)>,
    /// What could be simulated.
    pub pairs: Vec<Pair>,
}

/// All layouts, in the order of the tables.
pub fn layouts() -> Vec<Layout> {
    [Layout::KeyPerCustomer].into_iter().chain(SHARD_TARGETS.map(Layout::Shards)).collect()
}

impl Results {
    /// Simulates and computes. `progress` is told what is done next, and says whether to go on.
    pub fn new(progress: impl Fn(&str) -> bool) -> Option<Self> {
        if !progress("computing hit ratios") {
            return None;
        }
        let usual = Layout::Shards(SHARD_TARGET);
        let pairs_of = |customers: u64| layouts().into_iter().map(move |layout| (customers, layout));
        let wanted: Vec<_> = CUSTOMERS.into_iter().flat_map(pairs_of).collect();
        let rows = halves(&wanted, |(customers, layout)| Row::new(*customers, *layout, None));
        let small_pages = CUSTOMERS
            .into_iter()
            .filter(|customers| Shape::new(*customers, usual).pages > 0)
            .map(|customers| Row::new(customers, usual, Some(SMALL_PAGE_BITS)))
            .collect();
        let [_, ten_million, ..] = CUSTOMERS;
        let shape = Shape::new(ten_million, usual);
        let shown = Pop::all().into_iter().filter(|pop| PLACES.contains(&pop.number));
        let places =
            shown.map(|pop| (pop, compute::at(&shape, TTL, CHANGE_RATE, pop).cold_reads())).collect();
        let changes = CUSTOMERS.into_iter().map(|customers| {
            let shape = Shape::new(customers, usual);
            let rates = [0.0].into_iter().chain(CHANGE_RATES);
            (customers, rates.map(|rate| compute::day(&shape, TTL, rate).hit_ratio()).collect())
        });
        let changes = changes.collect();
        let mut pairs = Vec::new();
        for (customers, layout) in
            wanted.into_iter().filter(|(customers, _)| *customers <= SIMULATED_MAX_CUSTOMERS)
        {
            if !progress(&format!(
                "simulating {} million customers, {}",
                customers / 1_000_000,
                layout.name()
            )) {
                return None;
            }
            pairs.extend(simulated(customers, layout));
        }
        Some(Self { rows, small_pages, places, changes, pairs })
    }

    /// The row of a business in a layout.
    pub fn row(&self, customers: u64, layout: Layout) -> Option<&Row> {
        self.rows.iter().find(|row| row.shape.customers == customers && row.layout == layout)
    }
}

/// One layout, simulated and computed for the two shorter times.
fn simulated(customers: u64, layout: Layout) -> Vec<Pair> {
    let [short, long, _] = CACHE_TTLS;
    let shape = Shape::new(customers, layout);
    let simulated = simulate::day(&shape, [short, long]);
    [short, long]
        .into_iter()
        .zip(simulated)
        .map(|(ttl_secs, simulated)| {
            let computed = compute::day(&shape, ttl_secs, 0.0);
            Pair { layout, customers, ttl_secs, simulated, computed }
        })
        .collect()
}

/// Does something with each element, on two threads. The order stays.
fn halves<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (left, right) = all.split_at(all.len() / 2);
    let of = |part: &[T]| -> Vec<R> { part.iter().map(&each).collect() };
    thread::scope(|scope| {
        let other = scope.spawn(|| of(right));
        let mut done = of(left);
        done.extend(other.join().into_iter().flatten());
        done
    })
}
