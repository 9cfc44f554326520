//! The publish API: what it refuses, and that refused requests have no effect.

use admit::snapshot::{
    head::Head,
    object::{Digest, FORMAT_VERSION, ObjectKind, ObjectName},
    pack::unpack,
};

use super::{
    catalogue::Published,
    check::{Pages, error_body, problems},
    issuers::{self, Signer},
    leases, operators, packs,
    subject::Subject,
    wire::{Answer, Payload, Wire},
};

const OBJECT_LIMIT: usize = 8 * 1024 * 1024;
const HEAD_LIMIT: usize = admit::limits::HEAD_MAX_BYTES;
const NOT_THE_NAME: &str = "The body does not have the digest and the header that its name says";
const NOT_A_HEAD: &str = "The body is not a head that a key of SNAPSHOT_KEYS has signed";
const NOT_COMPLETE: &str = "An object that the head names is not stored";

/// A subject with a publisher's token.
pub struct Publisher<'a> {
    pub subject: &'a dyn Subject,
    token: String,
    sent: usize,
}

impl Publisher<'_> {
    pub fn send(&mut self, wire: Wire) -> Answer {
        self.sent += 1;
        let wire = wire.bearer(&self.token);
        let answer = self.subject.send(&wire);
        let at = format!("{} -> {} {}", wire.describe(), answer.status, answer.text());
        assert_eq!(problems(&wire, &answer, Pages::All), [""; 0], "{at}");
        answer
    }

    pub fn refused(&mut self, wire: Wire, status: u16, message: &str, field: Option<&str>) {
        let at = wire.describe();
        let answer = self.send(wire);
        let expected = error_body(status, message, field);
        assert_eq!((answer.status, answer.json()), (status, expected), "{at}");
        self.still_serves();
    }

    fn still_serves(&mut self) {
        self.sent += 1;
        let wire = Wire::get("/items/5101/access").bearer(&self.subject.token("subscriber"));
        assert_eq!(self.subject.send(&wire).status, 200, "a refused upload has an effect");
    }

    pub fn put_head(&self, head: &Head) -> Wire {
        let _ = self;
        Wire::put("/snapshot/head", issuers::sign_head(head, Signer::Publisher).into_bytes())
    }
}

/// Runs the cases. Returns the number of requests. The subject must hold `published` with `seq` 1.
pub fn run(subject: &dyn Subject, published: &Published) -> usize {
    let token = issuers::publisher_token(subject.now() + 86_400);
    let mut publisher = Publisher { subject, token, sent: 0 };
    objects(&mut publisher, published);
    readers(&mut publisher, published);
    of_any_length(&mut publisher);
    too_large(&mut publisher);
    packs::run(&mut publisher, published);
    heads(&mut publisher, published);
    leases::run(&mut publisher, published);
    operators::run(&mut publisher, published, 50);
    publisher.sent
}

fn objects(publisher: &mut Publisher<'_>, published: &Published) {
    let (name, object) = &published.built.objects[0];
    let path = format!("/snapshot/{name}");
    // A stored object comes back unchanged, and may be stored again.
    for wire in [Wire::get(&path), Wire::put(&path, object.clone()), Wire::get(&path)] {
        let is_put = wire.method == "PUT";
        let answer = publisher.send(wire);
        if is_put {
            let body = serde_json::json!({ "stored": name.to_string() });
            assert_eq!((answer.status, answer.json()), (201, body));
        } else {
            assert_eq!((answer.status, &answer.body), (200, object));
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        }
    }
    let head = publisher.send(Wire::new("HEAD", &path));
    assert_eq!(head.header("content-length"), Some(object.len().to_string().as_str()));
    let unknown = ObjectName { kind: ObjectKind::Shard, digest: Digest([7; 32]) };
    let unknown = format!("/snapshot/{unknown}");
    publisher.refused(Wire::get(&unknown), 404, "Object not found", None);
    let wrong = |publisher: &mut Publisher<'_>, path: &str, body: Vec<u8>| {
        publisher.refused(Wire::put(path, body), 422, NOT_THE_NAME, Some("body"));
    };
    wrong(publisher, &unknown, object.clone());
    wrong(publisher, &path, object[..object.len() - 1].to_vec());
    wrong(publisher, &path, [object.as_slice(), &[0]].concat());
    wrong(publisher, &path, Vec::new());
    let mut flipped = object.clone();
    flipped[object.len() / 2] ^= 1;
    wrong(publisher, &path, flipped);
    let other = ObjectKind::ALL.into_iter().find(|kind| *kind != name.kind).unwrap();
    let other = ObjectName { kind: other, digest: name.digest };
    wrong(publisher, &format!("/snapshot/{other}"), object.clone());
    // The digest is right, and the header is wrong.
    let text = b"no object at all";
    wrong(publisher, &format!("/snapshot/{}", ObjectName::of(ObjectKind::Delta, text)), text.to_vec());
    // Nothing of a refused upload is stored.
    publisher.refused(Wire::get(&unknown), 404, "Object not found", None);
    let chunked = Wire { body: Payload::Chunked(object.clone()), ..Wire::new("PUT", &path) };
    assert_eq!(publisher.send(chunked).status, 201);
    // Without a body.
    publisher.refused(Wire::new("PUT", &path), 422, NOT_THE_NAME, Some("body"));
}

/// The scope `snapshot:read` reads the same as `snapshot:publish`, and changes nothing.
fn readers(publisher: &mut Publisher<'_>, published: &Published) {
    let reader = issuers::reader_token(publisher.subject.now() + 3_600);
    let (name, object) = &published.built.objects[0];
    let path = format!("/snapshot/{name}");
    let mut as_reader = |wire: Wire| {
        publisher.sent += 1;
        let wire = wire.bearer(&reader);
        let answer = publisher.subject.send(&wire);
        assert_eq!(problems(&wire, &answer, Pages::All), [""; 0], "{}", wire.describe());
        answer
    };
    let answer = as_reader(Wire::get(&path));
    assert_eq!((answer.status, &answer.body), (200, object));
    assert_eq!(as_reader(Wire::new("HEAD", &path)).status, 200);
    assert_eq!(as_reader(Wire::get("/snapshot/head")).status, 200);
    assert_eq!(as_reader(Wire::get("/snapshot/version/99")).status, 404);
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/snapshot/keys?prefix={}/{cursor}", name.kind.prefix());
        let page = as_reader(Wire::get(&path)).json();
        listed.extend(page["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()));
        let Some(next) = page["cursor"].as_str() else { break };
        let encoded: String = next.bytes().map(|byte| format!("%{byte:02x}")).collect();
        cursor = format!("&cursor={encoded}");
    }
    assert!(listed.contains(&name.to_string()), "{listed:?}");
    let listed = as_reader(Wire::get("/snapshot/issuers"));
    let (text, issuers) = (listed.text(), listed.json()["issuers"].clone());
    assert_eq!(
        issuers[0],
        serde_json::json!({
            "issuer": "https://vendor.dev.admit.example", "namespace": "vendor", "customer_claim": "sub", "merchants": null,
            "may": ["view", "write"], "test_clients": true, "kids": []
        })
    );
    assert_eq!(issuers.as_array().map(Vec::len), Some(4), "{text}");
    assert!(!text.contains("keys") && !text.contains("secret"), "{text}");
    for wire in [
        Wire::put(&path, object.clone()),
        Wire::new("DELETE", &path),
        Wire { method: "POST".to_owned(), ..Wire::put("/snapshot/check", format!("{name}").into_bytes()) },
        Wire { method: "POST".to_owned(), ..Wire::put("/snapshot/pack", object.clone()) },
    ] {
        let answer = as_reader(wire.clone());
        let refused = (403, error_body(403, "Invalid privileges", None));
        assert_eq!((answer.status, answer.json()), refused, "{}", wire.describe());
    }
    publisher.still_serves();
}

/// Lengths around SHA-256's blocks, around the length from which a platform may hash instead of our code, and
/// the longest.
pub const LENGTHS: [usize; 14] =
    [8, 9, 55, 56, 63, 64, 65, 2_047, 2_048, 2_049, 65_535, 65_536, 1 << 20, OBJECT_LIMIT];

/// A shard of `len` bytes.
pub fn shard_of(len: usize) -> (ObjectName, Vec<u8>) {
    let header = ObjectKind::Shard.header();
    let object: Vec<u8> = header.into_iter().chain((0..251).cycle()).take(len).collect();
    (ObjectName::of(ObjectKind::Shard, &object), object)
}

fn of_any_length(publisher: &mut Publisher<'_>) {
    for (name, object) in LENGTHS.map(shard_of) {
        let path = format!("/snapshot/{name}");
        for at in [0, object.len() / 2, object.len() - 1] {
            let mut flipped = object.clone();
            flipped[at] ^= 0x80;
            publisher.refused(Wire::put(&path, flipped), 422, NOT_THE_NAME, Some("body"));
        }
        assert_eq!(publisher.send(Wire::put(&path, object.clone())).status, 201, "{} bytes", object.len());
        assert!(publisher.send(Wire::get(&path)).body == object, "{} bytes", object.len());
    }
}

fn too_large(publisher: &mut Publisher<'_>) {
    let path = format!("/snapshot/{}", ObjectName { kind: ObjectKind::Shard, digest: Digest([8; 32]) });
    for body in [Payload::Whole(vec![0; OBJECT_LIMIT + 1]), Payload::Chunked(vec![0; OBJECT_LIMIT + 1])] {
        let wire = Wire { body, ..Wire::new("PUT", &path) };
        publisher.refused(wire, 413, "Body too large", None);
    }
    // The longest body is refused for its content, not for its length.
    publisher.refused(Wire::put(&path, vec![0; OBJECT_LIMIT]), 422, NOT_THE_NAME, Some("body"));
    for body in [Payload::Whole(vec![b'a'; HEAD_LIMIT + 1]), Payload::Chunked(vec![b'a'; HEAD_LIMIT + 1])] {
        let wire = Wire { body, ..Wire::new("PUT", "/snapshot/head") };
        publisher.refused(wire, 413, "Body too large", None);
    }
    let wire = Wire::put("/snapshot/head", vec![b'a'; HEAD_LIMIT]);
    publisher.refused(wire, 422, NOT_A_HEAD, Some("body"));
}

fn heads(publisher: &mut Publisher<'_>, published: &Published) {
    let now = published.at;
    let good = issuers::head(&published.built, 5, now);
    let not_a_head = |publisher: &mut Publisher<'_>, body: String| {
        let wire = Wire::put("/snapshot/head", body.into_bytes());
        publisher.refused(wire, 422, NOT_A_HEAD, Some("body"));
    };
    not_a_head(publisher, String::new());
    not_a_head(publisher, serde_json::to_string(&good).unwrap());
    not_a_head(publisher, "a.b.c".to_owned());
    not_a_head(publisher, "\u{fffd}".to_owned());
    not_a_head(publisher, issuers::sign_head(&good, Signer::Impostor));
    not_a_head(publisher, issuers::sign_head(&good, Signer::Stranger));
    // The publisher's key also signs tokens of other types, which are not heads.
    not_a_head(publisher, issuers::sign_head_as(&good, Signer::Publisher, "JWT"));
    let signed = issuers::sign_head(&good, Signer::Publisher);
    not_a_head(publisher, signed[..signed.len() - 1].to_owned());
    not_a_head(publisher, format!("{signed}\n"));
    let (input, _) = signed.rsplit_once('.').unwrap();
    not_a_head(publisher, format!("{input}."));
    let none = issuers::b64(r#"{"alg":"none","typ":"admit-head"}"#);
    let payload = issuers::b64(serde_json::to_vec(&good).unwrap());
    not_a_head(publisher, format!("{none}.{payload}."));

    let wire = publisher.put_head(&Head { as_of: now + 3_600, ..good.clone() });
    publisher.refused(wire, 422, "The head's as_of lies in the future", Some("as_of"));
    let wire = publisher.put_head(&Head { format: FORMAT_VERSION + 1, ..good.clone() });
    publisher.refused(wire, 422, "The head names another format", Some("format"));
    let nine = Digest([9; 32]);
    let (index, directory) = (good.index, good.directory);
    for (incomplete, missing) in [
        (Head { index: nine, ..good.clone() }, vec![format!("index/{nine}")]),
        (Head { directory: nine, ..good.clone() }, vec![format!("directory/{nine}")]),
        (Head { delta: Some(nine), ..good.clone() }, vec![format!("delta/{nine}")]),
        // An object of another kind does not count.
        (
            Head { index: directory, directory: index, ..good.clone() },
            vec![format!("index/{directory}"), format!("directory/{index}")],
        ),
    ] {
        let wire = publisher.put_head(&incomplete);
        let missing: Vec<_> = missing.iter().map(|name| format!("{name}: not found")).collect();
        let message = format!("{NOT_COMPLETE}: {}", missing.join(", "));
        publisher.refused(wire, 422, &message, Some("body"));
    }
    let wire = publisher.put_head(&good);
    assert_eq!(publisher.send(wire).status, 201);
    publisher.still_serves();
    for older in [Head { seq: 4, ..good.clone() }, Head { as_of: now - 1, ..good.clone() }] {
        let wire = publisher.put_head(&older);
        publisher.refused(wire, 409, "A newer head is published", None);
    }
    // The same head again is accepted; so are the same seq at a later time (a compaction), and a renewed
    // head.
    let later = Head { as_of: now + 1, ..good.clone() };
    for head in [good.clone(), later.clone(), later.renewed(now + 2)] {
        let wire = publisher.put_head(&head);
        assert_eq!(publisher.send(wire).status, 201);
        let stored = publisher.send(Wire::get("/snapshot/head"));
        assert_eq!(stored.text(), issuers::sign_head(&head, Signer::Publisher));
    }
    // What the next isolate reads beside that head.
    let start = publisher.send(Wire::get("/snapshot/start"));
    let parts: Vec<_> = unpack(&start.body).unwrap().into_iter().map(|(name, _)| name.digest).collect();
    assert_eq!((start.status, parts), (200, vec![later.index, later.directory]));
    // A stranger learns only that the service works.
    let told = publisher.subject.send(&Wire::get("/healthz")).json();
    assert_eq!(told, serde_json::json!({"age_secs": 0, "status": "ok"}));
    let health = publisher.send(Wire::get("/healthz")).json();
    assert_eq!((&health["seq"], &health["items"]), (&5.into(), &good.items.into()), "{health}");
    // The age of the head, and the time since the last change.
    assert_eq!((&health["as_of"], &health["changed_at"]), (&(now + 2).into(), &(now + 1).into()), "{health}");
    let secs = |name: &str| health[name].as_i64().unwrap();
    assert_eq!(secs("unchanged_secs") - secs("age_secs"), 1, "{health}");
    // The next isolate reads the new head too, as `/healthz` of this one has just done.
    publisher.still_serves();
}
