//! How the origin's answers to checks are read, in every form that origins write. An answer that does not
//! tell is not a denial.

use serde_json::{Value, json};

use crate::faults::{
    edge::{CUSTOMER, START},
    origin::{Pair, UNTIL, access, answer, denial},
};

fn json_of(body: &admit::api::reply::Body) -> Value {
    serde_json::from_slice(body.as_bytes()).unwrap()
}

/// A server that answers in the origin's place lets no customer in, logs no viewer out, and removes no item.
#[test]
fn answers_that_are_not_the_origins_own_change_nothing() {
    let mut foreign = access(1);
    foreign["item"]["id"] = 2.into();
    let mut expired = access(1);
    expired["expires_at"] = START.into();
    let mut without_end = access(1);
    without_end.as_object_mut().unwrap().remove("expires_at");
    let mut in_milliseconds = access(1);
    in_milliseconds["expires_at"] = (UNTIL * 1_000).into();
    let mut not_begun = access(1);
    not_begun["starts_at"] = (START + 1).into();
    let page = |status| {
        let mut page = answer(status, &access(1));
        page.headers = vec![("content-type", "text/html".to_owned())];
        page
    };
    let mut redirect = answer(302, &access(1));
    redirect.headers.push(("retry-after", "1".to_owned()));
    let mut cut = answer(200, &access(1));
    cut.body.truncate(50);
    let cases = [
        ("another item's access", answer(200, &foreign)),
        ("an access that is over", answer(200, &expired)),
        ("an access that says nothing of its end", answer(200, &without_end)),
        ("an access in milliseconds", answer(200, &in_milliseconds)),
        ("an access that has not begun", answer(200, &not_begun)),
        ("an empty object", answer(200, &json!({}))),
        ("an array", answer(200, &json!([access(1)]))),
        ("half of a body", cut),
        ("a page", page(200)),
        ("a page that denies", page(402)),
        (
            "a hosting provider's 402",
            answer(402, &json!({"error": {"code": "402", "message": "DEPLOYMENT_DISABLED"}})),
        ),
        ("a 402 that says nothing", answer(402, &Value::Null)),
        ("a page that forbids", page(403)),
        ("a page that is not found", page(404)),
        ("another kind of not found", denial(404, "Route not found")),
        ("a bad token", denial(401, "Invalid auth token")),
        ("a wrong role", denial(403, "Invalid privileges")),
        ("a redirect", redirect),
        ("a failure", denial(500, "Oops")),
        ("too many", denial(429, "Slow down")),
        ("an access with another status", answer(201, &access(1))),
        ("no content", admit::ports::UpstreamAnswer { status: 204, ..Default::default() }),
    ];
    for (name, given) in cases {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |_| given.clone());
        let reply = pair.check(CUSTOMER, 1);
        assert_eq!((reply.status, reply.reason.as_ref()), (402, "no_grant"), "{name}");
        assert_eq!(json_of(&reply.body)["message"], "No access", "{name}");
        assert_eq!(pair.status(50), 404, "{name}: an unknown item");
        let lines = pair.edge.platform().memory_log().take();
        let told = lines.iter().filter(|line| line.contains(r#""event":"origin""#)).count();
        assert!(told > 0, "{name}: {lines:?}");
    }
}

/// An unpaid host answers 402 as well. Without a snapshot that is not a denial.
#[test]
fn a_402_of_another_server_is_not_a_denial() {
    for given in [json!({"error": {"code": "402", "message": "DEPLOYMENT_DISABLED"}}), Value::Null] {
        let pair = Pair::without_snapshot(&[]);
        pair.origin().serve(move |_| answer(402, &given));
        for asked in 1..=3 {
            let reply = pair.check(CUSTOMER, 1);
            assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
            assert_eq!(pair.asked(), asked, "not remembered");
        }
        let lines = pair.edge.platform().memory_log().take();
        assert!(lines.iter().any(|line| line.contains("neither the code 402")), "{lines:?}");
    }
}

/// An unreadable answer is not a denial: it is logged with its place, the snapshot answers, and the next
/// check asks again. The viewer, who has paid, is let in as soon as the origin answers in a readable form.
#[test]
fn an_unreadable_answer_is_not_remembered_as_a_denial() {
    for (name, value, problem) in [
        ("expires_at", json!([UNTIL]), "expires_at must be unix seconds or a time"),
        ("expires_at", json!("soon"), "expires_at must be unix seconds or a time"),
        ("expires_at", json!(UNTIL * 1_000), "expires_at looks like milliseconds"),
        ("item", json!({"id": "one"}), "item.id must be 1, not text"),
    ] {
        let pair = Pair::new(&[]);
        let mut odd = access(1);
        odd[name] = value;
        let served = odd.clone();
        pair.origin().serve(move |_| {
            let mut answer = answer(200, &served);
            answer.headers.push(("entitlement-seq", "9".to_owned()));
            answer
        });
        for _ in 0..3 {
            let reply = pair.check(CUSTOMER, 1);
            assert_eq!((reply.status, reply.header("entitlement-seq")), (402, None), "{odd}: the snapshot's");
        }
        assert_eq!(pair.asked(), 3, "{odd}");
        let lines = pair.edge.platform().memory_log().take();
        let told: Vec<_> = lines.iter().filter(|line| line.contains(r#""event":"origin""#)).collect();
        assert!(
            told.len() == 1 && told[0].contains(problem) && told[0].contains(r#""request_id":""#),
            "{told:?}"
        );
        pair.edge.advance_secs(10);
        assert_eq!((pair.status(1), pair.asked()), (402, 4));
        let lines = pair.edge.platform().memory_log().take();
        assert!(
            lines.iter().any(|line| line.contains(problem) && line.contains(r#""times":3"#)),
            "{lines:?}"
        );
        pair.origin().serve(move |_| answer(200, &access(1)));
        assert_eq!(pair.status(1), 200, "{odd}: the readable answer counts");
        // Without a snapshot the answer is unknown.
        let pair = Pair::without_snapshot(&[]);
        pair.origin().serve(move |_| answer(200, &odd));
        let reply = pair.check(CUSTOMER, 1);
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
    }
}

/// Every form in which an origin may grant access.
#[test]
fn a_grant_in_any_spelling_lets_the_viewer_in() {
    for (name, value, shown) in [
        ("expires_at", Value::Null, json!(253_402_300_799_i64)),
        ("expires_at", json!(UNTIL.to_string()), json!(UNTIL)),
        ("expires_at", json!(1_800_050_000.0), json!(UNTIL)),
        ("expires_at", json!("2027-01-15T21:53:20Z"), json!(UNTIL)),
        ("item", json!({"id": "1"}), json!({"id": 1})),
        ("item", json!({"id": 1.0, "merchant_id": "7"}), json!({"id": 1, "merchant_id": 7})),
        ("id", json!("44"), json!(44)),
    ] {
        let pair = Pair::new(&[]);
        let mut odd = access(1);
        odd[name] = value;
        pair.origin().serve(move |_| {
            let mut answer = answer(200, &odd);
            answer.headers = vec![
                ("content-type", "Application/Hal+JSON".to_owned()),
                ("entitlement-seq", "x".to_owned()),
            ];
            answer.body.splice(..0, *b"\xef\xbb\xbf");
            answer
        });
        let reply = pair.check(CUSTOMER, 1);
        assert_eq!((reply.status, reply.header("entitlement-seq")), (200, None), "{shown}");
        assert_eq!(json_of(&reply.body)[name], shown);
        assert_eq!((pair.status(1), pair.asked()), (200, 1), "remembered");
    }
}

#[test]
fn an_origin_that_has_too_much_to_do_is_left_alone_as_long_as_it_says() {
    let pair = Pair::new(&[]);
    pair.origin().serve(|_| {
        let mut answer = denial(429, "Slow down");
        answer.headers.push(("retry-after", "7".to_owned()));
        answer
    });
    assert_eq!((pair.status(1), pair.asked()), (402, 1));
    pair.edge.platform().clock().advance_ms(6_999);
    assert_eq!((pair.status(1), pair.asked()), (402, 1));
    pair.edge.platform().clock().advance_ms(1);
    assert_eq!((pair.status(1), pair.asked()), (402, 2));
}

#[test]
fn a_pause_may_be_a_date_or_have_a_fraction() {
    for value in ["Fri, 15 Jan 2027 08:00:07 GMT", "6.5"] {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |_| {
            let mut answer = denial(429, "Slow down");
            answer.headers.push(("retry-after", value.to_owned()));
            answer
        });
        assert_eq!((pair.status(1), pair.asked()), (402, 1));
        pair.edge.platform().clock().advance_ms(6_999);
        assert_eq!((pair.status(1), pair.asked()), (402, 1), "{value}");
        pair.edge.platform().clock().advance_ms(1);
        assert_eq!((pair.status(1), pair.asked()), (402, 2), "{value}");
    }
}
