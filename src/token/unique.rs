//! JSON objects in which no member may occur twice. Parsers disagree on which of two counts, and a token must
//! not mean one thing here and another thing elsewhere (RFC 7515 §4, RFC 7519 §4).

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// The claims that jwt-compact does not read itself, all but `exp`, `nbf` and `iat`.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimSet(pub Map<String, Value>);

/// The claim `iss`: text, if it is there.
pub(super) struct IssuerClaim(pub Option<String>);

/// The header members that jwt-compact does not read itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeaderExtensions {
    /// Whether there is a `crit` (RFC 7515 §4.1.11) or a `b64` (RFC 7797). This service understands no
    /// extension, so that any `crit` is to be refused, even an empty or malformed one.
    pub unsupported: bool,
}

impl<'de> Deserialize<'de> for ClaimSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Claims;

        impl<'de> Visitor<'de> for Claims {
            type Value = ClaimSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClaimSet, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(Error::custom("duplicate claim"));
                    }
                }
                Ok(ClaimSet(claims))
            }
        }

        deserializer.deserialize_map(Claims)
    }
}

impl<'de> Deserialize<'de> for IssuerClaim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Claims;

        impl<'de> Visitor<'de> for Claims {
            type Value = IssuerClaim;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IssuerClaim, A::Error> {
                let mut issuer = None;
                while let Some(name) = map.next_key::<String>()? {
                    if name != "iss" {
                        map.next_value::<IgnoredAny>()?;
                    } else if issuer.replace(map.next_value()?).is_some() {
                        return Err(Error::custom("duplicate claim"));
                    }
                }
                Ok(IssuerClaim(issuer))
            }
        }

        deserializer.deserialize_map(Claims)
    }
}

impl<'de> Deserialize<'de> for HeaderExtensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = HeaderExtensions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("header members")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderExtensions, A::Error> {
                let mut names = BTreeSet::new();
                let mut extensions = HeaderExtensions::default();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    extensions.unsupported |= matches!(name.as_str(), "crit" | "b64");
                    if !names.insert(name) {
                        return Err(Error::custom("duplicate header member"));
                    }
                }
                Ok(extensions)
            }
        }

        deserializer.deserialize_map(Members)
    }
}
