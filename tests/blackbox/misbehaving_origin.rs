//! An origin behind a socket that misbehaves on demand, byte by byte. HTTP libraries would refuse to.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use crate::origin::{Given, Origin, Seen, access};

/// How it answers. It does the request first, unless the mode says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Good,
    /// Resets the connection before it reads anything: the request is not done.
    ResetAtOnce,
    /// Resets the connection after it has read the request.
    ResetBefore,
    ResetInHeaders,
    ResetInBody,
    /// Ends without a reset, in the middle of the body.
    CutInBody,
    /// One byte every 20 ms.
    Slow,
    /// Nothing, until the other side gives up.
    Hung,
    Status(u16),
    /// 429 with `Retry-After: 7`.
    TooMany,
    /// A page with this status.
    Page(u16),
    /// A page of 10 MB with status 500.
    HugePage,
    /// A redirect to another host, which would grant everything.
    Redirect,
    /// The answer, and behind it a second one that was not requested.
    Leftover,
    /// The answer, compressed.
    Gzip,
    /// The answer in a content coding that no runtime knows.
    UnknownCoding,
    /// The answer in an unusual form: a byte order mark, `+json`, numbers in quotes, `null` for "no end".
    Odd,
    /// Times in milliseconds.
    Milliseconds,
}

/// The origin. It runs until the test's process ends.
pub struct MisbehavingOrigin {
    pub address: SocketAddr,
    pub origin: Origin,
    mode: Arc<Mutex<(Mode, usize)>>,
    hangs_below: Arc<Mutex<Option<String>>>,
    /// Whether a request was not alone on its connection, or was not a request.
    pub is_confused: Arc<AtomicBool>,
    /// Whether a client followed the redirect.
    pub is_followed: Arc<AtomicBool>,
}

impl MisbehavingOrigin {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        let double = Self {
            address: listener.local_addr().unwrap(),
            origin: Origin::default(),
            mode: Arc::new(Mutex::new((Mode::Good, 0))),
            hangs_below: Arc::default(),
            is_confused: Arc::default(),
            is_followed: Arc::default(),
        };
        let is_followed = double.is_followed.clone();
        let elsewhere_address = elsewhere.local_addr().unwrap();
        thread::spawn(move || {
            for stream in elsewhere.incoming() {
                is_followed.store(true, Ordering::Relaxed);
                if let Ok(mut stream) = stream {
                    let _sent = stream.write_all(&message(&Given::json(200, &access(5101))));
                }
            }
        });
        let (origin, mode) = (double.origin.clone(), double.mode.clone());
        let hangs_below = double.hangs_below.clone();
        let is_confused = double.is_confused.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = Connection {
                    stream,
                    origin: origin.clone(),
                    mode: mode.clone(),
                    hangs_below: hangs_below.clone(),
                    is_confused: is_confused.clone(),
                    elsewhere: elsewhere_address,
                    is_unread: false,
                };
                thread::spawn(move || connection.serve());
            }
        });
        double
    }

    /// Sets the mode from now on.
    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = (mode, usize::MAX);
    }

    /// Requests for paths that begin with `prefix` hang from now on.
    pub fn hang_below(&self, prefix: &str) {
        *self.hangs_below.lock().unwrap() = Some(prefix.to_owned());
    }

    /// Sets the mode of the next request only.
    pub fn set_once(&self, mode: Mode) {
        *self.mode.lock().unwrap() = (mode, 1);
    }
}

struct Connection {
    stream: TcpStream,
    origin: Origin,
    mode: Arc<Mutex<(Mode, usize)>>,
    hangs_below: Arc<Mutex<Option<String>>>,
    is_confused: Arc<AtomicBool>,
    elsewhere: SocketAddr,
    is_unread: bool,
}

impl Connection {
    fn serve(mut self) {
        let mut received = Vec::new();
        loop {
            // Waits until there are bytes to leave unread.
            let _there = self.stream.peek(&mut [0]);
            if self.mode.lock().unwrap().0 == Mode::ResetAtOnce {
                self.next_mode();
                return;
            }
            let Some(seen) = self.read(&mut received) else { return };
            let hangs_below = self.hangs_below.lock().unwrap().clone();
            let mode = match hangs_below {
                Some(prefix) if seen.target.starts_with(&prefix) => Mode::Hung,
                _ => self.next_mode(),
            };
            let given = self.origin.answer(&seen);
            if !self.answer(mode, &given) {
                return;
            }
        }
    }

    fn next_mode(&self) -> Mode {
        let mut mode = self.mode.lock().unwrap();
        let (now, times) = *mode;
        *mode = if times > 1 {
            (now, times.saturating_sub(usize::from(times < usize::MAX)))
        } else {
            (Mode::Good, 0)
        };
        now
    }

    /// The next request; `None` when the connection ends.
    fn read(&mut self, received: &mut Vec<u8>) -> Option<Seen> {
        loop {
            if let Some((seen, len)) = parse(received) {
                received.drain(..len);
                return Some(seen);
            }
            let mut chunk = [0; 64 * 1024];
            match self.stream.peek(&mut chunk) {
                Ok(0) | Err(_) => {
                    // A request that breaks off is ignored; other leftovers mean that the edge was confused.
                    if !received.is_empty() && !is_beginning(received) {
                        self.is_confused.store(true, Ordering::Relaxed);
                    }
                    return None;
                }
                Ok(len) => {
                    let is_whole = parse(&[received, &chunk[..len]].concat()).is_some();
                    // The last byte stays unread: dropping a connection with unread bytes resets it.
                    let taken = len - usize::from(is_whole);
                    self.stream.read_exact(&mut chunk[..taken]).ok()?;
                    received.extend(&chunk[..len]);
                    self.is_unread = is_whole;
                }
            }
        }
    }

    /// Answers. Returns `false` if the connection must end.
    fn answer(&mut self, mode: Mode, given: &Given) -> bool {
        let whole = message(given);
        let is_reset =
            matches!(mode, Mode::ResetAtOnce | Mode::ResetBefore | Mode::ResetInHeaders | Mode::ResetInBody);
        if std::mem::take(&mut self.is_unread) && !is_reset {
            let _read = self.stream.read_exact(&mut [0]);
        }
        let stream = &mut self.stream;
        let (bytes, goes_on) = match mode {
            Mode::Good => (whole, true),
            Mode::ResetAtOnce | Mode::ResetBefore => return false,
            Mode::ResetInHeaders => {
                let _sent = stream.write_all(&whole[..20]);
                thread::sleep(Duration::from_millis(20));
                return false;
            }
            Mode::ResetInBody | Mode::CutInBody => {
                let mut longer = given.clone();
                longer.body.extend([b' '; 1_000]);
                let bytes = message(&longer);
                let _sent = stream.write_all(&bytes[..bytes.len() - 900]);
                thread::sleep(Duration::from_millis(20));
                return false;
            }
            Mode::Slow => {
                for byte in whole {
                    if stream.write_all(&[byte]).is_err() {
                        return false;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                return true;
            }
            Mode::Hung => {
                // Until the other side gives up.
                let _ended = stream.read(&mut [0]);
                return false;
            }
            Mode::Status(status) => (message(&crate::origin::denial(status, "As it was told")), true),
            Mode::TooMany => {
                let mut given = crate::origin::denial(429, "Slow down");
                given.headers.push(("retry-after", "7".to_owned()));
                (message(&given), true)
            }
            Mode::Page(status) => (page(status, "<html>welcome to the hotel's network</html>".into()), true),
            Mode::HugePage => (page(500, "<html>".repeat(10_000_000 / 6)), false),
            Mode::Redirect => {
                let mut given = Given::json(302, &json!({}));
                given.headers.push(("location", format!("http://{}/items/5101/access", self.elsewhere)));
                (message(&given), true)
            }
            Mode::Gzip => (message(&coded(given, "gzip", gzip(&given.body))), true),
            Mode::UnknownCoding => {
                let coded_body = given.body.iter().map(|byte| !byte).collect();
                (message(&coded(given, "x-unknown", coded_body)), true)
            }
            Mode::Odd => (message(&odd(given)), true),
            Mode::Milliseconds => (message(&in_milliseconds(given)), true),
            Mode::Leftover => ([whole, message(&Given::json(200, &access(5101)))].concat(), true),
        };
        match stream.write_all(&bytes).and_then(|()| stream.flush()) {
            Ok(()) => goes_on,
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                    "{error}"
                );
                false
            }
        }
    }
}

fn coded(given: &Given, coding: &str, body: Vec<u8>) -> Given {
    let mut coded = Given { body, ..given.clone() };
    coded.headers.push(("content-encoding", coding.to_owned()));
    coded
}

fn odd(given: &Given) -> Given {
    let mut body: serde_json::Value = serde_json::from_slice(&given.body).unwrap_or_default();
    if let Some(expires_at) = body.get_mut("expires_at") {
        *expires_at = serde_json::Value::Null;
        let id = body["item"]["id"].to_string();
        body["item"]["id"] = id.into();
    }
    let headers = vec![("content-type", "Application/Problem+JSON; charset=\"utf-8\"".to_owned())];
    let bom = "\u{feff}".as_bytes();
    Given { status: given.status, headers, body: [bom, body.to_string().as_bytes()].concat() }
}

fn in_milliseconds(given: &Given) -> Given {
    let mut body: serde_json::Value = serde_json::from_slice(&given.body).unwrap_or_default();
    if let Some(expires_at) = body.get_mut("expires_at") {
        *expires_at = (expires_at.as_i64().unwrap() * 1_000).into();
    }
    Given { body: body.to_string().into_bytes(), ..given.clone() }
}

/// A gzip member (RFC 1952) with one stored block (RFC 1951 §3.2.4).
fn gzip(body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap();
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let ends = [(!crc).to_le_bytes(), u32::from(len).to_le_bytes()].concat();
    [&header[..], &[1], &len.to_le_bytes(), &(!len).to_le_bytes(), body, &ends].concat()
}

fn page(status: u16, html: String) -> Vec<u8> {
    let headers = vec![("content-type", "text/html".to_owned())];
    message(&Given { status, headers, body: html.into_bytes() })
}

fn message(given: &Given) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} x\r\n", given.status).into_bytes();
    for (name, value) in &given.headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    if given.status != 204 {
        bytes.extend(format!("content-length: {}\r\n", given.body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(&given.body);
    bytes
}

fn is_beginning(received: &[u8]) -> bool {
    ["GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE "].iter().any(|method| {
        let len = method.len().min(received.len());
        received[..len] == method.as_bytes()[..len]
    })
}

/// The request at the beginning of `received`, and its length.
fn parse(received: &[u8]) -> Option<(Seen, usize)> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut seen = Seen { method, target, headers, body: Vec::new() };
    let rest = &received[end + 4..];
    if seen.header("transfer-encoding").is_some() {
        assert!(seen.header("content-length").is_none(), "both framings: {head}");
        let (body, len) = unchunked(rest)?;
        seen.body = body;
        return Some((seen, end + 4 + len));
    }
    let len = seen.header("content-length").map_or(0, |len| len.parse().unwrap());
    seen.body = rest.get(..len)?.to_vec();
    Some((seen, end + 4 + len))
}

fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut place) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(place..)?;
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        body.extend(rest.get(end + 2..end + 2 + size)?);
        rest.get(..end + 2 + size + 2)?;
        place += end + 2 + size + 2;
        if size == 0 {
            return Some((body, place));
        }
    }
}
