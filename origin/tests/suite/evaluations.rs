//! Questions in the form of AuthZEN: the decisions of the single checks, about many items at once, each naming its item; and
//! who may ask about whom.

use serde_json::{Value, json};

use crate::{
    reads::{items, personas},
    support::{CUSTOMER_SUBJECT, MERCHANT, OTHER_MERCHANT, Origin, Response},
};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

fn question(subject: &str, item: i64) -> Value {
    json!({
        "subject": {"type": "customer", "id": subject}, "action": {"name": "play"},
        "resource": {"type": "item", "id": item.to_string()},
    })
}

fn several(subject: &str, items: &[i64]) -> Value {
    let mut body = question(subject, 1);
    let item = |id: &i64| json!({"resource": {"type": "item", "id": id.to_string()}});
    body.as_object_mut().unwrap().remove("resource");
    body["evaluations"] = items.iter().map(item).collect();
    body
}

fn ask(origin: &Origin, path: &str, token: &str, body: &Value) -> Response {
    origin.ask("POST", path).bearer(token).json(body).send()
}

fn entries(answer: &Response) -> Vec<Value> {
    answer.json()["evaluations"].as_array().unwrap().clone()
}

#[test]
fn each_decision_is_that_of_the_single_check() {
    let origin = Origin::start();
    let ids = items();
    let (mut granted, mut asked) = (0, 0);
    for (name, token, persona) in personas(&origin) {
        let namespace = if persona["issuer"] == "vendor" { "vendor" } else { "cognito" };
        let claims = &persona["claims"];
        let subject = format!("{namespace}:{}", claims["sub"].as_str().unwrap());
        let answer = ask(&origin, EVALUATIONS, &token, &several(&subject, &ids));
        if answer.status != 200 {
            let single = origin.ask("GET", "/items/5101/access").bearer(&token).send();
            assert_eq!((answer.status, &answer.text), (single.status, &single.text), "{name}");
            continue;
        }
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        for (id, entry) in ids.iter().zip(entries(&answer)) {
            let single = origin.ask("GET", &format!("/items/{id}/access")).bearer(&token).send();
            let decision = single.status == 200;
            let context = &entry["context"];
            assert_eq!(entry["decision"], decision, "{name} {id}: {entry}");
            assert_eq!(context["item"]["id"], *id, "{name}");
            if decision {
                let access = single.json();
                assert_eq!(context["expires_at"], access["expires_at"], "{name} {id}");
                assert_eq!(context["item"]["merchant_id"], access["item"]["merchant_id"], "{name} {id}");
                granted += 1;
            } else {
                assert_eq!(context["reason"] == "unknown_item", single.status == 404, "{name} {id}: {entry}");
                assert_eq!(context["item"], json!({ "id": id }));
            }
            asked += 1;
        }
        assert_eq!(answer.seq(), origin.seq());
        let one = ask(&origin, EVALUATION, &token, &question(&subject, ids[0])).expect(200);
        assert_eq!(one.json(), entries(&answer)[0], "{name}");
    }
    assert!(granted > 50 && asked > 500, "{granted} of {asked}");
}

/// The very next question after a write is answered by it.
#[test]
fn it_is_answered_from_the_database_as_it_is() {
    let origin = Origin::start();
    let subject = format!("vendor:{CUSTOMER_SUBJECT}");
    let decisions = || {
        let answer = ask(&origin, EVALUATIONS, &origin.customer(), &several(&subject, &[5102, 5101, 5101]));
        entries(&answer).iter().map(|entry| entry["decision"] == true).collect::<Vec<_>>()
    };
    assert_eq!(decisions(), [false, false, false]);
    origin.grant(5101).expect(201);
    assert_eq!(decisions(), [false, true, true]);
    origin.write("DELETE", "/items/5101/access?consumer_id=88005", "").expect(204);
    assert_eq!(decisions(), [false, false, false]);
}

#[test]
fn who_may_ask_about_whom() {
    let service = |may: Value, merchants: Value| {
        let mut issuer = json!({
            "issuer": "https://service.example", "namespace": "service", "audience": "none_required",
            "may": may, "keys": {"secret": "TEST_SECRET", "alg": "HS256"},
        });
        if merchants != Value::Null {
            issuer["merchants"] = merchants;
        }
        Origin::with(move |settings| {
            let issuers: Vec<Value> = serde_json::from_str(&settings.variables["ISSUERS"]).unwrap();
            let issuers: Vec<_> = issuers.into_iter().chain([issuer]).collect();
            settings.variables.insert("ISSUERS".to_owned(), Value::from(issuers).to_string());
        })
    };
    let buyer = "vendor:687701d2-7eef-4ae9-a1be-cd432fc3af69";
    let asked = |origin: &Origin| {
        let token = origin.token_of("https://service.example", json!({"sub": "back-end"}));
        ask(origin, EVALUATION, &token, &question(buyer, 5110))
    };
    let origin = service(json!(["check"]), Value::Null);
    let granted = asked(&origin).expect(200).json();
    assert_eq!((&granted["decision"], &granted["context"]["item"]["id"]), (&json!(true), &json!(5110)));
    let of_merchant = asked(&service(json!(["check"]), json!([MERCHANT]))).expect(200).json();
    assert_eq!(of_merchant["decision"], true);
    let of_other = asked(&service(json!(["check"]), json!([OTHER_MERCHANT]))).expect(200).json();
    let context = &of_other["context"];
    assert_eq!((&of_other["decision"], &context["reason"]), (&json!(false), &json!("unknown_item")));
    assert_eq!(context["item"], json!({"id": 5110}), "its merchant is not told");
    asked(&service(json!(["publish"]), Value::Null)).refused(403, "Invalid privileges");
    // A viewer asks about itself.
    let viewer = origin.customer();
    ask(&origin, EVALUATION, &viewer, &question(buyer, 5110)).expect(403);
    let one = ask(&origin, EVALUATIONS, &viewer, &several(buyer, &[5110])).expect(200);
    assert_eq!(entries(&one)[0]["context"]["error"]["status"], 403);
    for token in ["garbage", &format!("{viewer}x")] {
        ask(&origin, EVALUATIONS, token, &several(buyer, &[5110])).expect(401);
    }
    origin.ask("POST", EVALUATIONS).json(&several(buyer, &[5110])).send().expect(401);
}

#[test]
fn bodies_that_are_refused() {
    let origin = Origin::start();
    let (token, subject) = (origin.customer(), format!("vendor:{CUSTOMER_SUBJECT}"));
    let send = |content_type: &str, body: Vec<u8>| {
        origin.ask("POST", EVALUATIONS).bearer(&token).body(content_type, body).send()
    };
    let json = "application/json";
    let body = |items: usize| several(&subject, &vec![5101; items]).to_string().into_bytes();
    assert_eq!(entries(&send(json, body(200)).expect(200)).len(), 200);
    for (content_type, body, status) in [
        (json, body(201), 400),
        (json, b"{".to_vec(), 400),
        (json, b"[]".to_vec(), 400),
        (json, b"{}".to_vec(), 400),
        ("text/plain", body(1), 400),
        ("application/x-www-form-urlencoded", body(1), 400),
        (json, vec![b' '; 256 * 1024 + 1], 413),
    ] {
        send(content_type, body).expect(status);
    }
    let zipped = origin.ask("POST", EVALUATIONS).bearer(&token).header("content-encoding", "gzip");
    zipped.body(json, body(1)).send().expect(415);
    origin.ask("GET", EVALUATIONS).bearer(&token).send().expect(405);
    for path in ["/access/v1/search/resource", "/.well-known/authzen-configuration", "/access/v1/other"] {
        ask(&origin, path, &token, &question(&subject, 5101)).expect(404);
    }
}

#[test]
fn a_token_that_has_ended_is_refused() {
    let origin = Origin::start();
    let token = origin.token(json!({"sub": CUSTOMER_SUBJECT, "mid": MERCHANT}));
    let subject = format!("vendor:{CUSTOMER_SUBJECT}");
    ask(&origin, EVALUATIONS, &token, &several(&subject, &[5101, 5102])).expect(200);
    origin.advance(7_200);
    ask(&origin, EVALUATIONS, &token, &several(&subject, &[5101, 5102])).expect(401);
}
