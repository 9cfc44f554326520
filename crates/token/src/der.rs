//! Converts ECDSA signatures from JOSE's form to ASN.1 DER (X.690), for platforms that take only DER.

/// Length of the longest coordinate in bytes: P-521's.
const COORDINATE_MAX_LEN: usize = 66;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// First byte of a length from 128 to 255, which needs a second byte (X.690 §8.1.3.5).
const LONG_LENGTH: u8 = 0x81;

/// Encodes `r || s` (RFC 7518 §3.4) as `SEQUENCE { r INTEGER, s INTEGER }`. Each number has `coordinate_len`
/// bytes: 32 for P-256, 48 for P-384, 66 for P-521. `None` if the signature has a different length.
///
/// ```
/// use admit_token::ecdsa_der;
///
/// let mut signature = [0; 64]; // r = 1, s = 128
/// signature[31] = 1;
/// signature[63] = 0x80;
/// let der = ecdsa_der(&signature, 32);
/// assert_eq!(der.as_deref(), Some(&[0x30, 7, 0x02, 1, 1, 0x02, 2, 0, 0x80][..]));
/// assert_eq!(ecdsa_der(&signature, 48), None);
/// ```
#[must_use]
pub fn ecdsa_der(signature: &[u8], coordinate_len: usize) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(coordinate_len)?;
    if s.len() != coordinate_len || coordinate_len > COORDINATE_MAX_LEN {
        return None;
    }
    // Two integers of at most 2 + 67 bytes.
    let mut content = Vec::with_capacity(2 * (2 + coordinate_len + 1));
    push_integer(&mut content, r)?;
    push_integer(&mut content, s)?;
    let len = u8::try_from(content.len()).ok()?;
    let mut der = Vec::with_capacity(3 + content.len());
    der.push(SEQUENCE);
    // Only a P-521 signature can be this long.
    if len >= 0x80 {
        der.push(LONG_LENGTH);
    }
    der.push(len);
    der.append(&mut content);
    Some(der)
}

/// Appends a positive integer in as few bytes as possible: without leading zeros, except one where the first
/// bit would otherwise be set and mark a negative number.
fn push_integer(out: &mut Vec<u8>, big_endian: &[u8]) -> Option<()> {
    let leading_zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    let digits = big_endian.get(leading_zeros..)?;
    // A set first bit would mean a negative number; an empty number is written as a single zero byte.
    let needs_zero = digits.first().is_none_or(|first| first & 0x80 != 0);
    out.extend([INTEGER, u8::try_from(digits.len() + usize::from(needs_zero)).ok()?]);
    if needs_zero {
        out.push(0);
    }
    out.extend_from_slice(digits);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(r: &[u8], s: &[u8]) -> Vec<u8> {
        let pad = |value: &[u8]| [vec![0; 32 - value.len()], value.to_vec()].concat();
        [pad(r), pad(s)].concat()
    }

    #[test]
    fn integers_take_the_fewest_bytes() {
        assert_eq!(ecdsa_der(&signature(&[1], &[2]), 32).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 2]);
        assert_eq!(
            ecdsa_der(&signature(&[0x80], &[0x7f]), 32).unwrap(),
            [0x30, 7, 2, 2, 0, 0x80, 2, 1, 0x7f]
        );
        assert_eq!(ecdsa_der(&signature(&[], &[]), 32).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        for (coordinate_len, beginning) in [
            (32, &[0x30, 70, 2, 33, 0][..]),
            (48, &[0x30, 102, 2, 49, 0]),
            (66, &[0x30, 0x81, 138, 2, 67, 0]),
        ] {
            let longest = ecdsa_der(&vec![0xff; 2 * coordinate_len], coordinate_len).unwrap();
            assert!(longest.starts_with(beginning), "{longest:x?}");
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        for len in [0, 1, 31, 32, 63, 65, 72] {
            assert_eq!(ecdsa_der(&vec![1; len], 32), None, "{len}");
        }
        assert_eq!(ecdsa_der(&[1; 64], 48), None);
        assert_eq!(ecdsa_der(&[1; 134], 67), None, "no curve has such coordinates");
    }

    #[test]
    fn another_implementation_reads_it() {
        let signature = signature(&[0x80, 3], &[5, 0, 9]);
        let theirs = p256::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
        assert_eq!(ecdsa_der(&signature, 32).unwrap(), theirs.as_bytes());
        let signature = [0x9a; 96];
        let theirs = p384::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
        assert_eq!(ecdsa_der(&signature, 48).unwrap(), theirs.as_bytes());
        let mut signature = [0x9a; 132];
        (signature[0], signature[66]) = (1, 1);
        let theirs = p521::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
        assert_eq!(ecdsa_der(&signature, 66).unwrap(), theirs.as_bytes());
    }
}
