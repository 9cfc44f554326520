//! A follower's metrics against the events in its world.

use std::collections::BTreeMap;

use admit_metrics::{Watched as _, text};

use super::*;

/// The values by name and labels, as a scraper reads them.
fn values(monitor: &Monitor) -> BTreeMap<String, f64> {
    let text = text(monitor).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|sample| {
            let (name, value) = sample.rsplit_once(' ').unwrap();
            (name.strip_prefix("admit_follower_").unwrap_or(name).to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn value(values: &BTreeMap<String, f64>, name: &str) -> u64 {
    values.get(name).map_or(0, |value| *value as u64)
}

/// The sum over all labels.
fn sum(values: &BTreeMap<String, f64>, name: &str) -> u64 {
    values
        .iter()
        .filter(|(known, _)| known.starts_with(&format!("{name}{{")))
        .map(|(_, value)| *value as u64)
        .sum()
}

#[test]
fn a_life_is_counted() {
    let world = World::new(&LIFE, None);
    let (publisher, monitor) = watched(&world).unwrap();
    assert_eq!(monitor.problems(), ["nothing published yet"]);
    follow_as(&world, publisher, Arc::clone(&monitor)).unwrap();
    let (found, head) = (values(&monitor), world.head());
    let value = |name: &str| value(&found, name);
    assert_eq!(value("published_seq"), head.seq);
    assert_eq!((value("published_origin_seq"), world.seq()), (world.seq(), head.origin_seq()));
    assert_eq!(value("head_as_of_timestamp_seconds"), head.as_of.cast_unsigned());
    assert_eq!((value("customers"), value("items")), (head.customers, head.items));
    // At the start, and after the history was lost; the others are changes, of which two came with the history.
    assert_eq!(value(r#"publishes_total{kind="whole"}"#), 2);
    assert_eq!(u64::from(world.exports()), 2);
    assert_eq!(value(r#"publishes_total{kind="changes"}"#), 4);
    assert_eq!((value("changes_total"), world.seq() - 1), (4, 5));
    assert_eq!(value(r#"publishes_total{kind="renewal"}"#), world.puts("/snapshot/head") as u64 - 6);
    assert_eq!(value(r#"failures_total{kind="gone",task="feed"}"#), 1);
    assert_eq!(sum(&found, "failures_total"), 1);
    assert_eq!(sum(&found, "failures_in_a_row"), 0);
    assert_eq!((value("set_aside_records"), value("lag_changes")), (0, 0));
    assert!(value(r#"last_success_timestamp_seconds{task="feed"}"#) + 2 >= world.now().cast_unsigned());
}

/// Whether the answer to a publish comes or is lost, the head counts once.
#[test]
fn lost_answers_count_no_head_twice() {
    let requests = check(&LIFE, None).unwrap();
    for at in 0..requests {
        let world = World::new(&LIFE, Some(Fault { at, times: 1, odd: Odd::Lost }));
        let (publisher, monitor) = watched(&world).unwrap();
        follow_as(&world, publisher, Arc::clone(&monitor)).unwrap();
        let (found, head) = (values(&monitor), world.head());
        assert_eq!(value(&found, "published_seq"), head.seq, "{at}");
        assert_eq!(value(&found, "head_as_of_timestamp_seconds"), head.as_of.cast_unsigned(), "{at}");
        assert!(value(&found, "changes_total") < world.seq(), "{at}: {found:?}");
        // The follower is stopped after its last question, whose answer may be the lost one.
        assert!(sum(&found, "failures_in_a_row") <= 1, "{at}: {found:?}");
    }
}

#[test]
fn an_origin_that_is_not_heard_is_told_from_a_quiet_one() {
    let world = World::new(&[Step::Quiet], None);
    world.replace_feed(Odd::page(502));
    let (publisher, monitor) = watched(&world).unwrap();
    assert!(follow_as(&world, publisher, Arc::clone(&monitor)).is_err());
    let found = values(&monitor);
    let failures = value(&found, r#"failures_total{kind="unheard",task="feed"}"#);
    assert!(failures >= ROUNDS_MAX as u64 - 10, "{found:?}");
    assert_eq!(value(&found, r#"failures_in_a_row{task="feed"}"#), failures);
    assert_eq!(value(&found, r#"last_success_timestamp_seconds{task="feed"}"#), 0);
    assert!(monitor.problems().contains(&"feed"));
    let age = world.now().cast_unsigned() - value(&found, "head_as_of_timestamp_seconds");
    assert!(age > 120, "the head grows old: {age} s");
    // The same follower's metrics, once the origin is heard again.
    world.replace_feed(Odd::Instead(204, &[("entitlement-seq", "9")], ""));
    let (publisher, _) = watched(&world).unwrap();
    assert!(follow_as(&world, publisher, Arc::clone(&monitor)).is_err(), "it is never told of the end");
    let found = values(&monitor);
    assert_eq!(value(&found, r#"failures_in_a_row{task="feed"}"#), 0);
    assert_eq!(value(&found, "lag_changes"), 8, "the origin says that it has nine changes");
    assert!(!monitor.problems().contains(&"feed"));
}

#[test]
fn damage_in_the_store_is_counted() {
    let (.., monitor) = follow_tampered_watched(|_, _| ());
    let found = values(&monitor);
    assert_eq!((value(&found, "missing_objects_total"), value(&found, "heads_replaced_total")), (0, 0));
    let (.., monitor) = follow_tampered_watched(|world, _| world.tamper("head", b"not a head"));
    assert_eq!(value(&values(&monitor), "heads_replaced_total"), 1);
    let (.., monitor) = follow_tampered_watched(|world, head| {
        let name = head.named().find(|name| name.kind == ObjectKind::Directory).unwrap();
        world.tamper(&name.to_string(), b"spoilt");
    });
    let found = values(&monitor);
    assert_eq!((value(&found, "missing_objects_total"), value(&found, "repaired_objects_total")), (1, 1));
    assert!(value(&found, "delta_bytes") > 0);
}
