//! `docs/scale.md` assumes the size of a record; the builder decides it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Size of the snapshot that `admit publish` builds of generated customers, in MiB.
fn built_mib(customers: u32) -> f64 {
    let admit = env!("CARGO_BIN_EXE_admit");
    let mut generate = Command::new(admit)
        .args(["generate", "--customers", &customers.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = generate.stdout.take().unwrap();
    let publish = Command::new(admit)
        .args(["publish", "--from", "-", "--dry-run"])
        .stdin(lines)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(generate.wait().unwrap().success());
    assert!(publish.status.success());
    let said = String::from_utf8(publish.stdout).unwrap();
    let size = said.split_once('(').and_then(|(_, rest)| rest.split_once(" MiB)"));
    size.unwrap_or_else(|| panic!("{said}")).0.parse().unwrap()
}

#[test]
fn a_record_takes_the_bytes_that_the_page_states() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scale.md")).unwrap();
    let (_, rest) = page.split_once("<!--record_bytes-->").unwrap();
    let stated: f64 = rest.split_once('<').unwrap().0.parse().unwrap();
    let measured = (built_mib(40_000) - built_mib(20_000)) * 1_048_576.0 / 20_000.0;
    assert!((measured / stated - 1.0).abs() < 0.02, "stated {stated} B, measured {measured} B");
}
