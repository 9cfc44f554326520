//! Numbers as people read them, and tables.

/// `10 million`, `32,768`.
pub fn count(number: f64) -> String {
    match number {
        n if n >= 999_999_500.0 => format!("{} billion", short(n / 1e9)),
        n if n >= 999_999.5 => format!("{} million", short(n / 1e6)),
        n if n >= 9.95 || n.fract() == 0.0 => grouped(n),
        n => format!("{n:.1}"),
    }
}

/// At most one decimal, none where it would be 0 or not matter.
pub fn short(number: f64) -> String {
    let text = if number >= 99.95 { grouped(number) } else { format!("{number:.1}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Rounded, with commas.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `45 KiB`, `1 MiB`: sizes of objects.
pub fn binary(bytes: f64) -> String {
    match bytes {
        b if b >= 1024.0 * 1024.0 => format!("{} MiB", short(b / 1024.0 / 1024.0)),
        b if b >= 1024.0 => format!("{} KiB", short(b / 1024.0)),
        b => format!("{b:.0} B"),
    }
}

/// `1.9 GB`: what is stored, uploaded, or the isolate's memory.
pub fn decimal(bytes: f64) -> String {
    match bytes {
        b if b >= 1e12 => format!("{} TB", short(b / 1e12)),
        b if b >= 1e9 => format!("{} GB", short(b / 1e9)),
        b if b >= 1e6 => format!("{} MB", short(b / 1e6)),
        b if b >= 1e3 => format!("{} kB", short(b / 1e3)),
        b => format!("{b:.0} B"),
    }
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

/// A table: the first row is the head. Columns of numbers are aligned to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (position, row) in rows.iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if position == 0 {
            let rules = (0..row.len()).map(|column| {
                let first = rows.get(1).and_then(|row| row.get(column)).map_or("", String::as_str);
                if first.starts_with(|c: char| c.is_ascii_digit() || "$<".contains(c)) {
                    "---:"
                } else {
                    "---"
                }
            });
            text.push_str(&format!("| {} |\n", rules.collect::<Vec<_>>().join(" | ")));
        }
    }
    text
}

/// A row of a table.
pub fn cells<const N: usize>(row: [&str; N]) -> Vec<String> {
    row.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_000_000.0), "1 million");
        assert_eq!(count(4_194_304.0), "4.2 million");
        assert_eq!(count(1e9), "1 billion");
        assert_eq!(count(32_768.0), "32,768");
        assert_eq!(count(0.4), "0.4");
        assert_eq!(binary(45_654.3), "44.6 KiB");
        assert_eq!(binary(1_048_576.0), "1 MiB");
        assert_eq!(decimal(1.87e9), "1.9 GB");
        assert_eq!(dollars(1_234_567.2), "$1,234,567");
        assert_eq!(percent(0.054), "5.4 %");
        assert_eq!(percent(0.92), "92 %");
        assert_eq!(percent(0.01), "1 %");
        assert_eq!(percent(0.0001), "<0.1 %");
        assert_eq!(duration(300.0), "5 min");
        assert_eq!(duration(86_400.0), "1 day");
        assert_eq!(duration(604_800.0), "7 days");
        assert_eq!(duration(9_350.0), "2.6 h");
    }

    #[test]
    fn tables_have_a_rule_under_their_head() {
        let rows = [cells(["a", "b"]), cells(["x", "2"])];
        assert_eq!(table(&rows), "| a | b |\n| --- | ---: |\n| x | 2 |\n");
    }
}
