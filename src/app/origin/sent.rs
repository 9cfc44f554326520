//! What the origin gets to see, and which of its answers are its own.

use std::borrow::Cow;

use crate::{
    api::{
        reply::Request,
        write::{PASSED_HEADERS, is_json},
    },
    config::OriginConfig,
    ports::{OriginAnswer, OriginError},
    token::BearerToken,
};

/// The viewer's address, for the origin. No client can send it: nothing that is not on a list is passed on.
const ADDRESS_HEADER: &str = "admit-viewer-address";
/// The viewer's country, for the origin.
const COUNTRY_HEADER: &str = "admit-viewer-country";

/// Where a request goes. The path has been found to be a route: known words, numbers and UUIDs.
pub fn url(config: &OriginConfig, path: &str, query: &str) -> String {
    if query.is_empty() { [&config.url, path].concat() } else { [&config.url, path, "?", query].concat() }
}

/// Who sends a request, as far as the edge knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The one whom a verified token names.
    Verified,
    /// Somebody who signs in: a client may say who it is in its own way (RFC 6749 §2.3.1).
    SigningIn,
    /// Nobody: what needs no token has none.
    Anybody,
}

/// All that the origin sees of the headers: the token if it was verified, those of a write that may pass, and
/// ours.
pub fn headers<'r>(
    request: &'r Request<'_>,
    request_id: &'r str,
    sender: Sender,
) -> Vec<(&'static str, Cow<'r, str>)> {
    let mut headers = Vec::with_capacity(9);
    let authorization = request.authorization;
    match (sender, BearerToken::parse(authorization)) {
        // As one form, however it was sent, so that the origin reads the token that was verified.
        (Sender::Verified, Ok(token)) => {
            headers.push(("authorization", Cow::Owned(["Bearer ", token.as_str()].concat())));
        }
        (Sender::SigningIn, _) if is_basic(authorization) => {
            headers.push(("authorization", Cow::Borrowed(authorization)));
        }
        _ => {}
    }
    for (name, value) in request.passed {
        // Whoever made the request made the list; only what is on ours is passed on, and only what any runtime takes
        // for a header's value: one that it refuses would look like an origin that cannot be reached.
        if PASSED_HEADERS.contains(name) && !value.is_empty() && value.is_ascii() {
            headers.push((*name, Cow::Borrowed(value.as_str())));
        }
    }
    for (name, value) in [
        (ADDRESS_HEADER, request.ip_address),
        (COUNTRY_HEADER, request.country),
        ("x-request-id", request_id),
    ] {
        if !value.is_empty() {
            headers.push((name, Cow::Borrowed(value)));
        }
    }
    headers
}

fn is_basic(authorization: &str) -> bool {
    authorization.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic "))
}

/// Whether an answer is one that the API gives: JSON, or a success without a body. Anything else is somebody's
/// who stands in front of the origin, an error page, or a redirect.
pub fn is_of_the_api(answer: &OriginAnswer) -> bool {
    let is_success = (200..300).contains(&answer.status);
    if answer.body.is_empty() {
        // Limiters need no body to say that it was too much.
        return is_success || answer.status == 429;
    }
    (is_success || answer.status >= 400)
        && is_json(answer.header("content-type"))
        && std::str::from_utf8(&answer.body).is_ok()
}

/// Whether something refused the request as such: a firewall's page, say. That proves nothing about the origin.
pub fn is_refused(answer: &Result<OriginAnswer, OriginError>) -> bool {
    matches!(answer, Ok(OriginAnswer { status: 400..=499, .. }))
}

/// What is wrong with what came of a request, for logs.
pub fn problem(answer: &Result<OriginAnswer, OriginError>) -> Option<String> {
    match answer {
        Err(error) => Some(error.to_string()),
        Ok(answer) if is_of_the_api(answer) => None,
        Ok(answer) => Some(format!("no answer of the API: status {}", answer.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_what_is_listed() {
        let passed = [
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", String::new()),
            ("x-forwarded-for", "1.1.1.1".to_owned()),
        ];
        let request = Request {
            authorization: "bEARER   a.b.c",
            ip_address: "203.0.113.9",
            passed: &passed,
            ..Request::default()
        };
        let sent = headers(&request, "id-1", Sender::Verified);
        let sent: Vec<_> = sent.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let expected = [
            ("authorization", "Bearer a.b.c"),
            ("content-type", "application/json"),
            ("admit-viewer-address", "203.0.113.9"),
            ("x-request-id", "id-1"),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn who_signs_in_sends_no_token_but_may_be_a_client_and_others_send_nothing() {
        let of = |sender, authorization| {
            let request = Request { authorization, ..Request::default() };
            let sent = headers(&request, "", sender);
            sent.first().map(|(_, value)| value.to_string())
        };
        let authorization = |authorization| of(Sender::SigningIn, authorization);
        assert_eq!(of(Sender::Anybody, "Bearer a.b.c"), None);
        assert_eq!(of(Sender::Anybody, "Basic dTpw"), None);
        assert_eq!(of(Sender::Verified, "Basic dTpw"), None);
        assert_eq!(authorization("Bearer a.b.c"), None);
        assert_eq!(authorization("a.b.c"), None);
        assert_eq!(authorization("Basic dTpw").as_deref(), Some("Basic dTpw"));
        assert_eq!(authorization("Basic€"), None);
    }

    #[test]
    fn answers_that_are_none() {
        let answer = |status, content_type: &str, body: &str| OriginAnswer {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.as_bytes().to_vec(),
        };
        for (status, content_type, body, is_one) in [
            (201, "application/json", "{}", true),
            (422, "application/json; charset=utf-8", "{}", true),
            (500, "application/json", "{}", true),
            (204, "", "", true),
            (429, "", "", true),
            (200, "text/html", "<html>", false),
            (403, "text/html", "<html>", false),
            (403, "", "", false),
            (502, "", "", false),
            (302, "application/json", "{}", false),
            (302, "", "", false),
            (101, "", "", false),
        ] {
            let answer = answer(status, content_type, body);
            assert_eq!(is_of_the_api(&answer), is_one, "{status} {content_type}");
        }
        let garbled = OriginAnswer { body: vec![0xff], ..answer(200, "application/json", "") };
        assert!(!is_of_the_api(&garbled));
    }
}
