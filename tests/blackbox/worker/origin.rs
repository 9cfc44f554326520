//! The Worker in workerd with an origin behind it that behaves or misbehaves. Run by `cargo xtask test`.

use std::{sync::atomic::Ordering, thread, time::Duration};

use crate::{
    catalogue, configured, many,
    misbehaving_origin::{MisbehavingOrigin, Mode},
    rights,
    subject::Subject as _,
    wire::{Answer, Payload, Wire},
    workerd::Workerd,
    writes,
    writes::{FORM, customer, merchant, write},
};

const MAYBE: &str = "The origin gave no usable answer: the write may have been applied";
const REFUSED: &str = "The request was refused on its way to the origin: the write was not applied";
const LATE: &str = "The origin did not answer in time: the write may have been applied";
const PAUSED: &str = "The origin does not answer at present: the write was not applied";

struct Pair {
    worker: Workerd,
    origin: MisbehavingOrigin,
}

impl Pair {
    fn start(variables: &[(&str, &str)]) -> Self {
        let origin = MisbehavingOrigin::start();
        let url = format!("http://{}", origin.address);
        let variables = [&[("ORIGIN_URL", url.as_str())], variables].concat();
        let worker = Workerd::start(&configured::variables(&variables));
        catalogue::publish(&worker, 1);
        // Loads everything into memory.
        let pair = Self { worker, origin };
        assert_eq!(pair.granted(), 200);
        pair
    }

    /// A Worker with a short timeout, for modes in which it will give up.
    fn for_mode(mode: Mode) -> Self {
        let soon = [("ORIGIN_TIMEOUT_MS", "1500"), ("CONFIRM_TIMEOUT_MS", "1000")];
        Self::start(if matches!(mode, Mode::Slow | Mode::Hung) { &soon } else { &[] })
    }

    /// The status of a check that the snapshot grants.
    fn granted(&self) -> u16 {
        let wire = Wire::get("/items/5101/access").bearer(&self.worker.token("subscriber"));
        self.worker.send(&wire).status
    }

    /// A check that the snapshot denies.
    fn check(&self, name: &str) -> Answer {
        self.worker.send(&Wire::get("/items/5101/access").bearer(&customer(&self.worker, name)))
    }

    fn write(&self, key: &str) -> Answer {
        let wire = write("POST", "/v2/items", FORM, "title=x").bearer(&merchant(&self.worker));
        let wire = if key.is_empty() { wire } else { wire.header("Idempotency-Key", key) };
        let answer = self.worker.send(&wire);
        assert_eq!(writes::problems(&answer), [""; 0], "{}", answer.text());
        answer
    }
}

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_write_right_and_wrong() {
    let pair = Pair::start(&[]);
    println!("{} requests", writes::run(&pair.worker, &pair.origin.origin));
    assert!(!pair.origin.is_confused.load(Ordering::Relaxed));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_issuer_by_every_capability_and_route() {
    let origin = MisbehavingOrigin::start();
    let url = format!("http://{}", origin.address);
    let worker = Workerd::start(&rights::variables(&[("ORIGIN_URL", url.as_str())]));
    let published = catalogue::publish(&worker, 1);
    println!("{} requests", rights::run(&worker, &published));
    println!("{} requests", rights::attacks(&worker));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn no_client_can_pretend_to_be_another() {
    let pair = Pair::start(&[]);
    writes::spoofing(&pair.worker, &pair.origin.origin);
    smuggling(&pair);
    assert!(!pair.origin.is_confused.load(Ordering::Relaxed));
}

/// Requests hidden in requests: whatever the runtime makes of them, the origin sees only complete requests
/// that the edge has checked.
fn smuggling(pair: &Pair) {
    let hidden = "DELETE /items/5101/access?consumer_id=9 HTTP/1.1\r\nHost: x\r\n\r\n";
    let bearer = format!("Bearer {}", merchant(&pair.worker));
    for (headers, body) in writes::smuggled(hidden) {
        pair.origin.origin.take_seen();
        let mut raw = format!("POST /v2/items HTTP/1.1\r\nHost: e\r\nAuthorization: {bearer}\r\n");
        raw += &format!("Content-Type: {FORM}\r\nConnection: close\r\n");
        for (name, value) in &headers {
            raw += &format!("{name}: {value}\r\n");
        }
        pair.worker.send_raw(format!("{raw}\r\n{body}").as_bytes());
        for seen in pair.origin.origin.take_seen() {
            assert_eq!(seen.method, "POST", "{headers:?}: {seen:?}");
            assert_eq!(writes::spoofed(&seen), [""; 0], "{headers:?}");
        }
        assert_eq!(pair.granted(), 200, "{headers:?}");
    }
    // Paths that lead elsewhere.
    for target in ["/v2/items/../../export", "/v2/items/%2e%2e/%2e%2e/export", "/v2/items/..%2f..%2fexport"] {
        let wire = write("PUT", target, FORM, "title=x").header("Authorization", bearer.as_str());
        let answer = pair.worker.send(&wire);
        assert!(matches!(answer.status, 404 | 422), "{target}: {}", answer.status);
        assert_eq!(pair.origin.origin.take_seen(), [], "{target}");
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_hundred_buyers_in_a_row() {
    let pair = Pair::start(&[]);
    writes::buyers(&pair.worker, &pair.origin.origin);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn many_questions_at_once() {
    let pair = Pair::start(&[]);
    many::confirmed(&pair.worker, &pair.origin.origin);
}

/// For each fault: the answer to a write without a key, and how often it is done; the status of a write with
/// a key; and the status of a check that the origin would grant. A check that the snapshot grants is always
/// 200.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn whatever_the_origin_does() {
    for (mode, told, done, with_key, check) in [
        (Mode::ResetAtOnce, (502, MAYBE), 0, 502, 402),
        (Mode::ResetBefore, (502, MAYBE), 1, 502, 402),
        (Mode::ResetInHeaders, (502, MAYBE), 1, 502, 402),
        (Mode::ResetInBody, (502, MAYBE), 1, 502, 402),
        (Mode::CutInBody, (502, MAYBE), 1, 502, 402),
        (Mode::Slow, (504, LATE), 1, 504, 402),
        (Mode::Hung, (504, LATE), 1, 504, 402),
        (Mode::Status(500), (500, "As it was told"), 1, 500, 402),
        (Mode::Status(503), (503, "As it was told"), 1, 503, 402),
        (Mode::TooMany, (429, "Slow down"), 1, 429, 402),
        (Mode::Page(200), (502, MAYBE), 1, 502, 402),
        (Mode::Page(403), (403, "The origin refused the request"), 1, 403, 402),
        (Mode::Page(502), (502, MAYBE), 1, 502, 402),
        (Mode::HugePage, (502, MAYBE), 1, 502, 402),
        (Mode::Redirect, (502, REFUSED), 1, 502, 402),
        (Mode::Leftover, (201, ""), 1, 201, 200),
        (Mode::Gzip, (201, ""), 1, 201, 200),
        (Mode::UnknownCoding, (502, MAYBE), 1, 502, 402),
        (Mode::Odd, (201, ""), 1, 201, 200),
        (Mode::Milliseconds, (201, ""), 1, 201, 402),
    ] {
        let pair = Pair::for_mode(mode);
        let origin = &pair.origin.origin;
        origin.grant("ada", 5101);
        pair.origin.set(mode);
        assert_eq!(pair.granted(), 200, "{mode:?}");
        let answer = pair.write("");
        let shown = if told.1.is_empty() { String::new() } else { message(&answer) };
        assert_eq!((answer.status, shown.as_str()), told, "{mode:?}: {}", answer.text());
        assert_eq!(origin.done(), done, "{mode:?}");
        assert_eq!(pair.granted(), 200, "{mode:?}");
        assert_eq!(pair.write("a key").status, with_key, "{mode:?}");
        let answer = pair.check("ada");
        assert_eq!(answer.status, check, "{mode:?}: {}", answer.text());
        // A customer without any grant is never let in.
        assert_eq!(pair.check("mallory").status, 402, "{mode:?}");
        assert_eq!(pair.check("mallory").status, 402, "{mode:?}");
        assert_eq!(pair.granted(), 200, "{mode:?}");
        // The origin has recovered: the client repeats the write with its key, and it was done once in all.
        pair.origin.set(Mode::Good);
        let answer = pair.write("a key");
        assert_eq!(answer.status, 201, "{mode:?}: {}", answer.text());
        assert_eq!(origin.done(), done + 1, "{mode:?}");
        let granted = (0..100).find(|_| {
            // 429 has asked for a pause of some seconds.
            let is_granted = pair.check("ada").status == 200;
            if !is_granted {
                thread::sleep(Duration::from_millis(100));
            }
            is_granted
        });
        assert!(granted.is_some(), "{mode:?}");
        assert_eq!(pair.check("mallory").status, 402, "{mode:?}");
        assert!(!pair.origin.is_followed.load(Ordering::Relaxed), "{mode:?}");
        assert!(!pair.origin.is_confused.load(Ordering::Relaxed), "{mode:?}");
    }
}

/// A connection that breaks once affects neither a write with a key nor a buyer.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_connection_that_breaks_once() {
    for mode in [Mode::ResetAtOnce, Mode::ResetBefore, Mode::ResetInHeaders] {
        let pair = Pair::start(&[]);
        let origin = &pair.origin.origin;
        origin.grant("ada", 5101);
        pair.origin.set_once(mode);
        assert_eq!(pair.check("ada").status, 200, "{mode:?}");
        pair.origin.set_once(mode);
        assert_eq!(pair.write("a key").status, 201, "{mode:?}");
        assert_eq!(origin.done(), 1, "{mode:?}");
        // A write whose body is passed on as it arrives.
        let long: String = (0..20_000).map(|number| format!("{number:07}&")).collect();
        let wire = write("POST", "/v2/items", FORM, &long).bearer(&merchant(&pair.worker));
        pair.origin.set_once(mode);
        let answer = pair.worker.send(&wire.header("Idempotency-Key", "another"));
        assert_eq!((answer.status, origin.done()), (201, 2), "{mode:?}: {}", answer.text());
        let seen = origin.take_seen().pop().unwrap();
        assert!(seen.body == long.as_bytes(), "{mode:?}: {} bytes", seen.body.len());
    }
}

/// No server listens, and then one does. The Worker is not restarted.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_origin_that_is_down_and_comes_back() {
    let pair = Pair::start(&[]);
    pair.origin.set(Mode::ResetAtOnce);
    pair.origin.origin.grant("ada", 5101);
    for _ in 0..5 {
        assert_eq!(pair.write("").status, 502);
        assert_eq!(pair.granted(), 200);
    }
    let answer = pair.write("");
    assert_eq!((answer.status, message(&answer).as_str()), (503, PAUSED));
    let retry_after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&retry_after), "{retry_after}");
    // Sign-ins have a circuit of their own, because they need no token, and it has seen no failure yet.
    let sign_in = write("POST", "/accounts/authenticate", FORM, "grant_type=password");
    assert_eq!(pair.worker.send(&sign_in).status, 502);
    assert_eq!(pair.origin.origin.done(), 0);
    pair.origin.set(Mode::Good);
    let is_back = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(50));
        pair.write("").status == 201
    });
    assert!(is_back, "{}", pair.worker.output());
    assert_eq!(pair.check("ada").status, 200);
    assert_eq!(pair.worker.send(&sign_in).status, 200);
}

/// The first check after a purchase, while the circuit of confirmations is open, and after their budget is
/// used up.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn the_first_check_after_a_grant() {
    let pair = Pair::start(&[("CONFIRMS_PER_SEC", "5")]);
    let grant = |name: &str| {
        let body = format!("item_id=5101&consumer_id={name}");
        let wire = write("POST", "/items/access", FORM, &body).bearer(&merchant(&pair.worker));
        assert_eq!(pair.worker.send(&wire).status, 201);
    };
    pair.origin.set(Mode::ResetAtOnce);
    for viewer in 0..5 {
        assert_eq!(pair.check(&format!("viewer-{viewer}")).status, 402);
    }
    pair.origin.set(Mode::Good);
    grant("ada");
    assert_eq!(pair.check("ada").status, 200, "{}", pair.worker.output());
    for bot in 0..100 {
        assert_eq!(pair.check(&format!("bot-{bot}")).status, 402);
    }
    grant("eve");
    assert_eq!(pair.check("eve").status, 200, "{}", pair.worker.output());
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_origin_that_is_not_running() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let worker = Workerd::start(&configured::variables(&[("ORIGIN_URL", &url)]));
    // Without a snapshot too: an unknown answer is not a denial.
    let check =
        |name: &str| worker.send(&Wire::get("/items/5101/access").bearer(&customer(&worker, name))).status;
    assert_eq!(check("ada"), 503);
    catalogue::publish(&worker, 1);
    assert_eq!(check("ada"), 402);
    let wire = Wire::get("/items/5101/access").bearer(&worker.token("subscriber"));
    assert_eq!(worker.send(&wire).status, 200);
    let answer = worker.send(&write("POST", "/v2/items", FORM, "title=x").bearer(&merchant(&worker)));
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(worker.log_line(&[r#""event":"origin""#]).is_some());
}

/// Before the first publish the origin answers what it can.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn without_a_snapshot() {
    let origin = MisbehavingOrigin::start();
    let url = format!("http://{}", origin.address);
    let worker = Workerd::start(&configured::variables(&[("ORIGIN_URL", &url)]));
    origin.origin.grant("ada", 5101);
    let check =
        |name: &str| worker.send(&Wire::get("/items/5101/access").bearer(&customer(&worker, name))).status;
    assert_eq!((check("ada"), check("mallory")), (200, 402));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_client_that_knows_of_a_change_gets_no_answer_from_before_it() {
    let pair = Pair::start(&[]);
    let check = |min_seq: &str| {
        let wire = Wire::get("/items/5101/access").bearer(&pair.worker.token("subscriber"));
        pair.worker.send(&wire.header("Entitlement-Min-Seq", min_seq)).status
    };
    assert_eq!((check("1"), check("0"), check("x"), check("-5")), (200, 200, 200, 200));
    assert_eq!(pair.origin.origin.take_seen(), []);
    // At the origin of these tests this customer has no grant.
    assert_eq!(check("2"), 402);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn many_who_are_denied_at_once() {
    let pair = Pair::start(&[]);
    let token = customer(&pair.worker, "ada");
    pair.origin.origin.take_seen();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let check = || pair.worker.send(&Wire::get("/items/5101/access").bearer(&token)).status;
        let viewers: Vec<_> = (0..48).map(|_| scope.spawn(check)).collect();
        viewers.into_iter().map(|viewer| viewer.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| *status == 402), "{statuses:?}");
    let asked = pair.origin.origin.take_seen().len();
    assert!((1..=20).contains(&asked), "{asked}: one after another, until two within a second have said so");
}

/// A client that goes away in the middle of its body has written nothing, and delays no other client.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_client_that_goes_away() {
    let pair = Pair::start(&[]);
    for _ in 0..8 {
        let wire = write("POST", "/v2/items", FORM, "").bearer(&merchant(&pair.worker));
        pair.worker.try_send(&Wire { body: Payload::Interrupted(b"title=x".to_vec()), ..wire });
    }
    assert_eq!(pair.origin.origin.done(), 0);
    // It does not count against the origin either.
    assert_eq!(pair.write("").status, 201, "{}", pair.worker.output());
    assert_eq!(pair.granted(), 200);
}
