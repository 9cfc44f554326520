//! How far the origin's clock differs from this machine's, by the `Date` header of its answers.

use std::{cell::Cell, time::Duration};

use admit_publish::peer::clock::{DIFFERENCE_MAX_SECS, difference_secs};
use admit_snapshot::instant::UnixSecs;
use admit_token::limits::LEEWAY_DEFAULT_SECS;
use ureq::http::HeaderMap;

use super::{checks::CLOCK, report::ConformanceReport};

/// The best estimate of the origin's clock.
#[derive(Debug, Default)]
pub struct Clock {
    /// Seconds by which the origin is ahead, by the answer that took the least time, and that time.
    closest: Cell<Option<(i64, Duration)>>,
}

impl Clock {
    /// Records the `Date` of an answer that arrived at `now` and took `took`.
    pub fn note(&self, headers: &HeaderMap, now: UnixSecs, took: Duration) {
        let Some(ahead_secs) = difference_secs(headers, now) else { return };
        if self.closest.get().is_none_or(|(_, closest)| took < closest) {
            self.closest.set(Some((ahead_secs, took)));
        }
    }

    /// Reports the difference that the best estimate gives.
    pub fn conclude(&self, report: &mut ConformanceReport) {
        let Some((ahead_secs, took)) = self.closest.get() else {
            return report.skip(&CLOCK, "no answer has a Date header");
        };
        let differs = || {
            let side = if ahead_secs < 0 { "behind" } else { "ahead" };
            format!("the clock differs by {} s: the origin's is {side}", ahead_secs.unsigned_abs())
        };
        // The origin may have written `Date` at any moment of `took`: judge only what is beyond doubt.
        let least = ahead_secs.unsigned_abs().saturating_sub(took.as_secs());
        if least > u64::from(LEEWAY_DEFAULT_SECS) {
            let consequence = "tokens and accesses will be refused, or last too long";
            report.fail(&CLOCK, format!("{}; {consequence}", differs()));
        } else if least > DIFFERENCE_MAX_SECS.unsigned_abs() {
            report.warn(&CLOCK, differs());
        } else {
            report.pass(&CLOCK, format!("within {DIFFERENCE_MAX_SECS} s"));
        }
    }
}

#[cfg(test)]
mod tests {
    use ureq::http::header;

    use super::*;
    use crate::check_origin::report::CheckOutcome;

    /// 2026-11-28T08:00:00Z.
    const NOW: i64 = 1_795_852_800;

    fn headers(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::DATE, date.parse().unwrap())])
    }

    fn outcome(date: &str, took_secs: u64) -> (CheckOutcome, String) {
        let clock = Clock::default();
        clock.note(&headers(date), NOW, Duration::from_secs(took_secs));
        let mut report = ConformanceReport::new("o");
        clock.conclude(&mut report);
        let finding = report.checks.remove(0);
        (finding.outcome, finding.found)
    }

    #[test]
    fn a_difference_is_judged_by_what_it_breaks() {
        for (date, took_secs, expected, text) in [
            ("Sat, 28 Nov 2026 08:00:00 GMT", 0, CheckOutcome::Pass, "within 5 s"),
            ("Sat, 28 Nov 2026 07:59:55 GMT", 0, CheckOutcome::Pass, "within 5 s"),
            (
                "Sat, 28 Nov 2026 08:00:20 GMT",
                0,
                CheckOutcome::Warn,
                "differs by 20 s: the origin's is ahead",
            ),
            // An answer that took half a minute proves less.
            ("Sat, 28 Nov 2026 07:59:35 GMT", 30, CheckOutcome::Pass, "within 5 s"),
            (
                "Sat, 28 Nov 2026 07:00:00 GMT",
                0,
                CheckOutcome::Fail,
                "differs by 3600 s: the origin's is behind",
            ),
            ("yesterday", 0, CheckOutcome::Skip, "no answer has a Date header"),
        ] {
            let (outcome, found) = outcome(date, took_secs);
            assert_eq!(outcome, expected, "{date}: {found}");
            assert!(found.contains(text), "{date}: {found}");
        }
    }

    #[test]
    fn the_quickest_answer_counts_and_caches_say_how_old_they_are() {
        let clock = Clock::default();
        clock.note(&headers("Sat, 28 Nov 2026 08:00:20 GMT"), NOW, Duration::from_millis(900));
        clock.note(&headers("Sat, 28 Nov 2026 08:00:00 GMT"), NOW, Duration::from_millis(9));
        clock.note(&headers("Sat, 28 Nov 2026 08:00:30 GMT"), NOW, Duration::from_millis(90));
        let mut cached = headers("Sat, 28 Nov 2026 07:00:00 GMT");
        cached.insert(header::AGE, "3600".parse().unwrap());
        clock.note(&cached, NOW, Duration::ZERO);
        let mut report = ConformanceReport::new("o");
        clock.conclude(&mut report);
        assert_eq!(report.checks[0].outcome, CheckOutcome::Pass);
    }
}
