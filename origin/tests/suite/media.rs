//! Favourites, watch history, and purchases.

use serde_json::{Value, json};

use crate::support::{CLIENT, CUSTOMER, MERCHANT, Origin, Response};

const FAVORITES: &str = "/v2/accounts/media/favorites";
const HISTORY: &str = "/v2/accounts/media/watch-history";

fn ask(origin: &Origin, method: &str, path: &str, form: &str) -> Response {
    origin.ask(method, path).bearer(&origin.customer()).form(form).send()
}

fn collection(origin: &Origin, path: &str) -> Value {
    ask(origin, "GET", path, "").expect(200).json()["collection"].clone()
}

#[test]
fn favourites_are_added_listed_and_removed() {
    let origin = Origin::start();
    assert_eq!(collection(&origin, FAVORITES), json!([]));
    let first = ask(&origin, "POST", FAVORITES, "media_id=Jif1zCk-").expect(201).json();
    assert_eq!(first, json!({"media_id": "Jif1zCk-", "created_at": origin.now()}));
    origin.advance(10);
    let second = ask(&origin, "POST", FAVORITES, "media_id=b").expect(201).json();
    // A second time changes nothing.
    assert_eq!(ask(&origin, "POST", FAVORITES, "media_id=Jif1zCk-").expect(201).json(), first);
    assert_eq!(collection(&origin, FAVORITES), json!([second, first]));
    assert_eq!(ask(&origin, "GET", &format!("{FAVORITES}/b"), "").expect(200).json(), second);
    // 204 would break the app.
    let removed = ask(&origin, "DELETE", &format!("{FAVORITES}/b"), "").expect(200).json();
    assert_eq!(removed, json!({"code": 200, "message": "Removed"}));
    ask(&origin, "DELETE", &format!("{FAVORITES}/b"), "").refused(404, "Media not found");
    ask(&origin, "GET", &format!("{FAVORITES}/b"), "").refused(404, "Media not found");
    assert_eq!(collection(&origin, FAVORITES), json!([first]));
}

#[test]
fn a_watch_history_is_listed_by_its_filter() {
    let origin = Origin::start();
    let watch = |media_id: &str, progress: &str| {
        origin.advance(1);
        ask(&origin, "PATCH", HISTORY, &format!("media_id={media_id}&progress={progress}")).expect(200).json()
    };
    let begun = watch("a", "0.5");
    let first_at = origin.now();
    assert_eq!(
        begun,
        json!({"media_id": "a", "progress": 0.5, "created_at": first_at, "updated_at": first_at})
    );
    let watched = watch("b", "0.95");
    let begun =
        json!({"media_id": "a", "progress": 0.75, "created_at": first_at, "updated_at": first_at + 2});
    assert_eq!(watch("a", "0.75"), begun);
    let list = |filter: &str| collection(&origin, &format!("{HISTORY}{filter}"));
    assert_eq!(list(""), json!([begun, watched]));
    assert_eq!(list("?filter=all&cursor="), json!([begun, watched]));
    assert_eq!(list("?filter=currently_watching&cursor="), json!([begun]));
    assert_eq!(list("?filter=watched"), json!([watched]));
    assert_eq!(list("?cursor=x"), json!([]), "one page has everything");
    ask(&origin, "GET", &format!("{HISTORY}?filter=x"), "").invalid(&["filter"]);
    assert_eq!(ask(&origin, "GET", &format!("{HISTORY}/b"), "").expect(200).json(), watched);
    ask(&origin, "DELETE", &format!("{HISTORY}/b"), "").expect(200);
    ask(&origin, "GET", &format!("{HISTORY}/b"), "").refused(404, "Media not found");
    ask(&origin, "DELETE", &format!("{HISTORY}/b"), "").refused(404, "Media not found");
    assert_eq!(list(""), json!([begun]));
}

#[test]
fn lists_refuse_what_they_cannot_hold() {
    let origin = Origin::start();
    let long = "x".repeat(129);
    for (method, path, form, wrong) in [
        ("POST", FAVORITES, String::new(), &["media_id"][..]),
        ("POST", FAVORITES, "media_id=a%2Fb".to_owned(), &["media_id"]),
        ("POST", FAVORITES, format!("media_id={long}"), &["media_id"]),
        ("PATCH", HISTORY, String::new(), &["media_id", "progress"]),
        ("PATCH", HISTORY, "media_id=a&progress=half".to_owned(), &["progress"]),
        ("PATCH", HISTORY, "media_id=a&progress=1.5".to_owned(), &["progress"]),
        ("PATCH", HISTORY, "media_id=a&progress=-0.1".to_owned(), &["progress"]),
    ] {
        ask(&origin, method, path, &form).invalid(wrong);
    }
    for path in [FAVORITES, HISTORY] {
        ask(&origin, "GET", &format!("{path}/{long}"), "").invalid(&["media_id"]);
        ask(&origin, "DELETE", &format!("{path}/a%20b"), "").invalid(&["media_id"]);
        origin.ask("GET", path).send().refused(401, "Invalid auth token");
        let put =
            origin.ask("PUT", path).bearer(&origin.customer()).send().refused(405, "Method not allowed");
        assert!(put.header("allow").unwrap().starts_with("GET, HEAD, "), "{:?}", put.header("allow"));
    }
    let xml = origin.ask("POST", FAVORITES).bearer(&origin.customer()).body("text/xml", "x").send();
    xml.refused(415, "Unsupported media type");
    // A list is full at its bound, and a history drops the medium that was watched longest ago.
    let connection = origin.connection();
    connection
        .execute_batch(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
             INSERT INTO favorites SELECT (SELECT key FROM customers WHERE id = 88005), 'm' || n, n FROM n;
             INSERT INTO watch_history SELECT customer_key, media_id, 0.5, created_at, created_at FROM favorites;",
        )
        .unwrap();
    ask(&origin, "POST", FAVORITES, "media_id=m1000").expect(201);
    ask(&origin, "POST", FAVORITES, "media_id=more").invalid(&["media_id"]);
    assert_eq!(collection(&origin, FAVORITES).as_array().unwrap().len(), 1_000);
    ask(&origin, "PATCH", HISTORY, "media_id=more&progress=0").expect(200);
    ask(&origin, "GET", &format!("{HISTORY}/m1"), "").expect(404);
    ask(&origin, "GET", &format!("{HISTORY}/m2"), "").expect(200);
    assert_eq!(collection(&origin, HISTORY).as_array().unwrap().len(), 1_000);
}

#[test]
fn lists_belong_to_the_person_and_to_no_one_else() {
    let origin = Origin::start();
    // The same person by another issuer.
    let connection = origin.connection();
    let sql = "INSERT INTO customers (namespace, subject, id, uuid, merchant_id)
               SELECT 'cognito', 'c-1', id, uuid, merchant_id FROM customers WHERE id = ?1";
    connection.execute(sql, [CUSTOMER]).unwrap();
    ask(&origin, "POST", FAVORITES, "media_id=a").expect(201);
    let list = |token: &str| origin.ask("GET", FAVORITES).bearer(token).send().expect(200).json();
    let cognito = origin.token_of("https://cognito.dev.admit.example/pool", json!({"sub": "c-1"}));
    assert_eq!(list(&cognito)["collection"][0]["media_id"], "a");
    let other = origin.token(json!({"sub": "687701d2-7eef-4ae9-a1be-cd432fc3af69"}));
    assert_eq!(list(&other), json!({"collection": []}));
    let path = format!("{FAVORITES}/a");
    origin.ask("GET", &path).bearer(&other).send().refused(404, "Media not found");
    origin.ask("DELETE", &path).bearer(&other).send().refused(404, "Media not found");
    // A customer that the origin does not know reads empty lists, so that apps start, and stores nothing.
    let unknown = origin.token(json!({"sub": "unknown"}));
    assert_eq!(list(&unknown), json!({"collection": []}));
    origin
        .ask("POST", FAVORITES)
        .bearer(&unknown)
        .form("media_id=a")
        .send()
        .refused(404, "Account not found");
    assert_eq!(list(&origin.customer())["collection"].as_array().unwrap().len(), 1);
}

#[test]
fn subscriptions_and_payments_are_what_was_granted_for_a_fee() {
    let origin = Origin::start();
    let get = |path: &str| ask(&origin, "GET", path, "").expect(200).json();
    let none = json!({"total": 0, "page": 0, "offset": 0, "limit": 15, "collection": []});
    assert_eq!(get("/subscriptions?limit=15&page=0"), none);
    assert_eq!(get("/v2/accounting/payment-history"), json!({"collection": [], "total": 0}));
    let grant = |item: i64, more: &str| {
        origin.advance(10);
        let form = format!("item_id={item}&consumer_id={CUSTOMER}&{more}");
        origin.write("POST", "/items/access", &form).expect(201).json()
    };
    grant(5001, "access_fee_id=7001");
    let film = grant(5101, "access_fee_id=7013");
    let renewed = grant(5001, "access_fee_id=7001");
    grant(5102, &format!("expires_at={}", origin.now() + 3_600));
    let list = get("/subscriptions?limit=15&page=0");
    let subscription = &list["collection"][0];
    // Pay-per-view is not a subscription, and a renewal is the same subscription.
    assert_eq!((&list["total"], list["collection"].as_array().unwrap().len()), (&json!(1), 1));
    for (name, expected) in [
        ("subscription_id", json!(renewed["id"].to_string())),
        ("asset_id", json!(5001)),
        ("item_id", json!(5001)),
        ("asset_title", json!("The film library")),
        ("status", json!("active")),
        ("action_type", json!("recurrent")),
        ("amount", json!(7.99)),
        ("currency", json!("USD")),
        ("access_fee_id", json!(7001)),
        ("merchant_id", json!(MERCHANT)),
        ("next_billing_date", renewed["expires_at"].clone()),
        ("created_at", renewed["created_at"].clone()),
        ("unsubscribe_url", json!("")),
    ] {
        assert_eq!(subscription[name], expected, "{name}");
    }
    assert_eq!(subscription["access_type"]["period"], "month");
    let payments = get("/v2/accounting/payment-history");
    let items = payments["collection"].as_array().unwrap().iter().map(|payment| &payment["item_id"]);
    assert_eq!(items.collect::<Vec<_>>(), [5001, 5101, 5001]);
    assert_eq!(payments["total"], 3);
    let payment = &payments["collection"][1];
    assert_eq!((&payment["charged_amount"], &payment["currency_iso"]), (&json!(4.99), &json!("USD")));
    assert_eq!((&payment["item_access_id"], &payment["consumer_id"]), (&film["id"], &json!(CUSTOMER)));
    // The price is the one that was paid, whatever the fee costs today.
    let other_price = "access_type_id=101&amount=1&currency=EUR&description=x";
    origin.write("PUT", "/v2/items/5101/access-fees/7013", other_price).expect(201);
    assert_eq!(get("/v2/accounting/payment-history")["collection"][1]["charged_amount"], json!(4.99));
    origin.advance(40 * 86_400);
    assert_eq!(get("/subscriptions")["collection"][0]["status"], "ended");
    assert_eq!(get("/subscriptions?status=active")["total"], 0);
    assert_eq!(get("/subscriptions?status=Ended")["total"], 1);
    assert_eq!(get("/subscriptions?page=1&limit=1")["collection"], json!([]));
    for (query, wrong) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("page=-1", "page")]
    {
        ask(&origin, "GET", &format!("/subscriptions?{query}"), "").invalid(&[wrong]);
    }
    for path in ["/subscriptions", "/v2/accounting/payment-history", "/payments/methods"] {
        origin.ask("GET", path).send().refused(401, "Invalid auth token");
    }
}

#[test]
fn subscriptions_come_in_pages_with_the_licences_last() {
    let origin = Origin::start();
    let customer = "6fa04b30-448d-48ce-9362-f5f6039d98b4";
    let token = origin.token(json!({"sub": customer}));
    let get = |query: &str| {
        origin.ask("GET", &format!("/subscriptions?{query}")).bearer(&token).send().expect(200).json()
    };
    let ids = |list: &Value| -> Vec<String> {
        let entries = list["collection"].as_array().unwrap().iter();
        entries.map(|entry| entry["subscription_id"].as_str().unwrap().to_owned()).collect()
    };
    let licences = ids(&get(""));
    assert!(!licences.is_empty());
    let mut expected = Vec::new();
    // Three packages of subscriptions: each has a fee of its own.
    for (item, fee) in [(5001, 7001), (5002, 7004), (5003, 7007)] {
        origin.advance(10);
        let form = format!("item_id={item}&consumer_id=88001&access_fee_id={fee}");
        let access = origin.write("POST", "/items/access", &form).expect(201).json();
        expected.insert(0, access["id"].to_string());
    }
    expected.extend(licences);
    let total = expected.len();
    for limit in 1..=total + 1 {
        let mut found = Vec::new();
        for page in 0..=total / limit {
            let list = get(&format!("limit={limit}&page={page}"));
            assert_eq!((&list["total"], &list["offset"]), (&json!(total), &json!(page * limit)));
            found.extend(ids(&list));
        }
        assert_eq!(found, expected, "{limit}");
    }
    assert_eq!(ids(&get("status=ACTIVE&limit=1&page=1")), expected[1..2]);
    assert_eq!(get("status=paused")["total"], 0);
}

#[test]
fn a_licence_is_a_subscription() {
    let origin = Origin::start();
    let token = origin.token(json!({"sub": "6fa04b30-448d-48ce-9362-f5f6039d98b4"}));
    let list = origin.ask("GET", "/subscriptions").bearer(&token).send().expect(200).json();
    let subscription = &list["collection"][0];
    assert_eq!(subscription["subscription_id"], "3a124c64-7e02-4f05-b7c1-dce27f7695f5");
    assert_eq!(
        (&subscription["status"], &subscription["action_type"]),
        (&json!("active"), &json!("recurrent"))
    );
    assert!(subscription["next_billing_date"].as_i64().unwrap() > origin.now());
}

/// An importer may leave the status as it was.
#[test]
fn a_licence_that_has_ended_or_not_begun_is_not_an_active_subscription() {
    let origin = Origin::start();
    let sub = "6fa04b30-448d-48ce-9362-f5f6039d98b4";
    let token = origin.token(json!({"sub": sub, "client_id": CLIENT}));
    let ask = |path: &str| origin.ask("GET", path).bearer(&token).send();
    let (yesterday, tomorrow) = (origin.now() - 86_400, origin.now() + 86_400);
    for (moment, at, shown, check, license) in [
        ("expires_at", tomorrow, Some("active"), 200, Some("ACTIVE")),
        ("expires_at", yesterday, Some("ended"), 402, Some("CANCELLED")),
        ("starts_at", yesterday, Some("active"), 200, Some("ACTIVE")),
        ("starts_at", tomorrow, None, 402, None),
    ] {
        let sql = "UPDATE customer_licenses
                   SET license_json = json_set(json_remove(license_json, '$.expires_at', '$.starts_at'), ?1, ?2)
                   WHERE customer_key = (SELECT key FROM customers WHERE subject = ?3)";
        let changed = origin.connection().execute(sql, (format!("$.{moment}"), at, sub)).unwrap();
        assert_eq!(changed, 1);
        assert_eq!(ask("/items/5101/access").status, check, "{moment}");
        let licenses = ask("/license").expect(200).json();
        assert_eq!(licenses["items"][0]["item"]["status"].as_str(), license, "{moment}");
        let list = ask("/subscriptions").expect(200).json();
        assert_eq!(list["collection"][0]["status"].as_str(), shown, "{moment}");
        let active = ask("/subscriptions?status=active").expect(200).json();
        assert_eq!(active["total"], u8::from(check == 200), "{moment}");
    }
}

#[test]
fn clients_get_empty_collections_where_the_origin_has_nothing() {
    let origin = Origin::start();
    let get = |path: &str| ask(&origin, "GET", path, "").expect(200).json();
    assert_eq!(get("/payments/methods"), json!([]));
    assert_eq!(get("/v2/accounts/profiles"), json!({"collection": []}));
}

#[test]
fn browsers_may_ask_every_route_of_a_client() {
    let origin = Origin::start();
    let page = "https://tv.example";
    for (path, allow) in [
        ("/accounts", "GET, HEAD, POST, PUT, OPTIONS"),
        ("/accounts/erase", "DELETE, OPTIONS"),
        ("/accounts/logout", "GET, OPTIONS"),
        (HISTORY, "GET, HEAD, PATCH, OPTIONS"),
    ] {
        let preflight = origin.ask("OPTIONS", path).header("origin", page);
        let preflight =
            preflight.header("access-control-request-headers", "authorization,content-type").send();
        assert_eq!((preflight.status, preflight.header("allow")), (204, Some(allow)), "{path}");
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"), "{path}");
        let refused = origin.ask("GET", path).header("origin", page).send();
        assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "{path}");
    }
}
