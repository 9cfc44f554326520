//! HTTP: requests are read as far as the service reads them, answers are written as it gives them.

mod accept;
mod feed;
mod pool;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use admit::{
    api::{cors::Cors, error::ApiError, reply::Reply},
    config::Config,
};
use anyhow::Result;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::StreamExt as _;

use self::{feed::Exports, pool::Pool};
use crate::{
    db,
    limits::{
        BODY_DRAINED_BYTES, BODY_MAX_BYTES, BODY_TIMEOUT, QUEUE_MAX, RETRY_AFTER_SECS, SIGN_IN_QUEUE_MAX,
        SIGN_IN_WORKERS, WORKERS,
    },
    service::{Incoming, Outcome, Shared, route::Endpoint},
    settings::Settings,
    tokens::keys::Signer,
    wire::{self, Payload},
};

/// What every request needs.
struct Server {
    shared: Arc<Shared>,
    workers: Pool,
    /// Passwords are checked by threads of their own, so that they keep nothing else waiting.
    sign_in: Pool,
    exports: Exports,
    country_header: Option<String>,
    address_header: Option<String>,
    /// Says when the server is to end, so that nobody goes on waiting for changes.
    ending: watch::Receiver<bool>,
}

/// Serves until `end` is over, then finishes what is being answered.
///
/// # Errors
/// When the database cannot be opened or a setting is wrong.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (is_ending, ending) = watch::channel(false);
    let server = Arc::new(Server::start(settings, ending)?);
    let router = Router::new().fallback(handle).with_state(server);
    let end = async move {
        end.await;
        let _ = is_ending.send(true);
    };
    accept::serve(listener, router, end).await;
    Ok(())
}

impl Server {
    fn start(settings: Settings, ending: watch::Receiver<bool>) -> Result<Self> {
        let connection = db::open(&settings.db)?;
        let now = settings.clock.now();
        Signer::current(&connection, now)?;
        let Config { country_header, address_header, .. } = settings.config(&connection, now)?;
        let shared = Shared::new(settings);
        shared.seq.send_replace(db::seq(&connection)?);
        Ok(Self {
            workers: Pool::start(&shared, "worker", WORKERS, QUEUE_MAX)?,
            sign_in: Pool::start(&shared, "sign-in", SIGN_IN_WORKERS, SIGN_IN_QUEUE_MAX)?,
            exports: Exports::default(),
            shared,
            country_header,
            address_header,
            ending,
        })
    }

    async fn read(&self, request: Request) -> Incoming {
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let headers = &parts.headers;
        let named = |name: &Option<String>| name.as_deref().map(|name| text(headers, name));
        Incoming {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            authorization: text(headers, "authorization"),
            origin: text(headers, "origin"),
            requested_headers: text(headers, "access-control-request-headers"),
            idempotency_key: headers
                .contains_key("idempotency-key")
                .then(|| text(headers, "idempotency-key")),
            ip_address: named(&self.address_header)
                .filter(|address| !address.is_empty())
                .or_else(|| Some(peer?.0.ip().to_string()))
                .unwrap_or_default(),
            country: named(&self.country_header).unwrap_or_default(),
            payload: Payload {
                content_type: text(headers, "content-type"),
                content_encoding: text(headers, "content-encoding"),
                body: read_body(body).await,
            },
        }
    }
}

/// The header's value; empty when there is none. One that was sent twice is joined, as the edge sees it: then no
/// token passes for the token, and no two readers pick different ones. One that is no text is a mark that means
/// nothing.
fn text(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("\u{fffd}"));
    values.collect::<Vec<_>>().join(", ")
}

async fn read_body(body: Body) -> wire::Body {
    let read = async {
        let (mut chunks, mut bytes, mut size_bytes) = (body.into_data_stream(), Vec::new(), 0_usize);
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else { return wire::Body::Interrupted };
            size_bytes = size_bytes.saturating_add(chunk.len());
            if size_bytes > BODY_DRAINED_BYTES {
                break;
            } else if size_bytes <= BODY_MAX_BYTES {
                bytes.extend_from_slice(&chunk);
            }
        }
        if size_bytes > BODY_MAX_BYTES { wire::Body::TooLarge } else { wire::Body::Whole(bytes) }
    };
    tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(wire::Body::Interrupted)
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let wait = wanted_wait(&text(request.headers(), "prefer"));
    let incoming = server.read(request).await;
    let pool = match Endpoint::parse(&incoming.path) {
        // No password comes to the token endpoint: who guesses them keeps nobody from refreshing.
        Some(Endpoint::Authenticate | Endpoint::Authorize) => &server.sign_in,
        _ => &server.workers,
    };
    match pool.answer(incoming).await {
        Ok(Outcome::Reply(reply)) => response(reply),
        Ok(Outcome::Export(reply)) => server.exports.stream(&server.shared.settings, reply).await,
        Ok(Outcome::Changes(after, reply)) => feed::changes(&server, after, wait, reply).await,
        Err(pool::Overloaded) => overloaded(),
    }
}

/// The seconds of `Prefer: wait=` (RFC 7240 §4.3), if it is there.
fn wanted_wait(prefer: &str) -> Option<Duration> {
    let wait = prefer.split(',').find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then_some(value.trim())
    });
    Some(Duration::from_secs(wait?.trim_matches('"').parse().ok()?))
}

fn overloaded() -> Response {
    let error = ApiError::Unavailable { retry_after_secs: RETRY_AFTER_SECS };
    plain(Reply::error(error, "overloaded"))
}

/// An error that the service had no part in, with the headers that it would have added.
fn plain(mut reply: Reply) -> Response {
    reply.headers.push(("content-type", "application/json".into()));
    reply.headers.push(("cache-control", "private, no-store".into()));
    reply.headers.extend(Cors::Any.headers(""));
    response(reply)
}

/// The answer as it goes out.
fn response(reply: Reply) -> Response {
    let body = match reply.body {
        admit::api::reply::Body::Empty => Body::empty(),
        admit::api::reply::Body::Json(json) => Body::from(json),
        admit::api::reply::Body::Bytes(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set_headers(&mut response, &reply.headers);
    response
}

fn set_headers(response: &mut Response, headers: &[(&'static str, std::borrow::Cow<'static, str>)]) {
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        // The first content type is that of the answer itself, the second what such bodies have otherwise.
        if name == header::CONTENT_TYPE && response.headers().contains_key(&name) {
            continue;
        }
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_reader_waits() {
        for (prefer, secs) in [
            ("wait=20", Some(20)),
            ("respond-async, wait=5", Some(5)),
            ("wait=\"7\"", Some(7)),
            ("Wait = 7", Some(7)),
            ("", None),
            ("wait=soon", None),
            ("await=3", None),
        ] {
            assert_eq!(wanted_wait(prefer), secs.map(Duration::from_secs), "{prefer}");
        }
    }
}
