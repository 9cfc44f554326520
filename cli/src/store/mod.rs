//! Where snapshots are published to and read from: a Worker, a KV namespace, or a directory.

mod backend;
mod dir;
mod edge;
#[cfg(test)]
mod faulty;
pub mod garbage;
mod http;
mod kv;
mod lease;
mod process;
pub mod reach;
mod rules;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use admit_snapshot::{
    head::Head,
    lease::Lease,
    object::{ObjectKind, ObjectName},
    store_key::{StoreKey, VERSION_PREFIX},
    time::UnixSecs,
};
use anyhow::{Context, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::{backend::Backend, dir::Dir, edge::Worker, garbage::Garbage, kv::Kv, lease::Tenure};
pub use self::{
    backend::{Batch, Checked, Issuer, Object},
    http::{is_incomplete, is_older, is_shut_out},
    lease::{Guard, Holder, LeaseHeld, host},
    rules::Faster,
};
use crate::{
    bearer::{Bearer, TokenArgs},
    head::HeadSigner,
    peer::Outside,
    token::now_unix_secs,
};

/// For how long a store may show the head before: 60 s until KV shows a new one, 30 s for which a cache keeps it.
pub const LAG: Duration = Duration::from_secs(90);

/// The clock by which leases and garbage are judged.
pub type Clock = Arc<dyn Fn() -> Result<UnixSecs> + Send + Sync>;

/// A place where snapshots are published.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

/// What a store and the renewal of its lease have in common.
pub struct Shared {
    backend: Box<dyn Backend>,
    clock: Clock,
    tenure: Mutex<Option<Arc<Tenure>>>,
    /// The list of garbage, as long as this run holds the lease: nobody else changes it then.
    garbage: Mutex<Option<Garbage>>,
}

/// A head on its way.
#[derive(Clone, Copy)]
pub struct NewHead<'a> {
    /// The head. Its store and the revocations that are in force are filled in.
    pub head: &'a Head,
    /// The head that was published when the work began: nobody may have published other data since.
    pub follows: Option<&'a Head>,
    /// Who signs it.
    pub signer: &'a HeadSigner,
}

impl Store {
    /// The store at `place`, `https://…` or `http://…`, `kv:<account>/<namespace>` or `dir:<path>`; a Worker is asked
    /// with the token of `token`.
    ///
    /// # Errors
    /// `place` is not a store, or what it needs to be asked with is missing or cannot be used.
    pub fn open(place: &str, token: &TokenArgs) -> Result<Self> {
        Self::open_in(place, token, &Outside::default())
    }

    /// The same in another world.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(place: &str, token: &TokenArgs, outside: &Outside) -> Result<Self> {
        let backend: Box<dyn Backend> = match place.split_once(':') {
            Some(("dir", "")) => bail!("dir: names no directory"),
            Some(("dir", path)) => Box::new(Dir::new(Path::new(path))),
            Some(("kv", place)) => {
                let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
                let token = variable("CLOUDFLARE_API_TOKEN")
                    .context("an API token is needed in CLOUDFLARE_API_TOKEN to reach Workers KV")?;
                let bearer = Bearer::new(&token).context("CLOUDFLARE_API_TOKEN")?;
                Box::new(Kv::new(place, bearer, variable("CLOUDFLARE_API_BASE_URL").as_deref(), outside)?)
            }
            Some(("http" | "https", _)) => {
                let bearer = token.bearer(&outside.time)?;
                let bearer =
                    bearer.context("a token is needed: --token or ADMIT_TOKEN, or a key in --token-key")?;
                Box::new(Worker::new(place, bearer, outside)?)
            }
            _ => bail!("{place:?} is none of https://… (a Worker), kv:<account>/<namespace> and dir:<path>"),
        };
        let time = Arc::clone(&outside.time);
        Ok(Self::with(backend, Arc::new(move || time.unix_secs())))
    }

    fn with(backend: Box<dyn Backend>, clock: Clock) -> Self {
        Self(Arc::new(Shared { backend, clock, tenure: Mutex::default(), garbage: Mutex::default() }))
    }

    /// A directory for what nobody needs after this run.
    pub fn scratch(path: &Path) -> Self {
        Self::with(Box::new(Dir::unsynced(path)), Arc::new(now_unix_secs))
    }

    /// A directory whose clock is set.
    #[cfg(test)]
    pub fn in_dir(path: &Path, clock: Clock) -> Self {
        Self::with(Box::new(Dir::unsynced(path)), clock)
    }

    /// The same, which stops after so many writes.
    #[cfg(test)]
    pub fn killed_after(writes: usize, path: &Path, clock: Clock) -> Self {
        Self::with(Box::new(faulty::Faulty::new(Dir::unsynced(path), writes)), clock)
    }

    /// The moment, by the clock that leases go by.
    ///
    /// # Errors
    /// The machine's clock stands before 1970.
    pub fn now(&self) -> Result<UnixSecs> {
        (self.0.clock)()
    }

    /// Takes the lease; with `force` from whoever holds it. While it is held, every write is made as its holder
    /// and refused once it is lost. It is renewed behind the work, and given back when the guard is dropped.
    ///
    /// # Errors
    /// Somebody else holds it, or the store does not answer.
    pub fn lock(&self, force: bool) -> Result<Guard> {
        self.lock_as(&Holder::new()?, force)
    }

    /// [`Store::lock`] as a holder that may have the lease already.
    ///
    /// # Errors
    /// Another holder has it, or the store does not answer.
    pub fn lock_as(&self, holder: &Holder, force: bool) -> Result<Guard> {
        Guard::take(Arc::clone(&self.0), holder, force)
    }

    /// Whether this run may still write.
    ///
    /// # Errors
    /// It has lost its lease.
    pub fn check_tenure(&self) -> Result<()> {
        self.0.holder().map(drop)
    }

    /// Who may publish, as far as the store shows it.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn lease(&self) -> Result<Option<Lease>> {
        self.0.lease()
    }

    /// The published head, if there is one.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn head(&self) -> Result<Option<String>> {
        self.text(StoreKey::Head)
    }

    /// Publishes a head, and says what it came to. Every head that `admit` publishes passes through here, so that none
    /// of them loses a revocation.
    ///
    /// # Errors
    /// The lease is lost or somebody else's, somebody has published since, the head is older than the published
    /// one, an object that it names is missing, or the store does not answer or refuses.
    pub fn put_head(&self, new: NewHead<'_>) -> Result<Head> {
        let holder = self.0.holder()?;
        let _lock = self.0.backend.exclusive()?;
        new.follows.into_iter().for_each(|follows| new.signer.follows(follows));
        let mut refused: Option<(Head, anyhow::Error)> = None;
        loop {
            let now = self.now()?;
            let stored = rules::stored_head(&self.0, new.signer)?;
            let head = rules::next_head(new, stored.as_ref(), now);
            if let Some((_, error)) = refused.take_if(|(before, _)| *before == head) {
                return Err(error);
            }
            rules::check_head(&self.0, (new, &head), stored.as_ref(), holder.as_deref(), now)?;
            let jws = new.signer.sign(&head)?;
            match self.0.backend.put(StoreKey::Head, jws.as_bytes(), holder.as_deref()) {
                Ok(()) => {
                    new.signer.has_published(&head);
                    return Ok(head);
                }
                // Somebody has revoked something since the look: the next head has that too.
                Err(error) if is_older(&error) && refused.is_none() => refused = Some((head, error)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps a head that is about to be published as the one by which its version was, so that it can be returned to.
    ///
    /// # Errors
    /// The lease is lost or somebody else's, or the store does not answer or refuses.
    pub fn keep_version(&self, new: NewHead<'_>) -> Result<()> {
        new.follows.into_iter().for_each(|follows| new.signer.follows(follows));
        let stored = rules::stored_head(&self.0, new.signer)?;
        let head = rules::next_head(new, stored.as_ref(), self.now()?);
        self.0.put_as_holder(StoreKey::Version(head.seq), new.signer.sign(&head)?.as_bytes())
    }

    /// The `seq` of every version that is kept, in ascending order.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn versions(&self) -> Result<Vec<u64>> {
        let keys = self.0.backend.keys(VERSION_PREFIX)?;
        let seq = |key: &String| match StoreKey::parse(key) {
            Some(StoreKey::Version(seq)) => Some(seq),
            _ => None,
        };
        let mut versions: Vec<_> = keys.iter().filter_map(seq).collect();
        versions.sort_unstable();
        versions.dedup();
        Ok(versions)
    }

    /// Whether it is a Worker, which keeps the rules itself and knows its issuers.
    pub fn is_worker(&self) -> bool {
        self.0.backend.has_rules()
    }

    /// The issuers of the edge behind the store; nothing where it cannot be asked.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn issuers(&self) -> Result<Option<Vec<Issuer>>> {
        self.0.backend.issuers()
    }

    /// The head by which a version was published, if it is kept.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn version(&self, seq: u64) -> Result<Option<String>> {
        self.text(StoreKey::Version(seq))
    }

    /// Writes whatever it is told under a version's key.
    #[cfg(test)]
    pub fn put_version(&self, seq: u64, jws: &str) -> Result<()> {
        self.0.put_as_holder(StoreKey::Version(seq), jws.as_bytes())
    }

    /// Keeps the head of a version no longer.
    ///
    /// # Errors
    /// The lease is lost or somebody else's, or the store does not answer or refuses.
    pub fn delete_version(&self, seq: u64) -> Result<()> {
        let holder = self.0.holder()?;
        let _lock = self.0.backend.exclusive()?;
        self.0.check_lease(holder.as_deref())?;
        self.0.backend.delete(StoreKey::Version(seq), holder.as_deref())
    }

    /// An object, whose bytes are what its name says, if it is there.
    ///
    /// # Errors
    /// The store does not answer, or refuses, or what it has is not this object.
    pub fn object(&self, name: ObjectName) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.0.backend.get(StoreKey::Object(name))? else { return Ok(None) };
        name.check(&bytes).with_context(|| format!("what is stored as {name}"))?;
        Ok(Some(bytes))
    }

    /// All objects of a kind. Keys that are no object's are passed over.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn objects(&self, kind: ObjectKind) -> Result<Vec<ObjectName>> {
        let keys = self.0.backend.keys(&format!("{}/", kind.prefix()))?;
        Ok(keys.iter().filter_map(|key| ObjectName::parse(key)).collect())
    }

    /// How many objects [`Self::put_objects`] takes at once.
    pub fn batch(&self) -> Batch {
        self.0.backend.batch()
    }

    /// Stores objects that fit into a batch, each of which must be what its name says.
    ///
    /// # Errors
    /// The lease is lost, an object is not what its name says, or the store does not answer or refuses.
    pub fn put_objects(&self, objects: &[Object]) -> Result<()> {
        for (name, object) in objects {
            name.check(object).with_context(|| format!("{name} was spoilt before it was sent"))?;
        }
        self.0.backend.put_objects(objects, self.0.holder()?.as_deref())
    }

    /// Deletes objects, any number, and says after each part how many that were.
    ///
    /// # Errors
    /// The lease is lost or somebody else's, or the store does not answer or refuses.
    pub fn delete_objects(&self, names: &[ObjectName], deleted: &(dyn Fn(usize) + Sync)) -> Result<()> {
        // Parts, so that a lease that is lost ends it soon.
        for names in names.chunks(1_000) {
            let holder = self.0.holder()?;
            let _lock = self.0.backend.exclusive()?;
            self.0.check_lease(holder.as_deref())?;
            self.0.backend.delete_objects(names, holder.as_deref(), deleted)?;
        }
        Ok(())
    }

    /// Which of these objects are missing or broken, any number of them; says after each part how many were
    /// looked at. A KV namespace looks into a sample of many.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked> {
        self.0.backend.check(names, checked)
    }

    /// What the last collection found unreferenced.
    ///
    /// # Errors
    /// The store does not answer, or refuses, or what it has is no such list.
    pub fn garbage(&self) -> Result<Garbage> {
        let mut known = self.0.known_garbage();
        if let Some(garbage) = &*known {
            return Ok(garbage.clone());
        }
        let garbage = match self.0.backend.get(StoreKey::Garbage)? {
            Some(json) => Garbage::parse(&json)?,
            None => Garbage::default(),
        };
        if self.0.holder()?.is_some() {
            *known = Some(garbage.clone());
        }
        Ok(garbage)
    }

    /// Keeps what was found unreferenced.
    ///
    /// # Errors
    /// The lease is lost or somebody else's, or the store does not answer or refuses.
    pub fn put_garbage(&self, garbage: &Garbage) -> Result<()> {
        let mut known = self.0.known_garbage();
        // Until it is confirmed, nobody knows which of the two is stored.
        *known = None;
        self.0.put_as_holder(StoreKey::Garbage, &garbage.to_json()?)?;
        if self.0.holder()?.is_some() {
            *known = Some(garbage.clone());
        }
        Ok(())
    }

    fn text(&self, key: StoreKey) -> Result<Option<String>> {
        let Some(value) = self.0.backend.get(key)? else { return Ok(None) };
        let text = String::from_utf8(value).with_context(|| format!("the published {key} is no text"))?;
        Ok(Some(text.trim().to_owned()))
    }
}

impl Shared {
    fn set_tenure(&self, tenure: Option<Arc<Tenure>>) {
        *self.known_garbage() = None;
        *self.tenure.lock().unwrap_or_else(PoisonError::into_inner) = tenure;
    }

    fn known_garbage(&self) -> MutexGuard<'_, Option<Garbage>> {
        self.garbage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who writes: the holder of this run's lease, if it has taken one and has not lost it.
    fn holder(&self) -> Result<Option<String>> {
        let tenure = self.tenure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(tenure) = tenure else { return Ok(None) };
        tenure.check((self.clock)()?)?;
        Ok(Some(tenure.holder().to_owned()))
    }

    fn lease(&self) -> Result<Option<Lease>> {
        // A lease that is none keeps nobody away.
        Ok(self.backend.get(StoreKey::Lease)?.and_then(|json| Lease::parse(&json).ok()))
    }

    /// Takes or renews a lease.
    fn write_lease(&self, lease: &Lease, now: UnixSecs) -> Result<()> {
        let json = serde_json::to_vec(lease)?;
        let _lock = self.backend.exclusive()?;
        if !self.backend.has_rules() {
            rules::check_lease(self.lease()?.as_ref(), Some(&lease.holder), now)?;
        }
        self.backend.put(StoreKey::Lease, &json, Some(&lease.holder))
    }

    /// Gives the holder's lease back, if it is still the holder's.
    fn end_lease(&self, holder: &str) -> Result<()> {
        let _lock = self.backend.exclusive()?;
        if !self.backend.has_rules() && self.lease()?.is_none_or(|lease| lease.holder != holder) {
            return Ok(());
        }
        self.backend.delete(StoreKey::Lease, Some(holder))
    }

    /// Whether somebody else's lease is in the way, where the store does not see to that.
    fn check_lease(&self, holder: Option<&str>) -> Result<()> {
        if self.backend.has_rules() {
            return Ok(());
        }
        rules::check_lease(self.lease()?.as_ref(), holder, (self.clock)()?)
    }

    fn put_as_holder(&self, key: StoreKey, value: &[u8]) -> Result<()> {
        let holder = self.holder()?;
        let _lock = self.backend.exclusive()?;
        self.check_lease(holder.as_deref())?;
        self.backend.put(key, value, holder.as_deref())
    }
}

/// Everything but letters, digits, `-` and `_` in the percent-encoding of RFC 3986.
fn percent_encoded(text: &str) -> String {
    const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    utf8_percent_encode(text, &ENCODED).to_string()
}

#[cfg(test)]
mod tests;
