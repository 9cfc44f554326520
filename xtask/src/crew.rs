//! The processes that a server has started itself. wrangler replaces a workerd that is gone, and then may answer or not.
//!
//! Read from `/proc`, so Linux only. Elsewhere a part that lost one is noticed later, when it has stopped answering.

use std::{collections::BTreeSet, fs, time::Duration};

use crate::job::Stopwatch;

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The processes called `name` in a process group.
#[derive(Debug)]
pub struct Crew {
    name: &'static str,
    looked: Stopwatch,
    seen: BTreeSet<u32>,
}

impl Crew {
    /// Watches the processes called `name`.
    pub fn new(name: &'static str) -> Self {
        Self { name, looked: Stopwatch::start(), seen: BTreeSet::new() }
    }

    /// Whether one that was there is gone since the last look.
    pub fn has_lost_one(&mut self, group: u32) -> bool {
        if self.looked.elapsed() < LOOK_EVERY {
            return false;
        }
        self.looked = Stopwatch::start();
        let now: BTreeSet<_> = processes().filter_map(|stat| member(&stat, group, self.name)).collect();
        let has_lost_one = !self.seen.is_subset(&now);
        self.seen = now;
        has_lost_one
    }
}

/// What the system says of each process: `pid (name) state parent group ...`.
fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
}

/// The process, if it is called `name`, lives, and is in the group.
fn member(stat: &str, group: u32, name: &str) -> Option<u32> {
    // The name may hold anything, parentheses among it.
    let (before, after) = stat.rsplit_once(") ")?;
    let (process, called) = before.split_once(" (")?;
    let mut fields = after.split(' ');
    let is_alive = fields.next()? != "Z";
    let is_in_group = fields.nth(1)?.parse() == Ok(group);
    process.parse().ok().filter(|_| called == name && is_alive && is_in_group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_told_by_name_and_group() {
        let stat = "4711 (workerd) S 4700 4600 4600 0 -1 4194560";
        assert_eq!(member(stat, 4600, "workerd"), Some(4711));
        assert_eq!(member(stat, 4700, "workerd"), None);
        assert_eq!(member(stat, 4600, "node"), None);
        assert_eq!(member("1 (odd ) name) S 2 3 4", 3, "odd ) name"), Some(1));
        assert_eq!(member("4711 (workerd) Z 4700 4600 4600", 4600, "workerd"), None);
        assert_eq!(member("", 1, ""), None);
    }
}
