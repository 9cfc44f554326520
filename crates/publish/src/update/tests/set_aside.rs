//! Whatever is wrong with records of a feed, an edge reads the same as after a publish of all last good
//! states.

use super::*;
use crate::{change::Feed, source::RecordKey};

/// An event at the origin: a record is put, valid or not, or removed, or the data is published.
#[derive(Clone, Debug)]
enum Step {
    Put(Value),
    Wrong(Value),
    Remove(Value),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let members = || proptest::sample::subsequence(vec![1_i64, 2, 3, 4], 0..=4);
    let good = prop_oneof![
        (0_usize..8, 1_i64..1_000).prop_map(|(number, at)| customer(number, at, 1)),
        (5_i64..9, 0_u8..9).prop_map(|(id, title)| item(id, &title.to_string(), &[])),
        (100_i64..102, members()).prop_map(|(id, members)| item(id, "package", &members)),
        (900_usize..902, members()).prop_map(|(number, members)| license(number, &members)),
    ];
    // Each is wrong in a way that a different stage of reading finds.
    let wrong = prop_oneof![
        (0_usize..8).prop_map(|number| changed(customer(number, 5, 1), "uuid", json!("x"))),
        (0_usize..8).prop_map(|number| changed(customer(number, 5, 1), "merchant_id", json!(99))),
        (0_usize..8).prop_map(|number| changed(customer(number, 5, 1), "extra", json!(1))),
        (5_i64..9).prop_map(|id| changed(item(id, "t", &[]), "title", json!(1))),
        (5_i64..9).prop_map(|id| changed(item(id, "t", &[]), "created_at", json!(1_800_000_000_000_i64))),
        (5_i64..9).prop_map(|id| changed(item(id, "t", &[]), "merchant_id", json!(99))),
        (100_i64..102).prop_map(|id| item(id, "package", &[1, 77])),
        (900_usize..902).prop_map(|number| license(number, &[77])),
        (900_usize..902).prop_map(|number| changed(license(number, &[1]), "status", json!("dead"))),
    ];
    let named = prop_oneof![
        (0_usize..8).prop_map(
            |number| json!({"type": "customer", "namespace": "v", "subject": format!("s{number}")})
        ),
        (5_i64..9).prop_map(|id| json!({"type": "item", "id": id})),
        (900_usize..902).prop_map(|number| json!({"type": "license", "id": uuid(number)})),
    ];
    prop_oneof![
        4 => good.prop_map(Step::Put),
        3 => wrong.prop_map(Step::Wrong),
        1 => named.prop_map(Step::Remove),
        2 => Just(Step::Sync),
    ]
}

fn changed(mut record: Value, field: &str, value: Value) -> Value {
    record[field] = value;
    record
}

fn name(record: &Value) -> String {
    match record["type"].as_str() {
        Some("customer") => format!("customer {}", record["subject"]),
        kind => format!("{kind:?} {}", record["id"]),
    }
}

/// Reads lines and applies them, as a follower does. Returns the errors.
fn apply(content: &mut Content, lines: &[Value]) -> Vec<String> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut feed = Feed::new("feed", text.as_bytes());
    feed.leave_out_wrong_records();
    let mut changes = Vec::new();
    while let Some(change) = feed.next_change().unwrap() {
        changes.push(change.unwrap());
    }
    let (left_out, mut problems) = feed.take_left_out();
    content.apply_setting_aside(&changes, &left_out, "feed", NOW, &mut problems).unwrap();
    problems.errors.kept().into_iter().map(|error| format!("{}: {error}", error.about)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn an_edge_reads_the_last_good_state_of_every_record(steps in vec(step(), 1..50)) {
        let mut lines = fixed();
        lines.extend((1..6).map(|id| item(id, "t", &[])));
        lines.extend((0..4).map(|number| customer(number, 5, 1)));
        let (mut edge, mut content) = Edge::of(&lines);
        let mut good: BTreeMap<String, Value> = lines.into_iter().map(|line| (name(&line), line)).collect();
        let mut wrong = std::collections::BTreeSet::new();
        let (mut feed, mut seq) = (Vec::new(), 1);
        for step in steps.into_iter().chain([Step::Sync]) {
            seq += 1;
            match step {
                Step::Put(record) => {
                    feed.push(json!({"seq": seq, "put": [record]}));
                    wrong.remove(&name(&record));
                    good.insert(name(&record), record);
                }
                Step::Wrong(record) => {
                    feed.push(json!({"seq": seq, "put": [record]}));
                    wrong.insert(name(&record));
                }
                Step::Remove(removed) => {
                    feed.push(json!({"seq": seq, "remove": [removed]}));
                    wrong.remove(&name(&removed));
                    good.remove(&name(&removed));
                }
                Step::Sync => {
                    apply(&mut content, &std::mem::take(&mut feed));
                    edge.sync(&content);
                    edge.assert_is(&good.values().cloned().collect::<Vec<_>>());
                    prop_assert_eq!(content.set_aside().total(), wrong.len() as u64, "{:?}", wrong);
                }
            }
        }
    }
}

#[test]
fn a_record_is_told_until_a_good_one_comes() {
    let mut lines = fixed();
    lines.extend([item(1, "t", &[]), customer(1, 5, 1)]);
    let (_, mut content) = Edge::of(&lines);
    let wrong = changed(item(1, "new", &[]), "is_active", json!("yes"));
    let told = apply(&mut content, &[json!({"seq": 2, "put": [wrong, customer(1, 6, 2)]})]);
    assert_eq!(told, ["item 1: feed:1: put[0].is_active: invalid type: string \"yes\", expected a boolean"]);
    assert_eq!(content.delta().customers.len(), 1, "what is good of the change is applied");
    assert!(content.delta().items.is_empty());
    assert!(apply(&mut content, &[json!({"seq": 3})]).is_empty());
    let reasons: Vec<_> = content.set_aside().reasons().map(|(error, _)| error.about.to_string()).collect();
    assert_eq!(reasons, ["item 1"]);
    apply(&mut content, &[json!({"seq": 4, "put": [item(1, "new", &[])]})]);
    assert_eq!((content.set_aside().total(), content.delta().items.len()), (0, 1));
}

#[test]
fn removing_a_record_that_others_need_is_refused() {
    let mut lines = fixed();
    lines.extend([item(1, "t", &[]), item(2, "t", &[]), item(100, "p", &[1, 2]), customer(1, 5, 1)]);
    let (mut edge, mut content) = Edge::of(&lines);
    let removal = |kind: &str, id: Value| json!({"type": kind, "id": id});
    let told = apply(
        &mut content,
        &[json!({"seq": 2, "remove": [removal("merchant", json!(21)), removal("access_type", json!(1))]})],
    );
    assert!(told.iter().all(|told| told.contains("unknown")), "{told:?}");
    edge.sync(&content);
    edge.assert_is(&lines);
    // A removed member is gone; its package goes on without it.
    let told = apply(&mut content, &[json!({"seq": 3, "remove": [removal("item", json!(2))]})]);
    assert_eq!(told.len(), 1, "{told:?}");
    edge.sync(&content);
    lines.remove(4);
    lines[4] = item(100, "p", &[1]);
    edge.assert_is(&lines);
    assert!(content.set_aside().contains(&RecordKey::Item(100)));
}

#[test]
fn a_record_set_aside_by_a_whole_publish_stays_so_until_it_is_put() {
    let mut lines = fixed();
    lines.extend([item(1, "t", &[]), changed(item(2, "t", &[]), "is_active", json!(1)), customer(1, 5, 1)]);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut source = Source::new(NOW, Strictness::SetAside, SpillPlan::default());
    source.read("f", text.as_bytes()).unwrap();
    let outcome = source.build(None, &MemorySink::default()).unwrap();
    let mut content = Content::built(outcome.catalogue).unwrap();
    assert_eq!(content.set_aside().total(), 1);
    apply(&mut content, &[json!({"seq": 2, "put": [customer(1, 6, 1)]})]);
    assert_eq!(content.set_aside().total(), 1);
    apply(&mut content, &[json!({"seq": 3, "put": [item(2, "t", &[])]})]);
    assert_eq!((content.set_aside().total(), content.delta().items.len()), (0, 1));
}

/// Content in which item 5 has 200 fees of access type 1.
fn content_with_fees() -> Content {
    let fee = item(5, "t", &[])["fees"][0].clone();
    let fees = (1..=200).map(|id| changed(fee.clone(), "id", json!(id))).collect();
    let (_, content) =
        Edge::of(&[fixed(), vec![changed(item(5, "t", &[]), "fees", fees), license(900, &[5])]].concat());
    content
}

/// Applies a change that puts these records and a customer. Asserts that the customer is taken and that the
/// errors concern only `about`.
fn only_the_customer_is_taken(content: &mut Content, seq: u64, put: &[Value], about: &str) {
    let before = (content.directory().to_vec(), content.delta().items);
    let records: Vec<_> = put.iter().cloned().chain([customer(seq as usize, 5, 1)]).collect();
    let errors = apply(content, &[json!({"seq": seq, "put": records})]);
    assert!(errors.len() == 1 && errors[0].starts_with(about), "{errors:?}");
    assert_eq!((content.directory().to_vec(), content.delta().items), before);
    assert_eq!(content.delta().customers.len() as u64, seq);
}

#[test]
fn a_feed_cannot_bring_an_oversized_record_of_any_type() {
    let mut content = content_with_fees();
    let long = || json!("x".repeat(21 << 17));
    let (access_type, app) = (&fixed()[2], &fixed()[1]);
    let records = [
        (changed(access_type.clone(), "name", long()), "access_type 1"),
        (changed(app.clone(), "plan_id", long()), "app a"),
        (changed(license(900, &[5]), "description", long()), "license"),
        (changed(item(5, "t", &[]), "content", long()), "item 5"),
    ];
    for ((record, about), seq) in records.into_iter().zip(1..) {
        only_the_customer_is_taken(&mut content, seq, &[record], about);
    }
    assert_eq!((content.set_aside().total(), content.set_aside().last_good()), (4, 4));
}

#[test]
fn an_access_type_that_makes_an_item_too_large_is_refused_from_a_feed() {
    let mut content = content_with_fees();
    let long = |letter: &str| changed(fixed()[2].clone(), "name", json!(letter.repeat(15_000)));
    only_the_customer_is_taken(&mut content, 1, &[long("x")], "access_type 1");
    // The newest fitting one of two changes that arrive together is taken, and the record is set aside once.
    let short = changed(fixed()[2].clone(), "name", json!("new"));
    let errors =
        apply(&mut content, &[json!({"seq": 2, "put": [short]}), json!({"seq": 3, "put": [long("y")]})]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let details =
        content.delta().items.into_values().map(|record| String::from_utf8_lossy(&record).into_owned());
    assert!(details.into_iter().any(|details| details.contains("\"name\":\"new\"")));
}

#[test]
fn licences_that_make_the_directory_too_large_are_refused_from_a_feed() {
    let mut content = content_with_fees();
    let long =
        |number: usize, bytes: usize| changed(license(number, &[]), "description", json!("x".repeat(bytes)));
    // Some 590 of these licences are 8 MiB.
    let put: Vec<_> = (0..580).map(|number| long(1_000 + number, 14_000)).collect();
    assert_eq!(apply(&mut content, &[json!({"seq": 1, "put": put})]), [] as [String; 0]);
    let more: Vec<_> = (0..20).map(|number| long(2_000 + number, 14_000)).collect();
    let errors = apply(&mut content, &[json!({"seq": 2, "put": more})]);
    assert!((1..20).contains(&errors.len()), "{errors:?}");
    let kept = content.directory().to_vec();
    let errors = apply(&mut content, &[json!({"seq": 3, "put": [long(3_000, 14_000), customer(1, 5, 1)]})]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((content.directory(), content.delta().customers.len()), (kept.as_slice(), 1));
}

#[test]
fn a_strict_change_with_an_oversized_record_is_not_applied() {
    let mut content = content_with_fees();
    let long = changed(fixed()[2].clone(), "name", json!("x".repeat(15_000)));
    let licenses: Vec<_> = (0..620)
        .map(|number| changed(license(1_000 + number, &[]), "description", json!("x".repeat(14_000))))
        .collect();
    let longer = changed(license(910, &[]), "description", json!("x".repeat(17_000)));
    let details =
        changed(item(5, "t", &[]), "metadata", json!([{"id": 1, "name": "m", "value": "x".repeat(40_000)}]));
    for put in [vec![&long], licenses.iter().collect(), vec![&longer], vec![&details]] {
        let result = content.apply(&[parsed(1, &put, &[])], "feed", NOW, &mut Problems::default());
        assert!(matches!(result, Err(UpdateError::Change(_))), "{result:?}");
    }
    assert!(content.delta().items.is_empty());
}
