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
mod http;
#[path = "blackbox/workerd.rs"]
#[expect(dead_code, reason = "each suite uses a part of it")]
mod workerd;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use blackbox::{catalogue, issuers, subject::Subject, wire::Wire};
use http::{Request, Response, Server};
use serde_json::{Value, json};
use workerd::Workerd;

/// How issuers' hosts behave, by the path of their JWKS.
const BEHAVIOURS: [&str; 8] = ["good", "status", "redirect", "huge", "no-json", "no-keys", "cut", "hangs"];

/// The path of each request and the names of its headers.
type Requests = Arc<Mutex<Vec<(String, Vec<String>)>>>;

/// An issuer's host on this machine.
struct IssuerHost {
    port: u16,
    _server: Server,
    /// Whether every path behaves well from now on.
    is_mended: Arc<AtomicBool>,
    requests: Requests,
}

impl IssuerHost {
    fn start() -> Self {
        let is_mended = Arc::new(AtomicBool::new(false));
        let requests = Requests::default();
        let (mended, seen) = (Arc::clone(&is_mended), Arc::clone(&requests));
        let server = Server::start(move |request| {
            let path = request.target.trim_start_matches('/').to_owned();
            let headers = request.headers.iter().map(|(name, _)| name.clone()).collect();
            seen.lock().unwrap().push((path.clone(), headers));
            answer(request, if mended.load(Ordering::Relaxed) { "good" } else { &path });
        });
        Self { port: server.address.port(), _server: server, is_mended, requests }
    }

    fn requests_of(&self, path: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(seen, _)| seen == path).count()
    }
}

fn answer(request: Request, path: &str) {
    let jwks = issuers::fetched_jwks();
    let response = match path {
        "good" => Response::new(200, jwks),
        "status" => Response::new(500, jwks),
        "redirect" => Response::new(302, jwks).header("Location", "/good"),
        "huge" => Response::new(200, format!("{}{}", jwks, " ".repeat(200_000))),
        "no-json" => Response::new(200, "<html>keys</html>"),
        "no-keys" => Response::new(200, json!({"keys": []}).to_string()),
        // Fewer bytes than were promised, and the connection ends.
        "cut" => Response::new(200, jwks).header("Content-Length", "50000").header("Connection", "close"),
        "hangs" => {
            thread::sleep(Duration::from_secs(6));
            Response::new(200, jwks)
        }
        other => panic!("no behaviour {other}"),
    };
    // The Worker may have gone away, as it should from a host that hangs.
    let _sent = request.respond(&response);
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
