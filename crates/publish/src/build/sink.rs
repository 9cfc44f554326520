//! The destination of built objects.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
};

use admit_snapshot::object::ObjectName;

/// Receives objects as they are built, from several threads at once.
pub trait ObjectSink: Sync {
    /// Keeps an object. The same object may come twice.
    ///
    /// # Errors
    /// The object cannot be kept.
    fn store(&self, name: ObjectName, object: Vec<u8>) -> io::Result<()>;
}

/// Keeps objects in memory, for tests and small snapshots.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<BTreeMap<ObjectName, Vec<u8>>>);

impl MemorySink {
    /// Removes an object and returns its bytes.
    pub fn take(&self, name: ObjectName) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name)
    }
}

impl ObjectSink for MemorySink {
    fn store(&self, name: ObjectName, object: Vec<u8>) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, object);
        Ok(())
    }
}
