//! Publishing: objects come in one by one, checked against their names; the head comes last.

use super::{App, load::LoadError, seconds, unavailable};
use crate::{
    api::{
        error::ApiError,
        reply::{Body, Caching, Reply},
    },
    limits::{HEAD_MAX_BYTES, HEAD_SKEW_SECS, OBJECT_MAX_BYTES},
    ports::{ObjectStore, Platform},
    snapshot::{
        delta,
        directory::Directory,
        head::{Head, HeadError},
        index::Index,
        object::{FormatError, HEAD_KEY, ObjectKind, ObjectName},
    },
};

/// An object on its way in or out. `None` names the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub(super) name: Option<ObjectName>,
    pub(super) is_upload: bool,
}

/// The body of a request, read when and as far as it is wanted.
pub trait RequestBody {
    /// The whole body.
    ///
    /// # Errors
    /// When it is longer than `limit_bytes`, or the client went away.
    fn read(self, limit_bytes: usize) -> impl Future<Output = Result<Vec<u8>, BodyError>>;
}

/// A body that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than it may be.
    TooLarge,
    /// It ended early.
    Interrupted,
}

const NOT_THE_NAME: ApiError =
    ApiError::InvalidField("body", "The body does not have the digest and the header that its name says");
const NOT_A_HEAD: ApiError =
    ApiError::InvalidField("body", "The body is not a head that a key of SNAPSHOT_KEYS has signed");
const NOT_COMPLETE: ApiError = ApiError::InvalidField("body", "An object that the head names is not stored");
const FROM_THE_FUTURE: ApiError = ApiError::InvalidField("as_of", "The head's as_of lies in the future");
const OTHER_FORMAT: ApiError = ApiError::InvalidField("format", "The head names another format");

impl<P: Platform> App<P> {
    pub(super) async fn transfer(&self, transfer: Transfer, body: impl RequestBody) -> Reply {
        let key = transfer.name.map_or_else(|| HEAD_KEY.to_owned(), |name| name.to_string());
        if !transfer.is_upload {
            return match self.platform.store().get_recent(&key).await {
                Ok(Some(value)) => {
                    let mut reply = Reply::ok(String::new(), Caching::Private);
                    reply.body = Body::Bytes(value);
                    reply
                }
                Ok(None) => ApiError::ObjectNotFound.into(),
                Err(error) => Reply::error(unavailable(), error.to_string()),
            };
        }
        let limit_bytes = if transfer.name.is_some() { OBJECT_MAX_BYTES } else { HEAD_MAX_BYTES };
        let value = match body.read(limit_bytes).await {
            Ok(value) => value,
            Err(BodyError::TooLarge) => return ApiError::BodyTooLarge(limit_bytes).into(),
            Err(BodyError::Interrupted) => {
                return ApiError::InvalidField("body", "The body ended early").into();
            }
        };
        let checked = match transfer.name {
            Some(name) => name.check(&value).map_err(|error| Reply::error(NOT_THE_NAME, error.to_string())),
            None => self.check_head(&value).await,
        };
        if let Err(reply) = checked {
            return reply;
        }
        if let Err(error) = self.platform.store().put(&key, &value).await {
            return Reply::error(unavailable(), error.to_string());
        }
        if transfer.name.is_none() {
            self.state.borrow_mut().snapshots.expire();
        }
        let mut reply = Reply::ok(format!(r#"{{"stored":"{key}"}}"#), Caching::Private);
        reply.status = 201;
        reply
    }

    /// Whether a head may be stored: signed, not older than the stored one, complete.
    async fn check_head(&self, jws: &[u8]) -> Result<(), Reply> {
        let head = self.verify_head(jws).map_err(|error| Reply::error(NOT_A_HEAD, error.to_string()))?;
        let stored = match self.platform.store().get_recent(HEAD_KEY).await {
            Ok(stored) => stored,
            Err(error) => return Err(Reply::error(unavailable(), error.to_string())),
        };
        // A stored head that nobody signed is no head: it must not keep a good one out.
        let stored = stored.and_then(|jws| self.verify_head(&jws).ok());
        // The store may show an old head for a while; the one in use here may be newer.
        let in_use = self.state.borrow().snapshots.current().map(|current| current.head.clone());
        let newest = stored.into_iter().chain(in_use).max_by_key(|head| (head.seq, head.as_of));
        let now = seconds(self.platform.now_ms());
        head.may_follow(newest.as_ref(), now, HEAD_SKEW_SECS).map_err(|error| {
            let refusal = match error {
                HeadError::Older { .. } => ApiError::OlderHead,
                HeadError::FromTheFuture => FROM_THE_FUTURE,
                HeadError::Format(_) => OTHER_FORMAT,
            };
            Reply::error(refusal, error.to_string())
        })?;
        self.check_complete(&head).await
    }

    /// Whether what every check needs is there and can be decoded: an isolate that starts with a head of other
    /// objects could answer nothing. The publisher has verified the shards.
    async fn check_complete(&self, head: &Head) -> Result<(), Reply> {
        let delta = head.delta.map(|digest| (ObjectKind::Delta, digest));
        let named = [(ObjectKind::Index, head.index), (ObjectKind::Directory, head.directory)];
        for (kind, digest) in named.into_iter().chain(delta) {
            let object = self.read_recent(ObjectName { kind, digest }).await;
            match object.and_then(|object| Ok(decodes(kind, object)?)) {
                Ok(()) => {}
                Err(LoadError::Store(error)) => return Err(Reply::error(unavailable(), error.to_string())),
                Err(error) => return Err(Reply::error(NOT_COMPLETE, error.to_string())),
            }
        }
        Ok(())
    }
}

fn decodes(kind: ObjectKind, object: Vec<u8>) -> Result<(), FormatError> {
    match kind {
        ObjectKind::Index => Index::decode(object).map(drop),
        ObjectKind::Directory => Directory::decode(&object).map(drop),
        ObjectKind::Delta => delta::tables(&object).map(drop),
        // Read in place, when they are asked for.
        ObjectKind::Shard | ObjectKind::Page => Ok(()),
    }
}
