//! The starting value (docs/adr/0058): what a new isolate reads at the same time as its first head.

use std::pin::Pin;

use futures_util::{
    FutureExt as _,
    future::{LocalBoxFuture, MaybeDone, maybe_done, select},
};

use crate::{
    limits::START_TIMEOUT_MS,
    ports::{ObjectStore as _, Platform},
    snapshot::{
        object::{Digest, ObjectName},
        pack::unpack_by,
        store_key::START_KEY,
    },
};

/// The starting value, while it is read and after that.
pub(super) struct Start<'a>(MaybeDone<LocalBoxFuture<'a, Option<Vec<u8>>>>);

impl<'a> Start<'a> {
    /// Begins to read it.
    pub fn read<P: Platform>(platform: &'a P) -> Self {
        // What it holds is only believed by its digests, and without it the objects are read one by one: whatever is
        // wrong with it does no harm.
        let read = async { platform.store().get(START_KEY).await.ok().flatten() };
        Self(maybe_done(read.boxed_local()))
    }

    /// None: the isolate has a version.
    pub const fn none() -> Self {
        Self(MaybeDone::Done(None))
    }

    /// Waits for it, no longer than until the objects themselves had better be read.
    pub async fn wait<P: Platform>(&mut self, platform: &P) {
        drop(select(&mut self.0, platform.sleep(START_TIMEOUT_MS).boxed_local()).await);
    }

    /// Whether it is there, or known not to be.
    pub const fn is_read(&self) -> bool {
        !matches!(self.0, MaybeDone::Future(_))
    }

    /// Its objects, once it is read.
    pub async fn objects(&mut self, digest_of: impl Fn(&[u8]) -> Digest) -> Vec<(ObjectName, &[u8])> {
        (&mut self.0).await;
        let value = Pin::new(&mut self.0).output_mut().and_then(|value| value.as_deref());
        value.and_then(|value| unpack_by(value, digest_of).ok()).unwrap_or_default()
    }
}
