//! The versions that can be rolled back to, and the publisher's lease.

use std::path::Path;

use admit_publish::{head::SignedHead, store::Store};
use admit_snapshot::time::{UnixSecs, iso8601};
use anyhow::Result;
use serde::Serialize;

/// Versions that are shown: twice as many as `admit gc` keeps by default. Each costs a read of the store.
const SHOWN_MAX: usize = 20;

/// Kept versions and the lease.
#[derive(Debug, Serialize)]
pub struct HistoryReport {
    /// How many versions are kept.
    pub versions_total: usize,
    /// The newest of them, newest first.
    pub versions: Vec<VersionReport>,
    /// The publisher that holds the lease, if any.
    pub lease: Option<LeaseReport>,
}

/// A version that can be rolled back to.
#[derive(Debug, Serialize)]
pub struct VersionReport {
    /// The version.
    pub seq: u64,
    /// The origin's count of changes that its content reflects.
    pub origin_seq: u64,
    /// When the data was true, unix seconds.
    pub as_of: UnixSecs,
    /// When it was published, unix seconds.
    pub published_at: Option<UnixSecs>,
    /// Number of customers.
    pub customers: u64,
    /// Number of items.
    pub items: u64,
    /// Records of the origin that could not be used when the version was published.
    pub set_aside: u64,
}

/// A lease that is held.
#[derive(Debug, Serialize)]
pub struct LeaseReport {
    /// The publisher's host and process.
    pub host: String,
    /// When the lease ends unless it is renewed.
    pub until: String,
    /// Seconds until then.
    pub secs_left: i64,
}

impl HistoryReport {
    /// Reads the records of versions and the lease. If there is a `key`, versions must be signed by it.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn read(store: &Store, key: Option<&Path>, now: UnixSecs) -> Result<Self> {
        let seqs = store.versions()?;
        let mut versions = Vec::new();
        for seq in seqs.iter().rev().take(SHOWN_MAX) {
            let Some(jws) = store.version(*seq)? else { continue };
            match SignedHead::read(&jws, key)? {
                SignedHead::Verified(head) | SignedHead::Unverified(head) => versions.push(VersionReport {
                    seq: *seq,
                    origin_seq: head.origin_seq(),
                    as_of: head.as_of,
                    published_at: head.published_at,
                    customers: head.customers,
                    items: head.items,
                    set_aside: head.set_aside.unwrap_or(0),
                }),
                SignedHead::OtherKey(_) => {
                    eprintln!("warning: version {seq} is signed by another key than --key")
                }
                SignedHead::Broken(reason) => eprintln!("warning: version {seq} cannot be trusted: {reason}"),
            }
        }
        let lease = store.lease()?.filter(|lease| lease.is_held(now)).map(|lease| LeaseReport {
            host: lease.host,
            until: iso8601(lease.until, 0),
            secs_left: lease.until.saturating_sub(now),
        });
        Ok(Self { versions_total: seqs.len(), versions, lease })
    }
}
