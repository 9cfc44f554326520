//! `docs/origin.md` agrees with the program: its walk-through works, and its routes exist.

use std::{collections::BTreeSet, path::Path, process::Command};

use admit::api::{
    contract::{Auth, ENDPOINTS, Kind, Server},
    error::ApiError,
    pass_through::PassThrough,
};
use origin::{
    client::table::{ENDPOINTS as ENDPOINTS_OF_CLIENTS, Endpoint},
    limits,
    wire::OriginError,
};

use crate::support::{FEED_SECRET, Origin, document, section};

#[test]
fn the_walk_through_does_what_it_says() {
    let document = document();
    let (_, rest) = section(&document, "Buy something").split_once("```sh\n").unwrap();
    let script = rest.split_once("\n```").unwrap().0;
    let expected: Vec<_> = script
        .lines()
        .filter_map(|line| line.rsplit_once("# ")?.1.parse::<u16>().ok())
        .map(|status| format!("HTTP/1.1 {status} "))
        .collect();
    assert_eq!(expected.len(), 5);
    let origin = Origin::start();
    let bin = Path::new(env!("CARGO_BIN_EXE_origin")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script.replace("http://127.0.0.1:8790", &origin.url)])
        .env("PATH", path)
        .env("ORIGIN_DB", &origin.settings.db)
        .env("ORIGIN_FEED_SECRET", FEED_SECRET)
        .output()
        .expect("bash and curl, as the document uses them");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let statuses = printed.split("HTTP/1.1 ").skip(1).map(|rest| format!("HTTP/1.1 {}", &rest[..4]));
    assert_eq!(statuses.collect::<Vec<_>>(), expected, "{printed}");
    assert_eq!(printed.matches("{\"seq\":").count(), 2, "the feed's two changes: {printed}");
}

#[test]
fn every_write_of_the_documents_table_exists() {
    let document = document();
    let rows =
        section(&document, "Writes").lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut documented = Vec::new();
    for (route, _) in rows {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("{id}", "1").replace("{fee_id}", "2");
        let (_, operation) = Server::Origin.find(method, path.split('?').next().unwrap()).unwrap();
        documented.push(operation);
    }
    let operations = ENDPOINTS.iter().flat_map(|endpoint| endpoint.operations);
    for write in operations.filter(|operation| matches!(operation.kind, Kind::Write(_))) {
        assert_eq!(documented.iter().filter(|known| **known == write).count(), 1, "{write:?}");
    }
}

/// `docs/accounts.md` has a row for each operation of the table of clients. `cargo xtask docs` writes them.
#[test]
fn the_table_of_clients_is_that_of_the_code() {
    const START: &str = "<!-- generated: clients -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/accounts.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut table = "| route | methods | token | what it does |\n| --- | --- | --- | --- |\n".to_owned();
    for Endpoint { pattern, operations } in ENDPOINTS_OF_CLIENTS {
        for operation in *operations {
            let token = if operation.auth == Auth::Viewer { "customer's" } else { "none" };
            let (methods, summary) = (operation.methods, operation.summary);
            table.push_str(&format!("| `{pattern}` | {methods} | {token} | {summary} |\n"));
        }
    }
    let (before, rest) = page.split_once(START).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let current = [before, START, "\n", &table, "\n<!-- end -->", after].concat();
    if std::env::var_os("ADMIT_WRITE_DOCS").is_some() {
        std::fs::write(&path, current).unwrap();
    } else {
        assert!(page == current, "docs/accounts.md: the table is out of date. Run `cargo xtask docs`");
    }
}

/// The numbers of `docs/accounts.md` are those of the limits.
/// The edge of `cargo xtask dev` passes every route through that only the origin has.
#[test]
fn prefixes_for_pass_through_cover_the_routes_of_clients() {
    let prefixes = include_str!("../../../samples/pass_through.txt").trim();
    let passed = PassThrough::parse(prefixes).unwrap();
    let covering: BTreeSet<_> = ENDPOINTS_OF_CLIENTS
        .iter()
        .map(|endpoint| {
            let path = endpoint.pattern.replace(['{', '}'], "");
            passed.admits(&path).unwrap_or_else(|| panic!("{} is not covered", endpoint.pattern))
        })
        .collect();
    assert_eq!(covering.len(), prefixes.split(',').count(), "every prefix is used");
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md")).unwrap();
    assert!(page.contains(&format!("`{prefixes}`")));
}

#[test]
fn the_page_of_accounts_has_the_bounds_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/accounts.md");
    let page = std::fs::read_to_string(path).unwrap();
    for fact in [
        format!("at most {} KiB and {} fields", limits::CLIENT_MAX_BYTES >> 10, limits::CLIENT_MAX_FIELDS),
        format!("at most {} bytes", limits::NAME_MAX_BYTES),
        format!("at most {} KiB as JSON", limits::METADATA_MAX_BYTES >> 10),
        format!("up to {} letters", limits::MEDIA_ID_MAX_BYTES),
        format!("from {} on", limits::WATCHED_FROM),
        format!("the newest {},", limits::PAYMENTS_MAX),
        format!("{} characters or more", limits::PASSWORD_MIN_CHARS),
    ] {
        assert!(page.contains(&fact), "{fact}");
    }
    assert_eq!((limits::FAVORITES_MAX, limits::WATCH_HISTORY_MAX), (1_000, 1_000), "1,000 in the page");
    assert_eq!(limits::PASSWORD_TOKEN_SECS, 3_600, "an hour in the page");
}

/// The table of errors has only messages of the code, and every error of the origin but those of sign-in.
#[test]
fn messages_are_those_of_the_code() {
    let document = document();
    let rows = section(&document, "Errors").lines().filter(|line| line.starts_with("| ")).skip(2);
    let messages: BTreeSet<_> =
        rows.flat_map(|row| row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    let own: BTreeSet<_> = OriginError::ALL
        .into_iter()
        .filter(|error| error.status() != 401)
        .map(OriginError::message)
        .collect();
    let edge: BTreeSet<_> = ApiError::all().map(ApiError::message).collect();
    for message in &messages {
        let is_part_of_a_body = *message == "errors" || message.contains('[');
        assert!(is_part_of_a_body || own.contains(message) || edge.contains(message), "{message}");
    }
    let missing: Vec<_> = own.difference(&messages).collect();
    assert_eq!(missing, [&"The body broke off"], "the sender of that one has gone");
}
