//! The denylist: tokens, customers and issuers' keys that are revoked, although their signatures are valid.
//!
//! It is a member of the [head](super::head). The publisher's signature therefore covers it, one write
//! publishes it, and every isolate has it with the head that it answers from. `admit revoke` adds entries;
//! every later head carries them over until they end (docs/adr/0024).
//!
//! ```
//! use admit_snapshot::{
//!     denylist::{Denied, Denylist, Presented, Target},
//!     key::EntryKey,
//! };
//!
//! let mut denylist = Denylist::default();
//! let target = Target::TokenId("stolen".to_owned());
//! denylist.add(Denied { target, since: 100, until: 900, is_lifted: false, reason: "lost phone".to_owned() });
//!
//! let token = Presented {
//!     signed: "header.payload",
//!     token_id: Some("stolen"),
//!     customer: EntryKey::customer("shop", "42"),
//!     issued_at: Some(50),
//!     issuer: "https://issuer.example",
//!     kid: None,
//! };
//! assert!(denylist.refuses(&token, 500).is_some());
//! assert!(denylist.refuses(&token, 900).is_none(), "the revocation has ended");
//! assert!(denylist.refuses(&Presented { token_id: None, ..token }, 500).is_none());
//! ```

use std::{cell::LazyCell, fmt};

use serde::{Serialize, Serializer, ser::SerializeSeq as _};
use serde_json::{Map, Value, json};

use super::{key::EntryKey, object::Digest, time::UnixSecs};
use crate::limits::{DENIED_TEXT_MAX_BYTES, DENYLIST_GRACE_SECS};

/// The revocations, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denylist {
    entries: Vec<Denied>,
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The tokens that are refused.
    pub target: Target,
    /// When the target was revoked, or the revocation lifted: unix seconds by the publisher's clock. The later of
    /// two entries for one target counts.
    pub since: UnixSecs,
    /// When the entry ends, unix seconds.
    pub until: UnixSecs,
    /// Whether the revocation is taken back. The lifted entry stays until its end; otherwise a publisher that
    /// has not seen it could bring the revocation back.
    pub is_lifted: bool,
    /// The operator's reason, for people. May be empty.
    pub reason: String,
}

/// Which tokens an entry refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Tokens with this `jti`, whatever their issuer.
    TokenId(String),
    /// The token whose signed part (header, dot, payload) has this SHA-256. The signature is excluded: an
    /// ECDSA signature can be changed into another valid one without the key.
    Token(Digest),
    /// Tokens of this customer that were issued (`iat`) no later than [`Denied::since`], and those without
    /// `iat`.
    Customer(EntryKey),
    /// Tokens signed by this key of an issuer.
    IssuerKey {
        /// `iss` of the tokens.
        issuer: String,
        /// Name of the key.
        kid: String,
    },
}

/// The parts of a verified token that the denylist looks at.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Header and payload with the dot between them, as they were signed.
    pub signed: &'a str,
    /// `jti` of the token.
    pub token_id: Option<&'a str>,
    /// Key of the customer: namespace and subject.
    pub customer: EntryKey,
    /// `iat` in unix seconds.
    pub issued_at: Option<UnixSecs>,
    /// `iss` as the configuration spells it.
    pub issuer: &'a str,
    /// Name of the key that verified the signature.
    pub kid: Option<&'a str>,
}

impl Denylist {
    /// All entries, including lifted ones.
    #[must_use]
    pub fn entries(&self) -> &[Denied] {
        &self.entries
    }

    /// Whether the list has no entries, not even lifted ones.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of entries that refuse tokens at `now`.
    #[must_use]
    pub fn in_force(&self, now: UnixSecs) -> usize {
        self.entries.iter().filter(|entry| entry.is_in_force(now)).count()
    }

    /// The entry that refuses the token at `now`, if there is one.
    #[must_use]
    pub fn refuses(&self, token: &Presented<'_>, now: UnixSecs) -> Option<&Denied> {
        self.refuses_by(token, now, || Digest::of(token.signed.as_bytes()))
    }

    /// As [`Self::refuses`], with a function for the token's digest. It is called at most once, and only if
    /// an entry needs the digest: a token has some kilobytes, a denylist hundreds of entries.
    fn refuses_by(
        &self,
        token: &Presented<'_>,
        now: UnixSecs,
        digest: impl FnOnce() -> Digest,
    ) -> Option<&Denied> {
        let digest = LazyCell::new(digest);
        self.entries
            .iter()
            .find(|entry| entry.is_in_force(now) && entry.target.is(token, entry.since, || *digest))
    }

    /// Adds an entry. The later of two entries for one target stays; if both are from the same moment, the
    /// one that revokes. It stays until both have ended: otherwise a publisher that knows only the longer entry would
    /// bring that one back.
    pub fn add(&mut self, entry: Denied) {
        // The reason only breaks ties, so that all publishers end up with the same list.
        let rank = |entry: &Denied| (entry.since, !entry.is_lifted, entry.reason.clone());
        match self.entries.iter_mut().find(|known| known.target == entry.target) {
            Some(known) => {
                // The longer end counts, whichever entry wins.
                let until = known.until.max(entry.until);
                if rank(known) < rank(&entry) {
                    *known = entry;
                }
                known.until = until;
            }
            None => self.entries.push(entry),
        }
    }

    /// Adds the entries of another denylist, and drops those that ended more than [`DENYLIST_GRACE_SECS`]
    /// before `now`.
    pub fn merge(&mut self, other: &Self, now: UnixSecs) {
        other.entries.iter().for_each(|entry| self.add(entry.clone()));
        self.entries.retain(|entry| now < entry.until.saturating_add(DENYLIST_GRACE_SECS));
    }

    /// Whether this list has every entry of `other` that is in force at `now`, or a later one for the same
    /// target.
    #[must_use]
    pub fn has_all_of(&self, other: &Self, now: UnixSecs) -> bool {
        let mut merged = self.clone();
        merged.merge(other, now);
        // If merging changed an entry that is in force, `other` had something new.
        let known = |entry: &Denied| !entry.is_in_force(now) || self.entries.contains(entry);
        merged.entries.iter().all(known)
    }

    /// Reads the head's member `denylist`. Unknown kinds of entries are skipped, so that later releases may
    /// add some. `None` if an entry is invalid.
    #[must_use]
    pub fn parse(value: &Value) -> Option<Self> {
        let mut denylist = Self::default();
        for entry in value.as_array()? {
            let entry = entry.as_object()?;
            if let Some(target) = Target::parse(entry)? {
                let moment = |name: &str| entry.get(name).and_then(Value::as_i64);
                denylist.add(Denied {
                    target,
                    since: moment("since")?,
                    until: moment("until")?,
                    is_lifted: entry.get("lifted").and_then(Value::as_bool).unwrap_or(false),
                    reason: entry.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned(),
                });
            }
        }
        Some(denylist)
    }
}

impl Denied {
    /// Whether the entry refuses tokens at `now`.
    #[must_use]
    pub const fn is_in_force(&self, now: UnixSecs) -> bool {
        !self.is_lifted && now < self.until
    }

    fn to_json(&self) -> Value {
        let mut entry = match &self.target {
            Target::TokenId(jti) => json!({ "jti": jti }),
            Target::Token(digest) => json!({ "token": digest.to_string() }),
            Target::Customer(key) => json!({ "customer": key_digits(*key) }),
            Target::IssuerKey { issuer, kid } => json!({ "issuer": issuer, "kid": kid }),
        };
        if let Some(members) = entry.as_object_mut() {
            members.insert("since".to_owned(), self.since.into());
            members.insert("until".to_owned(), self.until.into());
            if self.is_lifted {
                members.insert("lifted".to_owned(), true.into());
            }
            if !self.reason.is_empty() {
                members.insert("reason".to_owned(), self.reason.as_str().into());
            }
        }
        entry
    }
}

impl Target {
    /// `Some(None)` stands for an entry of an unknown kind, `None` for an invalid entry.
    fn parse(entry: &Map<String, Value>) -> Option<Option<Self>> {
        let text = |value: &Value| value.as_str().filter(|text| is_text(text)).map(str::to_owned);
        Some(Some(if let Some(jti) = entry.get("jti") {
            Self::TokenId(text(jti)?)
        } else if let Some(token) = entry.get("token") {
            Self::Token(Digest::parse(token.as_str()?)?)
        } else if let Some(customer) = entry.get("customer") {
            Self::Customer(read_key(customer.as_str()?)?)
        } else if let Some((issuer, kid)) = entry.get("issuer").zip(entry.get("kid")) {
            Self::IssuerKey { issuer: text(issuer)?, kid: text(kid)? }
        } else {
            return Some(None);
        }))
    }

    fn is(&self, token: &Presented<'_>, since: UnixSecs, digest: impl FnOnce() -> Digest) -> bool {
        match self {
            Self::TokenId(jti) => token.token_id == Some(jti),
            Self::Token(denied) => *denied == digest(),
            Self::Customer(key) => {
                *key == token.customer && token.issued_at.is_none_or(|issued_at| issued_at <= since)
            }
            Self::IssuerKey { issuer, kid } => token.issuer == issuer && token.kid == Some(kid),
        }
    }
}

/// For people and log lines. A customer is shown by their key in the snapshot.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenId(jti) => write!(formatter, "jti {jti:?}"),
            Self::Token(digest) => write!(formatter, "token with SHA-256 {digest}"),
            Self::Customer(key) => write!(formatter, "customer {}", key_digits(*key)),
            Self::IssuerKey { issuer, kid } => write!(formatter, "key {kid:?} of {issuer}"),
        }
    }
}

impl Serialize for Denylist {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.entries.len()))?;
        self.entries.iter().try_for_each(|entry| list.serialize_element(&entry.to_json()))?;
        list.end()
    }
}

/// Whether a `jti`, an issuer, a `kid` or a reason is short enough for an entry.
#[must_use]
pub const fn is_text(text: &str) -> bool {
    text.len() <= DENIED_TEXT_MAX_BYTES
}

fn key_digits(key: EntryKey) -> String {
    format!("{:032x}", u128::from_be_bytes(key.0))
}

fn read_key(digits: &str) -> Option<EntryKey> {
    // `from_str_radix` alone would also accept a sign.
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = u128::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    Some(EntryKey(key.to_be_bytes()))
}

#[cfg(test)]
mod tests;
