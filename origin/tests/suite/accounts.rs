//! Accounts that viewers make, read, change, export and erase.

use serde_json::{Value, json};

use crate::support::{
    CLIENT, CUSTOMER, MERCHANT_UUID, OTHER_MERCHANT, Origin, PASSWORD, REGISTERED, authenticate, bearer,
    by_password, command, open_origin, register, signed_in, with_account,
};

#[test]
fn a_viewer_registers_and_is_signed_in() {
    let origin = open_origin();
    let before = origin.seq();
    let answer = register(&origin, "new@example.com").expect(200);
    assert_eq!((answer.header("cache-control"), answer.seq()), (Some("private, no-store"), before + 1));
    let body = answer.json();
    let token = bearer(&body);
    let account = origin.ask("GET", "/accounts").bearer(&token).send().expect(200).json();
    assert_eq!(body["account"], account);
    let expected = json!({
        "id": account["id"], "uuid": account["uuid"], "email": "new@example.com", "full_name": "New Viewer",
        "referrer": "https://tv.example/", "metadata": {"terms": "on", "consents": "[]"}, "social_apps_metadata": [],
        "roles": ["consumer"], "completed": true, "date_of_birth": null, "merchant_id": 2101,
        "merchant_uuid": MERCHANT_UUID, "created_at": origin.now(), "updated_at": origin.now(),
    });
    assert_eq!(account, expected);
    // JW's access bridge reads the same under a later name.
    let v3 = origin.ask("GET", "/v3/accounts").bearer(&token).send().expect(200).json();
    assert_eq!(v3, account);
    // The customer is in the feed, buys, and signs in again by the password.
    let lines = origin.feed(&format!("/changes?after={before}")).expect(200).lines();
    assert_eq!((&lines[0]["put"][0]["id"], lines.len()), (&account["id"], 1));
    let grant = format!("item_id=5101&consumer_id={}&access_fee_id=7013", account["id"]);
    origin.write("POST", "/items/access", &grant).expect(201);
    origin.ask("GET", "/items/5101/access").bearer(&token).send().expect(200);
    authenticate(&origin, &by_password(CLIENT, "NEW@example.com", REGISTERED)).expect(200);
    let trail = command(&origin, &["audit", "--action", "customer.add"], "").unwrap();
    assert!(trail.contains(&format!("customer:{}", account["id"])), "{trail}");
}

/// An app may send the token of the viewer before.
#[test]
fn a_registration_is_the_new_customers_own_whatever_token_it_carries() {
    let origin = open_origin();
    let claims =
        json!({"sub": "editor", "mid": 2101, "ctx": ["merchant"], "jti": "jti-1", "client_id": "cms"});
    let other = json!({"sub": "c-1", "jti": "jti-2"});
    let pool = "https://cognito.dev.admit.example/pool";
    for (number, token) in [origin.token(claims), origin.token_of(pool, other)].iter().enumerate() {
        let form =
            format!("username={number}@example.com&password={REGISTERED}&client_id={CLIENT}&full_name=N");
        let body = origin.ask("POST", "/accounts").bearer(token).form(&form).send().expect(200).json();
        let entries = command(&origin, &["audit", "--action", "customer.add", "--json"], "").unwrap();
        let of_customer = |entry: &Value| entry["object"] == format!("customer:{}", body["account"]["id"]);
        let entries: Vec<Value> = entries.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let entry = entries.iter().find(|entry| of_customer(entry)).unwrap();
        let uuid = body["account"]["uuid"].as_str().unwrap();
        assert_eq!(entry["actor"], format!("vendor:{uuid}"));
        assert_eq!(entry["issuer"], "https://origin.example", "not that of the token");
        assert!(entry["client"].is_null() && entry["jti"].is_null(), "{entry}");
    }
}

#[test]
fn a_registration_names_every_wrong_field() {
    let origin = open_origin();
    let post = |form: &str| origin.ask("POST", "/v2/accounts").form(form).send();
    post("").invalid(&["client_id", "full_name", "password", "username"]);
    let form = |username: &str, password: &str, more: &str| {
        format!("username={username}&password={password}&client_id={CLIENT}&full_name=N{more}")
    };
    for (form, wrong) in [
        (form("ada", REGISTERED, ""), &["username"][..]),
        (form("a@", REGISTERED, ""), &["username"]),
        (form("a@b@c", REGISTERED, ""), &["username"]),
        (form("a%20b@example.com", REGISTERED, ""), &["username"]),
        (form(&format!("a@{}", "b".repeat(600)), REGISTERED, ""), &["username"]),
        (form("a@example.com", "short", ""), &["password"]),
        (form("a@example.com", REGISTERED, "&password_confirmation=other"), &["password_confirmation"]),
        (form("a@example.com", REGISTERED, "&type=merchant"), &["type"]),
        (form("a@example.com", REGISTERED, "&grant_type=refresh_token"), &["grant_type"]),
        (form("a@example.com", REGISTERED, "&date_of_birth=soon"), &["date_of_birth"]),
        (
            form("a@example.com", REGISTERED, &format!("&metadata[x]={}", "y".repeat(17_000))),
            &["metadata[x]"],
        ),
        (form("a@example.com", REGISTERED, "").replace(CLIENT, "unknown"), &["client_id"]),
        // Its accounts are testers', which an operator makes.
        (form("a@example.com", REGISTERED, "").replace(CLIENT, "5hq2v8mfernhollowtest3e8"), &["client_id"]),
    ] {
        post(&form).invalid(wrong);
    }
    let halves = format!("&metadata[x]={0}&metadata[y]={0}", "y".repeat(9_000));
    post(&form("a@example.com", REGISTERED, &halves)).invalid(&["metadata"]);
    let long = form("a@example.com", REGISTERED, &format!("&metadata[x]={}", "y".repeat(40_000)));
    post(&long).refused(413, "Body too large");
    origin.ask("POST", "/accounts").body("text/plain", "x").send().refused(415, "Unsupported media type");
    // An address has one account with a merchant, and may have another one with another merchant.
    register(&origin, "a@example.com").expect(200);
    register(&origin, "A@Example.com").invalid(&["username"]);
    let other = form("a@example.com", REGISTERED, "").replace(CLIENT, "1tg0r4ptidegatelive8820z");
    let account = post(&other).expect(200).json();
    assert_eq!(account["account"]["merchant_id"], OTHER_MERCHANT);
    // The apps' own name of the field.
    post(&form("b@example.com", REGISTERED, "").replace("username", "email")).expect(200);
}

#[test]
fn registration_is_closed_unless_the_operator_opens_it() {
    let origin = Origin::start();
    register(&origin, "new@example.com").refused(400, "Registration is closed");
    let fields = format!("/accounts/register-fields/{MERCHANT_UUID}");
    assert_eq!(origin.ask("GET", &fields).send().expect(200).json(), json!({"collection": []}));
    origin.ask("GET", &format!("/accounts/register-fields/{CLIENT}")).send().expect(200);
    origin.ask("GET", "/accounts/register-fields/unknown").send().refused(404, "Merchant not found");
    let social = origin.ask("GET", "/accounts/social?state=x").send().expect(200).json();
    assert_eq!(social, json!({"code": 200, "social_urls": []}));
}

#[test]
fn a_merchant_asks_for_fields_of_its_own() {
    let origin = open_origin();
    let set = |json: &str| command(&origin, &["register-fields", "--merchant", "2101"], json);
    let fields = json!([
        {"name": "terms", "label": "https://tv.example/terms", "type": "checkbox", "required": true},
        {"name": "team", "label": "Your team", "type": "select", "options": {"a": "Rovers"}, "placeholder": "none"},
    ]);
    assert_eq!(set(&fields.to_string()).unwrap(), "2 fields");
    let listed = origin.ask("GET", &format!("/accounts/register-fields/{CLIENT}")).send().expect(200).json();
    let expected = json!({"collection": [
        {"id": 1, "name": "terms", "label": "https://tv.example/terms", "type": "checkbox", "required": true,
         "default_value": "", "placeholder": "", "options": {}},
        {"id": 2, "name": "team", "label": "Your team", "type": "select", "required": false, "default_value": "",
         "placeholder": "none", "options": {"a": "Rovers"}},
    ]});
    assert_eq!(listed, expected);
    register(&origin, "new@example.com").expect(200);
    let form = |more: &str| {
        format!("username=b@example.com&password=long+enough&client_id={CLIENT}&full_name=N{more}")
    };
    for more in ["", "&metadata[terms]=off", "&metadata[terms]="] {
        origin.ask("POST", "/accounts").form(&form(more)).send().invalid(&["metadata[terms]"]);
    }
    origin.ask("POST", "/accounts").form(&form("&metadata[terms]=on")).send().expect(200);
    // Other merchants ask for nothing.
    let other =
        origin.ask("GET", "/accounts/register-fields/1tg0r4ptidegatelive8820z").send().expect(200).json();
    assert_eq!(other, json!({"collection": []}));
    for (json, problem) in [
        ("{}", "expected a JSON list"),
        (r#"[{"name": "a b", "label": "", "type": "input"}]"#, "expected letters, digits"),
        (r#"[{"name": "a", "label": "", "type": "image"}]"#, "expected a JSON list"),
        (
            r#"[{"name": "a", "label": "", "type": "input"}, {"name": "a", "label": "", "type": "input"}]"#,
            "twice",
        ),
    ] {
        let error = set(json).unwrap_err();
        assert!(error.contains(problem), "{json}: {error}");
    }
    assert!(
        command(&origin, &["register-fields", "--merchant", "9"], "[]")
            .unwrap_err()
            .contains("unknown merchant 9")
    );
    assert_eq!(set("[]").unwrap(), "0 fields");
}

#[test]
fn many_registrations_with_one_address_are_delayed() {
    let origin = open_origin();
    register(&origin, "a@example.com").expect(200);
    register(&origin, "a@example.com").expect(422);
    register(&origin, "a@example.com").expect(422);
    register(&origin, "a@example.com").expect(422);
    let delayed = register(&origin, "a@example.com").refused(429, "Too many requests");
    assert_eq!(delayed.header("retry-after"), Some("1"));
    register(&origin, "b@example.com").expect(200);
    // Sign-ins are counted apart.
    authenticate(&origin, &by_password(CLIENT, "a@example.com", REGISTERED)).expect(200);
}

#[test]
fn an_account_is_changed_field_by_field() {
    let origin = with_account();
    let token = bearer(&signed_in(&origin));
    origin.advance(5);
    let put = |form: &str| origin.ask("PUT", "/accounts").bearer(&token).form(form).send();
    let changed = put("full_name=Ada+L&metadata[first_name]=Ada&date_of_birth=1985-12-10").expect(200).json();
    assert_eq!(changed["full_name"], "Ada L");
    assert_eq!(changed["metadata"], json!({"first_name": "Ada"}));
    assert_eq!(changed["date_of_birth"], 503_020_800);
    assert_eq!(changed["updated_at"], origin.now());
    // Fields that are not sent stay; metadata is replaced as a whole.
    let changed = put("metadata[surname]=L").expect(200).json();
    assert_eq!((&changed["full_name"], &changed["metadata"]), (&json!("Ada L"), &json!({"surname": "L"})));
    assert_eq!(changed["date_of_birth"], 503_020_800);
    let read = || origin.ask("GET", "/accounts").bearer(&token).send().expect(200).json();
    assert_eq!(read(), changed);
    let json = json!({"full_name": "A", "metadata": {"x": "y"}, "date_of_birth": null});
    let changed = origin.ask("PUT", "/accounts").bearer(&token).json(&json).send().expect(200).json();
    assert_eq!((&changed["metadata"], &changed["date_of_birth"]), (&json!({"x": "y"}), &Value::Null));
    put(&format!("full_name={}", "x".repeat(513))).invalid(&["full_name"]);
    put("date_of_birth=1985-13-10&metadata=x").invalid(&["date_of_birth", "metadata"]);
    origin.ask("PUT", "/accounts").bearer(&token).body("text/xml", "x").send().expect(415);
    assert_eq!(read(), changed);
}

#[test]
fn a_token_without_an_account_has_none() {
    let origin = with_account();
    for (label, token, status) in [
        ("no token", String::new(), 401),
        ("not a token", "x.y.z".to_owned(), 401),
        (
            "a customer without an account",
            origin.token(json!({"sub": "687701d2-7eef-4ae9-a1be-cd432fc3af69"})),
            404,
        ),
        ("an unknown customer", origin.token(json!({"sub": "nobody"})), 404),
        ("a publisher", origin.token_of("https://publisher.dev.admit.example", json!({"sub": "p"})), 403),
    ] {
        let answer = origin.ask("GET", "/accounts").header("authorization", &token).send();
        assert_eq!(answer.status, status, "{label}: {}", answer.text);
    }
    // The same customer by another issuer's token has the account.
    let account = origin.ask("GET", "/accounts").bearer(&origin.customer()).send().expect(200).json();
    assert_eq!((&account["id"], &account["email"]), (&json!(CUSTOMER), &json!("ada@example.com")));
}

#[test]
fn one_of_the_merchants_people_has_the_role_of_the_token() {
    let origin = Origin::start();
    command(&origin, &["account", "set", "--merchant", "2101", "--username", "ed@example.com"], PASSWORD)
        .unwrap();
    for (client, roles) in [(MERCHANT_UUID, json!(["merchant"])), (CLIENT, json!([]))] {
        let signed_in =
            authenticate(&origin, &by_password(client, "ed@example.com", PASSWORD)).expect(200).json();
        let account = origin.ask("GET", "/accounts").bearer(&bearer(&signed_in)).send().expect(200).json();
        assert_eq!((&account["roles"], &account["email"]), (&roles, &json!("ed@example.com")));
        assert_eq!(account, signed_in["account"]);
        let erase = origin.ask("DELETE", "/accounts/erase").bearer(&bearer(&signed_in));
        erase.form("password=x").send().refused(403, "Invalid privileges");
    }
}

#[test]
fn the_export_has_everything_about_the_viewer() {
    let origin = open_origin();
    let token = bearer(&register(&origin, "new@example.com").expect(200).json());
    let ask = |method, path: &str, form: &str| origin.ask(method, path).bearer(&token).form(form).send();
    ask("POST", "/v2/accounts/media/favorites", "media_id=abc").expect(201);
    ask("PATCH", "/v2/accounts/media/watch-history", "media_id=def&progress=0.5").expect(200);
    // Apps send no password; one that is sent must be right.
    let export = ask("POST", "/accounts/export", "branding_id=0").expect(200).json();
    assert_eq!(export["data"]["account"]["email"], "new@example.com");
    assert_eq!(export["data"]["customers"][0]["namespace"], "vendor");
    assert_eq!(export["data"]["favorites"][0]["media_id"], "abc");
    assert_eq!(export["data"]["watch_history"][0]["media_id"], "def");
    assert_eq!(export["data"]["sessions"].as_array().unwrap().len(), 1);
    let right = format!("password={}", REGISTERED.replace(' ', "+"));
    assert_eq!(ask("POST", "/accounts/export", &right).expect(200).json(), export);
    ask("POST", "/accounts/export", "password=wrong").invalid(&["password"]);
    origin.ask("POST", "/accounts/export").send().refused(401, "Invalid auth token");
}

#[test]
fn an_erased_viewer_is_gone_everywhere() {
    let origin = open_origin();
    let signed_in = register(&origin, "new@example.com").expect(200).json();
    let (token, account) = (bearer(&signed_in), &signed_in["account"]);
    let erase = |form: &str| origin.ask("DELETE", "/accounts/erase").bearer(&token).form(form).send();
    erase("").invalid(&["password"]);
    erase("password=wrong").invalid(&["password"]);
    origin.ask("DELETE", "/accounts/erase").form("password=x").send().refused(401, "Invalid auth token");
    origin.ask("GET", "/accounts").bearer(&token).send().expect(200);
    let before = origin.seq();
    let erased = erase(&format!("password={}&branding_id=0", REGISTERED.replace(' ', "+"))).expect(200);
    assert_eq!((erased.seq(), &erased.json()["code"]), (before + 1, &json!(200)));
    let lines = origin.feed(&format!("/changes?after={before}")).expect(200).lines();
    assert_eq!(lines[0]["remove"][0]["subject"], account["uuid"]);
    origin.ask("GET", "/accounts").bearer(&token).send().refused(401, "Invalid auth token");
    authenticate(&origin, &by_password(CLIENT, "new@example.com", REGISTERED))
        .refused(401, "Invalid credentials");
    let connection = origin.connection();
    for table in ["sessions", "refresh_tokens", "favorites", "accounts"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
    let trail = command(&origin, &["audit", "--action", "customer.remove"], "").unwrap();
    assert!(trail.contains(&format!("customer:{}", account["id"])), "{trail}");
    // The address is free again.
    register(&origin, "new@example.com").expect(200);
}
