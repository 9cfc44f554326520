//! Each alert of docs/operations.md fires when its fault is provoked. The values come from a real follower and a real
//! origin under that fault; promtool runs the rules over series of these values. What no test can wait for, such as a day
//! of a delta that grows, is a series by hand: [`BY_HAND`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    programs::{Mode, Origin, Stage, Wire, follower},
    scrape::{Scrape, wait_for},
    series::{Provoked, input, labelled, promtool, run, test_of},
    text,
};

const FOLLOWER: &str = "admit-follower";
const ORIGIN: &str = "admit-origin";

/// An alert, its job, and its series.
type ByHand = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Alerts whose values would take hours or minutes to provoke: the values before and after.
const BY_HAND: [ByHand; 5] = [
    ("AdmitFollowerBehind", FOLLOWER, &[("admit_follower_lag_changes", "0x70 20000x40")]),
    (
        "AdmitDeltaFull",
        FOLLOWER,
        &[
            ("admit_follower_delta_bytes", "548x70 9000000x40"),
            ("admit_follower_delta_budget_bytes", "4194304x110"),
        ],
    ),
    (
        "AdmitPublishSlow",
        FOLLOWER,
        &[
            ("admit_follower_publish_delay_seconds_bucket{le=\"60\"}", "0+10x70 700x40"),
            ("admit_follower_publish_delay_seconds_bucket{le=\"120\"}", "0+10x110"),
            ("admit_follower_publish_delay_seconds_bucket{le=\"+Inf\"}", "0+10x110"),
        ],
    ),
    ("AdmitHeadReplaced", FOLLOWER, &[("admit_follower_heads_replaced_total", "0x70 1x40")]),
    (
        "OriginSlow",
        ORIGIN,
        &[
            ("origin_request_duration_seconds_bucket{class=\"check\",le=\"1\"}", "0+100x70 7000x40"),
            ("origin_request_duration_seconds_bucket{class=\"check\",le=\"5\"}", "0+100x110"),
            ("origin_request_duration_seconds_bucket{class=\"check\",le=\"+Inf\"}", "0+100x110"),
        ],
    ),
];

/// The alerts of the rules, each with the metrics that its expression names.
fn rules() -> BTreeMap<String, Vec<String>> {
    let (mut rules, mut alert) = (BTreeMap::new(), String::new());
    for line in text("ops/prometheus/alerts.yml").lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            name.clone_into(&mut alert);
        } else if let Some(expr) = line.strip_prefix("expr: ") {
            rules.insert(alert.clone(), metrics_in(expr));
        }
    }
    rules
}

/// The names of metrics in an expression: words with a prefix of ours.
pub fn metrics_in(expr: &str) -> Vec<String> {
    let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_ours = |word: &&str| {
        ["admit_", "origin_", "process_"].iter().any(|prefix| word.starts_with(prefix)) || *word == "up"
    };
    words.filter(is_ours).map(str::to_owned).collect()
}

#[expect(clippy::disallowed_methods, reason = "values of other processes are compared with the time")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What a program shows, and when. A program that does not answer is `up 0`, as Prometheus has it.
fn scraped(address: &str) -> (Scrape, f64) {
    let mut scrape = Scrape::of(address);
    let up = f64::from(u8::from(scrape.is_some()));
    scrape.get_or_insert_default().0.insert("up".to_owned(), up);
    (scrape.unwrap(), now())
}

#[derive(Default)]
struct Fired {
    alerts: BTreeSet<String>,
    problems: Vec<String>,
}

impl Fired {
    /// Asks promtool whether `alert` fires with the bad values, and not with the good ones.
    fn check(&mut self, stage: &Stage, alert: &str, job: &str, good: &(Scrape, f64), bad: &(Scrape, f64)) {
        let provoked = Provoked { alert, job, good: (&good.0, good.1), bad: (&bad.0, bad.1) };
        let series = input(&provoked, &rules()[alert]);
        self.note(alert, run(stage, alert, &test_of(provoked.alert, &series)));
    }

    fn note(&mut self, alert: &str, outcome: Result<(), String>) {
        self.alerts.insert(alert.to_owned());
        self.problems.extend(outcome.err());
    }
}

#[test]
#[ignore = "needs promtool and the built origin: cargo xtask test runs it"]
fn each_alert_fires_when_it_is_provoked() {
    let mut fired = Fired::default();
    of_the_follower(&mut fired);
    of_the_origin(&mut fired);
    let stage = Stage::new("by-hand");
    for (alert, job, series) in BY_HAND {
        let series = series.iter().map(|(name, values)| (labelled(name, job), (*values).to_owned()));
        fired.note(alert, run(&stage, alert, &test_of(alert, &series.collect())));
    }
    assert!(fired.problems.is_empty(), "{}", fired.problems.join("\n\n"));
    let all: BTreeSet<_> = rules().into_keys().collect();
    assert_eq!(fired.alerts, all, "an alert without a test");
}

fn of_the_follower(fired: &mut Fired) {
    let stage = Stage::new("alerts-follower");
    let origin = Origin::start(&stage, None);
    let wire = Wire::to(&origin.url, Mode::Pass);
    let mut first = follower(&stage, &wire.export(), "store");
    first.wait_for("following");
    let address = first.metrics.clone();
    let wait = |what: &str, is_so: &dyn Fn(&Scrape) -> bool| {
        wait_for(&address, what, is_so);
        scraped(&address)
    };
    let published = |found: &Scrape| found.value("admit_follower_published_seq") > 0.0;
    let good = wait("a first version", &published);
    let mut check = |alert: &str, bad: &(Scrape, f64)| fired.check(&stage, alert, FOLLOWER, &good, bad);

    // An object that no publish touches is lost; the next check of the store finds that.
    let directories = fs::read_dir(stage.dir.join("store/directory")).unwrap();
    directories.for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());

    origin.grant();
    wire.set(Mode::Spoil);
    origin.revoke();
    origin.grant();
    let bad =
        wait("a record that is set aside", &|found| found.value("admit_follower_set_aside_records") > 0.0);
    check("AdmitRecordsSetAside", &bad);

    wire.set(Mode::Refuse);
    let fails = r#"admit_follower_failures_in_a_row{task="feed"}"#;
    let bad = wait("an origin that is not heard", &|found| found.value(fails) >= 3.0);
    check("AdmitOriginUnheard", &bad);
    check("AdmitSnapshotOld", &bad);
    let mut second = follower(&stage, &wire.export(), "empty");
    wait_for(&second.metrics, "a follower of nothing", |found| {
        found.value(r#"admit_follower_failures_in_a_row{task="whole"}"#) >= 1.0
    });
    check("AdmitNothingPublished", &scraped(&second.metrics));
    second.kill();

    wire.set(Mode::Forget);
    let wholes = r#"admit_follower_publishes_total{kind="whole"}"#;
    let bad = wait("a feed without a history", &|found| found.value(wholes) > good.0.value(wholes));
    check("AdmitWholePublishes", &bad);
    wire.set(Mode::Pass);

    let damage = |found: &Scrape| {
        found.value("admit_follower_missing_objects_total")
            + found.value("admit_follower_repaired_objects_total")
            > 0.0
    };
    let bad = wait("a damaged store", &damage);
    check("AdmitStoreDamaged", &bad);
    wait("recovery", &|found| found.sum("admit_follower_failures_in_a_row") == 0.0);

    // The store is gone, and at last the lease with it.
    let (store, away) = (stage.dir.join("store"), stage.dir.join("away"));
    fs::rename(&store, &away).unwrap();
    fs::write(&store, "not a directory").unwrap();
    let publish = r#"admit_follower_failures_in_a_row{task="publish"}"#;
    let bad = wait("a store that fails", &|found| found.value(publish) >= 3.0);
    check("AdmitPublishFailing", &bad);
    let bad = wait("a lost lease", &|found| found.value("admit_follower_lease_held") == 0.0);
    check("AdmitLeaseNotHeld", &bad);
    fs::remove_file(&store).unwrap();
    fs::rename(&away, &store).unwrap();
    wait("the store again", &|found| {
        found.value("admit_follower_lease_held") == 1.0 && found.value(publish) == 0.0
    });

    // Killed, and started again and again: the start differs each time.
    let mut starts = vec![good.0.value("process_start_time_seconds")];
    first.kill();
    check("AdmitFollowerDown", &scraped(&address));
    while starts.len() < 4 {
        let mut again = follower(&stage, &wire.export(), "store");
        again.wait_for("following");
        let start = Scrape::of(&again.metrics).unwrap().value("process_start_time_seconds");
        again.kill();
        match starts.last() {
            Some(last) if *last == start => thread::sleep(std::time::Duration::from_millis(300)),
            _ => starts.push(start),
        }
    }
    let [first_start, rest @ ..] = starts.as_slice() else { panic!("no start") };
    let restarts: String = rest.iter().map(|start| format!("{start}x4 ")).collect();
    let last = rest.last().unwrap();
    let values = format!("{first_start}x70 {restarts}{last}x40");
    let series = BTreeMap::from([(labelled("process_start_time_seconds", FOLLOWER), values)]);
    // The alert lasts for as long as three starts are within the window of 15 minutes.
    let file = test_of("AdmitFollowerRestarts", &series).replace("eval_time: 108m", "eval_time: 83m");
    fired.note("AdmitFollowerRestarts", run(&stage, "AdmitFollowerRestarts", &file));
}

fn of_the_origin(fired: &mut Fired) {
    let stage = Stage::new("alerts-origin");
    let mut origin = Origin::start(&stage, Some(2_048));
    let address = origin.program.metrics.clone();
    let good = scraped(&address);

    // More sign-ins with a wrong password than fit into the queue.
    let url = &origin.url;
    thread::scope(|scope| {
        for number in 0..160 {
            scope.spawn(move || {
                let form = format!(
                    "grant_type=password&client_id=5hq2v8mfernhollowweb71c0&username=u{number}&password=x"
                );
                let config = ureq::Agent::config_builder().http_status_as_error(false).build();
                let agent = ureq::Agent::new_with_config(config);
                let _refused = agent
                    .post(format!("{url}/accounts/authenticate"))
                    .header("content-type", "application/x-www-form-urlencoded")
                    .send(form);
            });
        }
    });
    let bad = scraped(&address);
    fired.check(&stage, "OriginOverloaded", ORIGIN, &good, &bad);
    fired.check(&stage, "OriginSignInsRefused", ORIGIN, &good, &bad);

    // The disk is full.
    let form = format!("item_type=jw_asset&title=x&content={}", "x".repeat(60_000));
    let written = (0..100).take_while(|_| origin.write("POST", "/v2/items", &form, &[]) == 201).count();
    assert!(written < 100, "the bound of the file is not reached");
    for _ in 0..20 {
        assert_eq!(origin.write("POST", "/v2/items", &form, &[]), 503);
    }
    let bad = scraped(&address);
    assert_eq!(
        bad.0.value(r#"origin_database_failures_total{kind="full"}"#)
            + bad.0.value(r#"origin_database_failures_total{kind="io"}"#),
        21.0
    );
    fired.check(&stage, "OriginDatabaseNotWritable", ORIGIN, &good, &bad);
    fired.check(&stage, "OriginErrors", ORIGIN, &good, &bad);
    assert_eq!(crate::scrape::get(&format!("http://{address}/readyz")).unwrap().0, 503);

    origin.program.kill();
    fired.check(&stage, "OriginDown", ORIGIN, &good, &scraped(&address));
}

#[test]
#[ignore = "needs promtool: cargo xtask test runs it"]
fn rules_are_valid() {
    let output = promtool()
        .args(["check", "rules"])
        .arg(crate::in_root("ops/prometheus/alerts.yml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut config = promtool();
    let output = config
        .args(["check", "config"])
        .arg(crate::in_root("ops/prometheus/prometheus.yml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Each alert has a section of the runbook, and the rule leads there.
#[test]
#[ignore = "runs with the others of this suite, by cargo xtask test"]
fn each_alert_has_a_section() {
    let (page, rules_text) = (text("docs/operations.md"), text("ops/prometheus/alerts.yml"));
    for alert in rules().keys() {
        let (_, section) =
            page.split_once(&format!("\n### {alert}\n")).unwrap_or_else(|| panic!("{alert}: no section"));
        let section = section.split("\n#").next().unwrap();
        for part in ["**Means.**", "**Look.**", "**Do.**"] {
            assert!(section.contains(part), "{alert}: {part}");
        }
        let link = format!("runbook: docs/operations.md#{}", alert.to_lowercase());
        assert!(rules_text.contains(&link), "{link}");
    }
    let sections = page.lines().filter_map(|line| line.strip_prefix("### ")).filter(|title| {
        title.chars().all(char::is_alphanumeric)
            && (title.starts_with("Admit") || title.starts_with("Origin"))
    });
    for section in sections {
        assert!(rules().contains_key(section), "{section} is no alert");
    }
}
