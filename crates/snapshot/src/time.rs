//! Moments in the publish schema: absolute, relative to the time of publishing, and with a UTC offset.
//!
//! ```
//! use admit_snapshot::time::{Timestamp, iso8601};
//!
//! let tomorrow: Timestamp = serde_json::from_str("\"now+1d\"")?;
//! assert_eq!(tomorrow.resolve(1_900_000_000), 1_900_086_400);
//! let fixed: Timestamp = serde_json::from_str("\"2030-01-03T00:00:00Z\"")?;
//! assert_eq!(fixed.resolve(0), 1_893_628_800);
//! assert_eq!(iso8601(1_893_628_800, 120), "2030-01-03T02:00:00+02:00");
//! # Ok::<(), serde_json::Error>(())
//! ```

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer, de};
use serde_json::Number;

pub use crate::instant::UnixSecs;
use crate::instant::{self, EARLIEST, InstantError, LATEST, Zoned};

/// A moment in the publish schema: any that [`instant`] reads, or, for samples and tests, one relative to the
/// time of publishing: `now`, `now+1d`, `now-30d` (units `s`, `m`, `h`, `d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// Unix seconds. May be negative: real data holds -62135596800.
    At(UnixSecs),
    /// Seconds after the time of publishing.
    FromNow(i64),
}

impl Timestamp {
    /// Unix seconds, if the data is published at `now`. A relative moment is clamped to [`EARLIEST`] and
    /// [`LATEST`].
    #[must_use]
    pub fn resolve(self, now: UnixSecs) -> UnixSecs {
        match self {
            Self::At(secs) => secs,
            Self::FromNow(offset_secs) => now.saturating_add(offset_secs).clamp(EARLIEST, LATEST),
        }
    }
}

/// A moment with the UTC offset that it was written with, because clients show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZonedTime {
    /// The moment.
    pub at: Timestamp,
    /// Minutes east of UTC.
    pub offset_mins: i16,
}

/// Formats a moment as `2020-10-23T09:35:28-07:00`. A moment outside chrono's range gives the epoch.
#[must_use]
pub fn iso8601(at: UnixSecs, offset_mins: i16) -> String {
    let utc = DateTime::from_timestamp(at, 0).unwrap_or_default();
    match FixedOffset::east_opt(i32::from(offset_mins) * 60) {
        Some(offset) => utc.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Secs, false),
        None => utc.to_rfc3339_opts(SecondsFormat::Secs, false),
    }
}

const EXPECTED: &str =
    "unix seconds, a time such as 2030-01-03T00:00:00Z, or one relative to publishing such as \"now+1d\"";

fn parse_relative(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("now")?;
    if rest.is_empty() {
        return Some(0);
    }
    // `now`, a signed count, and a unit.
    let unit_secs = match rest.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count = rest.get(..rest.len() - 1)?;
    if !count.starts_with(['+', '-']) {
        return None;
    }
    count.parse::<i64>().ok()?.checked_mul(unit_secs)
}

fn parse_zoned(text: &str) -> Result<ZonedTime, InstantError> {
    match parse_relative(text) {
        Some(offset_secs) => Ok(ZonedTime { at: Timestamp::FromNow(offset_secs), offset_mins: 0 }),
        None => instant::from_text(text).map(ZonedTime::from),
    }
}

/// As [`iso8601`], with the offset that the moment was written with.
impl std::fmt::Display for Zoned {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&iso8601(self.at, self.offset_mins))
    }
}

impl From<Zoned> for ZonedTime {
    fn from(Zoned { at, offset_mins }: Zoned) -> Self {
        Self { at: Timestamp::At(at), offset_mins }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(ZonedTime::deserialize(deserializer)?.at)
    }
}

impl<'de> Deserialize<'de> for ZonedTime {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ZonedTime;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(EXPECTED)
            }

            fn visit_i64<E: de::Error>(self, secs: i64) -> Result<ZonedTime, E> {
                self.number(Number::from(secs))
            }

            fn visit_u64<E: de::Error>(self, secs: u64) -> Result<ZonedTime, E> {
                self.number(Number::from(secs))
            }

            fn visit_f64<E: de::Error>(self, secs: f64) -> Result<ZonedTime, E> {
                Number::from_f64(secs)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Float(secs), &self))
                    .and_then(|secs| self.number(secs))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ZonedTime, E> {
                parse_zoned(text).map_err(|error| match error {
                    // Relative moments are allowed here, and the error must name them.
                    InstantError::NotRfc3339(_) => E::invalid_value(de::Unexpected::Str(text), &self),
                    error => E::custom(format_args!("the time {error}")),
                })
            }
        }

        impl Visitor {
            fn number<E: de::Error>(self, secs: Number) -> Result<ZonedTime, E> {
                instant::from_number(&secs)
                    .map(|at| Zoned::utc(at).into())
                    .map_err(|error| E::custom(format_args!("the time {error}")))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(secs) => serializer.serialize_i64(*secs),
            Self::FromNow(offset_secs) => serializer.collect_str(&format_args!("now{offset_secs:+}s")),
        }
    }
}

impl Serialize for ZonedTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.at {
            Timestamp::At(secs) => serializer.serialize_str(&iso8601(secs, self.offset_mins)),
            relative @ Timestamp::FromNow(_) => relative.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zoned(json: &str) -> Result<ZonedTime, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_three_ways_of_writing_a_moment() {
        assert_eq!(zoned("-62135596800").unwrap().at, Timestamp::At(-62_135_596_800));
        let offset = zoned("\"2020-10-23T09:35:28-07:00\"").unwrap();
        assert_eq!(offset, ZonedTime { at: Timestamp::At(1_603_470_928), offset_mins: -420 });
        assert_eq!(zoned("\"now+1d\"").unwrap().at.resolve(1_000), 87_400);
        assert_eq!(zoned("\"now-30d\"").unwrap().at.resolve(0), -2_592_000);
        assert_eq!(zoned("\"now\"").unwrap().at.resolve(7), 7);
    }

    #[test]
    fn invalid_moments_are_named_as_such() {
        for json in [
            "\"tomorrow\"",
            "\"now1d\"",
            "\"now+d\"",
            "\"now+1y\"",
            "1.5",
            "null",
            "\"\"",
            "18446744073709551615",
        ] {
            let message = zoned(json).unwrap_err().to_string();
            assert!(message.contains("unix seconds"), "{json}: {message}");
        }
    }

    #[test]
    fn moments_that_cannot_be_meant_are_refused() {
        for (json, expected) in [
            ("1893628800000", "the time looks like milliseconds (1893628800000)"),
            ("\"1893628800000\"", "the time looks like milliseconds"),
            ("\"2030-01-03T00:00:00\"", "the time has no time zone"),
            ("253402300800", "milliseconds"),
            ("1e300", "the time is too large"),
        ] {
            let message = zoned(json).unwrap_err().to_string();
            assert!(message.contains(expected), "{json}: {message}");
        }
        assert_eq!(Timestamp::FromNow(i64::MAX).resolve(1_000), LATEST);
        assert_eq!(Timestamp::FromNow(i64::MIN).resolve(1_000), EARLIEST);
    }

    #[test]
    fn offsets_survive_and_round_trip() {
        assert_eq!(iso8601(1_603_470_928, 0), "2020-10-23T16:35:28+00:00");
        assert_eq!(iso8601(1_603_470_928, -420), "2020-10-23T09:35:28-07:00");
        for json in ["\"2020-10-23T09:35:28-07:00\"", "\"2020-10-23T16:35:28+00:00\"", "\"now+60s\""] {
            assert_eq!(serde_json::to_string(&zoned(json).unwrap()).unwrap(), json);
        }
    }
}
