//! What a Worker enforces, enforced by the publisher itself where there is no Worker in between.

use admit::{
    limits::HEAD_SKEW_SECS,
    snapshot::{
        head::{Head, check_named},
        lease::Lease,
        store_key::StoreKey,
        time::UnixSecs,
    },
};
use anyhow::{Context, Result, bail};

use super::{NewHead, Shared, backend::Backend, lease::LeaseHeld};
use crate::head::{Published, published, published_by};

/// Whether `holder` may write at `now`.
///
/// # Errors
/// Somebody else holds the lease.
pub fn check_lease(lease: Option<&Lease>, holder: Option<&str>, now: UnixSecs) -> Result<()> {
    match lease.filter(|lease| lease.excludes(holder, now)) {
        Some(lease) => Err(LeaseHeld::new(lease, now).into()),
        None => Ok(()),
    }
}

/// Whether a head may be published at `now`: nobody has published since the work began, and, where no Worker
/// sees to it, nobody else holds the lease, the head may follow the published one, and what it names is there.
///
/// # Errors
/// It may not.
pub fn check_head(shared: &Shared, head: NewHead<'_>, holder: Option<&str>, now: UnixSecs) -> Result<()> {
    let backend = &*shared.backend;
    let stored = backend.get(StoreKey::Head)?;
    // A stored head that none of the keys signed must not keep a good one out, whatever seq it claims.
    let keys: Vec<_> = std::iter::once(head.key).chain(head.old_key).collect();
    let stored = stored.and_then(|jws| String::from_utf8(jws).ok());
    let stored = match stored.map(|jws| published_by(jws.trim(), &keys)).transpose()? {
        Some(Published::Verified(stored) | Published::Unverified(stored)) => Some(stored),
        Some(Published::OtherKey(_) | Published::Broken(_)) | None => None,
    };
    // KV may show an older one than was published: that tells nothing.
    let order = |head: &Head| (head.seq, head.as_of);
    let has_moved = stored.as_ref().zip(head.follows).is_some_and(|(it, was)| order(it) > order(was));
    if let Some(stored) = stored.as_ref().filter(|_| has_moved) {
        bail!(
            "another publisher was faster: seq {} is published by now. Nothing was changed; run it again",
            stored.seq
        );
    }
    if backend.has_rules() {
        return Ok(());
    }
    shared.check_lease(holder)?;
    let new = match published(head.jws, Some(head.key))? {
        Published::Verified(new) => new,
        _ => bail!("the new head is not signed by --key"),
    };
    new.may_follow(stored.as_ref(), now, HEAD_SKEW_SECS).context("the new head")?;
    check_complete(backend, &new, head.follows)
}

/// Whether what every check at the edge needs is there and can be decoded. The shards have been checked when
/// they were uploaded, and what the head before named already when that was published: who follows an origin
/// would read an index every two seconds, and Cloudflare's API counts calls.
fn check_complete(backend: &dyn Backend, head: &Head, follows: Option<&Head>) -> Result<()> {
    let known: Vec<_> = follows.into_iter().flat_map(Head::named).collect();
    for name in head.named().filter(|name| !known.contains(name)) {
        let object = backend.get(StoreKey::Object(name))?;
        let object =
            object.with_context(|| format!("{name} is named by the new head, but it is not there"))?;
        name.check(&object)
            .and_then(|()| check_named(name.kind, object))
            .with_context(|| name.to_string())?;
    }
    Ok(())
}
