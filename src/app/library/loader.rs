//! Fills the library: head, versions, shards and pages.

use std::{borrow::Cow, rc::Rc};

use futures_util::{
    FutureExt as _,
    future::{Either, join, select, try_join3},
};

use super::{Due, HeadSource, LoadError, Reader, Snapshots, all, start::Start};
use crate::{
    app::{Event, Tokens, seconds},
    limits::{BESIDE_HEAD_TIMEOUT_MS, HEAD_SKEW_SECS, LOADS_AT_ONCE, LOADS_OF_MANY_MAX},
    ports::{ObjectStore as _, Platform},
    snapshot::{
        directory::Directory,
        head::Head,
        head_value::HeadValue,
        index::Index,
        object::{Digest, HEAD_KEY, ObjectKind, ObjectName},
        time::UnixSecs,
        version::Version,
    },
};

/// The result of an attempt to load something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Load {
    /// It was loaded, or could not be: try the request again.
    Done,
    /// Another request is loading it: wait a little, and try the request again. With one of the objects, if it is about
    /// objects: there is no use in trying while that one is being loaded.
    Elsewhere(Option<ObjectName>),
}

/// Objects that came along with something else that was read, each with the name that its bytes have.
pub(super) type AtHand<'a> = [(ObjectName, &'a [u8])];

/// Loads what the library lacks.
pub(in crate::app) struct Loader<'a, P: Platform> {
    pub reader: Reader<'a, P>,
    /// The tokens that a head's denylist concerns.
    pub tokens: &'a Tokens<P::Verifier>,
    /// `SNAPSHOT_MAX_AGE_SECS`.
    pub max_age_secs: Option<u32>,
}

impl<P: Platform> Loader<'_, P> {
    /// Reads the heads that are due, unless another request is reading it and this one may wait for that.
    pub async fn load_head(&self, may_wait: bool) -> Load {
        if may_wait && self.reader.library.read().is_read_elsewhere(self.now()) {
            return Load::Elsewhere(None);
        }
        self.refresh_head().await;
        Load::Done
    }

    /// As [`load_head`](Self::load_head). Meanwhile loads `beside`, which the version at hand names. They are waited for
    /// only if the head names them too, and not for long: the next attempt loads what is missing.
    pub async fn load_head_and(&self, beside: &[ObjectName], may_wait: bool) -> Load {
        let now = self.now();
        let mine = {
            let objects = &mut self.reader.library.write().objects;
            let wanted = beside.iter().copied().filter(|name| !objects.is_unreadable(*name, now));
            let wanted: Vec<_> = wanted.collect();
            objects.begin_loading(&wanted, usize::MAX, now)
        };
        let index = self.index();
        let head = self.load_head(may_wait).boxed_local();
        let load = match select(head, self.load_quietly(&mine).boxed_local()).await {
            Either::Left((load, objects)) => {
                if self.index() == index {
                    let pause = self.reader.platform.sleep(BESIDE_HEAD_TIMEOUT_MS).boxed_local();
                    drop(select(objects, pause).await);
                }
                load
            }
            Either::Right(((), head)) => head.await,
        };
        self.reader.library.write().objects.given_up(&mine);
        load
    }

    /// The index of the version in use, which names shards and pages.
    fn index(&self) -> Option<Digest> {
        self.reader.library.read().versions.current().map(|current| current.head.index)
    }

    /// Loads objects that may be gone from the store by now, so that a failure says nothing.
    async fn load_quietly(&self, names: &[ObjectName]) {
        let loads = names.iter().map(|name| {
            async move {
                if let Ok(object) = self.reader.read_once(*name).await {
                    self.reader.library.write().objects.loaded(*name, Rc::from(object));
                }
            }
            .boxed_local()
        });
        all(loads.collect()).await;
    }

    /// Loads the objects that no other request is loading. If others are loading all of them, this one waits if it may,
    /// and else loads them itself.
    pub async fn load_objects(&self, names: &[ObjectName], may_wait: bool) -> Load {
        let mine = self.reader.library.write().objects.begin_loading(names, usize::MAX, self.now());
        if mine.is_empty() && may_wait {
            return Load::Elsewhere(names.first().copied());
        }
        self.load_all(if mine.is_empty() { names } else { &mine }).await;
        Load::Done
    }

    /// As [`load_objects`](Self::load_objects), for a request that needs many: some at a time, so that others can load the
    /// rest meanwhile, and none twice. It leaves room for requests that need few.
    pub async fn load_many(&self, names: &[ObjectName]) -> Load {
        let mut load = Load::Elsewhere(names.first().copied());
        for some in names.chunks(LOADS_AT_ONCE) {
            let mine = self.reader.library.write().objects.begin_loading(some, LOADS_OF_MANY_MAX, self.now());
            if !mine.is_empty() {
                self.load_all(&mine).await;
                load = Load::Done;
            }
        }
        load
    }

    /// Reads the heads that are due, at least the stored one if none is, and the parts of a new version that every check
    /// needs. If anything fails, the version in use stays.
    pub async fn refresh_head(&self) {
        let due = self.reader.library.write().begin_before(self.now());
        self.refresh(due).await;
    }

    /// Reads the heads that are due, at the same time. The newer one takes over. The lane's does so as soon as it is there,
    /// however long the store takes.
    pub async fn refresh(&self, due: Due) {
        let Reader { library, platform, .. } = self.reader;
        let generation = library.read().watch.generation();
        let is_first = due.store && library.read().versions.current().is_none();
        let mut start = if is_first { Start::read(platform) } else { Start::none() };
        // Each with the moment at which it was there: the other one, and the starting value, may take long.
        let stored = async {
            if !due.store {
                return None;
            }
            let value = self.read_stored().await;
            Some((value, self.now()))
        };
        let news = async {
            let fresh = async {
                if !due.lane {
                    return None;
                }
                let value = self.ask_lane().await;
                Some((value, self.now()))
            };
            let (fresh, ()) = join(fresh.boxed_local(), start.wait(platform).boxed_local()).await;
            if let Some((value, read_at)) = fresh {
                self.receive(HeadSource::Lane, value, read_at, &mut start).await;
            }
        };
        let (stored, ()) = join(stored.boxed_local(), news.boxed_local()).await;
        if let Some((value, read_at)) = stored {
            self.receive(HeadSource::Store, value.map(Some), read_at, &mut start).await;
        }
        let snapshots = &mut *library.write();
        if snapshots.watch.generation() != generation {
            // A head was stored meanwhile; the one that was read may be the one before it.
            snapshots.watch.expire();
            snapshots.lane.expire();
        }
        self.log_doubts(snapshots, self.now());
    }

    /// What was read in one place takes over, or the watch of that place notes that it did not.
    async fn receive(
        &self,
        source: HeadSource,
        value: Result<Option<Vec<u8>>, LoadError>,
        read_at: UnixSecs,
        start: &mut Start<'_>,
    ) {
        let outcome = match value {
            Ok(Some(value)) => self.version_of(source, &value, start).await,
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.take(source, outcome, read_at);
    }

    fn take(&self, source: HeadSource, outcome: Result<Option<Version>, LoadError>, read_at: UnixSecs) {
        let (now, log) = (self.now(), self.reader.platform.log());
        let snapshots = &mut *self.reader.library.write();
        let outcome = outcome.map(|version| {
            if let Some(version) = version {
                Event::Snapshot { head: &version.head, from: source.name() }.log(log);
                snapshots.versions.install(version, source);
            }
        });
        match (source, outcome) {
            (HeadSource::Store, Ok(())) => snapshots.watch.confirmed(read_at),
            // The store shows a new head some time after the lane.
            (HeadSource::Store, Err(error)) if error.is_older() && snapshots.is_from_lane() => {
                snapshots.watch.confirmed(read_at);
            }
            (HeadSource::Store, Err(error)) => {
                snapshots.refresh_failed(now);
                error.log(log);
            }
            (HeadSource::Lane, outcome) => Self::note_lane(snapshots, outcome, read_at, now, log),
        }
    }

    /// Logs, with each look at the head, that the version in use is older than it should be: answers do not show it, and
    /// an operator has to know.
    fn log_doubts(&self, snapshots: &Snapshots, now: UnixSecs) {
        let Some(current) = snapshots.versions.current() else { return };
        let (head, log) = (&current.head, self.reader.platform.log());
        let age_secs = now.saturating_sub(head.as_of);
        if snapshots.is_stale(self.max_age_secs, now) {
            Event::SnapshotStale { head, age_secs }.log(log);
        }
        if let Some(origin_at) = snapshots.is_behind(now) {
            Event::SnapshotBehind { head, origin_at, age_secs }.log(log);
        }
    }

    async fn read_stored(&self) -> Result<Vec<u8>, LoadError> {
        self.reader.platform.store().get(HEAD_KEY).await?.ok_or(LoadError::NotFound)
    }

    /// The version that a value of the key `head` names, wherever it was read; `None` when it is the one in use.
    async fn version_of(
        &self,
        source: HeadSource,
        value: &[u8],
        start: &mut Start<'_>,
    ) -> Result<Option<Version>, LoadError> {
        let library = self.reader.library;
        let value = HeadValue::split(value);
        self.reader.verify_ahead(value.jws).await;
        let head = self.reader.verify_head(value.jws)?;
        if source == HeadSource::Store {
            self.note_stored(&head);
        }
        let current = library.read().versions.current().cloned();
        head.may_follow(current.as_ref().map(|current| &current.head), self.now(), HEAD_SKEW_SECS)?;
        // Revocations do not wait for the head's objects, which may fail to load.
        library.deny_by(&head, self.tokens, self.now());
        if current.as_ref().is_some_and(|current| current.head == head) {
            return Ok(None);
        }
        self.reader.check_carried(value, &head)?;
        let delta = value.named(&head);
        if start.is_read() {
            self.open_started(&head, delta, start).await.map(Some)
        } else {
            self.open_first(&head, delta, start).boxed_local().await.map(Some)
        }
    }

    /// The version that a head names, by the starting value and the delta that came with the head.
    async fn open_started(
        &self,
        head: &Head,
        delta: Option<(ObjectName, &[u8])>,
        start: &mut Start<'_>,
    ) -> Result<Version, LoadError> {
        let mut at_hand = start.objects(|bytes| self.reader.digest_of(bytes)).await;
        at_hand.extend(delta);
        self.open(head.clone(), &at_hand).await
    }

    /// As [`Self::open_started`], while the starting value is still being read: by that or by the objects themselves,
    /// whatever is there first. If one way fails, the other one is left.
    async fn open_first(
        &self,
        head: &Head,
        delta: Option<(ObjectName, &[u8])>,
        start: &mut Start<'_>,
    ) -> Result<Version, LoadError> {
        let named = self.open(head.clone(), delta.as_slice()).boxed_local();
        let started = self.open_started(head, delta, start).boxed_local();
        match select(named, started).await.factor_first() {
            (Err(_), other) => other.await,
            (version, _) => version,
        }
    }

    /// The version that a head names, with the parts that every check needs: those `at_hand`, and the others from the
    /// store. Shards are loaded when a check asks for them.
    pub async fn open(&self, head: Head, at_hand: &AtHand<'_>) -> Result<Version, LoadError> {
        let current = self.reader.library.read().versions.current().cloned();
        let current = current.as_deref();
        let (index, directory, delta) = try_join3(
            self.load_index(&head, current, at_hand),
            self.load_directory(&head, current, at_hand),
            self.load_delta(&head, current, at_hand),
        )
        .await?;
        Ok(Version { head, index, directory, delta })
    }

    // Most syncs change the delta alone: a part that stays the same is taken from the version in use.

    async fn load_index(
        &self,
        head: &Head,
        current: Option<&Version>,
        at_hand: &AtHand<'_>,
    ) -> Result<Rc<Index>, LoadError> {
        if let Some(current) = current.filter(|current| current.head.index == head.index) {
            return Ok(Rc::clone(&current.index));
        }
        let name = ObjectName { kind: ObjectKind::Index, digest: head.index };
        Ok(Rc::new(Index::decode(self.object(name, at_hand).await?.into_owned())?))
    }

    async fn load_directory(
        &self,
        head: &Head,
        current: Option<&Version>,
        at_hand: &AtHand<'_>,
    ) -> Result<Rc<Directory>, LoadError> {
        if let Some(current) = current.filter(|current| current.head.directory == head.directory) {
            return Ok(Rc::clone(&current.directory));
        }
        let name = ObjectName { kind: ObjectKind::Directory, digest: head.directory };
        Ok(Rc::new(Directory::decode(&self.object(name, at_hand).await?)?))
    }

    async fn load_delta(
        &self,
        head: &Head,
        current: Option<&Version>,
        at_hand: &AtHand<'_>,
    ) -> Result<Option<Rc<[u8]>>, LoadError> {
        let Some(digest) = head.delta else { return Ok(None) };
        if let Some(current) = current.filter(|current| current.head.delta == head.delta) {
            return Ok(current.delta.clone());
        }
        let name = ObjectName { kind: ObjectKind::Delta, digest };
        Ok(Some(self.object(name, at_hand).await?.into()))
    }

    async fn object<'o>(&self, name: ObjectName, at_hand: &AtHand<'o>) -> Result<Cow<'o, [u8]>, LoadError> {
        match at_hand.iter().find(|(known, _)| *known == name) {
            Some((_, object)) => Ok(Cow::Borrowed(*object)),
            None => self.reader.read_object(name).await.map(Cow::Owned),
        }
    }

    /// Loads shards and pages, all at once.
    async fn load_all(&self, names: &[ObjectName]) {
        let objects = names.iter().map(|name| self.reader.read_object(*name).boxed_local());
        let objects = all(objects.collect()).await;
        let now = self.now();
        let kept = &mut self.reader.library.write().objects;
        for (name, object) in names.iter().zip(objects) {
            match object {
                Ok(object) => kept.loaded(*name, Rc::from(object)),
                Err(error) => {
                    kept.failed(*name, now);
                    Event::Unreadable { object: *name, error: &error }.log(self.reader.platform.log());
                }
            }
        }
    }

    pub(super) fn now(&self) -> UnixSecs {
        seconds(self.reader.platform.now_ms())
    }
}
