//! The headers of requests that change something: those that an edge forwards, and the rules for a body.

use super::{
    error::ApiError,
    media_type::MediaType,
    trace::{TRACEPARENT, TRACESTATE},
};

/// The headers of a client's write that the upstream gets, beside the token. No other header is forwarded: not
/// `X-Forwarded-*`, `CF-*` or names of our own, and none that a `Connection` header names.
pub const PASSED_HEADERS: [&str; 7] =
    ["accept", "accept-language", "content-type", "idempotency-key", "user-agent", TRACEPARENT, TRACESTATE];

/// The headers of such a request that the edge reads itself, and does not forward.
pub const INSPECTED_HEADERS: [&str; 4] = [
    "x-request-id",
    "content-encoding",
    "access-control-request-headers",
    "access-control-request-private-network",
];

/// Checks the headers of a write's body: it must be a form or JSON, in UTF-8 and not compressed.
///
/// # Errors
/// 415, naming the header.
pub fn check_body_headers(content_type: &str, content_encoding: &str) -> Result<(), ApiError> {
    check_content_encoding(content_encoding)?;
    let media_type = MediaType::parse(content_type).filter(|found| found.is_form() || found.is_json());
    if media_type.ok_or(ApiError::UnsupportedMediaType)?.is_utf8() { Ok(()) } else { Err(ApiError::CHARSET) }
}

/// Checks that a body is not compressed. The edge does not decode bodies, because it forwards them byte for byte.
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
