//! `admit generate`: prints a made-up business of any size. The same arguments give the same bytes on every
//! machine.
//!
//! `catalogue` makes merchants and items, `customer` the customers and their daily changes, `random` the
//! numbers.

mod catalogue;
mod customer;
mod random;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use admit_publish::{clock::now, output::Stdout};
use admit_snapshot::{
    schema::{Line, SnapshotLine},
    time::{Timestamp, UnixSecs},
};
use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, HumanCount};

use self::{
    catalogue::Size,
    customer::{Customers, DAY_SECS},
    random::Zipf,
};

/// The most days: each costs every customer a few nanoseconds.
const DAYS_MAX: u64 = 3_650;

/// Arguments of `admit generate`.
#[derive(clap::Args)]
#[command(after_help = "\
Prints lines of the publish schema. The same arguments give the same bytes on every machine: all randomness
is SplitMix64 of --seed, and nothing depends on the clock. Memory does not grow with --customers.

With --churn each day changes customers, and the seq grows by their number. The command prints the --after of the
next day.

Examples:
  admit generate --customers 1000000 --out day0.ndjson
  admit generate --customers 1000000 --churn 0.01 --after 1 --out day1.ndjson
  admit generate --customers 10000 | admit publish --from - --dry-run")]
pub struct Args {
    /// Customers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=100_000_000_000))]
    customers: u64,
    /// Items that are not packages, at least one for each merchant
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    items: u64,
    /// Packages of items
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    packages: u64,
    /// Licences that customers can subscribe to
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(..=100_000))]
    licenses: u64,
    /// Accesses that a customer holds on average
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(..=1_000))]
    grants_per_customer: u64,
    /// Merchants
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    merchants: u64,
    /// Seed: another seed makes another business
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Exponent of Zipf's law for the popularity of items; 0 makes all items equally popular
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    zipf: f64,
    /// Count of changes before the first day
    #[arg(long, value_name = "N", default_value_t = 1)]
    seq: u64,
    /// When the data was true before the first day, unix seconds [default: 2026-01-01T00:00:00Z]
    #[arg(long, value_name = "SECS", default_value_t = 1_767_225_600, hide_default_value = true)]
    as_of: UnixSecs,
    /// Fraction of customers that a day changes, above 0 and at most 1
    #[arg(long, value_name = "F", requires = "after")]
    churn: Option<f64>,
    /// Print the day of changes that follows this seq
    #[arg(long, value_name = "SEQ", requires = "churn")]
    after: Option<u64>,
    /// File to write to [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs `admit generate`.
///
/// # Errors
/// The arguments contradict each other, or the lines cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let started = now();
    if args.items < args.merchants {
        bail!("--items must be at least {}: each merchant needs one", args.merchants);
    }
    if !(0.0..=10.0).contains(&args.zipf) {
        bail!("--zipf: expected a number from 0 to 10");
    }
    let (changes_per_day, days) = churn(args)?;
    let size = Size {
        seed: args.seed,
        merchants: args.merchants,
        items: args.items,
        packages: args.packages,
        licenses: args.licenses,
        as_of: args.as_of,
        zipf: Zipf::new(args.items.div_ceil(args.merchants), args.zipf),
    };
    let customers = Customers {
        size: &size,
        count: args.customers,
        grants_per_customer: args.grants_per_customer,
        changes_per_day,
        days,
    };
    let seq = args.seq + days * changes_per_day;
    let as_of = Some(Timestamp::At(args.as_of + days.cast_signed() * DAY_SECS));
    let out: Box<dyn Write> = match &args.out {
        Some(path) => {
            Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => Box::new(Stdout),
    };
    let mut out = Counted { out: BufWriter::with_capacity(1 << 16, out), bytes: 0 };
    let snapshot = Line::Snapshot(SnapshotLine { seq, as_of });
    let people = (0..args.customers).map(|number| Line::Customer(customers.customer(number)));
    for line in std::iter::once(snapshot).chain(size.lines()).chain(people) {
        serde_json::to_writer(&mut out, &line).context("cannot write")?;
        out.write_all(b"\n").context("cannot write")?;
    }
    out.flush().context("cannot write")?;
    let secs = started.elapsed().as_secs_f64();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "a rate for people to read"
    )]
    let rate = (args.customers as f64 / secs.max(1e-9)) as u64;
    let (count, bytes) = (HumanCount(args.customers), HumanBytes(out.bytes));
    eprintln!("seq {seq}: {count} customers, {bytes} in {secs:.1} s, {}/s", HumanCount(rate));
    if changes_per_day > 0 {
        eprintln!("{} customers a day change; the next day is --after {seq}", HumanCount(changes_per_day));
    }
    Ok(())
}

/// How many customers a day changes, and how many days have passed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "at most 10^11 customers: a float holds them exactly"
)]
fn churn(args: &Args) -> Result<(u64, u64)> {
    let (Some(churn), Some(after)) = (args.churn, args.after) else { return Ok((0, 0)) };
    if !(churn > 0.0 && churn <= 1.0) || args.customers == 0 {
        bail!("--churn: expected a fraction of customers, more than 0 and at most 1");
    }
    let changes = ((args.customers as f64 * churn).round() as u64).clamp(1, args.customers);
    match after.checked_sub(args.seq) {
        Some(passed) if passed.is_multiple_of(changes) && passed / changes < DAYS_MAX => {
            Ok((changes, passed / changes + 1))
        }
        _ => bail!(
            "--after: days end at seq {}, {}, {} and so on, {DAYS_MAX} of them",
            args.seq,
            args.seq.saturating_add(changes),
            args.seq.saturating_add(2 * changes)
        ),
    }
}

/// Counts the bytes that are written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
