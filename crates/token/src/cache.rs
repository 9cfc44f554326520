//! Verified tokens, remembered so that a player that polls costs a single signature check.

use std::{
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
};

use lru::LruCache;
use siphasher::sip::SipHasher13;

use super::principal::VerifiedToken;
use crate::{
    limits::{VERIFIED_MAX_BYTES, VERIFIED_MAX_TOKENS, VERIFIED_OVERHEAD_BYTES},
    ports::Entropy,
};

/// Hashes tokens with SipHash under a secret key, so that clients cannot construct tokens that collide. The
/// key is drawn at first use, because Workers has no random numbers outside a request.
#[derive(Default)]
pub(super) struct Fingerprinter(Option<SipHasher13>);

impl Fingerprinter {
    pub fn of(&mut self, token: &str, entropy: &dyn Entropy) -> u64 {
        self.0.get_or_insert_with(|| SipHasher13::new_with_key(&entropy.random())).hash(token.as_bytes())
    }
}

/// A hasher that passes fingerprints through: they are uniformly distributed already.
#[derive(Default)]
struct Uniform(u64);

impl Hasher for Uniform {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is called for a `u64`. This fallback keeps the hasher correct for other types.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

struct Entry {
    token: Box<str>,
    verified: Rc<VerifiedToken>,
}

impl Entry {
    fn size_bytes(&self) -> usize {
        // A principal's strings are parts of the token, so together they are never longer than the token.
        2 * self.token.len() + VERIFIED_OVERHEAD_BYTES
    }
}

/// The most recently used verified tokens, bounded by [`VERIFIED_MAX_TOKENS`] and [`VERIFIED_MAX_BYTES`].
pub(super) struct VerifiedTokens {
    tokens: LruCache<u64, Entry, BuildHasherDefault<Uniform>>,
    size_bytes: usize,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self { tokens: LruCache::unbounded_with_hasher(BuildHasherDefault::default()), size_bytes: 0 }
    }
}

impl VerifiedTokens {
    /// The content of `token`, if it was verified before. The caller must check its times again.
    pub fn get(&mut self, fingerprint: u64, token: &str) -> Option<Rc<VerifiedToken>> {
        // Compare the full text: two tokens may share a fingerprint.
        let entry = self.tokens.get(&fingerprint).filter(|entry| *entry.token == *token)?;
        Some(Rc::clone(&entry.verified))
    }

    pub fn insert(&mut self, fingerprint: u64, token: &str, verified: Rc<VerifiedToken>) {
        let entry = Entry { token: token.into(), verified };
        self.size_bytes += entry.size_bytes();
        if let Some(previous) = self.tokens.put(fingerprint, entry) {
            self.size_bytes -= previous.size_bytes();
        }
        // Drop the least recently used tokens until both bounds hold.
        while self.tokens.len() > VERIFIED_MAX_TOKENS || self.size_bytes > VERIFIED_MAX_BYTES {
            let Some((_, oldest)) = self.tokens.pop_lru() else { break };
            self.size_bytes -= oldest.size_bytes();
        }
    }

    pub fn remove(&mut self, fingerprint: u64) {
        if let Some(entry) = self.tokens.pop(&fingerprint) {
            self.size_bytes -= entry.size_bytes();
        }
    }

    /// Forgets all tokens of an issuer, because its keys have changed.
    pub fn forget_issuer(&mut self, issuer: usize) {
        let of_issuer = self.tokens.iter().filter(|(_, entry)| entry.verified.issuer == issuer);
        let fingerprints: Vec<_> = of_issuer.map(|(fingerprint, _)| *fingerprint).collect();
        for fingerprint in fingerprints {
            self.remove(fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{Asked, Principal, ValidTimes};

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn random(&self) -> [u8; 16] {
            [self.0; 16]
        }
    }

    fn verified(issuer: usize) -> Rc<VerifiedToken> {
        let principal = Principal::named("vendor", "customer");
        let times = ValidTimes { not_before: None, expires_at: 0 };
        Rc::new(VerifiedToken {
            issuer,
            principal,
            times,
            asked: Asked::default(),
            is_known: Cell::default(),
        })
    }

    #[test]
    fn the_key_is_drawn_once_and_decides() {
        let mut one = Fingerprinter::default();
        let first = one.of("token", &Fixed(1));
        assert_eq!(one.of("token", &Fixed(2)), first);
        assert_ne!(one.of("tokem", &Fixed(1)), first);
        assert_ne!(Fingerprinter::default().of("token", &Fixed(2)), first);
    }

    #[test]
    fn a_colliding_fingerprint_is_a_miss() {
        let mut tokens = VerifiedTokens::default();
        tokens.insert(7, "alice", verified(0));
        assert!(tokens.get(7, "alice").is_some());
        assert!(tokens.get(7, "mallory").is_none());
        tokens.insert(7, "mallory", verified(0));
        assert!(tokens.get(7, "alice").is_none(), "the later one replaces it");
    }

    #[test]
    fn bounded_in_number() {
        let mut tokens = VerifiedTokens::default();
        for fingerprint in 0..50_000 {
            tokens.insert(fingerprint, "token", verified(0));
            assert!(tokens.tokens.len() <= VERIFIED_MAX_TOKENS);
        }
        assert!(tokens.get(49_999, "token").is_some());
        assert!(tokens.get(0, "token").is_none());
    }

    #[test]
    fn bounded_in_bytes() {
        let mut tokens = VerifiedTokens::default();
        let longest = "x".repeat(admit_snapshot::limits::TOKEN_MAX_BYTES);
        for fingerprint in 0..2_000 {
            tokens.insert(fingerprint, &longest, verified(0));
            assert!(tokens.size_bytes <= VERIFIED_MAX_BYTES);
        }
        assert!(tokens.get(1_999, &longest).is_some());
    }

    #[test]
    fn used_tokens_stay() {
        let mut tokens = VerifiedTokens::default();
        tokens.insert(u64::MAX, "used", verified(0));
        for fingerprint in 0..50_000 {
            tokens.insert(fingerprint, "token", verified(0));
            if fingerprint % 1000 == 0 {
                assert!(tokens.get(u64::MAX, "used").is_some(), "{fingerprint}");
            }
        }
    }

    #[test]
    fn a_full_cache_used_in_turn_keeps_everything() {
        let mut tokens = VerifiedTokens::default();
        let count = u64::try_from(VERIFIED_MAX_TOKENS).unwrap();
        for round in 0..3 {
            for fingerprint in 0..count {
                assert_eq!(tokens.get(fingerprint, "token").is_some(), round > 0, "{fingerprint}");
                tokens.insert(fingerprint, "token", verified(0));
            }
        }
    }

    #[test]
    fn sizes_add_up_as_tokens_come_and_go() {
        let mut tokens = VerifiedTokens::default();
        let sum =
            |tokens: &VerifiedTokens| tokens.tokens.len() * (2 * "token".len() + VERIFIED_OVERHEAD_BYTES);
        for round in 0..3_u64 {
            for fingerprint in 0..3_000 {
                tokens.insert(fingerprint, "token", verified(usize::from(fingerprint % 2 == 0)));
                tokens.get((fingerprint * 7) % 3_000, "token");
                tokens.remove((fingerprint * 13 + round) % 3_000);
            }
        }
        assert_eq!(tokens.size_bytes, sum(&tokens));
        tokens.forget_issuer(0);
        assert_eq!(tokens.size_bytes, sum(&tokens));
        assert!(!tokens.tokens.is_empty());
        tokens.forget_issuer(1);
        assert_eq!((tokens.size_bytes, tokens.tokens.len()), (0, 0));
    }
}
