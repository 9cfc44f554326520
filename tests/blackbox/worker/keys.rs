//! Issuers' keys, fetched over HTTP by the Worker in workerd from issuers that behave and that misbehave. Run
//! by `cargo xtask test`.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use admit_testing::http::{Request, Response, Server};
use serde_json::{Value, json};

use crate::{catalogue, issuers, subject::Subject, wire::Wire, workerd::Workerd};

/// The behaviour of an issuer's host, by the path of its JWKS, and the status of a check.
const BEHAVIOURS: [(&str, u16); 13] = [
    ("good", 200),
    ("redirect", 200),
    ("gzip", 200),
    ("mark", 200),
    ("large", 200),
    ("status", 503),
    ("away", 503),
    ("gzip-unnamed", 503),
    ("huge", 503),
    ("no-json", 503),
    ("no-keys", 503),
    ("cut", 503),
    ("hangs", 503),
];

/// What the log must tell an operator.
const LOGGED: [&str; 7] = [
    "status 500",
    "a redirect to http://localhost:",
    "compressed with gzip; it needs the header Content-Encoding: gzip",
    "longer than 1048576 bytes",
    "HTML or XML, not JSON",
    "no key of the set can be used",
    "no answer in time",
];

/// The path and the headers of each request.
type Requests = Arc<Mutex<Vec<(String, Vec<(String, String)>)>>>;

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
            seen.lock().unwrap().push((path.clone(), request.headers.clone()));
            answer(request, if mended.load(Ordering::Relaxed) { "good" } else { &path });
        });
        Self { port: server.address.port(), _server: server, is_mended, requests }
    }

    fn requests_of(&self, path: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(seen, _)| seen == path).count()
    }
}

/// gzip without compression (RFC 1951 §3.2.4, RFC 1952): one stored block.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    let lengths = [len.to_le_bytes(), (!len).to_le_bytes()].concat();
    let trailer = [(!crc).to_le_bytes(), u32::from(len).to_le_bytes()].concat();
    [&header[..], &lengths, bytes, &trailer].concat()
}

fn answer(request: Request, path: &str) {
    let jwks = issuers::fetched_jwks();
    let response = match path {
        "good" => Response::new(200, jwks),
        "rotating" => Response::new(200, jwks.replace("fetched-1", "old")),
        "status" => Response::new(500, jwks),
        "redirect" => Response::new(302, jwks).header("Location", "/good"),
        "away" => {
            let host = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).unwrap();
            let port = host.1.rsplit_once(':').unwrap().1;
            Response::new(302, jwks).header("Location", format!("http://localhost:{port}/good"))
        }
        "gzip" => Response::new(200, gzip(jwks.as_bytes())).header("Content-Encoding", "gzip"),
        "gzip-unnamed" => Response::new(200, gzip(jwks.as_bytes())),
        "mark" => Response::new(200, format!("\u{feff}{jwks}")).header("Content-Type", "text/html"),
        "large" => Response::new(200, format!("{jwks}{}", " ".repeat(500_000))),
        "huge" => Response::new(200, format!("{jwks}{}", " ".repeat(2_000_000))),
        "no-json" => Response::new(200, "<html>keys</html>"),
        "no-keys" => Response::new(200, json!({"keys": []}).to_string()),
        // Fewer bytes than announced, and then the connection ends.
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
        .map(|(path, _)| *path)
        .chain(["rotating"])
        .map(|path| {
            json!({"issuer": format!("https://{path}.example"), "namespace": path, "audience": "none_required",
                   "keys": {"jwks_url": format!("http://127.0.0.1:{port}/{path}")}})
        })
        .collect();
    issuers::with_issuers(issuers::variables(), issuers)
}

/// A viewer's token of the issuer whose JWKS is at `path`.
fn token(worker: &Workerd, path: &str) -> String {
    let claims =
        json!({"iss": format!("https://{path}.example"), "sub": "somebody", "exp": worker.now() + 600});
    issuers::fetched_token(&claims)
}

fn check(worker: &Workerd, path: &str) -> crate::wire::Answer {
    worker.send(&Wire::get("/license").bearer(&token(worker, path)))
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn keys_are_fetched_and_issuers_that_fail_log_no_viewer_out() {
    let host = IssuerHost::start();
    let worker = Workerd::start(&configuration(host.port));
    catalogue::publish(&worker, 1);
    for (path, expected) in BEHAVIOURS {
        let answer = check(&worker, path);
        assert_eq!(answer.status, expected, "{path}: {}\n{}", answer.text(), worker.output());
        if expected == 503 {
            assert!(answer.header("retry-after").is_some(), "{path}");
            // Asked again at once, the Worker does not ask the issuer again.
            assert_eq!(check(&worker, path).status, 503, "{path}");
        }
        assert_eq!(host.requests_of(path), 1, "{path}");
    }
    assert_eq!(check(&worker, "good").status, 200);
    assert_eq!(host.requests_of("good"), 2, "its own request, and the redirected one");
    for (_, headers) in host.requests.lock().unwrap().iter() {
        let header = |wanted: &str| {
            headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(header("authorization"), None, "{headers:?}");
        let name = concat!("Admit/", env!("CARGO_PKG_VERSION"), " (entitlement edge)");
        assert_eq!(header("user-agent"), Some(name), "{headers:?}");
    }
    for expected in LOGGED {
        assert!(worker.log_line(&[expected]).is_some(), "{expected}: {}", worker.output());
    }
    host.is_mended.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(11));
    for (path, _) in BEHAVIOURS {
        let answer = check(&worker, path);
        assert_eq!(answer.status, 200, "{path} mended: {}\n{}", answer.text(), worker.output());
    }
}

/// A stranger causes a fetch with an unsigned token, just before the issuer publishes a new key.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn strangers_log_no_viewer_out_when_an_issuer_rotates_its_keys() {
    let host = IssuerHost::start();
    let worker = Workerd::start(&configuration(host.port));
    catalogue::publish(&worker, 1);
    let viewer = token(&worker, "rotating");
    let unsigned = format!("{}.AAAA", viewer.rsplit_once('.').unwrap().0);
    let ask = |token: &str| worker.send(&Wire::get("/license").bearer(token));
    assert_eq!(ask(&unsigned).status, 401, "{}", worker.output());
    host.is_mended.store(true, Ordering::Relaxed);
    let answer = ask(&viewer);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(ask(&unsigned).status, 503);
    assert_eq!(host.requests_of("rotating"), 1, "strangers do not make it ask more often");
    let refusal = r#""reason":"key_pending","detail":"header kid: the issuer has no key"#;
    assert!(worker.log_line(&[refusal]).is_some(), "{}", worker.output());
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&retry_after), "{retry_after}");
    thread::sleep(Duration::from_secs(retry_after + 1));
    assert_eq!(ask(&viewer).status, 200, "{}", worker.output());
    assert_eq!(host.requests_of("rotating"), 2);
}
