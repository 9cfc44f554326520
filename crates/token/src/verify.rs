//! The complete check of a token, with the caches that make repeated checks cheap.

use std::rc::Rc;

use admit_snapshot::{
    denylist::{Denied, Denylist, Presented},
    limits::TOKEN_MAX_BYTES,
};
use serde_json::Value;

use super::{
    bearer::BearerToken,
    cache::{Fingerprinter, VerifiedTokens},
    claims,
    config::{IssuerConfig, IssuersError, KeysConfig},
    error::{JwsError, Problem, Rejection, TokenError, Undecided, UndecidedCause, VerifyError},
    fetched::{FetchedKeys, Installed, SentFetch},
    jwk::{KeyTrust, ReadRules},
    jws::UnverifiedToken,
    keys::{KeySet, KeySetError},
    left_out::{LeftOutKeys, shortened},
    principal::VerifiedToken,
    rejected::RejectedTokens,
};
use crate::{
    limits::JWKS_COOLDOWN_SECS,
    ports::{Entropy, SignatureVerifier},
};

/// Verifies tokens of the configured issuers. Synchronous and without I/O: the caller fetches keys when
/// [`verify`](Self::verify) asks for them.
pub struct TokenVerifier<V: SignatureVerifier> {
    issuers: Vec<Issuer<V>>,
    fingerprinter: Fingerprinter,
    verified: VerifiedTokens,
    rejected: RejectedTokens,
    denylist: Denylist,
    /// Counts changes of issuers' keys and of the denylist.
    epoch: u32,
}

struct Issuer<V: SignatureVerifier> {
    config: IssuerConfig,
    keys: Keys<V>,
}

enum Keys<V: SignatureVerifier> {
    Fixed(KeySet<V>),
    Fetched(FetchedKeys<V>),
}

/// Result of a fetch of keys, for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysFetched {
    /// The issuer has new keys now. Its tokens are verified again.
    Changed {
        /// Number of usable keys.
        usable: usize,
        /// Number of keys that are left out.
        skipped: usize,
    },
    /// The document is the same as before.
    Unchanged,
    /// The last usable keys stay, because the fetch failed or its document was unusable.
    Kept(Option<KeySetError>),
}

impl<V: SignatureVerifier> TokenVerifier<V> {
    /// Imports the keys that the configuration holds.
    ///
    /// # Errors
    /// An inline JWKS or a secret is unusable.
    pub fn new(issuers: Vec<IssuerConfig>, platform: &V) -> Result<Self, IssuersError> {
        let issuers = issuers.into_iter().enumerate().map(|(index, config)| {
            let keys = match &config.keys {
                KeysConfig::Jwks { json, rsa_algorithm } => {
                    let rules = ReadRules { source: KeyTrust::Inline, rsa_algorithm: *rsa_algorithm };
                    KeySet::read(json.as_str().as_bytes(), rules, platform).map(Keys::Fixed).map_err(
                        |error| IssuersError::new(format!("ISSUERS[{index}].keys.jwks"), error.to_string()),
                    )?
                }
                KeysConfig::JwksUrl { url, rsa_algorithm } => {
                    Keys::Fetched(FetchedKeys::new(url.clone(), *rsa_algorithm))
                }
                KeysConfig::Secret { name, secret, algorithm } => {
                    KeySet::from_secret(*algorithm, secret.as_str().as_bytes())
                        .map(Keys::Fixed)
                        .map_err(|error| IssuersError::new(name, error.to_string()))?
                }
            };
            Ok(Issuer { config, keys })
        });
        Ok(Self {
            issuers: issuers.collect::<Result<_, IssuersError>>()?,
            fingerprinter: Fingerprinter::default(),
            verified: VerifiedTokens::default(),
            rejected: RejectedTokens::default(),
            denylist: Denylist::default(),
            epoch: 0,
        })
    }

    /// Verifies the token in `authorization`, the value of the header, at `now` in unix seconds.
    ///
    /// # Errors
    /// The token is refused, is undecided, or keys must be fetched first or cannot be fetched.
    pub fn verify(
        &mut self,
        authorization: &str,
        now: i64,
        platform: &V,
        entropy: &dyn Entropy,
    ) -> Result<Rc<VerifiedToken>, VerifyError> {
        let bearer = BearerToken::find(authorization)?;
        let token = bearer.as_str();
        let fingerprint = self.fingerprinter.of(token, entropy);
        // The fast path: the same text was verified before, so only its times can have changed.
        if let Some(known) = self.verified.get(fingerprint, token) {
            let leeway_secs = self.issuers.get(known.issuer).map_or(0, |issuer| issuer.config.leeway_secs);
            return match known.times.check(now, leeway_secs) {
                Ok(()) => Ok(known),
                Err(error) => {
                    self.verified.remove(fingerprint);
                    Err(claims::times_error(error, known.times, now, leeway_secs))
                }
            };
        }
        bearer.check()?;
        if self.rejected.contains(fingerprint, now) {
            let detail = "signature: not made by a key of the issuer (found a moment ago)".to_owned();
            return Err(Problem::new(JwsError::BadSignature, detail).into());
        }
        let unverified = UnverifiedToken::parse(token, TOKEN_MAX_BYTES)?;
        check_type(unverified.token_type())?;
        let claims = unverified.claims()?;
        let (index, issuer) = issuer_of(&mut self.issuers, claims.get("iss"))?;
        // Remember a bad signature only if the keys never change; fetched keys have their own memory of
        // failures.
        let kid = match &mut issuer.keys {
            Keys::Fetched(keys) => keys.verify(&unverified, fingerprint, index, now, platform)?,
            Keys::Fixed(keys) => verify_fixed(keys, &unverified, platform).inspect_err(|error| {
                let bad_signature = TokenError::Jws(JwsError::BadSignature);
                if matches!(error, VerifyError::Rejected(Rejection { error, .. }) if *error == bad_signature)
                {
                    self.rejected.insert(fingerprint, now);
                }
            })?,
        };
        let verified = Rc::new(claims::check(&claims, index, &issuer.config, now)?);
        let token_id = claims::token_id(&claims);
        let presented = Presented {
            signed: unverified.signed(),
            token_id: token_id.as_deref(),
            customer: verified.principal.customer_key,
            issued_at: claims::issued_at(&claims),
            issuer: &issuer.config.issuer,
            kid: kid.as_deref(),
        };
        // The denylist comes last: before this point, the token could claim any id.
        if let Some(denied) = self.denylist.refuses(&presented, now) {
            return Err(revoked(denied));
        }
        self.verified.insert(fingerprint, token, Rc::clone(&verified));
        Ok(verified)
    }

    /// The token in `authorization` if it was verified before, is remembered, and is within its times at `now`.
    pub fn remembered(
        &mut self,
        authorization: &str,
        now: i64,
        entropy: &dyn Entropy,
    ) -> Option<Rc<VerifiedToken>> {
        let token = BearerToken::find(authorization).ok()?.as_str();
        let known = self.verified.get(self.fingerprinter.of(token, entropy), token)?;
        self.is_in_force(&known, now).then_some(known)
    }

    /// Whether a token that was verified earlier is within its times. The denylist and the issuer's keys may have changed
    /// since: see [`epoch`](Self::epoch).
    #[must_use]
    pub fn is_in_force(&self, token: &VerifiedToken, now: i64) -> bool {
        let leeway_secs = self.issuers.get(token.issuer).map_or(0, |issuer| issuer.config.leeway_secs);
        token.times.check(now, leeway_secs).is_ok()
    }

    /// Refuses everything on `denylist` from now on. Drops the remembered tokens, which are verified anew
    /// when they come again. A check of a remembered token therefore needs no look at the denylist.
    pub fn deny(&mut self, denylist: &Denylist) {
        if self.denylist != *denylist {
            self.denylist.clone_from(denylist);
            self.verified = VerifiedTokens::default();
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    /// The unusable keys of an issuer's set. `None` while there is no set.
    #[must_use]
    pub fn left_out(&self, issuer: usize) -> Option<&LeftOutKeys> {
        let keys = match &self.issuers.get(issuer)?.keys {
            Keys::Fetched(fetched) => fetched.keys(),
            Keys::Fixed(keys) => Some(keys),
        };
        keys.map(KeySet::left_out)
    }

    /// The names of an issuer's keys if the configuration holds them. `None` for fetched keys, which may have
    /// changed since.
    #[must_use]
    pub fn fixed_key_names(&self, issuer: usize) -> Option<Vec<&str>> {
        match &self.issuers.get(issuer)?.keys {
            Keys::Fetched(_) => None,
            Keys::Fixed(keys) => Some(keys.names().collect()),
        }
    }

    /// The URL from which an issuer's keys are fetched, if they are.
    #[must_use]
    pub fn jwks_url(&self, issuer: usize) -> Option<&str> {
        match &self.issuers.get(issuer)?.keys {
            Keys::Fetched(fetched) => Some(&fetched.url),
            Keys::Fixed(_) => None,
        }
    }

    /// Whether an issuer's tokens can be verified now. `false` until its keys have been fetched.
    #[must_use]
    pub fn has_keys(&self, issuer: usize) -> bool {
        self.issuers.get(issuer).is_some_and(|issuer| match &issuer.keys {
            Keys::Fetched(fetched) => fetched.keys().is_some(),
            Keys::Fixed(_) => true,
        })
    }

    /// The `iss` value of an issuer's tokens, for logs.
    #[must_use]
    pub fn issuer(&self, issuer: usize) -> Option<&str> {
        self.issuers.get(issuer).map(|issuer| issuer.config.issuer.as_str())
    }

    /// A number that changes with each change of an issuer's keys or of the denylist.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// From when on [`keys_refresh_due`](Self::keys_refresh_due) names an issuer; `None` while no issuer has fetched
    /// keys.
    #[must_use]
    pub fn refresh_due_from(&self) -> Option<i64> {
        let due_from = self.issuers.iter().filter_map(|issuer| match &issuer.keys {
            Keys::Fetched(fetched) => fetched.refresh_due_from(),
            Keys::Fixed(_) => None,
        });
        due_from.min()
    }

    /// An issuer whose keys are old and should be fetched behind the request. Each issuer is returned once,
    /// until [`keys_fetched`](Self::keys_fetched) reports or the fetch is considered lost.
    pub fn keys_refresh_due(&mut self, now: i64) -> Option<usize> {
        self.issuers.iter_mut().position(|issuer| match &mut issuer.keys {
            Keys::Fetched(fetched) => fetched.begin_refresh(now),
            Keys::Fixed(_) => false,
        })
    }

    /// Notes that an issuer's [`jwks_url`](Self::jwks_url) is being fetched now. The result goes to
    /// [`keys_fetched`](Self::keys_fetched) and decides all tokens that were seen earlier. `None` for an
    /// issuer with fixed keys.
    pub fn fetch_sent(&mut self, issuer: usize) -> Option<SentFetch> {
        match &mut self.issuers.get_mut(issuer)?.keys {
            Keys::Fetched(fetched) => Some(fetched.send()),
            Keys::Fixed(_) => None,
        }
    }

    /// Takes the document that a fetch brought, or `None` if the fetch failed. An unusable document changes
    /// nothing.
    pub fn keys_fetched(
        &mut self,
        issuer: usize,
        fetch: SentFetch,
        document: Option<&[u8]>,
        now: i64,
        platform: &V,
    ) -> KeysFetched {
        let Some(Issuer { keys: Keys::Fetched(fetched), .. }) = self.issuers.get_mut(issuer) else {
            return KeysFetched::Kept(None);
        };
        match fetched.ended(fetch, document, now, platform) {
            Ok(Some(installed)) => self.installed(issuer, installed),
            Ok(None) => KeysFetched::Kept(None),
            Err(error) => KeysFetched::Kept(Some(error)),
        }
    }

    /// Takes a document from the cache that isolates share, fetched at `fetched_at`. It does not count as a
    /// fetch: a token that it does not help asks for one at once. A document older than the present one
    /// changes nothing.
    pub fn keys_cached(
        &mut self,
        issuer: usize,
        document: &[u8],
        fetched_at: i64,
        platform: &V,
    ) -> KeysFetched {
        let Some(Issuer { keys: Keys::Fetched(fetched), .. }) = self.issuers.get_mut(issuer) else {
            return KeysFetched::Kept(None);
        };
        match fetched.install(document, fetched_at, None, platform) {
            Ok(installed) => self.installed(issuer, installed),
            Err(error) => KeysFetched::Kept(Some(error)),
        }
    }

    /// Takes back a fetch that `verify` asked for, because [`keys_cached`](Self::keys_cached) has supplied
    /// the keys.
    pub fn keys_not_fetched(&mut self, issuer: usize) {
        if let Some(Issuer { keys: Keys::Fetched(fetched), .. }) = self.issuers.get_mut(issuer) {
            fetched.forgo();
        }
    }

    fn installed(&mut self, issuer: usize, installed: Installed) -> KeysFetched {
        if !installed.changed {
            return KeysFetched::Unchanged;
        }
        self.verified.forget_issuer(issuer);
        self.epoch = self.epoch.wrapping_add(1);
        KeysFetched::Changed { usable: installed.usable, skipped: installed.skipped }
    }
}

/// Verifies a signature with keys that never change and returns the name of the key that made it. A token
/// that a left-out key may have signed can be neither accepted nor refused.
fn verify_fixed<V: SignatureVerifier>(
    keys: &KeySet<V>,
    token: &UnverifiedToken<'_>,
    platform: &V,
) -> Result<Option<String>, VerifyError> {
    let error = match keys.verify(token, platform) {
        Ok(kid) => return Ok(kid),
        Err(error) => error,
    };
    let undecided = |cause, detail| {
        let retry_after_secs = u32::try_from(JWKS_COOLDOWN_SECS).unwrap_or(1);
        Err(VerifyError::Undecided(Undecided { cause, retry_after_secs, detail }))
    };
    match (keys.left_out_for(token, platform), error) {
        (Some(left_out), _) => undecided(UndecidedCause::KeyLeftOut, left_out),
        (None, JwsError::AmbiguousKey) => {
            undecided(UndecidedCause::AmbiguousKey, token.problem(error).detail)
        }
        (None, error) => Err(token.problem(error).into()),
    }
}

/// The issuer that `iss` names. A token without `iss`, or with `null`, belongs to the issuer that accepts
/// such tokens.
fn issuer_of<'i, V: SignatureVerifier>(
    issuers: &'i mut [Issuer<V>],
    iss: Option<&Value>,
) -> Result<(usize, &'i mut Issuer<V>), Problem<TokenError>> {
    let iss = match iss {
        None | Some(Value::Null) => None,
        Some(Value::String(iss)) => Some(iss.as_str()),
        Some(_) => return Err(Problem::new(JwsError::Payload.into(), "claim iss: expected text".to_owned())),
    };
    let unknown = || {
        let detail = match iss {
            Some(iss) => format!("claim iss: {:?} is not among ISSUERS", shortened(iss)),
            None => "claim iss: missing, and no issuer has accept_missing_iss".to_owned(),
        };
        Problem::new(TokenError::UnknownIssuer, detail)
    };
    issuers
        .iter_mut()
        .enumerate()
        .find(|(_, issuer)| match iss {
            Some(iss) => issuer.config.issuer == iss,
            None => issuer.config.accept_missing_iss,
        })
        .ok_or_else(unknown)
}

/// The log text for a revoked token. The reason is the operator's own text.
fn revoked(denied: &Denied) -> VerifyError {
    let Denied { target, since, reason, .. } = denied;
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Problem::new(TokenError::Revoked, format!("denylist: {target}, since {since}{reason}")).into()
}

/// Checks `typ`. A token that names its kind must be an access token: the issuer's key signs other kinds, too
/// (RFC 8725 §3.11).
fn check_type(typ: Option<&str>) -> Result<(), Problem<JwsError>> {
    let Some(typ) = typ else { return Ok(()) };
    // RFC 7515 §4.1.9: the prefix is optional, and media types are case-insensitive.
    let lower = typ.to_ascii_lowercase();
    match lower.strip_prefix("application/").unwrap_or(&lower) {
        "jwt" | "at+jwt" => Ok(()),
        _ => {
            let detail = format!("header typ: {:?}: JWT or at+jwt is expected", shortened(typ));
            Err(Problem::new(JwsError::WrongType, detail))
        }
    }
}
