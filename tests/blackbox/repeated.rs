//! Repeats the same requests in any order. Each answer must equal the first one, whatever else was asked in
//! between, until the next publish. The Worker keeps answers, and no client may notice.

use std::collections::HashSet;

use super::{
    catalogue,
    check::{Pages, problems},
    subject::Subject,
    wire::{Answer, Wire},
};

const VIEWERS: [&str; 6] =
    ["subscriber", "item-buyer", "package-owner", "never-bought", "unknown-customer", "several-grants"];

/// Rounds of requests; a round is as long as the list of questions.
const ROUNDS: usize = 12;

/// Checks that differ in one thing that the answer may depend on, or in one that it must not depend on.
fn questions(subject: &dyn Subject) -> Vec<Wire> {
    let mut questions = Vec::new();
    for viewer in VIEWERS {
        let token = subject.token(viewer);
        for item in [5101, 5110, 5120, 5999] {
            questions.push(Wire::get(&format!("/items/{item}/access")).bearer(&token));
        }
    }
    // All granted, some of them, and none.
    for (viewer, items) in [
        ("subscriber", "5110,5101"),
        ("subscriber", "5101,5999"),
        ("item-buyer", "5101"),
        ("never-bought", "5110,5120"),
    ] {
        questions.push(Wire::get(&format!("/access?items={items}")).bearer(&subject.token(viewer)));
    }
    let one = || Wire::get("/items/5101/access").bearer(&subject.token("subscriber"));
    questions.extend([
        one(),
        one().country("SE"),
        one().country("GB"),
        one().header("CF-Connecting-IP", "198.51.100.1"),
        one().header("CF-Connecting-IP", "2001:db8::1"),
        one().header("CF-Connecting-IP", "2001:db8::1").country("SE"),
        one().head(),
        one().header("Origin", "https://tv.example"),
        one().header("Origin", "https://www.tv.example"),
        one().header("Origin", "https://evil.example"),
        Wire::get("/items/5101/access?_=1").bearer(&subject.token("subscriber")),
        Wire::get("/items/5101").bearer(&subject.token("subscriber")),
        Wire::get("/license").bearer(&subject.token("subscriber")),
        Wire::get("/items/5101/access/").bearer(&subject.token("subscriber")),
        Wire::get("/items/5101/access"),
        Wire::get("/items/5101/access").header("Authorization", "Bearer"),
        Wire::get("/items/5101/access").bearer(&subject.token("subscriber")[1..]),
        Wire::get("/items/5101/access").header("Authorization", subject.token("subscriber")),
        Wire::get("/items/5101/access")
            .header("Entitlement-Min-Seq", "1")
            .bearer(&subject.token("subscriber")),
        Wire::get("/items/5101/access").bearer(&subject.token("expired-token")),
    ]);
    questions
}

/// The part of an answer that must be equal: without the request id and the timing.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !matches!(name.as_str(), "x-request-id" | "server-timing" | "date"));
    headers.sort();
    (answer.status, headers, answer.body.clone())
}

/// For `CORS_ORIGINS=*`.
pub const fn any_page(_: &Wire) -> Pages {
    Pages::All
}

/// For [`ORIGINS`](super::configured::ORIGINS).
pub fn listed(wire: &Wire) -> Pages {
    let origin = wire.headers.iter().find(|(name, _)| name == "Origin").map(|(_, value)| value.as_slice());
    match origin {
        Some(b"https://tv.example") => Pages::Listed("https://tv.example"),
        Some(b"https://www.tv.example") => Pages::Listed("https://www.tv.example"),
        _ => Pages::NotListed,
    }
}

/// Runs the requests. Returns their number. `pages` tells which page an answer is for.
pub fn run(subject: &dyn Subject, pages: fn(&Wire) -> Pages) -> usize {
    let questions = questions(subject);
    let mut ids = HashSet::new();
    let mut sent = 0;
    let mut ask = |wire: &Wire| {
        let answer = subject.send(wire);
        let at = format!("{} {:?} -> {}", wire.describe(), wire.headers.last(), answer.status);
        assert_eq!(problems(wire, &answer, pages(wire)), [""; 0], "{at}");
        assert!(
            ids.insert(answer.header("x-request-id").unwrap().to_owned()),
            "{at}: an id that was there before"
        );
        sent += 1;
        answer
    };
    let mut all = Vec::new();
    for seq in 1..=3 {
        if seq == 2 {
            catalogue::publish_without_customers(subject, seq);
        } else {
            catalogue::publish(subject, seq);
        }
        let first: Vec<_> = questions.iter().map(|wire| seen(&ask(wire))).collect();
        // A small generator chooses the order, so that a request comes twice, three times, and after others.
        let mut state = seq;
        for _ in 0..ROUNDS * questions.len() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chosen = usize::try_from((state >> 33) % questions.len() as u64).unwrap();
            for _ in 0..=state >> 62 {
                let answer = seen(&ask(&questions[chosen]));
                let at = format!("{} {:?}", questions[chosen].describe(), questions[chosen].headers.last());
                assert!(answer == first[chosen], "{at} of version {seq}: {answer:?}");
            }
        }
        all.push(first.iter().map(|(status, ..)| *status).collect::<Vec<_>>());
    }
    assert_eq!(all[0], all[2], "the same catalogue");
    assert_ne!(all[0], all[1], "nothing was revoked");
    sent
}
