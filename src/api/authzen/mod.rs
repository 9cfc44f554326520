//! The OpenID AuthZEN Authorization API 1.0 on the wire
//! (<https://openid.net/specs/authorization-api-1_0.html>): bodies of requests as they are understood, and bodies of
//! answers. `docs/authzen.md` has the meaning of its entities at this service.
//!
//! ```text
//! body ─► Api::read ─► Asked ─► src/app/read/authzen.rs decides ─► decision(), evaluations(), search()
//! ```
//!
//! ```
//! use admit::api::authzen::{Api, Asked};
//!
//! let body = br#"{
//!     "subject": {"type": "customer", "id": "vendor:anna"},
//!     "action": {"name": "play"},
//!     "resource": {"type": "item", "id": "5101"}
//! }"#;
//! let Asked::One(evaluation) = Api::Evaluation.read(body)? else { unreachable!() };
//! assert_eq!(evaluation.customer.as_deref(), Some("vendor:anna"));
//! assert_eq!(evaluation.item, Ok(5101));
//!
//! let refused = Api::Evaluation.read(br#"{"subject": "anna"}"#).unwrap_err();
//! assert_eq!((refused.status(), refused.field()), (400, Some("subject")));
//! # Ok::<(), admit::api::error::ApiError>(())
//! ```

mod answer;
mod page;
mod read;

use std::rc::Rc;

use super::{error::ApiError, media_type::MediaType, reply::Request, write::check_content_encoding};
use crate::snapshot::time::UnixSecs;

pub use answer::{Verdict, decision, evaluations, metadata, reason, search};
pub use page::{Cursor, PageToken};

/// The endpoints whose requests have a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// One question.
    Evaluation,
    /// Several questions.
    Evaluations,
    /// Which items a customer may play.
    ResourceSearch,
}

/// A request, as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One question.
    One(Evaluation),
    /// Several questions, in their order. One of them that is malformed has its error alone.
    Several(Semantic, Vec<Result<Evaluation, ApiError>>),
    /// A search for items.
    Search(Search),
}

/// The question of whether a customer may play an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The subject's id, `namespace:subject`; nothing for a subject that is not a customer.
    pub customer: Option<Rc<str>>,
    /// The item, or why no item is meant.
    pub item: Result<i64, Unknown>,
    /// The moment that the context names. It counts for callers who may explain only.
    pub time: AskedTime,
    /// Whether the context asks for the origin's word beside the answer (`"origin": true`). It counts for callers who may
    /// explain only.
    pub asks_origin: bool,
}

/// The moment that a context names: nothing, or unix seconds, or the error about it.
pub type AskedTime = Option<Result<UnixSecs, ApiError>>;

/// Why a well-formed question is denied without a look at the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The subject's type is not `customer`.
    SubjectType,
    /// The action is not `play`.
    Action,
    /// The resource's type is not `item`.
    ResourceType,
    /// The resource's id is not an item's number.
    Item,
}

impl Unknown {
    /// The reason in the context of a decision.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SubjectType => "unknown_subject_type",
            Self::Action => "unknown_action",
            Self::ResourceType => "unknown_resource_type",
            Self::Item => "unknown_item",
        }
    }
}

/// When the answers to several questions end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semantic {
    /// All are answered.
    #[default]
    ExecuteAll,
    /// The first denial is the last answer.
    DenyOnFirstDeny,
    /// The first permit is the last answer.
    PermitOnFirstPermit,
}

impl Semantic {
    /// Whether `decision` ends the answers.
    #[must_use]
    pub const fn ends_with(self, decision: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !decision,
            Self::PermitOnFirstPermit => decision,
        }
    }
}

/// A search for the items that a customer may play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// As [`Evaluation::customer`].
    pub customer: Option<Rc<str>>,
    /// Why nothing can be found.
    pub unknown: Option<Unknown>,
    /// As [`Evaluation::time`].
    pub time: AskedTime,
    /// Whether the context asks for free items as well (`include_free`).
    pub include_free: bool,
    /// Largest number of results, if the request says so.
    pub limit: Option<usize>,
    /// The token of an earlier answer; nothing for the first page.
    pub token: Option<PageToken>,
}

/// Checks the headers of a request: the body is JSON, in UTF-8 and not compressed.
///
/// # Errors
/// 400 for another `Content-Type`, as the standard says; 415 for a compressed body.
pub fn check_headers(content_type: &str, content_encoding: &str) -> Result<(), ApiError> {
    check_content_encoding(content_encoding)?;
    let is_json = |found: MediaType<'_>| found.is("application", "json") && found.is_utf8();
    if MediaType::parse(content_type).is_some_and(is_json) { Ok(()) } else { Err(ApiError::NOT_JSON_TYPE) }
}

/// The id that a client gave its request to one of the endpoints: the answer repeats it, as the standard says. The log
/// has the service's own.
#[must_use]
pub fn request_id<'a>(request: &Request<'a>) -> Option<&'a str> {
    let id = request.passed.iter().find(|(name, _)| *name == "x-request-id").map(|(_, id)| id.as_str())?;
    let is_printable = !id.is_empty() && id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_printable && request.path.starts_with("/access/v1/")).then_some(id)
}

#[cfg(test)]
mod tests;
