//! Tables of pages that follow from the contract. They stand between two markers, and `cargo xtask docs` writes them.

use std::{collections::BTreeSet, env, fs};

use admit::api::contract::{Auth, ENDPOINTS, Kind, Operation, table::described};

use super::{read, root};

/// Set by the command, so that the test writes the pages instead of comparing them.
pub const WRITE: &str = "ADMIT_WRITE_DOCS";
pub const COMMAND: &str = "cargo xtask docs";
const END: &str = "<!-- end -->";

struct Table {
    page: &'static str,
    name: &'static str,
    /// Whether operations of a kind have a row.
    has: fn(Kind) -> bool,
}

const API: &str = "docs/api.md";
const AUTHZEN: &str = "docs/authzen.md";
const ORIGIN: &str = "docs/origin.md";

const TABLES: [Table; 6] = [
    Table {
        page: API,
        name: "reads",
        has: |kind| matches!(kind, Kind::Read | Kind::Checks | Kind::Playback | Kind::Health),
    },
    Table { page: API, name: "support", has: |kind| matches!(kind, Kind::Support) },
    Table { page: API, name: "writes", has: |kind| matches!(kind, Kind::Write(_) | Kind::SignIn { .. }) },
    Table { page: AUTHZEN, name: "authzen", has: |kind| matches!(kind, Kind::Evaluation | Kind::Authzen) },
    Table { page: API, name: "publishing", has: |kind| matches!(kind, Kind::Publish) },
    Table {
        page: ORIGIN,
        name: "origin",
        has: |kind| {
            !matches!(
                kind,
                Kind::Read
                    | Kind::Checks
                    | Kind::Authzen
                    | Kind::Support
                    | Kind::Playback
                    | Kind::Write(_)
                    | Kind::Publish
            )
        },
    },
];

impl Table {
    /// A row for each spelling of an endpoint and each of its operations.
    fn rendered(&self) -> String {
        let mut table = "| route | methods | token | what it does |\n| --- | --- | --- | --- |\n".to_owned();
        for (endpoint, operations) in described() {
            for pattern in endpoint.patterns {
                for (operation, summary) in
                    operations.iter().filter(|(operation, _)| (self.has)(operation.kind))
                {
                    let Operation { methods, auth, .. } = operation;
                    table += &format!("| `{pattern}` | {methods} | {} | {summary} |\n", token(*auth));
                }
            }
        }
        table
    }
}

fn token(auth: Auth) -> String {
    match auth {
        Auth::None => "none".to_owned(),
        Auth::Viewer => "customer's".to_owned(),
        Auth::Asker => "customer's or service's".to_owned(),
        Auth::Explainer => "explainer's".to_owned(),
        Auth::Merchant => "merchant's".to_owned(),
        Auth::Scopes(scopes) => {
            let names: Vec<_> = scopes.iter().map(|scope| format!("`{}`", scope.name())).collect();
            names.join(" or ")
        }
        Auth::Feed => "feed secret, or `feed:read`".to_owned(),
    }
}

/// The page with `table` between the markers of its name, or `None` if it has no such markers.
fn with_table(page: &str, name: &str, table: &str) -> Option<String> {
    let start = format!("<!-- generated: {name} -->\n");
    let (before, rest) = page.split_once(&start)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, &start, "\n", table, "\n", END, after].concat())
}

#[test]
fn generated_tables_are_those_of_the_contract() {
    for table in TABLES {
        let Table { page: path, name, .. } = table;
        let page = read(path);
        let current = with_table(&page, name, &table.rendered())
            .unwrap_or_else(|| panic!("{path}: expected <!-- generated: {name} --> and {END}"));
        if env::var_os(WRITE).is_some() {
            fs::write(root().join(path), current).unwrap();
        } else {
            assert!(page == current, "{path}: the table {name:?} is out of date. Run `{COMMAND}`");
        }
    }
}

#[test]
fn every_marker_names_a_table() {
    for path in [API, ORIGIN] {
        let page = read(path);
        let marked: BTreeSet<_> = page
            .split("<!-- generated: ")
            .skip(1)
            .map(|rest| rest.split_once(" -->").unwrap_or_else(|| panic!("{path}: a marker has no end")).0)
            .collect();
        let known = TABLES.iter().filter(|table| table.page == path).map(|table| table.name);
        assert_eq!(marked, known.collect(), "{path}");
    }
}

#[test]
fn every_operation_is_in_a_table() {
    for operation in ENDPOINTS.iter().flat_map(|endpoint| endpoint.operations) {
        assert!(TABLES.iter().any(|table| (table.has)(operation.kind)), "{operation:?}");
    }
}
