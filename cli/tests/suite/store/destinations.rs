//! The same commands with every kind of destination.

use std::{fs, process::Command};

use serde_json::Value;

use super::kv::{API_TOKEN, Kv, PLACE};
use crate::bench::{Bench, Ended, catalogue, samples};

/// The command, with the double as Cloudflare's API.
fn with_kv(bench: &Bench, kv: &Kv, args: &[&str]) -> Command {
    let mut command = bench.command(args);
    command.env("CLOUDFLARE_API_TOKEN", API_TOKEN).env("CLOUDFLARE_API_BASE_URL", &kv.api_url);
    command.env_remove("ADMIT_TOKEN");
    command
}

fn run(bench: &Bench, kv: &Kv, args: &[&str]) -> Ended {
    with_kv(bench, kv, args).output().unwrap().into()
}

fn publish(bench: &Bench, kv: &Kv, from: &str, more: &[&str]) -> Ended {
    let args = ["publish", "--from", from, "--to", PLACE, "--key", "publisher.jwk"];
    run(bench, kv, &[&args, more].concat())
}

fn verify(bench: &Bench, kv: &Kv) -> Ended {
    run(bench, kv, &["verify", "--from", PLACE, "--key", "publisher.jwk"])
}

#[test]
fn a_directory_is_published_to_read_and_verified() {
    let bench = Bench::new("dir");
    bench.publish(&samples(), "dir:out/store", &[]).ok();
    let head = fs::read_to_string(bench.dir.join("out/store/head")).unwrap();
    assert_eq!(fs::read_to_string(bench.dir.join("out/store/version/1")).unwrap(), head);
    assert!(!bench.dir.join("out/store/lease").exists());
    let unfinished = |kind: &str| {
        let entries = fs::read_dir(bench.dir.join("out/store").join(kind)).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')).count()
    };
    assert_eq!(unfinished("shard") + unfinished("index"), 0);
    let verified = bench.run(&["verify", "--from", "dir:out/store", "--key", "publisher.jwk"]).ok();
    assert!(verified.stdout.contains("Customers  32"), "{}", verified.stdout);
    let shown = bench.run(&["inspect", "--from", "dir:out/store", "--json"]).ok().stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["head"]["seq"], 1);
    let again = bench.publish(&samples(), "dir:out/store", &[]).ok();
    assert!(again.stdout.contains("Published seq 2") && again.stdout.contains("were there already"));
    bench.run(&["inspect", "--from", "dir:elsewhere"]).failed(1, "nothing is published yet");
    bench.run(&["inspect", "--from", "dir:"]).failed(1, "expected dir:<path>");
}

#[test]
fn a_directory_that_cannot_be_written_keeps_its_version() {
    let bench = Bench::new("dir-full");
    bench.write("old.ndjson", catalogue(1));
    bench.write("new.ndjson", catalogue(2));
    bench.publish("old.ndjson", "dir:store", &[]).ok();
    // As on a full disk: new files cannot be made.
    let shards = bench.dir.join("store/shard");
    fs::rename(&shards, bench.dir.join("store/kept")).unwrap();
    fs::write(&shards, "in the way").unwrap();
    bench.publish("new.ndjson", "dir:store", &[]).failed(1, "cannot write shard/");
    fs::remove_file(&shards).unwrap();
    fs::rename(bench.dir.join("store/kept"), &shards).unwrap();
    bench.run(&["verify", "--from", "dir:store", "--key", "publisher.jwk"]).ok();
    bench.publish("new.ndjson", "dir:store", &[]).ok();
}

#[test]
fn rules_that_no_worker_enforces_here_are_kept_all_the_same() {
    let bench = Bench::new("dir-rules");
    bench.write("all.ndjson", catalogue(1));
    bench.publish("all.ndjson", "dir:store", &["--seq", "10"]).ok();
    bench
        .publish("all.ndjson", "dir:store", &["--seq", "9"])
        .failed(1, "--seq says 9, but the published version already reflects the origin's change 10");
    let lease = format!(r#"{{"holder":"{}","host":"other:1","until":99999999999}}"#, "0".repeat(32));
    // Its end is further ahead than a lease may be, so it is not a lease.
    bench.write("store/lease", &lease);
    bench.publish("all.ndjson", "dir:store", &[]).ok();
}

#[test]
fn a_namespace_is_published_to_in_bulk() {
    let (bench, kv) = (Bench::new("kv"), Kv::start());
    bench.write("all.ndjson", catalogue(5_000));
    let ended = publish(&bench, &kv, "all.ndjson", &[]).ok();
    assert!(ended.stdout.contains("uploaded   11 ("), "{}", ended.stdout);
    {
        let state = kv.state();
        assert_eq!(state.count("PUT bulk"), 1);
        assert_eq!(state.values["version/1"], state.values["head"]);
        assert!(!state.values.contains_key("lease"));
    }
    let verified = verify(&bench, &kv).ok();
    assert!(verified.stdout.contains("Customers  5,000"), "{}", verified.stdout);
    let shown = run(&bench, &kv, &["inspect", "--from", PLACE, "--customer", "vendor:c77"]).ok();
    assert!(shown.stdout.contains("from the shard"), "{}", shown.stdout);
    bench.write("all.ndjson", catalogue(5_001));
    let ended = publish(&bench, &kv, "all.ndjson", &[]).ok();
    assert!(ended.stdout.contains("uploaded   2 ("), "{}", ended.stdout);
}

#[test]
fn pages_in_the_apis_place_are_tried_again_and_are_never_its_word() {
    let (bench, kv) = (Bench::new("kv-pages"), Kv::start());
    bench.write("all.ndjson", catalogue(300));
    publish(&bench, &kv, "all.ndjson", &[]).ok();
    bench.write("less.ndjson", catalogue(3));
    for status in [200, 403, 404] {
        // A page in the place of the lease, and one in the place of the head.
        kv.state().pages = (2, status);
        publish(&bench, &kv, "less.ndjson", &[]).failed(2, "297 of 300 customers");
        kv.state().pages = (usize::MAX, status);
        let ended = publish(&bench, &kv, "less.ndjson", &[]).failed(1, "not an answer of Cloudflare");
        assert!(!ended.stderr.contains("needs the permission"), "{}", ended.stderr);
        kv.state().pages = (0, 0);
    }
    verify(&bench, &kv).ok();
}

#[test]
fn keys_that_the_api_left_undone_are_sent_again() {
    let (bench, kv) = (Bench::new("kv-again"), Kv::start());
    bench.write("all.ndjson", catalogue(5_000));
    kv.state().half_done = 2;
    kv.state().turned_away = 1;
    publish(&bench, &kv, "all.ndjson", &[]).ok();
    assert_eq!(kv.state().count("PUT bulk"), 3);
    assert!(kv.state().requests.iter().any(|(_, status)| *status == 429));
    verify(&bench, &kv).ok();
}

#[test]
fn one_write_a_second_to_a_key_is_waited_for() {
    let (bench, kv) = (Bench::new("kv-second"), Kv::start());
    bench.write("all.ndjson", catalogue(1));
    kv.state().limits_writes = true;
    publish(&bench, &kv, "all.ndjson", &[]).ok();
    assert!(!kv.state().values.contains_key("lease"), "taken and given back within a second");
    assert!(kv.state().requests.iter().any(|(_, status)| *status == 429));
}

#[test]
fn an_interrupted_run_is_resumed_by_the_list_and_checked() {
    let (bench, kv) = (Bench::new("kv-resumed"), Kv::start());
    bench.write("all.ndjson", catalogue(5_000));
    publish(&bench, &kv, "all.ndjson", &[]).ok();
    let broken = {
        let mut state = kv.state();
        state.requests.clear();
        // Everything was uploaded but one shard, one shard is damaged, and the head was not put.
        state.values.remove("head");
        // A shard of customers: the item's shard is small, and its key depends on a salt that is lost with
        // the head.
        let is_of_customers =
            |(key, value): &(&String, &Vec<u8>)| key.starts_with("shard/") && value.len() > 10_000;
        let shards: Vec<_> =
            state.values.iter().filter(is_of_customers).map(|(key, _)| key.clone()).collect();
        state.values.remove(&shards[0]);
        state.values.get_mut(&shards[1]).unwrap().truncate(100);
        shards[1].clone()
    };
    let ended = publish(&bench, &kv, "all.ndjson", &[]).ok();
    assert!(
        ended.stdout.contains("uploaded   4 (") && ended.stdout.contains("7 were there"),
        "{}",
        ended.stdout
    );
    assert!(kv.state().values[&broken].len() > 100);
    let state = kv.state();
    let asked_first = state.requests.iter().position(|(request, _)| request.starts_with("GET values/shard"));
    let listed = state.requests.iter().position(|(request, _)| request.starts_with("GET keys"));
    assert!(listed < asked_first, "KV caches that a requested key is missing");
    drop(state);
    verify(&bench, &kv).ok();
}

#[test]
fn many_objects_go_in_several_calls_and_a_sample_is_read_back() {
    let (bench, kv) = (Bench::new("kv-many"), Kv::start());
    bench.write("all.ndjson", catalogue(100_000));
    publish(&bench, &kv, "all.ndjson", &[]).ok();
    {
        let state = kv.state();
        let objects = state.values.keys().filter(|key| key.starts_with("shard/")).count();
        assert!(objects > 100, "{objects}");
        let read = state.count("GET values/shard");
        assert!(read > 0 && read < objects, "{read} of {objects}");
    }
    verify(&bench, &kv).ok();
}

#[test]
fn refusals_are_explained() {
    let (bench, kv) = (Bench::new("kv-refused"), Kv::start());
    bench.write("all.ndjson", catalogue(1));
    let args = ["publish", "--from", "all.ndjson", "--to", "kv:acc0/ns1", "--key", "publisher.jwk"];
    let ended = run(&bench, &kv, &args).failed(1, "10013 namespace not found");
    assert!(ended.stderr.contains("kv namespace list"), "{}", ended.stderr);
    let mut command = with_kv(&bench, &kv, &["inspect", "--from", PLACE]);
    let ended: Ended = command.env("CLOUDFLARE_API_TOKEN", "wrong-token").output().unwrap().into();
    let ended = ended.failed(1, "10000 Authentication error");
    assert!(ended.stderr.contains("Workers KV Storage: Edit") && !ended.stderr.contains("wrong-token"));
    let mut command = with_kv(&bench, &kv, &["inspect", "--from", PLACE]);
    let ended: Ended = command.env_remove("CLOUDFLARE_API_TOKEN").output().unwrap().into();
    ended.failed(1, "CLOUDFLARE_API_TOKEN");
    run(&bench, &kv, &["inspect", "--from", "kv:acc0"]).failed(1, "invalid store kv:acc0");
    kv.state().turned_away = usize::MAX;
    let requests = kv.state().requests.len();
    // Six attempts, a second apart, as the API asks.
    run(&bench, &kv, &["inspect", "--from", PLACE]).failed(1, "gave up after 6 attempts");
    assert_eq!(kv.state().requests.len() - requests, 6);
}

#[test]
fn versions_of_a_namespace_are_listed_compared_rolled_back_and_collected() {
    let (bench, kv) = (Bench::new("kv-versions"), Kv::start());
    for customers in [10, 5_000, 20] {
        bench.write("all.ndjson", catalogue(customers));
        publish(&bench, &kv, "all.ndjson", &["--allow-loss"]).ok();
    }
    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&run(&bench, &kv, &[args, &["--from", PLACE, "--json"]].concat()).ok().stdout)
            .unwrap()
    };
    let shown = json(&["inspect"]);
    assert_eq!(shown["history"]["versions_total"], 3);
    assert_eq!(json(&["diff", "1", "2"])["customers"]["added"], 4_990);
    let report = json(&["gc", "--keep", "1", "--grace", "10m"]);
    assert_eq!(
        (&report["versions_kept"].as_array().unwrap().len(), &report["newly_marked"]),
        (&3, &0.into())
    );
    let roll_back = ["rollback", "--to", "2", "--from", PLACE, "--key", "publisher.jwk"];
    run(&bench, &kv, &roll_back).ok();
    verify(&bench, &kv).ok();
    // An object that an interrupted run has left, marked long ago.
    let stray = admit_snapshot::object::ObjectName::of(admit_snapshot::object::ObjectKind::Shard, b"left");
    kv.state().values.insert(stray.to_string(), b"left".to_vec());
    let garbage = format!(r#"{{"marked":[{{"at":1700000000,"objects":["{stray}"]}}]}}"#);
    kv.state().values.insert("garbage".to_owned(), garbage.into_bytes());
    kv.state().half_done = 1;
    assert_eq!(json(&["gc"])["deleted"], 1);
    assert!(!kv.state().values.contains_key(&stray.to_string()));
    assert_eq!(kv.state().count("POST bulk/delete"), 2, "keys that were left undone are requested again");
    verify(&bench, &kv).ok();
    // A record of a version disappears.
    kv.state().values.remove("version/1");
    let ended = run(&bench, &kv, &["rollback", "--to", "1", "--from", PLACE, "--key", "publisher.jwk"]);
    ended.failed(1, "there are 2, 3, 4");
}

/// The API accepts 1,200 calls in five minutes; a follower publishes every two seconds and renews its lease.
#[test]
fn a_sync_takes_few_calls() {
    let (bench, kv) = (Bench::new("kv-sync"), Kv::start());
    bench.write("all.ndjson", catalogue(3));
    publish(&bench, &kv, "all.ndjson", &["--seq", "1"]).ok();
    bench.write(
        "changes.ndjson",
        r#"{"seq":2,"remove":[{"type":"customer","namespace":"vendor","subject":"c1"}]}"#,
    );
    kv.state().requests.clear();
    run(&bench, &kv, &["publish", "--changes", "changes.ndjson", "--to", PLACE, "--key", "publisher.jwk"])
        .ok();
    let requests = kv.state().requests.clone();
    let calls = |url: &str| requests.iter().filter(|(request, _)| request.contains(url)).count();
    // The command reads each once at its start; while it follows, both are in memory.
    assert_eq!((calls("GET ") > 0, calls("index"), calls("directory")), (true, 1, 1), "{requests:?}");
}

#[test]
fn two_publishers_of_a_namespace_keep_out_of_each_others_way() {
    let (bench, kv) = (Bench::new("kv-lease"), Kv::start());
    bench.write("all.ndjson", catalogue(1));
    publish(&bench, &kv, "all.ndjson", &[]).ok();
    let until = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 100;
    let lease = format!(r#"{{"holder":"{}","host":"other:1","until":{until}}}"#, "0".repeat(32));
    kv.state().values.insert("lease".to_owned(), lease.into_bytes());
    let head = kv.state().values["head"].clone();
    publish(&bench, &kv, "all.ndjson", &[]).failed(1, "another publisher, other:1, holds the lease");
    run(&bench, &kv, &["gc", "--from", PLACE]).failed(1, "other:1");
    let args = ["rollback", "--to", "1", "--from", PLACE, "--key", "publisher.jwk"];
    run(&bench, &kv, &args).failed(1, "other:1");
    assert_eq!(kv.state().values["head"], head);
    publish(&bench, &kv, "all.ndjson", &["--force"]).ok();
    assert!(!kv.state().values.contains_key("lease"));
}
