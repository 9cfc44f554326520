//! The change feed. Every answer is checked line by line, whatever it was requested for.

use std::time::Duration;

use admit_publish::{change::parse, origin::is_vouched_for};
use admit_snapshot::schema::Change;

use super::{
    checks::{
        FEED_ACCESS, FEED_AHEAD, FEED_ANSWER, FEED_END, FEED_LINES, FEED_ORDER, FEED_PAST, FEED_QUIET,
        FEED_WAIT,
    },
    client::{Ask, OriginAnswer, OriginClient, with_parameter},
    log::Log,
    report::ConformanceReport,
    strangers,
};

/// The seconds of `Prefer: wait`.
const WAIT_SECS: u64 = 2;

/// An answer that takes this much longer than the wait is late.
const LATE: Duration = Duration::from_secs(3);

/// How far ahead of the origin the check of `FEED_AHEAD` pretends to be.
const AHEAD: u64 = 1_000_000_000;

/// How far back changes are requested, so that there are lines to check.
const RECENT: u64 = 10;

/// The change feed of an origin.
pub struct Feed<'a> {
    /// Sends the requests.
    client: &'a OriginClient,
    /// The URL of the feed.
    url: &'a str,
    /// The bearer that may read it.
    token: Option<&'a str>,
    lines: Log,
    order: Log,
    end: Log,
}

/// One answer of the feed.
pub struct Page {
    /// The answer as it arrived.
    pub answer: OriginAnswer,
    /// The changes that could be read.
    pub changes: Vec<Change>,
}

impl<'a> Feed<'a> {
    /// The feed at `url`.
    pub fn new(client: &'a OriginClient, url: &'a str, token: Option<&'a str>) -> Self {
        let (lines, order, end) = Default::default();
        Self { client, url, token, lines, order, end }
    }

    /// Runs the checks that need only the `seq` of an export.
    pub fn check(&mut self, report: &mut ConformanceReport, seq: u64) {
        let url = with_parameter(self.url, "after", seq);
        strangers::check(report, &FEED_ACCESS, self.client, &url, self.token);
        let Some(last) = self.check_answer(report, seq) else {
            return;
        };
        self.check_past(report, seq);
        self.check_ahead(report, last);
        self.check_wait(report, last);
    }

    /// Checks the answer to `after=seq`. Returns the seq of the feed's last change.
    fn check_answer(&mut self, report: &mut ConformanceReport, seq: u64) -> Option<u64> {
        let problem = match self.changes(seq, None) {
            Ok(changes) => {
                report.pass(&FEED_ANSWER, format!("200, {} changes since the export", changes.len()));
                return Some(changes.last().map_or(seq, |change| change.seq));
            }
            Err(problem) => problem,
        };
        report.fail(&FEED_ANSWER, problem);
        None
    }

    fn check_past(&mut self, report: &mut ConformanceReport, seq: u64) {
        if seq == 0 {
            return report.skip(&FEED_PAST, "the origin has no past: its seq is 0");
        }
        match self.ask(0, None) {
            Err(problem) => report.fail(&FEED_PAST, problem),
            Ok(page) => match (page.answer.status, page.answer.body.trim_ascii().is_empty()) {
                (410, _) => {
                    report.pass(&FEED_PAST, "410");
                    // Requested for its lines; problems in them go to the logs.
                    if seq > RECENT {
                        let _ = self.ask(seq - RECENT, None);
                    }
                }
                (200, false) => report.pass(&FEED_PAST, format!("200, {} changes", page.changes.len())),
                (200, true) => {
                    report.fail(&FEED_PAST, format!("200 with an empty body, although the seq is {seq}"))
                }
                _ => report.fail(&FEED_PAST, page.answer.describe()),
            },
        }
    }

    fn check_ahead(&mut self, report: &mut ConformanceReport, last: u64) {
        match self.ask(last.saturating_add(AHEAD), None) {
            Err(problem) => report.fail(&FEED_AHEAD, problem),
            Ok(page) => report.judge(&FEED_AHEAD, page.answer.other_than(&[410]), "410"),
        }
    }

    fn check_wait(&mut self, report: &mut ConformanceReport, last: u64) {
        let page = match self.ask(last, Some(WAIT_SECS)) {
            Err(problem) => {
                report.fail(&FEED_WAIT, problem);
                return report.skip(&FEED_QUIET, "it does not answer a request that waits");
            }
            Ok(page) => page,
        };
        let (elapsed, wait) = (page.answer.elapsed, Duration::from_secs(WAIT_SECS));
        let took = format!("{:.1} s", elapsed.as_secs_f64());
        if let Some(problem) = page.answer.other_than(&[200, 204]) {
            report.fail(&FEED_WAIT, problem);
        } else if elapsed > wait + LATE {
            report.fail(&FEED_WAIT, format!("it answered after {took}"));
        } else if !page.changes.is_empty() {
            report.pass(&FEED_WAIT, format!("a change came after {took}"));
        } else if elapsed < wait / 2 {
            report.skip(
                &FEED_WAIT,
                "it answers at once, which is allowed: edges learn of changes when they ask again",
            );
        } else {
            report.pass(&FEED_WAIT, format!("it answered after {took}"));
        }
        self.check_quiet(report, &page);
    }

    /// Checks that an empty answer identifies the feed, so that it differs from an empty answer of a proxy.
    fn check_quiet(&mut self, report: &mut ConformanceReport, page: &Page) {
        let OriginAnswer { status, headers, body, .. } = &page.answer;
        if !matches!(status, 200 | 204) || !body.trim_ascii().is_empty() {
            report.skip(&FEED_QUIET, "no answer was empty");
        } else if is_vouched_for(headers) {
            report.pass(&FEED_QUIET, format!("an empty {status} of the feed's own"));
        } else {
            let found = page.answer.header("content-type").unwrap_or("none");
            report.warn(&FEED_QUIET, format!(
                "an empty {status} with Content-Type: {found}, and without Entitlement-Seq: a follower warns, and does \
                 not renew the age of the head"
            ));
        }
    }

    /// Reports the findings that come from all answers together.
    pub fn conclude(&self, report: &mut ConformanceReport) {
        self.lines.conclude(report, &FEED_LINES, "lines", "no answer had a line");
        self.order.conclude(report, &FEED_ORDER, "lines", "no answer had a line");
        self.end.conclude(report, &FEED_END, "answers", "there was no answer");
    }

    /// The changes after `after`, from an answer without problems.
    ///
    /// # Errors
    /// The answer has a problem or did not come.
    pub fn changes(&mut self, after: u64, wait: Option<u64>) -> Result<Vec<Change>, String> {
        let page = self.ask(after, wait)?;
        match page.answer.other_than(&[200, 204]) {
            None => Ok(page.changes),
            Some(problem) => Err(problem),
        }
    }

    /// Requests changes, and checks every line.
    fn ask(&mut self, after: u64, wait: Option<u64>) -> Result<Page, String> {
        let url = with_parameter(self.url, "after", after);
        let ask = Ask::get(&url).bearer(self.token);
        let answer = self.client.send(match wait {
            Some(secs) => ask.wait(secs),
            None => ask,
        })?;
        let changes = if answer.status == 200 { self.look_at(after, &answer) } else { Vec::new() };
        Ok(Page { answer, changes })
    }

    fn look_at(&mut self, after: u64, answer: &OriginAnswer) -> Vec<Change> {
        self.end.seen(1);
        if let Some(broken) = &answer.broken {
            self.end.problem(format!("after={after}: it breaks off: {broken}"));
        }
        let mut changes = Vec::new();
        let mut expected = Some(after.saturating_add(1));
        for (number, line) in (1..).zip(answer.body.split_inclusive(|byte| *byte == b'\n')) {
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let at = format!("after={after}, line {number}");
            let change = match parse(text) {
                Ok(change) => change,
                // An unreadable last line without a newline is a line that breaks off.
                Err(_) if !line.ends_with(b"\n") => {
                    if answer.broken.is_none() {
                        self.end.problem(format!("{at}: it breaks off, and the answer is complete"));
                    }
                    continue;
                }
                Err(problem) => {
                    let separator = if problem.field.is_empty() { "" } else { ": " };
                    self.lines.seen(1);
                    self.lines.problem(format!("{at}: {}{separator}{}", problem.field, problem.message));
                    expected = None;
                    continue;
                }
            };
            self.lines.seen(1);
            self.order.seen(1);
            if let Some(expected) = expected.filter(|expected| *expected != change.seq) {
                self.order.problem(format!("{at}: expected seq {expected}, found {}", change.seq));
            }
            expected = Some(change.seq.saturating_add(1));
            changes.push(change);
        }
        changes
    }
}
