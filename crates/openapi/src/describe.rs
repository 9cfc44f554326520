//! What an operation's description has beside its row of the table.

use admit::api::{
    contract::{Endpoint, Methods},
    error::ApiError,
};
use serde_json::Value;

/// Who asks in an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A client without a token.
    Stranger,
    /// A viewer of `samples/personas.json`, or another name that `cargo xtask token` knows.
    Sample(&'static str),
    /// A program with a token in this shell variable.
    Variable(&'static str),
}

/// An example of a request, and of its answer.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Names it among the operation's examples.
    pub name: &'static str,
    /// The method.
    pub method: &'static str,
    /// Path and query.
    pub target: &'static str,
    /// Who asks.
    pub caller: Caller,
    /// The body of the request.
    pub body: Option<Value>,
    /// Status and answer, for what the service does not answer by itself. Otherwise the service is asked.
    pub shown: Option<(u16, Value)>,
    /// The command, if it has more than the request's parts.
    pub(crate) command: Option<&'static str>,
}

impl Ask {
    /// A question of the service, whose answer becomes the example.
    pub const fn new(name: &'static str, caller: Caller, target: &'static str) -> Self {
        Self { name, method: "GET", target, caller, body: None, shown: None, command: None }
    }

    /// The same by `POST` with a body.
    pub fn post(self, body: Value) -> Self {
        Self { method: "POST", body: Some(body), ..self }
    }

    /// The same by another method.
    pub fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// The same with a body.
    pub fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The same with an answer that is known.
    pub fn shows(self, status: u16, answer: Value) -> Self {
        Self { shown: Some((status, answer)), ..self }
    }

    /// The same with another command line.
    pub fn command(self, command: &'static str) -> Self {
        Self { command: Some(command), ..self }
    }
}

/// A body of an answer.
#[derive(Clone, Debug)]
pub enum Shape {
    /// JSON of this schema.
    Json(Value),
    /// JSON of the origin's own, beside the errors of the API.
    Origin(Value),
    /// Bytes of this type, described.
    Bytes(&'static str),
    /// No body.
    Nothing,
}

/// An operation as the document describes it.
#[derive(Clone, Debug)]
pub struct Description {
    pub endpoint: &'static Endpoint,
    pub methods: Methods,
    pub text: &'static str,
    /// Parameters beside those of the path.
    pub parameters: Vec<Value>,
    /// Bodies of the request by their types.
    pub bodies: Vec<(&'static str, Value)>,
    /// Successful answers: status, description, body.
    pub answers: Vec<(&'static str, &'static str, Shape)>,
    /// Errors beside those of the operation's token, path, and kind.
    pub errors: Vec<ApiError>,
    pub examples: Vec<Ask>,
}

impl Description {
    pub fn of(endpoint: &'static Endpoint, methods: Methods, text: &'static str) -> Self {
        let (parameters, bodies, answers) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            endpoint,
            methods,
            text,
            parameters,
            bodies,
            answers,
            errors: Vec::new(),
            examples: Vec::new(),
        }
    }

    pub fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    pub fn body(mut self, content_type: &'static str, schema: Value) -> Self {
        self.bodies.push((content_type, schema));
        self
    }

    /// 200 with JSON of this schema.
    pub fn answers(self, text: &'static str, schema: Value) -> Self {
        self.answer("200", text, Shape::Json(schema))
    }

    pub fn answer(mut self, status: &'static str, text: &'static str, shape: Shape) -> Self {
        self.answers.push((status, text, shape));
        self
    }

    pub fn errors(mut self, errors: &[ApiError]) -> Self {
        self.errors.extend(errors);
        self
    }

    pub fn example(mut self, ask: Ask) -> Self {
        self.examples.push(ask);
        self
    }
}
