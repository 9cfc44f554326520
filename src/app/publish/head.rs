//! Which heads may be stored.

use super::{lease::held, store_failed};
use crate::{
    api::{error::ApiError, reply::Reply},
    app::{
        library::{LoadError, Reader},
        seconds, unavailable,
    },
    ports::{ObjectStore, Platform},
    snapshot::{
        head::{Head, HeadError, check_named},
        lease::Lease,
        object::HEAD_KEY,
        rules::{Refused, Stored},
    },
};

/// Why a head counts as older. A publisher that knows the denylist reads the head again and sends the next one.
const MADE_OVER_ANOTHER: &str = "this one revokes beyond another head. Read the head and make it anew";
const FORGETS: &str = "it revokes what this one does not. Read it, take over its denylist, and send again; if another key \
                       signed it, name that (--old-key)";

/// Heads, and the objects to which they lead.
pub(super) struct Heads<'a, P: Platform> {
    pub reader: Reader<'a, P>,
}

impl<P: Platform> Heads<'_, P> {
    /// Whether `holder` may store a head: signed, for this store, complete, and allowed by the rules of
    /// [`snapshot::rules`](crate::snapshot::rules). `lease` is the stored one.
    pub(super) async fn check_head(
        &self,
        jws: &[u8],
        lease: Option<&Lease>,
        holder: Option<&str>,
    ) -> Result<Head, Reply> {
        let now = seconds(self.reader.platform.now_ms());
        let head = self.signed_head(jws).map_err(|wrong| {
            // Another publisher waits in any case.
            lease.filter(|lease| lease.excludes(holder, now)).map_or(wrong, held)
        })?;
        // A stored head without a valid signature, or of another store, does not count: it must not keep a good one out.
        let stored = self.stored_head().await?.and_then(Result::ok);
        let newest = self.newest(stored);
        let stored = Stored { newest: newest.as_ref(), lease, holder, now };
        stored.may_be_replaced_by(&head).map_err(|reason| match reason {
            Refused::LeaseHeld(lease) => held(lease),
            Refused::RevokesBehind => older(MADE_OVER_ANOTHER),
            Refused::Forgets => older(FORGETS),
            Refused::Head(error) => refused(&error),
        })?;
        self.check_complete(&head).await?;
        Ok(head)
    }

    /// Whether a head may be kept as the one by which `seq` was published. Its objects are not looked for: the
    /// head itself follows at once, and is not stored without them.
    pub(super) fn check_version(&self, seq: u64, jws: &[u8]) -> Result<(), Reply> {
        let head = self.signed_head(jws)?;
        let now = seconds(self.reader.platform.now_ms());
        let first = Stored { newest: None, lease: None, holder: None, now };
        if let Err(Refused::Head(error)) = first.may_be_replaced_by(&head) {
            return Err(refused(&error));
        }
        if head.seq == seq { Ok(()) } else { Err(ApiError::OTHER_SEQ.into()) }
    }

    fn signed_head(&self, jws: &[u8]) -> Result<Head, Reply> {
        self.reader.verify_head(jws).map_err(|error| match error {
            LoadError::Head(error) => refused(&error),
            error => Reply::error(ApiError::NOT_A_HEAD, error.to_string()),
        })
    }

    pub(super) async fn stored_head(&self) -> Result<Option<Result<Head, LoadError>>, Reply> {
        let stored = self.reader.platform.store().get_recent(HEAD_KEY).await.map_err(store_failed)?;
        Ok(stored.map(|jws| self.reader.verify_head(&jws)))
    }

    /// The store may show an old head for a while; the one in use here may be newer.
    pub(super) fn newest(&self, stored: Option<Head>) -> Option<Head> {
        let in_use = self.reader.library.read().versions.current().map(|current| current.head.clone());
        stored.into_iter().chain(in_use).max_by_key(|head| (head.seq, head.as_of))
    }

    /// Whether what every check needs is there and can be decoded: an isolate that starts with a head of other
    /// objects could answer nothing. The publisher has verified the shards.
    async fn check_complete(&self, head: &Head) -> Result<(), Reply> {
        let mut missing = Vec::new();
        for name in head.named() {
            let object = self.reader.read_recent(name).await;
            match object.and_then(|object| Ok(check_named(name.kind, object)?)) {
                Ok(()) => {}
                Err(LoadError::Store(error)) => return Err(Reply::error(unavailable(), error.to_string())),
                Err(error) => missing.push(format!("{name}: {error}")),
            }
        }
        // All of them, so that the publisher can upload them again at once.
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Reply::detailed(ApiError::INCOMPLETE_HEAD, &missing.join(", ")))
        }
    }
}

fn older(why: &str) -> Reply {
    Reply::detailed(ApiError::OlderHead, why)
}

/// The answer to a head that is signed and may not be used.
fn refused(error: &HeadError) -> Reply {
    let text = error.to_string();
    match error {
        HeadError::Older { .. } => Reply::error(ApiError::OlderHead, text),
        HeadError::FromTheFuture => Reply::error(ApiError::FUTURE_HEAD, text),
        HeadError::Format(_) => Reply::error(ApiError::OTHER_FORMAT, text),
        // Only publishers see these messages, and they need to know the expected value.
        HeadError::OtherStore { .. } => Reply::detailed(ApiError::OTHER_STORE, &text),
        HeadError::CarriedDelta => Reply::error(ApiError::NOT_A_HEAD, text),
        HeadError::BelowFloor { .. } => Reply::detailed(ApiError::SEQ_BELOW_FLOOR, &text),
    }
}
