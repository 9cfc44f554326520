//! Which head may be published: one function, called by the Worker's publish route and by stores without a Worker.
//!
//! ```
//! use admit_snapshot::{
//!     head::{Head, HeadError},
//!     object::Digest,
//!     rules::{Refused, Stored},
//! };
//!
//! let published = Head::new(41, 1_900_000_000, Digest::of(b"the index"), Digest::of(b"the directory"));
//! let stored = Stored { newest: Some(&published), lease: None, holder: None, now: 1_900_000_005 };
//! assert_eq!(stored.may_be_replaced_by(&published.renewed(1_900_000_005)), Ok(()));
//!
//! let older = Head { seq: 40, ..published.clone() };
//! let refused = Refused::Head(HeadError::Older { seq: 40, current: 41 });
//! assert_eq!(stored.may_be_replaced_by(&older), Err(refused));
//! ```

use super::{
    head::{Head, HeadError},
    lease::Lease,
    limits::HEAD_SKEW_SECS,
    time::UnixSecs,
};

/// A store, at the moment at which a head arrives.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The newest published head. Only a head with a valid signature, for this store, counts: any other must not keep
    /// a good one out.
    pub newest: Option<&'a Head>,
    /// The lease, held or ended.
    pub lease: Option<&'a Lease>,
    /// The publisher that sends the head; `None` if it has taken no lease.
    pub holder: Option<&'a str>,
    /// The current time, unix seconds.
    pub now: UnixSecs,
}

/// Why a head may not be published.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<'a> {
    /// Another publisher holds the lease, and the head does more than revoke.
    LeaseHeld(&'a Lease),
    /// It adds a revocation, but to an older head than the published one. Made again from that one, it may be
    /// published beside the lease.
    RevokesBehind,
    /// It lacks a revocation that is in force.
    Forgets,
    /// It is older than the published head, from the future, or of an unknown format.
    Head(HeadError),
}

impl<'a> Stored<'a> {
    /// Whether `head`, whose signature and store are checked, may replace the published one. The objects that it names
    /// are not looked at.
    ///
    /// While another publisher holds the lease, a head may still add revocations and nothing else: they cannot wait for
    /// a publisher that follows an origin for months.
    ///
    /// # Errors
    /// It may not. The published head stays.
    pub fn may_be_replaced_by(&self, head: &Head) -> Result<(), Refused<'a>> {
        let Self { newest, lease, holder, now } = *self;
        if let Some(lease) = lease.filter(|lease| lease.excludes(holder, now)) {
            match newest {
                Some(newest) if head.only_revokes(newest, now) => {}
                Some(newest) if head.revokes_behind(newest) => return Err(Refused::RevokesBehind),
                _ => return Err(Refused::LeaseHeld(lease)),
            }
        }
        head.may_follow(newest, now, HEAD_SKEW_SECS).map_err(Refused::Head)?;
        // Also for the holder of the lease, which may not have seen revocations that were published beside the lease.
        match newest {
            Some(newest) if !head.denylist.has_all_of(&newest.denylist, now) => Err(Refused::Forgets),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
