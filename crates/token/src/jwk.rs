//! One JSON Web Key (RFC 7517), read as issuers write it and made ready to verify.
//!
//! A member that is `null` or empty text is absent. Octets may be in either alphabet of base64, with padding and
//! with zeros in front. Members that are not asked for are ignored. Everything else that is odd leaves the key
//! out, with the reason.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use jwt_compact::{
    alg::{Hs256Key, Hs384Key, Hs512Key},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value};

use super::{
    algorithm::{HmacAlgorithm, JoseAlgorithm},
    keys::{Key, Material},
    left_out::{UnusableKey, shortened},
    lists,
};
use crate::{
    limits::{RSA_MAX_BITS, RSA_MIN_BITS},
    ports::{SignatureAlgorithm, SignatureVerifier},
};

/// Who wrote a JWKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// The operator: symmetric keys are allowed.
    Inline,
    /// The issuer, in public: a symmetric key there is not a secret.
    Fetched,
}

/// How the entries of a JWKS are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadRules {
    /// Who wrote it.
    pub source: KeySource,
    /// What RSA keys without `alg` are for: `keys.alg` of the configuration, else RS256.
    pub rsa_algorithm: SignatureAlgorithm,
}

/// A key as it was read. Two that are equal are the same key listed twice.
#[derive(PartialEq)]
pub(super) struct Jwk {
    kid: Option<String>,
    parts: Parts,
}

/// What a key is for, and of what it is made.
#[derive(PartialEq)]
enum Parts {
    Secret(HmacAlgorithm, Vec<u8>),
    /// The public half, so that a private one never gets into memory that is kept.
    Public(SignatureAlgorithm, JsonWebKey<'static>),
}

impl Jwk {
    /// Reads an entry of a JWKS.
    ///
    /// # Errors
    /// Why the entry cannot be used.
    pub fn read(entry: &Value, rules: ReadRules) -> Result<Self, UnusableKey> {
        let members = Members(entry.as_object().ok_or(UnusableKey::NotAnObject)?);
        members.check_purpose()?;
        let algorithm =
            algorithm(members.text("kty")?, members.text("crv")?, members.text("alg")?, rules.rsa_algorithm)?;
        let parts = match algorithm {
            JoseAlgorithm::Hmac(_) if rules.source == KeySource::Fetched => {
                return Err(UnusableKey::PublicSecret);
            }
            JoseAlgorithm::Hmac(algorithm) => Parts::Secret(algorithm, members.octets("k")?),
            JoseAlgorithm::Signature(algorithm) => Parts::Public(algorithm, members.public_key(algorithm)?),
        };
        Ok(Self { kid: kid(entry)?, parts })
    }

    /// Makes the key ready.
    ///
    /// # Errors
    /// A secret is too short, or the platform refuses the key: a point that is not on its curve, for example.
    pub fn import<V: SignatureVerifier>(&self, platform: &V) -> Result<Key<V>, UnusableKey> {
        let material = match &self.parts {
            Parts::Secret(algorithm, secret) => hmac(*algorithm, secret)?,
            Parts::Public(algorithm, key) => {
                let key = platform.import(*algorithm, key).map_err(|_| UnusableKey::Refused)?;
                Material::Signature(*algorithm, key)
            }
        };
        Ok(Key { kid: self.kid.clone(), material })
    }
}

/// The name of an entry. An issuer whose names are numbers writes them without quotes.
///
/// # Errors
/// The name is neither text nor an integer.
pub(super) fn kid(entry: &Value) -> Result<Option<String>, UnusableKey> {
    match entry.get("kid") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(kid)) => Ok(Some(kid.clone()).filter(|kid| !kid.is_empty())),
        Some(Value::Number(kid)) if !kid.is_f64() => Ok(Some(kid.to_string())),
        Some(_) => Err(UnusableKey::Malformed { member: "kid", expected: "text" }),
    }
}

/// The members of an entry.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn text(&self, member: &'static str) -> Result<Option<&'a str>, UnusableKey> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) => Ok(Some(value.as_str()).filter(|value| !value.is_empty())),
            Some(_) => Err(UnusableKey::Malformed { member, expected: "text" }),
        }
    }

    /// Whether the key is for signatures (RFC 7517 §4.2 and §4.3). Public halves of keys that were exported with their
    /// `key_ops` say "sign" where "verify" is meant.
    fn check_purpose(&self) -> Result<(), UnusableKey> {
        let usages = self.texts("use", "text")?;
        if let Some(usage) = usages.iter().find(|usage| !usage.is_empty())
            && !usages.iter().any(|usage| usage.eq_ignore_ascii_case("sig"))
        {
            return Err(UnusableKey::OtherPurpose(format!("use {:?}", shortened(usage))));
        }
        let operations = self.texts("key_ops", "a list of texts")?;
        if operations.is_empty() || operations.iter().any(|name| *name == "verify" || *name == "sign") {
            return Ok(());
        }
        Err(UnusableKey::OtherPurpose("key_ops without \"verify\"".to_owned()))
    }

    fn texts(&self, member: &'static str, expected: &'static str) -> Result<Vec<&'a str>, UnusableKey> {
        let Some(value) = self.0.get(member) else { return Ok(Vec::new()) };
        lists::texts(value).ok_or(UnusableKey::Malformed { member, expected })
    }

    fn octets(&self, member: &'static str) -> Result<Vec<u8>, UnusableKey> {
        let encoded = self.text(member)?.ok_or(UnusableKey::Missing(member))?;
        decode(encoded).ok_or(UnusableKey::Malformed { member, expected: "base64url" })
    }

    /// Octets of a big-endian number, without zeros in front: Java's big integers have one.
    fn number(&self, member: &'static str) -> Result<Vec<u8>, UnusableKey> {
        let octets = self.octets(member)?;
        Ok(octets.into_iter().skip_while(|octet| *octet == 0).collect())
    }

    /// A coordinate of exactly `len` octets (RFC 7518 §6.2.1.2), however many zeros it was written with.
    fn coordinate(&self, member: &'static str, len: usize) -> Result<Vec<u8>, UnusableKey> {
        let mut number = self.number(member)?;
        let missing = len
            .checked_sub(number.len())
            .ok_or(UnusableKey::Malformed { member, expected: "a coordinate of its curve" })?;
        number.splice(0..0, std::iter::repeat_n(0, missing));
        Ok(number)
    }

    /// The public half. By hand, because `JsonWebKey`'s deserialiser, with a tag and flattened members, would be the
    /// largest function of the Worker.
    fn public_key(&self, algorithm: SignatureAlgorithm) -> Result<JsonWebKey<'static>, UnusableKey> {
        let elliptic = |curve: &'static str, len| {
            let (x, y) = (self.coordinate("x", len)?.into(), self.coordinate("y", len)?.into());
            Ok(JsonWebKey::EllipticCurve { curve: curve.into(), x, y, secret: None })
        };
        match algorithm {
            SignatureAlgorithm::Es256 => elliptic("P-256", 32),
            SignatureAlgorithm::Es384 => elliptic("P-384", 48),
            SignatureAlgorithm::Es512 => elliptic("P-521", 66),
            SignatureAlgorithm::EdDsa => {
                let x = self.octets("x")?;
                if x.len() != 32 {
                    return Err(UnusableKey::Malformed { member: "x", expected: "32 octets" });
                }
                Ok(JsonWebKey::KeyPair { curve: "Ed25519".into(), x: x.into(), secret: None })
            }
            _ => self.rsa_key(),
        }
    }

    fn rsa_key(&self) -> Result<JsonWebKey<'static>, UnusableKey> {
        let (modulus, exponent) = (self.number("n")?, self.number("e")?);
        let bits = bit_length(&modulus);
        if !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits) {
            return Err(UnusableKey::RsaLength { bits });
        }
        // Every platform must agree on these, so they are checked before one sees the key.
        let is_odd = exponent.last().is_some_and(|octet| octet % 2 == 1);
        if !is_odd || !(2..=32).contains(&bit_length(&exponent)) {
            return Err(UnusableKey::Malformed { member: "e", expected: "an odd number from 3 to 2^32" });
        }
        Ok(JsonWebKey::Rsa { modulus: modulus.into(), public_exponent: exponent.into(), private_parts: None })
    }
}

/// base64url as RFC 7515 §2 wants it, and as issuers write it: the ordinary alphabet, padding, line breaks.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let letters = encoded.chars().filter(|letter| !letter.is_ascii_whitespace());
    let letters = letters.map(|letter| match letter {
        '+' => '-',
        '/' => '_',
        other => other,
    });
    let letters: String = letters.collect();
    Base64UrlUnpadded::decode_vec(letters.trim_end_matches('=')).ok()
}

/// A key is for one algorithm. Where it does not say which, RSA keys are for `rsa_algorithm` and symmetric ones for
/// HS256; a curve has one. A key that took any would let a token choose.
fn algorithm(
    kty: Option<&str>,
    curve: Option<&str>,
    alg: Option<&str>,
    rsa_algorithm: SignatureAlgorithm,
) -> Result<JoseAlgorithm, UnusableKey> {
    use SignatureAlgorithm::{EdDsa, Es256, Es384, Es512};
    let unsupported =
        |member, value: &str| Err(UnusableKey::NotSupported { member, value: shortened(value).to_owned() });
    let default = match (kty, curve) {
        (None, _) => return Err(UnusableKey::Missing("kty")),
        (Some("RSA"), _) => JoseAlgorithm::Signature(rsa_algorithm),
        (Some("oct"), _) => JoseAlgorithm::Hmac(HmacAlgorithm::Hs256),
        (Some("EC" | "OKP"), None) => return Err(UnusableKey::Missing("crv")),
        (Some("EC"), Some("P-256")) => JoseAlgorithm::Signature(Es256),
        (Some("EC"), Some("P-384")) => JoseAlgorithm::Signature(Es384),
        (Some("EC"), Some("P-521")) => JoseAlgorithm::Signature(Es512),
        (Some("OKP"), Some("Ed25519")) => JoseAlgorithm::Signature(EdDsa),
        (Some("EC" | "OKP"), Some(curve)) => return unsupported("crv", curve),
        (Some(other), _) => return unsupported("kty", other),
    };
    let Some(alg) = alg else { return Ok(default) };
    let Some(named) = JoseAlgorithm::from_name(alg) else { return unsupported("alg", alg) };
    let fits = match (default, named) {
        (JoseAlgorithm::Hmac(_), JoseAlgorithm::Hmac(_)) => true,
        (JoseAlgorithm::Signature(default), JoseAlgorithm::Signature(named)) => {
            default == named || (default.is_rsa() && named.is_rsa())
        }
        _ => false,
    };
    if fits { Ok(named) } else { Err(UnusableKey::OtherAlgorithm { alg: shortened(alg).to_owned() }) }
}

/// A secret's bytes as a key for `algorithm`.
pub(super) fn hmac<V: SignatureVerifier>(
    algorithm: HmacAlgorithm,
    secret: &[u8],
) -> Result<Material<V>, UnusableKey> {
    let least_bytes = algorithm.secret_min_bytes();
    if secret.len() < least_bytes {
        return Err(UnusableKey::SecretLength { bytes: secret.len(), least_bytes });
    }
    Ok(match algorithm {
        HmacAlgorithm::Hs256 => Material::Hs256(Hs256Key::new(secret)),
        HmacAlgorithm::Hs384 => Material::Hs384(Hs384Key::new(secret)),
        HmacAlgorithm::Hs512 => Material::Hs512(Hs512Key::new(secret)),
    })
}

/// Bits of a big-endian number without zeros in front.
fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |first| {
        let leading = usize::try_from(first.leading_zeros()).unwrap_or(0);
        8 * number.len() - leading
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_lengths() {
        for (number, bits) in [(&[][..], 0), (&[1], 1), (&[1, 0, 1], 17), (&[0x80, 0], 16)] {
            assert_eq!(bit_length(number), bits, "{number:?}");
        }
    }

    #[test]
    fn octets_in_every_spelling() {
        let octets = vec![0xfb, 0xff, 0xfe, 1];
        for encoded in ["-__-AQ", "-__-AQ==", "+//+AQ==", "+//+AQ", "-__-AQ=", "+//+\r\n AQ==\n"] {
            assert_eq!(decode(encoded), Some(octets.clone()), "{encoded}");
        }
        for encoded in ["-__-AR", "-__-A", "-__-A=Q", "-__-AQ.", "é"] {
            assert_eq!(decode(encoded), None, "{encoded}");
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
            (Some("EC"), Some("P-384"), None, Some("ES384")),
            (Some("EC"), Some("P-384"), Some("ES384"), Some("ES384")),
            (Some("EC"), Some("P-384"), Some("ES256"), None),
            (Some("EC"), Some("P-521"), None, Some("ES512")),
            (Some("EC"), Some("P-521"), Some("ES512"), Some("ES512")),
            (Some("EC"), Some("P-512"), None, None),
            (Some("EC"), Some("secp256k1"), Some("ES256K"), None),
            (Some("EC"), None, None, None),
            (Some("OKP"), Some("Ed25519"), Some("EdDSA"), Some("EdDSA")),
            (Some("OKP"), Some("Ed25519"), Some("Ed25519"), Some("EdDSA")),
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
            let algorithm =
                algorithm(kty, curve, alg, SignatureAlgorithm::Rs256).ok().map(JoseAlgorithm::name);
            assert_eq!(algorithm, expected, "{kty:?} {curve:?} {alg:?}");
        }
    }

    #[test]
    fn the_configuration_says_what_rsa_keys_without_alg_are_for() {
        let of =
            |kty, curve, alg| algorithm(Some(kty), curve, alg, SignatureAlgorithm::Ps256).unwrap().name();
        assert_eq!(of("RSA", None, None), "PS256");
        assert_eq!(of("RSA", None, Some("RS512")), "RS512");
        assert_eq!(of("EC", Some("P-256"), None), "ES256");
    }
}
