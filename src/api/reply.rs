//! Requests and replies as the service sees them: plain data, no platform.

use std::borrow::Cow;

use super::error::ApiError;
use crate::{limits::LIMITED_RETRY_AFTER_SECS, snapshot::time::UnixSecs};

/// What the service reads of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As it was sent, without the query.
    pub path: &'a str,
    /// What follows `?`, without it.
    pub query: &'a str,
    /// The header of that name, empty when there is none.
    pub authorization: &'a str,
    /// The header `Origin`, empty when there is none: the page that asks.
    pub page_origin: &'a str,
    /// The viewer's address, as the platform says.
    pub ip_address: &'a str,
    /// The viewer's country, ISO 3166-1 alpha-2, as the platform says.
    pub country: &'a str,
    /// The header `Admit-Holder`, empty when there is none. Read of requests that change something only.
    pub holder: &'a str,
    /// The header `Entitlement-Min-Seq`, 0 when there is none: how many of the origin's changes the answer has to
    /// reflect at least.
    pub min_seq: u64,
    /// Further headers of a request other than a read: those of [`PASSED_HEADERS`](super::write::PASSED_HEADERS) and
    /// [`INSPECTED_HEADERS`](super::write::INSPECTED_HEADERS) that it has.
    pub passed: &'a [(&'static str, String)],
}

impl Request<'_> {
    /// A further header of a request other than a read, empty when there is none.
    #[must_use]
    pub fn passed(&self, name: &str) -> &str {
        self.passed.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

/// How long an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// It depends on the token.
    Private,
    /// It is the same for everybody, and as fresh as a head may be (30 s).
    Public,
}

impl Caching {
    /// The value of `Cache-Control`.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Private => "private, no-store",
            Self::Public => "public, max-age=30",
        }
    }
}

/// When an answer is the right one to the same question again: the same method, URL and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// What the service knew. It changes with the version of the snapshot and with issuers' keys.
    pub epoch: u32,
    /// From this moment on, unix seconds.
    pub since: UnixSecs,
    /// Until before this moment, unix seconds.
    pub until: UnixSecs,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; none for 204.
    pub body: Body,
    /// How long it may be kept.
    pub caching: Caching,
    /// Headers beyond those that every answer has.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Why, for logs only.
    pub reason: Cow<'static, str>,
    /// More about it, for logs only: which header, key or claim, what was found and what was expected. May be empty.
    pub detail: String,
    /// When the same question has the same answer, if that is known. Only the id of the request differs.
    pub validity: Option<Validity>,
    /// Whether it is certain that nothing was changed, although the status is 500 or above.
    pub is_unapplied: bool,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Applied,
    /// It was not made.
    Refused,
    /// Nobody knows: there was no answer, or not one that can be used.
    Unknown,
}

impl Outcome {
    /// As logs name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// None at all.
    Empty,
    /// JSON text.
    Json(String),
    /// An object of the snapshot.
    Bytes(Vec<u8>),
}

impl Body {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Json(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Json(_) => Some("application/json"),
            Self::Bytes(_) => Some("application/octet-stream"),
        }
    }
}

impl Reply {
    /// 200 with JSON.
    #[must_use]
    pub const fn ok(json: String, caching: Caching) -> Self {
        Self {
            status: 200,
            body: Body::Json(json),
            caching,
            headers: Vec::new(),
            reason: Cow::Borrowed("ok"),
            detail: String::new(),
            validity: None,
            is_unapplied: false,
        }
    }

    /// An error's answer. `reason` is for logs only; there it follows the field, parameter or header that is wrong.
    #[must_use]
    pub fn error(error: ApiError, reason: impl Into<Cow<'static, str>>) -> Self {
        let headers = match error {
            ApiError::InvalidToken => {
                vec![("www-authenticate", Cow::Borrowed(r#"Bearer error="invalid_token""#))]
            }
            ApiError::MethodNotAllowed(methods) => vec![("allow", Cow::Owned(methods.to_string()))],
            // RFC 9110 §15.5.16: so that the client learns which codings there are.
            ApiError::CONTENT_ENCODING => vec![("accept-encoding", Cow::Borrowed("identity"))],
            ApiError::Unavailable { retry_after_secs }
            | ApiError::OriginUnreachable { retry_after_secs }
            | ApiError::OriginRefused { retry_after_secs }
            | ApiError::OriginFailed { retry_after_secs }
            | ApiError::OriginPaused { retry_after_secs }
            | ApiError::OriginTimedOut { retry_after_secs } => {
                vec![("retry-after", Cow::Owned(retry_after_secs.to_string()))]
            }
            ApiError::TooManyRequests => {
                vec![("retry-after", Cow::Owned(LIMITED_RETRY_AFTER_SECS.to_string()))]
            }
            _ => Vec::new(),
        };
        let body = Body::Json(error.body());
        let (status, caching) = (error.status(), Caching::Private);
        let reason = reason.into();
        let reason = match error.field() {
            Some(field) => Cow::Owned([field, ": ", &reason].concat()),
            None => reason,
        };
        let is_unapplied = error.is_unapplied();
        Self { status, body, caching, headers, reason, detail: String::new(), validity: None, is_unapplied }
    }

    /// The same, with more for the log line.
    #[must_use]
    pub fn with_detail(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    /// The same, with a message that goes on with `detail`: no secret, whoever sent the request reads it.
    #[must_use]
    pub fn detailed(error: ApiError, detail: &str) -> Self {
        let message = [error.message(), ": ", detail].concat();
        let body = Body::Json(error.body_with(&message));
        Self { body, ..Self::error(error, message) }
    }

    /// What became of the change that this answers.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.status {
            200..=299 => Outcome::Applied,
            400..=499 => Outcome::Refused,
            _ if self.is_unapplied => Outcome::Refused,
            _ => Outcome::Unknown,
        }
    }

    /// Takes a header out.
    pub fn take_header(&mut self, name: &str) -> Option<String> {
        let position = self.headers.iter().position(|(known, _)| *known == name)?;
        Some(self.headers.swap_remove(position).1.into_owned())
    }

    /// The value of a header beyond those that every answer has.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        Self::error(error, error.message())
    }
}
