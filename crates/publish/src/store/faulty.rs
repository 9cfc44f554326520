//! A directory that fails after a number of writes, as if the publisher had been killed there.

use std::{
    fs::File,
    sync::atomic::{AtomicUsize, Ordering},
};

use admit_snapshot::{object::ObjectName, store_key::StoreKey};
use anyhow::{Result, bail};

use super::{
    backend::{Backend, Batch, Checked},
    dir::Dir,
};

/// A directory with a budget of writes.
pub struct Faulty {
    inner: Dir,
    writes_left: AtomicUsize,
}

impl Faulty {
    /// `inner`, which accepts `writes` writes.
    pub fn new(inner: Dir, writes: usize) -> Self {
        Self { inner, writes_left: AtomicUsize::new(writes) }
    }

    fn write(&self) -> Result<()> {
        let left =
            self.writes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() { bail!("killed") } else { Ok(()) }
    }
}

impl Backend for Faulty {
    fn get(&self, key: StoreKey) -> Result<Option<Vec<u8>>> {
        self.inner.get(key)
    }

    fn put(&self, key: StoreKey, value: &[u8], holder: Option<&str>) -> Result<()> {
        self.write()?;
        self.inner.put(key, value, holder)
    }

    fn delete(&self, key: StoreKey, holder: Option<&str>) -> Result<()> {
        self.write()?;
        self.inner.delete(key, holder)
    }

    fn batch(&self) -> Batch {
        self.inner.batch()
    }

    fn delete_objects(
        &self,
        names: &[ObjectName],
        holder: Option<&str>,
        deleted: &(dyn Fn(usize) + Sync),
    ) -> Result<()> {
        names.iter().try_for_each(|name| {
            deleted(1);
            self.delete(StoreKey::Object(*name), holder)
        })
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.inner.keys(prefix)
    }

    fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked> {
        self.inner.check(names, checked)
    }

    fn exclusive(&self) -> Result<Option<File>> {
        self.inner.exclusive()
    }
}
