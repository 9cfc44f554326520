//! `admit check-origin` finds no problem with this origin. `cli/tests/suite/check_origin.rs` tests
//! the problems that it finds with others.

use std::{
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Ask, CUSTOMER, CUSTOMER_SUBJECT, Dir, FEED_SECRET, MERCHANT, Process, document, merchant, section, signed,
};

/// The `admit` command beside the origin's: tests of the whole workspace build both.
fn admit() -> PathBuf {
    let admit = Path::new(env!("CARGO_BIN_EXE_origin")).with_file_name(format!("admit{EXE_SUFFIX}"));
    assert!(
        admit.is_file(),
        "{} is not built: run `cargo build -p admit-cli`, or all tests with --workspace",
        admit.display()
    );
    admit
}

fn customer(subject: &str) -> String {
    signed(&json!({
        "iss": "https://vendor.dev.admit.example", "aud": "admit-dev", "sub": subject, "mid": MERCHANT,
        "ctx": ["consumer"], "exp": 4_000_000_000_u32,
    }))
}

fn print(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_passes_every_check() {
    let dir = Dir::new();
    let process = Process::start(&dir);
    let (viewer, number) = (customer(CUSTOMER_SUBJECT), CUSTOMER.to_string());
    let buyer = customer("687701d2-7eef-4ae9-a1be-cd432fc3af69");
    let output = Command::new(admit())
        .args(["check-origin", &process.url, "--json", "--changes", "/changes", "--issuer", &process.url])
        .args(["--granted", &buyer, "5110", "--denied", &viewer, "5101", "--namespace", "vendor"])
        .args(["--writes", &merchant(), "--consumer-token", &viewer, "--consumer", &number, "--item", "5101"])
        .env("ADMIT_ORIGIN_TOKEN", FEED_SECRET)
        .output()
        .unwrap();
    process.kill();
    assert!(output.status.success(), "{}", print(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["failed"], &report["skipped"]), (&json!(0), &json!(0)), "{report:#}");
}

/// While other writes go on, records that changed again are left out of the comparison, and no check fails.
#[test]
fn it_passes_while_it_is_written_to() {
    let dir = Dir::new();
    let process = Process::start(&dir);
    let is_done = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let form = "item_id=5102&consumer_id=88002&expires_at=2100-01-01T00:00:00Z";
            let mut written = 0;
            while !is_done.load(Ordering::Relaxed) {
                let url = format!("{}/items/access", process.url);
                Ask::new("POST", url).bearer(&merchant()).form(form).send().expect(201);
                written += 1;
                thread::sleep(Duration::from_millis(5));
            }
            written
        });
        let (viewer, number) = (customer(CUSTOMER_SUBJECT), CUSTOMER.to_string());
        let output = Command::new(admit())
            .args(["check-origin", &process.url, "--json", "--changes", "/changes"])
            .args([
                "--writes",
                &merchant(),
                "--consumer-token",
                &viewer,
                "--consumer",
                &number,
                "--item",
                "5101",
            ])
            .env("ADMIT_ORIGIN_TOKEN", FEED_SECRET)
            .output();
        is_done.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 0, "there were writes");
        output.unwrap()
    });
    process.kill();
    assert!(output.status.success(), "{}", print(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let replay = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "feed.replay");
    assert_eq!(replay.unwrap()["outcome"], "pass", "{report:#}");
}

#[test]
fn it_passes_by_fees_and_as_the_document_shows() {
    let document = document();
    let script = |text: &str| {
        let (_, rest) = text.split_once("```sh\n").unwrap();
        rest.split_once("\n```").unwrap().0.to_owned()
    };
    let (_, check) = section(&document, "Your own origin").split_once("\n### Check it\n").unwrap();
    let (buy, check) = (script(section(&document, "Buy something")), script(check));
    // Both ways to grant: until a moment, as in the document, and by a fee.
    let script = format!("{buy}\n{check}\n{} --access-fee 7013", check.split_once('\n').unwrap().1);
    let dir = Dir::new();
    // The command line of the document.
    let process = Process::with(&dir, &[("ORIGIN_ALLOW_PASSWORD_GRANT", "true")], Stdio::null());
    let bin = admit();
    let path = format!("{}:{}", bin.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script.replace("http://127.0.0.1:8790", &process.url)])
        .env("PATH", path)
        .env("ORIGIN_DB", dir.db())
        .env("ORIGIN_FEED_SECRET", FEED_SECRET)
        .output()
        .expect("bash and curl, as the document uses them");
    process.kill();
    let printed = print(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("pass  write.seq") && printed.contains(" 0 failed"), "{printed}");
}
