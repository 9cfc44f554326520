//! Calls of other Workers over a service binding: the entrypoint `Entitlements`, what the props of a binding allow, and
//! the Worker of `examples/video-gate`. Run by `cargo xtask test`.

use serde_json::{Value, json};

use crate::{catalogue, issuers, personas, playback, subject::Subject as _, wire::Wire, workerd::Workerd};

/// More calls of one viewer than an isolate needs to know the viewer.
const CALLS: usize = 5;

fn started() -> Workerd {
    let worker = Workerd::start(&issuers::variables());
    catalogue::publish(&worker, 1);
    worker
}

fn check(worker: &Workerd, binding: &str, token: &str, item: i64) -> Value {
    let told = worker.call(binding, "check", &json!([token, item]));
    assert!(told["error"].is_null(), "{told}");
    told["result"].clone()
}

/// The code of a refusal, or 200.
fn code(result: &Value) -> i64 {
    if result["access"] == true || result["ok"] == true { 200 } else { result["code"].as_i64().unwrap() }
}

/// A call gives what the route gives, for viewers of all kinds, whether or not they are known.
#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_check_is_that_of_the_route() {
    let worker = started();
    for persona in personas::all() {
        let token = worker.token(&persona.name);
        let answer = worker.send(&Wire::get(&format!("/items/{}/access", persona.item_id)).bearer(&token));
        let body = answer.json();
        let expected = if answer.status == 200 {
            let mut granted = json!({
                "access": true, "expires_at": body["expires_at"], "access_id": body["id"],
                "merchant_id": body["account_id"], "created_at": body["created_at"],
            });
            if !body["starts_at"].is_null() {
                granted["starts_at"] = body["starts_at"].clone();
            }
            granted
        } else {
            json!({ "access": false, "code": answer.status, "message": body["message"] })
        };
        for round in 0..CALLS {
            let mut told = check(&worker, "ANY", &token, persona.item_id);
            if body["id"] == 0 && answer.status == 200 {
                // The moment of the check, where nothing else says when it was granted.
                told["created_at"] = body["created_at"].clone();
            }
            assert_eq!(told, expected, "{}, {round}", persona.name);
        }
        let licenses = worker.call("ANY", "licenses", &json!([token]))["result"].clone();
        let answer = worker.send(&Wire::get("/license").bearer(&token));
        assert_eq!(code(&licenses), i64::from(answer.status), "{}: {licenses}", persona.name);
        if answer.status == 200 {
            let mut body = answer.json();
            body["ok"] = true.into();
            assert_eq!(licenses, body, "{}", persona.name);
        }
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_call_may_be_the_first_of_an_isolate() {
    let worker = Workerd::start(&issuers::variables());
    let token = worker.token("subscriber");
    let told = check(&worker, "ANY", &token, 5101);
    assert_eq!(told, json!({ "access": false, "code": 503, "message": "Service unavailable" }));
    catalogue::publish(&worker, 1);
    assert_eq!(code(&check(&worker, "ANY", &token, 5101)), 200);
    // An invalid configuration answers no call.
    let worker = Workerd::start(&[("ISSUERS".to_owned(), "[]".to_owned())]);
    let told = check(&worker, "ANY", &token, 5101);
    assert_eq!(told, json!({ "access": false, "code": 500, "message": "Internal error" }));
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn invalid_arguments_are_refused() {
    let worker = started();
    let token = worker.token("subscriber");
    for token in [json!(null), json!(""), json!("a.b.c"), json!(5101), json!({}), json!(format!("{token} x"))]
    {
        let told = worker.call("ANY", "check", &json!([token, 5101]))["result"].clone();
        assert_eq!(code(&told), 401, "{token}: {told}");
    }
    for item in
        [json!(null), json!("5101"), json!(0), json!(-1), json!(1.5), json!("5101/access?a="), json!([5101])]
    {
        for method in ["check", "playback"] {
            let told = worker.call("ANY", method, &json!([token, item]))["result"].clone();
            assert_eq!(code(&told), 422, "{method} {item}: {told}");
        }
    }
    // The viewer's device is not trusted to be well-formed.
    for viewer in
        [json!(null), json!("x"), json!({ "address": 1, "country": [] }), json!({ "address": "x y" })]
    {
        let told = worker.call("ANY", "check", &json!([token, 5101, viewer]))["result"].clone();
        assert_eq!(code(&told), 200, "{viewer}: {told}");
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_binding_is_held_to_its_merchant() {
    let worker = started();
    let [fan, subscriber] = ["season-pass", "subscriber"].map(|name| worker.token(name));
    let refused = json!({
        "access": false, "code": 403, "message": "Invalid privileges", "reason": "other_merchant",
    });
    for _ in 0..CALLS {
        assert_eq!(code(&check(&worker, "ANY", &fan, 6203)), 200);
        assert_eq!(code(&check(&worker, "TIDEGATE", &fan, 6203)), 200);
        // The same answer, whether or not the viewer may play the item.
        assert_eq!(check(&worker, "FERNHOLLOW", &fan, 6203), refused);
        assert_eq!(check(&worker, "FERNHOLLOW", &subscriber, 6203), refused);
        assert_eq!(check(&worker, "TIDEGATE", &subscriber, 5101), refused);
        // The item of this merchant and the viewer of another one.
        assert_eq!(check(&worker, "FERNHOLLOW", &fan, 5101), refused);
    }
    assert_eq!(code(&check(&worker, "FERNHOLLOW", &subscriber, 5101)), 200);
    assert_eq!(code(&check(&worker, "FERNHOLLOW", &worker.token("never-bought"), 5101)), 402);
    assert_eq!(code(&check(&worker, "FERNHOLLOW", &subscriber, 5999)), 404);
    let licenses =
        |binding: &str, token: &str| worker.call(binding, "licenses", &json!([token]))["result"].clone();
    assert_ne!(licenses("FERNHOLLOW", &subscriber)["items"], json!([]));
    assert_eq!(licenses("TIDEGATE", &subscriber)["items"], json!([]));
    assert_eq!(worker.call("TIDEGATE", "playback", &json!([subscriber, 5101]))["result"], refused);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn many_items_are_asked_for_in_one_call() {
    let worker = started();
    let items = json!([5101, 6203, 5999, 5150, 5140]);
    for name in ["subscriber", "never-bought", "season-pass"] {
        let token = worker.token(name);
        let told = worker.call("ANY", "checkMany", &json!([token, items]))["result"].clone();
        let wire = Wire::get("/access?items=5101,6203,5999,5150,5140").bearer(&token);
        let mut expected = worker.send(&wire).json();
        expected["ok"] = true.into();
        assert_eq!(told, expected, "{name}");
        let merchant = if name == "season-pass" { "TIDEGATE" } else { "FERNHOLLOW" };
        // Nothing is told about other merchants' items and viewers. An unknown item has no merchant.
        for (binding, own) in
            [("FERNHOLLOW", [5999, 5101, 5150, 5140].as_slice()), ("TIDEGATE", &[5999, 6203])]
        {
            let told = worker.call(binding, "checkMany", &json!([token, items]))["result"].clone();
            let told = told["items"].as_array().unwrap().iter();
            for (item, unrestricted) in told.zip(expected["items"].as_array().unwrap()) {
                let (id, at) = (item["id"].as_i64().unwrap(), format!("{name}, {binding}: {item}"));
                if own.contains(&id) && (merchant == binding || unrestricted["code"] == 404) {
                    assert_eq!(item, unrestricted, "{at}");
                } else {
                    assert_eq!(item, &json!({ "id": id, "access": false, "code": 403 }), "{at}");
                }
            }
        }
    }
    let token = worker.token("subscriber");
    let many: Vec<i64> = (1..=200).collect();
    let told = worker.call("ANY", "checkMany", &json!([token, many]))["result"].clone();
    assert_eq!(told["items"].as_array().map(Vec::len), Some(200));
    for items in
        [json!([]), json!(5101), json!(["5101"]), json!([5101, null]), json!((1..=201).collect::<Vec<_>>())]
    {
        let told = worker.call("ANY", "checkMany", &json!([token, items]))["result"].clone();
        assert_eq!(code(&told), 422, "{items}: {told}");
    }
    assert_eq!(code(&worker.call("ANY", "checkMany", &json!(["a.b.c", [5101]]))["result"]), 401);
    assert_eq!(code(&worker.call("LICENSES", "checkMany", &json!([token, [5101]]))["result"]), 403);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_binding_is_held_to_its_methods() {
    let worker = started();
    let token = worker.token("subscriber");
    let told = check(&worker, "LICENSES", &token, 5101);
    let refused = json!({
        "access": false, "code": 403, "message": "Invalid privileges", "reason": "may_not_call",
    });
    assert_eq!(told, refused);
    assert_eq!(worker.call("LICENSES", "playback", &json!([token, 5101]))["result"], refused);
    assert_eq!(worker.call("LICENSES", "licenses", &json!([token]))["result"]["ok"], true);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_binding_with_invalid_props_is_answered_nothing() {
    let worker = started();
    let token = worker.token("subscriber");
    for (binding, problem) in [
        ("MISSPELT", "unknown member \"merchants\", expected merchant or capabilities"),
        ("UNKNOWN", "capabilities: expected a list of check"),
    ] {
        for method in ["check", "checkMany", "licenses", "playback", "explain"] {
            let told = worker.call(binding, method, &json!([token, 5101]));
            let error = told["error"].as_str().unwrap_or_else(|| panic!("{binding}.{method}: {told}"));
            assert!(error.starts_with("TypeError: Invalid props") && error.contains(problem), "{error}");
        }
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn playback_is_signed_for_calls() {
    let worker = Workerd::start(&playback::variables());
    catalogue::publish(&worker, 1);
    let mut signed = 0;
    for persona in personas::all() {
        let token = worker.token(&persona.name);
        let told = worker.call("ANY", "playback", &json!([token, persona.item_id]))["result"].clone();
        let answer = worker.send(&Wire::get(&format!("/items/{}/playback", persona.item_id)).bearer(&token));
        assert_eq!(code(&told), i64::from(answer.status), "{}: {told}", persona.name);
        if answer.status == 200 {
            let sources = |body: &Value| body["sources"].as_array().unwrap().len();
            assert_eq!(told["expires_at"], answer.json()["expires_at"], "{}", persona.name);
            assert_eq!(sources(&told), sources(&answer.json()), "{}", persona.name);
            signed += 1;
        }
    }
    assert!(signed > 0);
}

/// The usual variables, but viewers' tokens may explain.
fn explaining() -> Vec<(String, String)> {
    let mut variables = issuers::variables();
    for (name, value) in &mut variables {
        if name == "ISSUERS" {
            let mut issuers: Value = serde_json::from_str(value).unwrap();
            for issuer in issuers.as_array_mut().unwrap().iter_mut().filter(|it| it["namespace"] == "vendor")
            {
                issuer["may"] = json!(["view", "explain"]);
            }
            *value = issuers.to_string();
        }
    }
    variables
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_decision_is_explained() {
    let worker = Workerd::start(&explaining());
    catalogue::publish(&worker, 1);
    let mut obstacles = 0;
    for persona in personas::all().iter().filter(|persona| persona.issuer == "vendor") {
        let token = worker.token(&persona.name);
        let customer = format!("vendor:{}", persona.claim("sub").unwrap());
        let question = json!({
            "subject": { "type": "customer", "id": customer }, "action": { "name": "play" },
            "resource": { "type": "item", "id": persona.item_id.to_string() },
        });
        let wire = Wire::post("/access/v1/evaluation", question.to_string().into_bytes());
        let answer = worker.send(&wire.bearer(&token).header("Content-Type", "application/json"));
        let told =
            worker.call("ANY", "explain", &json!([token, persona.item_id, customer]))["result"].clone();
        assert_eq!(code(&told), i64::from(answer.status), "{}: {told}", persona.name);
        if answer.status != 200 {
            continue;
        }
        let mut expected = answer.json()["context"].clone();
        expected["ok"] = true.into();
        expected["access"] = answer.json()["decision"].clone();
        assert_eq!(told, expected, "{}", persona.name);
        assert_eq!(told["access"], persona.access == 200, "{}: {told}", persona.name);
        let considered = told["considered"].as_array().unwrap_or_else(|| panic!("{}: {told}", persona.name));
        obstacles += considered.iter().filter(|grant| grant["obstacle"].is_string()).count();
    }
    assert!(obstacles > 0);
    // Customers that the token may not ask about, and questions that the binding may not ask.
    let fan = worker.token("season-pass");
    let of = |name: &str| {
        let persona = personas::all().iter().find(|persona| persona.name == name).unwrap();
        format!("vendor:{}", persona.claim("sub").unwrap())
    };
    let explain = |binding: &str, item: Value, customer: Value| {
        worker.call(binding, "explain", &json!([fan, item, customer]))["result"].clone()
    };
    assert_eq!(code(&explain("ANY", json!(5101), json!(of("subscriber")))), 403);
    assert_eq!(code(&explain("LICENSES", json!(6203), json!(of("season-pass")))), 403);
    assert_eq!(code(&explain("ANY", json!("6203"), json!(of("season-pass")))), 422);
    assert_eq!(code(&explain("ANY", json!(6203), json!(null))), 422);
    let own = explain("TIDEGATE", json!(6203), json!(of("season-pass")));
    assert_eq!(
        (&own["access"], own["considered"].as_array().is_some_and(|it| !it.is_empty())),
        (&json!(true), true)
    );
    let foreign = explain("FERNHOLLOW", json!(6203), json!(of("season-pass")));
    assert_eq!((&foreign["access"], &foreign["considered"]), (&json!(false), &json!([])), "{foreign}");
    assert_eq!(foreign["reason"], "other_merchant");
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn the_example_serves_videos_to_viewers_with_access_alone() {
    let worker = started();
    let video = |item: i64| Wire::get(&format!("/videos/{item}/main.mp4"));
    let answer = worker.gate(&video(5101).bearer(&worker.token("subscriber")).header("Range", "bytes=0-99"));
    assert_eq!((answer.status, answer.header("cache-control")), (206, Some("private, no-store")));
    // The viewer's token stays here.
    let asked = json!({ "url": "https://media.example/films/5101/main.mp4", "authorization": null, "range": "bytes=0-99" });
    assert_eq!(answer.json(), asked);

    let denied = worker.gate(&video(5101).bearer(&worker.token("never-bought")));
    assert_eq!((denied.status, denied.json()), (402, json!({ "message": "No access" })));
    let anonymous = worker.gate(&video(5101));
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, Some("Bearer")));
    // An item of another merchant than that of the binding.
    assert_eq!(worker.gate(&video(6203).bearer(&worker.token("season-pass"))).status, 403);
    assert_eq!(worker.gate(&video(5999).bearer(&worker.token("subscriber"))).status, 404);
    assert_eq!(worker.gate(&Wire::get("/")).status, 404);
    // Nothing but an answer opens a video.
    let worker = Workerd::start(&issuers::variables());
    let unknown = worker.gate(&video(5101).bearer(&worker.token("subscriber")));
    assert_eq!((unknown.status, unknown.header("retry-after")), (503, Some("5")));
}
