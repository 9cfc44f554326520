//! Signs and publishes heads, after everything that they name is stored.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use admit_snapshot::{
    head::Head,
    index::Index,
    object::{Digest, ObjectKind, ObjectName},
};
use anyhow::{Context, Result, bail};

use crate::{
    collect,
    head::{HeadSigner, SignedHead},
    peer::into_io,
    store::{
        NewHead, Object, Store,
        garbage::revive,
        reach::{index, reach, read},
    },
    taken,
    update::{Content, Delta},
};

/// A store, and the key that signs heads for it.
pub struct Publisher {
    /// Where to publish.
    pub store: Store,
    signer: Option<HeadSigner>,
    is_distrustful: AtomicBool,
    /// Objects that the last published head names, as far as they are at hand: the next head is compared with it.
    recent: Mutex<BTreeMap<ObjectName, taken::Object>>,
}

/// A stored head that is not this publisher's for this store.
#[derive(Debug)]
pub struct Stray {
    /// A description.
    pub text: String,
    /// Its `seq`, if one of the publisher's keys signed it: an edge without `SNAPSHOT_AUDIENCE` may use it.
    pub seq: u64,
}

/// What to do about a published head that cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Stop.
    Refuse,
    /// Publish over it.
    PassOver,
}

/// The warning about revocations that are lost when a head is not believed.
fn forgotten(head: &Head) -> String {
    match head.denylist.entries().len() {
        0 => String::new(),
        count => format!(
            ". Its denylist is not believed either, and is forgotten: {count} unverified entries, which `admit revoke \
             --list` shows as long as that head is stored. Revoke them again, or name the key that signed it (--old-key)"
        ),
    }
}

impl Publisher {
    /// A publisher for `store` with the JWK in `key`, and with the store's name `audience` if given. Without
    /// a key it cannot publish.
    ///
    /// # Errors
    /// The key cannot be read or is of another kind, or `audience` is not a valid store name.
    pub fn new(store: Store, key: Option<&Path>, audience: Option<&str>) -> Result<Self> {
        let signer = key.map(|path| HeadSigner::new(path, audience)).transpose()?;
        Ok(Self { store, signer, is_distrustful: AtomicBool::new(false), recent: Mutex::default() })
    }

    /// Also believes heads that the JWK or JWKS in `old_key` verifies.
    #[must_use]
    pub fn believing(mut self, old_key: Option<&Path>) -> Self {
        self.signer = self.signer.map(|signer| signer.believing(old_key));
        self
    }

    /// Makes the next full publish check every stored object, as `--repair` does.
    pub fn trust_nothing_once(&self) {
        self.is_distrustful.store(true, Ordering::Relaxed);
    }

    /// The published head, if there is one.
    ///
    /// # Errors
    /// The store does not answer, or the published head cannot be trusted.
    pub fn head(&self, broken: Broken) -> Result<Option<Head>> {
        let Some(jws) = self.store.head()? else { return Ok(None) };
        let trusted = self.signer.as_ref().map(HeadSigner::trusted).unwrap_or_default();
        let read = match SignedHead::read_by(&jws, &trusted)? {
            SignedHead::Verified(head) if self.is_foreign(&head) => {
                let foreign = self.signer.as_ref().map(|signer| signer.foreign(&head));
                SignedHead::Broken(foreign.unwrap_or_default())
            }
            read => read,
        };
        match read {
            SignedHead::Verified(head) | SignedHead::Unverified(head) => Ok(Some(head)),
            // Its numbers, and the objects that it names, may be anyone's.
            SignedHead::OtherKey(head) if broken == Broken::PassOver => {
                eprintln!(
                    "warning: the published head (seq {}) is signed by another key than --key, and is ignored{}",
                    head.seq,
                    forgotten(&head)
                );
                Ok(None)
            }
            SignedHead::OtherKey(head) => bail!(
                "the published head (seq {}) is signed by another key than --key, so nothing in it is believed. If the key \
                 was replaced, say --old-key FILE with the key before; to publish over it, say which --seq",
                head.seq
            ),
            SignedHead::Broken(reason) if broken == Broken::PassOver => {
                eprintln!("warning: the published head is ignored: {reason}");
                Ok(None)
            }
            SignedHead::Broken(reason) => {
                bail!("the published head cannot be trusted: {reason}. To publish over it, say which --seq")
            }
        }
    }

    /// The stored head, or a description of the value that is stored instead.
    ///
    /// # Errors
    /// The store does not answer.
    pub fn look(&self) -> Result<Result<Head, Stray>> {
        let stray = |text: String| Ok(Err(Stray { text, seq: 0 }));
        let Some(jws) = self.store.head()? else { return stray("no head is stored".to_owned()) };
        let trusted = self.signer.as_ref().map(HeadSigner::trusted).unwrap_or_default();
        match SignedHead::read_by(&jws, &trusted)? {
            SignedHead::Verified(head) if self.is_foreign(&head) => {
                let text = self.signer.as_ref().map(|signer| signer.foreign(&head)).unwrap_or_default();
                Ok(Err(Stray { text, seq: head.seq }))
            }
            SignedHead::Verified(head) => {
                self.signer.iter().for_each(|signer| signer.has_seen(&head));
                Ok(Ok(head))
            }
            SignedHead::Unverified(_) | SignedHead::OtherKey(_) => {
                stray("it is signed by another key".to_owned())
            }
            SignedHead::Broken(reason) => stray(reason),
        }
    }

    fn is_foreign(&self, head: &Head) -> bool {
        self.signer.as_ref().is_some_and(|signer| signer.is_foreign(head))
    }

    /// The objects that the published head reaches, which need not be uploaded. Empty if they cannot be
    /// determined.
    pub fn reached(&self, head: Option<&Head>) -> HashSet<ObjectName> {
        if self.is_distrustful.swap(false, Ordering::Relaxed) {
            return HashSet::new();
        }
        let Some(head) = head else { return HashSet::new() };
        reach(&self.store, head).unwrap_or_else(|error| {
            eprintln!("warning: the published version is damaged, so every object is checked: {error:#}");
            HashSet::new()
        })
    }

    /// Publishes a version whose objects are uploaded, and keeps its head for `admit rollback`.
    ///
    /// # Errors
    /// The store refuses, or another publisher has published since `follows`.
    pub fn publish_base(&self, head: Head, follows: Option<&Head>) -> Result<Head> {
        self.publish(head, follows, true)
    }

    /// Publishes a change of the published version: its delta and the head. That is one write, unless the delta
    /// is too long to stand beside the head, or the directory has changed too.
    ///
    /// # Errors
    /// As [`Self::publish_base`].
    pub fn publish_delta(&self, head: Head, objects: Vec<Object>, follows: &Head) -> Result<Head> {
        let recent = objects.iter().map(|(name, object)| (*name, Arc::new(object.clone())));
        self.recent().extend(recent);
        for object in objects {
            if !self.store.carry(&object)? {
                self.store.put_objects(&[object])?;
            }
        }
        self.publish(head, Some(follows), false)
    }

    /// The number of writes by which [`Self::publish_delta`] publishes these objects.
    ///
    /// # Errors
    /// The machine's clock is set before 1970.
    pub fn writes(&self, objects: &[Object]) -> Result<usize> {
        let mut writes = 1;
        for (name, object) in objects {
            writes += usize::from(!self.store.carries(*name, object.len())?);
        }
        Ok(writes)
    }

    /// Stores objects that a head is about to name. The head of a base carries its delta as well, so that edges read
    /// one value; the object is there for the record of the version, which carries none.
    ///
    /// # Errors
    /// The store refuses.
    pub fn put_all(&self, objects: Vec<Object>) -> Result<()> {
        objects.into_iter().try_for_each(|object| {
            self.store.carry(&object)?;
            self.store.put_objects(&[object])
        })
    }

    fn publish(&self, mut head: Head, follows: Option<&Head>, is_kept: bool) -> Result<Head> {
        let signer = self.signer.as_ref().context("publishing needs --key")?;
        revive(&self.store, &head.named().collect())?;
        head.published_at = Some(self.store.now()?);
        let takes_away = follows.is_none_or(|follows| self.takes_away(follows, &head));
        let new = NewHead { head: &head, follows, takes_away, signer };
        if is_kept {
            self.store.keep_version(new)?;
        }
        let published = self.store.put_head(new)?;
        let named: HashSet<_> = published.named().collect();
        self.recent().retain(|name, _| named.contains(name));
        Ok(published)
    }

    /// Whether `head` takes something away that `follows` gives, or may do so. Shards are only read where edges learn
    /// of it: other stores bill reads.
    fn takes_away(&self, follows: &Head, head: &Head) -> bool {
        let shards_max = if self.store.is_worker() { taken::SHARDS_MAX } else { 0 };
        let object = |name: ObjectName| -> Result<taken::Object> {
            let known = self.recent().get(&name).cloned();
            if let Some(object) = known {
                return Ok(object);
            }
            let object = Arc::new(read(&self.store, name)?);
            // Kept until the next head is published. Shards are too many to keep.
            if !matches!(name.kind, ObjectKind::Shard | ObjectKind::Page) {
                self.recent().insert(name, Arc::clone(&object));
            }
            Ok(object)
        };
        taken::takes_away(follows, head, &object, shards_max).unwrap_or(true)
    }

    fn recent(&self) -> MutexGuard<'_, BTreeMap<ObjectName, taken::Object>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes objects that no version needs, as `admit gc` does.
    ///
    /// # Errors
    /// A kept object cannot be read, or the store does not answer or refuses.
    pub fn collect_garbage(&self) -> Result<collect::CollectReport> {
        collect::collect(&self.store, self.signer.as_ref().map(HeadSigner::path), collect::Options::default())
    }

    /// An object that a published head reaches, for the library.
    ///
    /// # Errors
    /// The object cannot be read.
    pub fn read(&self, name: ObjectName) -> io::Result<Vec<u8>> {
        read(&self.store, name).map_err(into_io)
    }

    /// The index of this digest.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn index(&self, digest: Digest) -> Result<Index> {
        index(&self.store, digest)
    }

    /// What `head` publishes beside the shards: its directory and its delta.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn content(&self, head: &Head) -> Result<Content> {
        let directory = self.object(ObjectKind::Directory, head.directory)?;
        let delta = match head.delta {
            Some(digest) => Delta::decode(&self.object(ObjectKind::Delta, digest)?).context("delta")?,
            None => Delta::default(),
        };
        Ok(Content::published(directory, delta)?.with_set_aside(head.set_aside.unwrap_or(0)))
    }

    /// An object that a published head reaches.
    ///
    /// # Errors
    /// The object cannot be read.
    pub fn object(&self, kind: ObjectKind, digest: Digest) -> Result<Vec<u8>> {
        read(&self.store, ObjectName { kind, digest })
    }
}
