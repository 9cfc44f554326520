//! Where built objects go.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
};

use admit_snapshot::object::ObjectName;

/// Takes objects as they are built, from several threads.
pub trait ObjectSink: Sync {
    /// Keeps an object. The same one may come twice.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn store(&self, name: ObjectName, object: Vec<u8>) -> io::Result<()>;
}

/// Keeps objects in memory.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<BTreeMap<ObjectName, Vec<u8>>>);

impl MemorySink {
    /// Takes an object out.
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
