//! The examples of `docs/api.md` are what the service answers to the sample viewers.

use std::fs;

use admit::{
    api::reply::{Reply, Request},
    app::App,
    config::Config,
    ports::Platform as _,
};
use admit_publish::build::build_ndjson;
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, Mac as _};
use jwt_compact::{Algorithm, AlgorithmSignature as _, alg::Ed25519, jwk::JsonWebKey};
use serde_json::{Map, Value, json};

use super::{read, root};

const NOW: i64 = 1_795_321_313;
const SECRET: &str = "a secret of the tests, long enough for HS256";
/// Where a command of a document names a sample viewer.
const TOKEN: &str = "$(cargo xtask token ";
/// Stands for what the document leaves out.
const MORE: &str = "…";
/// What depends on the moment of publishing or asking.
const CHANGING: [&str; 10] = [
    "created_at",
    "expires_at",
    "renews_on",
    "seq",
    "as_of",
    "age_secs",
    "changed_at",
    "unchanged_secs",
    "objects_in_memory",
    "bytes_in_memory",
];

fn sign_token(kid: &Value, payload: &Value) -> String {
    let encode = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let header = json!({ "alg": "HS256", "kid": kid, "typ": "JWT" }).to_string();
    let input = format!("{}.{}", encode(header.as_bytes()), encode(payload.to_string().as_bytes()));
    let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&input);
    format!("{input}.{}", encode(&mac.finalize().into_bytes()))
}

/// RFC 8037, appendix A.1: the publisher's key.
const PUBLISHER: [&str; 2] =
    ["nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"];

fn sign_head(head: &Value) -> String {
    let [d, x] = PUBLISHER;
    let jwk: JsonWebKey<'_> =
        serde_json::from_value(json!({ "kty": "OKP", "crv": "Ed25519", "d": d, "x": x })).unwrap();
    let key = <Ed25519 as Algorithm>::SigningKey::try_from(&jwk).unwrap();
    let encode = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let header = json!({ "alg": "EdDSA", "kid": "k", "typ": "admit-head" }).to_string();
    let input = format!("{}.{}", encode(header.as_bytes()), encode(head.to_string().as_bytes()));
    let signature = Ed25519.sign(&key, input.as_bytes());
    format!("{input}.{}", encode(&signature.as_bytes()))
}

fn object(value: &Value, name: &str) -> Map<String, Value> {
    value.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

fn samples(path: &str) -> Vec<Value> {
    serde_json::from_str(&read(path)).unwrap()
}

/// The samples' issuers, all with one secret: these tests do not depend on their algorithms.
fn config() -> Config {
    let issuers = samples("samples/issuers.json").into_iter().map(|issuer| {
        let mut config = object(&issuer, "config");
        config.insert("keys".into(), json!({ "secret": "SECRET", "alg": "HS256" }));
        Value::Object(config)
    });
    let issuers = Value::Array(issuers.collect()).to_string();
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": PUBLISHER[1] });
    let binding = |name: &str| match name {
        "ISSUERS" => Some(issuers.clone()),
        "SNAPSHOT_KEYS" => Some(json!({ "keys": [key] }).to_string()),
        "SECRET" => Some(SECRET.to_owned()),
        _ => None,
    };
    Config::parse(&binding).unwrap()
}

/// The service with the sample catalogue published.
pub fn service() -> App<MemoryPlatform> {
    let mut lines = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(root().join("samples/catalogue")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        lines.extend(fs::read(path).unwrap());
    }
    let built = build_ndjson(&lines, NOW).unwrap();
    let platform = MemoryPlatform::at(u64::try_from(NOW).unwrap() * 1_000);
    for (name, bytes) in &built.objects {
        platform.store().insert(&name.to_string(), bytes);
    }
    let head = built.head(1, NOW);
    let jws = sign_head(&serde_json::to_value(head).unwrap());
    platform.store().insert("head", jws.as_bytes());
    platform.lane().open();
    platform.lane().set(Some(jws.as_bytes()));
    App::new(platform, config()).unwrap()
}

/// What a persona sends as `Authorization`.
pub fn authorization(name: &str) -> String {
    let mut personas = samples("samples/personas.json");
    // No viewers: `cargo xtask token` prints these, too.
    let operator = json!({"sub": "dev-operator", "scope": "snapshot:read"});
    personas.push(json!({"name": "operator", "issuer": "publisher", "claims": operator}));
    personas.push(json!({"name": "support", "issuer": "support", "claims": {"sub": "dev-support"}}));
    let persona = personas.iter().find(|persona| persona["name"] == name).unwrap();
    let issuers = samples("samples/issuers.json");
    let issuer = issuers.iter().find(|issuer| issuer["name"] == persona["issuer"]).unwrap();
    let mut claims = object(issuer, "claims");
    claims.insert("iss".into(), issuer.pointer("/config/issuer").unwrap().clone());
    let ttl_secs = persona.get("ttl_secs").and_then(Value::as_i64).unwrap_or(3_600).min(3_600);
    claims.insert("exp".into(), (NOW + ttl_secs).into());
    claims.extend(object(persona, "claims"));
    format!("Bearer {}", sign_token(issuer.pointer("/key/kid").unwrap(), &claims.into()))
}

fn get(app: &App<MemoryPlatform>, target: &str, authorization: &str) -> Reply {
    ask(app, "GET", target, authorization, None)
}

/// GET, or POST with a JSON body.
fn send(app: &App<MemoryPlatform>, target: &str, authorization: &str, body: Option<&str>) -> Reply {
    let body: Option<Value> = body.map(|body| serde_json::from_str(body).unwrap());
    ask(app, if body.is_some() { "POST" } else { "GET" }, target, authorization, body.as_ref())
}

/// The answer to a request, with a JSON body or without one.
pub fn ask(
    app: &App<MemoryPlatform>,
    method: &str,
    target: &str,
    authorization: &str,
    body: Option<&Value>,
) -> Reply {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let passed = [("content-type", "application/json".to_owned())];
    let request = Request {
        method,
        path,
        query,
        base_url: "http://127.0.0.1:8787",
        authorization,
        ip_address: "127.0.0.1",
        country: "US",
        passed: if body.is_some() { &passed } else { &[] },
        ..Request::default()
    };
    let body = body.map_or_else(MemoryBody::default, |body| body.to_string().into_bytes().into());
    block_on(app.handle(&request, body))
}

/// The body of a command, with the tokens that it names in their place.
fn body(command: &str) -> Option<String> {
    let (_, rest) = command.split_once(" -d \"")?;
    let (body, _) = rest.rsplit_once("\" http")?;
    let mut body = body.replace("\\\"", "\"");
    while let Some((before, rest)) = body.split_once(TOKEN) {
        let (name, after) = rest.split_once(')')?;
        let token = authorization(name);
        body = [before, token.strip_prefix("Bearer ")?, after].concat();
    }
    Some(body)
}

/// An example as JSON: `…` becomes a last element or a member.
fn parsed(example: &str) -> Value {
    let (mut json, mut open, mut in_text) = (String::new(), Vec::new(), false);
    let mut last = ' ';
    for c in example.chars() {
        match c {
            '"' if last != '\\' => in_text = !in_text,
            '{' | '[' if !in_text => open.push(c),
            '}' | ']' if !in_text => drop(open.pop()),
            _ => {}
        }
        last = c;
        match c {
            '…' if open.last() == Some(&'{') => json += r#""…": "…""#,
            '…' => json += r#""…""#,
            _ => json.push(c),
        }
    }
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn assert_shows(example: &Value, answer: &Value, at: &str) {
    match (example, answer) {
        (Value::Object(shown), Value::Object(all)) => {
            for (name, value) in shown.iter().filter(|(name, _)| *name != MORE) {
                let at = format!("{at}.{name}");
                let answer = all.get(name).unwrap_or_else(|| panic!("{at} is not answered"));
                if CHANGING.contains(&name.as_str()) {
                    assert_eq!(
                        (value.is_i64(), value.is_string()),
                        (answer.is_i64(), answer.is_string()),
                        "{at}"
                    );
                } else {
                    assert_shows(value, answer, &at);
                }
            }
            let hidden = all.keys().find(|name| !shown.contains_key(*name));
            assert!(hidden.is_none() || shown.contains_key(MORE), "{at}: {hidden:?} is not shown");
        }
        (Value::Array(shown), Value::Array(all)) => {
            let is_cut = shown.last().is_some_and(|last| last == MORE);
            let count = shown.len() - usize::from(is_cut);
            assert!(count == all.len() || (is_cut && count < all.len()), "{at}: {count} of {}", all.len());
            shown.iter().take(count).zip(all).for_each(|(shown, answer)| assert_shows(shown, answer, at));
        }
        _ => assert_eq!(example, answer, "{at}"),
    }
}

#[test]
fn examples_are_answers_of_the_service() {
    const ADDRESS: &str = "http://127.0.0.1:8787";
    let api = read("docs/api.md");
    let app = service();
    let mut asked = 0;
    // Each command is followed by its answer, with no other JSON in between.
    for rest in api.split("\n```sh\ncurl ").skip(1) {
        let (command, rest) = rest.split_once("\n```\n").unwrap();
        let (_, target) = command.trim_end_matches('\'').split_once(ADDRESS).unwrap();
        let persona = command.split_once(TOKEN).map(|(_, rest)| rest.split_once(')').unwrap().0);
        let reply =
            send(&app, target, &persona.map(authorization).unwrap_or_default(), body(command).as_deref());
        let example = rest.split_once("\n```json\n").unwrap().1.split_once("\n```").unwrap().0;
        let answer = serde_json::from_slice(reply.body.as_bytes()).unwrap();
        assert_shows(&parsed(example), &answer, target);
        asked += 1;
    }
    assert!(asked > 6, "{asked}");
}

#[test]
fn commands_of_the_readme_get_the_status_that_they_show() {
    let app = service();
    let mut asked = 0;
    for line in read("README.md").lines().filter(|line| line.starts_with("curl ") && line.contains("# ")) {
        let (command, status) = line.split_once("# ").unwrap();
        let persona = command.split_once(TOKEN).unwrap().1.split_once(')').unwrap().0;
        let target = command.split_once("$edge").unwrap().1.trim().trim_end_matches('"');
        assert_eq!(get(&app, target, &authorization(persona)).status.to_string(), status, "{line}");
        asked += 1;
    }
    assert!(asked > 2, "{asked}");
}
