//! The rules that a Worker enforces, for stores without a Worker in between.

use admit_snapshot::{
    head::{Head, TakenAway, check_named},
    lease::Lease,
    rules::{Refused, Stored},
    store_key::StoreKey,
    time::UnixSecs,
};
use anyhow::{Context, Result, anyhow};

use super::{NewHead, Shared, lease::LeaseHeld};
use crate::head::{HeadSigner, SignedHead};

/// Checks that `holder` may write at `now`.
///
/// # Errors
/// Another publisher holds the lease.
pub fn check_lease(lease: Option<&Lease>, holder: Option<&str>, now: UnixSecs) -> Result<()> {
    match lease.filter(|lease| lease.excludes(holder, now)) {
        Some(lease) => Err(LeaseHeld::new(lease, now).into()),
        None => Ok(()),
    }
}

/// The stored head, if one of the signer's keys has signed it for this store. Any other head is ignored, so
/// that it cannot keep a good one out, whatever seq it claims.
///
/// # Errors
/// The key cannot be read, or the store does not answer or refuses.
pub fn stored_head(shared: &Shared, signer: &HeadSigner) -> Result<Option<Head>> {
    let Some(jws) = shared.stored_jws()?.and_then(|jws| String::from_utf8(jws).ok()) else { return Ok(None) };
    Ok(match SignedHead::read_by(jws.trim(), &signer.trusted())? {
        SignedHead::Verified(head) => Some(head).filter(|head| !signer.is_foreign(head)),
        SignedHead::Unverified(_) | SignedHead::OtherKey(_) | SignedHead::Broken(_) => None,
    })
}

/// The head to publish over the stored one.
pub fn next_head(new: NewHead<'_>, stored: Option<&Head>, now: UnixSecs) -> Head {
    let mut head = new.signer.completed(new.head, (new.follows, stored), now);
    // `admit revoke` has published the same data since, with a slightly later time.
    let changed = stored.filter(|stored| has_moved(stored, new.follows) && is_same_data(stored, new.follows));
    if let Some(stored) = changed.filter(|stored| stored.seq == head.seq) {
        head.as_of = head.as_of.max(stored.as_of.saturating_add(1));
    }
    head.taken_away = Some(taken_away(new, &head, stored));
    head
}

/// The latest head that took something away when `head` follows the stored one. Where that is unknown, `head` itself.
fn taken_away(new: NewHead<'_>, head: &Head, stored: Option<&Head>) -> TakenAway {
    let own = TakenAway { seq: head.seq, as_of: head.as_of };
    let Some(stored) = stored else { return own };
    let known = stored.denylist.entries();
    let revokes = head.denylist.entries().iter().any(|entry| !entry.is_lifted && !known.contains(entry));
    // The comparison of the data is with `follows`, and says nothing about data that were published instead.
    let is_compared = is_same_data(stored, new.follows);
    match stored.taken_away {
        Some(before) if is_compared && !new.takes_away && !revokes => before,
        _ => own,
    }
}

fn has_moved(stored: &Head, follows: Option<&Head>) -> bool {
    let order = |head: &Head| (head.seq, head.as_of);
    // KV may show an older head than the published one, which proves nothing.
    follows.is_some_and(|follows| order(stored) > order(follows))
}

fn is_same_data(stored: &Head, follows: Option<&Head>) -> bool {
    follows.is_some_and(|follows| stored.says_the_same(follows))
}

/// Checks that a head may be published at `now`: no other data was published since the work began. Where no
/// Worker checks it, also: no other publisher holds the lease, the head may follow the published one, and the
/// objects that it names are stored.
///
/// # Errors
/// It may not be published.
pub fn check_head(
    shared: &Shared,
    (new, head): (NewHead<'_>, &Head),
    stored: Option<&Head>,
    holder: Option<&str>,
    now: UnixSecs,
) -> Result<()> {
    let moved = stored.filter(|stored| has_moved(stored, new.follows) && !is_same_data(stored, new.follows));
    if let Some(stored) = moved {
        return Err(Faster { seq: stored.seq }.into());
    }
    if shared.backend.has_rules() {
        return Ok(());
    }
    let lease = shared.lease()?;
    let at = Stored { newest: stored, lease: lease.as_ref(), holder, now };
    at.may_be_replaced_by(head).map_err(|refused| match refused {
        Refused::LeaseHeld(lease) => LeaseHeld::new(lease, now).into(),
        Refused::Head(error) => anyhow::Error::new(error).context("the new head"),
        Refused::RevokesBehind | Refused::Forgets => {
            anyhow!("the published head has other revocations than the new one; run it again")
        }
    })?;
    check_complete(shared, head, new.follows)
}

/// Another publisher has published since the work began.
#[derive(Debug, thiserror::Error)]
#[error("another publisher was faster: seq {seq} is published now. Nothing was changed; run it again")]
pub struct Faster {
    seq: u64,
}

/// Checks that the objects that every check needs are stored and can be decoded. Shards were checked when
/// they were uploaded, and objects that the previous head names when that was published: a follower would
/// otherwise read an index every two seconds, and Cloudflare's API counts calls.
fn check_complete(shared: &Shared, head: &Head, follows: Option<&Head>) -> Result<()> {
    let known: Vec<_> = follows.into_iter().flat_map(Head::named).collect();
    for name in head.named().filter(|name| !known.contains(name)) {
        let object = match shared.carried(name) {
            Some(delta) => Some(delta.to_vec()),
            None => shared.backend.get(StoreKey::Object(name))?,
        };
        let object = object.with_context(|| format!("{name} is missing, although the new head names it"))?;
        name.check(&object)
            .and_then(|()| check_named(name.kind, object))
            .with_context(|| name.to_string())?;
    }
    Ok(())
}
