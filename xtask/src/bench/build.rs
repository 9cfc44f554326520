//! From NDJSON to a snapshot: time, memory and disk, and how they grow.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use super::{
    child::{Taken, measure},
    generate,
    numbers::{Unit, count},
    report::{Figure, Section, Target},
};
use crate::paths::Paths;

/// What a generated customer may need on disk: 1.1 KB of NDJSON, and what the publisher spills, which is at
/// most its record and its key, some 0.3 KB, twice while parts are merged.
const DISK_PER_CUSTOMER: u64 = 1_800;

/// Bounds a publisher that hangs: a hundredth of the speed to reach.
const PER_CUSTOMER: Duration = Duration::from_micros(500);
const AT_LEAST: Duration = Duration::from_secs(120);

/// Builds every size.
///
/// # Errors
/// The disk is too small, or a command fails.
pub fn run(paths: &Paths, admit: &Path, scratch: &Path, sizes: &[u64]) -> Result<Section> {
    let largest = sizes.last().copied().unwrap_or(0);
    check_disk(scratch, largest)?;
    let mut taken = Vec::new();
    for size in sizes {
        let lines = scratch.join("customers.ndjson");
        generate(paths, admit, *size, &lines, &[])?;
        let mut publish = Command::new(admit);
        publish.args(["publish", "--dry-run", "--from"]).arg(&lines);
        let limit = AT_LEAST + PER_CUSTOMER.saturating_mul(u32::try_from(*size).unwrap_or(u32::MAX));
        eprintln!("  building a snapshot of {} customers ...", count(*size));
        let temp = scratch.join("temp");
        taken.push((*size, measure(paths, "bench-publish", &mut publish, limit, &temp)?));
        fs::remove_file(&lines).with_context(|| format!("cannot remove {}", lines.display()))?;
        fs::remove_dir_all(&temp).context("cannot remove temporary files")?;
    }
    Ok(Section {
        title: "Building",
        method: "`admit publish --dry-run` of `admit generate`'s lines, 8 accesses a customer on average, from a \
                 file: reading, parsing, checking, sorting and building every object. Time is the whole \
                 command's, memory the kernel's high-water mark of the process, disk the most in temporary files."
            .to_owned(),
        figures: figures(&taken),
    })
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn figures(taken: &[(u64, Taken)]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (size, Taken { secs, memory, disk }) in taken {
        let id = |what: &str| format!("build_{size}_{what}");
        let what = |what: &str| format!("{} customers: {what}", count(*size));
        let memory = memory.map(|bytes| bytes as f64);
        // What starting costs would show in less than a million.
        let is_large = *size >= 1_000_000;
        let target = |target| if is_large { target } else { Target::None };
        figures.extend([
            Figure::new(id("secs"), what("time"), Unit::Secs, *secs),
            Figure::new(id("rate"), what("customers"), Unit::PerSecond, *size as f64 / secs.max(1e-9))
                .with_target(target(Target::AtLeast(200_000.0))),
            Figure::new(id("memory"), what("peak memory"), Unit::Bytes, memory)
                .with_target(target(Target::AtMost(2.0 * 1_073_741_824.0))),
            Figure::new(id("disk"), what("temporary files"), Unit::Bytes, *disk as f64),
        ]);
    }
    if let [(small, first), .., (large, last)] = taken {
        let what = |what: &str| format!("{what}, from {} to {} customers", count(*small), count(*large));
        let memory = first.memory.zip(last.memory).map(|(first, last)| last as f64 / first as f64);
        figures.extend([
            Figure::new("build_growth_secs", what("time"), Unit::Times, last.secs / first.secs.max(1e-9)),
            Figure::new("build_growth_memory", what("peak memory"), Unit::Times, memory),
        ]);
    }
    figures
}

fn check_disk(dir: &Path, customers: u64) -> Result<()> {
    let needed = customers.saturating_mul(DISK_PER_CUSTOMER);
    let free =
        rustix::fs::statvfs(dir).with_context(|| format!("cannot ask for the space of {}", dir.display()))?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if free < needed {
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let show = |bytes: u64| Unit::Bytes.show(bytes as f64);
        bail!(
            "{} has {} free, and {} customers need {}: choose another place with ADMIT_CACHE, or fewer with \
             --customers",
            dir.display(),
            show(free),
            count(customers),
            show(needed)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_growth() {
        let taken = |secs, memory| Taken { secs, memory: Some(memory), disk: 7 };
        let figures = figures(&[(1_000_000, taken(4.0, 500)), (10_000_000, taken(44.0, 600))]);
        let value = |id: &str| figures.iter().find(|figure| figure.id == id).unwrap().value.unwrap();
        assert_eq!((value("build_1000000_rate"), value("build_10000000_disk")), (250_000.0, 7.0));
        assert_eq!((value("build_growth_secs"), value("build_growth_memory")), (11.0, 1.2));
    }

    #[test]
    fn one_size_has_no_growth() {
        let figures = figures(&[(5, Taken { secs: 1.0, memory: None, disk: 0 })]);
        assert!(figures.iter().all(|figure| !figure.id.contains("growth")));
        assert_eq!(figures.iter().find(|figure| figure.id == "build_5_memory").unwrap().value, None);
    }

    #[test]
    fn a_disk_that_is_too_small_is_noticed_before() {
        assert!(check_disk(Path::new("/"), 1).is_ok());
        let error = check_disk(Path::new("/"), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("ADMIT_CACHE"), "{error}");
    }
}
