//! One JSON Web Key (RFC 7517), made ready to verify.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use jwt_compact::{
    alg::{Hs256Key, Hs384Key, Hs512Key},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value};

use super::{
    algorithm::{HmacAlgorithm, JoseAlgorithm},
    keys::{Key, KeySource, Material},
};
use crate::{
    limits::{RSA_MAX_BITS, RSA_MIN_BITS},
    ports::{SignatureAlgorithm, SignatureVerifier},
};

/// Why a key of a set is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// It is for encryption, or of a kind that is not implemented. Sets may hold such keys.
    #[error("not a key for signatures of a supported kind")]
    NotSupported,
    /// A symmetric key where everyone can read it.
    #[error("a symmetric key in a public document")]
    PublicSecret,
    /// Too short to be safe, or too long to be verified everywhere.
    #[error("the key's length is not allowed")]
    Length,
    /// A member is missing or malformed, or the platform refuses the key.
    #[error("malformed key")]
    Malformed,
}

pub(super) fn import<V: SignatureVerifier>(
    jwk: &Map<String, Value>,
    source: KeySource,
    platform: &V,
) -> Result<Key<V>, UnusableKey> {
    let text = |name: &str| match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.as_str())),
        Some(_) => Err(UnusableKey::Malformed),
    };
    if text("use")?.is_some_and(|usage| usage != "sig") {
        return Err(UnusableKey::NotSupported);
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_array().ok_or(UnusableKey::Malformed)?;
        if !operations.iter().any(|operation| operation == "verify") {
            return Err(UnusableKey::NotSupported);
        }
    }
    let algorithm = algorithm(text("kty")?, text("crv")?, text("alg")?)?;
    let kid = text("kid")?.map(str::to_owned);
    let bytes = |name: &str| {
        let encoded = text(name)?.ok_or(UnusableKey::Malformed)?;
        Base64UrlUnpadded::decode_vec(encoded).map_err(|_| UnusableKey::Malformed)
    };
    let material = match algorithm {
        JoseAlgorithm::Hmac(_) if source == KeySource::Fetched => return Err(UnusableKey::PublicSecret),
        JoseAlgorithm::Hmac(algorithm) => hmac(algorithm, &bytes("k")?)?,
        JoseAlgorithm::Signature(algorithm) => {
            let key = public_key(algorithm, &bytes)?;
            check_size(&key)?;
            let key = platform.import(algorithm, &key).map_err(|_| UnusableKey::Malformed)?;
            Material::Signature(algorithm, key)
        }
    };
    Ok(Key { kid, material })
}

/// The public half of a key; a private one never gets into memory that is kept. By hand, because `JsonWebKey`'s
/// deserialiser, with a tag and flattened members, would be the largest function of the Worker.
fn public_key(
    algorithm: SignatureAlgorithm,
    bytes: &dyn Fn(&str) -> Result<Vec<u8>, UnusableKey>,
) -> Result<JsonWebKey<'static>, UnusableKey> {
    Ok(match algorithm {
        SignatureAlgorithm::EdDsa => {
            JsonWebKey::KeyPair { curve: "Ed25519".into(), x: bytes("x")?.into(), secret: None }
        }
        SignatureAlgorithm::Es256 => JsonWebKey::EllipticCurve {
            curve: "P-256".into(),
            x: bytes("x")?.into(),
            y: bytes("y")?.into(),
            secret: None,
        },
        _ => JsonWebKey::Rsa {
            modulus: bytes("n")?.into(),
            public_exponent: bytes("e")?.into(),
            private_parts: None,
        },
    })
}

/// A key is for one algorithm. Where it does not say which, RSA keys are for RS256 and symmetric ones for
/// HS256, the commonest of their kind: a key that took any would let a token choose.
fn algorithm(
    kty: Option<&str>,
    curve: Option<&str>,
    alg: Option<&str>,
) -> Result<JoseAlgorithm, UnusableKey> {
    let named = match alg {
        Some(name) => Some(JoseAlgorithm::from_name(name).ok_or(UnusableKey::NotSupported)?),
        None => None,
    };
    let (default, fits): (_, fn(SignatureAlgorithm) -> bool) = match (kty, curve) {
        (Some("RSA"), _) => (SignatureAlgorithm::Rs256, is_rsa),
        (Some("EC"), Some("P-256")) => {
            (SignatureAlgorithm::Es256, |algorithm| algorithm == SignatureAlgorithm::Es256)
        }
        (Some("OKP"), Some("Ed25519")) => {
            (SignatureAlgorithm::EdDsa, |algorithm| algorithm == SignatureAlgorithm::EdDsa)
        }
        (Some("oct"), _) => {
            return match named.unwrap_or(JoseAlgorithm::Hmac(HmacAlgorithm::Hs256)) {
                hmac @ JoseAlgorithm::Hmac(_) => Ok(hmac),
                JoseAlgorithm::Signature(_) => Err(UnusableKey::NotSupported),
            };
        }
        (None, _) => return Err(UnusableKey::Malformed),
        _ => return Err(UnusableKey::NotSupported),
    };
    match named.unwrap_or(JoseAlgorithm::Signature(default)) {
        signature @ JoseAlgorithm::Signature(algorithm) if fits(algorithm) => Ok(signature),
        _ => Err(UnusableKey::NotSupported),
    }
}

const fn is_rsa(algorithm: SignatureAlgorithm) -> bool {
    !matches!(algorithm, SignatureAlgorithm::EdDsa | SignatureAlgorithm::Es256)
}

/// A secret's bytes as a key for `algorithm`.
pub(super) fn hmac<V: SignatureVerifier>(
    algorithm: HmacAlgorithm,
    secret: &[u8],
) -> Result<Material<V>, UnusableKey> {
    if secret.len() < algorithm.secret_min_bytes() {
        return Err(UnusableKey::Length);
    }
    Ok(match algorithm {
        HmacAlgorithm::Hs256 => Material::Hs256(Hs256Key::new(secret)),
        HmacAlgorithm::Hs384 => Material::Hs384(Hs384Key::new(secret)),
        HmacAlgorithm::Hs512 => Material::Hs512(Hs512Key::new(secret)),
    })
}

/// The lengths that every platform must agree on, checked before a platform sees the key.
fn check_size(key: &JsonWebKey<'_>) -> Result<(), UnusableKey> {
    let (allowed, problem) = match key {
        JsonWebKey::Rsa { modulus, public_exponent, .. } => {
            let bits = bit_length(modulus);
            let exponent = bit_length(public_exponent);
            let odd = public_exponent.last().is_some_and(|byte| byte % 2 == 1);
            if !odd || !(2..=32).contains(&exponent) {
                return Err(UnusableKey::Malformed);
            }
            ((RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits), UnusableKey::Length)
        }
        JsonWebKey::EllipticCurve { x, y, .. } => (x.len() == 32 && y.len() == 32, UnusableKey::Malformed),
        JsonWebKey::KeyPair { x, .. } => (x.len() == 32, UnusableKey::Malformed),
        _ => (false, UnusableKey::Malformed),
    };
    if allowed { Ok(()) } else { Err(problem) }
}

/// Bits of a big-endian number without its leading zeros.
fn bit_length(number: &[u8]) -> usize {
    let mut bytes = number.iter().skip_while(|&&byte| byte == 0);
    bytes.next().map_or(0, |first| {
        let leading = usize::try_from(first.leading_zeros()).unwrap_or(0);
        8 * (bytes.count() + 1) - leading
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_lengths() {
        for (number, bits) in [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 1, 0, 1], 17), (&[0x80, 0], 16)] {
            assert_eq!(bit_length(number), bits, "{number:?}");
        }
    }

    #[test]
    fn a_key_is_for_one_algorithm() {
        let cases = [
            (Some("RSA"), None, None, Some("RS256")),
            (Some("RSA"), None, Some("PS384"), Some("PS384")),
            (Some("RSA"), None, Some("HS256"), None),
            (Some("RSA"), None, Some("ES256"), None),
            (Some("RSA"), None, Some("RSA-OAEP"), None),
            (Some("EC"), Some("P-256"), None, Some("ES256")),
            (Some("EC"), Some("P-256"), Some("ES384"), None),
            (Some("EC"), Some("P-256"), Some("EdDSA"), None),
            (Some("EC"), Some("P-384"), None, None),
            (Some("EC"), None, None, None),
            (Some("OKP"), Some("Ed25519"), Some("EdDSA"), Some("EdDSA")),
            (Some("OKP"), Some("X25519"), None, None),
            (Some("OKP"), Some("Ed448"), Some("EdDSA"), None),
            (Some("oct"), None, None, Some("HS256")),
            (Some("oct"), None, Some("HS512"), Some("HS512")),
            (Some("oct"), None, Some("RS256"), None),
            (Some("oct"), None, Some("A128KW"), None),
            (Some("oct"), None, Some("none"), None),
            (Some("rsa"), None, None, None),
            (None, None, Some("RS256"), None),
        ];
        for (kty, curve, alg, expected) in cases {
            let algorithm = algorithm(kty, curve, alg).ok().map(JoseAlgorithm::name);
            assert_eq!(algorithm, expected, "{kty:?} {curve:?} {alg:?}");
        }
    }
}
