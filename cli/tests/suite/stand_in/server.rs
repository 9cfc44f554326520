//! The HTTP side: one request on each connection, so that an answer can end in every way.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use super::{
    Shared,
    answer::{Answer, End, Request},
};

/// A free port, and its address.
pub fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Answers every connection.
pub fn serve(listener: TcpListener, shared: Arc<Shared>) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                // A client that goes away does not matter here.
                let _ = answer(&stream.unwrap(), &shared);
            });
        }
    });
}

fn answer(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut parts = line.split(' ').map(str::to_owned);
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    let Answer { status, headers, body, end } = shared.answer(&Request { method, target, headers, body });
    let body = if status == 204 { String::new() } else { body };
    let promised = match end {
        End::Told => Some(body.len()),
        End::BreaksOff => Some(body.len() + 1),
        End::Untold => None,
        End::Never => {
            // Until the client gives up.
            let _ = reader.read(&mut [0]);
            return Ok(());
        }
    };
    let date = shared.date();
    let mut head = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\nDate: {date}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(len) = promised.filter(|_| status != 204) {
        head += &format!("Content-Length: {len}\r\n");
    }
    let mut stream = stream;
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    stream.flush()
}
