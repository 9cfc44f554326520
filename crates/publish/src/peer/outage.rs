//! Repeated failures of a peer: how long to wait, and what to report.

use std::time::Duration;

use admit_snapshot::time::{UnixSecs, iso8601};

use super::retry::shortened;
use crate::output::Notice;

/// The first pause. Each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause, whatever the peer asks for: revocations wait this long.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The longest pause between attempts to publish everything again: each attempt reads an export.
pub const WHOLE_PAUSE_MAX: Duration = Duration::from_secs(300);

/// This many failures in a row are reported one by one; after that, one line every [`SAID_EVERY_SECS`] has
/// their count.
const SAID_EACH: u32 = 4;

/// How often a lasting outage is reported, in seconds.
const SAID_EVERY_SECS: i64 = 300;

/// From this many failures in a row on, reports are errors. With the pauses above that is after about a
/// minute.
const ALARMING: u32 = 7;

/// Failures of a peer in a row.
#[derive(Debug)]
pub struct Outage {
    pause: Duration,
    pause_max: Duration,
    failures: u32,
    since: UnixSecs,
    said_at: UnixSecs,
    said: String,
}

impl Default for Outage {
    fn default() -> Self {
        Self::with_pauses_up_to(PAUSE_MAX)
    }
}

/// What to do about a failure.
#[derive(Debug, PartialEq, Eq)]
pub struct Pause {
    /// How long to wait before the next attempt.
    pub pause: Duration,
    /// The message, unless the failure was reported recently.
    pub say: Option<Notice>,
}

impl Outage {
    /// An outage whose pauses grow up to `pause_max`.
    pub const fn with_pauses_up_to(pause_max: Duration) -> Self {
        Self { pause: PAUSE_MIN, pause_max, failures: 0, since: 0, said_at: 0, said: String::new() }
    }

    /// Counts a failure at `now`. The peer may have `asked` for a pause.
    pub fn failed(&mut self, error: &str, asked: Option<Duration>, now: UnixSecs) -> Pause {
        if self.failures == 0 {
            self.since = now;
        }
        self.failures = self.failures.saturating_add(1);
        let pause = match asked {
            Some(asked) => asked.clamp(PAUSE_MIN, self.pause_max),
            None => shortened(self.pause),
        };
        self.pause = self.pause.saturating_mul(2).min(self.pause_max);
        // Reported: the first few failures, a new error, and after that one line every few minutes.
        let is_news = self.failures <= SAID_EACH
            || error != self.said
            || now.saturating_sub(self.said_at) >= SAID_EVERY_SECS;
        let say = is_news.then(|| self.line(error, pause, now));
        if is_news {
            self.said_at = now;
            error.clone_into(&mut self.said);
        }
        Pause { pause, say }
    }

    fn line(&self, error: &str, pause: Duration, now: UnixSecs) -> Notice {
        let (failures, since) = (self.failures, iso8601(self.since, 0));
        let pause_secs = pause.as_secs().max(1);
        let again = format!("trying again in {pause_secs} s");
        let text = match failures {
            1 => format!("warning: {error}; {again}"),
            2..ALARMING => format!("warning: {error}; {again} ({failures} times in a row, since {since})"),
            _ => format!(
                "ERROR: {error}; {again}. That is the {failures}th time in a row, since {since}: for {} nothing new \
                 has been published, and revocations wait. An operator should look at this",
                lasting(now.saturating_sub(self.since))
            ),
        };
        Notice::new("failing", text)
            .with("error", error)
            .with("failures", failures)
            .with("since", since)
            .with("pause_secs", pause_secs)
    }

    /// The peer answers again. Returns a message if the outage was more than a hiccup.
    pub fn ended(&mut self, who: &str, now: UnixSecs) -> Option<Notice> {
        let say = (self.failures > 1).then(|| {
            let (failures, secs) = (self.failures, now.saturating_sub(self.since));
            let lasted = lasting(secs);
            let text = format!("{who} answers as it should again, after {failures} failures in {lasted}");
            Notice::new("recovered", text).with("failures", failures).with("secs", secs)
        });
        *self = Self::with_pauses_up_to(self.pause_max);
        say
    }
}

/// A duration as text.
fn lasting(secs: i64) -> String {
    match secs {
        ..120 => format!("{} s", secs.max(0)),
        120..7_200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixSecs = 1_700_000_000;

    #[test]
    fn pauses_grow_are_bounded_and_begin_anew() {
        let mut outage = Outage::default();
        for secs in [1, 2, 4, 8, 16, 30, 30] {
            let full = Duration::from_secs(secs);
            let pause = outage.failed("no", None, START).pause;
            assert!(pause <= full && pause >= full.mul_f64(0.75), "{pause:?} of {full:?}");
        }
        assert_eq!(outage.failed("no", Some(Duration::from_secs(7)), START).pause, Duration::from_secs(7));
        assert_eq!(outage.failed("no", Some(Duration::from_secs(9_999)), START).pause, PAUSE_MAX);
        assert_eq!(outage.failed("no", Some(Duration::ZERO), START).pause, PAUSE_MIN);
        outage.ended("the origin", START);
        assert!(outage.failed("no", None, START).pause <= PAUSE_MIN);
    }

    #[test]
    fn warnings_grow_louder_and_are_not_repeated() {
        let mut outage = Outage::default();
        let said: Vec<_> = (0..200)
            .map(|second| outage.failed("404 of an ingress", None, START + 10 * second).say)
            .collect();
        assert!(
            said[0].as_ref().unwrap().text().starts_with("warning: 404 of an ingress; trying again in 1 s")
        );
        assert!(said[2].as_ref().unwrap().text().contains("(3 times in a row, since 2023-11-14T22:13:20"));
        let lines = said.iter().flatten().count();
        assert!(lines <= 12, "{lines} lines of 200 failures");
        let last = said.iter().flatten().next_back().unwrap().text();
        assert!(
            last.starts_with("ERROR: 404 of an ingress") && last.contains("for 30 min nothing new"),
            "{last}"
        );
        // A different error is reported at once.
        assert!(outage.failed("503", None, START + 2_001).say.unwrap().text().contains("503"));
    }

    #[test]
    fn the_end_of_more_than_a_hiccup_is_said() {
        let mut outage = Outage::default();
        assert_eq!(outage.ended("the origin", START), None);
        outage.failed("no", None, START);
        assert_eq!(outage.ended("the origin", START), None);
        outage.failed("no", None, START);
        outage.failed("no", None, START + 100);
        let said = outage.ended("the origin", START + 130).unwrap();
        assert_eq!(said.text(), "the origin answers as it should again, after 2 failures in 2 min");
    }
}
