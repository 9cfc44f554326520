//! Runs a command and watches its time, memory and disk.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use xtask::{
    job::{self, Job, Stopwatch},
    step,
};

use super::Bench;
use crate::machine;

/// How often the child is looked at. Linux itself keeps its peak of memory, so that only its last moments can be missed.
const LOOK: Duration = Duration::from_millis(10);

/// How often its files are counted: that is a walk over a directory.
const LOOK_AT_DISK: Duration = Duration::from_millis(200);

/// The resources that a command took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// From start to end.
    pub secs: f64,
    /// Peak memory; `None` without `/proc`.
    pub memory_bytes: Option<u64>,
    /// Peak of temporary files.
    pub disk_bytes: u64,
}

impl Bench<'_> {
    /// Runs `command` to its end, its output in a log called `name`.
    pub fn measure(&self, name: &str, command: &mut Command, limit: Duration) -> Result<Taken> {
        let temp = self.dir().join("temp");
        fs::create_dir_all(&temp)?;
        fs::create_dir_all(self.paths.logs())?;
        let log_path = self.paths.logs().join(format!("{name}.log"));
        let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
        command.env("TMPDIR", &temp).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let watch = Stopwatch::start();
        let mut job = Job::spawn(command)?;
        let proc = Path::new("/proc").join(job.child().id().to_string());
        let mut taken = Taken::default();
        let mut disk_at = Duration::ZERO;
        let status = loop {
            // Read before the question whether it has ended: afterwards nothing can be read.
            let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
            taken.memory_bytes = taken.memory_bytes.max(machine::kib_of(&status, "VmHWM:"));
            if watch.elapsed() >= disk_at {
                taken.disk_bytes = taken.disk_bytes.max(disk_bytes(&temp, &proc));
                disk_at = watch.elapsed() + LOOK_AT_DISK;
            }
            if let Some(status) = job.try_wait()? {
                break status;
            }
            if job::interrupted() {
                bail!("interrupted");
            }
            if watch.elapsed() > limit {
                bail!("{name} took longer than {} s", limit.as_secs());
            }
            thread::sleep(LOOK);
        };
        taken.secs = watch.elapsed().as_secs_f64();
        if !status.success() {
            let shown = self.paths.shown(&log_path);
            bail!("{name} failed ({status}). The end of {shown}:\n\n{}", step::tail(&log_path, 30));
        }
        fs::remove_dir_all(&temp).context("cannot remove temporary files")?;
        Ok(taken)
    }
}

/// Bytes in the files under `temp`, and in files that the process has open but whose names are gone, which is how
/// careful programs make temporary files.
fn disk_bytes(temp: &Path, proc: &Path) -> u64 {
    let mut files = BTreeMap::new();
    named(temp, &mut files);
    for entry in fs::read_dir(proc.join("fd")).into_iter().flatten().flatten() {
        let is_gone = fs::read_link(entry.path())
            .is_ok_and(|target| target.starts_with(temp) && target.to_string_lossy().ends_with(" (deleted)"));
        if is_gone && let Ok(metadata) = fs::metadata(entry.path()) {
            files.insert((metadata.dev(), metadata.ino()), metadata.len());
        }
    }
    files.values().sum()
}

fn named(dir: &Path, files: &mut BTreeMap<(u64, u64), u64>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        // A file may have gone meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            named(&entry.path(), files);
        } else {
            files.insert((metadata.dev(), metadata.ino()), metadata.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use xtask::paths::Paths;

    use super::*;
    use crate::scratch::Scratch;

    fn measured(script: &str, limit: Duration) -> Result<Taken> {
        let paths = Paths::find()?;
        let name = format!("bench-child-{}", script.len());
        let scratch = Scratch(paths.target.join("xtask").join(format!("{name}-{}", std::process::id())));
        let bench = Bench { paths: &paths, admit: PathBuf::new(), scratch };
        bench.measure(&name, Command::new("sh").args(["-c", script]), limit)
    }

    /// Named files, and one without a name; memory of a string of 20 MB.
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_and_disk_of_a_child_are_seen() {
        let script = "head -c 3000000 /dev/zero > \"$TMPDIR/a\"; exec 3> \"$TMPDIR/b\"; rm \"$TMPDIR/b\"
            head -c 4000000 /dev/zero >&3; x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 0.5; : \"$x\"";
        let taken = measured(script, Duration::from_secs(60)).unwrap();
        assert_eq!(taken.disk_bytes, 7_000_000);
        assert!(taken.memory_bytes.unwrap() > 20_000_000 && taken.secs >= 0.5, "{taken:?}");
    }

    #[test]
    fn a_child_that_fails_or_never_ends_is_an_error() {
        let error = measured("echo why; exit 3", Duration::from_secs(60)).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
        let error = measured("sleep 600", Duration::from_millis(30)).unwrap_err().to_string();
        assert!(error.contains("took longer"), "{error}");
    }
}
