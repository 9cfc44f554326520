//! Keys as secrets hold them, and as signers use them.

use std::{cell::OnceCell, fmt};

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::{
    der::{KeyKind, kind_of},
    error::SignError,
    ports::{KeyForm, PlatformError, PlatformSigner, SigningAlgorithm, SigningKey},
};

/// A key for HMAC-SHA256. `Debug` shows only where it came from.
#[derive(Clone)]
pub(crate) struct HmacKey {
    secret: String,
    bytes: Vec<u8>,
}

impl HmacKey {
    /// A key whose bytes are the secret's text.
    pub fn from_text(secret: &str, text: &str, min_bytes: usize) -> Result<Self, String> {
        if text.len() < min_bytes {
            return Err(format!("expected at least {min_bytes} bytes"));
        }
        if text.contains("-----BEGIN ") {
            return Err("expected a symmetric key, found a PEM file".to_owned());
        }
        // They would be part of the key, and the vendor's half has none.
        if text.trim() != text {
            return Err("expected no blanks and line breaks around the text".to_owned());
        }
        Ok(Self { secret: secret.to_owned(), bytes: text.as_bytes().to_vec() })
    }

    /// A key that the secret spells in hexadecimal digits.
    pub fn from_hex(secret: &str, text: &str, min_bytes: usize) -> Result<Self, String> {
        let problem = || format!("expected at least {} hexadecimal digits, an even number", 2 * min_bytes);
        let text = text.trim();
        let bytes = hex_digits(text).ok_or_else(problem)?;
        if bytes.len() < min_bytes {
            return Err(problem());
        }
        Ok(Self { secret: secret.to_owned(), bytes })
    }

    /// The HMAC-SHA256 of `message`.
    pub fn mac(&self, message: &[u8]) -> Result<[u8; 32], SignError> {
        // A MAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes).map_err(|_| SignError::Platform {
            secret: self.secret.clone(),
            source: PlatformError("unusable HMAC key".to_owned()),
        })?;
        mac.update(message);
        Ok(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacKey({})", self.secret)
    }
}

fn hex_digits(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

/// A private key that the platform signs with. `Debug` shows only where it came from.
pub(crate) struct PrivateKey {
    secret: String,
    algorithm: SigningAlgorithm,
    form: KeyForm,
    der: Vec<u8>,
    /// Imported by the first signature: an isolate that signs nothing pays nothing.
    imported: OnceCell<Box<dyn SigningKey>>,
}

impl PrivateKey {
    /// Reads a PEM file, or the base64 of one, as Mux and Stream hand it out. Line breaks may be written `\n`.
    ///
    /// # Errors
    /// The key is missing, encrypted, public, or of another kind than the algorithm needs.
    pub fn parse(secret: &str, text: &str, algorithm: SigningAlgorithm) -> Result<Self, String> {
        let (form, der) = pem(text)?;
        let kind = kind_of(form, &der).map_err(|problem| format!("the private key {problem}"))?;
        match (algorithm, kind) {
            (SigningAlgorithm::RsaSha1 | SigningAlgorithm::RsaSha256, KeyKind::Rsa { .. })
            | (SigningAlgorithm::Es256, KeyKind::P256) => {}
            (_, KeyKind::P256) => {
                return Err("expected an RSA private key, found one of the curve P-256".to_owned());
            }
            (_, KeyKind::Rsa { .. }) => {
                return Err("expected a private key of the curve P-256, found an RSA key".to_owned());
            }
        }
        Ok(Self { secret: secret.to_owned(), algorithm, form, der, imported: OnceCell::new() })
    }

    /// Signs `message` on the platform.
    pub fn sign(&self, message: &[u8], platform: &dyn PlatformSigner) -> Result<Vec<u8>, SignError> {
        self.imported(platform)
            .and_then(|key| key.sign(message))
            .map_err(|source| SignError::Platform { secret: self.secret.clone(), source })
    }

    /// Imports the key now.
    pub fn check(&self, platform: &dyn PlatformSigner) -> Result<(), PlatformError> {
        self.imported(platform).map(drop)
    }

    fn imported(&self, platform: &dyn PlatformSigner) -> Result<&dyn SigningKey, PlatformError> {
        let key = match self.imported.get() {
            Some(key) => key,
            None => {
                let key = platform.import(self.algorithm, self.form, &self.der)?;
                self.imported.get_or_init(|| key)
            }
        };
        Ok(key.as_ref())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, {:?})", self.secret, self.algorithm)
    }
}

/// The form and the bytes of a private key in PEM (RFC 7468).
pub(crate) fn pem(text: &str) -> Result<(KeyForm, Vec<u8>), String> {
    const EXPECTED: &str = "expected a private key in PEM, or the base64 of one";
    const BEGIN: &str = "-----BEGIN ";
    let text = text.replace("\\n", "\n");
    let text = match text.contains(BEGIN) {
        true => text,
        false => {
            let packed: String = text.split_whitespace().collect();
            let unpacked = Base64::decode_vec(&packed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            unpacked.ok_or_else(|| EXPECTED.to_owned())?
        }
    };
    // `openssl ecparam -genkey` writes the curve's parameters before the key.
    let block = text.split(BEGIN).skip(1).find(|block| !block.starts_with("EC PARAMETERS-----"));
    let (label, rest) =
        block.and_then(|block| block.split_once("-----")).ok_or_else(|| EXPECTED.to_owned())?;
    let form = match label {
        "PRIVATE KEY" => KeyForm::Pkcs8,
        "RSA PRIVATE KEY" => KeyForm::Pkcs1,
        "EC PRIVATE KEY" => KeyForm::Sec1,
        "ENCRYPTED PRIVATE KEY" => {
            return Err("the private key is encrypted: remove its passphrase".to_owned());
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            return Err("expected the private key, found the public one".to_owned());
        }
        "CERTIFICATE" => return Err("expected a private key, found a certificate".to_owned()),
        _ => return Err(EXPECTED.to_owned()),
    };
    let body: String = rest.split("-----END").next().unwrap_or_default().split_whitespace().collect();
    let der = Base64::decode_vec(&body)
        .map_err(|_| "the PEM file is damaged, or its key is encrypted".to_owned())?;
    Ok((form, der))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NativeSigner;

    const RSA: &str = include_str!("../testdata/rsa-pkcs8.pem");
    const RSA_PKCS1: &str = include_str!("../testdata/rsa-pkcs1.pem");
    const RSA_SHORT: &str = include_str!("../testdata/rsa1024-pkcs8.pem");
    const P256: &str = include_str!("../testdata/p256-pkcs8.pem");
    const P256_SEC1: &str = include_str!("../testdata/p256-sec1.pem");
    const P384: &str = include_str!("../testdata/p384-pkcs8.pem");

    fn parse(text: &str, algorithm: SigningAlgorithm) -> Result<PrivateKey, String> {
        PrivateKey::parse("KEY", text, algorithm)
    }

    #[test]
    fn one_key_in_every_spelling_signs_alike() {
        for (algorithm, pem, other) in
            [(SigningAlgorithm::RsaSha256, RSA, RSA_PKCS1), (SigningAlgorithm::Es256, P256, P256_SEC1)]
        {
            let spellings = [
                pem.to_owned(),
                other.to_owned(),
                pem.replace('\n', "\\n"),
                pem.replace('\n', "\r\n"),
                Base64::encode_string(pem.as_bytes()),
                Base64::encode_string(other.as_bytes()),
                ["-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", other]
                    .concat(),
            ];
            let signature =
                |text: &String| parse(text, algorithm).unwrap().sign(b"message", &NativeSigner).unwrap();
            let first = signature(&spellings[0]);
            for spelling in &spellings {
                assert!(signature(spelling) == first, "{spelling}");
            }
        }
    }

    #[test]
    fn wrong_keys_are_named() {
        use SigningAlgorithm::{Es256, RsaSha1, RsaSha256};
        let encrypted = RSA.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let public = RSA.replace("PRIVATE KEY", "PUBLIC KEY");
        let certificate = RSA.replace("PRIVATE KEY", "CERTIFICATE");
        let cut = RSA.replacen("MIIEv", "MIIEw", 1);
        let relabelled = P256.replace("PRIVATE KEY", "RSA PRIVATE KEY");
        for (text, algorithm, problem) in [
            (P256, RsaSha1, "expected an RSA private key, found one of the curve P-256"),
            (RSA, Es256, "expected a private key of the curve P-256, found an RSA key"),
            (P384, Es256, "is a key of another curve than P-256"),
            (P384, RsaSha256, "is a key of another curve than P-256"),
            (RSA_SHORT, RsaSha256, "less than 2048 bits"),
            (&encrypted, RsaSha256, "is encrypted"),
            (&public, RsaSha256, "found the public one"),
            (&certificate, RsaSha256, "found a certificate"),
            (&cut, RsaSha256, "is damaged"),
            (&relabelled, RsaSha256, "is damaged"),
            ("", RsaSha256, "expected a private key in PEM"),
            ("0123456789abcdef", RsaSha256, "expected a private key in PEM"),
            ("-----BEGIN ", RsaSha256, "expected a private key in PEM"),
            ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", RsaSha256, "is damaged"),
        ] {
            let found = parse(text, algorithm).unwrap_err();
            assert!(found.contains(problem), "{problem:?}: {found:?}");
        }
    }

    #[test]
    fn symmetric_keys() {
        let hex = |text: &str| HmacKey::from_hex("KEY", text, 16).map(|key| key.bytes);
        assert_eq!(hex(&"0aF1".repeat(8)), Ok([0x0a, 0xf1].repeat(8)));
        assert_eq!(hex(&format!("{}\n", "00".repeat(16))), Ok(vec![0; 16]));
        for text in ["", "00", &"0g".repeat(16), &"00".repeat(15), &"0".repeat(33)] {
            assert!(hex(text).unwrap_err().starts_with("expected at least 32 hexadecimal digits"), "{text}");
        }
        let text = |text: &str| HmacKey::from_text("KEY", text, 24).map(|key| key.bytes);
        assert_eq!(text(&"é".repeat(12)), Ok("é".repeat(12).into_bytes()));
        assert_eq!(text("short"), Err("expected at least 24 bytes".to_owned()));
        assert!(text(RSA).unwrap_err().contains("PEM"));
        assert!(text(&format!("{}\n", "a".repeat(24))).unwrap_err().contains("line breaks"));
    }

    #[test]
    fn debug_shows_no_key() {
        let hmac = HmacKey::from_text("NAME", "0123456789abcdef", 1).unwrap();
        assert_eq!(format!("{hmac:?}"), "HmacKey(NAME)");
        let private = parse(RSA, SigningAlgorithm::RsaSha1).unwrap();
        assert_eq!(format!("{private:?}"), "PrivateKey(KEY, RsaSha1)");
    }
}
