use std::collections::BTreeSet;

use super::*;

const SERVERS: [Server; 3] = [Server::LoneEdge, Server::Edge, Server::Origin];

#[test]
fn the_table_is_consistent() {
    let mut patterns = BTreeSet::new();
    for endpoint in ENDPOINTS {
        assert!(!endpoint.patterns.is_empty() && !endpoint.operations.is_empty(), "{endpoint:?}");
        let mut seen = Methods::NONE;
        for operation in endpoint.operations {
            assert!(!seen.intersects(operation.methods), "a method occurs twice: {endpoint:?}");
            seen = seen.and(operation.methods);
            // DELETE and reads have no body.
            let has_body = operation.input != Input::None;
            assert!(!has_body || !operation.methods.intersects(Methods::READ.and(Methods::DELETE)));
        }
        patterns.extend(endpoint.patterns.iter().map(|pattern| {
            assert!(pattern.starts_with('/') && !pattern.ends_with('/'), "{pattern}");
            *pattern
        }));
    }
    for (endpoint, operations) in table::described() {
        assert_eq!(operations.len(), endpoint.operations.len(), "{endpoint:?}");
        for (_, summary) in operations {
            let (first, last) = (summary.chars().next(), summary.chars().last());
            assert!(first.is_some_and(char::is_uppercase) && last != Some('.'), "{summary}");
        }
    }
    assert_eq!(patterns.len(), ENDPOINTS.iter().map(|endpoint| endpoint.patterns.len()).sum::<usize>());
}

#[test]
fn each_server_has_its_own_methods() {
    let allow = |server: Server, path: &str| {
        Route::parse(path).map(|route| route.methods(server).to_string()).unwrap_or_default()
    };
    let edge_only = "GET, HEAD, PUT, DELETE, OPTIONS";
    for (path, [lone, edge, origin]) in [
        ("/license", ["GET, HEAD, OPTIONS"; 3]),
        ("/healthz", ["GET, HEAD, OPTIONS"; 3]),
        (
            "/items/33/access",
            ["GET, HEAD, OPTIONS", "GET, HEAD, DELETE, OPTIONS", "GET, HEAD, DELETE, OPTIONS"],
        ),
        ("/items/access", ["GET, HEAD, OPTIONS", "GET, HEAD, POST, OPTIONS", "GET, HEAD, POST, OPTIONS"]),
        ("/v2/items", ["", "POST, OPTIONS", "POST, OPTIONS"]),
        ("/v2/items/33", ["", "PUT, PATCH, DELETE, OPTIONS", "PUT, PATCH, DELETE, OPTIONS"]),
        (
            "/v2/items/33/access-fees/bulk",
            ["GET, HEAD, OPTIONS", "GET, HEAD, PATCH, OPTIONS", "GET, HEAD, PATCH, OPTIONS"],
        ),
        ("/oauth2/token", ["", "POST, OPTIONS", "POST, OPTIONS"]),
        ("/oauth2/authorize", ["", "", "GET, HEAD, POST, OPTIONS"]),
        ("/export", ["", "", "GET, OPTIONS"]),
        ("/access/v1/evaluation", ["POST, OPTIONS"; 3]),
        ("/access/v1/evaluations", ["POST, OPTIONS"; 3]),
        ("/access/v1/search/resource", ["POST, OPTIONS", "POST, OPTIONS", ""]),
        ("/.well-known/authzen-configuration", ["GET, HEAD, OPTIONS", "GET, HEAD, OPTIONS", ""]),
        ("/snapshot/lease", [edge_only, edge_only, ""]),
        ("/snapshot/head", ["GET, HEAD, PUT, OPTIONS", "GET, HEAD, PUT, OPTIONS", ""]),
    ] {
        assert_eq!(SERVERS.map(|server| allow(server, path)), [lone, edge, origin], "{path}");
        for (server, methods) in SERVERS.into_iter().zip([lone, edge, origin]) {
            assert_eq!(server.route(path).is_some(), !methods.is_empty(), "{path}");
        }
    }
}

#[test]
fn a_request_has_one_operation_or_one_error() {
    for (server, method, path, status) in [
        (Server::LoneEdge, "GET", "/items/33/access", 200),
        (Server::LoneEdge, "DELETE", "/items/33/access", 405),
        (Server::Edge, "DELETE", "/items/33/access", 200),
        (Server::Edge, "get", "/items/33/access", 405),
        (Server::Edge, "GET", "/export", 404),
        (Server::Origin, "GET", "/export", 200),
        (Server::Origin, "HEAD", "/export", 405),
        (Server::Origin, "GET", "/snapshot/head", 404),
        (Server::LoneEdge, "POST", "/v2/items", 404),
        (Server::Edge, "POST", "/nowhere", 404),
    ] {
        let found = server.find(method, path).map_or_else(ApiError::status, |_| 200);
        assert_eq!(found, status, "{method} {path}");
    }
}

#[test]
fn scopes_are_asked_for_by_what_a_request_does() {
    let scopes = |method, path: &str| {
        let (_, operation) = Server::LoneEdge.find(method, path).unwrap();
        operation.auth.scopes().iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
    };
    let object = format!("/snapshot/shard/{}", "0".repeat(64));
    for (method, path, expected) in [
        ("GET", "/snapshot/head", "snapshot:read"),
        ("HEAD", "/snapshot/keys", "snapshot:read"),
        ("GET", "/snapshot/report", "snapshot:read"),
        ("GET", "/snapshot/diff", "snapshot:read"),
        ("PUT", "/snapshot/head", "snapshot:write"),
        ("POST", "/snapshot/check", "snapshot:write"),
        ("DELETE", &object, "snapshot:collect"),
        ("DELETE", "/snapshot/lease", "snapshot:write snapshot:collect"),
        ("PUT", "/snapshot/garbage", "snapshot:write snapshot:collect"),
        ("GET", "/items/33/access", ""),
    ] {
        assert_eq!(scopes(method, path), expected, "{method} {path}");
    }
}

#[test]
fn paths_are_built_from_the_first_spelling() {
    assert_eq!(table::FEE.path(&["33", "5"]), "/v2/items/33/access-fees/5");
    assert_eq!(table::LICENSE.path(&[]), "/license");
    assert_eq!(table::FEED.path(&[]), "/export");
}
