//! An HTTP/1.1 server on loopback for tests. It parses requests with httparse, gives each to a closure, and
//! writes the closure's response. Connections stay open.
//!
//! A fake can also misbehave: it may cut a response off, leave out its length, or give no response at all, by
//! dropping or holding the request.

#![expect(clippy::unwrap_used, reason = "a test that cannot open a port must fail")]

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

/// The most headers of a request; no test sends more.
const HEADERS_MAX: usize = 64;

/// A running server. Dropping it closes its port.
pub struct Server {
    /// The address that it listens on.
    pub address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
}

/// A request that waits for its response. Dropping it closes the connection.
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    stream: TcpStream,
    answered: mpsc::Sender<()>,
}

/// A response. It gets a `Content-Length`, unless one of its headers says otherwise.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    has_length: bool,
}

impl Server {
    /// Starts a server that gives every request to `answer`, with a thread for each connection.
    pub fn start(answer: impl Fn(Request) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", answer)
    }

    /// Like [`Self::start`], on another loopback address.
    pub fn start_at(ip_address: &str, answer: impl Fn(Request) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip_address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (stopped, answer) = (Arc::clone(&is_stopped), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let answer = Arc::clone(&answer);
                // A client that goes away ends its connection; some tests want that.
                thread::spawn(move || serve(stream?, &*answer));
            }
        });
        Self { address, is_stopped }
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // The server waits for another connection, and then ends.
        let _woken = TcpStream::connect(self.address);
    }
}

impl Request {
    /// The value of a header, or `""`.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The bearer token, if there is one.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization").strip_prefix("Bearer ")
    }

    /// Holds the request without an answer, until the client gives up.
    pub fn hold(mut self) {
        let _ended = self.stream.read(&mut [0]);
    }

    /// Answers the request. Fails if the client has gone away.
    pub fn respond(mut self, response: &Response) -> io::Result<()> {
        let has = |name: &str| response.headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
        let mut head = format!("HTTP/1.1 {} Said\r\n", response.status);
        for (name, value) in &response.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if response.status != 204 && response.has_length && !has("content-length") {
            head += &format!("Content-Length: {}\r\n", response.body.len());
        }
        let body: &[u8] = if self.method == "HEAD" || response.status == 204 { &[] } else { &response.body };
        self.stream.write_all(&[format!("{head}\r\n").as_bytes(), body].concat())?;
        if !has("connection") {
            // The connection continues with the next request.
            let _ended = self.answered.send(());
        }
        Ok(())
    }
}

impl Response {
    /// A response with a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), has_length: true }
    }

    /// A response with a JSON body.
    pub fn json(status: u16, body: &impl std::fmt::Display) -> Self {
        Self::new(status, body.to_string()).header("Content-Type", "application/json")
    }

    /// A response with lines of JSON.
    pub fn ndjson(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body).header("Content-Type", "application/x-ndjson")
    }

    /// Adds a header. `Connection: close` ends the connection after the response.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
        self
    }

    /// Announces one byte more than it has, so that the response breaks off.
    #[must_use]
    pub fn cut_off(self) -> Self {
        let announced = self.body.len() + 1;
        self.header("Content-Length", announced.to_string()).header("Connection", "close")
    }

    /// Leaves out the length: the response ends with the connection.
    #[must_use]
    pub fn without_length(self) -> Self {
        Self { has_length: false, ..self.header("Connection", "close") }
    }
}

/// Reads requests until the client has no more, or one is not answered.
fn serve(mut stream: TcpStream, answer: &impl Fn(Request)) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let (answered, is_answered) = mpsc::channel();
        let Some(request) = read(&mut stream, &mut buffer, answered)? else { return Ok(()) };
        answer(request);
        if is_answered.recv().is_err() {
            return Ok(());
        }
    }
}

/// The next request, whose bytes are removed from `buffer`; `None` if the client has closed the connection.
fn read(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    answered: mpsc::Sender<()>,
) -> io::Result<Option<Request>> {
    let (mut request, head_bytes) = loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head_bytes) = head.parse(buffer).map_err(io::Error::other)? {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = head.headers.iter().map(|it| (it.name.to_owned(), text(it.value))).collect();
            let (method, target) = (head.method.unwrap().to_owned(), head.path.unwrap().to_owned());
            let stream = stream.try_clone()?;
            break (Request { method, target, headers, body: Vec::new(), stream, answered }, head_bytes);
        }
        if !read_more(stream, buffer)? {
            return Ok(None);
        }
    };
    buffer.drain(..head_bytes);
    request.body = match (request.header("transfer-encoding"), request.header("content-length")) {
        ("", "") => Vec::new(),
        ("", length) => read_exactly(stream, buffer, length.parse().map_err(io::Error::other)?)?,
        _ => read_chunks(stream, buffer)?,
    };
    Ok(Some(request))
}

fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let parsed = httparse::parse_chunk_size(buffer);
        match parsed.map_err(|_| io::Error::other("invalid chunk"))? {
            httparse::Status::Complete((line_bytes, size)) => {
                buffer.drain(..line_bytes);
                body.extend(read_exactly(stream, buffer, usize::try_from(size).unwrap())?);
                read_exactly(stream, buffer, 2)?;
                if size == 0 {
                    return Ok(body);
                }
            }
            httparse::Status::Partial if read_more(stream, buffer)? => {}
            httparse::Status::Partial => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn read_exactly(stream: &mut TcpStream, buffer: &mut Vec<u8>, bytes: usize) -> io::Result<Vec<u8>> {
    while buffer.len() < bytes {
        if !read_more(stream, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..bytes).collect())
}

/// Reads more bytes. Returns whether there were any.
fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 64 * 1024];
    let read = stream.read(&mut chunk)?;
    buffer.extend(chunk.iter().take(read));
    Ok(read > 0)
}
