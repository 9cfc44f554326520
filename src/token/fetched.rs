//! The life of a JWKS that is fetched: fresh, stale but serving, replaced, or not to be had.

use sha2::{Digest, Sha256};

use super::{
    error::VerifyError,
    keys::{KeySet, KeySetError},
};
use crate::{
    limits::{
        JWKS_COOLDOWN_SECS, JWKS_FAILURE_COOLDOWN_SECS, JWKS_FETCH_LOST_SECS, JWKS_FETCHES_AT_ONCE,
        JWKS_FRESH_SECS,
    },
    ports::SignatureVerifier,
};

/// Decides when keys may be fetched. A fetch begins when the caller is told to, and ends when it reports.
#[derive(Debug, Default)]
struct Fetches {
    /// The last one that began and its time, until one ends.
    running: Option<(i64, u8)>,
    cooldown_until: Option<i64>,
    failed: bool,
}

impl Fetches {
    /// Begins one, or says after how many seconds to ask again.
    fn begin(&mut self, now: i64, at_once: u8) -> Result<(), u32> {
        let others = self.others(now, at_once)?;
        self.running = Some((now, others.saturating_add(1)));
        Ok(())
    }

    /// How many are under way if one more may begin, or after how many seconds to ask again.
    fn others(&self, now: i64, at_once: u8) -> Result<u8, u32> {
        if let Some(until) = self.cooldown_until
            && now < until
        {
            return Err(u32::try_from(until.saturating_sub(now)).unwrap_or(u32::MAX));
        }
        let others = match self.running {
            Some((since, count)) if now < since.saturating_add(JWKS_FETCH_LOST_SECS) => count,
            _ => 0,
        };
        if others < at_once { Ok(others) } else { Err(1) }
    }

    /// One that began is not made after all.
    const fn forgo(&mut self) {
        self.running = match self.running {
            Some((since, count)) if count > 1 => Some((since, count - 1)),
            _ => None,
        };
    }

    fn end(&mut self, now: i64, failed: bool) {
        let pause = if failed { JWKS_FAILURE_COOLDOWN_SECS } else { JWKS_COOLDOWN_SECS };
        self.running = None;
        self.failed = failed;
        self.cooldown_until = Some(now.saturating_add(pause));
    }
}

/// An issuer's keys at an address. The last good set is kept for as long as no other replaces it: an issuer
/// that is down for a day must not lock its customers out.
pub(super) struct FetchedKeys<V: SignatureVerifier> {
    pub url: String,
    set: Option<Loaded<V>>,
    fetches: Fetches,
}

struct Loaded<V: SignatureVerifier> {
    keys: KeySet<V>,
    digest: [u8; 32],
    fetched_at: i64,
}

/// What a document that can be used came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Installed {
    pub changed: bool,
    pub usable: usize,
    pub skipped: usize,
}

impl<V: SignatureVerifier> FetchedKeys<V> {
    pub fn new(url: String) -> Self {
        Self { url, set: None, fetches: Fetches::default() }
    }

    pub fn keys(&self) -> Option<&KeySet<V>> {
        self.set.as_ref().map(|loaded| &loaded.keys)
    }

    /// What to answer to a token when there are no keys yet.
    pub fn missing(&mut self, issuer: usize, now: i64) -> VerifyError {
        match self.fetches.begin(now, JWKS_FETCHES_AT_ONCE) {
            Ok(()) => VerifyError::NeedKeys(issuer),
            Err(retry_after_secs) => self.unavailable(issuer, retry_after_secs),
        }
    }

    /// What to answer to a token whose key is not in the set; `None` when it really is unknown.
    pub fn unknown_key(&mut self, issuer: usize, now: i64) -> Option<VerifyError> {
        match self.fetches.begin(now, JWKS_FETCHES_AT_ONCE) {
            Ok(()) => Some(VerifyError::NeedKeys(issuer)),
            // The key may be one that the issuer added since.
            Err(retry_after_secs) if self.fetches.failed || self.fetches.running.is_some() => {
                Some(self.unavailable(issuer, retry_after_secs))
            }
            Err(_) => None,
        }
    }

    const fn unavailable(&self, issuer: usize, retry_after_secs: u32) -> VerifyError {
        let is_being_fetched = self.fetches.running.is_some();
        VerifyError::KeysUnavailable { issuer, retry_after_secs, is_being_fetched }
    }

    /// Begins a refresh if it is due.
    pub fn begin_refresh(&mut self, now: i64) -> bool {
        self.is_refresh_due(now) && self.fetches.begin(now, 1).is_ok()
    }

    /// Whether the keys are old and no other fetch is under way.
    pub fn is_refresh_due(&self, now: i64) -> bool {
        let old = self.set.as_ref().is_some_and(|set| now >= set.fetched_at.saturating_add(JWKS_FRESH_SECS));
        old && self.fetches.others(now, 1).is_ok()
    }

    /// Takes back a fetch that the caller was told to begin.
    pub const fn forgo(&mut self) {
        self.fetches.forgo();
    }

    /// Takes what a fetch brought; `None` when it failed.
    pub fn ended(
        &mut self,
        document: Option<&[u8]>,
        now: i64,
        platform: &V,
    ) -> Result<Option<Installed>, KeySetError> {
        let installed = document.map(|document| self.install(document, now, platform)).transpose();
        self.fetches.end(now, !matches!(installed, Ok(Some(_))));
        installed
    }

    /// Takes a document that was fetched at `fetched_at`, unless the one at hand is as new.
    pub fn install(
        &mut self,
        document: &[u8],
        fetched_at: i64,
        platform: &V,
    ) -> Result<Installed, KeySetError> {
        let digest = Sha256::digest(document).into();
        if let Some(set) = &mut self.set
            && (set.digest == digest || set.fetched_at > fetched_at)
        {
            set.fetched_at = set.fetched_at.max(fetched_at);
            return Ok(Installed { changed: false, usable: set.keys.len(), skipped: set.keys.skipped() });
        }
        let keys = KeySet::from_fetched_jwks(document, platform)?;
        let installed = Installed { changed: true, usable: keys.len(), skipped: keys.skipped() };
        self.set = Some(Loaded { keys, digest, fetched_at });
        Ok(installed)
    }
}
