//! The keys that a publisher may use. Others share the namespace, and are none of its business.

use std::fmt;

use super::object::{HEAD_KEY, ObjectName};
use crate::limits::{GARBAGE_MAX_BYTES, HEAD_MAX_BYTES, JWKS_MAX_BYTES, LEASE_MAX_BYTES, OBJECT_MAX_BYTES};

/// Key of the [lease](super::lease).
pub const LEASE_KEY: &str = "lease";

/// Key of what was found unreferenced, and when.
pub const GARBAGE_KEY: &str = "garbage";

/// What the keys of versions begin with.
pub const VERSION_PREFIX: &str = "version/";

/// A key of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreKey {
    /// `head`
    Head,
    /// `<kind>/<digest>`
    Object(ObjectName),
    /// `version/<seq>`: the head by which a base was published.
    Version(u64),
    /// `lease`: who may publish.
    Lease,
    /// `garbage`: what was found unreferenced.
    Garbage,
}

impl StoreKey {
    /// The key as it is written. Nothing has two spellings: no leading zeros, no sign, no capitals.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        Some(match key {
            HEAD_KEY => Self::Head,
            LEASE_KEY => Self::Lease,
            GARBAGE_KEY => Self::Garbage,
            _ => match key.strip_prefix(VERSION_PREFIX) {
                Some(seq) => Self::Version(decimal(seq)?),
                None => Self::Object(ObjectName::parse(key)?),
            },
        })
    }
}

/// The longest value of a key that is read, in bytes. Keys of others in the same namespace are cached keys of issuers,
/// under a MAC and with a time.
#[must_use]
pub fn value_max_bytes(key: &str) -> usize {
    match StoreKey::parse(key) {
        Some(StoreKey::Head | StoreKey::Version(_)) => HEAD_MAX_BYTES,
        Some(StoreKey::Lease) => LEASE_MAX_BYTES,
        Some(StoreKey::Garbage) => GARBAGE_MAX_BYTES,
        Some(StoreKey::Object(_)) => OBJECT_MAX_BYTES,
        None => JWKS_MAX_BYTES + 1024,
    }
}

/// How much of a value of `length` bytes a store copies: all of it, or so much that whoever reads it sees that it is
/// too long. Anybody who can write to the namespace may leave 25 MiB under any key.
#[must_use]
pub fn copied_bytes(key: &str, length: usize) -> usize {
    length.min(value_max_bytes(key) + 1)
}

fn decimal(digits: &str) -> Option<u64> {
    let is_plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

impl fmt::Display for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => formatter.write_str(HEAD_KEY),
            Self::Object(name) => fmt::Display::fmt(name, formatter),
            Self::Version(seq) => write!(formatter, "{VERSION_PREFIX}{seq}"),
            Self::Lease => formatter.write_str(LEASE_KEY),
            Self::Garbage => formatter.write_str(GARBAGE_KEY),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_more_is_copied_than_shows_that_a_value_is_too_long() {
        let object = format!("shard/{}", "0a".repeat(32));
        for (key, limit) in [
            ("head", HEAD_MAX_BYTES),
            ("version/7", HEAD_MAX_BYTES),
            ("lease", LEASE_MAX_BYTES),
            ("garbage", GARBAGE_MAX_BYTES),
            (object.as_str(), OBJECT_MAX_BYTES),
            ("jwks/1", JWKS_MAX_BYTES + 1024),
            ("shard/x", JWKS_MAX_BYTES + 1024),
        ] {
            let copied = [0, limit, limit + 1, limit + 2, 25 << 20, usize::MAX]
                .map(|length| copied_bytes(key, length));
            assert_eq!(copied, [0, limit, limit + 1, limit + 1, limit + 1, limit + 1], "{key}");
        }
    }

    #[test]
    fn keys_have_one_spelling() {
        let object = format!("delta/{}", "0a".repeat(32));
        for key in ["head", "lease", "garbage", "version/0", "version/18446744073709551615", &object] {
            assert_eq!(StoreKey::parse(key).unwrap().to_string(), key);
        }
        for key in [
            "",
            "Head",
            "head/",
            "version",
            "version/",
            "version/00",
            "version/07",
            "version/+7",
            "version/-1",
            "version/7/",
            "version/18446744073709551616",
            "version/٣",
            "versions/7",
            "jwks/7",
            "lease/x",
            "garbage ",
            "shard/7",
        ] {
            assert_eq!(StoreKey::parse(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), seq in any::<u64>()) {
            let _ = StoreKey::parse(&text);
            let _ = StoreKey::parse(&format!("{VERSION_PREFIX}{text}"));
            prop_assert_eq!(StoreKey::parse(&StoreKey::Version(seq).to_string()), Some(StoreKey::Version(seq)));
        }
    }
}
