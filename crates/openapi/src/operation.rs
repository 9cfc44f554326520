//! One operation of the document.

use std::ptr;

use admit::api::{
    contract::{Auth, Endpoint, Input, Kind, Methods, Operation, Server, table},
    error::ApiError,
};
use serde_json::{Map, Value, json};

use crate::{
    describe::{Ask, Caller, Description, Shape},
    document::{Answered, sorted},
    errors, headers,
    operations::Group,
    parameters,
    schema::named,
    security,
};

/// Where `cargo xtask dev` runs an edge, and its origin.
pub const EDGE: &str = "http://127.0.0.1:8787";
const ORIGIN: &str = "http://127.0.0.1:8790";

/// The method that the document lists.
pub fn method(methods: Methods) -> &'static str {
    let named = Methods::NAMES.iter().find(|(one, _)| one.intersects(methods));
    named.map_or("", |(_, name)| name)
}

/// An operation, with all that is known of it.
pub struct Made<'a> {
    pub group: &'a Group,
    pub endpoint: &'static Endpoint,
    pub operation: &'static Operation,
    pub summary: &'static str,
    pub description: &'a Description,
    pub errors: &'a [ApiError],
}

impl Made<'_> {
    /// What the description lacks.
    pub fn lacks(&self) -> Vec<String> {
        let Self { endpoint, operation, description, .. } = self;
        let mut lacks = Vec::new();
        let mut check = |is_there: bool, what: String| {
            if !is_there {
                lacks.push(what);
            }
        };
        check(!description.text.is_empty(), "has no text".to_owned());
        check(!description.answers.is_empty(), "has no successful answer".to_owned());
        check(!description.examples.is_empty(), "has no example".to_owned());
        check(
            (operation.input == Input::None) == description.bodies.is_empty(),
            "has a body in the table and none in its description, or the other way round".to_owned(),
        );
        for pattern in endpoint.patterns {
            for name in names(pattern) {
                check(
                    parameters::of_path(name).is_some(),
                    format!("has the parameter {name}, which src/parameters.rs lacks"),
                );
            }
        }
        for ask in &description.examples {
            let path = ask.target.split('?').next().unwrap_or_default();
            let fits = endpoint.patterns.iter().any(|pattern| values(pattern, path).is_some());
            check(fits, format!("has the example {}, which is another path", ask.target));
        }
        lacks
    }

    /// The operation at one spelling of its path.
    pub fn value(&self, pattern: &str, asked: &[(&Ask, Answered)]) -> Value {
        let Self { group, endpoint, operation, summary, description, errors } = self;
        let (is_at_edge, is_at_origin) =
            (operation.kind.is_served_by(Server::Edge), operation.kind.is_served_by(Server::Origin));
        let mut served = Vec::new();
        if operation.kind.is_served_by(Server::LoneEdge) {
            served.push("edge");
        } else if is_at_edge {
            served.push("edge with an origin");
        }
        if is_at_origin {
            served.push("origin");
        }
        let first = asked.first().map_or("", |(ask, _)| ask.target);
        let path = first.split('?').next().unwrap_or_default();
        let known = endpoint.patterns.iter().find_map(|pattern| values(pattern, path)).unwrap_or_default();
        let mut listed: Vec<Value> = names(pattern)
            .filter_map(|name| {
                let (schema, text) = parameters::of_path(name)?;
                let sent = known.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
                let example = match sent.parse::<i64>() {
                    Ok(number) if schema.get("type") == Some(&json!("integer")) => json!(number),
                    _ => json!(sent),
                };
                Some(json!({
                    "name": name, "in": "path", "required": true, "description": text, "schema": schema,
                    "example": example,
                }))
            })
            .collect();
        listed.extend(description.parameters.iter().cloned());
        let mut value = json!({
            "operationId": operation_id(method(operation.methods), pattern),
            "summary": summary,
            "description": description.text,
            "tags": [group.name],
            "x-served-by": served,
            "responses": self.responses(asked, errors),
            "security": security_of(operation, endpoint),
            "x-codeSamples": asked.iter().map(|(ask, _)| sample(ask, endpoint, pattern, is_at_edge)).collect::<Vec<_>>(),
        });
        if let Some(value) = value.as_object_mut() {
            if !listed.is_empty() {
                value.insert("parameters".to_owned(), listed.into());
            }
            if !description.bodies.is_empty() {
                value.insert("requestBody".to_owned(), self.request());
            }
            if !is_at_edge {
                value.insert(
                    "servers".to_owned(),
                    json!([{ "url": ORIGIN, "description": "The origin of `cargo xtask dev`" }]),
                );
            }
        }
        value
    }

    fn request(&self) -> Value {
        let content = self.description.bodies.iter().map(|(content_type, schema)| {
            let mut media = json!({ "schema": schema });
            let examples: Map<_, _> = self
                .description
                .examples
                .iter()
                .filter_map(|ask| Some((slug(ask.name), json!({ "value": ask.body.clone()? }))))
                .collect();
            if let Some(media) = media.as_object_mut().filter(|_| !examples.is_empty()) {
                media.insert("examples".to_owned(), examples.into());
            }
            ((*content_type).to_owned(), media)
        });
        json!({ "required": true, "content": content.collect::<Map<_, _>>() })
    }

    fn responses(&self, asked: &[(&Ask, Answered)], errors: &[ApiError]) -> Value {
        let mut responses: Map<String, Value> = errors::answers(errors).into_iter().collect();
        let is_write = matches!(self.operation.kind, Kind::Write(_) | Kind::SignIn { .. });
        let mut names = headers::COMMON.to_vec();
        if is_write || self.operation.kind.is_served_by(Server::Origin) {
            names.push("EntitlementSeq");
        }
        if is_write {
            names.push("IdempotencyReplayed");
        }
        if self.operation.kind == Kind::Authzen {
            names.push("AdmitRequestId");
        }
        for (status, text, shape) in &self.description.answers {
            let mut names = names.clone();
            if *status == "303" {
                names.push("Location");
            }
            let mut response = json!({ "description": text, "headers": headers::references(&names) });
            let examples: Map<_, _> = asked
                .iter()
                .filter(|(_, (shown, body))| shown.to_string() == *status && !body.is_null())
                .map(|(ask, (_, body))| (slug(ask.name), json!({ "value": body })))
                .collect();
            let content = match shape {
                Shape::Json(schema) | Shape::Origin(schema) => {
                    let mut media = json!({ "schema": schema });
                    if let Some(media) = media.as_object_mut().filter(|_| !examples.is_empty()) {
                        media.insert("examples".to_owned(), examples.into());
                    }
                    Some(("application/json", media))
                }
                Shape::Bytes("application/octet-stream") => Some((
                    "application/octet-stream",
                    json!({ "schema": { "type": "string", "format": "binary" } }),
                )),
                Shape::Bytes(content_type) => {
                    Some((*content_type, json!({ "schema": { "type": "string" } })))
                }
                Shape::Nothing => None,
            };
            if let (Some((content_type, media)), Some(response)) = (content, response.as_object_mut()) {
                // An error may come in the API's form as well.
                let mut content = responses.get(*status).and_then(|error| error.get("content")).cloned();
                let content = content.get_or_insert_with(|| json!({}));
                content[content_type] = media;
                response.insert("content".to_owned(), content.take());
            }
            responses.insert((*status).to_owned(), response);
        }
        if is_write {
            let is_sign_in = matches!(self.operation.kind, Kind::SignIn { .. });
            let refused = if is_sign_in {
                json!({ "anyOf": [named("OriginError"), named("OAuthError")] })
            } else {
                named("OriginError")
            };
            for (status, text) in
                [("4XX", "The origin's refusal: nothing was applied"), ("5XX", "The origin's own failure")]
            {
                let content = json!({ "application/json": { "schema": refused } });
                let response = json!({ "description": text, "headers": headers::references(&names), "content": content });
                responses.insert(status.to_owned(), response);
            }
            if is_sign_in {
                // OAuth's errors have the same statuses as the API's.
                for status in ["400", "401", "403"] {
                    let content = json!({ "application/json": { "schema": refused } });
                    responses.insert(
                        status.to_owned(),
                        json!({ "description": "The origin's refusal, in the API's form or OAuth's", "headers": headers::references(&names), "content": content }),
                    );
                }
            }
        }
        Value::Object(responses)
    }
}

fn security_of(operation: &Operation, endpoint: &'static Endpoint) -> Vec<Value> {
    let mut alternatives = security::of(operation.auth);
    if ptr::eq(endpoint, &raw const table::ENTITLEMENTS) {
        // Without a token the list is empty.
        alternatives.push(json!({}));
    }
    if operation.kind == Kind::Health {
        alternatives = [security::of(Auth::Viewer), security::health(), vec![json!({})]].concat();
    }
    alternatives
}

/// The names of a pattern's parameters.
fn names(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// The values of a pattern's parameters in a path that fits.
fn values<'a>(pattern: &'a str, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let (wanted, sent) = (pattern.split('/'), path.split('/'));
    if wanted.clone().count() != sent.clone().count() {
        return None;
    }
    let mut values = Vec::new();
    for (wanted, sent) in wanted.zip(sent) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => values.push((name, sent)),
            None if wanted == sent => {}
            None => return None,
        }
    }
    Some(values)
}

fn operation_id(method: &str, pattern: &str) -> String {
    [method.to_ascii_lowercase(), errors::pascal(pattern)].concat()
}

fn slug(name: &str) -> String {
    name.replace(' ', "_")
}

/// The command line of an example.
fn sample(ask: &Ask, endpoint: &Endpoint, pattern: &str, is_at_edge: bool) -> Value {
    let source = ask.command.map_or_else(|| command(ask, endpoint, pattern, is_at_edge), str::to_owned);
    json!({ "lang": "Shell", "label": ask.name, "source": source })
}

fn command(ask: &Ask, endpoint: &Endpoint, pattern: &str, is_at_edge: bool) -> String {
    let (path, query) = ask.target.split_once('?').unwrap_or((ask.target, ""));
    let known = endpoint.patterns.iter().find_map(|pattern| values(pattern, path)).unwrap_or_default();
    let segments = pattern.split('/').map(|segment| {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        name.and_then(|name| known.iter().find(|(known, _)| *known == name))
            .map_or(segment, |(_, value)| value)
    });
    let mut target = segments.collect::<Vec<_>>().join("/");
    if !query.is_empty() {
        target = [&target, "?", query].concat();
    }
    let mut command = "curl".to_owned();
    if ask.method != "GET" {
        command += &format!(" -X {}", ask.method);
    }
    match ask.caller {
        Caller::Stranger => {}
        Caller::Sample(name) => {
            command += &format!(" -H \"Authorization: Bearer $(cargo xtask token {name})\"")
        }
        Caller::Variable(name) => command += &format!(" -H \"Authorization: Bearer ${name}\""),
    }
    if let Some(body) = &ask.body {
        command += &format!(" -H 'Content-Type: application/json' -d '{}'", sorted(body));
    }
    let quote = if target.contains(['?', '&', '(', ';']) { "'" } else { "" };
    let server = if is_at_edge { EDGE } else { ORIGIN };
    command + &format!(" {quote}{server}{target}{quote}")
}
