//! What a process has computed so far, by the kernel's own account.

use std::{fs, path::PathBuf};

/// CPU time of all threads of `pid`, in nanoseconds; `None` where there is no such account. `stat` counts in ticks
/// of 10 ms, too coarse for a slice.
pub fn nanos(pid: u32) -> Option<u64> {
    let tasks = fs::read_dir(PathBuf::from(format!("/proc/{pid}/task"))).ok()?;
    let mut sum = 0;
    for task in tasks.flatten() {
        // A thread may have ended meanwhile.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        sum += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}
