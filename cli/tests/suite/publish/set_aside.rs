//! `admit publish` of exports that contain unusable records.

use serde_json::{Value, json};

use super::set_up;
use crate::{
    bench::{Bench, Ended, catalogue},
    double::Double,
};

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The catalogue with one line changed.
fn broken(from: &str, to: &str) -> String {
    let lines = catalogue(20);
    assert!(lines.contains(from), "{from}");
    lines.replacen(from, to, 1)
}

/// The number of accesses of a published customer.
fn accesses(bench: &Bench, double: &Double, customer: &str) -> Option<usize> {
    let args = ["inspect", "--from", &double.url, "--customer", customer, "--json"];
    let report = json_of(&bench.run(&args).ok());
    Some(report["customer"]["record"]["accesses"].as_array()?.len())
}

#[test]
fn one_wrong_record_costs_only_itself() {
    let (bench, double) = set_up("set-aside");
    bench.write("all.ndjson", catalogue(20));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let wrong_date = r#""accesses":[{"id":5,"item_id":33,"created_at":1700000000000}]"#;
    let dated = r#""accesses":[{"id":5,"item_id":33,"created_at":1700000000}]"#;
    for (from, to, id, said) in [
        (dated, wrong_date, "customer vendor:c5", "the time looks like milliseconds (1700000000000)"),
        ("\"title\":\"Slack Water\"", "\"title\":7", "item 33", "title: invalid type: integer `7`"),
        ("\"merchant_id\":21,\"title\"", "\"merchant_id\":99,\"title\"", "item 33", "unknown merchant 99"),
        (
            "\"created_at\":1700000000,\"updated_at\"",
            "\"updated_at\"",
            "item 33",
            "created_at: expected this field",
        ),
        ("\"uuid\":\"e5ac2013", "\"uuid\":\"e5ac20\",\"x\":\"", "merchant 21", "x"),
    ] {
        // One customer is new, and another one is removed.
        let text = broken(from, to).replace("\"subject\":\"c7\"", "\"subject\":\"new\"");
        bench.write("all.ndjson", text);
        let ended = bench.publish("all.ndjson", &double.url, &[]);
        let ended = ended.failed(3, "1 record set aside; the last good state of 1 stays published");
        assert!(ended.stderr.contains(id) && ended.stderr.contains(said), "{id}, {said}: {}", ended.stderr);
        let head = double.state().published().unwrap();
        assert_eq!((head.customers, head.items, head.set_aside), (20, 1, Some(1)), "{id}");
        assert_eq!(accesses(&bench, &double, "vendor:new"), Some(1), "{id}");
        assert_eq!(accesses(&bench, &double, "vendor:c7"), None, "{id}");
        assert_eq!(accesses(&bench, &double, "vendor:c5"), Some(1), "{id}");
        bench.run(&["verify", "--from", &double.url, "--key", "publisher.jwk"]).ok();
    }
    let report = json_of(&bench.run(&["inspect", "--from", &double.url, "--json"]).ok());
    assert_eq!(
        (&report["head"]["set_aside"], &report["history"]["versions"][0]["set_aside"]),
        (&1.into(), &1.into())
    );
    let text = bench.run(&["inspect", "--from", &double.url]).ok().stdout;
    assert!(text.contains("1 records are set aside") && text.contains(", 1 set aside"), "{text}");
    // Once the record is good, nothing is set aside.
    bench.write("all.ndjson", catalogue(20));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    assert_eq!(double.state().published().unwrap().set_aside, None);
}

#[test]
fn a_job_learns_what_was_set_aside() {
    let (bench, double) = set_up("set-aside-json");
    bench.write("all.ndjson", catalogue(20));
    let report = json_of(&bench.publish("all.ndjson", &double.url, &["--json"]).ok());
    assert_eq!(
        (&report["published"], &report["seq"], &report["set_aside"]["total"]),
        (&true.into(), &1.into(), &0.into())
    );
    let text = broken("\"title\":\"Slack Water\"", "\"title\":7") + "\n{\"type\":\"customer\"}\n";
    bench.write("all.ndjson", &text);
    let ended = bench.publish("all.ndjson", &double.url, &["--json"]).failed(3, "cannot be attributed");
    let report = json_of(&ended);
    let set_aside = &report["set_aside"];
    assert_eq!(
        (&report["published"], &set_aside["total"], &set_aside["last_good"]),
        (&true.into(), &2.into(), &1.into())
    );
    assert_eq!(
        set_aside["records"][1],
        json!({"type": "item", "id": "33", "file": "all.ndjson", "line": 2, "field": "title",
            "reason": "invalid type: integer `7`, expected a string", "published": "last_good"})
    );
    let ended =
        bench.publish("all.ndjson", &double.url, &["--json", "--strict"]).failed(2, "2 errors, 0 warnings");
    let report = json_of(&ended);
    assert_eq!(
        (&report["published"], &report["errors"], &report["wrong"][0]["id"]),
        (&false.into(), &2.into(), &"33".into())
    );
    assert_eq!(double.state().published().unwrap().seq, 2);
    let ended = bench.run(&["publish", "--from", "all.ndjson", "--dry-run", "--json"]);
    assert_eq!((ended.code, &json_of(&ended)["published"]), (Some(3), &false.into()));
}

#[test]
fn strictly_nothing_is_published_and_every_error_is_told() {
    let (bench, double) = set_up("strict");
    bench.write("a.ndjson", catalogue(1));
    bench.write("b.ndjson", "{\"type\":\"item\"\n\n{\"type\":\"merchant\",\"id\":\"x\"}\n");
    bench.write("c.txt", "not read");
    let ended = bench.publish(".", &double.url, &["--strict"]).failed(2, "2 errors, 0 warnings");
    assert!(ended.stderr.contains("error: ./b.ndjson:1: expected a JSON object"), "{}", ended.stderr);
    assert!(ended.stderr.contains("b.ndjson:3: id: invalid type: string \"x\", expected i64"));
    assert!(double.state().requests.is_empty());
}

#[test]
fn repeated_errors_are_shown_once_and_causes_come_first() {
    let (bench, double) = set_up("repeated");
    // The time of every customer, and that of the item that they own and that follows them, is in
    // milliseconds.
    let text = catalogue(1_000).replace("\"created_at\":1700000000", "\"created_at\":1700000000000");
    let (merchant, rest) = text.split_once('\n').unwrap();
    let (item, customers) = rest.split_once('\n').unwrap();
    bench.write("all.ndjson", [merchant, customers, item].join("\n"));
    let ended = bench.publish("all.ndjson", &double.url, &["--strict"]).failed(2, "1001 errors");
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert!(lines[0].starts_with("error: all.ndjson:1002: item 33: created_at: "), "{lines:?}");
    assert!(
        lines[1].starts_with("error: all.ndjson:2: customer vendor:c1: accesses[0].created_at: "),
        "{lines:?}"
    );
    assert_eq!(lines[4], "error: ... and 997 more of this kind");
    assert_eq!(lines.len(), 6, "{lines:?}");
}

#[test]
fn text_is_repaired_and_bytes_of_other_formats_are_named() {
    let (bench, double) = set_up("repaired");
    bench.write(
        "all.ndjson",
        "\u{feff}".to_owned() + &catalogue(3).replace("Slack Water", r"Slack \ud83d Water"),
    );
    let ended = bench.publish("all.ndjson", &double.url, &[]).ok();
    assert!(ended.stderr.contains("warning: all.ndjson:2: invalid Unicode was repaired"), "{}", ended.stderr);
    let ended =
        bench.run(&["inspect", "--from", &double.url, "--customer", "vendor:c1", "--check", "33"]).ok();
    assert!(ended.stdout.contains("Slack \u{fffd} Water"), "{}", ended.stdout);
    bench.write("other.ndjson", b"\xff\xfe{\0\"\0");
    bench.publish("other.ndjson", &double.url, &[]).failed(2, "found text in UTF-16");
    // Not a single record: this is not an export.
    bench.write("page.ndjson", "<html>\n<body>502 Bad Gateway</body>\n</html>\n");
    bench.publish("page.ndjson", &double.url, &[]).failed(2, "3 errors");
    bench.write("page.ndjson", "{\"type\":\"snapshot\",\"seq\":-1}\n".to_owned() + &catalogue(3));
    bench.publish("page.ndjson", &double.url, &[]).failed(2, "the snapshot line cannot be used");
    assert_eq!(double.state().published().unwrap().seq, 1);
}

#[test]
fn nothing_is_removed_when_a_line_cannot_be_read() {
    let (bench, double) = set_up("unattributed");
    bench.write("all.ndjson", catalogue(20));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    bench.write("all.ndjson", catalogue(15) + "\n{\"type\":\"customer\",\"names");
    let ended = bench.publish("all.ndjson", &double.url, &[]).failed(3, "1 line cannot be attributed");
    assert!(ended.stderr.contains("5 records missing from the input stay published"), "{}", ended.stderr);
    assert_eq!(double.state().published().unwrap().customers, 20);
    bench.write("all.ndjson", catalogue(15));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    assert_eq!(double.state().published().unwrap().customers, 15);
}

#[test]
fn without_the_published_version_no_last_good_state_is_known() {
    let (bench, double) = set_up("unreadable");
    bench.write("all.ndjson", catalogue(20));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let index = double.state().objects.keys().find(|key| key.starts_with("index/")).unwrap().clone();
    double.state().objects.get_mut(&index).unwrap().pop();
    bench.write("all.ndjson", broken("\"title\":\"Slack Water\"", "\"title\":7"));
    bench.publish("all.ndjson", &double.url, &[]).failed(2, "the published version cannot be read");
    assert_eq!(double.state().published().unwrap().seq, 1);
}
