//! Errors as clients see them: one form of body for all, and a fixed message for each case.

mod fields;

use admit_snapshot::every_variant;
use serde_json::{Map, Value};

use super::{contract::Methods, json::json};

/// An error of the API. Its status and message are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// 400: a malformed question in the standard's form, whose clients expect this status.
    BadRequest(FieldError),
    /// 401: the token is missing, malformed, expired, of an unknown key or for another audience. Clients log their
    /// viewer out.
    InvalidToken,
    /// 402: no active access. The only denial.
    NoAccess,
    /// 403: a valid token without the role, scope or capability that the route needs.
    InvalidPrivileges,
    /// 404: unknown, deleted or inactive item.
    ItemNotFound,
    /// 404: unknown fee of a known item.
    FeeNotFound,
    /// 404: no app of the snapshot is meant by the site.
    SiteNotFound,
    /// 404: a customer without a record, or of a merchant that the token's issuer does not speak for.
    CustomerNotFound,
    /// 404: unknown path.
    RouteNotFound,
    /// 404: a granted item for which nothing can be signed: no signer is configured, or the item names no media.
    NothingToPlay,
    /// 404: an object that is not stored.
    ObjectNotFound,
    /// 405, with the methods of the path.
    MethodNotAllowed(Methods),
    /// 422 on `/items/{id}/access`, whose clients know this message only.
    InvalidIdOnAccess,
    /// 422 elsewhere.
    InvalidField(FieldError),
    /// 409: the head is older than the published one.
    OlderHead,
    /// 409: another publisher holds the lease. The answer names it and the end of its lease.
    LeaseHeld,
    /// 409: the published head leads to the object, so it cannot be deleted. The answer names the object.
    ObjectNeeded,
    /// 413, with the limit in bytes.
    BodyTooLarge(usize),
    /// 413: more than [`PACK_MAX_OBJECTS`](crate::limits::PACK_MAX_OBJECTS) objects, or names of objects.
    TooManyObjects,
    /// 415: the body of a write is neither a form nor JSON.
    UnsupportedMediaType,
    /// 415: a header that describes the body.
    UnsupportedHeader(FieldError),
    /// 429: too many requests from one address. Also a 429 of the upstream that gives no reason.
    TooManyRequests,
    /// 502: no connection to the upstream could be made.
    UpstreamUnreachable {
        /// When another attempt makes sense.
        retry_after_secs: u32,
    },
    /// 502: something in front of the upstream refused the request, in another form than the API's.
    UpstreamRefused {
        /// When another attempt makes sense.
        retry_after_secs: u32,
    },
    /// 502: the upstream gave no answer, or an unusable one.
    UpstreamFailed {
        /// When the client should look whether the write was applied.
        retry_after_secs: u32,
    },
    /// 503: the upstream failed repeatedly, so that nothing is sent to it for a while.
    UpstreamPaused {
        /// When another attempt makes sense.
        retry_after_secs: u32,
    },
    /// 504: the upstream took too long.
    UpstreamTimedOut {
        /// When the client should look whether the write was applied.
        retry_after_secs: u32,
    },
    /// 503: the answer is not known yet. Never a 402.
    Unavailable {
        /// When another attempt makes sense.
        retry_after_secs: u32,
    },
    /// 500: an error of this service. The reason is in the log; the body is fixed.
    Internal,
}

/// A field, a parameter or a header of a request, and the expectation that it does not meet. The constants of
/// [`ApiError`] are all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldError {
    name: &'static str,
    expected: &'static str,
}

impl FieldError {
    /// Stands for all of them in the list of variants.
    const EXAMPLE: Self = Self { name: "", expected: "" };
}

every_variant!(
    ApiError: BadRequest(FieldError::EXAMPLE), InvalidToken, NoAccess, InvalidPrivileges, ItemNotFound, FeeNotFound, SiteNotFound, CustomerNotFound, RouteNotFound, NothingToPlay, ObjectNotFound,
    MethodNotAllowed(Methods::NONE), InvalidIdOnAccess, InvalidField(FieldError::EXAMPLE), OlderHead, LeaseHeld,
    ObjectNeeded, BodyTooLarge(0), TooManyObjects, UnsupportedMediaType, UnsupportedHeader(FieldError::EXAMPLE),
    TooManyRequests, UpstreamUnreachable { retry_after_secs: 0 }, UpstreamRefused { retry_after_secs: 0 },
    UpstreamFailed { retry_after_secs: 0 }, UpstreamPaused { retry_after_secs: 0 },
    UpstreamTimedOut { retry_after_secs: 0 }, Unavailable { retry_after_secs: 0 }, Internal,
);

impl ApiError {
    /// Every error of the contract, once for each message.
    pub fn all() -> impl Iterator<Item = Self> {
        let is_general = |error: &&Self| {
            !matches!(error, Self::BadRequest(..) | Self::InvalidField(..) | Self::UnsupportedHeader(..))
        };
        let general = Self::ALL.iter().filter(is_general);
        let fields = [fields::BAD_REQUESTS, fields::INVALID_FIELDS, fields::UNSUPPORTED_HEADERS];
        general.chain(fields.into_iter().flatten()).copied()
    }

    /// Whether `body` is the body of a client's error of `status` in this API's words. A gateway in front of it may use
    /// the same members, but not the same words.
    #[must_use]
    pub fn is_body(status: u16, body: &Map<String, Value>) -> bool {
        let message = body.get("message").and_then(Value::as_str);
        let errors = body.get("errors").and_then(Value::as_object);
        let (Some(message), Some(errors)) = (message, errors) else { return false };
        let is_named = |name: &str| errors.get(name).and_then(Value::as_str) == Some(message);
        // A 422 names a field, and so do some of 415. What the service itself failed at is not the client's error.
        let is_worded = |error: Self| {
            let is_general = !matches!(
                error,
                Self::BadRequest(..)
                    | Self::InvalidField(..)
                    | Self::UnsupportedHeader(..)
                    | Self::InvalidIdOnAccess
            );
            is_general && error.status() == status && status < 500 && message.starts_with(error.message())
        };
        body.get("code").and_then(Value::as_u64) == Some(status.into())
            && errors.len() == 1
            && if is_named(&status.to_string()) {
                Self::ALL.iter().copied().any(is_worded)
            } else {
                matches!(status, 415 | 422) && errors.keys().all(|field| is_named(field))
            }
    }

    /// The field, parameter or header that is wrong, if the error is about one.
    #[must_use]
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::BadRequest(field) | Self::InvalidField(field) | Self::UnsupportedHeader(field) => {
                Some(field.name)
            }
            Self::UnsupportedMediaType => Some("Content-Type"),
            Self::InvalidIdOnAccess => Some("id"),
            Self::BodyTooLarge(_) | Self::TooManyObjects => Some("body"),
            _ => None,
        }
    }

    /// Whether the change was certainly not made, although the status is 500 or above.
    #[must_use]
    pub const fn is_unapplied(self) -> bool {
        matches!(
            self,
            Self::UpstreamUnreachable { .. } | Self::UpstreamRefused { .. } | Self::UpstreamPaused { .. }
        )
    }

    /// The HTTP status, which is also the body's `code`.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest(..) => 400,
            Self::InvalidToken => 401,
            Self::NoAccess => 402,
            Self::InvalidPrivileges => 403,
            Self::ItemNotFound
            | Self::FeeNotFound
            | Self::SiteNotFound
            | Self::CustomerNotFound
            | Self::RouteNotFound
            | Self::NothingToPlay
            | Self::ObjectNotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::OlderHead | Self::LeaseHeld | Self::ObjectNeeded => 409,
            Self::BodyTooLarge(_) | Self::TooManyObjects => 413,
            Self::UnsupportedMediaType | Self::UnsupportedHeader(..) => 415,
            Self::InvalidIdOnAccess | Self::InvalidField(..) => 422,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::UpstreamUnreachable { .. } | Self::UpstreamRefused { .. } | Self::UpstreamFailed { .. } => {
                502
            }
            Self::Unavailable { .. } | Self::UpstreamPaused { .. } => 503,
            Self::UpstreamTimedOut { .. } => 504,
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
            Self::SiteNotFound => "Site not found",
            Self::CustomerNotFound => "Customer not found",
            Self::RouteNotFound => "Route not found",
            Self::NothingToPlay => "Nothing to play",
            Self::ObjectNotFound => "Object not found",
            Self::MethodNotAllowed(_) => "Method not allowed",
            Self::BadRequest(field) | Self::InvalidField(field) | Self::UnsupportedHeader(field) => {
                field.expected
            }
            Self::OlderHead => "A newer head is published",
            Self::LeaseHeld => "Another publisher holds the lease",
            Self::ObjectNeeded => "The published snapshot needs this object",
            Self::BodyTooLarge(_) => "Body too large",
            Self::TooManyObjects => "More than 40 objects: send the others in another request",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::TooManyRequests => "Too many requests",
            Self::UpstreamUnreachable { .. } => "The origin cannot be reached: the write was not applied",
            Self::UpstreamRefused { .. } => {
                "The request was refused on its way to the origin: the write was not applied"
            }
            Self::UpstreamFailed { .. } => {
                "The origin gave no usable answer: the write may have been applied"
            }
            Self::UpstreamPaused { .. } => "The origin does not answer at present: the write was not applied",
            Self::UpstreamTimedOut { .. } => {
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

    /// The body with another message, which may be any text.
    #[must_use]
    pub fn body_with(self, message: &str) -> String {
        self.render(&json(message))
    }

    /// `message` is JSON.
    fn render(self, message: &str) -> String {
        let status = self.status();
        match self {
            Self::BadRequest(FieldError { name: field, .. })
            | Self::InvalidField(FieldError { name: field, .. })
            | Self::UnsupportedHeader(FieldError { name: field, .. }) => {
                format!(r#"{{"code":{status},"message":{message},"errors":{{"{field}":{message}}}}}"#)
            }
            _ => format!(r#"{{"code":{status},"message":{message},"errors":{{"{status}":{message}}}}}"#),
        }
    }
}

#[cfg(test)]
mod tests;
