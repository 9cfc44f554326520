//! The life of a fetched JWKS: missing, fresh, stale but still used, or replaced.
//!
//! A token that no present key verifies may be signed by a key that the issuer has published since the last
//! fetch. Such a token is refused only after a fetch that was sent after the token was first seen
//! (docs/adr/0013).

use sha2::{Digest, Sha256};

use super::{
    error::{JwsError, Undecided, UndecidedCause, VerifyError},
    jwk::{KeyTrust, ReadRules},
    jws::UnverifiedToken,
    keys::{KeySet, KeySetError},
    pending::{FetchCount, PendingTokens},
};
use crate::{
    limits::{
        JWKS_COOLDOWN_SECS, JWKS_FAILURE_COOLDOWN_SECS, JWKS_FETCH_LOST_SECS, JWKS_FETCHES_AT_ONCE,
        JWKS_FRESH_SECS,
    },
    ports::{SignatureAlgorithm, SignatureVerifier},
};

/// Decides when keys may be fetched. A fetch begins when the caller is told to make it, and ends when the
/// caller reports its result.
#[derive(Debug, Default)]
struct Fetches {
    /// When the latest fetch began (unix seconds), and how many are running. `None` once one of them has
    /// ended.
    running: Option<(i64, u8)>,
    cooldown_until: Option<i64>,
    failed: bool,
    /// Number of fetches sent so far.
    sent: FetchCount,
    /// The latest fetch that brought a usable document, by the order of sending.
    settled: FetchCount,
}

/// Identifies a fetch of an issuer's keys that was sent: see
/// [`fetch_sent`](super::TokenVerifier::fetch_sent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentFetch(FetchCount);

impl Fetches {
    /// Begins a fetch unless `at_once` are running. The error is the number of seconds after which to ask
    /// again.
    fn begin(&mut self, now: i64, at_once: u8) -> Result<(), u32> {
        let others = self.others(now, at_once)?;
        self.running = Some((now, others.saturating_add(1)));
        Ok(())
    }

    /// Number of running fetches if one more may begin. The error is the number of seconds after which to ask
    /// again.
    fn others(&self, now: i64, at_once: u8) -> Result<u8, u32> {
        if let Some(until) = self.cooldown_until
            && now < until
        {
            return Err(u32::try_from(until.saturating_sub(now)).unwrap_or(u32::MAX));
        }
        let others = match self.running {
            // Fetches that have not ended in time count as lost.
            Some((since, count)) if now < since.saturating_add(JWKS_FETCH_LOST_SECS) => count,
            _ => 0,
        };
        if others < at_once { Ok(others) } else { Err(1) }
    }

    /// From when on a fetch may begin while no other is under way.
    fn free_from(&self) -> i64 {
        let lost_at = self.running.map(|(since, _)| since.saturating_add(JWKS_FETCH_LOST_SECS));
        self.cooldown_until.max(lost_at).unwrap_or(i64::MIN)
    }

    /// Takes back a fetch that began but will not be sent.
    const fn forgo(&mut self) {
        self.running = match self.running {
            Some((since, count)) if count > 1 => Some((since, count - 1)),
            _ => None,
        };
    }

    const fn send(&mut self) -> SentFetch {
        self.sent = self.sent.saturating_add(1);
        SentFetch(self.sent)
    }

    fn end(&mut self, SentFetch(fetch): SentFetch, now: i64, failed: bool) {
        if !failed {
            self.settled = self.settled.max(fetch);
        }
        let pause = if failed { JWKS_FAILURE_COOLDOWN_SECS } else { JWKS_COOLDOWN_SECS };
        self.running = None;
        self.failed = failed;
        self.cooldown_until = Some(now.saturating_add(pause));
    }
}

/// The keys that an issuer publishes at a URL. The last usable set stays until another one replaces it: an
/// issuer that is down for a day must not lock its customers out.
pub(super) struct FetchedKeys<V: SignatureVerifier> {
    pub url: String,
    rules: ReadRules,
    set: Option<Loaded<V>>,
    fetches: Fetches,
    pending: PendingTokens,
}

struct Loaded<V: SignatureVerifier> {
    keys: KeySet<V>,
    digest: [u8; 32],
    fetched_at: i64,
    /// The fetch that brought the set; 0 if it came from the shared cache.
    fetch: FetchCount,
}

impl<V: SignatureVerifier> Loaded<V> {
    const fn old_from(&self) -> i64 {
        self.fetched_at.saturating_add(JWKS_FRESH_SECS)
    }
}

/// Result of a usable document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Installed {
    pub changed: bool,
    pub usable: usize,
    pub skipped: usize,
}

impl<V: SignatureVerifier> FetchedKeys<V> {
    /// Starts without keys. `rsa_algorithm` is the algorithm of RSA keys without `alg`.
    pub fn new(url: String, rsa_algorithm: SignatureAlgorithm) -> Self {
        let rules = ReadRules { source: KeyTrust::Fetched, rsa_algorithm };
        Self { url, rules, set: None, fetches: Fetches::default(), pending: PendingTokens::default() }
    }

    pub fn keys(&self) -> Option<&KeySet<V>> {
        self.set.as_ref().map(|loaded| &loaded.keys)
    }

    /// Verifies a token's signature and returns the name of the key that made it. `fingerprint` identifies
    /// the token.
    ///
    /// # Errors
    /// The token is refused, or more has to be known first: the keys, or whether the issuer has published a
    /// new one.
    pub fn verify(
        &mut self,
        token: &UnverifiedToken<'_>,
        fingerprint: u64,
        issuer: usize,
        now: i64,
        platform: &V,
    ) -> Result<Option<String>, VerifyError> {
        let Some(set) = &self.set else { return Err(self.missing(fingerprint, issuer, now)) };
        // A token that failed with the present keys fails again without another signature check.
        let verified = match self.pending.problem(fingerprint) {
            Some(problem) => Err(problem),
            None => set.keys.verify(token, platform),
        };
        match verified {
            Ok(kid) => {
                self.pending.forget(fingerprint);
                Ok(kid)
            }
            Err(problem) => {
                let left_out = set.keys.left_out_for(token, platform);
                Err(self.unverified(token, fingerprint, (problem, left_out), issuer, now))
            }
        }
    }

    /// The answer to a token while there are no keys yet.
    fn missing(&mut self, fingerprint: u64, issuer: usize, now: i64) -> VerifyError {
        match self.fetches.begin(now, JWKS_FETCHES_AT_ONCE) {
            Ok(()) => {
                self.remember(fingerprint, None, true);
                VerifyError::NeedKeys(issuer)
            }
            Err(retry_after_secs) => self.unavailable(issuer, retry_after_secs),
        }
    }

    /// The answer to a token that no key at hand verifies.
    fn unverified(
        &mut self,
        token: &UnverifiedToken<'_>,
        fingerprint: u64,
        (problem, left_out): (JwsError, Option<String>),
        issuer: usize,
        now: i64,
    ) -> VerifyError {
        // A new fetch may bring the token's key, so ask for one if the pauses allow it.
        let retry_after_secs = match self.fetches.begin(now, JWKS_FETCHES_AT_ONCE) {
            Ok(()) => {
                self.remember(fingerprint, Some(problem), true);
                return VerifyError::NeedKeys(issuer);
            }
            Err(retry_after_secs) => retry_after_secs,
        };
        self.remember(fingerprint, Some(problem), false);
        if self.fetches.failed || self.fetches.running.is_some() {
            return self.unavailable(issuer, retry_after_secs);
        }
        let undecided = |cause, detail| VerifyError::Undecided(Undecided { cause, retry_after_secs, detail });
        let is_settled = self.pending.is_settled(fingerprint, self.fetches.settled);
        match (left_out, problem) {
            (Some(left_out), _) => undecided(UndecidedCause::KeyLeftOut, left_out),
            (None, JwsError::AmbiguousKey) => {
                undecided(UndecidedCause::AmbiguousKey, token.problem(problem).detail)
            }
            (None, _) if is_settled => {
                // Refused once, then forgotten: the issuer may have published the key by the next attempt.
                self.pending.forget(fingerprint);
                token.problem(problem).into()
            }
            (None, _) => undecided(UndecidedCause::KeyPending, token.problem(problem).detail),
        }
    }

    fn remember(&mut self, fingerprint: u64, problem: Option<JwsError>, must_stay: bool) {
        let Fetches { sent, settled, .. } = self.fetches;
        self.pending.remember(fingerprint, problem, sent, settled, must_stay);
    }

    const fn unavailable(&self, issuer: usize, retry_after_secs: u32) -> VerifyError {
        let is_being_fetched = self.fetches.running.is_some();
        VerifyError::KeysUnavailable { issuer, retry_after_secs, is_being_fetched }
    }

    /// Begins a refresh if one is due; `true` asks the caller to fetch.
    pub fn begin_refresh(&mut self, now: i64) -> bool {
        let is_old = self.set.as_ref().is_some_and(|set| now >= set.old_from());
        is_old && self.fetches.begin(now, 1).is_ok()
    }

    /// From when on a refresh is due: the keys are old, and neither a fetch nor a pause after one is in its way.
    pub fn refresh_due_from(&self) -> Option<i64> {
        Some(self.set.as_ref()?.old_from().max(self.fetches.free_from()))
    }

    /// Takes back a fetch that the caller was asked to make.
    pub const fn forgo(&mut self) {
        self.fetches.forgo();
    }

    /// Notes that a fetch is being sent now. Its result decides all tokens that were seen earlier.
    pub const fn send(&mut self) -> SentFetch {
        self.fetches.send()
    }

    /// Takes the document that a fetch brought, or `None` if the fetch failed.
    pub fn ended(
        &mut self,
        fetch: SentFetch,
        document: Option<&[u8]>,
        now: i64,
        platform: &V,
    ) -> Result<Option<Installed>, KeySetError> {
        let installed =
            document.map(|document| self.install(document, now, Some(fetch), platform)).transpose();
        self.fetches.end(fetch, now, !matches!(installed, Ok(Some(_))));
        installed
    }

    /// Replaces the keys by those of a document that was fetched at `fetched_at`, unless the present ones are
    /// as new. `fetch` is `None` for a document of the shared cache.
    pub fn install(
        &mut self,
        document: &[u8],
        fetched_at: i64,
        fetch: Option<SentFetch>,
        platform: &V,
    ) -> Result<Installed, KeySetError> {
        let digest = Sha256::digest(document).into();
        if let Some(set) = &mut self.set {
            // Responses may overtake each other, so the order of sending decides which document is newer.
            let is_newer = match fetch {
                Some(SentFetch(fetch)) => set.fetch > fetch,
                None => set.fetched_at > fetched_at,
            };
            if set.digest == digest || is_newer {
                set.fetched_at = set.fetched_at.max(fetched_at);
                set.fetch = set.fetch.max(fetch.map_or(0, |SentFetch(fetch)| fetch));
                let (usable, skipped) = (set.keys.len(), set.keys.left_out().len());
                return Ok(Installed { changed: false, usable, skipped });
            }
        }
        let keys = KeySet::read(document, self.rules, platform)?;
        let installed = Installed { changed: true, usable: keys.len(), skipped: keys.left_out().len() };
        self.pending.forget_problems();
        let fetch = fetch.map_or(0, |SentFetch(fetch)| fetch);
        self.set = Some(Loaded { keys, digest, fetched_at, fetch });
        Ok(installed)
    }
}
