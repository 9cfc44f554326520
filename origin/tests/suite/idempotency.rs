//! `Idempotency-Key`: a write is made once, however often it is sent.

use std::thread;

use sha2::{Digest, Sha256};

use crate::support::{CUSTOMER, Origin, Response};

fn grant(origin: &Origin, key: &str, item_id: i64) -> Response {
    let form = format!("item_id={item_id}&consumer_id={CUSTOMER}&expires_at=2100-01-01T00:00:00Z");
    origin
        .ask("POST", "/items/access")
        .bearer(&origin.merchant())
        .header("idempotency-key", key)
        .form(&form)
        .send()
}

#[test]
fn a_repeated_write_gets_the_same_answer_and_changes_nothing() {
    let origin = Origin::start();
    let first = grant(&origin, "a", 5101).expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let seq = origin.seq();
    origin.write("PATCH", "/v2/items/5101", "title=Changed").expect(201);
    let again = grant(&origin, "a", 5101).expect(201);
    assert_eq!((again.text.as_str(), again.seq()), (first.text.as_str(), seq));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(origin.seq(), seq + 1);
    // A different key makes a different write.
    assert_ne!(grant(&origin, "b", 5101).expect(201).json()["id"], first.json()["id"]);
}

#[test]
fn the_key_of_another_request_is_refused() {
    let origin = Origin::start();
    grant(&origin, "a", 5101).expect(201);
    let seq = origin.seq() + 1;
    grant(&origin, "a", 5102).invalid(&["Idempotency-Key"]);
    let ask = |method, path: &str, form: &str| {
        origin.ask(method, path).bearer(&origin.merchant()).header("idempotency-key", "a").form(form).send()
    };
    ask("PATCH", "/v2/items/5101", "title=x").invalid(&["Idempotency-Key"]);
    ask("DELETE", "/v2/items/5101", "").invalid(&["Idempotency-Key"]);
    // The same body with another path, method or query.
    let other = |method, path: &str| {
        let ask = origin.ask(method, path).bearer(&origin.merchant()).header("idempotency-key", "b");
        ask.form("item_type=brightcove_asset&title=x").send()
    };
    other("PATCH", "/v2/items/5101").expect(201);
    other("PATCH", "/v2/items/5102").invalid(&["Idempotency-Key"]);
    other("PUT", "/v2/items/5101").invalid(&["Idempotency-Key"]);
    other("PATCH", "/v2/items/5101?x=y").invalid(&["Idempotency-Key"]);
    assert_eq!(origin.seq(), seq);
    // Each caller has keys of its own.
    let other = origin.ask("PATCH", "/v2/items/6201").bearer(&origin.other_merchant());
    other.header("idempotency-key", "a").form("title=x").send().expect(201);
}

#[test]
fn another_spelling_of_the_same_request_is_the_same_request() {
    let origin = Origin::start();
    let form = "application/x-www-form-urlencoded";
    let send = |content_type: &str, query: &str, body: &str| {
        let ask = origin.ask("POST", &format!("/items/access{query}")).bearer(&origin.merchant());
        ask.header("idempotency-key", "order-1").body(content_type, body).send().expect(201)
    };
    let until = "2100-01-01T00:00:00Z";
    let first = send(form, "", &format!("item_id=5101&consumer_id={CUSTOMER}&expires_at={until}"));
    let seq = origin.seq();
    for (content_type, query, body) in [
        // Another charset parameter, order and escape.
        (
            "application/x-www-form-urlencoded; charset=UTF-8",
            "",
            format!("item_id=5101&consumer_id={CUSTOMER}&expires_at={until}"),
        ),
        (form, "?", format!("expires_at=2100-01-01T00%3A00%3A00Z&consumer_id={CUSTOMER}&item_id=5101")),
        (form, "", format!("item_id=7&consumer_id={CUSTOMER}&expires_at={until}&item_id=5101")),
        // JSON instead of a form, with numbers as numbers or as text.
        (
            "application/json",
            "",
            format!(r#"{{"item_id": 5101, "consumer_id": "{CUSTOMER}", "expires_at": "{until}"}}"#),
        ),
        (
            "application/json",
            "",
            format!(
                "\u{feff}{{\"expires_at\": \"{until}\", \"item_id\": \"5101\", \"consumer_id\": {CUSTOMER}}}"
            ),
        ),
    ] {
        let again = send(content_type, query, &body);
        assert_eq!(
            (&again.text, again.header("idempotency-replayed")),
            (&first.text, Some("true")),
            "{body}"
        );
    }
    assert_eq!(origin.seq(), seq);
    // A further field, even an empty one, makes a different request.
    let ask =
        origin.ask("POST", "/items/access").bearer(&origin.merchant()).header("idempotency-key", "order-1");
    let body = format!("item_id=5101&consumer_id={CUSTOMER}&expires_at={until}&starts_at=");
    ask.form(&body).send().invalid(&["Idempotency-Key"]);
}

#[test]
fn an_answer_that_an_earlier_version_kept_is_still_given() {
    let origin = Origin::start();
    let first = grant(&origin, "a", 5101).expect(201);
    // The earlier version stored a hash of the request's bytes.
    let form = format!("item_id=5101&consumer_id={CUSTOMER}&expires_at=2100-01-01T00:00:00Z");
    let sent = format!("POST\0/items/access\0\0application/x-www-form-urlencoded\0{form}");
    let hash = Sha256::digest(sent.as_bytes()).to_vec();
    assert_eq!(origin.connection().execute("UPDATE idempotency SET request = ?1", [hash]).unwrap(), 1);
    assert_eq!(grant(&origin, "a", 5101).expect(201).text, first.text);
    grant(&origin, "a", 5102).invalid(&["Idempotency-Key"]);
}

#[test]
fn every_write_can_be_sent_again() {
    for (method, path, form, status) in [
        ("POST", "/v2/items", "item_type=jw_asset&title=x", 201),
        ("PUT", "/v2/items/5101", "item_type=jw_asset&title=x", 201),
        ("PATCH", "/v2/items/5101", "title=x", 201),
        ("DELETE", "/v2/items/5101", "", 201),
        ("POST", "/v2/items/5101/access-fees", "access_type_id=101&amount=1&currency=EUR&description=x", 201),
        (
            "PUT",
            "/v2/items/5101/access-fees/7013",
            "access_type_id=101&amount=1&currency=EUR&description=x",
            201,
        ),
        ("DELETE", "/v2/items/5101/access-fees/7013", "", 204),
        (
            "PATCH",
            "/v2/items/5101/access-fees/bulk",
            "access_fees[0][id]=0&access_fees[0][access_type_id]=101&access_fees[0][amount]=1&access_fees[0][currency]=EUR&access_fees[0][description]=x",
            201,
        ),
        ("PATCH", "/v2/items/packages/5005/bulk", "add_asset_ids[]=5101", 201),
        ("DELETE", "/items/5110/access?consumer_id=88002", "", 204),
    ] {
        let origin = Origin::start();
        let send = || {
            origin
                .ask(method, path)
                .bearer(&origin.merchant())
                .header("idempotency-key", "k-1")
                .form(form)
                .send()
        };
        let first = send().expect(status);
        let seq = origin.seq();
        let again = send().expect(status);
        assert_eq!((&again.text, again.seq()), (&first.text, first.seq()), "{method} {path}");
        assert_eq!(origin.seq(), seq, "{method} {path}");
    }
}

#[test]
fn a_refused_write_is_judged_again() {
    let origin = Origin::start();
    grant(&origin, "a", 999_999).refused(404, "Item not found");
    grant(&origin, "a", 5101).expect(201);
}

#[test]
fn an_answer_is_kept_for_72_hours() {
    let origin = Origin::start();
    let first = grant(&origin, "a", 5101).expect(201);
    origin.advance(72 * 3_600 - 1);
    assert_eq!(grant(&origin, "a", 5101).expect(201).text, first.text);
    origin.advance(1);
    assert_ne!(grant(&origin, "a", 5101).expect(201).json()["id"], first.json()["id"]);
}

#[test]
fn invalid_keys_are_refused() {
    let origin = Origin::start();
    for key in ["", &"x".repeat(256), "a\tb"] {
        grant(&origin, key, 5101).invalid(&["Idempotency-Key"]);
    }
    grant(&origin, &"x".repeat(255), 5101).expect(201);
}

#[test]
fn sent_many_times_at_once_it_is_made_once() {
    let origin = Origin::start();
    let seq = origin.seq();
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..12).map(|_| scope.spawn(|| grant(&origin, "a", 5101).expect(201).text)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(origin.seq(), seq + 1);
}
