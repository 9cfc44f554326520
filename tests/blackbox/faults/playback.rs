//! Playback signatures under every kind of decision: nothing is signed without a grant, and nothing beyond its end.

use admit::{api::reply::Request, entitlement::NEVER_EXPIRES};
use admit_testing::memory::{MemoryBody, MemoryPlatform, OriginFault, block_on};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, START, viewer},
    origin::{Pair, UNTIL, access, answer, customer},
};

const PATH: &str = "/items/1/playback";
const SECRET: &str = "a secret of thirty-two bytes or more";
/// What [`Business`] and the origin have as content.
const URL: &str = "https://media.example.com/films/1/main.m3u8";

/// Two signers for the films of a merchant; `more` is added to both.
pub fn entries(merchant: i64, more: &Value) -> String {
    let entry = |signer: &str, own: &Value| {
        let mut entry =
            json!({"merchant": merchant, "item_type": "jw_asset", "signer": signer, "secret": "MEDIA"});
        for members in [own, more] {
            entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        }
        entry
    };
    let hmac = entry("hmac_url", &json!({"hosts": ["media.example.com"], "path_prefix": "/films/"}));
    json!([hmac, entry("jw", &json!({"media": "film"}))]).to_string()
}

fn pair() -> Pair {
    Pair::new(&[("PLAYBACK", &entries(7, &json!({}))), ("MEDIA", SECRET)])
}

fn edge(expires_at: Option<i64>, playback: &str, variables: &[(&str, &str)]) -> Edge {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    let variables = [&[("PLAYBACK", playback), ("MEDIA", SECRET)], variables].concat();
    let edge = Edge::configured(platform, &variables);
    Business::new(1, expires_at).publish(edge.platform());
    edge
}

/// The ends that the two signatures of an answer name, read from the signed bytes themselves.
fn signed_ends(body: &Value) -> Vec<i64> {
    let ends = body["sources"].as_array().unwrap().iter().map(|source| {
        let token = source["token"].as_str().unwrap();
        match source["type"].as_str().unwrap() {
            "hmac_url" => {
                let exp = token.split('&').find_map(|pair| pair.strip_prefix("exp=")).unwrap();
                exp.parse().unwrap()
            }
            "jw" => {
                let claims = Base64UrlUnpadded::decode_vec(token.split('.').nth(1).unwrap()).unwrap();
                serde_json::from_slice::<Value>(&claims).unwrap()["exp"].as_i64().unwrap()
            }
            other => panic!("{other}"),
        }
    });
    ends.collect()
}

pub fn json_of(reply: &admit::api::reply::Reply) -> Value {
    serde_json::from_slice(reply.body.as_bytes()).unwrap()
}

#[test]
fn a_grant_of_the_snapshot_is_signed() {
    let edge = edge(Some(START + 500), &entries(7, &json!({})), &[]);
    let reply = edge.get(PATH, &viewer());
    let body = json_of(&reply);
    assert_eq!((reply.status, reply.reason.as_ref()), (200, "item_access"), "{body}");
    assert_eq!(body["expires_at"], START + 500);
    assert_eq!(signed_ends(&body), [START + 500; 2], "the grant ends before the four hours of a signature");
    let url = body["sources"][0]["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{URL}?folder=/films/1/&exp=")), "{url}");
    let signed = json_of(&edge.get(&format!("/items/1/access/cloudfront?url={URL}"), &viewer()));
    assert_eq!(signed["video_url"], url);
    edge.advance_secs(500);
    assert_eq!(edge.get(PATH, &viewer()).status, 402);
}

#[test]
fn a_grant_of_the_origin_is_signed_and_a_denial_is_not() {
    let pair = pair();
    let denied = pair.edge.get(PATH, &customer(CUSTOMER));
    assert_eq!((denied.status, pair.asked()), (402, 1));
    assert_eq!(json_of(&denied)["message"], "No access");
    pair.bought(CUSTOMER, 1);
    let reply = pair.edge.get(PATH, &customer(CUSTOMER));
    assert_eq!((reply.status, reply.reason.as_ref()), (200, "origin"), "{:?}", reply.detail);
    assert_eq!(json_of(&reply)["expires_at"], UNTIL);
    assert!(signed_ends(&json_of(&reply)).iter().all(|end| *end <= UNTIL));
    let seen = pair.origin().seen().pop().unwrap();
    assert_eq!(seen.url, "https://origin.example/api/items/1/access", "as a check of the item");
    // One memory of the origin's answers for checks and playback: this check is not asked again.
    let asked = pair.asked();
    assert_eq!(pair.status(1), 200);
    assert_eq!(json_of(&pair.edge.get(PATH, &customer(CUSTOMER)))["expires_at"], UNTIL);
    assert_eq!(pair.asked(), asked);
    // An item that only the origin has.
    pair.bought(CUSTOMER, 50);
    assert_eq!(pair.edge.get("/items/50/playback", &customer(CUSTOMER)).status, 200);
    assert_eq!(pair.edge.get("/items/500/playback", &customer(CUSTOMER)).status, 404);
}

#[test]
fn without_a_snapshot_the_origin_decides_or_nothing_is_signed() {
    let variables = [("PLAYBACK", entries(7, &json!({}))), ("MEDIA", SECRET.to_owned())];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let pair = Pair::without_snapshot(&variables);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.edge.get(PATH, &customer(CUSTOMER)).status, 200);
    pair.edge.advance_secs(60);
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    assert_eq!(pair.edge.get(PATH, &customer(CUSTOMER)).status, 503);
}

#[test]
fn a_stale_grant_that_the_origin_denies_is_not_signed() {
    let variables = [
        ("PLAYBACK", entries(7, &json!({}))),
        ("MEDIA", SECRET.to_owned()),
        ("SNAPSHOT_MAX_AGE_SECS", "300".to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let pair = Pair::without_snapshot(&variables);
    Business::new(2, Some(START + 100_000)).publish(pair.edge.platform());
    assert_eq!(pair.edge.get(PATH, &customer(CUSTOMER)).status, 200);
    pair.edge.advance_secs(400);
    assert_eq!(pair.edge.get(PATH, &customer(CUSTOMER)).status, 402, "revoked since");
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    pair.edge.advance_secs(30);
    assert_eq!(pair.edge.get(PATH, &customer(CUSTOMER)).status, 200, "without the origin's answer it stands");
}

#[test]
fn a_missing_signer_is_logged_with_the_items_type() {
    for playback in [entries(8, &json!({})), "[]".to_owned()] {
        let edge = edge(Some(START + 500), &playback, &[]);
        for target in [PATH, &format!("/items/1/access/cloudfront?url={URL}")] {
            let _ = edge.platform().memory_log().take();
            edge.advance_secs(20);
            let reply = edge.get(target, &viewer());
            assert_eq!((reply.status, reply.reason.as_ref()), (404, "no_signer"));
            let lines = edge.platform().memory_log().take();
            let line: Value =
                serde_json::from_str(lines.iter().find(|line| line.contains("playback")).unwrap()).unwrap();
            assert_eq!((&line["event"], &line["item_type"]), (&"playback".into(), &"jw_asset".into()));
            assert_eq!((&line["merchant_id"], &line["times"]), (&7.into(), &1.into()));
        }
    }
}

#[test]
fn repetitions_of_a_missing_signer_are_counted() {
    let edge = edge(Some(START + 500), "[]", &[]);
    for _ in 0..50 {
        assert_eq!(edge.get(PATH, &viewer()).status, 404);
    }
    let lines = edge.platform().memory_log().take();
    assert_eq!(lines.iter().filter(|line| line.contains(r#""event":"playback""#)).count(), 1);
}

#[test]
fn an_answer_is_signed_once_for_its_window() {
    let edge = edge(Some(START + 100_000), &entries(7, &json!({"round_secs": 300, "ttl_secs": 600})), &[]);
    // START is where a window ends.
    edge.advance_secs(1);
    let first = json_of(&edge.get(PATH, &viewer()));
    edge.advance_secs(299);
    assert_eq!(json_of(&edge.get(PATH, &viewer())), first);
    edge.advance_secs(1);
    assert_ne!(json_of(&edge.get(PATH, &viewer())), first);
    // The same question of another signed form is another answer.
    let other = edge.get(&format!("/items/1/access/cloudfront?url={URL}"), &viewer());
    assert_ne!(json_of(&other), first);
}

/// An entry whose tokens a CDN may renew, with its key.
fn renewable() -> [(&'static str, String); 2] {
    let entry = json!([{
        "merchant": 7, "item_type": "jw_asset", "signer": "cat", "secret": "CAT_KEY", "alg": "HS256", "key_id": "k",
        "issuer": "i", "hosts": ["media.example.com"], "path_prefix": "/films/",
        "renewal": {"type": "automatic", "expadd": 120},
    }]);
    [("PLAYBACK", entry.to_string()), ("CAT_KEY", "00112233445566778899aabbccddeeff".repeat(2))]
}

/// Whether a token has the claim `catr`: its label, 323 in CBOR.
fn may_be_renewed(body: &Value) -> bool {
    let token = body["sources"][0]["token"].as_str().unwrap();
    Base64UrlUnpadded::decode_vec(token).unwrap().windows(4).any(|bytes| bytes == [0x19, 0x01, 0x43, 0xa2])
}

#[test]
fn a_cdn_renews_no_token_of_a_subscription() {
    let variables = renewable();
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    for (more, expected) in [
        (json!({}), true),
        (json!({"expires_at": START + 100_000}), false),
        (json!({"renews_on": START + 100_000}), false),
        // The payment is late.
        (json!({"renews_on": START - 100}), false),
    ] {
        let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
        let edge = Edge::configured(platform, &variables);
        let mut held = json!({"id": 5, "item_id": 1, "created_at": 1});
        held.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Business::with_accesses(1, &[held]).publish(edge.platform());
        let body = json_of(&edge.get(PATH, &viewer()));
        assert_eq!(may_be_renewed(&body), expected, "{more}: {body}");
    }
}

#[test]
fn a_cdn_renews_no_token_of_a_confirmed_grant() {
    let variables = renewable();
    let pair = Pair::new(&variables.each_ref().map(|(name, value)| (*name, value.as_str())));
    let mut endless = access(1);
    endless["expires_at"] = NEVER_EXPIRES.into();
    pair.origin().serve(move |_| answer(200, &endless));
    let body = json_of(&pair.edge.get(PATH, &customer(CUSTOMER)));
    assert_eq!(body["expires_at"], NEVER_EXPIRES, "{body}");
    assert!(!may_be_renewed(&body), "the answer does not tell whether the access renews");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// For any grant, time and configuration: a signature ends no later than the grant, and a denial signs nothing.
    #[test]
    fn nothing_is_signed_beyond_a_grant(
        expires_in in prop_oneof![Just(None), (-2_000_i64..20_000).prop_map(Some), (0_i64..900_000).prop_map(Some)],
        later_secs in 0_u64..30_000,
        ttl_secs in 30_u32..=604_800,
        round_secs in 1_u32..=3_600,
        leeway_secs in 0_u32..=300,
        item in 1..=2,
        is_repeated: bool,
    ) {
        let window = json!({"ttl_secs": ttl_secs, "round_secs": round_secs, "leeway_secs": leeway_secs});
        let ends_at = expires_in.map(|secs| START + secs);
        let edge = edge(ends_at, &entries(7, &window), &[]);
        if is_repeated {
            edge.get(&format!("/items/{item}/playback"), &viewer());
        }
        edge.advance_secs(later_secs);
        let now = START + i64::try_from(later_secs).unwrap();
        let access = edge.get(&format!("/items/{item}/access"), &viewer());
        for target in [format!("/items/{item}/playback"), format!("/items/{item}/access/cloudfront?url={URL}")] {
            let reply = edge.get(&target, &viewer());
            let text = String::from_utf8_lossy(reply.body.as_bytes()).into_owned();
            if access.status != 200 {
                prop_assert_eq!((reply.status, reply.body.as_bytes()), (access.status, access.body.as_bytes()));
                prop_assert!(reply.status == 402 && !text.contains("exp="));
                continue;
            }
            prop_assert_eq!(reply.status, 200, "{}", text);
            let grant = json_of(&access)["expires_at"].as_i64().unwrap();
            prop_assert_eq!(Some(grant), ends_at.filter(|_| item == 1));
            let body = json_of(&reply);
            let ends = match body["video_url"].as_str() {
                Some(url) => vec![url.split("exp=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap()],
                None => signed_ends(&body),
            };
            prop_assert!(ends.iter().all(|end| now < *end && *end <= grant), "{:?} {}", ends, grant);
        }
    }
}

#[test]
fn a_token_is_needed_before_anything_is_said() {
    let edge = edge(Some(START + 500), &entries(7, &json!({})), &[]);
    for target in [PATH, "/items/abc/playback", "/items/1/access/cloudfront", "/v2/items/jw-media/token"] {
        assert_eq!(edge.get(target, "x").status, 401, "{target}");
    }
    for (target, status) in [
        ("/items/abc/playback", 422),
        ("/items/1/access/cloudfront", 422),
        ("/v2/items/jw-media/token", 422),
        ("/v2/items/jw-media/token?media_id=", 422),
        ("/v2/items/jw-media/token?media_id=a/b", 422),
        ("/v2/items/jw-media/token?media_id=unknown1", 404),
    ] {
        assert_eq!(edge.get(target, &viewer()).status, status, "{target}");
    }
    // The routes are reads.
    let authorization = format!("Bearer {}", viewer());
    let request = Request { method: "POST", path: PATH, authorization: &authorization, ..Request::default() };
    assert_eq!(block_on(edge.app.handle(&request, MemoryBody::default())).status, 405);
}
