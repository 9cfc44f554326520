//! The reader of `Retry-After`, in each form that servers write (RFC 9110 §10.2.3).

use crate::instant::{self, UnixSecs};

/// The seconds to wait from `now` on. The header has a number of seconds, rounded up if it has a fraction, or a date; a
/// date in the past is 0. `None` for any other value.
#[must_use]
pub fn seconds(value: &str, now: UnixSecs) -> Option<u64> {
    // Runtimes join the values of a repeated header with commas, but a date contains a comma as well.
    let last = value.rsplit(',').next()?.trim_ascii();
    let (whole, fraction) = last.split_once('.').unwrap_or((last, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !whole.is_empty() && is_digits(whole) && is_digits(fraction) {
        // Longer than any wait that callers accept.
        let whole = whole.parse().unwrap_or(u64::MAX);
        let has_fraction = fraction.bytes().any(|digit| digit != b'0');
        return Some(whole.saturating_add(has_fraction.into()));
    }
    let date = http_date(value)?;
    Some(u64::try_from(date.saturating_sub(now)).unwrap_or(0))
}

/// A date in the preferred form of HTTP (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(value: &str) -> Option<UnixSecs> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (_weekday, date) = value.split_once(',')?;
    let mut parts = date.split_ascii_whitespace();
    let [day, month, year, time, zone] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let month = MONTHS.iter().position(|known| known.eq_ignore_ascii_case(month))? + 1;
    let moment = instant::from_text(&format!("{year}-{month:02}-{day:0>2}T{time}{zone}")).ok()?;
    parts.next().is_none().then_some(moment.at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const MOMENT: UnixSecs = 784_111_777;

    #[test]
    fn seconds_and_dates() {
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("1.0", Some(1)),
            ("1.2", Some(2)),
            ("0.001", Some(1)),
            ("5, 7", Some(7)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 09:49:37 +0100", Some(7)),
            (" sun, 6 NOV 1994 08:49:37 gmt", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("", None),
            (".5", None),
            ("-1", None),
            ("1e3", None),
            ("soon", None),
            ("Sun, 06 Nov 1994", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT x", None),
        ] {
            assert_eq!(seconds(value, MOMENT - 7), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(value in any::<String>(), now in any::<i64>()) {
            let _ = seconds(&value, now);
        }
    }
}
