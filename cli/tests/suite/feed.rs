//! A fake of an origin: an export, a change feed, and faulty answers of both.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

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
    Odd(u16, &'static str, &'static str),
    /// The changes, compressed with gzip, with a label (`true`) or without.
    Gzip(bool),
}

/// A web page of an ingress, a challenge or a login.
pub const PAGE: &str = "<!DOCTYPE html><html><title>Just a moment...</title></html>";
/// The header of such a page.
pub const HTML: &str = "Content-Type: text/html; charset=utf-8\r\n";

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
    state: Arc<Mutex<State>>,
}

impl FeedDouble {
    /// Starts an origin whose export has `lines` and stands at `seq`. It runs until the tests end.
    pub fn start(seq: u64, lines: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { export: (seq, lines.to_owned()), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&served);
                std::thread::spawn(move || {
                    // A client that goes away does not matter here.
                    let _ = serve(&stream.unwrap(), &state);
                });
            }
        });
        Self { url, state }
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

/// Answers one request and ends the connection, so that a body can break off.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let url = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let Reply { status, headers: more, body, is_broken_off } = {
        let mut state = state.lock().unwrap();
        state.requests.push((url.clone(), headers.get("prefer").cloned().unwrap_or_default()));
        if headers.get("authorization") != Some(&format!("Bearer {ORIGIN_TOKEN}")) {
            state.strangers += 1;
        }
        answer(&url, &mut state)
    };
    let promised = body.len() + usize::from(is_broken_off);
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\n{more}Content-Length: {promised}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)?;
    stream.flush()
}

struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    is_broken_off: bool,
}

impl Reply {
    fn lines(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = "Content-Type: application/x-ndjson\r\n".to_owned();
        Self { status, headers, body: body.into(), is_broken_off: false }
    }

    fn odd(quirk: &Quirk, lines: String) -> Self {
        match quirk {
            Quirk::Status(status) => Self::lines(*status, "{}"),
            Quirk::Body(body) => Self::lines(200, *body),
            Quirk::BrokenOff => Self { is_broken_off: true, ..Self::lines(200, lines) },
            Quirk::Odd(status, headers, body) => {
                Self { headers: (*headers).to_owned(), ..Self::lines(*status, *body) }
            }
            Quirk::Gzip(is_labelled) => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(lines.as_bytes()).unwrap();
                let mut reply = Self::lines(200, encoder.finish().unwrap());
                if *is_labelled {
                    reply.headers.push_str("Content-Encoding: gzip\r\n");
                }
                reply
            }
            quirk => panic!("{quirk:?} is made where changes are"),
        }
    }
}

fn answer(url: &str, state: &mut State) -> Reply {
    let mut reply = undated(url, state);
    if let Some(ahead_secs) = state.ahead_secs {
        let date = chrono::DateTime::from_timestamp(unix_secs() + ahead_secs, 0).unwrap();
        reply.headers.push_str(&date.format("Date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string());
    }
    reply
}

fn unix_secs() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed()
}

fn undated(url: &str, state: &mut State) -> Reply {
    let Some((_, after)) = url.split_once("after=") else {
        let (seq, lines) = &state.export;
        if url == "/lines" {
            return Reply::lines(200, lines.clone());
        }
        let lines = format!("{{\"type\":\"snapshot\",\"seq\":{seq}}}\n{lines}\n");
        return match state.odd_exports.last_mut() {
            Some((quirk, times)) if *times > 0 => {
                *times -= 1;
                Reply::odd(quirk, lines)
            }
            _ => Reply::lines(200, lines),
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
        None => Reply::lines(200, due(after).concat()),
        Some(Quirk::Everything) => Reply::lines(200, due(0).concat()),
        Some(Quirk::Skipped) => Reply::lines(200, due(after + 1).concat()),
        Some(Quirk::Reversed) => {
            let mut lines = due(after);
            lines.reverse();
            Reply::lines(200, lines.concat())
        }
        Some(Quirk::Cut) => {
            let mut lines = due(after).concat().into_bytes();
            lines.truncate(lines.len() - 10);
            Reply::lines(200, lines)
        }
        Some(quirk) => Reply::odd(&quirk, due(after).concat()),
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
