//! Loads behind an answer what the viewer's next check needs: keys, head, and the customer's shard. A viewer who has
//! signed in, or who looks at an item, is about to play something.

use std::cell::RefCell;

use serde_json::Value;

use super::{
    App, Plan,
    missing::Patience,
    pending::{Refresh, Refreshed},
    plan::ReadPlan,
};
use crate::{
    api::reply::{Body, Reply, Request},
    limits::WARMED_MAX,
    ports::Platform,
    snapshot::{index::Tree, version::Found},
};

/// The viewers whose objects wait to be loaded, each as the value of `Authorization`. The token is verified before
/// anything is loaded for it.
#[derive(Default)]
pub(super) struct Warming(RefCell<Vec<String>>);

impl Warming {
    /// Asks for a viewer. Beyond a few nothing is asked for: their checks load what they need.
    fn ask(&self, authorization: String) {
        let mut asked = self.0.borrow_mut();
        if asked.len() < WARMED_MAX && !asked.contains(&authorization) {
            asked.push(authorization);
        }
    }

    fn take(&self) -> Option<String> {
        self.0.borrow_mut().pop()
    }
}

impl<P: Platform> App<P> {
    /// Notes the viewer of a read that needed no token and had one, unless all that a check needs of them is there.
    pub(super) fn warm_reader(&self, plan: &Plan, request: &Request<'_>) {
        if plan.is_anonymous() && !request.authorization.is_empty() && !self.is_warm(request.authorization) {
            self.warming.ask(request.authorization.to_owned());
        }
    }

    /// Notes the viewer who has signed in or refreshed a session, by the token in the upstream's answer.
    pub(super) fn warm_signed_in(&self, reply: &Reply) {
        let Body::Json(body) = &reply.body else { return };
        let token = serde_json::from_slice::<Value>(body.as_bytes()).ok();
        let token = token.as_ref().and_then(|answer| answer.get("access_token")?.as_str());
        if let Some(token) = token.filter(|_| reply.status == 200) {
            self.warming.ask(["Bearer ", token].concat());
        }
    }

    /// Whether the token is known and the customer's shard in memory. It costs as much as a repeated check at most.
    fn is_warm(&self, authorization: &str) -> bool {
        let Some(token) = self.tokens.remembered(authorization, self.now(), self.platform.entropy()) else {
            return false;
        };
        let snapshots = &mut *self.library.write();
        let Some(version) = snapshots.versions.current().cloned() else { return false };
        let found =
            version.look_up(Tree::Customers, token.principal.customer_key, &mut snapshots.objects.cache);
        !matches!(found, Ok(Found::Load(_)))
    }

    /// The next viewer whose objects wait to be loaded.
    pub(super) fn begin_warming(&self) -> Option<Refresh<P::Verifier>> {
        self.warming.take().map(|authorization| Refresh(Refreshed::Viewer(authorization)))
    }

    /// Loads what a question about the customer alone needs, as that question would, and drops its answer.
    pub(super) async fn warm(&self, authorization: &str) {
        let request = Request { method: "GET", authorization, ..Request::default() };
        let plan = Plan::Read(ReadPlan::License);
        let mut patience = Patience::new(self.platform.now_ms());
        let next = self.attempt(&plan, &request);
        drop(self.ready(next, &plan, &request, &mut patience).await);
    }
}
