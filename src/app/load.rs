//! Fetches what [`App::answer`] needs: the head, objects of the snapshot, issuers' keys.

use std::{fmt, future::poll_fn, pin::Pin, rc::Rc, task::Poll};

use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, join, maybe_done, try_join3},
};

use super::{
    App, Event, State,
    snapshots::{HeadState, Snapshots},
};
use crate::{
    api::{reply::Request, route::Route},
    limits::{HEAD_MAX_BYTES, HEAD_SKEW_SECS, JWKS_MAX_BYTES, JWKS_REDIRECTS_MAX, OBJECT_MAX_BYTES},
    ports::{KeyAnswer, KeySource, ObjectStore, Platform, StoreError},
    snapshot::{
        directory::Directory,
        head::{HEAD_TYPE, Head, HeadError},
        index::Index,
        object::{Digest, FormatError, HEAD_KEY, ObjectKind, ObjectName},
        time::UnixSecs,
        version::Version,
    },
    token::{JwsError, KeysFetched, redirected, verify_jws},
};

/// Why an object of the snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store does not have it, or not yet.
    #[error("not found")]
    NotFound,
    /// Longer than anything that is published.
    #[error("too large")]
    TooLarge,
    /// Not what its name says.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Not the publisher's.
    #[error("head: {0}")]
    Signature(#[from] JwsError),
    /// May not follow the one in use.
    #[error("head: {0}")]
    Head(#[from] HeadError),
}

impl LoadError {
    /// Whether what lies under `head` is not a head of this store's publisher, or one below the floor: somebody else
    /// may have put it there. An older one alone says nothing, because KV shows old values for a while.
    const fn is_refusal(&self) -> bool {
        match self {
            Self::Signature(_) => true,
            Self::Head(error) => matches!(error, HeadError::OtherStore { .. } | HeadError::BelowFloor { .. }),
            Self::Store(_) | Self::NotFound | Self::TooLarge | Self::Format(_) => false,
        }
    }
}

impl<P: Platform> App<P> {
    /// Reads the head, unless another request does so already and this one may wait for it: then `false`.
    pub(super) async fn load_head(&self, may_wait: bool) -> bool {
        if may_wait && self.state.borrow().snapshots.is_refreshing(self.now()) {
            return false;
        }
        self.refresh_head().await;
        true
    }

    /// Loads those objects that no other request is loading; `false` when there are none and this one may
    /// wait for the others.
    pub(super) async fn load_missing(&self, names: &[ObjectName], may_wait: bool) -> bool {
        let now = self.now();
        let mine = self.state.borrow_mut().snapshots.begin_loading(names, now);
        if mine.is_empty() && may_wait {
            return false;
        }
        self.load_objects(if mine.is_empty() { names } else { &mine }).await;
        true
    }

    /// Reads the head and, if it is new, what a version needs in memory. Whatever fails, the version in use
    /// stays.
    pub(super) async fn refresh_head(&self) {
        let generation = {
            let snapshots = &mut self.state.borrow_mut().snapshots;
            snapshots.refresh_begins(self.now());
            snapshots.generation()
        };
        let outcome = self.load_version().await;
        let now = self.now();
        let State { snapshots, .. } = &mut *self.state.borrow_mut();
        match outcome {
            Ok(None) => snapshots.confirmed(now),
            Ok(Some(version)) => {
                Event::Snapshot { head: &version.head }.log(self.platform.log());
                snapshots.install(version, now);
            }
            Err(error) => {
                snapshots.refresh_failed(now);
                let event = if error.is_refusal() {
                    Event::HeadRefused { error: &error }
                } else {
                    Event::RefreshFailed { error: &error }
                };
                event.log(self.platform.log());
            }
        }
        self.log_doubts(snapshots, now);
        if snapshots.generation() != generation {
            // A head was stored meanwhile; what was read may be the one before it.
            snapshots.expire();
        }
    }

    /// Says with each look at the head that what answers is older than it should be. An operator has to see that:
    /// nothing of it shows in answers.
    fn log_doubts(&self, snapshots: &Snapshots, now: UnixSecs) {
        let Some(current) = snapshots.current() else { return };
        let head = &current.head;
        let age_secs = now.saturating_sub(head.as_of);
        if snapshots.is_stale(self.config.head_max_age_secs, now) {
            Event::SnapshotStale { head, age_secs }.log(self.platform.log());
        }
        if let Some(origin_at) = snapshots.is_behind(now) {
            Event::SnapshotBehind { head, origin_at, age_secs }.log(self.platform.log());
        }
    }

    /// The version that the stored head names; `None` when it is the one in use.
    async fn load_version(&self) -> Result<Option<Version>, LoadError> {
        let jws = self.platform.store().get(HEAD_KEY).await?.ok_or(LoadError::NotFound)?;
        let head = self.verify_head(&jws)?;
        let current = self.state.borrow().snapshots.current().cloned();
        head.may_follow(current.as_ref().map(|current| &current.head), self.now(), HEAD_SKEW_SECS)?;
        // Whatever becomes of its objects: revocations do not wait for them.
        self.state.borrow_mut().deny_by(&head, self.now());
        if current.as_ref().is_some_and(|current| current.head == head) {
            return Ok(None);
        }
        // What every check needs. Shards come when they are asked for.
        let current = current.as_deref();
        let (index, directory, delta) = try_join3(
            self.load_index(&head, current),
            self.load_directory(&head, current),
            self.load_delta(&head, current),
        )
        .await?;
        Ok(Some(Version { head, index, directory, delta }))
    }

    // A sync changes the delta mostly: what stays the same is taken from the version in use.

    async fn load_index(&self, head: &Head, current: Option<&Version>) -> Result<Rc<Index>, LoadError> {
        if let Some(current) = current.filter(|current| current.head.index == head.index) {
            return Ok(Rc::clone(&current.index));
        }
        let object = self.read_object(ObjectName { kind: ObjectKind::Index, digest: head.index }).await?;
        Ok(Rc::new(Index::decode(object)?))
    }

    async fn load_directory(
        &self,
        head: &Head,
        current: Option<&Version>,
    ) -> Result<Rc<Directory>, LoadError> {
        if let Some(current) = current.filter(|current| current.head.directory == head.directory) {
            return Ok(Rc::clone(&current.directory));
        }
        let name = ObjectName { kind: ObjectKind::Directory, digest: head.directory };
        Ok(Rc::new(Directory::decode(&self.read_object(name).await?)?))
    }

    async fn load_delta(
        &self,
        head: &Head,
        current: Option<&Version>,
    ) -> Result<Option<Rc<[u8]>>, LoadError> {
        let Some(digest) = head.delta else { return Ok(None) };
        if let Some(current) = current.filter(|current| current.head.delta == head.delta) {
            return Ok(current.delta.clone());
        }
        Ok(Some(self.read_object(ObjectName { kind: ObjectKind::Delta, digest }).await?.into()))
    }

    /// What a head says, if the publisher signed it for this store.
    pub(super) fn verify_head(&self, jws: &[u8]) -> Result<Head, LoadError> {
        if jws.len() > HEAD_MAX_BYTES {
            return Err(LoadError::TooLarge);
        }
        let jws = std::str::from_utf8(jws).map_err(|_| JwsError::Malformed)?;
        let head: Head = verify_jws(jws, &self.head_keys, HEAD_TYPE, self.platform.verifier())?;
        head.check(&self.config.head_rules)?;
        Ok(head)
    }

    /// An object of the snapshot. What the store's caches remember of it may be a day old: a value that has its
    /// digest is right at any age, but "not found", or bytes that somebody has put right since, must not last
    /// as long. One recent read more tells.
    async fn read_object(&self, name: ObjectName) -> Result<Vec<u8>, LoadError> {
        match self.checked_object(name, self.platform.store().get(&name.to_string()).await?) {
            Err(_) => self.read_recent(name).await,
            object => object,
        }
    }

    /// The same from no old cache, also for the publisher, who has just stored it.
    pub(super) async fn read_recent(&self, name: ObjectName) -> Result<Vec<u8>, LoadError> {
        self.checked_object(name, self.platform.store().get_recent(&name.to_string()).await?)
    }

    /// What the store gave, if it is the object of that name.
    fn checked_object(&self, name: ObjectName, object: Option<Vec<u8>>) -> Result<Vec<u8>, LoadError> {
        let object = object.ok_or(LoadError::NotFound)?;
        if object.len() > OBJECT_MAX_BYTES {
            return Err(LoadError::TooLarge);
        }
        name.check_by(&object, |bytes| self.digest_of(bytes))?;
        Ok(object)
    }

    /// The digest of an object, by whoever computes it fastest.
    pub(super) fn digest_of(&self, bytes: &[u8]) -> Digest {
        Digest(self.platform.sha256(bytes))
    }

    /// Loads shards and pages, all at once.
    async fn load_objects(&self, names: &[ObjectName]) {
        let objects = all(names.iter().map(|name| self.read_object(*name).boxed_local()).collect()).await;
        let now = self.now();
        let State { snapshots, .. } = &mut *self.state.borrow_mut();
        for (name, object) in names.iter().zip(objects) {
            snapshots.end_loading(*name);
            match object {
                Ok(object) => {
                    snapshots.mark_readable(*name);
                    snapshots.objects.insert(*name, Rc::from(object));
                }
                Err(error) => {
                    snapshots.mark_unreadable(*name, now);
                    Event::Unreadable { object: *name, error: &error }.log(self.platform.log());
                }
            }
        }
    }

    /// Gets an issuer's keys for `request`. The first check of an isolate waits for the head as well, whatever
    /// becomes of its token: both come at once. Reads that need no token load the head for anybody, so this is
    /// nothing that a stranger could not ask for.
    pub(super) async fn load_keys(&self, issuer: usize, request: &Request<'_>) {
        let is_check = matches!(Route::parse(request.path), Some(Route::Access(_) | Route::License));
        let head = self.state.borrow().snapshots.head_state(self.now());
        if is_check && head == HeadState::Missing {
            join(self.fetch_keys(issuer), self.load_head(true).boxed_local()).await;
        } else {
            self.fetch_keys(issuer).await;
        }
    }

    /// Fetches an issuer's keys, or takes them from the store.
    pub(super) async fn fetch_keys(&self, issuer: usize) {
        let Some(url) = self.state.borrow().tokens.jwks_url(issuer).map(str::to_owned) else { return };
        if !self.state.borrow().tokens.has_keys(issuer)
            && let Some(stored) = self.stored_keys(&url).await
        {
            let verifier = self.platform.verifier();
            let outcome = self.state.borrow_mut().tokens.keys_cached(
                issuer,
                &stored.document,
                stored.fetched_at,
                verifier,
            );
            self.log_keys(issuer, &outcome);
            // Old ones serve while nothing better can be had; whoever needs newer ones comes again.
            if self.state.borrow().tokens.has_keys(issuer) && stored.is_fresh(self.now()) {
                self.state.borrow_mut().tokens.keys_not_fetched(issuer);
                return;
            }
        }
        let Some(sent) = self.state.borrow_mut().tokens.fetch_sent(issuer) else { return };
        let fetched = self.fetch_document(url.clone()).await;
        if let Err(error) = &fetched {
            Event::KeysUnavailable { issuer, error }.log(self.platform.log());
        }
        let document = fetched.as_deref().ok();
        let now = self.now();
        let verifier = self.platform.verifier();
        let outcome = self.state.borrow_mut().tokens.keys_fetched(issuer, sent, document, now, verifier);
        self.log_keys(issuer, &outcome);
        if let (Some(document), KeysFetched::Changed { .. } | KeysFetched::Unchanged) = (document, &outcome) {
            self.store_keys(&url, document).await;
        }
    }

    /// The JWKS at an address, or at the one within its origin to which it redirects.
    ///
    /// # Errors
    /// For a log line.
    async fn fetch_document(&self, mut url: String) -> Result<Vec<u8>, String> {
        for _ in 0..=JWKS_REDIRECTS_MAX {
            let answer = self.platform.keys().fetch(&url, JWKS_MAX_BYTES).await;
            match answer.map_err(|error| error.to_string())? {
                KeyAnswer::Document(document) => return Ok(document),
                KeyAnswer::Redirect(location) => url = redirected(&url, &location)?,
            }
        }
        Err(format!("more than {JWKS_REDIRECTS_MAX} redirects"))
    }

    /// The keys of an issuer that cannot be used, if there are any: once for each change of its document.
    pub(super) fn log_left_out(&self, issuer: usize) {
        let State { tokens, .. } = &*self.state.borrow();
        if let Some(keys) = tokens.left_out(issuer).filter(|keys| !keys.is_empty()) {
            Event::KeysLeftOut { issuer, keys }.log(self.platform.log());
        }
    }

    fn log_keys(&self, issuer: usize, outcome: &KeysFetched) {
        let log = self.platform.log();
        match outcome {
            KeysFetched::Unchanged => {}
            KeysFetched::Changed { usable, skipped } => {
                Event::Keys { issuer, usable: *usable, skipped: *skipped }.log(log);
                self.log_left_out(issuer);
            }
            KeysFetched::Kept(problem) => {
                let problem = problem.as_ref().map(|problem| problem as &dyn fmt::Display);
                Event::KeysKept { issuer, problem }.log(log);
            }
        }
    }
}

/// All at once. Boxed, so that the machinery is compiled for one type only. They are few, so that each is asked
/// whenever one goes on; what `join_all` has for many would be of no use.
pub(super) async fn all(
    objects: Vec<LocalBoxFuture<'_, Result<Vec<u8>, LoadError>>>,
) -> Vec<Result<Vec<u8>, LoadError>> {
    let mut objects: Vec<_> = objects.into_iter().map(maybe_done).collect();
    poll_fn(|context| {
        let pending =
            objects.iter_mut().filter_map(|object| object.poll_unpin(context).is_pending().then_some(()));
        if pending.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    objects.iter_mut().filter_map(|object| Pin::new(object).take_output()).collect()
}
