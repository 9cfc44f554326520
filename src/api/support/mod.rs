//! Questions of support staff on the wire: the customer in a path, parameters and bodies of requests, and bodies of
//! answers.
//! `docs/api.md` has the meaning of every member.
//!
//! ```
//! use admit::api::support::{Find, Wanted, Who};
//!
//! assert_eq!(Who::parse("vendor:anna%40example.com"), Some(Who::Name("vendor:anna@example.com".into())));
//! assert_eq!(Find::of("number=88011")?.wanted, Wanted::Number(88_011));
//! # Ok::<(), admit::api::error::ApiError>(())
//! ```

mod answer;

use std::{borrow::Cow, fmt};

use serde_json::Value;
use uuid::Uuid;

use super::{
    authzen::PageToken,
    error::ApiError,
    query::{self, decoded},
};
use crate::snapshot::{instant, key::EntryKey, time::UnixSecs};

pub use answer::{
    CustomerPage, Identity, Inspection, Lack, Reached, access, customer, found, subscription, token,
};

/// A customer, as a path names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// The customer that the token names.
    Me,
    /// The key of the customer's record.
    Key(EntryKey),
    /// A subject that is a UUID, in an unknown namespace.
    Uuid(Cow<'a, str>),
    /// Namespace and subject, with a colon between them.
    Name(Cow<'a, str>),
}

impl<'a> Who<'a> {
    /// Reads the segment of a path, as it was sent.
    #[must_use]
    pub fn parse(segment: &'a str) -> Option<Self> {
        let who = decoded(segment)?;
        if who == "me" {
            return Some(Self::Me);
        }
        // A UUID has its hyphens, as everywhere, so that the digits alone are a key.
        match (who.len(), Uuid::try_parse(&who)) {
            (32, Ok(key)) => Some(Self::Key(EntryKey(key.into_bytes()))),
            (36, Ok(_)) => Some(Self::Uuid(who)),
            _ => who.contains(':').then_some(Self::Name(who)),
        }
    }
}

/// The parameters of a question about a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The moment that states are about, unix seconds. `None`: the present.
    pub at: Option<UnixSecs>,
    /// The token of an earlier page.
    pub token: Option<PageToken>,
}

impl Look {
    /// `at` and `page_token`. Parameters with other names are ignored.
    ///
    /// # Errors
    /// 422, naming the parameter that is invalid.
    pub fn of(query: &str) -> Result<Self, ApiError> {
        let at = match given(query, "at") {
            None => None,
            Some(text) => {
                let moment = text.and_then(|text| instant::from_text(&text).ok());
                Some(moment.ok_or(ApiError::INVALID_AT)?.at)
            }
        };
        Ok(Self { at, token: page_token(query)? })
    }
}

/// What customers are searched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The customer's number, which the origin gives.
    Number(i64),
    /// The customer's UUID.
    Uuid(Uuid),
}

/// The parameters of a search for customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Find {
    /// What they are searched by.
    pub wanted: Wanted,
    /// The token of an earlier page.
    pub token: Option<PageToken>,
}

impl Find {
    /// `number` or, without it, `uuid`; and `page_token`. Parameters with other names are ignored.
    ///
    /// # Errors
    /// 422, naming the parameter that is missing or invalid.
    pub fn of(query: &str) -> Result<Self, ApiError> {
        let wanted = match (given(query, "number"), given(query, "uuid")) {
            (Some(Some(number)), _) => number.parse().ok().map(Wanted::Number),
            (None, Some(Some(uuid))) => Uuid::try_parse(&uuid).ok().map(Wanted::Uuid),
            _ => None,
        };
        Ok(Self { wanted: wanted.ok_or(ApiError::INVALID_NUMBER)?, token: page_token(query)? })
    }
}

/// A parameter that is not empty. The inner `None` is not percent-encoded UTF-8.
fn given<'q>(query: &'q str, name: &str) -> Option<Option<Cow<'q, str>>> {
    query::last(query, name).filter(|value| value.as_deref() != Some(""))
}

fn page_token(query: &str) -> Result<Option<PageToken>, ApiError> {
    let Some(token) = given(query, "page_token") else { return Ok(None) };
    let token = token.and_then(|token| PageToken::parse(&token));
    token.map(Some).ok_or(ApiError::INVALID_PAGE_TOKEN)
}

/// A token that a body brings, to be looked at. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented(String);

impl Presented {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 400 for a body that is not a JSON object, or has no text `token`.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(body).map_err(|_| ApiError::NOT_JSON)?;
        let body = body.as_object().ok_or(ApiError::NOT_JSON)?;
        let token = body.get("token").and_then(Value::as_str).ok_or(ApiError::INVALID_TOKEN_TEXT)?;
        Ok(Self(token.trim_ascii().to_owned()))
    }

    /// The token, with or without its scheme, as a header has it.
    #[must_use]
    pub fn as_header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
