//! Routes, messages, variables, reasons and events are those of the code, all of them and no others.

use std::{collections::BTreeSet, fs};

use admit::{
    api::{error::ApiError, route::Route, write::WriteRoute},
    app::{EventKind, ServiceReason},
    limits,
    token::{Capability, Scope, parse_issuers},
};

use super::{blocks, codes, read, root, rows, section};

/// The first code of each row's first cell.
fn first_codes(text: &str) -> BTreeSet<&str> {
    rows(text).iter().filter_map(|row| codes(row.first()?).first().copied()).collect()
}

/// What stands between `start` and the next `end`, wherever there is such a start.
fn between<'t>(text: &'t str, start: &str, end: &str) -> BTreeSet<&'t str> {
    text.split(start).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0)).collect()
}

fn without_tests(source: &str) -> &str {
    source.split_once("#[cfg(test)]").map_or(source, |(code, _)| code)
}

fn sources(dir: &str) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(root().join(dir)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &sources(&path.to_string_lossy());
        } else {
            all += without_tests(&fs::read_to_string(path).unwrap());
        }
    }
    all
}

#[test]
fn routes_and_their_methods() {
    let api = read("docs/api.md");
    let head = api.split_once("\n## ").unwrap().0;
    let mut known = BTreeSet::new();
    for row in rows(head).into_iter().skip(2) {
        let template = codes(row[0])[0];
        let path = template
            .replace("{id}", "33")
            .replace("{fee_id}", "5")
            .replace("{merchant_uuid}", "e5ac2013-8d10-42ba-abb5-291c5201cea8")
            .replace("{kind}", "shard")
            .replace("{digest}", &"0".repeat(64))
            .replace("{seq}", "7");
        let route = Route::parse(&path).unwrap_or_else(|| panic!("{template} is no route"));
        assert_eq!(format!("{}, OPTIONS", row[1]), route.allow().to_string(), "{template}");
        known.insert(template);
    }
    let source = read("src/api/route.rs");
    let templates: BTreeSet<_> =
        source.lines().filter(|line| line.trim().starts_with("/// `/")).flat_map(codes).collect();
    assert_eq!(known, templates);
}

#[test]
fn writes_and_their_methods() {
    let api = read("docs/api.md");
    let mut known = BTreeSet::new();
    for row in rows(section(&api, "Writes")).into_iter().skip(2).filter(|row| row[0].starts_with("`/")) {
        let template = codes(row[0])[0];
        let path = template.replace("{id}", "33").replace("{fee_id}", "5");
        let route = WriteRoute::parse(&path).unwrap_or_else(|| panic!("{template} is no route"));
        let methods: Vec<_> =
            ["POST", "PUT", "PATCH", "DELETE"].into_iter().filter(|method| route.takes(method)).collect();
        assert_eq!(row[1], methods.join(", "), "{template}");
        assert_eq!(row[2] == "merchant's", route.is_for_merchants(), "{template}");
        known.insert(template);
    }
    let source = read("src/api/write.rs");
    let templates: BTreeSet<_> =
        source.lines().filter(|line| line.trim().starts_with("/// `/")).flat_map(codes).collect();
    assert_eq!(known, templates);
}

#[test]
fn statuses_and_messages() {
    let api = read("docs/api.md");
    let errors = section(&api, "Errors");
    let documented: BTreeSet<(u16, &str)> = rows(errors)
        .into_iter()
        .filter_map(|row| Some((row.get(1)?.parse().ok()?, *codes(row.get(2)?).first()?)))
        .collect();
    let known = [
        ApiError::InvalidToken,
        ApiError::NoAccess,
        ApiError::InvalidPrivileges,
        ApiError::ItemNotFound,
        ApiError::FeeNotFound,
        ApiError::RouteNotFound,
        ApiError::ObjectNotFound,
        ApiError::MethodNotAllowed(admit::api::contract::Methods::NONE),
        ApiError::InvalidIdOnAccess,
        ApiError::OlderHead,
        ApiError::LeaseHeld,
        ApiError::ObjectNeeded,
        ApiError::BodyTooLarge(0),
        ApiError::TooManyObjects,
        ApiError::UnsupportedMediaType,
        ApiError::CHARSET,
        ApiError::CONTENT_ENCODING,
        ApiError::TooManyRequests,
        ApiError::OriginUnreachable { retry_after_secs: 0 },
        ApiError::OriginRefused { retry_after_secs: 0 },
        ApiError::OriginFailed { retry_after_secs: 0 },
        ApiError::OriginPaused { retry_after_secs: 0 },
        ApiError::OriginTimedOut { retry_after_secs: 0 },
        ApiError::Unavailable { retry_after_secs: 0 },
        ApiError::Internal,
    ];
    let mut expected: BTreeSet<_> = known.iter().map(|error| (error.status(), error.message())).collect();
    let source =
        read("src/app/plan.rs") + &read("src/app/read/answers.rs") + without_tests(&read("src/api/error.rs"));
    let fields = between(&source, "InvalidField(\"", ")");
    expected.extend(fields.iter().map(|field| (422, field.split('"').nth(2).unwrap())));
    assert_eq!(documented, expected);

    let publishing = section(&api, "Publishing");
    let documented = first_codes(publishing.split_once("| 422 ").unwrap().1);
    let source = read("src/app/body.rs") + &sources("src/app/publish");
    // Long ones are broken over several lines.
    let source = source.split_whitespace().collect::<Vec<_>>().join(" ").replace("( \"", "(\"");
    let messages = between(&source, "InvalidField(\"", ")");
    assert_eq!(documented, messages.iter().map(|field| field.split('"').nth(2).unwrap()).collect());
}

#[test]
fn variables() {
    let configuration = read("docs/configuration.md");
    let mut documented = first_codes(section(&configuration, "Bindings"));
    // An example of a name that the operator chooses.
    documented.remove("keys.secret");
    let source = read("src/config.rs");
    let is_variable =
        |text: &&str| text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let mut known: BTreeSet<_> = without_tests(&source).split('"').filter(is_variable).collect();
    known.insert("SNAPSHOT");
    assert!(read("src/worker/platform.rs").contains("const KV_BINDING: &str = \"SNAPSHOT\";"));
    assert_eq!(documented, known);
}

#[test]
fn members_of_issuers() {
    let configuration = read("docs/configuration.md");
    let documented: BTreeSet<_> = rows(section(&configuration, "`ISSUERS`"))
        .iter()
        .flat_map(|row| codes(row[0]))
        .map(str::to_owned)
        .collect();
    let source = read("crates/token/src/raw_issuer.rs");
    let fields = |name: &str| {
        let body = source.split_once(&format!("struct {name} {{")).unwrap().1.split_once("\n}").unwrap().0;
        let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
        let fields = fields.map(|(name, _)| name.to_owned());
        fields.collect::<Vec<_>>()
    };
    let mut known: BTreeSet<_> = fields("RawIssuer").into_iter().collect();
    known.extend(fields("RawKeys").iter().map(|member| format!("keys.{member}")));
    assert_eq!(documented, known);
}

#[test]
fn capabilities_and_scopes() {
    let configuration = read("docs/configuration.md");
    let documented: BTreeSet<_> = rows(section(&configuration, "Capabilities"))
        .into_iter()
        .skip(1)
        .flat_map(|row| codes(row[0]))
        .collect();
    assert_eq!(documented, Capability::ALL.into_iter().map(Capability::name).collect());
    let api = read("docs/api.md");
    let scopes = api.split_once("\n### Scopes\n").unwrap().1.split_once("\n### ").unwrap().0;
    let documented: BTreeSet<_> = rows(scopes).into_iter().skip(1).flat_map(|row| codes(row[0])).collect();
    let of_the_snapshot =
        Scope::ALL.into_iter().filter(|scope| scope.capability() == Capability::Publish).map(Scope::name);
    assert_eq!(documented, of_the_snapshot.chain([Scope::PUBLISH]).collect());
}

#[test]
fn examples_of_issuers_are_accepted() {
    let configuration = read("docs/configuration.md");
    let examples = blocks(section(&configuration, "Examples"), "json");
    assert!(examples.len() > 3);
    for example in examples {
        parse_issuers(example, &|_| Some("s".repeat(64)))
            .unwrap_or_else(|error| panic!("{error}: {example}"));
    }
}

#[test]
fn reasons() {
    let configuration = read("docs/configuration.md");
    let documented: BTreeSet<_> =
        rows(section(&configuration, "Reasons")).into_iter().skip(1).flat_map(|row| codes(row[1])).collect();
    let arm = |source: &str| -> BTreeSet<String> {
        let codes = source.split("fn code(").skip(1).map(|code| code.split_once("\n    }\n").unwrap().0);
        codes.flat_map(|code| between(code, "=> \"", "\"")).map(str::to_owned).collect()
    };
    let mut known = arm(&read("src/entitlement/mod.rs"));
    known.extend(arm(&read("crates/token/src/error.rs")));
    known.extend(arm(&read("src/app/permission.rs")));
    known.extend(ServiceReason::ALL.map(|reason| reason.code().to_owned()));
    let documented: BTreeSet<_> =
        documented.into_iter().filter(|name| *name != "message").map(str::to_owned).collect();
    assert_eq!(documented, known);
}

#[test]
fn events() {
    let configuration = read("docs/configuration.md");
    let mut documented = first_codes(section(&configuration, "Log lines"));
    documented.remove("event");
    assert_eq!(documented, EventKind::ALL.map(EventKind::name).into());
}

#[test]
fn numbers() {
    let architecture = read("ARCHITECTURE.md");
    for text in [
        format!("under {} s", limits::HEAD_FRESH_SECS),
        format!("over {} s", limits::HEAD_STALE_SECS),
        format!("tried again after {} s", limits::HEAD_RETRY_SECS),
        format!("LRU of {} MiB", limits::OBJECT_CACHE_BYTES >> 20),
        format!("good for {} minutes", limits::JWKS_FRESH_SECS / 60),
    ] {
        assert!(architecture.contains(&text), "{text}");
    }
    let configuration = read("docs/configuration.md");
    for text in [
        format!("An array of 1 to {} objects", limits::ISSUERS_MAX),
        format!("int, 0 to {} | `{}`", limits::LEEWAY_MAX_SECS, limits::LEEWAY_DEFAULT_SECS),
        format!("at most {} bytes", limits::CUSTOMER_MAX_BYTES),
        format!("At most {} keys are kept", limits::JWKS_MAX_KEYS),
        format!("of at most {} KiB", limits::JWKS_MAX_BYTES >> 10),
        format!("are tried, at most {}", limits::KEYS_TRIED_MAX),
        format!("host and port, at most {}", limits::JWKS_REDIRECTS_MAX),
        format!("shortened to {} bytes", limits::LOGGED_VALUE_MAX_BYTES),
        format!("{} to {} bits", limits::RSA_MIN_BITS, limits::RSA_MAX_BITS),
        format!("earliest {} s after the last", limits::JWKS_COOLDOWN_SECS),
    ] {
        assert!(configuration.contains(&text), "{text}");
    }
    for (variable, default) in [
        ("ORIGIN_TIMEOUT_MS", limits::ORIGIN_TIMEOUT_MS),
        ("CONFIRM_TIMEOUT_MS", limits::CONFIRM_TIMEOUT_MS),
        ("CONFIRM_DENIED_MS", limits::CONFIRM_DENIED_MS),
        ("CONFIRM_GRANTED_SECS", limits::CONFIRM_GRANTED_SECS),
        ("CONFIRMS_PER_SEC", limits::CONFIRMS_PER_SEC.into()),
    ] {
        let row = rows(&configuration).into_iter().find(|row| row[0] == format!("`{variable}`")).unwrap();
        assert_eq!(row[2], format!("`{default}`"), "{variable}");
    }
    let api = read("docs/api.md");
    for text in [
        format!("at most {} KiB", limits::TOKEN_MAX_BYTES >> 10),
        format!("1 to {}, {} by default", limits::PAGE_MAX_ITEMS, limits::PAGE_DEFAULT_ITEMS),
        format!("object of up to {} MiB", limits::OBJECT_MAX_BYTES >> 20),
        format!("head of up to {} KiB", limits::HEAD_MAX_BYTES >> 10),
        format!("by more than {} s", limits::HEAD_SKEW_SECS),
        format!("lease of up to {} KiB", limits::LEASE_MAX_BYTES >> 10),
        format!("garbage of up to {} MiB", limits::GARBAGE_MAX_BYTES >> 20),
        format!("at most {} s ahead of the Worker's clock", limits::LEASE_MAX_SECS),
        format!("up to {} objects, {} MiB", limits::PACK_MAX_OBJECTS, limits::PACK_MAX_BYTES >> 20),
        format!("reads up to {} objects", limits::CHECK_MAX_OBJECTS),
        format!("its length ({} KiB)", limits::WRITE_MAX_BYTES >> 10),
        format!("Bodies of more than {} KiB", limits::WRITE_HELD_MAX_BYTES >> 10),
        format!("a body of more than {} MiB", limits::ORIGIN_ANSWER_MAX_BYTES >> 20),
        format!("within {} s, the snapshot's", limits::CONFIRM_TIMEOUT_MS / 1_000),
        format!("remembered for {} s at most", limits::CONFIRM_GRANTED_SECS),
        format!(
            "{} checks confirmed at once, and {} a second",
            limits::CUSTOMER_CONFIRMS,
            limits::CUSTOMER_CONFIRMS_PER_SEC
        ),
        format!("less than {} s ago", limits::BREAKER_OPEN_MS / 1_000),
    ] {
        assert!(api.contains(&text), "{text}");
    }
}
