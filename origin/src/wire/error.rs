//! Refusals of requests, and their replies: one format for all clients.

use std::{borrow::Cow, collections::BTreeMap};

use admit::{
    api::{
        error::ApiError,
        reply::{Body, Caching, Reply},
    },
    snapshot::cost,
};
use serde_json::{Map, Value};

use super::OriginError;
use crate::{
    db::{DbError, Unwritable},
    limits::{
        ERROR_MAX_BYTES, ERRORS_MAX_BYTES, LOGGED_NAME_MAX_BYTES, LOGGED_NAMES_MAX, RETRY_AFTER_SECS,
        RETRY_AFTER_STORAGE_SECS,
    },
};

/// Why a request is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// An error that the edge also has.
    #[error("{}", .0.message())]
    Api(ApiError),
    /// 422: invalid fields, each with its problem.
    #[error("{} fields are wrong", .0.len())]
    Fields(BTreeMap<String, String>),
    /// 400: invalid fields, at endpoints whose clients expect this status.
    #[error("{} fields are wrong", .0.len())]
    BadRequest(BTreeMap<String, String>),
    /// 415: the headers announce a body that cannot be read. The edge's error, and the value of the header.
    #[error("{}", .0.message())]
    Unreadable(ApiError, String),
    /// One invalid field, for an error with a message of its own.
    #[error("{problem}")]
    Named {
        /// Gives status and `message`.
        error: OriginError,
        /// The field, as clients spell it.
        name: String,
        /// The expected and the found value.
        problem: String,
    },
    /// An error that only this origin has.
    #[error("{}", .0.message())]
    Own(OriginError),
    /// 429: a client exceeded its rate.
    #[error("too many requests")]
    TooMany {
        /// Seconds until the next attempt may succeed.
        retry_after_secs: u32,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Refused {
    /// One invalid field, as 422.
    #[must_use]
    pub fn field(name: &str, problem: &str) -> Self {
        Self::Fields(BTreeMap::from([(name.to_owned(), problem.to_owned())]))
    }

    /// The same invalid fields, as 400.
    #[must_use]
    pub fn into_bad_request(self) -> Self {
        match self {
            Self::Fields(problems) => Self::BadRequest(problems),
            other => other,
        }
    }

    /// Status and reason for the audit trail. `None` if the request itself was not judged: the database
    /// failed, or the rate was exceeded.
    #[must_use]
    pub fn outcome(&self) -> Option<String> {
        Some(match self {
            Self::Api(error) => format!("{} {}", error.status(), error.message()),
            Self::Fields(problems) => format!("422 invalid: {}", logged(problems.keys())),
            Self::BadRequest(problems) => format!("400 invalid: {}", logged(problems.keys())),
            Self::Unreadable(error, _) => format!("{} {}", error.status(), error.message()),
            Self::Named { error, name, .. } => {
                format!("{} {}: {}", error.status(), error.message(), logged([name].into_iter()))
            }
            Self::Own(error) => format!("{} {}", error.status(), error.message()),
            Self::TooMany { .. } | Self::Db(_) => return None,
        })
    }

    /// The refusal as a reply.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Api(error) => error.into(),
            Self::Fields(problems) => fields_reply(422, problems),
            Self::BadRequest(problems) => fields_reply(400, problems),
            Self::Unreadable(error, found) => unreadable(error, &found),
            Self::Named { error, name, problem } => {
                let (name, problem) =
                    (short(&name, ERROR_MAX_BYTES).to_owned(), short(&problem, ERROR_MAX_BYTES).to_owned());
                let reason = format!("{}: {}", error.message(), logged([&name].into_iter()));
                let errors = Map::from_iter([(name, problem.into())]);
                reply(error.status(), error.message(), errors, reason.into())
            }
            Self::Own(error) => {
                let (status, message) = (error.status(), error.message());
                let errors = Map::from_iter([(status.to_string(), message.into())]);
                reply(status, message, errors, message.into())
            }
            Self::TooMany { retry_after_secs } => {
                let mut reply = Reply::error(ApiError::TooManyRequests, "too many requests");
                // Replaces the `Retry-After` that every 429 has.
                reply.take_header("retry-after");
                reply.headers.push(("retry-after", Cow::Owned(retry_after_secs.to_string())));
                reply
            }
            Self::Db(error) => match error.unwritable() {
                Some(unwritable) => not_applied(unwritable),
                None => Reply::error(ApiError::Internal, error.to_string()),
            },
        }
    }
}

impl From<OriginError> for Refused {
    fn from(error: OriginError) -> Self {
        Self::Own(error)
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The reply to a write that the database did not accept. Its transaction was rolled back.
fn not_applied(unwritable: Unwritable) -> Reply {
    let retry_after_secs = match unwritable {
        Unwritable::Busy => RETRY_AFTER_SECS,
        _ => RETRY_AFTER_STORAGE_SECS,
    };
    let detail = format!("the request was not applied, because {}", unwritable.message());
    let reply = Reply::detailed(ApiError::Unavailable { retry_after_secs }, &detail);
    Reply { reason: unwritable.code().into(), ..reply }
}

/// The edge's error with the header's value added under `errors`: the message itself is fixed.
fn unreadable(error: ApiError, found: &str) -> Reply {
    let detailed = Reply::detailed(error, found);
    if error != ApiError::UnsupportedMediaType {
        return detailed;
    }
    let name = error.field().unwrap_or("body").to_owned();
    let problem = format!("{}: {found}", error.message());
    let body = reply(415, error.message(), Map::from_iter([(name, problem.into())]), "".into()).body;
    Reply { body, ..detailed }
}

/// The reply names all fields that fit into [`ERRORS_MAX_BYTES`], each name and problem shortened to [`ERROR_MAX_BYTES`]:
/// both may repeat the client's text. The body says how many fields were left out.
fn fields_reply(status: u16, problems: BTreeMap<String, String>) -> Reply {
    let count = problems.len();
    let message = short(problems.values().next().map_or("", String::as_str), ERROR_MAX_BYTES).to_owned();
    let reason = format!("invalid: {}", logged(problems.keys()));
    let mut errors = Map::new();
    let mut bytes = 0;
    for (name, problem) in &problems {
        let (name, problem) = (short(name, ERROR_MAX_BYTES), short(problem, ERROR_MAX_BYTES));
        bytes += cost::text(name) + cost::text(problem);
        if bytes > ERRORS_MAX_BYTES {
            errors
                .insert("body".to_owned(), format!("{} more fields are wrong", count - errors.len()).into());
            break;
        }
        errors.insert(name.to_owned(), problem.into());
    }
    reply(status, &message, errors, reason.into())
}

/// The longest beginning of a text within `max_bytes`, at a character boundary.
fn short(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or_default()
}

/// Field names for a log line: a few, each shortened. They are the client's text, which the log escapes as
/// JSON.
fn logged<'n>(names: impl ExactSizeIterator<Item = &'n String>) -> String {
    let count = names.len();
    let shown = names
        .take(LOGGED_NAMES_MAX)
        .map(|name| short(name, LOGGED_NAME_MAX_BYTES))
        .collect::<Vec<_>>()
        .join(", ");
    match count.saturating_sub(LOGGED_NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn reply(status: u16, message: &str, errors: Map<String, Value>, reason: Cow<'static, str>) -> Reply {
    // The members have the order of the edge's own errors.
    let body = format!(
        r#"{{"code":{status},"message":{},"errors":{}}}"#,
        Value::from(message),
        Value::Object(errors)
    );
    Reply {
        status,
        body: Body::Json(body),
        caching: Caching::Private,
        headers: Vec::new(),
        reason,
        detail: String::new(),
        is_unapplied: false,
        lasts_until: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(refused: Refused) -> Value {
        serde_json::from_slice(refused.reply().body.as_bytes()).unwrap()
    }

    #[test]
    fn all_refusals_have_the_same_format() {
        assert_eq!(
            body(OriginError::NoItemToDelete.into()),
            json!({"code": 400, "message": "Item not found", "errors": {"400": "Item not found"}})
        );
        let fields = BTreeMap::from([("b".into(), "second".into()), ("a".into(), "first".into())]);
        assert_eq!(
            body(Refused::Fields(fields)),
            json!({"code": 422, "message": "first", "errors": {"a": "first", "b": "second"}})
        );
        assert_eq!(body(ApiError::ItemNotFound.into())["code"], 404);
    }

    #[test]
    fn the_log_names_the_refused_fields() {
        let fields =
            |count: usize| Refused::Fields((0..count).map(|n| (format!("f{n:02}"), "x".into())).collect());
        assert_eq!(fields(2).reply().reason, "invalid: f00, f01");
        assert_eq!(fields(12).reply().reason, "invalid: f00, f01, f02, f03, f04, f05, f06, f07 and 4 more");
        let long = Refused::field(&"é".repeat(1_000), "x").reply().reason.len();
        assert!(long < 100, "{long}");
        let unreadable = |error| Refused::Unreadable(error, "x".to_owned());
        let encoded = unreadable(ApiError::CONTENT_ENCODING).reply();
        assert_eq!(
            (encoded.status, encoded.reason.as_ref()),
            (415, "Content-Encoding: The body must be sent without a Content-Encoding: x")
        );
        assert_eq!(encoded.header("accept-encoding"), Some("identity"));
        assert_eq!(
            body(unreadable(ApiError::CHARSET))["message"],
            "The charset of the Content-Type must be UTF-8: x"
        );
        let body = body(unreadable(ApiError::UnsupportedMediaType));
        assert_eq!(body["message"], "Unsupported media type");
        assert_eq!(body["errors"]["Content-Type"], "Unsupported media type: x");
    }

    #[test]
    fn a_database_that_takes_no_writes_is_asked_again() {
        for (code, retry_after, reason) in [
            (rusqlite::ffi::SQLITE_BUSY, "1", "busy"),
            (rusqlite::ffi::SQLITE_LOCKED, "1", "busy"),
            (rusqlite::ffi::SQLITE_FULL, "30", "full"),
            (rusqlite::ffi::SQLITE_IOERR, "30", "io"),
            (rusqlite::ffi::SQLITE_IOERR_WRITE, "30", "io"),
            (rusqlite::ffi::SQLITE_CANTOPEN, "30", "io"),
            (rusqlite::ffi::SQLITE_READONLY, "30", "read_only"),
            (rusqlite::ffi::SQLITE_READONLY_DBMOVED, "30", "read_only"),
            (rusqlite::ffi::SQLITE_PERM, "30", "read_only"),
        ] {
            let code = rusqlite::ffi::Error::new(code);
            let refused = Refused::from(rusqlite::Error::SqliteFailure(code, None));
            let reply = refused.reply();
            assert_eq!((reply.status, reply.header("retry-after")), (503, Some(retry_after)), "{code:?}");
            assert_eq!(reply.reason, reason);
            assert!(String::from_utf8_lossy(reply.body.as_bytes()).contains("not applied"), "{code:?}");
        }
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        assert_eq!(Refused::from(rusqlite::Error::SqliteFailure(code, None)).reply().status, 500);
    }

    #[test]
    fn database_errors_are_not_shown_to_clients() {
        let reply = Refused::from(DbError::Inconsistent("secret")).reply();
        assert_eq!(reply.status, 500);
        assert!(!String::from_utf8_lossy(reply.body.as_bytes()).contains("secret"));
    }
}
