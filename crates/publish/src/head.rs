//! Published heads: whether a key at hand verifies them, and the signer of the next one.

use std::{
    fs,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use admit_snapshot::{
    denylist::Denylist,
    head::{HEAD_TYPE, Head, is_audience},
    limits::HEAD_TEXT_MAX_BYTES,
    time::UnixSecs,
};
use admit_token::{JwsError, KeySet, NativeVerifier, verify_jws};
use anyhow::{Context, Result, anyhow, bail};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use crate::{
    key::{PrivateKey, public_members},
    store::host,
};

/// A published head, and whether its signature was verified.
#[derive(Debug)]
pub enum SignedHead {
    /// Signed by a key at hand.
    Verified(Head),
    /// Not verified: no key was given.
    Unverified(Head),
    /// Signed by a key that is not at hand.
    OtherKey(Head),
    /// Not a head, or the signature is wrong. The text says why.
    Broken(String),
}

impl SignedHead {
    /// Reads a published head, and verifies it with the public half of the JWK in `key`, if given.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn read(jws: &str, key: Option<&Path>) -> Result<Self> {
        Self::read_by(jws, key.as_slice())
    }

    /// Like [`Self::read`], with several keys of which one may have signed the head: `--key`, and `--old-key` while a key
    /// is being replaced. Without keys the head is not verified.
    ///
    /// # Errors
    /// A key cannot be read.
    pub fn read_by(jws: &str, keys: &[&Path]) -> Result<Self> {
        if keys.is_empty() {
            return Ok(unverified(jws).map_or_else(broken, Self::Unverified));
        }
        let verified = verify_jws::<Head, _>(jws, &public_halves(keys)?, HEAD_TYPE, &NativeVerifier);
        Ok(match verified {
            Ok(head) => Self::Verified(head),
            Err(JwsError::UnknownKey) => unverified(jws).map_or_else(broken, Self::OtherKey),
            Err(error) => broken(error.into()),
        })
    }

    /// The head, if a key at hand has signed it or no key was given. `what` names it in errors.
    ///
    /// # Errors
    /// Another key has signed the head, or it is not a head.
    pub fn trusted(self, what: &str) -> Result<Head> {
        match self {
            Self::Verified(head) | Self::Unverified(head) => Ok(head),
            Self::OtherKey(_) => bail!("{what} is signed by another key than --key"),
            Self::Broken(reason) => bail!("{what} cannot be trusted: {reason}"),
        }
    }
}

/// Signs heads for one store.
pub struct HeadSigner {
    key: PrivateKey,
    path: Box<Path>,
    /// The key that `key` replaces. Heads that it has signed are believed too.
    old_path: Option<Box<Path>>,
    /// The store's name from the command line. Without it the published head's name stays.
    audience: Option<String>,
    /// Every revocation that this run has seen. A store may show an old head for a minute, whose denylist
    /// must not replace the current one.
    seen: Mutex<Denylist>,
    /// The store's name in the head that this run follows or has published last. It counts when `audience` is
    /// not given.
    followed: Mutex<Option<Option<String>>>,
}

impl HeadSigner {
    /// A signer with the JWK in `path`, for the store `audience`.
    ///
    /// # Errors
    /// The key cannot be read or is of another kind, or `audience` is not a valid store name.
    pub fn new(path: &Path, audience: Option<&str>) -> Result<Self> {
        if let Some(audience) = audience.filter(|name| !is_audience(name)) {
            bail!(
                "--audience: expected 1 to {HEAD_TEXT_MAX_BYTES} letters, digits and ._:/-, found {audience:?}"
            );
        }
        let key = PrivateKey::read_for_heads(path)?;
        let audience = audience.map(str::to_owned);
        Ok(Self {
            key,
            path: path.into(),
            old_path: None,
            audience,
            seen: Mutex::default(),
            followed: Mutex::default(),
        })
    }

    /// Also believes heads that the JWK or JWKS in `old_key` verifies.
    #[must_use]
    pub fn believing(self, old_key: Option<&Path>) -> Self {
        Self { old_path: old_key.map(Into::into), ..self }
    }

    /// The path of the key.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The paths of the keys whose heads are believed.
    pub fn trusted(&self) -> Vec<&Path> {
        std::iter::once(&*self.path).chain(self.old_path.as_deref()).collect()
    }

    /// Whether a head is for another store than this one.
    pub fn is_foreign(&self, head: &Head) -> bool {
        let expected = self.audience.clone().map(Some).or_else(|| lock(&self.followed).clone());
        head.aud.is_some() && expected.is_some_and(|expected| head.aud != expected)
    }

    /// Notes the head that this run follows, unless it has published one already.
    pub fn follows(&self, head: &Head) {
        lock(&self.followed).get_or_insert_with(|| head.aud.clone());
    }

    /// Notes a head that this run has published.
    pub fn has_published(&self, head: &Head) {
        *lock(&self.followed) = Some(head.aud.clone());
    }

    /// Why a head of another store is refused, and what to do.
    pub fn foreign(&self, head: &Head) -> String {
        let found = head.aud.as_deref().unwrap_or_default();
        match (self.audience.as_deref(), lock(&self.followed).clone().flatten()) {
            (Some(expected), _) => {
                format!("it is for the store {found:?}, and --audience says {expected:?}")
            }
            (None, Some(followed)) => {
                format!("it is for the store {found:?}, and this publisher's head is for {followed:?}")
            }
            (None, None) => format!("it is for the store {found:?}, and this publisher's head names none"),
        }
    }

    /// Remembers the revocations in a head of this store.
    pub fn has_seen(&self, head: &Head) {
        let mut seen = lock(&self.seen);
        head.denylist.entries().iter().for_each(|entry| seen.add(entry.clone()));
    }

    /// Completes a head for publication at `now`: for the same store, with every revocation that is in force.
    /// `published` is the head of this store that it replaces, `follows` the head that the publisher works
    /// from.
    pub fn completed(
        &self,
        head: &Head,
        (follows, published): (Option<&Head>, Option<&Head>),
        now: UnixSecs,
    ) -> Head {
        let mut head = head.clone();
        // The store's name comes from the newest head of this store. A rollback must not restore an old name,
        // and a head that was copied from another store must not rename this one.
        let mut known = follows.into_iter().chain(published);
        head.aud = self.audience.clone().or_else(|| known.find_map(|known| known.aud.clone()));
        let mut seen = lock(&self.seen);
        for denylist in published.map(|published| &published.denylist).into_iter().chain([&head.denylist]) {
            seen.merge(denylist, now);
        }
        head.denylist.clone_from(&seen);
        drop(seen);
        head.published_by = Some(publisher());
        head
    }

    /// Signs a head.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn sign(&self, head: &Head) -> Result<String> {
        self.key.sign(HEAD_TYPE, &serde_json::to_vec(head)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The publisher's name for messages: release, host and process.
fn publisher() -> String {
    let mut by = format!("admit/{} {}", env!("CARGO_PKG_VERSION"), host());
    // ASCII only, so that it can be cut anywhere.
    by.truncate(HEAD_TEXT_MAX_BYTES);
    by
}

fn broken(error: anyhow::Error) -> SignedHead {
    SignedHead::Broken(format!("{error:#}"))
}

fn public_halves(paths: &[&Path]) -> Result<KeySet<NativeVerifier>> {
    let mut keys = Vec::new();
    for path in paths {
        keys.extend(public_half(path).with_context(|| path.display().to_string())?);
    }
    KeySet::from_inline_jwks(&json!({ "keys": keys }).to_string(), &NativeVerifier)
        .with_context(|| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))
}

/// The public half of a JWK, or the keys of a JWKS: the only remains of an old key may be the output of
/// `admit keygen --public`.
fn public_half(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text = fs::read_to_string(path).context("cannot read the key")?;
    let members: Map<String, Value> = serde_json::from_str(&text).context("not a JSON Web Key")?;
    let keys = match members.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.iter().filter_map(Value::as_object).map(public_members).collect(),
        None => public_members(&members).map(|key| vec![key]),
    }?;
    Ok(keys)
}

fn unverified(jws: &str) -> Result<Head> {
    let payload = jws.split('.').nth(1).ok_or_else(|| anyhow!("it is not a JWS"))?;
    let payload = Base64UrlUnpadded::decode_vec(payload).map_err(|_| anyhow!("it is not a JWS"))?;
    serde_json::from_slice(&payload).context("its payload is not a head")
}
