//! Heads as they are stored: with the delta that they name beside them, if both fit into one value, and with the
//! starting value.
//!
//! A delta that a head carries is not an object of the store, so this module remembers the last ones and
//! [`Store::object`] finds them by their names: commands read a version without knowing in which form it is stored.

use std::sync::{Arc, MutexGuard, PoisonError};

use admit_snapshot::{
    head::Head,
    head_value::HeadValue,
    object::{Digest, ObjectKind, ObjectName, body},
    pack::{Pack, unpack},
    store_key::StoreKey,
    time::UnixSecs,
};
use anyhow::{Context, Result};

use super::{NewHead, Object, Shared, Store, backend::Backend, http::is_older, http::is_unknown_form, rules};

/// How many deltas are remembered: the published one, and the next.
const REMEMBERED: usize = 2;

/// How long a Worker that refused the joined form is not offered it again. It may be upgraded while a follower runs.
const APART_SECS: UnixSecs = 3_600;

/// What a run knows of the stored heads.
#[derive(Default)]
pub struct Heads {
    /// Deltas that heads carry, the latest last.
    carried: Vec<(ObjectName, Arc<[u8]>)>,
    /// The delta that the head had beside it that was read last.
    beside: Option<ObjectName>,
    /// Until when heads and deltas are stored apart.
    apart_until: Option<UnixSecs>,
    /// Index and directory in the starting value.
    start: Option<(Digest, Digest)>,
}

impl Heads {
    fn remember(&mut self, name: ObjectName, delta: Arc<[u8]>) {
        self.carried.retain(|(known, _)| *known != name);
        self.carried.push((name, delta));
        if self.carried.len() > REMEMBERED {
            self.carried.remove(0);
        }
    }
}

impl Store {
    /// The published head, if there is one.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn head(&self) -> Result<Option<String>> {
        self.0.stored_jws()?.map(|jws| text(StoreKey::Head, jws)).transpose()
    }

    /// The name of the delta that stood beside the head that was read last. It belongs to that head only if the head
    /// names it.
    pub fn beside_head(&self) -> Option<ObjectName> {
        self.0.heads().beside
    }

    /// Keeps a delta for the next head that names it, which carries it along. `false` if it is an object of its own: it
    /// is too long, or heads and deltas are stored apart.
    ///
    /// # Errors
    /// The machine's clock is set before 1970.
    pub fn carry(&self, (name, delta): &Object) -> Result<bool> {
        let is_carried = self.carries(*name, delta.len())?;
        if is_carried {
            self.0.heads().remember(*name, delta.as_slice().into());
        }
        Ok(is_carried)
    }

    /// Whether a head carries an object of this name and length along.
    ///
    /// # Errors
    /// The machine's clock is set before 1970.
    pub fn carries(&self, name: ObjectName, bytes: usize) -> Result<bool> {
        Ok(name.kind == ObjectKind::Delta && HeadValue::has_room_for(bytes) && !self.0.is_apart()?)
    }

    /// Stores heads and deltas apart from now on, as earlier releases did.
    pub fn keep_deltas_apart(&self) {
        self.0.heads().apart_until = Some(UnixSecs::MAX);
    }

    /// Publishes a head, and returns it as published. Every head that `admit` publishes passes through here,
    /// so that none of them loses a revocation.
    ///
    /// # Errors
    /// The lease is lost or held by another publisher, another head was published since, the head is older
    /// than the published one, an object that it names is missing, or the store does not answer or refuses.
    pub fn put_head(&self, new: NewHead<'_>) -> Result<Head> {
        let holder = self.0.holder()?;
        let _lock = self.0.backend.exclusive()?;
        new.follows.into_iter().for_each(|follows| new.signer.follows(follows));
        let mut refused: Option<(Head, anyhow::Error)> = None;
        loop {
            let now = self.now()?;
            let stored = rules::stored_head(&self.0, new.signer)?;
            let head = rules::next_head(new, stored.as_ref(), now);
            if let Some((_, error)) = refused.take_if(|(before, _)| *before == head) {
                return Err(error);
            }
            rules::check_head(&self.0, (new, &head), stored.as_ref(), holder.as_deref(), now)?;
            let jws = new.signer.sign(&head)?;
            match self.0.put_jws(&head, jws.as_bytes(), holder.as_deref()) {
                Ok(()) => {
                    new.signer.has_published(&head);
                    self.0.put_start(&head, holder.as_deref());
                    return Ok(head);
                }
                // Another revocation was published since `stored` was read: the next attempt includes it.
                Err(error) if is_older(&error) && refused.is_none() => refused = Some((head, error)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps the head of a version that is about to be published, so that it can be rolled back to. Its delta, if it has
    /// one, has to be an object: this head carries none.
    ///
    /// # Errors
    /// The lease is lost or held by another publisher, or the store does not answer or refuses.
    pub fn keep_version(&self, new: NewHead<'_>) -> Result<()> {
        new.follows.into_iter().for_each(|follows| new.signer.follows(follows));
        let stored = rules::stored_head(&self.0, new.signer)?;
        let head = rules::next_head(new, stored.as_ref(), self.now()?);
        self.0.put_as_holder(StoreKey::Version(head.seq), new.signer.sign(&head)?.as_bytes())
    }
}

impl Shared {
    fn heads(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The JWS of the stored head. The delta beside it is remembered by its own digest.
    pub(super) fn stored_jws(&self) -> Result<Option<Vec<u8>>> {
        let Some(stored) = self.backend.get(StoreKey::Head)? else { return Ok(None) };
        let value = HeadValue::split(&stored);
        // A text editor ends its last line, which makes no delta.
        let delta = value.delta.filter(|delta| !delta.trim_ascii().is_empty());
        let beside = delta.map(|delta| (ObjectName::of(ObjectKind::Delta, delta), delta));
        let mut heads = self.heads();
        heads.beside = beside.map(|(name, _)| name);
        if let Some((name, delta)) = beside.filter(|(_, delta)| body(ObjectKind::Delta, delta).is_ok()) {
            heads.remember(name, delta.into());
        }
        Ok(Some(value.jws.to_vec()))
    }

    /// A delta that a head carries, or is about to.
    pub(super) fn carried(&self, name: ObjectName) -> Option<Arc<[u8]>> {
        let heads = self.heads();
        heads.carried.iter().find(|(known, _)| *known == name).map(|(_, delta)| Arc::clone(delta))
    }

    fn is_apart(&self) -> Result<bool> {
        let until = self.heads().apart_until;
        Ok(match until {
            Some(until) => (self.clock)()? < until,
            None => false,
        })
    }

    /// Stores a signed head: with its delta in one value, if that is at hand and short enough; else alone, after the
    /// delta.
    fn put_jws(&self, head: &Head, jws: &[u8], holder: Option<&str>) -> Result<()> {
        let name = head.delta.map(|digest| ObjectName { kind: ObjectKind::Delta, digest });
        let Some((name, delta)) = name.and_then(|name| Some((name, self.carried(name)?))) else {
            return self.backend.put(StoreKey::Head, jws, holder);
        };
        let is_offered = HeadValue::has_room_for(delta.len()) && !self.is_apart()?;
        if is_offered {
            let value = HeadValue { jws, delta: Some(&delta) }.join();
            match self.backend.put(StoreKey::Head, &value, holder) {
                // It may be a Worker of an earlier release, which takes a head for a JWS and nothing else.
                Err(error) if self.backend.has_rules() && is_unknown_form(&error) => {}
                put => return put,
            }
        }
        self.backend.put_objects(&[(name, delta.to_vec())], holder)?;
        self.backend.put(StoreKey::Head, jws, holder)?;
        if is_offered {
            eprintln!(
                "warning: the Worker does not take head and delta in one value, so they are stored apart, which is slower: \
                 upgrade it to this release"
            );
            let until = (self.clock)()?.saturating_add(APART_SECS);
            self.heads().apart_until = Some(until);
        }
        Ok(())
    }

    /// Stores the starting value, if it is not the right one already. A Worker does that itself. Edges start without
    /// it as well, only later, so that a failure is told and no more.
    fn put_start(&self, head: &Head, holder: Option<&str>) {
        let named = (head.index, head.directory);
        if self.backend.has_rules() || self.heads().start == Some(named) {
            return;
        }
        match put_start(&*self.backend, named, holder) {
            Ok(()) => self.heads().start = Some(named),
            Err(error) => {
                eprintln!("warning: the starting value is not stored, so edges start later: {error:#}")
            }
        }
    }
}

fn put_start(
    backend: &dyn Backend,
    (index, directory): (Digest, Digest),
    holder: Option<&str>,
) -> Result<()> {
    let names = [
        ObjectName { kind: ObjectKind::Index, digest: index },
        ObjectName { kind: ObjectKind::Directory, digest: directory },
    ];
    if let Some(stored) = backend.get(StoreKey::Start)?
        && is_start_of(&stored, names)
    {
        return Ok(());
    }
    let mut start = Pack::default();
    for name in names {
        let object = backend.get(StoreKey::Object(name))?.with_context(|| format!("{name} is missing"))?;
        name.check(&object).with_context(|| name.to_string())?;
        if !start.push(&object) {
            // Longer than a starting value may be: edges read the objects.
            return Ok(());
        }
    }
    backend.put(StoreKey::Start, &start.into_bytes(), holder)
}

/// Whether a starting value has these objects.
pub fn is_start_of(start: &[u8], names: [ObjectName; 2]) -> bool {
    unpack(start).is_ok_and(|objects| objects.iter().map(|(name, _)| *name).eq(names))
}

pub(super) fn text(key: StoreKey, value: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(value).with_context(|| format!("the published {key} is not valid UTF-8"))?;
    Ok(text.trim().to_owned())
}
