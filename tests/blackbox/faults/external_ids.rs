//! Items by external id: their own, and the media id in their content.

use admit::snapshot::object::{HEADER_LEN, ObjectKind, ObjectName};
use admit_publish::build::build_ndjson;
use admit_testing::memory::MemoryPlatform;
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, Edge, START, token, viewer},
    origin::{Pair, customer},
    playback::{entries, json_of},
};

const SECRET: &str = "a secret of thirty-two bytes or more";
const FILM: &str = "/v2/items/jw-media/token?media_id=film";

const MERCHANTS: [&str; 2] = ["11a7ed90-65d3-4ee2-9d91-000000000007", "11a7ed90-65d3-4ee2-9d91-000000000008"];

fn item(id: i64, merchant_id: i64, media: &str, own: Value) -> Value {
    json!({
        "type": "item", "id": id, "merchant_id": merchant_id, "title": "t", "is_active": id != 9,
        "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {"id": 44, "name": "jw_asset", "content_type": "ovp", "host": "h", "description": "d"},
        "content": json!({"media_id": media, "film": media, "url": "https://media.example.com/films/f/main.m3u8"}).to_string(),
        "external_asset_id": own, "created_at": 1, "updated_at": 1,
    })
}

/// Two merchants that share a film, and an item that is inactive.
fn business() -> Business {
    let customer = json!({
        "type": "customer", "namespace": "v", "subject": "alice", "id": 9, "uuid": MERCHANTS[0], "merchant_id": 7,
        "accesses": [{"id": 5, "item_id": 1, "created_at": 1, "expires_at": START + 500}],
    });
    let lines = [
        json!({"type": "merchant", "id": 7, "uuid": MERCHANTS[0]}),
        json!({"type": "merchant", "id": 8, "uuid": MERCHANTS[1]}),
        item(1, 7, "shared", json!("film / ü")),
        item(2, 8, "shared", json!(null)),
        item(3, 8, "alone", json!(null)),
        item(9, 7, "gone", json!(null)),
        customer,
    ];
    published(&lines)
}

fn published(lines: &[Value]) -> Business {
    let text: Vec<_> = lines.iter().map(Value::to_string).collect();
    let built = build_ndjson(text.join("\n").as_bytes(), START).unwrap();
    Business { head: built.head(1, START), objects: built.objects }
}

fn edge(business: &Business) -> Edge {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    let edge = Edge::configured(platform, &[("PLAYBACK", &entries(7, &json!({}))), ("MEDIA", SECRET)]);
    business.publish(edge.platform());
    edge
}

#[test]
fn an_external_id_names_an_item_of_its_type_and_merchant() {
    let edge = edge(&business());
    for (target, expected) in [
        ("/jw_asset/alone".to_owned(), Ok(3)),
        ("/jw_asset/film%20%2f%20%C3%BC".to_owned(), Ok(1)),
        (format!("/jw_asset/shared?merchant_uuid={}", MERCHANTS[0]), Ok(1)),
        (format!("/jw_asset/shared?merchant_uuid={}", MERCHANTS[1].to_uppercase()), Ok(2)),
        ("/jw_asset/alone?merchant_uuid=&entry_id=7".to_owned(), Ok(3)),
        (format!("/jw_asset/alone?merchant_uuid={}", MERCHANTS[0]), Err((404, "404"))),
        ("/kaltura_asset/alone".to_owned(), Err((404, "404"))),
        ("/jw_asset/gone".to_owned(), Err((404, "404"))),
        ("/jw_asset/unknown".to_owned(), Err((404, "404"))),
        // Two merchants have it: no choice would be right.
        ("/jw_asset/shared".to_owned(), Err((422, "merchant_uuid"))),
        ("/jw_asset/alone?merchant_uuid=7".to_owned(), Err((422, "merchant_uuid"))),
        ("/jw_asset/%zz".to_owned(), Err((422, "external_id"))),
        ("/jw_asset/%2e%2E".to_owned(), Err((422, "external_id"))),
        (format!("/jw_asset/{}", "x".repeat(257)), Err((422, "external_id"))),
        ("/jw.asset/alone".to_owned(), Err((422, "external_id"))),
    ] {
        let reply = edge.get(&format!("/items/assets/external{target}"), "");
        let body = json_of(&reply);
        match expected {
            Ok(id) => {
                assert_eq!((reply.status, &body["id"]), (200, &json!(id)), "{target}");
                assert!(body.get("content").is_none(), "{target}: content is for the entitled");
            }
            Err((status, field)) => {
                assert_eq!(reply.status, status, "{target}");
                assert!(body["errors"].get(field).is_some(), "{target}: {body}");
            }
        }
    }
}

#[test]
fn media_that_two_merchants_share_is_that_of_the_viewers_merchant() {
    let edge = edge(&business());
    let ask = |media: &str, token: &str| {
        edge.get(&format!("/v2/items/jw-media/token?media_id={media}"), token).status
    };
    assert_eq!(ask("shared", &viewer()), 200);
    assert_eq!(ask("alone", &viewer()), 404, "another merchant's");
    let stranger = token(&json!({"sub": "stranger"}));
    assert_eq!([ask("alone", &stranger), ask("shared", &stranger)], [402, 404]);
}

/// One film that is sold in three ways, as the items 10, 20 and 30, and what viewers hold of it.
fn film_sold_in_three_ways() -> Business {
    let media = |id| item(id, 7, "film", json!(null));
    let holder = |subject: &str, id: i64, items: &[i64]| {
        let access = |item: &i64| json!({"id": 100 * id + item, "item_id": item, "created_at": 1, "expires_at": START + 500});
        json!({
            "type": "customer", "namespace": "v", "subject": subject, "id": id, "uuid": uuid_of(id),
            "merchant_id": 7, "accesses": items.iter().map(access).collect::<Vec<_>>(),
        })
    };
    published(&[
        json!({"type": "merchant", "id": 7, "uuid": MERCHANTS[0]}),
        media(10),
        media(20),
        media(30),
        item(5, 7, "other", json!(null)),
        holder("rents", 1, &[10]),
        holder("subscribes", 2, &[30, 5]),
        holder("both", 3, &[10, 20]),
        holder("neither", 4, &[5]),
    ])
}

#[test]
fn a_media_token_is_signed_for_the_first_item_that_the_viewer_may_play() {
    let edge = edge(&film_sold_in_three_ways());
    for (subject, status) in
        [("rents", 200), ("subscribes", 200), ("both", 200), ("neither", 402), ("stranger", 402)]
    {
        assert_eq!(edge.get(FILM, &customer(subject)).status, status, "{subject}");
    }
    // The item that is found by the id alone is the first.
    assert_eq!(json_of(&edge.get("/items/assets/external/jw_asset/film", ""))["id"], 10);
}

/// A denial costs one question, however many items have the media.
#[test]
fn a_denied_media_token_is_confirmed_for_the_first_item() {
    let pair = Pair::without_snapshot(&[("PLAYBACK", &entries(7, &json!({}))), ("MEDIA", SECRET)]);
    film_sold_in_three_ways().publish(pair.edge.platform());
    assert_eq!((pair.edge.get(FILM, &customer("neither")).status, pair.asked()), (402, 1));
    assert_eq!(pair.origin().seen().pop().unwrap().url, "https://origin.example/api/items/10/access");
    assert_eq!((pair.edge.get(FILM, &customer("subscribes")).status, pair.asked()), (200, 1));
    pair.bought("neither", 10);
    let reply = pair.edge.get(FILM, &customer("neither"));
    assert_eq!((reply.status, reply.reason.as_ref()), (200, "origin"), "{:?}", reply.detail);
}

fn uuid_of(id: i64) -> String {
    format!("11a7ed90-65d3-4ee2-9d91-0000000001{id:02}")
}

/// A snapshot of an earlier format does not know: that is no reason to say that there is no such item.
#[test]
fn a_snapshot_of_format_2_cannot_tell() {
    let mut business = business();
    let (name, index) = business.objects.iter_mut().find(|(name, _)| name.kind == ObjectKind::Index).unwrap();
    // Without the shape and the digest of the third tree.
    let shapes_at = HEADER_LEN + 16;
    index.drain(shapes_at + 4..shapes_at + 6);
    index.truncate(index.len() - 32);
    index[4] = 2;
    *name = ObjectName::of(ObjectKind::Index, index);
    business.head.index = name.digest;
    business.head.format = 2;
    let edge = edge(&business);
    assert_eq!(edge.get("/items/3", "").status, 200);
    for target in ["/items/assets/external/jw_asset/alone", "/v2/items/jw-media/token?media_id=shared"] {
        let reply = edge.get(target, &viewer());
        assert_eq!((reply.status, reply.reason.as_ref()), (503, "no_external_ids"), "{target}");
    }
}
