//! The requests that the upstream gets.

use std::borrow::Cow;

use crate::{
    api::{reply::Request, trace::TRACE_HEADERS, viewer, write::PASSED_HEADERS},
    config::UpstreamConfig,
    token::BearerToken,
};

/// The viewer's address, for the origin. No client can send it: nothing that is not on a list is passed on.
const ADDRESS_HEADER: &str = "admit-viewer-address";
/// Proves to the upstream that the edge sends a request: `ORIGIN_SECRET`. Only then may it believe what the edge says of
/// the viewer.
const EDGE_KEY_HEADER: &str = "admit-edge-key";
/// The viewer's country, for the origin.
const COUNTRY_HEADER: &str = "admit-viewer-country";

/// Where a request goes. The path has been found to be a route, that is known words, numbers and UUIDs, or to be one that
/// every server reads in the same way (`api/pass_through.rs`).
pub fn url(config: &UpstreamConfig, path: &str, query: &str) -> String {
    if query.is_empty() { [&config.url, path].concat() } else { [&config.url, path, "?", query].concat() }
}

/// Who sends a request, as far as the edge knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The owner of a verified token.
    Verified,
    /// A sign-in: a client may authenticate in its own way (RFC 6749 §2.3.1).
    SigningIn,
    /// A request without a token: a read, or one that is passed through.
    Anonymous,
}

/// All that the origin sees of the headers: the token if it was verified, those of a write that may pass, and
/// ours.
pub fn headers<'r>(
    request: &'r Request<'_>,
    request_id: &'r str,
    sender: Sender,
    config: &'r UpstreamConfig,
) -> Vec<(&'static str, Cow<'r, str>)> {
    let mut headers = Vec::with_capacity(10);
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
        // The sender chose the headers; only those on our list are passed on, and only values that any runtime accepts
        // for a header's value: one that it refuses would look like an origin that cannot be reached.
        if PASSED_HEADERS.contains(name) && !value.is_empty() && value.is_ascii() {
            headers.push((*name, Cow::Borrowed(value.as_str())));
        }
    }
    // As answers show them; an unknown value is left out.
    headers.extend(viewer::address(request.ip_address).map(|address| (ADDRESS_HEADER, address)));
    headers.extend(viewer::country(request.country).map(|country| (COUNTRY_HEADER, country)));
    if !request_id.is_empty() {
        headers.push(("x-request-id", Cow::Borrowed(request_id)));
    }
    headers.extend(config.secret.as_ref().map(|secret| (EDGE_KEY_HEADER, Cow::Borrowed(secret.as_str()))));
    headers
}

/// The headers of a question. Only the trace is the client's: other headers of a question by POST describe its body,
/// which is not passed on.
pub fn of_question<'r>(
    request: &'r Request<'_>,
    request_id: &'r str,
    sender: Sender,
    config: &'r UpstreamConfig,
) -> Vec<(&'static str, Cow<'r, str>)> {
    let mut sent = headers(request, request_id, sender, config);
    sent.retain(|(name, _)| TRACE_HEADERS.contains(name) || !PASSED_HEADERS.contains(name));
    sent
}

fn is_basic(authorization: &str) -> bool {
    authorization.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Secret;

    fn config(secret: Option<&str>) -> UpstreamConfig {
        let numbers =
            UpstreamConfig::parse(&|name| (name == "ORIGIN_URL").then(|| "https://o.example".to_owned()));
        let secret = secret.map(|secret| Secret::new(secret.to_owned()));
        UpstreamConfig { secret, ..numbers.unwrap().unwrap() }
    }

    /// Every request to the upstream is made of these headers, and nothing else is.
    #[test]
    fn the_secret_goes_along_whoever_sends() {
        let key = "an edge key of thirty-two letters";
        let config = config(Some(key));
        let passed =
            [("admit-edge-key", "another".to_owned()), ("admit-viewer-address", "1.1.1.1".to_owned())];
        let request = Request { passed: &passed, ..Request::default() };
        for sender in [Sender::Verified, Sender::SigningIn, Sender::Anonymous] {
            let sent = headers(&request, "", sender, &config);
            assert_eq!(sent, [("admit-edge-key", Cow::Borrowed(key))], "{sender:?}");
        }
    }

    #[test]
    fn a_question_has_nothing_of_the_client_but_the_trace() {
        let passed = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", "x".to_owned()),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            ("tracestate", "vendor=1".to_owned()),
        ];
        let request = Request { passed: &passed, authorization: "Bearer a.b.c", ..Request::default() };
        let config = config(Some("an edge key of thirty-two letters"));
        let sent = of_question(&request, "id-1", Sender::Verified, &config);
        let names: Vec<_> = sent.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["authorization", "traceparent", "tracestate", "x-request-id", "admit-edge-key"]);
    }

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
        let config = config(None);
        let sent = headers(&request, "id-1", Sender::Verified, &config);
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
    fn where_the_viewer_is_in_one_form_or_not_at_all() {
        let of = |ip_address, country| {
            let request = Request { ip_address, country, ..Request::default() };
            let config = config(None);
            let sent = headers(&request, "", Sender::Anonymous, &config);
            sent.into_iter().map(|(_, value)| value.into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("203.0.113.9:51008", "gb"), "203.0.113.9 GB");
        assert_eq!(of("2001:DB8::7", "T1"), "2001:db8::7");
        assert_eq!(of("203.0.113.9, 10.0.0.1", "XX"), "");
    }

    #[test]
    fn who_signs_in_sends_no_token_but_may_be_a_client_and_others_send_nothing() {
        let of = |sender, authorization| {
            let request = Request { authorization, ..Request::default() };
            let config = config(None);
            let sent = headers(&request, "", sender, &config);
            sent.first().map(|(_, value)| value.to_string())
        };
        let authorization = |authorization| of(Sender::SigningIn, authorization);
        assert_eq!(of(Sender::Anonymous, "Bearer a.b.c"), None);
        assert_eq!(of(Sender::Anonymous, "Basic dTpw"), None);
        assert_eq!(of(Sender::Verified, "Basic dTpw"), None);
        assert_eq!(authorization("Bearer a.b.c"), None);
        assert_eq!(authorization("a.b.c"), None);
        assert_eq!(authorization("Basic dTpw").as_deref(), Some("Basic dTpw"));
        assert_eq!(authorization("Basic€"), None);
    }
}
