//! Scraped values as series for promtool, and what it says of them.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, process::Command};

use crate::{
    in_root,
    programs::Stage,
    scrape::{Scrape, name_of},
};

/// Minutes of a series before the fault, and with it. `for: 15m` has to fit.
const GOOD_MINS: usize = 70;
const BAD_MINS: usize = 40;

pub fn promtool() -> Command {
    Command::new(env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into()))
}

/// Values before and during a fault, from a program at two times. A time is that of the scrape, in unix seconds.
pub struct Provoked<'a> {
    pub alert: &'a str,
    pub job: &'a str,
    pub good: (&'a Scrape, f64),
    pub bad: (&'a Scrape, f64),
}

/// All series of both scrapes as promtool's input: the good values until the fault, and then the bad ones. Times become
/// relative to the test's clock, which begins at 0; a counter goes on as it did between the two scrapes.
pub fn input(provoked: &Provoked<'_>, names: &[String]) -> BTreeMap<String, String> {
    let ((good, good_at), (bad, bad_at)) = (provoked.good, provoked.bad);
    let mut series = BTreeMap::new();
    for name in
        bad.0.keys().chain(good.0.keys()).filter(|name| names.iter().any(|used| used == name_of(name)))
    {
        let (before, after) = (good.value(name), bad.value(name));
        let values = if name_of(name).ends_with("_timestamp_seconds") {
            let fault_at = (60 * (GOOD_MINS + 1)) as f64;
            // Before, as old as it was when scraped, and moving; then as it was at the fault, and standing still.
            format!("{}+60x{GOOD_MINS} {}x{BAD_MINS}", before - good_at, fault_at + (after - bad_at))
        } else if ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name_of(name).ends_with(end)) {
            format!("{before}x{GOOD_MINS} {after}+{}x{BAD_MINS}", after - before)
        } else {
            format!("{before}x{GOOD_MINS} {after}x{BAD_MINS}")
        };
        series.insert(labelled(name, provoked.job), values);
    }
    series
}

/// The series with the labels that a scrape adds.
pub fn labelled(series: &str, job: &str) -> String {
    let added = format!("job=\"{job}\",instance=\"host\"");
    match series.split_once('{') {
        Some((name, labels)) => format!("{name}{{{added},{labels}"),
        None => format!("{series}{{{added}}}"),
    }
}

/// A test file for promtool: the alert is silent before the fault, and fires with it.
pub fn test_of(alert: &str, series: &BTreeMap<String, String>) -> String {
    let rules = in_root("ops/prometheus/alerts.yml").canonicalize().unwrap();
    let mut file =
        format!("rule_files:\n  - {}\ntests:\n  - interval: 1m\n    input_series:\n", rules.display());
    for (name, values) in series {
        writeln!(file, "      - series: '{name}'\n        values: '{values}'").unwrap();
    }
    let firing = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
    let (before, then) = (GOOD_MINS - 1, GOOD_MINS + BAD_MINS - 2);
    write!(
        file,
        "    promql_expr_test:\n      \
         - expr: 'count({firing}) > bool 0'\n        eval_time: {before}m\n        exp_samples: []\n      \
         - expr: 'count({firing}) > bool 0'\n        eval_time: {then}m\n        exp_samples:\n          \
         - labels: '{{}}'\n            value: 1\n"
    )
    .unwrap();
    file
}

/// Runs promtool's test. Returns what it says if it fails.
pub fn run(stage: &Stage, name: &str, file: &str) -> Result<(), String> {
    let path = stage.path(&format!("{name}.yml"));
    fs::write(&path, file).unwrap();
    let output = promtool().args(["test", "rules", &path]).output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(format!("{name}: {}\n{file}", said.concat()))
}
