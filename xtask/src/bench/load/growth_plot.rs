//! The plot of growth: CPU time of a check over the number of tokens and of customers.

use std::fmt::Write as _;

use super::{
    growth::{self, Axis},
    report::{Report, about},
};
use crate::chart::{self, Looks};

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 450.0;
const PANEL_WIDTH: f64 = 360.0;
const PANEL_HEIGHT: f64 = 280.0;
const TOP: f64 = 70.0;
const LEFTS: [f64; 2] = [70.0, 500.0];

/// Whose lines there are.
const LINES: [(&str, Looks); 3] = [
    ("floor", ("#8f9a9c", "2 4", 3.0)),
    ("plain-cached", ("#3f8fdc", "9 5", 3.0)),
    ("admit", ("#c63", "", 4.5)),
];

/// The plot as SVG; nothing if growth was not measured.
pub fn svg(report: &Report) -> Option<String> {
    let panels = Axis::ALL.map(|axis| (axis, growth::points(&report.outcomes, axis)));
    let times = panels.iter().flat_map(|(_, points)| points).flat_map(|(_, outcome)| {
        LINES.into_iter().filter_map(|(subject, _)| growth::cpu_micros(outcome, subject))
    });
    let step = step(times.reduce(f64::max)?);
    let most = step * LEVELS;
    let mut svg = chart::begin(WIDTH, HEIGHT, "CPU time of a check, by number of tokens and of customers");
    let _infallible = writeln!(
        svg,
        r#"<text class="head" x="20" y="28">CPU time of a check, in microseconds (less is better)</text>"#
    );
    for ((axis, points), left) in panels.into_iter().zip(LEFTS) {
        let sizes: Vec<_> = points.iter().map(|(size, _)| *size).collect();
        let (Some(least), Some(largest)) = (sizes.first(), sizes.last()) else { continue };
        let across = |size: u64| left + across(size, *least, *largest);
        let _infallible =
            writeln!(svg, r#"<text x="{left}" y="{}">By number of {}</text>"#, TOP - 14.0, axis.name());
        for level in 0..=4_u8 {
            let value = f64::from(level) * step;
            chart::level(&mut svg, (left, PANEL_WIDTH, down(value, most)), &value.to_string());
        }
        for size in &sizes {
            chart::column(&mut svg, (across(*size), TOP, PANEL_HEIGHT), &short(*size));
        }
        for (subject, looks) in LINES {
            let line = points.iter().filter_map(|(size, outcome)| {
                Some((across(*size), down(growth::cpu_micros(outcome, subject)?, most)))
            });
            chart::line(&mut svg, &line.collect::<Vec<_>>(), looks);
        }
    }
    let mut x = LEFTS.into_iter().reduce(f64::min).unwrap_or_default();
    for (subject, looks) in LINES {
        let y = HEIGHT - 36.0;
        chart::line(&mut svg, &[(x, y), (x + 44.0, y)], looks);
        let _infallible =
            writeln!(svg, r#"<text x="{}" y="{}">{}</text>"#, x + 54.0, y + 4.5, about(subject));
        x += 325.0;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// A number that leaves room for its neighbour.
fn short(size: u64) -> String {
    if size >= 1_000 && size.is_multiple_of(1_000) { format!("{}k", size / 1_000) } else { size.to_string() }
}

const LEVELS: f64 = 4.0;

/// Microseconds from one level of the grid to the next, a round number, so that the last is above `most`.
fn step(most: f64) -> f64 {
    let wanted = most / LEVELS;
    let round = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 75.0, 100.0, 250.0, 500.0, 1_000.0];
    round.into_iter().find(|step| *step >= wanted).unwrap_or(wanted)
}

/// From the left edge of a panel: the logarithm, with a little room at both sides.
#[expect(clippy::cast_precision_loss, reason = "a place in a plot")]
fn across(size: u64, least: u64, most: u64) -> f64 {
    let log = |size: u64| libm::log10(size.max(1) as f64);
    let part = (log(size) - log(least)) / (log(most) - log(least)).max(f64::MIN_POSITIVE);
    PANEL_WIDTH * (0.06 + 0.88 * part)
}

fn down(micros: f64, most: f64) -> f64 {
    TOP + PANEL_HEIGHT * (1.0 - micros / most)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::machine::Machine, growth::tests::point, scenarios::Scale},
        *,
    };

    fn plot(points: &[(Axis, u64, f64)]) -> Option<String> {
        let outcomes = points.iter().map(|(axis, size, micros)| point(*axis, *size, *micros)).collect();
        let (command, machine) = ("x".to_owned(), Machine::here());
        svg(&Report { command, machine, scale: Scale::SMOKE, outcomes })
    }

    #[test]
    fn a_line_for_each_subject_in_each_panel_and_in_the_legend() {
        let both = [Axis::Tokens, Axis::Customers];
        let points: Vec<_> = both.iter().flat_map(|axis| [(*axis, 1, 40.0), (*axis, 100, 80.0)]).collect();
        let svg = plot(&points).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2 * LINES.len() + LINES.len());
        assert!(svg.contains(">By number of tokens<") && svg.contains(">By number of customers<"), "{svg}");
        // 80 µs of at most 80, so the grid ends at 80: the top of the panel.
        let (start, end) = (70.0 + PANEL_WIDTH * 0.06, 70.0 + PANEL_WIDTH * 0.94);
        assert!(svg.contains(&format!("points=\"{start:.1},210.0 {end:.1},70.0\"")), "{svg}");
        assert!(plot(&[]).is_none());
    }

    #[test]
    fn the_grid_is_round_and_holds_every_line() {
        assert_eq!([3.9, 80.0, 81.0, 100.0, 350.0].map(step), [1.0, 20.0, 25.0, 25.0, 100.0]);
        assert!((down(0.0, 80.0) - (TOP + PANEL_HEIGHT)).abs() < 1e-9);
        let places = [1, 10, 100].map(|size| across(size, 1, 100));
        assert!((places[1] - places[0] - (places[2] - places[1])).abs() < 1e-9);
        assert!(across(5, 5, 5).is_finite());
        assert_eq!([1, 100, 1_000, 1_500, 30_000].map(short), ["1", "100", "1k", "1500", "30k"]);
    }
}
