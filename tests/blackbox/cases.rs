//! Runs the cases in `cases/*.json`, which are data. `cases/README.md` describes their form.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::{
    check::{Pages, error_body, includes, problems},
    subject::Subject,
    wire::{Answer, Payload, Wire},
};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "get")]
    method: String,
    path: String,
    seen: Option<String>,
    r#as: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    country: Option<String>,
    status: u16,
    message: Option<String>,
    field: Option<String>,
    json: Option<Value>,
    includes: Option<Value>,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    answer_headers: BTreeMap<String, Option<String>>,
    /// The subjects that the case is for; all if absent.
    only: Option<Only>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Only {
    /// Subjects that get the request exactly as written.
    Raw,
    /// The runtime itself, which answers malformed requests: only the status is checked.
    Runtime,
    /// Subjects without an origin, so without writes.
    Reads,
    /// Subjects with an origin.
    Writes,
}

fn get() -> String {
    "GET".to_owned()
}

/// Runs every file of cases. Returns the number of requests.
pub fn run(subject: &dyn Subject) -> usize {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blackbox/cases");
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let (mut failures, mut sent) = (Vec::new(), 0);
    for path in &paths {
        let file = path.file_stem().unwrap().to_string_lossy();
        let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in &cases {
            sent +=
                case.run(subject, &mut |problem| failures.push(format!("{file}: {}: {problem}", case.name)));
        }
    }
    assert!(failures.is_empty(), "{} problems:\n{}", failures.len(), failures.join("\n"));
    sent
}

impl Case {
    fn run(&self, subject: &dyn Subject, fail: &mut dyn FnMut(String)) -> usize {
        match self.only {
            Some(Only::Raw) if !subject.takes_raw_requests() => return 0,
            Some(Only::Runtime) if !subject.has_runtime() => return 0,
            Some(Only::Reads) if subject.has_origin() => return 0,
            Some(Only::Writes) if !subject.has_origin() => return 0,
            _ => {}
        }
        let wire = self.wire(subject);
        let answer = subject.send(&wire);
        let describe = |answer: &Answer| {
            let text: String = answer.text().chars().take(200).collect();
            format!("{} -> {} {text}", wire.describe(), answer.status)
        };
        if answer.status != self.status {
            fail(format!("expected {}: {}", self.status, describe(&answer)));
        } else if self.only != Some(Only::Runtime) {
            for problem in self.problems(&wire, &answer) {
                fail(format!("{problem}: {}", describe(&answer)));
            }
        }
        let mut sent = 1;
        if self.method == "GET" && self.only != Some(Only::Runtime) {
            let head = subject.send(&wire.head());
            sent += 1;
            for problem in head_problems(&wire, &answer, &head) {
                fail(format!("HEAD: {problem}: {}", describe(&head)));
            }
        }
        let good = Wire::get("/items/5101/access").bearer(&subject.token("subscriber"));
        if subject.send(&good).status != 200 {
            fail(format!("the next good request is not answered: {}", describe(&answer)));
        }
        sent + 1
    }

    fn wire(&self, subject: &dyn Subject) -> Wire {
        let mut wire = Wire::new(&self.method, "");
        wire.target = bytes(&expand(&self.path, subject));
        wire.seen = self.seen.as_ref().map(|seen| expand(seen, subject));
        wire.country.clone_from(&self.country);
        if let Some(persona) = &self.r#as {
            wire = wire.bearer(&subject.token(persona));
        }
        for (name, value) in &self.headers {
            wire = wire.header(name, bytes(&expand(value, subject)));
        }
        if let Some(body) = &self.body {
            wire.body = Payload::Whole(bytes(body));
        }
        wire
    }

    fn problems(&self, wire: &Wire, answer: &Answer) -> Vec<String> {
        let mut problems = problems(wire, answer, Pages::All);
        let body = answer.json();
        if let Some(message) = &self.message
            && self.method != "HEAD"
            && body != error_body(self.status, message, self.field.as_deref())
        {
            problems.push(format!("expected the error {message:?}"));
        }
        if self.status >= 400 && self.message.is_none() {
            problems.push("the case names no message".to_owned());
        }
        if self.json.as_ref().is_some_and(|expected| *expected != body) {
            problems.push("another body".to_owned());
        }
        if self.includes.as_ref().is_some_and(|expected| !includes(&body, expected)) {
            problems.push(format!("the body does not include {}", self.includes.clone().unwrap_or_default()));
        }
        for text in &self.without {
            if answer.text().contains(text.as_str())
                || answer.headers.iter().any(|(_, value)| value.contains(text.as_str()))
            {
                problems.push(format!("shows {text:?}"));
            }
        }
        for (name, expected) in &self.answer_headers {
            if answer.header(name) != expected.as_deref() {
                problems.push(format!("{name} is {:?}, not {expected:?}", answer.header(name)));
            }
        }
        problems
    }
}

/// HEAD must be answered like GET, without the body.
pub fn head_problems(wire: &Wire, answer: &Answer, head: &Answer) -> Vec<String> {
    let mut all = problems(&wire.head(), head, Pages::All);
    if head.status != answer.status {
        all.push(format!("{} is not GET's {}", head.status, answer.status));
    }
    let is_health = wire.target.starts_with(b"/healthz");
    let stable = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| match name.as_str() {
            // These headers describe the single request.
            "x-request-id" | "server-timing" | "date" | "connection" | "keep-alive" => false,
            // Where the origin answered one of the two, and the other was remembered.
            "entitlement-seq" => false,
            // The age may have one more digit by now.
            "content-length" => !is_health,
            _ => true,
        });
        headers.sort();
        headers
    };
    if stable(answer) != stable(head) {
        all.push(format!("headers differ: {:?} {:?}", stable(answer), stable(head)));
    }
    all
}

/// One byte for each character, so that paths and headers can contain any byte.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or_else(|_| panic!("no byte: {c:?}"))).collect()
}

/// Expands `{persona}` to a token, and `{a*8192}` to the repeated text.
fn expand(text: &str, subject: &dyn Subject) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        expanded.push_str(before);
        let (name, after) = behind.split_once('}').expect("a closing brace");
        match name.rsplit_once('*') {
            Some((text, times)) => expanded.push_str(&text.repeat(times.parse().expect("a number"))),
            None => expanded.push_str(&subject.token(name)),
        }
        rest = after;
    }
    expanded + rest
}
