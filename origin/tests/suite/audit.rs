//! The audit trail: one entry for every write, with actor, request and outcome.

use std::collections::BTreeSet;

use admit::api::contract::{ENDPOINTS, Kind, WriteAction};
use serde_json::{Value, json};

use crate::support::{CUSTOMER, MERCHANT, MERCHANT_UUID, Origin, PASSWORD, Response, by_password, command};

/// The entries that `origin audit --json` prints.
fn trail(origin: &Origin, filter: &[&str]) -> Vec<Value> {
    let shown = command(origin, &[&["audit", "--json"], filter].concat(), "").unwrap();
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(origin: &Origin, method: &str, path: &str, form: &str, request_id: &str) -> Response {
    let claims =
        json!({"sub": "editor", "mid": MERCHANT, "ctx": ["merchant"], "jti": "jti-1", "client_id": "cms"});
    origin
        .ask(method, path)
        .bearer(&origin.token(claims))
        .header("x-request-id", request_id)
        .form(form)
        .send()
}

/// Every write of the API: method, path, form, action. `{…}` stands for numbers of the run.
fn writes(origin: &Origin) -> Vec<(&'static str, String, String, &'static str)> {
    let export = origin.feed("/export").lines();
    let find = |test: &dyn Fn(&Value) -> bool| export.iter().find(|line| test(line)).unwrap().clone();
    let access_type = find(&|line| line["type"] == "access_type" && line["account_id"] == MERCHANT);
    let package = find(&|line| {
        line["type"] == "item"
            && line["item_type"]["name"] == "package"
            && line["merchant_id"] == MERCHANT
            && line["is_active"] == true
    });
    let fee = format!("access_type_id={}&amount=1&currency=EUR&description=d", access_type["id"]);
    let bulk: String =
        fee.split('&').map(|pair| format!("&access_fees[0][{}", pair.replacen('=', "]=", 1))).collect();
    let item = "item_type=brightcove_asset&title=T".to_owned();
    let grant = format!("item_id=5101&consumer_id={CUSTOMER}&expires_at=2100-01-01");
    vec![
        ("POST", "/items/access".into(), grant, "access.grant"),
        ("DELETE", format!("/items/5101/access?consumer_id={CUSTOMER}"), String::new(), "access.revoke"),
        ("POST", "/v2/items".into(), item.clone(), "item.create"),
        ("PUT", "/v2/items/{item}".into(), item, "item.replace"),
        ("PATCH", "/v2/items/{item}".into(), "title=U".into(), "item.change"),
        ("POST", "/v2/items/{item}/access-fees".into(), fee.clone(), "fee.create"),
        ("PUT", "/v2/items/{item}/access-fees/{fee}".into(), fee, "fee.replace"),
        (
            "PATCH",
            "/v2/items/{item}/access-fees/bulk".into(),
            format!("access_fees[0][id]=0{bulk}"),
            "fee.bulk",
        ),
        ("DELETE", "/v2/items/{item}/access-fees/{fee}".into(), String::new(), "fee.delete"),
        (
            "PATCH",
            format!("/v2/items/packages/{}/bulk", package["id"]),
            "add_asset_ids[]={item}".into(),
            "package.members",
        ),
        ("DELETE", "/v2/items/{item}".into(), String::new(), "item.delete"),
    ]
}

#[test]
fn every_write_has_one_entry() {
    let origin = Origin::start();
    let (mut item, mut fee, mut access) = (Value::Null, Value::Null, Value::Null);
    let mut seen = BTreeSet::new();
    for (number, (method, path, form, action)) in writes(&origin).into_iter().enumerate() {
        let fill = |text: &str| text.replace("{item}", &item.to_string()).replace("{fee}", &fee.to_string());
        let (path, form, id) = (fill(&path), fill(&form), format!("request-{number}"));
        let answer = write(&origin, method, &path, &form, &id);
        assert!(matches!(answer.status, 201 | 204), "{method} {path}: {}", answer.text);
        assert_eq!(answer.header("x-request-id"), Some(id.as_str()), "the answer names the entry");
        let entries = trail(&origin, &["--actor", &id]);
        assert_eq!(entries.len(), 1, "{method} {path}");
        let made = (answer.status == 201).then(|| answer.json()["id"].clone());
        match action {
            "item.create" => item = made.unwrap(),
            "fee.create" => fee = made.unwrap(),
            "access.grant" => access = made.unwrap(),
            _ => {}
        }
        let (object, item_id) = match action {
            "access.grant" | "access.revoke" => (format!("access:{access}"), json!(5101)),
            "fee.create" | "fee.replace" | "fee.delete" => (format!("fee:{fee}"), item.clone()),
            "package.members" => {
                let id = path.split('/').nth(4).unwrap();
                (format!("item:{id}"), json!(id.parse::<i64>().unwrap()))
            }
            _ => (format!("item:{item}"), item.clone()),
        };
        let customer = if action.starts_with("access.") { json!(CUSTOMER) } else { Value::Null };
        let expected = json!({
            "id": entries[0]["id"], "seq": answer.seq(), "at": origin.now(), "merchant_id": MERCHANT,
            "issuer": "https://vendor.dev.admit.example", "actor": "vendor:editor", "client": "cms",
            "jti": "jti-1", "request_id": id, "address": "127.0.0.1", "action": action, "object": object,
            "item_id": item_id, "customer_id": customer, "outcome": "done",
        });
        assert_eq!(entries[0], expected);
        seen.insert(action);
    }
    let operations = ENDPOINTS.iter().flat_map(|endpoint| endpoint.operations);
    let writes = operations.filter_map(|operation| match operation.kind {
        Kind::Write(action) => Some(action),
        _ => None,
    });
    assert_eq!(seen, writes.map(WriteAction::name).collect());
    // One command shows both the grant and the revocation of access N.
    let found = trail(&origin, &["--object", &format!("access:{access}")]);
    let actions: Vec<_> = found.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["access.grant", "access.revoke"]);
    assert_eq!(trail(&origin, &["--customer", &CUSTOMER.to_string(), "--item", "5101"]), found);
    assert_eq!(trail(&origin, &["--action", "access."]), found);
    assert!(trail(&origin, &["--since", "1h", "--merchant", "1"]).is_empty());
    let last = found[1]["id"].to_string();
    assert!(trail(&origin, &["--after", &last]).iter().all(|entry| entry["action"] != "access.revoke"));
}

#[test]
fn a_revocation_of_several_accesses_names_each() {
    let origin = Origin::start();
    let ids: Vec<_> = (0..3).map(|_| origin.grant(5101).expect(201).json()["id"].to_string()).collect();
    origin.write("DELETE", &format!("/items/5101/access?consumer_id={CUSTOMER}"), "").expect(204);
    for id in &ids {
        let found = trail(&origin, &["--object", &format!("access:{id}")]);
        let objects: Vec<_> = found.iter().map(|entry| entry["object"].as_str().unwrap()).collect();
        assert_eq!(objects, [format!("access:{id}"), format!("access:{}", ids.join("+"))]);
    }
    assert!(trail(&origin, &["--object", "access:1"]).is_empty());
}

#[test]
fn a_refused_write_has_an_entry_that_changes_nothing() {
    let origin = Origin::start();
    let seq = origin.seq();
    for (number, (method, path, form, action)) in writes(&origin).into_iter().enumerate() {
        // No record has this number; grants get a customer that does not exist.
        let fill = |text: &str| text.replace("{item}", "999").replace("{fee}", "999").replace("5101", "999");
        let id = format!("refused-{number}");
        let form = if action == "item.create" { "title=" } else { &fill(&form) };
        let answer = write(&origin, method, &fill(&path), form, &id);
        assert!((400..=422).contains(&answer.status), "{method} {path}: {}", answer.text);
        let entries = trail(&origin, &["--actor", &id]);
        assert_eq!(entries.len(), 1, "{method} {path}");
        let outcome = entries[0]["outcome"].as_str().unwrap();
        assert!(outcome.starts_with(&answer.status.to_string()), "{outcome}");
        assert_eq!((&entries[0]["action"], &entries[0]["seq"]), (&json!(action), &Value::Null));
    }
    assert_eq!(origin.seq(), seq);
    // A replayed write is not made again, and has no entry of its own.
    let form = format!("item_id=5101&consumer_id={CUSTOMER}&expires_at=2100-01-01");
    for _ in 0..2 {
        let ask =
            origin.ask("POST", "/items/access").bearer(&origin.merchant()).header("idempotency-key", "k");
        ask.form(&form).send().expect(201);
    }
    assert_eq!(trail(&origin, &["--action", "access.grant", "--actor", "vendor:merchant"]).len(), 1);
}

#[test]
fn strangers_cost_counts_and_no_entries() {
    let origin = Origin::start();
    let entries = trail(&origin, &[]).len();
    let viewer = origin.customer();
    for _ in 0..30 {
        origin.ask("PATCH", "/v2/items/5101").bearer(&viewer).form("title=T").send().expect(403);
        let form = "grant_type=client_credentials&client_id=x&client_secret=y";
        origin.ask("POST", "/accounts/authenticate").form(form).send().expect(401);
    }
    assert_eq!(trail(&origin, &[]).len(), entries);
    let made_up = "grant_type=refresh_token&client_id=x&refresh_token=y";
    origin.ask("POST", "/accounts/authenticate").form(made_up).send().expect(401);
    origin.ask("POST", "/oauth2/token").form(made_up).send().expect(400);
    // The one thread for tokens answers this only after it has settled the request before, by the old clock.
    origin.ask("GET", "/oauth2/authorize?client_id=x").send().expect(400);
    origin.advance(61);
    // A check does not store counts: its thread must not wait for writes.
    origin.check(5101).expect(402);
    assert_eq!(command(&origin, &["audit", "--counts", "--json"], "").unwrap(), "");
    // They are stored after the answer of the next write.
    origin.write("PATCH", "/v2/items/5101", "title=T").expect(201);
    let mut counts = Vec::<Value>::new();
    for _ in 0..1_000 {
        let shown = command(&origin, &["audit", "--counts", "--json"], "").unwrap();
        counts = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if !counts.is_empty() {
            break;
        }
    }
    let of = |action: &str| counts.iter().find(|count| count["action"] == action).unwrap()["count"].clone();
    assert_eq!((of("write"), counts.len()), (json!(30), 3), "{counts:?}");
    let sign_ins = counts.iter().filter(|count| count["action"] == "sign_in");
    let sign_ins: BTreeSet<_> = sign_ins
        .map(|count| (count["outcome"].as_str().unwrap(), count["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(sign_ins, [("400 invalid grant", 1), ("401 wrong credentials", 31)].into());
}

#[test]
fn sign_ins_and_stolen_tokens() {
    let origin = Origin::start();
    let arguments = ["client", "set", "--client-id", "shop", "--merchant", "2101", "--role", "merchant"];
    let secret = command(&origin, &arguments, "").unwrap();
    let program = format!("grant_type=client_credentials&client_id=shop&client_secret={}", secret.trim());
    command(&origin, &["account", "set", "--merchant", "2101", "--username", "ed"], PASSWORD).unwrap();
    let person = by_password(MERCHANT_UUID, "ed", PASSWORD);
    let ask = |id: &str, form: &str| {
        origin.ask("POST", "/accounts/authenticate").header("x-request-id", id).form(form).send()
    };
    ask("sign-in-1", &program).expect(200);
    let refresh = ask("sign-in-2", &person).expect(200).json()["refresh_token"].clone();
    for (id, kind) in [("sign-in-1", "client:shop"), ("sign-in-2", "account:")] {
        let entries = trail(&origin, &["--actor", id]);
        assert_eq!((entries.len(), &entries[0]["action"]), (1, &json!("sign_in")));
        assert!(entries[0]["object"].as_str().unwrap().starts_with(kind), "{}", entries[0]);
    }
    // The token is used, and comes back much later.
    let token = refresh.as_str().unwrap();
    let form = format!("grant_type=refresh_token&client_id={MERCHANT_UUID}&refresh_token={token}");
    ask("honest-1", &form).expect(200);
    origin.advance(300);
    ask("thief-1", &form).expect(401);
    let stolen = trail(&origin, &["--action", "session.stolen"]);
    assert_eq!(stolen.len(), 1);
    let expected = (&json!("thief-1"), &json!(MERCHANT));
    assert_eq!((&stolen[0]["request_id"], &stolen[0]["merchant_id"]), expected);
    // The family has ended, so a further use is not reported again.
    ask("thief-2", &form).expect(401);
    assert_eq!(trail(&origin, &["--action", "session.stolen"]).len(), 1);
}

/// A program signs in as often as it likes, which must not push other entries out.
#[test]
fn a_program_that_signs_in_all_the_time_has_an_entry_an_hour() {
    let origin = Origin::start();
    let arguments = ["client", "set", "--client-id", "shop", "--merchant", "2101", "--role", "merchant"];
    let secret = command(&origin, &arguments, "").unwrap();
    let program = format!("grant_type=client_credentials&client_id=shop&client_secret={secret}");
    let before = trail(&origin, &[]).len();
    for path in ["/accounts/authenticate", "/oauth2/token"] {
        for _ in 0..20 {
            origin.ask("POST", path).form(&program).send().expect(200);
        }
    }
    assert_eq!(trail(&origin, &[]).len(), before + 1);
    let counts = command(&origin, &["audit", "--counts", "--json"], "").unwrap();
    let count: Value = serde_json::from_str(counts.trim()).unwrap();
    assert_eq!((&count["action"], &count["count"]), (&json!("sign_in"), &json!(40)));
    origin.advance(3_600);
    origin.ask("POST", "/oauth2/token").form(&program).send().expect(200);
    assert_eq!(trail(&origin, &["--object", "client:shop", "--action", "sign_in"]).len(), 2);
}

#[test]
fn every_command_has_an_entry() {
    let origin = Origin::start();
    let client = "5hq2v8mfernhollowweb71c0";
    let table: [(&[&str], &str, &str); 8] = [
        (&["customer", "add", "--merchant", "2101", "--customer", "vendor:new"], "", "customer.add"),
        (
            &[
                "account",
                "set",
                "--merchant",
                "2101",
                "--username",
                "new@example.com",
                "--customer",
                "vendor:new",
            ],
            "long enough a password",
            "account.set",
        ),
        (&["revoke", "--customer", "vendor:new"], "", "token.revoke"),
        (&["customer", "remove", "--customer", "vendor:new"], "", "customer.remove"),
        (&["client", "set", "--client-id", "p", "--merchant", "2101"], "", "client.set"),
        (
            &["client", "redirect", "--client-id", client, "--uri", "https://a.example/cb"],
            "",
            "client.redirect",
        ),
        (&["client", "mark", "--client-id", client, "--for", "merchant"], "", "client.mark"),
        (&["keys", "rotate"], "", "keys.rotate"),
    ];
    assert_eq!(trail(&origin, &["--action", "import"]).len(), 1);
    for (arguments, input, action) in table {
        command(&origin, arguments, input).unwrap();
        let entries = trail(&origin, &["--action", action]);
        assert_eq!(entries.len(), 1, "{action}");
        assert_eq!(entries[0]["issuer"], "command");
        assert!(entries[0]["actor"].as_str().unwrap().contains('@'), "{}", entries[0]);
    }
    let kid = command(&origin, &["keys", "rotate"], "").unwrap();
    command(&origin, &["keys", "revoke", kid.trim(), "--end-sessions"], "").unwrap();
    assert_eq!(trail(&origin, &["--object", &format!("key:{}", kid.trim())]).len(), 2);
    assert_eq!(trail(&origin, &["--action", "sessions.end"]).len(), 1);
    command(&origin, &["revoke", "--token", "j"], "").unwrap();
    assert_eq!(trail(&origin, &["--object", "token:j"]).len(), 1);
    // For a removed customer, the trail has a number, and neither subject nor address.
    let all = command(&origin, &["audit", "--json"], "").unwrap();
    assert!(!all.contains("new@example.com") && !all.contains("vendor:new"), "{all}");
    assert!(command(&origin, &["audit"], "").unwrap().lines().count() > 8);
    for wrong in [&["audit", "--since", "soon"][..], &["revoke"], &["keys", "revoke", "none"]] {
        assert!(command(&origin, wrong, "").is_err(), "{wrong:?}");
    }
}
