//! HTTP: reads requests, decides whether and where they may wait, and writes answers.
//!
//! ```text
//! accept ──► handle: viewer, length of the body, ─► class ─► pool of the class ─► answer
//!            delay after wrong passwords
//! ```
//!
//! Everything that a stranger may send is bounded before a thread starts on it: connections per address, bytes and
//! fields of a sign-in, attempts at a password. Slow requests then delay only requests of their own `class`.

mod accept;
mod body;
mod class;
mod feed;
mod pool;
mod request_id;
mod stall;
#[cfg(test)]
mod tests;
mod viewer;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use admit::{
    api::{
        contract::Route,
        cors::Cors,
        error::ApiError,
        reply::Reply,
        trace::{TRACEPARENT, trace_id},
    },
    config::Config,
};
use admit_publish::output::{Level, Notice, tell_notice};
use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use tokio::{net::TcpListener, sync::watch, time::Instant};

use self::{
    accept::{Bounds, Guest},
    class::{Class, Pools},
    feed::Exports,
    viewer::{Trusted, Viewer},
};
use crate::{
    client::Action,
    db,
    event::{self, Event},
    guessing::{Ending, Guesser},
    limits::{FIRST_HEADERS_TIMEOUT, RETRY_AFTER_SECS, SIGN_IN_MAX_BYTES, SIGN_IN_MAX_FIELDS},
    request::Incoming,
    service::Delivery,
    settings::Settings,
    state::Shared,
    target::Target,
    tokens::{
        self,
        attempt::Attempt,
        keys::{self, Signer},
    },
    wire::{Budget, OriginError, Payload, Refused, form},
};

/// The state of all request handlers.
struct Server {
    shared: Arc<Shared>,
    pools: Pools,
    exports: Exports,
    trusted: Trusted,
    cors: Cors,
    /// Turns true when the server stops; waiting readers of the feed then answer.
    ending: watch::Receiver<bool>,
}

/// Serves until `end` resolves, then finishes the answers in progress.
///
/// # Errors
/// If the database cannot be opened, or a setting is invalid.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (is_ending, ending) = watch::channel(false);
    let per_address = settings.connections_per_address;
    let bounds = Bounds { per_address, first_headers: FIRST_HEADERS_TIMEOUT };
    let metrics = settings.metrics;
    let server = Arc::new(Server::start(settings, ending)?);
    if let Some(listen) = metrics {
        let address = admit_metrics::serve(listen, Arc::clone(&server.shared) as _)
            .with_context(|| format!("--metrics: cannot listen on {listen}"))?;
        let text = format!("origin: metrics at http://{address}/metrics");
        tell_notice(&Notice::new("metrics", text).with("address", address.to_string()), Level::Info);
    }
    let router = Router::new().fallback(handle).with_state(server);
    let end = async move {
        end.await;
        let _ = is_ending.send(true);
    };
    accept::serve(listener, router, bounds, end).await;
    Ok(())
}

impl Server {
    fn start(settings: Settings, ending: watch::Receiver<bool>) -> Result<Self> {
        let connection = db::open(&settings.db)?;
        let now = settings.clock.now();
        // Generates the first signing key, so that `/.well-known/jwks.json` is never empty.
        Signer::current(&connection, now)?;
        // A rotation of keys by a command has to know how long tokens live.
        keys::note_ttl(&connection, settings.access_ttl_secs.max(settings.sdk_access_ttl_secs))?;
        let Config { country_header, address_header, cors, .. } =
            crate::service::config(&settings, &connection, now)?;
        let shared = Shared::new(settings)?;
        shared.seq.send_replace(db::seq(&connection)?);
        Ok(Self {
            pools: Pools::start(&shared)?,
            exports: Exports::default(),
            shared,
            trusted: Trusted { address_header, country_header },
            cors,
            ending,
        })
    }

    fn viewer(&self, parts: &Parts) -> Viewer {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        Viewer::of(&parts.headers, peer, &self.trusted, &self.shared.settings)
    }

    /// The refusal of a request before its body is read, if it has one.
    fn refusal(&self, target: Option<Target<'_>>, viewer: &Viewer, query: &str) -> Option<Refused> {
        if self.shared.settings.is_edge_only && !viewer.is_edge && !is_open(target) {
            return Some(OriginError::EdgeOnly.into());
        }
        if !matches!(target, Some(Target::Api(Route::Authorize) | Target::Client(_))) {
            return None;
        }
        if query.len() > SIGN_IN_MAX_BYTES {
            return Some(OriginError::QueryTooLong.into());
        }
        let has_more = form::has_more_fields(query.as_bytes(), SIGN_IN_MAX_FIELDS);
        has_more.then(|| form::too_many_fields(SIGN_IN_MAX_FIELDS).into_bad_request())
    }

    /// Lets the guessing guard decide on a password, asks the service, and reports the outcome to the guard.
    async fn answer(
        &self,
        class: Class,
        attempt: Option<&Attempt>,
        viewer: &Viewer,
        incoming: Incoming,
    ) -> Result<Delivery, Reply> {
        // Counted as a failure before the password is checked, so that many attempts at once are not free.
        let tried = match attempt.filter(|_| class == Class::Password) {
            Some(attempt) => {
                let username = attempt.username.as_deref().unwrap_or_default();
                let guesser = Guesser { username, from: viewer.from };
                let now = self.shared.settings.clock.now();
                let tried = self.shared.guessing.attempt(guesser, now);
                Some(tried.map_err(|wait_secs| {
                    tokens::delayed(&self.shared, attempt.grant, &incoming, wait_secs, now)
                })?)
            }
            None => None,
        };
        let outcome = self.pools.of(class).answer(incoming).await;
        if let Some(tried) = tried {
            self.shared.guessing.settle(tried, ending(&outcome));
        }
        outcome.map_err(|pool::Overloaded| overloaded())
    }

    /// A reply made without the service, with the headers that the service would have added.
    fn plain(&self, context: &ReplyContext, mut reply: Reply) -> Response {
        reply.headers.push(("content-type", "application/json".into()));
        reply.headers.push(("cache-control", "private, no-store".into()));
        reply.headers.push(("x-content-type-options", "nosniff".into()));
        reply.headers.push(("x-request-id", context.request_id.clone().into()));
        if !context.is_sign_in_page {
            reply.headers.extend(self.cors.headers(&context.page_origin));
        }
        response(reply)
    }
}

/// The parts of a request that such a reply depends on.
struct ReplyContext {
    /// The request header `Origin`.
    page_origin: String,
    /// Whether this is the page on which people type passwords: other pages must not read it (RFC 9700 §2.6).
    is_sign_in_page: bool,
    /// The id by which logs know the request.
    request_id: String,
}

/// Whether a route answers other senders than the edge: those in the discovery document, because standard
/// clients ask there; the public documents; and the feed, which has a secret of its own.
fn is_open(target: Option<Target<'_>>) -> bool {
    let route = match target {
        // Browsers are sent there, as to the sign-in page.
        Some(Target::Client(path)) => {
            return path.operation("GET").is_some_and(|get| get.action == Action::SignOutPage);
        }
        Some(Target::Api(route)) => Some(route),
        None => None,
    };
    matches!(
        route,
        Some(
            Route::Authorize
                | Route::Token
                | Route::LegacyToken
                | Route::Jwks
                | Route::OpenIdConfiguration
                | Route::Health
                | Route::Feed
        )
    )
}

fn ending(outcome: &Result<Delivery, pool::Overloaded>) -> Ending {
    match outcome {
        Ok(Delivery::Reply(reply)) => match reply.status {
            200 => Ending::Right,
            303 if reply.header("location").is_some_and(|to| !to.contains("error=")) => Ending::Right,
            401 => Ending::Wrong,
            _ => Ending::Unknown,
        },
        _ => Ending::Unknown,
    }
}

/// The value of a header; empty if absent. Repeated headers are joined, as at the edge: two tokens then make
/// an invalid one, and no two readers pick different ones. A value that is not text becomes a mark without
/// meaning.
fn text(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("\u{fffd}"));
    values.collect::<Vec<_>>().join(", ")
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let started = Instant::now();
    let (class, response) = answered(&server, request).await;
    let status = response.status().as_u16();
    server.shared.metrics.answered(class.map(Class::name), status, started.elapsed());
    response
}

/// The answer, and the class of the request, unless it was refused before it was read.
async fn answered(server: &Server, request: Request) -> (Option<Class>, Response) {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let target = Target::parse(parts.uri.path());
    let route = target.and_then(Target::route);
    let query = parts.uri.query().unwrap_or_default();
    let context = ReplyContext {
        page_origin: text(headers, "origin"),
        is_sign_in_page: route == Some(Route::Authorize),
        request_id: request_id::of(&text(headers, "x-request-id")),
    };
    let viewer = server.viewer(&parts);
    if viewer.is_edge
        && let Some(guest) = parts.extensions.get::<Guest>()
    {
        // The edge's connections do not count for its address.
        guest.is_known();
    }
    if let Some(refused) = server.refusal(target, &viewer, query) {
        // The body stays unread, so the connection ends with the answer.
        return (None, closing(server.plain(&context, refused.reply())));
    }
    let budget = Budget::at(target);
    let body::ReadBody { body, is_unfinished } = body::read(headers, body, budget.bytes).await;
    let incoming = incoming(&parts, &viewer, &context, body, budget);
    let attempt = route.and_then(|route| Attempt::of(route, &incoming));
    let class = Class::of(target, &incoming, attempt.as_ref());
    let wait = wanted_wait(&text(headers, "prefer"));
    let outcome = server.answer(class, attempt.as_ref(), &viewer, incoming).await;
    if let (Some(attempt), Ok(Delivery::Reply(reply)) | Err(reply)) = (&attempt, &outcome)
        && let Some(event) = attempt.event(viewer.from, reply)
    {
        if let Event::SignIn { outcome, .. } = event {
            server.shared.metrics.signed_in(outcome);
        }
        event::log(event);
    }
    let answer = match outcome {
        Ok(Delivery::Reply(reply)) => response(reply),
        Ok(Delivery::Export(reply)) => server.exports.stream(server, &context, reply).await,
        Ok(Delivery::Changes(after, reply)) => feed::changes(server, &context, after, wait, reply).await,
        Err(reply) => server.plain(&context, reply),
    };
    (Some(class), if is_unfinished { closing(answer) } else { answer })
}

fn incoming(
    parts: &Parts,
    viewer: &Viewer,
    context: &ReplyContext,
    body: crate::wire::Body,
    budget: Budget,
) -> Incoming {
    let headers = &parts.headers;
    let has_key = headers.contains_key("idempotency-key");
    Incoming {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: text(headers, "authorization"),
        origin: text(headers, "origin"),
        requested_headers: text(headers, "access-control-request-headers"),
        idempotency_key: has_key.then(|| text(headers, "idempotency-key")),
        ip_address: viewer.address.clone(),
        country: viewer.country.clone(),
        from: viewer.from,
        is_edge: viewer.is_edge,
        request_id: context.request_id.clone(),
        passed: trace_headers(headers),
        payload: Payload {
            content_type: text(headers, "content-type"),
            content_encoding: text(headers, "content-encoding"),
            body,
            budget,
        },
    }
}

/// The trace that the request belongs to, for the log.
fn trace_headers(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let traceparent = text(headers, TRACEPARENT);
    trace_id(&traceparent).is_some().then_some((TRACEPARENT, traceparent)).into_iter().collect()
}

/// An answer after which the connection closes.
fn closing(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The seconds of `Prefer: wait=` (RFC 7240 §4.3), if present.
fn wanted_wait(prefer: &str) -> Option<Duration> {
    let wait = prefer.split(',').find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then_some(value.trim())
    });
    Some(Duration::from_secs(wait?.trim_matches('"').parse().ok()?))
}

/// The 503 for a class whose queue is full.
fn overloaded() -> Reply {
    Reply::error(ApiError::Unavailable { retry_after_secs: RETRY_AFTER_SECS }, "overloaded")
}

/// Turns a reply into an HTTP response.
fn response(reply: Reply) -> Response {
    let body = match reply.body {
        // The origin signs nothing: `Unsigned` cannot come here.
        admit::api::reply::Body::Empty | admit::api::reply::Body::Unsigned(_) => Body::empty(),
        admit::api::reply::Body::Json(json) => Body::from(json),
        admit::api::reply::Body::Bytes(bytes) | admit::api::reply::Body::Passed(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set_headers(&mut response, &reply.headers);
    response
}

fn set_headers(response: &mut Response, headers: &[(&'static str, std::borrow::Cow<'static, str>)]) {
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        // The reply's own content type comes first; a second one is the default of such bodies.
        if name == header::CONTENT_TYPE && response.headers().contains_key(&name) {
            continue;
        }
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(name, value);
        }
    }
}
