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
    /// Revoked tokens, customers and issuers' keys.
    #[serde(skip_serializing_if = "Denylist::is_empty")]
    pub denylist: Denylist,
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
}

fn found_store(aud: Option<&str>) -> String {
    match aud {
        Some(aud) => format!("aud: the head is for the store {aud:?}"),
        None => "aud: the head names no store".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64, as_of: UnixSecs) -> Head {
        let digest = Digest([0; 32]);
        Head { customers: 1, items: 2, ..Head::new(seq, as_of, digest, digest) }
    }

    #[test]
    fn seq_never_falls() {
        let current = head(5, 100);
        assert_eq!(head(6, 90).may_follow(Some(&current), 200, 0), Ok(()));
        assert_eq!(head(5, 101).may_follow(Some(&current), 200, 0), Ok(()));
        let older = Err(HeadError::Older { seq: 5, current: 5 });
        assert_eq!(head(5, 99).may_follow(Some(&current), 200, 0), older);
        let older = Err(HeadError::Older { seq: 4, current: 5 });
        assert_eq!(head(4, 150).may_follow(Some(&current), 200, 0), older);
        assert_eq!(head(1, 150).may_follow(None, 200, 0), Ok(()));
    }

    #[test]
    fn a_head_from_the_future_or_of_another_format_is_refused() {
        assert_eq!(head(1, 300).may_follow(None, 200, 100), Ok(()));
        assert_eq!(head(1, 301).may_follow(None, 200, 100), Err(HeadError::FromTheFuture));
        for (format, expected) in
            [(0, Err(HeadError::Format(0))), (1, Ok(())), (2, Ok(())), (3, Err(HeadError::Format(3)))]
        {
            let other = Head { format, ..head(1, 1) };
            assert_eq!(other.may_follow(None, 200, 0), expected);
            assert_eq!(other.may_follow(Some(&head(1, 1)), 200, 0), expected, "a rollback across formats");
        }
    }

    /// Pins the JSON of published heads: a change here changes the format and needs a migration plan.
    #[test]
    fn json_is_pinned() {
        let zeros = "0".repeat(64);
        let json = format!(
            r#"{{"format":2,"seq":5,"as_of":100,"index":"{zeros}","directory":"{zeros}","customers":1,"items":2}}"#
        );
        assert_eq!(serde_json::to_string(&head(5, 100)).unwrap(), json);
        assert_eq!(serde_json::from_str::<Head>(&json).unwrap(), head(5, 100));
        assert!(serde_json::from_str::<Head>(&json.replace("000\"", "00x\"")).is_err());
        let rolled_back = Head { origin_seq: Some(3), published_at: Some(120), ..head(5, 100) };
        let more = json.replace(r#""as_of":100"#, r#""origin_seq":3,"as_of":100,"published_at":120"#);
        assert_eq!(serde_json::to_string(&rolled_back).unwrap(), more);
        assert_eq!(serde_json::from_str::<Head>(&more).unwrap(), rolled_back);
        assert_eq!((head(5, 100).origin_seq(), rolled_back.origin_seq()), (5, 3));
        let renewed = head(5, 100).renewed(160);
        let more = json.replace(r#""as_of":100"#, r#""as_of":160,"changed_at":100"#);
        assert_eq!(serde_json::to_string(&renewed).unwrap(), more);
        assert_eq!(serde_json::from_str::<Head>(&more).unwrap(), renewed);
    }

    #[test]
    fn a_head_of_another_store_or_below_the_floor_is_refused() {
        let of = |aud: Option<&str>| Head { aud: aud.map(str::to_owned), ..head(5, 100) };
        let rules =
            |audience: Option<&str>, min_seq| HeadRules { audience: audience.map(str::to_owned), min_seq };
        assert_eq!(of(None).check(&rules(None, 5)), Ok(()));
        assert_eq!(of(Some("staging")).check(&rules(None, 0)), Ok(()), "without the variable any is taken");
        assert_eq!(of(Some("production")).check(&rules(Some("production"), 0)), Ok(()));
        for found in [None, Some("staging"), Some("Production"), Some("")] {
            let error = of(found).check(&rules(Some("production"), 0)).unwrap_err();
            assert!(matches!(error, HeadError::OtherStore { .. }), "{error}");
            assert!(error.to_string().contains("\"production\" (SNAPSHOT_AUDIENCE)"), "{error}");
        }
        let floor = Err(HeadError::BelowFloor { seq: 5, floor: 6 });
        assert_eq!(of(None).check(&rules(None, 6)), floor);
    }

    #[test]
    fn a_store_has_a_plain_name() {
        for name in ["production", "eu-1.tv/prod:2", &"a".repeat(HEAD_TEXT_MAX_BYTES)] {
            assert!(is_audience(name), "{name}");
        }
        for name in ["", " ", "a b", "a\n", "\"", "ä", &"a".repeat(HEAD_TEXT_MAX_BYTES + 1)] {
            assert!(!is_audience(name), "{name}");
        }
    }

    #[test]
    fn a_renewed_head_says_the_same_later_and_since_when() {
        let first = head(5, 100);
        let renewed = first.renewed(160).renewed(220);
        assert_eq!((first.changed_at(), renewed.as_of, renewed.changed_at()), (100, 220, 100));
        assert!(renewed.says_the_same(&first) && !renewed.says_the_same(&head(6, 220)));
        assert_eq!(renewed.may_follow(Some(&first), 220, 0), Ok(()));
        let older = Err(HeadError::Older { seq: 5, current: 5 });
        assert_eq!(first.may_follow(Some(&renewed), 220, 0), older);
    }

    #[test]
    fn members_that_are_missing_or_wrong_are_named() {
        let json = serde_json::to_value(head(5, 100)).unwrap();
        let with = |name: &str, value: Value| {
            let mut changed = json.clone();
            changed[name] = value;
            Head::try_from(changed)
        };
        for name in ["format", "seq", "as_of", "index", "directory", "customers", "items"] {
            assert_eq!(with(name, Value::Null), Err(name));
            assert_eq!(with(name, "x".into()), Err(name));
            assert_eq!(with(name, 1.5.into()), Err(name));
        }
        assert_eq!(with("format", 256.into()), Err("format"));
        assert_eq!(with("seq", (-1).into()), Err("seq"));
        let set_aside = Head { set_aside: Some(3), ..head(5, 100) };
        assert_eq!(with("set_aside", 3.into()), Ok(set_aside));
        let named = Head { aud: Some("a".into()), ..head(5, 100) };
        assert_eq!(with("aud", "a".into()), Ok(named));
        for name in ["origin_seq", "changed_at", "published_at", "delta", "set_aside", "denylist"] {
            assert_eq!(with(name, Value::Null), Ok(head(5, 100)));
            assert_eq!(with(name, "x".into()), Err(name));
        }
        for name in ["aud", "published_by"] {
            assert_eq!(with(name, Value::Null), Ok(head(5, 100)));
            assert_eq!(with(name, 1.into()), Err(name));
            assert_eq!(with(name, "a".repeat(HEAD_TEXT_MAX_BYTES + 1).into()), Err(name));
        }
        assert_eq!(with("what", true.into()), Ok(head(5, 100)), "what a later version may say");
        assert_eq!(Head::try_from(Value::Null), Err("format"));
    }
}
