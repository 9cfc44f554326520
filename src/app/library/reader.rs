//! Reads heads and objects from the store, and checks them: the signature of a head, the digest of an object.

use std::{future::poll_fn, pin::Pin, task::Poll};

use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, maybe_done},
};

use super::Library;
use crate::{
    app::Event,
    limits::{HEAD_MAX_BYTES, OBJECT_MAX_BYTES},
    ports::{LaneError, Log, ObjectStore as _, Platform, StoreError},
    snapshot::{
        head::{HEAD_TYPE, Head, HeadError, HeadRules},
        head_value::HeadValue,
        object::{Digest, FormatError, ObjectName},
    },
    token::{JwsError, verify_jws, verify_jws_ahead},
};

/// Why an object of the snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::app) enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The fresh lane failed.
    #[error("lane: {0}")]
    Lane(#[from] LaneError),
    /// The store does not have it, or not yet.
    #[error("not found")]
    NotFound,
    /// Longer than anything that is published.
    #[error("too large")]
    TooLarge,
    /// The bytes do not fit the name.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The publisher did not sign it.
    #[error("head: {0}")]
    Signature(#[from] JwsError),
    /// It may not follow the head in use.
    #[error("head: {0}")]
    Head(#[from] HeadError),
}

impl LoadError {
    /// Whether the value under `head` was not signed for this store, or is below the floor: an intruder may have put it
    /// there. An older head alone tells nothing, because KV shows old values for a while.
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Signature(_) => true,
            Self::Head(error) => matches!(
                error,
                HeadError::OtherStore { .. } | HeadError::BelowFloor { .. } | HeadError::CarriedDelta
            ),
            Self::Store(_) | Self::Lane(_) | Self::NotFound | Self::TooLarge | Self::Format(_) => false,
        }
    }
}

impl LoadError {
    /// Whether the store does not have what a head names, or has something else there: the head itself is valid.
    pub const fn is_of_objects(&self) -> bool {
        matches!(self, Self::Store(_) | Self::NotFound | Self::Format(_))
    }

    /// Whether a head may not follow the one in use because it is older.
    pub const fn is_older(&self) -> bool {
        matches!(self, Self::Head(HeadError::Older { .. }))
    }

    /// Logs that a head was not used.
    pub fn log(&self, log: &dyn Log) {
        let event = if self.is_refusal() {
            Event::HeadRefused { error: self }
        } else {
            Event::RefreshFailed { error: self }
        };
        event.log(log);
    }
}

/// Reads the store.
pub(in crate::app) struct Reader<'a, P: Platform> {
    pub library: &'a Library<P::Verifier>,
    pub platform: &'a P,
    /// Which heads are accepted, beside their signature.
    pub head_rules: &'a HeadRules,
}

impl<P: Platform> Clone for Reader<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Reader<'_, P> {}

impl<P: Platform> Reader<'_, P> {
    /// Lets the platform verify a head's signature ahead of [`verify_head`](Self::verify_head), as far as it has a way
    /// that is cheaper at a cold start.
    pub async fn verify_ahead(&self, jws: &[u8]) {
        if let Ok(jws) = std::str::from_utf8(jws) {
            verify_jws_ahead(jws, &self.library.head_keys, self.platform.verifier()).await;
        }
    }

    /// The head in `jws`, if the publisher signed it for this store.
    pub fn verify_head(&self, jws: &[u8]) -> Result<Head, LoadError> {
        let head = self.verify_signature(jws)?;
        head.check(self.head_rules)?;
        Ok(head)
    }

    /// The head in `jws`, if the publisher signed it, whether an edge may answer from it or not: a version of the past may
    /// be below the floor of the configuration.
    pub fn verify_signature(&self, jws: &[u8]) -> Result<Head, LoadError> {
        if jws.len() > HEAD_MAX_BYTES {
            return Err(LoadError::TooLarge);
        }
        let jws = std::str::from_utf8(jws).map_err(|_| JwsError::Malformed)?;
        Ok(verify_jws(jws, &self.library.head_keys, HEAD_TYPE, self.platform.verifier())?)
    }

    /// An object of the snapshot. The store's caches may give an answer that is a day old. A value that has its digest
    /// is right at any age; "not found", or damaged bytes that were replaced since, must not last as long. Therefore
    /// such an answer is checked by one recent read more.
    pub async fn read_object(&self, name: ObjectName) -> Result<Vec<u8>, LoadError> {
        match self.read_once(name).await {
            Err(LoadError::Store(error)) => Err(error.into()),
            Err(_) => self.read_recent(name).await,
            object => object,
        }
    }

    /// An object of the snapshot, if a single read finds it.
    pub async fn read_once(&self, name: ObjectName) -> Result<Vec<u8>, LoadError> {
        self.checked_object(name, self.platform.store().get(&name.to_string()).await?)
    }

    /// An object of the snapshot, past old caches: the publish API reads what it has just stored.
    pub async fn read_recent(&self, name: ObjectName) -> Result<Vec<u8>, LoadError> {
        self.checked_object(name, self.platform.store().get_recent(&name.to_string()).await?)
    }

    /// The store's value, if it is the object of that name.
    fn checked_object(&self, name: ObjectName, object: Option<Vec<u8>>) -> Result<Vec<u8>, LoadError> {
        let object = object.ok_or(LoadError::NotFound)?;
        if object.len() > OBJECT_MAX_BYTES {
            return Err(LoadError::TooLarge);
        }
        name.check_by(&object, |bytes| self.digest_of(bytes))?;
        Ok(object)
    }

    /// Whether the delta that a value carries is its head's.
    pub fn check_carried(&self, value: HeadValue<'_>, head: &Head) -> Result<(), HeadError> {
        value.check_by(head, |delta| self.digest_of(delta))
    }

    /// The digest of an object, by the platform.
    pub fn digest_of(&self, bytes: &[u8]) -> Digest {
        Digest(self.platform.sha256(bytes))
    }
}

/// Awaits all of them at once. Boxed, so that the machinery is compiled once for each output. They are few, so that each
/// is polled whenever one goes on, without the bookkeeping of `join_all`.
pub(in crate::app) async fn all<T>(futures: Vec<LocalBoxFuture<'_, T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(maybe_done).collect();
    poll_fn(|context| {
        let pending =
            futures.iter_mut().filter_map(|future| future.poll_unpin(context).is_pending().then_some(()));
        if pending.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    futures.iter_mut().filter_map(|future| Pin::new(future).take_output()).collect()
}
