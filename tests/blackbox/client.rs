//! A client that sends exactly the bytes that a test gives it. HTTP libraries refuse to send invalid
//! requests.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::wire::{Answer, Payload, Wire};

/// How long to wait for an answer, on a busy machine too.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Sends a request on a new connection. The server takes `request.cf` from `cf_header`.
pub fn send(
    address: SocketAddr,
    host: &str,
    wire: &Wire,
    cf_header: Option<&str>,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    let mut bytes = [wire.method.as_bytes(), b" ", &wire.target, b" HTTP/1.1\r\n"].concat();
    bytes.extend(format!("Host: {host}\r\nConnection: close\r\n").into_bytes());
    if let (Some(name), Some(country)) = (cf_header, &wire.country) {
        bytes.extend(format!("{name}: {{\"country\":\"{country}\"}}\r\n").into_bytes());
    }
    for (name, value) in &wire.headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    match &wire.body {
        Payload::None => bytes.extend(b"\r\n"),
        Payload::Whole(body) => {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
            bytes.extend(body);
        }
        Payload::Interrupted(body) => {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len() + 1).into_bytes());
            bytes.extend(body);
        }
        Payload::Chunked(body) => {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(60_000) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
    }
    // A server may answer and close before it has read everything; then only the answer matters.
    let sent = stream.write_all(&bytes).and_then(|()| stream.flush());
    if matches!(wire.body, Payload::Interrupted(_)) {
        stream.shutdown(std::net::Shutdown::Write)?;
    }
    let mut received = Vec::new();
    let mut chunk = [0; 64 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => received.extend(&chunk[..len]),
            // A reset after a complete answer ends an answer that was given early.
            Err(error) if received.is_empty() => return Err(sent.err().unwrap_or(error)),
            Err(_) => break,
        }
    }
    parse(&received, wire.method == "HEAD")
        .ok_or_else(|| std::io::Error::other(format!("no answer: {:?}", String::from_utf8_lossy(&received))))
}

fn parse(received: &[u8], is_head: bool) -> Option<Answer> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(&received[end + 4..], is_head);
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let answer = Answer { status, headers, body: received[end + 4..].to_vec() };
    if is_head || status == 204 || status == 304 {
        return Some(answer);
    }
    let body = match (answer.header("content-length"), answer.header("transfer-encoding")) {
        (Some(length), _) => answer.body.get(..length.parse().ok()?)?.to_vec(),
        (None, Some("chunked")) => unchunk(&answer.body)?,
        _ => answer.body.clone(),
    };
    Some(Answer { body, ..answer })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
