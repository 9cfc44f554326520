//! `admit check`: many questions to a snapshot, and to the service itself.

use serde_json::{Value, json};

use super::Subject;
use crate::{
    bench::{Ended, catalogue},
    service::Service,
};

/// The catalogue with an expired access of c3, and item 34, on which no customer has an access.
fn published(test: &str) -> Subject {
    let subject = Subject::new(test);
    let ended = r#"{"id":3,"item_id":33,"created_at":1700000000"#;
    let lines = catalogue(3).replace(ended, &format!(r#"{ended},"expires_at":1700000001"#));
    let item = lines.lines().nth(1).unwrap().replace("\"id\":33", "\"id\":34");
    subject.publish(&[lines, item].join("\n"), &[]).ok();
    subject
}

impl Subject {
    fn ask(&self, more: &[&str]) -> Ended {
        self.run(&[&["check", "--from", &self.service.url], more].concat())
    }

    /// Asks the service itself with a viewer's token.
    fn ask_edge(&self, viewer: &str, more: &[&str]) -> Ended {
        let token = Service::token(&self.bench, "id", viewer);
        let args = [&["check", "--url", &self.service.url], more].concat();
        self.bench.command(&args).env("ADMIT_TOKEN", token).output().unwrap().into()
    }
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Customer, item, status and reason of each line.
fn shown(ended: &Ended) -> Vec<Value> {
    let one = |line: Value| json!([line["customer"], line["item_id"], line["status"], line["reason"]]);
    lines(ended).into_iter().map(one).collect()
}

#[test]
fn a_snapshot_is_asked_for_each_customer_and_item() {
    let subject = published("check-snapshot");
    let customers = ["--customer", "vendor:c1", "--customer", "vendor:c3", "--customer", "vendor:c9"];
    let ended = subject.ask(&[&customers[..], &["33", "35", "--json"]].concat()).ok();
    assert_eq!(
        shown(&ended),
        [
            json!(["vendor:c1", 33, 200, "item_access"]),
            json!(["vendor:c1", 35, 404, "unknown_item"]),
            json!(["vendor:c3", 33, 402, "expired"]),
            json!(["vendor:c3", 35, 404, "unknown_item"]),
            json!(["vendor:c9", 33, 402, "unknown_customer"]),
            json!(["vendor:c9", 35, 404, "unknown_item"]),
        ]
    );
    assert_eq!(lines(&ended)[4]["note"], "not in the snapshot: owns nothing");
    assert_eq!(lines(&ended)[0].get("grants"), None);
    let table = subject.ask(&[&customers[..4], &["33"]].concat()).ok().stdout;
    assert_eq!(
        table,
        "vendor:c1  33  access   200  item_access, for ever\nvendor:c3  33  denied   402  expired\n"
    );
    // The same decision as `admit inspect --check`, at another moment.
    let ended =
        subject.ask(&["--customer", "vendor:c3", "33", "--at", "1700000000", "--explain", "--json"]).ok();
    let report = subject.json(&["inspect", "--customer", "vendor:c3", "--check", "33", "--at", "1700000000"]);
    let line = &lines(&ended)[0];
    for name in ["item_id", "status", "is_allowed", "reason", "expires_at", "grants"] {
        assert_eq!(line[name], report["check"][name], "{name}");
    }
    assert_eq!(line["is_allowed"], true);
    let explained = subject.ask(&["--customer", "vendor:c3", "33", "--explain"]).ok().stdout;
    assert!(explained.contains("\n    - item_access 3, "), "{explained}");
    assert!(explained.ends_with(": expired (shard)\n"), "{explained}");
}

#[test]
fn questions_come_from_files_and_standard_input() {
    let subject = published("check-file");
    let text =
        "# support ticket 4711\nvendor:c1 33\n\n{\"customer\":\"vendor:c2\",\"item\":34}\nvendr:c1 33\n";
    subject.bench.write("pairs.txt", text);
    let ended = subject.ask(&["--file", "pairs.txt", "--json"]).failed(1, "admit: 1 check without an answer");
    assert_eq!(
        shown(&ended),
        [
            json!(["vendor:c1", 33, 200, "item_access"]),
            json!(["vendor:c2", 34, 402, "no_grant"]),
            json!(["vendr:c1", 33, null, null]),
        ]
    );
    let problem = lines(&ended)[2]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("no namespace \"vendr\"") && problem.contains("did you mean"), "{problem}");
    // Items alone are for all customers of the arguments.
    subject.bench.write("items.txt", "33\n34\n");
    let ended = subject.ask(&["--customer", "vendor:c1", "--file", "items.txt", "--json"]).ok();
    assert_eq!(shown(&ended).len(), 2);
    subject.ask(&["--file", "items.txt"]).failed(2, "items.txt:1: expected CUSTOMER ITEM, or --customer");
    subject.bench.write("wrong.txt", "vendor:c1 33\nvendor:c1 film\n");
    let ended =
        subject.ask(&["--file", "wrong.txt"]).failed(2, "wrong.txt:2: \"film\" is not an item's number");
    assert_eq!(ended.stdout, "", "nothing is asked if a line is invalid");
    subject.ask(&["33"]).failed(2, "--customer is missing");
    subject.ask(&["--customer", "vendor:c1", "--file", "gone.txt"]).failed(2, "cannot read gone.txt");
}

#[test]
fn another_answer_than_the_expected_one_is_a_failure() {
    let subject = published("check-expect");
    let ask = |customer: &str, answer: &str| subject.ask(&["--customer", customer, "33", "--expect", answer]);
    ask("vendor:c1", "access").ok();
    ask("vendor:c3", "denied").ok();
    ask("vendor:c3", "access").failed(1, "admit: 1 check denied, against --expect");
    ask("vendor:c1", "denied").failed(1, "admit: 1 check granted, against --expect");
    ask("vendor:c1", "maybe").failed(2, "invalid value 'maybe'");
}

#[test]
fn an_edge_is_asked_as_a_player_asks_it() {
    let subject = published("check-edge");
    let ended =
        subject.ask_edge("c1", &["33", "34", "35", "33", "-7", "--json"]).failed(1, "1 check without");
    let statuses: Vec<_> = lines(&ended).iter().map(|line| line["status"].clone()).collect();
    assert_eq!(statuses[..4], [json!(200), json!(402), json!(404), json!(200)]);
    assert_eq!((&lines(&ended)[4]["status"], &lines(&ended)[4]["is_allowed"]), (&json!(422), &Value::Null));
    assert_eq!(lines(&ended)[0].get("customer"), None);
    assert_eq!(subject.ask_edge("c3", &["33"]).ok().stdout, "33  denied   402\n");
    // More than one question of the route.
    let many: Vec<String> = (1..=450).map(|id| id.to_string()).collect();
    subject.bench.write("items.txt", many.join("\n"));
    let ended = subject.ask_edge("c1", &["--file", "items.txt", "--json"]).ok();
    let allowed: Vec<_> = lines(&ended)
        .iter()
        .filter(|line| line["is_allowed"] == true)
        .map(|line| line["item_id"].clone())
        .collect();
    assert_eq!((lines(&ended).len(), allowed), (450, vec![json!(33)]));
    let args = ["check", "--url", &subject.service.url, "33"];
    let refused: Ended = subject.bench.command(&args).env("ADMIT_TOKEN", "a.b.c").output().unwrap().into();
    let refused = refused.failed(1, "admit: 1 check without an answer");
    assert!(refused.stdout.contains("33  unknown  401  status 401: "), "{}", refused.stdout);
    subject.ask_edge("c1", &["33", "--explain"]).failed(2, "cannot be used with");
    subject.bench.write("pairs.txt", "vendor:c1 33");
    subject.ask_edge("c1", &["--file", "pairs.txt"]).failed(2, "expected an item alone");
}
