//! Why a request is refused, and how that is answered: one body for all clients.

use std::{borrow::Cow, collections::BTreeMap};

use admit::api::{
    error::ApiError,
    reply::{Body, Caching, Reply},
};
use serde_json::{Map, Value};

use crate::{db::DbError, limits::RETRY_AFTER_SECS};

/// Why a request is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// For a reason that the edge has, too.
    #[error("{}", .0.message())]
    Api(ApiError),
    /// 422: fields, and what is wrong with each.
    #[error("{} fields are wrong", .0.len())]
    Fields(BTreeMap<String, String>),
    /// 400: the same, for those who expect it so.
    #[error("{} fields are wrong", .0.len())]
    BadRequest(BTreeMap<String, String>),
    /// Another status, and its message.
    #[error("{1}")]
    Status(u16, &'static str),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Refused {
    /// One wrong field.
    #[must_use]
    pub fn field(name: &str, problem: &str) -> Self {
        Self::Fields(BTreeMap::from([(name.to_owned(), problem.to_owned())]))
    }

    /// Wrong fields as 400.
    #[must_use]
    pub fn into_bad_request(self) -> Self {
        match self {
            Self::Fields(problems) => Self::BadRequest(problems),
            other => other,
        }
    }

    /// The answer.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Api(error) => error.into(),
            Self::Fields(problems) => fields_reply(422, problems),
            Self::BadRequest(problems) => fields_reply(400, problems),
            Self::Status(status, message) => {
                let errors = Map::from_iter([(status.to_string(), message.into())]);
                reply(status, message, errors, message)
            }
            Self::Db(error) if error.is_busy() => {
                Reply::error(ApiError::Unavailable { retry_after_secs: RETRY_AFTER_SECS }, "busy")
            }
            Self::Db(error) => Reply::error(ApiError::Internal, error.to_string()),
        }
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

fn fields_reply(status: u16, problems: BTreeMap<String, String>) -> Reply {
    let message = problems.values().next().cloned().unwrap_or_default();
    let errors = problems.into_iter().map(|(name, problem)| (name, problem.into())).collect();
    reply(status, &message, errors, "invalid")
}

fn reply(status: u16, message: &str, errors: Map<String, Value>, reason: &'static str) -> Reply {
    // Members in the order of the edge's own errors.
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
        reason: Cow::Borrowed(reason),
        detail: String::new(),
        validity: None,
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
    fn one_body_for_all() {
        assert_eq!(
            body(Refused::Status(400, "Item not found")),
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
    fn a_database_that_is_busy_is_asked_again() {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        let reply = Refused::from(rusqlite::Error::SqliteFailure(code, None)).reply();
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        assert_eq!(Refused::from(rusqlite::Error::SqliteFailure(code, None)).reply().status, 500);
    }

    #[test]
    fn what_the_database_says_is_not_shown() {
        let reply = Refused::from(DbError::Inconsistent("secret")).reply();
        assert_eq!(reply.status, 500);
        assert!(!String::from_utf8_lossy(reply.body.as_bytes()).contains("secret"));
    }
}
