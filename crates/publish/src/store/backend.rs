//! What a destination must be able to do.

use std::{fs::File, time::Duration};

use admit_snapshot::{object::ObjectName, store_key::StoreKey};
use admit_token::IssuerConfig;
use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::lease::RENEW_EVERY;

/// An object's name and bytes.
pub type Object = (ObjectName, Vec<u8>);

/// The head from which an isolate of an edge answers, as `/healthz` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadInUse {
    /// `seq` of the head.
    pub seq: u64,
    /// Where the isolate read it: `kv`, or `lane`.
    pub head_from: String,
    /// How long ago it was true at the origin, seconds.
    pub age_secs: i64,
}

/// An issuer that the edge trusts.
#[derive(Clone, Debug, Deserialize)]
pub struct Issuer {
    /// `iss` in its tokens.
    pub issuer: String,
    /// The namespace of its customers.
    pub namespace: String,
    /// The claim that names the customer.
    pub customer_claim: String,
    /// The merchants that it is trusted for; `None` for all.
    pub merchants: Option<Vec<i64>>,
    /// Whether its test-mode clients open pending test licences. A Worker of an earlier release does not say,
    /// and opens them to all.
    #[serde(default = "opened_to_all")]
    pub test_clients: bool,
    /// The ids of its keys, if the Worker's configuration has them.
    #[serde(default)]
    pub kids: Option<Vec<String>>,
}

const fn opened_to_all() -> bool {
    true
}

impl From<IssuerConfig> for Issuer {
    fn from(issuer: IssuerConfig) -> Self {
        let IssuerConfig { issuer, namespace, customer_claim, merchants, test_clients, .. } = issuer;
        let merchants = merchants.map(|merchants| merchants.to_vec());
        Self { issuer, namespace, customer_claim, merchants, test_clients, kids: None }
    }
}

/// The size of one upload.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The most objects.
    pub objects: usize,
    /// The most bytes, including the overhead of each object. A larger object is sent alone.
    pub bytes: u64,
    /// Bytes that are added to each object.
    pub overhead: u64,
    /// Bytes that 3 bytes of an object take: 4 if it is sent in base64.
    pub bytes_of_three: u64,
}

impl Batch {
    /// The share of the batch that an object of `bytes` takes.
    pub const fn cost(&self, bytes: u64) -> u64 {
        bytes.div_ceil(3).saturating_mul(self.bytes_of_three).saturating_add(self.overhead)
    }
}

/// The result of checking a list of objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Missing, or not visible yet.
    pub missing: Vec<ObjectName>,
    /// Stored, but the bytes do not match the name.
    pub broken: Vec<ObjectName>,
}

impl Checked {
    /// Records an object: `Some(true)` if it is intact, `Some(false)` if it is broken, `None` if it is
    /// missing.
    pub fn note(&mut self, name: ObjectName, is_sound: Option<bool>) {
        match is_sound {
            None => self.missing.push(name),
            Some(false) => self.broken.push(name),
            Some(true) => {}
        }
    }
}

/// How long reading, writing or deleting a key may take. A lease must be renewed before it ends, so an
/// attempt that takes too long makes room for the next one. A lease that is not given back ends by itself, so
/// stopping this command must not wait for a store that does not answer.
pub const fn deadline_of(key: StoreKey) -> Option<Duration> {
    match key {
        StoreKey::Lease => Some(RENEW_EVERY),
        _ => None,
    }
}

/// A place that stores keys. Rules about who may write are checked by [`Store`](super::Store), unless the
/// backend [has its own](Self::has_rules).
pub trait Backend: Send + Sync {
    /// The value of a key, if it is stored.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn get(&self, key: StoreKey) -> Result<Option<Vec<u8>>>;

    /// Sets the value of a key, as `holder` of the lease.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn put(&self, key: StoreKey, value: &[u8], holder: Option<&str>) -> Result<()>;

    /// Deletes a key, as `holder` of the lease. The key may be missing.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn delete(&self, key: StoreKey, holder: Option<&str>) -> Result<()>;

    /// How much [`Self::put_objects`] takes at once.
    fn batch(&self) -> Batch;

    /// Stores objects that fit into one batch; one by one unless the backend has a better way.
    ///
    /// # Errors
    /// The store does not answer, or refuses; some of the objects may be stored.
    fn put_objects(&self, objects: &[Object], holder: Option<&str>) -> Result<()> {
        objects.iter().try_for_each(|(name, object)| self.put(StoreKey::Object(*name), object, holder))
    }

    /// Deletes any number of objects. After each part `deleted` gets the number.
    ///
    /// # Errors
    /// The store does not answer, or refuses; some of the objects may be deleted.
    fn delete_objects(
        &self,
        names: &[ObjectName],
        holder: Option<&str>,
        deleted: &(dyn Fn(usize) + Sync),
    ) -> Result<()>;

    /// All keys that begin with `prefix`, including unknown ones.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn keys(&self, prefix: &str) -> Result<Vec<String>>;

    /// Checks any number of objects. After each part `checked` gets the number.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked>;

    /// The head from which the edge behind the store answers; `None` if it does not say.
    fn head_in_use(&self) -> Option<HeadInUse> {
        None
    }

    /// The issuers of the edge behind the store; `None` if it cannot be asked.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn issuers(&self) -> Result<Option<Vec<Issuer>>> {
        Ok(None)
    }

    /// Whether the store itself enforces leases and the order of heads.
    fn has_rules(&self) -> bool {
        false
    }

    /// Locks out other publishers while a rule is checked and the write that it allows is made; `None` if the
    /// store has no locks.
    ///
    /// # Errors
    /// The store cannot be locked.
    fn exclusive(&self) -> Result<Option<File>> {
        Ok(None)
    }
}
