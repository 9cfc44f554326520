//! Puts what a benchmark printed into a document, between its markers.

use std::{fs, path::Path};

use anyhow::{Context, Result};

fn markers(name: &str) -> (String, String) {
    (format!("<!-- bench {name}: begin -->"), format!("<!-- bench {name}: end -->"))
}

/// Replaces what stands between the markers of `name` in the file.
///
/// # Errors
/// It cannot be read or written, or has no such markers.
pub fn write(path: &Path, name: &str, text: &str) -> Result<()> {
    let old = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let new = replaced(&old, name, text).with_context(|| {
        let (begin, end) = markers(name);
        format!("{}: expected {begin} and, after it, {end}", path.display())
    })?;
    fs::write(path, new).with_context(|| format!("cannot write {}", path.display()))
}

fn replaced(document: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = markers(name);
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{}\n\n{end}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let document = "# P\n<!-- bench a: begin -->\nold\n<!-- bench a: end -->\n<!-- bench b: begin -->b<!-- bench b: end -->\n";
        let new = replaced(document, "a", "new\n").unwrap();
        let expected = document.replace("\nold\n", "\n\nnew\n\n");
        assert_eq!(new, expected);
        assert_eq!(replaced(&new, "a", "new").unwrap(), new, "again gives the same");
        assert_eq!(replaced(document, "c", "new"), None);
        assert_eq!(replaced("<!-- bench a: end --><!-- bench a: begin -->", "a", "new"), None);
    }

    #[test]
    fn the_document_has_the_markers() {
        // Cargo runs tests in their package's directory.
        let document = fs::read_to_string("../docs/performance.md").unwrap();
        for name in ["load", "steps", "snapshot"] {
            assert!(replaced(&document, name, "").is_some(), "{name}");
        }
    }
}
