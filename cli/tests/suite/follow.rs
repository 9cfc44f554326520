//! `admit publish --follow` and `--changes`: the built command between a fake origin and a fake Worker.

mod changes;
mod set_aside;

use admit_snapshot::head_value::HeadValue;

use crate::{
    bench::catalogue,
    double::{Double, Mishap},
    feed::{FeedDouble, Quirk, wait_until},
    follower::{customer, for_each, put, removed, renamed_item, seq, set_up, writes},
};

/// Workers are upgraded first. One that is not still gets every change, in the form that it knows.
#[test]
fn a_worker_of_an_earlier_release_gets_head_and_delta_apart() {
    let (bench, double, feed) = set_up("earlier", 10);
    double.state().is_earlier = true;
    let follower = bench.follow(&feed, &double.url, &["--heartbeat", "0"]);
    wait_until("the whole is published", || feed.is_followed());
    double.recover();
    feed.commit(&put(&[customer(1, 5)]));
    wait_until("the change is published", || seq(&double) == 2);
    feed.commit(&put(&[customer(1, 6)]));
    wait_until("it goes on", || seq(&double) == 3);
    let written = writes(&double);
    let (head, delta) = ("PUT /snapshot/head", "PUT /snapshot/delta/");
    // The second change does not ask again.
    let expected = [head, delta, head, delta, head];
    assert_eq!(written.len(), expected.len(), "{written:?}");
    assert!(written.iter().zip(expected).all(|(request, start)| request.starts_with(start)), "{written:?}");
    assert!(double.state().carried.is_empty());
    assert_eq!(bench.accesses(&double.url, 1), Some((6, "delta".to_owned())));
    bench.verify(&double.url);
    let ended = follower.kill();
    assert!(ended.stderr.matches("upgrade it to this release").count() == 1, "{}", ended.stderr);
    // Upgraded, it takes both in one value, and a revocation leaves the delta where it is.
    double.state().is_earlier = false;
    bench.write("more.ndjson", format!("{{\"seq\":4,{}}}\n", put(&[customer(2, 4)])));
    double.recover();
    bench.changes("more.ndjson", &double.url, &[]).ok();
    assert_eq!(writes(&double), ["PUT /snapshot/head"]);
    let revoke = [
        "revoke",
        "--in",
        &double.url,
        "--key",
        "publisher.jwk",
        "--token",
        "lost",
        "--until",
        "2030-01-31",
        "--watch",
        "0",
    ];
    let ended = bench.run(&revoke);
    let value = double.state().head_value().unwrap();
    assert!(HeadValue::split(&value).delta.is_some(), "{}", ended.stderr);
    assert_eq!(double.state().published().unwrap().denylist.entries().len(), 1, "{}", ended.stderr);
    bench.verify(&double.url);
    // Before it goes back to the earlier release, the next version is published apart again.
    bench.write("last.ndjson", format!("{{\"seq\":5,{}}}\n", put(&[customer(2, 5)])));
    bench.changes("last.ndjson", &double.url, &["--delta-apart"]).ok();
    let value = double.state().head_value().unwrap();
    assert!(HeadValue::split(&value).delta.is_none());
    bench.verify(&double.url);
}

#[test]
fn committed_changes_are_published_while_the_origin_is_followed() {
    let (bench, double, feed) = set_up("followed", 50);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    feed.commit(&put(&[customer(7, 3), customer(51, 1)]));
    feed.commit(&removed(8));
    feed.commit("\"put\":[]");
    wait_until("changes are published", || seq(&double) == 4);
    assert_eq!(bench.accesses(&double.url, 7), Some((3, "delta".to_owned())));
    assert_eq!((bench.accesses(&double.url, 8), bench.accesses(&double.url, 51).is_some()), (None, true));
    // Changes of the catalogue too.
    feed.commit(&put(&[renamed_item()]));
    wait_until("the item is published", || seq(&double) == 5);
    let ended =
        bench.run(&["inspect", "--from", &double.url, "--customer", "vendor:c1", "--check", "33"]).ok();
    assert!(ended.stdout.contains("High Water"), "{}", ended.stdout);
    bench.verify(&double.url);
    let requests = feed.state().requests.clone();
    assert_eq!(requests[0].0, "/export");
    assert!(
        requests.iter().any(|(url, prefer)| url == "/export?after=4" && prefer == "wait=20"),
        "{requests:?}"
    );
    assert_eq!(feed.state().strangers, 0);
    let ended = follower.stop();
    assert_eq!(ended.code, None, "ended by the signal");
    assert!(
        ended.stdout.contains("Published seq 5") && ended.stdout.contains("1 write,"),
        "{}",
        ended.stdout
    );
    // The follower has given its lease back, and the next one finds its work.
    feed.state().export = (5, catalogue(50).replace("Slack Water", "High Water"));
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published again", || double.state().published().unwrap().delta.is_none());
    assert_eq!(seq(&double), 5, "the same count, in other objects");
    feed.commit(&put(&[customer(9, 4)]));
    wait_until("it goes on", || seq(&double) == 6);
    drop(follower);
}

#[test]
fn a_follower_marks_superseded_objects_as_garbage_and_never_those_in_use() {
    let (bench, double, feed) = set_up("collected", 50);
    let follower = bench.follow(&feed, &double.url, &["--gc-every", "1", "--delta-apart"]);
    wait_until("the whole is published", || seq(&double) == 1);
    for accesses in 1..=3 {
        let seq_wanted = feed.commit(&put(&[customer(7, accesses)]));
        wait_until("the change is published", || seq(&double) == seq_wanted);
    }
    let current = format!("delta/{}", double.state().published().unwrap().delta.unwrap());
    wait_until("superseded deltas are marked", || {
        let state = double.state();
        let marks = state.values.get("garbage").map(|json| String::from_utf8_lossy(json).into_owned());
        let mut deltas = state.objects.keys().filter(|key| key.starts_with("delta/") && **key != current);
        marks.is_some_and(|marks| !marks.contains(&current) && deltas.all(|key| marks.contains(key)))
    });
    drop(follower);
    bench.verify(&double.url);
}

#[test]
fn a_feed_that_repeats_skips_reorders_or_breaks_off_loses_nothing() {
    let cases = [
        (Quirk::Everything, 3),
        (Quirk::Skipped, 2),
        (Quirk::Reversed, 2),
        (Quirk::Cut, 2),
        // Changes count as soon as they arrive: an origin whose answers never end is followed too.
        (Quirk::BrokenOff, 100),
        (Quirk::Status(500), 1),
        (Quirk::Status(429), 1),
    ];
    for_each(&cases, |number, (quirk, times)| {
        let (bench, double, feed) = set_up(&format!("quirks-{number}"), 10);
        let follower = bench.follow(&feed, &double.url, &[]);
        wait_until("the whole is published", || seq(&double) == 1);
        feed.misbehave(quirk.clone(), *times);
        for id in 1..=3 {
            feed.commit(&put(&[customer(id, 5)]));
        }
        feed.commit(&put(&[customer(1, 6)]));
        wait_until(&format!("{quirk:?}: all is published"), || seq(&double) == 5);
        let found: Vec<_> = (1..=4).map(|id| bench.accesses(&double.url, id).unwrap().0).collect();
        assert_eq!(found, [6, 5, 5, 1], "{quirk:?}");
        assert_eq!(feed.state().requests.iter().filter(|(url, _)| url == "/export").count(), 1, "{quirk:?}");
        drop(follower);
    });
}

#[test]
fn where_the_feed_does_not_help_the_whole_is_published() {
    let cases = [
        (Quirk::Status(410), 1, "no longer has the changes after 1"),
        (Quirk::Skipped, 100, "still has a gap"),
        (Quirk::Reversed, 100, "still has a gap"),
        (Quirk::Body("{\"seq\":2,\"put\":[{\"type\":\"item\"}]}\n"), 100, "put[0]"),
    ];
    for_each(&cases, |number, (quirk, times, said)| {
        let (bench, double, feed) = set_up(&format!("whole-{number}"), 10);
        let follower = bench.follow(&feed, &double.url, &[]);
        wait_until("the whole is published", || seq(&double) == 1);
        feed.misbehave(quirk.clone(), *times);
        feed.commit(&put(&[customer(1, 5)]));
        feed.commit(&put(&[customer(2, 5)]));
        feed.state().export = (
            3,
            format!("{}\n{}", catalogue(0), (1..=3).map(|id| customer(id, 9) + "\n").collect::<String>()),
        );
        wait_until(&format!("{quirk:?}: the whole is published"), || seq(&double) >= 3);
        assert_eq!(bench.accesses(&double.url, 2).unwrap().0, 9, "{quirk:?}");
        let ended = follower.kill();
        assert!(ended.stderr.contains(said), "{quirk:?}: {}", ended.stderr);
    });
}

#[test]
fn a_follower_that_cannot_go_on_says_why() {
    // The export is invalid as well, and nothing may be set aside.
    let (bench, double, feed) = set_up("stuck", 10);
    let follower = bench.follow(&feed, &double.url, &["--strict"]);
    wait_until("the whole is published", || seq(&double) == 1);
    feed.state().export = (3, "nonsense".to_owned());
    feed.misbehave(Quirk::Status(410), 1);
    feed.commit(&removed(1));
    follower.wait().failed(2, "expected a JSON object");
    // Another publisher has published.
    let (bench, double, feed) = set_up("overtaken", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    bench.write("other.ndjson", catalogue(2));
    bench.publish("other.ndjson", &double.url, &["--force", "--seq", "7", "--allow-loss"]).ok();
    feed.commit(&removed(1));
    follower.wait().failed(1, "");
    assert_eq!(double.state().published().unwrap().customers, 2);
    // Another publisher has taken the lease over, and may publish at any moment.
    let (bench, double, feed) = set_up("taken-over", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    double.fail("PUT /snapshot/head", 0, 1, Mishap::TakenOver);
    feed.commit(&removed(1));
    follower.wait().failed(1, "holds the lease until");
    assert_eq!(seq(&double), 1);
    // There is no URL to follow.
    let args =
        ["publish", "--from", "other.ndjson", "--follow", "--to", &double.url, "--key", "publisher.jwk"];
    bench.run(&args).failed(1, "--follow needs the origin's URL");
    // The export has no count.
    let (bench, double, feed) = set_up("no-count", 10);
    let args =
        ["publish", "--from", &feed.lines_url(), "--follow", "--to", &double.url, "--key", "publisher.jwk"];
    bench.run(&args).failed(1, "has no snapshot line");
    assert!(double.state().requests.is_empty(), "it has not even taken the lease");
    // The token has expired.
    let (bench, double, feed) = set_up("expired", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    double.fail("PUT /snapshot/head", 0, 1, Mishap::Status(401, None));
    feed.commit(&removed(1));
    follower.wait().failed(1, "the token is missing, wrong or expired");
}

#[test]
fn a_head_whose_answer_is_lost_is_published_once() {
    let (bench, double, feed) = set_up("unheard", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    double.recover();
    // All attempts of one call fail.
    double.fail("PUT /snapshot/head", 0, 6, Mishap::Unheard(503));
    feed.commit(&put(&[customer(1, 5)]));
    wait_until("the change is published", || seq(&double) == 2);
    feed.commit(&put(&[customer(1, 6)]));
    wait_until("it goes on", || seq(&double) == 3);
    assert_eq!(double.state().count("PUT /snapshot/head"), 7);
    assert_eq!(bench.accesses(&double.url, 1), Some((6, "delta".to_owned())));
    drop(follower);
}

#[test]
fn a_clock_of_the_origin_that_runs_ahead_keeps_nothing_from_edges() {
    let (bench, double, feed) = set_up("ahead", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    feed.commit(&format!("\"as_of\":4000000000,{}", removed(1)));
    wait_until("the change is published", || seq(&double) == 2);
    let head = double.state().published().unwrap();
    assert!(head.as_of <= head.published_at.unwrap(), "{head:?}");
    drop(follower);
}

#[test]
fn a_store_that_fails_for_a_while_is_waited_for() {
    let (bench, double, feed) = set_up("waits", 10);
    let follower = bench.follow(&feed, &double.url, &["--delta-apart"]);
    wait_until("the whole is published", || seq(&double) == 1);
    // All attempts of one call fail, and one more.
    double.fail("PUT /snapshot/delta", 0, 7, Mishap::Status(500, Some("0")));
    feed.commit(&put(&[customer(1, 5)]));
    wait_until("the change is published", || seq(&double) == 2);
    double.fail("PUT /snapshot/head", 0, 7, Mishap::Status(503, Some("0")));
    feed.commit(&put(&[customer(1, 6)]));
    wait_until("the next change is published", || seq(&double) == 3);
    assert_eq!(bench.accesses(&double.url, 1), Some((6, "delta".to_owned())));
    let ended = follower.kill();
    assert!(ended.stderr.contains("trying again in"), "{}", ended.stderr);
}

/// Killed at every request that it makes: the published version is complete, and the next follower finishes
/// the work.
#[test]
fn killed_anywhere_a_follower_leaves_a_version_that_is_whole_and_the_next_one_completes() {
    let (bench, double, feed) = set_up("killed-follower", 10);
    let more: Vec<String> = (1..=3).map(|id| customer(id, 5)).collect();
    let changed = |lines: &str| format!("{lines}\n{}", more.join("\n"));
    let before = catalogue(10);
    let after = {
        let kept: Vec<_> =
            before.lines().filter(|line| !(1..=3).any(|id| line.contains(&format!("\"c{id}\"")))).collect();
        changed(&kept.join("\n"))
    };
    // The requests of one sync, starting after the full publish.
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("it follows", || feed.is_followed());
    double.recover();
    feed.commit(&put(&more));
    wait_until("the change is published", || seq(&double) == 2);
    drop(follower);
    let requests: Vec<_> = double.state().requests.iter().map(|(request, _)| request.clone()).collect();
    let steps = requests.iter().position(|request| request == "PUT /snapshot/head").unwrap() + 1;
    assert!(steps >= 2, "{requests:?}");
    for_each(&requests[..steps], |step, request| {
        let double = Double::start(&bench.jwks("publisher"));
        let feed = FeedDouble::start(1, &before);
        let follower = bench.follow(&feed, &double.url, &[]);
        wait_until("it follows", || feed.is_followed());
        double.recover();
        double.fail("", step, usize::MAX, Mishap::Hang);
        feed.commit(&put(&more));
        double.wait_for_hang();
        follower.kill();
        double.recover();
        assert_eq!(seq(&double), 1, "{request}");
        bench.verify(&double.url);
        assert_eq!(bench.accesses(&double.url, 1).unwrap().0, 1);
        feed.state().export = (2, after.clone());
        let follower = bench.follow(&feed, &double.url, &["--force"]);
        wait_until("the next one completes", || seq(&double) == 2);
        assert_eq!(bench.accesses(&double.url, 1).unwrap().0, 5);
        bench.verify(&double.url);
        drop(follower);
    });
}

/// More changes than a delta holds, of which some arrive while the delta is written into the shards.
#[test]
fn while_a_full_delta_is_written_into_the_shards_changes_go_on() {
    let (bench, double, feed) = set_up("compacted", 3_000);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    // Once the shards are written the store fails, for all attempts of one call and one more.
    double.fail("PUT /snapshot/version", 0, 7, Mishap::Status(500, Some("0")));
    for part in 0..3 {
        let customers: Vec<_> = (part * 1_000..(part + 1) * 1_000).map(|id| customer(id + 1, 160)).collect();
        feed.commit(&put(&customers));
    }
    for id in 1..=20 {
        feed.commit(&put(&[customer(id, 2)]));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    feed.commit(&removed(21));
    wait_until("all is published, the most of it in shards", || {
        let head = double.state().published().unwrap();
        head.seq == 25 && double.state().versions().len() > 1
    });
    feed.commit(&put(&[customer(3_001, 1)]));
    wait_until("it goes on", || seq(&double) >= 26);
    drop(follower);
    bench.verify(&double.url);
    assert_eq!(bench.accesses(&double.url, 1).unwrap().0, 2);
    assert_eq!(bench.accesses(&double.url, 21), None);
    assert_eq!(bench.accesses(&double.url, 22), Some((160, "shard".to_owned())));
    assert!(bench.accesses(&double.url, 3_001).is_some());
}
