//! The publish API: objects come in one by one or in packs, checked against their names; the head comes last.
//! `answer.rs` has checked that the token may publish, before a body is read.

mod diff;
mod head;
mod in_flight;
mod issuers;
mod keys;
mod lease;
mod objects;
mod reach;
mod report;

use futures_util::{
    FutureExt as _,
    future::{Either, join, select},
};

pub(super) use self::in_flight::InFlight;
use self::{
    head::{Accepted, Heads},
    in_flight::Room,
    lease::Leases,
};
use super::{
    RequestBody, ServiceReason, Tokens,
    body::{read, unsupported},
    library::{LoadError, Loader, Reader},
    seconds, unavailable,
};
use crate::{
    api::{
        contract::{Route, Server},
        error::ApiError,
        reply::{Body, Caching, Reply, Request},
        write::check_content_encoding,
    },
    config::Config,
    limits::{
        CHECK_MAX_BYTES, CHECKS_AT_ONCE, DIFF_HELD_MAX_BYTES, GARBAGE_MAX_BYTES, HEAD_MAX_BYTES,
        HEAD_ROOM_BYTES, HEAD_VALUE_MAX_BYTES, LEASE_MAX_BYTES, LOAD_WAIT_MS, OBJECT_MAX_BYTES,
        PACK_MAX_BYTES, START_WRITE_TIMEOUT_MS, TRANSFER_WAITS_MAX,
    },
    ports::{ObjectStore as _, Platform, StoreError},
    snapshot::{lease::Lease, object::FormatError, store_key::StoreKey},
};

/// A request of the publish API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Send a value.
    Send(StoreKey),
    /// Store a value.
    Store(StoreKey),
    /// Remove a value.
    Delete(StoreKey),
    /// Store several objects.
    Pack,
    /// Check stored objects.
    Check,
    /// List keys.
    Keys,
    /// List issuers.
    Issuers,
    /// Describe the snapshot in use.
    Report,
    /// Compare two versions.
    Diff,
}

/// The publish API, as one request uses it.
pub(super) struct Publisher<'a, P: Platform> {
    pub reader: Reader<'a, P>,
    pub loader: Loader<'a, P>,
    pub tokens: &'a Tokens<P::Verifier>,
    pub config: &'a Config,
    /// The transfers of this isolate.
    pub in_flight: &'a InFlight,
}

/// What a transfer came to.
pub(super) struct Transferred {
    pub reply: Reply,
    /// The `seq` of the head that was published, for the audit event.
    pub seq: Option<u64>,
}

impl From<Reply> for Transferred {
    fn from(reply: Reply) -> Self {
        Self { reply, seq: None }
    }
}

impl<P: Platform> Publisher<'_, P> {
    /// Does what the publisher wants, whose token has been checked.
    ///
    /// # Errors
    /// With the refusal.
    pub async fn transfer(
        &self,
        transfer: Transfer,
        request: &Request<'_>,
        mut body: impl RequestBody,
    ) -> Result<Transferred, Reply> {
        let holder = Some(request.holder).filter(|holder| !holder.is_empty());
        let is_head = transfer == Transfer::Store(StoreKey::Head);
        let mut lease = None;
        if transfer.is_for_the_holder() {
            lease = self.leases().stored_lease().await?;
            // A head is read first: it may be one that only revokes, which needs no lease.
            if !is_head {
                self.leases().check_holder(lease.as_ref(), holder)?;
            }
        }
        // Before anything is read. A head has 1 MiB at most, and takes room only for the objects that are read after it:
        // bodies that never end keep none of it.
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
        let reply = match transfer {
            Transfer::Send(key) => self.send(key).await?,
            Transfer::Store(StoreKey::Head) => return self.store_head(&body, lease.as_ref(), holder).await,
            Transfer::Store(key) => self.store(key, &body).await?,
            Transfer::Delete(key) => self.delete(key, holder).await?,
            Transfer::Pack => self.store_pack(&body).await?,
            Transfer::Check => self.check_objects(&body).await?,
            Transfer::Keys => keys::list(request.query, self.reader.platform.store()).await?,
            Transfer::Issuers => issuers::list(&self.config.issuers, self.tokens),
            Transfer::Report => self.report().await?,
            Transfer::Diff => self.diff(request.query).await?,
        };
        Ok(reply.into())
    }

    const fn leases(&self) -> Leases<'_, P> {
        Leases { platform: self.reader.platform }
    }

    const fn heads(&self) -> Heads<'_, P> {
        Heads { reader: self.reader }
    }

    /// Room for what a transfer may hold. One that finds none waits a little.
    async fn room_for(&self, transfer: Transfer) -> Result<Option<Room<'_>>, Reply> {
        let bytes = transfer.held_max_bytes();
        if bytes == 0 {
            return Ok(None);
        }
        let left_bytes = if transfer == Transfer::Store(StoreKey::Head) { 0 } else { HEAD_ROOM_BYTES };
        for _ in 0..TRANSFER_WAITS_MAX {
            let room = self.in_flight.begin(bytes, left_bytes, self.reader.platform.now_ms());
            if room.is_some() {
                return Ok(room);
            }
            self.reader.platform.sleep(LOAD_WAIT_MS).await;
        }
        Err(Reply::error(unavailable(), ServiceReason::TransfersBusy.code()))
    }

    async fn send(&self, key: StoreKey) -> Result<Reply, Reply> {
        let value = self.reader.platform.store().get_recent(&key.to_string()).await.map_err(store_failed)?;
        let mut reply = Reply::ok(String::new(), Caching::Private);
        reply.body = Body::Bytes(value.ok_or(ApiError::ObjectNotFound)?);
        Ok(reply)
    }

    /// Stores a head that `holder` sends, with or without its delta, and the starting value if that has changed. `lease`
    /// is the stored one.
    async fn store_head(
        &self,
        value: &[u8],
        lease: Option<&Lease>,
        holder: Option<&str>,
    ) -> Result<Transferred, Reply> {
        let Accepted { head, start } = self.heads().check_head(value, lease, holder).await?;
        let reply = self.put(StoreKey::Head, value).await?;
        let Reader { library, platform, .. } = self.reader;
        library.write().watch.expire();
        library.deny_by(&head, self.tokens, seconds(platform.now_ms()));
        // Isolates start without a starting value as well, only later: neither head nor lane waits for it.
        let start = async {
            match &start {
                Some(start) => self.store_start(start).await,
                None => false,
            }
        };
        let (told, is_start_stored) =
            join(self.loader.announce(value).boxed_local(), start.boxed_local()).await;
        if is_start_stored {
            library.write().start_stored = Some((head.index, head.directory));
        }
        let reply = match told {
            None => reply,
            // The head is stored in any case: without the lane it only arrives later.
            Some(is_announced) => stored(if is_announced { ANNOUNCED } else { NOT_ANNOUNCED }),
        };
        Ok(Transferred { reply, seq: Some(head.seq) })
    }

    /// Whether the starting value was stored within its time limit.
    async fn store_start(&self, start: &[u8]) -> bool {
        let stored = self.put(StoreKey::Start, start).boxed_local();
        let limit = self.reader.platform.sleep(START_WRITE_TIMEOUT_MS).boxed_local();
        matches!(select(stored, limit).await, Either::Left((Ok(_), _)))
    }

    async fn store(&self, key: StoreKey, value: &[u8]) -> Result<Reply, Reply> {
        match key {
            StoreKey::Version(seq) => self.heads().check_version(seq, value)?,
            StoreKey::Object(name) => self.check_object(name, value)?,
            StoreKey::Lease => self.leases().check_lease(value).await?,
            // Only `admit gc` reads the list of garbage, and checks what it reads.
            StoreKey::Garbage => {}
            // A head has its own way, with checks of its own; and the starting value follows from it.
            StoreKey::Head | StoreKey::Start => return Err(ApiError::Internal.into()),
        }
        self.put(key, value).await
    }

    async fn put(&self, key: StoreKey, value: &[u8]) -> Result<Reply, Reply> {
        let key = key.to_string();
        self.reader.platform.store().put(&key, value).await.map_err(store_failed)?;
        Ok(stored(&["\"", &key, "\""].concat()))
    }

    async fn delete(&self, key: StoreKey, holder: Option<&str>) -> Result<Reply, Reply> {
        let may_go = match key {
            StoreKey::Object(name) => {
                self.heads().check_unneeded(name).await?;
                true
            }
            StoreKey::Version(_) => true,
            StoreKey::Lease => self.leases().may_release(holder).await?,
            StoreKey::Head | StoreKey::Garbage | StoreKey::Start => {
                return Err(ApiError::MethodNotAllowed(Route::Stored(key).methods(Server::LoneEdge)).into());
            }
        };
        if may_go {
            self.reader.platform.store().delete(&key.to_string()).await.map_err(store_failed)?;
        }
        let mut reply = Reply::ok(String::new(), Caching::Private);
        (reply.status, reply.body) = (204, Body::Empty);
        Ok(reply)
    }
}

impl Transfer {
    /// How many bytes it may hold at a time: a value that is sent or stored exists twice, in Wasm and in JavaScript. 0 for
    /// small values.
    const fn held_max_bytes(self) -> usize {
        match self {
            Self::Pack | Self::Send(StoreKey::Start) => 2 * PACK_MAX_BYTES,
            // Before a head is stored, what it names is read, one object after another.
            Self::Store(StoreKey::Head) => HEAD_ROOM_BYTES,
            Self::Store(StoreKey::Object(_)) | Self::Send(StoreKey::Object(_)) => 2 * OBJECT_MAX_BYTES,
            Self::Store(StoreKey::Garbage) | Self::Send(StoreKey::Garbage) => 2 * GARBAGE_MAX_BYTES,
            Self::Check | Self::Report => CHECKS_AT_ONCE * OBJECT_MAX_BYTES,
            Self::Diff => DIFF_HELD_MAX_BYTES,
            Self::Send(_) | Self::Store(_) | Self::Delete(_) | Self::Keys | Self::Issuers => 0,
        }
    }

    /// Whether it can change the published snapshot: while a publisher holds the lease, only that one may.
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
            Self::Store(StoreKey::Head) => HEAD_VALUE_MAX_BYTES,
            Self::Store(StoreKey::Version(_)) => HEAD_MAX_BYTES,
            Self::Store(StoreKey::Object(_)) => OBJECT_MAX_BYTES,
            Self::Store(StoreKey::Lease) => LEASE_MAX_BYTES,
            Self::Store(StoreKey::Garbage) => GARBAGE_MAX_BYTES,
            Self::Pack => PACK_MAX_BYTES,
            Self::Check => CHECK_MAX_BYTES,
            Self::Store(StoreKey::Start)
            | Self::Send(_)
            | Self::Delete(_)
            | Self::Keys
            | Self::Issuers
            | Self::Report
            | Self::Diff => return None,
        })
    }
}

/// The answer to a head, where there is a fresh lane.
const ANNOUNCED: &str = r#""head","announced":true"#;
const NOT_ANNOUNCED: &str = r#""head","announced":false"#;

/// 201. `what` is JSON.
fn stored(what: &str) -> Reply {
    let mut reply = Reply::ok([r#"{"stored":"#, what, "}"].concat(), Caching::Private);
    reply.status = 201;
    reply
}

/// Why something stored cannot be described: smaller than the answer, which is made once.
enum Failed {
    Load(LoadError),
    Api(ApiError),
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

impl From<FormatError> for Failed {
    fn from(error: FormatError) -> Self {
        Self::Load(error.into())
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Failed> for Reply {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Load(LoadError::NotFound) => ApiError::ObjectNotFound.into(),
            Failed::Load(error) => Self::error(unavailable(), error.to_string()),
            Failed::Api(error) => error.into(),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn store_failed(error: StoreError) -> Reply {
    Reply::error(unavailable(), error.to_string())
}
