//! Who may publish, as far as a store without compare-and-swap can say.

use super::Failed;
use crate::{
    api::{error::ApiError, reply::Reply},
    app::seconds,
    ports::{ObjectStore, Platform},
    snapshot::{
        lease::{Lease, LeaseError},
        store_key::LEASE_KEY,
    },
};

/// The lease in the store.
pub(super) struct Leases<'a, P: Platform> {
    pub platform: &'a P,
}

impl<P: Platform> Leases<'_, P> {
    /// Whether `holder` may change the published snapshot: no other publisher holds the stored `lease`.
    pub(super) fn check_holder(&self, lease: Option<&Lease>, holder: Option<&str>) -> Result<(), Reply> {
        match lease {
            Some(lease) if lease.excludes(holder, seconds(self.platform.now_ms())) => Err(held(lease)),
            _ => Ok(()),
        }
    }

    /// Whether a lease may be taken or renewed.
    pub(super) async fn check_lease(&self, json: &[u8]) -> Result<(), Reply> {
        let lease =
            Lease::parse(json).map_err(|error| Reply::detailed(ApiError::NOT_A_LEASE, &error.to_string()))?;
        lease
            .check(seconds(self.platform.now_ms()))
            .map_err(|error: LeaseError| Reply::error(ApiError::LEASE_END, error.to_string()))?;
        self.check_holder(self.stored_lease().await?.as_ref(), Some(&lease.holder))
    }

    /// Whether `holder` may end the stored lease. `false` for another publisher's lease that has ended: that publisher
    /// may be renewing it at this moment, and an ended lease excludes no publisher.
    pub(super) async fn may_release(&self, holder: Option<&str>) -> Result<bool, Reply> {
        match self.stored_lease().await? {
            Some(lease) if lease.excludes(holder, seconds(self.platform.now_ms())) => Err(held(&lease)),
            Some(lease) => Ok(holder == Some(lease.holder.as_str())),
            None => Ok(true),
        }
    }

    /// The stored lease. An invalid value excludes no publisher: write access to the store must not be enough to stop
    /// publishing.
    pub(super) async fn stored_lease(&self) -> Result<Option<Lease>, Failed> {
        let stored = self.platform.store().get_recent(LEASE_KEY).await?;
        Ok(stored.and_then(|json| Lease::parse(&json).ok()))
    }
}

pub(super) fn held(lease: &Lease) -> Reply {
    let Lease { host, until, .. } = lease;
    Reply::detailed(ApiError::LeaseHeld, &format!("{host}, until {until}. Try again then"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LEASE_MAX_SECS;

    #[test]
    fn the_limit_in_the_message_is_that_of_leases() {
        assert!(ApiError::LEASE_END.message().contains(&format!("within {LEASE_MAX_SECS} s")));
    }
}
