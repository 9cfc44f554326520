//! A fake of the Worker's publish API: it enforces the same rules, records the requests, and fails on demand.

mod routes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use admit_snapshot::{
    head::{HEAD_TYPE, Head},
    head_value::HeadValue,
    object::{ObjectKind, ObjectName},
};
use admit_testing::http::{Request, Response, Server};
use admit_token::{KeySet, NativeVerifier, verify_jws};

/// The token that it accepts.
pub const TOKEN: &str = "let-me-in";

/// A fault that replaces or changes an answer.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// This status, with a `Retry-After` if there is one.
    Status(u16, Option<&'static str>),
    /// A web page with this status: a challenge, or an ingress that does not know the service.
    Page(u16),
    /// The request is done, but its answer is lost: the client gets this status.
    Unheard(u16),
    /// No answer, until the double is dropped.
    Hang,
    /// An answer with damaged bytes. For a pack: its last object is stored with a wrong byte.
    Corrupt,
    /// An answer as if no requested object were stored.
    Unseen,
    /// A proper answer, but another publisher takes the lease over before it.
    TakenOver,
    /// A proper answer, but another publisher publishes this head before it.
    Published(String),
}

/// When a fault occurs: for `times` requests that begin like `on`, after `after` successful ones.
#[derive(Clone, Debug)]
pub struct Cue {
    /// Method and the beginning of the path, such as `PUT /snapshot/shard`.
    pub on: &'static str,
    /// How many such requests are answered properly first.
    pub after: usize,
    /// How many requests get the fault.
    pub times: usize,
    /// The fault.
    pub mishap: Mishap,
}

/// The state of the double.
#[derive(Default)]
pub struct State {
    /// Objects, by key.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Everything else except the head, by key: versions, the lease, the garbage.
    pub values: BTreeMap<String, Vec<u8>>,
    /// The published head, without the delta that it may carry.
    pub head: Option<String>,
    /// The deltas that heads have carried, by key.
    pub carried: BTreeMap<String, Vec<u8>>,
    /// Whether it takes a head for a JWS and nothing else, as Workers did before heads carried deltas.
    pub is_earlier: bool,
    /// Every request with its status: a fault's status, or 0 without an answer.
    pub requests: Vec<(String, u16)>,
    cues: Vec<Cue>,
    keys: String,
    stored_last: Option<String>,
    hanging: Vec<Request>,
}

impl State {
    /// The published head's payload.
    pub fn published(&self) -> Option<Head> {
        let keys = KeySet::from_inline_jwks(&self.keys, &NativeVerifier).unwrap();
        verify_jws(self.head.as_deref()?, &keys, HEAD_TYPE, &NativeVerifier).ok()
    }

    /// The value of the key `head`.
    pub fn head_value(&self) -> Option<Vec<u8>> {
        let jws = self.head.as_ref()?.as_bytes();
        let delta = self.published().and_then(|head| {
            self.carried.get(&ObjectName { kind: ObjectKind::Delta, digest: head.delta? }.to_string())
        });
        Some(HeadValue { jws, delta: delta.map(Vec::as_slice) }.join())
    }

    /// The `seq` of every kept version.
    pub fn versions(&self) -> Vec<u64> {
        let mut versions: Vec<_> =
            self.values.keys().filter_map(|key| key.strip_prefix("version/")?.parse().ok()).collect();
        versions.sort_unstable();
        versions
    }

    /// The key of the object that was stored last.
    pub fn stored_last(&self) -> Option<String> {
        self.stored_last.clone()
    }

    /// The number of requests that begin with this text.
    pub fn count(&self, beginning: &str) -> usize {
        self.requests.iter().filter(|(request, _)| request.starts_with(beginning)).count()
    }
}

/// A running double.
pub struct Double {
    /// Its URL.
    pub url: String,
    _server: Server,
    state: Arc<Mutex<State>>,
}

impl Double {
    /// Starts a double that accepts heads signed by `keys`, a JWKS.
    pub fn start(keys: &str) -> Self {
        let state = Arc::new(Mutex::new(State { keys: keys.to_owned(), ..State::default() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(request, &shared));
        Self { url: server.url(), _server: server, state }
    }

    /// Its state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Sets this fault, instead of earlier ones.
    pub fn fail(&self, on: &'static str, after: usize, times: usize, mishap: Mishap) {
        self.state().cues = vec![Cue { on, after, times, mishap }];
    }

    /// Forgets faults and requests, including those that hang, but not the stored values.
    pub fn recover(&self) {
        let mut state = self.state();
        state.cues.clear();
        state.requests.clear();
        state.hanging.clear();
    }

    /// Waits until a request hangs.
    pub fn wait_for_hang(&self) {
        for _ in 0..1_000 {
            if !self.state().hanging.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no request hangs");
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.recover();
    }
}

type Answer = (u16, Vec<u8>);

fn answer(request: Request, state: &Mutex<State>) {
    let name = format!("{} {}", request.method, request.target);
    let mut state = state.lock().unwrap();
    let mishap = state.cues.iter_mut().find(|cue| name.starts_with(cue.on)).and_then(|cue| {
        if cue.after > 0 {
            cue.after -= 1;
            return None;
        }
        cue.times = cue.times.checked_sub(1)?;
        Some(cue.mishap.clone())
    });
    let (status, mut bytes) = match mishap {
        Some(Mishap::Hang) => {
            state.requests.push((name, 0));
            state.hanging.push(request);
            return;
        }
        Some(Mishap::Status(status, _)) => on_cue(status),
        Some(Mishap::Page(status)) => (status, b"<!DOCTYPE html><title>Just a moment...</title>".to_vec()),
        Some(Mishap::Unheard(status)) => {
            routes::respond(&request, &mut state);
            on_cue(status)
        }
        Some(Mishap::Unseen) => routes::unseen(&request),
        Some(Mishap::Corrupt) | None => routes::respond(&request, &mut state),
        Some(Mishap::TakenOver) => {
            let (holder, until) = ("f".repeat(32), routes::now() + 100);
            let lease = format!(r#"{{"holder":"{holder}","host":"rival:1","until":{until}}}"#);
            state.values.insert("lease".to_owned(), lease.into_bytes());
            routes::respond(&request, &mut state)
        }
        Some(Mishap::Published(ref head)) => {
            state.head = Some(head.clone());
            routes::respond(&request, &mut state)
        }
    };
    if let Some(Mishap::Corrupt) = mishap {
        match state.stored_last().filter(|_| name.starts_with('P')) {
            Some(key) => state.objects.get_mut(&key).unwrap().push(0),
            None => bytes.push(0),
        }
    }
    state.requests.push((name, status));
    drop(state);
    let mut response = Response::new(status, bytes);
    if request.method == "HEAD" {
        // As real servers do: the encoding that GET would have.
        response = response.header("Content-Encoding", "gzip");
    }
    let retry_after = match mishap {
        Some(Mishap::Status(_, secs)) => secs,
        Some(Mishap::Unheard(_)) => Some("0"),
        // As challenge pages do, so that tests need not wait.
        Some(Mishap::Page(_)) => Some("0"),
        _ => None,
    };
    if let Some(secs) = retry_after {
        response = response.header("Retry-After", secs);
    }
    // The client may be gone; some tests want that.
    let _ = request.respond(&response);
}

fn on_cue(status: u16) -> Answer {
    let message = match status {
        401 => "Invalid auth token",
        403 => "Invalid privileges",
        404 => "Object not found",
        409 => "A newer head is published",
        413 => "Body too large",
        429 => "Too many requests",
        _ => "On cue",
    };
    error(status, message)
}

/// An error in the service's words.
fn error(status: u16, message: &str) -> Answer {
    let field = if status == 422 { "body".to_owned() } else { status.to_string() };
    let body = format!(r#"{{"code":{status},"message":"{message}","errors":{{"{field}":"{message}"}}}}"#);
    (status, body.into_bytes())
}
