//! Bodies that clients send, and errors that they get.

pub mod error;
pub mod fields;
pub mod form;
mod origin_error;

pub use error::Refused;
pub use fields::Fields;
pub use origin_error::OriginError;

use admit::{
    api::{
        contract::{Kind, Route},
        error::ApiError,
        media_type::MediaType,
        write::check_body_headers,
    },
    limits::AUTHZEN_MAX_BYTES,
};
use serde_json::{Map, Value};

use crate::{
    limits::{
        BODY_MAX_BYTES, CLIENT_MAX_BYTES, CLIENT_MAX_FIELDS, FORM_MAX_FIELDS, SIGN_IN_MAX_BYTES,
        SIGN_IN_MAX_FIELDS,
    },
    target::Target,
    text::{UTF8_BOM, beginning},
};

/// Bounds of a body. They are checked before the body is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Longest body.
    pub bytes: usize,
    /// Most fields of a form, or members of a JSON object.
    pub fields: usize,
}

impl Budget {
    /// The bounds of a merchant's write.
    pub const WRITE: Self = Self { bytes: BODY_MAX_BYTES, fields: FORM_MAX_FIELDS };
    /// The bounds of a sign-in, which strangers send.
    pub const SIGN_IN: Self = Self { bytes: SIGN_IN_MAX_BYTES, fields: SIGN_IN_MAX_FIELDS };

    /// The bounds of questions in the form of AuthZEN, whose members have [bounds](admit::api::authzen) of their own.
    pub const QUESTIONS: Self = Self { bytes: AUTHZEN_MAX_BYTES, fields: AUTHZEN_MAX_BYTES };

    /// The bounds of a request about a viewer's own data.
    pub const CLIENT: Self = Self { bytes: CLIENT_MAX_BYTES, fields: CLIENT_MAX_FIELDS };

    /// The bounds of a body that is sent to `target`. A body that leads nowhere gets the smallest ones.
    #[must_use]
    pub fn at(target: Option<Target<'_>>) -> Self {
        let signs_in = |route: Route<'_>| {
            let mut operations = route.endpoint().operations.iter();
            operations.any(|operation| matches!(operation.kind, Kind::SignIn { .. } | Kind::SignInPage))
        };
        match target {
            Some(Target::Client(_)) => Self::CLIENT,
            Some(Target::Api(Route::Authzen(_))) => Self::QUESTIONS,
            Some(Target::Api(route)) if !signs_in(route) => Self::WRITE,
            _ => Self::SIGN_IN,
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::SIGN_IN
    }
}

/// The body of a request, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The complete body.
    Whole(Vec<u8>),
    /// The body exceeds its [`Budget`].
    TooLarge,
    /// The connection broke, or the body took too long.
    Interrupted,
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

/// A body with the headers that describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// `Content-Type`, empty if absent.
    pub content_type: String,
    /// `Content-Encoding`, empty if absent.
    pub content_encoding: String,
    /// The bytes of the body.
    pub body: Body,
    /// The bounds of the body.
    pub budget: Budget,
}

impl Payload {
    /// Parses the body into an object, from a form with PHP's nesting or from JSON. An empty body is an
    /// object without fields.
    ///
    /// # Errors
    /// 413; 415 naming the header; 422 naming the fields that cannot be read.
    pub fn read(&self) -> Result<Map<String, Value>, Refused> {
        if self.body == Body::Whole(Vec::new()) {
            return Ok(Map::new());
        }
        let Self { content_type, content_encoding, body, budget } = self;
        check_body_headers(content_type, content_encoding).map_err(|error| {
            let found = if error == ApiError::CONTENT_ENCODING { content_encoding } else { content_type };
            let found = if found.is_empty() { "none" } else { beginning(found) };
            Refused::Unreadable(error, found.to_owned())
        })?;
        match body {
            Body::TooLarge => Err(ApiError::BodyTooLarge(budget.bytes).into()),
            Body::Interrupted => Err(OriginError::BodyBrokeOff.into()),
            Body::Whole(bytes) if MediaType::parse(content_type).is_some_and(MediaType::is_form) => {
                form::parse_up_to(bytes, budget.fields)
            }
            Body::Whole(bytes) => object(bytes).and_then(|object| match object.len() > budget.fields {
                true => Err(form::too_many_fields(budget.fields)),
                false => Ok(object),
            }),
        }
    }
}

/// Parses a JSON object. If a name occurs several times, its last value counts, as in forms.
fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    let wrong = |problem: &str| Err(Refused::field("body", problem));
    let text = match std::str::from_utf8(bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes)) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            return wrong(&format!("The body is not UTF-8: byte {} is 0x{byte:02X}", at + 1));
        }
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => wrong("The body must be a JSON object"),
        Err(error) => wrong(&format!("The body is not valid JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &[u8]) -> Result<Map<String, Value>, Refused> {
        let body = Body::Whole(body.to_vec());
        let (content_type, content_encoding) = (content_type.to_owned(), String::new());
        Payload { content_type, content_encoding, body, budget: Budget::WRITE }.read()
    }

    fn problem(body: &[u8]) -> String {
        match read("application/json", body).unwrap_err() {
            Refused::Fields(problems) => problems["body"].clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn json_may_have_a_byte_order_mark() {
        let object = read("application/json", b"\xef\xbb\xbf{\"title\": \"x\"}").unwrap();
        assert_eq!(object["title"], "x");
        let last = read("application/json", br#"{"title": "x", "title": "y"}"#).unwrap();
        assert_eq!(last["title"], "y");
    }

    #[test]
    fn unreadable_json_is_reported_with_its_place() {
        let table: [(&[u8], &str); 7] = [
            (b"{\"title\": \"Caf\xe9\"}", "is not UTF-8: byte 15 is 0xE9"),
            (b"\xff\xfe{\0}\0", "is not UTF-8: byte 1 is 0xFF"),
            (b"{\"title\": \"\\ud83e\"}", "line 1 column"),
            (b"{\"title\": \"\\udd89\\ud83e\"}", "line 1 column"),
            (b"{\n  \"title\": x}", "line 2 column 12"),
            (b"{", "EOF while parsing an object at line 1 column 1"),
            (b"[1]", "must be a JSON object"),
        ];
        for (body, expected) in table {
            let problem = problem(body);
            assert!(problem.contains(expected), "{}: {problem}", String::from_utf8_lossy(body));
        }
    }

    /// The origin reads exactly the media types that the edge forwards.
    #[test]
    fn bodies_by_their_type() {
        for (content_type, is_form) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded;charset=UTF-8", true),
            ("application/json; charset=\"utf8\"", false),
            ("application/merge-patch+json", false),
        ] {
            let body: &[u8] = if is_form { b"title=x" } else { br#"{"title": "x"}"# };
            assert_eq!(read(content_type, body).unwrap()["title"], "x", "{content_type}");
        }
        for (content_type, named) in [
            ("", "none"),
            ("text/plain", "text/plain"),
            ("application/json, text/plain", "text/plain"),
            ("multipart/form-data; boundary=x", "multipart/form-data"),
            ("application/json; charset=ISO-8859-1", "ISO-8859-1"),
            ("application/x-www-form-urlencoded;charset=windows-1252", "windows-1252"),
        ] {
            let reply = read(content_type, b"x").unwrap_err().reply();
            let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
            let problem = body["errors"]["Content-Type"].as_str().unwrap();
            assert!(reply.status == 415 && problem.contains(named), "{content_type}: {body}");
        }
    }

    #[test]
    fn a_sign_in_has_few_fields() {
        let object = |fields: usize| {
            let object: Map<_, _> = (0..fields).map(|n| (format!("f{n}"), Value::from("x"))).collect();
            Value::Object(object).to_string()
        };
        let form = |fields: usize| "f[]=x&".repeat(fields);
        let status = |content_type: &str, body: String| {
            let (content_type, content_encoding) = (content_type.to_owned(), String::new());
            let body = Body::Whole(body.into_bytes());
            let payload = Payload { content_type, content_encoding, body, budget: Budget::SIGN_IN };
            payload.read().map_or_else(|refused| refused.reply().status, |_| 200)
        };
        for (content_type, body) in [
            ("application/json", &object as &dyn Fn(usize) -> String),
            ("application/x-www-form-urlencoded", &form),
        ] {
            let statuses =
                [SIGN_IN_MAX_FIELDS, SIGN_IN_MAX_FIELDS + 1].map(|count| status(content_type, body(count)));
            assert_eq!(statuses, [200, 422], "{content_type}");
        }
    }

    #[test]
    fn headers_are_judged_before_the_length() {
        let payload = |content_type: &str, content_encoding: &str| Payload {
            content_type: content_type.to_owned(),
            content_encoding: content_encoding.to_owned(),
            body: Body::TooLarge,
            budget: Budget::WRITE,
        };
        let status = |payload: Payload| payload.read().unwrap_err().reply().status;
        assert_eq!(status(payload("application/json", "")), 413);
        assert_eq!(status(payload("text/plain", "")), 415);
        assert_eq!(status(payload("application/json", "gzip")), 415);
        let empty = Payload { body: Body::Whole(Vec::new()), ..payload("", "gzip") };
        assert_eq!(empty.read().unwrap(), Map::new());
    }
}
