//! `admit inspect` of snapshots that `admit publish` has published.

use serde_json::Value;

use super::set_up;
use crate::{
    bench::{Bench, catalogue, samples},
    double::{Double, Mishap},
};

fn inspect(bench: &Bench, double: &Double, more: &[&str]) -> Value {
    let args = ["inspect", "--from", &double.url, "--json"];
    serde_json::from_str(&bench.run(&[&args, more].concat()).ok().stdout).unwrap()
}

fn sample_catalogue(test: &str) -> (Bench, Double) {
    let (bench, double) = set_up(test);
    bench.publish(&samples(), &double.url, &[]).ok();
    (bench, double)
}

/// Owns access 340001 to item 5110, which started three hours ago and ends in two days.
const BUYER: &str = "vendor:687701d2-7eef-4ae9-a1be-cd432fc3af69";

#[test]
fn the_head_and_the_shards_are_shown() {
    let (bench, double) = set_up("inspect-head");
    bench.write("all.ndjson", catalogue(5_000));
    bench.publish("all.ndjson", &double.url, &["--seq", "7"]).ok();
    let report = inspect(&bench, &double, &["--key", "publisher.jwk"]);
    assert_eq!(report["head"]["seq"], 7);
    assert_eq!(report["head"]["signature"], "verified");
    assert!(report["head"]["age_secs"].as_i64().unwrap() < 60);
    let customers = &report["objects"]["customers"];
    assert_eq!((customers["entries"].as_u64(), customers["shards"].as_u64()), (Some(5_000), Some(8)));
    assert_eq!(customers["places"], 8);
    let counted = customers["histogram"].as_array().unwrap().iter().map(|it| it["shards"].as_u64().unwrap());
    assert_eq!(counted.sum::<u64>(), 8);
    assert_eq!(report["objects"]["items"]["entries"], 1);
    let text = bench.run(&["inspect", "--from", &double.url]).ok().stdout;
    assert!(text.starts_with("Head       seq 7, as of "), "{text}");
    assert!(text.contains("signature not checked") && text.contains("8 of 8 shards have entries"), "{text}");
}

#[test]
fn versions_and_who_may_publish_are_shown() {
    let (bench, double) = set_up("inspect-history");
    bench.write("all.ndjson", catalogue(3));
    bench.publish("all.ndjson", &double.url, &["--seq", "7"]).ok();
    bench.publish("all.ndjson", &double.url, &["--seq", "9"]).ok();
    bench
        .run(&["rollback", "--to", "7", "--from", &double.url, "--key", "publisher.jwk"])
        .failed(1, "is already published");
    bench.write("all.ndjson", catalogue(4));
    bench.publish("all.ndjson", &double.url, &["--seq", "11"]).ok();
    bench.run(&["rollback", "--to", "9", "--from", &double.url, "--key", "publisher.jwk"]).ok();
    let report = inspect(&bench, &double, &["--key", "publisher.jwk"]);
    let versions = report["history"]["versions"].as_array().unwrap();
    let seqs: Vec<_> = versions.iter().map(|version| version["seq"].as_u64().unwrap()).collect();
    assert_eq!((seqs, report["history"]["versions_total"].as_u64()), (vec![12, 11, 9, 7], Some(4)));
    assert_eq!((&versions[0]["origin_seq"], &versions[0]["customers"]), (&9.into(), &3.into()));
    assert_eq!(report["head"]["origin_seq"], 9);
    assert_eq!(report["head"]["published_at"], versions[0]["published_at"]);
    assert!(report["history"]["lease"].is_null());
    double.fail("POST /snapshot/pack", 0, 1, Mishap::TakenOver);
    bench.write("all.ndjson", catalogue(5));
    bench.publish("all.ndjson", &double.url, &[]).failed(1, "rival:1");
    let report = inspect(&bench, &double, &[]);
    assert_eq!(report["history"]["lease"]["host"], "rival:1");
    let text = bench.run(&["inspect", "--from", &double.url]).ok().stdout;
    assert!(text.contains("the origin's change 9, published 20"), "{text}");
    assert!(text.contains("Versions   12, as of 20") && text.contains("held by rival:1 until 20"), "{text}");
}

#[test]
fn a_customer_is_shown_with_dates_and_states() {
    let (bench, double) = sample_catalogue("inspect-customer");
    let report = inspect(&bench, &double, &["--customer", BUYER]);
    let record = &report["customer"]["record"];
    assert_eq!((record["id"].as_i64(), record["found_in"].as_str()), (Some(88_002), Some("shard")));
    let access = &record["accesses"][0];
    assert_eq!((access["id"].as_i64(), access["item_id"].as_i64()), (Some(340_001), Some(5_110)));
    assert_eq!(access["state"], "active");
    assert!(access["expires_at"].as_str().unwrap().ends_with("+00:00"));
    assert!(access["title"].is_string() && report.get("objects").is_none());
    let later = inspect(&bench, &double, &["--customer", BUYER, "--at", "now+3d"]);
    assert_eq!(later["customer"]["record"]["accesses"][0]["state"], "expired");
    let nobody = inspect(&bench, &double, &["--customer", "vendor:nobody"]);
    assert!(nobody["customer"]["record"].is_null());
    let other = inspect(&bench, &double, &["--customer", &BUYER.replace("vendor", "publisher")]);
    assert!(other["customer"]["record"].is_null(), "the namespace is part of the customer");
    let text = bench.run(&["inspect", "--from", &double.url, "--customer", BUYER]).ok().stdout;
    assert!(text.contains("active       access 340001 on item 5110 ("), "{text}");
}

#[test]
fn a_subscriber_is_shown_with_licences() {
    let (bench, double) = sample_catalogue("inspect-license");
    let subscriber = "vendor:6fa04b30-448d-48ce-9362-f5f6039d98b4";
    let report = inspect(&bench, &double, &["--customer", subscriber]);
    let license = &report["customer"]["record"]["licenses"][0];
    assert_eq!(license["license"], "Everything, monthly");
    assert_eq!((license["status"].as_str(), license["state"].as_str()), (Some("ACTIVE"), Some("active")));
    assert_eq!(license["date_added"], "2025-02-03T19:41:10-07:00");
    let text = bench.run(&["inspect", "--from", &double.url, "--customer", subscriber]).ok().stdout;
    assert!(text.contains("ACTIVE/RENEW"), "{text}");
}

#[test]
fn a_check_is_decided_as_the_edge_decides() {
    let (bench, double) = sample_catalogue("inspect-check");
    let check = |more: &[&str]| {
        let args = ["--customer", BUYER, "--check"];
        inspect(&bench, &double, &[&args, more].concat())["check"].clone()
    };
    let granted = check(&["5110"]);
    assert_eq!((granted["status"].as_u64(), granted["reason"].as_str()), (Some(200), Some("item_access")));
    assert_eq!(granted["grants"][0]["access_id"], 340_001);
    assert_eq!(granted["grants"][0]["is_chosen"], true);
    let later = check(&["5110", "--at", "now+3d"]);
    assert_eq!((later["status"].as_u64(), later["reason"].as_str()), (Some(402), Some("expired")));
    assert_eq!(later["grants"][0]["obstacle"], "expired");
    let unknown = check(&["-1"]);
    assert_eq!((unknown["status"].as_u64(), unknown["reason"].as_str()), (Some(404), Some("unknown_item")));
    assert!(!check(&["5110", "--country", "ch"])["fees"].as_array().unwrap().is_empty());
    let args = ["inspect", "--from", &double.url, "--customer", BUYER, "--check", "5110"];
    let text = bench.run(&args).ok().stdout;
    assert!(text.contains("ALLOW (200), reason item_access, until "), "{text}");
    assert!(text.contains("* item_access 340001, until "), "{text}");
}

#[test]
fn a_damaged_snapshot_is_not_shown() {
    let (bench, double) = set_up("inspect-unsound");
    let inspect = |more: &[&str]| bench.run(&[&["inspect", "--from", &double.url], more].concat());
    inspect(&[]).failed(1, "nothing is published yet");
    bench.write("all.ndjson", catalogue(1));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    for object in ["GET /snapshot/index", "GET /snapshot/directory", "GET /snapshot/shard"] {
        double.fail(object, 0, 1, Mishap::Corrupt);
        inspect(&[]).failed(1, "digest of the bytes differs");
        double.fail(object, 0, 1, Mishap::Status(404, None));
        inspect(&[]).failed(1, "is missing, although");
    }
    bench.keygen("other");
    inspect(&["--key", "other.jwk"]).failed(1, "signed by another key");
    inspect(&["--token", "wrong"]).failed(1, "401 Unauthorized");
    inspect(&["--customer", "vendr:x"])
        .failed(1, "no namespace \"vendr\"; it has cognito, publisher, vendor");
    inspect(&["--check", "1"]).failed(2, "--customer");
    let jws = double.state().head.clone().unwrap();
    double.state().head = Some(jws[..jws.len() - 4].to_owned());
    inspect(&["--key", "publisher.jwk"]).failed(1, "cannot be trusted");
}
