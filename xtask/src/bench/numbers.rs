//! Numbers as people read them, and the statistics behind them.

/// The middle of `samples`; `None` of none. Of an even number, the mean of the two in the middle.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper))
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Things a second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Seconds.
    Secs,
    /// Nanoseconds.
    Nanos,
    /// So many times another.
    Times,
}

impl Unit {
    /// The name that programs read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::PerSecond => "per_second",
            Self::Bytes => "bytes",
            Self::Secs => "seconds",
            Self::Nanos => "nanoseconds",
            Self::Times => "times",
        }
    }

    /// `value` for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => count(whole(value)),
            Self::PerSecond => format!("{}/s", count(whole(value))),
            Self::Bytes => bytes(value),
            Self::Secs => scaled(value * 1e9),
            Self::Nanos => scaled(value),
            Self::Times => format!("{} times", digits(value)),
        }
    }
}

/// A whole number in groups of three digits.
pub fn count(value: u64) -> String {
    let text = value.to_string();
    let mut out = String::new();
    for (position, digit) in text.chars().enumerate() {
        if position > 0 && (text.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "for people to read")]
fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// Three digits of those that matter.
fn digits(value: f64) -> String {
    if value >= 99.95 || value == 0.0 {
        count(whole(value))
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn bytes(value: f64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB"];
    let mut value = value;
    let mut units = units.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{} {unit}", digits(value))
}

/// Nanoseconds in the unit that suits them.
fn scaled(nanos: f64) -> String {
    let (value, unit) = match nanos.abs() {
        size if size < 999.5 => (nanos, "ns"),
        size if size < 999.5e3 => (nanos / 1e3, "µs"),
        size if size < 999.5e6 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0]), Some(5.0));
        assert_eq!(median(&[100.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[-1.0, 4.0, 2.0, 1000.0]), Some(3.0));
    }

    #[test]
    fn counts_in_groups() {
        let shown = [0, 12, 999, 1_000, 12_345, 1_000_000].map(count);
        assert_eq!(shown, ["0", "12", "999", "1,000", "12,345", "1,000,000"]);
    }

    #[test]
    fn times_and_sizes_in_the_unit_that_suits_them() {
        let nanos =
            [0.4, 34.26, 999.4, 999.6, 28_000.0, 1.5e6, 2.34e9, 123e9].map(|nanos| Unit::Nanos.show(nanos));
        assert_eq!(
            nanos,
            ["0.40 ns", "34.3 ns", "999 ns", "1.00 µs", "28.0 µs", "1.50 ms", "2.34 s", "123 s"]
        );
        assert_eq!(
            (Unit::Secs.show(0.25), Unit::Bytes.show(0.0)),
            ("250 ms".to_owned(), "0 bytes".to_owned())
        );
        let sizes = [25.3, 1_023.0, 1_024.0, 65_536.0, 1_048_576.0 * 1.5, 2_147_483_648.0];
        let sizes = sizes.map(|size| Unit::Bytes.show(size));
        assert_eq!(sizes, ["25.3 bytes", "1,023 bytes", "1.00 KiB", "64.0 KiB", "1.50 MiB", "2.00 GiB"]);
        assert_eq!(Unit::PerSecond.show(212_345.6), "212,346/s");
        assert_eq!(Unit::Times.show(9.996), "10.0 times");
        assert_eq!(Unit::Times.show(150.4), "150 times");
    }
}
