//! The export and the change feed.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use origin::{db, db::changes};
use serde_json::json;

use crate::support::{Ask, CUSTOMER_SUBJECT, FEED_SECRET, Origin, command};

#[test]
fn only_the_feed_secret_and_permitted_tokens_read_the_feed() {
    let origin = Origin::start();
    for path in ["/export", "/changes?after=1", "/changes"] {
        let ask = || origin.ask("GET", path);
        ask().send().refused(401, "Invalid auth token");
        ask().bearer("feed-secret-feed-secret-feed-secreT").send().refused(401, "Invalid auth token");
        ask().bearer(&origin.merchant()).send().refused(403, "Invalid privileges");
        // `rights.rs` tests which issuers' tokens can read the feed.
        let claims = json!({"sub": "x", "scope": "openid feed:read"});
        ask().bearer(&origin.token(claims)).send().refused(403, "Invalid privileges");
        ask().bearer(FEED_SECRET).send().expect(200);
        origin.ask("POST", path).bearer(FEED_SECRET).send().refused(405, "Method not allowed");
    }
    let closed = Origin::with(|settings| settings.feed_secret = None);
    closed.feed("/export").refused(401, "Invalid auth token");
}

#[test]
fn the_export_is_what_was_imported_with_fixed_moments() {
    let origin = Origin::start();
    let answer = origin.feed("/export").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = answer.lines();
    assert_eq!(lines[0], json!({"type": "snapshot", "seq": 1, "as_of": origin.now()}));
    let count = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    let counts = ["merchant", "app", "license", "access_type", "item", "customer"].map(count);
    assert_eq!(counts, [2, 4, 18, 10, 60, 32]);
    assert!(!answer.text.contains("\"now"), "no moment is relative");
    assert_eq!(lines[1]["name"], "Fernhollow");
    // Without `after`, the feed is the export.
    assert_eq!(origin.feed("/changes").expect(200).text, answer.text);
}

#[test]
fn changes_come_in_order_each_once() {
    let origin = Origin::start();
    let first = origin.seq();
    assert_eq!(origin.feed(&format!("/changes?after={first}")).expect(200).text, "");
    origin.grant(5101).expect(201);
    origin.write("PATCH", "/v2/items/5102", "title=Changed").expect(201);
    let answer = origin.feed(&format!("/changes?after={first}")).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert!(answer.text.ends_with('\n'));
    let lines = answer.lines();
    assert_eq!((&lines[0]["seq"], &lines[1]["seq"], lines.len()), (&json!(first + 1), &json!(first + 2), 2));
    assert_eq!(lines[0]["put"][0]["subject"], CUSTOMER_SUBJECT);
    assert_eq!(lines[0]["put"][0]["accesses"][0]["item_id"], 5101);
    assert_eq!(
        (&lines[1]["put"][0]["type"], &lines[1]["put"][0]["title"]),
        (&json!("item"), &json!("Changed"))
    );
    assert_eq!((&lines[0]["remove"], &lines[0]["as_of"]), (&json!([]), &json!(origin.now())));
    // A follower can use one address for both.
    assert_eq!(origin.feed(&format!("/export?after={first}")).expect(200).text, answer.text);
    let rest = origin.feed(&format!("/changes?after={}", first + 1)).expect(200).lines();
    assert_eq!(rest, lines[1..]);
    for after in ["-1", "x", "", "1.5"] {
        origin.feed(&format!("/changes?after={after}")).invalid(&["after"]);
    }
}

#[test]
fn a_missing_history_is_gone() {
    let gone = "The history before is gone: read the export";
    let origin = Origin::start();
    let first = origin.seq();
    // Imported records are not in the log.
    let refused = origin.feed("/changes?after=0");
    // By the same headers as any other answer: the log knows it by its id.
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    assert!(refused.header("x-request-id").is_some_and(|id| !id.is_empty()));
    refused.refused(410, gone);
    origin.feed(&format!("/changes?after={}", first + 1)).refused(410, gone);
    for _ in 0..3 {
        origin.grant(5101).expect(201);
    }
    changes::cut_before(&origin.connection(), first + 2).unwrap();
    origin.feed(&format!("/changes?after={}", first + 1)).refused(410, gone);
    assert_eq!(origin.feed(&format!("/changes?after={}", first + 2)).expect(200).lines().len(), 1);
    // A cut beyond the last change does nothing.
    changes::cut_before(&origin.connection(), first + 9).unwrap();
    assert_eq!(origin.seq(), first + 3);
    assert_eq!(origin.feed(&format!("/changes?after={}", first + 3)).expect(200).text, "");
}

#[test]
fn the_log_keeps_to_its_configured_bounds() {
    let origin = Origin::with(|settings| settings.keep_changes.changes = 5);
    let connection = origin.connection();
    connection.execute("UPDATE state SET seq = 997, history_from = 990", []).unwrap();
    for seq in 991..=997 {
        let sql = "INSERT INTO changes (seq, as_of, touched_json) VALUES (?1, ?2, '[]')";
        connection.execute(sql, [seq, origin.now()]).unwrap();
    }
    origin.grant(5101).expect(201);
    origin.grant(5101).expect(201);
    assert_eq!(origin.feed("/changes?after=990").expect(200).lines().len(), 9);
    assert_eq!(origin.grant(5101).expect(201).seq(), 1_000);
    assert_eq!(origin.feed("/changes?after=994").status, 410);
    assert_eq!(origin.feed("/changes?after=995").expect(200).lines().len(), 5);
    let count: i64 = connection.query_row("SELECT count(*) FROM changes", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 5);
}

#[test]
fn a_waiting_reader_is_answered_at_the_change() {
    let origin = Origin::start();
    let (seq, url) = (origin.seq(), origin.url.clone());
    let waiting = thread::spawn(move || {
        Ask::new("GET", format!("{url}/changes?after={seq}"))
            .bearer(FEED_SECRET)
            .header("prefer", "wait=50")
            .send()
    });
    // The same answer whether the change was made before the request arrived or while it waited.
    origin.grant(5101).expect(201);
    let answer = waiting.join().unwrap().expect(200);
    assert_eq!(answer.lines()[0]["seq"], seq + 1);
    assert_eq!(answer.header("preference-applied"), Some("wait=50"));
    // Without a change for a second, the answer is empty.
    let path = format!("/changes?after={}", seq + 1);
    let nothing = origin.ask("GET", &path).bearer(FEED_SECRET).header("prefer", "wait=1").send().expect(200);
    assert_eq!(nothing.text, "");
    assert_eq!(
        origin.ask("GET", &path).bearer(FEED_SECRET).send().expect(200).header("preference-applied"),
        None
    );
}

#[test]
fn a_waiting_reader_sees_other_processes_and_holds_up_no_shutdown() {
    let mut origin = Origin::start();
    let (seq, url) = (origin.seq(), origin.url.clone());
    let ask = move |after: u64| {
        Ask::new("GET", format!("{url}/changes?after={after}"))
            .bearer(FEED_SECRET)
            .header("prefer", "wait=50")
            .send()
    };
    let other = ask.clone();
    let waiting = thread::spawn(move || other(seq));
    let mut connection = origin.connection();
    let transaction = connection.transaction().unwrap();
    changes::PendingChange::default().log(&transaction, 0).unwrap();
    transaction.commit().unwrap();
    let line = waiting.join().unwrap().expect(200).lines().remove(0);
    assert_eq!(line, json!({"seq": seq + 1, "as_of": 0, "put": [], "remove": []}));
    let waiting = thread::spawn(move || ask(seq + 1));
    // The request is at least accepted before the server stops.
    thread::sleep(Duration::from_millis(300));
    origin.restart();
    assert_eq!(waiting.join().unwrap().expect(200).text, "");
    assert_eq!(origin.feed(&format!("/changes?after={seq}")).expect(200).lines().len(), 1);
}

#[test]
fn an_export_that_breaks_off_is_not_taken_for_whole() {
    let origin = Origin::start();
    let sql = "UPDATE customers SET merchant_id = merchant_id WHERE key = 1";
    origin.connection().execute(sql, []).unwrap();
    // An unreadable record in the middle.
    let sql = "UPDATE customer_licenses SET license_json = '{' WHERE customer_key = 1";
    assert!(origin.connection().execute(sql, []).unwrap() > 0);
    let mut stream = TcpStream::connect(origin.url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "GET /export HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {FEED_SECRET}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    // A complete answer ends with an empty chunk.
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
}

#[test]
fn an_export_is_of_one_moment_while_others_write() {
    let origin = Origin::start();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..30 {
                origin.grant(5101).expect(201);
            }
        });
        for _ in 0..10 {
            let lines = origin.feed("/export").expect(200).lines();
            let granted = lines.iter().find(|line| line["subject"] == CUSTOMER_SUBJECT).unwrap();
            let count = granted["accesses"].as_array().unwrap().len() as u64;
            assert_eq!(lines[0]["seq"], 1 + count);
        }
    });
    assert_eq!(db::seq(&origin.connection()).unwrap(), 31);
}

#[test]
fn customers_come_and_go() {
    let origin = Origin::start();
    let seq = origin.seq();
    let name = ["--customer", "vendor:5b1d0a9e-7a30-4f3c-9a3e-2f0f6d3f8a11"];
    let id = command(&origin, &[&["customer", "add", "--merchant", "2101"], &name[..]].concat(), "").unwrap();
    assert!(command(&origin, &[&["customer", "add", "--merchant", "2101"], &name[..]].concat(), "").is_err());
    assert!(command(&origin, &["customer", "add", "--merchant", "1", "--customer", "vendor:x"], "").is_err());
    assert!(
        command(&origin, &["customer", "add", "--merchant", "2101", "--customer", "vendor:"], "").is_err()
    );
    let grant = format!("item_id=5101&consumer_id={id}&expires_at=2100-01-01T00:00:00Z");
    origin.write("POST", "/items/access", &grant).expect(201);
    command(&origin, &[&["customer", "remove"], &name[..]].concat(), "").unwrap();
    assert!(command(&origin, &[&["customer", "remove"], &name[..]].concat(), "").is_err());
    let subject = "5b1d0a9e-7a30-4f3c-9a3e-2f0f6d3f8a11";
    let changes = origin.feed(&format!("/changes?after={seq}")).expect(200);
    // For a removed customer, the log has only the name, which followers need.
    assert_eq!(changes.text.matches(subject).count(), 1, "{}", changes.text);
    let changes = changes.lines();
    let gone = json!([{"type": "customer", "namespace": "vendor", "subject": subject}]);
    assert_eq!((changes.len(), &changes[2]["put"], &changes[2]["remove"]), (3, &json!([]), &gone));
    origin.write("POST", "/items/access", &grant).invalid(&["consumer_id"]);
}
