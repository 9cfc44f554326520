//! Fills numbers and tables into pages. The pages are written by hand; a value stands between `<!--name-->` and
//! `<!--/-->`, which Markdown does not show.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

const END: &str = "<!--/-->";

/// Values by the names of their places.
pub type Values = BTreeMap<String, String>;

/// `page` with `values` in their places. A value of several lines becomes a block, indented as its marker is.
/// Places without a value stay as they are; a value without a place is an error.
pub fn fill(page: &str, values: &Values) -> Result<String> {
    let (mut filled, mut rest) = (String::new(), page);
    let mut unused: Vec<_> = values.keys().collect();
    while let Some((before, marked)) = rest.split_once("<!--") {
        let (name, after) = marked.split_once("-->").context("a comment without an end")?;
        filled += &format!("{before}<!--{name}-->");
        rest = after;
        let Some(value) = values.get(name) else { continue };
        let (_, next) = after.split_once(END).with_context(|| format!("<!--{name}--> without {END}"))?;
        unused.retain(|unused| *unused != name);
        if value.contains('\n') {
            let indent = before.rsplit('\n').next().unwrap_or_default();
            let line =
                |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") };
            filled += &format!("\n\n{}\n{indent}", value.trim().lines().map(line).collect::<String>());
        } else {
            filled += value;
        }
        filled += END;
        rest = next;
    }
    if !unused.is_empty() {
        bail!("the page has no place for {unused:?}");
    }
    Ok(filled + rest)
}

/// The names of a page's places.
#[cfg(test)]
pub fn places(page: &str) -> std::collections::BTreeSet<String> {
    let marked = page.split("<!--").skip(1).filter_map(|marked| marked.split_once("-->"));
    marked.map(|(name, _)| name.to_owned()).filter(|name| name != "/").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(page: &str, values: &[(&str, &str)]) -> Result<String> {
        fill(page, &values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn only_the_text_between_the_markers_changes() {
        let page = "# P\nIt is <!--a-->1<!--/-->, <!--b-->2<!--/-->, again <!--a-->1<!--/-->.\n\n  <!--t-->old<!--/-->\n";
        let new = filled(page, &[("a", "7"), ("t", "| x |\n| 3 |\n")]).unwrap();
        let expected = "# P\nIt is <!--a-->7<!--/-->, <!--b-->2<!--/-->, again <!--a-->7<!--/-->.\n\n  <!--t-->\n\n  | x |\n  | 3 |\n\n  <!--/-->\n";
        assert_eq!(new, expected);
        assert_eq!(
            filled(&new, &[("a", "7"), ("t", "| x |\n| 3 |\n")]).unwrap(),
            new,
            "again gives the same"
        );
    }

    #[test]
    fn a_value_without_a_place_is_an_error() {
        assert!(filled("<!--a-->1<!--/-->", &[("b", "2")]).is_err());
        assert!(filled("<!--a-->1", &[("a", "2")]).is_err());
    }
}
