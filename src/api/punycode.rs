//! Punycode (RFC 3492): international labels of host names in the letters that DNS has.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 0x80;

/// Longest label of DNS.
const LABEL_MAX_CHARS: usize = 63;

/// The label without the prefix `xn--`; `None` if it is too long for DNS.
pub fn encode(label: &str) -> Option<String> {
    if label.chars().count() > LABEL_MAX_CHARS {
        return None;
    }
    let mut encoded: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(encoded.len()).ok()?;
    if basic > 0 {
        encoded.push('-');
    }
    let total = u32::try_from(label.chars().count()).ok()?;
    let (mut n, mut delta, mut bias, mut handled) = (INITIAL_N, 0_u32, INITIAL_BIAS, basic);
    while handled < total {
        // The next larger code point of the label.
        let next = label.chars().map(u32::from).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in label.chars().map(u32::from) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c == n {
                push_number(&mut encoded, delta, bias)?;
                bias = adapted(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(encoded)
}

/// Writes `delta` as a number of variable length, the least significant digit first (§3.3).
fn push_number(encoded: &mut String, delta: u32, bias: u32) -> Option<()> {
    let mut rest = delta;
    let mut k = BASE;
    loop {
        let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if rest < t {
            encoded.push(char::from_digit(rest, BASE).map(punycode_digit)?);
            return Some(());
        }
        encoded.push(char::from_digit(t + (rest - t) % (BASE - t), BASE).map(punycode_digit)?);
        rest = (rest - t) / (BASE - t);
        k += BASE;
    }
}

/// Punycode counts `a` to `z`, then `0` to `9`; Rust the other way round.
const fn punycode_digit(digit: char) -> char {
    match digit {
        '0'..='9' => (b'a' + (digit as u8 - b'0')) as char,
        // Ten digits come before the letters in Rust's order.
        'a'..='p' => (digit as u8 + 10) as char,
        _ => (b'0' + (digit as u8 - b'q')) as char,
    }
}

/// The bias for the next number (§3.4).
const fn adapted(delta: u32, points: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 3492 §7.1, without the capitals that only its optional case flags keep, and a few names in use.
    #[test]
    fn examples_of_the_standard() {
        for (label, expected) in [
            ("ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"),
            ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
            ("他們爲什麽不說中文", "ihqwctvzc91f659drss3x8bo0yb"),
            ("למההםפשוטלאמדבריםעברית", "4dbcagdahymbxekheh6e0a7fei0b"),
            ("なぜみんな日本語を話してくれないのか", "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa"),
            (
                "세계의모든사람들이한국어를이해한다면얼마나좋을까",
                "989aomsvi5e83db1d2a355cv1e0vak1dwrv93d5xbh15a0dt30a5jpsd879ccm6fea98c",
            ),
            ("почемужеонинеговорятпорусски", "b1abfaaepdrnnbgefbadotcwatmq2g4l"),
            ("3年b組金八先生", "3b-ww4c5e180e575a65lsy2b"),
            ("安室奈美恵-with-super-monkeys", "-with-super-monkeys-pc58ag80a8qai00g7n9n"),
            ("-> $1.00 <-", "-> $1.00 <--"),
            ("bücher", "bcher-kva"),
            ("münchen", "mnchen-3ya"),
            ("例え", "r8jz45g"),
            ("", ""),
        ] {
            assert_eq!(encode(label).as_deref(), Some(expected), "{label}");
        }
    }

    proptest! {
        #[test]
        fn any_label_is_encoded_without_panic(label in any::<String>()) {
            if let Some(encoded) = encode(&label) {
                prop_assert!(encoded.is_ascii());
            }
        }
    }
}
