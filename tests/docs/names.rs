//! Errors, variables, reasons and events in the pages are those of the code, all of them and no others.

use std::{cell::RefCell, collections::BTreeSet};

use admit::{
    api::{contract::ENDPOINTS, error::ApiError},
    app::{EventKind, Permission, ServiceReason},
    config::Config,
    entitlement::Reason,
    ports::Limit,
    token::{Capability, Scope, TokenError, UndecidedCause, parse_issuers},
};

use super::{blocks, codes, read, rows, section, subsection};

/// The first code of each row's first cell, the headings of tables excepted.
fn first_codes(text: &str) -> BTreeSet<&str> {
    let all = rows(text);
    // A heading stands above a rule.
    let is_heading = |at: usize| all.get(at + 1).is_some_and(|next| next.iter().all(|cell| *cell == "---"));
    let cells = all.iter().enumerate().filter(|(at, _)| !is_heading(*at));
    cells.filter_map(|(_, row)| codes(row.first()?).first().copied()).collect()
}

#[test]
fn statuses_and_messages() {
    let api = read("docs/api.md");
    let mut documented: BTreeSet<(u16, &str)> = rows(section(&api, "Errors"))
        .into_iter()
        .filter_map(|row| Some((row.get(1)?.parse().ok()?, *codes(row.get(2)?).first()?)))
        .collect();
    let refused = first_codes(subsection(&api, "Refused uploads"));
    documented.extend(refused.into_iter().map(|message| (422, message)));
    assert_eq!(documented, ApiError::all().map(|error| (error.status(), error.message())).collect());
}

#[test]
fn fields_of_refused_uploads() {
    let api = read("docs/api.md");
    for row in rows(subsection(&api, "Refused uploads")).into_iter().skip(2) {
        let message = codes(row[0])[0];
        let error = ApiError::all().find(|error| error.message() == message).unwrap();
        assert_eq!(codes(row[1]).first().copied(), error.field(), "{message}");
    }
}

#[test]
fn variables() {
    let issuers = r#"[{"issuer": "https://id.example.com", "namespace": "n", "audience": "none_required",
        "keys": {"secret": "SECRET_OF_AN_ISSUER", "alg": "HS256"}}]"#;
    let asked = RefCell::new(BTreeSet::new());
    // The configuration asks for each variable by its name.
    let binding = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        match name {
            "ISSUERS" => Some(issuers.to_owned()),
            "SNAPSHOT_KEYS" => Some(r#"{"keys": []}"#.to_owned()),
            "ORIGIN_URL" => Some("https://origin.example.com".to_owned()),
            "SECRET_OF_AN_ISSUER" => Some("s".repeat(32)),
            _ => None,
        }
    };
    Config::parse(&binding).unwrap();
    let mut known = asked.into_inner();
    known.remove("SECRET_OF_AN_ISSUER");
    let wrangler = read("wrangler.toml");
    let (_, store) = wrangler.split_once("[[kv_namespaces]]\nbinding = \"").unwrap();
    known.insert(store.split_once('"').unwrap().0.to_owned());
    let (_, lane) = wrangler.split_once("[[durable_objects.bindings]]\nname = \"").unwrap();
    known.insert(lane.split_once('"').unwrap().0.to_owned());

    let configuration = read("docs/configuration.md");
    let mut documented = first_codes(section(&configuration, "Bindings"));
    // The name of an issuer's member: the operator chooses the name of that secret.
    documented.remove("keys.secret");
    assert_eq!(documented, known.iter().map(String::as_str).collect());
    let limits = first_codes(section(&configuration, "Limits by address"));
    assert_eq!(limits, Limit::ALL.map(Limit::binding).into());
}

#[test]
fn members_of_issuers() {
    // An unknown member is answered with the names of the known ones.
    let members = |entry: &str| -> Vec<String> {
        let issuer = format!(
            r#"[{{"issuer": "https://id.example.com", "namespace": "n", "audience": "none_required", {entry}}}]"#
        );
        let error = parse_issuers(&issuer, &|_| None).unwrap_err().to_string();
        let (_, known) = error.split_once("expected one of ").unwrap_or_else(|| panic!("{error}"));
        codes(known).into_iter().map(str::to_owned).collect()
    };
    let mut known: BTreeSet<_> = members(r#""keys": {"jwks": {}}, "unknown": 1"#).into_iter().collect();
    known.extend(members(r#""keys": {"unknown": 1}"#).iter().map(|member| format!("keys.{member}")));
    let configuration = read("docs/configuration.md");
    let documented: BTreeSet<_> = rows(section(&configuration, "`ISSUERS`"))
        .iter()
        .flat_map(|row| codes(row[0]))
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn capabilities_and_scopes() {
    let configuration = read("docs/configuration.md");
    let documented = first_codes(section(&configuration, "Capabilities"));
    assert_eq!(documented, Capability::ALL.into_iter().map(Capability::name).collect());
    let api = read("docs/api.md");
    let documented = first_codes(subsection(&api, "Scopes"));
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
    let mut documented: BTreeSet<_> = rows(section(&configuration, "Reasons"))
        .into_iter()
        .filter_map(|row| row.get(1).copied())
        .flat_map(codes)
        .collect();
    // The heading of the column, and the member of a body that some reasons repeat.
    documented.retain(|name| !["reason", "message"].contains(name));
    let decisions = Reason::ALL.iter().map(|reason| reason.code());
    let tokens = TokenError::all().map(TokenError::code);
    let undecided = UndecidedCause::ALL.iter().map(|cause| cause.code());
    let operations = ENDPOINTS.iter().flat_map(|endpoint| endpoint.operations);
    let permissions = operations.filter_map(|operation| Permission::of(operation.auth)).map(Permission::code);
    let service = ServiceReason::ALL.iter().map(|reason| reason.code());
    let known = decisions.chain(tokens).chain(undecided).chain(permissions).chain(service);
    assert_eq!(documented, known.collect());
}

#[test]
fn events() {
    let configuration = read("docs/configuration.md");
    let documented = first_codes(section(&configuration, "Log lines"));
    assert_eq!(documented, EventKind::ALL.map(EventKind::name).into());
}
