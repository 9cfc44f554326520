//! Bodies as the runtime delivers them: compressed answers of the origin, and uploads that are too long. Run
//! by `cargo xtask test`.

use crate::{
    catalogue, configured,
    misbehaving_origin::{MisbehavingOrigin, Mode},
    subject::Subject as _,
    wire::Wire,
    workerd::Workerd,
    writes::{FORM, customer, merchant, write},
};

/// The Worker, and an origin that answers in `mode`.
fn pair(mode: Mode) -> (Workerd, MisbehavingOrigin) {
    let origin = MisbehavingOrigin::start();
    let url = format!("http://{}", origin.address);
    let worker = Workerd::start(&configured::variables(&[("ORIGIN_URL", &url)]));
    catalogue::publish(&worker, 1);
    origin.set(mode);
    (worker, origin)
}

/// The runtime decodes the codings that it knows. The log names an unknown one.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_origin_that_compresses() {
    let (worker, origin) = pair(Mode::Gzip);
    origin.origin.grant("ada", 5101);
    let check = |name: &str| worker.send(&Wire::get("/items/5101/access").bearer(&customer(&worker, name)));
    let send = || worker.send(&write("POST", "/v2/items", FORM, "title=x").bearer(&merchant(&worker)));
    let granted = check("ada");
    assert_eq!((granted.status, &granted.json()["item"]["id"]), (200, &5101.into()), "{}", granted.text());
    assert_eq!(granted.header("content-encoding"), None);
    for _ in 0..6 {
        let answer = send();
        assert_eq!((answer.status, &answer.json()["id"]), (201, &33.into()), "{}", answer.text());
        assert_eq!(
            (answer.header("content-encoding"), answer.header("content-type")),
            (None, Some("application/json"))
        );
    }
    origin.set(Mode::UnknownCoding);
    assert_eq!((check("bob").status, send().status), (402, 502));
    assert!(
        worker.log_line(&[r#""event":"origin""#, "Content-Encoding is"]).is_some(),
        "{}",
        worker.output()
    );
}

/// Unambiguous values are read, and shown in the form that clients decode. Ambiguous ones are logged and are
/// not denials.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn an_origin_that_writes_in_its_own_way() {
    let (worker, origin) = pair(Mode::Odd);
    origin.origin.grant("ada", 5101);
    origin.origin.grant("bob", 5101);
    let check = |name: &str| worker.send(&Wire::get("/items/5101/access").bearer(&customer(&worker, name)));
    let granted = check("ada");
    assert_eq!(granted.status, 200, "{}", granted.text());
    let body = granted.json();
    assert_eq!((&body["expires_at"], &body["item"]["id"]), (&253_402_300_799_i64.into(), &5101.into()));
    assert_eq!(check("mallory").status, 402);
    origin.set(Mode::Milliseconds);
    assert_eq!(check("bob").status, 402);
    let told = "expires_at looks like milliseconds (4000000000000)";
    assert!(worker.log_line(&[r#""event":"origin""#, told]).is_some(), "{}", worker.output());
    origin.set(Mode::Good);
    assert_eq!(check("bob").status, 200, "nothing is remembered");
}

/// 413 as soon as the length is known: nothing of the body is passed on, and the connection is closed.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_body_that_is_announced_as_too_long() {
    let (worker, origin) = pair(Mode::Good);
    let token = merchant(&worker);
    // More than fits into 32 bits, too.
    for length in ["524289", "1000000000", "5000000000"] {
        let head = format!(
            "POST /v2/items HTTP/1.1\r\nHost: edge.example\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: {FORM}\r\nContent-Length: {length}\r\n\r\n"
        );
        let answer = worker.answer_raw(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 413 "), "{length}: {answer}");
        assert!(answer.contains("Body too large"), "{length}: {answer}");
    }
    assert_eq!(origin.origin.take_seen(), []);
    let answer = worker.send(&write("POST", "/v2/items", FORM, "title=x").bearer(&token));
    assert_eq!(answer.status, 201, "{}", answer.text());
}
