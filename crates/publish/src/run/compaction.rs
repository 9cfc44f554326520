//! Writes a delta that has grown into the shards, in the background: changes are published meanwhile.

use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use admit_snapshot::{index::Index, object::ObjectName};
use anyhow::{Context, Result};

use super::{
    kept::Kept,
    publisher::Publisher,
    upload::{Mode, upload},
};
use crate::{
    peer::into_io,
    store::{Store, reach::read},
    update::{Compacted, Content, compact},
};

/// A compaction under way.
pub struct Compaction {
    /// The content that it writes into the shards.
    then: Content,
    work: JoinHandle<Result<Compacted>>,
}

/// Objects that are uploaded, and that no head names yet.
pub struct Done {
    /// The content of the new shards.
    pub then: Content,
    /// The new objects, and by how much the shards have grown.
    pub compacted: Compacted,
    /// The new index, decoded.
    pub index: Arc<Index>,
}

impl Compaction {
    /// Starts writing the delta of `content` into the shards that `index` names.
    pub fn begin(publisher: &Publisher, index: &Arc<Index>, content: &Content, temp_dir: &Path) -> Self {
        let (store, index) = (publisher.store.clone(), Arc::clone(index));
        let (then, delta, dir) = (content.clone(), content.delta(), temp_dir.to_owned());
        let work = thread::spawn(move || {
            // Only used if the index has no salt yet: an existing salt stays.
            let fresh = crate::salt::random()?;
            let kept = Kept::new(&dir, std::collections::HashSet::new());
            let read = |name: ObjectName| read(&store, name).map_err(into_io);
            let compacted = compact(&index, &delta, fresh, &read, &kept)?;
            write(&store, &kept, &compacted)?;
            Ok(compacted)
        });
        Self { then, work }
    }

    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.work.is_finished()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// An object cannot be read or uploaded.
    pub fn wait(self, publisher: &Publisher) -> Result<Done> {
        let compacted = self.work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let index = Arc::new(publisher.index(compacted.index).context("after a compaction")?);
        Ok(Done { then: self.then, compacted, index })
    }
}

fn write(store: &Store, kept: &Kept, compacted: &Compacted) -> Result<()> {
    // Existing objects are not trusted: a shard may have the content of an older version, or be left from a
    // failed attempt. If there are more than a few, they are looked up as those of a full publish are.
    upload(store, &kept.objects(&compacted.objects), kept.published(), Mode::Upload)?;
    Ok(())
}
