//! Where snapshots are published to and read from: a Worker, a KV namespace, or a directory.
//!
//! [`Store`] is what commands use. It checks the rules (lease, order of heads, completeness) and calls a
//! `Backend`: `edge`, `kv` or `dir`. A Worker enforces the same rules itself. `http` makes the calls of the
//! first two, `heads` reads and writes heads with their deltas, `lease` keeps the lease alive, `garbage` is the
//! list of `admit gc`, `reach` follows a head to its objects.

mod backend;
mod dir;
mod edge;
#[cfg(test)]
mod faulty;
pub mod garbage;
mod heads;
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

use self::{backend::Backend, dir::Dir, edge::Worker, garbage::Garbage, heads::Heads, kv::Kv, lease::Tenure};
pub use self::{
    backend::{Batch, Checked, Issuer, Object},
    heads::is_start_of,
    http::{is_incomplete, is_older, is_shut_out},
    lease::{Guard, Holder, LeaseHeld, host},
    rules::Faster,
};
use crate::{
    bearer::{Bearer, Credentials},
    clock::now_unix_secs,
    head::HeadSigner,
    peer::Outside,
};

/// How long a store may show the previous head: 60 s until KV shows a new one, and 30 s in a cache.
pub const LAG: Duration = Duration::from_secs(90);

/// The clock that leases and garbage are judged by.
pub type Clock = Arc<dyn Fn() -> Result<UnixSecs> + Send + Sync>;

/// A place where snapshots are published.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

/// What a store shares with the thread that renews its lease.
pub struct Shared {
    backend: Box<dyn Backend>,
    clock: Clock,
    tenure: Mutex<Option<Arc<Tenure>>>,
    /// The list of garbage while this run holds the lease: no other process changes it then.
    garbage: Mutex<Option<Garbage>>,
    heads: Mutex<Heads>,
}

/// A head to be published.
#[derive(Clone, Copy)]
pub struct NewHead<'a> {
    /// The head. The store's name and the revocations in force are filled in.
    pub head: &'a Head,
    /// The head that was published when the work began. Publishing fails if other data was published since.
    pub follows: Option<&'a Head>,
    /// Whether the data of the head lacks something that the data of `follows` gives. Revocations are found without it.
    pub takes_away: bool,
    /// Signs the head.
    pub signer: &'a HeadSigner,
}

impl Store {
    /// The store at `place`: `https://…` or `http://…`, `kv:<account>/<namespace>` or `dir:<path>`. A Worker
    /// is asked with the tokens of `token`.
    ///
    /// # Errors
    /// `place` is not a store, or its credentials are missing or invalid.
    pub fn open(place: &str, token: &Credentials) -> Result<Self> {
        Self::open_in(place, token, &Outside::default())
    }

    /// Like [`Self::open`], with another network and clock.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(place: &str, token: &Credentials, outside: &Outside) -> Result<Self> {
        let backend: Box<dyn Backend> = match place.split_once(':') {
            Some(("dir", "")) => bail!("invalid store dir: expected dir:<path>"),
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
            _ => bail!(
                "invalid store {place:?}: expected https://… (a Worker), kv:<account>/<namespace> or dir:<path>"
            ),
        };
        let time = Arc::clone(&outside.time);
        Ok(Self::with(backend, Arc::new(move || time.unix_secs())))
    }

    fn with(backend: Box<dyn Backend>, clock: Clock) -> Self {
        let (tenure, garbage, heads) = <(Mutex<_>, Mutex<_>, Mutex<_>)>::default();
        Self(Arc::new(Shared { backend, clock, tenure, garbage, heads }))
    }

    /// A directory that is not needed after this run.
    pub fn scratch(path: &Path) -> Self {
        Self::with(Box::new(Dir::unsynced(path)), Arc::new(now_unix_secs))
    }

    /// A directory with another clock.
    #[cfg(test)]
    pub fn in_dir(path: &Path, clock: Clock) -> Self {
        Self::with(Box::new(Dir::unsynced(path)), clock)
    }

    /// A directory with another clock that fails after `writes` writes.
    #[cfg(test)]
    pub fn killed_after(writes: usize, path: &Path, clock: Clock) -> Self {
        Self::with(Box::new(faulty::Faulty::new(Dir::unsynced(path), writes)), clock)
    }

    /// The current time, by the clock of leases.
    ///
    /// # Errors
    /// The machine's clock is set before 1970.
    pub fn now(&self) -> Result<UnixSecs> {
        (self.0.clock)()
    }

    /// Takes the lease; with `force` also from another holder. While it is held, every write is made as its
    /// holder, and refused once it is lost. The lease is renewed in the background, and given back when the
    /// guard is dropped.
    ///
    /// # Errors
    /// Another publisher holds the lease, or the store does not answer.
    pub fn lock(&self, force: bool) -> Result<Guard> {
        self.lock_as(&Holder::new()?, force)
    }

    /// Like [`Store::lock`], as a holder that may have the lease already.
    ///
    /// # Errors
    /// Another holder has the lease, or the store does not answer.
    pub fn lock_as(&self, holder: &Holder, force: bool) -> Result<Guard> {
        Guard::take(Arc::clone(&self.0), holder, force)
    }

    /// Checks that this run may still write.
    ///
    /// # Errors
    /// The lease is lost.
    pub fn check_tenure(&self) -> Result<()> {
        self.0.holder().map(drop)
    }

    /// When this run's lease ends unless it is renewed, if it has taken one.
    pub fn tenure_until(&self) -> Option<UnixSecs> {
        let tenure = self.0.tenure.lock().unwrap_or_else(PoisonError::into_inner);
        tenure.as_ref().map(|tenure| tenure.until())
    }

    /// The current lease, as far as the store shows it.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn lease(&self) -> Result<Option<Lease>> {
        self.0.lease()
    }

    /// The `seq` of every kept version, in ascending order.
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

    /// Whether this is a Worker, which enforces the rules itself and knows its issuers.
    pub fn is_worker(&self) -> bool {
        self.0.backend.has_rules()
    }

    /// The issuers of the edge behind the store; `None` if it cannot be asked.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn issuers(&self) -> Result<Option<Vec<Issuer>>> {
        self.0.backend.issuers()
    }

    /// The head of a version, if it is kept.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn version(&self, seq: u64) -> Result<Option<String>> {
        let key = StoreKey::Version(seq);
        self.0.backend.get(key)?.map(|jws| heads::text(key, jws)).transpose()
    }

    /// Writes any text under a version's key.
    #[cfg(test)]
    pub fn put_version(&self, seq: u64, jws: &str) -> Result<()> {
        self.0.put_as_holder(StoreKey::Version(seq), jws.as_bytes())
    }

    /// Deletes the kept head of a version.
    ///
    /// # Errors
    /// The lease is lost or held by another publisher, or the store does not answer or refuses.
    pub fn delete_version(&self, seq: u64) -> Result<()> {
        let holder = self.0.holder()?;
        let _lock = self.0.backend.exclusive()?;
        self.0.check_lease(holder.as_deref())?;
        self.0.backend.delete(StoreKey::Version(seq), holder.as_deref())
    }

    /// An object, checked against its name, if it is stored: by itself, or as the delta beside a head that was read or is
    /// about to be published.
    ///
    /// # Errors
    /// The store does not answer, refuses, or has other bytes under this name.
    pub fn object(&self, name: ObjectName) -> Result<Option<Vec<u8>>> {
        if let Some(delta) = self.0.carried(name) {
            return Ok(Some(delta.to_vec()));
        }
        let Some(bytes) = self.0.backend.get(StoreKey::Object(name))? else { return Ok(None) };
        name.check(&bytes).with_context(|| format!("the value of {name}"))?;
        Ok(Some(bytes))
    }

    /// All objects of a kind. Other keys are ignored.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn objects(&self, kind: ObjectKind) -> Result<Vec<ObjectName>> {
        let keys = self.0.backend.keys(&format!("{}/", kind.prefix()))?;
        Ok(keys.iter().filter_map(|key| ObjectName::parse(key)).collect())
    }

    /// How much [`Self::put_objects`] takes at once.
    pub fn batch(&self) -> Batch {
        self.0.backend.batch()
    }

    /// Stores objects that fit into one batch. Each is checked against its name before it is sent.
    ///
    /// # Errors
    /// The lease is lost, an object does not match its name, or the store does not answer or refuses.
    pub fn put_objects(&self, objects: &[Object]) -> Result<()> {
        for (name, object) in objects {
            name.check(object).with_context(|| format!("{name} was damaged before it was sent"))?;
        }
        self.0.backend.put_objects(objects, self.0.holder()?.as_deref())
    }

    /// Deletes any number of objects. After each part `deleted` gets the number.
    ///
    /// # Errors
    /// The lease is lost or held by another publisher, or the store does not answer or refuses.
    pub fn delete_objects(&self, names: &[ObjectName], deleted: &(dyn Fn(usize) + Sync)) -> Result<()> {
        // In parts, so that a lost lease stops it soon.
        for names in names.chunks(1_000) {
            let holder = self.0.holder()?;
            let _lock = self.0.backend.exclusive()?;
            self.0.check_lease(holder.as_deref())?;
            self.0.backend.delete_objects(names, holder.as_deref(), deleted)?;
        }
        Ok(())
    }

    /// Checks any number of objects. After each part `checked` gets the number. A KV namespace reads only a
    /// sample of many. A delta that a head carries is there.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked> {
        let mut names = names.to_vec();
        names.retain(|name| self.0.carried(*name).is_none());
        self.0.backend.check(&names, checked)
    }

    /// The list of garbage.
    ///
    /// # Errors
    /// The store does not answer, refuses, or has something else under the key.
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

    /// Stores the list of garbage.
    ///
    /// # Errors
    /// The lease is lost or held by another publisher, or the store does not answer or refuses.
    pub fn put_garbage(&self, garbage: &Garbage) -> Result<()> {
        let mut known = self.0.known_garbage();
        // Until the write is confirmed, either list may be the stored one.
        *known = None;
        self.0.put_as_holder(StoreKey::Garbage, &garbage.to_json()?)?;
        if self.0.holder()?.is_some() {
            *known = Some(garbage.clone());
        }
        Ok(())
    }

    /// The starting value, whatever it is.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn start(&self) -> Result<Option<Vec<u8>>> {
        self.0.backend.get(StoreKey::Start)
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

    /// The holder of this run's lease, if it has taken one. An error if it has lost it.
    fn holder(&self) -> Result<Option<String>> {
        let tenure = self.tenure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(tenure) = tenure else { return Ok(None) };
        tenure.check((self.clock)()?)?;
        Ok(Some(tenure.holder().to_owned()))
    }

    fn lease(&self) -> Result<Option<Lease>> {
        // A value that is not a lease keeps no publisher out.
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

    /// Gives the holder's lease back, if it still is the holder's.
    fn end_lease(&self, holder: &str) -> Result<()> {
        let _lock = self.backend.exclusive()?;
        if !self.backend.has_rules() && self.lease()?.is_none_or(|lease| lease.holder != holder) {
            return Ok(());
        }
        self.backend.delete(StoreKey::Lease, Some(holder))
    }

    /// Checks that no other publisher holds the lease, if the store does not check it.
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

/// Percent-encodes everything but letters, digits, `-` and `_` (RFC 3986).
fn percent_encoded(text: &str) -> String {
    const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    utf8_percent_encode(text, &ENCODED).to_string()
}

#[cfg(test)]
mod tests;
