//! `admit verify`: the built command against a fake Worker with damaged data.

use std::fs;

use admit_snapshot::{
    delta::encode_delta,
    external_id,
    head::{HEAD_TYPE, Head},
    index::{Index, NewTree, Tree, encode_index},
    key::EntryKey,
    object::{Digest, HEADER_LEN, ObjectKind, ObjectName},
    table::{Entry, Table},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{Algorithm, AlgorithmSignature, alg::Ed25519, jwk::JsonWebKey};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, Ended, catalogue, samples},
    double::{Double, Mishap},
};

fn set_up(test: &str, customers: usize) -> (Bench, Double) {
    let bench = Bench::new(test);
    let double = Double::start(&bench.jwks("publisher"));
    bench.write("all.ndjson", catalogue(customers));
    bench.publish("all.ndjson", &double.url, &["--seq", "7"]).ok();
    (bench, double)
}

fn verify(bench: &Bench, double: &Double, more: &[&str]) -> Ended {
    bench.run(&[&["verify", "--from", &double.url, "--key", "publisher.jwk"], more].concat())
}

/// The report, and its problems as `object: what`.
fn report(bench: &Bench, double: &Double, code: i32) -> (Value, Vec<String>) {
    let ended = verify(bench, double, &["--json"]);
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = |problem: &Value, field: &str| problem[field].as_str().unwrap().to_owned();
    let problems = report["problems"].as_array().unwrap();
    let told = problems.iter().map(|it| format!("{}: {}", text(it, "object"), text(it, "what"))).collect();
    (report, told)
}

/// Stores an object; returns its digest.
fn put(double: &Double, kind: ObjectKind, object: Vec<u8>) -> Digest {
    let name = ObjectName::of(kind, &object);
    double.state().objects.insert(name.to_string(), object);
    name.digest
}

/// Signs a changed head with the publisher's key.
fn forge(bench: &Bench, double: &Double, change: impl FnOnce(&mut Head)) {
    let mut head = double.state().published().unwrap();
    change(&mut head);
    let jwk = fs::read_to_string(bench.dir.join("publisher.jwk")).unwrap();
    let jwk: JsonWebKey<'_> = serde_json::from_str(&jwk).unwrap();
    let key: <Ed25519 as Algorithm>::SigningKey = (&jwk).try_into().unwrap();
    let header = json!({"alg": "EdDSA", "kid": "publisher", "typ": HEAD_TYPE}).to_string();
    let encode = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(&serde_json::to_vec(&head).unwrap()));
    let signature = encode(&Ed25519.sign(&key, signed.as_bytes()).as_bytes());
    double.state().head = Some(format!("{signed}.{signature}"));
}

/// The published index, and its shards of customers.
fn customers(double: &Double) -> (Index, Vec<ObjectName>) {
    let state = double.state();
    let digest = state.published().unwrap().index;
    let index = Index::decode(state.objects[&format!("index/{digest}")].clone()).unwrap();
    let shards = index.shards(Tree::Customers, |_| None::<Vec<u8>>).unwrap();
    (index, shards)
}

fn tree(shards: &[ObjectName]) -> NewTree {
    NewTree::new(shards.iter().map(|name| Some(name.digest)).collect()).unwrap()
}

/// The tree of external ids, as it is.
fn external_ids(index: &Index) -> NewTree {
    let mut shards = vec![None; index.shard_count(Tree::ExternalIds)];
    for (number, name) in index.top_shards(Tree::ExternalIds).unwrap() {
        shards[number] = Some(name.digest);
    }
    NewTree::new(shards).unwrap()
}

#[test]
fn a_published_snapshot_is_sound() {
    let (bench, double) = set_up("verify-sound", 5_000);
    let (report, problems) = report(&bench, &double, 0);
    assert_eq!(problems, [""; 0]);
    assert_eq!((report["is_sound"].as_bool(), report["head"]["seq"].as_u64()), (Some(true), Some(7)));
    assert_eq!((report["customers"].as_u64(), report["items"].as_u64()), (Some(5_000), Some(1)));
    assert_eq!(report["objects"]["shard"]["count"], 9);
    let stored: usize = double.state().objects.values().map(Vec::len).sum();
    let read: u64 =
        report["objects"].as_object().unwrap().values().map(|it| it["bytes"].as_u64().unwrap()).sum();
    assert_eq!(read, stored as u64);
    assert!(double.state().requests.iter().filter(|(request, _)| !request.starts_with("PUT")).count() > 0);
    let text = verify(&bench, &double, &[]).ok().stdout;
    assert!(text.starts_with("Head       seq 7, as of ") && text.ends_with("Nothing is wrong.\n"), "{text}");
    bench.publish(&samples(), &double.url, &["--allow-loss"]).ok();
    let text = verify(&bench, &double, &[]).ok().stdout;
    assert!(text.contains("Customers  32\nItems      60\n"), "{text}");
}

#[test]
fn every_kind_of_object_is_missed_and_its_bytes_are_hashed() {
    let (bench, double) = set_up("verify-objects", 1_000);
    for kind in ["GET /snapshot/index", "GET /snapshot/directory", "GET /snapshot/shard"] {
        for (mishap, what) in [
            (Mishap::Status(404, None), "it is missing, although"),
            (Mishap::Corrupt, "digest of the bytes differs"),
        ] {
            double.fail(kind, 0, 1, mishap);
            let (report, problems) = report(&bench, &double, 1);
            let name = kind.rsplit('/').next().unwrap();
            assert!(problems[0].starts_with(name) && problems[0].contains(what), "{problems:?}");
            assert_eq!((problems.len(), report["customers"].as_u64()), (1, None), "no guess at the counts");
        }
    }
}

#[test]
fn untrusted_heads_are_reported() {
    let (bench, double) = set_up("verify-head", 1);
    bench.keygen("other");
    let args = ["verify", "--from", &double.url, "--key", "other.jwk"];
    let ended = bench.run(&args).failed(1, "admit: 1 problem");
    assert!(ended.stdout.contains("problem: head: it is signed by another key"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Customers  1"), "the rest is checked all the same: {}", ended.stdout);
    forge(&bench, &double, |head| head.as_of += 1_000_000);
    assert_eq!(report(&bench, &double, 1).1, ["head: as_of lies in the future"]);
    forge(&bench, &double, |head| (head.as_of, head.format) = (1, 4));
    assert!(report(&bench, &double, 1).1[0].contains("format 4"));
    let jws = double.state().head.clone().unwrap();
    double.state().head = Some(jws[..jws.len() - 4].to_owned());
    assert_eq!(report(&bench, &double, 1).1.len(), 1);
    double.state().head = None;
    verify(&bench, &double, &["--json"]).failed(1, "nothing is published yet");
}

#[test]
fn counts_of_the_shards_are_compared_and_the_delta_is_read() {
    let (bench, double) = set_up("verify-counts", 3);
    let key = |subject| EntryKey::customer("vendor", subject);
    let (_, shards) = customers(&double);
    let object = double.state().objects[&shards[0].to_string()].clone();
    let Entry::Record(record) = Table::of_shard(&object).unwrap().get(key("c1")).unwrap() else {
        panic!("c1 is published")
    };
    let mut entries = vec![
        (key("c1"), record.to_vec()),
        (key("c2"), vec![]),
        (key("new"), record.to_vec()),
        (key("newer"), record.to_vec()),
    ];
    entries.sort();
    let delta = encode_delta([entries.as_slice(), &[], &[]]).unwrap();
    let delta = put(&double, ObjectKind::Delta, delta);
    forge(&bench, &double, |head| head.delta = Some(delta));
    let (report_, _) = report(&bench, &double, 0);
    assert_eq!(report_["customers"], 4, "three in the shards, two only in the delta, one removed by it");
    let effect = serde_json::json!({"added": 2, "changed": 1, "removed": 1});
    assert_eq!((&report_["delta_customers"], &report_["delta_items"]["added"]), (&effect, &0.into()));
    let text = bench.run(&["verify", "--from", &double.url, "--key", "publisher.jwk"]).ok().stdout;
    assert!(text.contains("Customers  4 (the delta adds 2, changes 1, removes 1)\n"), "{text}");
    assert_eq!(report_["objects"]["delta"]["count"], 1);
    forge(&bench, &double, |head| (head.customers, head.items) = (4, 2));
    let problems = report(&bench, &double, 1).1;
    let expected = [
        "head: it counts 2 items in the shards, and 1 were found",
        "head: it counts 4 customers in the shards, and 3 were found",
    ];
    assert_eq!(problems, expected);
    let delta = put(&double, ObjectKind::Delta, ObjectKind::Delta.header().to_vec());
    forge(&bench, &double, |head| head.delta = Some(delta));
    assert!(report(&bench, &double, 1).1[0].ends_with("the bytes end too early"));
}

#[test]
fn swapped_shards_are_reported_key_by_key() {
    let (bench, double) = set_up("verify-places", 4_000);
    let (index, mut shards) = customers(&double);
    assert!(shards.len() > 2);
    let items = tree(&index.shards(Tree::Items, |_| None::<Vec<u8>>).unwrap());
    shards.swap(0, 1);
    let (swapped, _) =
        encode_index(index.salt(), [&tree(&shards), &items, &external_ids(&index)], 15).unwrap();
    let swapped = put(&double, ObjectKind::Index, swapped);
    forge(&bench, &double, |head| head.index = swapped);
    let (report_, problems) = report(&bench, &double, 1);
    assert!(problems.len() > 300 && problems.iter().all(|what| what.contains("and belongs to shard ")));
    assert_eq!(report_["problems"][0]["key"].as_str().unwrap().len(), 32);
    assert_eq!(
        (report_["problems_total"].as_u64(), report_["customers"].as_u64()),
        (Some(problems.len() as u64), Some(4_000))
    );
}

#[test]
fn pages_are_read_one_by_one() {
    let (bench, double) = set_up("verify-pages", 4_000);
    let (index, shards) = customers(&double);
    let items = tree(&index.shards(Tree::Items, |_| None::<Vec<u8>>).unwrap());
    let (paged, pages) =
        encode_index(index.salt(), [&tree(&shards), &items, &external_ids(&index)], 1).unwrap();
    let pages: Vec<_> = pages.into_iter().map(|page| put(&double, ObjectKind::Page, page)).collect();
    let paged = put(&double, ObjectKind::Index, paged);
    forge(&bench, &double, |head| head.index = paged);
    let (report_, _) = report(&bench, &double, 0);
    assert_eq!(
        (report_["customers"].as_u64(), report_["objects"]["page"]["count"].as_u64()),
        (Some(4_000), Some(pages.len() as u64))
    );
    double.fail("GET /snapshot/page", 0, 1, Mishap::Corrupt);
    let problems = report(&bench, &double, 1).1;
    assert!(problems.len() == 1 && problems[0].starts_with("page/"), "{problems:?}");
}

#[test]
fn records_are_read_and_references_followed() {
    let (bench, double) = set_up("verify-records", 1);
    let (index, shards) = customers(&double);
    let items = index.shards(Tree::Items, |_| None::<Vec<u8>>).unwrap();
    let mut shard = double.state().objects[&shards[0].to_string()].clone();
    // The last byte of the only record is its count of licences: one licence cannot follow.
    *shard.last_mut().unwrap() = 1;
    let shard = ObjectName { kind: ObjectKind::Shard, digest: put(&double, ObjectKind::Shard, shard) };
    let (broken, _) =
        encode_index(index.salt(), [&tree(&[shard]), &tree(&items), &external_ids(&index)], 15).unwrap();
    let broken = put(&double, ObjectKind::Index, broken);
    // An empty directory: no merchants, no apps, no licences.
    let directory = [ObjectKind::Directory.header().as_slice(), &[0; 3]].concat();
    assert_eq!(directory.len(), HEADER_LEN + 3);
    let directory = put(&double, ObjectKind::Directory, directory);
    forge(&bench, &double, |head| (head.index, head.directory) = (broken, directory));
    let mut problems = report(&bench, &double, 1).1;
    problems.sort_by_key(|problem| problem.contains("item"));
    assert!(
        problems[0].ends_with("a customer: its record cannot be read: the bytes end too early"),
        "{problems:?}"
    );
    assert!(problems[1].ends_with("item 33: the directory has no merchant 21"), "{problems:?}");
    assert_eq!(problems.len(), 2);
}

#[test]
fn external_ids_that_name_no_item_of_theirs_are_reported() {
    let (bench, double) = set_up("verify-external-ids", 1);
    let (index, _) = customers(&double);
    let entry = |id: &str, item| {
        let key = EntryKey::external_id(index.salt(), "brightcove_asset", id);
        (key, external_id::encode(&[(21, item)]))
    };
    let mut entries = vec![entry("a", 33), entry("b", 35)];
    entries.sort();
    let delta = put(&double, ObjectKind::Delta, encode_delta([&[], &[], entries.as_slice()]).unwrap());
    forge(&bench, &double, |head| head.delta = Some(delta));
    let mut problems = report(&bench, &double, 1).1;
    problems.sort_by_key(|problem| problem.contains("item 35"));
    let expected = [
        "an external id: it names item 33 of merchant 21, which does not have this id",
        "an external id: it names item 35, and there is no such active item",
    ];
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with("index/") && problem.ends_with(expected), "{problems:?}");
    }
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn an_edge_that_refuses_is_not_a_finding() {
    let (bench, double) = set_up("verify-refused", 10);
    verify(&bench, &double, &["--token", "wrong"]).failed(1, "401 Unauthorized");
    double.fail("GET /snapshot/shard", 0, 1, Mishap::Status(403, None));
    let ended = verify(&bench, &double, &["--json"]).failed(1, "403 Forbidden");
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((report["is_sound"].as_bool(), report["problems_total"].as_u64()), (Some(false), Some(0)));
    verify(&bench, &double, &["--key", "nowhere.jwk"]).failed(2, "cannot be used multiple times");
}
