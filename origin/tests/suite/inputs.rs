//! The many spellings that clients send: moments, numbers, text, periods.

use serde_json::{Value, json};

use crate::support::{CUSTOMER, Dir, MERCHANT, Origin, Response, command};

const ITEM: i64 = 5101;
/// 2030-01-03T00:00:00Z.
const DAY: i64 = 1_893_628_800;

fn grant_until(origin: &Origin, expires_at: &Value) -> Response {
    let json = json!({"item_id": ITEM, "consumer_id": CUSTOMER, "expires_at": expires_at});
    origin.ask("POST", "/items/access").bearer(&origin.merchant()).json(&json).send()
}

/// Sends a form without escaping the moment.
fn grant_until_in_a_form(origin: &Origin, expires_at: &str) -> Response {
    origin.write(
        "POST",
        "/items/access",
        &format!("item_id={ITEM}&consumer_id={CUSTOMER}&expires_at={expires_at}"),
    )
}

#[test]
fn a_moment_is_read_in_every_spelling_that_means_one_moment_only() {
    let origin = Origin::start();
    for text in [
        "1893628800",
        // The vendor's own example.
        "2030-01-03",
        "2030-01-03T00:00:00Z",
        "2030-01-03t00:00:00z",
        "2030-01-03 00:00:00Z",
        "2030-01-03T00:00:00.000Z",
        "2030-01-02T21:00:00-0300",
        "2030-01-02T21:00:00-03",
        "2030-01-03T02:00:00%2B02:00",
        "2030-01-03T02:00:00%2B0200",
        // An unescaped `+` of an offset arrives as a blank.
        "2030-01-03T02:00:00+02:00",
        "2030-01-03T00:00:00+0000",
        "2030-01-03T00:00:00+00",
    ] {
        let access = grant_until_in_a_form(&origin, text).expect(201).json();
        assert_eq!(access["expires_at"], DAY, "{text}");
    }
    for value in [json!(DAY), json!(1_893_628_800.0), json!("1893628800"), json!("2030-01-03")] {
        assert_eq!(grant_until(&origin, &value).expect(201).json()["expires_at"], DAY, "{value}");
    }
    // "For ever" is an ordinary moment.
    let access = grant_until(&origin, &json!(253_402_300_799_i64)).expect(201).json();
    assert_eq!(access["expires_at"], 253_402_300_799_i64);
}

#[test]
fn an_invalid_moment_is_refused_with_the_value_found() {
    let origin = Origin::start();
    let before = origin.seq();
    for (value, told) in [
        (json!(1_893_628_800_000_i64), "looks like milliseconds (1893628800000)"),
        (json!("1893628800000"), "looks like milliseconds (1893628800000)"),
        (json!(1.893_628_8e12), "looks like milliseconds"),
        (json!(253_402_300_800_i64), "253402300800"),
        (json!("10000-01-01T00:00:00Z"), "10000-01-01"),
        (json!("9999-12-31T23:59:59-01:00"), "must not be after 9999"),
        (json!("2030-01-03T00:00:00"), "has no time zone"),
        (json!("2030-02-30"), "2030-02-30"),
        (json!("03.01.2030"), "03.01.2030"),
        (json!("now+1d"), "now+1d"),
        (json!(1.5), "must be whole unix seconds"),
        (json!([DAY]), "a list"),
    ] {
        let answer = grant_until(&origin, &value).invalid(&["expires_at"]).json();
        let problem = answer["errors"]["expires_at"].as_str().unwrap();
        assert!(problem.starts_with("The expires_at ") && problem.contains(told), "{value}: {problem}");
    }
    // The same holds for every field with a moment.
    let fee = |field: &str| {
        let form = format!("access_type_id=101&amount=1&currency=EUR&description=x&{field}=1893628800000");
        origin.write("POST", &format!("/v2/items/{ITEM}/access-fees"), &form)
    };
    for field in ["starts_at", "expires_at"] {
        let answer = fee(field).invalid(&[field]).json();
        assert!(answer["errors"][field].as_str().unwrap().contains("milliseconds"), "{answer}");
    }
    let form = format!("item_id={ITEM}&consumer_id={CUSTOMER}&expires_at={DAY}&starts_at=1893628800000");
    origin.write("POST", "/items/access", &form).invalid(&["starts_at"]);
    assert_eq!(origin.seq(), before);
}

#[test]
fn numbers_and_words_are_read_where_they_can_mean_one_thing_only() {
    let origin = Origin::start();
    for (item, consumer) in [(json!("5101"), json!(88_005.0)), (json!(" 5101 "), json!("088005"))] {
        let json = json!({"item_id": item, "consumer_id": consumer, "expires_at": DAY});
        origin.ask("POST", "/items/access").bearer(&origin.merchant()).json(&json).send().expect(201);
    }
    let form = "access_type_id=101&amount=4.50&currency=+chf+&description=x&country_iso=ch&restriction_type=Whitelist\
                &trial_period_quantity=2&trial_period_period=WEEKS";
    let fee = origin.write("POST", &format!("/v2/items/{ITEM}/access-fees"), form).expect(201).json();
    assert_eq!((&fee["currency"], &fee["amount"]), (&json!("CHF"), &json!(4.5)));
    assert_eq!(
        (&fee["geo_restriction"]["type"], &fee["geo_restriction"]["country_iso"]),
        (&json!("whitelist"), &json!("CH"))
    );
    assert_eq!(fee["trial_period"]["period"], "week", "as clients know it");
    for (item, problem) in [
        (json!("5101.5"), "\"5101.5\""),
        (json!("5,101"), "\"5,101\""),
        (json!("0x13ed"), "\"0x13ed\""),
        (json!(true), "true"),
        (json!(1e19), "1e+19"),
    ] {
        let json = json!({"item_id": item, "consumer_id": CUSTOMER, "expires_at": DAY});
        let answer = origin.ask("POST", "/items/access").bearer(&origin.merchant()).json(&json).send();
        let answer = answer.invalid(&["item_id"]).json();
        assert!(answer["errors"]["item_id"].as_str().unwrap().contains(problem), "{answer}");
    }
    let path = format!("/v2/items/{ITEM}/access-fees");
    for amount in ["-0", "-0.01", "4,50", "4.50+EUR"] {
        let form = format!("access_type_id=101&currency=EUR&description=x&amount={amount}");
        origin.write("POST", &path, &form).refused(400, "Invalid fee amount");
    }
}

#[test]
fn text_is_stored_as_it_was_sent_or_not_at_all() {
    let origin = Origin::start();
    let path = format!("/v2/items/{ITEM}");
    let patch = |content_type: &str, body: &[u8]| {
        origin.ask("PATCH", &path).bearer(&origin.merchant()).body(content_type, body).send()
    };
    let form = "application/x-www-form-urlencoded";
    for (content_type, body) in [
        (form, &b"title=Caf%C3%A9"[..]),
        ("application/x-www-form-urlencoded; charset=utf-8", "title=Café".as_bytes()),
        ("application/json", "{\"title\": \"Café\"}".as_bytes()),
        ("application/json; charset=UTF-8", "\u{feff}{\"title\": \"Café\"}".as_bytes()),
        ("application/json", br#"{"title": "Caf\u00e9"}"#),
        // The last value of a name counts, in forms and in JSON.
        (form, b"title=x&title=Caf%C3%A9"),
        ("application/json", "{\"title\": \"x\", \"title\": \"Café\"}".as_bytes()),
    ] {
        assert_eq!(patch(content_type, body).expect(201).json()["title"], "Café");
    }
    let before = origin.seq();
    patch(form, b"title=Caf%E9").refused(422, "The title is not UTF-8: byte 4 is 0xE9");
    patch(form, b"title=Caf\xe9").refused(422, "The title is not UTF-8: byte 4 is 0xE9");
    patch(form, b"title=a%00b").invalid(&["title"]);
    patch("application/json", b"{\"title\": \"Caf\xe9\"}")
        .refused(422, "The body is not UTF-8: byte 15 is 0xE9");
    let surrogate = patch("application/json", br#"{"title": "\ud83e!"}"#).invalid(&["body"]).json();
    assert!(surrogate["message"].as_str().unwrap().contains("line 1 column"), "{surrogate}");
    for charset in ["ISO-8859-1", "\"windows-1252\"", "utf-16"] {
        let answer = patch(&format!("{form}; charset={charset}"), b"title=x").expect(415).json();
        let problem = answer["errors"]["Content-Type"].as_str().unwrap();
        assert!(problem.contains(charset.trim_matches('"')), "{answer}");
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn a_compressed_body_is_refused_by_its_header() {
    let origin = Origin::start();
    let before = origin.seq();
    let patch = |coding: &str| {
        let ask = origin.ask("PATCH", &format!("/v2/items/{ITEM}")).bearer(&origin.merchant());
        ask.header("content-encoding", coding).form("title=x").send()
    };
    for coding in ["gzip", "br", "deflate", "zstd", "identity, gzip"] {
        let answer = patch(coding).expect(415).json();
        assert!(answer["errors"]["Content-Encoding"].is_string(), "{coding}: {answer}");
    }
    assert_eq!(origin.seq(), before);
    patch("identity").expect(201);
    // The same holds for sign-ins.
    let ask = origin.ask("POST", "/oauth2/token").header("content-encoding", "gzip");
    ask.form("grant_type=client_credentials").send().expect(415);
}

fn catalogue(access_type: &Value, trial: &Value) -> String {
    let fee = json!({
        "id": 7, "amount": 5, "currency": "EUR", "description": "x", "access_type_id": 1, "trial_period": trial,
        "setup_fee": null, "geo_restriction": null, "starts_at": null, "expires_at": null,
        "plan_switch_enabled": false, "created_at": 0, "updated_at": 0,
    });
    let lines = [
        json!({"type": "snapshot", "seq": 1}),
        json!({"type": "merchant", "id": MERCHANT, "uuid": "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934", "name": "x"}),
        access_type.clone(),
        json!({
            "type": "item", "id": 9, "merchant_id": MERCHANT, "title": "x", "is_active": true,
            "access_control_type": {"id": 4, "name": "Paid", "auth": true},
            "item_type": {"id": 52, "name": "jw_asset", "content_type": "ovp", "host": "inplayer", "description": ""},
            "age_restriction": null, "metadata": [], "content": "", "plan_switch_enabled": false, "item_ids": [],
            "fees": [fee], "created_at": 0, "updated_at": 0,
        }),
    ];
    lines.map(|line| line.to_string()).join("\n")
}

fn import(access_type: (&Value, &str), trial: &Value) -> Result<(), String> {
    let (quantity, period) = access_type;
    let access_type = json!({
        "type": "access_type", "id": 1, "account_id": MERCHANT, "name": "ppv", "quantity": quantity,
        "period": period, "created_at": 0, "updated_at": 0,
    });
    let dir = Dir::new();
    let path = dir.0.join("catalogue.ndjson");
    std::fs::write(&path, catalogue(&access_type, trial)).unwrap();
    let mut connection = origin::db::open(&dir.db()).unwrap();
    origin::db::import::import(&mut connection, &path, DAY).map(drop).map_err(|error| error.to_string())
}

/// A buyer must not learn after paying that the fee sells nothing.
#[test]
fn a_fee_that_cannot_be_bought_is_refused() {
    let one = json!(1);
    let day = json!({"quantity": 7, "period": "day", "description": ""});
    for period in ["minute", "hours", "DAY", "Weeks", "month", "YEARS"] {
        import((&one, period), &Value::Null).unwrap();
        import((&one, period), &day).unwrap();
    }
    for (access_type, trial, named) in [
        (
            (&one, "lifetime"),
            &Value::Null,
            ":3: access type 1: period: expected one of minute, hour, day, week, month, year, found \"lifetime\"",
        ),
        ((&json!(0), "day"), &Value::Null, ":3: access type 1: quantity: expected 1 to 365000"),
        ((&json!(-1), "day"), &Value::Null, ":3: access type 1: quantity"),
        ((&json!(99_999), "year"), &Value::Null, ":3: access type 1: quantity: expected 1 to 1000"),
        (
            (&one, "day"),
            &json!({"quantity": 1, "period": "eon", "description": ""}),
            ":4: item 9, fee 7, trial_period: period",
        ),
        (
            (&one, "day"),
            &json!({"quantity": 0, "period": "day", "description": ""}),
            ":4: item 9, fee 7, trial_period: quantity",
        ),
    ] {
        let error = import(access_type, trial).unwrap_err();
        assert!(error.contains(named), "{error}");
    }
    // An access type that an earlier version imported: it takes no further fees.
    let origin = Origin::start();
    origin.connection().execute("UPDATE access_types SET period = 'eon' WHERE id = 101", []).unwrap();
    let form = "access_type_id=101&amount=1&currency=EUR&description=x";
    let answer =
        origin.write("POST", &format!("/v2/items/{ITEM}/access-fees"), form).invalid(&["access_type_id"]);
    assert!(answer.text.contains("cannot be sold"), "{}", answer.text);
}

#[test]
fn a_fee_sells_every_unit_of_the_vendor() {
    let origin = Origin::start();
    let by_fee = |period: &str, quantity: i64| {
        let sql = "UPDATE access_types SET period = ?1, quantity = ?2 WHERE id = 101";
        origin.connection().execute(sql, rusqlite::params![period, quantity]).unwrap();
        let form = format!(
            "item_id={ITEM}&consumer_id={CUSTOMER}&access_fee_id=7013&starts_at=2032-01-31T12:00:00Z"
        );
        origin.write("POST", "/items/access", &form).expect(201).json()["expires_at"].as_i64().unwrap()
    };
    // 2032-01-31T12:00:00Z
    let start = 1_959_163_200;
    for (period, quantity, end) in [
        ("minute", 90, start + 5_400),
        ("Hours", 48, start + 48 * 3_600),
        ("DAYS", 2, start + 2 * 86_400),
        ("week", 1, start + 7 * 86_400),
        // 2032-02-29: a leap year.
        ("month", 1, start + 29 * 86_400),
        ("months", 12, start + 366 * 86_400),
        ("year", 1, start + 366 * 86_400),
    ] {
        assert_eq!(by_fee(period, quantity), end, "{quantity} {period}");
    }
    // An end after 9999 is refused, also where the sum would overflow.
    let form = format!("item_id={ITEM}&consumer_id={CUSTOMER}&access_fee_id=7013&starts_at=9999-12-31");
    origin.write("POST", "/items/access", &form).invalid(&["starts_at"]);
}

#[test]
fn a_catalogue_is_imported_whole_or_its_invalid_line_is_named() {
    let import = |lines: &[u8]| {
        let dir = Dir::new();
        let path = dir.0.join("catalogue.ndjson");
        std::fs::write(&path, lines).unwrap();
        let mut connection = origin::db::open(&dir.db()).unwrap();
        let imported = origin::db::import::import(&mut connection, &path, DAY);
        imported.map_err(|error| error.to_string())
    };
    let merchant = r#"{"type":"merchant","id":1,"uuid":"3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934","name":"Caf"}"#;
    let (before, after) = merchant.split_once("Caf").unwrap();
    let snapshot: &[u8] = b"\xef\xbb\xbf{\"type\":\"snapshot\",\"seq\":1}\r\n\n";
    let lines = |name: &[u8]| [snapshot, before.as_bytes(), name, after.as_bytes()].concat();
    import(&lines("Café".as_bytes())).unwrap();
    for name in [&b"Caf\xe9"[..], br"\ud83e"] {
        let error = import(&lines(name)).unwrap_err();
        assert!(error.contains("catalogue.ndjson:3: "), "{error}");
    }
}

#[test]
fn a_catalogue_of_milliseconds_is_refused() {
    let dir = Dir::new();
    let path = dir.0.join("catalogue.ndjson");
    let access_type = json!({
        "type": "access_type", "id": 1, "account_id": MERCHANT, "name": "ppv", "quantity": 1, "period": "day",
        "created_at": 1_893_628_800_000_i64, "updated_at": 0,
    });
    std::fs::write(&path, catalogue(&access_type, &Value::Null)).unwrap();
    let origin = Origin::start();
    let error = command(&origin, &["import", "--from", path.to_str().unwrap()], "").unwrap_err();
    assert!(error.contains("milliseconds"), "{error}");
}
