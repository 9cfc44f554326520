//! The keys of the store that a publisher may use. Other users of the namespace have keys of their own, which
//! publishers leave alone.
//!
//! ```
//! use admit_snapshot::store_key::StoreKey;
//!
//! assert_eq!(StoreKey::parse("version/41"), Some(StoreKey::Version(41)));
//! assert_eq!(StoreKey::Version(41).to_string(), "version/41");
//! assert_eq!(StoreKey::parse("version/041"), None, "a key has one spelling");
//! ```

use std::fmt;

use super::object::{HEAD_KEY, ObjectName};
use crate::limits::{
    GARBAGE_MAX_BYTES, HEAD_MAX_BYTES, HEAD_VALUE_MAX_BYTES, JWKS_MAX_BYTES, LEASE_MAX_BYTES,
    OBJECT_MAX_BYTES, PACK_MAX_BYTES,
};

/// Key of the [lease](super::lease).
pub const LEASE_KEY: &str = "lease";

/// Key of the list of unreferenced objects, with the time at which each was found.
pub const GARBAGE_KEY: &str = "garbage";

/// Key of the starting value: the index and the directory of the newest head in a [pack](super::pack), so that an
/// isolate that starts reads them beside the head and not after it. Each of them counts only if it has the digest that
/// the head names.
pub const START_KEY: &str = "start";

/// Prefix of the keys of versions.
pub const VERSION_PREFIX: &str = "version/";

/// A key of the store that publishers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreKey {
    /// `head`: the head in use.
    Head,
    /// `<kind>/<digest>`: an object.
    Object(ObjectName),
    /// `version/<seq>`: the head with which a base version was published.
    Version(u64),
    /// `lease`: the right to publish.
    Lease,
    /// `garbage`: the list of unreferenced objects.
    Garbage,
    /// `start`: the objects that an isolate starts with.
    Start,
}

impl StoreKey {
    /// Parses a key. Each key has one spelling: no leading zeros, no sign, no capitals.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        Some(match key {
            HEAD_KEY => Self::Head,
            LEASE_KEY => Self::Lease,
            GARBAGE_KEY => Self::Garbage,
            START_KEY => Self::Start,
            _ => match key.strip_prefix(VERSION_PREFIX) {
                Some(seq) => Self::Version(decimal(seq)?),
                None => Self::Object(ObjectName::parse(key)?),
            },
        })
    }
}

/// Longest value that is read under a key, in bytes. Other keys of the namespace hold cached JWKS documents
/// of issuers, with a MAC and a time.
#[must_use]
pub fn value_max_bytes(key: &str) -> usize {
    match StoreKey::parse(key) {
        Some(StoreKey::Head) => HEAD_VALUE_MAX_BYTES,
        Some(StoreKey::Version(_)) => HEAD_MAX_BYTES,
        Some(StoreKey::Lease) => LEASE_MAX_BYTES,
        Some(StoreKey::Garbage) => GARBAGE_MAX_BYTES,
        Some(StoreKey::Start) => PACK_MAX_BYTES,
        Some(StoreKey::Object(_)) => OBJECT_MAX_BYTES,
        None => JWKS_MAX_BYTES + 1024,
    }
}

/// How many bytes of a value a store copies: all, or one more than the limit, which shows the reader that the
/// value is too long. Anyone who can write to the namespace may leave 25 MiB under any key.
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
            Self::Start => formatter.write_str(START_KEY),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_copy_is_just_long_enough_to_show_the_excess() {
        let object = format!("shard/{}", "0a".repeat(32));
        for (key, limit) in [
            ("head", HEAD_VALUE_MAX_BYTES),
            ("version/7", HEAD_MAX_BYTES),
            ("lease", LEASE_MAX_BYTES),
            ("garbage", GARBAGE_MAX_BYTES),
            ("start", PACK_MAX_BYTES),
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
        for key in ["head", "lease", "garbage", "start", "version/0", "version/18446744073709551615", &object]
        {
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
            "start/",
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
