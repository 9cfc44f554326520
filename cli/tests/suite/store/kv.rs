//! A fake of Cloudflare's REST API for Workers KV with the documented limits: 10,000 pairs and 100 megabytes
//! in a call, 1,000 names in a list, one write a second to a key, and a number of calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use admit_testing::http::{Request, Response, Server};
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

/// The API token that it accepts.
pub const API_TOKEN: &str = "kv-token";

/// The store's name for commands.
pub const PLACE: &str = "kv:acc0/ns0";

const BULK_MAX_KEYS: usize = 10_000;
const BULK_MAX_BYTES: usize = 100_000_000;
const LIST_MAX_KEYS: usize = 1_000;

/// The state of the double.
#[derive(Default)]
pub struct State {
    /// Values, by key.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Every request: the method, the path after the namespace, and the status.
    pub requests: Vec<(String, u16)>,
    /// Sizes of the bodies of bulk writes.
    pub bulk_bytes: Vec<usize>,
    /// Whether a second write to a key within a second is refused.
    pub limits_writes: bool,
    /// This number of calls is answered with 429 first.
    pub turned_away: usize,
    /// This number of bulk calls leaves half of the keys undone.
    pub half_done: usize,
    /// This number of calls is answered with a web page with this status, as if another server stood before
    /// the API.
    pub pages: (usize, u16),
    /// This number of reads and lists does not show the latest writes.
    pub unseen: usize,
    written: BTreeMap<String, Instant>,
}

impl State {
    /// The number of requests that begin with this text.
    pub fn count(&self, beginning: &str) -> usize {
        self.requests.iter().filter(|(request, _)| request.starts_with(beginning)).count()
    }
}

/// A running double.
pub struct Kv {
    /// The value of `CLOUDFLARE_API_BASE_URL`.
    pub api_url: String,
    _server: Server,
    state: Arc<Mutex<State>>,
}

impl Kv {
    /// Starts an empty namespace.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(request, &shared));
        Self { api_url: format!("http://{}/client/v4", server.address), _server: server, state }
    }

    /// Its state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

type Answer = (u16, Vec<u8>);

fn answer(request: Request, state: &Mutex<State>) {
    let mut state = state.lock().unwrap();
    let path =
        request.target.strip_prefix("/client/v4/accounts/acc0/storage/kv/namespaces/").map(str::to_owned);
    let (namespace, path) = path.as_deref().and_then(|path| path.split_once('/')).unwrap_or_default();
    let (status, bytes) = if state.pages.0 > 0 {
        state.pages.0 -= 1;
        (state.pages.1, b"<!DOCTYPE html><title>Attention required!</title>".to_vec())
    } else if request.header("authorization") != format!("Bearer {API_TOKEN}") {
        error(403, 10_000, "Authentication error")
    } else if namespace != "ns0" {
        error(404, 10_013, "namespace not found")
    } else if state.turned_away > 0 {
        state.turned_away -= 1;
        error(429, 971, "Please wait and consider throttling your request speed")
    } else {
        respond(&request.method, path, &request.body, &mut state)
    };
    state.requests.push((format!("{} {path}", request.method), status));
    drop(state);
    let mut response = Response::new(status, bytes);
    if status == 429 {
        response = response.header("Retry-After", "1");
    }
    let _ = request.respond(&response);
}

fn error(status: u16, code: i64, message: &str) -> Answer {
    let body = json!({
        "success": false, "errors": [{ "code": code, "message": message }], "messages": [], "result": null
    });
    (status, body.to_string().into_bytes())
}

fn success(result: &Value, cursor: Option<&str>) -> Answer {
    let mut body = json!({ "success": true, "errors": [], "messages": [], "result": result });
    if let Some(cursor) = cursor {
        body["result_info"] = json!({ "count": result.as_array().map_or(0, Vec::len), "cursor": cursor });
    }
    (200, body.to_string().into_bytes())
}

fn respond(method: &str, path: &str, body: &[u8], state: &mut State) -> Answer {
    let is_seen = match state.unseen.checked_sub(1).filter(|_| method == "GET") {
        Some(left) => {
            state.unseen = left;
            false
        }
        None => true,
    };
    if let Some(query) = path.strip_prefix("keys?") {
        return list(query, state);
    }
    if let Some(key) = path.strip_prefix("values/") {
        let key = decoded(key);
        return match method {
            "GET" => match state.values.get(&key).filter(|_| is_seen) {
                Some(value) => (200, value.clone()),
                None => error(404, 10_009, "get: 'key not found'"),
            },
            "PUT" => write(key, Some(body.to_vec()), state),
            "DELETE" => write(key, None, state),
            _ => error(405, 10_405, "Method not allowed"),
        };
    }
    match (method, path) {
        ("PUT", "bulk") => {
            state.bulk_bytes.push(body.len());
            if body.len() > BULK_MAX_BYTES {
                return error(413, 10_100, "Request body too large");
            }
            let pairs: Vec<Value> = serde_json::from_slice(body).unwrap();
            let pairs = pairs.into_iter().map(|pair| {
                assert_eq!(pair["base64"], true);
                let value = Base64::decode_vec(pair["value"].as_str().unwrap()).unwrap();
                (pair["key"].as_str().unwrap().to_owned(), Some(value))
            });
            bulk(pairs.collect(), state)
        }
        ("POST", "bulk/delete") => {
            let keys: Vec<String> = serde_json::from_slice(body).unwrap();
            bulk(keys.into_iter().map(|key| (key, None)).collect(), state)
        }
        _ => error(404, 7_000, "No route for that URI"),
    }
}

fn bulk(pairs: Vec<(String, Option<Vec<u8>>)>, state: &mut State) -> Answer {
    if pairs.len() > BULK_MAX_KEYS {
        return error(413, 10_101, "Too many pairs");
    }
    let done = if state.half_done > 0 { pairs.len() / 2 } else { pairs.len() };
    state.half_done = state.half_done.saturating_sub(1);
    let mut undone = Vec::new();
    for (position, (key, value)) in pairs.into_iter().enumerate() {
        if position >= done {
            undone.push(key);
            continue;
        }
        state.values.remove(&key);
        state.values.extend(value.map(|value| (key, value)));
    }
    success(&json!({ "successful_key_count": done, "unsuccessful_keys": undone }), None)
}

#[expect(clippy::disallowed_methods, reason = "a double has a clock; the service is given one")]
fn write(key: String, value: Option<Vec<u8>>, state: &mut State) -> Answer {
    let now = Instant::now();
    let before = state.written.insert(key.clone(), now);
    if state.limits_writes && before.is_some_and(|before| now - before < Duration::from_secs(1)) {
        return error(429, 10_048, "one write a second to a key");
    }
    state.values.remove(&key);
    state.values.extend(value.map(|value| (key, value)));
    success(&Value::Null, None)
}

fn list(query: &str, state: &State) -> Answer {
    let parameters: BTreeMap<_, _> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name, decoded(value)))
        .collect();
    let limit: usize = parameters["limit"].parse().unwrap();
    if !(10..=LIST_MAX_KEYS).contains(&limit) {
        return error(400, 10_028, "list: limit must be between 10 and 1000");
    }
    let prefix = &parameters["prefix"];
    let after = parameters.get("cursor").cloned().unwrap_or_default();
    let names: BTreeSet<_> = state.values.keys().filter(|key| key.starts_with(prefix)).collect();
    // Pages are shorter than requested, as the API may give them: only the cursor tells whether there is
    // more.
    let mut left = names.into_iter().filter(|key| **key > after);
    let page: Vec<_> = left.by_ref().take(limit.min(10)).collect();
    let cursor = left.next().and(page.last().copied()).map_or("", String::as_str);
    let result = page.iter().map(|name| json!({ "name": name })).collect();
    success(&Value::Array(result), Some(cursor))
}

fn decoded(text: &str) -> String {
    assert!(!text.contains('/'), "a key's slash is percent-encoded");
    text.replace("%2F", "/")
}
