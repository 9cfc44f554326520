//! The marker that works beside any publisher: the viewer's own token on the denylist of the head, and lifted again.

use std::{path::Path, time::Duration};

use admit_publish::{bearer::Credentials, head::HeadSigner, peer::Outside, store::Store};
use admit_snapshot::{
    denylist::{Denied, Target},
    object::Digest,
    time::UnixSecs,
};
use anyhow::{Context, Result, bail};

use super::{Marker, Viewer};
use crate::revoke;

/// The reason of the canary's own entries, by which it knows them.
const REASON: &str = "admit canary";

/// The viewer's token, as an entry of the denylist.
pub struct Listed {
    store: Store,
    signer: HeadSigner,
    outside: Outside,
    target: Target,
    lasts: Duration,
}

impl Listed {
    /// The token of `viewer` at the store `place`, for at most `lasts` at a time.
    ///
    /// # Errors
    /// The store or the key cannot be used, or the token is revoked for another reason.
    pub fn new(
        place: &str,
        credentials: &Credentials,
        key: &Path,
        viewer: &Viewer,
        lasts: Duration,
        outside: &Outside,
    ) -> Result<Self> {
        let store = Store::open_in(place, credentials, outside).context("--in")?;
        let signer = HeadSigner::new(key, None)?;
        let target = Target::Token(Digest::of(viewer.signed().as_bytes()));
        let head = revoke::current(&store, Some(signer.path()))?;
        let now = store.now()?;
        let known = head.denylist.entries().iter().find(|entry| entry.target == target);
        if let Some(entry) = known.filter(|entry| entry.reason != REASON && now < entry.until) {
            bail!(
                "--viewer: the token is on the denylist already, with the reason {:?}: the canary touches only entries of \
                 its own. Give another token",
                entry.reason
            );
        }
        let mut listed = Self { store, signer, outside: outside.clone(), target, lasts };
        if known.is_some_and(|entry| entry.is_in_force(now)) {
            // The entry of a canary that was killed.
            listed.set(true)?;
        }
        Ok(listed)
    }
}

impl Marker for Listed {
    fn name(&self) -> String {
        format!("the {} on the denylist", self.target)
    }

    fn set(&mut self, is_granted: bool) -> Result<()> {
        let since = self.store.now()?;
        let lasts = UnixSecs::try_from(self.lasts.as_secs()).unwrap_or(UnixSecs::MAX);
        let mut entry = Denied {
            target: self.target.clone(),
            since,
            until: since.saturating_add(lasts),
            is_lifted: is_granted,
            reason: REASON.to_owned(),
        };
        revoke::publish(&*self.outside.time, &self.store, &self.signer, &mut entry)?;
        Ok(())
    }

    fn is_granted_at_rest(&self) -> bool {
        true
    }
}
