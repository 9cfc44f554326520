//! Joins the table of endpoints with the descriptions.

use std::{collections::BTreeSet, ptr};

use admit::api::{
    contract::{Auth, Endpoint, Input, Kind, Operation, Server, table::described},
    error::ApiError,
};
use serde_json::{Map, Value, json};

use crate::{
    bodies, components,
    describe::{Ask, Description},
    errors, headers,
    operation::{EDGE, Made, method},
    operations::{self, Group},
    security,
};

const ABOUT: &str = "\
Entitlement checks for streaming services, answered at the edge. docs/api.md has the rules and the reasons.

- A 2xx to an access check means that access is granted. A denial is 402 and nothing else; 503 means that it cannot be told now. `/access` and AuthZEN answer 200 with a decision for each question.
- HEAD is answered wherever GET is, but for `/export` and `/changes`: status and headers of GET without its body. OPTIONS answers 204 on every path. Neither is listed.
- An unknown path is 404 `Route not found`; a method that a path does not have is 405 with `Allow`.
- Where two templates fit a path, a word counts before a parameter: `/items/packages/{id}` before `/items/{merchant_uuid}/{id}`.
- Answers may get further members: ignore those that you do not know.
- `x-served-by` says who has an operation: `edge`, `edge with an origin`, `origin`.
- With `PASS_THROUGH` an edge passes requests below configured prefixes to its origin as they are. Their paths and bodies are the origin's, and not described here.";

/// A question's status and answer: JSON, or `null` for any other body.
pub type Answered = (u16, Value);

/// The document. `answer` gives the service's answer to an example.
///
/// # Errors
/// Members that an operation of the table lacks, and descriptions of operations that the table does not have.
pub fn document(answer: &dyn Fn(&Ask) -> Answered) -> Result<Value, Vec<String>> {
    document_of(&operations::all(), answer)
}

fn document_of(groups: &[Group], answer: &dyn Fn(&Ask) -> Answered) -> Result<Value, Vec<String>> {
    let mut lacks = Vec::new();
    let mut paths = Map::new();
    let mut used = BTreeSet::new();
    let mut all_errors: Vec<ApiError> = Vec::new();
    let tag_of = |endpoint: &'static Endpoint, methods| {
        let mut found = groups.iter().flat_map(|group| group.operations.iter().map(move |one| (group, one)));
        found.find(|(_, one)| ptr::eq(one.endpoint, endpoint) && one.methods == methods)
    };
    for (endpoint, operations) in described() {
        for (operation, summary) in operations {
            let at =
                format!("{} {}", operation.methods, endpoint.patterns.first().copied().unwrap_or_default());
            let Some((group, description)) = tag_of(endpoint, operation.methods) else {
                lacks.push(format!("{at} has no description in crates/openapi/src/operations/"));
                continue;
            };
            used.insert(ptr::from_ref(description));
            let errors = errors_of(endpoint, operation, description);
            for error in &errors {
                if !all_errors.contains(error) {
                    all_errors.push(*error);
                }
            }
            let made = Made { group, endpoint, operation, summary, description, errors: &errors };
            lacks.extend(made.lacks().into_iter().map(|lack| format!("{at} {lack}")));
            let asked: Vec<_> = description
                .examples
                .iter()
                .map(|ask| (ask, ask.shown.clone().unwrap_or_else(|| answer(ask))))
                .collect();
            for pattern in endpoint.patterns {
                let path = paths.entry((*pattern).to_owned()).or_insert_with(|| json!({}));
                if let Some(path) = path.as_object_mut() {
                    path.insert(method(operation.methods).to_ascii_lowercase(), made.value(pattern, &asked));
                }
            }
        }
    }
    for group in groups {
        for one in group.operations.iter().filter(|one| !used.contains(&ptr::from_ref(*one))) {
            lacks.push(format!(
                "{} {:?} is described, but not in the table",
                one.methods, one.endpoint.patterns
            ));
        }
    }
    let everywhere = [ApiError::RouteNotFound, errors::METHOD_NOT_ALLOWED, ApiError::InvalidIdOnAccess];
    for error in ApiError::all().filter(|error| !everywhere.contains(error)) {
        let is_used = all_errors
            .iter()
            .any(|used| used.status() == error.status() && used.message() == error.message());
        if !is_used {
            lacks.push(format!("{} {:?} is an answer of no operation", error.status(), error.message()));
        }
    }
    if !lacks.is_empty() {
        return Err(lacks);
    }
    let (responses, examples) = errors::components(&all_errors);
    let tags: Vec<_> =
        groups.iter().map(|group| json!({ "name": group.name, "description": group.text })).collect();
    let mut shared = json!({
        "schemas": bodies::all(), "headers": headers::components(), "responses": responses, "examples": examples,
        "securitySchemes": security::schemes(),
    });
    components::share(&mut shared, &mut paths);
    components::drop_unused(&mut shared, &paths);
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Admit", "version": env!("CARGO_PKG_VERSION"), "summary": "Entitlement checks at the edge",
            "description": ABOUT, "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": EDGE, "description": "The edge of `cargo xtask dev`" }],
        "tags": tags,
        "paths": paths,
        "components": shared,
    }))
}

/// The errors of an operation: its own, and those of its token, path, body and kind.
fn errors_of(endpoint: &Endpoint, operation: &Operation, description: &Description) -> Vec<ApiError> {
    let mut errors = description.errors.clone();
    let has = |name: &str| endpoint.patterns.iter().any(|pattern| pattern.contains(name));
    if operation.auth != Auth::None || matches!(operation.kind, Kind::Health) {
        errors.push(ApiError::InvalidToken);
    }
    if operation.auth != Auth::None {
        errors.push(ApiError::InvalidPrivileges);
    }
    if has("{id}") && !errors.contains(&ApiError::InvalidIdOnAccess) {
        errors.push(ApiError::INVALID_ID);
    }
    if has("{fee_id}") {
        errors.push(ApiError::INVALID_FEE_ID);
    }
    if ["{kind}", "{digest}", "{seq}", "{merchant_uuid}"].into_iter().any(has) {
        // A path whose parameter has another form is another path.
        errors.push(ApiError::RouteNotFound);
    }
    let too_large = ApiError::BodyTooLarge(0);
    match operation.input {
        Input::None => {}
        Input::Fields => {
            errors.extend([
                too_large,
                ApiError::UnsupportedMediaType,
                ApiError::CHARSET,
                ApiError::CONTENT_ENCODING,
            ]);
        }
        Input::Json => {
            errors.extend([
                ApiError::NOT_JSON,
                ApiError::NOT_JSON_TYPE,
                too_large,
                ApiError::CONTENT_ENCODING,
            ]);
        }
        Input::Bytes => errors.extend([ApiError::INTERRUPTED_BODY, too_large, ApiError::CONTENT_ENCODING]),
    }
    let retry_after_secs = 0;
    errors.extend([
        ApiError::TooManyRequests,
        ApiError::Internal,
        ApiError::Unavailable { retry_after_secs },
    ]);
    if matches!(operation.kind, Kind::Write(_) | Kind::SignIn { .. }) {
        errors.extend([
            ApiError::RouteNotFound,
            errors::METHOD_NOT_ALLOWED,
            ApiError::UpstreamUnreachable { retry_after_secs },
            ApiError::UpstreamRefused { retry_after_secs },
            ApiError::UpstreamFailed { retry_after_secs },
            ApiError::UpstreamPaused { retry_after_secs },
            ApiError::UpstreamTimedOut { retry_after_secs },
        ]);
    }
    if !operation.kind.is_served_by(Server::LoneEdge) && !operation.kind.is_served_by(Server::Edge) {
        // The origin has its own refusals, but no limits by address.
        errors.retain(|error| *error != ApiError::TooManyRequests || operation.input != Input::None);
    }
    errors
}

/// The same with its members in alphabetical order, whatever the map of this build does.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            Value::Object(members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(array) => Value::Array(array.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
