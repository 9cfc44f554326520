use super::*;

fn answer(status: u16, content_type: &str, coding: &str, body: &str) -> UpstreamAnswer {
    let headers = [("content-type", content_type), ("content-encoding", coding)];
    let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
    let headers = headers.map(|(name, value)| (name, value.to_owned())).collect();
    UpstreamAnswer { status, headers, body: body.as_bytes().to_vec() }
}

#[test]
fn only_the_apis_own_word_signs_a_viewer_out() {
    const JSON: &str = "application/json";
    for (status, content_type, body, told) in [
        (401, JSON, r#"{"code":401,"message":"Invalid auth token"}"#, None),
        (403, JSON, r#"{"error":"access_denied"}"#, None),
        (401, JSON, r#"{"errors":{"token":"gone"}}"#, None),
        (401, JSON, r#"{"message":"Unauthorized"}"#, Some(502)),
        (403, "text/html", "<html>", Some(502)),
        (401, "", "", Some(502)),
        (407, JSON, r#"{"code":407,"message":"Proxy"}"#, Some(502)),
        (404, "text/html", "<html>", None),
        (500, "text/html", "<html>", None),
        (200, "application/pdf", "%PDF", None),
        (302, "", "", None),
        (521, "text/html", "<html>", Some(502)),
        (522, "text/html", "<html>", Some(502)),
        (199, "", "", Some(502)),
        (600, "", "", Some(502)),
    ] {
        let refused = check_answer(&answer(status, content_type, "", body), "GET").err();
        assert_eq!(refused.map(|(error, _)| error.status()), told, "{status} {body}");
    }
    let by_head = |status: u16| check_answer(&answer(status, "", "", ""), "HEAD").is_ok();
    assert_eq!([401, 403, 407].map(by_head), [true, true, false], "an answer to HEAD has no body");
    assert!(check_answer(&answer(401, "", "", ""), "HEAD").is_ok(), "it has no body to tell by");
}

#[test]
fn codings_that_no_runtime_decodes_are_refused() {
    for (coding, is_readable) in [
        ("", true),
        ("gzip", true),
        ("BR", true),
        ("identity", true),
        ("x-unknown", false),
        ("gzip, br", false),
    ] {
        let checked = check_answer(&answer(200, "image/png", coding, "x"), "GET");
        assert_eq!(checked.is_ok(), is_readable, "{coding}");
    }
}

#[test]
fn a_redirect_within_the_origin_stays_at_the_edge() {
    let url = "https://origin.example/api";
    for (location, shown) in [
        ("https://origin.example/api/accounts?a=b", "/accounts?a=b"),
        ("https://origin.example/apix/accounts", "https://origin.example/apix/accounts"),
        ("https://origin.example/api//evil.example", "https://origin.example/api//evil.example"),
        ("https://tv.example/bye", "https://tv.example/bye"),
        ("/api/accounts?a=b", "/accounts?a=b"),
        ("/apix/accounts", "/apix/accounts"),
        ("/api//evil.example", "/api//evil.example"),
        ("//origin.example/api/accounts", "//origin.example/api/accounts"),
        ("/accounts", "/accounts"),
    ] {
        assert_eq!(at_the_edge(location, url), shown);
    }
    assert_eq!(at_the_edge("/api/accounts", "https://origin.example"), "/api/accounts");
}
