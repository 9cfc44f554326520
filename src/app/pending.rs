//! Requests and refreshes that wait for something.

use std::fmt;

#[cfg(doc)]
use super::App;
use super::{answer::Next, library::Due, missing::Missing, plan::Plan, tokens::KeyTicket};
use crate::{api::reply::Reply, ports::SignatureVerifier};

/// The outcome of [`App::answer`].
#[derive(Debug)]
pub enum Answered<V: SignatureVerifier> {
    /// The reply, from memory. It is complete: every header is set.
    Now(Reply),
    /// Something has to be awaited: [`App::resume`] gives the reply.
    Later(Pending<V>),
}

/// A request that is planned and waits for something. Dropping it keeps no other request waiting.
pub struct Pending<V: SignatureVerifier> {
    pub(super) plan: Plan,
    pub(super) next: Result<Start, Missing<V>>,
}

/// Where a pending request goes on.
pub(super) enum Start {
    /// It is counted by its address, and then tried.
    Count,
    Next(Next),
}

impl<V: SignatureVerifier> Pending<V> {
    /// Whether the upstream gets the request as it is, whatever its method. Such a request needs the headers of
    /// [`Request::passed`](crate::api::reply::Request::passed), and goes on when its client has gone.
    pub const fn passes_through(&self) -> bool {
        matches!(self.plan, Plan::PassThrough(_))
    }
}

impl<V: SignatureVerifier> fmt::Debug for Pending<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// Something that is refreshed behind a request.
pub struct Refresh<V: SignatureVerifier>(pub(super) Refreshed<V>);

pub(super) enum Refreshed<V: SignatureVerifier> {
    /// The heads that are due.
    Head(Due),
    Keys(KeyTicket<V>),
    /// The objects for checks of the viewer that this value of `Authorization` names.
    Viewer(String),
}
