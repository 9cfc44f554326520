//! Cases under other configurations. Variables are added to the usual ones; an empty value removes a
//! variable.

use serde_json::json;

use super::{
    catalogue,
    check::{Pages, error_body, problems},
    issuers,
    subject::Subject,
    wire::Wire,
};

/// The usual variables with changes.
pub fn variables(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables = issuers::variables();
    variables.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let set = changes.iter().filter(|(_, value)| !value.is_empty());
    variables.extend(set.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    variables
}

/// Variables that make the configuration invalid, each with the variable that the log must name.
pub const WRONG: [(&[(&str, &str)], &str); 23] = [
    (&[("ORIGIN_URL", "https://o.example"), ("ORIGIN_SECRET", "short")], "ORIGIN_SECRET"),
    // A secret that verifies heads could also sign them.
    (
        &[(
            "SNAPSHOT_KEYS",
            r#"{"keys":[{"kty":"oct","k":"c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlIG9mIHRoZW0"}]}"#,
        )],
        "SNAPSHOT_KEYS",
    ),
    (&[("FRESH_SECS", "61")], "FRESH_SECS"),
    (&[("ISSUERS", "")], "ISSUERS"),
    (&[("ISSUERS", "{")], "ISSUERS"),
    (&[("ISSUERS", "[]")], "ISSUERS"),
    (&[("ISSUERS", "[{\"issuer\":\"https://i.example\"}]")], "ISSUERS[0]"),
    (
        &[(
            "ISSUERS",
            r#"[{"issuer":"i","namespace":"n","audience":"any","keys":{"jwks_url":"https://i.example/j"}}]"#,
        )],
        "ISSUERS[0]",
    ),
    (
        &[(
            "ISSUERS",
            r#"[{"issuer":"i","namespace":"n","audience":"none_required","keys":{"jwks_url":"http://i.example/j"}}]"#,
        )],
        "ISSUERS[0].keys.jwks_url",
    ),
    (&[("VENDOR_JWT_SECRET", "")], "VENDOR_JWT_SECRET"),
    (&[("VENDOR_JWT_SECRET", "short")], "VENDOR_JWT_SECRET"),
    (&[("SNAPSHOT_KEYS", "")], "SNAPSHOT_KEYS"),
    (&[("SNAPSHOT_KEYS", "no JSON")], "SNAPSHOT_KEYS"),
    (&[("CORS_ORIGINS", "tv.example")], "CORS_ORIGINS"),
    (&[("CORS_ORIGINS", "https://tv.example/live")], "CORS_ORIGINS"),
    (&[("CORS_ORIGINS", "https://*.tv.example")], "CORS_ORIGINS"),
    (&[("LOG_CHECKS", "yes")], "LOG_CHECKS"),
    (&[("TRUSTED_COUNTRY_HEADER", "x country")], "TRUSTED_COUNTRY_HEADER"),
    (&[("JWKS_CACHE_SECRET", "short")], "JWKS_CACHE_SECRET"),
    (&[("ORIGIN_URL", "http://origin.example")], "ORIGIN_URL"),
    (&[("ORIGIN_URL", "https://origin.example/?a=b")], "ORIGIN_URL"),
    (&[("ORIGIN_URL", "https://origin.example"), ("ORIGIN_TIMEOUT_MS", "0")], "ORIGIN_TIMEOUT_MS"),
    (&[("CONFIRMS_PER_SEC", "many")], "CONFIRMS_PER_SEC"),
];

/// Before the first publish every read says that data is missing, and none is a denial.
pub fn no_snapshot(subject: &dyn Subject) {
    let unavailable = error_body(503, "Service unavailable", None);
    for path in ["/items/5101/access", "/license", "/items/5101", "/items/5001/access-fees", "/healthz"] {
        for method in ["GET", "HEAD"] {
            let wire = Wire::new(method, path).bearer(&subject.token("subscriber"));
            let answer = subject.send(&wire);
            assert_eq!(answer.status, 503, "{path}");
            assert!(
                answer.header("retry-after").is_some_and(|after| after.parse::<u32>().unwrap() >= 1),
                "{path}"
            );
            assert_eq!(problems(&wire, &answer, Pages::All), [""; 0], "{path}");
            assert!(method == "HEAD" || answer.json() == unavailable, "{path}: {}", answer.text());
        }
    }
    // Requests that need no snapshot are answered as usual.
    for (wire, status) in [
        (Wire::get("/items/5101/access"), 401),
        (Wire::get("/items/x/access").bearer(&subject.token("subscriber")), 422),
        (Wire::get("/nope"), 404),
        (Wire::new("POST", "/license"), 405),
        (Wire::new("OPTIONS", "/license"), 204),
    ] {
        assert_eq!(subject.send(&wire).status, status, "{}", wire.describe());
    }
    // The isolate that took the first publish sees it at once.
    catalogue::publish(subject, 1);
    let wire = Wire::get("/items/5101/access").bearer(&subject.token("subscriber"));
    assert_eq!(subject.send(&wire).status, 200);
}

/// Two pages and an app, in forms that operators may write.
pub const ORIGINS: &[(&str, &str)] =
    &[("CORS_ORIGINS", "https://TV.example:443/, https://www.tv.example capacitor://localhost,")];

pub fn listed_pages(subject: &dyn Subject) {
    catalogue::publish(subject, 1);
    let wires = [
        (Wire::get("/items/5101"), 200),
        (Wire::get("/items/5101/access"), 401),
        (Wire::get("/items/5101/access").bearer(&subject.token("never-bought")), 402),
        (Wire::get("/items/5999"), 404),
        (Wire::get("/nope"), 404),
        (Wire::new("DELETE", "/license"), 405),
        (Wire::get("/items/x"), 422),
        (Wire::new("OPTIONS", "/items/5101/access"), 204),
        (Wire::new("HEAD", "/items/5101"), 200),
    ];
    for (wire, status) in wires {
        for (origin, pages) in [
            (Some("https://tv.example"), Pages::Listed("https://tv.example")),
            (Some("https://www.tv.example"), Pages::Listed("https://www.tv.example")),
            (Some("capacitor://localhost"), Pages::Listed("capacitor://localhost")),
            (Some("ionic://localhost"), Pages::NotListed),
            (Some("https://evil.example"), Pages::NotListed),
            (Some("https://tv.example.evil.example"), Pages::NotListed),
            (Some("http://tv.example"), Pages::NotListed),
            (Some("https://tv.example:8443"), Pages::NotListed),
            (Some("null"), Pages::NotListed),
            (Some("*"), Pages::NotListed),
            (Some("https://tv.example, https://www.tv.example"), Pages::NotListed),
            (Some(""), Pages::NotListed),
            (None, Pages::NotListed),
        ] {
            let wire = match origin {
                Some(origin) => wire.clone().header("Origin", origin),
                None => wire.clone(),
            };
            let answer = subject.send(&wire);
            let at = format!("{} for {origin:?}", wire.describe());
            assert_eq!(answer.status, status, "{at}");
            assert_eq!(problems(&wire, &answer, pages), [""; 0], "{at}");
        }
    }
}

/// Headers that another CDN sets.
pub const TRUSTED: &[(&str, &str)] =
    &[("TRUSTED_COUNTRY_HEADER", "X-CDN-Country"), ("TRUSTED_ADDRESS_HEADER", "X-CDN-Address")];

pub fn trusted_headers(subject: &dyn Subject) {
    catalogue::publish(subject, 1);
    let ask = |wire: Wire| {
        let answer = subject.send(&wire.bearer(&subject.token("subscriber")));
        let body = answer.json();
        json!([body["country_code"], body["ip_address"]])
    };
    let access = || Wire::get("/items/5101/access").country("US").header("CF-Connecting-IP", "198.51.100.1");
    assert_eq!(ask(access()), json!(["XX", "0.0.0.0"]), "only the configured header counts");
    let wire = access().header("x-cdn-country", "GB").header("x-cdn-address", "203.0.113.9");
    assert_eq!(ask(wire), json!(["GB", "203.0.113.9"]));
    let wire = access().header("X-CDN-Country", "GB\",\"id\":1,\"a\":\"").header("X-CDN-Address", "a, b");
    assert_eq!(ask(wire), json!(["XX", "0.0.0.0"]), "an invalid country or address is not shown");
    let wire = access().header("X-CDN-Country", "gb").header("X-CDN-Address", "[2001:DB8::7]:51008");
    assert_eq!(ask(wire), json!(["GB", "2001:db8::7"]), "in canonical form");
    let wire = access().header("X-CDN-Country", "T1").header("X-CDN-Address", "203.0.113.9, 10.0.0.1");
    assert_eq!(ask(wire), json!(["XX", "0.0.0.0"]), "neither is a usable location");
    let wire = access().header("X-CDN-Country", "GB").header("X-CDN-Country", "SE");
    assert_eq!(ask(wire), json!(["XX", "0.0.0.0"]), "the client sent the header too");
}
