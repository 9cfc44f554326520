//! The numbers, tables and plot of `docs/scale.md`, whose prose stands in the page.

mod sizes;

use anyhow::{Context, Result};

use super::{
    assume::{
        CACHE_TTLS, CHANGE_RATE, CHANGE_RATES, CHECKS_PER_DAY, CHECKS_PER_DAY_MAX, CHECKS_PER_ISOLATE,
        COLD_MS, CUSTOMERS, DELTA_BYTES, HEAD_SECS, HEAD_STALE_SECS, HOT_MS, ISOLATE_LIFE_SECS, ISOLATES_MIN,
        LARGER_TARGET, LOAD_MS_PER_BYTE, OBJECT_CACHE_BYTES, POPS, READ_DOLLARS, READS_INCLUDED,
        RECORD_BYTES, SHARD_TARGET, SMALL_PAGE_BITS, STORE_TIMEOUT_SECS, STORED_DOLLARS, STORED_INCLUDED,
        SYNC_SECS, TTL_SECS, UPLOAD_BYTES_PER_SEC, WRITE_DOLLARS, WRITES_INCLUDED, ZIPF_EXPONENT,
    },
    caches,
    cost::{Bill, Method, compaction_load, reads, written},
    demand::{Pop, Zipf, peak},
    fresh,
    layout::{Layout, Shape},
    tiers::Tiers,
};
use crate::{
    numbers::{binary, count, decimal, dollars, duration, percent, short},
    page::{Values, fill},
    plot::{self, Axis, Looks, Panel},
    table::table,
};

const USUAL: Layout = Layout::Shards(SHARD_TARGET);
const LARGER: Layout = Layout::Shards(LARGER_TARGET);

/// The looks of the layouts in the plot, in their order.
const LINES: [Looks; 6] = [
    ("#e0574f", "9 5", 4.5),
    ("#c98a1b", "2 4", 3.0),
    ("#8f9a2c", "6 3 2 3", 3.0),
    ("#1f9d8b", "", 4.5),
    ("#3f8fdc", "12 4", 3.0),
    ("#a06bd8", "4 2", 3.0),
];

/// One layout of one business, with the usual changes.
struct Row {
    shape: Shape,
    /// For each of [`CACHE_TTLS`]: minutes, a day as the Worker asks, a week.
    tiers: [Tiers; 3],
}

impl Row {
    fn new(shape: Shape) -> Self {
        Self { shape, tiers: CACHE_TTLS.map(|ttl_secs| caches::day(&shape, ttl_secs, CHANGE_RATE)) }
    }

    const fn day(&self) -> &Tiers {
        let [_, day, _] = &self.tiers;
        day
    }

    fn bill(&self, method: Method) -> Bill {
        let day = written(&self.shape, method, CHANGE_RATE);
        Bill::new(reads(&self.shape, self.day()), &day, self.shape.total_bytes())
    }
}

/// Everything that takes time to compute.
pub struct Results {
    /// Every layout of every business.
    rows: Vec<Row>,
    /// Those with pages, with small ones.
    small_pages: Vec<Row>,
    /// What the lane's model says.
    pub lane: Values,
}

impl Results {
    /// Computes the rows, which takes some seconds.
    pub fn compute() -> Self {
        let shapes = CUSTOMERS
            .into_iter()
            .flat_map(|customers| Layout::all().map(move |layout| Shape::new(customers, layout)));
        let paged = CUSTOMERS.into_iter().filter(|customers| Shape::new(*customers, USUAL).pages > 0);
        let small_pages =
            paged.map(|customers| Row::new(Shape::paged(customers, USUAL, SMALL_PAGE_BITS))).collect();
        Self { rows: shapes.map(Row::new).collect(), small_pages, lane: fresh::tables::results() }
    }

    /// `page` with all numbers and tables.
    pub fn fill(&self, page: &str) -> Result<String> {
        let mut values = assumptions();
        values.extend(sizes::limits());
        values.extend(fresh::tables::assumptions());
        values.extend(self.findings()?);
        values.extend(self.lane.clone());
        fill(page, &values)
    }

    fn row(&self, customers: u64, layout: Layout) -> Result<&Row> {
        let is_it = |row: &&Row| row.shape.customers == customers && row.shape.layout == layout;
        self.rows
            .iter()
            .find(is_it)
            .with_context(|| format!("the model has no {customers} customers, {}", layout.name()))
    }

    /// What needs the caches.
    fn findings(&self) -> Result<Values> {
        let [one, ten, hundred, _] = CUSTOMERS;
        let (keys, usual, larger) =
            (self.row(ten, Layout::KeyPerCustomer)?, self.row(ten, USUAL)?, self.row(ten, LARGER)?);
        let mut found = values([("table_layouts", self.layouts()), ("table_places", places(&usual.shape))]);
        let ([key_minutes, ..], [minutes, _, week]) = (&keys.tiers, &usual.tiers);
        for (name, tiers, row) in [
            ("keys", key_minutes, keys),
            ("day", usual.day(), usual),
            ("minutes", minutes, usual),
            ("week", week, usual),
            ("larger", larger.day(), larger),
        ] {
            found.insert(format!("{name}_cold"), percent(1.0 - tiers.hit_ratio()));
            found.insert(format!("{name}_ms"), short(tiers.mean_ms(&row.shape)));
        }
        for (name, customers) in [("one", one), ("ten", ten), ("hundred", hundred)] {
            let row = self.row(customers, USUAL)?;
            found.insert(format!("bill_{name}"), dollars(row.bill(Method::Deltas).total()));
            found.insert(format!("head_{name}"), percent(row.day().head_ratio()));
        }
        let (cold, ms) =
            (usual.day().cold_reads() - larger.day().cold_reads(), usual.day().mean_ms(&usual.shape));
        found.extend(values([
            ("larger_saves", short(100.0 * cold)),
            ("larger_saves_ms", short(ms - larger.day().mean_ms(&larger.shape))),
            ("table_changes", changes()),
            ("table_bills", self.bills()),
            ("table_remedies", self.remedies()),
        ]));
        Ok(found)
    }

    /// All layouts of all businesses.
    fn layouts(&self) -> String {
        let mut head = strings(["customers", "layout", "customers in each", "in memory", "head"]);
        for ttl in CACHE_TTLS.map(duration) {
            head.extend([format!("{ttl}: hit"), "cold reads".to_owned(), "p50, p99 ms".to_owned()]);
        }
        let row = |row: &Row| {
            let Row { shape, tiers } = row;
            let mut cells = vec![
                count(shape.customers as f64),
                shape.layout.name(),
                count((shape.customers as f64 / shape.objects as f64).round()),
                percent(row.day().memory_ratio()),
                percent(row.day().head_ratio()),
            ];
            for tiers in tiers {
                cells.extend([
                    percent(tiers.hit_ratio()),
                    format!("{:.2}", tiers.cold_reads()),
                    waits(tiers, shape),
                ]);
            }
            cells
        };
        table(&head, &self.rows.iter().map(row).collect::<Vec<_>>())
    }

    /// The whole bill, shards against a key per customer.
    fn bills(&self) -> String {
        let kinds = [(USUAL, Method::Deltas), (Layout::KeyPerCustomer, Method::KeyPerCustomer)];
        let rows = CUSTOMERS
            .into_iter()
            .flat_map(|customers| kinds.map(|(layout, method)| (customers, layout, method)));
        let rows = rows.filter_map(|(customers, layout, method)| {
            let bill = self.row(customers, layout).ok()?.bill(method);
            let mut cells = vec![count(customers as f64), layout.name()];
            cells.extend([bill.reads, bill.writes, bill.stored, bill.total()].map(dollars));
            Some(cells)
        });
        table(
            &["customers", "layout", "reads", "writes and deletes", "stored", "in all"],
            &rows.collect::<Vec<_>>(),
        )
    }

    /// Other sizes of shards and pages.
    fn remedies(&self) -> String {
        let is_large = |row: &&Row| {
            let is_shown = matches!(row.shape.layout, Layout::Shards(target) if target >= SHARD_TARGET);
            is_shown && row.shape.customers >= 10_000_000
        };
        let rows = self.rows.iter().filter(is_large).chain(&self.small_pages).map(|row| {
            let (shape, tiers) = (&row.shape, row.day());
            let pages = match shape.pages {
                0 => "0".to_owned(),
                pages => format!("{} of {}", count(pages as f64), binary(shape.page_bytes)),
            };
            vec![
                count(shape.customers as f64),
                shape.layout.name(),
                pages,
                percent(tiers.memory_ratio()),
                format!("{:.2}", tiers.cold_reads()),
                short(tiers.mean_ms(shape)),
                waits(tiers, shape),
                percent(compaction_load(shape, CHANGE_RATE)),
            ]
        });
        let head = [
            "customers",
            "layout",
            "pages",
            "in memory",
            "cold reads",
            "mean ms",
            "p50, p99 ms",
            "publisher's time",
        ];
        table(&head, &rows.collect::<Vec<_>>())
    }

    /// Cold reads per check over the number of customers, a panel for each of the two shorter times in KV.
    pub fn plot(&self) -> String {
        let panel = |(at, note): (usize, &str)| {
            let points = |layout: Layout| {
                let rows = self.rows.iter().filter(move |row| row.shape.layout == layout);
                rows.filter_map(|row| Some((row.shape.customers as f64, row.tiers.get(at)?.cold_reads())))
                    .collect()
            };
            let ttl = CACHE_TTLS.get(at).copied().map(duration).unwrap_or_default();
            Panel {
                title: format!("KV keeps a value for {ttl}{note}"),
                columns: CUSTOMERS.map(|customers| (customers as f64, count(customers as f64))).to_vec(),
                unit: "customers",
                lines: Layout::all().map(points).enumerate().collect(),
            }
        };
        plot::lines(
            "Cold reads of KV per check, by number of customers, layout and the time that KV keeps a value",
            &format!(
                "Cold reads of KV per check (less is better), {} of customers changing a day",
                percent(CHANGE_RATE)
            ),
            [(0, ""), (1, ", as Admit asks")].map(panel),
            &Axis { levels: vec![0.05, 0.1, 0.2, 0.5, 1.0, 2.0], is_logarithmic: true },
            &Layout::all().map(Layout::name).zip(LINES).collect::<Vec<_>>(),
        )
    }
}

fn values<const N: usize>(pairs: [(&str, String); N]) -> Values {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn waits(tiers: &Tiers, shape: &Shape) -> String {
    format!("{:.0}, {:.0}", tiers.percentile_ms(0.5, shape), tiers.percentile_ms(0.99, shape))
}

/// The assumptions, as the page shows them.
fn assumptions() -> Values {
    let zipf = Zipf::of_customers();
    let pop = |n: usize| Pop::all().get(n).map_or(0.0, |pop| pop.share);
    values([
        ("record_bytes", RECORD_BYTES.to_string()),
        ("checks_per_day", CHECKS_PER_DAY.to_string()),
        ("checks_per_day_max", CHECKS_PER_DAY_MAX.to_string()),
        ("zipf", ZIPF_EXPONENT.to_string()),
        ("busiest_hundredth", percent(zipf.share(0.01))),
        ("busiest_half", percent(zipf.share(0.5))),
        ("peak", percent(peak())),
        ("pops", POPS.to_string()),
        ("pop_1", percent(pop(0))),
        ("pop_50", percent(pop(49))),
        ("isolates_min", ISOLATES_MIN.to_string()),
        ("checks_per_isolate", CHECKS_PER_ISOLATE.to_string()),
        ("isolate_life", duration(ISOLATE_LIFE_SECS)),
        ("object_cache", binary(OBJECT_CACHE_BYTES as f64)),
        ("ttls", CACHE_TTLS.map(duration).join(", ")),
        ("hot_ms", HOT_MS.to_string()),
        ("cold_ms", COLD_MS.to_string()),
        ("timeout", duration(STORE_TIMEOUT_SECS)),
        ("load_ms", short(LOAD_MS_PER_BYTE * SHARD_TARGET as f64)),
        ("load_larger_ms", short(LOAD_MS_PER_BYTE * LARGER_TARGET as f64)),
        ("load_mib_ms", short(LOAD_MS_PER_BYTE * 1_048_576.0)),
        ("sync", duration(SYNC_SECS)),
        ("change", percent(CHANGE_RATE)),
        ("changes", CHANGE_RATES.map(percent).join(", ")),
        ("head_secs", duration(HEAD_SECS)),
        ("head_stale", duration(HEAD_STALE_SECS)),
        ("delta_mean", binary(DELTA_BYTES as f64 / 2.0)),
        ("delta_max", binary(DELTA_BYTES as f64)),
        ("upload", decimal(UPLOAD_BYTES_PER_SEC)),
        ("read_price", format!("${READ_DOLLARS:.2}")),
        ("write_price", format!("${WRITE_DOLLARS:.2}")),
        ("stored_price", format!("${STORED_DOLLARS:.2}")),
        ("reads_included", count(READS_INCLUDED)),
        ("writes_included", count(WRITES_INCLUDED)),
        ("stored_included", STORED_INCLUDED.to_string()),
    ])
}

/// Cold reads at points of presence of several sizes.
fn places(shape: &Shape) -> String {
    let shown = Pop::all().into_iter().filter(|pop| [0, 9, 49, 99].contains(&pop.number));
    let rows = shown.map(|pop| {
        let checks = pop.checks_per_day(shape.customers) / shape.objects as f64;
        let cold_reads = caches::day_at(shape, TTL_SECS, CHANGE_RATE, pop).cold_reads();
        vec![
            format!("number {} by size", pop.number + 1),
            percent(pop.share),
            format!("{checks:.2}"),
            format!("{cold_reads:.2}"),
        ]
    });
    let head = ["point of presence", "of all customers", "checks per shard and day", "cold reads per check"];
    table(&head, &rows.collect::<Vec<_>>())
}

/// Hit ratios by the fraction of customers that change.
fn changes() -> String {
    let mut head = strings(["customers", "none"]);
    head.extend(CHANGE_RATES.map(percent));
    let rows = CUSTOMERS.map(|customers| {
        let hit = |rate| percent(caches::day(&Shape::new(customers, USUAL), TTL_SECS, rate).hit_ratio());
        [count(customers as f64), hit(0.0)].into_iter().chain(CHANGE_RATES.map(hit)).collect()
    });
    table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::{
        super::assume::{DIGEST_BYTES, ISOLATE_BYTES, PAGE_ABOVE_BITS},
        sizes::{isolate_bytes, pages_of_memory, room, waiting},
        *,
    };
    use crate::page::places as places_of;

    /// The page's sentences must be what the numbers say.
    #[test]
    fn the_prose_is_true() {
        let [one, ten, hundred, billion] = CUSTOMERS.map(|customers| Shape::new(customers, USUAL));
        assert_eq!(
            (SHARD_TARGET, (DIGEST_BYTES << PAGE_ABOVE_BITS)),
            (64 << 10, 1 << 20),
            "shards and pages"
        );
        assert_eq!((one.pages, ten.pages), (0, 0));
        assert!(pages_of_memory(&hundred) < 1.0);
        assert!((pages_of_memory(&billion) - 4.0).abs() < 1e-9, "four times the memory");
        for shape in [&one, &ten, &hundred] {
            assert!(compaction_load(shape, 0.1) < 1.0, "keeps up");
        }
        assert!(compaction_load(&billion, 0.1) > 1.0, "does not keep up");
        let larger = Shape::new(billion.customers, LARGER);
        assert!(compaction_load(&larger, CHANGE_RATE) > 1.0, "cannot keep up with larger shards");
        assert!(room(ten.customers, SHARD_TARGET) > waiting(), "64 KiB withstands a slow store");
        assert!(room(ten.customers, LARGER_TARGET) < waiting(), "256 KiB does not");
        assert!([one, ten, hundred, billion].iter().all(|s| isolate_bytes(s) < ISOLATE_BYTES as f64));

        let cold =
            |layout, ttl| 1.0 - caches::day(&Shape::new(10_000_000, layout), ttl, CHANGE_RATE).hit_ratio();
        let [minutes, day, week] = CACHE_TTLS.map(|ttl_secs| cold(USUAL, ttl_secs));
        let [short, long, _] = CACHE_TTLS;
        assert!(minutes > 0.9 && minutes < cold(Layout::KeyPerCustomer, short), "hardly better: {minutes}");
        assert!((0.33..0.40).contains(&day), "five checks in eight wait for nothing cold: {day}");
        assert!(day - week < 0.05, "a week changes little: {day} {week}");
        let larger = cold(LARGER, long);
        assert!(larger < day && larger > day - 0.05, "larger shards are hardly hotter: {larger}");
        let rates = |rate| caches::day(&ten, TTL_SECS, rate).cold_reads();
        assert!(rates(0.0) < rates(0.01) && rates(0.01) < rates(0.1), "changes make shards cold");
    }

    /// The page has the present values that are quick to compute; `cargo xtask scale --check` compares the rest.
    #[test]
    fn the_page_is_current() {
        let page = std::fs::read_to_string("../docs/scale.md").unwrap();
        for values in [assumptions(), sizes::limits(), fresh::tables::assumptions()] {
            assert!(fill(&page, &values).unwrap() == page, "docs/scale.md is old: cargo xtask scale");
        }
        let results = Results { rows: Vec::new(), small_pages: Vec::new(), lane: Values::new() };
        assert!(results.findings().is_err());
        assert!(places_of(&page).len() > 60, "places are found");
    }
}
