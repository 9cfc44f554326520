//! The publish API when the store or the publisher misbehaves: packs, checks, keys and removals.

use std::cell::Cell;

use admit::{
    api::reply::{Reply, Request},
    app::{BodyError, RequestBody},
    limits::HEAD_MAX_BYTES,
    ports::Platform as _,
    snapshot::{
        delta::encode_delta,
        index::Tree,
        object::{FORMAT_VERSION, ObjectKind, ObjectName},
    },
};
use admit_testing::memory::{Fault, MemoryBody, MemoryStore, block_on, poll_once};
use serde_json::{Value, json};

use crate::{
    faults::edge::{Business, Edge, START, Signer, viewer},
    packs::{name, pack},
};

const FOREVER: Option<i64> = Some(START + 1_000_000);

fn store(edge: &Edge) -> &MemoryStore {
    edge.platform().store()
}

/// The keys of the snapshot that were written; an issuer's keys are kept in the same store.
fn written(edge: &Edge) -> Vec<String> {
    store(edge).writes().into_iter().filter(|key| !key.starts_with("jwks/")).collect()
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(reply.body.as_bytes()).unwrap_or_default()
}

fn shard(content: &str) -> Vec<u8> {
    crate::packs::shard(content.as_bytes())
}

#[test]
fn a_bad_object_anywhere_in_a_pack_stores_nothing() {
    let good: Vec<_> = (0..5).map(|number| shard(&number.to_string())).collect();
    for position in 0..5 {
        for bad in [&b""[..], b"ADMS\x01\0\0", b"ADMS\x04\0\0\0", b"ADMX\x01\0\0\0", b"{\"holder\":1}"] {
            let edge = Edge::started();
            let mut objects = good.clone();
            objects[position] = bad.to_vec();
            let reply = edge.publish("POST", "/snapshot/pack", "", pack(&objects));
            let message = json_of(&reply)["message"].clone();
            let place = format!("The body is not a pack of objects: object {}: ", position + 1);
            assert_eq!(reply.status, 422);
            assert!(message.as_str().unwrap().starts_with(&place), "{message}");
            assert_eq!(json_of(&reply)["errors"]["body"], message);
            assert!(written(&edge).is_empty());
        }
    }
}

#[test]
fn a_pack_that_is_cut_off_stores_nothing() {
    let edge = Edge::started();
    let objects = [shard("a"), shard("b")];
    let whole = pack(&objects);
    let first = 4 + objects[0].len();
    for cut in (1..whole.len()).filter(|cut| *cut != first) {
        let reply = edge.publish("POST", "/snapshot/pack", "", whole[..cut].to_vec());
        assert_eq!(reply.status, 422, "{cut}");
    }
    let interrupted = MemoryBody { bytes: whole.clone(), is_interrupted: true, ..MemoryBody::default() };
    assert_eq!(edge.publish("POST", "/snapshot/pack", "", interrupted).status, 422);
    // A length far beyond the body reserves no memory.
    let reply = edge.publish("POST", "/snapshot/pack", "", [0xff; 4].to_vec());
    assert_eq!(reply.status, 422);
    assert!(written(&edge).is_empty());
    let reply = edge.publish("POST", "/snapshot/pack", "", whole);
    assert_eq!((reply.status, json_of(&reply)), (201, json!({"stored": 2})));
}

#[test]
fn a_pack_above_its_limits_is_too_large() {
    let edge = Edge::started();
    let mut pack = pack(&(0..40).map(|number| shard(&number.to_string())).collect::<Vec<_>>());
    pack.extend(b"\x08\0\0\0ADMS\x01\0\0\0");
    let reply = edge.publish("POST", "/snapshot/pack", "", pack);
    let message = "More than 40 objects: send the others in another request";
    assert_eq!((reply.status, &json_of(&reply)["message"]), (413, &message.into()));
    let reply = edge.publish("POST", "/snapshot/pack", "", vec![0; 4 * 1024 * 1024 + 1]);
    assert_eq!((reply.status, &json_of(&reply)["message"]), (413, &"Body too large".into()));
    assert!(written(&edge).is_empty());
}

#[test]
fn a_store_that_fails_in_the_middle_of_a_pack_takes_it_the_second_time() {
    for fault in [Fault::PutError, Fault::PutUnconfirmed] {
        let edge = Edge::started();
        store(&edge).limit_writes(true);
        let objects: Vec<_> = (0..40).map(|number| shard(&number.to_string())).collect();
        store(&edge).break_times(&name(&objects[17]), fault, 1);
        let reply = edge.publish("POST", "/snapshot/pack", "", pack(&objects));
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")), "{fault:?}");
        let stored = store(&edge).keys().iter().filter(|key| key.starts_with("shard/")).count();
        assert!((1..40).contains(&stored), "{stored}");
        edge.advance_secs(2);
        let reply = edge.publish("POST", "/snapshot/pack", "", pack(&objects));
        assert_eq!((reply.status, json_of(&reply)), (201, json!({"stored": 40})), "{fault:?}");
        assert!(objects.iter().all(|object| store(&edge).peek(&name(object)).as_ref() == Some(object)));
    }
}

#[test]
fn an_object_that_is_twice_in_a_pack_is_written_once() {
    let edge = Edge::started();
    store(&edge).limit_writes(true);
    let reply = edge.publish("POST", "/snapshot/pack", "", pack(&[shard("a"), shard("b"), shard("a")]));
    assert_eq!((reply.status, json_of(&reply)), (201, json!({"stored": 3})));
    assert_eq!(written(&edge).len(), 2);
    let nothing = edge.publish("POST", "/snapshot/pack", "", Vec::new());
    assert_eq!((nothing.status, json_of(&nothing)), (201, json!({"stored": 0})));
}

#[test]
fn a_check_says_what_is_missing_and_what_is_broken() {
    let edge = Edge::started();
    let objects: Vec<_> = (0..9).map(|number| shard(&format!("object {number}"))).collect();
    let names: Vec<_> = objects.iter().map(|object| name(object)).collect();
    for (name, object) in names.iter().zip(&objects).skip(1) {
        store(&edge).insert(name, object);
    }
    store(&edge).break_on(&names[1], Fault::Missing);
    store(&edge).break_on(&names[2], Fault::Truncated(10));
    store(&edge).break_on(&names[3], Fault::Flipped(9));
    store(&edge).break_on(&names[4], Fault::Truncated(0));
    store(&edge).insert(&names[5], &objects[6]);
    store(&edge).insert(&names[6], &objects[5]);
    // The right bytes under the name of another kind.
    let other = names[7].replace("shard/", "page/");
    store(&edge).insert(&other, &objects[7]);
    let mut list = names.clone();
    list.push(other.clone());
    let reply = edge.publish("POST", "/snapshot/check", "", list.join("\n").into_bytes());
    let broken = [&names[2], &names[3], &names[4], &names[5], &names[6], &other];
    assert_eq!((reply.status, json_of(&reply)), (200, json!({"missing": names[..2], "broken": broken})));
    // If the store does not answer, the result is unknown.
    store(&edge).break_times(&names[8], Fault::Error, 1);
    let reply = edge.publish("POST", "/snapshot/check", "", list.join("\n").into_bytes());
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
}

#[test]
fn a_list_to_check_has_forty_names_and_nothing_else() {
    let edge = Edge::started();
    let names: Vec<_> = (0..41).map(|number| name(&shard(&number.to_string()))).collect();
    let check = |list: &[u8]| edge.publish("POST", "/snapshot/check", "", list.to_vec());
    let reply = check((names[..40].join("\r\n") + "\n").as_bytes());
    assert_eq!((reply.status, json_of(&reply)["missing"].as_array().unwrap().len()), (200, 40));
    assert_eq!(check(names.join("\n").as_bytes()).status, 413);
    assert_eq!(check(&[b'\n'; 4097]).status, 413);
    assert_eq!(json_of(&check(b"")), json!({"missing": [], "broken": []}));
    for bad in [&b"head"[..], b"lease", b"version/1", b"jwks/1", b"shard/", b"", b" ", b"\xff"] {
        let reads = store(&edge).reads().len();
        let reply = check(&[names[0].as_bytes(), b"\n", bad, b"\n", names[1].as_bytes()].concat());
        assert_eq!(reply.status, 422, "{bad:?}");
        assert_eq!(store(&edge).reads().len(), reads);
        let message = json_of(&reply)["message"].as_str().unwrap().to_owned();
        let detail = if bad == b"\xff" {
            "the list must be UTF-8 text"
        } else {
            "line 2 is invalid, expected a name such as shard/<64 hexadecimal digits>"
        };
        assert_eq!(message, format!("Every line must be the name of an object: {detail}"));
    }
}

#[test]
fn keys_come_in_pages_and_only_those_of_the_snapshot() {
    let edge = Edge::started();
    let mut expected: Vec<_> = (0..7).map(|number| name(&shard(&number.to_string()))).collect();
    expected.sort();
    for key in expected.iter().map(String::as_str).chain(["head", "lease", "jwks/1", "shards/1", "version/7"])
    {
        store(&edge).insert(key, b"x");
    }
    store(&edge).limit_lists(3);
    let (mut keys, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let encoded: String = cursor.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let reply =
            edge.publish("GET", &format!("/snapshot/keys?prefix=shard%2F&cursor={encoded}"), "", Vec::new());
        assert_eq!(reply.status, 200);
        let page = json_of(&reply);
        keys.extend(page["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()));
        pages += 1;
        match page["cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!((keys, pages), (expected.clone(), 3));
    let one = edge.publish("GET", &format!("/snapshot/keys?prefix={}", &expected[0][..12]), "", Vec::new());
    assert!(json_of(&one)["keys"].as_array().unwrap().contains(&expected[0].as_str().into()));
    let versions = edge.publish("GET", "/snapshot/keys?prefix=version/", "", Vec::new());
    assert_eq!(json_of(&versions), json!({"keys": ["version/7"], "cursor": null}));
    for query in
        ["", "?prefix=", "?prefix=jwks/", "?prefix=shard", "?prefix=head", "?prefix=lease", "?prefix=%6awks/"]
    {
        let reply = edge.publish("GET", &format!("/snapshot/keys{query}"), "", Vec::new());
        assert_eq!((reply.status, json_of(&reply)["errors"]["prefix"].is_string()), (422, true), "{query}");
    }
    store(&edge).break_times("shard/", Fault::Error, 1);
    assert_eq!(edge.publish("GET", "/snapshot/keys?prefix=shard/", "", Vec::new()).status, 503);
}

#[test]
fn what_the_published_head_names_is_not_removed() {
    let edge = Edge::started();
    let delta = encode_delta::<&[u8]>([&[]; Tree::ALL.len()]).unwrap();
    let mut business = Business::new(3, FOREVER);
    business.head.delta = Some(ObjectName::of_object(&delta).unwrap().digest);
    store(&edge).insert(&name(&delta), &delta);
    business.publish(edge.platform());
    let delete = |name: &str| edge.publish("DELETE", &format!("/snapshot/{name}"), "", Vec::new());
    let needed = [
        ObjectName { kind: ObjectKind::Index, digest: business.head.index },
        ObjectName { kind: ObjectKind::Directory, digest: business.head.directory },
        ObjectName { kind: ObjectKind::Delta, digest: business.head.delta.unwrap() },
    ];
    for needed in needed.map(|name| name.to_string()) {
        let reply = delete(&needed);
        let message = format!(
            "The published snapshot needs this object: {needed} is in use. Publish another head first"
        );
        assert_eq!((reply.status, &json_of(&reply)["message"]), (409, &json!(message)), "{needed}");
        // If the store does not answer, or the head cannot be read, nothing is removed.
        store(&edge).break_times("head", Fault::Error, 1);
        assert_eq!(delete(&needed).status, 503, "{needed}");
        store(&edge).break_times("head", Fault::Flipped(50), 1);
        assert_eq!(delete(&needed).status, 409, "{needed}");
        assert!(store(&edge).peek(&needed).is_some(), "{needed}");
    }
    let unneeded = name(&shard("nobody's"));
    store(&edge).insert(&unneeded, &shard("nobody's"));
    // A second attempt, and one after the object is gone.
    store(&edge).break_times(&unneeded, Fault::PutError, 1);
    assert_eq!(delete(&unneeded).status, 503);
    for _ in 0..2 {
        let reply = delete(&unneeded);
        assert_eq!((reply.status, reply.body.as_bytes()), (204, &b""[..]));
        assert_eq!(store(&edge).peek(&unneeded), None);
    }
    // The same digest under the name of another kind is another object.
    assert_eq!(delete(&needed[0].to_string().replace("index/", "shard/")).status, 204);
    assert_eq!(edge.check(), 200);
    // The store shows the previous head for a while; the version that this edge answers from counts too.
    store(&edge).break_on("head", Fault::Missing);
    assert_eq!(delete(&needed[0].to_string()).status, 409);
    assert_eq!(
        edge.beside().publish("DELETE", &format!("/snapshot/{}", needed[0]), "", Vec::new()).status,
        204
    );
}

#[test]
fn versions_are_heads_under_their_own_seq() {
    let edge = Edge::started();
    let business = Business::new(7, FOREVER);
    let jws = business.jws(Signer::Publisher);
    let put = |seq: &str, body: String| {
        edge.publish("PUT", &format!("/snapshot/version/{seq}"), "", body.into_bytes()).status
    };
    let mut future = Business::new(7, FOREVER);
    future.head.as_of = START + 1_000;
    let mut other_format = Business::new(7, FOREVER);
    other_format.head.format = FORMAT_VERSION + 1;
    for (seq, body) in [
        ("8", jws.clone()),
        ("6", jws.clone()),
        ("7", business.jws(Signer::Stranger)),
        ("7", Signer::Publisher.sign("JWT", &serde_json::to_value(&business.head).unwrap())),
        ("7", serde_json::to_string(&business.head).unwrap()),
        ("7", future.jws(Signer::Publisher)),
        ("7", other_format.jws(Signer::Publisher)),
        ("7", String::new()),
    ] {
        assert_eq!(put(seq, body.clone()), 422, "{seq} {body}");
    }
    assert_eq!(put("07", jws.clone()), 404);
    assert_eq!(put("7", "a".repeat(HEAD_MAX_BYTES + 1)), 413);
    assert!(written(&edge).is_empty());
    // An older version than the published one may be kept: it is a version, not a head.
    Business::new(9, FOREVER).publish(edge.platform());
    edge.advance_secs(1);
    assert_eq!((put("7", jws.clone()), edge.check()), (201, 200));
    let get = || edge.publish("GET", "/snapshot/version/7", "", Vec::new());
    assert_eq!((get().status, get().body.as_bytes()), (200, jws.as_bytes()));
    assert_eq!(edge.publish("DELETE", "/snapshot/version/7", "", Vec::new()).status, 204);
    assert_eq!((get().status, edge.check()), (404, 200));
}

/// A body that records when it is read.
struct Watched<'a>(&'a Cell<bool>);

impl RequestBody for Watched<'_> {
    type Stream = MemoryBody;

    async fn read(&mut self, _limit_bytes: usize) -> Result<Vec<u8>, BodyError> {
        self.0.set(true);
        Ok(Vec::new())
    }

    fn declared_bytes(&self) -> Option<usize> {
        None
    }

    fn stream(&mut self, _keep: bool) -> Option<MemoryBody> {
        self.0.set(true);
        None
    }
}

#[test]
fn nothing_is_read_without_the_right_to_publish() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let no_scope = json!({"iss": "https://i.example", "sub": "sync", "exp": START + 100_000});
    edge.platform().keys().serve(crate::faults::edge::JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let digest = name(&shard("x"));
    for (method, path) in [
        ("PUT", "head".to_owned()),
        ("PUT", digest.clone()),
        ("DELETE", digest),
        ("POST", "pack".to_owned()),
        ("POST", "check".to_owned()),
        ("GET", "keys".to_owned()),
        ("GET", "version/1".to_owned()),
        ("PUT", "version/1".to_owned()),
        ("DELETE", "version/1".to_owned()),
        ("GET", "lease".to_owned()),
        ("PUT", "lease".to_owned()),
        ("DELETE", "lease".to_owned()),
        ("GET", "garbage".to_owned()),
        ("PUT", "garbage".to_owned()),
        ("GET", "start".to_owned()),
    ] {
        let path = format!("/snapshot/{path}");
        for (token, status) in [
            (viewer(), 403),
            (Signer::Publisher.sign("JWT", &no_scope), 403),
            ("x".to_owned(), 401),
            (String::new(), 401),
        ] {
            let authorization = format!("Bearer {token}");
            let (holder, query) = ("0".repeat(32), "prefix=shard/");
            let request = Request {
                method,
                path: &path,
                query,
                holder: &holder,
                authorization: &authorization,
                ..Request::default()
            };
            let is_read = Cell::new(false);
            let reply = block_on(edge.app.handle(&request, Watched(&is_read)));
            assert_eq!((reply.status, is_read.get()), (status, false), "{method} {path}");
        }
    }
    assert!(written(&edge).is_empty());
    assert!(!store(&edge).reads().iter().any(|key| !key.starts_with("jwks/")), "{:?}", store(&edge).reads());
}

#[test]
fn garbage_is_what_was_put_there() {
    let edge = Edge::started();
    assert_eq!(edge.publish("GET", "/snapshot/garbage", "", Vec::new()).status, 404);
    let list = br#"{"at":1,"keys":["shard/0"]}"#;
    assert_eq!(edge.publish("PUT", "/snapshot/garbage", "", list.to_vec()).status, 201);
    assert_eq!(edge.publish("GET", "/snapshot/garbage", "", Vec::new()).body.as_bytes(), list);
    assert_eq!(edge.publish("PUT", "/snapshot/garbage", "", vec![b' '; (8 << 20) + 1]).status, 413);
    assert_eq!(edge.publish("DELETE", "/snapshot/garbage", "", Vec::new()).status, 405);
    assert_eq!(edge.publish("DELETE", "/snapshot/head", "", Vec::new()).status, 405);
}

/// A body that never arrives.
struct Stalled;

impl RequestBody for Stalled {
    type Stream = MemoryBody;

    async fn read(&mut self, _limit_bytes: usize) -> Result<Vec<u8>, BodyError> {
        std::future::pending().await
    }

    fn declared_bytes(&self) -> Option<usize> {
        None
    }

    fn stream(&mut self, _keep: bool) -> Option<MemoryBody> {
        None
    }
}

/// Uploads whose bodies never arrive take room for as long as an isolate waits for them; then the room is
/// free again, whether or not the runtime has dropped their requests.
#[test]
fn uploads_that_never_end_leave_room_for_viewers_and_end_by_themselves() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    edge.platform().keys().serve(crate::faults::edge::JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let claims = json!({"iss": "https://i.example", "sub": "sync", "scope": "snapshot:publish", "exp": START + 100_000});
    let authorization = format!("Bearer {}", Signer::Publisher.sign("JWT", &claims));
    let post = |path| Request { method: "POST", path, authorization: &authorization, ..Request::default() };
    let (pack, check) = (post("/snapshot/pack"), post("/snapshot/check"));
    let mut stalled: Vec<_> = (0..6).map(|_| Box::pin(edge.app.handle(&pack, Stalled))).collect();
    for upload in &mut stalled {
        for _ in 0..10 {
            assert!(poll_once(upload).is_pending());
        }
    }
    let was_read = Cell::new(false);
    for request in [&pack, &check] {
        let reply = block_on(edge.app.handle(request, Watched(&was_read)));
        assert_eq!((reply.status, reply.reason.as_ref()), (503, "transfers_busy"));
        assert_eq!(reply.header("retry-after"), Some("2"));
    }
    assert!(!was_read.get(), "nothing is read without room for it");
    // A head has room of its own, because it may revoke the token that is being misused.
    assert_eq!(edge.put_head(&Business::new(2, FOREVER)), 201);
    // Small requests have room, and so have viewers.
    assert_eq!(edge.publish("GET", "/snapshot/head", "", Vec::new()).status, 200);
    assert_eq!(edge.check(), 200);
    // Dropping one frees its room.
    stalled.pop();
    let object = shard("1");
    let send = || edge.publish("POST", "/snapshot/pack", "", pack_of(&object));
    assert_eq!((send().status, send().status), (201, 201), "room is given back");
    // The others are never polled again, like requests whose clients have gone.
    assert_eq!(edge.publish("POST", "/snapshot/check", "", name(&object).into_bytes()).status, 503);
    edge.advance_secs(60);
    assert_eq!(edge.publish("POST", "/snapshot/check", "", name(&object).into_bytes()).status, 200);
    drop(stalled);
    assert_eq!(send().status, 201);
}

fn pack_of(object: &[u8]) -> Vec<u8> {
    pack(&[object.to_vec()])
}
