//! The console's pages in workerd. Run by `cargo xtask test`; `tests/console/` looks at them in a browser.

use serde_json::json;

use crate::{
    catalogue, configured,
    subject::Subject as _,
    wire::{Answer, Wire},
    workerd::Workerd,
};

/// The policy's most important parts: without inline scripts and styles, and without requests to other hosts.
const POLICY: [&str; 4] =
    ["default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self';"];

fn start(variables: &[(&str, &str)]) -> Workerd {
    let worker = Workerd::start(&configured::variables(variables));
    catalogue::publish(&worker, 1);
    worker
}

fn get(worker: &Workerd, path: &str) -> Answer {
    worker.send(&Wire::get(path))
}

/// An unknown path as any other.
fn assert_unknown(answer: &Answer, path: &str) {
    assert_eq!(answer.status, 404, "{path}");
    assert_eq!(answer.json()["message"], "Route not found", "{path}");
    assert_eq!(answer.header("content-security-policy"), None, "{path}");
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn without_the_variable_there_is_no_console() {
    for variables in [&[][..], &[("CONSOLE", "off"), ("CONSOLE_SAMPLES", "{}")]] {
        let worker = start(variables);
        for path in ["/console", "/console/", "/console/index.html", "/console/samples.json"] {
            assert_unknown(&get(&worker, path), path);
        }
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn with_the_variable_the_pages_have_a_strict_policy_and_nothing_else_changes() {
    let worker = Workerd::start(&configured::variables(&[("CONSOLE", "on")]));
    // The first request of an instance takes another way than the later ones.
    for turn in 0..2 {
        let page = get(&worker, "/console/");
        assert_eq!(page.status, 200, "{turn}");
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        let text = String::from_utf8(page.body.clone()).unwrap();
        assert!(text.contains("<title>Admit console</title>") && !text.contains("style="), "{text}");
        let policy = page.header("content-security-policy").unwrap();
        for part in POLICY {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        if turn == 0 {
            catalogue::publish(&worker, 1);
        }
    }
    let redirect = get(&worker, "/console");
    assert_eq!((redirect.status, redirect.header("location")), (307, Some("/console/")));
    let head = worker.send(&Wire::new("HEAD", "/console/"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    for missing in ["/console/nope", "/console/samples.json"] {
        let answer = get(&worker, missing);
        assert_eq!(answer.status, 404, "{missing}");
        assert!(answer.header("content-security-policy").is_some(), "{missing}");
    }
    // Other paths and methods are the service's.
    for path in ["/consoles", "/console.html", "/items/console", "/x/console/"] {
        assert_ne!(get(&worker, path).status, 200, "{path}");
        assert_eq!(get(&worker, path).header("content-security-policy"), None, "{path}");
    }
    assert_unknown(&worker.send(&Wire::new("DELETE", "/console/")), "DELETE /console/");
    assert_eq!(get(&worker, "/items/5101").status, 200);
    let check = Wire::get("/items/5101/access").bearer(&worker.token("subscriber"));
    assert_eq!(worker.send(&check).status, 200);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn the_samples_are_those_of_the_variable_and_are_not_kept() {
    let samples = json!({"viewers": [], "support": "a.b.c"});
    let worker = start(&[("CONSOLE", "on"), ("CONSOLE_SAMPLES", &samples.to_string())]);
    let answer = get(&worker, "/console/samples.json");
    assert_eq!((answer.status, answer.json()), (200, samples));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
}
