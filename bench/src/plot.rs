//! The one module of plots, as SVG: lines in two panels, and bars. Both suit light and dark pages.

use std::fmt::Write as _;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 470.0;
const PANEL: (f64, f64) = (360.0, 300.0);
const TOP: f64 = 70.0;
const LEFTS: [f64; 2] = [70.0, 490.0];
const LEGEND_COLUMN: f64 = 290.0;

/// A line's looks, told apart in colour, in grey, on white and on black: colour, dashes, radius of its marks.
pub type Looks = (&'static str, &'static str, f64);

/// One half of a plot of lines. The horizontal axis is logarithmic.
pub struct Panel {
    pub title: String,
    /// Columns of the grid, ascending.
    pub columns: Vec<(f64, String)>,
    /// What the columns count.
    pub unit: &'static str,
    /// Lines by the number of their looks in the legend.
    pub lines: Vec<(usize, Vec<(f64, f64)>)>,
}

/// The vertical axis of both panels.
pub struct Axis {
    /// Levels of the grid, ascending.
    pub levels: Vec<f64>,
    pub is_logarithmic: bool,
}

impl Axis {
    fn down(&self, value: f64) -> f64 {
        let (Some(low), Some(high)) = (self.levels.first(), self.levels.last()) else { return TOP };
        let part = if self.is_logarithmic {
            libm::log10(value.clamp(*low, *high) / low) / libm::log10(high / low)
        } else {
            (value - low) / (high - low)
        };
        TOP + PANEL.1 * (1.0 - part)
    }
}

impl Panel {
    /// From the left edge: the logarithm, with a little room at both sides.
    fn across(&self, value: f64) -> f64 {
        let (Some((low, _)), Some((high, _))) = (self.columns.first(), self.columns.last()) else {
            return 0.0;
        };
        let part = libm::log10(value / low) / libm::log10(high / low).max(f64::MIN_POSITIVE);
        PANEL.0 * (0.06 + 0.88 * part)
    }

    fn draw(&self, svg: &mut String, left: f64, axis: &Axis, legend: &[(String, Looks)]) {
        let (width, height) = PANEL;
        text(svg, (left, TOP - 14.0), "start", &self.title);
        for level in &axis.levels {
            let y = axis.down(*level);
            *svg += &format!("<path class=\"grid\" d=\"M{left} {y:.1}h{width}\"/>\n");
            text(svg, (left - 8.0, y + 4.5), "end", &level.to_string());
        }
        for (value, label) in &self.columns {
            let x = left + self.across(*value);
            *svg += &format!("<path class=\"grid\" d=\"M{x:.1} {TOP}v{height}\"/>\n");
            text(svg, (x, TOP + height + 20.0), "middle", label);
        }
        *svg += &format!("<path class=\"axis\" d=\"M{left} {TOP}v{height}h{width}\"/>\n");
        text(svg, (left + width / 2.0, TOP + height + 38.0), "middle", self.unit);
        for (number, points) in &self.lines {
            let Some((_, looks)) = legend.get(*number) else { continue };
            let place = |(x, y): &(f64, f64)| (left + self.across(*x), axis.down(*y));
            line(svg, &points.iter().map(place).collect::<Vec<_>>(), *looks);
        }
    }
}

/// A plot of lines. `title` is for readers who do not see it, `head` is shown.
pub fn lines(title: &str, head: &str, panels: [Panel; 2], axis: &Axis, legend: &[(String, Looks)]) -> String {
    let mut svg = begin(HEIGHT, title);
    let _infallible = writeln!(svg, r#"<text class="head" x="20" y="28">{head}</text>"#);
    for (panel, left) in panels.iter().zip(LEFTS) {
        panel.draw(&mut svg, left, axis, legend);
    }
    for (position, (label, looks)) in legend.iter().enumerate() {
        let x = 70.0 + LEGEND_COLUMN * (position % 3) as f64;
        let y = HEIGHT - 42.0 + 24.0 * (position / 3) as f64;
        line(&mut svg, &[(x, y), (x + 44.0, y)], *looks);
        text(&mut svg, (x + 54.0, y + 4.5), "start", label);
    }
    svg + "</svg>\n"
}

/// A bar: its label, its length, and whether it is ours.
pub type Bar = (String, f64, bool);

/// A plot of groups of bars, each with a title.
pub fn bars(title: &str, groups: &[(&str, Vec<Bar>)]) -> String {
    const LABELS: f64 = 330.0;
    const BAR: f64 = 26.0;
    let (mut body, mut y) = (String::new(), 22.0);
    for (title, bars) in groups {
        let Some(most) = bars.iter().map(|bar| bar.1).reduce(f64::max) else { continue };
        let _infallible = writeln!(body, r#"<text class="head" x="20" y="{y}">{title}</text>"#);
        y += 10.0;
        for (label, value, is_ours) in bars {
            let length = (WIDTH - LABELS - 60.0) * value / most;
            let (class, top, height) = (if *is_ours { "ours" } else { "bar" }, y + 4.0, BAR - 8.0);
            let _infallible = writeln!(
                body,
                r#"<rect class="{class}" x="{LABELS}" y="{top}" width="{length:.1}" height="{height}"/>"#
            );
            text(&mut body, (LABELS - 8.0, y + BAR * 0.68), "end", label);
            text(&mut body, (LABELS + length + 6.0, y + BAR * 0.68), "start", &format!("{value:.2}"));
            y += BAR;
        }
        y += 28.0;
    }
    begin(y, title) + &body + "</svg>\n"
}

fn begin(height: f64, title: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="title">
<title id="title">{title}</title>
<style>
text {{ font: 13px system-ui, sans-serif; fill: #2a2f36 }}
.head {{ font-size: 15px; font-weight: 600 }}
.back {{ fill: #ffffff }}
.grid {{ stroke: #8a929c; stroke-opacity: .35; fill: none }}
.axis {{ stroke: #8a929c; fill: none }}
.line {{ fill: none; stroke-width: 2.2 }}
.bar {{ fill: #99aabb }}
.ours {{ fill: #cc6633 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #dfe3e8 }} .back {{ fill: #14181d }} }}
</style>
<rect class="back" width="{WIDTH}" height="{height}" rx="6"/>
"##
    )
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _infallible = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
}

fn line(svg: &mut String, points: &[(f64, f64)], (colour, dashes, radius): Looks) {
    let path: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let path = path.join(" ");
    let _infallible = writeln!(
        svg,
        r#"<polyline class="line" stroke="{colour}" stroke-dasharray="{dashes}" points="{path}"/>"#
    );
    for (x, y) in points {
        let _infallible = writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{colour}"/>"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_subject_in_each_panel_and_in_the_legend() {
        let panel = || Panel {
            title: "By size".to_owned(),
            columns: [1.0, 100.0].map(|size| (size, size.to_string())).to_vec(),
            unit: "size",
            lines: vec![(0, vec![(1.0, 40.0), (100.0, 80.0)])],
        };
        let axis = Axis { levels: vec![0.0, 40.0, 80.0], is_logarithmic: false };
        let svg = lines("t", "h", [panel(), panel()], &axis, &[("Admit".to_owned(), ("#c63", "", 4.5))]);
        assert_eq!(svg.matches("<polyline").count(), 3);
        // From half of the height to the top.
        assert!(svg.contains("points=\"91.6,220.0 408.4,70.0\""), "{svg}");
    }

    #[test]
    fn logarithmic_axes_have_equal_steps_for_equal_ratios() {
        let axis = Axis { levels: vec![0.05, 2.0], is_logarithmic: true };
        assert!((axis.down(0.1) - axis.down(0.2) - (axis.down(0.5) - axis.down(1.0))).abs() < 1e-9);
        assert_eq!((axis.down(0.01), axis.down(9.0)), (TOP + PANEL.1, TOP));
    }

    #[test]
    fn the_longest_bar_fills_the_width() {
        let svg = bars("t", &[("Hot", vec![("a".to_owned(), 2.0, true), ("b".to_owned(), 1.0, false)])]);
        assert!(svg.contains(r#"class="ours" x="330" y="36" width="530.0""#), "{svg}");
        assert!(svg.contains(r#"width="265.0""#), "{svg}");
    }
}
