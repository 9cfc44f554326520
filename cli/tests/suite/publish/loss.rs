//! `admit publish` of exports that have lost most of their grants.

use super::set_up;
use crate::{
    bench::{Bench, catalogue, samples},
    double::{Double, Mishap},
};

fn published(test: &str, customers: usize) -> (Bench, Double) {
    let (bench, double) = set_up(test);
    bench.write("all.ndjson", catalogue(customers));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    (bench, double)
}

#[test]
fn an_export_that_removes_most_customers_is_refused() {
    let (bench, double) = published("loss-customers", 300);
    bench.write("less.ndjson", catalogue(149));
    bench.publish("less.ndjson", &double.url, &[]).failed(2, "151 of 300 customers");
    assert_eq!(double.state().published().unwrap().customers, 300);
    bench.publish("less.ndjson", &double.url, &["--allow-loss"]).ok();
    assert_eq!(double.state().published().unwrap().customers, 149);
}

#[test]
fn grants_are_compared_not_rows() {
    let (bench, double) = published("loss", 200);
    for (from, to, said) in [
        ("\"namespace\":\"vendor\"", "\"namespace\":\"vender\"", "200 of 200 customers"),
        ("1700000000}]", "1700000000,\"expires_at\":1700000001}]", "200 of 200 accesses"),
        ("\"subject\":\"c", "\"subject\":\"C", "200 of 200 customers and 200 of 200 accesses"),
        ("\"item_id\":33", "\"item_id\":34", "200 of 200 accesses"),
    ] {
        bench.write("all.ndjson", catalogue(200).replace(from, to));
        let as_given = "--allow-unknown-namespaces";
        let ended = bench.publish("all.ndjson", &double.url, &[as_given]).failed(2, said);
        assert!(ended.stderr.contains("--allow-loss"), "{}", ended.stderr);
        assert_eq!(double.state().published().unwrap().seq, 1, "{said}");
        bench.publish("all.ndjson", &double.url, &["--dry-run", as_given]).failed(2, said);
    }
    // All rows exist, and grant nothing.
    let empty = catalogue(200);
    let empty = empty.lines().map(|line| match line.split_once(",\"accesses\"") {
        Some((customer, _)) => format!("{customer},\"accesses\":[]}}\n"),
        None => format!("{line}\n"),
    });
    bench.write("all.ndjson", empty.collect::<String>());
    bench.publish("all.ndjson", &double.url, &[]).failed(2, "200 of 200 accesses");
    bench.publish("all.ndjson", &double.url, &["--allow-loss"]).ok();
    assert_eq!(double.state().published().unwrap().seq, 2);
}

#[test]
fn less_than_half_is_not_a_loss_and_neither_is_expired_access() {
    let (bench, double) = published("no-loss", 200);
    bench.write("all.ndjson", catalogue(100));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    bench.write("all.ndjson", catalogue(49));
    bench.publish("all.ndjson", &double.url, &[]).failed(2, "51 of 100 customers");
    let expired = catalogue(100)
        .replace("\"created_at\":1700000000}]", "\"created_at\":1700000000,\"expires_at\":1700000001}]");
    bench.write("all.ndjson", &expired);
    bench.publish("all.ndjson", &double.url, &["--allow-loss"]).ok();
    let pruned: String = expired
        .lines()
        .map(|line| {
            line.split_once(",\"accesses\"")
                .map_or(format!("{line}\n"), |(customer, _)| format!("{customer}}}\n"))
        })
        .collect();
    bench.write("all.ndjson", pruned);
    bench.publish("all.ndjson", &double.url, &[]).ok();
}

#[test]
fn items_licences_and_unlocks_are_compared_too() {
    let (bench, double) = set_up("loss-items");
    bench.publish(&samples(), &double.url, &[]).ok();
    let files: Vec<_> = std::fs::read_dir(samples()).unwrap().map(|file| file.unwrap().path()).collect();
    let copy = |change: &dyn Fn(&str) -> String| {
        let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap() + "\n").collect();
        bench.write("all.ndjson", change(&text));
    };
    copy(&|text| text.replace("\"is_active\": true", "\"is_active\": false"));
    bench.publish("all.ndjson", &double.url, &[]).failed(2, " active items");
    copy(&|text| {
        text.replace("\"status\": \"live\"", "\"status\": \"draft\"")
            .replace("\"status\": \"inactive\"", "\"status\": \"draft\"")
    });
    let ended = bench.publish("all.ndjson", &double.url, &[]);
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    copy(&str::to_owned);
    bench.publish("all.ndjson", &double.url, &[]).ok();
}

/// The catalogue with another merchant, and an app with clients and licences that all customers hold.
fn with_licences(customers: usize) -> String {
    let mut text = catalogue(customers) + "\n";
    text.push_str("{\"type\":\"merchant\",\"id\":22,\"uuid\":\"e5ac2013-8d10-42ba-abb5-291c5201cea9\"}\n");
    let clients: Vec<_> =
        (0..10).map(|id| format!("{{\"client_id\":\"app{id}\",\"mode\":\"live\"}}")).collect();
    let clients = clients.join(",");
    text.push_str(&format!(
        "{{\"type\":\"app\",\"id\":\"a\",\"merchant_id\":21,\"plan_id\":\"p\",\"clients\":[{clients}]}}\n"
    ));
    for id in 0..10 {
        text.push_str(&format!(
            "{{\"type\":\"license\",\"id\":\"b90831a7-2f6d-4c3e-8a41-{id:012}\",\"internal_id\":\"L{id}\",\"app_id\":\"a\",\"name\":\"L{id}\",\"status\":\"live\",\"test_mode\":false,\"item_ids\":[33]}}\n"
        ));
    }
    text
}

#[test]
fn access_that_is_gone_through_another_record_is_a_loss() {
    let (bench, double) = set_up("loss-others");
    let all = with_licences(200);
    bench.write("all.ndjson", &all);
    bench.publish("all.ndjson", &double.url, &[]).ok();
    let clients = all.split_once("\"clients\":[").and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
    for (from, to, said) in [
        ("\"merchant_id\":21,\"accesses\"", "\"merchant_id\":22,\"accesses\"", "200 of 200 accesses"),
        ("1700000000}]", "1700000000,\"starts_at\":\"now+1d\"}]", "200 of 200 accesses"),
        ("\"is_active\":true", "\"is_active\":false", "200 of 200 accesses"),
        ("\"test_mode\":false", "\"test_mode\":true", "10 of 10 available licences"),
        (clients, "", "10 of 10 clients of apps"),
    ] {
        assert!(all.contains(from), "{from}");
        bench.write("all.ndjson", all.replace(from, to));
        bench.publish("all.ndjson", &double.url, &[]).failed(2, said);
        assert_eq!(double.state().published().unwrap().seq, 1, "{said}");
    }
    bench.publish("all.ndjson", &double.url, &["--allow-loss"]).ok();
}

#[test]
fn a_namespace_that_no_issuer_has_is_an_error() {
    let (bench, double) = set_up("namespaces");
    bench.write(
        "all.ndjson",
        catalogue(3).replacen("\"namespace\":\"vendor\"", "\"namespace\":\"Vendor\"", 2),
    );
    let ended = bench.publish("all.ndjson", &double.url, &[]);
    let said = "no issuer of the Worker has the namespace \"Vendor\" of 2 customers (first: all.ndjson:3; did you mean \"vendor\"?)";
    let ended = ended.failed(2, said);
    assert!(ended.stderr.contains("its namespaces: cognito, publisher, vendor"), "{}", ended.stderr);
    assert!(double.state().published().is_none());
    bench.publish("all.ndjson", &double.url, &["--allow-unknown-namespaces"]).ok();
    bench.write("all.ndjson", catalogue(3));
    bench.publish("all.ndjson", &double.url, &[]).ok();
    // A Worker of an earlier release cannot be asked.
    double.fail("GET /snapshot/issuers", 0, usize::MAX, Mishap::Status(404, None));
    bench.write("all.ndjson", catalogue(3).replace("\"namespace\":\"vendor\"", "\"namespace\":\"Vendor\""));
    let ended = bench.publish("all.ndjson", &double.url, &[]).ok();
    assert!(ended.stderr.contains("does not say which namespaces"), "{}", ended.stderr);
}
