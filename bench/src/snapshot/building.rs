//! From NDJSON to a snapshot: time, memory and disk, and how they grow.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use super::{Bench, child::Taken};
use crate::{
    numbers::{Unit, grouped},
    report::{Figure, Target},
};

/// Bytes on disk for a generated customer: 1.1 KB of NDJSON, and the publisher's spilled parts, which are at most its
/// record and its key, some 0.3 KB, twice while parts are merged.
const DISK_PER_CUSTOMER: u64 = 1_800;

/// Bounds a publisher that hangs: a hundredth of the speed to reach.
const PER_CUSTOMER: Duration = Duration::from_micros(500);
const AT_LEAST: Duration = Duration::from_secs(120);

pub fn run(bench: &Bench<'_>, sizes: &[u64]) -> Result<Vec<Figure>> {
    check_disk(bench.dir(), sizes.last().copied().unwrap_or(0))?;
    let mut taken = Vec::new();
    for size in sizes {
        let lines = bench.generate(*size, "customers.ndjson", &[])?;
        let mut publish = Command::new(&bench.admit);
        publish.args(["publish", "--dry-run", "--from"]).arg(&lines);
        let limit = AT_LEAST + PER_CUSTOMER.saturating_mul(u32::try_from(*size).unwrap_or(u32::MAX));
        eprintln!("  building a snapshot of {} customers ...", grouped(*size as f64));
        taken.push((*size, bench.measure("bench-publish", &mut publish, limit)?));
        fs::remove_file(&lines).with_context(|| format!("cannot remove {}", lines.display()))?;
    }
    Ok(figures(&taken))
}

fn figures(taken: &[(u64, Taken)]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (size, Taken { secs, memory_bytes, disk_bytes }) in taken {
        let customers = *size as f64;
        let figure = |id: &str, label: &str, unit, value: Option<f64>| {
            Figure::new(
                format!("build_{size}_{id}"),
                format!("{} customers: {label}", grouped(customers)),
                unit,
                value,
            )
        };
        // Starting the command would show in less than a million.
        let target = |target| if *size >= 1_000_000 { target } else { Target::None };
        let memory = memory_bytes.map(|bytes| bytes as f64);
        figures.extend([
            figure("secs", "time", Unit::Secs, Some(*secs)),
            figure("rate", "customers", Unit::PerSecond, Some(customers / secs.max(1e-9)))
                .with_target(target(Target::AtLeast(200_000.0))),
            figure("memory", "peak memory", Unit::Bytes, memory)
                .with_target(target(Target::AtMost(2.0 * 1_073_741_824.0))),
            figure("disk", "temporary files", Unit::Bytes, Some(*disk_bytes as f64)),
        ]);
    }
    if let [(small, first), .., (large, last)] = taken {
        let range = format!("from {} to {} customers", grouped(*small as f64), grouped(*large as f64));
        let memory =
            first.memory_bytes.zip(last.memory_bytes).map(|(first, last)| last as f64 / first as f64);
        let time = last.secs / first.secs.max(1e-9);
        figures.extend([
            Figure::new("build_growth_secs", format!("time, {range}"), Unit::Times, time),
            Figure::new("build_growth_memory", format!("peak memory, {range}"), Unit::Times, memory),
        ]);
    }
    figures
}

fn check_disk(dir: &Path, customers: u64) -> Result<()> {
    let needed = customers.saturating_mul(DISK_PER_CUSTOMER);
    let stat =
        rustix::fs::statvfs(dir).with_context(|| format!("cannot measure the space of {}", dir.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needed {
        bail!(
            "{} has {} free, and {customers} customers need {}: choose another place with ADMIT_CACHE, or fewer with \
             --customers",
            dir.display(),
            Unit::Bytes.show(free as f64),
            Unit::Bytes.show(needed as f64)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_growth() {
        let taken = |secs, memory| Taken { secs, memory_bytes: memory, disk_bytes: 7 };
        let all = figures(&[(1_000_000, taken(4.0, Some(500))), (10_000_000, taken(44.0, Some(600)))]);
        let value = |id: &str| all.iter().find(|figure| figure.id == id).unwrap().value.unwrap();
        assert_eq!((value("build_1000000_rate"), value("build_10000000_disk")), (250_000.0, 7.0));
        assert_eq!((value("build_growth_secs"), value("build_growth_memory")), (11.0, 1.2));
        let one = figures(&[(5, taken(1.0, None))]);
        assert!(one.iter().all(|figure| !figure.id.contains("growth")), "one size has no growth");
    }

    #[test]
    fn a_disk_that_is_too_small_is_noticed_before() {
        assert!(check_disk(Path::new("/"), 1).is_ok());
        let error = check_disk(Path::new("/"), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("ADMIT_CACHE"), "{error}");
    }
}
