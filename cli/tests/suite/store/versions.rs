//! Versions: rollback, comparison, lists, and garbage collection.

use serde_json::Value;

use crate::{
    bench::{Bench, Ended, catalogue},
    double::{Double, Mishap},
};

fn set_up(test: &str) -> (Bench, Double) {
    let bench = Bench::new(test);
    let double = Double::start(&bench.jwks("publisher"));
    (bench, double)
}

fn publish(bench: &Bench, to: &str, text: &str, more: &[&str]) {
    bench.write("all.ndjson", text);
    bench.publish("all.ndjson", to, more).ok();
}

fn roll_back(bench: &Bench, place: &str, to: &str, more: &[&str]) -> Ended {
    let args = ["rollback", "--to", to, "--from", place, "--key", "publisher.jwk"];
    bench.run(&[&args, more].concat())
}

fn json(bench: &Bench, args: &[&str]) -> Value {
    serde_json::from_str(&bench.run(&[args, &["--json"]].concat()).ok().stdout).unwrap()
}

/// A catalogue with this number of customers, where the first one holds nothing.
fn without_access(customers: usize) -> String {
    let text = catalogue(customers);
    let access = r#","accesses":[{"id":1,"item_id":33,"created_at":1700000000}]"#;
    assert!(text.contains(access));
    text.replace(access, "")
}

#[test]
fn old_content_comes_back_under_a_new_seq() {
    let (bench, double) = set_up("rollback");
    let line = "{\"type\":\"snapshot\",\"seq\":41,\"as_of\":1700000000}\n";
    publish(&bench, &double.url, &format!("{line}{}", catalogue(3)), &[]);
    publish(&bench, &double.url, &catalogue(5), &["--seq", "50"]);
    let old = double.state().values["version/41"].clone();
    let ended = roll_back(&bench, &double.url, "41", &["--dry-run"]).ok();
    assert!(ended.stdout.contains("Would publish the content of seq 41 as seq 51"), "{}", ended.stdout);
    assert_eq!(double.state().published().unwrap().seq, 50);
    double.recover();
    let ended = roll_back(&bench, &double.url, "41", &[]).ok();
    assert!(ended.stdout.contains("Published the content of seq 41 as seq 51"), "{}", ended.stdout);
    let head = double.state().published().unwrap();
    assert_eq!((head.seq, head.origin_seq(), head.as_of, head.customers), (51, 41, 1_700_000_000, 3));
    assert!(head.published_at.unwrap() > 1_700_000_000);
    assert_eq!(double.state().versions(), [41, 50, 51]);
    assert_eq!(double.state().values["version/41"], old);
    assert!(double.state().count("POST /snapshot/check") > 0, "every object is checked");
    bench.run(&["verify", "--from", &double.url, "--key", "publisher.jwk"]).ok();
    // And back to the later content.
    roll_back(&bench, &double.url, "50", &["--json"]).ok();
    assert_eq!(double.state().published().unwrap().customers, 5);
}

#[test]
fn an_impossible_rollback_is_refused_and_changes_nothing() {
    let (bench, double) = set_up("rollback-refused");
    roll_back(&bench, &double.url, "1", &[]).failed(1, "nothing is published yet");
    publish(&bench, &double.url, &catalogue(3), &[]);
    publish(&bench, &double.url, &catalogue(5), &[]);
    let head = double.state().head.clone();
    roll_back(&bench, &double.url, "7", &[]).failed(1, "unknown version 7: there are 1, 2");
    roll_back(&bench, &double.url, "2", &[]).failed(1, "the content of version 2 is already published");
    bench.keygen("other");
    let args = ["rollback", "--to", "1", "--from", &double.url, "--key", "other.jwk"];
    bench.run(&args).failed(1, "signed by another key");
    // One shard of the old version is missing or damaged.
    let objects = double.state().objects.keys().cloned().collect::<Vec<_>>();
    let shards: Vec<_> = objects.into_iter().filter(|key| key.starts_with("shard/")).collect();
    assert_eq!(shards.len(), 3, "one of customers in each version, and one of items in both");
    let mut refused = 0;
    for key in shards {
        let shard = double.state().objects.remove(&key).unwrap();
        let ended = roll_back(&bench, &double.url, "1", &[]);
        if ended.code == Some(0) {
            // The shard belongs only to the newer version, so publish that one again.
            double.state().objects.insert(key, shard);
            double.state().head.clone_from(&head);
            continue;
        }
        refused += 1;
        let ended = ended.failed(1, "is no longer complete, so nothing was changed");
        assert!(ended.stderr.contains("is missing; 1 of "), "{}", ended.stderr);
        assert_eq!(double.state().head, head);
        double.state().objects.insert(key.clone(), [shard.as_slice(), &[0]].concat());
        roll_back(&bench, &double.url, "1", &[]).failed(1, "is broken; 1 of ");
        double.state().objects.insert(key, shard);
    }
    assert_eq!(refused, 2);
    // A record under the number of another version.
    let record = double.state().values["version/2"].clone();
    double.state().values.insert("version/1".to_owned(), record);
    roll_back(&bench, &double.url, "1", &[]).failed(1, "the record of version 1 holds version 2");
    assert_eq!(double.state().head, head);
    assert!(!double.state().values.contains_key("lease"));
}

#[test]
fn a_rollback_that_is_killed_has_happened_or_not() {
    let (bench, double) = set_up("rollback-killed");
    publish(&bench, &double.url, &catalogue(3), &[]);
    publish(&bench, &double.url, &catalogue(5), &[]);
    let head = double.state().head.clone();
    for on in ["PUT /snapshot/version/3", "PUT /snapshot/head"] {
        double.fail(on, 0, usize::MAX, Mishap::Hang);
        let args = ["rollback", "--to", "1", "--from", &double.url, "--key", "publisher.jwk", "--force"];
        let mut child = bench.command(&args).spawn().unwrap();
        double.wait_for_hang();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(double.state().head, head);
        double.recover();
    }
    roll_back(&bench, &double.url, "1", &["--force"]).ok();
    assert_eq!(double.state().published().unwrap().customers, 3);
}

#[test]
fn changes_between_versions_are_counted_and_listed() {
    let (bench, double) = set_up("diff");
    publish(&bench, &double.url, &catalogue(5_000), &[]);
    // One more customer, and one without access.
    publish(&bench, &double.url, &without_access(5_001), &[]);
    let item = catalogue(5_001).replace("Slack Water", "Spring Tide");
    publish(&bench, &double.url, &item, &[]);
    double.recover();
    let report = json(&bench, &["diff", "1", "2", "--from", &double.url, "--key", "publisher.jwk"]);
    let customers = &report["customers"];
    let counts = |it: &Value| ["added", "removed", "changed"].map(|name| it[name].as_u64().unwrap());
    assert_eq!((counts(customers), counts(&report["items"])), ([1, 0, 1], [0, 0, 0]));
    let shared = customers["shards_shared"].as_u64().unwrap();
    assert_eq!((customers["shards_after"].as_u64(), shared >= 6), (Some(8), true), "{shared}");
    let differ = 8 - shared;
    assert_eq!(
        double.state().count("GET /snapshot/shard") as u64,
        2 * differ,
        "only differing shards are read"
    );
    let mut changes = customers["changes"].as_array().unwrap().clone();
    changes.sort_by_key(|change| change["id"].as_u64());
    assert_eq!((&changes[0]["how"], &changes[0]["id"]), (&"changed".into(), &1.into()));
    assert_eq!((&changes[0]["before"]["accesses"], &changes[0]["after"]["accesses"]), (&1.into(), &0.into()));
    assert_eq!((&changes[1]["how"], &changes[1]["id"]), (&"added".into(), &5_001.into()));
    assert_eq!(changes[1]["uuid"], "11a7ed90-65d3-4ee2-9d91-000000001389");
    let report = json(&bench, &["diff", "2", "head", "--from", &double.url]);
    assert_eq!((counts(&report["customers"]), counts(&report["items"])), ([0, 0, 1], [0, 0, 1]));
    assert_eq!(report["items"]["changes"][0]["title"], "Spring Tide");
    let text = bench.run(&["diff", "3", "1", "--from", &double.url]).ok().stdout;
    assert!(text.contains("5,001 before, 5,000 after: 0 added, 1 removed, 0 changed"), "{text}");
    let text = bench.run(&["diff", "1", "1", "--from", &double.url]).ok().stdout;
    assert!(text.contains("none changed"), "{text}");
    bench
        .run(&["diff", "1", "9", "--from", &double.url])
        .failed(1, "unknown version 9: expected one of 1, 2, 3, or head");
    bench.run(&["diff", "1", "x", "--from", &double.url]).failed(2, "seq of a version, or head");
}

#[test]
fn versions_with_other_numbers_of_shards_are_compared_too() {
    let bench = Bench::new("diff-grown");
    publish(&bench, "dir:store", &catalogue(40), &[]);
    publish(&bench, "dir:store", &without_access(5_000), &[]);
    let report = json(&bench, &["diff", "1", "2", "--from", "dir:store", "--list", "3"]);
    let customers = &report["customers"];
    assert_eq!((customers["added"].as_u64(), customers["changed"].as_u64()), (Some(4_960), Some(1)));
    assert_eq!((customers["shards_before"].as_u64(), customers["shards_after"].as_u64()), (Some(1), Some(8)));
    assert_eq!(customers["changes"].as_array().unwrap().len(), 3);
    let again = json(&bench, &["diff", "1", "2", "--from", "dir:store", "--list", "3"]);
    assert_eq!(report, again, "the same changes are listed");
    let report = json(&bench, &["diff", "2", "1", "--from", "dir:store"]);
    assert_eq!(report["customers"]["removed"], 4_960);
    let text = bench.run(&["diff", "1", "2", "--from", "dir:store", "--list", "3"]).ok().stdout;
    assert!(text.contains("... and 4,958 more"), "{text}");
}

#[test]
fn objects_of_an_interrupted_publish_are_collected_after_the_grace() {
    let (bench, double) = set_up("gc");
    let gc = |more: &[&str]| json(&bench, &[&["gc", "--from", double.url.as_str()], more].concat());
    bench.run(&["gc", "--from", &double.url]).failed(1, "nothing is published yet");
    publish(&bench, &double.url, &catalogue(1), &[]);
    let needed = double.state().objects.len();
    double.fail("PUT /snapshot/version", 0, 1, Mishap::Status(403, None));
    bench.write("all.ndjson", catalogue(3_000));
    bench.publish("all.ndjson", &double.url, &[]).failed(1, "403");
    double.recover();
    let all = double.state().objects.len();
    assert!(all > needed + 3);
    let report = gc(&["--dry-run"]);
    assert_eq!(
        (report["newly_marked"].as_u64(), report["deleted"].as_u64()),
        (Some((all - needed) as u64), Some(0))
    );
    assert!(double.state().requests.iter().all(|(request, _)| request.starts_with("GET ")));
    assert_eq!(gc(&["--key", "publisher.jwk"])["marked"], (all - needed) as u64);
    assert_eq!(gc(&[])["deleted"], 0, "not before the grace is over");
    assert_eq!(double.state().objects.len(), all);
    // Moves the marks back by an hour.
    let age = |double: &Double, secs: i64| {
        let mut state = double.state();
        let mut garbage: Value = serde_json::from_slice(&state.values["garbage"]).unwrap();
        let at = garbage["marked"][0]["at"].as_i64().unwrap();
        garbage["marked"][0]["at"] = (at - secs).into();
        state.values.insert("garbage".to_owned(), garbage.to_string().into_bytes());
    };
    age(&double, 3_000);
    assert_eq!(gc(&[])["deleted"], 0);
    age(&double, 600);
    let ended = bench.run(&["gc", "--from", &double.url]).ok();
    assert!(ended.stdout.contains(&format!("Deleted    {}\n", all - needed)), "{}", ended.stdout);
    assert_eq!(double.state().objects.len(), needed);
    bench.run(&["verify", "--from", &double.url, "--key", "publisher.jwk"]).ok();
    // The store may still show deleted objects, so the next publish uploads them again.
    let ended = bench.publish("all.ndjson", &double.url, &[]).ok();
    assert!(ended.stdout.contains("Published seq 2"), "{}", ended.stdout);
    assert_eq!(double.state().objects.len(), all);
}

#[test]
fn a_collection_waits_for_publishers_and_is_killed_without_harm() {
    let (bench, double) = set_up("gc-killed");
    publish(&bench, &double.url, &catalogue(1), &[]);
    double.state().objects.insert("shard/not-ours".to_owned(), vec![1]);
    let name = admit_snapshot::object::ObjectName::of(admit_snapshot::object::ObjectKind::Shard, b"left");
    double.state().objects.insert(name.to_string(), b"left".to_vec());
    let garbage = format!(r#"{{"marked":[{{"at":1700000000,"objects":["{name}"]}}]}}"#);
    double.state().values.insert("garbage".to_owned(), garbage.into_bytes());
    let before = double.state().objects.len();
    for on in
        ["PUT /snapshot/lease", "DELETE /snapshot/shard", "PUT /snapshot/garbage", "DELETE /snapshot/lease"]
    {
        double.fail(on, 0, usize::MAX, Mishap::Hang);
        let mut child = bench.command(&["gc", "--from", &double.url, "--force"]).spawn().unwrap();
        double.wait_for_hang();
        child.kill().unwrap();
        child.wait().unwrap();
        double.recover();
        bench.run(&["verify", "--from", &double.url, "--key", "publisher.jwk"]).ok();
    }
    // The lease of the last run does not block a run on this machine.
    let ended = bench.run(&["gc", "--from", &double.url]).ok();
    assert!(ended.stderr.contains("ended without giving its lease back"), "{}", ended.stderr);
    assert_eq!(double.state().objects.len(), before - 1);
    assert!(double.state().objects.contains_key("shard/not-ours"), "unknown keys stay");
    for wrong in [["--grace", "5m"], ["--grace", "x"], ["--keep", "0"]] {
        bench.run(&["gc", "--from", &double.url, wrong[0], wrong[1]]).failed(2, "invalid value");
    }
}

/// A delta is not part of the kept version: it belongs to the head only.
#[test]
fn a_delta_is_compared_measured_and_rolled_back() {
    let bench = Bench::new("delta");
    let line = "{\"type\":\"snapshot\",\"seq\":7,\"as_of\":1700000000}\n";
    publish(&bench, "dir:store", &format!("{line}{}", catalogue(5_000)), &[]);
    let put = catalogue(6_000).lines().last().unwrap().to_owned();
    let remove = r#"{"type":"customer","namespace":"vendor","subject":"c17"}"#;
    bench.write("changes.ndjson", format!("{{\"seq\":8,\"put\":[{put}],\"remove\":[{remove}]}}\n"));
    let changes = ["publish", "--changes", "changes.ndjson", "--to", "dir:store", "--key", "publisher.jwk"];
    bench.run(&changes).ok();
    let report = json(&bench, &["inspect", "--from", "dir:store"]);
    let delta = &report["objects"]["delta"];
    assert_eq!((delta["customers"].as_u64(), delta["items"].as_u64()), (Some(2), Some(0)));
    assert_eq!(delta["budget_bytes"].as_u64(), Some(admit_publish::limits::DELTA_BUDGET_BYTES as u64));
    assert_eq!((&report["head"]["seq"], &report["history"]["versions_total"]), (&8.into(), &1.into()));
    assert_eq!(
        (&report["head"]["customers"], &report["head"]["customers_in_shards"]),
        (&5_000.into(), &5_000.into())
    );
    let text = bench.run(&["inspect", "--from", "dir:store"]).ok().stdout;
    assert!(text.contains("5,000 customers (the delta adds 1, changes 0, removes 1), 1 items\n"), "{text}");
    assert!(
        text.contains("0 % of 768.00 KiB") && text.contains("2 customers and 0 items are in the delta"),
        "{text}"
    );
    let report = json(&bench, &["diff", "7", "head", "--from", "dir:store"]);
    let customers = &report["customers"];
    let counts = ["added", "removed", "changed"].map(|name| customers[name].as_u64().unwrap());
    assert_eq!((counts, customers["shards_shared"].as_u64()), ([1, 1, 0], Some(8)));
    assert_eq!(
        json(&bench, &["diff", "7", "8", "--from", "dir:store"]),
        report,
        "the head's seq names it too"
    );
    // A customer who is only in the delta is counted by all three commands.
    let put = catalogue(6_001).lines().last().unwrap().to_owned();
    bench.write("changes.ndjson", format!("{{\"seq\":9,\"put\":[{put}]}}\n"));
    bench.run(&changes).ok();
    let report = json(&bench, &["inspect", "--from", "dir:store"]);
    assert_eq!(
        (&report["head"]["customers"], &report["head"]["customers_in_shards"]),
        (&5_001.into(), &5_000.into())
    );
    let report = json(&bench, &["diff", "7", "head", "--from", "dir:store"]);
    assert_eq!(
        (&report["before"]["customers"], &report["after"]["customers"]),
        (&5_000.into(), &5_001.into())
    );
    let text = bench.run(&["diff", "7", "head", "--from", "dir:store"]).ok().stdout;
    assert!(text.contains("Customers  5,000 before, 5,001 after: 2 added, 1 removed, 0 changed"), "{text}");
    let report = json(&bench, &["verify", "--from", "dir:store", "--key", "publisher.jwk"]);
    assert_eq!((&report["customers"], &report["items"]), (&5_001.into(), &1.into()));
    // The published version without its delta counts as another version, so it can be rolled back to.
    roll_back(&bench, "dir:store", "7", &[]).ok();
    let report = json(&bench, &["inspect", "--from", "dir:store"]);
    assert!(report["objects"]["delta"].is_null());
    assert_eq!((&report["head"]["seq"], &report["head"]["origin_seq"]), (&10.into(), &7.into()));
    let report = json(&bench, &["gc", "--from", "dir:store"]);
    assert_eq!(
        (&report["newly_marked"], &report["deleted"]),
        (&0.into(), &0.into()),
        "deltas go with their heads"
    );
}
