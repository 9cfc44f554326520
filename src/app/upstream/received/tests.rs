use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: UnixSecs = 1_800_000_000;
const END: UnixSecs = NOW + 1_000;

fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> UpstreamAnswer {
    let headers = vec![("content-type", content_type.to_owned())];
    UpstreamAnswer { status, headers, body: body.into() }
}

fn access() -> Value {
    json!({"id": 44, "account_id": 7, "customer_id": 9, "customer_uuid": "u", "created_at": 1, "expires_at": END,
           "item": {"id": 33, "merchant_id": 7, "title": "t", "created_at": 2, "updated_at": 3}})
}

/// The access with some members replaced; those of `item` too.
fn with(changes: &Value) -> Value {
    let mut access = access();
    for (name, value) in changes.as_object().unwrap() {
        match value.as_object() {
            Some(item) => access["item"].as_object_mut().unwrap().extend(item.clone()),
            None => access[name] = value.clone(),
        }
    }
    access
}

fn verdict_of(answer: &UpstreamAnswer) -> Result<Verdict, String> {
    verdict(answer, 33, None, NOW).map_err(|unreadable| unreadable.to_string())
}

fn granted_by(body: &Value) -> (Value, UnixSecs) {
    match verdict_of(&answer(200, "application/json", body.to_string())) {
        Ok(Verdict::Granted(body, until)) => (serde_json::from_str(&body).unwrap(), until),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn every_spelling_of_an_access_grants_and_is_shown_in_one() {
    for changes in [
        json!({}),
        json!({"expires_at": END.to_string()}),
        json!({"expires_at": 1_800_001_000.0}),
        json!({"expires_at": "2027-01-15T08:16:40Z"}),
        json!({"item": {"id": "33", "merchant_id": "7"}}),
        json!({"item": {"id": 33.0, "created_at": "2", "updated_at": 3.0}}),
        json!({"id": "44", "account_id": "7", "customer_id": 9.0, "created_at": "1970-01-01T00:00:01Z"}),
        json!({"starts_at": null}),
    ] {
        let expected = (access(), END);
        assert_eq!(granted_by(&with(&changes)), expected, "{changes}");
    }
    let (body, until) = granted_by(&with(&json!({"expires_at": null})));
    assert_eq!((&body["expires_at"], until), (&json!(LATEST), LATEST), "null is no end");
    let (body, _) = granted_by(&with(&json!({"starts_at": "-62135596800", "more": [1]})));
    assert_eq!((&body["starts_at"], &body["more"]), (&json!(-62_135_596_800_i64), &json!([1])));
    // What only informs cannot take a grant away.
    let (body, _) = granted_by(&with(&json!({"id": [], "created_at": "soon", "item": {"metahash": []}})));
    assert_eq!((&body["id"], &body["created_at"]), (&json!(0), &json!(NOW)));
    assert_eq!(body["item"]["metahash"], json!({}));
}

#[test]
fn bodies_in_every_dress() {
    let text = access().to_string();
    for (content_type, body) in [
        ("application/json", text.clone()),
        ("APPLICATION/JSON; Charset=\"UTF-8\"", text.clone()),
        ("application/vnd.api+json", text.clone()),
        ("application/json", format!("\u{feff}{text}")),
        ("application/json", format!("\r\n {text}\n")),
        ("", text.clone()),
    ] {
        let verdict = verdict_of(&answer(200, content_type, body));
        assert!(matches!(verdict, Ok(Verdict::Granted(..))), "{content_type}: {verdict:?}");
    }
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    let table = [
        (
            with(&json!({"expires_at": 1_800_001_000_000_i64})),
            "expires_at looks like milliseconds (1800001000000)",
        ),
        (with(&json!({"expires_at": "1800001000000"})), "expires_at looks like milliseconds"),
        (with(&json!({"expires_at": 1_800_001_000.5})), "expires_at must be whole unix seconds"),
        (with(&json!({"expires_at": "soon"})), "expires_at must be unix seconds or a time"),
        (with(&json!({"expires_at": "2027-01-15T08:16:40"})), "expires_at has no time zone"),
        (with(&json!({"expires_at": [END]})), "not a list"),
        (with(&json!({"expires_at": true})), "not a boolean"),
        (with(&json!({"expires_at": NOW})), "expires_at is over (1800000000)"),
        (with(&json!({"starts_at": NOW + 1})), "starts_at has not come"),
        (with(&json!({"starts_at": "never"})), "starts_at must be unix seconds"),
        (with(&json!({"item": {"id": 34}})), "item.id must be 33, not 34"),
        (with(&json!({"item": {"id": null}})), "item.id must be 33, not null"),
        (with(&json!({"item": {"id": "x"}})), "item.id must be 33, not text"),
        (json!({"expires_at": END}), "item must be an object"),
        (json!({"expires_at": END, "item": {}}), "item.id must be 33, not nothing"),
        (json!({"item": {"id": 33}}), "expires_at is missing"),
        (json!([]), "body must be an object"),
    ];
    for (body, expected) in table {
        let told = verdict_of(&answer(200, "application/json", body.to_string())).unwrap_err();
        assert!(told.contains(expected), "{body}: {told}");
    }
    let text = access().to_string();
    let gzip = [0x1f, 0x8b, 8, 0];
    let mut brotli = answer(200, "application/json", [0xff, 0xfe]);
    brotli.headers.push(("content-encoding", "br".to_owned()));
    for (answer, expected) in [
        (answer(200, "text/html", text.clone()), "Content-Type is \"text/html\", which is not JSON"),
        (answer(200, "", "<html>"), "Content-Type is missing"),
        (answer(200, "application/json", text.get(..20).unwrap()), "body is not JSON: EOF"),
        (answer(200, "application/json", [0xff]), "body is not UTF-8"),
        (answer(200, "application/json", gzip), "body is compressed"),
        (brotli, "Content-Encoding is \"br\", and the body could not be decoded"),
        (answer(201, "application/json", text.clone()), "status is 201"),
        (answer(401, "application/json", "{}"), "status is 401"),
        (answer(402, "text/html", "<html>"), "Content-Type is"),
        (answer(402, "", ""), "Content-Type is missing"),
        (
            answer(404, "application/json", r#"{"message":"Route not found"}"#),
            "message is not one of the API's",
        ),
        (answer(404, "application/json", r#"{"message":"Access fee not found"}"#), "status is 404"),
        (answer(503, "application/json", "{}"), "status is 503"),
    ] {
        let told = verdict_of(&answer).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_denial_is_the_api_s_own_word() {
    let of = |status, content_type, body: &str| verdict_of(&answer(status, content_type, body));
    for (content_type, body) in [
        ("application/json", r#"{"code":402,"message":"No access","errors":{"402":"No access"}}"#),
        ("application/json", r#"{"code":"402","message":"Kein Zugang"}"#),
        ("application/json", r#"{"code":402.0}"#),
        ("application/json", r#"{"message":"No access"}"#),
        ("application/problem+json; charset=utf-8", "\u{feff}{\"title\":\"No access\"}"),
    ] {
        assert_eq!(of(402, content_type, body), Ok(Verdict::Denied), "{body}");
    }
    for body in [
        r#"{"error":{"code":"402","message":"DEPLOYMENT_DISABLED"}}"#,
        r#"{"message":"Payment required"}"#,
        r#"{"code":4020,"message":"no"}"#,
        r#"{"code":[402]}"#,
        "{}",
        "[402]",
        "null",
        "402",
    ] {
        let told = of(402, "application/json", body).unwrap_err();
        assert!(told.contains("neither the code 402 nor the message"), "{body}: {told}");
    }
    assert_eq!(of(404, "application/json", r#"{"message":"Item not found"}"#), Ok(Verdict::NoItem));
    assert_eq!(of(404, "application/problem+json", r#"{"title":"Item not found"}"#), Ok(Verdict::NoItem));
}

#[test]
fn an_issuer_opens_nothing_of_other_merchants() {
    let granted = |merchants: &[i64], item: Value| {
        let answer = answer(200, "application/json", with(&json!({ "item": item })).to_string());
        verdict(&answer, 33, Some(merchants), NOW).map_err(|unreadable| unreadable.place)
    };
    assert!(granted(&[7], json!({"merchant_id": "7"})).is_ok());
    assert_eq!(granted(&[8], json!({})), Err("item.merchant_id"));
    assert_eq!(granted(&[7], json!({"merchant_id": null})), Err("item.merchant_id"));
}

#[test]
fn other_reads() {
    let of = |status, content_type, body: &str| {
        read(&answer(status, content_type, body)).map_err(|unreadable| unreadable.to_string())
    };
    assert_eq!(of(200, "application/hal+json", "\u{feff}[1]"), Ok(Ok("[1]".to_owned())));
    assert_eq!(
        of(404, "application/json", r#"{"message":"Access fee not found"}"#),
        Ok(Err(ApiError::FeeNotFound))
    );
    for (status, content_type, body, expected) in [
        (200, "application/json", "[1", "body is not JSON"),
        (200, "text/html", "[1]", "Content-Type is \"text/html\""),
        (404, "application/json", "{}", "message is not one of the API's"),
        (402, "application/json", "{}", "status is 402"),
    ] {
        let told = of(status, content_type, body).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn answers_to_writes() {
    let own = |body: &str| Written::Own(Body::Json(body.to_owned()));
    let api = r#"{"code":422,"message":"No","errors":{"title":"No"}}"#;
    let is =
        |status, content_type, body: &str, is_signed| written(&answer(status, content_type, body), is_signed);
    for json in ["application/json", "application/problem+json", "application/vnd.api+json", ""] {
        assert_eq!(is(201, json, "\u{feff}{}", true), own("{}"), "{json}");
        assert_eq!(is(422, json, api, true), own(api), "{json}");
        assert_eq!(is(500, json, api, true), own(api), "{json}");
    }
    for other in ["text/html; charset=UTF-8", "text/plain", "application/octet-stream", "json"] {
        assert_eq!(is(201, other, "\u{feff}{\"id\":1}", true), own(r#"{"id":1}"#), "{other}");
        assert_eq!(is(200, other, " [1]\n", true), own(" [1]\n"), "{other}");
    }
    assert_eq!(is(204, "", "", true), Written::Own(Body::Empty));
    assert_eq!(is(201, "text/html", "", true), Written::Own(Body::Empty));
    assert_eq!(
        is(422, "application/problem+json", r#"{"title":"T"}"#, true),
        own(r#"{"code":422,"message":"T","errors":{"422":"T"},"title":"T"}"#)
    );
    // RFC 6749 §5.2, on sign-ins alone.
    let oauth = r#"{"error":"invalid_grant"}"#;
    assert_eq!(is(400, "application/json", oauth, false), own(oauth));
    assert_ne!(is(400, "application/json", oauth, true), own(oauth));

    for status in [400, 401, 403, 404, 408, 409, 413, 418, 422, 451, 499] {
        for (content_type, body) in
            [("text/html", "<html>"), ("text/plain", "No way"), ("", ""), ("application/json", "{")]
        {
            let Written::Refused(Body::Json(shown), _) = is(status, content_type, body, true) else {
                panic!("{status} {content_type}")
            };
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let message =
                if content_type == "text/plain" { "No way" } else { "The origin refused the request" };
            let expected =
                json!({"code": status, "message": message, "errors": {status.to_string(): message}});
            assert_eq!(shown, expected, "{status} {content_type}");
            let is_blocked = matches!(is(status, content_type, body, false), Written::Blocked(_));
            assert_eq!(is_blocked, matches!(status, 401 | 403), "{status}");
        }
    }
    assert!(matches!(is(407, "text/html", "<html>", true), Written::Blocked(_)));
    for status in [301, 302, 307, 308] {
        let Written::Blocked(told) = is(status, "application/json", "{}", true) else { panic!("{status}") };
        assert!(told.to_string().contains("redirects are not followed"), "{told}");
    }
    for (status, content_type, body) in [
        (200, "text/html", "<html>"),
        (201, "application/json", "{\"id\":"),
        (201, "", "created"),
        (201, "text/plain", "OK"),
        (200, "text/html", "1"),
        (200, "text/html", "{\"id\":"),
        (303, "application/json", "{}"),
        (304, "", ""),
        (500, "text/html", "<html>"),
        (503, "", ""),
    ] {
        assert!(matches!(is(status, content_type, body, true), Written::Unusable(_)), "{status} {body}");
    }
}

#[test]
fn who_may_sign_a_person_out() {
    let is = |status, body: &str, is_signed| written(&answer(status, "application/json", body), is_signed);
    for body in [
        r#"{"code":401,"message":"Invalid auth token","errors":{}}"#,
        r#"{"code":"403","message":"Locked"}"#,
        r#"{"error":"invalid_client","error_description":"No"}"#,
    ] {
        for status in [401, 403] {
            assert!(matches!(is(status, body, false), Written::Own(_)), "{status} {body}");
        }
    }
    // Those of API gateways, proxies and firewalls.
    for body in [
        r#"{"message":"Forbidden"}"#,
        r#"{"statusCode":401,"message":"Access denied due to missing subscription key"}"#,
        r#"{"code":"AccessDenied","message":"No"}"#,
        r#"{"error":{"code":403,"message":"Forbidden"}}"#,
        r#"{"code":403}"#,
        "{}",
        "[]",
        "null",
    ] {
        for (status, is_signed) in [(401, false), (403, false), (407, false), (407, true)] {
            let Written::Blocked(told) = is(status, body, is_signed) else { panic!("{status} {body}") };
            assert!(told.to_string().contains(&format!("is {status}, and body has neither")), "{told}");
        }
        for (status, is_signed) in [(400, false), (422, false), (401, true), (403, true)] {
            assert!(matches!(is(status, body, is_signed), Written::Own(_)), "{status} {body}");
        }
    }
}

#[test]
fn what_tells_that_the_upstream_works() {
    for (status, content_type, body, expected) in [
        (200, "application/json", "{}", true),
        (201, "application/problem+json", "{}", true),
        (204, "", "", true),
        (402, "application/json", "{}", true),
        (404, "application/problem+json", "{}", true),
        (429, "", "", true),
        (200, "text/html", "<html>", false),
        (403, "text/html", "<html>", false),
        (403, "", "", false),
        (302, "application/json", "{}", false),
        (500, "application/json", "{}", false),
        (101, "", "", false),
    ] {
        assert_eq!(is_well(&answer(status, content_type, body)), expected, "{status} {content_type}");
    }
}

proptest! {
    /// Whatever an origin writes for its moments and numbers, no viewer is let in beyond the year 9999, and every shown
    /// are numbers.
    #[test]
    fn a_grant_is_always_in_the_form_that_clients_decode(
        expires_at in prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), "[0-9TZ:.-]{0,20}".prop_map(Value::from)],
        id in prop_oneof![Just(json!(33)), Just(json!("33")), Just(json!(33.0)), any::<i64>().prop_map(Value::from)],
    ) {
        let body = with(&json!({"expires_at": expires_at, "item": {"id": id}}));
        if let Ok(Verdict::Granted(body, until)) = verdict_of(&answer(200, "application/json", body.to_string())) {
            let body: Value = serde_json::from_str(&body).unwrap();
            prop_assert!(until > NOW && until <= LATEST);
            prop_assert_eq!(&body["expires_at"], &json!(until));
            prop_assert_eq!(&body["item"]["id"], &json!(33));
        }
    }
}
