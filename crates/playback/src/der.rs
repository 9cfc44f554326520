//! Reads the few structures of ASN.1 DER (X.690) that tell one private key from another.

use crate::{
    limits::{RSA_MAX_BITS, RSA_MIN_BITS},
    ports::KeyForm,
};

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0]`, explicit: the parameters of a SEC 1 key.
const PARAMETERS: u8 = 0xa0;

/// rsaEncryption, 1.2.840.113549.1.1.1.
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// prime256v1, 1.2.840.10045.3.1.7.
const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// The kinds of keys that playback signers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// RSA, with the length of its modulus in bits.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// Elliptic curve P-256.
    P256,
}

/// Tells what kind of key `der` is.
///
/// # Errors
/// The problem with the key, as the rest of a sentence.
pub(crate) fn kind_of(form: KeyForm, der: &[u8]) -> Result<KeyKind, &'static str> {
    let kind = match form {
        KeyForm::Pkcs8 => pkcs8(der)?,
        KeyForm::Pkcs1 => KeyKind::Rsa { bits: modulus_bits(der).ok_or(BROKEN)? },
        KeyForm::Sec1 => sec1(der)?,
    };
    match kind {
        KeyKind::Rsa { bits } if bits < RSA_MIN_BITS => Err("is an RSA key of less than 2048 bits"),
        KeyKind::Rsa { bits } if bits > RSA_MAX_BITS => Err("is an RSA key of more than 4096 bits"),
        kind => Ok(kind),
    }
}

const BROKEN: &str = "is damaged: it does not hold a private key";
const OTHER_CURVE: &str = "is a key of another curve than P-256";

/// `SEQUENCE { version, SEQUENCE { algorithm, parameters }, OCTET STRING, ... }`.
fn pkcs8(der: &[u8]) -> Result<KeyKind, &'static str> {
    let key = whole(der).ok_or(BROKEN)?;
    let (_, rest) = element(key, INTEGER).ok_or(BROKEN)?;
    let (algorithm, rest) = element(rest, SEQUENCE).ok_or(BROKEN)?;
    let (inner, _) = element(rest, OCTET_STRING).ok_or(BROKEN)?;
    let (id, parameters) = element(algorithm, OBJECT_ID).ok_or(BROKEN)?;
    if id == RSA {
        return Ok(KeyKind::Rsa { bits: modulus_bits(inner).ok_or(BROKEN)? });
    }
    if id != EC {
        return Err("is neither an RSA key nor one of the curve P-256");
    }
    match element(parameters, OBJECT_ID) {
        Some((curve, _)) if curve == P256 => Ok(KeyKind::P256),
        _ => Err(OTHER_CURVE),
    }
}

/// `SEQUENCE { version, modulus, ... }`.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let (_, rest) = element(whole(der)?, INTEGER)?;
    let (modulus, _) = element(rest, INTEGER)?;
    // A leading zero byte only keeps the number positive.
    let digits = modulus.iter().position(|byte| *byte != 0).and_then(|first| modulus.get(first..))?;
    let unused = digits.first()?.leading_zeros();
    Some(digits.len() * 8 - usize::try_from(unused).ok()?)
}

/// `SEQUENCE { version, OCTET STRING, [0] curve, ... }`.
fn sec1(der: &[u8]) -> Result<KeyKind, &'static str> {
    let key = whole(der).ok_or(BROKEN)?;
    let (_, rest) = element(key, INTEGER).ok_or(BROKEN)?;
    let (_, rest) = element(rest, OCTET_STRING).ok_or(BROKEN)?;
    let curve = element(rest, PARAMETERS).and_then(|(parameters, _)| element(parameters, OBJECT_ID));
    match curve {
        Some((curve, _)) if curve == P256 => Ok(KeyKind::P256),
        _ => Err(OTHER_CURVE),
    }
}

/// The content of a sequence that fills `der`.
fn whole(der: &[u8]) -> Option<&[u8]> {
    element(der, SEQUENCE).and_then(|(content, rest)| rest.is_empty().then_some(content))
}

/// Splits an element with this tag off: its content, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    // From 128 on, the first byte says how many bytes the length has: two are enough for any key here.
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// Converts an ECDSA signature with P-256 from DER, `SEQUENCE { r INTEGER, s INTEGER }`, to `r || s` of 64 bytes.
/// `None` if `der` is not such a signature.
///
/// ```
/// use admit_playback::ecdsa_raw;
///
/// let raw = ecdsa_raw(&[0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]).unwrap();
/// assert_eq!((raw.len(), raw[31], raw[63]), (64, 1, 0x80));
/// assert_eq!(ecdsa_raw(&[0x30, 0]), None);
/// ```
#[must_use]
pub fn ecdsa_raw(der: &[u8]) -> Option<Vec<u8>> {
    let (r, rest) = element(whole(der)?, INTEGER)?;
    let (s, rest) = element(rest, INTEGER)?;
    if !rest.is_empty() {
        return None;
    }
    let mut raw = Vec::with_capacity(64);
    for number in [r, s] {
        // At most one zero byte more than the number itself, to keep it positive.
        let digits = match number {
            [0, digits @ ..] => digits,
            digits => digits,
        };
        raw.extend(std::iter::repeat_n(0, 32_usize.checked_sub(digits.len())?));
        raw.extend_from_slice(digits);
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn signatures_of_another_implementation(secret in any::<[u8; 32]>(), message in any::<[u8; 8]>()) {
            let Ok(key) = SigningKey::from_slice(&secret) else { return Ok(()) };
            let signature: Signature = key.sign(&message);
            prop_assert_eq!(ecdsa_raw(signature.to_der().as_bytes()), Some(signature.to_bytes().to_vec()));
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(raw) = ecdsa_raw(&bytes) {
                prop_assert_eq!(raw.len(), 64);
            }
            for form in [KeyForm::Pkcs8, KeyForm::Pkcs1, KeyForm::Sec1] {
                prop_assert!(kind_of(form, &bytes).is_err());
            }
        }
    }
}
