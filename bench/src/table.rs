//! The one writer of tables: Markdown that also reads well in a terminal.

use std::fmt::Write as _;

/// A table in Markdown. Columns of numbers are aligned to the right.
pub fn table<S: AsRef<str>>(head: &[S], rows: &[Vec<String>]) -> String {
    let head: Vec<_> = head.iter().map(|cell| cell.as_ref().to_owned()).collect();
    // `1 change: time` is a label.
    let is_number = |cell: &String| {
        cell.starts_with(|first: char| first.is_ascii_digit() || "$<".contains(first)) && !cell.contains(':')
    };
    let mut columns = Vec::new();
    for (at, title) in head.iter().enumerate() {
        let cells: Vec<_> = rows.iter().filter_map(|row| row.get(at)).collect();
        let width = cells.iter().chain([&title]).map(|cell| cell.chars().count()).max().unwrap_or(0).max(4);
        // A column of numbers may have words or nothing where a number is missing.
        columns.push((width, 2 * cells.iter().filter(|cell| is_number(cell)).count() > rows.len()));
    }
    let rule = |(width, is_right): &(usize, bool)| "-".repeat(width - 1) + if *is_right { ":" } else { "-" };
    let rule = columns.iter().map(rule).collect();
    let mut out = String::new();
    for row in [&head, &rule].into_iter().chain(rows) {
        for (cell, (width, is_right)) in row.iter().zip(&columns) {
            let _infallible =
                if *is_right { write!(out, "| {cell:>width$} ") } else { write!(out, "| {cell:<width$} ") };
        }
        out += "|\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned_to_the_right() {
        let rows = [["floor", "12.0 ns", ""], ["Admit", "not measured", ""], ["long name", "1 ns", "x"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let expected = "\
| what      |     measured | note |
| --------- | -----------: | ---- |
| floor     |      12.0 ns |      |
| Admit     | not measured |      |
| long name |         1 ns | x    |
";
        assert_eq!(table(&["what", "measured", "note"], &rows), expected);
    }
}
