//! Bodies of requests: read as far as they may be long, and no further than their declared length allows.

use axum::{
    body::Body,
    http::{HeaderMap, header::CONTENT_LENGTH},
};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;

use crate::{
    limits::{BODY_DRAINED_BYTES, BODY_TIMEOUT, LINGER},
    wire,
};

/// A body as far as it was read.
pub struct Read {
    /// What there is of it.
    pub body: wire::Body,
    /// Whether the connection can serve no other request: the rest of this one is still on its way.
    pub is_unfinished: bool,
}

/// Reads a body of at most `max_bytes`. One that is declared or turns out to be longer is given up at once. What the
/// client goes on to send is then read for a short while, so that it hears the answer and not of a broken connection.
pub async fn read(headers: &HeaderMap, body: Body, max_bytes: usize) -> Read {
    if declared_bytes(headers).is_some_and(|declared| declared > max_bytes as u64) {
        drain(body);
        return Read { body: wire::Body::TooLarge, is_unfinished: true };
    }
    let mut chunks = body.into_data_stream();
    let read = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else { return wire::Body::Interrupted };
            if bytes.len().saturating_add(chunk.len()) > max_bytes {
                return wire::Body::TooLarge;
            }
            bytes.extend_from_slice(&chunk);
        }
        wire::Body::Whole(bytes)
    };
    let read = timeout(BODY_TIMEOUT, read).await.unwrap_or(wire::Body::Interrupted);
    let is_unfinished = !matches!(read, wire::Body::Whole(_));
    if read == wire::Body::TooLarge {
        drain(Body::from_stream(chunks));
    }
    Read { body: read, is_unfinished }
}

/// The header `Content-Length`. HTTP/1 connections with several different ones, or with one that is not a number, have
/// been refused before.
fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim_ascii().parse().ok()
}

/// Reads on beside the answer, for a short while.
fn drain(body: Body) {
    tokio::spawn(timeout(LINGER, async move {
        let (mut chunks, mut size_bytes) = (body.into_data_stream(), 0_usize);
        while let Some(Ok(chunk)) = chunks.next().await {
            size_bytes = size_bytes.saturating_add(chunk.len());
            if size_bytes > BODY_DRAINED_BYTES {
                break;
            }
        }
    }));
}
