//! Errors of the token endpoint (RFC 6749 §5.2).

use std::{borrow::Cow, collections::BTreeMap};

use admit::api::reply::{Body, Caching, Reply};
use serde_json::json;

use crate::{
    db::DbError,
    wire::{Fields, Refused},
};

/// An OAuth error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    status: u16,
    /// The member `error`, one of the codes of §5.2.
    pub error: &'static str,
    /// The member `error_description`, for developers.
    description: String,
}

impl OAuthError {
    /// 400: a parameter is missing, repeated or unreadable.
    #[must_use]
    pub fn invalid_request(description: &str) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// 400 for a missing field. If the field was sent but is unreadable, the answer says why.
    #[must_use]
    pub fn missing(fields: &Fields<'_>, description: &str) -> Self {
        match fields.finish() {
            Err(Refused::Fields(problems)) => Self::unreadable(&problems),
            _ => Self::invalid_request(description),
        }
    }

    /// 400 for unreadable fields, of which the answer names the first.
    #[must_use]
    pub fn unreadable(problems: &BTreeMap<String, String>) -> Self {
        Self::invalid_request(problems.values().next().map_or("The body cannot be read", String::as_str))
    }

    /// 401: the client is unknown, or its secret is wrong. The answer names the authentication scheme.
    #[must_use]
    pub fn invalid_client(description: &str) -> Self {
        Self::new(401, "invalid_client", description)
    }

    /// 400: the code or refresh token is invalid, expired or used.
    #[must_use]
    pub fn invalid_grant() -> Self {
        Self::new(400, "invalid_grant", "The grant is not valid, has expired or was used")
    }

    /// 400: the grant type is not supported.
    #[must_use]
    pub fn unsupported_grant_type() -> Self {
        let description = "grant_type must be authorization_code, refresh_token or client_credentials";
        Self::new(400, "unsupported_grant_type", description)
    }

    fn new(status: u16, error: &'static str, description: &str) -> Self {
        // §5.2 allows printable ASCII without quotes and backslashes.
        let allowed = |c: char| if matches!(c, ' '..='~') && c != '\\' { c } else { '?' };
        let description = description.replace('"', "'").chars().map(allowed).collect();
        Self { status, error, description }
    }

    /// The error as a reply.
    #[must_use]
    pub fn reply(self) -> Reply {
        let Self { status, error, description } = self;
        let body = json!({"error": error, "error_description": description});
        let challenge = ("www-authenticate", Cow::Borrowed(r#"Basic realm="oauth2", charset="UTF-8""#));
        Reply {
            status,
            body: Body::Json(body.to_string()),
            caching: Caching::Private,
            headers: if status == 401 { vec![challenge] } else { Vec::new() },
            reason: Cow::Owned(format!("{error}: {description}")),
            detail: String::new(),
            is_unapplied: false,
            lasts_until: None,
        }
    }
}

/// Why a request for a token failed.
#[derive(Debug)]
pub enum TokenFailure {
    /// An OAuth error.
    OAuth(OAuthError),
    /// A refusal that any other endpoint may also give.
    Refused(Refused),
}

impl From<OAuthError> for TokenFailure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<Refused> for TokenFailure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<DbError> for TokenFailure {
    fn from(error: DbError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<rusqlite::Error> for TokenFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_only_the_characters_of_the_rfc() {
        let reply = OAuthError::invalid_request("The \"Caf\u{e9}\\\n\" is not UTF-8").reply();
        assert_eq!(reply.reason, "invalid_request: The 'Caf???' is not UTF-8");
        assert!(reply.headers.is_empty());
    }

    #[test]
    fn an_unknown_client_learns_how_to_authenticate() {
        let reply = OAuthError::invalid_client("x").reply();
        assert_eq!(reply.status, 401);
        assert!(reply.header("www-authenticate").unwrap().starts_with("Basic realm="));
    }
}
