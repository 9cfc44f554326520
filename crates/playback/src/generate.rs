//! Makes keys in the form that a secret holds, and shows their public half in the form that vendors take.

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use p256::{elliptic_curve::sec1::ToEncodedPoint as _, pkcs8::EncodePublicKey as _};
use rand_core::{OsRng, RngCore as _};
use rsa::{
    RsaPrivateKey,
    pkcs1::DecodeRsaPrivateKey as _,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding},
    traits::PublicKeyParts as _,
};
use serde_json::{Value, json};

use crate::{
    SignerKind,
    der::{KeyKind, kind_of},
    key::pem,
    ports::KeyForm,
};

/// The form of a signer's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretForm {
    /// The bytes of the text are the HMAC key.
    Text,
    /// Hexadecimal digits spell the HMAC key.
    Hex,
    /// An RSA private key in PEM.
    Rsa,
    /// A P-256 private key in PEM.
    P256,
}

impl SecretForm {
    /// The form of the secret of a signer; for `cat`, that of HS256.
    #[must_use]
    pub const fn of(kind: SignerKind) -> Self {
        match kind {
            SignerKind::Jw | SignerKind::HmacUrl => Self::Text,
            SignerKind::Cat | SignerKind::Akamai => Self::Hex,
            SignerKind::CloudFront | SignerKind::CloudflareStream | SignerKind::Mux => Self::Rsa,
        }
    }

    /// A new secret of this form.
    ///
    /// # Errors
    /// The machine has no random numbers.
    pub fn generate(self) -> Result<String, String> {
        let mut random = [0; 32];
        OsRng.try_fill_bytes(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
        let pem = match self {
            Self::Text => return Ok(Base64UrlUnpadded::encode_string(&random)),
            Self::Hex => return Ok(random.iter().map(|byte| format!("{byte:02x}")).collect()),
            // 2,048 bits: the length that CloudFront, Stream and Mux demand.
            Self::Rsa => {
                let key = RsaPrivateKey::new(&mut OsRng, 2048).map_err(|error| error.to_string())?;
                key.to_pkcs8_pem(LineEnding::LF)
            }
            Self::P256 => p256::SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF),
        };
        pem.map(|pem| pem.to_string()).map_err(|error| error.to_string())
    }
}

impl SecretForm {
    /// The form of a secret that `PLAYBACK`, as JSON, names; as the first entry uses it. `None` if no entry names it.
    #[must_use]
    pub fn named_in(playback: &str, secret: &str) -> Option<Self> {
        let entries: Vec<Value> = serde_json::from_str(playback).ok()?;
        let entry = entries.iter().find(|entry| entry.get("secret").is_some_and(|name| name == secret))?;
        let kind = SignerKind::ALL
            .into_iter()
            .find(|kind| entry.get("signer").is_some_and(|name| name == kind.name()))?;
        let is_es256 = entry.get("alg").is_some_and(|alg| alg == "ES256");
        Some(if kind == SignerKind::Cat && is_es256 { Self::P256 } else { Self::of(kind) })
    }

    /// A text that passes for a secret of this form in [`Playback::parse`](crate::Playback::parse) and signs nothing:
    /// for checks of a configuration whose secrets are elsewhere.
    #[must_use]
    pub fn stand_in(self) -> String {
        let pem = |label: &str, der: &[u8]| {
            let body = Base64::encode_string(der);
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        match self {
            Self::Text => "stand-in".repeat(8),
            Self::Hex => "00".repeat(64),
            // SEQUENCE { INTEGER 0, INTEGER of 2048 bits }: where the modulus of a key stands, and no key.
            Self::Rsa => {
                let head = [0x30, 0x82, 0x01, 0x08, 2, 1, 0, 2, 0x82, 0x01, 0x01, 0];
                pem("RSA PRIVATE KEY", &[&head[..], &[0xff; 256]].concat())
            }
            // SEQUENCE { INTEGER 1, OCTET STRING of 32 zeros, [0] { P-256 } }.
            Self::P256 => {
                let (head, number) = ([0x30, 49, 2, 1, 1, 4, 32], [0; 32]);
                let curve = [0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
                pem("EC PRIVATE KEY", &[&head[..], &number, &curve].concat())
            }
        }
    }
}

/// The public half of a private key.
#[derive(Clone, Debug)]
pub struct PublicKey(Half);

#[derive(Clone, Debug)]
enum Half {
    Rsa(rsa::RsaPublicKey),
    P256(p256::PublicKey),
}

impl PublicKey {
    /// The public half of a private key, in any form that a secret may have.
    ///
    /// # Errors
    /// The text holds no such key, with the problem as for `PLAYBACK`.
    pub fn of(secret: &str) -> Result<Self, String> {
        let (form, der) = pem(secret)?;
        let kind = kind_of(form, &der).map_err(|problem| format!("the private key {problem}"))?;
        let half = match (kind, form) {
            (KeyKind::Rsa { .. }, KeyForm::Pkcs1) => {
                RsaPrivateKey::from_pkcs1_der(&der).ok().map(|key| Half::Rsa(key.to_public_key()))
            }
            (KeyKind::Rsa { .. }, _) => {
                RsaPrivateKey::from_pkcs8_der(&der).ok().map(|key| Half::Rsa(key.to_public_key()))
            }
            (KeyKind::P256, KeyForm::Sec1) => {
                p256::SecretKey::from_sec1_der(&der).ok().map(|key| Half::P256(key.public_key()))
            }
            (KeyKind::P256, _) => {
                p256::SecretKey::from_pkcs8_der(&der).ok().map(|key| Half::P256(key.public_key()))
            }
        };
        half.map(Self).ok_or_else(|| "the private key is damaged".to_owned())
    }

    /// The key as `BEGIN PUBLIC KEY` (SubjectPublicKeyInfo), as CloudFront takes it.
    ///
    /// # Errors
    /// The key cannot be encoded.
    pub fn to_pem(&self) -> Result<String, String> {
        let pem = match &self.0 {
            Half::Rsa(key) => key.to_public_key_pem(LineEnding::LF),
            Half::P256(key) => key.to_public_key_pem(LineEnding::LF),
        };
        pem.map_err(|error| error.to_string())
    }

    /// The key as a JSON Web Key (RFC 7517), with its algorithm and `kid`.
    #[must_use]
    pub fn to_jwk(&self, key_id: Option<&str>) -> Value {
        let encode = Base64UrlUnpadded::encode_string;
        let mut jwk = match &self.0 {
            Half::Rsa(key) => json!({
                "kty": "RSA", "alg": "RS256", "use": "sig",
                "n": encode(&key.n().to_bytes_be()), "e": encode(&key.e().to_bytes_be()),
            }),
            Half::P256(key) => {
                let point = key.to_encoded_point(false);
                let coordinate = |bytes: Option<&p256::FieldBytes>| bytes.map(|bytes| encode(bytes));
                json!({
                    "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
                    "x": coordinate(point.x()), "y": coordinate(point.y()),
                })
            }
        };
        if let (Some(members), Some(key_id)) = (jwk.as_object_mut(), key_id) {
            members.insert("kid".to_owned(), key_id.into());
        }
        jwk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_halves_of_every_form() {
        let jwk = |pem: &str| PublicKey::of(pem).unwrap().to_jwk(Some("k1"));
        let rsa = jwk(include_str!("../testdata/rsa-pkcs8.pem"));
        assert_eq!(rsa, jwk(include_str!("../testdata/rsa-pkcs1.pem")));
        assert_eq!((&rsa["kty"], &rsa["e"], &rsa["kid"]), (&json!("RSA"), &json!("AQAB"), &json!("k1")));
        let p256 = jwk(include_str!("../testdata/p256-pkcs8.pem"));
        assert_eq!(p256, jwk(include_str!("../testdata/p256-sec1.pem")));
        assert_eq!(p256["x"].as_str().map(str::len), Some(43));
        assert!(PublicKey::of("text").is_err());
        assert!(PublicKey::of(include_str!("../testdata/p384-pkcs8.pem")).is_err());
    }

    #[test]
    fn stand_ins_pass_and_sign_nothing() {
        use crate::{
            key::{HmacKey, PrivateKey},
            limits::HMAC_KEY_MIN_BYTES,
            ports::SigningAlgorithm,
        };
        assert!(HmacKey::from_text("KEY", &SecretForm::Text.stand_in(), HMAC_KEY_MIN_BYTES).is_ok());
        assert!(HmacKey::from_hex("KEY", &SecretForm::Hex.stand_in(), HMAC_KEY_MIN_BYTES).is_ok());
        for (form, algorithm) in [
            (SecretForm::Rsa, SigningAlgorithm::RsaSha1),
            (SecretForm::Rsa, SigningAlgorithm::RsaSha256),
            (SecretForm::P256, SigningAlgorithm::Es256),
        ] {
            let key = PrivateKey::parse("KEY", &form.stand_in(), algorithm).unwrap();
            assert!(key.check(&crate::NativeSigner).is_err(), "{form:?}");
        }
    }

    #[test]
    fn the_form_of_a_named_secret() {
        let playback = r#"[1, {"signer": "cat", "alg": "ES256", "secret": "A"}, {"signer": "cat", "secret": "B"},
            {"signer": "mux", "secret": "C"}, {"signer": "other", "secret": "D"}]"#;
        let form = |name| SecretForm::named_in(playback, name);
        assert_eq!(form("A"), Some(SecretForm::P256));
        assert_eq!(form("B"), Some(SecretForm::Hex));
        assert_eq!(form("C"), Some(SecretForm::Rsa));
        assert_eq!((form("D"), form("E"), SecretForm::named_in("{", "A")), (None, None, None));
    }

    #[test]
    fn new_keys_differ() {
        for form in [SecretForm::Text, SecretForm::Hex, SecretForm::P256] {
            assert_ne!(form.generate(), form.generate());
        }
    }
}
