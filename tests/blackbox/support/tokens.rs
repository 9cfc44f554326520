//! Tokens that are inspected: each rule broken once, what accepted ones open, and bodies.

use std::collections::BTreeSet;

use admit::token::Rule;
use serde_json::{Value, json};

use super::{BOUND, EXPLAINER, MERCHANT, Run, STRICT, SUPPORT, post};
use crate::{check::error_body, issuers, wire::Wire};

pub fn run(run: &mut Run<'_>) {
    rules(run);
    rights(run);
    bodies(run);
}

/// The result of each rule, in order.
fn results(inspected: &Value) -> Vec<(String, String)> {
    let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
    inspected["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (text(rule, "rule"), text(rule, "result")))
        .collect()
}

fn rules(run: &mut Run<'_>) {
    let support = run.token(SUPPORT);
    let now = run.subject.now();
    let by = |issuer: &str, claims: Value| {
        let mut all = json!({"iss": issuer, "exp": now + 3_600, "sub": "anna"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        issuers::token_with(&json!({"alg": "HS256", "typ": "JWT"}), &all)
    };
    let with_header = |header: Value| {
        issuers::token_with(&header, &json!({"iss": SUPPORT, "exp": now + 3_600, "sub": "anna"}))
    };
    let good = by(SUPPORT, json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    let mut broken = BTreeSet::new();
    for (token, rule, status, reason) in [
        (String::new(), Rule::Form, 401, "missing"),
        ("Basic abc".to_owned(), Rule::Form, 401, "wrong_scheme"),
        ("a.b".to_owned(), Rule::Form, 401, "malformed"),
        ("x".repeat(16_500), Rule::Form, 401, "too_long"),
        (with_header(json!({"alg": "HS256", "crit": ["b64"]})), Rule::Form, 401, "unsupported_extension"),
        (with_header(json!({"alg": "none"})), Rule::Algorithm, 401, "unsupported_algorithm"),
        (with_header(json!({"alg": "HS257"})), Rule::Algorithm, 401, "unsupported_algorithm"),
        (with_header(json!({"alg": "HS256", "typ": "dpop+jwt"})), Rule::Type, 401, "wrong_type"),
        (by("https://nobody.example", json!({})), Rule::Issuer, 401, "unknown_issuer"),
        (with_header(json!({"alg": "HS512"})), Rule::Key, 401, "algorithm_mismatch"),
        (format!("{signed}.{}", issuers::b64([0; 32])), Rule::Signature, 401, "bad_signature"),
        (by(SUPPORT, json!({"exp": "soon"})), Rule::Dates, 401, "malformed_claim"),
        (by(SUPPORT, json!({"exp": now - 7_200})), Rule::Expiry, 401, "expired"),
        (by(SUPPORT, json!({"exp": null})), Rule::Expiry, 401, "no_expiry"),
        (by(SUPPORT, json!({"nbf": now + 7_200, "iat": now - 5})), Rule::NotBefore, 401, "not_yet_valid"),
        // One of the clocks is wrong: it cannot be told.
        (by(SUPPORT, json!({"iat": now + 7_200})), Rule::NotBefore, 503, "clock_differs"),
        (by(STRICT, json!({"aud": "elsewhere"})), Rule::Audience, 401, "wrong_audience"),
        (by(SUPPORT, json!({"sub": ""})), Rule::Customer, 401, "no_customer"),
        (by(SUPPORT, json!({"mid": {"a": 1}})), Rule::Claims, 401, "malformed_claim"),
    ] {
        let found = run.inspect(&support, &token);
        let at = format!("{reason}: {found}");
        assert_eq!((&found["accepted"], &found["status"]), (&json!(false), &json!(status)), "{at}");
        let expected: Vec<_> = Rule::ALL
            .iter()
            .map(|one| {
                let result = match one.cmp(&rule) {
                    std::cmp::Ordering::Less => "passed",
                    std::cmp::Ordering::Equal => "failed",
                    std::cmp::Ordering::Greater => "not_reached",
                };
                (one.name().to_owned(), result.to_owned())
            })
            .collect();
        assert_eq!(results(&found), expected, "{at}");
        let failed =
            found["rules"].as_array().unwrap().iter().find(|rule| rule["result"] == "failed").unwrap();
        assert_eq!(failed["reason"], reason, "{at}");
        assert!(!failed["detail"].as_str().unwrap().is_empty(), "{at}");
        assert_eq!((&found["principal"], &found["rights"]), (&Value::Null, &json!([])), "{at}");
        // The same token opens nothing.
        let answer = run.get("/license", &token);
        assert!(answer.status == status || token.is_empty(), "{at}: {}", answer.text());
        broken.insert(rule);
    }
    // Revocations are in `faults`.
    let all: BTreeSet<_> = Rule::ALL.iter().copied().filter(|rule| *rule != Rule::Denylist).collect();
    assert_eq!(broken, all);
    let found = run.inspect(&support, &by(SUPPORT, json!({"exp": now - 7_200, "name": "A \"B\""})));
    assert_eq!(found["header"], json!({"alg": "HS256", "typ": "JWT"}));
    assert_eq!(
        found["claims"],
        json!({"iss": SUPPORT, "exp": now - 7_200, "sub": "anna", "name": "A \"B\""})
    );
    let found = run.inspect(&support, "not a token");
    assert_eq!((&found["header"], &found["claims"]), (&Value::Null, &Value::Null));
}

fn rights(run: &mut Run<'_>) {
    let support = run.token(SUPPORT);
    let now = run.subject.now();
    let given = |found: &Value| -> BTreeSet<String> {
        let rights = found["rights"].as_array().unwrap().iter();
        let given = rights.filter(|right| {
            assert_eq!(right["given"] == true, right.get("reason").is_none(), "{right}");
            right["given"] == true
        });
        given.map(|right| right["right"].as_str().unwrap().to_owned()).collect()
    };
    let claims = json!({
        "sub": "shop", "mid": MERCHANT, "mui": "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934", "aid": 5, "client_id": "tv",
        "ctx": ["merchant"], "scope": "snapshot:read",
    });
    let vendor = issuers::token("vendor", claims.as_object().unwrap(), now + 60);
    for text in [vendor.clone(), format!(" bearer {vendor}")] {
        let found = run.inspect(&support, &text);
        assert_eq!((&found["accepted"], &found["status"]), (&json!(true), &json!(200)), "{found}");
        assert!(results(&found).iter().all(|(_, result)| result == "passed"), "{found}");
        assert_eq!(
            found["principal"],
            json!({
                "issuer": "https://vendor.dev.admit.example", "customer": "vendor:shop", "client_id": "tv",
                "merchant_id": MERCHANT, "merchant_uuid": "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934", "account_id": 5,
                "roles": ["merchant"], "scopes": [], "capabilities": ["view", "write"], "merchants": null,
                "not_before": null, "expires_at": now + 60,
            })
        );
        assert_eq!(given(&found), ["ask", "pass_through", "view", "write"].map(str::to_owned).into());
        let lacks =
            found["rights"].as_array().unwrap().iter().find(|right| right["right"] == "explain").unwrap();
        assert_eq!(lacks["reason"], "may_not_explain", "{lacks}");
        assert!(lacks["detail"].as_str().unwrap().contains("lacks the capability explain"), "{lacks}");
    }
    for (token, expected) in [
        (run.token(SUPPORT), &["ask", "explain"][..]),
        (run.token(BOUND), &["ask", "explain"]),
        (run.token(EXPLAINER), &[]),
        (issuers::reader_token(now + 60), &["read_snapshot"]),
        (issuers::publisher_token(now + 60), &["read_snapshot", "publish", "collect"]),
    ] {
        let found = run.inspect(&support, &token);
        assert_eq!(given(&found), expected.iter().map(|right| (*right).to_owned()).collect(), "{found}");
    }
    let found = run.inspect(&support, &run.token(BOUND));
    assert_eq!(found["principal"]["merchants"], json!([MERCHANT]));
}

fn bodies(run: &mut Run<'_>) {
    let support = run.token(SUPPORT);
    for (body, message, field) in [
        ("", "The body must be a JSON object", "body"),
        ("[]", "The body must be a JSON object", "body"),
        ("{}", "The token must be a string", "token"),
        (r#"{"token": 1}"#, "The token must be a string", "token"),
    ] {
        let answer = run.send(&post(body).bearer(&support));
        assert_eq!((answer.status, answer.json()), (400, error_body(400, message, Some(field))), "{body}");
    }
    let form = Wire::post("/tokens/inspect", b"token=x".to_vec())
        .header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(run.send(&form.bearer(&support)).status, 400);
    let long = json!({"token": "x".repeat(20 * 1024)}).to_string();
    assert_eq!(run.send(&post(&long).bearer(&support)).status, 413);
    let nested = format!("{}{}", r#"{"token":"#.repeat(2_000), "1");
    assert_eq!(run.send(&post(&nested).bearer(&support)).status, 400);
    // A stranger's body is not looked at.
    assert_eq!(run.send(&post("{}")).status, 401);
}
