//! ECDSA signatures as ASN.1 DER (X.690), for platforms that do not take JOSE's form.

/// Length of a coordinate of P-256.
const COORDINATE_LEN: usize = 32;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// `SEQUENCE { r INTEGER, s INTEGER }` from the 64 bytes `r || s` (RFC 7518 §3.4). `None` for another length.
#[must_use]
pub fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(COORDINATE_LEN)?;
    if s.len() != COORDINATE_LEN {
        return None;
    }
    // Two integers of at most 2 + 33 bytes: every length fits one byte.
    let mut content = Vec::with_capacity(2 * (2 + COORDINATE_LEN + 1));
    push_integer(&mut content, r)?;
    push_integer(&mut content, s)?;
    let mut der = Vec::with_capacity(2 + content.len());
    der.extend([SEQUENCE, u8::try_from(content.len()).ok()?]);
    der.append(&mut content);
    Some(der)
}

/// A positive integer in as few bytes as it takes: no leading zeros, but one where the first bit is set.
fn push_integer(out: &mut Vec<u8>, big_endian: &[u8]) -> Option<()> {
    let leading_zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    let digits = big_endian.get(leading_zeros..)?;
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
    fn integers_are_as_short_as_can_be() {
        assert_eq!(ecdsa_der(&signature(&[1], &[2])).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 2]);
        assert_eq!(ecdsa_der(&signature(&[0x80], &[0x7f])).unwrap(), [0x30, 7, 2, 2, 0, 0x80, 2, 1, 0x7f]);
        assert_eq!(ecdsa_der(&signature(&[], &[])).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        let longest = ecdsa_der(&[0xff; 64]).unwrap();
        assert_eq!(longest.len(), 72);
        assert_eq!(longest[..5], [0x30, 70, 2, 33, 0]);
    }

    #[test]
    fn other_lengths_are_none() {
        for len in [0, 1, 31, 32, 63, 65, 72] {
            assert_eq!(ecdsa_der(&vec![1; len]), None, "{len}");
        }
    }

    #[test]
    fn another_implementation_reads_it() {
        let signature = signature(&[0x80, 3], &[5, 0, 9]);
        let ours = ecdsa_der(&signature).unwrap();
        let theirs = p256::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
        assert_eq!(ours, theirs.as_bytes());
    }
}
