//! A plot of the hot check, as SVG: bars of CPU time for an answer.

use std::fmt::Write as _;

use super::{
    peers::SUBJECTS,
    report::{Report, about},
};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 290.0;
const BAR: f64 = 26.0;

/// Bars of requests a second against the floor, by scenario.
pub fn svg(report: &Report) -> String {
    let scenarios = ["hot", "new-hs256", "new-rs256"];
    let titles = ["One cached token", "Each token new: HS256", "Each token new: RS256"];
    let mut body = String::new();
    let mut y = 16.0;
    for (scenario, title) in scenarios.iter().zip(titles) {
        let bars: Vec<_> = SUBJECTS
            .iter()
            .filter_map(|subject| {
                Some((subject.name, report.figure(scenario, subject.name, &["rate_ratio", "median"])?))
            })
            .collect();
        let Some(most) = bars.iter().map(|bar| bar.1).reduce(f64::max) else { continue };
        let _infallible = writeln!(body, r#"<text x="8" y="{y}" class="title">{title}</text>"#);
        y += 10.0;
        for (name, ratio) in bars {
            let length = (WIDTH - LABELS - 60.0) * ratio / most;
            let class = if name == "admit" { "ours" } else { "bar" };
            let (middle, label) = (y + BAR * 0.68, about(name));
            let (start, end) = (LABELS, LABELS + length + 6.0);
            let _infallible = writeln!(
                body,
                r#"<text x="{}" y="{middle}" text-anchor="end">{label}</text><rect class="{class}" x="{start}" y="{}" width="{length:.1}" height="{}"/><text x="{end:.1}" y="{middle}">{ratio:.2}</text>"#,
                LABELS - 8.0,
                y + 4.0,
                BAR - 8.0
            );
            y += BAR;
        }
        y += 28.0;
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="13"><style>text{{fill:#444}}.title{{font-weight:bold}}.bar{{fill:#9ab}}.ours{{fill:#c63}}@media(prefers-color-scheme:dark){{text{{fill:#ccc}}}}</style><title>Requests a second, where a Worker that reads the same and checks nothing is 1</title>
{body}</svg>
"#
    )
}
