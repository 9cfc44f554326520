//! Requests as they come in, before and beside the service.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
};

use axum::body::to_bytes;
use serde_json::Value;

use super::*;
use crate::{
    clock::Clock,
    db::import::import,
    limits::{
        CHECK_WORKERS, DOCUMENT_WORKERS, FEED_WORKERS, PASSWORD_WORKERS, READ_WORKERS, TOKEN_WORKERS,
        WRITE_WORKERS,
    },
    tokens::password,
};

const FEED_SECRET: &str = "feed-secret-feed-secret-feed-secret";
const EDGE_SECRET: &str = "edge-secret-edge-secret-edge-secret";
const CLIENT: &str = "5hq2v8mfernhollowweb71c0";
const PASSWORD: &str = "correct horse";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A server on the sample catalogue without a listener, and a clock that stands.
struct Subject {
    server: Arc<Server>,
    clock: Arc<AtomicI64>,
    runtime: tokio::runtime::Runtime,
    dir: PathBuf,
    _ending: watch::Sender<bool>,
}

impl Subject {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = std::env::temp_dir().join(format!("origin-server-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let clock = Arc::new(AtomicI64::new(1_795_000_000));
        let mut settings = Settings::new(dir.join("origin.db"), "https://origin.example".to_owned());
        settings.clock = Clock::set(Arc::clone(&clock));
        settings.feed_secret = Some(FEED_SECRET.to_owned());
        settings.allows_password_grant = true;
        settings.variables.insert("LOG_CHECKS".to_owned(), "none".to_owned());
        change(&mut settings);
        let mut connection = db::open(&settings.db).unwrap();
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/catalogue");
        import(&mut connection, &samples, settings.clock.now()).unwrap();
        let hash = password::hash(PASSWORD).unwrap();
        let sql = "INSERT INTO accounts (merchant_id, username, password_hash, role, customer_key, uuid, full_name,
                   created_at) SELECT merchant_id, ?2, ?1, 'consumer', key, '', '', 0 FROM customers WHERE id = 88005";
        for username in ["ada", "grace"] {
            connection.execute(sql, [hash.as_str(), username]).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sender, ending) = watch::channel(false);
        let server = Arc::new(Server::start(settings, ending).unwrap());
        Self { server, clock, runtime, dir, _ending: sender }
    }

    /// Sends a request from an address.
    fn send(
        &self,
        address: [u8; 4],
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = SocketAddr::from((address, 4_000));
        let request = request.extension(ConnectInfo(peer)).body(Body::from(body.to_owned())).unwrap();
        self.runtime.block_on(async {
            let (parts, body) = handle(State(Arc::clone(&self.server)), request).await.into_parts();
            let bytes = to_bytes(body, usize::MAX).await.unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            Answer { status: parts.status.as_u16(), headers: parts.headers, text }
        })
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send([203, 0, 113, 9], method, path, headers, body)
    }

    fn sign_in(&self, address: [u8; 4], username: &str, password: &str) -> Answer {
        let password = password.replace(' ', "+");
        let form = format!("grant_type=password&client_id={CLIENT}&username={username}&password={password}");
        self.send(address, "POST", "/accounts/authenticate", &[FORM], &form)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// A request of each class, and what it is answered with while the class works.
fn requests() -> Vec<(Class, usize, &'static str, &'static str, String, u16)> {
    let sign_in = |rest: &str| format!("client_id={CLIENT}&{rest}");
    vec![
        (Class::Check, CHECK_WORKERS, "GET", "/items/5101/access", String::new(), 401),
        (Class::Check, CHECK_WORKERS, "GET", "/license", String::new(), 401),
        (Class::Write, WRITE_WORKERS, "POST", "/items/access", String::new(), 401),
        (Class::Write, WRITE_WORKERS, "DELETE", "/v2/items/5101", String::new(), 401),
        (Class::Read, READ_WORKERS, "GET", "/items/packages/5001/items", String::new(), 200),
        (Class::Read, READ_WORKERS, "HEAD", "/items/5101", String::new(), 200),
        (Class::Feed, FEED_WORKERS, "GET", "/changes?after=1", String::new(), 200),
        (
            Class::Password,
            PASSWORD_WORKERS,
            "POST",
            "/v2/accounts/authenticate",
            sign_in("grant_type=password&username=ada&password=correct+horse"),
            200,
        ),
        (
            Class::Password,
            PASSWORD_WORKERS,
            "POST",
            "/oauth2/authorize",
            "username=ada&password=x".to_owned(),
            400,
        ),
        (
            Class::Token,
            TOKEN_WORKERS,
            "POST",
            "/accounts/authenticate",
            sign_in("grant_type=refresh_token&refresh_token=x"),
            401,
        ),
        (
            Class::Token,
            TOKEN_WORKERS,
            "POST",
            "/oauth2/token",
            sign_in("grant_type=refresh_token&refresh_token=x"),
            400,
        ),
        (Class::Token, TOKEN_WORKERS, "GET", "/oauth2/authorize?client_id=x", String::new(), 400),
        (Class::Document, DOCUMENT_WORKERS, "GET", "/.well-known/jwks.json", String::new(), 200),
        (Class::Document, DOCUMENT_WORKERS, "GET", "/healthz", String::new(), 200),
        (Class::Document, DOCUMENT_WORKERS, "OPTIONS", "/items/5101/access", String::new(), 204),
        (Class::Document, DOCUMENT_WORKERS, "GET", "/nowhere", String::new(), 404),
    ]
}

#[test]
fn a_class_that_is_stuck_leaves_the_others_working() {
    let subject = Subject::new(|_| {});
    let bearer = format!("Bearer {FEED_SECRET}");
    let ask = |method, path: &str, body: &str| {
        let feed = [FORM, ("authorization", bearer.as_str())];
        let headers = if path.starts_with("/changes") { &feed[..] } else { &feed[..1] };
        subject.ask(method, path, headers, body)
    };
    let classes: Vec<_> = requests().iter().map(|request| (request.0, request.1)).collect();
    for (stuck, threads) in classes {
        let gates = subject.server.pools.of(stuck).stick(threads);
        for (class, _, method, path, body, expected) in requests() {
            let answer = ask(method, path, &body);
            let label = format!("{class:?} {method} {path} while {stuck:?} is stuck: {}", answer.text);
            if class == stuck {
                assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{label}");
                let is_page = path.starts_with("/oauth2/authorize");
                assert_eq!(
                    answer.header("access-control-allow-origin"),
                    (!is_page).then_some("*"),
                    "{label}"
                );
            } else {
                assert_eq!(answer.status, expected, "{label}");
            }
        }
        drop(gates);
        // The threads empty the queue; then the class works again.
        let (_, _, method, path, body, _) =
            requests().into_iter().find(|request| request.0 == stuck).unwrap();
        while ask(method, path, &body).status == 503 {}
    }
}

#[test]
fn wrong_passwords_delay_the_next_try_before_anything_is_hashed() {
    let subject = Subject::new(|_| {});
    let here = [203, 0, 113, 9];
    for username in ["ada", "nobody"] {
        let mut wrong = 0;
        let delayed = loop {
            let answer = subject.sign_in(here, username, "wrong password");
            if answer.status != 401 {
                break answer;
            }
            assert_eq!(answer.json()["message"], "Invalid credentials");
            wrong += 1;
        };
        // The same for an account that is there and one that is not.
        assert_eq!((wrong, delayed.status, delayed.header("retry-after")), (4, 429, Some("1")), "{username}");
        assert_eq!(delayed.json()["code"], 429);
    }
    let counts = &subject.server.shared.counts;
    assert_eq!((counts.of("401 wrong credentials"), counts.of("429 too many")), (8, 2));
    // Not even looked at: no thread could look at it now.
    let gates = subject.server.pools.of(Class::Password).stick(PASSWORD_WORKERS);
    for password in [PASSWORD, "wrong password"] {
        assert_eq!(subject.sign_in(here, "ada", password).status, 429);
    }
    assert_eq!(subject.sign_in(here, "grace", PASSWORD).status, 503);
    drop(gates);
    while subject.sign_in(here, "grace", PASSWORD).status == 503 {}
    // The owner, elsewhere, has waited for nothing, and neither do others here.
    assert_eq!(subject.sign_in([198, 51, 100, 7], "ada", PASSWORD).status, 200);
    assert_eq!(subject.sign_in(here, "grace", PASSWORD).status, 200);
    // Here it is enough to wait; then all is forgotten.
    subject.clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(subject.sign_in(here, "ada", PASSWORD).status, 200);
    for _ in 0..4 {
        assert_eq!(subject.sign_in(here, "ada", "wrong password").status, 401);
    }
}

#[test]
fn the_sign_in_page_delays_as_well_and_says_for_how_long() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    let sql = "UPDATE clients SET redirect_uris_json = '[\"https://tv.example/\"]' WHERE client_id = ?1";
    db::connect_to(&subject.server.shared.settings.db).unwrap().execute(sql, [CLIENT]).unwrap();
    let asked = format!(
        "response_type=code&client_id={CLIENT}&redirect_uri=https://tv.example/&code_challenge={}&code_challenge_method=S256&state=%22s%22",
        "x".repeat(43)
    );
    let post = |address, password: &str| {
        let form = format!("{asked}&username=ada&password={password}");
        subject.send(address, "POST", "/oauth2/authorize", &[FORM], &form)
    };
    let statuses: Vec<_> = (0..6).map(|_| post([203, 0, 113, 9], "wrong").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    let delayed = post([203, 0, 113, 9], "correct+horse");
    assert_eq!((delayed.status, delayed.header("retry-after")), (429, Some("1")));
    assert!(delayed.text.contains("Try again in 1 seconds"), "{}", delayed.text);
    assert!(delayed.text.contains("value=\"&quot;s&quot;\""), "what was asked for is sent along");
    assert_eq!(delayed.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(delayed.header("content-security-policy").is_some());
    // 303: what was posted must not be posted to the app.
    let signed_in = post([198, 51, 100, 7], "correct+horse");
    assert_eq!(signed_in.status, 303);
    let location = signed_in.header("location").unwrap();
    assert!(
        location.contains("code=") && location.contains("iss=https%3A%2F%2Forigin.example"),
        "{location}"
    );
    // Without a name there is nothing to try either.
    let form = format!("{asked}&password=x");
    let statuses: Vec<_> = (0..6)
        .map(|_| subject.send([203, 0, 113, 10], "POST", "/oauth2/authorize", &[FORM], &form).status)
        .collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
}

#[test]
fn one_address_that_tries_every_account_is_delayed_and_another_is_not() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    let spray =
        |account: u32| subject.sign_in([203, 0, 113, 9], &format!("u{account}"), "wrong password").status;
    let statuses: Vec<_> = (0..40).map(spray).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 21);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 19);
    assert_eq!(subject.sign_in([203, 0, 113, 9], "ada", PASSWORD).status, 429);
    assert_eq!(subject.sign_in([203, 0, 113, 10], "ada", PASSWORD).status, 200);
    // Refreshing needs no password and has no delay.
    let refresh = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token=x");
    assert_eq!(subject.ask("POST", "/oauth2/token", &[FORM], &refresh).status, 400);
}

#[test]
fn a_stranger_behind_a_proxy_on_this_machine_closes_the_sign_in_for_nobody() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    for account in 0..40 {
        assert_eq!(subject.sign_in([127, 0, 0, 1], &format!("u{account}"), "wrong password").status, 401);
    }
    assert_eq!(subject.sign_in([127, 0, 0, 1], "ada", PASSWORD).status, 200);
}

#[test]
fn what_comes_by_the_edge_counts_for_the_viewer_behind_it() {
    let subject = Subject::new(|settings| settings.edge_secrets = vec![EDGE_SECRET.to_owned()]);
    let form = format!("grant_type=password&client_id={CLIENT}&username=ada&password=");
    let by_edge = |viewer: &str, key: &str, password: &str| {
        let headers = [FORM, ("admit-edge-key", key), ("admit-viewer-address", viewer)];
        let form = [&form, password].concat();
        subject.send([192, 0, 2, 1], "POST", "/accounts/authenticate", &headers, &form).status
    };
    let statuses: Vec<_> = (0..6).map(|_| by_edge("203.0.113.9", EDGE_SECRET, "wrong")).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    assert_eq!(by_edge("203.0.113.10", EDGE_SECRET, "correct+horse"), 200);
    // One who does not know the secret cannot say that another address is his.
    let statuses: Vec<_> = (0..6).map(|n| by_edge(&format!("198.51.100.{n}"), "a guess", "wrong")).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
}

#[test]
fn a_sign_in_that_is_too_large_is_refused_before_a_thread_takes_it_up() {
    let subject = Subject::new(|_| {});
    let gates = [
        subject.server.pools.of(Class::Password).stick(PASSWORD_WORKERS),
        subject.server.pools.of(Class::Token).stick(TOKEN_WORKERS),
    ];
    let query = |text: String| subject.ask("GET", &format!("/oauth2/authorize?{text}"), &[], "").status;
    assert_eq!(query("a[]&".repeat(SIGN_IN_MAX_FIELDS + 1)), 400);
    assert_eq!(query("x".repeat(SIGN_IN_MAX_BYTES + 1)), 414);
    // At the bounds it waits for a thread, of which there is none.
    assert_eq!(query("a[]&".repeat(SIGN_IN_MAX_FIELDS)), 503);
    drop(gates);
    let paths =
        ["/accounts/authenticate", "/v2/accounts/authenticate", "/oauth2/token", "/oauth2/authorization"];
    for path in paths.into_iter().chain(["/oauth2/authorize"]) {
        let status = |body: &str| subject.ask("POST", path, &[FORM], body).status;
        while status("") == 503 {}
        assert_eq!(status(&"x".repeat(SIGN_IN_MAX_BYTES + 1)), 413, "{path}");
        assert!([400, 422].contains(&status(&"a[]&".repeat(SIGN_IN_MAX_FIELDS + 1))), "{path}");
        assert!([400, 422].contains(&status(&"a[]&".repeat(20_000 / 5))), "{path}");
    }
    // A merchant's bulk change is as large as ever, which the token then decides on.
    let bulk = "a[]&".repeat(20_000);
    assert_eq!(subject.ask("PATCH", "/v2/items/5101/access-fees/bulk", &[FORM], &bulk).status, 401);
}

#[test]
fn an_origin_for_its_edge_only_gives_strangers_what_is_public() {
    let subject = Subject::new(|settings| {
        settings.edge_secrets = vec![EDGE_SECRET.to_owned()];
        settings.is_edge_only = true;
    });
    let key = ("admit-edge-key", EDGE_SECRET);
    for (_, _, method, path, body, expected) in requests() {
        let open = ["/.well-known/", "/healthz", "/oauth2/authorize", "/oauth2/token"];
        let is_open = open.iter().any(|open| path.starts_with(open));
        let stranger = subject.ask(method, path, &[FORM], &body);
        let wrong = subject.ask(method, path, &[FORM, ("admit-edge-key", "another")], &body);
        if path.starts_with("/changes") {
            // It has a secret of its own.
            let bearer = ("authorization", &*format!("Bearer {FEED_SECRET}"));
            assert_eq!((stranger.status, subject.ask(method, path, &[bearer], "").status), (401, 200));
            continue;
        }
        let by_edge = subject.ask(method, path, &[FORM, key], &body);
        assert_eq!(by_edge.status, expected, "{method} {path}");
        let refused = if is_open { expected } else { 421 };
        assert_eq!((stranger.status, wrong.status), (refused, refused), "{method} {path}");
    }
    // How much is written is nobody else's business.
    let health = |headers: &[(&str, &str)]| subject.ask("GET", "/healthz", headers, "").json();
    assert!(health(&[]).get("seq").is_none() && health(&[key])["seq"].is_u64());
}

#[test]
fn no_page_reads_the_sign_in_page() {
    let subject = Subject::new(|settings| {
        settings.variables.insert("CORS_ORIGINS".to_owned(), "https://tv.example".to_owned());
    });
    let origin = ("origin", "https://tv.example");
    let asks_for = ("access-control-request-method", "POST");
    for (method, path, headers) in [
        ("GET", "/oauth2/authorize?client_id=x", &[origin][..]),
        ("POST", "/oauth2/authorize", &[origin, FORM]),
        ("OPTIONS", "/oauth2/authorize", &[origin, asks_for]),
        ("GET", &*format!("/oauth2/authorize?{}", "x".repeat(SIGN_IN_MAX_BYTES + 1)), &[origin]),
        ("PUT", "/oauth2/authorize", &[origin]),
    ] {
        let answer = subject.ask(method, path, headers, "");
        let named: Vec<_> =
            answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).collect();
        assert!(named.is_empty(), "{method} {path}: {named:?}");
    }
    // What the service has no part in follows CORS_ORIGINS like the rest.
    let gates = subject.server.pools.of(Class::Read).stick(READ_WORKERS);
    let allowed = |origin: &str| {
        let answer = subject.ask("GET", "/items/5101", &[("origin", origin)], "");
        assert_eq!((answer.status, answer.header("vary")), (503, Some("Origin")));
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allowed("https://tv.example").as_deref(), Some("https://tv.example"));
    assert_eq!(allowed("https://other.example"), None);
    drop(gates);
}

#[test]
fn how_long_a_reader_waits() {
    for (prefer, secs) in [
        ("wait=20", Some(20)),
        ("respond-async, wait=5", Some(5)),
        ("wait=\"7\"", Some(7)),
        ("Wait = 7", Some(7)),
        ("", None),
        ("wait=soon", None),
        ("await=3", None),
    ] {
        assert_eq!(wanted_wait(prefer), secs.map(Duration::from_secs), "{prefer}");
    }
}
