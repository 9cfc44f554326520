//! Publishing: objects come in one by one or in packs, checked against their names; the head comes last.
//! Who asks may publish: `answer.rs` has seen to that before a body is read.

mod head;
mod in_flight;
mod issuers;
mod keys;
mod lease;
mod objects;
mod reach;

use std::borrow::Cow;

pub(super) use self::in_flight::InFlight;
use self::in_flight::Room;
use super::{App, audit::HEAD_SEQ, seconds, unavailable, unsupported};
use crate::{
    api::{
        error::ApiError,
        reply::{Body, Caching, Reply, Request},
        route::Route,
        write::check_content_encoding,
    },
    limits::{
        CHECK_MAX_BYTES, CHECKS_AT_ONCE, GARBAGE_MAX_BYTES, HEAD_MAX_BYTES, HEAD_ROOM_BYTES, LEASE_MAX_BYTES,
        LOAD_WAIT_MS, OBJECT_MAX_BYTES, PACK_MAX_BYTES, TRANSFER_WAITS_MAX,
    },
    ports::{ObjectStore, Platform, StoreError},
    snapshot::store_key::StoreKey,
};

/// What a publisher wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// A value is to be sent.
    Send(StoreKey),
    /// A value is to be stored.
    Store(StoreKey),
    /// A value is to be removed.
    Delete(StoreKey),
    /// Several objects are to be stored.
    Pack,
    /// Stored objects are to be checked.
    Check,
    /// Keys are to be listed.
    Keys,
    /// Issuers are to be listed.
    Issuers,
}

/// The body of a request, read when and as far as it is wanted.
pub trait RequestBody {
    /// What passes it on as it arrives.
    type Stream;

    /// The whole body.
    ///
    /// # Errors
    /// When it is longer than `limit_bytes`, or the client went away.
    fn read(&mut self, limit_bytes: usize) -> impl Future<Output = Result<Vec<u8>, BodyError>>;

    /// How long it is, as far as the client said: `Some(0)` is no body, `None` a body of unknown length.
    fn declared_bytes(&self) -> Option<usize>;

    /// The body as it arrives. With `keep`, it may be taken once more.
    fn stream(&mut self, keep: bool) -> Option<Self::Stream>;
}

/// A body that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than it may be.
    TooLarge,
    /// It ended early.
    Interrupted,
}

const ENDED_EARLY: ApiError = ApiError::InvalidField("body", "The body ended early");

impl<P: Platform> App<P> {
    pub(super) async fn transfer(
        &self,
        transfer: Transfer,
        request: &Request<'_>,
        mut body: impl RequestBody,
    ) -> Reply {
        let holder = Some(request.holder).filter(|holder| !holder.is_empty());
        let answered = async {
            let mut excluded = None;
            if transfer.is_for_the_holder() {
                match self.check_holder(holder).await {
                    // What a head says has to be read first.
                    Err(refusal) if transfer == Transfer::Store(StoreKey::Head) => excluded = Some(refusal),
                    holder => holder?,
                }
            }
            // Before anything is read. A head is short, and takes room for what is read after it only: bodies that
            // never end keep none of it.
            let is_head = transfer == Transfer::Store(StoreKey::Head);
            let room = if is_head { None } else { self.room_for(transfer).await? };
            let body = match transfer.body_max_bytes() {
                Some(limit_bytes) => {
                    let coding = request.passed("content-encoding");
                    check_content_encoding(coding).map_err(|error| unsupported(error, coding))?;
                    read(&mut body, limit_bytes).await?
                }
                None => Vec::new(),
            };
            let _room = if is_head { self.room_for(transfer).await? } else { room };
            match transfer {
                Transfer::Send(key) => self.send(key).await,
                Transfer::Store(StoreKey::Head) => self.store_head(&body, excluded).await,
                Transfer::Store(key) => self.store(key, &body).await,
                Transfer::Delete(key) => self.delete(key, holder).await,
                Transfer::Pack => self.store_pack(&body).await,
                Transfer::Check => self.check_objects(&body).await,
                Transfer::Keys => self.list_keys(request.query).await,
                Transfer::Issuers => Ok(self.list_issuers()),
            }
        };
        answered.await.unwrap_or_else(|refusal| refusal)
    }

    /// Room for what a transfer may hold. One that finds none waits a little.
    async fn room_for(&self, transfer: Transfer) -> Result<Option<Room<'_>>, Reply> {
        let bytes = transfer.held_max_bytes();
        if bytes == 0 {
            return Ok(None);
        }
        let left_bytes = if transfer == Transfer::Store(StoreKey::Head) { 0 } else { HEAD_ROOM_BYTES };
        for _ in 0..TRANSFER_WAITS_MAX {
            let room = self.in_flight.begin(bytes, left_bytes, self.platform.now_ms());
            if room.is_some() {
                return Ok(room);
            }
            self.platform.sleep(LOAD_WAIT_MS).await;
        }
        Err(Reply::error(unavailable(), "transfers_busy"))
    }

    async fn send(&self, key: StoreKey) -> Result<Reply, Reply> {
        let value = self.platform.store().get_recent(&key.to_string()).await.map_err(store_failed)?;
        let mut reply = Reply::ok(String::new(), Caching::Private);
        reply.body = Body::Bytes(value.ok_or(ApiError::ObjectNotFound)?);
        Ok(reply)
    }

    /// Stores a head. `excluded` is the answer if another publisher holds the lease.
    async fn store_head(&self, jws: &[u8], excluded: Option<Reply>) -> Result<Reply, Reply> {
        let head = self.check_head(jws, excluded).await?;
        let stored = self.put(StoreKey::Head, jws).await?;
        self.state.borrow_mut().deny_by(&head, seconds(self.platform.now_ms()));
        Ok(stored)
    }

    async fn store(&self, key: StoreKey, value: &[u8]) -> Result<Reply, Reply> {
        match key {
            StoreKey::Head => return self.store_head(value, None).await,
            StoreKey::Version(seq) => self.check_version(seq, value)?,
            StoreKey::Object(name) => self.check_object(name, value)?,
            StoreKey::Lease => self.check_lease(value).await?,
            // Only `admit gc` reads it, and trusts it no further than it can check.
            StoreKey::Garbage => {}
        }
        self.put(key, value).await
    }

    async fn put(&self, key: StoreKey, value: &[u8]) -> Result<Reply, Reply> {
        let key_text = key.to_string();
        self.platform.store().put(&key_text, value).await.map_err(store_failed)?;
        let mut reply = stored(&["\"", &key_text, "\""].concat());
        if key == StoreKey::Head {
            self.state.borrow_mut().snapshots.expire();
            let head = self.verify_head(value).ok();
            reply.headers.extend(head.map(|head| (HEAD_SEQ, Cow::Owned(head.seq.to_string()))));
        }
        Ok(reply)
    }

    async fn delete(&self, key: StoreKey, holder: Option<&str>) -> Result<Reply, Reply> {
        let may_go = match key {
            StoreKey::Object(name) => {
                self.check_unneeded(name).await?;
                true
            }
            StoreKey::Version(_) => true,
            StoreKey::Lease => self.may_release(holder).await?,
            StoreKey::Head | StoreKey::Garbage => {
                return Err(ApiError::MethodNotAllowed(Route::Stored(key).allow()).into());
            }
        };
        if may_go {
            self.platform.store().delete(&key.to_string()).await.map_err(store_failed)?;
        }
        let mut reply = Reply::ok(String::new(), Caching::Private);
        (reply.status, reply.body) = (204, Body::Empty);
        Ok(reply)
    }
}

impl Transfer {
    /// What it may hold at a time, in bytes: what is sent or stored is there twice, in Wasm and in JavaScript. Nothing
    /// for what is small.
    const fn held_max_bytes(self) -> usize {
        match self {
            Self::Pack => 2 * PACK_MAX_BYTES,
            // Before a head is stored, what it names is read, one object after another.
            Self::Store(StoreKey::Head) => HEAD_ROOM_BYTES,
            Self::Store(StoreKey::Object(_)) | Self::Send(StoreKey::Object(_)) => 2 * OBJECT_MAX_BYTES,
            Self::Store(StoreKey::Garbage) | Self::Send(StoreKey::Garbage) => 2 * GARBAGE_MAX_BYTES,
            Self::Check => CHECKS_AT_ONCE * OBJECT_MAX_BYTES,
            Self::Send(_) | Self::Store(_) | Self::Delete(_) | Self::Keys | Self::Issuers => 0,
        }
    }

    /// Whether it changes what is published, or could: while somebody holds the lease, only the holder may.
    /// Objects that are stored change nothing until a head leads to them.
    const fn is_for_the_holder(self) -> bool {
        matches!(
            self,
            Self::Store(StoreKey::Head | StoreKey::Version(_))
                | Self::Delete(StoreKey::Object(_) | StoreKey::Version(_))
        )
    }

    /// How long its body may be, if it has one.
    const fn body_max_bytes(self) -> Option<usize> {
        Some(match self {
            Self::Store(StoreKey::Head | StoreKey::Version(_)) => HEAD_MAX_BYTES,
            Self::Store(StoreKey::Object(_)) => OBJECT_MAX_BYTES,
            Self::Store(StoreKey::Lease) => LEASE_MAX_BYTES,
            Self::Store(StoreKey::Garbage) => GARBAGE_MAX_BYTES,
            Self::Pack => PACK_MAX_BYTES,
            Self::Check => CHECK_MAX_BYTES,
            Self::Send(_) | Self::Delete(_) | Self::Keys | Self::Issuers => return None,
        })
    }
}

pub(super) async fn read(body: &mut impl RequestBody, limit_bytes: usize) -> Result<Vec<u8>, Reply> {
    body.read(limit_bytes).await.map_err(|error| match error {
        BodyError::TooLarge => ApiError::BodyTooLarge(limit_bytes).into(),
        BodyError::Interrupted => ENDED_EARLY.into(),
    })
}

/// 201. `what` is JSON.
fn stored(what: &str) -> Reply {
    let mut reply = Reply::ok([r#"{"stored":"#, what, "}"].concat(), Caching::Private);
    reply.status = 201;
    reply
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn store_failed(error: StoreError) -> Reply {
    Reply::error(unavailable(), error.to_string())
}
