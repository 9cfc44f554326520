//! Publishes the content of an older version under a new `seq`.

use std::path::Path;

use admit_snapshot::head::Head;
use anyhow::{Context, Result, bail};

use crate::{
    head::{HeadSigner, SignedHead},
    progress::Progress,
    store::{Checked, NewHead, Store, garbage::revive, reach::reach},
};

/// The published head, and the head that replaces it: the content of version `to` under the next `seq`.
///
/// # Errors
/// The version is not kept, is not signed by `key`, or an object of it is missing.
pub fn prepare(store: &Store, to: u64, key: &Path) -> Result<(Head, Head)> {
    let jws = store.head()?.context("nothing is published yet: there is nothing to roll back")?;
    let current = SignedHead::read(&jws, Some(key))?.trusted("the published head")?;
    let Some(jws) = store.version(to)? else { return Err(no_version(store, to, current.seq)?) };
    let old = match SignedHead::read(&jws, Some(key))? {
        SignedHead::Verified(head) if head.seq == to => head,
        SignedHead::Verified(head) => bail!("the record of version {to} holds version {}", head.seq),
        SignedHead::Unverified(_) | SignedHead::OtherKey(_) => {
            bail!("version {to} is signed by another key than --key: publish that content again instead")
        }
        SignedHead::Broken(reason) => bail!("version {to} cannot be trusted: {reason}"),
    };
    let content = |head: &Head| (head.index, head.directory, head.delta);
    if content(&old) == content(&current) {
        bail!("the content of version {to} is already published, as seq {}", current.seq);
    }
    check(store, &old)
        .with_context(|| format!("version {to} is no longer complete, so nothing was changed"))?;
    let seq = current.seq.checked_add(1).context("the published seq is the largest possible one")?;
    let (origin_seq, published_at) = (Some(old.origin_seq()), Some(store.now()?));
    Ok((current, Head { seq, origin_seq, published_at, ..old }))
}

/// Publishes a prepared head, with the store's name and the revocations of the published one.
///
/// # Errors
/// The lease is lost, another publisher has published since, or the store does not answer or refuses.
pub fn publish(store: &Store, signer: &HeadSigner, current: &Head, head: &Head) -> Result<Head> {
    revive(store, &reach(store, head)?)?;
    let new = NewHead { head, follows: Some(current), takes_away: true, signer };
    store.keep_version(new)?;
    store.put_head(new)
}

/// Checks that every object that `head` reaches is stored and intact.
fn check(store: &Store, head: &Head) -> Result<()> {
    let names: Vec<_> = reach(store, head)?.into_iter().collect();
    let progress = Progress::of_objects(names.len());
    let checked = store.check(&names, &|count| (0..count).for_each(|_| progress.advance(0)));
    progress.finish();
    let Checked { missing, broken } = checked?;
    match (missing.first(), broken.first()) {
        (Some(name), _) => {
            bail!("{name} is missing; {} of {} objects are missing", missing.len(), names.len())
        }
        (_, Some(name)) => bail!("{name} is broken; {} of {} objects are", broken.len(), names.len()),
        (None, None) => Ok(()),
    }
}

fn no_version(store: &Store, to: u64, current: u64) -> Result<anyhow::Error> {
    let versions: Vec<_> = store.versions()?.iter().map(ToString::to_string).collect();
    let there_are = match versions.as_slice() {
        [] => "no version is kept".to_owned(),
        versions => format!("there are {}", versions.join(", ")),
    };
    Ok(anyhow::anyhow!("unknown version {to}: {there_are}. Published is seq {current}"))
}
