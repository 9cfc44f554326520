use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    api::contract::ENDPOINTS,
    snapshot::{object::ObjectName, store_key::StoreKey},
};

const MERCHANT: &str = "e5ac2013-8d10-42ba-abb5-291c5201cea8";

/// A path of every spelling of every endpoint, with its parameters filled in.
fn samples() -> Vec<(String, &'static Endpoint)> {
    let all = ENDPOINTS.iter().flat_map(|endpoint| {
        endpoint.patterns.iter().map(|pattern| {
            let path = pattern
                .replace("{id}", "33")
                .replace("{fee_id}", "5")
                .replace("{merchant_uuid}", MERCHANT)
                .replace("{kind}", "shard")
                .replace("{digest}", &"0".repeat(64))
                .replace("{seq}", "7");
            (path, *endpoint)
        })
    });
    all.collect()
}

/// Whether a value may stand for a parameter in a path, as far as that decides between routes.
fn fits(parameter: &str, value: &str) -> bool {
    match parameter {
        "{merchant_uuid}" => uuid(value).is_some(),
        "{kind}" => ObjectName::parse(&format!("{value}/{}", "0".repeat(64))).is_some(),
        "{digest}" => ObjectName::parse(&format!("shard/{value}")).is_some(),
        "{seq}" => matches!(StoreKey::parse(&format!("version/{value}")), Some(StoreKey::Version(_))),
        _ => !value.is_empty(),
    }
}

/// The endpoint of a path by the table alone: the pattern with the first word where others have a parameter wins.
fn by_the_table(path: &str) -> Option<&'static Endpoint> {
    let segments: Vec<_> = path.split('/').collect();
    let matching = ENDPOINTS.iter().flat_map(|endpoint| {
        endpoint.patterns.iter().filter_map(|pattern| {
            let pattern: Vec<_> = pattern.split('/').collect();
            let is_parameter = |segment: &str| segment.starts_with('{');
            let fits = pattern.len() == segments.len()
                && pattern.iter().zip(&segments).all(|(pattern, segment)| {
                    if is_parameter(pattern) { fits(pattern, segment) } else { pattern == segment }
                });
            let key: Vec<_> = pattern.iter().map(|segment| is_parameter(segment)).collect();
            fits.then_some((key, *endpoint))
        })
    });
    // The one exception: packages are a collection that has no page of its own, not an item.
    let best = matching.filter(|_| path != "/items/packages").min_by(|(a, _), (b, _)| a.cmp(b));
    best.map(|(_, endpoint)| endpoint)
}

#[test]
fn every_path_of_the_table_is_parsed() {
    for (path, endpoint) in samples() {
        let route = Route::parse(&path).unwrap_or_else(|| panic!("{path} has no route"));
        assert_eq!(route.endpoint(), endpoint, "{path}");
        assert_eq!(by_the_table(&path), Some(endpoint), "{path}");
    }
}

#[test]
fn parameters_are_taken_from_their_places() {
    let merchant = Uuid::try_parse(MERCHANT).unwrap();
    let object = format!("shard/{}", "0".repeat(64));
    let object_path = format!("/snapshot/{object}");
    let [v1, v2] = [format!("/items/{MERCHANT}/33"), format!("/v2/items/{MERCHANT}/33")];
    let (id, fee) = (Id("33"), Id("5"));
    for (path, route) in [
        ("/items/33/access", Route::Access(id)),
        ("/items/33", Route::Item(id)),
        (&v1, Route::MerchantItem(merchant, id)),
        (&v2, Route::MerchantItem(merchant, id)),
        ("/items/33/access-fees", Route::Fees(id)),
        ("/v2/items/33/access-fees", Route::FeesV2(id)),
        ("/v2/items/33/access-fees/bulk", Route::BulkFees(id)),
        ("/v2/items/33/access-fees/5", Route::Fee(id, fee)),
        ("/items/packages/33", Route::Package(id)),
        ("/items/packages/33/items", Route::PackageItems(id)),
        ("/v2/items/33", Route::ItemV2(id)),
        ("/v2/items/packages/33/bulk", Route::BulkPackage(id)),
        (&object_path, Route::Stored(StoreKey::Object(ObjectName::parse(&object).unwrap()))),
        ("/snapshot/version/7", Route::Stored(StoreKey::Version(7))),
        ("/export", Route::Feed),
        ("/changes", Route::Feed),
    ] {
        assert_eq!(Route::parse(path), Some(route), "{path}");
    }
}

#[test]
fn other_paths_have_no_route() {
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
        "/items/access/",
        "/ITEMS/33",
        "/items/33/foo",
        "/items/packages",
        "/items/packages/33/bulk",
        "/items/packages/1/items/2",
        "/v2/items/",
        "/v2//items",
        "/v2/items/packages//bulk",
        "/v2/items/packages/1/2/bulk",
        "/v2/items/33/access",
        "/v2/items/33/access-fees/5/6",
        "/license/",
        "/license/1",
        "/accounts/authenticate/x",
        "/oauth2",
        "/v2/oauth2/token",
        "/changes/",
        "/Export",
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
fn numbers_are_decimal_positive_and_fit() {
    assert_eq!(Id("33").number(), Some(33));
    assert_eq!(Id("007").number(), Some(7));
    assert_eq!(Id("9223372036854775807").number(), Some(i64::MAX));
    for id in ["", "0", "-1", "+1", "1.0", "1e3", "0x1", " 1", "1 ", "٣", "%31", "9223372036854775808", "abc"]
    {
        assert_eq!(Id(id).number(), None, "{id}");
    }
}

#[test]
fn a_path_with_an_invalid_number_is_not_forwarded() {
    for path in [
        "/v2/items/..",
        "/v2/items/%2e%2e",
        "/v2/items/1%2F2",
        "/v2/items/1;2",
        "/v2/items/x/access-fees",
        "/items/0/access",
        "/v2/items/packages/-1/bulk",
    ] {
        assert_eq!(Route::parse(path).unwrap().check_numbers(), Err(ApiError::INVALID_ID), "{path}");
    }
    let fee = Route::parse("/v2/items/1/access-fees/..").unwrap();
    assert_eq!(fee.check_numbers(), Err(ApiError::INVALID_FEE_ID));
    for (path, _) in samples() {
        assert_eq!(Route::parse(&path).unwrap().check_numbers(), Ok(()), "{path}");
    }
}

#[test]
fn words_that_only_writes_know_are_read_as_invalid_numbers() {
    for (path, read) in [
        ("/items/access", Route::Item(Id("access"))),
        ("/v2/items/33/access-fees/bulk", Route::Fee(Id("33"), Id("bulk"))),
    ] {
        let route = Route::parse(path).unwrap();
        assert_eq!(route.as_read(), read);
        for server in [Server::LoneEdge, Server::Edge, Server::Origin] {
            let operation = route.operation("GET", server).unwrap();
            assert_eq!(operation.kind, Kind::Read, "{path}");
            assert!(route.as_read().check_numbers().is_err(), "{path}");
            assert!(route.operation("PUT", server).is_none(), "{path}");
        }
    }
}

proptest! {
    #[test]
    fn any_path_is_parsed_without_a_panic(path in any::<String>()) {
        let _ = Route::parse(&path);
        let _ = Route::parse(&format!("/items/{path}/access"));
    }

    /// The parser and the table agree on every path.
    #[test]
    fn the_parser_is_the_table(
        segments in vec(select(&[
            "items", "v2", "33", "access", "access-fees", "packages", "bulk", "license", "accounts", "authenticate",
            "oauth2", "token", "authorization", "authorize", "export", "changes", ".well-known", "jwks.json", "snapshot",
            "version", "head", "lease", "keys", "shard", "7", "", "..", "%2e%2e", "ITEMS", "a%2Fb", MERCHANT,
            "0000000000000000000000000000000000000000000000000000000000000000",
        ][..]), 1..7),
        start in select(&["/", "/items/", "/v2/items/", "/snapshot/"][..]),
    ) {
        let path = format!("{start}{}", segments.join("/"));
        prop_assert_eq!(Route::parse(&path).map(Route::endpoint), by_the_table(&path), "{}", path);
    }
}
