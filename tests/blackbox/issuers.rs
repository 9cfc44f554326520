//! The sample issuers with keys for tests, and tokens signed with them. The keys are published or generated,
//! so they protect nothing.

use std::{fs, sync::LazyLock};

use admit::snapshot::head::{HEAD_TYPE, Head};
use admit_publish::build::Built;
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, Hs256, Hs256Key, ModulusBits, Rsa, RsaPrivateKey},
    jwk::JsonWebKey,
};
use serde_json::{Map, Value, json};

/// RFC 8032 §7.1, TEST 1 and TEST 2: the keys of the publisher's issuer and of the head.
const PUBLISHER: (&str, &str) =
    ("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
const SNAPSHOT: (&str, &str) =
    ("TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw");
const VENDOR_SECRET: &str = "black-box-tests-vendor-secret-0123456789";
/// The name of the secret in `samples/issuers.json`.
pub const VENDOR_SECRET_NAME: &str = "VENDOR_JWT_SECRET";

static RSA: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| Rsa::generate(&mut rand_core::OsRng, ModulusBits::TwoKibibytes).unwrap().0.into_inner());

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

fn ed25519(pair: (&str, &str), kid: &str) -> (Value, Value) {
    let public =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": pair.1, "kid": kid, "alg": "EdDSA", "use": "sig" });
    let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": pair.1, "d": pair.0 });
    (private, public)
}

fn signed_by_ed25519(pair: (&str, &str), header: &Value, payload: &[u8]) -> String {
    let jwk: JsonWebKey<'_> = serde_json::from_value(ed25519(pair, "").0).unwrap();
    let key: <Ed25519 as Algorithm>::SigningKey = (&jwk).try_into().unwrap();
    compact(header, payload, |input| Ed25519.sign(&key, input).as_bytes().into_owned())
}

/// A compact JWS.
pub fn compact(header: &Value, payload: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(payload));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", b64(signature))
}

fn samples() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/issuers.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The variables of a Worker with the sample issuers.
pub fn variables() -> Vec<(String, String)> {
    let issuers: Vec<Value> = samples().iter().map(issuer).collect();
    let snapshot_keys = json!({ "keys": [ed25519(SNAPSHOT, "snapshot-1").1] });
    [
        ("ISSUERS", Value::from(issuers).to_string()),
        ("SNAPSHOT_KEYS", snapshot_keys.to_string()),
        (VENDOR_SECRET_NAME, VENDOR_SECRET.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The variables with further issuers.
pub fn with_issuers(
    mut variables: Vec<(String, String)>,
    more: impl IntoIterator<Item = Value>,
) -> Vec<(String, String)> {
    if let Some((_, value)) = variables.iter_mut().find(|(name, _)| name == "ISSUERS") {
        let mut entries: Vec<Value> = serde_json::from_str(value).unwrap();
        entries.extend(more);
        *value = Value::from(entries).to_string();
    }
    variables
}

/// An issuer whose tokens [`token_by`] makes. It speaks for one merchant, or for all.
pub fn by_vendors_secret(issuer: &str, namespace: &str, may: &Value, merchant: Option<i64>) -> Value {
    let mut entry = json!({
        "issuer": issuer, "namespace": namespace, "audience": "none_required", "may": may,
        "keys": { "secret": VENDOR_SECRET_NAME, "alg": "HS256" },
    });
    if let Some(merchant) = merchant {
        entry["merchants"] = json!([merchant]);
    }
    entry
}

fn issuer(sample: &Value) -> Value {
    let key = &sample["key"];
    let kid = key["kid"].as_str().unwrap();
    let keys = match key["alg"].as_str().unwrap() {
        "HS256" => json!({ "secret": key["secret"], "alg": "HS256" }),
        "EdDSA" => json!({ "jwks": { "keys": [ed25519(PUBLISHER, kid).1] } }),
        _ => {
            let public = RSA.to_public_key();
            let mut jwk = serde_json::to_value(JsonWebKey::from(&public)).unwrap();
            jwk["kid"] = kid.into();
            jwk["alg"] = "RS256".into();
            json!({ "jwks": { "keys": [jwk] } })
        }
    };
    let mut config = sample["config"].clone();
    config["keys"] = keys;
    config
}

/// A token of the sample issuer called `name`; `claims` are added to its own.
pub fn token(name: &str, claims: &Map<String, Value>, expires_at: i64) -> String {
    let samples = samples();
    let sample = samples.iter().find(|sample| sample["name"] == name).unwrap();
    let mut all = sample["claims"].as_object().cloned().unwrap_or_default();
    all.insert("iss".to_owned(), sample["config"]["issuer"].clone());
    all.insert("exp".to_owned(), expires_at.into());
    all.extend(claims.clone());
    let payload = Value::Object(all).to_string().into_bytes();
    let header = json!({ "alg": sample["key"]["alg"], "kid": sample["key"]["kid"], "typ": "JWT" });
    match name {
        "vendor" => signed_by_vendor(&header, &payload),
        "cognito" => {
            compact(&header, &payload, |input| Rsa::rs256().sign(&RSA, input).as_bytes().into_owned())
        }
        _ => signed_by_ed25519(PUBLISHER, &header, &payload),
    }
}

/// A token of an issuer with the vendor's secret, with exactly these claims and `iss` and `exp`.
pub fn token_by(issuer: &str, claims: &Value, expires_at: i64) -> String {
    let mut all = json!({ "iss": issuer, "exp": expires_at });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    signed_by_vendor(&json!({ "alg": "HS256", "typ": "JWT" }), all.to_string().as_bytes())
}

/// A token with the vendor's secret, with exactly this header and these claims.
pub fn token_with(header: &Value, claims: &Value) -> String {
    signed_by_vendor(header, claims.to_string().as_bytes())
}

fn signed_by_vendor(header: &Value, payload: &[u8]) -> String {
    compact(header, payload, |input| {
        Hs256.sign(&Hs256Key::new(VENDOR_SECRET.as_bytes()), input).as_bytes().into_owned()
    })
}

/// The JWKS of an issuer whose keys are fetched.
pub fn fetched_jwks() -> String {
    json!({ "keys": [ed25519(PUBLISHER, "fetched-1").1] }).to_string()
}

/// A token with exactly these claims, of an issuer with [`fetched_jwks`].
pub fn fetched_token(claims: &Value) -> String {
    let header = json!({ "alg": "EdDSA", "kid": "fetched-1", "typ": "JWT" });
    signed_by_ed25519(PUBLISHER, &header, claims.to_string().as_bytes())
}

/// A token that may publish.
pub fn publisher_token(expires_at: i64) -> String {
    scoped_token("publisher", "snapshot:publish", expires_at)
}

/// A token that may read the snapshot, for support staff.
pub fn reader_token(expires_at: i64) -> String {
    scoped_token("publisher", "snapshot:read", expires_at)
}

/// A token with `scope`, of the sample issuer called `name`.
pub fn scoped_token(name: &str, scope: &str, expires_at: i64) -> String {
    let claims = json!({ "sub": "sync", "mid": 2101, "scope": scope });
    token(name, claims.as_object().unwrap(), expires_at)
}

/// The key that signs a head.
#[derive(Clone, Copy, Debug)]
pub enum Signer {
    Publisher,
    /// Another key, under the publisher's `kid`.
    Impostor,
    /// Another key under its own `kid`.
    Stranger,
}

/// A head for a built snapshot.
pub fn head(built: &Built, seq: u64, as_of: i64) -> Head {
    built.head(seq, as_of)
}

pub fn sign_head(head: &Head, signer: Signer) -> String {
    sign_head_as(head, signer, HEAD_TYPE)
}

pub fn sign_head_as(head: &Head, signer: Signer, typ: &str) -> String {
    let payload = serde_json::to_vec(head).unwrap();
    let (pair, kid) = match signer {
        Signer::Publisher => (SNAPSHOT, "snapshot-1"),
        Signer::Impostor => (PUBLISHER, "snapshot-1"),
        Signer::Stranger => (PUBLISHER, "publisher-1"),
    };
    signed_by_ed25519(pair, &json!({ "alg": "EdDSA", "kid": kid, "typ": typ }), &payload)
}
