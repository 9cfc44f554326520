//! The layers: which parts of the source may name which others.

#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files below `src/`, by their path from there.
fn sources() -> Vec<(String, String)> {
    fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// What is code on a line: no comment, and no text in quotes.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut chars = line.chars().peekable();
    let mut is_text = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_text => {
                let _escaped = chars.next();
            }
            // A quote as a character literal opens no text.
            '\'' if !is_text && chars.peek() == Some(&'"') => {
                let _quote = chars.next();
            }
            '"' => is_text = !is_text,
            '/' if !is_text && chars.peek() == Some(&'/') => break,
            c if !is_text => code.push(c),
            _ => {}
        }
    }
    code
}

/// Whether `code` names `word`, and not something that merely ends like it.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let (before, behind) = (&code[..start], &code[start + word.len()..]);
        !before.ends_with(is_part) && (word.ends_with(':') || !behind.starts_with(is_part))
    })
}

/// Every line outside `may` that names one of `words`.
fn trespasses(words: &[&str], may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !may(file)) {
        for (number, line) in text.lines().enumerate() {
            let code = code(line);
            if words.iter().any(|word| names(&code, word)) {
                found.push(format!("src/{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn only_the_worker_names_the_workers_runtime() {
    let words = ["worker::", "web_sys", "js_sys", "wasm_bindgen", "wasm_bindgen_futures"];
    assert_eq!(trespasses(&words, |file| file.starts_with("worker/")), [""; 0]);
}

#[test]
fn nobody_but_the_root_names_the_worker() {
    let words = ["crate::worker", "mod worker"];
    assert_eq!(trespasses(&words, |file| file.starts_with("worker/") || file == "lib.rs"), [""; 0]);
}

/// worker -> app -> api -> {token, entitlement, snapshot} -> ports.
#[test]
fn layers_look_down_only() {
    let above = |layers: &'static [&'static str], words: &[&str]| {
        trespasses(words, |file| {
            !layers
                .iter()
                .any(|layer| file.starts_with(&format!("{layer}/")) || file == format!("{layer}.rs"))
        })
    };
    let inner = ["crate::app", "crate::api", "crate::worker", "crate::memory", "crate::config"];
    assert_eq!(
        above(&["token", "entitlement", "snapshot", "ports", "limits", "instant", "number"], &inner),
        [""; 0]
    );
    let data = ["crate::token", "crate::entitlement"];
    assert_eq!(above(&["snapshot", "limits", "instant", "number"], &data), [""; 0]);
    assert_eq!(above(&["api"], &["crate::app", "crate::worker", "crate::memory", "crate::ports"]), [""; 0]);
    // The service is the same in tests and in the Worker only if it knows neither.
    assert_eq!(above(&["app", "api", "config"], &["crate::worker", "NativeVerifier"]), [""; 0]);
}

/// `use crate::{app, ..}` would name a layer without the path that is looked for.
#[test]
fn grouped_imports_name_no_layer_above() {
    let layer_of = |file: &str| file.split(['/', '.']).next().unwrap_or_default().to_owned();
    for (file, text) in sources() {
        let layer = layer_of(&file);
        let forbidden: &[&str] = match layer.as_str() {
            "token" | "entitlement" | "snapshot" | "ports" | "limits" => &["app", "api", "memory", "config"],
            "api" => &["app", "memory"],
            _ => continue,
        };
        let mut rest = text.as_str();
        while let Some((_, group)) = rest.split_once("use crate::{") {
            let group = group.split("};").next().unwrap_or_default();
            for name in forbidden {
                let named = group
                    .lines()
                    .any(|line| names(&code(line), &format!("{name}::")) && !line.starts_with("        "));
                assert!(!named, "src/{file} names {name}");
            }
            rest = rest.split_once("use crate::{").map_or("", |(_, behind)| behind);
        }
    }
}

/// Both panic in the Worker. The service is told the time; the command may ask.
#[test]
fn nobody_asks_for_the_time() {
    let words = ["SystemTime", "Instant", "Utc::now", "Local::now"];
    assert_eq!(trespasses(&words, |file| file.starts_with("bin/")), [""; 0]);
}

/// What runs in tests is what ships: nothing in the service looks at where it runs.
#[test]
fn the_service_is_compiled_alike_everywhere() {
    let may = |file: &str| {
        ["worker/", "bin/", "memory/"].iter().any(|dir| file.starts_with(dir))
            || ["lib.rs", "token/mod.rs", "snapshot/mod.rs"].contains(&file)
            || is_schema(file)
            || file.split(['/', '.']).any(|part| part == "tests")
    };
    assert_eq!(trespasses(&["target_arch", "target_pointer_width", "debug_assertions"], may), [""; 0]);
}

/// The types of the publish schema.
fn is_schema(file: &str) -> bool {
    file == "snapshot/schema.rs" || file.starts_with("snapshot/schema/")
}

/// The Worker does without the JSON Schema of what it reads, and without nothing else.
#[test]
fn only_the_json_schema_is_left_out_of_types() {
    let mut seen = 0;
    for (file, text) in sources().into_iter().filter(|(file, _)| is_schema(file)) {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (position, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("target_arch")) {
            let rest = line.strip_prefix("#[cfg_attr(not(target_arch = \"wasm32\"), ");
            let is_attribute = rest.is_some_and(|rest| {
                ["derive(schemars::JsonSchema))]", "schemars("].iter().any(|start| rest.starts_with(start))
            });
            let is_module = *line == "#[cfg(not(target_arch = \"wasm32\"))]"
                && ["pub mod json;", "use super::json;"].contains(&lines[position + 1]);
            assert!(is_attribute || is_module, "src/{file}:{}: {line}", position + 1);
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

/// A test that returns early counts as passed without having run. One that needs a Worker is ignored instead, which
/// a plain `cargo test` reports, and `cargo xtask test` runs it.
#[test]
fn tests_that_need_the_worker_are_ignored_without_one() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let needs_worker = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "readme.rs" || name.starts_with("worker_") && name.ends_with(".rs")
    };
    let mut seen = 0;
    for path in names.filter(needs_worker) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (number, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[test]") {
            assert!(lines[number + 1].starts_with("#[ignore = "), "{}:{}", path.display(), number + 1);
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn comments_and_text_name_what_they_like() {
    assert_eq!(code("let a = 1; // js_sys"), "let a = 1; ");
    assert_eq!(code(r#"f("web_sys \" // x", b) // c"#), "f(, b) ");
    assert!(!code(r#"f('"', b) // js_sys"#).contains("js_sys"));
    assert!(names("use worker::Env;", "worker::") && !names("my_worker::x()", "worker::"));
    assert!(names("a js_sys b", "js_sys") && !names("js_system", "js_sys"));
}
