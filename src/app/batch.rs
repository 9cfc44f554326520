//! Several questions of one viewer at once: which version answers them, and which of its denials the upstream confirms.

use uuid::Uuid;

use super::{
    Event, ServiceReason,
    answer::Attempt,
    library::HeadState,
    missing::Missing,
    read::{LookUps, Ruling, decide_each, published_customer},
};
use crate::{ports::Platform, token::Principal};

/// What memory answers to several questions of one viewer.
pub(super) struct Rulings {
    /// One for each item, in the order of the questions. All are of one version.
    pub each: Vec<Ruling>,
    /// How many of the upstream's changes that version reflects.
    pub seq: u64,
    /// Whether it is older than `SNAPSHOT_MAX_AGE_SECS`, so that its grants need the upstream's confirmation.
    pub is_stale: bool,
    /// Number and UUID of the customer, if they are published and needed: an access was granted through this edge a
    /// moment ago.
    pub published: Option<(i64, Uuid)>,
    /// Why nothing can be told, where [`each`](Self::each) tells nothing.
    pub reason: ServiceReason,
}

impl<P: Platform> Attempt<'_, P> {
    /// Decides for one viewer about each of `item_ids`, all by one version and at one moment. Where no version has every
    /// record, the newest one answers, and the questions that it cannot answer are [`Ruling::Unreadable`].
    ///
    /// # Errors
    /// With what memory lacks.
    pub fn rule(&self, principal: &Principal, item_ids: &[i64]) -> Result<Rulings, Missing<P::Verifier>> {
        let now = self.now();
        let snapshots = &mut *self.library.write();
        let mut rulings = Rulings {
            each: Vec::new(),
            seq: 0,
            is_stale: false,
            published: None,
            reason: ServiceReason::NoSnapshot,
        };
        match snapshots.head_state(now) {
            HeadState::Missing | HeadState::Expired => return Err(Missing::Head),
            HeadState::Unavailable => {
                rulings.each.resize(item_ids.len(), Ruling::Unreadable);
                return Ok(rulings);
            }
            HeadState::Fresh | HeadState::Stale => {}
        }
        rulings.is_stale = snapshots.is_stale(self.config.head_max_age_secs, now);
        rulings.reason = ServiceReason::Unreadable;
        let mut chosen = None;
        for version in snapshots.versions.all() {
            let objects = &mut snapshots.objects;
            let pass = decide_each(&mut LookUps::new(&version, &mut objects.cache), principal, item_ids, now);
            if let Some(error) = pass.corrupt {
                Event::Corrupt { seq: version.head.seq, error }.log(self.platform.log());
            }
            let is_unreadable = pass.missing.iter().any(|name| objects.is_unreadable(*name, now));
            // As for a single check, a version with an object that cannot be read leaves the answer to the one before.
            if pass.corrupt.is_none() && !is_unreadable {
                if !pass.missing.is_empty() {
                    return Err(Missing::Objects(pass.missing));
                }
                chosen = Some((version, pass));
                break;
            }
            chosen = chosen.or(Some((version, pass)));
        }
        let Some((version, pass)) = chosen else {
            rulings.each.resize(item_ids.len(), Ruling::Unreadable);
            return Ok(rulings);
        };
        let is_loadable = |name: &_| !snapshots.objects.is_unreadable(*name, now);
        let missing: Vec<_> = pass.missing.into_iter().filter(is_loadable).collect();
        if !missing.is_empty() {
            return Err(Missing::Objects(missing));
        }
        if self.upstream.has_recent_grants(self.now_ms) {
            rulings.published = published_customer(principal, &version, &mut snapshots.objects.cache);
        }
        Ok(Rulings { each: pass.rulings, seq: version.head.origin_seq(), ..rulings })
    }
}
