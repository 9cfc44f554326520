//! What goes wrong, as clients see it: one body for all of them, and a fixed message for each case.

use serde_json::{Map, Value};

use super::{contract::Methods, json::json};

/// An error with a wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// 401: missing, malformed, expired, unknown-key or wrong-audience token. Clients log their user out.
    InvalidToken,
    /// 402: no active access. The only denial.
    NoAccess,
    /// 403: a valid token in the wrong role.
    InvalidPrivileges,
    /// 404: unknown, deleted or inactive item.
    ItemNotFound,
    /// 404: unknown fee of a known item.
    FeeNotFound,
    /// 404: no such route.
    RouteNotFound,
    /// 404: no such object of the snapshot.
    ObjectNotFound,
    /// 405, with the methods there are.
    MethodNotAllowed(Methods),
    /// 422 on `/access`: its clients know only one message.
    InvalidIdOnAccess,
    /// 422 elsewhere: the field, and what was expected.
    InvalidField(&'static str, &'static str),
    /// 409: a head that is older than the published one.
    OlderHead,
    /// 409: somebody else may publish now. The answer says who, and until when.
    LeaseHeld,
    /// 409: an object that may not go, because the published head leads to it. The answer says which.
    ObjectNeeded,
    /// 413, with the limit in bytes.
    BodyTooLarge(usize),
    /// 413: more than [`PACK_MAX_OBJECTS`](crate::limits::PACK_MAX_OBJECTS) objects, or as many names.
    TooManyObjects,
    /// 415: a write whose body is neither a form nor JSON.
    UnsupportedMediaType,
    /// 415 for another header of a body: its name, and what was expected.
    UnsupportedHeader(&'static str, &'static str),
    /// 429: too many requests from one address, or of an origin that says no more than that.
    TooManyRequests,
    /// 502: no connection to the origin could be made.
    OriginUnreachable {
        /// When it is worth trying again.
        retry_after_secs: u32,
    },
    /// 502: something in front of the origin refused the request, and does not say why in the API's own way.
    OriginRefused {
        /// When it is worth trying again.
        retry_after_secs: u32,
    },
    /// 502: the origin gave no answer, or none that can be used.
    OriginFailed {
        /// When it is worth looking what became of it.
        retry_after_secs: u32,
    },
    /// 503: the origin failed again and again and is left alone for a while.
    OriginPaused {
        /// When it is worth trying again.
        retry_after_secs: u32,
    },
    /// 504: the origin took too long.
    OriginTimedOut {
        /// When it is worth looking what became of it.
        retry_after_secs: u32,
    },
    /// 503: nothing can be said yet. Never a 402.
    Unavailable {
        /// When it is worth asking again.
        retry_after_secs: u32,
    },
    /// 500: our own fault. The log has the reason, the client a fixed body.
    Internal,
}

impl ApiError {
    /// An `{id}` that is no number.
    pub const INVALID_ID: Self = Self::InvalidField("id", "The id must be a positive integer");
    /// A `{fee_id}` that is no number.
    pub const INVALID_FEE_ID: Self = Self::InvalidField("fee_id", "The fee_id must be a positive integer");

    /// A body that is compressed, or coded in another way.
    pub const CONTENT_ENCODING: Self =
        Self::UnsupportedHeader("Content-Encoding", "The body must be sent without a Content-Encoding");
    /// A body in another charset than UTF-8.
    pub const CHARSET: Self =
        Self::UnsupportedHeader("Content-Type", "The charset of the Content-Type must be UTF-8");

    /// Those whose message begins in the same words every time.
    const WORDED: [Self; 15] = [
        Self::InvalidToken,
        Self::NoAccess,
        Self::InvalidPrivileges,
        Self::ItemNotFound,
        Self::FeeNotFound,
        Self::RouteNotFound,
        Self::ObjectNotFound,
        Self::MethodNotAllowed(Methods::NONE),
        Self::OlderHead,
        Self::LeaseHeld,
        Self::ObjectNeeded,
        Self::BodyTooLarge(0),
        Self::TooManyObjects,
        Self::UnsupportedMediaType,
        Self::TooManyRequests,
    ];

    /// Whether `body` is that of a client's error of `status` as this API words it. A gateway in front of it may use
    /// the same members, but not the same words.
    #[must_use]
    pub fn is_body(status: u16, body: &Map<String, Value>) -> bool {
        let message = body.get("message").and_then(Value::as_str);
        let errors = body.get("errors").and_then(Value::as_object);
        let (Some(message), Some(errors)) = (message, errors) else { return false };
        let is_named = |name: &str| errors.get(name).and_then(Value::as_str) == Some(message);
        let is_worded = |error: Self| error.status() == status && message.starts_with(error.message());
        body.get("code").and_then(Value::as_u64) == Some(status.into())
            && errors.len() == 1
            && if is_named(&status.to_string()) {
                Self::WORDED.into_iter().any(is_worded)
            } else {
                matches!(status, 415 | 422) && errors.keys().all(|field| is_named(field))
            }
    }

    /// The field, parameter or header that is wrong, if it is one.
    #[must_use]
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::InvalidField(field, _) | Self::UnsupportedHeader(field, _) => Some(field),
            Self::UnsupportedMediaType => Some("Content-Type"),
            Self::InvalidIdOnAccess => Some("id"),
            Self::BodyTooLarge(_) | Self::TooManyObjects => Some("body"),
            _ => None,
        }
    }

    /// Whether a change that is answered so was certainly not made, although the status is 500 or above.
    #[must_use]
    pub const fn is_unapplied(self) -> bool {
        matches!(
            self,
            Self::OriginUnreachable { .. } | Self::OriginRefused { .. } | Self::OriginPaused { .. }
        )
    }

    /// The HTTP status, which is also the body's `code`.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidToken => 401,
            Self::NoAccess => 402,
            Self::InvalidPrivileges => 403,
            Self::ItemNotFound | Self::FeeNotFound | Self::RouteNotFound | Self::ObjectNotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::OlderHead | Self::LeaseHeld | Self::ObjectNeeded => 409,
            Self::BodyTooLarge(_) | Self::TooManyObjects => 413,
            Self::UnsupportedMediaType | Self::UnsupportedHeader(..) => 415,
            Self::InvalidIdOnAccess | Self::InvalidField(..) => 422,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::OriginUnreachable { .. } | Self::OriginRefused { .. } | Self::OriginFailed { .. } => 502,
            Self::Unavailable { .. } | Self::OriginPaused { .. } => 503,
            Self::OriginTimedOut { .. } => 504,
        }
    }

    /// The body's `message`.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::InvalidToken => "Invalid auth token",
            Self::NoAccess | Self::InvalidIdOnAccess => "No access",
            Self::InvalidPrivileges => "Invalid privileges",
            Self::ItemNotFound => "Item not found",
            Self::FeeNotFound => "Access fee not found",
            Self::RouteNotFound => "Route not found",
            Self::ObjectNotFound => "Object not found",
            Self::MethodNotAllowed(_) => "Method not allowed",
            Self::InvalidField(_, problem) | Self::UnsupportedHeader(_, problem) => problem,
            Self::OlderHead => "A newer head is published",
            Self::LeaseHeld => "Another publisher holds the lease",
            Self::ObjectNeeded => "The published snapshot needs this object",
            Self::BodyTooLarge(_) => "Body too large",
            Self::TooManyObjects => "More than 40 objects: send the others in another request",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::TooManyRequests => "Too many requests",
            Self::OriginUnreachable { .. } => "The origin cannot be reached: the write was not applied",
            Self::OriginRefused { .. } => {
                "The request was refused on its way to the origin: the write was not applied"
            }
            Self::OriginFailed { .. } => "The origin gave no usable answer: the write may have been applied",
            Self::OriginPaused { .. } => "The origin does not answer at present: the write was not applied",
            Self::OriginTimedOut { .. } => {
                "The origin did not answer in time: the write may have been applied"
            }
            Self::Unavailable { .. } => "Service unavailable",
            Self::Internal => "Internal error",
        }
    }

    /// The body: `errors` is always an object of strings, keyed by the field or by the status.
    #[must_use]
    pub fn body(self) -> String {
        // Every part is a constant of ours without quotes or backslashes: nothing needs an escape.
        self.render(&["\"", self.message(), "\""].concat())
    }

    /// The same with another message, whatever is in it.
    #[must_use]
    pub fn body_with(self, message: &str) -> String {
        self.render(&json(message))
    }

    /// `message` is JSON.
    fn render(self, message: &str) -> String {
        let status = self.status();
        match self {
            Self::InvalidField(field, _) | Self::UnsupportedHeader(field, _) => {
                format!(r#"{{"code":{status},"message":{message},"errors":{{"{field}":{message}}}}}"#)
            }
            _ => format!(r#"{{"code":{status},"message":{message},"errors":{{"{status}":{message}}}}}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_what_clients_decode() {
        assert_eq!(
            ApiError::NoAccess.body(),
            r#"{"code":402,"message":"No access","errors":{"402":"No access"}}"#
        );
        let field = ApiError::InvalidField("id", "The id must be a positive integer");
        assert_eq!(
            field.body(),
            r#"{"code":422,"message":"The id must be a positive integer","errors":{"id":"The id must be a positive integer"}}"#
        );
    }

    #[test]
    fn the_apis_words_are_told_from_those_of_a_gateway() {
        let is_body = |status, body: &str| {
            ApiError::is_body(status, serde_json::from_str::<Value>(body).unwrap().as_object().unwrap())
        };
        for error in ApiError::WORDED.into_iter().chain([ApiError::INVALID_ID, ApiError::CHARSET]) {
            assert!(is_body(error.status(), &error.body()), "{error:?}");
            assert!(!is_body(400, &error.body()), "{error:?}");
        }
        assert!(is_body(
            409,
            &ApiError::LeaseHeld.body_with("Another publisher holds the lease: a, until 9")
        ));
        for body in [
            r#"{"code":403,"message":"Forbidden"}"#,
            r#"{"code":403,"message":"Forbidden","errors":{}}"#,
            r#"{"code":403,"message":"Forbidden","errors":{"403":"Forbidden"}}"#,
            r#"{"code":403,"message":"Forbidden","errors":["Forbidden"]}"#,
            r#"{"code":403,"message":"Invalid privileges"}"#,
            r#"{"code":403,"message":"Invalid privileges","errors":{"403":"Forbidden"}}"#,
            r#"{"code":"403","message":"Invalid privileges","errors":{"403":"Invalid privileges"}}"#,
        ] {
            assert!(!is_body(403, body), "{body}");
        }
    }

    #[test]
    fn details_are_escaped() {
        let body: Value = serde_json::from_str(&ApiError::LeaseHeld.body_with("a\"b\\\n{}")).unwrap();
        assert_eq!((&body["code"], &body["message"]), (&409.into(), &"a\"b\\\n{}".into()));
        assert_eq!(body["errors"]["409"], body["message"]);
    }

    #[test]
    fn limits_in_messages_are_those_of_the_service() {
        use crate::limits::{CHECK_MAX_OBJECTS, PACK_MAX_OBJECTS};
        for limit in [PACK_MAX_OBJECTS, CHECK_MAX_OBJECTS] {
            assert!(ApiError::TooManyObjects.message().starts_with(&format!("More than {limit} objects")));
        }
    }

    #[test]
    fn statuses_and_messages_of_the_contract() {
        let table = [
            (ApiError::InvalidToken, 401, "Invalid auth token"),
            (ApiError::NoAccess, 402, "No access"),
            (ApiError::InvalidPrivileges, 403, "Invalid privileges"),
            (ApiError::ItemNotFound, 404, "Item not found"),
            (ApiError::FeeNotFound, 404, "Access fee not found"),
            (ApiError::InvalidIdOnAccess, 422, "No access"),
        ];
        for (error, status, message) in table {
            assert_eq!((error.status(), error.message()), (status, message));
        }
    }
}
