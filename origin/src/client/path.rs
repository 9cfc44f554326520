//! From a path to its row of the [table](super::table). Paths are compared byte by byte, without percent-decoding.

use admit::api::contract::Methods;

use super::table::{ENDPOINTS, Endpoint, Operation};

/// A path that the table has, with the value of its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPath<'a> {
    /// Its row.
    pub endpoint: &'static Endpoint,
    /// The segment in the place of the pattern's parameter; empty if it has none.
    pub parameter: &'a str,
}

impl<'a> ClientPath<'a> {
    /// The row of a path, or `None` if the table does not have it.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        ENDPOINTS.iter().find_map(|endpoint| {
            let parameter = parameter(endpoint.pattern, path)?;
            Some(Self { endpoint, parameter })
        })
    }

    /// The methods of the path, `OPTIONS` included: the header `Allow`.
    #[must_use]
    pub fn methods(self) -> Methods {
        let operations = self.endpoint.operations.iter();
        operations.fold(Methods::OPTIONS, |methods, operation| methods.and(operation.methods))
    }

    /// What `method` does here.
    #[must_use]
    pub fn operation(self, method: &str) -> Option<&'static Operation> {
        let method = Methods::named(method);
        self.endpoint.operations.iter().find(|operation| operation.methods.intersects(method))
    }
}

/// The segment of `path` in the place of the pattern's parameter, empty for a pattern without one; `None` if the path
/// does not fit.
fn parameter<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (mut parameter, mut segments) = ("", path.split('/'));
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') && !segment.is_empty() {
            parameter = segment;
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(parameter)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use admit::api::contract::{Auth, Input, Route, Server};

    use super::*;

    /// A path of an endpoint.
    fn sample(endpoint: &Endpoint) -> String {
        endpoint.pattern.replace("{client}", "c").replace("{token}", "t").replace("{media_id}", "m")
    }

    #[test]
    fn the_table_is_consistent() {
        let mut patterns = BTreeSet::new();
        for endpoint in ENDPOINTS {
            assert!(patterns.insert(endpoint.pattern), "{} occurs twice", endpoint.pattern);
            assert!(!endpoint.operations.is_empty(), "{endpoint:?}");
            let mut seen = Methods::NONE;
            for operation in endpoint.operations {
                assert!(!seen.intersects(operation.methods), "a method occurs twice: {endpoint:?}");
                seen = seen.and(operation.methods);
                assert!(matches!(operation.auth, Auth::None | Auth::Viewer), "{operation:?}");
                let has_body = operation.input != Input::None;
                assert!(!has_body || !operation.methods.intersects(Methods::READ), "{operation:?}");
            }
        }
    }

    #[test]
    fn every_path_is_found_by_its_row_and_belongs_to_no_route_of_the_edge() {
        for endpoint in ENDPOINTS {
            let path = sample(endpoint);
            let found = ClientPath::parse(&path).unwrap();
            assert_eq!(found.endpoint, endpoint, "{path}");
            for operation in endpoint.operations {
                for (method, name) in Methods::NAMES {
                    if operation.methods.intersects(method) {
                        assert_eq!(found.operation(name), Some(operation), "{name} {path}");
                    }
                }
            }
            assert_eq!(
                Route::parse(&path),
                None,
                "{path}: the contract has it, so this row is never reached"
            );
            assert!(Server::Edge.route(&path).is_none(), "{path}");
        }
    }

    #[test]
    fn parameters_and_other_paths() {
        let found = ClientPath::parse("/v2/accounts/media/favorites/Jif1zCk%20").unwrap();
        assert_eq!(found.parameter, "Jif1zCk%20");
        assert_eq!(found.methods().to_string(), "GET, HEAD, DELETE, OPTIONS");
        assert_eq!(found.operation("POST"), None);
        assert_eq!(ClientPath::parse("/accounts").unwrap().parameter, "");
        for path in [
            "",
            "/",
            "accounts",
            "/accounts/",
            "//accounts",
            "/Accounts",
            "/accounts/x",
            "/accounts/forgot-password/",
            "/accounts/forgot-password/t/x",
            "/v2/accounts/media/favorites/",
            "/v2/accounts/media",
            "/v2/accounts/logout",
            "/v3/accounts/1",
            "/subscriptions/1",
        ] {
            assert_eq!(ClientPath::parse(path), None, "{path}");
        }
    }
}
