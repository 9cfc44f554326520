//! Warns of clocks that differ. Tokens, leases and heads are judged by the clocks of several machines. A
//! wrong clock shows as a 401 or as a head from the future, far from its cause.

use std::sync::{Mutex, PoisonError};

use admit_snapshot::time::UnixSecs;
use chrono::DateTime;
use ureq::http::{HeaderMap, header};

/// Seconds of difference that the header's precision, the network and a busy peer explain.
pub const DIFFERENCE_MAX_SECS: i64 = 5;

/// A difference that has changed by this many seconds is reported again.
const SAID_AGAIN_SECS: i64 = 60;

/// Seconds by which the peer's clock is ahead of `now`, by the `Date` of its answer; negative if it is
/// behind. `None` without a `Date`. The `Age` of a cached answer is subtracted.
pub fn difference_secs(headers: &HeaderMap, now: UnixSecs) -> Option<i64> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse::<i64>().ok());
    let sent = DateTime::parse_from_rfc2822(date.trim()).ok()?.timestamp();
    Some(sent.saturating_add(age.unwrap_or(0).max(0)).saturating_sub(now))
}

/// The warning about a difference from `peer`, if it is too large.
pub fn warning(peer: &str, difference_secs: i64) -> Option<String> {
    let by = difference_secs.unsigned_abs();
    if by <= DIFFERENCE_MAX_SECS.unsigned_abs() {
        return None;
    }
    let (by, ahead) = (indicatif::HumanCount(by), if difference_secs > 0 { "behind" } else { "ahead" });
    Some(format!(
        "clock differs by {by} s from {peer}: this machine is {ahead}, or that one is wrong. Tokens, leases and \
         heads are judged by both clocks; set the wrong one by NTP"
    ))
}

/// Remembers which difference of a peer's clock was reported.
#[derive(Debug, Default)]
pub struct Watch(Mutex<i64>);

impl Watch {
    /// The warning about the clock that an answer of `peer` shows at `now`: once, and again when the
    /// difference has changed.
    pub fn notice(&self, peer: &str, headers: &HeaderMap, now: UnixSecs) -> Option<String> {
        let difference = difference_secs(headers, now)?;
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(warning) = warning(peer, difference) else {
            *said = 0;
            return None;
        };
        if difference.abs_diff(*said) < SAID_AGAIN_SECS.unsigned_abs() {
            return None;
        }
        *said = difference;
        Some(warning)
    }
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    /// 1994-11-06T08:49:37Z
    const NOW: UnixSecs = 784_111_777;

    fn headers(date: &str, age: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, HeaderValue::from_str(date).unwrap());
        headers.extend(age.map(|age| (header::AGE, HeaderValue::from_str(age).unwrap())));
        headers
    }

    #[test]
    fn the_difference_is_that_of_the_date() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(difference_secs(&headers(date, None), NOW), Some(0));
        assert_eq!(difference_secs(&headers(date, None), NOW + 3_600), Some(-3_600));
        assert_eq!(difference_secs(&headers(date, Some("3600")), NOW + 3_600), Some(0));
        assert_eq!(difference_secs(&headers("yesterday", None), NOW), None);
        assert_eq!(difference_secs(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn seconds_are_nothing_and_an_hour_is_said_once() {
        let watch = Watch::default();
        let date = headers("Sun, 06 Nov 1994 08:49:37 GMT", None);
        assert_eq!(watch.notice("o", &date, NOW + DIFFERENCE_MAX_SECS), None);
        let said = watch.notice("https://o.example", &date, NOW + 3_601).unwrap();
        assert!(
            said.starts_with("clock differs by 3,601 s from https://o.example: this machine is ahead"),
            "{said}"
        );
        assert_eq!(watch.notice("o", &date, NOW + 3_610), None);
        assert!(watch.notice("o", &date, NOW - 3_600).unwrap().contains("this machine is behind"));
        // Corrected, and then wrong again.
        assert_eq!(watch.notice("o", &date, NOW), None);
        assert!(watch.notice("o", &date, NOW + 3_601).is_some());
    }
}
