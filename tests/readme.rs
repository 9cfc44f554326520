//! Runs the README's purchase, command by command in a shell, against the `cargo xtask dev` that `cargo xtask test`
//! has started. Stops that run's origin, and starts it again. Before that, the canary of docs/freshness.md.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers may panic")]

use std::{
    env, fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

const SECTION: &str = "## Buy something";

/// Stops the origin, and starts it again.
const ORIGIN_GONE: &str = "cargo xtask origin --stop";
const ORIGIN_AGAIN: &str = "cargo xtask origin";

/// How often a condition is checked, and the pause in between: two minutes, the longest time of a revocation.
const LOOKS: u32 = 1_200;
const PAUSE: Duration = Duration::from_millis(100);

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: `cargo xtask test` sets it"))
}

/// The shell commands in a text: the lines of its `sh` blocks, with continued lines joined.
fn lines(text: &str) -> Vec<String> {
    let blocks = text.split("\n```sh\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0);
    let joined = blocks.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn is_definition(line: &str) -> bool {
    line.starts_with("edge=") || line.split_once("() {").is_some_and(|(name, _)| !name.contains(' '))
}

/// The output of a command. A command that does not end in time is killed.
fn run(script: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-uc", script]).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("no_proxy", "*").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("bash runs");
    let ended = (0..LOOKS * 10).any(|_| {
        let ended = child.try_wait().unwrap().is_some();
        if !ended {
            thread::sleep(PAUSE / 10);
        }
        ended
    });
    if !ended {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(ended && output.status.success(), "{script}\n{}\n{printed}{said}", output.status);
    printed
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let is_so = (0..LOOKS).any(|_| {
        let is_so = is_so();
        if !is_so {
            thread::sleep(PAUSE);
        }
        is_so
    });
    assert!(is_so, "{what}");
}

/// The count of changes that a server knows. The edge tells it to readers of the snapshot, the origin only to its
/// edge.
fn seq(base_url: &str) -> u64 {
    let token = fs::read_to_string(format!("{}/operator.token", variable("ADMIT_DEV_DIR"))).unwrap();
    let keys = run(&format!("{} keys", variable("ADMIT_XTASK")));
    let secret = fs::read_to_string(format!("{}/origin-secret", keys.trim())).unwrap();
    let (bearer, edge_key) = (format!("Authorization: Bearer {}", token.trim()), secret.trim());
    let asked = run(&format!("curl -sS -H '{bearer}' -H 'Admit-Edge-Key: {edge_key}' {base_url}/healthz"));
    let health: Value = serde_json::from_str(&asked).unwrap();
    health.get("seq").and_then(Value::as_u64).unwrap()
}

#[test]
#[ignore = "needs what `cargo xtask test` starts"]
fn the_purchase_of_the_readme_goes_as_it_says() {
    let (edge, origin) = (variable("ADMIT_BASE_URL"), variable("ADMIT_ORIGIN_URL"));
    // The program that Cargo would run, without waiting for Cargo's lock. ADMIT_DEV_DIR names the run.
    let xtask = format!("{} ", variable("ADMIT_XTASK"));
    variable("ADMIT_DEV_DIR");
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("\n{SECTION}\n")).expect(SECTION);
    let section = rest.split("\n## ").next().unwrap();

    let (mut shell, mut origin_commands, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines(section) {
        if is_definition(&line) {
            shell.push(line);
            continue;
        }
        let (command, status) = line.split_once("  # ").unwrap_or((&line, ""));
        if command == ORIGIN_GONE {
            // A person would type more slowly: changes that only the origin knows are unknown while it is down.
            let known = seq(&origin);
            wait_until("the origin's changes are published", || seq(&edge) >= known);
        }
        let script = shell.iter().map(String::as_str).chain([command]).collect::<Vec<_>>().join("\n");
        let printed = run(&script.replace("cargo xtask ", &xtask));
        println!("$ {command}\n{printed}");
        if command.starts_with("cargo xtask ") {
            origin_commands.push(command.to_owned());
            continue;
        }
        assert_eq!(printed.lines().last().unwrap_or_default(), status, "{command}\n{printed}");
        if command.contains(" -i ") {
            assert!(printed.to_lowercase().contains("\nretry-after: "), "{command}\n{printed}");
        }
        asked.push(status.to_owned());
    }
    assert_eq!(origin_commands, [ORIGIN_GONE, ORIGIN_AGAIN]);
    let expected = ["402", "201", "200", "204", "402", "200", "402", "502", "201", "200"];
    assert_eq!(
        asked, expected,
        "denied, bought, granted, revoked, denied; without the origin; and with it again"
    );
}

/// One round instead of three. The command fails if a change is not seen in time.
#[test]
#[ignore = "needs what `cargo xtask test` starts"]
fn the_canary_on_a_laptop_is_seen() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/freshness.md")).unwrap();
    let (_, rest) = page.split_once("\n## See it on a laptop\n").unwrap();
    let script = lines(rest.split("\n## ").next().unwrap()).join("\n");
    let marker = format!("{}/marker.jwt", env!("CARGO_TARGET_TMPDIR"));
    let script = script.replace("cargo xtask ", &format!("{} ", variable("ADMIT_XTASK")));
    let printed = run(&script.replace("marker.jwt", &marker).replace("--rounds 3", "--rounds 1"));
    for change in ["revocation  1 of 1", "grant       1 of 1"] {
        assert!(printed.contains(change), "{printed}");
    }
}
