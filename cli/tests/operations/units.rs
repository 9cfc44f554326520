//! The units, by systemd's own judgement.

use std::{fs, process::Command};

use crate::{programs::Stage, text};

const UNITS: [&str; 2] = ["admit-follower", "admit-origin"];

/// A copy of the unit with a program that exists here: the installed ones do not.
fn verifiable(stage: &Stage, unit: &str, change: impl Fn(String) -> String) -> String {
    let text = text(&format!("ops/systemd/{unit}.service"));
    let text =
        text.replace("/usr/local/bin/admit ", "/bin/true ").replace("/usr/local/bin/origin ", "/bin/true ");
    let path = stage.path(&format!("{unit}.service"));
    fs::write(&path, change(text)).unwrap();
    path
}

fn verify(path: &str) -> (bool, String) {
    let mut verify = Command::new("systemd-analyze");
    let output = verify.args(["verify", "--recursive-errors=yes", path]).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[ignore = "needs systemd-analyze: cargo xtask test runs it"]
fn units_are_valid() {
    let stage = Stage::new("units");
    for unit in UNITS {
        let (is_valid, said) = verify(&verifiable(&stage, unit, |text| text));
        assert!(is_valid, "{unit}: {said}");
        // The check finds something: an unknown key is an error.
        let wrong = verifiable(&stage, unit, |text| text.replace("RestartSec=", "RestartSeconds="));
        assert!(!verify(&wrong).0, "{unit}");
    }
}

#[test]
#[ignore = "needs systemd-analyze: cargo xtask test runs it"]
fn units_may_do_little() {
    let stage = Stage::new("security");
    for unit in UNITS {
        let path = verifiable(&stage, unit, |text| text);
        let mut analyze = Command::new("systemd-analyze");
        let output = analyze.args(["security", "--offline=true", "--threshold=20", &path]).output().unwrap();
        assert!(output.status.success(), "{unit}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
