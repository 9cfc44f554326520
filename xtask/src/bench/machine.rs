//! The machine that was measured on. Not its name: whose it is does not matter.

use std::{fs, process::Command, thread};

use serde_json::{Value, json};

use super::numbers::Unit;
use crate::job;

/// What there is to compare machines by.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Model of the CPU, as it calls itself.
    pub cpu: String,
    /// Cores that programs may use.
    pub cores: usize,
    /// Main memory, in bytes.
    pub memory: Option<u64>,
    /// Operating system and architecture.
    pub system: String,
}

impl Machine {
    /// The one that this runs on.
    pub fn here() -> Self {
        let cpu = cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
            .or_else(|| sysctl("machdep.cpu.brand_string"))
            .unwrap_or_else(|| "an unknown CPU".to_owned());
        let memory = kib_of(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:")
            .or_else(|| sysctl("hw.memsize")?.parse().ok());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        Self { cpu, cores, memory, system }
    }

    /// For people.
    pub fn describe(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let memory = self.memory.map(|bytes| format!(", {} of memory", Unit::Bytes.show(bytes as f64)));
        let cores = if self.cores == 1 { "core" } else { "cores" };
        format!("{} {cores} of {}{}, {}", self.cores, self.cpu, memory.unwrap_or_default(), self.system)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "cpu": self.cpu, "cores": self.cores, "memory_bytes": self.memory, "system": self.system })
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A number of KiB in a file such as `/proc/meminfo`, in bytes.
pub fn kib_of(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn sysctl(name: &str) -> Option<String> {
    job::stdout(Command::new("sysctl").args(["-n", name])).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_understood() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU: 2 GHz\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("Some CPU: 2 GHz"));
        assert_eq!(cpu_model(""), None);
        let status = "Name:\tadmit\nVmPeak:\t  200 kB\nVmHWM:\t  1024 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(kib_of(status, "VmHWM:"), Some(1024 * 1024));
        assert_eq!(kib_of(status, "VmSwap:"), None);
        assert_eq!(kib_of("VmHWM:\tmuch kB\n", "VmHWM:"), None);
    }
}
