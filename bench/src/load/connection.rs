//! One kept-alive connection: sends a request, reads the answer, checks it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;

/// A connection with at most one request under way.
#[derive(Debug)]
pub struct Connection {
    pub stream: TcpStream,
    unsent: Vec<u8>,
    read: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to a port of this machine.
    pub fn open(port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Blocking until it is connected: the first request may then be sent at once.
        let stream = std::net::TcpStream::connect(address).with_context(|| format!("port {port}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream: TcpStream::from_std(stream), unsent: Vec::new(), read: Vec::new() })
    }

    pub fn send(&mut self, request: &[u8]) -> Result<()> {
        self.unsent.clear();
        self.unsent.extend_from_slice(request);
        self.flush()
    }

    /// Sends the rest of the request.
    pub fn flush(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads the bytes that have arrived; the answer once all of it has.
    pub fn receive(&mut self) -> Result<Option<HttpAnswer>> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the connection was closed"),
                Ok(len) => self.read.extend_from_slice(buffer.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let answer = parse(&self.read)?;
        if answer.is_some() {
            self.read.clear();
        }
        Ok(answer)
    }
}

/// The answer, once all of it is there. Nothing may follow: no second request is under way.
fn parse(bytes: &[u8]) -> Result<Option<HttpAnswer>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = bytes.split_at(end + 4);
    let head = std::str::from_utf8(head).context("the head is not text")?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.with_context(|| format!("no status: {head}"))?;
    let value = |name: &str| {
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if let Some(len) = value("content-length") {
        let len: usize = len.parse()?;
        return Ok((rest.len() >= len).then(|| HttpAnswer { status, body: rest.to_vec() }));
    }
    if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return Ok(unchunked(rest)?.map(|body| HttpAnswer { status, body }));
    }
    bail!("the answer has no length: {head}")
}

fn unchunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
        let (size, after) = rest.split_at(end);
        let size = usize::from_str_radix(std::str::from_utf8(size)?, 16)?;
        let Some(chunk) = after.get(2..size + 2) else { return Ok(None) };
        let Some(next) = after.get(size + 4..) else { return Ok(None) };
        body.extend_from_slice(chunk);
        if size == 0 {
            return Ok(Some(body));
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(u16, String)> {
        let answer = parse(text.as_bytes()).unwrap()?;
        Some((answer.status, String::from_utf8(answer.body).unwrap()))
    }

    #[test]
    fn an_answer_is_there_when_all_of_it_is() {
        let whole = "HTTP/1.1 402 Payment Required\r\nContent-Length: 4\r\n\r\nbody";
        for end in 0..whole.len() {
            assert_eq!(parsed(&whole[..end]), None, "{end}");
        }
        assert_eq!(parsed(whole), Some((402, "body".to_owned())));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n";
        for end in 0..chunked.len() {
            assert_eq!(parsed(&chunked[..end]), None, "{end}");
        }
        assert_eq!(parsed(chunked), Some((200, "body".to_owned())));
    }

    #[test]
    fn a_broken_answer_is_an_error() {
        for text in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 x\r\ncontent-length: 0\r\n\r\n", "SSH\r\n\r\n"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
