//! From a path to what answers it. Reads are the edge's own routes; the rest is here. Paths are compared as
//! they are sent, as at the edge.

use admit::api::{
    contract::Methods,
    route::{Id, Route},
};

use crate::wire::Budget;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// A read of the edge that has no write beside it.
    Read,
    /// `/items/access`: grants.
    Grant,
    /// `/items/{id}/access`: the check, and revocation.
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
    /// `/accounts/authenticate`, `/v2/accounts/authenticate`
    Authenticate,
    /// `/oauth2/authorize`
    Authorize,
    /// `/oauth2/token`, `/oauth2/authorization`
    Token,
    /// `/.well-known/jwks.json`
    Jwks,
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/healthz`
    Health,
    /// `/export`, `/changes`: the export, or with `after` what changed since
    Feed,
}

impl<'a> Endpoint<'a> {
    /// What the path leads to, or `None` when there is nothing.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        match path {
            "/items/access" => return Some(Self::Grant),
            "/v2/items" => return Some(Self::Items),
            "/accounts/authenticate" | "/v2/accounts/authenticate" => return Some(Self::Authenticate),
            "/oauth2/authorize" => return Some(Self::Authorize),
            "/oauth2/token" | "/oauth2/authorization" => return Some(Self::Token),
            "/.well-known/jwks.json" => return Some(Self::Jwks),
            "/.well-known/openid-configuration" => return Some(Self::Discovery),
            "/healthz" => return Some(Self::Health),
            "/export" | "/changes" => return Some(Self::Feed),
            _ => {}
        }
        let package = path.strip_prefix("/v2/items/packages/").and_then(|rest| rest.strip_suffix("/bulk"));
        if let Some(id) = package.filter(|id| is_segment(id)) {
            return Some(Self::BulkPackage(id.into()));
        }
        if let Some(id) = path.strip_prefix("/v2/items/").filter(|id| is_segment(id)) {
            return Some(Self::Item(id.into()));
        }
        match Route::parse(path)? {
            Route::Stored(_) | Route::Pack | Route::Check | Route::Keys | Route::Issuers => None,
            Route::Access(id) => Some(Self::Access(id)),
            Route::Fees(id) if path.starts_with("/v2/") => Some(Self::Fees(id)),
            Route::Fee(id, fee_id) if fee_id == "bulk".into() => Some(Self::BulkFees(id)),
            Route::Fee(id, fee_id) => Some(Self::Fee(id, fee_id)),
            _ => Some(Self::Read),
        }
    }

    /// The methods that it has, as `Allow` lists them.
    #[must_use]
    pub const fn allow(self) -> Methods {
        let methods = match self {
            Self::Feed => Methods::GET,
            Self::Read | Self::Jwks | Self::Discovery | Self::Health => Methods::READ,
            Self::Access(_) => Methods::READ.and(Methods::DELETE),
            Self::Grant | Self::Fees(_) | Self::Authorize => Methods::READ.and(Methods::POST),
            Self::Fee(..) => Methods::READ.and(Methods::PUT).and(Methods::DELETE),
            // The edge reads it as a fee whose number is wrong.
            Self::BulkFees(_) => Methods::READ.and(Methods::PATCH),
            Self::Items | Self::Authenticate | Self::Token => Methods::POST,
            Self::Item(_) => Methods::PUT.and(Methods::PATCH).and(Methods::DELETE),
            Self::BulkPackage(_) => Methods::PATCH,
        };
        methods.and(Methods::OPTIONS)
    }

    /// How large a body may be that is sent here. What needs no token is small.
    #[must_use]
    pub const fn budget(self) -> Budget {
        match self {
            Self::Authenticate | Self::Authorize | Self::Token => Budget::SIGN_IN,
            _ => Budget::WRITE,
        }
    }

    /// Whether it has the method.
    #[must_use]
    pub fn has(self, method: &str) -> bool {
        self.allow().intersects(Methods::named(method))
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use admit::api::write::WriteRoute;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    #[test]
    fn every_write_of_the_contract() {
        let id = Id::from("33");
        let table = [
            ("POST", "/v2/items", Endpoint::Items),
            ("PUT", "/v2/items/33", Endpoint::Item(id)),
            ("PATCH", "/v2/items/33", Endpoint::Item(id)),
            ("DELETE", "/v2/items/33", Endpoint::Item(id)),
            ("POST", "/v2/items/33/access-fees", Endpoint::Fees(id)),
            ("PUT", "/v2/items/33/access-fees/5", Endpoint::Fee(id, "5".into())),
            ("DELETE", "/v2/items/33/access-fees/5", Endpoint::Fee(id, "5".into())),
            ("PATCH", "/v2/items/33/access-fees/bulk", Endpoint::BulkFees(id)),
            ("PATCH", "/v2/items/packages/33/bulk", Endpoint::BulkPackage(id)),
            ("POST", "/items/access", Endpoint::Grant),
            ("DELETE", "/items/33/access", Endpoint::Access(id)),
            ("GET", "/items/33/access", Endpoint::Access(id)),
            ("GET", "/license", Endpoint::Read),
            ("GET", "/items/33/access-fees", Endpoint::Read),
            ("GET", "/v2/items/33/access-fees", Endpoint::Fees(id)),
            ("POST", "/oauth2/authorization", Endpoint::Token),
        ];
        for (method, path, endpoint) in table {
            assert_eq!(Endpoint::parse(path), Some(endpoint), "{path}");
            assert!(endpoint.has(method), "{method} {path}");
        }
        assert!(!Endpoint::Read.has("POST"));
        assert!(!Endpoint::Items.has("GET, POST"));
    }

    #[test]
    fn odd_paths_lead_nowhere() {
        for path in [
            "",
            "/",
            "/v2/items/",
            "/v2/items//access-fees",
            "/v2/items/packages//bulk",
            "/v2/items/packages/1/2/bulk",
            "/snapshot/head",
            "/changes/",
            "/Export",
            "/v2/items/33/access",
            "/items/access/",
        ] {
            assert_eq!(Endpoint::parse(path), None, "{path}");
        }
    }

    proptest! {
        /// What the edge passes on is what it has checked: no path is one thing there and another one here.
        #[test]
        fn the_edge_and_the_origin_read_a_path_alike(
            segments in vec(select(&[
                "v2", "items", "33", "5", "access", "access-fees", "packages", "bulk", "accounts", "authenticate",
                "oauth2", "token", "authorization", "license", "", "..", "%2e%2e", "ITEMS", "a%2Fb",
                "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934",
            ][..]), 1..7),
            is_of_items in any::<bool>(),
        ) {
            let prefix = if is_of_items { "/v2/items/" } else { "/" };
            let path = format!("{prefix}{}", segments.join("/"));
            let here = Endpoint::parse(&path).map(Endpoint::allow);
            match WriteRoute::parse(&path) {
                Some(write) => prop_assert_eq!(here, Some(write.allow()), "{}", path),
                None => prop_assert_eq!(here, Route::parse(&path).map(Route::allow), "{}", path),
            }
        }
    }
}
