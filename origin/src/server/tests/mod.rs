//! A whole server without a listener: requests go in as the listener would hand them over.

mod classes;
mod sign_in;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
};

use axum::body::to_bytes;
use serde_json::Value;

use super::*;
use crate::{clock::Clock, db::import::import, tokens::password};

const FEED_SECRET: &str = "feed-secret-feed-secret-feed-secret";
const EDGE_SECRET: &str = "edge-secret-edge-secret-edge-secret";
const CLIENT: &str = "5hq2v8mfernhollowweb71c0";
const PASSWORD: &str = "correct horse";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A server on the sample catalogue without a listener, and a clock that the test moves.
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
    ) -> Received {
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
            Received { status: parts.status.as_u16(), headers: parts.headers, text }
        })
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Received {
        self.send([203, 0, 113, 9], method, path, headers, body)
    }

    fn sign_in(&self, address: [u8; 4], username: &str, password: &str) -> Received {
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

struct Received {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
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
