//! The processes that a server has started itself: wrangler needs its workerd, and does not notice when that is gone.
//!
//! Read from `/proc`, so Linux only; elsewhere a part that lost one is noticed when it stops answering.

use std::{fs, time::Duration};

use crate::job::Stopwatch;

/// How often they are counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Fewer than before for so long is a loss: wrangler replaces its workerd when the Worker is built anew.
const GRACE: Duration = Duration::from_secs(5);

/// Counts the processes called `name` in a process group.
#[derive(Debug)]
pub struct Crew {
    name: &'static str,
    counted: Stopwatch,
    most: usize,
    short_since: Option<Stopwatch>,
}

impl Crew {
    /// Watches for the loss of a process called `name`.
    pub fn new(name: &'static str) -> Self {
        Self { name, counted: Stopwatch::start(), most: 0, short_since: None }
    }

    /// Whether one of the group's processes is gone for good.
    pub fn has_lost(&mut self, group: u32) -> bool {
        if self.counted.elapsed() >= COUNT_EVERY {
            self.counted = Stopwatch::start();
            let count = processes().filter(|stat| is_in(stat, group, self.name)).count();
            self.most = self.most.max(count);
            self.short_since = (count < self.most).then(|| self.short_since.unwrap_or_else(Stopwatch::start));
        }
        self.short_since.is_some_and(|since| since.elapsed() >= GRACE)
    }
}

/// What the system says of each process: `pid (name) state parent group ...`.
fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
}

fn is_in(stat: &str, group: u32, name: &str) -> bool {
    // The name may hold anything, parentheses among it.
    let Some((before, after)) = stat.rsplit_once(") ") else { return false };
    let is_called_so = before.split_once(" (").is_some_and(|(_, it)| it == name);
    let mut fields = after.split(' ');
    let is_alive = fields.next() != Some("Z");
    is_called_so && is_alive && fields.nth(1).and_then(|it| it.parse().ok()) == Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_told_by_name_and_group() {
        let stat = "4711 (workerd) S 4700 4600 4600 0 -1 4194560";
        assert!(is_in(stat, 4600, "workerd"));
        assert!(!is_in(stat, 4700, "workerd"));
        assert!(!is_in(stat, 4600, "node"));
        assert!(is_in("1 (odd ) name) S 2 3 4", 3, "odd ) name"));
        assert!(!is_in("4711 (workerd) Z 4700 4600 4600", 4600, "workerd"));
        assert!(!is_in("", 1, ""));
    }
}
