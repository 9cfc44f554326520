//! Requests for several objects at once: packs, checks and lists.

use admit::snapshot::{
    object::{Digest, ObjectKind, ObjectName},
    pack::Pack,
};
use serde_json::{Value, json};

use super::{
    catalogue::Published,
    publishing::Publisher,
    wire::{Payload, Wire},
};

const PACK_LIMIT: usize = 4 * 1024 * 1024;

/// A shard with this content, which need not be a valid table.
pub fn shard(content: &[u8]) -> Vec<u8> {
    [ObjectKind::Shard.header().as_slice(), content].concat()
}

/// The name of an object.
pub fn name(object: &[u8]) -> String {
    ObjectName::of_object(object).unwrap().to_string()
}

/// A pack of these objects.
pub fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut pack = Pack::default();
    assert!(objects.iter().all(|object| pack.push(object)));
    pack.into_bytes()
}

fn expect(publisher: &mut Publisher<'_>, wire: Wire, status: u16, body: &Value) {
    let at = wire.describe();
    let answer = publisher.send(wire);
    assert_eq!((answer.status, &answer.json()), (status, body), "{at}");
}

pub fn run(publisher: &mut Publisher<'_>, published: &Published) {
    stored(publisher, published);
    refused(publisher);
    checked(publisher, published);
    listed(publisher);
}

fn stored(publisher: &mut Publisher<'_>, published: &Published) {
    let mut objects: Vec<_> = published.built.objects.iter().map(|(_, object)| object.clone()).collect();
    objects.extend((0..7).map(|number| shard(format!("of the black box: {number}").as_bytes())));
    expect(publisher, Wire::post("/snapshot/pack", pack(&objects)), 201, &json!({"stored": objects.len()}));
    for object in &objects {
        let answer = publisher.send(Wire::get(&format!("/snapshot/{}", name(object))));
        assert_eq!((answer.status, &answer.body), (200, object));
    }
    let body = Payload::Chunked(pack(&objects));
    let chunked = Wire { body, ..Wire::new("POST", "/snapshot/pack") };
    expect(publisher, chunked, 201, &json!({"stored": objects.len()}));
    // The most objects, and the longest one.
    let many: Vec<_> = (0..40).map(|number| shard(&[number])).collect();
    expect(publisher, Wire::post("/snapshot/pack", pack(&many)), 201, &json!({"stored": 40}));
    let long = shard(&vec![7; PACK_LIMIT - 4 - 8]);
    expect(publisher, Wire::post("/snapshot/pack", pack(&[long])), 201, &json!({"stored": 1}));
    expect(publisher, Wire::post("/snapshot/pack", Vec::new()), 201, &json!({"stored": 0}));
    expect(publisher, Wire::new("POST", "/snapshot/pack"), 201, &json!({"stored": 0}));
}

fn refused(publisher: &mut Publisher<'_>) {
    let good: Vec<_> = (0..3).map(|number| shard(format!("never stored: {number}").as_bytes())).collect();
    let not_a_pack = |publisher: &mut Publisher<'_>, body: Vec<u8>, problem: &str| {
        let message = format!("The body is not a pack of objects: {problem}");
        publisher.refused(Wire::post("/snapshot/pack", body), 422, &message, Some("body"));
    };
    let whole = pack(&good);
    not_a_pack(publisher, whole[..whole.len() - 1].to_vec(), "object 3: the bytes end too early");
    not_a_pack(publisher, [whole.as_slice(), &[0]].concat(), "object 4: the bytes end too early");
    let mut bad = good.clone();
    bad[1] = b"{\"type\":\"customer\"}".to_vec();
    not_a_pack(
        publisher,
        pack(&bad),
        "object 2: invalid header: another kind of object, or an unknown version",
    );
    not_a_pack(publisher, good[0].clone(), "object 1: the bytes end too early");
    let mut many = pack(&(0..40).map(|number| shard(&[number])).collect::<Vec<_>>());
    many.extend(pack(&good[..1]));
    let message = "More than 40 objects: send the others in another request";
    publisher.refused(Wire::post("/snapshot/pack", many), 413, message, None);
    for body in [Payload::Whole(vec![0; PACK_LIMIT + 1]), Payload::Chunked(vec![0; PACK_LIMIT + 1])] {
        let wire = Wire { body, ..Wire::new("POST", "/snapshot/pack") };
        publisher.refused(wire, 413, "Body too large", None);
    }
    for object in &good {
        publisher.refused(Wire::get(&format!("/snapshot/{}", name(object))), 404, "Object not found", None);
    }
}

fn checked(publisher: &mut Publisher<'_>, published: &Published) {
    let check = |lines: &[String]| Wire::post("/snapshot/check", lines.join("\n").into_bytes());
    let mut names: Vec<_> = published.built.objects.iter().map(|(name, _)| name.to_string()).collect();
    expect(publisher, check(&names), 200, &json!({"missing": [], "broken": []}));
    let missing = ObjectName { kind: ObjectKind::Page, digest: Digest([3; 32]) }.to_string();
    names.insert(1, missing.clone());
    expect(publisher, check(&names), 200, &json!({"missing": [missing], "broken": []}));
    expect(publisher, Wire::new("POST", "/snapshot/check"), 200, &json!({"missing": [], "broken": []}));
    for (line, bad) in [(1, "head"), (1, "version/1"), (2, "lease"), (2, "shard/0")] {
        let lines = if line == 1 { vec![bad.to_owned()] } else { vec![names[0].clone(), bad.to_owned()] };
        let message = format!(
            "Every line must be the name of an object: line {line} is invalid, expected a name such as shard/<64 hexadecimal digits>"
        );
        publisher.refused(check(&lines), 422, &message, Some("body"));
    }
    let message = "More than 40 objects: send the others in another request";
    publisher.refused(check(&vec![names[0].clone(); 41]), 413, message, None);
    publisher.refused(Wire::post("/snapshot/check", vec![b'\n'; 4097]), 413, "Body too large", None);
}

fn listed(publisher: &mut Publisher<'_>) {
    let mine: Vec<_> =
        (0..7).map(|number| name(&shard(format!("of the black box: {number}").as_bytes()))).collect();
    let (mut keys, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let encoded: String = cursor.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let target = format!("/snapshot/keys?prefix=shard%2F&cursor={encoded}");
        let answer = publisher.send(Wire::get(&target));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json();
        keys.extend(page["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["cursor"].as_str() else { break };
        next.clone_into(&mut cursor);
    }
    assert!(pages > 3 && keys.is_sorted_by(|one, next| one < next), "{pages} pages of {}", keys.len());
    assert!(mine.iter().all(|name| keys.contains(name)));
    assert!(keys.iter().all(|key| key.starts_with("shard/")));
    let one = publisher.send(Wire::get(&format!("/snapshot/keys?prefix={}", mine[0])));
    assert_eq!(one.json(), json!({"keys": [mine[0]], "cursor": null}));
    let none = publisher.send(Wire::get("/snapshot/keys?prefix=version/99"));
    assert_eq!((none.status, none.json()), (200, json!({"keys": [], "cursor": null})));
    let head = publisher.send(Wire::new("HEAD", "/snapshot/keys?prefix=version/99"));
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some(none.body.len().to_string().as_str()))
    );
    let prefix = "The prefix must be shard/, page/, index/, delta/, directory/ or version/, \
                  with or without digits after it";
    for query in
        ["", "?prefix=", "?prefix=jwks/", "?prefix=shard", "?prefix=head", "?prefix=le", "?prefix=%6awks/"]
    {
        publisher.refused(Wire::get(&format!("/snapshot/keys{query}")), 422, prefix, Some("prefix"));
    }
    let cursor = "The cursor must be one that this route has answered";
    publisher.refused(Wire::get("/snapshot/keys?prefix=shard/&cursor=%"), 422, cursor, Some("cursor"));
}
