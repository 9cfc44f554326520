//! Only `src/worker` names the Workers runtime, so that everything else also runs natively, in tests too. The
//! arrows between crates are checked by the compiler; those between the rooms of this crate are a convention, which
//! ARCHITECTURE.md draws.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources must fail")]

use std::{fs, path::Path};

/// Crates that exist in the Worker only.
const RUNTIME: [&str; 5] = ["worker", "web_sys", "js_sys", "wasm_bindgen", "wasm_bindgen_futures"];

/// Adds every line below `dir` that names one of [`RUNTIME`] at the start of a path, as in `js_sys::Date`.
fn collect(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("src/worker") {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            found.extend(
                lines.filter(|line| names_runtime(line)).map(|line| format!("{}: {line}", path.display())),
            );
        }
    }
}

fn names_runtime(line: &str) -> bool {
    let words: Vec<_> = line.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c)).collect();
    words.iter().any(|word| {
        RUNTIME.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with("::")))
    })
}

#[test]
fn only_the_worker_names_the_workers_runtime() {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert_eq!(found, [""; 0]);
    assert!(names_runtime("let now = js_sys::Date::now();") && names_runtime("use worker::{Env, Fetch};"));
    assert!(!names_runtime("crate::worker::run()") && !names_runtime("my_worker::x()"));
}
