//! A follower under `kill -9`, started again by the rules of its unit. No systemd runs here: the test reads the rules from
//! the unit, and does as they say.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    programs::{Mode, Origin, Program, Stage, Wire, follower_command, start},
    scrape::wait_for,
    text,
};

/// The promise of docs/publishing.md: a crash delays revocations by less than this.
const BOUND: Duration = Duration::from_secs(120);

/// The rules of a unit that say when its program is started again.
struct Rules {
    restart: String,
    pause: Duration,
    prevents: Vec<i32>,
}

impl Rules {
    fn of(unit: &str) -> Self {
        let unit = text(unit);
        let value = |key: &str| {
            let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
            line.unwrap_or_default().to_owned()
        };
        assert_eq!(value("StartLimitIntervalSec"), "0", "systemd gives up otherwise");
        Self {
            restart: value("Restart"),
            pause: Duration::from_secs(value("RestartSec").parse().unwrap()),
            prevents: value("RestartPreventExitStatus")
                .split_whitespace()
                .map(|code| code.parse().unwrap())
                .collect(),
        }
    }

    /// Whether a program that has ended so is started again; by a signal it has no code.
    fn restarts(&self, code: Option<i32>) -> bool {
        let is_prevented = code.is_some_and(|code| self.prevents.contains(&code));
        match self.restart.as_str() {
            "always" => !is_prevented,
            "on-failure" => !is_prevented && code != Some(0),
            other => panic!("Restart={other}"),
        }
    }
}

#[test]
#[ignore = "needs the built origin: cargo xtask test runs it"]
#[expect(clippy::disallowed_methods, reason = "a test measures other processes")]
fn a_killed_follower_goes_on_by_the_rules_of_its_unit() {
    let rules = Rules::of("ops/systemd/admit-follower.service");
    let stage = Stage::new("supervised");
    let origin = Origin::start(&stage, None);
    let wire = Wire::to(&origin.url, Mode::Pass);
    let begin = || -> Program { start(&mut follower_command(&stage, &wire.export(), "store")) };
    let mut follower = begin();
    follower.wait_for("following");
    for round in 0..3 {
        // In the middle of whatever it does.
        follower.kill();
        let killed_at = Instant::now();
        assert!(rules.restarts(follower.ended()), "SIGKILL has no exit code");
        // A revocation, or a grant, that the dead follower misses.
        if round % 2 == 0 {
            origin.grant()
        } else {
            origin.revoke()
        }
        thread::sleep(rules.pause);
        follower = begin();
        follower.wait_for("following");
        let seq = crate::scrape::Scrape::of(&origin.program.metrics).unwrap().value("origin_seq");
        let found = wait_for(&follower.metrics, "the missed change", |found| {
            found.value("admit_follower_published_origin_seq") == seq
        });
        assert!(killed_at.elapsed() < BOUND, "{:?}", killed_at.elapsed());
        assert_eq!(
            found.value("admit_follower_lease_held"),
            1.0,
            "the lease of the dead process is taken over"
        );
    }
}

#[test]
#[ignore = "needs the built origin: cargo xtask test runs it"]
fn a_strict_follower_of_invalid_data_is_not_started_again() {
    let rules = Rules::of("ops/systemd/admit-follower.service");
    assert!(rules.restarts(Some(1)) && rules.restarts(Some(0)), "every other end is mended by a restart");
    let stage = Stage::new("strict");
    let origin = Origin::start(&stage, None);
    let wire = Wire::to(&origin.url, Mode::Pass);
    let mut command = follower_command(&stage, &wire.export(), "store");
    let mut follower = start(command.arg("--strict"));
    follower.wait_for("following");
    wire.set(Mode::Spoil);
    origin.grant();
    // The change is wrong, and in the export, which passes unspoilt, it is not: the follower goes on.
    follower.wait_for("publishing_whole");
    wait_for(&follower.metrics, "the export", |found| {
        found.value(r#"admit_follower_publishes_total{kind="whole"}"#) >= 2.0
    });
    wire.set(Mode::SpoilAll);
    origin.revoke();
    assert_eq!(follower.ended(), Some(2), "{:?}", follower.new_lines());
    assert!(!rules.restarts(Some(2)), "a restart changes nothing of the data");
    // Nor does it begin with such an export.
    let mut command = follower_command(&stage, &wire.export(), "another-store");
    let output = command.arg("--strict").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!stage.dir.join("another-store/head").exists());
}
