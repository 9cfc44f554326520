//! Changes, who asks for them, and the audit event that each of them leaves.

use serde_json::Value;

use super::{
    event::{Event, Line},
    finish,
    plan::{PassThroughPlan, Plan, PublishPlan, SupportPlan},
    publish::Transfer,
    tokens::claim,
};
use crate::{
    api::{
        reply::{Outcome, Reply, Request},
        viewer,
    },
    limits::{AUDIT_VALUE_MAX_BYTES, LOGGED_PATH_MAX_BYTES},
    ports::Log,
    snapshot::store_key::StoreKey,
    token::{IssuerConfig, VerifiedToken},
};

/// The change that a request asks for. A look of support staff changes nothing, and leaves an event like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub action: &'static str,
    /// The key of the snapshot, or the customers that support staff looked at. Nothing for requests that the upstream
    /// gets: the path names their subject.
    pub key: Option<String>,
}

impl Change {
    /// The change that a plan is about, if it is about one.
    pub fn of(plan: &Plan) -> Option<Self> {
        let (action, key) = match plan {
            Plan::Read(_)
            | Plan::Checks
            | Plan::Authzen(_)
            | Plan::PassThrough(PassThroughPlan { is_read: true, .. }) => return None,
            Plan::PassThrough(_) => ("pass_through", None),
            Plan::Write(write) => (if write.permission.is_some() { "write" } else { SIGN_IN }, None),
            Plan::Support(plan) => (
                match plan {
                    SupportPlan::Customer(_) => "view_customer",
                    SupportPlan::Find(_) => "find_customer",
                    SupportPlan::Token(_) => "inspect_token",
                },
                None,
            ),
            Plan::Publish(PublishPlan { transfer, .. }) => match *transfer {
                Transfer::Store(key) => (stored_action(key, false), Some(key.to_string())),
                Transfer::Delete(key) => (stored_action(key, true), Some(key.to_string())),
                Transfer::Pack => ("store", Some("pack".to_owned())),
                Transfer::Send(_)
                | Transfer::Check
                | Transfer::Keys
                | Transfer::Issuers
                | Transfer::Report
                | Transfer::Diff => return None,
            },
        };
        Some(Self { action, key })
    }

    /// Whether it is a sign-in, whose sender has no token yet.
    pub fn is_sign_in(&self) -> bool {
        self.action == SIGN_IN
    }
}

const SIGN_IN: &str = "sign_in";

const fn stored_action(key: StoreKey, is_deleted: bool) -> &'static str {
    match (key, is_deleted) {
        (StoreKey::Lease, true) => "release_lease",
        (_, true) => "delete",
        (StoreKey::Head, false) => "publish",
        (StoreKey::Lease, false) => "take_lease",
        (StoreKey::Object(_) | StoreKey::Version(_) | StoreKey::Garbage | StoreKey::Start, false) => "store",
    }
}

/// Who asks for a change, as far as a token says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Actor {
    issuer: Option<String>,
    /// The first half of a SHA-256 of namespace and customer claim, in hexadecimal digits.
    subject_hash: String,
    merchant_id: Option<i64>,
    jti: Option<String>,
}

impl Actor {
    /// The owner of a verified token, which `authorization` holds; without a token, an unknown one.
    pub fn of(token: Option<&VerifiedToken>, issuers: &[IssuerConfig], authorization: &str) -> Self {
        let Some(token) = token else { return Self::default() };
        let issuer = issuers.get(token.issuer).map_or("", |issuer| issuer.issuer.as_str());
        let subject_hash = finish::subject_hash(token.principal.customer_key);
        let jti = match claim(authorization, "jti") {
            Some(Value::String(jti)) => Some(cut(&jti).to_owned()),
            _ => None,
        };
        let merchant_id = token.principal.merchant_id;
        Self { issuer: Some(issuer.to_owned()), subject_hash, merchant_id, jti }
    }
}

/// The audit event of a change.
#[derive(Clone, Copy, Debug)]
pub struct AuditEvent<'a> {
    pub(super) request_id: &'a str,
    pub(super) change: &'a Change,
    pub(super) actor: &'a Actor,
    pub(super) request: &'a Request<'a>,
    /// The answer; `None` if the client went away first.
    pub(super) reply: Option<&'a Reply>,
    /// The `seq` of the head that was published, or that the upstream's answer names.
    pub(super) seq: Option<u64>,
}

impl AuditEvent<'_> {
    /// Writes the members behind `event`.
    pub(super) fn write(&self, line: &mut Line) {
        let Self { request_id, change, actor, request, reply, seq } = *self;
        line.text("request_id", request_id).text("action", change.action);
        match &change.key {
            Some(key) => line.text("key", key),
            None => {
                let end = request.path.floor_char_boundary(LOGGED_PATH_MAX_BYTES);
                let path = request.path.get(..end).unwrap_or_default();
                line.text("route", &[finish::known_method(request.method), " ", path].concat())
            }
        };
        line.text("outcome", reply.map_or(Outcome::Unknown, Reply::outcome).name());
        if let Some(reply) = reply {
            line.number("status", &reply.status);
        }
        if let Some(seq) = seq {
            line.number("seq", &seq);
        }
        if !request.holder.is_empty() {
            line.text("holder", cut(request.holder));
        }
        if let Some(address) = viewer::address(request.ip_address) {
            line.text("address", &address);
        }
        if let Some(issuer) = &actor.issuer {
            line.text("issuer", issuer).text("subject_hash", &actor.subject_hash);
        }
        if let Some(merchant_id) = actor.merchant_id {
            line.number("merchant_id", &merchant_id);
        }
        if let Some(jti) = &actor.jti {
            line.text("jti", jti);
        }
    }
}

/// A change that has begun. If it is dropped - the client has gone, and the platform goes no further - its event says
/// that the outcome is unknown.
pub(super) struct Begun<'a> {
    log: &'a dyn Log,
    request: &'a Request<'a>,
    request_id: &'a str,
    change: Change,
    actor: Actor,
    is_ended: bool,
}

impl<'a> Begun<'a> {
    pub fn new(
        change: Change,
        actor: Actor,
        request: &'a Request<'a>,
        request_id: &'a str,
        log: &'a dyn Log,
    ) -> Self {
        Self { log, request, request_id, change, actor, is_ended: false }
    }

    /// The change is answered. `seq` is that of the head that was published, if it was.
    pub fn end(mut self, reply: &Reply, seq: Option<u64>) {
        self.is_ended = true;
        self.write(Some(reply), seq);
    }

    fn write(&self, reply: Option<&Reply>, seq: Option<u64>) {
        let Self { request_id, change, actor, request, .. } = self;
        let seq = seq.or_else(|| reply?.header("entitlement-seq")?.parse().ok());
        Event::Audit(&AuditEvent { request_id, change, actor, request, reply, seq }).log(self.log);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.write(None, None);
        }
    }
}

/// The beginning of a client's text, cut to the room that an event has.
pub(super) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(AUDIT_VALUE_MAX_BYTES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::contract::Server;

    #[test]
    fn every_change_and_nothing_else() {
        let object = format!("/snapshot/delta/{}", "0".repeat(64));
        for (method, path, action) in [
            ("PUT", "/snapshot/head", Some("publish")),
            ("PUT", "/snapshot/version/9", Some("store")),
            ("DELETE", "/snapshot/version/9", Some("delete")),
            ("PUT", object.as_str(), Some("store")),
            ("DELETE", object.as_str(), Some("delete")),
            ("PUT", "/snapshot/lease", Some("take_lease")),
            ("DELETE", "/snapshot/lease", Some("release_lease")),
            ("PUT", "/snapshot/garbage", Some("store")),
            ("POST", "/items/access", Some("write")),
            ("DELETE", "/items/33/access", Some("write")),
            ("PATCH", "/v2/items/33/access-fees/bulk", Some("write")),
            ("POST", "/oauth2/token", Some("sign_in")),
            ("POST", "/accounts/authenticate", Some("sign_in")),
            ("GET", "/snapshot/head", None),
            ("GET", "/items/33/access", None),
            ("OPTIONS", "/v2/items", None),
            ("DELETE", "/v2/items", None),
            ("POST", "/healthz", None),
            ("GET", "/customers/me", Some("view_customer")),
            ("GET", "/customers", Some("find_customer")),
            ("POST", "/tokens/inspect", Some("inspect_token")),
            ("PUT", "/nowhere", None),
        ] {
            let request = Request { method, path, ..Request::default() };
            let change = |server| Change::of(&Plan::of(&request, server).ok()?);
            assert_eq!(change(Server::Edge).map(|found| found.action), action, "{method} {path}");
            let without_origin = change(Server::LoneEdge).is_some();
            let is_own = ["/snapshot", "/customers", "/tokens"].iter().any(|own| path.starts_with(own));
            assert_eq!(without_origin, action.is_some() && is_own, "{method} {path}");
        }
    }
}
