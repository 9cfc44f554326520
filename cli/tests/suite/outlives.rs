//! Unusual events that a follower survives: odd answers of origin and edge, expired tokens, killed
//! publishers.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    bench::{Bench, catalogue},
    double::Mishap,
    feed::{FeedDouble, HTML, ORIGIN_TOKEN, PAGE, Quirk, wait_until},
    follower::{Follower, customer, for_each, put, removed, seq, set_up},
    service::Service,
};

/// Each of these answers came from a server between a follower and its origin.
const ODD: [(Quirk, &str); 12] = [
    (Quirk::Odd(404, HTML, PAGE), "404 Not Found (text/html"),
    (
        Quirk::Odd(302, &[("Location", "https://login.example/?next=x")], ""),
        "302 Found to https://login.example/",
    ),
    (Quirk::Odd(401, &[], "{}"), "Is --origin-token right"),
    (Quirk::Odd(403, HTML, PAGE), "403 Forbidden"),
    (Quirk::Odd(403, &[], "{\"code\":403,\"message\":\"Forbidden\"}"), "403 Forbidden"),
    (Quirk::Odd(400, &[], ""), "400 Bad Request"),
    (Quirk::Odd(200, HTML, PAGE), "expected lines of JSON"),
    (Quirk::Odd(200, &[("Content-Type", "application/x-ndjson")], PAGE), "expected lines of JSON"),
    (Quirk::Odd(200, &[], "{\"error\":\"sign in\"}"), "sign in"),
    (Quirk::Odd(429, &[("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")], ""), "429 Too Many Requests"),
    (Quirk::Odd(200, &[("Content-Encoding", "br")], "xx"), "compressed as \"br\""),
    (Quirk::Odd(599, &[], ""), "599"),
];

#[test]
fn odd_answers_of_the_feed_are_waited_out_and_said() {
    for_each(&ODD, |number, (quirk, said)| {
        let (bench, double, feed) = set_up(&format!("odd-feed-{number}"), 10);
        let follower = bench.follow(&feed, &double.url, &[]);
        wait_until("the whole is published", || seq(&double) == 1);
        feed.misbehave(quirk.clone(), 2);
        feed.commit(&put(&[customer(1, 5)]));
        wait_until(&format!("{quirk:?}: the change is published"), || seq(&double) == 2);
        assert_eq!(bench.accesses(&double.url, 1), Some((5, "delta".to_owned())), "{quirk:?}");
        assert_eq!(feed.state().requests.iter().filter(|(url, _)| url == "/export").count(), 1, "{quirk:?}");
        let ended = follower.kill();
        assert!(
            ended.stderr.contains(said) && ended.stderr.contains("trying again in"),
            "{quirk:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("next=x"), "{}", ended.stderr);
    });
}

#[test]
fn odd_answers_of_the_export_are_waited_out_at_the_start_and_later() {
    for_each(&ODD, |number, (quirk, _)| {
        let (bench, double, feed) = set_up(&format!("odd-export-{number}"), 10);
        feed.state().odd_exports = vec![(quirk.clone(), 1)];
        let follower = bench.follow(&feed, &double.url, &[]);
        wait_until(&format!("{quirk:?}: the whole is published"), || seq(&double) == 1);
        // The history is gone, and then the export fails: revocations must not stop.
        feed.state().odd_exports = vec![(quirk.clone(), 1)];
        feed.misbehave(Quirk::Status(410), 2);
        feed.commit(&removed(1));
        feed.state().export =
            (2, catalogue(10).lines().filter(|line| !line.contains("\"c1\"")).collect::<Vec<_>>().join("\n"));
        wait_until(&format!("{quirk:?}: the whole is published again"), || seq(&double) == 2);
        assert_eq!(bench.accesses(&double.url, 1), None, "{quirk:?}");
        feed.commit(&put(&[customer(2, 7)]));
        wait_until(&format!("{quirk:?}: it goes on"), || seq(&double) == 3);
        drop(follower);
    });
}

#[test]
fn a_whole_that_is_wrong_or_does_not_help_is_waited_out_too() {
    let (bench, double, feed) = set_up("wrong-whole", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    feed.misbehave(Quirk::Status(410), 4);
    feed.commit(&removed(1));
    wait_until("the change is published", || seq(&double) == 2);
    assert_eq!(bench.accesses(&double.url, 1), None);
    let ended = follower.kill();
    assert!(ended.stderr.contains("publishing the whole did not help"), "{}", ended.stderr);
}

#[test]
fn pages_in_the_edges_place_are_waited_out() {
    let cases = [
        ("PUT /snapshot/delta", 403),
        ("PUT /snapshot/head", 403),
        ("PUT /snapshot/head", 200),
        ("PUT /snapshot/head", 401),
        ("GET /snapshot/head", 404),
        ("GET /snapshot/head", 200),
        ("GET /snapshot/lease", 404),
        ("GET /snapshot/garbage", 200),
    ];
    for_each(&cases, |number, (on, status)| {
        let (bench, double, feed) = set_up(&format!("page-{number}"), 10);
        let apart: &[&str] = if on.ends_with("/delta") { &["--delta-apart"] } else { &[] };
        let follower = bench.follow(&feed, &double.url, apart);
        wait_until("the whole is published", || feed.is_followed());
        // All attempts of one call fail, and one more.
        double.fail(on, 0, 7, Mishap::Page(*status));
        feed.commit(&put(&[customer(1, 5)]));
        wait_until(&format!("{on} {status}: the change is published"), || seq(&double) == 2);
        assert_eq!(bench.accesses(&double.url, 1), Some((5, "delta".to_owned())), "{on} {status}");
        let ended = follower.kill();
        assert!(!ended.stderr.contains("the token needs the scope"), "{}", ended.stderr);
    });
}

/// The program that refreshes the file was late.
#[test]
fn a_token_in_a_file_that_has_ended_is_waited_for() {
    let (bench, double, feed) = set_up("late-token", 10);
    bench.write("token", crate::double::TOKEN);
    let follower = bench.follow(&feed, &double.url, &["--token", "@token"]);
    wait_until("it follows", || feed.is_followed());
    bench.write("token", "ended");
    feed.commit(&put(&[customer(1, 5)]));
    wait_until("it is turned away", || double.state().requests.iter().any(|(_, status)| *status == 401));
    bench.write("token", crate::double::TOKEN);
    wait_until("the change is published", || seq(&double) == 2);
    drop(follower);
}

/// Only the Worker's own refusal ends a follower.
#[test]
fn a_permission_that_the_worker_itself_revokes_ends_it() {
    let (bench, double, feed) = set_up("revoked", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || feed.is_followed());
    double.fail("PUT /snapshot/head", 0, usize::MAX, Mishap::Status(403, None));
    feed.commit(&removed(1));
    follower.wait().failed(1, "the token needs the scope snapshot:write or snapshot:publish");
}

#[test]
fn a_page_in_a_commands_first_answer_is_not_an_empty_store() {
    let (bench, double, _) = set_up("page-first", 0);
    bench.write("all.ndjson", catalogue(300));
    bench.write("less.ndjson", catalogue(3));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    double.fail("GET /snapshot/head", 0, usize::MAX, Mishap::Page(404));
    let ended = bench.publish("less.ndjson", &double.url, &[]).failed(1, "not an answer of the Worker");
    assert!(ended.stderr.contains("Just a moment"), "{}", ended.stderr);
    double.recover();
    assert_eq!(double.state().published().unwrap().customers, 300);
}

#[test]
fn compressed_input_is_decoded_from_every_source() {
    let (bench, double, feed) = set_up("gzip", 10);
    feed.state().odd_exports = vec![(Quirk::Gzip(true), 1)];
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    for (quirk, accesses) in [(Quirk::Gzip(true), 3), (Quirk::Gzip(false), 4)] {
        feed.misbehave(quirk, 1);
        let wanted = feed.commit(&put(&[customer(1, accesses)]));
        wait_until("the change is published", || seq(&double) == wanted);
        assert_eq!(bench.accesses(&double.url, 1).unwrap().0, accesses);
    }
    let ended = follower.stop();
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    // Files and standard input.
    let packed = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    bench.write("all.ndjson.gz", packed(&catalogue(4)));
    let dry = |from: &str| bench.command(&["publish", "--from", from, "--dry-run"]);
    assert!(
        bench.run(&["publish", "--from", "all.ndjson.gz", "--dry-run"]).ok().stdout.contains("customers  4")
    );
    let stdin = std::fs::File::open(bench.dir.join("all.ndjson.gz")).unwrap();
    let ended: crate::bench::Ended = dry("-").stdin(Stdio::from(stdin)).output().unwrap().into();
    assert!(ended.ok().stdout.contains("customers  4"));
    std::fs::create_dir(bench.dir.join("parts")).unwrap();
    bench.write("parts/1.ndjson.gz", packed(&catalogue(2)));
    bench.write("parts/2.ndjson", customer(3, 1));
    assert!(bench.run(&["publish", "--from", "parts", "--dry-run"]).ok().stdout.contains("customers  3"));
    bench.write("changes.gz", packed(&format!("{{\"seq\":9,{}}}\n", removed(1))));
    bench.changes("changes.gz", &double.url, &[]).failed(2, "expected change 4, found 9");
    bench.write("cut.ndjson.gz", &packed(&catalogue(1_000))[..200]);
    bench.run(&["publish", "--from", "cut.ndjson.gz", "--dry-run"]).failed(1, "cannot read cut.ndjson.gz");
    bench.write("all.zst", b"\x28\xb5\x2f\xfd....");
    bench.run(&["publish", "--from", "all.zst", "--dry-run"]).failed(2, "compressed as zstd");
}

#[test]
fn clocks_that_differ_are_said_once() {
    let (bench, double, feed) = set_up("clocks", 10);
    feed.state().ahead_secs = Some(-3_600);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    for id in 1..=2 {
        let wanted = feed.commit(&put(&[customer(id, 2)]));
        wait_until("the change is published", || seq(&double) == wanted);
    }
    let ended = follower.kill();
    let said: Vec<_> = ended.stderr.lines().filter(|line| line.contains("clock differs by 3,")).collect();
    // Once for the export, and once for the feed.
    assert!(matches!(said.len(), 1..=2) && said[0].contains("this machine is ahead"), "{}", ended.stderr);
}

/// Against the service itself, whose clock sees each token end.
#[test]
fn a_follower_with_a_key_outlives_its_tokens() {
    let bench = Bench::new("token-key");
    let service = Service::start(&bench);
    let feed = FeedDouble::start(1, &catalogue(3));
    let claims = json!({ "iss": "https://publisher.example", "aud": "admit" }).to_string();
    let key = ["--token-key", "publisher.jwk", "--token-claims", &claims];
    let follow = ["--token-ttl-secs", "2", "--heartbeat", "1"];
    let follower = bench.follow(&feed, &service.url, &[&key[..], &follow].concat());
    let head = || {
        let args = ["inspect", "--from", &service.url, "--json"];
        let ended = bench.run(&[&args, &key[..]].concat());
        serde_json::from_str::<Value>(&ended.stdout).map(|report| report["head"].clone()).unwrap_or_default()
    };
    wait_until("the whole is published", || head()["seq"] == 1);
    let first = head();
    // Three times the life of a token; the service grants no leeway.
    wait_until("the head was renewed for a while", || {
        head()["as_of"].as_i64() > first["as_of"].as_i64().map(|as_of| as_of + 6)
    });
    let renewed = head();
    assert_eq!((&renewed["seq"], &renewed["changed_at"]), (&first["seq"], &first["changed_at"]));
    feed.commit(&put(&[customer(1, 5)]));
    wait_until("the change is published", || head()["seq"] == 2);
    assert!(head()["changed_at"].as_i64() >= renewed["as_of"].as_i64());
    let ended = follower.kill();
    assert!(!ended.stderr.contains("401"), "{}", ended.stderr);
    // The message says what the key needs.
    let args = ["inspect", "--from", &service.url, "--token-key", "publisher.jwk", "--token-claims", "{}"];
    bench.run(&args).failed(1, "`iss` is needed");
}

#[test]
fn while_the_origin_is_not_heard_the_head_grows_old() {
    let (bench, double, feed) = set_up("unheard-origin", 10);
    let follower = bench.follow(&feed, &double.url, &["--heartbeat", "1"]);
    wait_until("the whole is published", || seq(&double) == 1);
    let as_of = || double.state().published().unwrap().as_of;
    let first = as_of();
    wait_until("it is renewed", || as_of() > first);
    feed.misbehave(Quirk::Odd(503, &[("Retry-After", "0")], ""), usize::MAX);
    feed.commit(&removed(1));
    let asked = || feed.state().requests.len();
    let (before, requests) = (as_of(), asked());
    wait_until("the origin was asked a few times", || asked() >= requests + 4);
    assert!(as_of() <= before + 1, "renewed although the data may be outdated");
    drop(follower);
}

/// An old head has a valid signature: a new isolate would serve access that was revoked since.
#[test]
fn a_head_that_was_put_back_or_deleted_is_mended_while_the_origin_is_quiet() {
    let (bench, double, feed) = set_up("put-back", 10);
    let follower = bench.follow(&feed, &double.url, &["--heartbeat", "1"]);
    wait_until("the whole is published", || seq(&double) == 1);
    let old = double.state().head.clone();
    feed.commit(&removed(1));
    wait_until("the revocation is published", || seq(&double) == 2);
    for head in [old, None] {
        double.state().head = head;
        wait_until("the right one is back", || seq(&double) == 2);
    }
    assert_eq!(bench.accesses(&double.url, 1), None);
    drop(follower);
}

/// Objects that the head names are deleted: a new isolate could not answer.
#[test]
fn deleted_objects_of_the_head_are_uploaded_again() {
    let (bench, double, feed) = set_up("gone", 10);
    let follower = bench.follow(&feed, &double.url, &["--heartbeat", "1"]);
    wait_until("it follows", || feed.is_followed());
    let head = double.state().published().unwrap();
    for gone in [format!("index/{}", head.index), format!("directory/{}", head.directory)] {
        assert!(double.state().objects.remove(&gone).is_some());
        wait_until("it is put back", || double.state().objects.contains_key(&gone));
    }
    bench.verify(&double.url);
    let ended = follower.kill();
    assert!(ended.stderr.contains("missing or broken in the store"), "{}", ended.stderr);
}

/// A killed follower has published all that it had; started again on the same machine it continues at once.
#[test]
fn a_follower_that_was_killed_is_followed_by_the_next_one_at_once() {
    let (bench, double, feed) = set_up("killed-at-once", 10);
    let follower: Follower = bench.follow(&feed, &double.url, &[]);
    wait_until("it follows", || feed.is_followed());
    follower.kill();
    assert!(double.state().values.contains_key("lease"), "it was not given back");
    feed.commit(&removed(1));
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the revocation is published", || seq(&double) == 2);
    let ended = follower.stop();
    assert!(ended.stderr.contains("taking it over"), "{}", ended.stderr);
    assert_eq!(feed.state().strangers, 0, "{ORIGIN_TOKEN}");
}

#[test]
fn a_second_follower_waits_for_the_end_of_the_lease_once() {
    let (bench, double, feed) = set_up("second", 5);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("it follows", || feed.is_followed());
    let ended = bench.follow(&feed, &double.url, &[]).wait().failed(1, "admit: another publisher, ");
    assert!(ended.stderr.contains("Waiting for its end"), "{}", ended.stderr);
    drop(follower);
    // The lease of another machine, which is gone, ends when its time is over.
    let until = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 3;
    let lease = format!(r#"{{"holder":"{}","host":"gone:1","until":{until}}}"#, "0".repeat(32));
    double.state().values.insert("lease".to_owned(), lease.into_bytes());
    feed.state().export = (2, catalogue(5));
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the next one publishes", || seq(&double) == 2);
    drop(follower);
}
