//! Requests and replies as plain data, without a platform in them.

use std::borrow::Cow;

use super::{error::ApiError, playback::Playable};
use crate::{limits::LIMITED_RETRY_AFTER_SECS, snapshot::time::UnixSecs};

/// The parts of a request that the service reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path as it was sent, without the query.
    pub path: &'a str,
    /// The query, without its `?`.
    pub query: &'a str,
    /// Scheme and host of the URL that was asked for: `https://entitlements.example.com`.
    pub base_url: &'a str,
    /// The header `Authorization`; empty if the request does not have it.
    pub authorization: &'a str,
    /// The header `Origin`, which names the page that sends the request; empty if the request does not have it.
    pub page_origin: &'a str,
    /// The viewer's address, as the platform states it.
    pub ip_address: &'a str,
    /// The viewer's country, ISO 3166-1 alpha-2, as the platform states it.
    pub country: &'a str,
    /// The header `Admit-Holder` of a request that changes something; empty if the request does not have it.
    pub holder: &'a str,
    /// The header `Entitlement-Min-Seq`: how many of the origin's changes the answer must reflect. 0 if the request does
    /// not have it.
    pub min_seq: u64,
    /// The only merchant whose items and customers the answer may be about: another Worker's binding may be restricted
    /// so. `None` for requests over HTTP.
    pub merchant: Option<i64>,
    /// Further headers of a request that is not a read, or that is passed through: its [`PASSED_HEADERS`](super::write::PASSED_HEADERS) and
    /// [`INSPECTED_HEADERS`](super::write::INSPECTED_HEADERS).
    pub passed: &'a [(&'static str, String)],
}

impl Request<'_> {
    /// A header of [`passed`](Self::passed); empty if the request does not have it.
    #[must_use]
    pub fn passed(&self, name: &str) -> &str {
        self.passed.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

/// Whether caches may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// No: the answer depends on the token.
    Private,
    /// For 30 s, the age that a head may have: the answer is the same for every viewer.
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

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; empty for 204.
    pub body: Body,
    /// Whether caches may keep it.
    pub caching: Caching,
    /// Headers beyond those that every answer has.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The reason of the status, in a word or a message, for logs only.
    pub reason: Cow<'static, str>,
    /// More for logs only: the header, key or claim, its value and the expectation. May be empty.
    pub detail: String,
    /// Whether nothing was changed for certain, although the status is 500 or above.
    pub is_unapplied: bool,
    /// The first moment, unix seconds, at which the same question to the same state may have another answer. `None`: it is
    /// not to be given again.
    pub lasts_until: Option<UnixSecs>,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The change was made.
    Applied,
    /// Nothing was changed.
    Refused,
    /// Not known: the upstream gave no answer, or an unusable one.
    Unknown,
}

impl Outcome {
    /// Its name in logs.
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
    /// No body.
    Empty,
    /// JSON text.
    Json(String),
    /// An object of the snapshot.
    Bytes(Vec<u8>),
    /// What the origin sent through the edge. Its type is among the headers.
    Passed(Vec<u8>),
    /// The grant of a playback question. Before the answer is sent, the signed proof takes its place.
    Unsigned(Box<Playable>),
}

impl Body {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty | Self::Unsigned(_) => &[],
            Self::Json(text) => text.as_bytes(),
            Self::Bytes(bytes) | Self::Passed(bytes) => bytes,
        }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::Passed(_) | Self::Unsigned(_) => None,
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
            is_unapplied: false,
            lasts_until: None,
        }
    }

    /// A granted playback question, still without its body.
    #[must_use]
    pub fn playable(playable: Playable, reason: &'static str) -> Self {
        let reply = Self::ok(String::new(), Caching::Private);
        Self { body: Body::Unsigned(Box::new(playable)), reason: Cow::Borrowed(reason), ..reply }
    }

    /// The answer for an error. `reason` is for logs only, where it follows the name of the invalid field, if there is one.
    #[must_use]
    pub fn error(error: ApiError, reason: impl Into<Cow<'static, str>>) -> Self {
        let headers = match error {
            ApiError::InvalidToken => {
                vec![("www-authenticate", Cow::Borrowed(r#"Bearer error="invalid_token""#))]
            }
            ApiError::MethodNotAllowed(methods) => vec![("allow", Cow::Owned(methods.to_string()))],
            // The client learns which codings are accepted (RFC 9110 §15.5.16).
            ApiError::CONTENT_ENCODING => vec![("accept-encoding", Cow::Borrowed("identity"))],
            ApiError::Unavailable { retry_after_secs }
            | ApiError::UpstreamUnreachable { retry_after_secs }
            | ApiError::UpstreamRefused { retry_after_secs }
            | ApiError::UpstreamFailed { retry_after_secs }
            | ApiError::UpstreamPaused { retry_after_secs }
            | ApiError::UpstreamTimedOut { retry_after_secs } => {
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
        Self {
            status,
            body,
            caching,
            headers,
            reason,
            detail: String::new(),
            is_unapplied,
            lasts_until: None,
        }
    }

    /// The same reply, with `detail` for the log line.
    #[must_use]
    pub fn with_detail(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    /// The answer for an error whose message continues with `detail`. The client reads it, so it must not have a secret.
    #[must_use]
    pub fn detailed(error: ApiError, detail: &str) -> Self {
        let message = [error.message(), ": ", detail].concat();
        let body = Body::Json(error.body_with(&message));
        Self { body, ..Self::error(error, message) }
    }

    /// The outcome of the change that this reply answers.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.status {
            200..=299 => Outcome::Applied,
            400..=499 => Outcome::Refused,
            _ if self.is_unapplied => Outcome::Refused,
            _ => Outcome::Unknown,
        }
    }

    /// Removes a header and returns its value.
    pub fn take_header(&mut self, name: &str) -> Option<String> {
        let position = self.headers.iter().position(|(known, _)| *known == name)?;
        Some(self.headers.swap_remove(position).1.into_owned())
    }

    /// The value of one of [`headers`](Self::headers).
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
