//! The plot: cold reads per check over the number of customers, one panel for each of two times in KV.

use std::fmt::Write as _;

use super::{
    assume::{CACHE_TTLS, CHANGE_RATE, CUSTOMERS},
    results::{Results, layouts},
    text::{count, duration, percent},
};
use crate::chart::{self, Looks};

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 470.0;
const PANEL_WIDTH: f64 = 360.0;
const PANEL_HEIGHT: f64 = 300.0;
const TOP: f64 = 70.0;
const LEFTS: [f64; 2] = [70.0, 490.0];

/// The ends of the vertical axis: one cold read in twenty checks, and two in each.
const LOWEST: f64 = 0.05;
const HIGHEST: f64 = 2.0;

const LINES: [Looks; 6] = [
    ("#e0574f", "9 5", 4.5),
    ("#c98a1b", "2 4", 3.0),
    ("#8f9a2c", "6 3 2 3", 3.0),
    ("#1f9d8b", "", 4.5),
    ("#3f8fdc", "12 4", 3.0),
    ("#a06bd8", "4 2", 3.0),
];

/// The plot as SVG.
pub fn svg(results: &Results) -> String {
    let mut svg = chart::begin(
        WIDTH,
        HEIGHT,
        "Cold reads of KV per check, by number of customers, layout and the time that KV keeps a value",
    );
    let _ = writeln!(
        svg,
        r#"<text class="head" x="20" y="28">Cold reads of KV per check (less is better), {change} of customers changing a day</text>"#,
        change = percent(CHANGE_RATE)
    );
    for (panel, left) in LEFTS.into_iter().enumerate() {
        let ttl = CACHE_TTLS.get(panel).copied().unwrap_or_default();
        let note = if panel == 1 { ", as Admit asks" } else { "" };
        let _ = writeln!(
            svg,
            r#"<text x="{left}" y="{y}">KV keeps a value for {ttl}{note}</text>"#,
            y = TOP - 14.0,
            ttl = duration(ttl)
        );
        axes(&mut svg, left);
        for (layout, line) in layouts().into_iter().zip(LINES) {
            let points = CUSTOMERS.into_iter().filter_map(|customers| {
                let tiers = results.row(customers, layout)?.tiers.get(panel)?.cold_reads();
                Some((left + across(customers), down(tiers)))
            });
            chart::line(&mut svg, &points.collect::<Vec<_>>(), line);
        }
    }
    for (position, (layout, line)) in layouts().into_iter().zip(LINES).enumerate() {
        let x = 70.0 + 270.0 * (position % 3) as f64;
        let y = HEIGHT - 42.0 + 24.0 * (position / 3) as f64;
        chart::line(&mut svg, &[(x, y), (x + 44.0, y)], line);
        let _ = writeln!(svg, r#"<text x="{}" y="{}">{}</text>"#, x + 54.0, y + 4.5, layout.name());
    }
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String, left: f64) {
    for value in [0.05, 0.1, 0.2, 0.5, 1.0, 2.0] {
        chart::level(svg, (left, PANEL_WIDTH, down(value)), &value.to_string());
    }
    let bottom = TOP + PANEL_HEIGHT;
    for customers in CUSTOMERS {
        chart::column(svg, (left + across(customers), TOP, PANEL_HEIGHT), &count(customers as f64));
    }
    let _ = writeln!(
        svg,
        r#"<path class="axis" d="M{left} {TOP}v{PANEL_HEIGHT}h{PANEL_WIDTH}"/><text x="{x}" y="{y}" text-anchor="middle">customers</text>"#,
        x = left + PANEL_WIDTH / 2.0,
        y = bottom + 38.0
    );
}

/// From the left edge of a panel: the logarithm, with a little room at both sides.
fn across(customers: u64) -> f64 {
    let decades = libm::log10(customers as f64) - 6.0;
    PANEL_WIDTH * (0.06 + 0.88 * decades / 3.0)
}

fn down(cold_reads: f64) -> f64 {
    let part = libm::log10(cold_reads.clamp(LOWEST, HIGHEST) / LOWEST) / libm::log10(HIGHEST / LOWEST);
    TOP + PANEL_HEIGHT * (1.0 - part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_logarithmic() {
        assert!((down(LOWEST) - (TOP + PANEL_HEIGHT)).abs() < 1e-9);
        assert!((down(HIGHEST) - TOP).abs() < 1e-9);
        assert!((down(0.1) - down(0.2) - (down(0.5) - down(1.0))).abs() < 1e-9);
        let step = across(10_000_000) - across(1_000_000);
        assert!((across(1_000_000_000) - across(100_000_000) - step).abs() < 1e-9);
    }
}
