//! `admit publish --follow` with feeds that contain unusable records, and with exports that have lost most of
//! their content.

use crate::{
    bench::catalogue,
    feed::{Quirk, wait_until},
    follower::{customer, put, removed, renamed_item, seq, set_up},
};

#[test]
fn a_wrong_record_of_a_feed_is_set_aside_until_a_good_one_comes() {
    let (bench, double, feed) = set_up("follow-set-aside", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    let wrong = customer(1, 5).replace("\"created_at\":1700000000", "\"created_at\":1700000000000");
    feed.commit(&put(&[wrong, customer(2, 5)]));
    feed.commit(&put(&[renamed_item().replace("\"High Water\"", "7")]));
    wait_until("what is good is published", || seq(&double) == 3);
    let head = double.state().published().unwrap();
    assert_eq!(head.set_aside, Some(2));
    assert_eq!([1, 2].map(|id| bench.accesses(&double.url, id).unwrap().0), [1, 5]);
    // It continues, and reports the records with each change.
    feed.commit("\"remove\":[{\"type\":\"merchant\",\"id\":21}]");
    feed.commit(&put(&[customer(3, 4)]));
    wait_until("it goes on", || seq(&double) == 5);
    feed.commit(&put(&[customer(1, 6), renamed_item()]));
    wait_until("good ones have come", || seq(&double) == 6);
    assert_eq!(double.state().published().unwrap().set_aside, None);
    assert_eq!(bench.accesses(&double.url, 1).unwrap().0, 6);
    bench.verify(&double.url);
    let ended = follower.kill();
    for said in [
        "set aside: http",
        "customer vendor:c1: put[0].accesses[0].created_at: the time looks like milliseconds",
        "item 33: put[0].title: invalid type",
        "warning: 2 records set aside: item 33 since",
        "unknown merchant 21",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    assert_eq!(feed.state().requests.iter().filter(|(url, _)| url == "/export").count(), 1);
}

#[test]
fn a_follower_guards_against_losses_when_it_publishes_the_whole() {
    let (bench, double, feed) = set_up("follow-loss", 200);
    let follower = bench.follow(&feed, &double.url, &["--allow-unknown-namespaces"]);
    wait_until("the whole is published", || seq(&double) == 1);
    feed.state().export = (3, catalogue(200).replace("\"vendor\"", "\"vender\""));
    feed.misbehave(Quirk::Status(410), 1);
    feed.commit(&removed(1));
    // It keeps asking: the export may recover.
    wait_until("the export was taken again, and again", || {
        feed.state().requests.iter().filter(|(url, _)| url == "/export").count() >= 3
    });
    assert_eq!(seq(&double), 1);
    let ended = follower.kill();
    assert!(ended.stderr.contains("200 of 200 customers"), "{}", ended.stderr);
}

#[test]
fn a_customer_of_a_feed_whose_namespace_no_issuer_has_is_set_aside() {
    let (bench, double, feed) = set_up("follow-namespaces", 10);
    let follower = bench.follow(&feed, &double.url, &[]);
    wait_until("the whole is published", || seq(&double) == 1);
    feed.commit(&put(&[customer(11, 5).replace("\"vendor\"", "\"vender\""), customer(2, 5)]));
    wait_until("what is good is published", || seq(&double) == 2);
    assert_eq!(double.state().published().unwrap().set_aside, Some(1));
    assert_eq!(bench.accesses(&double.url, 2).unwrap().0, 5);
    let ended = follower.kill();
    let said = "customer vender:c11: put[0].namespace: no issuer of the Worker has the namespace \"vender\"; did you mean \"vendor\"?";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn changes_of_a_namespace_that_no_issuer_has_are_refused() {
    let (bench, double, _) = set_up("changes-namespaces", 10);
    bench.write("all.ndjson", catalogue(10));
    bench.publish("all.ndjson", &double.url, &["--seq", "1"]).ok();
    let unknown = customer(11, 5).replace("\"vendor\"", "\"vender\"");
    bench.write("changes.ndjson", format!("{{\"seq\":2,{}}}\n", put(&[customer(2, 5), unknown])));
    let said = "changes.ndjson:2: put[1].namespace: no issuer of the Worker has the namespace \"vender\"";
    let ended = bench.changes("changes.ndjson", &double.url, &[]).failed(2, said);
    assert!(ended.stderr.contains("--allow-unknown-namespaces"), "{}", ended.stderr);
    assert_eq!(seq(&double), 1);
    bench.changes("changes.ndjson", &double.url, &["--allow-unknown-namespaces"]).ok();
    assert_eq!(seq(&double), 2);
}
