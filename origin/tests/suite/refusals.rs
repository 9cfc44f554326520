//! Every refusal names its cause: in the answer for the client, and in the log for the operator.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::support::{Ask, CUSTOMER, Dir, FEED_SECRET, Process, merchant};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A refused request: method, target, headers, body, status, and the fields or headers that the refusal
/// names.
type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], &'c [u8], u16, &'c [&'c str]);

fn writes() -> Vec<Case<'static>> {
    const TYPE_FORM: &[(&str, &str)] = &[("content-type", FORM)];
    const TYPE_JSON: &[(&str, &str)] = &[("content-type", JSON)];
    vec![
        ("POST", "/items/access", TYPE_FORM, b"", 422, &["consumer_id", "expires_at", "item_id"]),
        (
            "POST",
            "/items/access",
            TYPE_FORM,
            b"item_id=x&consumer_id=7.5&expires_at=1893628800000&starts_at=2030-01-03T00:00&access_fee_id=-",
            422,
            &["access_fee_id", "consumer_id", "expires_at", "item_id", "starts_at"],
        ),
        ("DELETE", "/items/5101/access", &[], b"", 422, &["consumer_id"]),
        ("DELETE", "/items/5101/access?consumer_id=%FF", &[], b"", 422, &["consumer_id"]),
        ("DELETE", "/items/x/access?consumer_id=1", &[], b"", 422, &["422"]),
        ("PATCH", "/v2/items/0", TYPE_FORM, b"title=x", 422, &["id"]),
        ("POST", "/v2/items", TYPE_FORM, b"title=Caf%E9&item_type=jw_asset", 422, &["title"]),
        ("POST", "/v2/items", TYPE_FORM, b"metadata[Caf%E9]=x", 422, &["metadata[Caf\u{fffd}]"]),
        ("POST", "/v2/items", TYPE_JSON, br#"{"title": "a\u0000b", "item_type": "vhs"}"#, 422, &["item_type", "title"]),
        ("POST", "/v2/items", TYPE_JSON, br#"{"title": "\ud83e", "item_type": "jw_asset"}"#, 422, &["body"]),
        ("POST", "/v2/items", TYPE_JSON, b"{\"title\": \"Caf\xe9\"}", 422, &["body"]),
        ("POST", "/v2/items", &[("content-type", "text/plain")], b"x", 415, &["Content-Type"]),
        (
            "POST",
            "/v2/items",
            &[("content-type", "application/x-www-form-urlencoded; charset=ISO-8859-1")],
            b"title=x",
            415,
            &["Content-Type"],
        ),
        ("POST", "/v2/items", &[("content-type", JSON), ("content-encoding", "gzip")], b"\x1f\x8b", 415, &["Content-Encoding"]),
        ("PATCH", "/v2/items/5101", &[("content-type", FORM), ("idempotency-key", "")], b"title=x", 422, &["Idempotency-Key"]),
        ("PUT", "/v2/items/5101/access-fees/x", TYPE_FORM, b"amount=1", 422, &["fee_id"]),
        (
            "POST",
            "/v2/items/5101/access-fees",
            TYPE_FORM,
            b"access_type_id=101&amount=-1&currency=EUR&description=x",
            400,
            &["amount"],
        ),
        (
            "POST",
            "/v2/items/5101/access-fees",
            TYPE_FORM,
            b"access_type_id=1&amount=1&currency=EURO&description=x&country_iso=CHE&restriction_type=gray\
              &trial_period_quantity=0&trial_period_period=eon&expires_at=9999-12-31T23:59:59-01:00",
            422,
            &[
                "access_type_id",
                "country_iso",
                "currency",
                "expires_at",
                "restriction_type",
                "trial_period_period",
                "trial_period_quantity",
            ],
        ),
        (
            "PATCH",
            "/v2/items/5101/access-fees/bulk",
            TYPE_JSON,
            br#"{"access_fees": [{"id": 0, "access_type_id": 101, "amount": "x", "currency": "EUR", "description": "x"}]}"#,
            400,
            &["access_fees[0][amount]"],
        ),
        ("PATCH", "/v2/items/packages/5005/bulk", TYPE_FORM, b"add_asset_ids[]=7&add_asset_ids[]=x", 422, &["add_asset_ids"]),
        ("POST", "/accounts/authenticate", TYPE_FORM, b"client_id[]=x&grant_type=magic", 400, &["client_id", "grant_type"]),
    ]
}

#[test]
fn each_refusal_names_its_field_or_header_in_the_answer_and_in_the_log() {
    let dir = Dir::new();
    let mut process = Process::with(&dir, &[("LOG_CHECKS", "all")], Stdio::piped());
    let log = BufReader::new(process.stderr());
    let mut expected = Vec::new();
    for (method, target, headers, body, status, names) in writes() {
        let mut ask = Ask::new(method, format!("{}{target}", process.url)).bearer(&merchant());
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let answer = ask.bytes(body).send().expect(status);
        let json = answer.json();
        let errors = json["errors"].as_object().unwrap();
        assert_eq!(errors.keys().collect::<Vec<_>>(), names, "{method} {target}: {json}");
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()));
        expected.push((answer.header("x-request-id").unwrap().to_owned(), target, names));
    }
    // OAuth errors have bodies of their own.
    for (body, named) in [
        ("", "client_id"),
        ("client_id=x", "grant_type"),
        ("client_id=x&grant_type=refresh_token&refresh_token=%FF", "refresh_token"),
        ("client_id=x&grant_type=authorization_code&code[]=x", "code"),
    ] {
        let answer = Ask::new("POST", format!("{}/oauth2/token", process.url)).form(body);
        let answer = if body.is_empty() { answer.body(FORM, "&") } else { answer }.send().expect(400);
        let json = answer.json();
        assert!(json["error_description"].as_str().unwrap().contains(named), "{body}: {json}");
        expected.push((
            answer.header("x-request-id").unwrap().to_owned(),
            "/oauth2/token",
            &["invalid_request"],
        ));
    }
    let answer = Ask::new("GET", format!("{}/changes?after=%2B5", process.url)).bearer(FEED_SECRET).send();
    let answer = answer.invalid(&["after"]);
    expected.push((answer.header("x-request-id").unwrap().to_owned(), "/changes", &["after"]));
    process.kill();
    let lines: Vec<Value> =
        log.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect();
    for (request_id, target, names) in expected {
        let line = lines.iter().find(|line| line["request_id"] == request_id.as_str()).unwrap();
        let reason = line["reason"].as_str().unwrap();
        for name in names {
            let name = if *name == "422" { "id" } else { name };
            assert!(reason.contains(name), "{target}: {line}");
        }
    }
}

/// A thousand invalid fees make one line, of bounded length.
#[test]
fn many_wrong_fields_are_counted_in_the_log() {
    let dir = Dir::new();
    let mut process = Process::with(&dir, &[("LOG_CHECKS", "all")], Stdio::piped());
    let log = BufReader::new(process.stderr());
    let fees: Vec<_> = (0..1_000).map(|n| format!("access_fees[{n}][id]={CUSTOMER}")).collect();
    let ask =
        Ask::new("PATCH", format!("{}/v2/items/5101/access-fees/bulk", process.url)).bearer(&merchant());
    let answer = ask.form(&fees.join("&")).send().expect(422);
    assert!(answer.json()["errors"].as_object().unwrap().len() > 1_000);
    process.kill();
    let line = log.lines().map_while(Result::ok).find(|line| line.contains("access-fees/bulk")).unwrap();
    assert!(line.contains("access_fees[0][access_type_id]") && line.contains(" more\""), "{line}");
    assert!(line.len() < 1_000, "{}", line.len());
}
