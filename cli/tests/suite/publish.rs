//! `admit publish` and `admit inspect`: the built command against a fake Worker.

mod inspect;
mod loss;
mod set_aside;

use std::{io::Write, process::Stdio};

use crate::{
    bench::{Bench, Ended, catalogue, samples},
    double::{Double, Mishap},
};

fn set_up(test: &str) -> (Bench, Double) {
    let bench = Bench::new(test);
    let double = Double::start(&bench.jwks("publisher"));
    (bench, double)
}

#[test]
fn the_samples_are_published_from_nothing() {
    let (bench, double) = set_up("samples");
    let ended = bench.publish(&samples(), &double.url, &[]).ok();
    assert!(ended.stdout.contains("Published seq 1, as of "), "{}", ended.stdout);
    assert!(ended.stdout.contains("customers  32") && ended.stdout.contains("items      60"));
    let state = double.state();
    let head = state.published().unwrap();
    assert_eq!((head.seq, head.customers, head.items), (1, 32, 60));
    assert!(state.objects.contains_key(&format!("index/{}", head.index)));
    let writes = state.requests.iter().filter(|(request, _)| !request.starts_with("GET"));
    let writes: Vec<_> = writes.map(|(request, status)| (request.as_str(), *status)).collect();
    let expected = [
        ("PUT /snapshot/lease", 201),
        ("POST /snapshot/pack", 201),
        ("POST /snapshot/check", 200),
        ("PUT /snapshot/version/1", 201),
        ("PUT /snapshot/head", 201),
        ("DELETE /snapshot/lease", 204),
    ];
    assert_eq!(writes, expected, "the head comes last");
    assert_eq!(state.values["version/1"], state.head.as_ref().unwrap().as_bytes());
    assert!(head.published_at.unwrap() >= head.as_of);
}

#[test]
fn an_unchanged_catalogue_uploads_nothing_but_the_head() {
    let (bench, double) = set_up("unchanged");
    bench.write("all.ndjson", catalogue(50));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    double.recover();
    let ended = bench.publish("all.ndjson", &double.url, &[]).ok();
    assert!(ended.stdout.contains("Published seq 2") && ended.stdout.contains("uploaded   0 (0 B)"));
    let state = double.state();
    let counts = ["PUT /snapshot/head", "PUT /snapshot/version", "PUT ", "POST "].map(|it| state.count(it));
    assert_eq!(counts, [1, 1, 3, 0], "lease, version and head");
    assert_eq!(state.published().unwrap().seq, 2);
}

#[test]
fn one_more_customer_changes_only_some_objects() {
    let (bench, double) = set_up("changed");
    bench.write("all.ndjson", catalogue(3_000));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let total = double.state().objects.len();
    double.recover();
    bench.write("all.ndjson", catalogue(3_001));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    assert!(total > 5);
    assert_eq!(double.state().count("POST /snapshot/pack"), 1);
    assert_eq!(double.state().objects.len(), total + 2, "one shard and the index");
}

/// Starts publishing, and kills the command when a request hangs.
fn publish_until_it_hangs(bench: &Bench, double: &Double, from: &str) {
    let args = ["publish", "--from", from, "--to", &double.url, "--key", "publisher.jwk", "--force"];
    let mut child = bench.command(&args).spawn().unwrap();
    double.wait_for_hang();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_anywhere_it_leaves_a_version_that_is_whole_and_the_next_run_completes() {
    let (bench, double) = set_up("killed");
    bench.write("old.ndjson", catalogue(1));
    bench.write("new.ndjson", catalogue(900));
    bench.publish("old.ndjson", &double.url, &[]).ok();
    double.recover();
    bench.publish("new.ndjson", &double.url, &[]).ok();
    let requests: Vec<_> = double.state().requests.iter().map(|(request, _)| request.clone()).collect();
    assert!(requests.len() > 8 && requests.contains(&"POST /snapshot/pack".to_owned()), "{requests:?}");
    for (after, request) in requests.iter().enumerate() {
        let double = Double::start(&bench.jwks("publisher"));
        bench.publish("old.ndjson", &double.url, &[]).ok();
        let old = double.state().head.clone();
        double.recover();
        double.fail("", after, usize::MAX, Mishap::Hang);
        publish_until_it_hangs(&bench, &double, "new.ndjson");
        double.recover();
        // After the head only the lease is left.
        let customers = if request == "DELETE /snapshot/lease" { 900 } else { 1 };
        assert_eq!(double.state().published().unwrap().customers, customers, "{request}");
        assert_eq!(double.state().head == old, customers == 1, "{request}");
        bench.run(&["verify", "--from", &double.url, "--key", "publisher.jwk"]).ok();
        bench.publish("new.ndjson", &double.url, &["--force"]).ok();
        assert_eq!(double.state().published().unwrap().customers, 900, "{request}");
        bench.run(&["verify", "--from", &double.url, "--key", "publisher.jwk"]).ok();
    }
}

#[test]
fn uploads_of_an_interrupted_run_are_checked_and_not_repeated() {
    let (bench, double) = set_up("resumed");
    bench.write("old.ndjson", catalogue(1));
    bench.publish("old.ndjson", &double.url, &[]).ok();
    let before = double.state().objects.len();
    // Enough for several packs.
    bench.write("new.ndjson", catalogue(50_000));
    double.recover();
    double.fail("POST /snapshot/pack", 1, usize::MAX, Mishap::Hang);
    publish_until_it_hangs(&bench, &double, "new.ndjson");
    let sent = double.state().objects.len() - before;
    assert!((1..=40).contains(&sent), "one pack of {sent}");
    double.recover();
    // One of them is damaged afterwards.
    let spoilt = double.state().stored_last().unwrap();
    double.state().objects.get_mut(&spoilt).unwrap().push(0);
    let ended = bench.publish("new.ndjson", &double.url, &["--force"]).ok();
    let total = double.state().objects.len() - before;
    let uploaded = format!("uploaded   {} (", total - sent + 1);
    assert!(ended.stdout.contains(&uploaded), "{uploaded}: {}", ended.stdout);
    let state = double.state();
    assert_eq!(state.published().unwrap().customers, 50_000);
    let checks = state.count("POST /snapshot/check");
    assert!(checks >= 2, "stored objects and uploaded ones: {checks} checks");
    assert!(state.count("GET /snapshot/keys?prefix=shard") > 1, "page by page");
}

#[test]
fn repair_uploads_broken_objects_of_the_published_version() {
    let (bench, double) = set_up("repair");
    bench.write("all.ndjson", catalogue(5_000));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let shard = double.state().objects.keys().find(|key| key.starts_with("shard/")).unwrap().clone();
    double.state().objects.get_mut(&shard).unwrap().pop();
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let verify = ["verify", "--from", &double.url, "--key", "publisher.jwk"];
    bench.run(&verify).failed(1, "1 problem");
    let ended = bench.publish("all.ndjson", &double.url, &["--repair"]).ok();
    assert!(ended.stdout.contains("uploaded   1 ("), "{}", ended.stdout);
    bench.run(&verify).ok();
}

#[test]
fn server_errors_are_tried_again() {
    let (bench, double) = set_up("retried");
    bench.write("all.ndjson", catalogue(1));
    double.fail("POST /snapshot/pack", 0, 3, Mishap::Status(500, None));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    assert_eq!(double.state().count("POST /snapshot/pack"), 4);
    double.recover();
    double.fail("PUT /snapshot/head", 0, 1, Mishap::Status(429, Some("1")));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    assert_eq!(double.state().count("PUT /snapshot/head"), 2);
}

#[test]
fn a_worker_that_stays_down_ends_the_run_with_its_words() {
    let (bench, double) = set_up("down");
    bench.write("all.ndjson", catalogue(1));
    double.fail("GET /snapshot/head", 0, usize::MAX, Mishap::Status(503, Some("0")));
    let ended = bench.publish("all.ndjson", &double.url, &[]);
    let ended = ended.failed(1, "gave up after 6 attempts");
    assert!(ended.stderr.contains("503 Service Unavailable: On cue"), "{}", ended.stderr);
    assert_eq!(double.state().count("GET /snapshot/head"), 6);
    assert!(!double.state().values.contains_key("lease"), "it is given back all the same");
}

#[test]
fn refusals_are_not_tried_again() {
    let (bench, double) = set_up("refused");
    bench.write("all.ndjson", catalogue(1));
    let ended = bench.publish("all.ndjson", &double.url, &["--token", "wrong-token"]);
    let ended = ended.failed(1, "401 Unauthorized: Invalid auth token");
    assert!(!ended.stderr.contains("wrong-token"));
    assert_eq!(double.state().requests.len(), 1);
    double.recover();
    double.fail("POST /snapshot/pack", 0, usize::MAX, Mishap::Status(413, None));
    bench.publish("all.ndjson", &double.url, &[]).failed(1, "413 Payload Too Large: Body too large");
    assert_eq!(double.state().count("POST /snapshot/pack"), 1);
    assert!(double.state().head.is_none());
}

#[test]
fn uploads_are_checked() {
    let (bench, double) = set_up("checked");
    bench.write("all.ndjson", catalogue(1));
    // The store does not show the objects at once.
    double.fail("POST /snapshot/check", 0, 2, Mishap::Unseen);
    bench.publish("all.ndjson", &double.url, &[]).ok();
    assert_eq!(double.state().count("POST /snapshot/check"), 3);
    // The store shows other bytes.
    double.fail("POST /snapshot/pack", 0, 1, Mishap::Corrupt);
    bench.write("all.ndjson", catalogue(2));
    bench.publish("all.ndjson", &double.url, &[]).failed(1, "do not match its digest");
    assert_eq!(double.state().published().unwrap().customers, 1);
}

#[test]
fn seq_never_falls() {
    let (bench, double) = set_up("seq");
    bench.write("all.ndjson", catalogue(1));
    bench.publish("all.ndjson", &double.url, &["--seq", "10"]).ok();
    bench
        .publish("all.ndjson", &double.url, &["--seq", "9"])
        .failed(1, "--seq says 9, but the published version already reflects the origin's change 10");
    let line = "{\"type\":\"snapshot\",\"seq\":9,\"as_of\":1700000000}\n";
    bench.write("line.ndjson", format!("{line}{}", catalogue(1)));
    bench.publish("line.ndjson", &double.url, &[]).failed(1, "the snapshot line says 9");
    bench.publish("line.ndjson", &double.url, &["--seq", "10"]).failed(1, "as_of must be later");
    bench.publish("line.ndjson", &double.url, &["--seq", "11"]).ok();
    let head = double.state().published().unwrap();
    assert_eq!((head.seq, head.as_of), (11, 1_700_000_000));
    bench.publish("all.ndjson", &double.url, &["--seq", "11"]).ok();
    // Another publisher was faster: the Worker decides.
    double.fail("PUT /snapshot/head", 0, 1, Mishap::Status(409, None));
    bench.publish("all.ndjson", &double.url, &[]).failed(1, "another publisher was faster");
}

#[test]
fn as_of_in_the_future_is_refused() {
    let (bench, double) = set_up("future");
    let line = "{\"type\":\"snapshot\",\"seq\":1,\"as_of\":\"now+1h\"}\n";
    bench.write("all.ndjson", format!("{line}{}", catalogue(1)));
    bench.publish("all.ndjson", &double.url, &[]).failed(1, "is in the future");
    assert!(double.state().requests.is_empty());
}

#[test]
fn keys_that_the_worker_does_not_know_and_heads_by_other_keys() {
    let (bench, double) = set_up("keys");
    bench.keygen("other");
    bench.write("all.ndjson", catalogue(1));
    let by_other = ["publish", "--from", "all.ndjson", "--to", &double.url, "--key", "other.jwk"];
    bench.run(&by_other).failed(1, "signed by no known key");
    bench.publish("all.ndjson", &double.url, &[]).ok();
    // The publisher's key was changed, and the Worker already has the new one.
    let other = Double::start(&bench.jwks("other"));
    other.state().head.clone_from(&double.state().head);
    let by_other = ["publish", "--from", "all.ndjson", "--to", &other.url, "--key", "other.jwk"];
    bench.run(&by_other).failed(1, "say --old-key FILE");
    bench.run(&[by_other.as_slice(), &["--old-key", "publisher.jwk"]].concat()).ok();
    assert_eq!(other.state().published().unwrap().seq, 2);
    // A text that only looks like a head is overwritten only with an explicit seq.
    other.state().head = Some("e30.e30.AAAA".to_owned());
    bench.run(&by_other).failed(1, "cannot be trusted");
    bench.run(&[by_other.as_slice(), &["--seq", "3"]].concat()).ok();
    bench.run(&["keygen", "--alg", "HS256", "--kid", "hs", "--out", "hs.jwk"]).ok();
    let symmetric = ["publish", "--from", "all.ndjson", "--to", &other.url, "--key", "hs.jwk"];
    bench.run(&symmetric).failed(1, "signed with EdDSA");
}

#[test]
fn warnings_do_not_stop_it() {
    let (bench, double) = set_up("warnings");
    bench.write("all.ndjson", catalogue(1).replace("\"item_id\":33", "\"item_id\":99"));
    let ended = bench.publish("all.ndjson", &double.url, &[]).ok();
    let warning = "warning: all.ndjson:3: accesses[].item_id: unknown item 99: access 1 grants nothing";
    assert!(ended.stderr.contains(warning), "{}", ended.stderr);
}

#[test]
fn a_dry_run_writes_nothing() {
    let (bench, double) = set_up("dry");
    bench.write("all.ndjson", catalogue(5));
    let ended = bench.publish("all.ndjson", &double.url, &["--dry-run"]).ok();
    assert!(ended.stdout.contains("Would publish seq 1") && ended.stdout.contains("missing    4"));
    assert!(double.state().requests.iter().all(|(request, _)| request.starts_with("GET ")));
    let ended = bench.run(&["publish", "--from", "all.ndjson", "--dry-run"]).ok();
    assert!(ended.stdout.contains("customers  5"), "{}", ended.stdout);
}

#[test]
fn standard_input_is_read_and_nothing_is_not_published() {
    let (bench, double) = set_up("stdin");
    let publish = |input: &str| -> Ended {
        let args = ["publish", "--from", "-", "--to", &double.url, "--key", "publisher.jwk"];
        let mut child = bench.command(&args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    };
    publish(&catalogue(2)).ok();
    assert_eq!(double.state().published().unwrap().customers, 2);
    publish("").failed(1, "no merchant");
    publish("x").failed(2, "<stdin>:1: expected a JSON object");
}

#[test]
fn missing_input_is_reported() {
    let bench = Bench::new("usage");
    bench.run(&["publish", "--from", "x"]).failed(2, "--to <STORE>");
    bench.publish("nowhere", "http://127.0.0.1:9", &[]).failed(1, "cannot read nowhere");
    bench.publish(".", "http://127.0.0.1:9", &[]).failed(1, "no *.ndjson files");
    bench.publish(".", "localhost", &[]).failed(1, "kv:<account>/<namespace>");
    let mut command =
        bench.command(&["publish", "--from", ".", "--to", "http://127.0.0.1:9", "--key", "publisher.jwk"]);
    Ended::from(command.env_remove("ADMIT_TOKEN").output().unwrap()).failed(1, "--token or ADMIT_TOKEN");
}

#[test]
fn a_reader_that_has_seen_enough_stops_nothing() {
    let (bench, double) = set_up("seen-enough");
    bench.write("all.ndjson", catalogue(3));
    let args = ["publish", "--from", "all.ndjson", "--to", &double.url, "--key", "publisher.jwk"];
    let mut child = bench.command(&args).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(double.state().head.is_some());
}

/// KV may show an old list for a minute: one from before the object was needed again.
#[test]
fn a_published_object_may_be_in_the_list_of_garbage() {
    let (bench, double) = set_up("stale-garbage");
    bench.write("all.ndjson", catalogue(3));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let shard = double.state().objects.keys().find(|key| key.starts_with("shard/")).unwrap().clone();
    let garbage = format!(r#"{{"marked":[{{"at":1700000000,"objects":["{shard}"]}}]}}"#);
    double.state().values.insert("garbage".to_owned(), garbage.into_bytes());
    let ended = bench.publish("all.ndjson", &double.url, &[]).ok();
    assert!(ended.stdout.contains("uploaded   1 ("), "{}", ended.stdout);
}

/// Output for a program must not end early without an error.
#[cfg(target_os = "linux")]
#[test]
fn lost_output_is_an_error() {
    let (bench, double) = set_up("lost-output");
    bench.write("all.ndjson", catalogue(3));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended: Ended =
        bench.command(&["inspect", "--from", &double.url, "--json"]).stdout(full).output().unwrap().into();
    ended.failed(1, "standard output could not be written");
}

#[test]
fn a_disk_that_is_full_while_customers_are_set_aside_publishes_nothing() {
    let (bench, double) = set_up("disk");
    bench.write("all.ndjson", catalogue(3));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let published = double.state().head.clone();
    bench.write("more.ndjson", catalogue(2_000));
    // Files cannot grow beyond 1 KiB, as if the disk were full.
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec {} publish --from more.ndjson --to {} --key publisher.jwk",
        env!("CARGO_BIN_EXE_admit"),
        double.url
    );
    let ended: Ended = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(&bench.dir)
        .env("ADMIT_TOKEN", crate::double::TOKEN)
        .output()
        .unwrap()
        .into();
    ended.failed(1, "temporary file in ");
    assert_eq!(double.state().head, published);
    bench
        .publish("more.ndjson", &double.url, &["--temp-dir", "nowhere"])
        .failed(1, "temporary file in nowhere");
    bench.publish("more.ndjson", &double.url, &[]).ok();
    assert_eq!(double.state().published().unwrap().customers, 2_000);
}
