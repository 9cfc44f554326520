//! The service, without HTTP in it: an [`Engine`] takes one [`Incoming`] after another and answers each.
//! Every thread has an engine with its own database connection.
//!
//! ```text
//! Engine::answer ─► Operation ─┬─ reads, evaluations ─► the concerned records ─► the edge's own code
//!                              ├─ write    quota, budget ─► one transaction: records, change log, audit trail
//!                              ├─ tokens   sign-in, OAuth 2, signing keys
//!                              ├─ client   accounts, sessions, lists of media, purchases
//!                              └─ export and changes, health
//! ```

mod access;
mod budget;
mod concerned;
mod config;
pub mod edge;
mod evaluations;
mod fees;
mod idempotency;
mod items;
mod job;
pub mod kinds;
mod preflight;
pub mod reads;
mod revocation;
#[cfg(test)]
mod tests;
mod write;

use std::{borrow::Cow, sync::Arc};

use admit::{
    api::{
        authzen::Api,
        contract::{Auth, Kind, Route},
        error::ApiError,
        reply::{Caching, Reply, Request},
    },
    app::Permission,
    snapshot::time::UnixSecs,
    token::{BearerToken, VerifiedToken},
};
use anyhow::Result;
use rusqlite::Connection;
use serde::Serialize;
use subtle::ConstantTimeEq;

pub use config::config;
pub use idempotency::meaning;

use self::{
    edge::EdgeParts,
    write::{WriteRequest, Written},
};
use crate::{
    client::{self, Bearer, ClientPath},
    db::{
        self, DbError, Unwritable,
        audit::Actor,
        changes::{self, Feed},
    },
    event::{self, Event},
    limits::{FEED_MAX_BYTES, FEED_MAX_CHANGES},
    request::Incoming,
    settings::Settings,
    state::{Shared, storage},
    target::{self, Target, Task},
    text::shown,
    tokens::{self, keys},
    wire::{Refused, form},
};

/// How the server delivers an answer.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A complete answer.
    Reply(Reply),
    /// The headers of the export, which is streamed.
    Export(Reply),
    /// The headers of a feed answer, and the `seq` after which its changes begin.
    Changes(u64, Reply),
}

/// Answers the requests of one thread, one at a time.
pub struct Engine {
    shared: Arc<Shared>,
    connection: Connection,
    edge: EdgeParts,
    keys_version: i64,
    /// The last moment at which all keys of `edge` still verify.
    keys_until: UnixSecs,
}

impl Engine {
    /// An engine on a database that has been prepared.
    ///
    /// # Errors
    /// If the database cannot be read, or a setting is invalid.
    pub fn new(shared: Arc<Shared>) -> Result<Self> {
        let connection = db::connect_to(&shared.settings.db)?;
        let keys_version = keys::version(&connection)?;
        let keys_until = keys::until(&connection, shared.settings.clock.now())?;
        let edge = edge_of(&shared.settings, &connection)?;
        Ok(Self { shared, connection, edge, keys_version, keys_until })
    }

    /// Answers a request. The reply has all of its headers.
    pub fn answer(&mut self, incoming: &Incoming) -> Delivery {
        self.edge.begin();
        let outcome = self.outcome(incoming).unwrap_or_else(|refused| {
            if let Refused::Db(error) = &refused {
                event::log(Event::Database(error));
                self.shared.metrics.database_failed(error);
                self.shared.storage.failed(error, self.now());
            }
            Delivery::Reply(refused.reply())
        });
        self.edge.refresh_keys();
        match outcome {
            Delivery::Reply(reply) => Delivery::Reply(self.complete(incoming, reply)),
            Delivery::Export(reply) => Delivery::Export(self.complete(incoming, reply)),
            Delivery::Changes(after, reply) => Delivery::Changes(after, self.complete(incoming, reply)),
        }
    }

    /// Stores pending counts after the answer has gone out, so that the client does not wait. Only requests
    /// that write do so: a thread that answers checks must never wait for the lock of writes.
    pub fn settle(&mut self, incoming: &Incoming) {
        let now = self.now();
        if !matches!(incoming.method.as_str(), "GET" | "HEAD" | "OPTIONS") && self.shared.counts.are_due(now)
        {
            let _writing = self.shared.lock();
            self.shared.counts.store(&mut self.connection, now);
        }
    }

    fn complete(&self, incoming: &Incoming, mut reply: Reply) -> Reply {
        if !incoming.request_id.is_empty() {
            reply.headers.push(("x-request-id", Cow::Owned(incoming.request_id.clone())));
        }
        let mut reply = self.edge.complete(&incoming.request(), reply);
        if Route::parse(&incoming.path) == Some(Route::Authorize) {
            // Browsers navigate to this page; scripts of other pages must not read it, or they could try
            // passwords from their visitors' browsers (RFC 9700 §2.6).
            reply.headers.retain(|(name, _)| !name.starts_with("access-control-"));
        }
        reply
    }

    /// The changes after the `seq` `after`, as lines of the feed.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn changes(&mut self, after: u64) -> Result<Feed, DbError> {
        changes::after(&self.connection, after, FEED_MAX_CHANGES, FEED_MAX_BYTES)
    }

    fn outcome(&mut self, incoming: &Incoming) -> Result<Delivery, Refused> {
        let request = &incoming.request();
        if request.method == "OPTIONS" {
            let target = Target::parse(request.path);
            return Ok(Delivery::Reply(preflight::reply(target, &incoming.requested_headers)));
        }
        let task = target::find(request.method, request.path)?;
        let now = self.now();
        self.follow_keys(now)?;
        let (route, operation) = match task {
            Task::Api(route, operation) => (route, operation),
            Task::Client(path, operation) => {
                return self.client(path, operation, incoming, now).map(Delivery::Reply);
            }
        };
        // Players send the viewer's bearer with every request: one that is no longer good must not keep them from
        // signing in, or from a public read.
        if operation.auth != Auth::None {
            revocation::check(&self.edge, &self.connection, request, now)?;
        }
        match operation.kind {
            Kind::Feed => self.feed(request, |reply| {
                Ok(match after(request.query)? {
                    Some(after) => Delivery::Changes(after, reply),
                    None => Delivery::Export(reply),
                })
            }),
            Kind::Health => Ok(Delivery::Reply(self.health(incoming.is_edge, now)?)),
            Kind::SignIn { .. } | Kind::SignInPage | Kind::Discovery => {
                let (shared, connection) = (&self.shared, &mut self.connection);
                Ok(Delivery::Reply(tokens::answer(shared, connection, route, incoming, now)?))
            }
            Kind::Read => Ok(Delivery::Reply(self.read(request, now)?)),
            Kind::Evaluation => match route {
                Route::Authzen(api) => Ok(Delivery::Reply(self.evaluations(api, incoming, now)?)),
                _ => Err(ApiError::RouteNotFound.into()),
            },
            Kind::Publish | Kind::Playback | Kind::Checks | Kind::Authzen | Kind::Support => {
                Err(ApiError::RouteNotFound.into())
            }
            Kind::Write(action) => {
                let token = match self.edge.verify(request) {
                    Ok(token) => token,
                    Err(reply) => return Ok(Delivery::Reply(reply)),
                };
                if let Err(refusal) = self.edge.permit(&token, Permission::Write) {
                    self.shared.counts.add(0, "write", write::NO_MERCHANT, now);
                    return Ok(Delivery::Reply(refusal));
                }
                let request = WriteRequest { route, action, incoming, now };
                Ok(Delivery::Reply(self.write(&token, &request)?))
            }
        }
    }

    /// A request for a client: its token is verified first, if it needs one.
    fn client(
        &mut self,
        path: ClientPath<'_>,
        operation: &'static client::table::Operation,
        incoming: &Incoming,
        now: UnixSecs,
    ) -> Result<Reply, Refused> {
        let request = &incoming.request();
        let revoked = revocation::check(&self.edge, &self.connection, request, now);
        let verified = match self.edge.verify(request) {
            Ok(token) => revoked.map(|()| Some(token)),
            Err(refusal) if operation.auth == Auth::Viewer => return Ok(refusal),
            Err(_) => Ok(None),
        };
        let verified = match operation.auth {
            Auth::None => verified.unwrap_or_default(),
            _ => verified?,
        };
        if operation.auth == Auth::Viewer
            && let Some(token) = &verified
            && let Err(refusal) = self.edge.permit(token, Permission::View)
        {
            return Ok(refusal);
        }
        let text = BearerToken::parse(&incoming.authorization).map_or("", |bearer| bearer.as_str());
        let token =
            verified.as_deref().map(|verified| Bearer { verified, issuer: self.edge.issuer(verified), text });
        let (shared, connection) = (&self.shared, &mut self.connection);
        let mut job = client::Job { shared, connection, path, incoming, token, now };
        let client::Answered { reply, seq } = client::answer(&mut job, operation.action)?;
        Ok(match seq {
            Some(seq) => {
                self.announce(seq);
                with_seq(reply, seq)
            }
            None => reply,
        })
    }

    /// Tells waiting readers of the feed about a change.
    fn announce(&self, seq: u64) {
        self.shared.storage.written();
        self.shared.seq.send_if_modified(|known| {
            let is_newer = seq > *known;
            *known = seq.max(*known);
            is_newer
        });
    }

    fn read(&self, request: &Request<'_>, now: UnixSecs) -> Result<Reply, Refused> {
        answered(reads::answer(&self.edge, &self.connection, request, now))
    }

    fn evaluations(&self, api: Api, incoming: &Incoming, now: UnixSecs) -> Result<Reply, Refused> {
        let token = match self.edge.verify(&incoming.request()) {
            Ok(token) => token,
            Err(refusal) => return Ok(refusal),
        };
        if let Err(refusal) = self.edge.permit(&token, Permission::Ask) {
            return Ok(refusal);
        }
        let asked = evaluations::asked(api, &incoming.payload)?;
        answered(evaluations::answer(&self.edge, &self.connection, &token, &asked, now))
    }

    fn write(&mut self, token: &VerifiedToken, request: &WriteRequest<'_>) -> Result<Reply, Refused> {
        let incoming = request.incoming;
        let issuer = self.edge.issuer(token);
        let bearer = BearerToken::parse(&incoming.authorization).map_or("", |bearer| bearer.as_str());
        let actor = Actor::of_token(issuer, &token.principal, bearer, incoming.via());
        let Written { reply, seq } =
            write::write(&self.shared, &mut self.connection, &token.principal, actor, request)?;
        self.announce(seq);
        Ok(with_seq(reply, seq))
    }

    /// Runs `then` if the request may read the feed: by a feed secret, or by a token with that permission.
    fn feed(
        &self,
        request: &Request<'_>,
        then: impl FnOnce(Reply) -> Result<Delivery, Refused>,
    ) -> Result<Delivery, Refused> {
        let reply = with_seq(Reply::ok(String::new(), Caching::Private), db::seq(&self.connection)?);
        let Settings { feed_secret, feed_secret_previous, .. } = &self.shared.settings;
        let secrets = [feed_secret, feed_secret_previous];
        let bearer = BearerToken::parse(request.authorization).ok();
        let is_secret = |secret: &str, bearer: &str| secret.as_bytes().ct_eq(bearer.as_bytes()).into();
        let mut secrets = secrets.into_iter().flatten();
        if bearer.is_some_and(|bearer| secrets.any(|secret| is_secret(secret, bearer.as_str()))) {
            return then(reply);
        }
        let token = match self.edge.verify(request) {
            Ok(token) => token,
            Err(reply) => return Ok(Delivery::Reply(reply)),
        };
        match self.edge.permit(&token, Permission::Feed) {
            Ok(()) => then(reply),
            Err(refusal) => Ok(Delivery::Reply(refusal)),
        }
    }

    /// `/healthz`. Where the edge has a secret, other senders do not learn `seq`, which tells how much is
    /// written.
    fn health(&mut self, is_edge: bool, now: UnixSecs) -> Result<Reply, DbError> {
        if self.shared.storage.is_to_be_tried(now) {
            let _writing = self.shared.lock();
            match storage::probe(&mut self.connection) {
                Ok(()) => self.shared.storage.written(),
                Err(error) => self.shared.storage.failed(&error, now),
            }
        }
        let writes = self.shared.storage.problem();
        let seq = match is_edge || self.shared.settings.edge_secrets.is_empty() {
            true => Some(db::seq(&self.connection)?),
            false => None,
        };
        let body = Health {
            status: if writes.is_none() { "ok" } else { "degraded" },
            seq,
            writes: writes.map(Unwritable::code),
        };
        let body = serde_json::to_string(&body)?;
        Ok(Reply::ok(body, Caching::Private))
    }

    /// Rebuilds the service after a key rotation, by this or another process, and after a key has ended.
    fn follow_keys(&mut self, now: UnixSecs) -> Result<(), Refused> {
        // One cached query for each request; the service is rebuilt only when the keys have changed.
        let version = keys::version(&self.connection)?;
        if version == self.keys_version && now <= self.keys_until {
            return Ok(());
        }
        let until = keys::until(&self.connection, now)?;
        match edge_of(&self.shared.settings, &self.connection) {
            Ok(edge) => (self.edge, self.keys_version, self.keys_until) = (edge, version, until),
            Err(error) => event::log(Event::Keys { error: &error }),
        }
        Ok(())
    }

    fn now(&self) -> UnixSecs {
        self.shared.settings.clock.now()
    }
}

/// A reply with the `seq` of its data, or the refusal for a failure of ours.
fn answered(outcome: Result<(Reply, u64), reads::ReadError>) -> Result<Reply, Refused> {
    match outcome {
        Ok((reply, seq)) => Ok(with_seq(reply, seq)),
        Err(reads::ReadError::Db(error)) => Err(error.into()),
        Err(reads::ReadError::Build(problem)) => {
            event::log(Event::Unreadable { error: &problem });
            Err(ApiError::Internal.into())
        }
    }
}

/// The body of `/healthz`.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// Why the last write failed, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<&'static str>,
}

fn edge_of(settings: &Settings, connection: &Connection) -> Result<EdgeParts> {
    let config = config(settings, connection, settings.clock.now())?;
    Ok(EdgeParts::new(config, settings.clock.clone())?)
}

fn with_seq(mut reply: Reply, seq: u64) -> Reply {
    reply.headers.push(("entitlement-seq", Cow::Owned(seq.to_string())));
    reply
}

/// The query parameter `after`: the `seq` from which a reader of the feed goes on.
fn after(query: &str) -> Result<Option<u64>, Refused> {
    let Some(after) = form::parameter(query, "after")? else { return Ok(None) };
    let is_number = !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit());
    after.parse().ok().filter(|_| is_number).map(Some).ok_or_else(|| {
        Refused::field("after", &format!("The after must be the seq of a change, not {}", shown(&after)))
    })
}
