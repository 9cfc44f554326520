//! From a path to a route. Paths are compared as they are sent: no percent-decoding, no folding of slashes,
//! so that what is checked is what was asked for.

use uuid::Uuid;

pub use super::contract::Id;
use super::contract::Methods;
use crate::{snapshot::store_key::StoreKey, token::Scope};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/items/{id}/access`
    Access(Id<'a>),
    /// `/license`
    License,
    /// `/items/{id}`
    Item(Id<'a>),
    /// `/items/{merchant_uuid}/{id}` and `/v2/items/{merchant_uuid}/{id}`
    MerchantItem(Uuid, Id<'a>),
    /// `/items/{id}/access-fees` and `/v2/items/{id}/access-fees`
    Fees(Id<'a>),
    /// `/v2/items/{id}/access-fees/{fee_id}`
    Fee(Id<'a>, Id<'a>),
    /// `/items/packages/{id}`
    Package(Id<'a>),
    /// `/items/packages/{id}/items`
    PackageItems(Id<'a>),
    /// `/healthz`
    Health,
    /// A value of the store:
    /// `/snapshot/head`
    /// `/snapshot/{kind}/{digest}`
    /// `/snapshot/version/{seq}`
    /// `/snapshot/lease`
    /// `/snapshot/garbage`
    Stored(StoreKey),
    /// `/snapshot/pack`
    Pack,
    /// `/snapshot/check`
    Check,
    /// `/snapshot/keys`
    Keys,
    /// `/snapshot/issuers`
    Issuers,
}

impl<'a> Route<'a> {
    /// The route of a path, or `None` when there is no such route.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let [first, second, third, fourth, fifth] = segments(path)?;
        Some(match (first?, second, third, fourth, fifth) {
            ("items", Some("packages"), Some(id), None, None) => Self::Package(id.into()),
            ("items", Some("packages"), Some(id), Some("items"), None) => Self::PackageItems(id.into()),
            ("items", Some(id), Some("access"), None, None) => Self::Access(id.into()),
            ("items", Some(id), Some("access-fees"), None, None)
            | ("v2", Some("items"), Some(id), Some("access-fees"), None) => Self::Fees(id.into()),
            ("v2", Some("items"), Some(id), Some("access-fees"), Some(fee)) => {
                Self::Fee(id.into(), fee.into())
            }
            ("items", Some(merchant), Some(id), None, None)
            | ("v2", Some("items"), Some(merchant), Some(id), None) => {
                Self::MerchantItem(uuid(merchant)?, id.into())
            }
            ("items", Some(id), None, None, None) if id != "packages" => Self::Item(id.into()),
            ("license", None, None, None, None) => Self::License,
            ("healthz", None, None, None, None) => Self::Health,
            ("snapshot", Some("pack"), None, None, None) => Self::Pack,
            ("snapshot", Some("check"), None, None, None) => Self::Check,
            ("snapshot", Some("keys"), None, None, None) => Self::Keys,
            ("snapshot", Some("issuers"), None, None, None) => Self::Issuers,
            ("snapshot", Some(_), _, None, None) => {
                Self::Stored(StoreKey::parse(path.strip_prefix("/snapshot/")?)?)
            }
            _ => return None,
        })
    }

    /// The methods that the route has, as `Allow` lists them.
    #[must_use]
    pub const fn allow(self) -> Methods {
        let methods = match self {
            Self::Stored(StoreKey::Head | StoreKey::Garbage) => Methods::READ.and(Methods::PUT),
            Self::Stored(StoreKey::Object(_) | StoreKey::Version(_) | StoreKey::Lease) => {
                Methods::READ.and(Methods::PUT).and(Methods::DELETE)
            }
            Self::Pack | Self::Check => Methods::POST,
            _ => Methods::READ,
        };
        methods.and(Methods::OPTIONS)
    }

    /// The scopes of which a token needs one for `method`; none where the route asks for no scope.
    #[must_use]
    pub fn scopes(self, method: &str) -> &'static [Scope] {
        let is_read = matches!(method, "GET" | "HEAD");
        match self {
            Self::Stored(_) | Self::Keys | Self::Issuers if is_read => &[Scope::SnapshotRead],
            // Publisher and collector both take the lease, and both change the list of garbage: a publisher takes out of
            // it what it wants again.
            Self::Stored(StoreKey::Lease | StoreKey::Garbage) => {
                &[Scope::SnapshotWrite, Scope::SnapshotCollect]
            }
            Self::Stored(_) if method == "DELETE" => &[Scope::SnapshotCollect],
            // A check of stored objects changes nothing, but only publishers need it, and it makes the Worker hash what
            // the caller names.
            Self::Stored(_) | Self::Pack | Self::Check | Self::Keys | Self::Issuers => {
                &[Scope::SnapshotWrite]
            }
            _ => &[],
        }
    }

    /// Whether the route has `method`.
    #[must_use]
    pub fn allows(self, method: &str) -> bool {
        self.allow().intersects(Methods::named(method))
    }
}

/// The segments of a path. The longest route has five; a sixth makes it none.
pub(super) fn segments(path: &str) -> Option<[Option<&str>; 5]> {
    if path.contains("//") || path.ends_with('/') {
        return None;
    }
    let mut segments = path.strip_prefix('/')?.split('/');
    let all = std::array::from_fn(|_| segments.next());
    segments.next().is_none().then_some(all)
}

/// A UUID with its hyphens, in either case: 36 characters, so that a number never passes for one.
fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::object::ObjectName;

    const MERCHANT: &str = "e5ac2013-8d10-42ba-abb5-291c5201cea8";

    #[test]
    fn every_route_of_the_contract() {
        let merchant = Uuid::try_parse(MERCHANT).unwrap();
        let digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        let object = format!("shard/{digest}");
        let object_path = format!("/snapshot/{object}");
        let [v1, v2] = [format!("/items/{MERCHANT}/33"), format!("/v2/items/{MERCHANT}/33")];
        let cases = [
            ("/items/33/access", Route::Access(Id::from("33"))),
            ("/license", Route::License),
            ("/items/33", Route::Item(Id::from("33"))),
            (&v1, Route::MerchantItem(merchant, Id::from("33"))),
            (&v2, Route::MerchantItem(merchant, Id::from("33"))),
            ("/items/33/access-fees", Route::Fees(Id::from("33"))),
            ("/v2/items/33/access-fees", Route::Fees(Id::from("33"))),
            ("/v2/items/33/access-fees/5", Route::Fee(Id::from("33"), Id::from("5"))),
            ("/items/packages/33", Route::Package(Id::from("33"))),
            ("/items/packages/33/items", Route::PackageItems(Id::from("33"))),
            ("/healthz", Route::Health),
            ("/snapshot/head", Route::Stored(StoreKey::Head)),
            (&object_path, Route::Stored(StoreKey::Object(ObjectName::parse(&object).unwrap()))),
            ("/snapshot/version/7", Route::Stored(StoreKey::Version(7))),
            ("/snapshot/lease", Route::Stored(StoreKey::Lease)),
            ("/snapshot/garbage", Route::Stored(StoreKey::Garbage)),
            ("/snapshot/pack", Route::Pack),
            ("/snapshot/check", Route::Check),
            ("/snapshot/keys", Route::Keys),
            ("/snapshot/issuers", Route::Issuers),
        ];
        for (path, route) in cases {
            assert_eq!(Route::parse(path), Some(route), "{path}");
        }
    }

    #[test]
    fn odd_paths_are_no_route() {
        for path in [
            "",
            "/",
            "//",
            "items/33",
            "/items",
            "/items/",
            "/items//access",
            "/items/33/",
            "//items/33",
            "/items/33//access",
            "/items/33/access/",
            "/items/33/Access",
            "/ITEMS/33",
            "/items/33/foo",
            "/items/packages",
            "/items/packages/1/items/2",
            "/v2/items/33",
            "/v2/items/33/access",
            "/v2/items/33/access-fees/5/6",
            "/license/",
            "/license/1",
            "/snapshot",
            "/snapshot/",
            "/snapshot/shard/zz",
            "/snapshot/head/x",
            "/snapshot/version",
            "/snapshot/version/07",
            "/snapshot/version/7/8",
            "/snapshot/lease/x",
            "/snapshot/leases",
            "/snapshot/pack/shard",
            "/snapshot/packs",
            "/snapshot/keys/shard",
            "/snapshot/issuers/x",
            "/snapshot/jwks/x",
            "/v2/snapshot/head",
            "/healthz/x",
            "/%69tems/33",
            "/items/33/access%00",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }

    #[test]
    fn methods_are_compared_whole() {
        let allowed = |route: Route<'_>| {
            let methods =
                ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "", "E", "GET, HEAD", "get", "PUTS"];
            methods.into_iter().filter(|method| route.allows(method)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(allowed(Route::License), "GET HEAD");
        assert_eq!(allowed(Route::Pack), "POST");
        assert_eq!(allowed(Route::Stored(StoreKey::Head)), "GET HEAD PUT");
        assert_eq!(allowed(Route::Stored(StoreKey::Lease)), "GET HEAD PUT DELETE");
        assert_eq!(allowed(Route::Keys), "GET HEAD");
    }

    proptest! {
        #[test]
        fn any_path_is_read_without_panic(path in any::<String>()) {
            let _ = Route::parse(&path);
            let _ = Route::parse(&format!("/items/{path}/access"));
        }
    }
}
