//! A client's other calls about what a viewer holds: used trials, purchases, plans, and the spellings of `/license`.

use serde_json::{Map, Value, json};

use crate::{
    catalogue,
    check::{Pages, error_body, problems},
    issuers,
    subject::Subject,
    wire::{Answer, Wire},
};

pub const SUBJECT: &str = "0a5f2d6e-2f5e-4a1c-9a38-6b1f0c9d7e21";
const CLIENT: &str = "5hq2v8mfernhollowweb71c0";
const MONTHLY: &str = "3a124c64-7e02-4f05-b7c1-dce27f7695f5";
const EARLY_BIRD: &str = "78b7d0ac-8477-4ce0-8e4c-da11b43c589b";
const KIDS: &str = "f3194a3b-381e-43e7-952c-466e473a1797";
/// A client of an app of the other merchant.
const OTHER_CLIENT: &str = "1tg0r4ptidegatelive8820z";
/// Issuers that share the viewer's namespace, and speak for one merchant each.
const OF_THE_MERCHANT: &str = "https://of-the-merchant.example";
const OF_THE_OTHER: &str = "https://of-the-other.example";
const NEVER: i64 = 253_402_300_799;

/// A viewer who rented a film, had one as a gift, began a package with a trial, holds two licences of the app and one of
/// another app, and had one that is cancelled.
pub fn viewer() -> String {
    let held = |id: &str, more: Value| {
        let mut held = json!({
            "license_id": id, "license_type": "SINGLE", "name": "A licence", "status": "ACTIVE",
            "renew_status": "RENEW", "interval_length": 1, "interval_unit": "MONTHS", "date_added": "now-10d"
        });
        held.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        held
    };
    let purchase = json!({
        "amount": 4.99, "currency": "USD", "access_fee_id": 7013, "payment_method": "card"
    });
    let trial = json!({"amount": 0, "currency": "USD", "access_fee_id": 7001, "trial": true});
    let customer = json!({
        "type": "customer", "namespace": "vendor", "subject": SUBJECT, "id": 99_001, "uuid": SUBJECT,
        "merchant_id": 2101, "used_trials": [5002],
        "accesses": [
            {"id": 1, "item_id": 5101, "created_at": "now-3d", "expires_at": "now-1d", "purchase": purchase},
            {"id": 2, "item_id": 5110, "created_at": "now-2d"},
            {"id": 3, "item_id": 5001, "created_at": "now-1d", "renews_on": "now+6d", "purchase": trial},
            {"id": 4, "item_id": 777_777, "created_at": "now-1h", "starts_at": "now+1d"}
        ],
        "licenses": [
            held(MONTHLY, json!({"renews_on": "now+20d"})),
            held(EARLY_BIRD, json!({"renew_status": "CANCEL", "expires_at": "now+5d"})),
            held(KIDS, json!({})),
            held("66080f17-4c96-48e2-9cbd-0ba3a1a6bcde", json!({"status": "CANCELLED", "cancelled_at": "now-1d"}))
        ]
    });
    format!("{customer}\n")
}

/// The usual variables, with the two issuers that speak for one merchant each.
pub fn variables() -> Vec<(String, String)> {
    let entries = [(OF_THE_MERCHANT, 2101), (OF_THE_OTHER, 3407)].map(|(issuer, merchant)| {
        issuers::by_vendors_secret(issuer, "vendor", &json!(["view"]), Some(merchant))
    });
    issuers::with_issuers(issuers::variables(), entries)
}

struct Run<'a> {
    subject: &'a dyn Subject,
    token: String,
    sent: usize,
}

impl Run<'_> {
    fn send(&mut self, wire: &Wire) -> Answer {
        self.sent += 1;
        let answer = self.subject.send(wire);
        assert_eq!(problems(wire, &answer, Pages::All), [""; 0], "{wire:?}: {}", answer.text());
        answer
    }

    fn get(&mut self, target: &str) -> Value {
        let answer = self.send(&Wire::get(target).bearer(&self.token));
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }
}

/// Runs all of it. The subject has [`variables`]. Returns the number of requests.
pub fn run(subject: &dyn Subject) -> usize {
    let at = catalogue::publish_with(subject, 1, &viewer()).at;
    let mut claims = Map::new();
    for (name, value) in [("sub", json!(SUBJECT)), ("mid", json!(2101)), ("client_id", json!(CLIENT))] {
        claims.insert(name.to_owned(), value);
    }
    let token = issuers::token("vendor", &claims, at + 86_400);
    let mut run = Run { subject, token, sent: 0 };
    licenses(&mut run);
    trials(&mut run);
    purchases(&mut run, at);
    plans(&mut run, at);
    renewals(&mut run, at);
    refusals(&mut run);
    issuers_of_one_merchant(&mut run, at);
    run.sent
}

/// Paket renamed the route, and its body stayed.
fn licenses(run: &mut Run<'_>) {
    let expected = run.get("/license");
    assert_eq!(expected["items"].as_array().unwrap().len(), 3, "{expected}");
    for path in ["/licenses", "/v1/licenses", "/v1/subscriptions"] {
        assert_eq!(run.get(path), expected, "{path}");
    }
}

fn trials(run: &mut Run<'_>) {
    for (item, is_used) in [(5002, true), (5001, true), (5101, false), (5110, false), (888_888, false)] {
        assert_eq!(run.get(&format!("/items/used-trial-period/{item}")), json!(is_used), "{item}");
    }
}

fn purchases(run: &mut Run<'_>, at: i64) {
    let all = run.get("/items/access/customers");
    let ids = |page: &Value| -> Vec<i64> {
        page["collection"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["item_access_id"].as_i64().unwrap())
            .collect()
    };
    assert_eq!((ids(&all), &all["total"]), (vec![4, 3, 2, 1], &json!(4)));
    for (query, expected, total) in [
        ("status=active&page=0&size=5", vec![3, 2], 2),
        ("status=inactive&page=0&size=5", vec![4, 1], 2),
        ("page=1&size=3", vec![1], 4),
        ("page=4294967295&size=100", vec![], 4),
        ("status=active&page=1&size=1&type=ppv", vec![2], 2),
    ] {
        let page = run.get(&format!("/items/access/customers?{query}"));
        assert_eq!((ids(&page), &page["total"]), (expected, &json!(total)), "{query}");
    }
    let day = 86_400;
    let rented = json!({
        "consumer_email": "", "created_at": at - 3 * day, "customer_id": 99_001, "expires_at": at - day,
        "is_trial": false, "item_access_id": 1, "item_id": 5101, "item_title": "The Salt Road",
        "merchant_id": 2101, "parent_resource_id": "", "payment_method": "card", "payment_tool": "",
        "purchased_access_fee_description": "48-hour rental", "purchased_access_fee_id": 7013,
        "purchased_access_fee_type": "ppv", "purchased_amount": 4.99, "purchased_currency": "USD",
        "revoked": 0, "starts_at": at - 3 * day, "type": ""
    });
    assert_eq!(all["collection"][3], rented);
    let (gone, trial, gift) = (&all["collection"][0], &all["collection"][1], &all["collection"][2]);
    assert_eq!((&gone["item_title"], &gone["starts_at"]), (&json!(""), &json!(at + day)));
    assert_eq!((&trial["is_trial"], &trial["expires_at"]), (&json!(true), &json!(at + 6 * day)));
    assert_eq!((&gift["purchased_amount"], &gift["expires_at"]), (&json!(0), &json!(NEVER)));
}

fn plans(run: &mut Run<'_>, at: i64) {
    let held = run.get("/v3/sites/a1B2c3D4/entitlements");
    let plan = |id: &str, name: &str, end: i64| json!({"id": id, "exp": end, "metadata": {"name": name, "access_model": "svod", "external_providers": {}}});
    let expected = json!({"total": 2, "page": 1, "page_length": 2, "plans": [
        plan(MONTHLY, "Everything, monthly", at + 20 * 86_400), plan(EARLY_BIRD, "Early bird", at + 5 * 86_400)
    ]});
    assert_eq!(held, expected);
    let anonymous = run.send(&Wire::get("/v3/sites/a1B2c3D4/entitlements"));
    assert_eq!((anonymous.status, &anonymous.json()["plans"]), (200, &json!([])));
    let mut names = Vec::new();
    for site in ["fernhollow-main", "3ceaaf30-8142-48ea-91d9-3080f9b439fc", CLIENT] {
        let offered = run.send(&Wire::get(&format!("/v3/sites/{site}/plans")));
        assert_eq!(offered.status, 200, "{site}: {}", offered.text());
        let plans = offered.json()["plans"].as_array().unwrap().clone();
        names.push(plans.iter().map(|plan| plan["metadata"]["name"].clone()).collect::<Vec<_>>());
        assert!(plans.iter().all(|plan| plan.get("exp").is_none()), "{plans:?}");
    }
    assert_eq!(names[0], ["Everything, monthly", "Everything, yearly", "Films only"]);
    assert!(names.iter().all(|of_site| *of_site == names[0]), "{names:?}");
}

/// A check shows the renewal as the end of the paid time, and an end where there is one.
fn renewals(run: &mut Run<'_>, at: i64) {
    // The gift lasts longest and does not renew; the package renews; a film of the package is covered by it.
    for (item, expected) in [(5110, NEVER), (5102, at + 6 * 86_400)] {
        let answer = run.get(&format!("/items/{item}/access"));
        assert_eq!(answer["expires_at"], expected, "{item}: {answer}");
    }
}

fn refusals(run: &mut Run<'_>) {
    for (target, status, message, field) in [
        ("/items/used-trial-period/x", 422, "The id must be a positive integer", Some("id")),
        ("/items/access/customers?status=paid", 422, "The status must be active or inactive", Some("status")),
        ("/items/access/customers?size=101", 422, "The size must be an integer from 1 to 100", Some("size")),
        (
            "/items/access/customers?page=x",
            422,
            "The page must be an integer; the first one is 0",
            Some("page"),
        ),
        ("/v3/sites/nowhere/plans", 404, "Site not found", None),
        ("/v3/sites/a/b", 404, "Route not found", None),
    ] {
        let answer = run.send(&Wire::get(target).bearer(&run.token));
        assert_eq!((answer.status, answer.json()), (status, error_body(status, message, field)), "{target}");
    }
    for target in ["/items/used-trial-period/5101", "/items/access/customers", "/v1/licenses"] {
        assert_eq!(run.send(&Wire::get(target)).status, 401, "{target}");
        assert_eq!(run.send(&Wire::new("POST", target).bearer(&run.token)).status, 405, "{target}");
    }
    assert_eq!(run.send(&Wire::get("/v3/sites/a/entitlements").bearer("x")).status, 401);
}

/// An issuer shows the holdings of its own merchant's customers, even if another merchant's customers have the namespace.
fn issuers_of_one_merchant(run: &mut Run<'_>, at: i64) {
    let none = json!([]);
    for (issuer, client, held, shown) in [
        (OF_THE_MERCHANT, Some(CLIENT), 2, true),
        (OF_THE_MERCHANT, None, 3, true),
        // The app of this client has no plans for this issuer; it does not stand for all apps.
        (OF_THE_MERCHANT, Some(OTHER_CLIENT), 0, true),
        (OF_THE_OTHER, Some(CLIENT), 0, false),
        (OF_THE_OTHER, Some(OTHER_CLIENT), 0, false),
        (OF_THE_OTHER, None, 0, false),
    ] {
        let claims = json!({"sub": SUBJECT, "mid": 3407, "client_id": client});
        run.token = issuers::token_by(issuer, &claims, at + 86_400);
        let at = format!("{issuer} {client:?}");
        let plans = run.get("/v3/sites/a1B2c3D4/entitlements");
        assert_eq!(plans["plans"].as_array().unwrap().len(), held, "{at}: {plans}");
        let purchases = run.get("/items/access/customers");
        assert_eq!(
            (&purchases["total"], purchases["collection"] == none),
            (&json!(if shown { 4 } else { 0 }), !shown),
            "{at}"
        );
        for item in [5002, 5001] {
            assert_eq!(run.get(&format!("/items/used-trial-period/{item}")), json!(shown), "{at}: {item}");
        }
        if !shown {
            assert_eq!(run.get("/license")["items"], none, "{at}");
        }
    }
}
