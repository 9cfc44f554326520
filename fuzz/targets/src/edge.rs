//! The edge's readers of its upstream's answers, its configuration, and request paths.

use admit::{
    api::{
        authzen::{Api, Asked, PageToken},
        contract::{Id, Kind, Server},
        query,
        reply::Body,
    },
    app::{App, Verdict, Written, verdict, written},
    config::Config,
    instant::LATEST,
    limits::AUTHZEN_EVALUATIONS_MAX,
    ports::UpstreamAnswer,
};
use admit_testing::memory::MemoryPlatform;
use origin::wire::form;
use serde_json::Value;

use crate::values::has_float;

const NOW: i64 = 1_800_000_000;

/// An answer of the upstream. The first byte chooses the status, the second one the type; the rest is the
/// body.
pub fn answers(data: &[u8]) -> bool {
    let Some(([status, kind], body)) = data.split_first_chunk::<2>() else { return false };
    let statuses = [200, 201, 204, 301, 400, 401, 402, 403, 404, 407, 422, 429, 500, 503];
    let status = statuses.get(usize::from(*status) % statuses.len()).copied().unwrap_or(200);
    let types =
        ["application/json", "", "application/problem+json", "text/html", "text/plain; charset=utf-8"];
    let content_type = types.get(usize::from(*kind) % types.len()).copied().unwrap_or_default();
    let headers = vec![("content-type", content_type.to_owned())];
    let answer = UpstreamAnswer { status, headers, body: body.to_vec() };
    let mut is_granted = false;
    for merchants in [None, Some(&[7][..])] {
        let Ok(Verdict::Granted(text, until)) = verdict(&answer, 1, merchants, NOW) else { continue };
        assert_eq!(status, 200, "granted by a status {status}");
        assert!(until <= LATEST, "granted until {until}");
        let access = serde_json::from_str::<Value>(&text).unwrap_or_default();
        assert!(access.is_object(), "{text}");
        is_granted = true;
        if has_float(&access) {
            continue;
        }
        // The body that players get must be read as the same grant.
        let again = UpstreamAnswer { status, headers: Vec::new(), body: text.as_bytes().to_vec() };
        let again = verdict(&again, 1, merchants, NOW);
        assert_eq!(again, Ok(Verdict::Granted(text, until)), "another grant when read again");
    }
    for is_signed in [true, false] {
        if let Written::Own(Body::Json(text)) | Written::Refused(Body::Json(text), _) =
            written(&answer, is_signed)
        {
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "passed on as JSON: {text}");
        }
    }
    is_granted
}

/// A question in the form of AuthZEN.
pub fn questions(data: &[u8]) -> bool {
    if let Some(token) = std::str::from_utf8(data).ok().and_then(PageToken::parse) {
        assert_eq!(PageToken::parse(&token.text()), Some(token), "another token when written again");
    }
    let single = Api::Evaluation.read(data);
    match Api::Evaluations.read(data) {
        Ok(Asked::Several(_, evaluations)) => {
            assert!((1..=AUTHZEN_EVALUATIONS_MAX).contains(&evaluations.len()));
            let errors = evaluations.iter().filter_map(|one| one.as_ref().err());
            errors.for_each(|error| assert_eq!(error.status(), 400, "{error:?}"));
        }
        // Without evaluations both endpoints read the same.
        Ok(one) => assert_eq!(single, Ok(one)),
        Err(error) => assert_eq!(error.status(), 400, "{error:?}"),
    }
    if let Ok(Asked::One(evaluation)) = &single {
        assert!(evaluation.customer.is_some() || evaluation.item.is_err(), "decided about no customer");
        // A complete question is a complete search as well, except for the members that only a search has.
        if let Err(error) = Api::ResourceSearch.read(data) {
            assert!(matches!(error.field(), Some("page" | "context")), "{error:?}");
        }
    }
    single.is_ok()
}

/// A configuration: lines of `NAME=value`. Variables that are missing get a valid value.
pub fn configuration(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<_> = text.split('\n').filter_map(|line| line.split_once('=')).collect();
    let binding = |name: &str| {
        let given =
            lines.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        given.or_else(|| match name {
            "ISSUERS" => Some(ISSUERS.to_owned()),
            "SNAPSHOT_KEYS" => Some(SNAPSHOT_KEYS.to_owned()),
            _ => None,
        })
    };
    let config = match Config::parse(&binding) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.variable.is_empty() && !error.problem.is_empty(), "an error that says nothing");
            return false;
        }
    };
    if let Some(origin) = &config.upstream {
        assert!(is_trusted(&origin.url), "an upstream over {}", origin.url);
    }
    let Ok(app) = App::new(MemoryPlatform::at(NOW.unsigned_abs() * 1_000), config) else { return false };
    let _shown = format!("{:?}", app.config());
    true
}

fn is_trusted(url: &str) -> bool {
    ["https://", "http://localhost", "http://127.0.0.1", "http://[::1]"]
        .iter()
        .any(|start| url.starts_with(start))
}

const ISSUERS: &str = r#"[{"issuer": "https://i.example", "namespace": "i", "audience": "none_required",
    "keys": {"jwks_url": "https://i.example/jwks"}}]"#;

const SNAPSHOT_KEYS: &str =
    r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A path with or without a query. The edge must pass on only what the origin reads in the same way.
pub fn paths(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let route = Server::Edge.route(path);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let Ok((route, operation)) = Server::Edge.find(method, path) else { continue };
        if !matches!(operation.kind, Kind::Write(_) | Kind::SignIn { .. }) {
            continue;
        }
        let here = Server::Origin.find(method, path);
        assert_eq!(here, Ok((route, operation)), "edge and origin read another path: {method} {path}");
        if route.check_numbers().is_ok() {
            let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-".contains(&byte));
            assert!(is_plain, "passed on: {path}");
        }
    }
    if let Some(number) = Id::from(path).number() {
        assert!(number > 0, "{path} is {number}");
    }
    // The origin reads `+` as a blank, and the edge's reads do not; without one both must see the same value.
    if !query.contains('+') && !query.contains('\u{feff}') {
        for name in ["page", "limit"] {
            let edge = query::last(query, name);
            if let Some(Some(value)) = edge {
                assert_eq!(form::parameter(query, name).ok().flatten().as_deref(), Some(&*value), "{query}");
            }
        }
    }
    let _ = (query::positive(query), query::seq(query));
    route.is_some()
}
