//! The black-box suite against the Worker in workerd. Run by `cargo xtask test`.

use admit::snapshot::{object::ObjectKind, pack::Pack};

use crate::{
    authzen, cases, catalogue,
    catalogue::Published,
    check::error_body,
    configured, contract, holdings, issuers, many,
    matrix::Matrix,
    oracle::Oracle,
    playback, publishing, repeated, routes,
    subject::Subject as _,
    support, tokens,
    wire::Wire,
    workerd::{DevServer, Workerd},
};

/// A Worker with the sample catalogue.
fn published() -> (Workerd, Published) {
    let worker = Workerd::start(&issuers::variables());
    let published = catalogue::publish(&worker, 1);
    (worker, published)
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_case() {
    let (worker, _) = published();
    println!("{} requests", cases::run(&worker));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_route_by_every_method() {
    let (worker, _) = published();
    println!("{} requests", routes::run(&worker) + routes::run_without_publishing(&worker));
}

/// All operations but the writes, which need an origin: `worker/origin.rs` has them.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_operation_of_the_document_is_answered_with_success() {
    let (worker, published) = published();
    cases::run(&worker);
    publishing::run(&worker, &published);
    many::run(&worker, &published);
    let worker = Workerd::start(&authzen::variables(&[]));
    authzen::run(&worker, &catalogue::publish(&worker, 1));
    let signing = Workerd::start(&playback::variables());
    playback::run(&signing, &catalogue::publish(&signing, 1));
    contract::exercise_others(&worker, &signing);
    holdings::run(&Workerd::start(&holdings::variables()));
    let staff = Workerd::start(&support::variables());
    support::run(&staff, &support::publish(&staff));
    contract::assert_all_seen(contract::Writes::AreElsewhere);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn questions_in_the_form_of_authzen() {
    let worker = Workerd::start(&authzen::variables(&[]));
    let published = catalogue::publish(&worker, 1);
    println!("{} requests", authzen::run(&worker, &published));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn questions_of_support_staff() {
    let worker = Workerd::start(&support::variables());
    let published = support::publish(&worker);
    println!("{} requests", support::run(&worker, &published));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn what_a_viewer_holds() {
    let worker = Workerd::start(&holdings::variables());
    println!("{} requests", holdings::run(&worker));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn many_questions_at_once() {
    let (worker, published) = published();
    println!("{} requests", many::run(&worker, &published));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_case_behind_wrangler() {
    let server = DevServer::running();
    println!("{} requests", cases::run(&server));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_viewer_by_every_item_and_route() {
    let (worker, published) = published();
    let oracle = Oracle { lines: &published.lines, at: published.at };
    println!("{} requests", Matrix { subject: &worker, oracle, is_exact: true, sent: 0 }.run());
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn every_viewer_by_every_item_and_route_behind_wrangler() {
    let server = DevServer::running();
    let now = server.now();
    let lines = catalogue::Lines::of_samples();
    let oracle = Oracle { lines: &lines, at: now };
    println!("{} requests", Matrix { subject: &server, oracle, is_exact: false, sent: 0 }.run());
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn the_same_questions_again() {
    println!("{} requests", repeated::run(&configured(&[]), repeated::any_page));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn the_same_questions_of_pages_of_a_list() {
    println!("{} requests", repeated::run(&configured(configured::ORIGINS), repeated::listed));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn publishing_refuses_unsigned_uploads() {
    let (worker, published) = published();
    println!("{} requests", publishing::run(&worker, &published));
}

/// `node:crypto` hashes long objects, and Wasm short ones. Either way an object is refused unless it matches
/// its name, which was computed natively.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn objects_of_any_length_are_what_their_names_say() {
    let worker = Workerd::start(&issuers::variables());
    let token = issuers::publisher_token(worker.now() + 3_600);
    for (name, object) in publishing::LENGTHS.map(publishing::shard_of) {
        let name = name.to_string();
        let is_broken = |stored: &[u8]| {
            worker.kv_put(&name, stored);
            let check = Wire::post("/snapshot/check", name.clone().into_bytes());
            let answer = worker.send(&check.bearer(&token)).json();
            assert_eq!(answer["missing"], serde_json::json!([]), "{name}");
            answer["broken"] == serde_json::json!([name])
        };
        assert!(!is_broken(&object), "{} bytes", object.len());
        for at in [0, object.len() / 2, object.len() - 1] {
            let mut flipped = object.clone();
            flipped[at] ^= 1;
            assert!(is_broken(&flipped), "byte {at} of {}", object.len());
        }
        assert!(is_broken(&object[..object.len() - 1]) && is_broken(&[object.as_slice(), &[0]].concat()));
    }
}

fn configured(changes: &[(&str, &str)]) -> Workerd {
    Workerd::start(&configured::variables(changes))
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn without_a_snapshot_nothing_is_denied() {
    configured::no_snapshot(&configured(&[]));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn pages_of_a_list() {
    configured::listed_pages(&configured(configured::ORIGINS));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn headers_of_another_cdn() {
    configured::trusted_headers(&configured(configured::TRUSTED));
}

/// The Worker never works by half: every request gets a fixed body, and a log line names the variable.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_wrong_configuration_is_a_fixed_answer() {
    for (changes, variable) in configured::WRONG {
        let worker = configured(changes);
        for wire in [
            Wire::get("/items/5101/access"),
            Wire::get("/items/5101/access").bearer(&worker.token("subscriber")),
            Wire::get("/healthz"),
            Wire::get("/nope"),
            Wire::new("HEAD", "/license"),
            Wire::put("/snapshot/head", b"x".to_vec()),
        ] {
            let answer = worker.send(&wire);
            let at = format!("{changes:?}: {}", wire.describe());
            assert_eq!(answer.status, 500, "{at}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{at}");
            assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{at}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{at}");
            if wire.method == "HEAD" {
                assert!(answer.body.is_empty(), "{at}");
            } else {
                assert_eq!(answer.json(), error_body(500, "Internal error", None), "{at}");
            }
        }
        // Without an answer to its preflight a page would not even see the 500.
        let preflight =
            Wire::new("OPTIONS", "/license").header("Access-Control-Request-Headers", "traceparent");
        let preflight = worker.send(&preflight);
        let allowed = preflight.header("access-control-allow-headers").unwrap_or_default();
        assert!(preflight.status == 204 && allowed.ends_with(", traceparent"), "{changes:?}: {allowed}");
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"), "{changes:?}");
        let line = worker.log_line(&[r#""event":"configuration""#, variable]);
        let line = line.unwrap_or_else(|| panic!("{changes:?}: {}", worker.output()));
        let secret = issuers::variables().into_iter().find(|(name, _)| name == issuers::VENDOR_SECRET_NAME);
        assert!(!line.contains(&secret.unwrap().1), "a secret in the log");
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn checks_are_logged_with_their_reason() {
    let worker = configured(&[("LOG_CHECKS", "all")]);
    catalogue::publish(&worker, 1);
    for (persona, status, reason) in
        [("subscriber", 200, "license"), ("never-bought", 402, "no_grant"), ("expired-token", 401, "expired")]
    {
        let token = worker.token(persona);
        worker.send(&Wire::get("/items/5101/access").bearer(&token));
        let status = format!(r#""status":{status},"#);
        let line = worker.log_line(&["/items/5101/access", &status, &format!(r#""reason":"{reason}""#)]);
        assert!(line.is_some(), "{persona}: {}", worker.output());
        assert!(!worker.output().contains(&token), "{persona}: a token in the log");
    }
}

/// The store fails: data in memory still answers, and missing data is not a denial.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_store_that_fails_denies_no_viewer() {
    let (worker, _) = published();
    let access = |persona: &str, id: i64| {
        let wire = Wire::get(&format!("/items/{id}/access")).bearer(&worker.token(persona));
        worker.send(&wire).status
    };
    assert_eq!(access("subscriber", 5101), 200);
    worker.kv_break(Some(""));
    assert_eq!(access("subscriber", 5101), 200, "what is in memory");
    for persona in ["lifetime", "cognito-viewer", "package-owner"] {
        for id in [5101, 5105, 5130, 5120] {
            assert!([200, 402, 503].contains(&access(persona, id)), "{persona} on {id}");
        }
    }
    worker.kv_break(None);
    assert_eq!(access("subscriber", 5101), 200);

    // A Worker that cannot read its first head answers 503, never 402, and recovers without help.
    let cold = configured(&[]);
    cold.kv_break(Some("head"));
    let wire = Wire::get("/items/5101/access").bearer(&cold.token("subscriber"));
    assert_eq!(cold.send(&wire).status, 503);
    cold.kv_break(None);
    catalogue::publish(&cold, 1);
    assert_eq!(cold.send(&wire).status, 200);

    // Write access to the store is not enough to grant access.
    let forged = configured(&[]);
    forged.kv_put("head", b"eyJhbGciOiJub25lIn0.e30.");
    assert_eq!(forged.send(&wire).status, 503);
    assert_eq!(forged.kv_get("head").as_deref(), Some(&b"eyJhbGciOiJub25lIn0.e30."[..]));
    catalogue::publish(&forged, 1);
    assert_eq!(forged.send(&wire).status, 200, "an unsigned head keeps no good one out");
}

/// KV may answer from a cache that is up to a day old, but only for objects. If the cache has no object of
/// that name, the Worker asks again at once, with the shortest cache time.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn only_objects_are_read_from_old_caches_and_their_absence_is_asked_again() {
    const DAY_SECS: u64 = 86_400;
    const SHORTEST_SECS: u64 = 30;
    let (worker, published) = published();
    let cold = configured(&[]);
    let (shards, others): (Vec<_>, Vec<_>) =
        published.built.objects.iter().partition(|(name, _)| name.kind == ObjectKind::Shard);
    for (name, object) in &others {
        cold.kv_put(&name.to_string(), object);
    }
    cold.kv_put("head", &worker.kv_get("head").unwrap());
    let check = Wire::get("/items/5101/access").bearer(&cold.token("subscriber"));
    assert_eq!(cold.send(&check).status, 503);
    let reads = cold.kv_take_reads();
    let ttls_of = |key: &str| -> Vec<u64> {
        reads.iter().filter(|(read, _)| read == key).map(|(_, ttl_secs)| *ttl_secs).collect()
    };
    assert_eq!(ttls_of("head"), [SHORTEST_SECS]);
    for (name, _) in &others {
        assert_eq!(ttls_of(&name.to_string()), [DAY_SECS], "{name}: {reads:?}");
    }
    let asked = shards.iter().map(|(name, _)| ttls_of(&name.to_string()));
    let asked: Vec<_> = asked.filter(|ttls| !ttls.is_empty()).collect();
    assert!(asked.iter().all(|ttls| *ttls == [DAY_SECS, SHORTEST_SECS]), "{reads:?}");
    assert!(asked.len() >= 2, "the customer's shard and the item's: {reads:?}");

    // The publisher needs the current state of the store.
    let (name, object) = &shards[0];
    cold.kv_put(&name.to_string(), object);
    let get = Wire::get(&format!("/snapshot/{name}"));
    let token = issuers::publisher_token(cold.now() + 3_600);
    assert_eq!(cold.send(&get.bearer(&token)).body, *object);
    assert_eq!(cold.kv_take_reads(), [(name.to_string(), SHORTEST_SECS)]);
}

/// A failing store is 503 for the publisher, whichever route was used, and the log says why.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_store_that_fails_is_unavailable_to_the_publisher() {
    let (worker, published) = published();
    let token = issuers::publisher_token(worker.now() + 3_600);
    let (name, object) = &published.built.objects[0];
    let mut pack = Pack::default();
    assert!(pack.push(object));
    let requests = [
        Wire::post("/snapshot/pack", pack.into_bytes()),
        Wire::post("/snapshot/check", name.to_string().into_bytes()),
        Wire::get("/snapshot/keys?prefix=shard/"),
        Wire::new("DELETE", &format!("/snapshot/{name}")),
        Wire::get("/snapshot/lease"),
        Wire::new("DELETE", "/snapshot/lease"),
    ];
    worker.kv_break(Some(""));
    for wire in &requests {
        let answer = worker.send(&wire.clone().bearer(&token));
        assert_eq!(answer.status, 503, "{} -> {}", wire.describe(), answer.text());
    }
    worker.kv_break(None);
    let line = worker.log_line(&["\"path\":\"/snapshot/pack\"", "\"status\":503"]).unwrap();
    assert!(line.contains("500"), "{line}");
    let statuses = requests.map(|wire| worker.send(&wire.bearer(&token)).status);
    // The head refers to the object, so it is not deleted.
    assert_eq!(statuses, [201, 200, 200, 409, 404, 204]);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn tokens_of_every_algorithm() {
    println!("{} tokens", tokens::run(&Workerd::start(&tokens::variables())));
}

/// Only the configuration is in memory: each request waits for what another one loads.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn many_viewers_at_once_at_a_new_isolate() {
    let (worker, _) = published();
    let token = worker.token("subscriber");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let check = || worker.send(&Wire::get("/items/5101/access").bearer(&token)).status;
        let viewers: Vec<_> = (0..48).map(|_| scope.spawn(check)).collect();
        viewers.into_iter().map(|viewer| viewer.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}\n{}", worker.output());
}
