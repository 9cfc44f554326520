//! `admit check-origin` against an origin that is correct except for one flaw: the check for that flaw fails,
//! and no other. The reference origin passes all checks: `origin/tests/suite/conformance.rs`.

use std::{collections::BTreeSet, fs, net::TcpListener, path::Path};

use serde_json::Value;

use crate::{
    bench::{Bench, Ended},
    feed::ORIGIN_TOKEN,
    flawed_origin::{BUYER, BUYER_ID, FlawedOrigin, ITEM, MERCHANT, OWNER, STRANGER},
};

/// The flaws of an origin, and the checks that find them.
const FLAWS: &[(&str, &[&str])] = &[
    ("export-down", &["export.answer"]),
    ("export-moved", &["export.answer"]),
    ("export-for-all", &["export.access"]),
    ("export-is-a-page", &["export.type"]),
    ("export-end-untold", &["export.end"]),
    ("export-breaks-off", &["export.end"]),
    ("export-wrong-line", &["export.lines"]),
    ("export-in-milliseconds", &["export.lines"]),
    ("export-without-snapshot", &["export.snapshot"]),
    ("export-dangling", &["export.builds"]),
    ("export-empty", &["export.builds"]),
    ("export-drifts", &["export.stable"]),
    ("export-seq-falls", &["export.stable"]),
    ("feed-for-all", &["feed.access"]),
    ("feed-down", &["feed.answer"]),
    ("feed-wrong-line", &["feed.lines"]),
    ("feed-in-milliseconds", &["feed.lines"]),
    ("feed-gap", &["feed.order"]),
    ("feed-cut", &["feed.end"]),
    ("feed-breaks-off", &["feed.end"]),
    ("feed-past-unknown", &["feed.past"]),
    ("feed-past-forgotten", &["feed.past"]),
    ("feed-ahead-is-new", &["feed.ahead"]),
    ("feed-wait-hangs", &["feed.wait"]),
    ("feed-lags", &["feed.replay"]),
    ("revocation-says-what-was", &["feed.replay"]),
    ("revocation-cannot-be-applied", &["feed.replay"]),
    ("owner-is-denied", &["access.granted"]),
    ("busy-and-wrong", &["feed.replay"]),
    ("numbers-are-text", &["access.body", "access.body"]),
    ("access-in-milliseconds", &["access.body", "access.body"]),
    ("stranger-is-granted", &["access.denied"]),
    ("stranger-is-forbidden", &["access.denied"]),
    ("unknown-is-denied", &["access.unknown-item"]),
    ("no-token-is-forbidden", &["access.no-token"]),
    ("any-token-is-known", &["access.bad-token"]),
    ("cached", &["access.caching"]),
    ("buyer-has-it", &["write.before"]),
    ("write-without-token-is-forbidden", &["write.no-token"]),
    ("customers-are-unknown", &["write.role"]),
    ("other-types-are-wrong", &["write.type"]),
    ("any-type-is-read", &["write.type", "write.refused"]),
    ("fields-are-unnamed", &["write.fields"]),
    ("refused-is-done", &["write.refused"]),
    ("grant-is-200", &["write.grant"]),
    ("grant-in-milliseconds", &["write.grant"]),
    ("grant-lags", &["write.visible"]),
    ("key-is-made-again", &["write.again"]),
    ("key-makes-another-change", &["write.again"]),
    ("key-takes-anything", &["write.key"]),
    ("grant-is-not-in-the-feed", &["write.feed"]),
    ("revocation-is-200", &["write.revoke"]),
    ("revocation-lags", &["write.revoked"]),
    ("nothing-is-taken-away", &["write.nothing-left"]),
    ("seq-is-kept-back", &["write.seq"]),
    ("seq-stands-still", &["write.seq"]),
    ("code-is-text", &["errors.body"]),
    ("denials-are-lists", &["errors.body"]),
    ("denials-are-pages", &["errors.body"]),
    ("clock-is-slow", &["clock.agrees"]),
    ("keys-are-gone", &["keys.document"]),
    ("issuer-other", &["keys.issuer"]),
    ("key-is-secret", &["keys.algorithms"]),
    ("key-is-unknown", &["keys.algorithms"]),
    ("key-is-nameless", &["keys.kids"]),
    ("kid-names-two-keys", &["keys.kids"]),
];

/// Runs every check.
fn check(bench: &Bench, url: &str, more: &[&str]) -> Ended {
    let (item, buyer) = (ITEM.to_string(), BUYER_ID.to_string());
    let args = [
        &["check-origin", url, "--origin-token", ORIGIN_TOKEN, "--issuer", url][..],
        &["--granted", OWNER, &item, "--denied", STRANGER, &item],
        &["--writes", MERCHANT, "--consumer-token", BUYER, "--consumer", &buyer, "--item", &item],
        more,
    ];
    bench.run(&args.concat())
}

fn report(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr))
}

/// The ids of the checks that ended like this.
fn ids<'r>(report: &'r Value, outcome: &str) -> Vec<&'r str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["outcome"] == outcome).map(|check| check["id"].as_str().unwrap()).collect()
}

/// Every check of a report.
fn all_ids(report: &Value) -> BTreeSet<&str> {
    report["checks"].as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect()
}

/// An address where no server listens.
fn nowhere() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[test]
fn a_correct_origin_passes() {
    let bench = Bench::new("check-origin-good");
    let origin = FlawedOrigin::start("", &bench.jwks("publisher"));
    let ended = check(&bench, &origin.url, &["--json"]).ok();
    let found = report(&ended);
    assert_eq!((&found["conforms"], &found["failed"]), (&true.into(), &0.into()));
    // It answers requests that wait at once, which is allowed.
    // It has no route for many checks, which is a note.
    let (evaluations, others): (Vec<_>, Vec<_>) =
        ids(&found, "skip").into_iter().partition(|id| id.starts_with("evaluations."));
    assert_eq!((others, evaluations.len()), (vec!["feed.wait"], 5), "{found:#}");
    assert!(found.to_string().contains("404: the edge confirms at most eight denials"), "{found:#}");
    assert!(origin.is_clean(), "the granted access was revoked");
    let text = check(&bench, &origin.url, &[]).ok().stdout;
    assert!(text.contains("pass  write.visible") && text.ends_with(", 0 failed, 6 skipped\n"), "{text}");
}

#[test]
fn each_flaw_fails_its_own_check() {
    let bench = Bench::new("check-origin-flaws");
    let jwks = bench.jwks("publisher");
    let all = report(&bench.run(&["check-origin", &nowhere(), "--json"]));
    let mut unseen = all_ids(&all);
    for (flaw, expected) in FLAWS {
        let origin = FlawedOrigin::start(flaw, &jwks);
        // This flaw must run into the timeout, so the seconds are waited for.
        let timeout_secs = if *flaw == "feed-wait-hangs" { "1" } else { "10" };
        let ended = check(&bench, &origin.url, &["--timeout-secs", timeout_secs, "--json"]);
        assert_eq!(ended.code, Some(1), "{flaw}: {}{}", ended.stdout, ended.stderr);
        let found = report(&ended);
        assert_eq!(ids(&found, "fail"), *expected, "{flaw}: {found:#}");
        for check in found["checks"].as_array().unwrap() {
            let has_advice = check["change"].as_str().is_some_and(|change| change.len() > 20);
            assert_eq!(has_advice, check["outcome"] == "fail", "{flaw}: {check}");
            if flaw.ends_with("in-milliseconds") && check["outcome"] == "fail" {
                let found = check["found"].as_str().unwrap();
                assert!(found.contains("looks like milliseconds"), "{flaw}: {found}");
            }
        }
        assert!(origin.is_clean(), "{flaw}: the buyer was left with an access");
        for id in *expected {
            unseen.remove(id);
        }
    }
    // It warns at most.
    unseen.remove("feed.quiet");
    // This origin has no such route.
    unseen.retain(|id| !id.starts_with("evaluations."));
    assert!(unseen.is_empty(), "checks that nothing makes fail: {unseen:?}");
}

/// Other clients write between any two requests, and the feed's lines have the records as they are on
/// request.
#[test]
fn a_feed_made_on_demand_while_others_write_passes() {
    let bench = Bench::new("check-origin-busy");
    let jwks = bench.jwks("publisher");
    for (flaw, expected) in [
        // Once they stop, the comparison is exact.
        ("busy-at-first", "changes were replayed"),
        ("busy", "customers left out because they changed again: 1"),
    ] {
        let origin = FlawedOrigin::start(flaw, &jwks);
        let found = report(&check(&bench, &origin.url, &["--json"]).ok());
        assert_eq!(ids(&found, "fail"), [""; 0], "{flaw}: {found:#}");
        let checks = found["checks"].as_array().unwrap();
        let replay = checks.iter().find(|check| check["id"] == "feed.replay").unwrap();
        assert_eq!(replay["outcome"], "pass", "{flaw}: {replay}");
        assert!(replay["found"].as_str().unwrap().ends_with(expected), "{flaw}: {replay}");
    }
}

#[test]
fn what_the_edge_corrects_is_a_warning() {
    let bench = Bench::new("check-origin-warnings");
    let jwks = bench.jwks("publisher");
    for (flaw, warned, text) in [
        (
            "ids-are-text",
            &["access.body", "access.body"][..],
            "customer_id: expected an integer, found \"1\"",
        ),
        ("clock-is-fast", &["clock.agrees"], "the clock differs by"),
        ("feed-is-untyped", &["feed.quiet"], "an empty 200 with Content-Type: none"),
        ("key-is-listed-twice", &["keys.kids"], "is listed twice, with the same key"),
    ] {
        let origin = FlawedOrigin::start(flaw, &jwks);
        let found = report(&check(&bench, &origin.url, &["--json"]).ok());
        assert_eq!((&found["conforms"], &found["warned"]), (&true.into(), &warned.len().into()), "{flaw}");
        assert_eq!(ids(&found, "warn"), warned, "{flaw}: {found:#}");
        assert!(found.to_string().contains(&text.replace('"', "\\\"")), "{flaw}: {found:#}");
        let shown = check(&bench, &origin.url, &[]).ok().stdout;
        assert!(
            shown.contains(&format!("warn  {}", warned[0])) && shown.contains("with a warning, 0 failed"),
            "{shown}"
        );
    }
    let slow = FlawedOrigin::start("clock-is-slow", &jwks);
    let shown = check(&bench, &slow.url, &[]).stdout;
    assert!(shown.contains("the origin's is behind"), "{shown}");
}

#[test]
fn nothing_is_changed_without_the_option() {
    let bench = Bench::new("check-origin-reads");
    let origin = FlawedOrigin::start("", &bench.jwks("publisher"));
    let ended = bench.run(&["check-origin", &origin.url, "--origin-token", ORIGIN_TOKEN, "--json"]).ok();
    let found = report(&ended);
    assert_eq!(origin.writes(), 0);
    let skipped = ids(&found, "skip");
    for id in ["write.before", "write.seq", "keys.document", "access.granted", "access.body", "feed.replay"] {
        assert!(skipped.contains(&id), "{id}: {found:#}");
    }
    // Checks without a token need no customer.
    assert!(ids(&found, "pass").contains(&"access.no-token"));
    // Without the customer nothing is sent.
    let args = ["check-origin", &origin.url, "--writes", MERCHANT, "--item", "33"];
    bench.run(&args).failed(2, "--consumer-token");
    assert_eq!(origin.writes(), 0);
}

#[test]
fn without_a_feed_the_export_alone_is_enough() {
    let bench = Bench::new("check-origin-no-feed");
    let origin = FlawedOrigin::start("feed-down", &bench.jwks("publisher"));
    let found = report(&check(&bench, &origin.url, &["--no-feed", "--json"]).ok());
    let mut skipped = ids(&found, "skip");
    skipped.retain(|id| !id.starts_with("evaluations."));
    assert!(skipped.iter().all(|id| id.starts_with("feed.") || *id == "write.feed"), "{skipped:?}");
    assert_eq!(skipped.len(), 11);
}

#[test]
fn tokens_come_from_files_and_are_never_shown() {
    let bench = Bench::new("check-origin-tokens");
    let origin = FlawedOrigin::start("owner-is-denied", &bench.jwks("publisher"));
    bench.write("owner.jwt", format!("{OWNER}\n"));
    let args = ["check-origin", &origin.url, "--origin-token", ORIGIN_TOKEN, "--granted", "@owner.jwt", "33"];
    let ended = bench.run(&args);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("item 33: 402"), "{}", ended.stdout);
    assert!(!ended.stdout.contains(ORIGIN_TOKEN) && !ended.stdout.contains(OWNER), "{}", ended.stdout);
    bench.run(&["check-origin", &origin.url, "--granted", "se cret", "33"]).failed(1, "invalid token");
    bench.run(&["check-origin", &origin.url, "--granted", "t", "x"]).failed(1, "is not a valid item id");
    bench.run(&["check-origin", "origin.example.com"]).failed(1, "is not a URL");
}

#[test]
fn an_origin_that_cannot_be_reached_or_is_silent_is_given_up_soon() {
    let bench = Bench::new("check-origin-silent");
    let found = report(&check(&bench, &nowhere(), &["--json"]));
    assert_eq!(found["conforms"], false);
    let said = found.to_string();
    assert!(said.contains("had no answer") && said.contains("was not sent: 3 requests"), "{found:#}");
    // Connections are accepted and never answered.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let args = ["check-origin", &url, "--export", "/all", "--granted", OWNER, "33", "--timeout-secs", "1"];
    let ended = bench.run(&[&args[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(1));
    let found = report(&ended);
    assert!(found.to_string().contains("/all had no answer: it took longer than 1 s"), "{found:#}");
}

#[test]
fn the_document_lists_every_check() {
    let bench = Bench::new("check-origin-document");
    let found = report(&bench.run(&["check-origin", &nowhere(), "--json"]));
    let known = all_ids(&found);
    let document =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/origin.md")).unwrap();
    let (_, section) = document.split_once("\n### Check it\n").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    // Tables of the section also list options and variables.
    let is_id = |id: &&str| id.contains('.') && !id.contains(' ');
    let listed: BTreeSet<_> = rows.map(|(id, _)| id).filter(is_id).collect();
    assert_eq!(listed, known);
}
