use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: UnixSecs = 1_800_000_000;
const END: UnixSecs = NOW + 50;

fn answer(status: u16, body: &Value) -> UpstreamAnswer {
    let headers = vec![("content-type", "application/json".to_owned())];
    UpstreamAnswer { status, headers, body: body.to_string().into_bytes() }
}

fn permit(id: i64) -> Value {
    let context =
        json!({"reason": "item_access", "expires_at": END, "item": {"id": id, "merchant_id": 7}, "seq": 4});
    json!({"decision": true, "context": context})
}

fn denial(id: i64, reason: &str) -> Value {
    json!({"decision": false, "context": {"reason": reason, "item": {"id": id}}})
}

fn read(entries: Value, item_ids: &[i64]) -> Result<Vec<Result<Verdict, Unreadable>>, Unreadable> {
    verdicts(&answer(200, &json!({"evaluations": entries})), item_ids, None, NOW)
}

/// What a single entry beside a denial says, or the place of the problem with it.
fn one(entry: Value) -> Result<Verdict, &'static str> {
    let mut each = read(json!([denial(1, "no_grant"), entry]), &[1, 2]).unwrap();
    assert_eq!(each[0], Ok(Verdict::Denied));
    each.remove(1).map_err(|unreadable| unreadable.place)
}

#[test]
fn each_item_has_its_verdict() {
    let entries =
        json!([permit(1), denial(2, "expired"), denial(3, "unknown_item"), denial(4, "item_inactive")]);
    let expected = [Verdict::Permitted(END), Verdict::Denied, Verdict::NoItem, Verdict::NoItem];
    assert_eq!(read(entries, &[1, 2, 3, 4]), Ok(expected.map(Ok).into()));
}

#[test]
fn spellings_are_those_of_a_check() {
    let with = |name: &str, value: Value| {
        let mut entry = permit(2);
        entry["context"][name] = value;
        one(entry)
    };
    assert_eq!(with("expires_at", json!("2027-01-15T08:00:50Z")), Ok(Verdict::Permitted(END)));
    assert_eq!(with("expires_at", json!(null)), Ok(Verdict::Permitted(crate::instant::LATEST)));
    assert_eq!(with("item", json!({"id": "2", "merchant_id": "7"})), Ok(Verdict::Permitted(END)));
    assert_eq!(with("starts_at", json!(null)), Ok(Verdict::Permitted(END)));
    for (name, value, place) in [
        ("expires_at", json!(NOW), "expires_at"),
        ("expires_at", json!(END * 1_000), "expires_at"),
        ("expires_at", json!([]), "expires_at"),
        ("starts_at", json!(NOW + 1), "starts_at"),
        ("error", json!({"status": 503}), "context.error"),
        ("item", json!({}), "context.item.id"),
        ("item", json!(2), "context.item.id"),
    ] {
        assert_eq!(with(name, value.clone()), Err(place), "{name} {value}");
    }
}

/// Nothing but a clear permit grants, and nothing but a clear denial denies.
#[test]
fn an_odd_entry_tells_nothing_of_its_item_and_leaves_the_others() {
    for (entry, place) in [
        (json!(null), "context"),
        (json!(true), "context"),
        (json!({"decision": true}), "context"),
        (json!({"decision": false}), "context"),
        (json!({"decision": true, "context": {}}), "context.item.id"),
        (json!({"decision": false, "context": {"reason": "no_grant"}}), "context.item.id"),
        (json!({"decision": false, "context": {"error": {"status": 503}}}), "context.error"),
        (json!({"decision": true, "context": {"item": {"id": 2}}}), "expires_at"),
        (json!({"decision": false, "context": {"item": {"id": 2}}}), "context.reason"),
        (denial(2, "unknown_action"), "context.reason"),
        (denial(2, "unknown_subject_type"), "context.reason"),
        (json!({"decision": "true", "context": permit(2)["context"]}), "decision"),
        (json!({"decision": 1, "context": permit(2)["context"]}), "decision"),
        (json!({"context": permit(2)["context"]}), "decision"),
    ] {
        assert_eq!(one(entry.clone()), Err(place), "{entry}");
    }
}

#[test]
fn an_answer_to_another_question_is_none() {
    let whole = |status: u16, body: &Value| {
        verdicts(&answer(status, body), &[1, 2], None, NOW).map_err(|unreadable| unreadable.place)
    };
    let entries = |entries: Value| json!({"evaluations": entries});
    for (body, place) in [
        (json!(null), "evaluations"),
        (json!([]), "evaluations"),
        (json!({"evaluations": {}}), "evaluations"),
        // As a single question is answered.
        (permit(1), "evaluations"),
        (entries(json!([])), "evaluations"),
        (entries(json!([permit(1)])), "evaluations"),
        (entries(json!([permit(1), permit(2), permit(3)])), "evaluations"),
        (entries(json!([permit(2), permit(1)])), "context.item.id"),
        (entries(json!([permit(1), permit(1)])), "context.item.id"),
        (entries(json!([permit(1), denial(3, "no_grant")])), "context.item.id"),
        // Not one that can be read: another service's answer, or of an origin that knows no such subject.
        (entries(json!([{"decision": true}, {"decision": false}])), "context"),
        (entries(json!([denial(1, "unknown_action"), denial(2, "unknown_action")])), "context.reason"),
    ] {
        assert_eq!(whole(200, &body), Err(place), "{body}");
    }
    let good = entries(json!([permit(1), permit(2)]));
    assert!(whole(200, &good).is_ok());
    for status in [201, 202, 302, 400, 401, 402, 403, 404, 429, 500, 503] {
        assert_eq!(whole(status, &good), Err("status"));
    }
    let page = UpstreamAnswer { headers: vec![("content-type", "text/html".into())], ..answer(200, &good) };
    assert!(verdicts(&page, &[1, 2], None, NOW).is_err());
}

#[test]
fn an_issuer_of_some_merchants_opens_nothing_of_others() {
    let read = |merchants: &[i64]| {
        let body = json!({"evaluations": [permit(1), denial(2, "no_grant")]});
        verdicts(&answer(200, &body), &[1, 2], Some(merchants), NOW).unwrap().remove(0)
    };
    assert_eq!(read(&[7, 8]), Ok(Verdict::Permitted(END)));
    assert_eq!(read(&[8]).unwrap_err().place, "item.merchant_id");
}

#[test]
fn the_question_names_the_customer_and_every_item() {
    let principal = Principal::named("vendor:x", "a\"\\\u{1}ü:b");
    let body: Value = serde_json::from_str(&body(&principal, &[5, i64::MAX])).unwrap();
    let item = |id: &str| json!({"resource": {"type": "item", "id": id}});
    let expected = json!({
        "subject": {"type": "customer", "id": "vendor:x:a\"\\\u{1}ü:b"},
        "action": {"name": "play"},
        "evaluations": [item("5"), item("9223372036854775807")],
    });
    assert_eq!(body, expected);
}

#[test]
fn a_route_is_absent_for_two_minutes_and_one_customer_cannot_make_it_so() {
    let mut route = EvaluationsRoute::default();
    assert!(route.may_be_asked(0));
    route.is_absent(1_000);
    let later = 1_000 + EVALUATIONS_AGAIN_MS;
    assert!(!route.may_be_asked(later - 1) && route.may_be_asked(later));
    for _ in 0..100 {
        route.failed(1, later);
        route.failed(2, later);
    }
    assert!(route.may_be_asked(later));
    route.is_there();
    route.failed(3, later);
    assert!(route.may_be_asked(later), "others were answered since");
    route.failed(1, later);
    route.failed(2, later);
    assert!(!route.may_be_asked(later));
    assert!(route.unanswered.is_empty(), "bounded");
}

proptest! {
    /// Whatever comes: no panic, and a permit only for an entry that says `true` of its item.
    #[test]
    fn any_answer_is_read(
        status in prop_oneof![Just(200_u16), any::<u16>()],
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "[\\[\\]{}:,\"a-z0-9]{0,60}".prop_map(String::into_bytes),
        ],
        ids in proptest::collection::vec(1_i64..4, 2..4),
        decisions in proptest::collection::vec((any::<bool>(), 1_i64..4), 2..4),
    ) {
        let odd = UpstreamAnswer { status, headers: Vec::new(), body };
        prop_assert!(verdicts(&odd, &ids, None, NOW).is_err());
        let entry = |(decision, id): &(bool, i64)| if *decision { permit(*id) } else { denial(*id, "expired") };
        let entries: Vec<_> = decisions.iter().map(entry).collect();
        if let Ok(each) = read(json!(entries), &ids) {
            for ((verdict, id), (decision, of)) in each.iter().zip(&ids).zip(&decisions) {
                prop_assert_eq!(id, of);
                prop_assert_eq!(verdict == &Ok(Verdict::Permitted(END)), *decision);
            }
        }
    }
}
