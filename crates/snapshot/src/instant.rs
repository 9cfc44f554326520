//! Reads moments. Publish files, change feeds, forms, JSON bodies, claims and the upstream's answers all use
//! this reader.
//!
//! A moment is unix seconds, or text in the form of RFC 3339. Spellings that can mean only one moment are
//! accepted ([`from_text`] lists them). Numbers below [`EARLIEST`] or above [`LATEST`] are refused: a larger
//! number is milliseconds sent by mistake, and would grant access for ever.
//!
//! ```
//! use admit_snapshot::instant::{self, InstantError, Zoned};
//! use serde_json::json;
//!
//! let moment = instant::from_text("2030-01-03").unwrap();
//! assert_eq!(moment.at, 1_893_628_800);
//! assert_eq!(instant::from_json(&json!("2030-01-03 02:00:00 +0200")), Ok(Zoned { offset_mins: 120, ..moment }));
//! assert_eq!(instant::from_secs(1_893_628_800_000), Err(InstantError::Milliseconds(1_893_628_800_000)));
//! ```
//!
//! An [`InstantError`] is the rest of a sentence that begins with the field's name: "`expires_at` looks like
//! milliseconds …".

use std::fmt;

use chrono::{NaiveDate, NaiveTime};
use serde_json::{Number, Value};

use crate::number;

/// Unix seconds.
pub type UnixSecs = i64;

/// The earliest moment: 0001-01-01T00:00:00Z. Real data holds it where a date was never set.
pub const EARLIEST: UnixSecs = -62_135_596_800;

/// The latest moment: 9999-12-31T23:59:59Z. It also stands for "never ends".
pub const LATEST: UnixSecs = 253_402_300_799;

/// Longest part of an unreadable text that an error repeats, in characters.
const SHOWN_MAX_CHARS: usize = 40;

/// A moment with the UTC offset that it was written with, and that answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zoned {
    /// Unix seconds. The readers of this module return [`EARLIEST`] to [`LATEST`].
    pub at: UnixSecs,
    /// Minutes east of UTC, less than a day either way.
    pub offset_mins: i16,
}

impl Zoned {
    /// A moment in UTC.
    #[must_use]
    pub const fn utc(at: UnixSecs) -> Self {
        Self { at, offset_mins: 0 }
    }
}

/// Why a value is not a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstantError {
    /// A number whose size fits milliseconds since 1970.
    Milliseconds(i64),
    /// A number beyond milliseconds: microseconds or nanoseconds since 1970, or not a time at all.
    NotSeconds(String),
    /// A number with a fraction.
    Fraction(String),
    /// Text that names a moment after [`LATEST`].
    TooLate(String),
    /// A moment before [`EARLIEST`].
    TooEarly(String),
    /// A date and a time without a zone.
    NoZone(String),
    /// Text that is neither a number nor RFC 3339, or that names a day which the calendar does not have.
    NotRfc3339(String),
    /// A JSON value of another kind: "null", "a boolean", "a list", "an object".
    WrongKind(&'static str),
}

impl fmt::Display for InstantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Milliseconds(number) => {
                write!(f, "looks like milliseconds ({number}): unix seconds are expected, at most {LATEST}")
            }
            Self::NotSeconds(number) => {
                write!(f, "is too large for a time ({number}): unix seconds are expected, at most {LATEST}")
            }
            Self::Fraction(number) => write!(f, "must be whole unix seconds, not {number}"),
            Self::TooLate(text) => write!(f, "must not be after 9999-12-31T23:59:59Z: {text}"),
            Self::TooEarly(text) => write!(f, "must not be before 0001-01-01T00:00:00Z: {text}"),
            Self::NoZone(text) => {
                write!(f, "has no time zone (\"{text}\"): add Z or an offset such as +02:00")
            }
            Self::NotRfc3339(text) => {
                write!(f, "must be unix seconds or a time such as 2030-01-03T00:00:00Z, not \"{text}\"")
            }
            Self::WrongKind(kind) => {
                write!(f, "must be unix seconds or a time such as 2030-01-03T00:00:00Z, not {kind}")
            }
        }
    }
}

impl std::error::Error for InstantError {}

/// Reads unix seconds.
///
/// # Errors
/// The number is outside [`EARLIEST`] to [`LATEST`].
pub fn from_secs(secs: i64) -> Result<UnixSecs, InstantError> {
    if (EARLIEST..=LATEST).contains(&secs) {
        return Ok(secs);
    }
    // A thousandth of the number is a valid moment: milliseconds.
    let is_millis = (EARLIEST..=LATEST).contains(&(secs / 1000));
    Err(match secs {
        _ if is_millis => InstantError::Milliseconds(secs),
        0.. => InstantError::NotSeconds(secs.to_string()),
        _ => InstantError::TooEarly(secs.to_string()),
    })
}

/// Reads unix seconds from a JSON number. A float without a fraction counts as an integer.
///
/// # Errors
/// The number has a fraction, or is outside [`EARLIEST`] to [`LATEST`].
pub fn from_number(number: &Number) -> Result<UnixSecs, InstantError> {
    match number::whole_number(number) {
        Some(secs) => from_secs(secs),
        None if number.as_f64().is_some_and(|float| float.fract() != 0.0) => {
            Err(InstantError::Fraction(number.to_string()))
        }
        None if number.as_f64().is_some_and(|float| float < 0.0) => {
            Err(InstantError::TooEarly(number.to_string()))
        }
        None => Err(InstantError::NotSeconds(number.to_string())),
    }
}

/// Reads a moment from text:
///
/// - unix seconds: `1893628800`;
/// - RFC 3339: `2030-01-03T00:00:00Z`, with `t`, `z` or a blank as well, with or without seconds and a fraction
/// - RFC 3339: `2030-01-03T00:00:00Z`, also with `t`, `z` or a blank, with or without seconds and a fraction
///   of a second, which is dropped;
/// - offsets as `+02:00`, `+0200`, `+02`, `UTC` and `GMT`, with or without a blank before them; a blank alone
///   stands for `+`, because forms decode `+` as a blank;
/// - a date without a time: `2030-01-03` is midnight UTC.
/// # Errors
/// Any other text, a time without a zone, and moments outside [`EARLIEST`] to [`LATEST`].
pub fn from_text(text: &str) -> Result<Zoned, InstantError> {
    let text = text.trim_ascii();
    // Digits alone are unix seconds; everything else begins with a date.
    if text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit())
        && let Some(secs) = number::whole_text(text)
    {
        return from_secs(secs).map(Zoned::utc);
    }
    let invalid = || InstantError::NotRfc3339(shown(text));
    let (date, rest) = text.split_at_checked("yyyy-mm-dd".len()).ok_or_else(invalid)?;
    let date = read_date(date).ok_or_else(invalid)?;
    if rest.is_empty() {
        return bounded(date.and_time(NaiveTime::MIN).and_utc().timestamp(), text).map(Zoned::utc);
    }
    let rest = rest.strip_prefix(['T', 't', ' ']).ok_or_else(invalid)?;
    let (time, zone) = read_time(rest).ok_or_else(invalid)?;
    if zone.is_empty() {
        return Err(InstantError::NoZone(shown(text)));
    }
    let offset_mins = read_offset(zone).ok_or_else(invalid)?;
    // Local time minus the offset is UTC.
    let local = date.and_time(time).and_utc().timestamp();
    let at = bounded(local - i64::from(offset_mins) * 60, text)?;
    Ok(Zoned { at, offset_mins })
}

/// Reads a moment from a JSON value: a number as [`from_number`] does, text as [`from_text`] does.
///
/// # Errors
/// The errors of both, and values of any other kind. That includes `null`, whose meaning depends on the
/// field.
pub fn from_json(value: &Value) -> Result<Zoned, InstantError> {
    match value {
        Value::Number(number) => from_number(number).map(Zoned::utc),
        Value::String(text) => from_text(text),
        Value::Null => Err(InstantError::WrongKind("null")),
        Value::Bool(_) => Err(InstantError::WrongKind("a boolean")),
        Value::Array(_) => Err(InstantError::WrongKind("a list")),
        Value::Object(_) => Err(InstantError::WrongKind("an object")),
    }
}

fn bounded(at: i64, text: &str) -> Result<UnixSecs, InstantError> {
    match at {
        ..EARLIEST => Err(InstantError::TooEarly(shown(text))),
        EARLIEST..=LATEST => Ok(at),
        _ => Err(InstantError::TooLate(shown(text))),
    }
}

fn shown(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    if text.chars().count() <= SHOWN_MAX_CHARS {
        return printable.collect();
    }
    printable.take(SHOWN_MAX_CHARS).chain(['…']).collect()
}

/// Reads exactly `digits` decimal digits and what follows them.
fn read_digits(text: &str, digits: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((number.parse().ok()?, rest))
}

fn read_date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = read_digits(text, 4)?;
    let (month, rest) = read_digits(rest.strip_prefix('-')?, 2)?;
    let (day, _) = read_digits(rest.strip_prefix('-')?, 2)?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// Reads `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fraction`, and what follows it.
fn read_time(text: &str) -> Option<(NaiveTime, &str)> {
    let (hour, rest) = read_digits(text, 2)?;
    let (minute, rest) = read_digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => read_seconds(rest)?,
        None => (0, rest),
    };
    // RFC 3339 §5.6 has leap seconds; unix time counts them as the second before.
    let second = if second == 60 { 59 } else { second };
    Some((NaiveTime::from_hms_opt(hour, minute, second)?, rest))
}

/// Reads `ss` or `ss.fraction`, drops the fraction, and returns what follows.
fn read_seconds(text: &str) -> Option<(u32, &str)> {
    let (second, rest) = read_digits(text, 2)?;
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some((second, rest)) };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < fraction.len()).then_some((second, rest))
}

/// Reads a zone as minutes east of UTC.
fn read_offset(zone: &str) -> Option<i16> {
    let named = zone.trim_ascii_start();
    if ["z", "utc", "gmt"].iter().any(|utc| named.eq_ignore_ascii_case(utc)) {
        return Some(0);
    }
    let (sign, digits) = match named.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        // A form decodes an unescaped `+` as a blank.
        _ if zone.starts_with(' ') => (1, named),
        _ => return None,
    };
    let (hours, rest) = read_digits(digits, 2)?;
    let minutes = match rest.strip_prefix(':').unwrap_or(rest) {
        "" if rest.is_empty() => 0,
        rest => match read_digits(rest, 2)? {
            (minutes, "") => minutes,
            _ => return None,
        },
    };
    (hours < 24 && minutes < 60).then_some(())?;
    Some(sign * i16::try_from(hours * 60 + minutes).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// 2030-01-03T00:00:00Z.
    const DAY: UnixSecs = 1_893_628_800;

    #[test]
    fn spellings_of_one_moment_are_read() {
        let spellings = [
            "1893628800",
            " 1893628800 ",
            "2030-01-03",
            "2030-01-03T00:00:00Z",
            "2030-01-03t00:00:00z",
            "2030-01-03 00:00:00Z",
            "2030-01-03T00:00Z",
            "2030-01-03T00:00:00.999999999Z",
            "2030-01-03T00:00:00+00:00",
            "2030-01-03T00:00:00-00:00",
            "2030-01-03T00:00:00+0000",
            "2030-01-03T00:00:00+00",
            "2030-01-03 00:00:00 +0000",
            "2030-01-03 00:00:00 UTC",
            "2030-01-03T00:00:00 00:00",
        ];
        for text in spellings {
            assert_eq!(from_text(text), Ok(Zoned::utc(DAY)), "{text}");
        }
        for (text, offset_mins) in [
            ("2030-01-03T02:00:00+02:00", 120),
            ("2030-01-03T02:00:00+0200", 120),
            ("2030-01-03T02:00:00+02", 120),
            // A form turned the plus sign into a blank.
            ("2030-01-03T02:00:00 02:00", 120),
            ("2030-01-02T20:30:00-03:30", -210),
            ("2030-01-02T20:30:00-0330", -210),
        ] {
            assert_eq!(from_text(text), Ok(Zoned { at: DAY, offset_mins }), "{text}");
        }
        assert_eq!(from_json(&json!(1_893_628_800.0)), Ok(Zoned::utc(DAY)));
        assert_eq!(from_json(&json!("1893628800")), Ok(Zoned::utc(DAY)));
        assert_eq!(from_text("2016-12-31T23:59:60Z"), from_text("2016-12-31T23:59:59Z"));
        assert_eq!(from_secs(EARLIEST), Ok(EARLIEST));
        assert_eq!(from_secs(LATEST), Ok(LATEST));
    }

    #[test]
    fn each_refusal_says_what_was_found() {
        let table = [
            (json!(1_893_628_800_000_i64), "looks like milliseconds (1893628800000)"),
            (json!("1893628800000"), "looks like milliseconds (1893628800000)"),
            (json!(1.893_628_8e12), "looks like milliseconds (1893628800000)"),
            (json!(-62_135_596_800_000_i64), "looks like milliseconds (-62135596800000)"),
            (json!(1_893_628_800_000_000_i64), "is too large for a time (1893628800000000)"),
            (json!(u64::MAX), "is too large for a time"),
            (json!(1e300), "is too large for a time"),
            (json!(i64::MIN), "must not be before 0001"),
            (json!(1.5), "must be whole unix seconds, not 1.5"),
            (json!("2030-01-03T00:00:00"), "has no time zone (\"2030-01-03T00:00:00\")"),
            (json!("2030-01-03 00:00"), "has no time zone"),
            (json!("9999-12-31T23:59:59-01:00"), "must not be after 9999"),
            (json!("0000-12-31"), "must not be before 0001"),
            (json!("2030-02-30"), "not \"2030-02-30\""),
            (json!("0000-00-00 00:00:00"), "not \"0000-00-00 00:00:00\""),
            (json!("2030-01-03T24:00:00Z"), "not \"2030"),
            (json!("2030-01-03T00:00:00+24:00"), "not \"2030"),
            (json!("2030-01-03T00:00:00+02:"), "not \"2030"),
            (json!("2030-01-03T00:00:00 CET"), "not \"2030"),
            (json!("2030-01-03T00:00:00.Z"), "not \"2030"),
            // Half a minute, not half a second.
            (json!("2030-01-03T00:00.5Z"), "not \"2030"),
            (json!("10000-01-01T00:00:00Z"), "not \"10000"),
            (json!("03/01/2030"), "not \"03/01/2030\""),
            (json!("tomorrow"), "not \"tomorrow\""),
            (json!(""), "not \"\""),
            (json!("-"), "not \"-\""),
            (json!("é2030-01-0"), "not \"é2030"),
            (json!(null), "not null"),
            (json!(true), "not a boolean"),
            (json!([DAY]), "not a list"),
            (json!({"date": DAY}), "not an object"),
        ];
        for (value, expected) in table {
            let error = from_json(&value).unwrap_err().to_string();
            assert!(error.contains(expected), "{value}: {error}");
        }
        let long = from_text(&"x".repeat(1000)).unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
    }

    proptest! {
        #[test]
        fn no_input_gives_a_moment_outside_the_bounds(
            text in "[0-9TtZz:+. -]{0,32}",
            any in any::<String>(),
            secs in any::<i64>(),
            float in any::<f64>(),
        ) {
            for moment in [
                from_text(&text),
                from_text(&any),
                from_text(&secs.to_string()),
                from_json(&json!(secs)),
                from_json(&json!(float)),
            ].into_iter().flatten() {
                prop_assert!((EARLIEST..=LATEST).contains(&moment.at));
            }
        }

        #[test]
        fn text_and_number_of_a_moment_agree(at in EARLIEST..=LATEST, quarters in -56_i16..=56) {
            let offset_mins = quarters * 15;
            let text = crate::time::iso8601(at, offset_mins);
            // Near both ends the local year may have five digits or none.
            if let Ok(moment) = from_text(&text) {
                prop_assert_eq!(moment, Zoned { at, offset_mins });
            } else {
                prop_assert!(!(EARLIEST + 86_400..=LATEST - 86_400).contains(&at), "{}", text);
            }
            prop_assert_eq!(from_text(&at.to_string()), Ok(Zoned::utc(at)));
        }
    }
}
