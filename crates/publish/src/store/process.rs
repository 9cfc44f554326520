//! Identifies the process that holds a lease, so that the next publisher on the same machine need not wait
//! for the lease of a killed one.
//!
//! A process id alone would not do: ids are reused, other machines have the same ones, and so do containers
//! side by side. So a process is identified by its machine's boot, its pid namespace, its id, and its start
//! time. Where one of these is unknown, as on every system but Linux, a process is never taken for gone.

use std::{fs, path::Path};

/// Where the kernel describes processes.
const PROC: &str = "/proc";

/// This process, as a lease names it.
pub fn this() -> Option<String> {
    Process::of(Path::new(PROC), std::process::id())
}

/// Whether `process` ran on this machine and has ended.
pub fn is_gone(process: &str) -> bool {
    is_gone_by(Path::new(PROC), process)
}

/// A process as a lease names it.
#[derive(Debug, PartialEq, Eq)]
struct Process<'a> {
    boot: &'a str,
    namespace: &'a str,
    number: u32,
    began: u64,
}

impl Process<'static> {
    fn of(proc: &Path, number: u32) -> Option<String> {
        let began = state(proc, number)?.began;
        let (boot, namespace) = (boot(proc)?, namespace(proc)?);
        Some(Process { boot: &boot, namespace: &namespace, number, began }.text())
    }
}

impl<'a> Process<'a> {
    fn text(&self) -> String {
        let Self { boot, namespace, number, began } = self;
        format!("{boot}/{namespace}/{number}/{began}")
    }

    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('/');
        let (boot, namespace) = (parts.next()?, parts.next()?);
        let (number, began) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let is_all = parts.next().is_none() && !boot.is_empty() && !namespace.is_empty();
        is_all.then_some(Self { boot, namespace, number, began })
    }
}

fn is_gone_by(proc: &Path, process: &str) -> bool {
    let Some(process) = Process::parse(process) else { return false };
    if boot(proc).as_deref() != Some(process.boot) || namespace(proc).as_deref() != Some(process.namespace) {
        return false;
    }
    match state(proc, process.number) {
        Some(state) => state.is_over || state.began != process.began,
        // The processes of other users may be hidden. If even process 1 is visible, a missing process is
        // gone.
        None => state(proc, 1).is_some() && !proc.join(process.number.to_string()).exists(),
    }
}

fn boot(proc: &Path) -> Option<String> {
    Some(fs::read_to_string(proc.join("sys/kernel/random/boot_id")).ok()?.trim().to_owned())
}

fn namespace(proc: &Path) -> Option<String> {
    Some(fs::read_link(proc.join("self/ns/pid")).ok()?.to_str()?.to_owned())
}

/// The content of `/proc/<number>/stat` (proc_pid_stat(5)).
struct State {
    /// Field 22: clock ticks from boot to its start.
    began: u64,
    /// Field 3: the process has ended, whether or not its parent has noticed.
    is_over: bool,
}

fn state(proc: &Path, number: u32) -> Option<State> {
    let stat = fs::read_to_string(proc.join(number.to_string()).join("stat")).ok()?;
    // The name stands in parentheses and may itself contain parentheses and spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let is_over = matches!(fields.next()?, "Z" | "X" | "x");
    // `fields` starts with field 3, which `next` has taken, so field 22 is 18 further.
    Some(State { began: fields.nth(22 - 4)?.parse().ok()?, is_over })
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, path::PathBuf};

    use super::*;

    /// A directory that looks like a machine's `/proc`.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(boot: &str, namespace: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let random = dir.path().join("sys/kernel/random");
            fs::create_dir_all(&random).unwrap();
            fs::write(random.join("boot_id"), format!("{boot}\n")).unwrap();
            fs::create_dir_all(dir.path().join("self/ns")).unwrap();
            symlink(namespace, dir.path().join("self/ns/pid")).unwrap();
            let machine = Self(dir);
            machine.run(1, 'S', 3);
            machine
        }

        fn path(&self) -> PathBuf {
            self.0.path().to_owned()
        }

        fn run(&self, number: u32, state: char, began: u64) {
            let dir = self.path().join(number.to_string());
            fs::create_dir_all(&dir).unwrap();
            let zeros = "0 ".repeat(22 - 4);
            fs::write(dir.join("stat"), format!("{number} (a) b (c)) {state} {zeros}{began} 0 0\n")).unwrap();
        }

        fn end(&self, number: u32) {
            fs::remove_dir_all(self.path().join(number.to_string())).unwrap();
        }
    }

    #[test]
    fn a_process_is_gone_when_it_ended_or_its_number_is_anothers() {
        let machine = Machine::new("b1", "pid:[4]");
        machine.run(77, 'S', 500);
        let process = Process::of(&machine.path(), 77).unwrap();
        assert_eq!(process, "b1/pid:[4]/77/500");
        assert!(!is_gone_by(&machine.path(), &process));
        machine.run(77, 'Z', 500);
        assert!(is_gone_by(&machine.path(), &process), "its parent has not noticed");
        machine.end(77);
        assert!(is_gone_by(&machine.path(), &process));
        machine.run(77, 'R', 501);
        assert!(is_gone_by(&machine.path(), &process), "its number was reused");
    }

    #[test]
    fn what_cannot_be_told_is_not_gone() {
        let process = "b1/pid:[4]/77/500";
        assert!(is_gone_by(&Machine::new("b1", "pid:[4]").path(), process));
        assert!(!is_gone_by(&Machine::new("b2", "pid:[4]").path(), process), "another machine");
        assert!(!is_gone_by(&Machine::new("b1", "pid:[5]").path(), process), "another container");
        let hidden = Machine::new("b1", "pid:[4]");
        hidden.end(1);
        assert!(!is_gone_by(&hidden.path(), process), "processes of others are hidden");
        assert!(!is_gone_by(Path::new("nowhere"), process), "another kind of system");
        for odd in ["", "b1/pid:[4]/77", "b1/pid:[4]/x/500", "b1/pid:[4]/77/500/1", "//77/500"] {
            assert!(!is_gone_by(&Machine::new("b1", "pid:[4]").path(), odd), "{odd}");
        }
    }

    #[test]
    fn this_process_is_not_gone() {
        if let Some(this) = this() {
            assert!(!is_gone(&this), "{this}");
            assert!(this.len() <= admit_snapshot::lease::PROCESS_MAX_BYTES);
        }
    }
}
