//! `admit publish --changes`: lines of a feed, published once.

use admit_snapshot::head_value::HeadValue;

use crate::{
    bench::catalogue,
    double::Double,
    feed::ORIGIN_TOKEN,
    follower::{customer, put, removed, renamed_item, seq, set_up, writes},
};

#[test]
fn one_change_and_a_thousand_are_one_write_each_and_ten_thousand_go_into_the_shards() {
    let (bench, double, feed) = set_up("one-write", 20_000);
    bench.publish(&feed.export_url(), &double.url, &["--origin-token", ORIGIN_TOKEN]).ok();
    assert_eq!((seq(&double), feed.state().strangers), (1, 0));
    let mut changes = vec![format!("{{\"seq\":2,{}}}", put(&[customer(7, 3)]))];
    bench.write("one.ndjson", changes.concat());
    double.recover();
    let ended = bench.changes("one.ndjson", &double.url, &[]).ok();
    assert!(
        ended.stdout.contains("Published seq 2") && ended.stdout.contains("writes     1\n"),
        "{}",
        ended.stdout
    );
    assert_eq!(writes(&double), ["PUT /snapshot/head"]);
    let carried = |double: &Double| HeadValue::split(&double.state().head_value().unwrap()).delta.is_some();
    assert!(carried(&double));
    assert_eq!(bench.accesses(&double.url, 7), Some((3, "delta".to_owned())));
    assert_eq!(bench.accesses(&double.url, 8), Some((1, "shard".to_owned())));
    changes.extend((0..10_000).map(|n| format!("\n{{\"seq\":{},{}}}", n + 3, put(&[customer(n + 1, 8)]))));
    changes.push(format!("\n{{\"seq\":10003,{}}}\n", removed(20_000)));
    bench.write("some.ndjson", changes[..1_000].concat());
    double.recover();
    bench.changes("some.ndjson", &double.url, &[]).ok();
    assert_eq!((writes(&double).len(), carried(&double)), (1, true));
    bench.verify(&double.url);
    bench.write("many.ndjson", changes.concat());
    double.recover();
    let ended = bench.changes("many.ndjson", &double.url, &[]).ok();
    assert!(ended.stdout.contains("changes    9,002 (1000 were published before)"), "{}", ended.stdout);
    // More than a delta may hold.
    let written = writes(&double);
    assert_eq!(written.first().map(String::as_str), Some("POST /snapshot/pack"), "{written:?}");
    assert_eq!(written.last().map(String::as_str), Some("PUT /snapshot/head"), "{written:?}");
    assert_eq!(bench.accesses(&double.url, 7), Some((8, "shard".to_owned())));
    assert_eq!(bench.accesses(&double.url, 20_000), None);
    assert_eq!(bench.accesses(&double.url, 19_999), Some((1, "shard".to_owned())));
    bench.verify(&double.url);
    // Again, with nothing new.
    double.recover();
    let ended = bench.changes("many.ndjson", &double.url, &[]).ok();
    assert!(ended.stdout.contains("Nothing new: seq 10003"), "{}", ended.stdout);
    assert!(writes(&double).is_empty());
}

/// An attacker with write access to the store can put another delta beside the head.
#[test]
fn verify_tells_of_a_delta_that_is_not_the_heads() {
    let (bench, double, _) = set_up("beside", 10);
    bench.write("all.ndjson", catalogue(10));
    bench.publish("all.ndjson", &double.url, &["--seq", "1"]).ok();
    bench.write("one.ndjson", format!("{{\"seq\":2,{}}}\n", put(&[customer(1, 2)])));
    bench.changes("one.ndjson", &double.url, &[]).ok();
    bench.verify(&double.url);
    for delta in double.state().carried.values_mut() {
        *delta.last_mut().unwrap() ^= 1;
    }
    let args = ["verify", "--from", &double.url, "--key", "publisher.jwk"];
    let ended = bench.run(&args).failed(1, "problem");
    assert!(ended.stdout.contains("the delta beside it is not the one that it names"), "{}", ended.stdout);
}

#[test]
fn changes_that_cannot_be_applied_publish_nothing() {
    let (bench, double, _) = set_up("no-changes", 0);
    bench.write("all.ndjson", catalogue(3));
    bench.write("good.ndjson", format!("{{\"seq\":2,{}}}\n", put(&[customer(1, 2)])));
    bench.changes("good.ndjson", &double.url, &[]).failed(1, "nothing is published yet");
    bench.publish("all.ndjson", &double.url, &[]).ok();
    // The published version has no count of the origin.
    bench.changes("good.ndjson", &double.url, &[]).failed(1, "which of the origin's changes it reflects");
    bench.publish("all.ndjson", &double.url, &["--seq", "1"]).ok();
    let published = double.state().head.clone();
    let stranger = customer(1, 2).replace("\"merchant_id\":21", "\"merchant_id\":22");
    for (lines, code, said) in [
        (
            format!("{{\"seq\":2,{}}}\n{{\"seq\":4}}\n", put(&[customer(1, 2)])),
            2,
            "expected change 3, found 4",
        ),
        (
            format!("{{\"seq\":2,{}}}\nnonsense\n", put(&[customer(1, 2)])),
            2,
            "changes.ndjson:2: expected a JSON object",
        ),
        (format!("{{\"seq\":2,{}}}\n", put(&[renamed_item()])), 2, "expected changes of customers only"),
        ("{\"seq\":2,\"putt\":[]}\n".to_owned(), 2, "unknown field `putt`"),
        (format!("{{\"seq\":2,{}}}\n", put(&["{\"type\":\"item\"}".to_owned()])), 2, "put[0]"),
    ] {
        bench.write("changes.ndjson", &lines);
        bench.changes("changes.ndjson", &double.url, &[]).failed(code, said);
        assert_eq!(double.state().head, published, "{said}");
    }
    // Unusable records are set aside, except with --strict.
    bench.write("changes.ndjson", format!("{{\"seq\":2,{}}}\n", put(&[stranger, customer(2, 7)])));
    bench.changes("changes.ndjson", &double.url, &["--strict"]).failed(2, "unknown merchant 22");
    assert_eq!(double.state().head, published);
    bench.changes("changes.ndjson", &double.url, &["--dry-run"]).failed(3, "unknown merchant 22");
    bench.changes("nowhere.ndjson", &double.url, &[]).failed(1, "cannot read nowhere.ndjson");
    double.recover();
    let ended = bench.changes("good.ndjson", &double.url, &["--dry-run"]).ok();
    assert!(ended.stdout.contains("Would publish seq 3"), "{}", ended.stdout);
    assert!(writes(&double).is_empty());
}

#[test]
fn a_delta_that_is_full_becomes_shards() {
    let (bench, double, feed) = set_up("full", 20_000);
    bench.publish(&feed.export_url(), &double.url, &["--origin-token", ORIGIN_TOKEN]).ok();
    let shards = double.state().count("POST /snapshot/pack");
    assert!(shards > 0);
    let changes: String =
        (0..20_000).map(|n| format!("{{\"seq\":{},{}}}\n", n + 2, put(&[customer(n + 1, 30)]))).collect();
    bench.write("many.ndjson", changes);
    let ended = bench.changes("many.ndjson", &double.url, &[]).ok();
    assert!(ended.stdout.contains("the delta is empty"), "{}", ended.stdout);
    let head = double.state().published().unwrap();
    assert_eq!((head.seq, head.delta, head.customers), (20_001, None, 20_000));
    assert_eq!(double.state().versions(), [1, 20_001]);
    for id in [1, 9_999, 20_000] {
        assert_eq!(bench.accesses(&double.url, id), Some((30, "shard".to_owned())));
    }
    bench.verify(&double.url);
}
