//! Relative links lead to files that exist, and to headings in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::root;

fn documents(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules", "build"].contains(&name.as_str()) {
                documents(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The document without its code blocks, in which nothing is a link or a heading.
fn prose(document: &str) -> String {
    let mut in_block = false;
    let is_prose = |line: &&str| {
        let is_fence = line.starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    };
    document.lines().filter(is_prose).collect::<Vec<_>>().join("\n")
}

/// The anchors that forges give to headings.
fn anchors(document: &str) -> Vec<String> {
    let headings = document.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|heading| heading.chars().filter(kept).collect::<String>().to_lowercase().replace(' ', "-"))
        .collect()
}

fn targets(document: &str) -> Vec<&str> {
    document.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

fn problem(from: &Path, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let to = if path.is_empty() { from.to_owned() } else { from.parent()?.join(path) };
    if !to.exists() {
        return Some(format!("{}: {target} does not exist", from.display()));
    }
    let has_anchor = anchor.is_empty()
        || fs::read_to_string(&to)
            .is_ok_and(|document| anchors(&prose(&document)).iter().any(|it| it == anchor));
    (!has_anchor).then(|| format!("{}: {target} names no heading", from.display()))
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut all = Vec::new();
    documents(&root(), &mut all);
    assert!(all.len() > 8, "{all:?}");
    let mut problems = Vec::new();
    for path in all {
        let document = prose(&fs::read_to_string(&path).unwrap());
        problems.extend(targets(&document).into_iter().filter_map(|target| problem(&path, target)));
    }
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn every_decision_is_numbered_dated_and_whole() {
    let mut all = Vec::new();
    documents(&root().join("docs/adr"), &mut all);
    all.retain(|path| !path.ends_with("README.md"));
    all.sort();
    let index = fs::read_to_string(root().join("docs/adr/README.md")).unwrap();
    let mut last = 0;
    for path in all {
        let document = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let number: u32 = name.split('-').next().unwrap().parse().unwrap();
        assert!(number > last, "{path:?}: the number of another one");
        last = number;
        assert!(index.contains(&format!("]({name})")), "{path:?} is not in the index");
        assert!(document.starts_with(&format!("# {number}. ")), "{path:?}");
        for part in ["\n\n20", "\n\nStatus: ", "\n## Context\n", "\n## Decision\n", "\n## Consequences\n"] {
            assert!(document.contains(part), "{path:?}: {part:?}");
        }
    }
}
