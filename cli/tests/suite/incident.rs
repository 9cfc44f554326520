//! The rehearsal of `docs/incident.md`: runs the blocks that the page marks as rehearsed, unchanged, in a
//! shell, against a store in a directory. Each section starts from a store in which the samples are
//! published.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const PAGE: &str = include_str!("../../../docs/incident.md");

/// The sections of the page with rehearsed blocks, each with its blocks.
fn sections() -> Vec<(&'static str, Vec<String>)> {
    let sections = PAGE.split("\n## ").skip(1).map(|section| {
        let (title, text) = section.split_once('\n').unwrap();
        (title, blocks(text))
    });
    sections.filter(|(_, blocks)| !blocks.is_empty()).collect()
}

fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<Vec<&str>> = None;
    for line in text.lines().map(str::trim) {
        match &mut block {
            None if line == "```sh rehearsed" => block = Some(Vec::new()),
            None => {}
            Some(lines) if line == "```" => {
                blocks.push(lines.join("\n"));
                block = None;
            }
            Some(lines) => lines.push(line),
        }
    }
    blocks
}

/// A directory to rehearse in: keys, a store, and the page's variables.
struct Stage {
    dir: PathBuf,
}

impl Stage {
    fn new(name: &str) -> Self {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("incident-{name}-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("keys")).unwrap();
        let stage = Self { dir };
        stage.run(
            "admit keygen --alg EdDSA --kid snapshot-1 --out $KEYS/snapshot.jwk\n\
             admit keygen --alg EdDSA --kid publisher-1 --out $KEYS/publisher.jwk\n\
             admit publish --from $CATALOGUE --to $STORE --key $KEYS/snapshot.jwk\n\
             admit token --key $KEYS/publisher.jwk --ttl-secs 3600 --claims '{\"iss\":\"https://i.example\"}' > stolen.jwt",
        );
        stage
    }

    fn output(&self, script: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_admit")).parent().unwrap();
        let mut path = OsString::from(program);
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]).current_dir(&self.dir).env("PATH", path);
        bash.env("STORE", "dir:store").env("KEYS", "keys");
        bash.env("CATALOGUE", concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/catalogue"));
        bash.env_remove("ADMIT_TOKEN").env_remove("ADMIT_TOKEN_KEY");
        bash.output().unwrap()
    }

    /// The output of a script, which must succeed.
    fn run(&self, script: &str) -> String {
        let Output { status, stdout, stderr } = self.output(script);
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{script}\n{status}\n{stdout}{stderr}");
        stdout.into_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _left = fs::remove_dir_all(&self.dir);
        }
    }
}

#[test]
fn every_rehearsed_block_of_the_page_runs_as_it_is_printed() {
    let sections = sections();
    let titles: Vec<_> = sections.iter().map(|(title, _)| *title).collect();
    let expected = [
        "A viewer's token",
        "A key of an issuer",
        "The snapshot's signing key",
        "The publisher's token key",
        "An old head in KV",
        "The publisher stands still",
    ];
    assert_eq!(titles, expected, "the page promises which sections are rehearsed");
    for (title, blocks) in sections {
        let stage = Stage::new(title);
        for block in blocks {
            stage.run(&block);
        }
        let key = if title == "The snapshot's signing key" { "snapshot-2" } else { "snapshot" };
        stage.run(&format!("admit verify --from $STORE --key $KEYS/{key}.jwk"));
    }
}

fn section(title: &str) -> Vec<String> {
    sections().into_iter().find(|(known, _)| *known == title).unwrap().1
}

/// The page's promise about entries: each names its target, and the lift removes it again.
#[test]
fn a_viewer_is_refused_and_let_in_again() {
    let stage = Stage::new("list");
    let [token, customer, lift] = section("A viewer's token").try_into().unwrap();
    let states = || -> Vec<(String, String)> {
        let report = stage.run("admit revoke --in $STORE --list --json");
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let entries = report.get("denylist").and_then(serde_json::Value::as_array).unwrap();
        let text = |entry: &serde_json::Value, name| entry.get(name).unwrap().as_str().unwrap().to_owned();
        let entry =
            |entry| (text(entry, "target").split(' ').next().unwrap().to_owned(), text(entry, "state"));
        entries.iter().map(entry).collect()
    };
    let expected = |entries: &[(&str, &str)]| -> Vec<(String, String)> {
        entries.iter().map(|(target, state)| ((*target).to_owned(), (*state).to_owned())).collect()
    };
    stage.run(&token);
    assert_eq!(states(), expected(&[("token", "revoked")]));
    let printed = stage.run(&customer);
    assert_eq!(states(), expected(&[("token", "revoked"), ("customer", "revoked")]));
    assert!(
        printed.contains("ticket 4711") && printed.contains("customer "),
        "the list is printed: {printed}"
    );
    stage.run(&lift);
    assert_eq!(states(), expected(&[("token", "revoked"), ("customer", "lifted")]));
}

/// The order in the emergency matters: a head of the stolen key is neither followed nor believed.
#[test]
fn a_stolen_snapshot_key_ends_with_its_heads() {
    let stage = Stage::new("stolen-key");
    // The thief publishes with the old key under a large seq.
    stage.run("admit publish --from $CATALOGUE --to $STORE --key $KEYS/snapshot.jwk --seq 900 --force");
    for block in section("The snapshot's signing key") {
        stage.run(&block);
    }
    let refused = stage.output("admit verify --from $STORE --key $KEYS/snapshot.jwk");
    assert!(!refused.status.success(), "the old key verifies nothing any more");
    let shown = stage.run("admit inspect --from $STORE --key $KEYS/snapshot-2.jwk");
    assert!(shown.contains("1000") || shown.contains("1,000"), "{shown}");
}

/// The page has a section for each incident that SECURITY.md links to.
#[test]
fn every_incident_that_security_md_names_has_a_section() {
    let security = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md")).unwrap();
    let linked: Vec<_> =
        security.split("docs/incident.md#").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(linked.len() >= 10, "{linked:?}");
    let anchor = |title: &str| {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    let anchors: Vec<_> = PAGE.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    for link in linked {
        assert!(anchors.iter().any(|anchor| anchor == link), "{link} is not among {anchors:?}");
    }
}
