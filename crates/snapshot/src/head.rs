//! The head: the one mutable object, a compact JWS (EdDSA) in which the publisher names all other objects.
//!
//! ```text
//! head ─ verify_jws ─► Head ─ check(rules) ─ may_follow(current) ─► index, directory, delta are loaded
//! ```
//!
//! ```
//! use admit_snapshot::{
//!     head::{Head, HeadError, HeadRules},
//!     object::Digest,
//! };
//!
//! let head = Head::new(41, 1_900_000_000, Digest::of(b"the index"), Digest::of(b"the directory"));
//! let json = serde_json::to_string(&head)?; // the payload that the publisher signs
//! let read: Head = serde_json::from_str(&json)?;
//! assert_eq!(read, head);
//!
//! let rules = HeadRules { audience: None, min_seq: 40 };
//! assert_eq!(read.check(&rules), Ok(()));
//! // A head that was replaced does not come back.
//! let older = Head { seq: 40, ..head.clone() };
//! let refused = older.may_follow(Some(&head), 1_900_000_005, 300);
//! assert_eq!(refused, Err(HeadError::Older { seq: 40, current: 41 }));
//! # Ok::<(), serde_json::Error>(())
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    delta,
    denylist::{Denied, Denylist},
    directory::Directory,
    index::Index,
    object::{Digest, FORMAT_VERSION, Format, FormatError, ObjectKind, ObjectName},
    time::UnixSecs,
};
use crate::limits::HEAD_TEXT_MAX_BYTES;

/// `typ` of the head's JWS header. It keeps other tokens signed by the publisher's key from passing for a
/// head.
pub const HEAD_TYPE: &str = "admit-head";

/// The payload of the head.
///
/// It is parsed by way of `Value`, for which the Worker has a parser anyway; a derived reader for one more
/// struct would be more code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Head {
    /// Version of the byte format. No object that the head leads to has a later one.
    pub format: u8,
    /// The store that the head is for, so that an edge refuses the head of another store of the same
    /// publisher. `None` fits any store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// The version: the origin's count of committed changes, or a larger number. Never decreases.
    pub seq: u64,
    /// The origin's count of committed changes that the content reflects, if it differs from `seq`: after a
    /// rollback the content is older than its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_seq: Option<u64>,
    /// When the data was true at the origin, unix seconds. Renewing a head states the same of the same data
    /// at a later time.
    pub as_of: UnixSecs,
    /// When the data last changed, unix seconds, if it differs from `as_of`: the head has been renewed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<UnixSecs>,
    /// When the head was published, unix seconds by the publisher's clock. For people and for garbage
    /// collection; edges do not judge by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<UnixSecs>,
    /// Machine, process and release of the publisher, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_by: Option<String>,
    /// Name of the index.
    pub index: Digest,
    /// Name of the directory.
    pub directory: Digest,
    /// Name of the delta: the changes since the shards were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Digest>,
    /// Number of customers in the shards. The delta may add and remove some.
    pub customers: u64,
    /// Number of items in the shards. The delta may add and remove some.
    pub items: u64,
    /// Number of the origin's records that could not be used, for people. Their last good state is published
    /// where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<u64>,
    /// The latest head, up to this one, that took something away: an access, an item, a licence, or a token by the
    /// denylist. `None` counts as this one: earlier publishers do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_away: Option<TakenAway>,
    /// Revoked tokens, customers and issuers' keys.
    #[serde(skip_serializing_if = "Denylist::is_empty")]
    pub denylist: Denylist,
}

/// The head that took something away, by its order among the heads of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TakenAway {
    /// Its [`Head::seq`].
    pub seq: u64,
    /// Its [`Head::as_of`], unix seconds.
    pub as_of: UnixSecs,
}

/// What an edge requires of a head besides a valid signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadRules {
    /// The store that the head must be for. `None` accepts any store.
    pub audience: Option<String>,
    /// The least `seq` to accept. The configuration sets it, so write access to the store cannot lower it.
    pub min_seq: u64,
}

/// Whether `text` is a valid name of a store: 1 to 128 letters, digits and `._:/-`.
#[must_use]
pub fn is_audience(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    (1..=HEAD_TEXT_MAX_BYTES).contains(&text.len()) && text.bytes().all(is_known)
}

impl Head {
    /// A head without customers and items; the caller fills in the rest.
    #[must_use]
    pub fn new(seq: u64, as_of: UnixSecs, index: Digest, directory: Digest) -> Self {
        Self {
            format: FORMAT_VERSION,
            aud: None,
            seq,
            origin_seq: None,
            as_of,
            changed_at: None,
            published_at: None,
            published_by: None,
            index,
            directory,
            delta: None,
            customers: 0,
            items: 0,
            set_aside: None,
            taken_away: None,
            denylist: Denylist::default(),
        }
    }

    /// The origin's count of committed changes that the content reflects.
    #[must_use]
    pub fn origin_seq(&self) -> u64 {
        self.origin_seq.unwrap_or(self.seq)
    }

    /// When the data last changed at the origin, unix seconds, as far as the publisher knows.
    #[must_use]
    pub fn changed_at(&self) -> UnixSecs {
        self.changed_at.unwrap_or(self.as_of)
    }

    /// A head for the same data, true at the later moment `as_of`.
    #[must_use]
    pub fn renewed(&self, as_of: UnixSecs) -> Self {
        Self { as_of, changed_at: Some(self.changed_at()), ..self.clone() }
    }

    /// Whether both heads are about the same data, whatever their `as_of` and signature.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let said = |head: &Self| (head.seq, head.origin_seq(), head.index, head.directory, head.delta);
        said(self) == said(other)
    }

    /// Whether this head differs from `published` only by further revocations. It then needs no lease: it
    /// changes no data and takes no revocation back.
    #[must_use]
    pub fn only_revokes(&self, published: &Self, now: UnixSecs) -> bool {
        self.says_the_same(published)
            && self.aud == published.aud
            && self.denylist != published.denylist
            && self.denylist.has_all_of(&published.denylist, now)
    }

    /// Whether this head adds a revocation but was made from an older head than `newest`, which has been
    /// published in the meantime. It must then be made again.
    #[must_use]
    pub fn revokes_behind(&self, newest: &Self) -> bool {
        // `newest` would be replaced by an older or equal head that still brings a new revocation.
        let is_new = |entry: &Denied| !newest.denylist.entries().contains(entry);
        (self.seq, self.as_of) <= (newest.seq, newest.as_of)
            && self.aud == newest.aud
            && self.denylist.entries().iter().any(is_new)
    }

    /// The objects that the head names directly. Every check needs them.
    pub fn named(&self) -> impl Iterator<Item = ObjectName> + use<> {
        let delta = self.delta.map(|digest| (ObjectKind::Delta, digest));
        let named = [(ObjectKind::Index, self.index), (ObjectKind::Directory, self.directory)];
        named.into_iter().chain(delta).map(|(kind, digest)| ObjectName { kind, digest })
    }

    /// Checks that an edge with these rules may use this head.
    ///
    /// # Errors
    /// The head is for another store, or its `seq` is below the floor.
    pub fn check(&self, rules: &HeadRules) -> Result<(), HeadError> {
        if rules.audience.is_some() && self.aud != rules.audience {
            let (found, expected) = (self.aud.clone(), rules.audience.clone().unwrap_or_default());
            return Err(HeadError::OtherStore { found, expected });
        }
        if self.seq < rules.min_seq {
            return Err(HeadError::BelowFloor { seq: self.seq, floor: rules.min_seq });
        }
        Ok(())
    }

    /// Checks that this head may replace `current` at `now`. `skew_secs` is the tolerated difference between
    /// the clocks of publisher and edge.
    ///
    /// # Errors
    /// The head may not replace it: the current one stays.
    pub fn may_follow(&self, current: Option<&Self>, now: UnixSecs, skew_secs: i64) -> Result<(), HeadError> {
        if Format::of(self.format).is_none() {
            return Err(HeadError::Format(self.format));
        }
        if self.as_of > now.saturating_add(skew_secs) {
            return Err(HeadError::FromTheFuture);
        }
        match current {
            // An equal seq is allowed: a compaction publishes the same data in other objects, and a renewal
            // the same objects.
            Some(current) if (self.seq, self.as_of) < (current.seq, current.as_of) => {
                Err(HeadError::Older { seq: self.seq, current: current.seq })
            }
            _ => Ok(()),
        }
    }
}

impl TryFrom<Value> for Head {
    /// Name of the member that is missing or invalid.
    type Error = &'static str;

    fn try_from(head: Value) -> Result<Self, Self::Error> {
        let head = Members(&head);
        Ok(Self {
            format: head.required("format", |value| u8::try_from(value.as_u64()?).ok())?,
            aud: head.optional("aud", short_text)?,
            seq: head.required("seq", Value::as_u64)?,
            origin_seq: head.optional("origin_seq", Value::as_u64)?,
            as_of: head.required("as_of", Value::as_i64)?,
            changed_at: head.optional("changed_at", Value::as_i64)?,
            published_at: head.optional("published_at", Value::as_i64)?,
            published_by: head.optional("published_by", short_text)?,
            index: head.required("index", digest)?,
            directory: head.required("directory", digest)?,
            delta: head.optional("delta", digest)?,
            customers: head.required("customers", Value::as_u64)?,
            items: head.required("items", Value::as_u64)?,
            set_aside: head.optional("set_aside", Value::as_u64)?,
            taken_away: head.optional("taken_away", taken_away)?,
            denylist: head.optional("denylist", Denylist::parse)?.unwrap_or_default(),
        })
    }
}

/// Readers for the members of a JSON object.
struct Members<'a>(&'a Value);

impl Members<'_> {
    fn required<T>(&self, name: &'static str, read: impl Fn(&Value) -> Option<T>) -> Result<T, &'static str> {
        self.0.get(name).and_then(read).ok_or(name)
    }

    /// A member that may be absent; `null` counts as absent.
    fn optional<T>(
        &self,
        name: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, &'static str> {
        let present = self.0.get(name).filter(|value| !value.is_null());
        present.map(|value| read(value).ok_or(name)).transpose()
    }
}

fn short_text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| text.len() <= HEAD_TEXT_MAX_BYTES).map(str::to_owned)
}

fn taken_away(value: &Value) -> Option<TakenAway> {
    Some(TakenAway { seq: value.get("seq")?.as_u64()?, as_of: value.get("as_of")?.as_i64()? })
}

fn digest(value: &Value) -> Option<Digest> {
    Digest::parse(value.as_str()?)
}

/// Checks that an object that the head leads to can be decoded. Shards and pages are read in place when they
/// are used, so they always pass.
///
/// # Errors
/// The object is corrupt.
pub fn check_named(kind: ObjectKind, object: Vec<u8>) -> Result<(), FormatError> {
    match kind {
        ObjectKind::Index => Index::decode(object).map(drop),
        ObjectKind::Directory => Directory::decode(&object).map(drop),
        ObjectKind::Delta => delta::tables(&object).map(drop),
        ObjectKind::Shard | ObjectKind::Page => Ok(()),
    }
}

/// Why a head may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// An unknown version of the byte format.
    #[error("unknown format {0} of the snapshot, expected 1 to {FORMAT_VERSION}")]
    Format(u8),
    /// The head's data would be true only in the future.
    #[error("as_of lies in the future")]
    FromTheFuture,
    /// Older than the head in use: a stale read, or an attacker who replays an old head.
    #[error("seq {seq} is older than the current seq {current}")]
    Older {
        /// `seq` of the refused head.
        seq: u64,
        /// `seq` of the head in use.
        current: u64,
    },
    /// For another store: a head of the same publisher that was copied to this store.
    #[error("{}, but this is the store {expected:?} (SNAPSHOT_AUDIENCE)", found_store(.found.as_deref()))]
    OtherStore {
        /// The store that the head names, if it names one.
        found: Option<String>,
        /// The configured store.
        expected: String,
    },
    /// `seq` is below the configured floor.
    #[error("seq {seq} is below {floor} (SNAPSHOT_MIN_SEQ): an old head may have been put back")]
    BelowFloor {
        /// `seq` of the head.
        seq: u64,
        /// The least `seq` that the configuration accepts.
        floor: u64,
    },
    /// The value of the key `head` carries another delta than the head names.
    #[error("the delta beside the head is not the one that it names")]
    CarriedDelta,
}

fn found_store(aud: Option<&str>) -> String {
    match aud {
        Some(aud) => format!("aud: the head is for the store {aud:?}"),
        None => "aud: the head names no store".to_owned(),
    }
}

#[cfg(test)]
mod tests;
