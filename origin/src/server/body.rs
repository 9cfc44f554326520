//! Reads the bodies of requests, no further than their declared length or their bound.

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

/// A body, as far as it was read.
pub struct ReadBody {
    /// The body.
    pub body: wire::Body,
    /// Whether the rest of the body is still on its way, so that the connection can serve no further request.
    pub is_unfinished: bool,
}

/// Reads a body of at most `max_bytes`. A body whose declared or actual length exceeds the bound is refused
/// at once. The rest is then read for a short while, so that the client sees the answer and not a broken
/// connection.
pub async fn read(headers: &HeaderMap, body: Body, max_bytes: usize) -> ReadBody {
    if declared_bytes(headers).is_some_and(|declared| declared > max_bytes as u64) {
        drain(body);
        return ReadBody { body: wire::Body::TooLarge, is_unfinished: true };
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
    ReadBody { body: read, is_unfinished }
}

/// The value of `Content-Length`. HTTP/1 connections with conflicting or non-numeric values were refused
/// before.
fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim_ascii().parse().ok()
}

/// Reads and discards the rest of a body in a task of its own, for at most [`LINGER`].
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
