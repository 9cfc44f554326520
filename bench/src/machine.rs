//! The machine that was measured on, without its name.

use std::{fs, process::Command, thread};

use serde_json::{Value, json};
use xtask::job;

use crate::numbers::Unit;

/// The facts by which machines are compared.
pub struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: Option<u64>,
    system: String,
}

impl Machine {
    pub fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let sysctl = |name: &str| job::stdout(Command::new("sysctl").args(["-n", name])).ok();
        let cpu = cpu_model(&read("/proc/cpuinfo")).or_else(|| sysctl("machdep.cpu.brand_string"));
        Self {
            cpu: cpu.unwrap_or_else(|| "an unknown CPU".to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib_of(&read("/proc/meminfo"), "MemTotal:")
                .or_else(|| sysctl("hw.memsize")?.parse().ok()),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }

    pub fn describe(&self) -> String {
        let Self { cpu, cores, memory_bytes, system } = self;
        let memory = memory_bytes.map(|bytes| format!(", {} of memory", Unit::Bytes.show(bytes as f64)));
        let noun = if *cores == 1 { "core" } else { "cores" };
        format!("{cores} {noun} of {cpu}{}, {system}", memory.unwrap_or_default())
    }

    pub fn json(&self) -> Value {
        let Self { cpu, cores, memory_bytes, system } = self;
        json!({ "cpu": cpu, "cores": cores, "memory_bytes": memory_bytes, "system": system })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_is_understood() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU: 2 GHz\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("Some CPU: 2 GHz"));
        let status = "Name:\tadmit\nVmPeak:\t  200 kB\nVmHWM:\t  1024 kB\nVmRSS:\t 12 kB\n";
        assert_eq!((kib_of(status, "VmHWM:"), kib_of(status, "VmSwap:")), (Some(1024 * 1024), None));
        assert_eq!(kib_of("VmHWM:\tmuch kB\n", "VmHWM:"), None);
    }
}
