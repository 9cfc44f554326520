//! Pass-through in workerd. Run by `cargo xtask test`.

use std::{sync::atomic::Ordering, thread};

use crate::{
    catalogue, configured,
    misbehaving_origin::{MisbehavingOrigin, Mode},
    pass_through,
    subject::Subject as _,
    wire::{Answer, Wire},
    workerd::Workerd,
    writes::{self, FORM, customer, merchant, write},
};

fn start(variables: &[(&str, &str)]) -> (Workerd, MisbehavingOrigin) {
    let origin = MisbehavingOrigin::start();
    let url = format!("http://{}", origin.address);
    let variables =
        [&[("ORIGIN_URL", url.as_str()), ("PASS_THROUGH", pass_through::PREFIXES)], variables].concat();
    let worker = Workerd::start(&configured::variables(&variables));
    catalogue::publish(&worker, 1);
    (worker, origin)
}

fn granted(worker: &Workerd) -> u16 {
    worker.send(&Wire::get("/items/5101/access").bearer(&worker.token("subscriber"))).status
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn requests_below_prefixes_pass_as_they_are() {
    let (worker, origin) = start(&[]);
    // The first request of an instance is the generated entry's, the others are ours.
    println!("{} requests", pass_through::run(&worker, &origin.origin));
    pass_through::spoofing(&worker, &origin.origin);
    smuggling(&worker, &origin);
    assert!(!origin.is_confused.load(Ordering::Relaxed) && !origin.is_followed.load(Ordering::Relaxed));
}

/// Requests hidden in requests, as for writes.
fn smuggling(worker: &Workerd, origin: &MisbehavingOrigin) {
    let hidden = "DELETE /items/5101/access?consumer_id=9 HTTP/1.1\r\nHost: x\r\n\r\n";
    let bearer = format!("Bearer {}", customer(worker, "ada"));
    for method in ["POST", "DELETE", "GET"] {
        for (headers, body) in writes::smuggled(hidden) {
            origin.origin.take_seen();
            let mut raw = format!("{method} /payments/x HTTP/1.1\r\nHost: e\r\nAuthorization: {bearer}\r\n");
            raw += &format!("Content-Type: {FORM}\r\nConnection: close\r\n");
            for (name, value) in &headers {
                raw += &format!("{name}: {value}\r\n");
            }
            worker.send_raw(format!("{raw}\r\n{body}").as_bytes());
            for seen in origin.origin.take_seen() {
                assert_eq!((&*seen.method, &*seen.target), (method, "/payments/x"), "{headers:?}");
                assert_eq!(writes::spoofed(&seen), [""; 0], "{headers:?}");
            }
            assert_eq!(granted(worker), 200, "{headers:?}");
        }
    }
    // A whole address, of another host.
    let raw = "GET http://other.example/payments/x HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n";
    worker.send_raw(raw.as_bytes());
    let seen = origin.origin.take_seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (seen[0].target.as_str(), seen[0].header("host")),
        ("/payments/x", Some(&*origin.address.to_string()))
    );
}

/// What the origin does on a passed-through path is sent once, and told.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn whatever_the_origin_does() {
    for (mode, status, done) in [
        (Mode::ResetAtOnce, 502, 0),
        (Mode::ResetBefore, 502, 1),
        (Mode::ResetInBody, 502, 1),
        (Mode::CutInBody, 502, 1),
        (Mode::Hung, 504, 1),
        (Mode::HugePage, 502, 1),
        (Mode::Gzip, 200, 1),
        (Mode::UnknownCoding, 502, 1),
        (Mode::Redirect, 302, 1),
        (Mode::Leftover, 200, 1),
    ] {
        let (worker, origin) = start(&[("PASS_THROUGH_TIMEOUT_MS", "1500")]);
        origin.set_once(mode);
        let wire = write("POST", "/payments/x", "application/pdf", "%PDF").header("Idempotency-Key", "a key");
        let answer = worker.send(&wire);
        assert_eq!((answer.status, origin.origin.done()), (status, done), "{mode:?}: {}", answer.text());
        if mode == Mode::Gzip {
            assert_eq!((answer.text().as_str(), answer.header("content-encoding")), ("%PDF", None));
        }
        assert!(!origin.is_followed.load(Ordering::Relaxed), "{mode:?}");
    }
}

/// Requests that hang on a passed-through path leave checks, confirmations, writes and sign-ins as they are.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_origin_that_hangs_on_one_way_only() {
    let (worker, origin) = start(&[("PASS_THROUGH_TIMEOUT_MS", "3000")]);
    origin.origin.grant("ada", 5101);
    origin.hang_below("/payments");
    let hanging: Vec<Answer> = thread::scope(|scope| {
        let ask = |viewer: usize| {
            let (worker, token) = (&worker, customer(&worker, &format!("viewer-{viewer}")));
            scope.spawn(move || worker.send(&Wire::get("/payments/x").bearer(&token)))
        };
        let hanging: Vec<_> = (0..20).map(ask).collect();
        assert_eq!(granted(&worker), 200);
        let check = |name: &str| {
            worker.send(&Wire::get("/items/5101/access").bearer(&customer(&worker, name))).status
        };
        assert_eq!((check("ada"), check("mallory")), (200, 402), "confirmations");
        let wire = write("POST", "/v2/items", FORM, "title=x").bearer(&merchant(&worker));
        assert_eq!(worker.send(&wire).status, 201, "writes");
        let sign_in = write("POST", "/accounts/authenticate", FORM, "grant_type=password");
        assert_eq!(worker.send(&sign_in).status, 200, "sign-ins");
        assert_eq!(worker.send(&Wire::get("/accounts")).status, 404, "another prefix");
        hanging.into_iter().map(|hanging| hanging.join().unwrap()).collect()
    });
    assert!(hanging.iter().all(|answer| answer.status == 504), "{hanging:?}");
    // Now this prefix is paused, and nothing else is.
    assert_eq!(worker.send(&Wire::get("/payments/x")).status, 503);
    assert_eq!(worker.send(&Wire::get("/accounts")).status, 404);
    assert_eq!(granted(&worker), 200);
}
