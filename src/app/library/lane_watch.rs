//! When the fresh lane was asked for the head, and when it is due again (docs/adr/0056).
//!
//! It is a watch beside that of the store's head, which goes on as without a lane: a head that only the store has, and a
//! lane that repeats an old one, are seen as soon as ever.

use crate::{
    app::problems::{Problem, Problems},
    limits::{LANE_LOST_SECS, LANE_PAUSE_MAX_SECS, LANE_PAUSE_SECS, LANE_SLEPT_INTERVALS},
    snapshot::time::UnixSecs,
};

/// What to do about the lane before a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// Nothing: it was asked a moment ago, it is paused, or there is none.
    Quiet,
    /// Answer, and ask it behind the request.
    Due,
    /// Ask it first: this isolate slept.
    Slept,
}

/// The clock of the lane.
#[derive(Debug)]
pub struct LaneWatch {
    /// `FRESH_SECS`; 0 without a lane.
    interval_secs: i64,
    /// When it last answered, whatever it said.
    answered_at: UnixSecs,
    /// No further question before this moment, after a failure.
    retry_at: UnixSecs,
    /// The pause after the last failure; 0 after an answer.
    pause_secs: i64,
    /// When a question began that has not ended.
    asking_since: Option<UnixSecs>,
    /// How many of its last answers in a row were heads whose objects could not be read.
    ahead: u32,
    /// How often it said an older head than the one in use.
    older: u32,
    /// How often it failed.
    failed: u32,
    problems: Problems,
}

impl Default for LaneWatch {
    fn default() -> Self {
        Self {
            interval_secs: 0,
            answered_at: UnixSecs::MIN,
            retry_at: UnixSecs::MIN,
            pause_secs: 0,
            asking_since: None,
            ahead: 0,
            older: 0,
            failed: 0,
            problems: Problems::default(),
        }
    }
}

impl LaneWatch {
    /// There is a lane, to be asked every `interval_secs`; never if that is 0.
    pub const fn open(&mut self, interval_secs: u32) {
        self.interval_secs = interval_secs as i64;
    }

    /// Whether there is a lane.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.interval_secs > 0
    }

    /// What to do about it at `now`.
    #[must_use]
    pub const fn state(&self, now: UnixSecs) -> LaneState {
        if !self.is_open() || now < self.retry_at {
            return LaneState::Quiet;
        }
        let age_secs = now.saturating_sub(self.answered_at);
        if age_secs < self.interval_secs {
            LaneState::Quiet
        } else if age_secs < self.slept_secs() || self.has_failed_of_late(now) || self.ahead > 1 {
            LaneState::Due
        } else {
            LaneState::Slept
        }
    }

    const fn slept_secs(&self) -> i64 {
        self.interval_secs * LANE_SLEPT_INTERVALS
    }

    /// A lane that fails keeps no request waiting. A single failure is forgotten by an isolate that slept since.
    const fn has_failed_of_late(&self, now: UnixSecs) -> bool {
        let failed_at = self.retry_at.saturating_sub(self.pause_secs);
        self.pause_secs > LANE_PAUSE_SECS
            || (self.pause_secs > 0 && now.saturating_sub(failed_at) < self.slept_secs())
    }

    /// Whether a request is asking it, and has not been lost.
    #[must_use]
    pub fn is_asking(&self, now: UnixSecs) -> bool {
        self.asking_since.is_some_and(|since| now.saturating_sub(since) < LANE_LOST_SECS)
    }

    /// A question begins.
    pub const fn begins(&mut self, now: UnixSecs) {
        self.asking_since = Some(now);
    }

    /// It answered: with a head that is in use now, or nothing.
    pub const fn answered(&mut self, now: UnixSecs) {
        self.asking_since = None;
        self.answered_at = now;
        self.retry_at = UnixSecs::MIN;
        self.pause_secs = 0;
        self.ahead = 0;
    }

    /// It answered with a head whose objects the store does not have yet. It is asked again as after any answer. If that
    /// happens twice in a row, no request waits for it any more, because it would wait for the store too; a single read
    /// that failed is forgotten by an isolate that slept since.
    pub const fn was_ahead(&mut self, now: UnixSecs) {
        let ahead = self.ahead.saturating_add(1);
        self.answered(now);
        self.ahead = ahead;
    }

    /// It answered with an older head than the one in use, as a cache does until it is purged.
    pub const fn said_older(&mut self, now: UnixSecs) {
        self.answered(now);
        self.older = self.older.saturating_add(1);
    }

    /// It did not answer, or its answer cannot be used. Each failure in a row doubles the pause. Returns how often this
    /// has happened since the last log line, if one is due.
    pub fn failed(&mut self, problem: &str, now: UnixSecs) -> Option<u32> {
        self.asking_since = None;
        self.pause_secs = (self.pause_secs * 2).clamp(LANE_PAUSE_SECS, LANE_PAUSE_MAX_SECS);
        self.retry_at = now.saturating_add(self.pause_secs);
        self.failed = self.failed.saturating_add(1);
        self.problem(problem, now)
    }

    /// Counts a problem, as [`Self::failed`], that is none of asking it.
    pub fn problem(&mut self, problem: &str, now: UnixSecs) -> Option<u32> {
        let now_ms = u64::try_from(now).unwrap_or_default().saturating_mul(1_000);
        self.problems.count(&Problem::new(problem, String::new()), now_ms)
    }

    /// The next answer needs the lane to be asked first, because this isolate has just stored a head.
    pub const fn expire(&mut self) {
        self.answered_at = UnixSecs::MIN;
    }

    /// How long ago it answered, how often it failed, and how often it said an older head. `None` without a lane.
    #[must_use]
    pub fn report(&self, now: UnixSecs) -> Option<LaneReport> {
        let answered = Some(self.answered_at).filter(|at| *at > UnixSecs::MIN);
        let answered_secs = answered.map(|at| now.saturating_sub(at));
        self.is_open().then_some(LaneReport { answered_secs, failed: self.failed, older: self.older })
    }
}

/// What an isolate knows of the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneReport {
    /// How long ago it answered; `None` if it never did.
    pub answered_secs: Option<i64>,
    /// How often it failed.
    pub failed: u32,
    /// How often it said an older head than the one in use.
    pub older: u32,
}

impl LaneReport {
    /// The member `lane` of `/healthz`, behind another one.
    pub fn member(self) -> String {
        let Self { answered_secs, failed, older } = self;
        let answered_secs = answered_secs.map_or_else(|| "null".to_owned(), |secs| secs.to_string());
        format!(r#","lane":{{"answered_secs":{answered_secs},"failed":{failed},"older":{older}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> LaneWatch {
        let mut watch = LaneWatch::default();
        watch.open(2);
        watch
    }

    #[test]
    fn it_is_asked_behind_answers_and_first_after_a_sleep() {
        let mut watch = open();
        assert_eq!(watch.state(1_000), LaneState::Slept, "it was never asked");
        watch.answered(1_000);
        for (now, state) in [
            (1_000, LaneState::Quiet),
            (1_001, LaneState::Quiet),
            (1_002, LaneState::Due),
            (1_003, LaneState::Due),
            (1_004, LaneState::Slept),
            (9_000, LaneState::Slept),
        ] {
            assert_eq!(watch.state(now), state, "{now}");
        }
        watch.expire();
        assert_eq!(watch.state(1_001), LaneState::Slept);
        assert_eq!(LaneWatch::default().state(1_000), LaneState::Quiet, "there is none");
        watch.open(0);
        assert_eq!(watch.state(9_000), LaneState::Quiet, "it is off");
    }

    #[test]
    fn one_failure_is_forgotten_by_a_sleep_and_two_are_not() {
        let mut watch = open();
        watch.answered(1_000);
        watch.failed("no answer in time", 1_002);
        assert_eq!(watch.state(1_003), LaneState::Due, "it has just failed");
        assert_eq!(watch.state(1_055), LaneState::Slept);
        watch.failed("no answer in time", 1_055);
        for now in [1_058, 1_500] {
            assert_eq!(watch.state(now), LaneState::Due, "{now}");
        }
    }

    #[test]
    fn failures_pause_it_for_longer_and_longer_and_an_answer_ends_that() {
        let mut watch = open();
        let mut now = 1_000;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            watch.failed("no answer", now);
            let since = now;
            while watch.state(now) == LaneState::Quiet {
                now += 1;
            }
            // It is never waited for again until it has answered.
            assert_eq!(watch.state(now), LaneState::Due);
            pauses.push(now - since);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        watch.answered(now);
        watch.failed("no answer", now + 2);
        assert_eq!(watch.state(now + 3), LaneState::Due);
        assert_eq!(watch.report(now + 3).map(|report| report.failed), Some(9));
    }

    #[test]
    fn a_lane_that_is_ahead_of_the_store_is_asked_as_usual_and_keeps_no_request_waiting() {
        let mut watch = open();
        watch.failed("no answer", 990);
        watch.was_ahead(998);
        for (now, state) in [(999, LaneState::Quiet), (1_000, LaneState::Due), (1_002, LaneState::Slept)] {
            assert_eq!(watch.state(now), state, "{now}: a single failure ends with a sleep");
        }
        for now in (1_000..1_100).step_by(2) {
            watch.was_ahead(now);
            assert_eq!(watch.state(now + 1), LaneState::Quiet);
            assert_eq!(watch.state(now + 2), LaneState::Due);
        }
        assert_eq!(watch.state(2_000), LaneState::Due, "nor after a sleep");
        assert_eq!(watch.report(1_100).map(|report| report.failed), Some(1));
        watch.answered(2_000);
        assert_eq!(watch.state(2_004), LaneState::Slept);
    }

    #[test]
    fn one_question_at_a_time_until_it_is_lost() {
        let mut watch = open();
        watch.begins(1_000);
        assert!(watch.is_asking(1_000));
        assert!(!watch.is_asking(1_000 + LANE_LOST_SECS));
        watch.begins(1_010);
        watch.answered(1_010);
        assert!(!watch.is_asking(1_010));
    }

    #[test]
    fn repeated_problems_are_counted_and_logged_at_times() {
        let mut watch = open();
        let logged: Vec<_> = (0..21).filter_map(|second| watch.failed("no answer", 1_000 + second)).collect();
        assert_eq!(logged, [1, 10, 10]);
        assert_eq!(watch.problem("announce: no answer", 1_020), Some(1), "another is logged at once");
    }
}
