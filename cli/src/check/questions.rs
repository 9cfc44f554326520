//! The questions: from arguments, and from a file with one question a line.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Whether a customer may play an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The customer, as the command line names them; `None` for the owner of the token.
    pub customer: Option<String>,
    /// The item.
    pub item_id: i64,
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine {
    customer: Option<String>,
    item: i64,
}

/// Every question, in the order in which they are asked: those of the arguments, then those of the file.
///
/// # Errors
/// The file cannot be read, a line is invalid, or customers are missing, or named although the token names one
/// (`names_customers` is false).
pub fn read(
    customers: &[String],
    items: &[i64],
    file: Option<&Path>,
    names_customers: bool,
) -> Result<Vec<Question>> {
    let owner = [None];
    let named: Vec<_> = customers.iter().map(|customer| Some(customer.as_str())).collect();
    let each: &[Option<&str>] = if names_customers { &named } else { &owner };
    let ask = |item_id: i64| {
        each.iter().map(move |customer| Question { customer: customer.map(str::to_owned), item_id })
    };
    if each.is_empty() && !items.is_empty() {
        bail!("--customer is missing: who may play the items?");
    }
    // Customer by customer, so that the lines of a table belong together.
    let mut questions: Vec<_> = each
        .iter()
        .flat_map(|customer| items.iter().map(|item_id| (customer.map(str::to_owned), *item_id)))
        .map(|(customer, item_id)| Question { customer, item_id })
        .collect();
    if let Some(path) = file {
        let text = contents(path)?;
        for (number, line) in (1..).zip(text.lines()) {
            let place = || format!("{}:{number}", path.display());
            match line_of(line).with_context(place)? {
                None => {}
                Some((Some(_), _)) if !names_customers => {
                    bail!("{}: expected an item alone: an edge answers for the owner of the token", place())
                }
                Some((Some(customer), item_id)) => {
                    questions.push(Question { customer: Some(customer), item_id });
                }
                Some((None, _)) if each.is_empty() => {
                    bail!("{}: expected CUSTOMER ITEM, or --customer beside the file", place())
                }
                Some((None, item_id)) => questions.extend(ask(item_id)),
            }
        }
    }
    if questions.is_empty() {
        bail!("nothing to check: name items, or a --file with questions");
    }
    Ok(questions)
}

fn contents(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Customer and item of a line; `None` for a line to skip.
fn line_of(line: &str) -> Result<Option<(Option<String>, i64)>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.starts_with('{') {
        let line: JsonLine = serde_json::from_str(line)
            .context("expected an object such as {\"customer\": \"vendor:ada\", \"item\": 5101}")?;
        return Ok(Some((line.customer, line.item)));
    }
    let words: Vec<_> = line.split_whitespace().collect();
    let (customer, item) = match words.as_slice() {
        [item] => (None, *item),
        [customer, item] => (Some((*customer).to_owned()), *item),
        _ => {
            bail!("expected CUSTOMER ITEM, found {} words; write a customer with blanks as JSON", words.len())
        }
    };
    let item = item.parse().ok().with_context(|| format!("{item:?} is not an item's number"))?;
    Ok(Some((customer, item)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(questions: &[Question]) -> Vec<(Option<&str>, i64)> {
        questions.iter().map(|question| (question.customer.as_deref(), question.item_id)).collect()
    }

    #[test]
    fn every_item_is_asked_for_with_each_customer() {
        let customers = ["a".to_owned(), "b".to_owned()];
        let questions = read(&customers, &[1, 2], None, true).unwrap();
        assert_eq!(asked(&questions), [(Some("a"), 1), (Some("a"), 2), (Some("b"), 1), (Some("b"), 2)]);
        assert_eq!(asked(&read(&[], &[1], None, false).unwrap()), [(None, 1)]);
        assert!(read(&[], &[1], None, true).unwrap_err().to_string().starts_with("--customer is missing"));
        assert!(read(&customers, &[], None, true).unwrap_err().to_string().starts_with("nothing to check"));
    }

    #[test]
    fn lines_are_words_or_json() {
        for (line, expected) in [
            ("", None),
            ("  # vendor:ada 5101", None),
            ("vendor:ada\t 5101 ", Some((Some("vendor:ada".to_owned()), 5101))),
            ("-7", Some((None, -7))),
            (r#"{"customer":"vendor:a b","item":5101}"#, Some((Some("vendor:a b".to_owned()), 5101))),
            (r#"{"item":5101}"#, Some((None, 5101))),
        ] {
            assert_eq!(line_of(line).unwrap(), expected, "{line}");
        }
        for invalid in ["vendor:ada", "vendor:ada 5101 5102", "{", r#"{"item":"x"}"#, r#"{"item":1,"at":2}"#]
        {
            assert!(line_of(invalid).is_err(), "{invalid}");
        }
    }
}
