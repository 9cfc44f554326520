//! Valid and invalid tokens of every algorithm: `tests/vectors/tokens.json`, made by OpenSSL, and the valid
//! ones with bits flipped. Pure Rust and the Worker's platform must judge each alike.

use std::fs;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

use super::{
    catalogue,
    check::{Pages, error_body, problems},
    issuers,
    subject::Subject,
    wire::Wire,
};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The usual variables, with the issuer of the vectors.
pub fn variables() -> Vec<(String, String)> {
    issuers::with_issuers(issuers::variables(), [vectors()["issuer"].clone()])
}

/// Runs the tokens. Returns their number.
pub fn run(subject: &dyn Subject) -> usize {
    catalogue::publish(subject, 1);
    let vectors = vectors();
    let (mut failures, mut sent) = (Vec::new(), 0);
    let mut ask = |at: &str, token: &str, expected: u64| {
        sent += 1;
        let wire = Wire::get("/license").bearer(token);
        let answer = subject.send(&wire);
        if u64::from(answer.status) != expected {
            failures.push(format!("{at}: expected {expected}, answered {}", answer.status));
        }
        let is_right = match answer.status {
            401 => answer.json() == error_body(401, "Invalid auth token", None),
            503 => {
                let body = error_body(503, "Service unavailable", None);
                answer.json() == body && answer.header("retry-after").is_some()
            }
            _ => true,
        };
        if !is_right || !problems(&wire, &answer, Pages::All).is_empty() {
            failures.push(format!("{at}: {}", answer.text()));
        }
    };
    for vector in vectors["tokens"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let (name, alg, token) = (text("name"), text("alg"), text("token"));
        let at = format!("{alg}: {name}");
        ask(&at, token, vector["status"].as_u64().unwrap());
        if name != "good" {
            continue;
        }
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
        for bit in flips(signature.len()) {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = Base64UrlUnpadded::encode_string(&flipped);
            ask(&format!("{at}, bit {bit} flipped"), &format!("{input}.{flipped}"), 401);
        }
        // Another spelling of the same bytes: the unused bits of the last letter are set.
        if let Some(spelling) = other_spelling(token) {
            ask(&format!("{at}, another spelling"), &spelling, 401);
        }
        // A valid token stays valid, remembered or not.
        ask(&format!("{at}, again"), token, 200);
    }
    // Times that a wrong clock explains, and times that no clock explains.
    let now = subject.now();
    for (claims, expected) in [
        (json!({"iat": now - 30}), 200),
        (json!({"iat": now + 3_600}), 503),
        (json!({"nbf": now + 3_600}), 503),
        (json!({"nbf": now + 3_600, "iat": now - 30}), 401),
        (json!({"iat": now + 2 * 86_400}), 401),
    ] {
        let mut all = claims.clone();
        all["sub"] = "customer-1".into();
        let token = issuers::token("vendor", all.as_object().unwrap(), now + 9_000);
        ask(&claims.to_string(), &token, expected);
    }
    assert!(failures.is_empty(), "{} of {sent}:\n{}", failures.len(), failures.join("\n"));
    sent
}

/// All bits of the first and the last byte, and at least 64 in between.
fn flips(len: usize) -> impl Iterator<Item = usize> {
    let step = (len * 8 / 64).max(1);
    (0..len * 8).filter(move |bit| *bit < 8 || *bit >= len * 8 - 8 || bit.is_multiple_of(step))
}

fn other_spelling(token: &str) -> Option<String> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let signature = token.rsplit('.').next()?;
    // Without unused bits there is no other spelling.
    if signature.len().is_multiple_of(4) {
        return None;
    }
    let place = LETTERS.find(token.chars().last()?)?;
    let other = LETTERS.get(place + 1..place + 2)?;
    Some(format!("{}{other}", &token[..token.len() - 1]))
}
