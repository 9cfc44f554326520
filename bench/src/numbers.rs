//! The one formatter of numbers for people, and the statistics behind them.

/// The middle of `samples`; of an even number, the mean of the two in the middle.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    PerSecond,
    /// Bytes, shown in KiB, MiB and GiB.
    Bytes,
    Secs,
    Nanos,
    Times,
}

impl Unit {
    /// The name in JSON.
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

    /// `value` for people, to three significant digits.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => grouped(value),
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Bytes => scaled(value, 1024.0, &["bytes", "KiB", "MiB", "GiB"], digits),
            Self::Secs => Self::Nanos.show(value * 1e9),
            Self::Nanos => scaled(value, 1e3, &["ns", "µs", "ms", "s"], digits),
            Self::Times => format!("{} times", digits(value)),
        }
    }
}

/// Rounded, in groups of three digits: `32,768`.
pub fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits: `0.40`, `34.3`, `1,023`.
fn digits(number: f64) -> String {
    match number {
        n if n >= 99.95 || n == 0.0 => grouped(n),
        n if n >= 9.995 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

/// At most one decimal, and none where it would be 0 or not matter.
pub fn short(number: f64) -> String {
    let text = if number >= 99.95 { grouped(number) } else { format!("{number:.1}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// `10 million`, `32,768`, `0.4`.
pub fn count(number: f64) -> String {
    match number {
        n if n >= 999_999_500.0 => format!("{} billion", short(n / 1e9)),
        n if n >= 999_999.5 => format!("{} million", short(n / 1e6)),
        n if n >= 9.95 || n.fract() == 0.0 => grouped(n),
        n => format!("{n:.1}"),
    }
}

/// `45 KiB`: sizes of objects and caches.
pub fn binary(bytes: f64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB"], short)
}

/// `1.9 GB`: bytes that are stored, uploaded, or held by an isolate.
pub fn decimal(bytes: f64) -> String {
    scaled(bytes, 1e3, &["B", "kB", "MB", "GB", "TB"], short)
}

/// `$1,234`.
pub fn dollars(amount: f64) -> String {
    format!("${}", grouped(amount))
}

/// `12 %`, `0.3 %`.
pub fn percent(part: f64) -> String {
    match 100.0 * part {
        percent if percent > 0.0 && percent < 0.05 => "<0.1 %".to_owned(),
        percent if percent >= 9.95 => format!("{percent:.0} %"),
        percent => format!("{} %", short(percent)),
    }
}

/// `5 min`, `1 day`.
pub fn duration(secs: f64) -> String {
    let (number, unit) = match secs {
        s if s >= 86_400.0 => (s / 86_400.0, "day"),
        s if s >= 5_400.0 => (s / 3_600.0, "h"),
        s if s >= 90.0 => (s / 60.0, "min"),
        s => (s, "s"),
    };
    let number = short(number);
    let plural = if unit == "day" && number != "1" { "s" } else { "" };
    format!("{number} {unit}{plural}")
}

/// `value` in the largest of `units`, each `base` of the one before, in which it is about 1 or more.
fn scaled(value: f64, base: f64, units: &[&str], show: fn(f64) -> String) -> String {
    let (mut value, mut left) = (value, units.iter());
    let mut unit = left.next().copied().unwrap_or_default();
    for larger in left {
        // Half of the last digit that is shown: 1,023.6 KiB is 1 MiB.
        if value < base - 0.5 {
            break;
        }
        (value, unit) = (value / base, larger);
    }
    format!("{} {unit}", show(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!([&[][..], &[3.0], &[9.0, 1.0]].map(median), [None, Some(3.0), Some(5.0)]);
        assert_eq!(median(&[-1.0, 4.0, 2.0, 1000.0]), Some(3.0));
    }

    #[test]
    fn measured_numbers_have_three_digits_in_the_unit_that_suits_them() {
        let nanos = [0.4, 34.26, 999.4, 999.6, 28_000.0, 2.34e9, 123e9].map(|nanos| Unit::Nanos.show(nanos));
        assert_eq!(nanos, ["0.40 ns", "34.3 ns", "999 ns", "1.00 µs", "28.0 µs", "2.34 s", "123 s"]);
        let sizes = [25.3, 1_023.0, 65_536.0, 2_147_483_648.0].map(|size| Unit::Bytes.show(size));
        assert_eq!(sizes, ["25.3 bytes", "1,023 bytes", "64.0 KiB", "2.00 GiB"]);
        assert_eq!(Unit::Secs.show(0.25), "250 ms");
        assert_eq!(
            (Unit::PerSecond.show(212_345.6), Unit::Times.show(9.996)),
            ("212,346/s".into(), "10.0 times".into())
        );
    }

    #[test]
    fn modelled_numbers_have_one_decimal_where_it_matters() {
        assert_eq!(
            [1e6, 4_194_304.0, 1e9, 32_768.0, 0.4].map(count),
            ["1 million", "4.2 million", "1 billion", "32,768", "0.4"]
        );
        assert_eq!([45_654.3, 1_048_576.0].map(binary), ["44.6 KiB", "1 MiB"]);
        assert_eq!((decimal(1.87e9), dollars(1_234_567.2)), ("1.9 GB".into(), "$1,234,567".into()));
        assert_eq!([0.054, 0.92, 0.01, 0.0001].map(percent), ["5.4 %", "92 %", "1 %", "<0.1 %"]);
        assert_eq!(
            [300.0, 86_400.0, 604_800.0, 9_350.0].map(duration),
            ["5 min", "1 day", "7 days", "2.6 h"]
        );
    }
}
