//! Every answer is one that `docs/openapi.json` describes: the status, the headers that must be there, and the body. Each
//! subject of these tests shows its answers here.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::OnceLock,
};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::{
    subject::Subject,
    wire::{Answer, Wire},
};

/// The operations that an edge has.
struct Document(Vec<Operation>);

struct Operation {
    /// `operationId`
    id: String,
    /// Whether only an edge with an origin has it.
    needs_origin: bool,
    method: String,
    /// The path's segments: a word, or the schema of a parameter.
    path: Vec<Segment>,
    /// By status, or by its first digit as in `4XX`.
    responses: BTreeMap<String, Response>,
}

enum Segment {
    Word(String),
    /// The validator of a parameter. A number may be any text: an invalid one is answered 422.
    Parameter(Option<Box<Validator>>),
}

struct Response {
    headers: Vec<(String, bool, Validator)>,
    content: Option<(String, Validator)>,
}

thread_local! {
    /// Operations and statuses that this thread has seen.
    static SEEN: RefCell<BTreeSet<(String, u16)>> = const { RefCell::new(BTreeSet::new()) };
}

/// Whether a test sends writes and sign-ins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    AreSeen,
    AreElsewhere,
}

/// Fails unless this thread has seen a success of every operation of an edge.
pub fn assert_all_seen(writes: Writes) {
    let seen = SEEN.take();
    let is_seen = |id: &str| seen.iter().any(|(known, status)| known == id && (200..300).contains(status));
    let wanted = document().0.iter().filter(|operation| writes == Writes::AreSeen || !operation.needs_origin);
    let missing: Vec<_> = wanted.map(|operation| operation.id.as_str()).filter(|id| !is_seen(id)).collect();
    assert!(missing.is_empty(), "no success of {missing:?}");
}

/// Operations without a group of cases of their own. `signing` has the configuration of the playback tests.
pub fn exercise_others(subject: &dyn Subject, signing: &dyn Subject) {
    for target in ["/items/5101/access-fees", "/v2/items/5101/access-fees"] {
        assert_eq!(subject.send(&Wire::get(target)).status, 200, "{target}");
    }
    let viewer = signing.token("subscriber");
    let answer = signing.send(&Wire::get("/v2/items/jw-media/token?media_id=5tb8rxr7").bearer(&viewer));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Checks an answer to a request. Paths that the document does not have are not its business.
pub fn check(method: &str, target: &str, answer: &Answer) {
    // The runtime's own words: it refuses some requests before the Worker sees them, and answers when the Worker threw.
    // All of the Worker's own are JSON.
    if matches!((answer.status, answer.header("content-type")), (400, Some("text/plain")) | (500, None)) {
        return;
    }
    let path = target.split('?').next().unwrap_or_default();
    let Some(operation) = document().find(if method == "HEAD" { "GET" } else { method }, path) else {
        return;
    };
    SEEN.with_borrow_mut(|seen| seen.insert((operation.id.clone(), answer.status)));
    let problems = operation.problems(answer, method == "HEAD");
    assert!(
        problems.is_empty(),
        "{method} {target} is not answered as docs/openapi.json says of {}: {problems:?}\n{} {:?}\n{}",
        operation.id,
        answer.status,
        answer.headers,
        answer.text()
    );
}

fn document() -> &'static Document {
    static DOCUMENT: OnceLock<Document> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        Document::read(&serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    })
}

impl Document {
    fn read(document: &Value) -> Self {
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let servers = operation["x-served-by"].as_array().unwrap();
                if servers.iter().any(|server| server.as_str().unwrap().starts_with("edge")) {
                    operations.push(Operation::read(document, path, method, operation));
                }
            }
        }
        Self(operations)
    }

    /// The operation of a path. A word comes before a parameter in the same place.
    fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        let sent: Vec<_> = path.split('/').collect();
        let fits = |operation: &&Operation| {
            operation.method == method
                && operation.path.len() == sent.len()
                && operation.path.iter().zip(&sent).all(|(segment, sent)| segment.fits(sent))
        };
        let words = |operation: &&Operation| -> Vec<bool> {
            operation.path.iter().map(|segment| matches!(segment, Segment::Word(_))).collect()
        };
        self.0.iter().filter(fits).max_by_key(words)
    }
}

impl Operation {
    fn read(document: &Value, path: &str, method: &str, operation: &Value) -> Self {
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none);
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'))
        {
            None => Segment::Word(segment.to_owned()),
            Some(name) => {
                let schema = &parameters
                    .iter()
                    .find(|one| one["name"] == name && one["in"] == "path")
                    .unwrap()["schema"];
                let is_free = schema["type"] == "integer" || name == "type";
                Segment::Parameter((!is_free).then(|| Box::new(validator(document, schema))))
            }
        };
        let responses = operation["responses"].as_object().unwrap().iter();
        Self {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            needs_origin: !operation["x-served-by"].as_array().unwrap().contains(&"edge".into()),
            method: method.to_ascii_uppercase(),
            path: path.split('/').map(segment).collect(),
            responses: responses
                .map(|(status, response)| (status.clone(), Response::read(document, response)))
                .collect(),
        }
    }

    fn problems(&self, answer: &Answer, is_head: bool) -> Vec<String> {
        let status = answer.status.to_string();
        let range = format!("{}XX", &status[..1]);
        match self.responses.get(&status).or_else(|| self.responses.get(&range)) {
            Some(response) => response.problems(answer, is_head),
            None => vec![format!("the status {status} is not among {:?}", self.responses.keys())],
        }
    }
}

impl Segment {
    fn fits(&self, sent: &str) -> bool {
        match self {
            Self::Word(word) => word == sent,
            Self::Parameter(None) => true,
            Self::Parameter(Some(validator)) => validator.is_valid(&sent.into()),
        }
    }
}

impl Response {
    fn read(document: &Value, response: &Value) -> Self {
        let response = resolved(document, response);
        let none = Map::new();
        let headers = response["headers"].as_object().unwrap_or(&none).iter().map(|(name, header)| {
            let header = resolved(document, header);
            let is_required = header["required"] == true;
            (name.to_ascii_lowercase(), is_required, validator(document, &header["schema"]))
        });
        let content = response["content"].as_object().and_then(|content| content.iter().next());
        Self {
            headers: headers.collect(),
            content: content.map(|(name, media)| (name.clone(), validator(document, &media["schema"]))),
        }
    }

    fn problems(&self, answer: &Answer, is_head: bool) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, is_required, validator) in &self.headers {
            match answer.header(name) {
                None if *is_required => problems.push(format!("no header {name}")),
                None => {}
                Some(value) => {
                    let number = value.parse::<u64>().map(Value::from).ok();
                    let is_valid = validator.is_valid(&value.into())
                        || number.is_some_and(|value| validator.is_valid(&value));
                    if !is_valid {
                        problems.push(format!("the header {name} is {value:?}"));
                    }
                }
            }
        }
        if is_head {
            return problems;
        }
        match &self.content {
            None if answer.body.is_empty() => {}
            None => problems.push("a body where there is none".to_owned()),
            // An origin may answer a write without a body.
            Some(_) if answer.body.is_empty() && answer.header("content-type").is_none() => {
                if answer.status >= 300 {
                    problems.push("no body".to_owned());
                }
            }
            Some((content_type, validator)) => {
                if answer.header("content-type") != Some(content_type) {
                    problems.push(format!("the body is not {content_type}"));
                } else if content_type == "application/json" {
                    match serde_json::from_slice::<Value>(&answer.body) {
                        Ok(body) => problems.extend(
                            validator
                                .iter_errors(&body)
                                .map(|error| format!("{}: {error}", error.instance_path())),
                        ),
                        Err(error) => problems.push(format!("the body is not JSON: {error}")),
                    }
                }
            }
        }
        problems
    }
}

/// The component that a reference names, or the value itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

fn validator(document: &Value, schema: &Value) -> Validator {
    let schemas = &document["components"]["schemas"];
    let whole = json!({ "allOf": [schema], "components": { "schemas": schemas } });
    jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).build(&whole).unwrap()
}
