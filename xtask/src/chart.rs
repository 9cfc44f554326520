//! What plots of lines have in common: a frame that suits light and dark pages, and lines that can be told apart.

use std::fmt::Write as _;

/// A line's looks, told apart in colour, in grey, on white and on black: colour, dashes, radius of its marks.
pub type Looks = (&'static str, &'static str, f64);

/// The beginning of a plot of this size; `title` is for those who do not see it.
pub fn begin(width: f64, height: f64, title: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-labelledby="title">
<title id="title">{title}</title>
<style>
text {{ font: 13px system-ui, sans-serif; fill: #2a2f36 }}
.head {{ font-size: 15px; font-weight: 600 }}
.back {{ fill: #ffffff }}
.grid {{ stroke: #8a929c; stroke-opacity: .35; fill: none }}
.axis {{ stroke: #8a929c; fill: none }}
.line {{ fill: none; stroke-width: 2.2 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #dfe3e8 }} .back {{ fill: #14181d }} }}
</style>
<rect class="back" width="{width}" height="{height}" rx="6"/>
"##
    )
}

/// A line through `points`, with a mark at each.
pub fn line(svg: &mut String, points: &[(f64, f64)], (colour, dashes, radius): Looks) {
    let path: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        r#"<polyline class="line" stroke="{colour}" stroke-dasharray="{dashes}" points="{}"/>"#,
        path.join(" ")
    );
    for (x, y) in points {
        let _ = writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{colour}"/>"#);
    }
}

/// A line of the grid at `y`, from `left` over `width`, with what it stands for.
pub fn level(svg: &mut String, (left, width, y): (f64, f64, f64), label: &str) {
    let _ = writeln!(
        svg,
        r#"<path class="grid" d="M{left} {y:.1}h{width}"/><text x="{x}" y="{ty:.1}" text-anchor="end">{label}</text>"#,
        x = left - 8.0,
        ty = y + 4.5
    );
}

/// A line of the grid at `x`, from `top` down over `height`, with what it stands for.
pub fn column(svg: &mut String, (x, top, height): (f64, f64, f64), label: &str) {
    let _ = writeln!(
        svg,
        r#"<path class="grid" d="M{x:.1} {top}v{height}"/><text x="{x:.1}" y="{y}" text-anchor="middle">{label}</text>"#,
        y = top + height + 20.0
    );
}
