//! Playback on the wire: what a viewer with a grant gets signed, and that a viewer without one gets nothing. Every
//! signature is compared with the crate's own, made natively from the sample catalogue: so the Worker's `node:crypto`
//! must sign the same bytes.

use admit::entitlement::NEVER_EXPIRES;
use admit_playback::{Grant, Item, NativeSigner, Playback, Source, Viewer};
use serde_json::{Value, json};

use crate::{catalogue::Published, configured, subject::Subject, wire::Wire};

/// RSA 2048 and P-256 in PEM, of `crates/playback`'s tests.
const RSA: &str = include_str!("../../crates/playback/testdata/rsa-pkcs8.pem");
const P256: &str = include_str!("../../crates/playback/testdata/p256-pkcs8.pem");
const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A film for which several signers sign, films for which one does, and one whose content names no media.
const FILM: i64 = 5101;
const JW_FILM: i64 = 5103;
const ECDSA_FILM: i64 = 5105;
const WITHOUT_MEDIA: i64 = 5109;

const TEMPLATE: &str = "https://media.example.com/films/{media}/main.m3u8";

/// The usual variables, with a signer of every kind for the films of one type.
pub fn variables() -> Vec<(String, String)> {
    let entry = |item_type: &str, signer: &str, secret: &str, more: Value| {
        let mut entry = json!({"merchant": 2101, "item_type": item_type, "signer": signer, "secret": secret});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let film = |signer: &str, secret: &str, more: Value| entry("brightcove_asset", signer, secret, more);
    let urls = json!({"hosts": ["media.example.com"], "url": TEMPLATE});
    let with = |more: Value| {
        let mut all = urls.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let playback = json!([
        film("cat", "HEX", with(json!({"alg": "HS256", "key_id": "k", "issuer": "admit"}))),
        film("cloudfront", "RSA", with(json!({"key_id": "K2JCJMDEHXQW5F"}))),
        film("akamai", "HEX", with(json!({}))),
        film("hmac_url", "TEXT", with(json!({"ttl_secs": 600}))),
        film("cloudflare_stream", "RSA", json!({"key_id": "k", "media": "video_id"})),
        film("mux", "RSA", json!({"key_id": "k", "media": "video_id"})),
        entry("jw_asset", "jw", "TEXT", json!({})),
        // Only checked here, because its signatures are random: `tests/media/` verifies them.
        entry(
            "kaltura_asset",
            "cat",
            "P256",
            json!({
                "alg": "ES256", "key_id": "k", "issuer": "admit", "hosts": ["media.example.com"],
                "url": "https://media.example.com/live/{media}/main.m3u8", "media": "entry_id",
            })
        ),
        entry("wistia_asset", "hmac_url", "TEXT", json!({"hosts": ["other.example.com"], "covers": "file"})),
    ]);
    let playback = playback.to_string();
    configured::variables(&[
        ("PLAYBACK", &playback),
        ("HEX", HEX),
        ("RSA", RSA),
        ("P256", P256),
        ("TEXT", "a secret of thirty-two bytes or more"),
    ])
}

/// What the crate signs for an item at `now`.
fn expected(published: &Published, item_id: i64, subject: &str, now: i64) -> Vec<Source> {
    let variables = variables();
    let binding =
        |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone());
    let playback = Playback::parse(&binding("PLAYBACK").unwrap(), &binding).unwrap();
    let item = &published.lines.items[&item_id];
    let item = Item {
        merchant_id: item.merchant_id,
        item_type: &item.item_type.name,
        content: &item.content,
        external_id: None,
    };
    let grant = Grant { now, ends_at: NEVER_EXPIRES, is_unlimited: true };
    let viewer = Viewer { subject, country: None, address: None };
    let entries = playback.entries(item.merchant_id, item.item_type);
    entries.map(|entry| entry.sign(&item, grant, viewer, &NativeSigner).unwrap()).collect()
}

/// Runs all cases, and returns how many requests were sent.
pub fn run(subject: &dyn Subject, published: &Published) -> usize {
    let mut sent = 0;
    let (viewer, stranger) = (subject.token("subscriber"), subject.token("never-bought"));
    let mut get = |target: &str, token: &str| {
        sent += 1;
        let wire = Wire::get(target);
        subject.send(&if token.is_empty() { wire } else { wire.bearer(token) })
    };
    let path = format!("/items/{FILM}/playback");

    // A window may begin between the two.
    let (answer, sources) = (0..3)
        .find_map(|_| {
            let now = subject.now();
            let answer = get(&path, &viewer);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
            // The subject of CATs is the hash of the customer, which the service alone computes.
            let sources = expected(published, FILM, "", now);
            let ends = |json: &Value| json["sources"][1]["expires_at"].as_i64();
            (ends(&answer.json()) == Some(sources[1].expires_at)).then_some((answer, sources))
        })
        .expect("two requests within one window");
    let body = answer.json();
    assert_eq!(body["sources"].as_array().unwrap().len(), sources.len());
    assert_eq!(body["expires_at"], NEVER_EXPIRES);
    for (found, source) in body["sources"].as_array().unwrap().iter().zip(&sources) {
        assert_eq!(
            (&found["type"], &found["expires_at"]),
            (&source.kind.name().into(), &source.expires_at.into())
        );
        if source.kind.name() != "cat" {
            let expected = (&source.token.clone().into(), &source.url.clone().into());
            assert_eq!((&found["token"], &found["url"]), expected);
        }
    }
    // The same again, from the kept answer as well, and as HEAD.
    for _ in 0..3 {
        assert_eq!(get(&path, &viewer).json(), body);
    }
    let head = subject.send(&Wire::get(&path).head().bearer(&viewer));
    assert_eq!((head.status, head.header("content-length")), (200, answer.header("content-length")));

    // ECDSA.
    let live = get(&format!("/items/{ECDSA_FILM}/playback"), &viewer);
    assert_eq!(live.status, 200, "{}", live.text());
    assert!(live.json()["sources"][0]["token"].as_str().unwrap().len() > 100);

    // The vendor's route.
    let own = "https://media.example.com/films/4719556279955/";
    for (url, status) in [
        (format!("{own}main.m3u8"), 200),
        (format!("{own}audio/1.mp4?quality=high&lang=en"), 200),
        ("https://media.example.com/films/7222975119641/main.m3u8".to_owned(), 422),
        ("https://media.example.com/films/4719556279955/../7222975119641/main.m3u8".to_owned(), 422),
        ("https://evil.example.com/films/4719556279955/main.m3u8".to_owned(), 422),
        (format!("http://media.example.com{}", "/films/4719556279955/main.m3u8"), 422),
        (String::new(), 422),
    ] {
        let answer = get(&format!("/items/{FILM}/access/cloudfront?url={url}"), &viewer);
        assert_eq!(answer.status, status, "{url}: {}", answer.text());
        if status == 200 {
            let signed = answer.json()["video_url"].as_str().unwrap().to_owned();
            assert!(signed.starts_with(&url), "{signed}");
        } else {
            assert!(answer.json()["errors"]["url"].is_string(), "{}", answer.text());
        }
    }
    let encoded = get(
        &format!(
            "/items/{FILM}/access/cloudfront?url=https%3A%2F%2Fmedia.example.com%2Ffilms%2F4719556279955%2Fmain.m3u8&x=1"
        ),
        &viewer,
    );
    assert_eq!(encoded.status, 200, "{}", encoded.text());

    // A signer that finds nothing to sign.
    let answer = get(&format!("/items/{WITHOUT_MEDIA}/playback"), &viewer);
    assert_eq!((answer.status, &answer.json()["message"]), (404, &"Nothing to play".into()));
    let jw = get(&format!("/items/{JW_FILM}/playback"), &viewer);
    assert_eq!(jw.json()["sources"][0]["type"], "jw", "{}", jw.text());
    let url =
        get(&format!("/items/{JW_FILM}/access/cloudfront?url=https://media.example.com/a/b.m3u8"), &viewer);
    assert_eq!(url.status, 404, "its signer signs no URLs");

    // Without access nothing is signed, whatever is asked.
    for target in [&path, &format!("/items/{FILM}/access/cloudfront?url={own}main.m3u8")] {
        let denied = get(target, &stranger);
        assert_eq!(
            (denied.status, denied.json()),
            (402, json!({"code": 402, "message": "No access", "errors": {"402": "No access"}}))
        );
        assert_eq!(get(target, "").status, 401);
        assert_eq!(get(target, &subject.token("expired-token")).status, 401);
    }
    assert_eq!(get("/items/5999/playback", &viewer).status, 404, "an unknown item");
    assert_eq!(get("/items/5150/playback", &viewer).status, 404, "an inactive item");
    assert_eq!(get("/items/abc/playback", &viewer).status, 422);
    assert_eq!(get("/items/abc/playback", "").status, 401);
    assert_eq!(get("/items/6207/playback", &viewer).status, 402, "another merchant's");
    sent
}
