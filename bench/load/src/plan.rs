//! What is to be driven, and what came of it: the JSON that goes in and out.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// How requests are taken from the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// From the first to the last, and again.
    Cycle,
    /// Each once for every subject: a scenario ends when the list does.
    Once,
    /// The popular ones more often: the n-th as often as `1/n` says (Zipf with exponent 1).
    Zipf,
}

/// What is to be driven.
#[derive(Debug, Deserialize)]
pub struct Plan {
    /// The process that all subjects run in.
    pub pid: u32,
    /// Kept-alive connections to each subject.
    pub connections: usize,
    /// How long a subject is driven at a time, in milliseconds.
    pub slice_ms: u64,
    /// How often each subject has its turn.
    pub rounds: usize,
    /// How many rounds before these are thrown away.
    pub warm_up: usize,
    /// How many requests the first of those rounds lasts at least, for each subject.
    pub warm_up_requests: usize,
    /// The list of requests: lines of method, path, token, body to send, status and body to expect, separated by
    /// tabs.
    pub requests: PathBuf,
    /// How they are taken from it.
    pub order: Order,
    /// The subjects; the first is what the others are compared with.
    pub subjects: Vec<Subject>,
}

/// One Worker.
#[derive(Debug, Deserialize)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Where it answers, on this machine.
    pub port: u16,
    /// What it answers whatever is asked, with status 200; nothing if it answers what the list says.
    pub fixed_body: Option<String>,
}

/// What was measured of a subject.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// The subject's name.
    pub name: String,
    /// Answers, all of them right.
    pub requests: u64,
    /// The same by the status that the list wanted.
    pub by_status: BTreeMap<u16, u64>,
    /// Answers a second, the median of the slices.
    pub per_second: f64,
    /// CPU time of the process for an answer, in microseconds: the median of the slices.
    pub cpu_micros: Option<f64>,
    /// Time to the answer, in microseconds: half of them took less.
    pub p50_micros: f64,
    /// Of a hundred, 99 took less.
    pub p99_micros: f64,
    /// Answers a second against the first subject's in the same round.
    pub rate_ratio: Option<Ratio>,
    /// The first subject's CPU time for an answer against this one's in the same round.
    pub cpu_ratio: Option<Ratio>,
}

/// A ratio over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// A quarter of the rounds has less.
    pub low: f64,
    /// A quarter has more.
    pub high: f64,
    /// How far the median itself may be off: half of the interval that holds it with 95 % certainty.
    pub error: f64,
}

/// A request and the only right answer to it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The whole request, ready to be sent.
    pub bytes: Vec<u8>,
    /// The status to expect.
    pub status: u16,
    /// The body to expect.
    pub body: Vec<u8>,
}

/// Reads the list of requests.
///
/// # Errors
/// The file cannot be read, or a line is none.
pub fn requests(plan: &Plan) -> Result<Vec<Request>> {
    let path = &plan.requests;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let requests = text.lines().map(request).collect::<Result<Vec<_>>>()?;
    if requests.is_empty() {
        bail!("{} holds no requests", path.display());
    }
    Ok(requests)
}

/// A line of the list. What is sent is a form, and nothing is sent if it is empty.
fn request(line: &str) -> Result<Request> {
    let mut fields = line.splitn(6, '\t');
    let mut field = || {
        fields.next().context("expected method, path, token, body to send, status and body, apart by tabs")
    };
    let (method, path, token, form) = (field()?, field()?, field()?, field()?);
    let (status, body) = (field()?.parse().context("expected a status")?, field()?);
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: edge.example\r\nauthorization: Bearer {token}\r\n\
         cf-connecting-ip: 203.0.113.7\r\n"
    );
    if !form.is_empty() {
        let len = form.len();
        head += &format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {len}\r\n");
    }
    Ok(Request { bytes: [&head, "\r\n", form].concat().into_bytes(), status, body: body.as_bytes().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(line: &str) -> String {
        String::from_utf8(request(line).unwrap().bytes).unwrap()
    }

    #[test]
    fn a_read_has_no_body() {
        let line = "GET\t/items/1/access\ta.b.c\t\t402\t{\"code\":402}\twith a tab";
        let text = sent(line);
        assert!(text.starts_with("GET /items/1/access HTTP/1.1\r\nhost: "), "{text}");
        assert!(text.contains("\r\nauthorization: Bearer a.b.c\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(!text.contains("content-"), "{text}");
        let Request { status, body, .. } = request(line).unwrap();
        assert_eq!((status, body.as_slice()), (402, b"{\"code\":402}\twith a tab".as_slice()));
    }

    #[test]
    fn a_write_says_what_its_body_is() {
        let text = sent("POST\t/items/access\ta.b.c\titem_id=1\t201\t{}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /items/access HTTP/1.1\r\n"), "{head}");
        assert!(
            head.contains("content-type: application/x-www-form-urlencoded\r\ncontent-length: 9"),
            "{head}"
        );
        assert_eq!(body, "item_id=1");
    }

    #[test]
    fn what_is_no_line_is_an_error() {
        for line in ["", "GET\t/\ta.b.c\t\t200", "GET\t/\ta.b.c\t\tx\t{}"] {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
