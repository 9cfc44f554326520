//! The byte format: `docs/storage-schema.md` against the code, and pinned digests.

mod readers;

use std::{collections::HashMap, fs, path::Path};

use admit_publish::build::{Built, build_ndjson};
use admit_snapshot::{
    customer::CustomerRecord,
    delta::{self, encode_delta},
    directory::Directory,
    external_id::{ExternalRecord, Named},
    head::{HEAD_TYPE, Head},
    head_value::HeadValue,
    index::{Index, NewTree, Tree, encode_index},
    item::ItemRecord,
    key::{EntryKey, ItemSalt},
    object::{Digest, HEADER_LEN, ObjectKind, ObjectName},
    pack::Pack,
    table::{Entry, Table},
    version::{Found, ObjectCache, Version},
};
use admit_token::{KeySet, NativeVerifier, verify_jws};

/// When the example is published.
const NOW: i64 = 1_700_000_100;

/// The public key of RFC 8037 A.2.
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"publisher-1",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The salt that `build_ndjson` uses.
const SALT: ItemSalt = ItemSalt::IN_MEMORY;

/// The delta by which the customer is gone.
fn closed_account() -> Vec<u8> {
    encode_delta([&[(anna(), b"")], &[], &[]]).unwrap()
}

fn anna() -> EntryKey {
    EntryKey::customer("vendor", "anna")
}

/// The same example as earlier releases published it.
fn of_format(format: u8) -> String {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    fs::read_to_string(vectors.join(format!("snapshot-format-{format}.txt"))).unwrap()
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/storage-schema.md")).unwrap()
}

/// The fenced blocks of one language, each with the line before it.
fn blocks(document: &str, language: &str) -> Vec<(String, String)> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut introduction = "";
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line == fence {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((introduction.to_owned(), block.join("\n")));
        } else if !line.is_empty() {
            introduction = line;
        }
    }
    found
}

fn only(document: &str, language: &str) -> String {
    let mut found = blocks(document, language);
    assert_eq!(found.len(), 1, "blocks of {language}");
    found.remove(0).1
}

/// The bytes of a dump: hexadecimal up to `#`, or text after `| `.
fn bytes_of(dump: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in dump.lines() {
        if let Some(text) = line.strip_prefix("| ") {
            bytes.extend(text.bytes());
            continue;
        }
        let hex = line.split_once('#').map_or(line, |(hex, _)| hex);
        bytes.extend(hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

fn example() -> Built {
    build_ndjson(only(&document(), "ndjson").as_bytes(), NOW).unwrap()
}

fn of_kind(built: &Built, kind: ObjectKind) -> Vec<&[u8]> {
    let objects = built.objects.iter().filter(|(name, _)| name.kind == kind);
    objects.map(|(_, object)| object.as_slice()).collect()
}

/// The objects of the document's example, in its order.
fn expected_objects() -> Vec<(ObjectName, Vec<u8>)> {
    let built = example();
    let mut objects = built.objects.clone();
    let mut push = |kind, object: Vec<u8>| objects.push((ObjectName::of(kind, &object), object));
    push(ObjectKind::Delta, closed_account());
    let shards: Vec<Digest> = of_kind(&built, ObjectKind::Shard).into_iter().map(Digest::of).collect();
    let customers = NewTree::new(vec![Some(shards[0]), None]).unwrap();
    let [items, external_ids] = [shards[1], shards[2]].map(|shard| NewTree::new(vec![Some(shard)]).unwrap());
    let (index, pages) = encode_index(SALT, [&customers, &items, &external_ids], 0).unwrap();
    for page in pages {
        push(ObjectKind::Page, page);
    }
    push(ObjectKind::Index, index);
    objects
}

#[test]
fn the_document_shows_what_the_code_writes() {
    let document = document();
    let shown = blocks(&document, "hex");
    let expected = expected_objects();
    assert_eq!(shown.len(), expected.len(), "number of dumps");
    for ((introduction, dump), (name, object)) in shown.iter().zip(&expected) {
        assert!(introduction.starts_with(&format!("`{name}` ")), "{name} is introduced as {introduction}");
        assert!(introduction.ends_with(&format!(", {} bytes:", object.len())), "length in {introduction}");
        assert_eq!(&bytes_of(dump), object, "{name}");
        assert_eq!(name.check(object), Ok(()));
    }
}

#[test]
fn the_document_shows_a_head_that_verifies() {
    let document = document();
    let json = only(&document, "json");
    let (header, payload) = json.split_once('\n').unwrap();
    let jws = only(&document, "jws");
    let encoded =
        |text: &str| <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string(text.as_bytes());
    assert!(jws.starts_with(&format!("{}.{}.", encoded(header), encoded(payload))));

    let keys = KeySet::from_inline_jwks(JWKS, &NativeVerifier).unwrap();
    let head: Head = verify_jws(&jws, &keys, HEAD_TYPE, &NativeVerifier).unwrap();
    assert_eq!(serde_json::to_string(&head).unwrap(), payload);
    let built = example();
    let delta = closed_account();
    assert_eq!((head.index, head.directory), (built.index, built.directory));
    assert_eq!((head.delta, head.seq), (Some(Digest::of(&delta)), 8));
    assert_eq!(head.may_follow(Some(&Head { seq: 7, ..head.clone() }), NOW, 0), Ok(()));
}

/// The values that join objects are those of the dumps above.
#[test]
fn the_document_shows_the_joined_values() {
    let document = document();
    let (jws, delta, built) = (only(&document, "jws"), closed_account(), example());
    let head = HeadValue { jws: jws.as_bytes(), delta: Some(&delta) }.join();
    let [index, directory] = [ObjectKind::Index, ObjectKind::Directory].map(|kind| of_kind(&built, kind)[0]);
    let mut start = Pack::default();
    assert!(start.push(index) && start.push(directory));
    let start = start.into_bytes();
    let length =
        |object: &[u8]| (object.len() as u32).to_le_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    for wanted in [
        format!(
            "the {} bytes of the JWS, `0a`, and the {} bytes of the delta, {} bytes with the SHA-256 `{}`",
            jws.len(),
            delta.len(),
            head.len(),
            Digest::of(&head)
        ),
        format!(
            "`{}`, the {} bytes of the index, `{}`, and the {} bytes of the directory, {} bytes with the SHA-256 `{}`",
            length(index),
            index.len(),
            length(directory),
            directory.len(),
            start.len(),
            Digest::of(&start)
        ),
    ] {
        assert!(document.contains(&wanted), "{wanted}");
    }
}

#[test]
fn a_snapshot_of_format_1_is_read() {
    let version = assert_is_read(1);
    assert_eq!(version.index.salt(), ItemSalt::NONE);
}

#[test]
fn a_snapshot_of_format_2_is_read() {
    let version = assert_is_read(2);
    assert_eq!(version.index.salt(), SALT);
}

/// Asserts that a snapshot of an earlier format is read in the same way as a current one.
fn assert_is_read(format: u8) -> Version {
    let text = of_format(format);
    let keys = KeySet::from_inline_jwks(JWKS, &NativeVerifier).unwrap();
    let head: Head = verify_jws(&only(&text, "jws"), &keys, HEAD_TYPE, &NativeVerifier).unwrap();
    assert_eq!((head.format, head.may_follow(None, NOW, 0)), (format, Ok(())));
    let mut objects = HashMap::new();
    for (introduction, dump) in blocks(&text, "hex") {
        let name = ObjectName::parse(introduction.split('`').nth(1).unwrap()).unwrap();
        let object = bytes_of(&dump);
        assert_eq!((name.check(&object), object[4]), (Ok(()), format), "{introduction}");
        objects.insert(name, object);
    }
    let object = |kind, digest| objects[&ObjectName { kind, digest }].clone();
    let index = Index::decode(object(ObjectKind::Index, head.index)).unwrap();
    assert!(!index.has_external_ids());
    let version = Version {
        index: index.into(),
        directory: Directory::decode(&object(ObjectKind::Directory, head.directory)).unwrap().into(),
        delta: head.delta.map(|digest| object(ObjectKind::Delta, digest).into()),
        head,
    };
    let mut cache = ObjectCache::new(1 << 20);
    for (name, object) in &objects {
        cache.insert(*name, object.as_slice().into());
    }
    for id in [33, 40] {
        let key = version.index.item_key(id);
        let Found::Record(record) = version.look_up(Tree::Items, key, &mut cache).unwrap() else {
            panic!("{id}")
        };
        assert_eq!(ItemRecord::new(record.bytes()).unwrap().id, id);
    }
    let key = version.index.external_key("brightcove_asset", "6301");
    assert!(matches!(version.look_up(Tree::ExternalIds, key, &mut cache), Ok(Found::Absent)));
    // The delta has removed her.
    assert!(matches!(version.look_up(Tree::Customers, anna(), &mut cache), Ok(Found::Absent)));
    let without_delta = Version { delta: None, ..version };
    assert!(matches!(without_delta.look_up(Tree::Customers, anna(), &mut cache), Ok(Found::Record(_))));
    assert_eq!(
        *without_delta.directory,
        Directory::decode(of_kind(&example(), ObjectKind::Directory)[0]).unwrap()
    );
    without_delta
}

/// The numbers in the document's tables.
#[test]
fn the_document_names_the_limits() {
    let document = document();
    for wanted in [
        format!("{} MiB (`OBJECT_MAX_BYTES`)", admit_snapshot::limits::OBJECT_MAX_BYTES >> 20),
        format!("{} KiB (`HEAD_MAX_BYTES`)", admit_snapshot::limits::HEAD_MAX_BYTES >> 10),
        format!("{} MiB (`HEAD_VALUE_MAX_BYTES`)", admit_snapshot::limits::HEAD_VALUE_MAX_BYTES >> 20),
        format!("{} MiB (`PACK_MAX_BYTES`)", admit_snapshot::limits::PACK_MAX_BYTES >> 20),
        format!("{} KiB (`LEASE_MAX_BYTES`)", admit_snapshot::limits::LEASE_MAX_BYTES >> 10),
        format!("{} MiB (`GARBAGE_MAX_BYTES`)", admit_snapshot::limits::GARBAGE_MAX_BYTES >> 20),
        format!("{} s (`LEASE_MAX_SECS`)", admit_snapshot::limits::LEASE_MAX_SECS),
        format!("{} s (`HEAD_SKEW_SECS`)", admit_snapshot::limits::HEAD_SKEW_SECS),
        format!("about {} KiB of records", admit_publish::build::SHARD_TARGET_BYTES >> 10),
        format!("more than 2^{} shards", admit_publish::build::PAGE_ABOVE_BITS),
        format!("format {}", admit_snapshot::object::FORMAT_VERSION),
    ] {
        assert!(document.contains(&wanted), "{wanted}");
    }
}

/// Digests of the example, independent of the document. A change here changes published objects, and the
/// format too if the bytes now have another meaning (see "Changing the format").
#[test]
fn digests_are_pinned() {
    let built = example();
    let names: Vec<_> = built.objects.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, PINNED);
    assert_eq!((built.customers, built.items), (1, 2));
}

const PINNED: [&str; 5] = [
    "shard/d6965937e70d064028689876adb62fb600e98a01dde583a8ba03ce21a72aef1e",
    "shard/baf871b88fea7986a61b34b925745c479a2a2b8293b613cfc525df8f8467252c",
    "shard/0fd67eeca19f510f1ce3f0abba88125953b1a2865f18866da1b0810de23e0120",
    "index/68a2619241a88839b47540ce7ce18b787fcb81594cbdad15d98468ad0c74b588",
    "directory/77ef66d6fd5eba5d82ea8d5e0f3b538f3c0f0221c1593f8166551b4da9772c71",
];

/// The same lines in another order are the same snapshot.
#[test]
fn the_order_of_lines_does_not_matter() {
    let ndjson = only(&document(), "ndjson");
    let reversed: Vec<_> = ndjson.lines().rev().collect();
    assert_eq!(build_ndjson(reversed.join("\n").as_bytes(), NOW).unwrap().objects, example().objects);
}

#[test]
fn the_example_is_read_back() {
    let built = example();
    let index = Index::decode(of_kind(&built, ObjectKind::Index)[0].to_vec()).unwrap();
    let shards = index.shards(Tree::Customers, |_| None::<Vec<u8>>).unwrap();
    let object = &built.objects.iter().find(|(name, _)| *name == shards[0]).unwrap().1;
    let Ok(Entry::Record(record)) = Table::of_shard(object).unwrap().get(anna()) else { panic!() };
    let customer = CustomerRecord::new(record).unwrap();
    assert_eq!((customer.id, customer.accesses().count()), (33, 2));
    assert_eq!(customer.licenses().unwrap()[0].renews_on.unwrap().to_string(), "2023-12-14T09:35:28-07:00");
    let shards = index.shards(Tree::ExternalIds, |_| None::<Vec<u8>>).unwrap();
    let object = &built.objects.iter().find(|(name, _)| *name == shards[0]).unwrap().1;
    let key = index.external_key("brightcove_asset", "6301");
    let Ok(Entry::Record(record)) = Table::of_shard(object).unwrap().get(key) else { panic!() };
    assert_eq!(ExternalRecord::new(record).unwrap().only(), Named::Item(33));
}
