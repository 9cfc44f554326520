//! The lease, and the requests that only its holder may make: heads, versions, removals.

use admit::snapshot::{
    head::Head,
    object::{ObjectKind, ObjectName},
};
use serde_json::json;

use super::{
    catalogue::Published,
    issuers::{self, Signer},
    publishing::Publisher,
    wire::Wire,
};

const ANNE: &str = "00000000000000000000000000000001";
const BEN: &str = "0000000000000000000000000000000b";

fn by(wire: Wire, holder: &str) -> Wire {
    if holder.is_empty() { wire } else { wire.header("Admit-Holder", holder) }
}

fn lease(holder: &str, until: i64) -> Wire {
    let lease = json!({"holder": holder, "host": "build-7", "until": until});
    Wire::put("/snapshot/lease", lease.to_string().into_bytes())
}

fn expect(publisher: &mut Publisher<'_>, wire: Wire, status: u16) {
    let at = wire.describe();
    let answer = publisher.send(wire);
    assert_eq!(answer.status, status, "{at}: {}", answer.text());
}

/// Expects a published head with `seq` 5.
pub fn run(publisher: &mut Publisher<'_>, published: &Published) {
    let now = publisher.subject.now();
    let head = Head { as_of: now, ..issuers::head(&published.built, 6, now) };
    let jws = || issuers::sign_head(&head, Signer::Publisher).into_bytes();
    wrong_leases(publisher, now);
    let until = now + 300;
    expect(publisher, lease(ANNE, until), 201);
    let stored = publisher.send(Wire::get("/snapshot/lease"));
    assert_eq!(stored.json()["holder"], ANNE);
    assert_eq!(stored.header("content-type"), Some("application/octet-stream"));

    let object = ObjectKind::Delta.header().to_vec();
    let path = format!("/snapshot/{}", ObjectName::of(ObjectKind::Delta, &object));
    let held = format!("Another publisher holds the lease: build-7, until {until}. Try again then");
    for other in ["", BEN] {
        for wire in [
            Wire::put("/snapshot/head", jws()),
            Wire::put("/snapshot/version/6", jws()),
            Wire::new("DELETE", "/snapshot/version/6"),
            Wire::new("DELETE", &path),
            Wire::new("DELETE", "/snapshot/lease"),
        ] {
            publisher.refused(by(wire, other), 409, &held, None);
        }
    }
    publisher.refused(lease(BEN, until), 409, &held, None);
    // Objects change nothing until a head names them, so every publisher may store them.
    expect(publisher, by(Wire::put(&path, object), BEN), 201);

    let other_seq = "The head has another seq than its key";
    let wire = by(Wire::put("/snapshot/version/7", jws()), ANNE);
    publisher.refused(wire, 422, other_seq, Some("seq"));
    expect(publisher, by(Wire::put("/snapshot/version/6", jws()), ANNE), 201);
    expect(publisher, by(Wire::put("/snapshot/head", jws()), ANNE), 201);
    assert_eq!(publisher.send(Wire::get("/snapshot/version/6")).body, jws());
    removals(publisher, &head, &path);
    garbage(publisher);
    expect(publisher, lease(ANNE, until + 1), 201);
    expect(publisher, by(Wire::new("DELETE", "/snapshot/lease"), ANNE), 204);
    publisher.refused(Wire::get("/snapshot/lease"), 404, "Object not found", None);
    expect(publisher, Wire::put("/snapshot/head", jws()), 201);
}

fn wrong_leases(publisher: &mut Publisher<'_>, now: i64) {
    let end = "A lease must end within 600 s from now, by the clock of this service";
    // An hour, because the Worker's clock runs on during the test.
    for until in [now - 1, now + 3_600] {
        publisher.refused(lease(ANNE, until), 422, end, Some("until"));
    }
    let holder = "The body is not a lease: invalid holder, expected 32 lower-case hexadecimal digits";
    publisher.refused(lease("anne", now + 60), 422, holder, Some("body"));
    let malformed = "The body is not a lease: not a lease";
    publisher.refused(Wire::put("/snapshot/lease", b"{}".to_vec()), 422, malformed, Some("body"));
    publisher.refused(Wire::put("/snapshot/lease", vec![b' '; 1025]), 413, "Body too large", None);
    publisher.refused(Wire::get("/snapshot/lease"), 404, "Object not found", None);
}

fn removals(publisher: &mut Publisher<'_>, head: &Head, path: &str) {
    let index = ObjectName { kind: ObjectKind::Index, digest: head.index };
    let directory = ObjectName { kind: ObjectKind::Directory, digest: head.directory };
    for name in [index, directory] {
        let wire = by(Wire::new("DELETE", &format!("/snapshot/{name}")), ANNE);
        let needed =
            format!("The published snapshot needs this object: {name} is in use. Publish another head first");
        publisher.refused(wire, 409, &needed, None);
    }
    for path in [path, "/snapshot/version/6"] {
        // The second time the object is already gone.
        for _ in 0..2 {
            expect(publisher, by(Wire::new("DELETE", path), ANNE), 204);
        }
        publisher.refused(Wire::get(path), 404, "Object not found", None);
    }
}

fn garbage(publisher: &mut Publisher<'_>) {
    publisher.refused(Wire::get("/snapshot/garbage"), 404, "Object not found", None);
    let list = br#"{"at":1,"keys":[]}"#.to_vec();
    expect(publisher, Wire::put("/snapshot/garbage", list.clone()), 201);
    assert_eq!(publisher.send(Wire::get("/snapshot/garbage")).body, list);
    publisher.refused(Wire::put("/snapshot/garbage", vec![b' '; (8 << 20) + 1]), 413, "Body too large", None);
}
