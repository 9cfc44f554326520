//! Dashboards and the page against real scrapes: no name of a metric that no program has, no query that is not PromQL.

use std::{collections::BTreeSet, io::Write as _, process::Stdio};

use serde_json::Value;

use crate::{
    alerts::metrics_in,
    programs::{Mode, Origin, Stage, Wire, follower},
    scrape::{Scrape, get, name_of, wait_for},
    series::promtool,
    text,
};

const DASHBOARDS: [&str; 2] = ["ops/grafana/follower.json", "ops/grafana/origin.json"];

/// All queries of a dashboard, with Grafana's variables as Prometheus could have them.
fn queries(dashboard: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(&text(dashboard)).unwrap();
    let panels = json["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<_> = targets
        .map(|target| {
            target["expr"].as_str().unwrap().replace("$__rate_interval", "5m").replace("$instance", ".*")
        })
        .collect();
    assert!(queries.len() >= 8, "{dashboard}: {}", queries.len());
    queries
}

/// What a follower and an origin show after a write, a failure and a sign-in.
fn scrapes(name: &str) -> (Stage, [String; 2]) {
    let stage = Stage::new(name);
    let origin = Origin::start(&stage, None);
    let wire = Wire::to(&origin.url, Mode::Pass);
    let mut follower = follower(&stage, &wire.export(), "store");
    follower.wait_for("following");
    origin.grant();
    wait_for(&follower.metrics, "a change", |found| found.sum("admit_follower_changes_total") > 0.0);
    get(&format!("{}/accounts/authenticate", origin.url)).unwrap();
    wire.set(Mode::Refuse);
    wait_for(&follower.metrics, "a failure", |found| found.sum("admit_follower_failures_total") > 0.0);
    let texts = [&follower.metrics, &origin.program.metrics]
        .map(|address| get(&format!("http://{address}/metrics")).unwrap().1);
    (stage, texts)
}

/// Metrics that appear with their first event, which a test of pages does not provoke.
const RARE: [&str; 2] = ["origin_sign_ins_total", "origin_database_failures_total"];

#[test]
#[ignore = "needs the built origin: cargo xtask test runs it"]
fn every_name_is_one_of_a_real_scrape() {
    let (_stage, texts) = scrapes("names");
    let mut known: BTreeSet<_> = RARE.into_iter().map(str::to_owned).collect();
    for text in &texts {
        known.extend(Scrape::parse(text).0.keys().map(|series| name_of(series).to_owned()));
    }
    known.insert("up".to_owned());
    let page = text("docs/operations.md");
    let mut sources: Vec<_> = DASHBOARDS.iter().flat_map(|dashboard| queries(dashboard)).collect();
    let rules = text("ops/prometheus/alerts.yml");
    sources.extend(rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned));
    for name in sources.iter().flat_map(|source| metrics_in(source)) {
        assert!(known.contains(&name), "{name} is in no scrape");
    }
    // The page lists all of them, and nothing else.
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<_> =
        rows.map(|(name, _)| name_of(name).to_owned()).filter(|name| !metrics_in(name).is_empty()).collect();
    let of_histograms = |name: &str| {
        ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned)
    };
    let shown: BTreeSet<_> = known
        .iter()
        .filter(|name| *name != "up")
        .map(|name| of_histograms(name).unwrap_or_else(|| name.clone()))
        .collect();
    assert_eq!(listed, shown);
}

#[test]
#[ignore = "needs promtool and the built origin: cargo xtask test runs it"]
fn promtool_accepts_scrapes_and_queries() {
    let (stage, texts) = scrapes("queries");
    for text in texts {
        let mut check = promtool();
        let mut child =
            check.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for dashboard in DASHBOARDS {
        let mut rules = String::from("groups:\n  - name: queries\n    rules:\n");
        for (number, query) in queries(dashboard).iter().enumerate() {
            rules += &format!(
                "      - record: query{number}\n        expr: {}\n",
                serde_json::to_string(query).unwrap()
            );
        }
        let path = stage.path("queries.yml");
        std::fs::write(&path, rules).unwrap();
        let output = promtool().args(["check", "rules", &path]).output().unwrap();
        assert!(output.status.success(), "{dashboard}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The compose file names the images of the Dockerfile.
#[test]
#[ignore = "runs with the others of this suite, by cargo xtask test"]
fn containers_are_described() {
    let (compose, images) = (text("ops/docker/compose.yml"), text("ops/docker/Dockerfile"));
    for (target, image) in [("admit", "admit"), ("origin", "admit-origin")] {
        assert!(
            images.contains(&format!(" AS {target}\n")) && images.contains(&format!("-t {image} ")),
            "{target}"
        );
        assert!(compose.contains(&format!("_IMAGE:-{image}}}\n")), "{image}");
    }
}
