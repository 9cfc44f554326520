//! The routes of support staff: who may look at which customer, what a customer holds at a moment, searches by number,
//! and the rule that a token breaks.

mod tokens;

use std::collections::BTreeSet;

use admit::snapshot::key::EntryKey;
use serde_json::{Value, json};

use crate::{
    catalogue::{self, Published},
    check::{Pages, error_body, problems},
    configured, holdings, issuers,
    subject::Subject,
    wire::{Answer, Wire},
};

/// May ask about any customer, and why.
const SUPPORT: &str = "https://support.example";
/// May ask about the customers of one merchant, and why.
const BOUND: &str = "https://bound.example";
/// Its viewers share the namespace of the sample viewers, and may ask why.
const CURIOUS: &str = "https://curious.example";
/// May ask about any customer, but not why.
const SERVICE: &str = "https://service.example";
/// May explain, and neither view nor check.
const EXPLAINER: &str = "https://explainer.example";
/// Wants an audience, and has no capability but to write.
const STRICT: &str = "https://strict.example";

const MERCHANT: i64 = 2101;
const OTHER_MERCHANT: i64 = 3407;

/// Customers of the two merchants.
const HOLDER: &str = "687701d2-7eef-4ae9-a1be-cd432fc3af69";
const OF_THE_OTHER: &str = "389a26ca-8540-4e22-be7d-7d9a8bc98ecc";
/// A customer whose subject is neither a number nor a UUID, with more accesses than a page has.
const HOARDER: &str = "hoarder/of films";
const HOARDED: i64 = 95;
const HOARDER_NUMBER: i64 = 99_002;
const HOARDER_UUID: &str = "5d1b2c3e-7f0a-4a55-9b7e-0c1d2e3f4a5b";

/// The usual variables, with the issuers of these cases.
pub fn variables() -> Vec<(String, String)> {
    let mut entries = [
        (SUPPORT, "support", json!(["check", "explain"]), None),
        (BOUND, "bound", json!(["check", "explain"]), Some(MERCHANT)),
        (CURIOUS, "vendor", json!(["view", "explain"]), None),
        (SERVICE, "service", json!(["check"]), None),
        (EXPLAINER, "explainer", json!(["explain"]), None),
        (STRICT, "strict", json!(["write"]), None),
    ]
    .map(|(issuer, namespace, may, merchant)| issuers::by_vendors_secret(issuer, namespace, &may, merchant));
    for strict in entries.iter_mut().filter(|entry| entry["issuer"] == STRICT) {
        strict["audience"] = json!({"any_of": ["here"]});
    }
    issuers::with_issuers(configured::variables(&[]), entries)
}

/// Publishes the sample catalogue and two more customers.
pub fn publish(subject: &dyn Subject) -> Published {
    let accesses: Vec<_> = (0..HOARDED)
        .map(|number| json!({"id": 1_000 + number, "item_id": 700_000 + number, "created_at": "now-1d"}))
        .collect();
    let license = |name: &str| {
        json!({
            "license_id": "3a124c64-7e02-4f05-b7c1-dce27f7695f5", "license_type": "SINGLE", "name": name,
            "status": "ACTIVE", "renew_status": "RENEW", "interval_length": 1, "interval_unit": "MONTHS",
            "date_added": "now-10d"
        })
    };
    let trials: Vec<_> = (1..=150).collect();
    let hoarder = json!({
        "type": "customer", "namespace": "vendor", "subject": HOARDER, "id": HOARDER_NUMBER, "uuid": HOARDER_UUID,
        "merchant_id": MERCHANT, "accesses": accesses, "used_trials": trials,
        "licenses": [license("one"), license("two"), license(&"long ".repeat(200))],
    });
    catalogue::publish_with(subject, 1, &format!("{}{hoarder}\n", holdings::viewer()))
}

struct Run<'a> {
    subject: &'a dyn Subject,
    published: &'a Published,
    sent: usize,
}

impl Run<'_> {
    fn token(&self, issuer: &str) -> String {
        self.token_of(issuer, "staff")
    }

    fn token_of(&self, issuer: &str, sub: &str) -> String {
        issuers::token_by(issuer, &json!({"sub": sub}), self.subject.now() + 3_600)
    }

    fn send(&mut self, wire: &Wire) -> Answer {
        self.sent += 1;
        let answer = self.subject.send(wire);
        assert_eq!(problems(wire, &answer, Pages::All), [""; 0], "{}: {}", wire.describe(), answer.text());
        answer
    }

    fn get(&mut self, target: &str, token: &str) -> Answer {
        self.send(&Wire::get(target).bearer(token))
    }

    /// A body that must be answered 200.
    fn shown(&mut self, target: &str, token: &str) -> Value {
        let answer = self.get(target, token);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    fn inspect(&mut self, token: &str, presented: &str) -> Value {
        let wire = post(&json!({"token": presented}).to_string()).bearer(token);
        let answer = self.send(&wire);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn post(body: &str) -> Wire {
    Wire::post("/tokens/inspect", body.as_bytes().to_vec()).header("Content-Type", "application/json")
}

fn key_of(namespace: &str, subject: &str) -> String {
    EntryKey::customer(namespace, subject).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs all cases. The subject has [`variables`], and holds what [`publish`] gave. Returns the number of requests.
pub fn run(subject: &dyn Subject, published: &Published) -> usize {
    let mut run = Run { subject, published, sent: 0 };
    who_may_look_at_whom(&mut run);
    names(&mut run);
    holdings_at_a_moment(&mut run);
    pages(&mut run);
    every_customer(&mut run);
    searches(&mut run);
    tokens::run(&mut run);
    run.sent
}

fn who_may_look_at_whom(run: &mut Run<'_>) {
    let own = format!("/customers/vendor:{HOLDER}");
    let stranger = format!("/customers/vendor:{OF_THE_OTHER}");
    let nobody = "/customers/vendor:nobody";
    let number = "/customers?number=88002";
    let curious = run.token_of(CURIOUS, HOLDER);
    let viewer = run.subject.token("item-buyer");
    for (name, token, [of_own, of_stranger, of_nobody, of_me, by_number, inspection]) in [
        ("support", run.token(SUPPORT), [200, 200, 404, 404, 200, 200]),
        ("bound", run.token(BOUND), [200, 404, 404, 404, 200, 200]),
        // The token is the customer's own.
        ("curious", curious, [200, 403, 403, 200, 403, 200]),
        ("viewer", viewer, [403; 6]),
        ("service", run.token(SERVICE), [403; 6]),
        ("explainer", run.token(EXPLAINER), [403; 6]),
        ("merchant", run.subject.token("merchant"), [403; 6]),
        ("publisher", issuers::publisher_token(run.subject.now() + 60), [403; 6]),
        ("expired", run.subject.token("expired-token"), [401; 6]),
    ] {
        for (target, status) in [
            (own.as_str(), of_own),
            (&stranger, of_stranger),
            (nobody, of_nobody),
            ("/customers/me", of_me),
            (number, by_number),
        ] {
            let answer = run.get(target, &token);
            assert_eq!(answer.status, status, "{name} {target}: {}", answer.text());
            if status == 404 {
                assert_eq!(answer.json(), error_body(404, "Customer not found", None), "{name} {target}");
            }
            let head = run.send(&Wire::get(target).bearer(&token).head());
            assert_eq!(head.status, status, "{name} HEAD {target}");
        }
        let answer = run.send(&post(r#"{"token": "x"}"#).bearer(&token));
        assert_eq!(answer.status, inspection, "{name}: {}", answer.text());
    }
    // Parameters say nothing to those who may not ask.
    let viewer = run.subject.token("item-buyer");
    for target in ["/customers/x", "/customers", "/customers/me?at=x"] {
        assert_eq!(run.get(target, &viewer).status, 403, "{target}");
    }
}

fn names(run: &mut Run<'_>) {
    let support = run.token(SUPPORT);
    let key = key_of("vendor", OF_THE_OTHER);
    let named = format!("vendor:{OF_THE_OTHER}");
    let expected = json!({
        "key": key, "id": named, "number": 88_022, "uuid": OF_THE_OTHER, "merchant_id": OTHER_MERCHANT,
        "source": "shard",
    });
    for who in [&named, OF_THE_OTHER, &key, &key.to_uppercase(), &named.replace(':', "%3A")] {
        assert_eq!(run.shown(&format!("/customers/{who}"), &support)["customer"], expected, "{who}");
    }
    // A subject of two issuers.
    let answer = run.get(&format!("/customers/{HOLDER}"), &support);
    let message =
        "The customer must be namespace:subject, because customers of several namespaces have this UUID";
    assert_eq!((answer.status, answer.json()), (422, error_body(422, message, Some("who"))));
    let curious = run.token_of(CURIOUS, HOLDER);
    let own = run.shown(&format!("/customers/{HOLDER}"), &curious);
    assert_eq!(own["customer"]["id"], format!("vendor:{HOLDER}"), "the other one is not its own");
    // What the snapshot has is a hash: this subject is in no other answer.
    let key = key_of("vendor", HOARDER);
    let found = run.shown(&format!("/customers/{key}"), &support);
    assert_eq!(
        (&found["customer"]["id"], &found["customer"]["number"]),
        (&Value::Null, &json!(HOARDER_NUMBER))
    );
    let found = run.shown("/customers/vendor:hoarder%2Fof%20films", &support);
    assert_eq!(
        (&found["customer"]["id"], &found["customer"]["key"]),
        (&json!(format!("vendor:{HOARDER}")), &json!(key))
    );
    assert_eq!(run.get(&format!("/customers/{HOARDER_UUID}"), &support).status, 404, "no subject");
    let curious = run.token_of(CURIOUS, HOARDER);
    for who in ["me", &key, "vendor:hoarder%2Fof%20films"] {
        assert_eq!(run.shown(&format!("/customers/{who}"), &curious)["customer"]["key"], key, "{who}");
    }
    for who in ["88002", "anna", "vendor%ff:x", "%", &key[1..]] {
        let answer = run.get(&format!("/customers/{who}"), &support);
        let message = "The customer must be me, a UUID, a key of 32 hexadecimal digits, or namespace:subject, percent-encoded";
        assert_eq!((answer.status, answer.json()), (422, error_body(422, message, Some("who"))), "{who}");
    }
}

/// The kind, the ids and the state of a holding.
fn summary(holding: &Value) -> (String, Value, Value, String) {
    let text = |name: &str| holding[name].as_str().unwrap().to_owned();
    let id = holding.get("id").or(holding.get("license_id")).unwrap().clone();
    (text("type"), id, holding.get("item_id").cloned().unwrap_or_default(), text("state"))
}

fn holdings_at_a_moment(run: &mut Run<'_>) {
    let support = run.token(SUPPORT);
    let target = format!("/customers/vendor:{}", holdings::SUBJECT);
    let at = run.published.at;
    let found = run.shown(&format!("{target}?at={at}"), &support);
    assert_eq!(found["version"], json!({"seq": 1, "as_of": at}));
    assert_eq!((&found["at"], &found["used_trials"]), (&json!(at), &json!([5002])));
    assert_eq!(found["page"], json!({"next_token": "", "count": 8, "total": 8}));
    let all = found["holdings"].as_array().unwrap();
    let licenses = [
        "3a124c64-7e02-4f05-b7c1-dce27f7695f5",
        "78b7d0ac-8477-4ce0-8e4c-da11b43c589b",
        "f3194a3b-381e-43e7-952c-466e473a1797",
        "66080f17-4c96-48e2-9cbd-0ba3a1a6bcde",
    ];
    let states =
        |found: &Value| -> Vec<_> { found["holdings"].as_array().unwrap().iter().map(summary).collect() };
    let expected = |states: [&str; 8]| -> Vec<_> {
        let accesses = [("package", 3, 5001), ("item", 1, 5101), ("item", 2, 5110), ("access", 4, 777_777)];
        let accesses = accesses.map(|(kind, id, item)| (kind, json!(id), json!(item)));
        let licenses = licenses.map(|id| ("license", json!(id), Value::Null));
        let all = accesses.into_iter().chain(licenses).zip(states);
        all.map(|((kind, id, item), state)| (kind.to_owned(), id, item, state.to_owned())).collect()
    };
    let now = expected(["running", "past", "running", "future", "running", "running", "running", "past"]);
    assert_eq!(states(&found), now, "{found}");
    // Two days ago one access had not ended; in six days one has begun, and a licence has ended. A cancelled one is past at
    // any time.
    let before = run.shown(&format!("{target}?at={}", at - 2 * 86_400), &support);
    let states_before =
        expected(["running", "running", "running", "future", "running", "running", "running", "past"]);
    assert_eq!(states(&before), states_before);
    let later = run.shown(&format!("{target}?at={}", at + 6 * 86_400), &support);
    let states_later =
        expected(["running", "past", "running", "running", "running", "past", "running", "past"]);
    assert_eq!(states(&later), states_later);
    let title = |item: i64| json!(run.published.lines.items[&item].title);
    assert_eq!(
        all[1],
        json!({
            "type": "item", "id": 1, "item_id": 5101, "title": title(5101), "merchant_id": MERCHANT,
            "created_at": at - 3 * 86_400, "starts_at": null, "expires_at": at - 86_400, "renews_on": null,
            "state": "past", "source": "shard",
            "purchase": {
                "amount": 4.99, "currency": "USD", "access_fee_id": 7013, "payment_method": "card",
                "is_trial": false
            },
        })
    );
    assert_eq!(
        (&all[2]["purchase"], &all[3]["title"], &all[3]["merchant_id"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        all[5],
        json!({
            "type": "license", "license_id": licenses[1], "title": "A licence", "license_name": all[5]["license_name"],
            "license_state": all[5]["license_state"], "app": all[5]["app"], "plan_id": all[5]["plan_id"],
            "merchant_id": MERCHANT, "status": "ACTIVE", "renew_status": "CANCEL", "is_trial": false,
            "created_at": at - 10 * 86_400, "starts_at": null, "expires_at": at + 5 * 86_400, "renews_on": null,
            "cancelled_at": null, "state": "running", "source": "shard",
        })
    );
    let licenses = &run.published.lines.licenses;
    let license = licenses.iter().find(|license| json!(license.id) == all[5]["license_id"]).unwrap();
    assert_eq!(all[5]["license_name"], license.name.as_str());
    assert_eq!(all[5]["license_state"], serde_json::to_value(license.status).unwrap());
    assert!(all[5]["app"].is_string() && all[5]["plan_id"].is_string(), "{}", all[5]);
    // Without a moment, the present.
    let found = run.shown(&target, &support);
    assert!((found["at"].as_i64().unwrap() - run.subject.now()).abs() < 60, "{found}");
    for wrong in ["at=tomorrow", "at=1795311834000", "page_token=x", "page_token=1.2.3.4"] {
        assert_eq!(run.get(&format!("{target}?{wrong}"), &support).status, 422, "{wrong}");
    }
}

fn pages(run: &mut Run<'_>) {
    let support = run.token(SUPPORT);
    let target = format!("/customers/{}", key_of("vendor", HOARDER));
    let (mut all, mut sizes, mut next) = (Vec::new(), Vec::new(), String::new());
    let mut first_token = String::new();
    loop {
        let page = run.shown(&format!("{target}?page_token={next}"), &support);
        let holdings = page["holdings"].as_array().unwrap();
        assert_eq!(page["page"]["count"], holdings.len());
        assert_eq!(page["page"]["total"], HOARDED + 3);
        let trials = page["used_trials"].as_array().unwrap().len();
        assert_eq!(trials, if sizes.is_empty() { 100 } else { 0 });
        sizes.push(holdings.len());
        all.extend(holdings.iter().map(|holding| {
            assert!(holding["title"].as_str().is_none_or(|title| title.len() <= 512), "{holding}");
            (holding["id"].clone(), holding["title"].clone())
        }));
        next = page["page"]["next_token"].as_str().unwrap().to_owned();
        if first_token.is_empty() {
            first_token.clone_from(&next);
        }
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [40, 40, 18]);
    let ids: Vec<_> = all.iter().filter_map(|(id, _)| id.as_i64()).collect();
    assert_eq!(ids, (1_000..1_000 + HOARDED).collect::<Vec<_>>());
    assert_eq!((&all[95].1, &all[96].1), (&json!("one"), &json!("two")));
    // A token belongs to its customer and its moment.
    for other in [
        format!("/customers/vendor:{HOLDER}?page_token={first_token}"),
        format!("{target}?at=5&page_token={first_token}"),
        format!("/customers?number=1&page_token={first_token}"),
    ] {
        let answer = run.get(&other, &support);
        let message = "The page_token must be one that this route has answered to the same question";
        assert_eq!(
            (answer.status, answer.json()),
            (422, error_body(422, message, Some("page_token"))),
            "{other}"
        );
    }
}

/// Every customer of the catalogue: each access and licence is a holding, and is judged as by its dates.
fn every_customer(run: &mut Run<'_>) {
    let support = run.token(SUPPORT);
    let customers: Vec<_> = run.published.lines.customers.values().cloned().collect();
    let (mut held, at) = (BTreeSet::new(), run.published.at);
    for customer in customers.iter().filter(|customer| customer.subject != HOARDER) {
        let who = format!("{}:{}", customer.namespace, customer.subject).replace('/', "%2F");
        let found = run.shown(&format!("/customers/{who}?at={at}"), &support);
        let all = found["holdings"].as_array().unwrap();
        assert_eq!(all.len(), customer.accesses.len() + customer.licenses.len(), "{who}");
        for access in &customer.accesses {
            let holding = all.iter().find(|holding| holding["id"] == access.id).unwrap();
            let has_ended = access.expires_at.is_some_and(|end| end.resolve(at) <= at);
            assert_eq!(holding["state"] == "past", has_ended, "{who}: {holding}");
            let is_package = run.published.lines.items.get(&access.item_id).map(|item| item.is_package());
            let kind = is_package.map_or("access", |is_package| if is_package { "package" } else { "item" });
            assert_eq!(holding["type"], kind, "{who}: {holding}");
        }
        held.extend(all.iter().map(|holding| (holding["type"].to_string(), holding["state"].to_string())));
    }
    for expected in [
        ("item", "past"),
        ("item", "running"),
        ("item", "future"),
        ("package", "running"),
        ("license", "past"),
    ] {
        let (kind, state) = expected;
        assert!(held.contains(&(format!("{kind:?}"), format!("{state:?}"))), "{expected:?} of {held:?}");
    }
}

/// All results of a search, page by page.
fn found(run: &mut Run<'_>, query: &str, token: &str) -> Vec<Value> {
    let (mut all, mut next, mut read) = (Vec::new(), String::new(), 0);
    for _ in 0..1_000 {
        let page = run.shown(&format!("/customers?{query}&page_token={next}"), token);
        let shards = page["page"]["shards"].as_u64().unwrap();
        let before = std::mem::replace(&mut read, page["page"]["shards_read"].as_u64().unwrap());
        assert!(before < read && read <= shards, "{page}");
        all.extend(page["results"].as_array().unwrap().iter().cloned());
        next = page["page"]["next_token"].as_str().unwrap().to_owned();
        if next.is_empty() {
            assert_eq!(read, shards);
            return all;
        }
    }
    panic!("a search without end");
}

fn searches(run: &mut Run<'_>) {
    let (support, bound) = (run.token(SUPPORT), run.token(BOUND));
    let customers: Vec<_> = run.published.lines.customers.values().cloned().collect();
    let mut hidden = 0;
    for customer in &customers {
        let is_named = |subject: &str| {
            [customer.uuid.to_string(), customer.id.to_string()].iter().any(|id| id == subject)
        };
        let id = is_named(&customer.subject).then(|| format!("{}:{}", customer.namespace, customer.subject));
        let expected = json!({
            "key": key_of(&customer.namespace, &customer.subject), "id": id, "number": customer.id,
            "uuid": customer.uuid, "merchant_id": customer.merchant_id, "source": "shard",
        });
        for query in [format!("number={}", customer.id), format!("uuid={}", customer.uuid)] {
            let results = found(run, &query, &support);
            assert!(results.contains(&expected), "{query}: {results:?}");
            let is_visible = customer.merchant_id == MERCHANT;
            assert_eq!(found(run, &query, &bound).contains(&expected), is_visible, "{query}");
            hidden += usize::from(!is_visible);
        }
    }
    assert!(hidden > 0 && customers.iter().any(|customer| customer.merchant_id == OTHER_MERCHANT));
    assert!(found(run, "number=4711", &support).is_empty());
    for query in ["", "number=", "number=x", "uuid=x", "number=1e3", "number=1&page_token=x"] {
        assert_eq!(run.get(&format!("/customers?{query}"), &support).status, 422, "{query}");
    }
}
