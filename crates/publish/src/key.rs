//! Private signing keys, each a JSON Web Key (RFC 7517) in a file.

use std::{fmt, fs, path::Path, str::FromStr};

use admit_native::private_file;
use anyhow::{Context, Result, anyhow, bail};
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, Es256, Hs256, Hs256Key, Rsa, RsaPrivateKey},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value, json};

/// The signature algorithms that `admit` can sign with, by their JOSE names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alg {
    /// Ed25519: the publisher's choice, small and fast to check at the edge.
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256: what Cognito and most identity providers send.
    Rs256,
    /// HMAC with SHA-256: a secret that both sides hold.
    Hs256,
}

impl Alg {
    /// The name in a token's `alg` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

impl FromStr for Alg {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::EdDsa, Self::Es256, Self::Rs256, Self::Hs256]
            .into_iter()
            .find(|alg| alg.name() == name)
            .ok_or_else(|| anyhow!("unsupported alg {name:?}: use EdDSA, ES256, RS256 or HS256"))
    }
}

enum Secret {
    EdDsa(<Ed25519 as Algorithm>::SigningKey),
    Es256(<Es256 as Algorithm>::SigningKey),
    // Boxed: an RSA key with its precomputed values is ten times the size of the others.
    Rs256(Box<RsaPrivateKey>),
    Hs256(Hs256Key),
}

/// A private key and its `kid`, by which a verifier finds the public half.
pub struct PrivateKey {
    kid: String,
    secret: Secret,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keeps the secret out of logs and panics.
        f.debug_struct("PrivateKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Reads a private key from the JWK in `path`.
    ///
    /// # Errors
    /// The file cannot be read, is not a JWK, lacks `kid` or `alg`, or does not hold a private key.
    pub fn read(path: &Path) -> Result<Self> {
        private_file::warn_if_shared(path);
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read the key {}", path.display()))?;
        Self::from_jwk(&text).with_context(|| format!("{} is not a private JSON Web Key", path.display()))
    }

    /// Like [`Self::read`], for a key that signs heads.
    ///
    /// # Errors
    /// As [`Self::read`]; or the key's algorithm is not EdDSA.
    pub fn read_for_heads(path: &Path) -> Result<Self> {
        let key = Self::read(path)?;
        if key.alg() != Alg::EdDsa {
            bail!(
                "--key: heads are signed with EdDSA (Ed25519); make such a key with admit keygen --alg EdDSA"
            );
        }
        Ok(key)
    }

    fn from_jwk(text: &str) -> Result<Self> {
        let members: Map<String, Value> = serde_json::from_str(text)?;
        let member = |name: &str| {
            let value = members.get(name).and_then(Value::as_str);
            value.ok_or_else(|| anyhow!("it has no {name:?}"))
        };
        let (kid, alg) = (member("kid")?.to_owned(), member("alg")?.parse()?);
        let jwk: JsonWebKey<'_> = serde_json::from_str(text)?;
        let wrong = |error: jwt_compact::jwk::JwkError| anyhow!("{error}");
        let secret = match alg {
            Alg::EdDsa => Secret::EdDsa((&jwk).try_into().map_err(wrong)?),
            Alg::Es256 => Secret::Es256((&jwk).try_into().map_err(wrong)?),
            Alg::Rs256 => Secret::Rs256(Box::new((&jwk).try_into().map_err(wrong)?)),
            Alg::Hs256 => Secret::Hs256((&jwk).try_into().map_err(wrong)?),
        };
        Ok(Self { kid, secret })
    }

    /// The algorithm that the key signs with.
    pub const fn alg(&self) -> Alg {
        match self.secret {
            Secret::EdDsa(_) => Alg::EdDsa,
            Secret::Es256(_) => Alg::Es256,
            Secret::Rs256(_) => Alg::Rs256,
            Secret::Hs256(_) => Alg::Hs256,
        }
    }

    /// The name by which a verifier finds the public half.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A compact JWS (RFC 7515 §7.1) over `payload`, with `typ`, `kid` and `alg` in its header.
    ///
    /// # Errors
    /// Does not happen in practice: a header of three strings always serialises.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> Result<String> {
        let header = json!({ "alg": self.alg().name(), "kid": self.kid, "typ": typ });
        let mut jws = Base64UrlUnpadded::encode_string(&serde_json::to_vec(&header)?);
        jws.push('.');
        jws.push_str(&Base64UrlUnpadded::encode_string(payload));
        let signature = match &self.secret {
            Secret::EdDsa(key) => Ed25519.sign(key, jws.as_bytes()).as_bytes().into_owned(),
            Secret::Es256(key) => Es256.sign(key, jws.as_bytes()).as_bytes().into_owned(),
            Secret::Rs256(key) => Rsa::rs256().sign(key, jws.as_bytes()).as_bytes().into_owned(),
            Secret::Hs256(key) => Hs256.sign(key, jws.as_bytes()).as_bytes().into_owned(),
        };
        jws.push('.');
        jws.push_str(&Base64UrlUnpadded::encode_string(&signature));
        Ok(jws)
    }
}

/// The public members of `jwk`.
///
/// This is an allow list, so that private members of later RFCs stay private.
///
/// # Errors
/// The key is symmetric, so it has no public half.
pub fn public_members(jwk: &Map<String, Value>) -> Result<Map<String, Value>> {
    if jwk.get("kty").and_then(Value::as_str) == Some("oct") {
        bail!("a symmetric key has no public half: use --secret, and bind the text that it prints");
    }
    const PUBLIC: [&str; 9] = ["kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"];
    let members = PUBLIC.iter().filter_map(|&name| Some((name.to_owned(), jwk.get(name)?.clone())));
    Ok(members.collect())
}
