//! What `docs/scale.md` takes for given is what the builder does.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use admit_publish::build::{PAGE_ABOVE_BITS, SHARD_TARGET_BYTES};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scale.md")).unwrap()
}

/// What `admit publish` makes of this number of generated customers, in MiB.
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
fn a_customer_takes_as_many_bytes_as_measured() {
    let page = page();
    let row = page.lines().find_map(|line| line.strip_prefix("| customer's bytes")).unwrap();
    // The number is filled in between two comments, `<!--record_bytes-->187<!--/-->`.
    let (_, filled) = row.split_once("-->").unwrap();
    let stated: f64 = filled.split_once("<!--").unwrap().0.parse().unwrap();
    let measured = (built_mib(40_000) - built_mib(20_000)) * 1_048_576.0 / 20_000.0;
    assert!((measured / stated - 1.0).abs() < 0.02, "stated {stated} B, measured {measured} B");
}

#[test]
fn shards_and_pages_are_those_of_the_builder() {
    let page = page();
    let shards = format!("shards of {} KiB, as Admit builds them", SHARD_TARGET_BYTES / 1024);
    assert!(page.contains(&shards), "{shards}");
    let pages = format!("pages, of {} MiB each", (32_u32 << PAGE_ABOVE_BITS) / 1_048_576);
    assert!(page.contains(&pages), "{pages}");
}
