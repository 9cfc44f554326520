//! Issuer by capability by route: a token can do at most what its issuer may.

use serde_json::{Value, json};

use crate::support::{
    CUSTOMER, CUSTOMER_SUBJECT, MERCHANT, MERCHANT_UUID, OTHER_MERCHANT, Origin, PASSWORD, Response,
    with_account_by,
};

const CAPABILITIES: [&str; 4] = ["view", "write", "publish", "feed"];
const PUBLISHER: &str = "https://publisher.dev.admit.example";
const COGNITO: &str = "https://cognito.dev.admit.example/pool";

/// Every set of the capabilities that routes ask for, each with and without `merchants`. The empty set stands
/// for an issuer without `may`.
fn issuers() -> Vec<(String, Vec<&'static str>, bool)> {
    let sets = (0..32_usize).map(|number| {
        let has = |bit: &usize| number & (1 << bit) != 0;
        let may = (0..CAPABILITIES.len()).filter(has).map(|bit| CAPABILITIES[bit]).collect();
        (format!("https://issuer-{number}.example"), may, has(&CAPABILITIES.len()))
    });
    sets.collect()
}

fn origin() -> Origin {
    Origin::with(|settings| {
        let entries: Vec<_> = issuers()
            .into_iter()
            .map(|(issuer, may, is_bound)| {
                let mut entry = json!({
                    "issuer": issuer, "namespace": "vendor", "audience": "none_required",
                    "keys": {"secret": "TEST_SECRET", "alg": "HS256"},
                });
                if !may.is_empty() {
                    entry["may"] = json!(may);
                }
                if is_bound {
                    entry["merchants"] = json!([MERCHANT]);
                }
                entry
            })
            .collect();
        settings.variables.insert("ISSUERS".to_owned(), Value::from(entries).to_string());
    })
}

/// A refusal has the API's own words.
#[track_caller]
fn is(answer: Response, status: u16) {
    match status {
        403 => drop(answer.refused(403, "Invalid privileges")),
        status => drop(answer.expect(status)),
    }
}

#[test]
fn every_issuer_by_every_route() {
    let origin = origin();
    for (issuer, may, is_bound) in issuers() {
        let may = |capability: &str| may.contains(&capability) || (may.is_empty() && capability == "view");
        let token = |claims: Value| origin.token_of(&issuer, claims);
        let viewer = token(json!({"sub": CUSTOMER_SUBJECT, "mid": MERCHANT, "ctx": ["consumer"]}));
        let merchant = token(json!({"sub": "shop", "mid": MERCHANT, "ctx": ["merchant"]}));
        let reader = token(json!({"sub": "sync", "scope": "feed:read"}));
        // A token with every right that a token can claim.
        let greedy = token(json!({
            "sub": CUSTOMER_SUBJECT, "mid": MERCHANT, "mui": MERCHANT_UUID, "ctx": ["consumer", "merchant"],
            "scope": "snapshot:publish feed:read", "may": ["view", "write", "publish", "feed"],
        }));
        let get = |path: &str, bearer: &str| origin.ask("GET", path).bearer(bearer).send();
        let patch =
            |bearer: &str| origin.ask("PATCH", "/v2/items/5101").bearer(bearer).form("title=x").send();
        let grant = |bearer: &str| {
            let form = format!("item_id=5999&consumer_id=88005&expires_at={}", origin.now() + 60);
            origin.ask("POST", "/items/access").bearer(bearer).form(&form).send()
        };
        println!("{issuer}");
        for bearer in [&viewer, &merchant, &reader, &greedy] {
            is(get("/items/5101", bearer), 200);
            is(get("/items/5001/access-fees", bearer), 200);
            is(get("/license", bearer), if may("view") { 200 } else { 403 });
            is(get("/items/5101/access", bearer), if may("view") { 402 } else { 403 });
            // An origin has no publish API.
            is(get("/snapshot/head", bearer), 404);
        }
        for (bearer, is_merchant) in [(&viewer, false), (&merchant, true), (&reader, false), (&greedy, true)]
        {
            let may_write = is_merchant && may("write");
            is(patch(bearer), if may_write { 201 } else { 403 });
            // The item does not exist: the token's refusal comes first.
            is(grant(bearer), if may_write { 404 } else { 403 });
            is(
                origin.ask("DELETE", "/v2/items/9999").bearer(bearer).send(),
                if may_write { 400 } else { 403 },
            );
        }
        let may_read = may("feed") && !is_bound;
        for path in ["/export", "/changes?after=1", "/changes"] {
            is(get(path, &viewer), 403);
            is(get(path, &merchant), 403);
            is(get(path, &reader), if may_read { 200 } else { 403 });
            // A merchant's token cannot read the feed, which has every merchant's data.
            is(get(path, &greedy), if may_read && !may("write") { 200 } else { 403 });
        }
    }
}

/// The publisher's key, the viewers' IdP, and the publisher's key again.
#[test]
fn an_issuer_cannot_do_another_issuers_work() {
    let origin = Origin::start();
    let before = origin.seq();
    let publisher = origin.token_of(PUBLISHER, json!({"sub": "sync", "ctx": ["merchant"], "mid": 3407}));
    let form = "item_id=6203&consumer_id=88026&expires_at=4102444800";
    origin
        .ask("POST", "/items/access")
        .bearer(&publisher)
        .form(form)
        .send()
        .refused(403, "Invalid privileges");
    let viewer = origin.token_of(COGNITO, json!({"sub": "a-viewer", "ctx": ["merchant"], "mid": MERCHANT}));
    origin.ask("DELETE", "/v2/items/5101").bearer(&viewer).send().refused(403, "Invalid privileges");
    for scope in ["feed:read", "feed:read snapshot:publish"] {
        let reader = origin.token_of(PUBLISHER, json!({"sub": "x", "scope": scope}));
        origin.ask("GET", "/export").bearer(&reader).send().refused(403, "Invalid privileges");
        origin.ask("GET", "/changes?after=1").bearer(&reader).send().refused(403, "Invalid privileges");
    }
    assert_eq!(origin.seq(), before);
    // The same requests with sufficient rights.
    origin.ask("DELETE", "/v2/items/5101").bearer(&origin.merchant()).send().expect(201);
}

/// If the issuer is bound to some merchants, number and UUID must name one merchant.
#[test]
fn an_issuer_of_some_merchants_must_not_mix_number_and_uuid() {
    const OTHER_UUID: &str = "b7d2e810-44c9-4f6e-9c15-0a8e6f3d2b71";
    let origin = origin();
    let bound = issuers().into_iter().find(|(_, may, is_bound)| *is_bound && may == &["write"]).unwrap().0;
    for (claims, status) in [
        (json!({"mid": MERCHANT}), 201),
        (json!({"mid": MERCHANT, "mui": MERCHANT_UUID}), 201),
        (json!({"mid": MERCHANT, "mui": MERCHANT_UUID.to_uppercase()}), 201),
        (json!({"mid": MERCHANT, "mui": OTHER_UUID}), 403),
        (json!({"mid": MERCHANT, "mui": "none"}), 403),
        (json!({"mui": MERCHANT_UUID}), 403),
        (json!({}), 403),
        (json!({"mid": 3407, "mui": MERCHANT_UUID}), 403),
    ] {
        let mut all = json!({"sub": "shop", "ctx": "merchant"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let ask = origin.ask("PATCH", "/v2/items/5101").bearer(&origin.token_of(&bound, all));
        let answer = ask.form("title=x").send();
        assert_eq!(answer.status, status, "{claims}");
    }
}

/// Issuers may share a namespace: each reaches its own merchants' customers and accounts, by whatever subject.
#[test]
fn an_issuer_reaches_no_person_of_another_merchant() {
    let issuers = [("https://own.example", MERCHANT), ("https://stranger.example", OTHER_MERCHANT)];
    let origin = with_account_by(|settings| {
        let entries = issuers.map(|(issuer, merchant)| {
            json!({
                "issuer": issuer, "namespace": "vendor", "audience": "none_required", "merchants": [merchant],
                "keys": {"secret": "TEST_SECRET", "alg": "HS256"},
            })
        });
        let all = settings.variables.get_mut("ISSUERS").unwrap();
        let mut issuers: Vec<Value> = serde_json::from_str(all).unwrap();
        issuers.extend(entries);
        *all = Value::from(issuers).to_string();
    });
    let grant = format!("item_id=5101&consumer_id={CUSTOMER}&access_fee_id=7013");
    origin.write("POST", "/items/access", &grant).expect(201);
    const FAVORITES: &str = "/v2/accounts/media/favorites";
    const HISTORY: &str = "/v2/accounts/media/watch-history";
    let [own, stranger] = issuers.map(|(issuer, merchant)| {
        origin.token_of(issuer, json!({"sub": CUSTOMER_SUBJECT, "mid": merchant, "ctx": ["consumer"]}))
    });
    let ask = |token: &str, method: &'static str, path: &str, form: &str| {
        origin.ask(method, path).bearer(token).form(form).send()
    };
    ask(&own, "POST", FAVORITES, "media_id=a").expect(201);
    let password = PASSWORD.replace(' ', "+");
    let change = format!("old_password={password}&password=long+enough");
    let erase = format!("password={password}");
    for (method, path, form) in [
        ("GET", "/accounts", ""),
        ("PUT", "/accounts", "full_name=Mallory"),
        ("POST", "/accounts/export", ""),
        ("POST", "/accounts/change-password", &change),
        ("DELETE", "/accounts/erase", &erase),
        ("POST", FAVORITES, "media_id=b"),
        ("DELETE", &format!("{FAVORITES}/a"), ""),
        ("GET", &format!("{FAVORITES}/a"), ""),
        ("GET", &format!("{HISTORY}/a"), ""),
    ] {
        let answer = ask(&stranger, method, path, form);
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
    }
    for (path, member, count) in [
        (FAVORITES, "collection", 1),
        (HISTORY, "collection", 0),
        ("/v2/accounting/payment-history", "collection", 1),
        ("/subscriptions", "collection", 0),
        ("/items/access/customers", "collection", 1),
        ("/v3/sites/x/entitlements", "plans", 0),
    ] {
        let shown =
            |token: &str| ask(token, "GET", path, "").expect(200).json()[member].as_array().unwrap().len();
        assert_eq!((shown(&own), shown(&stranger)), (count, 0), "{path}");
    }
    let account = ask(&own, "GET", "/accounts", "").expect(200).json();
    assert_eq!(account["full_name"], "Ada");
    ask(&own, "POST", "/accounts/export", "").expect(200);
}
