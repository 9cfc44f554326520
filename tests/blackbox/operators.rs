//! The report of the snapshot and the comparison of versions: what operators read.

use admit::snapshot::{
    delta::encode_delta,
    head::Head,
    key::EntryKey,
    object::{ObjectKind, ObjectName},
};
use serde_json::{Value, json};

use super::{
    catalogue::Published,
    issuers::{self, Signer},
    publishing::Publisher,
    wire::Wire,
};

/// Runs the cases. The subject's head is one of `published` with a smaller `seq` than `seq`. Two heads are published.
pub fn run(publisher: &mut Publisher<'_>, published: &Published, seq: u64) {
    let kept = issuers::head(&published.built, seq, publisher.subject.now());
    let signed = issuers::sign_head(&kept, Signer::Publisher).into_bytes();
    let wire = publisher.put_head(&kept);
    assert_eq!(publisher.send(wire).status, 201);
    assert_eq!(publisher.send(Wire::put(&format!("/snapshot/version/{seq}"), signed)).status, 201);
    // A delta takes one customer away.
    let ((namespace, subject), customer) =
        published.lines.customers.iter().find(|(_, one)| !one.accesses.is_empty()).unwrap();
    let delta = encode_delta([&[(EntryKey::customer(namespace, subject), "")], &[], &[]]).unwrap();
    let name = ObjectName::of(ObjectKind::Delta, &delta);
    assert_eq!(publisher.send(Wire::put(&format!("/snapshot/{name}"), delta)).status, 201);
    let head = Head { seq: seq + 1, delta: Some(name.digest), set_aside: Some(3), ..kept.clone() };
    let wire = publisher.put_head(&head);
    assert_eq!(publisher.send(wire).status, 201);
    // The isolate takes the head over with the next question about the snapshot.
    assert_eq!(publisher.send(Wire::get("/items/5101")).status, 200);
    report(publisher, &head, seq);
    comparison(publisher, seq, customer.id, customer.accesses.len());
    refusals(publisher, seq);
    let wire = publisher.put_head(&Head { seq: seq + 2, ..kept });
    assert_eq!(publisher.send(wire).status, 201);
    assert_eq!(publisher.send(Wire::get("/items/5101")).status, 200);
}

fn report(publisher: &mut Publisher<'_>, head: &Head, kept: u64) {
    let answer = publisher.send(Wire::get("/snapshot/report"));
    let (report, text) = (answer.json(), answer.text());
    assert_eq!(answer.status, 200, "{text}");
    let shown = &report["head"];
    assert_eq!((&shown["seq"], &shown["set_aside"]), (&head.seq.into(), &3.into()), "{text}");
    assert_eq!((&shown["as_of"], &shown["signature"]), (&head.as_of.into(), &"verified".into()), "{text}");
    assert_eq!(shown["delta_customers"], json!({"added": 0, "changed": 0, "removed": 1}), "{text}");
    assert_eq!(shown["customers"], head.customers - 1, "{text}");
    assert_eq!(shown["items"], head.items, "{text}");
    assert_eq!((&report["kid"], &report["stored"]), (&"snapshot-1".into(), &Value::Null), "{text}");
    let age = report["now"].as_i64().unwrap() - head.as_of;
    assert_eq!(shown["age_secs"], age, "{text}");
    let objects = &report["objects"];
    assert_eq!(objects["index"]["name"], format!("index/{}", head.index), "{text}");
    assert_eq!(
        (&objects["delta"]["customers"], &objects["delta"]["items"]),
        (&1.into(), &0.into()),
        "{text}"
    );
    assert_eq!(objects["delta"]["budget_bytes"], 768 << 10, "{text}");
    for (tree, count) in [("customers", head.customers), ("items", head.items)] {
        let shards = &objects[tree];
        assert_eq!((&shards["measured"], &shards["entries"]), (&shards["shards"], &count.into()), "{text}");
        let counted =
            shards["histogram"].as_array().unwrap().iter().map(|bucket| bucket["shards"].as_u64().unwrap());
        assert_eq!(shards["shards"], counted.sum::<u64>(), "{text}");
    }
    let newest = &report["history"]["versions"][0];
    assert_eq!((&newest["seq"], &newest["customers"]), (&kept.into(), &head.customers.into()), "{text}");
    assert_eq!(report["history"]["lease"], Value::Null, "{text}");
    let warnings = report["configuration"]["warnings"].as_array().unwrap();
    assert!(warnings.iter().all(|warning| warning["key"].as_str().unwrap().starts_with("ISSUERS")), "{text}");
    let unset = report["configuration"]["unset"].as_array().unwrap();
    assert!(unset.contains(&"PLAYBACK".into()), "{text}");
    assert!(!text.contains("\"keys\"") && !text.contains("secret\""), "{text}");
    assert_eq!(publisher.send(Wire::new("HEAD", "/snapshot/report")).status, 200);
}

fn comparison(publisher: &mut Publisher<'_>, kept: u64, customer: i64, accesses: usize) {
    let head = kept + 1;
    let mut ask = |from: &str, to: &str| {
        let answer = publisher.send(Wire::get(&format!("/snapshot/diff?from={from}&to={to}")));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let counts = |added: u64, removed: u64| json!([added, removed, 0]);
    let counted =
        |page: &Value, tree: &str| json!(["added", "removed", "changed"].map(|how| page[tree][how].clone()));
    let (old, new) = (kept.to_string(), head.to_string());
    for (from, to) in [(old.as_str(), "head"), (&old, &new)] {
        let page = ask(from, to);
        assert_eq!(
            (counted(&page, "customers"), counted(&page, "items")),
            (counts(0, 1), counts(0, 0)),
            "{page}"
        );
        let change = &page["customers"]["changes"][0];
        assert_eq!((&change["how"], &change["id"]), (&"removed".into(), &customer.into()), "{page}");
        assert_eq!(change["before"]["accesses"], accesses, "{page}");
        assert_eq!(change["lost"]["accesses"].as_array().map(Vec::len), Some(accesses), "{page}");
        assert!(change.get("gained").is_none() && change.get("after").is_none(), "{page}");
        assert_eq!((&page["before"]["seq"], &page["after"]["seq"]), (&kept.into(), &head.into()), "{page}");
        assert_eq!(page["after"]["customers"], Value::Null, "{page}");
        assert_eq!(page["directory"]["licenses"], json!({"added": 0, "removed": 0, "changed": 0}), "{page}");
        assert_eq!(page["page"]["next_token"], "", "{page}");
    }
    // The preview of a rollback.
    let page = ask("head", &old);
    assert_eq!(counted(&page, "customers"), counts(1, 0), "{page}");
    assert_eq!(
        page["customers"]["changes"][0]["gained"]["accesses"].as_array().map(Vec::len),
        Some(accesses),
        "{page}"
    );
    for (from, to) in [(old.as_str(), old.as_str()), ("head", "head"), (&new, "head")] {
        let page = ask(from, to);
        assert_eq!(
            (counted(&page, "customers"), counted(&page, "items")),
            (counts(0, 0), counts(0, 0)),
            "{page}"
        );
        assert_eq!(
            (&page["customers"]["changes"], &page["page"]["next_token"]),
            (&json!([]), &"".into()),
            "{page}"
        );
    }
}

fn refusals(publisher: &mut Publisher<'_>, kept: u64) {
    let token = "The page_token must be one that this route has answered for the same versions";
    for (query, status, message, field) in [
        ("from=98&to=head".to_owned(), 404, "Object not found", None),
        (format!("from={kept}&to=98"), 404, "Object not found", None),
        (String::new(), 422, "The from must be the seq of a version, or head", Some("from")),
        (format!("from={kept}"), 422, "The to must be the seq of a version, or head", Some("to")),
        (format!("from=x&to={kept}"), 422, "The from must be the seq of a version, or head", Some("from")),
        (format!("from={kept}&to=head&page_token=garbage"), 400, token, Some("page_token")),
    ] {
        publisher.refused(Wire::get(&format!("/snapshot/diff?{query}")), status, message, field);
    }
}
