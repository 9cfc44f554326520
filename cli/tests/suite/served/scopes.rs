//! Each command with the fewest scopes that it needs, and the messages about missing ones.

use admit_snapshot::object::{ObjectKind, ObjectName};
use serde_json::json;

use super::Subject;
use crate::{
    bench::{Ended, catalogue},
    service::Service,
};

fn with(subject: &Subject, scope: &str, args: &[&str]) -> Ended {
    let token = Service::scoped(&subject.bench, "publisher", "sync", scope);
    subject.bench.command(args).env("ADMIT_TOKEN", token).output().unwrap().into()
}

fn lacks(scopes: &str) -> String {
    format!(
        "403 Forbidden: Invalid privileges (the token needs the scope {scopes} or snapshot:publish, of an issuer"
    )
}

#[test]
fn publishing_needs_no_right_to_delete() {
    let subject = Subject::new("scopes-publish");
    let url = subject.service.url.clone();
    let publish = ["publish", "--from", "all.ndjson", "--to", &url, "--key", "publisher.jwk"];
    subject.bench.write("all.ndjson", format!("{{\"type\":\"snapshot\",\"seq\":7}}\n{}", catalogue(5)));
    with(&subject, "snapshot:write", &publish).failed(1, &lacks("snapshot:read"));
    with(&subject, "snapshot:read", &publish).failed(1, &lacks("snapshot:write or snapshot:collect"));
    with(&subject, "snapshot:read snapshot:write", &publish).ok();
    subject.bench.write("all.ndjson", format!("{{\"type\":\"snapshot\",\"seq\":8}}\n{}", catalogue(6)));
    with(&subject, "snapshot:read snapshot:write", &publish).ok();
    let rollback = ["rollback", "--to", "7", "--from", &url, "--key", "publisher.jwk"];
    // A collector takes the lease, and can publish nothing with it.
    with(&subject, "snapshot:read snapshot:collect", &rollback).failed(1, &lacks("snapshot:write"));
    with(&subject, "snapshot:read snapshot:write", &rollback).ok();
}

#[test]
fn collecting_needs_no_right_to_write() {
    let subject = Subject::new("scopes-collect");
    let url = subject.service.url.clone();
    subject.publish(&catalogue(3), &[]).ok();
    let stray = ObjectKind::Delta.header();
    let stray_name = ObjectName::of(ObjectKind::Delta, &stray);
    let path = format!("/snapshot/{stray_name}");
    let ask = |method: &str, path: &str, body: &[u8]| subject.request(method, path, &subject.token, body);
    assert_eq!(ask("PUT", &path, &stray).0, 201);
    // Marked long ago; and a wrong list marks every object in use as well.
    let keys = ask("GET", "/snapshot/keys?prefix=shard/", &[]).1;
    let shards = serde_json::from_slice::<serde_json::Value>(&keys).unwrap()["keys"].clone();
    let shards: Vec<_> =
        shards.as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect();
    assert!(!shards.is_empty());
    let objects = [&shards[..], &[stray_name.to_string()]].concat();
    let garbage = json!({"marked": [{"at": 1_700_000_000, "objects": objects}]}).to_string();
    assert_eq!(ask("PUT", "/snapshot/garbage", garbage.as_bytes()).0, 201);

    let gc = ["gc", "--from", &url];
    let collector = |scope: &str| with(&subject, scope, &gc);
    collector("snapshot:collect").failed(1, &lacks("snapshot:read"));
    collector("snapshot:read snapshot:write").failed(1, &lacks("snapshot:collect"));
    assert_eq!(ask("GET", &path, &[]).0, 200);
    collector("snapshot:read snapshot:collect").ok();
    assert_eq!(ask("GET", &path, &[]).0, 404);
    // The same token without the command: objects in use stay.
    let token = Service::scoped(&subject.bench, "publisher", "sync", "snapshot:collect");
    for shard in &shards {
        let (status, body) = subject.request("DELETE", &format!("/snapshot/{shard}"), &token, &[]);
        let text = String::from_utf8_lossy(&body);
        assert!(status == 409 && text.contains(&format!("needs this object: {shard} is in use")), "{text}");
    }
    let verify = ["verify", "--from", &url, "--key", "publisher.jwk"];
    with(&subject, "snapshot:read", &verify).ok();
    with(&subject, "snapshot:write snapshot:collect", &verify).failed(1, &lacks("snapshot:read"));
    assert_eq!(subject.check("c2"), 200);
}
