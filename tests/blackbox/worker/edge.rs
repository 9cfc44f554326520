//! Limits by address, the secret between edge and origin, and audit events, in workerd. Run by `cargo xtask
//! test`.

use std::{net::TcpStream, thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    catalogue, configured, issuers,
    misbehaving_origin::{MisbehavingOrigin, Mode},
    subject::Subject as _,
    wire::{Answer, Wire},
    workerd::Workerd,
    writes::{FORM, customer, merchant, write},
};

const ADDRESS: &str = "cf-connecting-ip";
const ALL: [&str; 6] = [
    "LIMIT_SIGN_IN",
    "LIMIT_REFRESH",
    "LIMIT_WRITES",
    "LIMIT_READS",
    "LIMIT_INSISTING",
    "LIMIT_PASS_THROUGH",
];

fn limit(most: i64) -> String {
    json!({"simple": {"limit": most, "period": 60}}).to_string()
}

fn start(variables: &[(&str, &str)]) -> (Workerd, MisbehavingOrigin) {
    let origin = MisbehavingOrigin::start();
    let url = format!("http://{}", origin.address);
    let variables = [&[("ORIGIN_URL", url.as_str()), ("PASS_THROUGH", "/payments")], variables].concat();
    let worker = Workerd::start(&configured::variables(&variables));
    catalogue::publish(&worker, 1);
    (worker, origin)
}

/// Sends a request that the limit of this name counts.
fn counted(worker: &Workerd, name: &str, address: &str) -> Answer {
    let wire = match name {
        "LIMIT_SIGN_IN" => write("POST", "/oauth2/token", FORM, "grant_type=password&username=u"),
        "LIMIT_REFRESH" => write("POST", "/accounts/authenticate", FORM, "grant_type=refresh_token"),
        "LIMIT_WRITES" => write("POST", "/v2/items", FORM, "title=x").bearer(&merchant(worker)),
        "LIMIT_PASS_THROUGH" => Wire::get("/payments/methods"),
        "LIMIT_READS" => Wire::get("/items/5101"),
        _ => Wire::get("/license").bearer(&customer(worker, "ada")).header("Entitlement-Min-Seq", "99"),
    };
    worker.send(&wire.header(ADDRESS, address))
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn limits_by_address() {
    let three = limit(3);
    let bound: Vec<_> = ALL.iter().map(|name| (*name, three.as_str())).collect();
    let (worker, _origin) = start(&bound);
    for name in ALL {
        let statuses =
            |address: &str| (0..6).map(|_| counted(&worker, name, address).status).collect::<Vec<_>>();
        let first = statuses("203.0.113.1");
        assert!(first[..3].iter().all(|status| *status != 429), "{name}: {first:?}");
        assert_eq!(first[3..], [429; 3], "{name}");
        assert_ne!(counted(&worker, name, "203.0.113.2").status, 429, "{name}: another address");
        let refused = counted(&worker, name, "203.0.113.1");
        assert_eq!(
            refused.json(),
            json!({"code": 429, "message": "Too many requests", "errors": {"429": "Too many requests"}})
        );
        assert_eq!(refused.header("retry-after"), Some("10"), "{name}");
        assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "{name}");
        // IPv6 counts by network.
        for host in 0..3 {
            assert_ne!(counted(&worker, name, &format!("2001:db8::{host}")).status, 429, "{name}");
        }
        assert_eq!(counted(&worker, name, "2001:db8::ffff:9").status, 429, "{name}");
        assert_ne!(counted(&worker, name, "2001:db8:0:1::9").status, 429, "{name}");
    }
    // Checks from that address are answered, granted or denied.
    for (token, status) in [(worker.token("subscriber"), 200), (customer(&worker, "nobody"), 402)] {
        for _ in 0..10 {
            let wire = Wire::get("/items/5101/access").bearer(&token).header(ADDRESS, "203.0.113.1");
            assert_eq!(worker.send(&wire).status, status);
        }
    }
}

/// A limit that fails limits nothing. A binding that is not a limit stops everything, and the log says so.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn limits_that_fail_and_bindings_that_are_not_limits() {
    let broken = limit(-1);
    let (worker, _origin) = start(&[("LIMIT_READS", &broken)]);
    for _ in 0..5 {
        assert_eq!(counted(&worker, "LIMIT_READS", "203.0.113.1").status, 200);
    }
    let line = worker.log_line(&[r#""event":"limit","binding":"LIMIT_READS""#, "broken on cue"]);
    assert!(line.is_some(), "{}", worker.output());
    let worker = Workerd::start(&configured::variables(&[("LIMIT_READS", "100")]));
    assert_eq!(worker.send(&Wire::get("/healthz")).status, 500);
    assert!(worker.log_line(&["LIMIT_READS: expected a rate limit"]).is_some(), "{}", worker.output());
}

/// Every request to the origin carries the secret, which appears nowhere else.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn the_secret_between_edge_and_origin() {
    let secret = "an-edge-key-of-more-than-32-characters";
    let (worker, origin) = start(&[("ORIGIN_SECRET", secret), ("LOG_CHECKS", "all")]);
    let mut answers: Vec<_> = ALL.iter().map(|name| counted(&worker, name, "203.0.113.1")).collect();
    let check = Wire::get("/items/5101/access").bearer(&customer(&worker, "ada"));
    answers.push(worker.send(&check.header("Admit-Edge-Key", "spoofed")));
    let anonymous = Wire::get("/items/5101").header("Entitlement-Min-Seq", "99");
    answers.push(worker.send(&anonymous));
    let seen = origin.origin.take_seen();
    assert_eq!(seen.len(), 7, "{seen:?}");
    for seen in seen {
        let keys: Vec<_> = seen.headers.iter().filter(|(name, _)| name == "admit-edge-key").collect();
        assert_eq!(keys, [&("admit-edge-key".to_owned(), secret.to_owned())], "{seen:?}");
    }
    for answer in answers {
        assert!(!format!("{answer:?}").contains(secret), "{answer:?}");
    }
    assert!(!worker.output().contains(secret));
    // A short secret is refused, and not shown.
    let worker = Workerd::start(&configured::variables(&[
        ("ORIGIN_URL", "http://127.0.0.1:9"),
        ("ORIGIN_SECRET", "a-short-secret"),
    ]));
    assert_eq!(worker.send(&Wire::get("/healthz")).status, 500);
    assert!(worker.log_line(&["ORIGIN_SECRET: expected at least 32"]).is_some(), "{}", worker.output());
    assert!(!worker.output().contains("a-short-secret"));
}

/// The audit events in a Worker's output.
fn events(worker: &Workerd) -> Vec<Value> {
    let output = worker.output();
    let lines = output.lines().filter_map(|line| line.get(line.find(r#"{"event":"audit""#)?..));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// Waits until there are `count` events; more would be as wrong as fewer.
fn events_after(worker: &Workerd, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        if events(worker).len() >= count {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let events = events(worker);
    assert_eq!(events.len(), count, "{events:?}");
    events
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_change_is_audited() {
    let (worker, origin) = start(&[("LOG_CHECKS", "none"), ("ORIGIN_TIMEOUT_MS", "1500")]);
    // The catalogue was published through the publish API: an event for each object, and one for the head.
    let published = events(&worker);
    assert!(!published.is_empty(), "{}", worker.output());
    let head = published.iter().find(|event| event["action"] == "publish").expect("the head has an event");
    assert_eq!(
        (&head["key"], &head["outcome"], &head["seq"]),
        (&json!("head"), &json!("applied"), &json!(1))
    );
    for event in &published {
        assert!(event["issuer"].is_string() && event["subject_hash"].is_string(), "{event}");
    }
    let mut count = published.len();
    let answer = counted(&worker, "LIMIT_WRITES", "203.0.113.1");
    count += 1;
    let told = events_after(&worker, count).pop().unwrap();
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(
        (&told["request_id"], &told["action"], &told["outcome"]),
        (&json!(id), &json!("write"), &json!("applied"))
    );
    assert_eq!((&told["merchant_id"], &told["address"]), (&json!(2101), &json!("203.0.113.1")));
    assert_eq!(origin.origin.take_seen().pop().unwrap().header("x-request-id"), Some(id));
    counted(&worker, "LIMIT_SIGN_IN", "203.0.113.1");
    count += 1;
    assert_eq!(events_after(&worker, count).pop().unwrap()["action"], "sign_in");
    // A deletion that is refused, because the head needs the object.
    let delta =
        published.iter().find(|event| event["key"].as_str().unwrap().starts_with("directory/")).unwrap();
    let target = format!("/snapshot/{}", delta["key"].as_str().unwrap());
    let publisher = issuers::publisher_token(worker.now() + 3_600);
    assert_eq!(worker.send(&Wire::new("DELETE", &target).bearer(&publisher)).status, 409);
    count += 1;
    let told = events_after(&worker, count).pop().unwrap();
    assert_eq!(
        (&told["action"], &told["outcome"], &told["status"]),
        (&json!("delete"), &json!("refused"), &json!(409))
    );
    // The origin does not answer.
    origin.set(Mode::Hung);
    counted(&worker, "LIMIT_WRITES", "203.0.113.1");
    count += 1;
    assert_eq!(events_after(&worker, count).pop().unwrap()["outcome"], "unknown");
    // The client does not wait either.
    let merchant = merchant(&worker);
    let request = format!(
        "POST /v2/items HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {merchant}\r\nContent-Type: {FORM}\r\nContent-Length: 7\r\n\r\ntitle=x"
    );
    let seen = origin.origin.seen().len();
    {
        use std::io::Write as _;
        let mut stream = TcpStream::connect(worker.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        // The client goes away as soon as the origin has been asked.
        for _ in 0..500 {
            if origin.origin.seen().len() > seen {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    count += 1;
    let told = events_after(&worker, count).pop().unwrap();
    assert_eq!((&told["outcome"], &told["merchant_id"]), (&json!("unknown"), &json!(2101)));
    // Reads leave no event.
    worker.send(&Wire::get("/items/5101"));
    worker.send(&Wire::get("/items/5101/access").bearer(&worker.token("subscriber")));
    thread::sleep(Duration::from_millis(200));
    assert_eq!(events(&worker).len(), count);
}
