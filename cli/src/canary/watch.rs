//! Watches edges while a change reaches them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use admit_publish::peer::time::Time;
use anyhow::Result;

use super::edge::{Edge, Said};

/// How edges are asked.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two questions.
    pub every: Duration,
    /// How long no older answer may come.
    pub settle: Duration,
    /// When an edge is given up.
    pub timeout: Duration,
}

/// What one edge answered after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// The first answer that knew of the change, since it was sent.
    pub first: Option<Duration>,
    /// The first such answer that no older one followed; `None` if there was none in time.
    pub settled: Option<Duration>,
    /// How many older answers came after the first that knew.
    pub relapses: u32,
    /// Answers that said neither, and no answers.
    pub odd: u32,
    /// The last of those.
    pub problem: Option<String>,
    /// Where the head in use was read, when the change was seen.
    pub head_from: Option<String>,
}

impl Sighting {
    /// Notes an answer that came `after` the change was sent.
    fn note(&mut self, said: Said, is_granted: bool, after: Duration) {
        match (said, is_granted) {
            (Said::Granted, true) | (Said::Revoked, false) => {
                self.first.get_or_insert(after);
                self.settled.get_or_insert(after);
            }
            (Said::Odd(problem), _) => {
                self.odd += 1;
                self.problem = Some(problem);
            }
            _ => {
                self.relapses += u32::from(self.first.is_some());
                self.settled = None;
            }
        }
    }

    /// Whether no older answer has come for long enough.
    fn is_settled(&self, after: Duration, settle: Duration) -> bool {
        self.settled.is_some_and(|since| after.saturating_sub(since) >= settle)
    }
}

/// Sends a change by `send`, and asks all edges from that moment until they know of it.
///
/// # Errors
/// The change could not be sent.
pub fn watch(
    edges: &[Edge],
    is_granted: bool,
    pace: Pace,
    stop: &AtomicBool,
    time: &dyn Time,
    send: impl FnOnce() -> Result<()>,
) -> Result<Vec<Sighting>> {
    let began = time.elapsed();
    let has_failed = AtomicBool::new(false);
    let watch_one = |edge: &Edge| {
        let mut sighting = Sighting::default();
        loop {
            let said = edge.ask();
            let after = time.elapsed().saturating_sub(began);
            let was_unknown = sighting.first.is_none();
            sighting.note(said, is_granted, after);
            if was_unknown && sighting.first.is_some() {
                sighting.head_from = edge.head_from();
            }
            let is_over = sighting.is_settled(after, pace.settle) || after >= pace.timeout;
            if is_over || stop.load(Ordering::Relaxed) || has_failed.load(Ordering::Relaxed) {
                return sighting;
            }
            time.sleep(pace.every);
        }
    };
    thread::scope(|scope| {
        let watchers: Vec<_> = edges.iter().map(|edge| scope.spawn(|| watch_one(edge))).collect();
        let sent = send();
        has_failed.store(sent.is_err(), Ordering::Relaxed);
        // A watcher that panicked saw nothing; the panic has been printed.
        let seen = watchers.into_iter().map(|watcher| watcher.join().unwrap_or_default()).collect();
        sent.map(|()| seen)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_as_seen_when_no_older_answer_follows() {
        let ms = Duration::from_millis;
        let mut sighting = Sighting::default();
        for (said, at) in [
            (Said::Granted, 100),
            (Said::Odd("503".to_owned()), 200),
            (Said::Revoked, 300),
            // Another isolate.
            (Said::Granted, 400),
            (Said::Revoked, 500),
            (Said::Revoked, 900),
        ] {
            sighting.note(said, false, ms(at));
        }
        assert_eq!((sighting.first, sighting.settled), (Some(ms(300)), Some(ms(500))));
        assert_eq!((sighting.relapses, sighting.odd, sighting.problem.as_deref()), (1, 1, Some("503")));
        assert!(!sighting.is_settled(ms(900), ms(401)) && sighting.is_settled(ms(900), ms(400)));
    }
}
