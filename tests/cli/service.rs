//! The service itself, in this process, behind a socket on loopback: the code that the Worker runs, over a store
//! in memory with KV's rules. The doubles say what they were asked; this one says what is true.

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};

use admit::{
    api::reply::Request,
    app::App,
    config::Config,
    memory::{MemoryBody, MemoryPlatform, block_on},
    ports::Platform,
};
use serde_json::json;
use tiny_http::{Header, Response, Server};

use super::bench::Bench;

/// Keys in one answer of a list: so few that a cursor is needed.
const LIST_MAX_KEYS: usize = 7;

/// A running service.
pub struct Service {
    /// Where it answers.
    pub url: String,
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts one that serves heads signed by the bench's key, which also issues tokens.
    pub fn start(bench: &Bench) -> Self {
        Self::with(bench, false)
    }

    /// The same, whose store refuses a second write to a key within a second, as KV does.
    pub fn with_limited_writes(bench: &Bench) -> Self {
        Self::with(bench, true)
    }

    fn with(bench: &Bench, limits_writes: bool) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let keys: serde_json::Value = serde_json::from_str(&bench.jwks("publisher")).unwrap();
        let issuer = |name: &str, namespace: &str, may_publish: bool| {
            json!({
                "issuer": format!("https://{name}.example"), "namespace": namespace,
                "audience": {"any_of": ["admit"]}, "keys": {"jwks": keys}, "may_publish": may_publish
            })
        };
        let issuers =
            json!([issuer("publisher", "publisher", true), issuer("id", "vendor", false)]).to_string();
        let (started, is_started) = mpsc::channel();
        let thread = {
            let server = Arc::clone(&server);
            // An isolate has one thread, and so has the App: it is made where it is used.
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
                serve(&server, &app);
            })
        };
        is_started.recv().unwrap();
        Self { url: format!("http://{}", server.server_addr()), server, thread: Some(thread) }
    }

    /// A token of one of its issuers.
    pub fn token(bench: &Bench, issuer: &str, subject: &str) -> String {
        let claims = json!({
            "iss": format!("https://{issuer}.example"), "aud": "admit", "sub": subject, "scope": "snapshot:publish"
        });
        let args = ["token", "--key", "publisher.jwk", "--claims", &claims.to_string()];
        bench.run(&args).ok().stdout.trim().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.unblock();
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

fn serve(server: &Server, app: &App<MemoryPlatform>) {
    while let Ok(mut received) = server.recv() {
        app.platform().clock().set_ms(now_ms());
        let mut body = Vec::new();
        received.as_reader().read_to_end(&mut body).unwrap();
        let header = |name: &'static str| {
            let found = received.headers().iter().find(|header| header.field.equiv(name));
            found.map(|header| header.value.to_string()).unwrap_or_default()
        };
        let (authorization, holder) = (header("authorization"), header("admit-holder"));
        let (method, target) = (received.method().to_string(), received.url().to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let request = Request {
            method: &method,
            path,
            query,
            authorization: &authorization,
            origin: "",
            ip_address: "",
            country: "",
            holder: &holder,
            min_seq: 0,
            passed: &[],
        };
        let reply = match app.answer(&request) {
            Ok(reply) => reply,
            Err(_) => block_on(app.handle(&request, MemoryBody::from(body))),
        };
        if let Some(refresh) = app.begin_refresh() {
            block_on(app.refresh(refresh));
        }
        let mut response = Response::from_data(reply.body.as_bytes().to_vec()).with_status_code(reply.status);
        for (name, value) in &reply.headers {
            response.add_header(Header::from_bytes(*name, value.to_string()).unwrap());
        }
        // Whoever asked may be gone.
        let _ = received.respond(response);
    }
}
