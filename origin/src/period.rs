//! How long a fee sells access for: a number of calendar units.
//!
//! The vendor's API spells units in several ways (`hour`, `HOURS`, `months`), and all of them are read. A
//! period is checked when an access type or a trial is created, not when a viewer has paid.

use admit::{
    instant::{self, UnixSecs},
    snapshot::schema::AccessType,
};
use chrono::{DateTime, Months};

use crate::{limits::PERIOD_MAX_YEARS, text::shown};

/// A unit of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// The same day of a later month, or that month's last day.
    Month,
    /// 12 months.
    Year,
}

/// The units as error messages list them.
pub const UNITS: &str = "minute, hour, day, week, month, year";

impl Unit {
    const ALL: [Self; 6] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Reads a unit by its name or plural; letter case does not count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let is_named = |unit: &Self| {
            let (name, plural) = text.split_at_checked(unit.name().len()).unwrap_or_default();
            name.eq_ignore_ascii_case(unit.name()) && (plural.is_empty() || plural.eq_ignore_ascii_case("s"))
        };
        Self::ALL.into_iter().find(is_named)
    }

    /// The name in API answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The largest quantity of this unit within [`PERIOD_MAX_YEARS`].
    const fn quantity_max(self) -> i64 {
        PERIOD_MAX_YEARS
            * match self {
                Self::Minute => 365 * 24 * 60,
                Self::Hour => 365 * 24,
                Self::Day => 365,
                Self::Week => 52,
                Self::Month => 12,
                Self::Year => 1,
            }
    }
}

/// A quantity of one unit: at least 1, at most [`PERIOD_MAX_YEARS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    quantity: i64,
    unit: Unit,
}

/// Why a period cannot be sold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// The name is not one of [`UNITS`].
    #[error("period: expected one of {UNITS}, found {0}")]
    Unit(String),
    /// The period is empty, or longer than [`PERIOD_MAX_YEARS`].
    #[error("quantity: expected 1 to {max} for the unit {unit}, found {quantity}", max = unit.quantity_max(), unit = unit.name())]
    Quantity {
        /// The unit of the quantity.
        unit: Unit,
        /// The quantity as the client sent it.
        quantity: i64,
    },
}

impl Period {
    /// A period of `quantity` units, with the unit as the client spelt it.
    ///
    /// # Errors
    /// If the unit is unknown, or the quantity is out of range.
    pub fn new(quantity: i64, unit: &str) -> Result<Self, PeriodError> {
        let unit = Unit::parse(unit).ok_or_else(|| PeriodError::Unit(shown(unit)))?;
        if !(1..=unit.quantity_max()).contains(&quantity) {
            return Err(PeriodError::Quantity { unit, quantity });
        }
        Ok(Self { quantity, unit })
    }

    /// The period that an access type sells.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(access_type: &AccessType) -> Result<Self, PeriodError> {
        Self::new(access_type.quantity, &access_type.period)
    }

    /// The calendar unit.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// When a period that begins at `start` ends; `None` for an end after the year 9999. A month later means
    /// the same day of the month, or the month's last day: from 31 January to 28 or 29 February.
    #[must_use]
    pub fn end(self, start: UnixSecs) -> Option<UnixSecs> {
        let Self { quantity, unit } = self;
        let secs = |unit_secs: i64| start.checked_add(quantity.checked_mul(unit_secs)?);
        let months = |unit_months: i64| {
            let months = u32::try_from(quantity.checked_mul(unit_months)?).ok()?;
            Some(DateTime::from_timestamp(start, 0)?.checked_add_months(Months::new(months))?.timestamp())
        };
        let end = match unit {
            Unit::Minute => secs(60),
            Unit::Hour => secs(3_600),
            Unit::Day => secs(86_400),
            Unit::Week => secs(7 * 86_400),
            Unit::Month => months(1),
            Unit::Year => months(12),
        };
        end.filter(|end| *end <= instant::LATEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(text: &str) -> UnixSecs {
        instant::from_text(text).unwrap().at
    }

    #[test]
    fn units_as_vendors_spell_them() {
        for unit in Unit::ALL {
            let name = unit.name();
            let spellings = [
                name.to_owned(),
                format!("{name}s"),
                name.to_uppercase(),
                format!("{}S", name.to_uppercase()),
                format!(" {}{} ", name[..1].to_uppercase(), &name[1..]),
            ];
            for spelling in spellings {
                assert_eq!(Unit::parse(&spelling), Some(unit), "{spelling}");
            }
            assert!(UNITS.contains(name));
        }
        for text in ["", "s", "m", "mo", "lifetime", "eon", "dayss", "day s", "monthly", "hourß"] {
            assert_eq!(Unit::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ends_by_the_calendar() {
        for (start, quantity, unit, end) in [
            ("2024-01-31T12:00:00Z", 90, "minutes", "2024-01-31T13:30:00Z"),
            ("2024-01-31T12:00:00Z", 48, "hour", "2024-02-02T12:00:00Z"),
            ("2024-01-31T12:00:00Z", 3, "day", "2024-02-03T12:00:00Z"),
            ("2024-01-31T12:00:00Z", 2, "week", "2024-02-14T12:00:00Z"),
            // Clamped to the last day of a shorter month.
            ("2024-01-31T12:00:00Z", 1, "month", "2024-02-29T12:00:00Z"),
            ("2023-01-31T12:00:00Z", 1, "MONTHS", "2023-02-28T12:00:00Z"),
            ("2024-01-31T12:00:00Z", 3, "month", "2024-04-30T12:00:00Z"),
            ("2024-02-29T12:00:00Z", 1, "year", "2025-02-28T12:00:00Z"),
            ("2024-02-29T12:00:00Z", 4, "years", "2028-02-29T12:00:00Z"),
            ("2024-11-30T00:00:00Z", 3, "month", "2025-02-28T00:00:00Z"),
        ] {
            let period = Period::new(quantity, unit).unwrap();
            assert_eq!(period.end(secs(start)), Some(secs(end)), "{start} + {quantity} {unit}");
        }
    }

    #[test]
    fn periods_that_cannot_be_sold_are_refused() {
        for (quantity, unit, expected) in [
            (
                1,
                "lifetime",
                "period: expected one of minute, hour, day, week, month, year, found \"lifetime\"",
            ),
            (0, "day", "quantity: expected 1 to 365000 for the unit day, found 0"),
            (-1, "hours", "quantity: expected 1 to 8760000 for the unit hour, found -1"),
            (1_001, "Year", "quantity: expected 1 to 1000 for the unit year, found 1001"),
            (
                i64::MAX,
                "month",
                "quantity: expected 1 to 12000 for the unit month, found 9223372036854775807",
            ),
        ] {
            assert_eq!(Period::new(quantity, unit).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_period_ends_before_it_begins_or_after_9999(
            start in instant::EARLIEST..=instant::LATEST, quantity in any::<i64>(), years in 1..=PERIOD_MAX_YEARS,
            unit in proptest::sample::select(&Unit::ALL[..]),
        ) {
            for quantity in [quantity, years, unit.quantity_max()] {
                let Ok(period) = Period::new(quantity, unit.name()) else { continue };
                match period.end(start) {
                    Some(end) => prop_assert!(start < end && end <= instant::LATEST),
                    // Only a start in the last of these years makes an end that is too late.
                    None => prop_assert!(start > secs("8998-12-31")),
                }
            }
        }
    }
}
