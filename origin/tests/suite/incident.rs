//! Rehearses the origin's part of `docs/incident.md`: its blocks run as printed, in a shell, on a database
//! with the sample catalogue. `tests/incident.rs` at the root rehearses the publisher's part.

use std::{env, ffi::OsString, fs, path::Path, process::Command};

const PAGE: &str = include_str!("../../../docs/incident.md");

/// The page's blocks for the origin, in order.
fn blocks() -> Vec<String> {
    let blocks = PAGE.split("```sh rehearsed-origin\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| block.lines().map(str::trim).collect::<Vec<_>>().join("\n")).collect()
}

fn run(dir: &Path, script: &str) -> String {
    let mut path = OsString::from(Path::new(env!("CARGO_BIN_EXE_origin")).parent().unwrap());
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script])
        .current_dir(dir)
        .env("PATH", path)
        .env("ORIGIN_DB", "origin.db");
    let output = bash.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

#[test]
fn the_origins_blocks_run_as_they_are_printed() {
    let dir = env::temp_dir().join(format!("origin-incident-{}", std::process::id()));
    let _absent = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/catalogue");
    run(&dir, &format!("origin import --db $ORIGIN_DB --from {samples}; origin keys rotate --db $ORIGIN_DB"));
    // The shop's program, with its rights.
    run(&dir, "origin client set --merchant 2101 --client-id shop --role merchant --scope checks:read");
    let signs = || run(&dir, "origin keys list --db $ORIGIN_DB | head -n 1");
    let before = signs();
    let blocks = blocks();
    assert_eq!(blocks.len(), 5, "what is rehearsed is the page's promise");
    let printed: Vec<_> = blocks.iter().map(|block| run(&dir, block)).collect();
    // In the page's order: a customer, the key, the key's audit, a client, the client's audit.
    assert_ne!(signs(), before, "another key signs");
    let known = run(&dir, "origin keys list --db $ORIGIN_DB");
    assert!(!known.contains(before.split(' ').next().unwrap()), "the key is gone: {known}");
    let audit = run(&dir, "origin audit --db $ORIGIN_DB --since 7d");
    for action in ["token.revoke", "key", "client"] {
        assert!(audit.contains(action), "{action} is not in: {audit}");
    }
    assert!(!printed[3].trim().is_empty(), "the client's new secret is printed");
    // The shop's rights are unchanged.
    let connection = origin::db::connect_to(&dir.join("origin.db")).unwrap();
    let sql = "SELECT is_merchant, scopes FROM machines WHERE client_id = 'shop'";
    let rights = connection.query_row(sql, [], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, String>(1)?)));
    assert_eq!(rights.unwrap(), (true, "checks:read".to_owned()), "the client can still write");
    drop(connection);
    fs::remove_dir_all(&dir).unwrap();
}
