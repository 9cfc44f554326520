//! What a destination has to be able to do.

use std::{fs::File, time::Duration};

use admit_snapshot::{object::ObjectName, store_key::StoreKey};
use admit_token::IssuerConfig;
use anyhow::Result;
use serde::Deserialize;

use super::lease::RENEW_EVERY;

/// An object and its bytes.
pub type Object = (ObjectName, Vec<u8>);

/// An issuer of the edge.
#[derive(Clone, Debug, Deserialize)]
pub struct Issuer {
    /// What `iss` is in its tokens.
    pub issuer: String,
    /// The namespace of its customers.
    pub namespace: String,
    /// The claim that names the customer.
    pub customer_claim: String,
    /// The merchants for whom it speaks, if not for all.
    pub merchants: Option<Vec<i64>>,
    /// Whether its test-mode clients open pending test licences. A Worker of an earlier release opens them to all.
    #[serde(default = "opened_to_all")]
    pub test_clients: bool,
    /// The names of its keys, if the Worker's configuration has them.
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

/// How many objects travel together.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// At most so many.
    pub objects: usize,
    /// At most so many bytes, what surrounds each object included. One that is larger travels alone.
    pub bytes: u64,
    /// Bytes that surround each object.
    pub overhead: u64,
    /// An object of 3 bytes takes so many: 4 where it is sent in base64.
    pub bytes_of_three: u64,
}

impl Batch {
    /// What an object of `bytes` takes of the batch.
    pub const fn cost(&self, bytes: u64) -> u64 {
        bytes.div_ceil(3).saturating_mul(self.bytes_of_three).saturating_add(self.overhead)
    }
}

/// What a store has of a list of objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Not there, or not visible yet.
    pub missing: Vec<ObjectName>,
    /// There, but not with the bytes that its name says.
    pub broken: Vec<ObjectName>,
}

impl Checked {
    /// Notes that an object is there and sound, there and broken, or not there.
    pub fn note(&mut self, name: ObjectName, is_sound: Option<bool>) {
        match is_sound {
            None => self.missing.push(name),
            Some(false) => self.broken.push(name),
            Some(true) => {}
        }
    }
}

/// How long it may take to read, write or delete a key. A lease has to be renewed before it ends, so that an attempt
/// that takes too long makes room for the next one; and one that is not given back ends by itself: stopping this command
/// must not wait for a store that does not answer.
pub const fn deadline_of(key: StoreKey) -> Option<Duration> {
    match key {
        StoreKey::Lease => Some(RENEW_EVERY),
        _ => None,
    }
}

/// A place where keys are kept. It does as it is told; who may do what is for [`Store`](super::Store) to say,
/// unless [`Self::has_rules`].
pub trait Backend: Send + Sync {
    /// The value of a key, if it is there.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn get(&self, key: StoreKey) -> Result<Option<Vec<u8>>>;

    /// Sets the value of a key, as `holder` of the lease.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn put(&self, key: StoreKey, value: &[u8], holder: Option<&str>) -> Result<()>;

    /// Deletes a key, as `holder` of the lease. It may be gone already.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn delete(&self, key: StoreKey, holder: Option<&str>) -> Result<()>;

    /// How many objects [`Self::put_objects`] takes at once.
    fn batch(&self) -> Batch;

    /// Stores objects that fit into a batch.
    ///
    /// # Errors
    /// The store does not answer, or refuses; some of them may be stored then.
    fn put_objects(&self, objects: &[Object], holder: Option<&str>) -> Result<()>;

    /// Deletes objects, any number, and says after each part how many that were.
    ///
    /// # Errors
    /// The store does not answer, or refuses; some of them may be deleted then.
    fn delete_objects(
        &self,
        names: &[ObjectName],
        holder: Option<&str>,
        deleted: &(dyn Fn(usize) + Sync),
    ) -> Result<()>;

    /// All keys that begin with `prefix`, known ones and others.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn keys(&self, prefix: &str) -> Result<Vec<String>>;

    /// Which of these objects are there and sound, any number. Says after each part how many were looked at.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked>;

    /// The issuers of the edge behind the store; nothing where it cannot be asked.
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

    /// Keeps others out while a rule is checked and the write that it allows is made; nothing where the store
    /// has no such thing.
    ///
    /// # Errors
    /// The store cannot be locked.
    fn exclusive(&self) -> Result<Option<File>> {
        Ok(None)
    }
}
