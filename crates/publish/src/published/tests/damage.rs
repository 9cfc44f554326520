//! Lines that are damaged in transit. Any damage costs only the line's own record.

use proptest::prelude::*;

use super::*;

/// Damage that a line may suffer in transit.
#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Flip(usize, u8),
    Insert(usize, String),
    Twice,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0_usize..400).prop_map(Damage::Cut),
        (0_usize..400, 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (0_usize..400, "[\\x00-\\x7f\u{e9}]{1,5}").prop_map(|(at, text)| Damage::Insert(at, text)),
        Just(Damage::Twice),
    ]
}

impl Damage {
    fn to(&self, line: &[u8]) -> Vec<u8> {
        let mut bytes = line.to_vec();
        match self {
            Self::Cut(at) => bytes.truncate(at % line.len()),
            Self::Flip(at, bits) => bytes[at % line.len()] ^= bits,
            Self::Insert(at, text) => drop(bytes.splice(at % line.len()..at % line.len(), text.bytes())),
            Self::Twice => bytes = [line, b"\n", line].concat(),
        }
        bytes
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn damage_to_one_line_costs_other_customers_nothing(
        number in 1_usize..110,
        damage in damage(),
    ) {
        let case = Case::new();
        let lines: Vec<Vec<u8>> = business().iter().map(|line| line.to_string().into_bytes()).collect();
        let mut damaged = lines.clone();
        damaged[number] = damage.to(&lines[number]);
        let outcome = case.publish(&damaged.join(&b'\n'));
        let built = outcome.built.expect("only the snapshot line is needed");
        let records = |built| case.store.published(built).records(Tree::Customers, 0, 0).unwrap();
        let (before, after) = (records(&case.before), records(&built));
        let touched = EntryKey::customer("v", business()[number]["subject"].as_str().unwrap_or("nobody"));
        for (key, record) in &before {
            prop_assert!(*key == touched || after.get(key) == Some(record), "{damage:?} of line {number}");
        }
                // The record of an unreadable line is still there.
        let is_lost = outcome.catalogue.set_aside.total() > 0 && !after.contains_key(&touched);
        prop_assert!(!is_lost || !before.contains_key(&touched), "{damage:?} of line {number}");
    }
}
