//! Reads what the report of the published head needs.

use std::path::Path;

use admit_publish::published::Published;
use admit_snapshot::{
    denylist::Denylist,
    index::Tree,
    report::{HeadReport, Signature},
    time::UnixSecs,
};
use anyhow::Result;
use serde::Serialize;

/// The head, and the denylist in it.
#[derive(Debug, Serialize)]
pub struct HeadShown {
    /// The head.
    #[serde(flatten)]
    pub report: HeadReport,
    /// The denylist.
    pub denylist: Denylist,
}

/// Describes the head at the time `now`. At most `shards_max` of the shards that the delta touches are
/// read, to count what it adds and removes.
///
/// # Errors
/// One of these shards cannot be read.
pub fn describe(
    published: &Published,
    key: Option<&Path>,
    now: UnixSecs,
    shards_max: usize,
) -> Result<HeadShown> {
    let effect = |tree| published.effect(tree, shards_max);
    let effects = [effect(Tree::Customers)?, effect(Tree::Items)?];
    let signature = if key.is_some() { Signature::Verified } else { Signature::NotChecked };
    Ok(HeadShown {
        report: HeadReport::new(published.head(), effects, signature, now),
        denylist: published.head().denylist.clone(),
    })
}
