//! Issuers' keys, fetched by the Worker in workerd over HTTP from issuers that behave and that do not.
//! `cargo xtask test` runs it.

#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

#[expect(dead_code, reason = "each suite uses a part of it")]
mod blackbox;
#[path = "blackbox/client.rs"]
mod client;
#[path = "blackbox/workerd.rs"]
#[expect(dead_code, reason = "each suite uses a part of it")]
mod workerd;

use std::{
    io::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use blackbox::{catalogue, issuers, subject::Subject, wire::Wire};
use serde_json::{Value, json};
use tiny_http::{Header, Response, Server};
use workerd::Workerd;

/// How issuers' hosts behave, by the path of their JWKS.
const BEHAVIOURS: [&str; 8] = ["good", "status", "redirect", "huge", "no-json", "no-keys", "cut", "hangs"];

/// The path of each request and the names of its headers.
type Requests = Arc<Mutex<Vec<(String, Vec<String>)>>>;

/// An issuer's host on this machine.
struct IssuerHost {
    port: u16,
    /// Whether every path behaves well from now on.
    is_mended: Arc<AtomicBool>,
    requests: Requests,
}

impl IssuerHost {
    fn start() -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let port = server.server_addr().to_ip().unwrap().port();
        let is_mended = Arc::new(AtomicBool::new(false));
        let requests = Requests::default();
        let host = Self { port, is_mended: is_mended.clone(), requests: requests.clone() };
        thread::spawn(move || {
            for request in server.incoming_requests() {
                let path = request.url().trim_start_matches('/').to_owned();
                let headers = request.headers().iter().map(|header| header.field.to_string()).collect();
                requests.lock().unwrap().push((path.clone(), headers));
                let path = if is_mended.load(Ordering::Relaxed) { "good".to_owned() } else { path };
                thread::spawn(move || answer(request, &path, port));
            }
        });
        host
    }

    fn requests_of(&self, path: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(seen, _)| seen == path).count()
    }
}

fn answer(request: tiny_http::Request, path: &str, port: u16) {
    let jwks = issuers::fetched_jwks();
    let text = |text: String| Response::from_string(text).boxed();
    let response = match path {
        "good" => text(jwks),
        "status" => Response::from_string(jwks).with_status_code(500).boxed(),
        "redirect" => {
            let location = Header::from_bytes("Location", format!("http://127.0.0.1:{port}/good")).unwrap();
            Response::from_string(jwks).with_status_code(302).with_header(location).boxed()
        }
        "huge" => text(format!("{}{}", jwks, " ".repeat(200_000))),
        "no-json" => text("<html>keys</html>".to_owned()),
        "no-keys" => text(json!({"keys": []}).to_string()),
        "cut" => {
            // Fewer bytes than were promised, and the connection ends.
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 50000\r\n\r\n";
            let mut connection = request.into_writer();
            let _sent =
                connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(jwks.as_bytes()));
            return;
        }
        "hangs" => {
            thread::sleep(Duration::from_secs(6));
            text(jwks)
        }
        other => panic!("no behaviour {other}"),
    };
    // The Worker may have gone away, as it should from a host that hangs.
    let _sent = request.respond(response);
}

fn configuration(port: u16) -> Vec<(String, String)> {
    let issuers: Vec<Value> = BEHAVIOURS
        .iter()
        .map(|path| {
            json!({"issuer": format!("https://{path}.example"), "namespace": path, "audience": "none_required",
                   "keys": {"jwks_url": format!("http://127.0.0.1:{port}/{path}")}})
        })
        .collect();
    let mut variables = issuers::variables();
    for (name, value) in &mut variables {
        if name == "ISSUERS" {
            let mut all: Vec<Value> = serde_json::from_str(value).unwrap();
            all.extend(issuers.clone());
            *value = Value::from(all).to_string();
        }
    }
    variables
}

fn check(worker: &Workerd, path: &str) -> blackbox::wire::Answer {
    let claims =
        json!({"iss": format!("https://{path}.example"), "sub": "somebody", "exp": worker.now() + 600});
    let token = issuers::fetched_token(&claims);
    worker.send(&Wire::get("/license").bearer(&token))
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn keys_are_fetched_and_issuers_that_fail_log_nobody_out() {
    let host = IssuerHost::start();
    let worker = Workerd::start(&configuration(host.port));
    catalogue::publish(&worker, 1);
    for path in BEHAVIOURS {
        let answer = check(&worker, path);
        let expected = if path == "good" { 200 } else { 503 };
        assert_eq!(answer.status, expected, "{path}: {}\n{}", answer.text(), worker.output());
        if expected == 503 {
            assert!(answer.header("retry-after").is_some(), "{path}");
            // Asked again at once, it does not ask its issuer again.
            assert_eq!(check(&worker, path).status, 503, "{path}");
        }
        assert_eq!(host.requests_of(path), 1, "{path}");
    }
    assert_eq!(check(&worker, "good").status, 200);
    assert_eq!(host.requests_of("good"), 1);
    for (_, headers) in host.requests.lock().unwrap().iter() {
        assert!(!headers.iter().any(|name| name.eq_ignore_ascii_case("authorization")), "{headers:?}");
    }
    host.is_mended.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(11));
    for path in BEHAVIOURS {
        let answer = check(&worker, path);
        assert_eq!(answer.status, 200, "{path} mended: {}\n{}", answer.text(), worker.output());
    }
}
