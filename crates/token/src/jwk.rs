//! One JSON Web Key (RFC 7517): read tolerantly, then imported for verification.
//!
//! A member that is `null` or empty text counts as absent. Octets may use either base64 alphabet, with or
//! without padding and leading zeros. Unknown members are ignored. Any other deviation leaves the key out,
//! with a reason.

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

/// Who wrote a JWKS, and therefore which keys in it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyTrust {
    /// The operator, in the configuration. Symmetric keys are allowed.
    Inline,
    /// The issuer, in a public document. A symmetric key in it is not a secret.
    Fetched,
}

/// Rules for reading the entries of a JWKS.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadRules {
    /// Who wrote it.
    pub source: KeyTrust,
    /// The algorithm of RSA keys without `alg`: `keys.alg` of the configuration, else RS256.
    pub rsa_algorithm: SignatureAlgorithm,
}

/// A key after parsing, before import. Equal values are the same key listed twice.
#[derive(PartialEq)]
pub(super) struct Jwk {
    kid: Option<String>,
    parts: Parts,
}

/// The algorithm and the key material.
#[derive(PartialEq)]
enum Parts {
    Secret(HmacAlgorithm, Vec<u8>),
    /// Only the public half, so that private key material is never kept in memory.
    Public(SignatureAlgorithm, JsonWebKey<'static>),
}

impl Jwk {
    /// Reads an entry of a JWKS.
    ///
    /// # Errors
    /// The reason why the entry cannot be used.
    pub fn read(entry: &Value, rules: ReadRules) -> Result<Self, UnusableKey> {
        let members = Members(entry.as_object().ok_or(UnusableKey::NotAnObject)?);
        members.check_purpose()?;
        let algorithm =
            algorithm(members.text("kty")?, members.text("crv")?, members.text("alg")?, rules.rsa_algorithm)?;
        let parts = match algorithm {
            JoseAlgorithm::Hmac(_) if rules.source == KeyTrust::Fetched => {
                return Err(UnusableKey::PublicSecret);
            }
            JoseAlgorithm::Hmac(algorithm) => Parts::Secret(algorithm, members.octets("k")?),
            JoseAlgorithm::Signature(algorithm) => Parts::Public(algorithm, members.public_key(algorithm)?),
        };
        Ok(Self { kid: kid(entry)?, parts })
    }

    /// Imports the key.
    ///
    /// # Errors
    /// A secret is too short, or the platform refuses the key, for example because its point is not on the
    /// curve.
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

/// The name of an entry (`kid`). An issuer whose key names are numbers writes them without quotes.
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

/// The members of an entry, with readers that report the member's name.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn text(&self, member: &'static str) -> Result<Option<&'a str>, UnusableKey> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(value)) => Ok(Some(value.as_str()).filter(|value| !value.is_empty())),
            Some(_) => Err(UnusableKey::Malformed { member, expected: "text" }),
        }
    }

    /// Checks that the key is for signatures (RFC 7517 §4.2 and §4.3). "sign" in `key_ops` counts as
    /// "verify": public halves that were exported together with the private key's `key_ops` say so.
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

    /// Octets of a big-endian number without leading zeros. Java's big integers write one.
    fn number(&self, member: &'static str) -> Result<Vec<u8>, UnusableKey> {
        let octets = self.octets(member)?;
        Ok(octets.into_iter().skip_while(|octet| *octet == 0).collect())
    }

    /// A coordinate, padded with leading zeros to exactly `len` octets (RFC 7518 §6.2.1.2).
    fn coordinate(&self, member: &'static str, len: usize) -> Result<Vec<u8>, UnusableKey> {
        let mut number = self.number(member)?;
        let missing = len
            .checked_sub(number.len())
            .ok_or(UnusableKey::Malformed { member, expected: "a coordinate of its curve" })?;
        number.splice(0..0, std::iter::repeat_n(0, missing));
        Ok(number)
    }

    /// The public half of the key. Read by hand, because the derived deserialiser of `JsonWebKey` (tagged,
    /// with flattened members) would be the largest function of the Worker.
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
        // Platforms differ in which exponents they accept, so check the bounds before a platform sees the
        // key.
        let is_odd = exponent.last().is_some_and(|octet| octet % 2 == 1);
        if !is_odd || !(2..=32).contains(&bit_length(&exponent)) {
            return Err(UnusableKey::Malformed { member: "e", expected: "an odd number from 3 to 2^32" });
        }
        Ok(JsonWebKey::Rsa { modulus: modulus.into(), public_exponent: exponent.into(), private_parts: None })
    }
}

/// Decodes base64url as RFC 7515 §2 defines it, and its variants in the field: the standard alphabet,
/// padding, line breaks.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let letters = encoded.chars().filter(|letter| !letter.is_ascii_whitespace());
    // Map the standard alphabet to base64url.
    let letters = letters.map(|letter| match letter {
        '+' => '-',
        '/' => '_',
        other => other,
    });
    let letters: String = letters.collect();
    Base64UrlUnpadded::decode_vec(letters.trim_end_matches('=')).ok()
}

/// The algorithm that a key is for. Without `alg`, RSA keys are for `rsa_algorithm`, symmetric keys for
/// HS256, and a curve implies its algorithm. A key that accepted several algorithms would let the token
/// choose one.
fn algorithm(
    kty: Option<&str>,
    curve: Option<&str>,
    alg: Option<&str>,
    rsa_algorithm: SignatureAlgorithm,
) -> Result<JoseAlgorithm, UnusableKey> {
    use SignatureAlgorithm::{EdDsa, Es256, Es384, Es512};
    let unsupported =
        |member, value: &str| Err(UnusableKey::NotSupported { member, value: shortened(value).to_owned() });
    // Type and curve give the default; `alg` may only choose another algorithm for the same kind of key.
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

/// Imports a secret as a key for `algorithm`.
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

/// Number of bits of a big-endian number without leading zeros.
fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |first| {
        // The first byte is not zero, so only its own leading zero bits are missing from a multiple of 8.
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
