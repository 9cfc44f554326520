//! Environments of one file: inherited, missing and shared settings.

use std::{fs, path::Path};

use super::{ISSUERS, KEYS, check, good};
use crate::bench::{Bench, Ended};

#[test]
fn environments_inherit_what_wrangler_inherits() {
    let bench = Bench::new("check-config-environments");
    let bare = good() + "[env.staging]\n";
    let ended = check(&bench, &bare, &["--env", "staging"]);
    assert_eq!(ended.code, Some(2));
    for expected in [
        ":19: env.staging: inherits routes[0] (access.example.com): deploying staging would take it",
        ":19: env.staging.vars.ISSUERS: ISSUERS is not set here: environments do not inherit vars",
        ":19: env.staging.vars.SNAPSHOT_KEYS: SNAPSHOT_KEYS is not set here",
        ":19: env.staging.kv_namespaces: no KV namespace is bound to SNAPSHOT: environments do not inherit",
    ] {
        assert!(ended.stdout.contains(expected), "{expected}: {}", ended.stdout);
    }
    // The top level alone is still valid; without --env all environments are checked.
    check(&bench, &bare, &["--env", ""]).ok();
    let all = check(&bench, &bare, &[]);
    assert_eq!(all.code, Some(2));
    assert!(
        all.stdout.contains("(top level): no errors") && all.stdout.contains("(env.staging): 4 errors"),
        "{}",
        all.stdout
    );
    let whole = bare
        + &format!(
            "routes = []\nworkers_dev = true\nkv_namespaces = [{{ binding = \"SNAPSHOT\" }}]\n[env.staging.vars]\nISSUERS = '{ISSUERS}'\nSNAPSHOT_KEYS = '{KEYS}'\n"
        );
    let ended = check(&bench, &whole, &["--env", "staging"]).ok();
    assert!(ended.stdout.contains("secret put PUBLISHER_SECRET --env staging"), "{}", ended.stdout);
    let ended = check(
        &bench,
        &(whole.clone() + "[[services]]\nbinding = \"A\"\nservice = \"a\"\n"),
        &["--env", "staging"],
    )
    .ok();
    assert!(
        ended.stdout.contains("warning: wrangler.toml:19: env.staging: services is set at the top level"),
        "{}",
        ended.stdout
    );
    check(&bench, &good(), &["--env", "staging"]).failed(1, "no environment \"staging\"; it has none");
    // wrangler's own way to name an environment.
    bench.write("wrangler.toml", good() + "[env.staging]\n");
    let ended: Ended =
        bench.command(&["check-config"]).env("CLOUDFLARE_ENV", "staging").output().unwrap().into();
    assert_eq!(ended.code, Some(2));
    assert!(!ended.stdout.contains("top level):"), "{}", ended.stdout);
}

#[test]
fn what_an_environment_lacks_or_shares_is_named() {
    let bench = Bench::new("check-config-shared");
    let with = |staging: &str| {
        let top = good().replacen(
            "binding = \"SNAPSHOT\"",
            "binding = \"SNAPSHOT\"\nid = \"5d0c5e1a3f\"\n\n[[ratelimits]]\nname = \"LIMIT_READS\"\nnamespace_id = \"7104\"\n\n[[ratelimits]]\nname = \"LIMIT_WRITES\"\nnamespace_id = \"7103\"\n\n[[durable_objects.bindings]]\nname = \"LANE\"\nclass_name = \"Lane\"",
            1,
        );
        format!(
            "{top}\n[env.staging]\nroutes = []\nworkers_dev = true\nvars = {{ ISSUERS = '{ISSUERS}', SNAPSHOT_KEYS = '{KEYS}' }}\n{staging}"
        )
    };
    let whole = "kv_namespaces = [{ binding = \"SNAPSHOT\" }]\nratelimits = [{ name = \"LIMIT_READS\", namespace_id = \"7204\" }, { name = \"LIMIT_WRITES\", namespace_id = \"7203\" }]\ndurable_objects = { bindings = [{ name = \"LANE\", class_name = \"Lane\" }] }\n";
    let ended = check(&bench, &with(whole), &["--env", "staging"]).ok();
    assert!(ended.stdout.contains("(env.staging): no errors, no warnings"), "{}", ended.stdout);
    for (from, to, severity, expected) in [
        (
            ", { name = \"LIMIT_WRITES\", namespace_id = \"7203\" }",
            "",
            "warning",
            "env.staging.ratelimits: LIMIT_WRITES of ratelimits is not here",
        ),
        (
            "\"7204\"",
            "\"7104\"",
            "warning",
            "env.staging.ratelimits[0].namespace_id: \"7104\" is also ratelimits[0].namespace_id",
        ),
        (
            "name = \"LANE\"",
            "name = \"LANES\"",
            "warning",
            "env.staging.durable_objects: LANE of durable_objects is not here",
        ),
        (
            "{ binding = \"SNAPSHOT\" }",
            "{ binding = \"SNAPSHOT\", id = \"5d0c5e1a3f\" }",
            "error",
            "env.staging.kv_namespaces[0].id: this KV namespace is also that of the top level (kv_namespaces[0].id)",
        ),
    ] {
        let text = with(&whole.replacen(from, to, 1));
        assert_ne!(text, with(whole), "{from}");
        let ended = check(&bench, &text, &["--env", "staging"]);
        let line = ended.stdout.lines().find(|line| line.contains(expected));
        let line = line.unwrap_or_else(|| panic!("{expected}: {}", ended.stdout));
        assert!(line.starts_with(&format!("{severity}: wrangler.toml:")), "{line}");
        assert_eq!(ended.code, Some(if severity == "error" { 2 } else { 0 }), "{}", ended.stdout);
    }
}

/// The file of this repository is not ready to be deployed, and the command names the missing parts. What staging must
/// repeat is repeated.
#[test]
fn the_file_of_this_repository_says_what_is_missing() {
    let bench = Bench::new("check-config-own");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wrangler.toml")).unwrap();
    let ended = check(&bench, &text, &["--env", ""]);
    assert_eq!(ended.code, Some(2));
    for key in ["vars.ISSUERS: ISSUERS is not set", "vars.SNAPSHOT_KEYS: SNAPSHOT_KEYS is not set"] {
        assert!(ended.stdout.contains(key), "{key}: {}", ended.stdout);
    }
    let staging = check(&bench, &text, &["--env", "staging"]);
    assert!(staging.stdout.contains("(env.staging): 2 errors, no warnings"), "{}", staging.stdout);
    assert!(staging.stdout.contains("env.staging.vars.ISSUERS: ISSUERS is not set"), "{}", staging.stdout);
}
