//! Every refusal of a token: its answer, and a log line that names the header, the key or the claim.

use admit::{
    api::reply::{Reply, Request},
    app::App,
    config::Config,
    ports::Platform as _,
};
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on};
use jwt_compact::{
    Algorithm as _, AlgorithmSignature as _,
    alg::{Hs256, Hs256Key},
};
use serde_json::{Value, json};

use crate::{faults::edge::START, issuers::b64};

const SECRET: &str = "refusals: a secret of thirty-two bytes or more";
const URL: &str = "https://fetched.example/jwks";

fn signed(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let signature = Hs256.sign(&Hs256Key::new(SECRET), message.as_bytes());
    format!("{message}.{}", b64(signature.as_bytes()))
}

fn claims(changes: &Value) -> String {
    let mut claims =
        json!({"iss": "https://v.example", "aud": "tv", "sub": "private-name", "exp": START + 600});
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims.to_string()
}

/// A token that is valid except for these claims.
fn with(changes: &Value) -> String {
    signed(r#"{"alg":"HS256","kid":"good"}"#, claims(changes))
}

/// A token that is valid except for its header.
fn under(header: &Value) -> String {
    signed(header.to_string(), claims(&json!({})))
}

/// An issuer with configured keys, of which two cannot be used, and an issuer whose keys are fetched.
fn service() -> App<MemoryPlatform> {
    let keys = json!({"keys": [
        {"kty": "oct", "kid": "good", "k": b64(SECRET)},
        {"kty": "EC", "crv": "secp256k1", "kid": "odd"},
        {"kty": "oct", "kid": "short", "k": "c2hvcnQ"},
    ]});
    let issuer =
        json!({"issuer": "https://v.example", "namespace": "v", "audience": {"any_of": ["tv", "web"]}});
    let mut inline = issuer.clone();
    inline["keys"] = json!({"jwks": keys});
    let mut fetched = issuer;
    fetched["issuer"] = "https://fetched.example".into();
    fetched["keys"] = json!({"jwks_url": URL});
    let issuers = json!([inline, fetched]).to_string();
    let config = Config::parse(&|name| match name {
        "ISSUERS" => Some(issuers.clone()),
        "SNAPSHOT_KEYS" => Some(crate::faults::edge::Signer::Publisher.jwks()),
        _ => None,
    });
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    App::new(platform, config.unwrap()).unwrap()
}

fn ask(app: &App<MemoryPlatform>, authorization: &str) -> Reply {
    let request = Request { method: "GET", path: "/license", authorization, ..Request::default() };
    block_on(app.handle(&request, MemoryBody::default()))
}

/// The answer and its log line.
fn logged(app: &App<MemoryPlatform>, authorization: &str) -> (Reply, Value) {
    let _earlier = app.platform().memory_log().take();
    let reply = ask(app, authorization);
    let line = app.platform().memory_log().take().pop().unwrap();
    (reply, serde_json::from_str(&line).unwrap())
}

#[test]
fn each_refusal_names_the_header_the_key_or_the_claim() {
    let far = START + 90_000;
    let good = |header: &str| signed(header, claims(&json!({})));
    let rows: Vec<(String, u16, &str, &str)> = vec![
        // The header of the request.
        (String::new(), 401, "missing", "header Authorization: no token"),
        ("Bearer".to_owned(), 401, "missing", "header Authorization: no token"),
        ("Basic dTpw".to_owned(), 401, "wrong_scheme", "header Authorization: the scheme is not Bearer"),
        ("Bearer a\tb".to_owned(), 401, "malformed", "header Authorization: the token contains blanks"),
        ("a".repeat(16_385), 401, "too_long", "header Authorization: the token is longer than 16384 bytes"),
        // The token's form.
        ("a.b".to_owned(), 401, "malformed", "token: expected three segments"),
        ("%.b.c".to_owned(), 401, "malformed", "token: the header is not base64url"),
        (format!("{}.%.c", b64("{}")), 401, "malformed", "token: the payload is not base64url"),
        (format!("{}.e30.c", b64("{}")), 401, "malformed", "token: the signature is not base64url"),
        (good("{}"), 401, "malformed", "token: the header has no alg"),
        (good("[]"), 401, "malformed", "header of the token: not a JSON object"),
        (good("{"), 401, "malformed", "header of the token: JSON that ends too early"),
        (good(r#"{"alg":HS256}"#), 401, "malformed", "header of the token: not JSON at byte"),
        (
            good(r#"{"alg":"HS256","alg":"none"}"#),
            401,
            "malformed",
            r#"header of the token: member twice: "alg""#,
        ),
        // Its header.
        (good(r#"{"alg":1}"#), 401, "malformed", "header alg: expected text"),
        (good(r#"{"alg":"HS256","typ":1}"#), 401, "malformed", "header typ: expected text"),
        (good(r#"{"alg":"HS256","kid":[]}"#), 401, "malformed", "header kid: expected text"),
        (
            under(&json!({"alg": "none"})),
            401,
            "unsupported_algorithm",
            r#"header alg: "none" is not supported"#,
        ),
        (
            under(&json!({"alg": "ES256K", "kid": "x"})),
            401,
            "unsupported_algorithm",
            r#"header alg: "ES256K""#,
        ),
        (under(&json!({"alg": "HS256", "crit": ["x"]})), 401, "unsupported_extension", "header crit: "),
        (under(&json!({"alg": "HS256", "b64": false})), 401, "unsupported_extension", "header b64: "),
        (under(&json!({"alg": "HS256", "cty": "JWT"})), 401, "unsupported_extension", "header cty: "),
        (
            under(&json!({"alg": "HS256", "typ": "logout+jwt"})),
            401,
            "wrong_type",
            r#"header typ: "logout+jwt": JWT or"#,
        ),
        // Its key.
        (
            under(&json!({"alg": "HS256", "kid": "new"})),
            401,
            "unknown_kid",
            r#"header kid: the issuer has no key "new""#,
        ),
        (
            under(&json!({"alg": "RS256", "kid": "good"})),
            401,
            "algorithm_mismatch",
            r#"header alg: "RS256" is not the algorithm of the key "good""#,
        ),
        (with(&json!({})) + "AAAA", 401, "bad_signature", r#"signature: not made by the key "good""#),
        (
            with(&json!({})) + "AAAA",
            401,
            "bad_signature",
            "signature: not made by a key of the issuer (found",
        ),
        (
            under(&json!({"alg": "ES256K", "kid": "odd"})),
            503,
            "key_left_out",
            r#"kid "odd": crv "secp256k1" is not supported"#,
        ),
        (
            under(&json!({"alg": "HS256", "kid": "short"})),
            503,
            "key_left_out",
            r#"kid "short": k has 5 bytes"#,
        ),
        // Its payload.
        (
            signed(r#"{"alg":"HS256"}"#, "[]"),
            401,
            "malformed_claims",
            "payload of the token: not a JSON object",
        ),
        (
            signed(r#"{"alg":"HS256"}"#, r#"{"sub":"private-name","sub":"x"}"#),
            401,
            "malformed_claims",
            r#"payload of the token: member twice: "sub""#,
        ),
        (with(&json!({"iss": 1})), 401, "malformed_claims", "claim iss: expected text"),
        (with(&json!({"iss": null})), 401, "unknown_issuer", "claim iss: missing"),
        (
            with(&json!({"iss": "https://v.example/"})),
            401,
            "unknown_issuer",
            r#"claim iss: "https://v.example/" is not among ISSUERS"#,
        ),
        // Its times.
        (with(&json!({"exp": null})), 401, "no_expiry", "claim exp: missing"),
        (
            with(&json!({"exp": START - 100})),
            401,
            "expired",
            "claim exp: passed 100 s ago, leeway_secs is 60",
        ),
        (with(&json!({"exp": START * 1_000})), 401, "malformed_claim", "claim exp: looks like milliseconds"),
        (with(&json!({"exp": 1e300})), 401, "malformed_claim", "claim exp: is too large for a time"),
        (with(&json!({"exp": "soon"})), 401, "malformed_claim", r#"claim exp: must be unix seconds"#),
        (with(&json!({"nbf": [1]})), 401, "malformed_claim", "claim nbf: must be unix seconds"),
        (with(&json!({"iat": START * 1_000})), 401, "malformed_claim", "claim iat: looks like milliseconds"),
        (with(&json!({"iat": START + 3_600})), 503, "clock_differs", "claim iat: clock differs by 3600 s"),
        (with(&json!({"nbf": START + 61})), 503, "clock_differs", "claim nbf: clock differs by 61 s"),
        (with(&json!({"iat": far})), 401, "issued_in_future", "claim iat: 90000 s in the future"),
        (with(&json!({"nbf": far})), 401, "not_yet_valid", "claim nbf: 90000 s in the future"),
        (
            with(&json!({"nbf": START + 61, "iat": START})),
            401,
            "not_yet_valid",
            "claim nbf: 61 s in the future",
        ),
        // Its other claims.
        (
            with(&json!({"aud": "x"})),
            401,
            "wrong_audience",
            r#"claim aud: "x": one of "tv", "web" is expected"#,
        ),
        (with(&json!({"aud": null})), 401, "wrong_audience", r#"claim aud: missing: one of "tv", "web""#),
        (
            with(&json!({"aud": {"a": 1}})),
            401,
            "malformed_claim",
            "claim aud: an object: text or a list of texts",
        ),
        (with(&json!({"sub": null})), 401, "no_customer", "claim sub: missing"),
        (with(&json!({"sub": ""})), 401, "no_customer", "claim sub: empty"),
        (
            with(&json!({"sub": true})),
            401,
            "no_customer",
            "claim sub: a boolean: text or an integer is expected",
        ),
        (with(&json!({"sub": "x".repeat(257)})), 401, "no_customer", "claim sub: longer than 256 bytes"),
        (with(&json!({"sub": "a\0"})), 401, "no_customer", "claim sub: contains a zero byte"),
        (
            with(&json!({"mid": "x"})),
            401,
            "malformed_claim",
            "claim mid: other text: a whole number is expected",
        ),
        (with(&json!({"aid": 1.5})), 401, "malformed_claim", "claim aid: a number with a fraction"),
        (with(&json!({"mui": ["x"]})), 401, "malformed_claim", "claim mui: a list: text is expected"),
        (with(&json!({"client_id": true})), 401, "malformed_claim", "claim client_id: a boolean"),
        (with(&json!({"azp": 1.5})), 401, "malformed_claim", "claim azp: a number with a fraction"),
        (with(&json!({"ctx": {"merchant": true}})), 401, "malformed_claim", "claim ctx: an object"),
        (with(&json!({"scope": false})), 401, "malformed_claim", "claim scope: a boolean"),
        // Keys that are fetched.
        (
            with(&json!({"iss": "https://fetched.example"})),
            503,
            "keys_unavailable",
            "ISSUERS[1].keys: the last fetch",
        ),
    ];
    let app = service();
    for (authorization, status, reason, detail) in rows {
        let (reply, line) = logged(&app, &authorization);
        assert_eq!((reply.status, line["reason"].as_str()), (status, Some(reason)), "{line}");
        assert!(line["detail"].as_str().unwrap_or_default().starts_with(detail), "{detail}: {line}");
        assert!(!line.to_string().contains("private-name"), "{line}");
        assert_eq!(reply.header("retry-after").is_some(), status == 503, "{line}");
        let wire = String::from_utf8_lossy(reply.body.as_bytes()).into_owned();
        let body = match status {
            401 => r#"{"code":401,"message":"Invalid auth token","errors":{"401":"Invalid auth token"}}"#,
            _ => r#"{"code":503,"message":"Service unavailable","errors":{"503":"Service unavailable"}}"#,
        };
        assert_eq!(wire, body, "the reason stays off the wire");
    }
}

/// Fetched keys: which refusals a request can explain after its own fetch, and which only a later request
/// can.
#[test]
fn tokens_that_no_fetched_key_verifies_name_their_key() {
    let app = service();
    app.platform().keys().serve(URL, crate::faults::edge::Signer::Publisher.jwks().as_bytes());
    let other = |header: &str| signed(header, claims(&json!({"iss": "https://fetched.example"})));
    let rows = [
        (r#"{"alg":"EdDSA","kid":"new"}"#, "unknown_kid", r#"header kid: the issuer has no key "new""#),
        (r#"{"alg":"EdDSA","kid":"k"}"#, "bad_signature", r#"signature: not made by the key "k""#),
        (r#"{"alg":"EdDSA"}"#, "bad_signature", "signature: not made by any key of the issuer"),
        (
            r#"{"alg":"RS256"}"#,
            "algorithm_mismatch",
            r#"header alg: "RS256" is not the algorithm of any key"#,
        ),
        (
            r#"{"alg":"ES256K","kid":"k"}"#,
            "unsupported_algorithm",
            r#"header alg: "ES256K" is not supported"#,
        ),
    ];
    for (header, reason, detail) in rows {
        let token = other(header);
        for (status, reason) in [(401, reason), (503, "key_pending")] {
            let (reply, line) = logged(&app, &token);
            assert_eq!((reply.status, line["reason"].as_str()), (status, Some(reason)), "{line}");
            assert!(line["detail"].as_str().unwrap().starts_with(detail), "{line}");
        }
        app.platform().clock().advance_secs(30);
    }
}

/// Each change of a document is logged once, with the keys that are left out.
#[test]
fn keys_that_are_left_out_are_logged_once_for_each_document() {
    let app = service();
    let of = |event: &str| -> Vec<Value> {
        let lines = app.platform().memory_log().take().into_iter();
        let lines = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    };
    let configured = of("keys_left_out");
    assert_eq!(configured.len(), 1);
    assert_eq!(configured[0]["issuer"], 0);
    let keys = configured[0]["keys"].as_str().unwrap();
    assert!(keys.starts_with(r#"kid "odd": crv "secp256k1" is not supported; kid "short": k has"#), "{keys}");
    let good: Value = serde_json::from_str(&crate::faults::edge::Signer::Publisher.jwks()).unwrap();
    let odd = json!({"keys": [good["keys"][0], {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}, 1]});
    let token = with(&json!({"iss": "https://fetched.example"}));
    for _ in 0..3 {
        app.platform().keys().serve(URL, odd.to_string().as_bytes());
        ask(&app, &token);
        app.platform().clock().advance_secs(31);
    }
    let lines = of("keys_left_out");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = r#"kid "r": n has 17 bits, expected 2048 to 4096; a key without kid: not a JSON object"#;
    assert_eq!((&lines[0]["issuer"], &lines[0]["keys"]), (&json!(1), &json!(expected)));
    // A document without any usable key is logged too; the current keys stay.
    app.platform().keys().serve(URL, br#"{"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}]}"#);
    ask(&app, &token);
    let problem = of("keys_kept")[0]["problem"].to_string();
    assert!(problem.contains(r#"no key of the set can be used: kid \"r\": n has 17 bits"#), "{problem}");
    app.platform().clock().advance_secs(31);
    app.platform().keys().serve(URL, b"<html>sign in</html>");
    ask(&app, &token);
    let problem = of("keys_kept")[0]["problem"].to_string();
    assert!(problem.contains("the document is HTML or XML, not JSON"), "{problem}");
}

#[test]
fn redirects_are_followed_within_the_issuers_origin() {
    let token = with(&json!({"iss": "https://fetched.example"}));
    let jwks = crate::faults::edge::Signer::Publisher.jwks();
    for (hops, status) in [(1, 401), (3, 401), (4, 503)] {
        let app = service();
        let keys = app.platform().keys();
        keys.redirect(URL, "jwks/1");
        for hop in 1..hops {
            let url = format!("https://fetched.example/jwks/{hop}");
            keys.redirect(&url, &format!("https://fetched.example/jwks/{}", hop + 1));
        }
        keys.serve(&format!("https://fetched.example/jwks/{hops}"), jwks.as_bytes());
        let reply = ask(&app, &token);
        assert_eq!(reply.status, status, "{hops}: 401 means that the keys were read");
        assert_eq!(keys.fetches().len(), usize::min(hops + 1, 4));
    }
    for (location, problem) in [
        ("https://cdn.example/jwks?token=secret", "a redirect to https://cdn.example, which is not followed"),
        ("http://fetched.example/jwks", "a redirect to http://fetched.example, which is not followed"),
        ("", "a redirect without an address"),
    ] {
        let app = service();
        app.platform().keys().redirect(URL, location);
        app.platform().keys().serve("https://cdn.example/jwks?token=secret", jwks.as_bytes());
        assert_eq!(ask(&app, &token).status, 503, "{location}");
        assert_eq!(app.platform().keys().fetches(), [URL]);
        let log = app.platform().memory_log().take().join("\n");
        assert!(log.contains(problem) && !log.contains("secret"), "{log}");
    }
}
