//! A fake of an origin: an export, a change feed, and faulty answers of both.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use admit_testing::http::{Request, Response, Server};

/// The token that it accepts.
pub const ORIGIN_TOKEN: &str = "sync-job";

/// A faulty answer to a request for changes.
#[derive(Clone, Debug)]
pub enum Quirk {
    /// This status.
    Status(u16),
    /// All changes from the first on, whatever was asked for.
    Everything,
    /// The first requested change is missing.
    Skipped,
    /// The changes in reverse order.
    Reversed,
    /// The last line breaks off.
    Cut,
    /// This body, as it is.
    Body(&'static str),
    /// The connection ends before the body does.
    BrokenOff,
    /// This status, these headers and this body, as another server would send them.
    Odd(u16, Headers, &'static str),
    /// The changes, compressed with gzip, with a label (`true`) or without.
    Gzip(bool),
}

/// Names and values.
pub type Headers = &'static [(&'static str, &'static str)];

/// A web page of an ingress, a challenge or a login.
pub const PAGE: &str = "<!DOCTYPE html><html><title>Just a moment...</title></html>";
/// The header of such a page.
pub const HTML: Headers = &[("Content-Type", "text/html; charset=utf-8")];

/// The state of the origin.
#[derive(Default)]
pub struct State {
    /// The export: its count, and its lines without the `snapshot` line.
    pub export: (u64, String),
    /// Changes, by count.
    pub changes: Vec<(u64, String)>,
    /// Every request: its URL, and its `Prefer`.
    pub requests: Vec<(String, String)>,
    /// The number of requests without the token.
    pub strangers: usize,
    /// How many seconds its clock is ahead.
    pub ahead_secs: Option<i64>,
    /// Faulty answers to requests for the export, each with a number of uses.
    pub odd_exports: Vec<(Quirk, usize)>,
    quirks: Vec<(Quirk, usize)>,
}

/// A running origin.
pub struct FeedDouble {
    /// Its URL.
    pub url: String,
    _server: Server,
    state: Arc<Mutex<State>>,
}

impl FeedDouble {
    /// Starts an origin whose export has `lines` and stands at `seq`.
    pub fn start(seq: u64, lines: &str) -> Self {
        let state = State { export: (seq, lines.to_owned()), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let server = Server::start(move |request| {
            let response = respond(&request, &mut served.lock().unwrap());
            // A client that goes away does not matter here.
            let _gone = request.respond(&response);
        });
        Self { url: server.url(), _server: server, state }
    }

    /// The URL of the export, and by default of the feed.
    pub fn export_url(&self) -> String {
        format!("{}/export", self.url)
    }

    /// The URL of the export without its `snapshot` line.
    pub fn lines_url(&self) -> String {
        format!("{}/lines", self.url)
    }

    /// Whether changes were requested: then everything was published before.
    pub fn is_followed(&self) -> bool {
        self.state().requests.iter().any(|(url, _)| url.contains("after="))
    }

    /// Its state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Commits a change with these fields besides `seq`.
    pub fn commit(&self, fields: &str) -> u64 {
        let mut state = self.state();
        let seq = state.changes.last().map_or(state.export.0, |(seq, _)| *seq) + 1;
        state.changes.push((seq, format!("{{\"seq\":{seq},{fields}}}")));
        seq
    }

    /// Gives a faulty answer to the next `times` requests for changes.
    pub fn misbehave(&self, quirk: Quirk, times: usize) {
        self.state().quirks.insert(0, (quirk, times));
    }
}

fn respond(request: &Request, state: &mut State) -> Response {
    state.requests.push((request.target.clone(), request.header("prefer").to_owned()));
    if request.bearer() != Some(ORIGIN_TOKEN) {
        state.strangers += 1;
    }
    let response = undated(&request.target, state);
    match state.ahead_secs {
        Some(ahead_secs) => response.header("Date", http_date(ahead_secs)),
        None => response,
    }
}

/// The time of a clock that is ahead, in HTTP's format.
pub fn http_date(ahead_secs: i64) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed();
    let at = chrono::DateTime::from_timestamp(now + ahead_secs, 0).unwrap();
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A faulty answer whose proper form would be `lines`.
fn odd(quirk: &Quirk, lines: String) -> Response {
    match quirk {
        Quirk::Status(status) => Response::new(*status, "{}"),
        Quirk::Body(body) => Response::ndjson(*body),
        Quirk::BrokenOff => Response::ndjson(lines).cut_off(),
        Quirk::Odd(status, headers, body) => headers
            .iter()
            .fold(Response::new(*status, *body), |response, (name, value)| response.header(name, *value)),
        Quirk::Gzip(is_labelled) => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(lines.as_bytes()).unwrap();
            let response = Response::ndjson(encoder.finish().unwrap());
            if *is_labelled { response.header("Content-Encoding", "gzip") } else { response }
        }
        quirk => panic!("{quirk:?} is made where changes are"),
    }
}

fn undated(url: &str, state: &mut State) -> Response {
    let Some((_, after)) = url.split_once("after=") else {
        let (seq, lines) = &state.export;
        if url == "/lines" {
            return Response::ndjson(lines.clone());
        }
        let lines = format!("{{\"type\":\"snapshot\",\"seq\":{seq}}}\n{lines}\n");
        return match state.odd_exports.last_mut() {
            Some((quirk, times)) if *times > 0 => {
                *times -= 1;
                odd(quirk, lines)
            }
            _ => Response::ndjson(lines),
        };
    };
    let after: u64 = after.parse().unwrap();
    let is_due = state.changes.iter().any(|(seq, _)| *seq > after);
    let quirk = match state.quirks.last_mut() {
        Some((quirk, times)) if *times > 0 && is_due => {
            let quirk = quirk.clone();
            *times -= 1;
            if *times == 0 {
                state.quirks.pop();
            }
            Some(quirk)
        }
        _ => None,
    };
    let due = |after: u64| -> Vec<String> {
        state.changes.iter().filter(|(seq, _)| *seq > after).map(|(_, line)| format!("{line}\n")).collect()
    };
    match quirk {
        None => Response::ndjson(due(after).concat()),
        Some(Quirk::Everything) => Response::ndjson(due(0).concat()),
        Some(Quirk::Skipped) => Response::ndjson(due(after + 1).concat()),
        Some(Quirk::Reversed) => {
            let mut lines = due(after);
            lines.reverse();
            Response::ndjson(lines.concat())
        }
        Some(Quirk::Cut) => {
            let mut lines = due(after).concat().into_bytes();
            lines.truncate(lines.len() - 10);
            Response::ndjson(lines)
        }
        Some(quirk) => odd(&quirk, due(after).concat()),
    }
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test waits for other processes")]
fn now() -> Instant {
    Instant::now()
}
