//! The lists of requests that `bench/load/make.mjs` writes.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// A request and the right answer to it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The whole request, ready to be sent.
    pub bytes: Vec<u8>,
    pub status: u16,
    /// A [`ANY_TEXT`] in it stands for a text that the subject chooses.
    pub body: Vec<u8>,
}

/// Stands for any JSON text in an expected body, once at most.
const ANY_TEXT: &[u8] = br#""*""#;

/// Whether a body is the expected one.
pub fn is_right(expected: &[u8], body: &[u8]) -> bool {
    if expected == body {
        return true;
    }
    let Some(at) = expected.windows(ANY_TEXT.len()).position(|part| part == ANY_TEXT) else { return false };
    let text = || {
        let (before, after) = (expected.get(..=at)?, expected.get(at + ANY_TEXT.len() - 1..)?);
        body.strip_prefix(before)?.strip_suffix(after)
    };
    text().is_some_and(|text| !text.contains(&b'"'))
}

/// Reads a list: lines of method, path, token, form or JSON to send, status and body to expect, separated by tabs.
pub fn read(path: &Path) -> Result<Vec<Request>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let requests = text.lines().map(request).collect::<Result<Vec<_>>>()?;
    if requests.is_empty() {
        bail!("{} holds no requests", path.display());
    }
    Ok(requests)
}

/// Method, path, token, form, status and body of a line.
pub fn fields(line: &str) -> Result<[&str; 6]> {
    let fields: Vec<_> = line.splitn(6, '\t').collect();
    fields.try_into().ok().context("expected method, path, token, form, status and body, separated by tabs")
}

fn request(line: &str) -> Result<Request> {
    let [method, path, token, form, status, body] = fields(line)?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: edge.example\r\nauthorization: Bearer {token}\r\n\
         cf-connecting-ip: 203.0.113.7\r\n"
    );
    if !form.is_empty() {
        let len = form.len();
        let media = if form.starts_with('{') { "json" } else { "x-www-form-urlencoded" };
        head += &format!("content-type: application/{media}\r\ncontent-length: {len}\r\n");
    }
    let bytes = [&head, "\r\n", form].concat().into_bytes();
    Ok(Request {
        bytes,
        status: status.parse().context("expected a status")?,
        body: body.as_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_has_no_body_and_a_write_has_a_form() {
        let line = "GET\t/items/1/access\ta.b.c\t\t402\t{\"code\":402}\twith a tab";
        let Request { bytes, status, body } = request(line).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("GET /items/1/access HTTP/1.1\r\nhost: ") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nauthorization: Bearer a.b.c\r\n") && !text.contains("content-"), "{text}");
        assert_eq!((status, body.as_slice()), (402, b"{\"code\":402}\twith a tab".as_slice()));

        let bytes = request("POST\t/items/access\ta.b.c\titem_id=1\t201\t{}").unwrap().bytes;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with("content-type: application/x-www-form-urlencoded\r\ncontent-length: 9"),
            "{head}"
        );
        assert_eq!(body, "item_id=1");
    }

    #[test]
    fn a_question_has_json_and_its_answer_one_text_that_is_not_known_before() {
        let line = "POST\t/access\ta.b.c\t{\"a\":1}\t200\t{\"next\":\"*\",\"n\":1}";
        let Request { bytes, body, .. } = request(line).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("\r\ncontent-type: application/json\r\n"), "{text}");
        for (answer, expected) in [
            (r#"{"next":"xyz","n":1}"#, true),
            (r#"{"next":"","n":1}"#, true),
            (r#"{"next":"x","n":2}"#, false),
            (r#"{"next":"x","y":"z","n":1}"#, false),
            (r#"{"next":"#, false),
        ] {
            assert_eq!(is_right(&body, answer.as_bytes()), expected, "{answer}");
        }
        assert!(is_right(b"{}", b"{}") && !is_right(b"{}", b"{ }"));
    }

    #[test]
    fn a_broken_line_is_an_error() {
        for line in ["", "GET\t/\ta.b.c\t\t200", "GET\t/\ta.b.c\t\tx\t{}"] {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
