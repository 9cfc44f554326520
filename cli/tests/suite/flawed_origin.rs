//! A fake of a whole origin: export, changes, access checks, writes and keys, all correct except for one
//! flaw.

mod reads;
mod world;
mod writes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use admit_testing::http::{Request, Response, Server};
use serde_json::{Value, json};

use crate::feed::{ORIGIN_TOKEN, http_date};

/// The merchant's bearer.
pub const MERCHANT: &str = "merchant";
/// The bearer of a customer who owns the item.
pub const OWNER: &str = "owner";
/// The bearer of a customer who does not own it.
pub const STRANGER: &str = "stranger";
/// The bearer of a customer who buys it.
pub const BUYER: &str = "buyer";
/// The id of the customer who buys it.
pub const BUYER_ID: i64 = 3;
/// The item.
pub const ITEM: i64 = 33;

/// A running origin.
pub struct FlawedOrigin {
    /// Its URL.
    pub url: String,
    _server: Server,
    shared: Arc<Shared>,
}

/// The state that its threads share.
pub struct Shared {
    flaw: &'static str,
    jwks: String,
    state: Mutex<State>,
}

/// The origin's data.
#[derive(Default)]
struct State {
    /// Lines of the feed; the first one is change 1.
    changes: Vec<String>,
    /// Accesses that the buyer holds.
    bought: u32,
    /// The id of the last access.
    last_access: u32,
    /// The number of exports that were read.
    exports: u32,
    /// Accesses of the stranger to another item, which change while others write.
    others: u32,
    /// For each idempotency key, the request and its answer.
    keys: BTreeMap<String, (Vec<u8>, Response)>,
    /// Whether the buyer's next check ignores the last write.
    lags: bool,
    /// The number of requests that would change data.
    writes: u32,
}

impl Shared {
    /// Whether the origin has this flaw.
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    /// Answers a request.
    fn serve(&self, request: Request) {
        if self.is("feed-wait-hangs") && !request.header("prefer").is_empty() {
            return request.hold();
        }
        let ahead_secs = match self.flaw {
            "clock-is-slow" => -3_600,
            "clock-is-fast" => 30,
            _ => 0,
        };
        let response = self.answer(&request).header("Date", http_date(ahead_secs));
        // A client that goes away does not matter here.
        let _gone = request.respond(&response);
    }

    fn answer(&self, request: &Request) -> Response {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let state = &mut *self.state();
        match (request.method.as_str(), path) {
            ("GET", "/export") => {
                let answer = match query.strip_prefix("after=") {
                    None => self.export(state, request),
                    Some(after) => self.changes(state, request, after.parse().unwrap()),
                };
                self.others_write(state);
                answer
            }
            ("GET", "/.well-known/openid-configuration") => {
                let url = format!("http://{}", request.header("host"));
                let issuer = if self.is("issuer-other") { "https://id.example" } else { &url };
                Response::json(200, &json!({"issuer": issuer, "jwks_uri": format!("{url}/jwks")}))
            }
            ("GET", "/jwks") => self.keys(),
            ("POST", "/items/access") => self.grant(state, request),
            (method, path) => {
                let id = path.strip_prefix("/items/").and_then(|path| path.strip_suffix("/access"));
                let id = id.and_then(|id| id.parse().ok()).unwrap_or_default();
                let caching = if self.is("cached") { "private, max-age=60" } else { "private, no-store" };
                match method {
                    "DELETE" => self.revoke(state, id, query),
                    _ => self.access(state, request, id).header("Cache-Control", caching),
                }
            }
        }
    }

    /// An error.
    fn error(&self, status: u16, field: &str, message: &str) -> Response {
        let code = if self.is("code-is-text") { json!(status.to_string()) } else { json!(status) };
        let is_denial = status == 402;
        let errors: Value = if self.is("denials-are-lists") && is_denial {
            json!([message])
        } else {
            json!({field: message})
        };
        if self.is("denials-are-pages") && is_denial {
            return Response::new(status, "<h1>No</h1>").header("Content-Type", "text/html");
        }
        Response::json(status, &json!({"code": code, "message": message, "errors": errors}))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl FlawedOrigin {
    /// Starts an origin with this flaw, or with `""` for none.
    pub fn start(flaw: &'static str, jwks: &str) -> Self {
        // Three changes that do not concern the edge.
        let changes = (1..=3).map(|seq| format!("{{\"seq\":{seq}}}")).collect();
        let state = Mutex::new(State { changes, ..State::default() });
        let shared = Arc::new(Shared { flaw, jwks: jwks.to_owned(), state });
        let served = Arc::clone(&shared);
        let server = Server::start(move |request| served.serve(request));
        Self { url: server.url(), _server: server, shared }
    }

    /// Whether the buyer has no access left.
    pub fn is_clean(&self) -> bool {
        self.shared.state().bought == 0
    }

    /// The number of requests that would change data.
    pub fn writes(&self) -> u32 {
        self.shared.state().writes
    }
}
