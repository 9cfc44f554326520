//! The parts that memory lacks for an answer, and how a request waits for them.

use futures_util::{FutureExt as _, future::join};

use super::{
    library::{HeadState, Load, Loader},
    plan::Plan,
    seconds,
    tokens::{KeyLoader, KeyTicket},
};
use crate::{
    limits::{LOAD_WAIT_MS, LOAD_WAITS_MAX},
    ports::{Platform, SignatureVerifier},
    snapshot::object::ObjectName,
};

/// What memory lacks. It is loaded, and then the request is tried again.
pub(super) enum Missing<V: SignatureVerifier> {
    /// The head. Beside it, the few objects that the answer would need if the version at hand were still the newest: mostly
    /// it needs them in any case.
    Head(Vec<ObjectName>),
    /// Objects of the snapshot.
    Objects(Vec<ObjectName>),
    /// The keys of an issuer, which this request may fetch.
    Keys(KeyTicket<V>),
    /// The keys of an issuer, which enough other requests are fetching.
    KeysElsewhere,
}

/// For how long a request has waited for others. A Worker's request cannot await the I/O of another one, so that it
/// looks again from time to time.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// When the request began to load or wait, in milliseconds.
    pub since_ms: u64,
    waits_left: u32,
}

impl Patience {
    pub const fn new(now_ms: u64) -> Self {
        Self { since_ms: now_ms, waits_left: LOAD_WAITS_MAX }
    }

    /// Whether it may still wait for others.
    pub const fn may_wait(&self) -> bool {
        self.waits_left > 0
    }

    /// Waits a little.
    pub async fn wait<P: Platform>(&mut self, platform: &P) {
        self.waits_left = self.waits_left.saturating_sub(1);
        platform.sleep(LOAD_WAIT_MS).await;
    }
}

/// Loads the parts that memory lacks, for a request that may or may not wait for others.
pub(super) struct Supply<'a, P: Platform> {
    pub library: Loader<'a, P>,
    pub keys: KeyLoader<'a, P>,
}

impl<P: Platform> Supply<'_, P> {
    /// Loads it, unless another request does.
    pub async fn load(&self, missing: Missing<P::Verifier>, plan: &Plan, may_wait: bool) -> Load {
        match missing {
            Missing::Head(beside) if beside.is_empty() => {
                self.library.load_head(may_wait).boxed_local().await
            }
            Missing::Head(beside) => self.library.load_head_and(&beside, may_wait).boxed_local().await,
            Missing::Objects(names) if plan.is_many() => self.library.load_many(&names).boxed_local().await,
            Missing::Objects(names) => self.library.load_objects(&names, may_wait).await,
            Missing::Keys(ticket) => {
                self.load_keys(ticket, plan.is_check()).boxed_local().await;
                Load::Done
            }
            Missing::KeysElsewhere => Load::Elsewhere(None),
        }
    }

    /// Gets an issuer's keys. `is_check` is whether the request is a check. The first one of an isolate needs the head too,
    /// whether its token turns out to be right or not, so that both are loaded at once. Reads without a token load the head
    /// for any client, so that a stranger gains nothing by this.
    async fn load_keys(&self, ticket: KeyTicket<P::Verifier>, is_check: bool) {
        let now = seconds(self.keys.platform.now_ms());
        let is_head_missing = || self.library.reader.library.read().head_state(now) == HeadState::Missing;
        if is_check && is_head_missing() {
            join(self.keys.load(ticket), self.library.load_head(true).boxed_local()).await;
        } else {
            self.keys.load(ticket).await;
        }
    }
}
