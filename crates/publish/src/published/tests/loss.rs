//! What counts as lost.

use super::*;

#[test]
fn losses_are_counted_by_their_effect() {
    let case = Case::new();
    let losses = |outcome: BuildOutcome| {
        let after = outcome.built.unwrap();
        let (before, after) = (case.store.published(&case.before), case.store.published(&after));
        Losses::between(&before, &after, NOW).unwrap()
    };
    let all = |before| Loss { before, gone: before };
    let none = losses(case.publish(&text(&business())));
    assert!(none.named().iter().all(|(_, loss)| loss.gone == 0));
    assert_eq!((none.customers.before, none.accesses.before, none.items.before), (100, 200, 5));
    let no_accesses =
        losses(case.with(|line| line["type"] == "customer", |line| line["accesses"] = json!([])));
    assert_eq!((no_accesses.accesses, no_accesses.customers.gone), (all(200), 0));
    let expired = losses(
        case.with(|line| line["type"] == "customer", |line| line["accesses"][0]["expires_at"] = json!(NOW)),
    );
    assert_eq!(expired.accesses, Loss { before: 200, gone: 100 });
    let renamed = losses(case.with(|line| line["type"] == "customer", |line| line["namespace"] = json!("V")));
    assert_eq!((renamed.customers, renamed.accesses), (all(100), all(200)));
    let inactive = losses(case.with(|line| line["type"] == "item", |line| line["is_active"] = json!(false)));
    assert_eq!((inactive.items, inactive.unlocks), (all(5), all(6)));
    let unlocked = losses(case.with(|line| line["type"] == "license", |line| line["item_ids"] = json!([])));
    assert_eq!(unlocked.unlocks, Loss { before: 6, gone: 4 });
    let drafted = losses(case.with(|line| line["type"] == "license", |line| line["status"] = json!("draft")));
    assert_eq!(drafted.licenses, all(1));
}

#[test]
fn a_loss_caused_by_another_record_is_counted() {
    let store = Store::default();
    let held = json!([{"license_id": LICENSE, "license_type": "SINGLE", "name": "l", "status": "ACTIVE",
        "renew_status": "RENEW", "interval_length": 1, "interval_unit": "MONTHS", "date_added": 0}]);
    let built = |of: &str, change: &dyn Fn(&mut Value)| {
        let mut lines = business();
        lines.push(merchant(22));
        for line in lines.iter_mut().filter(|line| line["type"] == "customer") {
            line["licenses"] = held.clone();
        }
        lines.iter_mut().filter(|line| line["type"] == of).for_each(change);
        build(&store, None, &text(&lines)).built.unwrap()
    };
    let before = built("", &|_| {});
    let losses = |of: &str, change: &dyn Fn(&mut Value)| {
        let after = built(of, change);
        Losses::between(&store.published(&before), &store.published(&after), NOW).unwrap()
    };
    let all = |before| Loss { before, gone: before };
    let held = losses("", &|_| {});
    assert!(held.named().iter().all(|(_, loss)| loss.gone == 0 && loss.before > 0), "{held}");
    let subscriptions = held.subscriptions.before;
    let other = losses("customer", &|line| line["merchant_id"] = json!(22));
    assert_eq!((other.customers.gone, other.accesses), (0, all(200)));
    assert_eq!(other.subscriptions, all(subscriptions));
    let later = losses("customer", &|line| line["accesses"][0]["starts_at"] = json!(NOW + 1));
    assert_eq!(later.accesses, Loss { before: 200, gone: 100 });
    let later = losses("customer", &|line| line["licenses"][0]["starts_at"] = json!(NOW + 1));
    assert_eq!(later.subscriptions, all(subscriptions));
    let inactive = losses("item", &|line| line["is_active"] = json!(line["id"] != 1));
    assert_eq!(inactive.accesses, Loss { before: 200, gone: 100 });
    // Members of an inactive package stay unlocked.
    let inactive = losses("item", &|line| line["is_active"] = json!(line["id"] != 40));
    assert_eq!(inactive.accesses.gone, 0);
    for (field, value) in [("test_mode", json!(true)), ("status", json!("draft"))] {
        let hidden = losses("license", &|line| line[field] = value.clone());
        assert_eq!((hidden.licenses, hidden.subscriptions), (all(1), all(subscriptions)), "{field}");
    }
    let clients =
        [json!([]), json!([{"client_id": "c", "mode": "test"}]), json!([{"client_id": "d", "mode": "live"}])];
    for clients in clients {
        assert_eq!(losses("app", &|line| line["clients"] = clients.clone()).clients, all(1), "{clients}");
    }
}

#[test]
fn a_grant_without_effect_is_not_counted_as_lost() {
    let store = Store::default();
    let dead = |mut lines: Vec<Value>| {
        for line in lines.iter_mut().filter(|line| line["type"] == "customer") {
            line["accesses"][0]["item_id"] = json!(99);
            line["accesses"][1]["starts_at"] = json!(NOW + 1);
        }
        build(&store, None, &text(&lines)).built.unwrap()
    };
    let (before, mut lines) = (dead(business()), business());
    lines.iter_mut().filter(|line| line["type"] == "customer").for_each(|line| line["accesses"] = json!([]));
    let after = build(&store, None, &text(&lines)).built.unwrap();
    for after in [&before, &after] {
        let losses = Losses::between(&store.published(&before), &store.published(after), NOW).unwrap();
        assert_eq!(losses.accesses, Loss::default());
    }
}

#[test]
fn a_large_snapshot_is_compared_by_a_sample() {
    let store = Store::default();
    let lines = |namespace: &str| {
        let mut lines = business();
        lines.extend((100..40_000).map(|number| customer(number, &[1, 2, 3, 4, 40])));
        for line in lines.iter_mut().filter(|line| line["type"] == "customer") {
            let is_other = line["id"].as_i64().unwrap() % 3 == 0;
            line["namespace"] = json!(if is_other { namespace } else { "v" });
        }
        text(&lines)
    };
    let before = build(&store, None, &lines("v")).built.unwrap();
    let after = build(&store, None, &lines("other")).built.unwrap();
    let losses = Losses::between(&store.published(&before), &store.published(&after), NOW).unwrap();
    assert!(losses.sample.0 < losses.sample.1, "{losses}");
    let share = losses.customers.gone as f64 / losses.customers.before as f64;
    assert!((0.31..0.36).contains(&share) && !losses.customers.is_most(), "{losses}");
}
