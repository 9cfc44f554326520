//! The service itself in this process, behind a socket on loopback: the code that the Worker runs, on a store
//! in memory with KV's rules. The doubles record requests; this one gives the true answers.

use std::{
    sync::mpsc::{self, Receiver},
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};

use admit::{api::reply::Request, app::App, config::Config, ports::Platform};
use admit_testing::{
    http::{self, Response, Server},
    memory::{MemoryBody, MemoryPlatform, block_on},
};
use serde_json::json;

use crate::bench::Bench;

/// Keys in one answer of a list: few, so that a cursor is needed.
const LIST_MAX_KEYS: usize = 7;

/// A running service.
pub struct Service {
    /// Its URL.
    pub url: String,
    server: Option<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts a service that accepts heads signed by the bench's key, which also signs tokens.
    pub fn start(bench: &Bench) -> Self {
        Self::with(bench, false)
    }

    /// Like [`Self::start`]; its store refuses a second write to a key within a second, as KV does.
    pub fn with_limited_writes(bench: &Bench) -> Self {
        Self::with(bench, true)
    }

    fn with(bench: &Bench, limits_writes: bool) -> Self {
        let (sender, requests) = mpsc::channel();
        // A service that has panicked drops its requests, which closes their connections.
        let server = Server::start(move |request| drop(sender.send(request)));
        let keys: serde_json::Value = serde_json::from_str(&bench.jwks("publisher")).unwrap();
        let issuer = |name: &str, namespace: &str, may_publish: bool| {
            json!({
                "issuer": format!("https://{name}.example"), "namespace": namespace,
                "audience": {"any_of": ["admit"]}, "keys": {"jwks": keys}, "may_publish": may_publish, "leeway_secs": 0
            })
        };
        let issuers =
            json!([issuer("publisher", "publisher", true), issuer("id", "vendor", false)]).to_string();
        let (started, is_started) = mpsc::channel();
        let thread = {
            // An App is single-threaded, so it is created in the thread that uses it.
            std::thread::spawn(move || {
                let lookup = |name: &str| match name {
                    "SNAPSHOT_KEYS" => Some(keys.to_string()),
                    "ISSUERS" => Some(issuers.clone()),
                    _ => None,
                };
                let platform = MemoryPlatform::at(now_ms());
                platform.store().limit_lists(LIST_MAX_KEYS);
                platform.store().limit_writes(limits_writes);
                let app = App::new(platform, Config::parse(&lookup).unwrap()).unwrap();
                started.send(()).unwrap();
                serve(&requests, &app);
            })
        };
        is_started.recv().unwrap();
        Self { url: server.url(), server: Some(server), thread: Some(thread) }
    }

    /// A token of one of its issuers.
    pub fn token(bench: &Bench, issuer: &str, subject: &str) -> String {
        Self::scoped(bench, issuer, subject, "snapshot:publish")
    }

    /// A token with another scope.
    pub fn scoped(bench: &Bench, issuer: &str, subject: &str, scope: &str) -> String {
        let claims = json!({ "iss": format!("https://{issuer}.example"), "aud": "admit", "sub": subject, "scope": scope });
        let args = ["token", "--key", "publisher.jwk", "--claims", &claims.to_string()];
        bench.run(&args).ok().stdout.trim().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Its closure has the sender; without it the service ends.
        drop(self.server.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the service panicked");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a double has a clock; the service is given one")]
fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn serve(requests: &Receiver<http::Request>, app: &App<MemoryPlatform>) {
    for received in requests {
        app.platform().clock().set_ms(now_ms());
        let (path, query) = received.target.split_once('?').unwrap_or((&received.target, ""));
        let request = Request {
            base_url: "",
            method: &received.method,
            path,
            query,
            authorization: received.header("authorization"),
            page_origin: "",
            ip_address: "",
            country: "",
            holder: received.header("admit-holder"),
            min_seq: 0,
            merchant: None,
            passed: &[],
        };
        let reply = block_on(app.handle(&request, MemoryBody::from(received.body.clone())));
        if let Some(refresh) = app.begin_refresh() {
            block_on(app.refresh(refresh));
        }
        let mut response = Response::new(reply.status, reply.body.as_bytes());
        for (name, value) in &reply.headers {
            response = response.header(name, value.to_string());
        }
        // The client may be gone.
        let _ = received.respond(&response);
    }
}
