//! Which heads may be stored.

use super::{lease::held, store_failed};
use crate::{
    api::{error::ApiError, reply::Reply},
    app::{
        library::{LoadError, Reader},
        seconds, unavailable,
    },
    limits::HEAD_MAX_BYTES,
    ports::{ObjectStore, Platform},
    snapshot::{
        head::{Head, HeadError, check_named},
        head_value::HeadValue,
        lease::Lease,
        object::{HEAD_KEY, ObjectKind},
        pack::Pack,
        rules::{Refused, Stored},
    },
};

/// Why a head counts as older. A publisher that knows the denylist reads the head again and sends the next one.
const MADE_OVER_ANOTHER: &str = "this one revokes beyond another head. Read the head and make it anew";
const FORGETS: &str = "it revokes what this one does not. Read it, take over its denylist, and send again; if another key \
                       signed it, name that (--old-key)";

/// A head that may be stored.
pub(super) struct Accepted {
    pub head: Head,
    /// The starting value, unless this isolate has stored the same one.
    pub start: Option<Vec<u8>>,
}

/// Heads, and the objects to which they lead.
pub(super) struct Heads<'a, P: Platform> {
    pub reader: Reader<'a, P>,
}

impl<P: Platform> Heads<'_, P> {
    /// Whether `holder` may store this value of the key `head`: signed, for this store, complete, and allowed by the
    /// rules of [`snapshot::rules`](crate::snapshot::rules). `lease` is the stored one.
    pub(super) async fn check_head(
        &self,
        value: &[u8],
        lease: Option<&Lease>,
        holder: Option<&str>,
    ) -> Result<Accepted, Reply> {
        let now = seconds(self.reader.platform.now_ms());
        let value = HeadValue::split(value);
        let head = self.signed_head(value.jws).map_err(|wrong| {
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
        self.reader.check_carried(value, &head).map_err(|error| refused(&error))?;
        let start = self.check_complete(&head, value.delta).await?;
        Ok(Accepted { head, start })
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
            LoadError::TooLarge => ApiError::BodyTooLarge(HEAD_MAX_BYTES).into(),
            error => Reply::error(ApiError::NOT_A_HEAD, error.to_string()),
        })
    }

    pub(super) async fn stored_head(&self) -> Result<Option<Result<Head, LoadError>>, Reply> {
        let stored = self.reader.platform.store().get_recent(HEAD_KEY).await.map_err(store_failed)?;
        Ok(stored.map(|value| self.reader.verify_head(HeadValue::split(&value).jws)))
    }

    /// The store may show an old head for a while; the one in use here may be newer.
    pub(super) fn newest(&self, stored: Option<Head>) -> Option<Head> {
        let in_use = self.reader.library.read().versions.current().map(|current| current.head.clone());
        stored.into_iter().chain(in_use).max_by_key(|head| (head.seq, head.as_of))
    }

    /// Whether what every check needs is there and can be decoded: an isolate that starts with a head of other
    /// objects could answer nothing. The publisher has verified the shards. `delta` came with the head, if it did. With
    /// the starting value, unless this isolate has stored the same one.
    async fn check_complete(&self, head: &Head, delta: Option<&[u8]>) -> Result<Option<Vec<u8>>, Reply> {
        let mut missing = Vec::new();
        let mut start = Pack::default();
        let mut is_new = self.reader.library.read().start_stored != Some((head.index, head.directory));
        for name in head.named() {
            let object = match delta {
                Some(delta) if name.kind == ObjectKind::Delta => Ok(delta.to_vec()),
                _ => self.reader.read_recent(name).await,
            };
            if let (Ok(object), true, true) = (&object, is_new, name.kind != ObjectKind::Delta) {
                // A starting value that would be too long is not worth having.
                is_new = start.push(object);
            }
            match object.and_then(|object| Ok(check_named(name.kind, object)?)) {
                Ok(()) => {}
                Err(LoadError::Store(error)) => return Err(Reply::error(unavailable(), error.to_string())),
                Err(error) => missing.push(format!("{name}: {error}")),
            }
        }
        // All of them, so that the publisher can upload them again at once.
        if missing.is_empty() {
            Ok(is_new.then(|| start.into_bytes()))
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
