//! The owner of the snapshot in memory: which version answers, when the head is read again, and how heads and objects
//! are loaded and checked.
//!
//! [`Snapshots`] are plain data with rules, without I/O. [`Loader`] fills them through the ports. It is also what the
//! publish API reads the store with.

mod head_watch;
mod lag;
mod lane;
mod lane_watch;
mod loader;
mod objects;
mod reader;
mod snapshots;
mod start;
mod store_lag;
mod versions;

use std::cell::{Ref, RefCell, RefMut};

pub(super) use self::{
    lane_watch::LaneReport,
    loader::{Load, Loader},
    reader::{LoadError, Reader, all},
    snapshots::{Due, HeadState, Snapshots},
    versions::HeadSource,
};
use super::Tokens;
use crate::{
    config::{Config, ConfigError},
    ports::{SignatureAlgorithm, SignatureVerifier},
    snapshot::{head::Head, time::UnixSecs},
    token::{JoseAlgorithm, KeySet},
};

/// The snapshot, as far as this isolate has it.
pub(super) struct Library<V: SignatureVerifier> {
    /// The publisher's keys.
    head_keys: KeySet<V>,
    // Borrowed for the length of a synchronous call only, never across an await.
    snapshots: RefCell<Snapshots>,
}

impl<V: SignatureVerifier> Library<V> {
    /// An empty one that believes heads by `SNAPSHOT_KEYS`.
    ///
    /// # Errors
    /// A key cannot be used.
    pub fn new(config: &Config, verifier: &V) -> Result<Self, ConfigError> {
        let wrong = |problem: String| ConfigError::new("SNAPSHOT_KEYS", problem);
        let head_keys = KeySet::from_inline_jwks(&config.snapshot_keys, verifier)
            .map_err(|error| wrong(error.to_string()))?;
        // A secret that verifies heads could also sign them, and everyone who reads the configuration would have it.
        if !head_keys.is_all(JoseAlgorithm::Signature(SignatureAlgorithm::EdDsa)) {
            return Err(wrong("every key must be an Ed25519 key (EdDSA)".to_owned()));
        }
        if !head_keys.left_out().is_empty() {
            return Err(wrong(head_keys.left_out().to_string()));
        }
        Ok(Self { head_keys, snapshots: RefCell::default() })
    }

    pub fn read(&self) -> Ref<'_, Snapshots> {
        self.snapshots.borrow()
    }

    pub fn write(&self) -> RefMut<'_, Snapshots> {
        self.snapshots.borrow_mut()
    }

    /// A usable head was read: its denylist counts from now on, even if the objects that it names cannot be read.
    pub fn deny_by(&self, head: &Head, tokens: &Tokens<V>, now: UnixSecs) {
        let snapshots = &mut *self.write();
        if snapshots.versions.denies_by(head) {
            tokens.deny(&head.denylist);
        }
        snapshots.watch.was_read(now);
    }
}
