//! `admit inspect --customer` against the service itself: every way to name a customer, and the origin's
//! answer beside the snapshot's.

use admit_testing::http::{Response, Server};
use serde_json::{Value, json};

use super::Subject;
use crate::{
    bench::{Ended, catalogue},
    service::Service,
};

const UUID: &str = "11a7ed90-65d3-4ee2-9d91-000000000003";

impl Subject {
    /// Runs `admit inspect` as support does, with a token that may only read.
    fn inspect(&self, more: &[&str]) -> Ended {
        let token = Service::scoped(&self.bench, "publisher", "support", "snapshot:read");
        let args = [&["inspect", "--from", &self.service.url], more].concat();
        self.bench.command(&args).env("ADMIT_TOKEN", token).output().unwrap().into()
    }

    fn customer(&self, more: &[&str]) -> Value {
        let ended = self.inspect(&[more, &["--json"]].concat()).ok();
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Adds a customer in the delta, whose subject is the UUID, and another one with the id of an existing
    /// customer.
    fn publish_change(&self) {
        let put = catalogue(9)
            .lines()
            .last()
            .unwrap()
            .replace(r#""subject":"c9""#, r#""subject":"11a7ed90-65d3-4ee2-9d91-000000000009""#);
        let twin = put.replace(r#""id":9,"#, r#""id":3,"#).replace("000000000009", "00000000000a");
        self.bench.write("changes.ndjson", format!("{{\"seq\":8,\"put\":[{put},{twin}]}}\n"));
        let args =
            ["publish", "--changes", "changes.ndjson", "--to", &self.service.url, "--key", "publisher.jwk"];
        self.run(&args).ok();
    }
}

fn published(test: &str) -> Subject {
    let subject = Subject::new(test);
    subject.publish(&format!("{{\"type\":\"snapshot\",\"seq\":7}}\n{}", catalogue(5)), &[]).ok();
    subject
}

#[test]
fn a_customer_is_found_by_every_kind_of_name() {
    let subject = published("customers-found");
    let token = Service::token(&subject.bench, "id", "c3");
    subject.bench.write("viewer.jwt", format!("{token}\n"));
    let ways: [(&[&str], &str, Value); 7] = [
        (&["--customer", "vendor:c3"], "name", json!(["vendor", "c3"])),
        (&["--customer", "c3"], "subject", json!(["vendor", "c3"])),
        (&["--customer", "3"], "number", json!([null, null])),
        (&["--customer", UUID], "uuid", json!([null, null])),
        (&["--customer", &token], "token", json!(["vendor", "c3"])),
        (&["--customer", "@viewer.jwt"], "token", json!(["vendor", "c3"])),
        (&["--token-of", "@viewer.jwt"], "token", json!(["vendor", "c3"])),
    ];
    for (args, found_by, name) in ways {
        let report = subject.customer(&[args, &["--check", "33"]].concat());
        let customer = &report["customer"];
        assert_eq!(
            (&customer["record"]["id"], &customer["found_by"]),
            (&3.into(), &found_by.into()),
            "{args:?}"
        );
        assert_eq!(json!([customer["namespace"], customer["subject"]]), name, "{args:?}");
        assert_eq!(
            (&report["check"]["status"], &report["check"]["reason"]),
            (&200.into(), &"item_access".into())
        );
        assert_eq!(customer["token"].is_object(), found_by == "token", "{args:?}");
    }
    let shown = subject.inspect(&["--customer", &token]).ok().stdout;
    assert!(shown.contains("of https://id.example; its claims were read without verification"), "{shown}");
    assert!(!shown.contains(&token), "{shown}");
    let shown = subject.inspect(&["--customer", "3"]).ok();
    assert!(shown.stdout.contains("Customer   3, from the shard\n           id 3, uuid"), "{}", shown.stdout);
    assert!(shown.stdout.contains("not stored, only a hash of them"), "{}", shown.stdout);
}

#[test]
fn customers_of_the_delta_are_found_and_an_ambiguous_id_is_reported() {
    let subject = published("customers-delta");
    subject.publish_change();
    for who in ["9", "11a7ed90-65d3-4ee2-9d91-000000000009"] {
        let customer = &subject.customer(&["--customer", who])["customer"];
        assert_eq!(
            (&customer["record"]["id"], &customer["record"]["found_in"]),
            (&9.into(), &"delta".into())
        );
        // The subject is the UUID, as with many issuers, so it is known.
        assert_eq!(
            json!([customer["namespace"], customer["subject"]]),
            json!(["vendor", customer["record"]["uuid"]])
        );
    }
    let ended = subject.inspect(&["--customer", "3"]).failed(1, "\"3\" names 2 customers: ");
    for text in [UUID, "vendor:11a7ed90-65d3-4ee2-9d91-00000000000a (", "number 3 of merchant 21"] {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
}

#[test]
fn a_missing_customer_is_told_from_a_misspelt_name() {
    let subject = published("customers-missing");
    let nobody = subject.inspect(&["--customer", "vendor:nobody", "--check", "33"]).ok();
    assert!(
        nobody.stdout.contains("vendor:nobody is not in the snapshot: owns nothing"),
        "{}",
        nobody.stdout
    );
    assert!(nobody.stdout.contains("DENY (402), reason unknown_customer"), "{}", nobody.stdout);
    subject
        .inspect(&["--customer", "vendr:c3"])
        .failed(1, "no namespace \"vendr\"; it has publisher, vendor; did you mean \"vendor\"?");
    subject
        .inspect(&["--customer", "main:c3"])
        .failed(1, "no namespace \"main\"; it has publisher, vendor\n");
    subject.inspect(&["--customer", "77"]).failed(1, "no customer in the snapshot has the number 77");
    let nobody = subject.inspect(&["--customer", "nobody"]).ok();
    assert!(nobody.stdout.contains("looked for in the namespaces publisher, vendor"), "{}", nobody.stdout);
    let stranger = Service::token(&subject.bench, "elsewhere", "c3");
    subject.inspect(&["--customer", &stranger]).failed(
        1,
        "unknown issuer \"https://elsewhere.example\": this edge answers 401 to the token; it has",
    );
    subject.inspect(&["--token-of", "c3"]).failed(1, "expected a JSON Web Token");
    subject.inspect(&["--customer", ""]).failed(1, "found nothing");
}

/// A directory does not know the issuers.
#[test]
fn facts_that_a_store_cannot_tell_are_reported_as_unknown() {
    let subject = published("customers-dir");
    subject.bench.publish("all.ndjson", "dir:store", &[]).ok();
    let inspect = |who: &str| subject.bench.run(&["inspect", "--from", "dir:store", "--customer", who]);
    assert!(inspect("vendor:c3").ok().stdout.contains("Customer   vendor:c3, from the shard"));
    let misspelt = inspect("vendr:c3").ok().stdout;
    assert!(misspelt.contains("unknown whether namespace \"vendr\" exists"), "{misspelt}");
    assert!(!misspelt.contains("owns nothing"), "{misspelt}");
    inspect("c3").failed(1, "write NAMESPACE:SUBJECT");
    for who in ["3", UUID] {
        assert!(inspect(who).ok().stdout.contains("id 3, uuid"), "{who}");
    }
    let token = Service::token(&subject.bench, "id", "c3");
    inspect(&token).failed(1, "name the customer by NAMESPACE:SUBJECT");
    // The Worker's configuration tells the namespaces that the Worker would tell.
    let issuers = r#"[{"issuer":"https://id.example","namespace":"vendor","audience":"none_required","keys":{"secret":"S","alg":"HS256"}}]"#;
    subject.bench.write("wrangler.toml", format!("[vars]\nISSUERS = '{issuers}'\n"));
    let inspect = |who: &str| {
        subject.bench.run(&["inspect", "--from", "dir:store", "--customer", who, "--config", "wrangler.toml"])
    };
    for who in ["c3", "vendor:c3", &token] {
        assert!(inspect(who).ok().stdout.contains("id 3, uuid"), "{who}");
    }
    inspect("vendr:c3").failed(1, "no namespace \"vendr\"; it has vendor; did you mean \"vendor\"?");
    subject.bench.write("wrangler.toml", "");
    inspect("c3").failed(1, "wrangler.toml: vars.ISSUERS is not set");
}

#[test]
fn the_origin_is_asked_too() {
    let subject = published("customers-origin");
    let token = Service::token(&subject.bench, "id", "c9");
    let body = |status: u16, body: Value| (status, body.to_string().into_bytes());
    let access = |id: i64, end: Value| body(200, json!({"expires_at": end, "item": {"id": id}}));
    let denied = json!({"code": 402, "message": "No access", "errors": {"402": "No access"}});
    let cases = [
        (body(402, denied), Some(false), Some(true), "Origin     DENY (402), No access, at its change 8"),
        (access(33, Value::Null), Some(true), Some(false), "Origin     ALLOW (200), for ever"),
        (access(33, "1893456000".into()), Some(true), Some(false), "until 2030-01-01T00:00:00+00:00"),
        (
            access(33, 1_893_456_000_000_i64.into()),
            None,
            None,
            "Origin     cannot tell (200): expires_at looks like milliseconds",
        ),
        (body(200, json!({"item": {"id": 33}})), None, None, "cannot tell (200): expires_at is missing"),
        (access(33, 1.into()), None, None, "cannot tell (200): expires_at is over (1)"),
        (access(34, Value::Null), None, None, "cannot tell (200): item.id must be 33, not 34"),
        (body(404, json!({"message": "Route not found"})), None, None, "cannot tell (404, Route not found)"),
        (body(402, json!({"error": {"code": "402"}})), None, None, "neither the code 402"),
        (body(401, json!({"message": "Invalid auth token"})), None, None, "it does not accept the token"),
        ((200, b"<html>".to_vec()), None, None, "cannot tell (200): Content-Type is missing"),
    ];
    for ((status, body), is_allowed, agrees, text) in cases {
        let expected = format!("Bearer {token}");
        let server = Server::start(move |request| {
            let is_asked =
                request.target == "/items/33/access" && request.header("authorization") == expected;
            let status = if is_asked { status } else { 500 };
            let _ = request.respond(&Response::new(status, body.clone()).header("Entitlement-Seq", "8"));
        });
        let url = server.url();
        let args = ["--token-of", &token, "--check", "33", "--origin", &url];
        let report = subject.customer(&args);
        assert_eq!(
            (&report["check"]["status"], &report["check"]["is_allowed"]),
            (&402.into(), &false.into())
        );
        assert_eq!(
            (&report["origin"]["is_allowed"], &report["origin"]["agrees"]),
            (&json!(is_allowed), &json!(agrees)),
            "{text}: {report:#}"
        );
        let shown = subject.inspect(&args).ok().stdout;
        assert!(
            shown.contains("Snapshot   DENY (402), unknown_customer") && shown.contains(text),
            "{text}: {shown}"
        );
        assert_eq!(shown.contains("they differ"), agrees == Some(false), "{shown}");
    }
    let args = ["--customer", "vendor:c9", "--check", "33", "--origin", "http://127.0.0.1:1"];
    subject.inspect(&args).failed(1, "needs the viewer's token");
    let args = [&args[..], &["--origin-token", &token]].concat();
    let shown = subject.inspect(&args).ok().stdout;
    assert!(shown.contains("cannot tell (no answer)") && !shown.contains("the token names"), "{shown}");
    let args = [
        "--customer",
        "vendor:c3",
        "--check",
        "33",
        "--origin",
        "http://127.0.0.1:1",
        "--origin-token",
        &token,
    ];
    let shown = subject.inspect(&args).ok().stdout;
    assert!(
        shown.contains("the token names the customer \"c9\", and the snapshot was asked for \"c3\""),
        "{shown}"
    );
    subject.inspect(&["--check", "33"]).failed(2, "--customer");
}

/// Support needs no right to change anything.
#[test]
fn a_token_that_only_reads_reads_and_changes_nothing() {
    let subject = published("customers-scope");
    let token = Service::scoped(&subject.bench, "publisher", "support", "snapshot:read");
    let run = |args: &[&str]| -> Ended {
        let args = [args, &["--from", &subject.service.url]].concat();
        subject.bench.command(&args).env("ADMIT_TOKEN", &token).output().unwrap().into()
    };
    run(&["inspect"]).ok();
    run(&["verify", "--key", "publisher.jwk"]).ok();
    run(&["diff", "7", "head"]).ok();
    let lacks =
        "403 Forbidden: Invalid privileges (the token needs the scope snapshot:write or snapshot:collect or";
    run(&["gc"]).failed(1, lacks);
    run(&["rollback", "--to", "7", "--key", "publisher.jwk"]).failed(1, "");
    let args = [
        "publish",
        "--from",
        "all.ndjson",
        "--to",
        &subject.service.url,
        "--key",
        "publisher.jwk",
        "--token",
        &token,
    ];
    subject.bench.run(&args).failed(1, "403 Forbidden");
}
