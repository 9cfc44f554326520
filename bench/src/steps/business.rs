//! A made-up business: 1,200 customers with 8 grants each, one issuer with a secret, 9,000 tokens.

use std::fmt::Write as _;

use admit_playback::Item;
use admit_publish::build::{Built, build_ndjson};
use anyhow::{Context, Result};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use jwt_compact::{
    Algorithm, AlgorithmSignature as _,
    alg::{Ed25519, Hs256, Hs256Key, SigningKey},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

/// The moment of everything, unix seconds: in 2027.
pub const NOW: i64 = 1_800_000_000;
/// How many customers there are.
pub const CUSTOMERS: usize = 1_200;
/// More than the token cache holds in both of its generations.
const TOKENS: usize = 9_000;
const ITEMS: usize = 64;
const SECRET: &[u8] = b"a secret of a benchmark, which guards nothing";

/// One secret is enough here. The service refuses a signer that shares an issuer's.
pub const PLAYBACK: &str =
    r#"[{"merchant": 2101, "item_type": "brightcove_asset", "signer": "jw", "secret": "SECRET"}]"#;

/// The first item as signers see it.
pub const fn playable() -> Item<'static> {
    Item {
        merchant_id: 2_101,
        item_type: "brightcove_asset",
        content: r#"{"video_id":"v5001"}"#,
        external_id: None,
    }
}

/// The first item that a customer may play.
pub fn item_of(customer: usize) -> i64 {
    i64::try_from(5_001 + customer * 5 % ITEMS).unwrap_or(i64::MAX)
}

/// The service's configuration and data.
pub struct Business {
    pub variables: Vec<(&'static str, String)>,
    pub built: Built,
    pub head: String,
}

impl Business {
    pub fn new() -> Result<Self> {
        let built = build_ndjson(lines()?.as_bytes(), NOW)?;
        let key = <<Ed25519 as Algorithm>::SigningKey as SigningKey<Ed25519>>::from_slice(&[7; 32])?;
        let mut jwk = serde_json::to_value(JsonWebKey::from(&key).to_verifying_key())?;
        let members = jwk.as_object_mut().context("no JWK")?;
        members.extend([("kid".to_owned(), "head".into()), ("alg".to_owned(), "EdDSA".into())]);
        let header = json!({ "alg": "EdDSA", "kid": "head", "typ": "admit-head" });
        let input = signing_input(&header, &serde_json::to_value(built.head(1, NOW))?);
        let signature = Ed25519.sign(&key, input.as_bytes()).as_bytes().into_owned();
        let issuers = json!([{
            "issuer": "https://id.example.com", "namespace": "bench", "audience": { "any_of": ["tv"] },
            "customer_claim": "sub", "keys": { "secret": "SECRET", "alg": "HS256" },
        }]);
        let variables = vec![
            ("ISSUERS", issuers.to_string()),
            ("SECRET", String::from_utf8(SECRET.to_vec())?),
            ("SNAPSHOT_KEYS", json!({ "keys": [jwk] }).to_string()),
            ("CORS_ORIGINS", "*".to_owned()),
        ];
        Ok(Self { variables, built, head: format!("{input}.{}", encoded(&signature)) })
    }

    /// `Authorization` headers, each with another token; the first is customer 0's.
    pub fn authorizations(&self) -> Vec<String> {
        (0..TOKENS).map(|n| authorization("https://id.example.com", n % CUSTOMERS, n)).collect()
    }

    /// The header of a viewer whose issuer is unknown.
    pub fn stranger(&self) -> String {
        authorization("https://stranger.example.com", 0, 0)
    }
}

fn authorization(issuer: &str, customer: usize, n: usize) -> String {
    let claims = json!({
        "iss": issuer, "aud": "tv", "sub": format!("c{customer}"), "mid": 2_101, "iat": NOW, "exp": NOW + 86_400,
        "jti": n.to_string(),
    });
    let input = signing_input(&json!({ "alg": "HS256", "typ": "JWT", "kid": "hs" }), &claims);
    let signature = Hs256.sign(&Hs256Key::new(SECRET), input.as_bytes());
    format!("Bearer {input}.{}", encoded(&signature.as_bytes()))
}

fn signing_input(header: &Value, payload: &Value) -> String {
    format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(payload.to_string().as_bytes()))
}

fn encoded(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn lines() -> Result<String> {
    let mut lines = String::new();
    let mut line = |value: Value| writeln!(lines, "{value}");
    line(json!({ "type": "snapshot", "seq": 1 }))?;
    line(
        json!({ "type": "merchant", "id": 2_101, "uuid": "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934", "name": "F" }),
    )?;
    for id in 5_001..5_001 + ITEMS {
        line(json!({
            "type": "item", "id": id, "merchant_id": 2_101, "title": format!("Film {id}"), "is_active": true,
            "access_control_type": { "id": 4, "name": "Paid", "auth": true },
            "item_type": { "id": 44, "name": "brightcove_asset", "content_type": "ovp", "host": "inplayer",
                "description": "OVP asset" },
            "metadata": [], "plan_switch_enabled": false, "content": format!("{{\"video_id\":\"v{id}\"}}"),
            "created_at": 1_700_000_000, "updated_at": 1_700_000_000,
        }))?;
    }
    for customer in 0..CUSTOMERS {
        let accesses: Vec<_> = (0..8)
            .map(|grant| {
                json!({
                    "id": customer * 8 + grant + 1, "item_id": 5_001 + (customer * 5 + grant * 7) % ITEMS,
                    "created_at": NOW - 1_000_000, "expires_at": NOW + 86_400,
                })
            })
            .collect();
        line(json!({
            "type": "customer", "namespace": "bench", "subject": format!("c{customer}"), "id": customer,
            "uuid": format!("00000000-0000-4000-8000-{customer:012x}"), "merchant_id": 2_101,
            "accesses": accesses,
        }))?;
    }
    Ok(lines)
}
