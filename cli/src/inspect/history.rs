//! Reads the versions that can be rolled back to, and the publisher's lease.

use std::path::Path;

use admit_publish::{head::SignedHead, store::Store};
use admit_snapshot::{
    report::{HistoryReport, KeptVersion, LeaseReport},
    time::UnixSecs,
};
use anyhow::Result;

/// Versions that are shown: twice as many as `admit gc` keeps by default. Each costs a read of the store.
const SHOWN_MAX: usize = 20;

/// Reads the records of versions and the lease. If there is a `key`, versions must be signed by it.
///
/// # Errors
/// The store does not answer, or refuses.
pub fn read(store: &Store, key: Option<&Path>, now: UnixSecs) -> Result<HistoryReport> {
    let seqs = store.versions()?;
    let mut versions = Vec::new();
    for seq in seqs.iter().rev().take(SHOWN_MAX) {
        let Some(jws) = store.version(*seq)? else { continue };
        match SignedHead::read(&jws, key)? {
            SignedHead::Verified(head) | SignedHead::Unverified(head) => {
                versions.push(KeptVersion::new(*seq, &head));
            }
            SignedHead::OtherKey(_) => {
                eprintln!("warning: version {seq} is signed by another key than --key")
            }
            SignedHead::Broken(reason) => eprintln!("warning: version {seq} cannot be trusted: {reason}"),
        }
    }
    let lease = store.lease()?.and_then(|lease| LeaseReport::new(lease, now));
    Ok(HistoryReport { versions_total: Some(seqs.len()), versions, lease })
}
