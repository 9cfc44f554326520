//! The published head, as text and JSON show it.

use std::path::Path;

use admit_publish::{overlay::Effect, published::Published};
use admit_snapshot::{
    denylist::Denylist,
    head::Head,
    index::Tree,
    time::{UnixSecs, iso8601},
};
use anyhow::Result;
use serde::Serialize;

/// Whether the head's signature was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Signed by the key at hand.
    Verified,
    /// No key was given.
    NotChecked,
}

/// The head.
#[derive(Debug, Serialize)]
pub struct HeadReport {
    /// Version of the byte format.
    pub format: u8,
    /// The store that the head is for, if it names one.
    pub aud: Option<String>,
    /// The version.
    pub seq: u64,
    /// The origin's count of committed changes that the content reflects.
    pub origin_seq: u64,
    /// When the data was current, unix seconds.
    pub as_of: UnixSecs,
    /// The same as text.
    pub as_of_iso: String,
    /// The age of the head, which a follower renews while the origin answers.
    pub age_secs: i64,
    /// When the data last changed, unix seconds.
    pub changed_at: UnixSecs,
    /// Seconds since then.
    pub unchanged_secs: i64,
    /// When it was published, unix seconds.
    pub published_at: Option<UnixSecs>,
    /// Machine, process and release of the publisher.
    pub published_by: Option<String>,
    /// Number of customers including the delta; `None` when the delta touches more shards than may be read.
    pub customers: Option<u64>,
    /// Number of items including the delta; `None` likewise.
    pub items: Option<u64>,
    /// Number of customers in the shards, as the head says.
    pub customers_in_shards: u64,
    /// Number of items in the shards.
    pub items_in_shards: u64,
    /// The effect of the delta on the customers of the shards.
    pub delta_customers: Option<Effect>,
    /// The effect of the delta on the items.
    pub delta_items: Option<Effect>,
    /// Records of the origin that could not be used. The last usable state of each is published, if there is
    /// one.
    pub set_aside: u64,
    /// Revocations that are in force.
    pub revoked: usize,
    /// The denylist in the head.
    pub denylist: Denylist,
    /// Whether the signature was verified.
    pub signature: Signature,
}

impl HeadReport {
    /// Describes the head at the time `now`. At most `shards_max` of the shards that the delta touches are
    /// read, to count what it adds and removes.
    ///
    /// # Errors
    /// One of these shards cannot be read.
    pub fn new(published: &Published, key: Option<&Path>, now: UnixSecs, shards_max: usize) -> Result<Self> {
        let Head { format, seq, as_of, published_at, customers, items, .. } = *published.head();
        let Head { aud, published_by, denylist, .. } = published.head().clone();
        let effect = |tree| published.effect(tree, shards_max);
        let (delta_customers, delta_items) = (effect(Tree::Customers)?, effect(Tree::Items)?);
        Ok(Self {
            format,
            aud,
            seq,
            origin_seq: published.head().origin_seq(),
            as_of,
            as_of_iso: iso8601(as_of, 0),
            age_secs: now.saturating_sub(as_of),
            changed_at: published.head().changed_at(),
            unchanged_secs: now.saturating_sub(published.head().changed_at()),
            published_at,
            published_by,
            customers: delta_customers.map(|effect| effect.total(customers)),
            items: delta_items.map(|effect| effect.total(items)),
            customers_in_shards: customers,
            items_in_shards: items,
            delta_customers,
            delta_items,
            set_aside: published.head().set_aside.unwrap_or(0),
            revoked: denylist.in_force(now),
            denylist,
            signature: if key.is_some() { Signature::Verified } else { Signature::NotChecked },
        })
    }
}
