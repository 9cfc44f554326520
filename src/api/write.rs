//! Writes: what is passed on to the origin, and what has to be right before it is.

pub use super::contract::Effect;
use super::{
    contract::Methods,
    error::ApiError,
    media_type::MediaType,
    route::{Id, segments},
};

/// The headers of a client's write that the origin sees, beside the token. A list of what may pass, not of what
/// may not: whatever else a client sends, `X-Forwarded-*`, `CF-*` or our own names among it, stays here, and no
/// `Connection` can name any of it.
pub const PASSED_HEADERS: [&str; 5] =
    ["accept", "accept-language", "content-type", "idempotency-key", "user-agent"];

/// The headers of a request other than a read that the edge reads itself. None of them is passed on.
pub const INSPECTED_HEADERS: [&str; 3] =
    ["content-encoding", "access-control-request-headers", "access-control-request-private-network"];

/// A path that writes go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRoute<'a> {
    /// `/items/access`: grants.
    Grant,
    /// `/items/{id}/access`: revokes.
    Access(Id<'a>),
    /// `/v2/items`
    Items,
    /// `/v2/items/{id}`
    Item(Id<'a>),
    /// `/v2/items/{id}/access-fees`
    Fees(Id<'a>),
    /// `/v2/items/{id}/access-fees/{fee_id}`
    Fee(Id<'a>, Id<'a>),
    /// `/v2/items/{id}/access-fees/bulk`
    BulkFees(Id<'a>),
    /// `/v2/items/packages/{id}/bulk`
    BulkPackage(Id<'a>),
    /// Signs in:
    /// `/accounts/authenticate`
    /// `/v2/accounts/authenticate`
    /// `/oauth2/token`
    SignIn,
    /// `/oauth2/authorization`: the form of the page where people sign in. No session is refreshed there.
    SignInPage,
}

impl<'a> WriteRoute<'a> {
    /// The route of a path, or `None` when nothing can be written there.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let [first, second, third, fourth, fifth] = segments(path)?;
        Some(match (first?, second?, third, fourth, fifth) {
            ("items", "access", None, None, None) => Self::Grant,
            ("items", id, Some("access"), None, None) => Self::Access(id.into()),
            ("v2", "items", None, None, None) => Self::Items,
            ("v2", "items", Some(id), None, None) => Self::Item(id.into()),
            ("v2", "items", Some("packages"), Some(id), Some("bulk")) => Self::BulkPackage(id.into()),
            ("v2", "items", Some(id), Some("access-fees"), None) => Self::Fees(id.into()),
            ("v2", "items", Some(id), Some("access-fees"), Some("bulk")) => Self::BulkFees(id.into()),
            ("v2", "items", Some(id), Some("access-fees"), Some(fee)) => Self::Fee(id.into(), fee.into()),
            ("accounts", "authenticate", None, None, None)
            | ("v2", "accounts", Some("authenticate"), None, None)
            | ("oauth2", "token", None, None, None) => Self::SignIn,
            ("oauth2", "authorization", None, None, None) => Self::SignInPage,
            _ => return None,
        })
    }

    /// The methods that the path has with an origin behind it, as `Allow` lists them: the reads of
    /// [`Route`](super::route::Route) among them.
    #[must_use]
    pub const fn allow(self) -> Methods {
        let methods = match self {
            Self::Items | Self::SignIn | Self::SignInPage => Methods::POST,
            Self::Item(_) => Methods::PUT.and(Methods::PATCH).and(Methods::DELETE),
            Self::BulkPackage(_) => Methods::PATCH,
            Self::Access(_) => Methods::READ.and(Methods::DELETE),
            // Read as an item whose number is wrong, as the next but one is as such a fee.
            Self::Grant | Self::Fees(_) => Methods::READ.and(Methods::POST),
            Self::Fee(..) => Methods::READ.and(Methods::PUT).and(Methods::DELETE),
            Self::BulkFees(_) => Methods::READ.and(Methods::PATCH),
        };
        methods.and(Methods::OPTIONS)
    }

    /// Whether `method` writes here.
    #[must_use]
    pub fn takes(self, method: &str) -> bool {
        matches!(method, "POST" | "PUT" | "PATCH" | "DELETE")
            && self.allow().intersects(Methods::named(method))
    }

    /// What a write by `method` can open.
    #[must_use]
    pub fn effect(self, method: &str) -> Effect {
        match self {
            Self::Grant => Effect::Grants,
            Self::Access(_) | Self::SignIn | Self::SignInPage => Effect::OpensNothing,
            _ if method == "DELETE" => Effect::OpensNothing,
            _ => Effect::MayOpen,
        }
    }

    /// Whether a merchant's token is needed. Who signs in has none yet.
    #[must_use]
    pub const fn is_for_merchants(self) -> bool {
        !matches!(self, Self::SignIn | Self::SignInPage)
    }

    /// Whether a session may be refreshed here, by a body that says so.
    #[must_use]
    pub const fn may_refresh(self) -> bool {
        matches!(self, Self::SignIn)
    }

    /// Whether the numbers in the path are numbers: what the origin gets to see holds nothing else.
    ///
    /// # Errors
    /// Which one is not.
    pub fn check(self) -> Result<(), ApiError> {
        let (id, fee_id) = match self {
            Self::Grant | Self::Items | Self::SignIn | Self::SignInPage => return Ok(()),
            Self::Access(id)
            | Self::Item(id)
            | Self::Fees(id)
            | Self::BulkFees(id)
            | Self::BulkPackage(id) => (id, None),
            Self::Fee(id, fee_id) => (id, Some(fee_id)),
        };
        id.number().ok_or(ApiError::INVALID_ID)?;
        if let Some(fee_id) = fee_id {
            fee_id.number().ok_or(ApiError::INVALID_FEE_ID)?;
        }
        Ok(())
    }
}

/// Whether the body of a write is one that can be passed on, as far as its headers say: a form or JSON, in UTF-8,
/// and sent as it is.
///
/// # Errors
/// 415, naming the header.
pub fn check_body_headers(content_type: &str, content_encoding: &str) -> Result<(), ApiError> {
    check_content_encoding(content_encoding)?;
    let media_type = MediaType::parse(content_type).filter(|found| found.is_form() || found.is_json());
    if media_type.ok_or(ApiError::UnsupportedMediaType)?.is_utf8() { Ok(()) } else { Err(ApiError::CHARSET) }
}

/// Whether a body is sent as it is. The edge decodes nothing: what it read would not be what it was sent.
///
/// # Errors
/// 415, naming the header.
pub fn check_content_encoding(content_encoding: &str) -> Result<(), ApiError> {
    let is_plain = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    if content_encoding.split(',').map(str::trim_ascii).all(is_plain) {
        Ok(())
    } else {
        Err(ApiError::CONTENT_ENCODING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::route::Route;

    #[test]
    fn every_write_of_the_contract() {
        let id = Id::from("33");
        let table = [
            ("POST", "/v2/items", WriteRoute::Items),
            ("PUT", "/v2/items/33", WriteRoute::Item(id)),
            ("PATCH", "/v2/items/33", WriteRoute::Item(id)),
            ("DELETE", "/v2/items/33", WriteRoute::Item(id)),
            ("POST", "/v2/items/33/access-fees", WriteRoute::Fees(id)),
            ("PUT", "/v2/items/33/access-fees/5", WriteRoute::Fee(id, "5".into())),
            ("DELETE", "/v2/items/33/access-fees/5", WriteRoute::Fee(id, "5".into())),
            ("PATCH", "/v2/items/33/access-fees/bulk", WriteRoute::BulkFees(id)),
            ("PATCH", "/v2/items/packages/33/bulk", WriteRoute::BulkPackage(id)),
            ("POST", "/items/access", WriteRoute::Grant),
            ("DELETE", "/items/33/access", WriteRoute::Access(id)),
            ("POST", "/accounts/authenticate", WriteRoute::SignIn),
            ("POST", "/v2/accounts/authenticate", WriteRoute::SignIn),
            ("POST", "/oauth2/token", WriteRoute::SignIn),
            ("POST", "/oauth2/authorization", WriteRoute::SignInPage),
        ];
        for (method, path, route) in table {
            assert_eq!(WriteRoute::parse(path), Some(route), "{path}");
            assert!(route.takes(method), "{method} {path}");
            assert_eq!(route.check(), Ok(()), "{path}");
            assert_eq!(route.is_for_merchants(), !path.contains("auth"), "{path}");
            let effect = match (method, path) {
                (_, "/items/access") => Effect::Grants,
                ("DELETE", _) => Effect::OpensNothing,
                _ if path.contains("auth") => Effect::OpensNothing,
                _ => Effect::MayOpen,
            };
            assert_eq!(route.effect(method), effect, "{method} {path}");
            for other in ["GET", "HEAD", "OPTIONS", "TRACE", "", "POST, OPTIONS", "post"] {
                assert!(!route.takes(other), "{other} {path}");
            }
            // The path is listed with the reads that it has.
            let reads = Route::parse(path).map_or(Methods::NONE, |route| route.allow());
            assert_eq!(route.allow().intersects(Methods::READ), reads.intersects(Methods::READ), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not_written() {
        for path in [
            "",
            "/",
            "/items",
            "/v2/items/",
            "/v2//items",
            "/v2/items/33/access",
            "/v2/items/33/access-fees/5/6",
            "/items/33",
            "/items/33/access-fees",
            "/items/packages/33/bulk",
            "/oauth2",
            "/oauth2/authorize",
            "/v2/oauth2/token",
            "/accounts/authenticate/x",
            "/changes",
            "/export",
        ] {
            assert_eq!(WriteRoute::parse(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for path in [
            "/v2/items/..",
            "/v2/items/%2e%2e",
            "/v2/items/1%2F2",
            "/v2/items/x/access-fees",
            "/items/0/access",
            "/v2/items/packages/-1/bulk",
            "/v2/items/1;2",
        ] {
            let route = WriteRoute::parse(path).unwrap();
            assert_eq!(route.check(), Err(ApiError::INVALID_ID), "{path}");
        }
        let fee = WriteRoute::parse("/v2/items/1/access-fees/..").unwrap();
        assert_eq!(fee.check(), Err(ApiError::INVALID_FEE_ID));
    }

    #[test]
    fn headers_of_a_body() {
        let media_type = Err(ApiError::UnsupportedMediaType);
        for (content_type, content_encoding, expected) in [
            ("application/x-www-form-urlencoded", "", Ok(())),
            ("APPLICATION/JSON; Charset=\"UTF-8\"", "identity", Ok(())),
            ("application/json;", " Identity , ", Ok(())),
            ("application/vnd.api+json", "", Ok(())),
            ("text/plain", "", media_type),
            ("application/jsonx", "", media_type),
            ("text/html; application/json", "", media_type),
            ("multipart/form-data; boundary=x", "", media_type),
            ("", "", media_type),
            ("application/json; charset=ISO-8859-1", "", Err(ApiError::CHARSET)),
            ("application/x-www-form-urlencoded;charset=latin1", "", Err(ApiError::CHARSET)),
            ("application/json", "gzip", Err(ApiError::CONTENT_ENCODING)),
            ("application/json", "identity, br", Err(ApiError::CONTENT_ENCODING)),
            ("text/plain", "deflate", Err(ApiError::CONTENT_ENCODING)),
        ] {
            let checked = check_body_headers(content_type, content_encoding);
            assert_eq!(checked, expected, "{content_type:?} {content_encoding:?}");
        }
    }
}
