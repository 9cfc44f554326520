//! Checks a table: the order of its keys, their shard, and every record.

use std::collections::BTreeSet;

use admit_snapshot::{
    customer::{CustomerRecord, NewCustomer},
    directory::Directory,
    external_id::{self, ExternalRecord},
    index::Tree,
    item::{ItemRecord, NewItem},
    key::{EntryKey, ItemSalt},
    limits::EXTERNAL_ID_ITEMS_MAX,
    object::FormatError,
    table::{Entry, Table},
};
use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

/// The place of a table in the snapshot.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The tree that the table belongs to.
    pub tree: Tree,
    /// For a shard: its position, and the number of leading bits of a key that choose it.
    pub shard: Option<(usize, u8)>,
    /// The salt of item keys. Without it only the ids are checked.
    pub salt: Option<ItemSalt>,
    /// The directory that records refer to. Without it references are not checked.
    pub directory: Option<&'a Directory>,
}

/// The result of checking a table.
#[derive(Debug, Default)]
pub struct Checked {
    /// The number of records.
    pub found: u64,
    /// Problems, each with the key of its entry, if it is about one.
    pub problems: Vec<(Option<EntryKey>, String)>,
}

/// Checks a table.
pub fn check_table(table: &Table<'_>, scope: Scope<'_>) -> Checked {
    let mut checked = Checked::default();
    if !table.is_gapless() {
        checked.problems.push((None, "the records do not lie in order and without gaps".to_owned()));
    }
    let mut previous = None;
    for (key, entry) in table.iter() {
        let mut problem = |what: String| checked.problems.push((Some(key), what));
        if previous.is_some_and(|previous| previous >= key) {
            problem("its key is not after the key before".to_owned());
        }
        previous = Some(key);
        if let Some((number, bits)) = scope.shard
            && key.shard(bits) != number
        {
            problem(format!("it lies in shard {number}, and belongs to shard {}", key.shard(bits)));
        }
        match entry {
            Ok(Entry::Record(record)) => {
                match check_record(key, record, scope) {
                    Ok(problems) => problems.into_iter().for_each(problem),
                    Err(error) => problem(format!("its record cannot be read: {error}")),
                }
                checked.found += 1;
            }
            Ok(Entry::Removed | Entry::Unknown) => {}
            Err(error) => problem(format!("its record cannot be read: {error}")),
        }
    }
    checked
}

fn check_record(key: EntryKey, record: &[u8], scope: Scope<'_>) -> Result<Vec<String>, FormatError> {
    match scope.tree {
        Tree::Customers => check_customer(record, scope.directory),
        Tree::Items => check_item(key, record, scope),
        Tree::ExternalIds => check_external_id(record, scope.directory),
    }
}

const NOT_CANONICAL: &str = "its record is not written as the format says";

fn check_customer(record: &[u8], directory: Option<&Directory>) -> Result<Vec<String>, FormatError> {
    let customer = CustomerRecord::new(record)?;
    let mut problems = Vec::new();
    let CustomerRecord { id, uuid, merchant_id, .. } = customer;
    let accesses = customer.accesses().collect::<Result<Vec<_>, _>>()?;
    let licenses = customer.licenses()?;
    let purchases = customer.purchases().map(|bought| Ok(bought?.1)).collect::<Result<Vec<_>, _>>()?;
    let used_trials = customer.used_trials()?.iter().collect();
    // Encode the record again: everything that reading ignores would differ, such as a tail, another order, a
    // long varint.
    let again = NewCustomer { id, uuid, merchant_id, accesses, purchases, licenses, used_trials };
    if again.encode() != record {
        problems.push(NOT_CANONICAL.to_owned());
    }
    check_merchant(merchant_id, directory, &mut problems);
    Ok(problems)
}

fn check_item(
    key: EntryKey,
    record: &[u8],
    Scope { salt, directory, .. }: Scope<'_>,
) -> Result<Vec<String>, FormatError> {
    let item = ItemRecord::new(record)?;
    let ItemRecord { id, merchant_id, is_active, is_free, is_package, content, details, .. } = item;
    let mut problems = Vec::new();
    if key.item_id() != id {
        problems.push(format!("its record is that of item {id}"));
    } else if salt.is_some_and(|salt| EntryKey::item(salt, id) != key) {
        problems.push(format!("its key is not that of item {id} in this index"));
    }
    let (packages, fees) = (item.packages.iter().collect(), item.fees()?);
    let licenses: Vec<_> = item.licenses.iter().map(|license| u128::from_be_bytes(*license)).collect();
    if serde_json::from_str::<String>(content).is_err() {
        problems.push("its content is not a JSON string".to_owned());
    }
    problems.extend(wrong_json("its details are", details, id));
    for fee in &fees {
        problems.extend(wrong_json(&format!("the details of fee {} are", fee.id), fee.details, fee.id));
    }
    for license in &licenses {
        if directory.is_some_and(|directory| !directory.licenses.contains_key(license)) {
            problems.push(format!("the directory has no licence {}", Uuid::from_u128(*license)));
        }
    }
    check_merchant(merchant_id, directory, &mut problems);
    let members = item.members()?.iter().collect();
    let again = NewItem {
        id,
        merchant_id,
        is_active,
        is_free,
        is_package,
        packages,
        licenses,
        content,
        details,
        fees,
        members,
    };
    if again.encode() != record {
        problems.push(NOT_CANONICAL.to_owned());
    }
    Ok(problems)
}

fn check_external_id(record: &[u8], directory: Option<&Directory>) -> Result<Vec<String>, FormatError> {
    let items: Vec<_> = ExternalRecord::new(record)?.iter().collect();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let is_sorted = items.is_sorted_by_key(|(merchant, _)| *merchant);
    if external_id::encode(&items) != record || !is_sorted || !items.iter().all(|item| seen.insert(*item)) {
        problems.push(NOT_CANONICAL.to_owned());
    }
    for of_merchant in items.chunk_by(|(left, _), (right, _)| left == right) {
        if of_merchant.len() > EXTERNAL_ID_ITEMS_MAX {
            problems.push(format!(
                "it names {} items of one merchant, and edges read {EXTERNAL_ID_ITEMS_MAX}",
                of_merchant.len()
            ));
        }
    }
    for (merchant_id, _) in items {
        check_merchant(merchant_id, directory, &mut problems);
    }
    Ok(problems)
}

fn check_merchant(merchant_id: i64, directory: Option<&Directory>, problems: &mut Vec<String>) {
    if directory.is_some_and(|directory| !directory.merchants.contains_key(&merchant_id)) {
        problems.push(format!("the directory has no merchant {merchant_id}"));
    }
}

#[derive(Deserialize)]
struct Identified {
    id: i64,
}

/// The problem of a fragment, which must be a JSON object without its opening brace and have this `id`.
fn wrong_json(subject: &str, fragment: &str, id: i64) -> Option<String> {
    match parse_object::<Identified>(&format!("{{{fragment}")) {
        Ok(object) if object.id == id => None,
        Ok(object) => Some(format!("{subject} those of {}", object.id)),
        Err(error) => Some(format!("{subject} not a JSON object with an id: {error}")),
    }
}

/// Parses a JSON object. A derived structure would accept an array too.
pub fn parse_object<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json)?;
    T::deserialize(serde_json::Value::Object(members))
}

#[cfg(test)]
mod tests {
    use admit_snapshot::{item::FeeRecord, table::write_table};

    use super::*;

    const SALT: ItemSalt = ItemSalt::new([5; 16]);

    const DETAILS: &str = r#""id":33,"title":"Slack Water"}"#;

    fn item(change: impl FnOnce(&mut NewItem<'static>)) -> Vec<u8> {
        let fees = vec![FeeRecord { id: 5, details: r#""id":5}"# }];
        let mut item = NewItem {
            id: 33,
            merchant_id: 21,
            licenses: vec![9],
            content: "\"\"",
            details: DETAILS,
            fees,
            ..NewItem::default()
        };
        change(&mut item);
        item.encode()
    }

    fn directory() -> Directory {
        // In the byte format of `docs/storage-schema.md`: merchant 21, an app without clients, licence 9.
        let mut object = b"ADMR\x01\0\0\0".to_vec();
        object.extend([1, 42].iter().chain(&[0; 16]));
        object.extend(
            b"\x01\x01a\x2a\x01p\x00\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\x00\x00\x02\x00\x01n\x02{}",
        );
        Directory::decode(&object).unwrap()
    }

    fn check(entries: &[(EntryKey, Vec<u8>)], tree: Tree, shard: Option<(usize, u8)>) -> Vec<String> {
        let mut bytes = Vec::new();
        write_table(&mut bytes, entries).unwrap();
        let directory = directory();
        let scope = Scope { tree, shard, salt: Some(SALT), directory: Some(&directory) };
        let checked = check_table(&Table::new(&bytes).unwrap(), scope);
        checked.problems.into_iter().map(|(_, what)| what).collect()
    }

    fn check_one_item(record: Vec<u8>) -> String {
        check(&[(EntryKey::item(SALT, 33), record)], Tree::Items, None).join("; ")
    }

    #[test]
    fn a_sound_item_has_no_problems() {
        assert_eq!(check_one_item(item(|_| {})), "");
    }

    #[test]
    fn each_thing_that_is_wrong_with_an_item_is_told() {
        let told: [(Vec<u8>, &str); 10] = [
            (item(|item| item.id = 34), "its record is that of item 34"),
            (item(|item| item.merchant_id = 22), "no merchant 22"),
            (item(|item| item.licenses = vec![10]), "no licence 00000000-0000-0000-0000-00000000000a"),
            (item(|item| item.content = "{}"), "its content is not a JSON string"),
            (item(|item| item.details = "\"id\":33"), "its details are not a JSON object"),
            (item(|item| item.details = "\"id\":34}"), "its details are those of 34"),
            (item(|item| item.details = "\"id\":33}}"), "its details are not a JSON object"),
            (
                item(|item| item.fees[0].details = "}"),
                "the details of fee 5 are not a JSON object with an id",
            ),
            ([item(|_| {}), vec![0]].concat(), NOT_CANONICAL),
            (item(|_| {})[..5].to_vec(), "its record cannot be read: the bytes end too early"),
        ];
        for (record, expected) in told {
            let found = check_one_item(record);
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    #[test]
    fn each_thing_that_is_wrong_with_a_customer_is_told() {
        let customer = |merchant_id| NewCustomer { id: 1, merchant_id, ..NewCustomer::default() }.encode();
        let check = |record| check(&[(EntryKey([1; 16]), record)], Tree::Customers, None).join("; ");
        assert_eq!(check(customer(21)), "");
        assert_eq!(check(customer(22)), "the directory has no merchant 22");
        assert_eq!(check([customer(21), vec![0]].concat()), NOT_CANONICAL);
        assert!(check(customer(21)[..9].to_vec()).contains("end too early"));
    }

    #[test]
    fn each_thing_that_is_wrong_with_an_external_id_is_told() {
        let check = |record| check(&[(EntryKey([1; 16]), record)], Tree::ExternalIds, None).join("; ");
        assert_eq!(check(external_id::encode(&[(21, 33)])), "");
        assert_eq!(check(external_id::encode(&[(22, 33)])), "the directory has no merchant 22");
        assert_eq!(check(external_id::encode(&[(21, 34), (21, 33)])), "", "in order of preference");
        assert_eq!(check(external_id::encode(&[(21, 33), (21, 33)])), NOT_CANONICAL);
        assert!(check(external_id::encode(&[(22, 33), (21, 33)])).starts_with(NOT_CANONICAL));
        let nine: Vec<_> = (1..=9).map(|item| (21, item)).collect();
        assert_eq!(check(external_id::encode(&nine)), "it names 9 items of one merchant, and edges read 8");
        assert_eq!(check([external_id::encode(&[(21, 33)]), vec![0]].concat()), NOT_CANONICAL);
        assert!(check(vec![0]).contains("invalid value: external id"));
    }

    #[test]
    fn keys_in_another_shard_are_told() {
        let key = EntryKey([0b1100_0000; 16]);
        let entries = [(key, NewCustomer { merchant_id: 21, ..NewCustomer::default() }.encode())];
        assert_eq!(check(&entries, Tree::Customers, Some((3, 2))), [""; 0]);
        let wrong = check(&entries, Tree::Customers, Some((2, 2)));
        assert_eq!(wrong, ["it lies in shard 2, and belongs to shard 3"]);
    }

    #[test]
    fn keys_out_of_order_and_gaps_are_told() {
        let record = NewCustomer { merchant_id: 21, ..NewCustomer::default() }.encode();
        let entries = [(EntryKey([1; 16]), record.clone()), (EntryKey([2; 16]), record)];
        let mut bytes = Vec::new();
        write_table(&mut bytes, &entries).unwrap();
        // Makes the first key larger than the second.
        bytes[4] = 3;
        bytes.push(0);
        let scope = Scope { tree: Tree::Customers, shard: None, salt: None, directory: None };
        let checked = check_table(&Table::new(&bytes).unwrap(), scope);
        let told: Vec<_> = checked.problems.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(
            told,
            ["the records do not lie in order and without gaps", "its key is not after the key before"]
        );
    }
}
