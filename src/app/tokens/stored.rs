//! Issuers' keys as they are kept in the store for isolates to come, so that an issuer that is down locks no viewer out.
//!
//! They are kept under a MAC by `JWKS_CACHE_SECRET`, and not at all without that secret: otherwise write access to the
//! store would be enough to add a key and mint tokens (docs/adr/0003).
//!
//! Layout: MAC (32) over everything else and the URL, the time of the fetch (i64), the document.

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};

use crate::{
    limits::JWKS_FRESH_SECS,
    snapshot::{object::Digest, time::UnixSecs},
    token::Secret,
};

const MAC_LEN: usize = 32;
const TIME_LEN: usize = 8;

/// A document from the store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredKeys {
    pub fetched_at: UnixSecs,
    pub document: Vec<u8>,
}

impl StoredKeys {
    /// Whether the document need not be fetched again.
    pub fn is_fresh(&self, now: UnixSecs) -> bool {
        (0..JWKS_FRESH_SECS).contains(&now.saturating_sub(self.fetched_at))
    }

    pub fn open(value: &[u8], url: &str, secret: &Secret) -> Option<Self> {
        let (mac, rest) = value.split_first_chunk::<MAC_LEN>()?;
        let (time, document) = rest.split_first_chunk::<TIME_LEN>()?;
        mac_of(secret, url, time, document)?.verify_slice(mac).ok()?;
        Some(Self { fetched_at: UnixSecs::from_le_bytes(*time), document: document.to_vec() })
    }

    pub fn seal(document: &[u8], fetched_at: UnixSecs, url: &str, secret: &Secret) -> Option<Vec<u8>> {
        let time = fetched_at.to_le_bytes();
        let mac = mac_of(secret, url, &time, document)?.finalize().into_bytes();
        Some([&<[u8; MAC_LEN]>::from(mac)[..], &time, document].concat())
    }
}

fn mac_of(secret: &Secret, url: &str, time: &[u8; TIME_LEN], document: &[u8]) -> Option<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_str().as_bytes()).ok()?;
    // The URL has no zero byte, so no two pairs of URL and document are the same bytes.
    Some(
        mac.chain_update(b"admit-jwks-v1\0")
            .chain_update(url)
            .chain_update([0])
            .chain_update(time)
            .chain_update(document),
    )
}

/// The store's key for the document of `url`.
pub(super) fn key(url: &str) -> String {
    format!("jwks/{}", Digest(Sha256::digest(url).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn only_what_the_secret_sealed_for_this_url_opens() {
        let sealed = StoredKeys::seal(b"{}", 1_000, "https://i.example/jwks", &secret("s")).unwrap();
        let expected = StoredKeys { fetched_at: 1_000, document: b"{}".to_vec() };
        assert_eq!(StoredKeys::open(&sealed, "https://i.example/jwks", &secret("s")), Some(expected));
        assert_eq!(StoredKeys::open(&sealed, "https://j.example/jwks", &secret("s")), None);
        assert_eq!(StoredKeys::open(&sealed, "https://i.example/jwks", &secret("t")), None);
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert_eq!(
                StoredKeys::open(&changed, "https://i.example/jwks", &secret("s")),
                None,
                "{position}"
            );
            assert_eq!(StoredKeys::open(&sealed[..position], "https://i.example/jwks", &secret("s")), None);
        }
    }

    #[test]
    fn freshness_has_two_ends() {
        let stored = StoredKeys { fetched_at: 1_000, document: Vec::new() };
        assert!(stored.is_fresh(1_000) && stored.is_fresh(1_599));
        assert!(!stored.is_fresh(1_600) && !stored.is_fresh(999));
    }
}
