//! `admit check-config`: its findings in wrangler's configuration, and their places.

mod environments;

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, Ended};

const ISSUERS: &str = r#"[{"issuer":"https://id.example","namespace":"main","audience":"none_required","keys":{"jwks_url":"https://id.example/jwks"}},{"issuer":"https://p.example","namespace":"p","audience":{"any_of":["admit"]},"may":["publish"],"keys":{"secret":"PUBLISHER_SECRET","alg":"HS256"}}]"#;
const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"s"}]}"#;

/// A configuration without problems.
fn good() -> String {
    format!(
        r#"name = "admit"
main = "build/index.js"
compatibility_date = "2026-11-17"
compatibility_flags = ["nodejs_compat"]
workers_dev = false
routes = [{{ pattern = "access.example.com", custom_domain = true }}]

[vars]
CORS_ORIGINS = "*"
ISSUERS = '{ISSUERS}'
SNAPSHOT_KEYS = '{KEYS}'

[[kv_namespaces]]
binding = "SNAPSHOT"

[observability]
enabled = true
head_sampling_rate = 0.01
"#
    )
}

fn check(bench: &Bench, text: &str, more: &[&str]) -> Ended {
    bench.write("wrangler.toml", text);
    bench.run(&[&["check-config"], more].concat())
}

#[test]
fn a_configuration_without_problems_passes() {
    let bench = Bench::new("check-config-good");
    let ended = check(&bench, &good(), &[]).ok();
    assert!(ended.stdout.contains("wrangler.toml (top level): no errors, no warnings"), "{}", ended.stdout);
    // The file does not have the secret's value, and the report says that it is needed.
    assert!(ended.stdout.contains("npx wrangler secret put PUBLISHER_SECRET"), "{}", ended.stdout);
    let console = good().replace("CORS_ORIGINS", "CONSOLE = \"on\"\nCORS_ORIGINS")
        + "\n[assets]\ndirectory = \"console/dist\"\nbinding = \"ASSETS\"\n";
    check(&bench, &console, &[]).ok();
    // Numbers, tables and arrays become JSON, as wrangler passes them on.
    let tables = good()
        .replace(&format!("SNAPSHOT_KEYS = '{KEYS}'"), "ORIGIN_TIMEOUT_MS = 5000\n[[vars.SNAPSHOT_KEYS.keys]]\nkty = \"OKP\"\ncrv = \"Ed25519\"\nx = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"");
    check(&bench, &tables, &[]).ok();
}

#[test]
fn each_mistake_is_found_where_it_is() {
    let bench = Bench::new("check-config-mistakes");
    let issuers = format!("ISSUERS = '{ISSUERS}'\n");
    let keys = format!("SNAPSHOT_KEYS = '{KEYS}'\n");
    let cases: &[(&str, &str, &str)] = &[
        (&issuers, "", ":8: vars.ISSUERS: ISSUERS is not set"),
        (&issuers, "ISSUERS = '[]'\n", ":10: vars.ISSUERS: expected 1 to"),
        (&keys, "", ":8: vars.SNAPSHOT_KEYS: SNAPSHOT_KEYS is not set"),
        (&keys, "SNAPSHOT_KEYS = '{\"keys\":[]}'\n", ":11: vars.SNAPSHOT_KEYS: "),
        ("none_required", "", ":10: vars.ISSUERS[0]: "),
        (
            "https://id.example/jwks",
            "http://id.example/jwks",
            ":10: vars.ISSUERS[0].keys.jwks_url: must be an https URL",
        ),
        ("\"alg\":\"HS256\"", "\"alg\":\"none\"", ":10: vars.ISSUERS[1].keys.alg: "),
        ("CORS_ORIGINS = \"*\"", "CORS_ORIGINS = \"tv.example.com\"", ":9: vars.CORS_ORIGINS: "),
        (
            "CORS_ORIGINS = \"*\"",
            "CORS_ORIGIN = \"*\"",
            ":9: vars.CORS_ORIGIN: unknown variable, which the Worker would ignore; did you mean CORS_ORIGINS?",
        ),
        ("CORS_ORIGINS = \"*\"", "LOG_CHECKS = \"yes\"", ":9: vars.LOG_CHECKS: expected none, denied or all"),
        (
            "CORS_ORIGINS = \"*\"",
            "ORIGIN_URL = \"https://access.example.com/api\"",
            ":9: vars.ORIGIN_URL: leads back to this Worker",
        ),
        ("CORS_ORIGINS = \"*\"", "CONSOLE = \"yes\"", ":9: vars.CONSOLE: expected on or off, found \"yes\""),
        (
            "CORS_ORIGINS = \"*\"",
            "CONSOLE = \"on\"",
            ":9: vars.CONSOLE: the console is on, but its files are not",
        ),
        (
            "CORS_ORIGINS = \"*\"",
            "CONSOLE_SAMPLES = \"{}\"",
            ":9: vars.CONSOLE_SAMPLES: the console would hand these tokens to everyone who asks",
        ),
        (
            "binding = \"SNAPSHOT\"",
            "binding = \"SNAPSHOTS\"",
            ":13: kv_namespaces: no KV namespace is bound to SNAPSHOT",
        ),
        (
            "binding = \"SNAPSHOT\"",
            "binding = \"SNAPSHOT\"\nid = \"00000000000000000000000000000000\"",
            ":15: kv_namespaces[0].id: the id \"00000000000000000000000000000000\" of SNAPSHOT is a placeholder",
        ),
        ("compatibility_date = \"2026-11-17\"\n", "", "compatibility_date: compatibility_date is missing"),
        (
            "\"2026-11-17\"\ncompatibility_flags = [\"nodejs_compat\"]",
            "\"2026-08-03\"",
            "compatibility_flags: nodejs_compat is missing",
        ),
        ("2026-11-17", "2024-09-22", ":3: compatibility_date: 2024-09-22 is before 2024-09-23"),
        ("name = \"admit\"\n", "", "name: name is not set"),
    ];
    for (from, to, expected) in cases {
        let text = good().replacen(from, to, 1);
        assert_ne!(text, good(), "{from}");
        let ended = check(&bench, &text, &[]);
        assert_eq!(ended.code, Some(2), "{to}: {}{}", ended.stdout, ended.stderr);
        assert!(
            ended.stdout.contains(&format!("error: wrangler.toml{expected}"))
                || ended.stdout.contains(&format!("error: wrangler.toml: {expected}")),
            "{expected}: {}",
            ended.stdout
        );
        assert!(ended.stdout.contains("1 error, "), "only the error is reported: {}", ended.stdout);
        assert!(ended.stdout.contains("\n  change: "), "{}", ended.stdout);
    }
}

#[test]
fn prefixes_that_pass_through_are_named_if_they_are_invalid() {
    let bench = Bench::new("check-config-pass-through");
    let cors = "CORS_ORIGINS = \"*\"";
    let origin = "ORIGIN_URL = \"https://origin.example.com\"";
    let with = |prefixes: &str| good().replacen(cors, &format!("{origin}\nPASS_THROUGH = {prefixes}"), 1);
    for valid in
        ["\"/accounts, /v2/accounts /payments\"", "[\"/accounts\", \"/v3/accounts\"]", "'[\"/accounts\"]'"]
    {
        let ended = check(&bench, &with(valid), &[]).ok();
        assert!(!ended.stdout.contains("error: "), "{valid}: {}", ended.stdout);
    }
    for (invalid, expected) in [
        ("\"\"", "expected path prefixes such as /accounts, found none"),
        ("\"/accounts, accounts\"", "\"accounts\" "),
        ("\"/\"", "\"/\" "),
        ("\"/accounts/\"", "\"/accounts/\" "),
        ("\"/accounts, /accounts\"", "\"/accounts\" is there twice"),
        (
            "\"/accounts, /accounts/social\"",
            "\"/accounts/social\" and \"/accounts\" cover the same paths: keep one",
        ),
        ("\"/payments, /items\"", "\"/items\" "),
        ("\"/snapshot\"", "\"/snapshot\" "),
        ("\"/healthz\"", "\"/healthz\" "),
    ] {
        let ended = check(&bench, &with(invalid), &[]);
        assert_eq!(ended.code, Some(2), "{invalid}: {}", ended.stdout);
        let expected = format!("error: wrangler.toml:10: vars.PASS_THROUGH: {expected}");
        assert!(ended.stdout.contains(&expected), "{expected}: {}", ended.stdout);
    }
    let alone = good().replacen(cors, "PASS_THROUGH = \"/accounts\"", 1);
    let ended = check(&bench, &alone, &[]);
    let expected = "error: wrangler.toml:9: vars.PASS_THROUGH: needs ORIGIN_URL";
    assert!(ended.code == Some(2) && ended.stdout.contains(expected), "{}", ended.stdout);
}

#[test]
fn oddities_that_work_are_warnings() {
    let bench = Bench::new("check-config-warnings");
    for (from, to, expected) in [
        ("head_sampling_rate = 0.01\n", "", ":16: observability: every invocation is logged"),
        (
            "routes = [{ pattern = \"access.example.com\", custom_domain = true }]\n",
            "",
            ":5: workers_dev: workers_dev is false and there are no routes",
        ),
        ("[\"publish\"]", "[\"view\"]", ":10: vars.ISSUERS: no issuer has the capability \"publish\""),
        (
            "[[kv_namespaces]]",
            "[[ratelimits]]\nname = \"LIMIT_SIGNIN\"\nnamespace_id = \"1\"\n\n[[kv_namespaces]]",
            ":14: ratelimits[0].name: unknown limit \"LIMIT_SIGNIN\", which limits nothing; did you mean LIMIT_SIGN_IN?",
        ),
        (
            "\"audience\":\"none_required\"",
            "\"audience\":\"none_required\",\"test_clients\":true",
            ":10: vars.ISSUERS[0]: \"test_clients\" is true",
        ),
        (
            "CORS_ORIGINS = \"*\"",
            "SENTRY_DSN = \"x\"",
            ":9: vars.SENTRY_DSN: unknown variable, which the Worker ignores",
        ),
        (
            "CORS_ORIGINS = \"*\"",
            "PUBLISHER_SECRET = \"0123456789abcdef0123456789abcdef\"",
            ":9: vars.PUBLISHER_SECRET: a secret stands in the file",
        ),
    ] {
        let ended = check(&bench, &good().replacen(from, to, 1), &[]).ok();
        let expected = format!("warning: wrangler.toml{expected}");
        assert!(ended.stdout.contains(&expected), "{expected}: {}", ended.stdout);
        assert!(ended.stdout.contains("no errors, 1 warning"), "{}", ended.stdout);
    }
}

/// Issuers' capabilities: what a deploy with an earlier configuration would change, and what grants more than
/// it should.
#[test]
fn capabilities_of_issuers_are_checked() {
    let bench = Bench::new("check-config-capabilities");
    let viewers = r#"{"issuer":"https://id.example","#;
    let with_origin = ("CORS_ORIGINS = \"*\"", "ORIGIN_URL = \"https://origin.example\"");
    let same = ("", "");
    for (viewers_may, publisher, other, expected) in [
        // An earlier configuration with an origin: merchants could write.
        (
            "",
            r#""may":["publish"],"#,
            with_origin,
            ":10: vars.ISSUERS: no issuer has the capability \"write\", so",
        ),
        (
            r#""may":["view","write"],"#,
            r#""may":["publish"],"#,
            with_origin,
            ":10: vars.ISSUERS[0]: \"write\" without \"merchants\": its tokens may write in the name of every merchant",
        ),
        (
            "",
            r#""may_publish":true,"#,
            same,
            ":10: vars.ISSUERS[1]: \"publish\" without \"merchants\" for an issuer that also",
        ),
        (
            r#""may":["view","feed"],"#,
            r#""may":["publish"],"#,
            same,
            ":10: vars.ISSUERS[0]: \"feed\" without \"merchants\" for an issuer that also",
        ),
        (
            "",
            r#""may":["publish","feed"],"merchants":[7],"#,
            same,
            ":10: vars.ISSUERS[1]: \"publish\" and \"feed\" with \"merchants\": the data of every merchant",
        ),
        (
            r#""may":["write"],"merchants":[7],"#,
            r#""may":["publish"],"#,
            same,
            ":10: vars.ISSUERS: no issuer has the capability \"view\"",
        ),
    ] {
        let text = good()
            .replacen(viewers, &format!("{viewers}{viewers_may}"), 1)
            .replacen(r#""may":["publish"],"#, publisher, 1)
            .replacen(other.0, other.1, usize::from(!other.0.is_empty()));
        let ended = check(&bench, &text, &[]).ok();
        let expected = format!("warning: wrangler.toml{expected}");
        assert!(ended.stdout.contains(&expected), "{expected}: {}", ended.stdout);
        assert!(ended.stdout.contains("no errors, 1 warning"), "{}", ended.stdout);
    }
    for (viewers_may, other) in [("", same), (r#""may":["view","write"],"merchants":[2101],"#, with_origin)] {
        let text = good().replacen(viewers, &format!("{viewers}{viewers_may}"), 1).replacen(
            other.0,
            other.1,
            usize::from(!other.0.is_empty()),
        );
        let ended = check(&bench, &text, &[]).ok();
        assert!(ended.stdout.contains("no errors, no warnings"), "{}", ended.stdout);
    }
    let ended = check(&bench, &good().replacen("[\"publish\"]", "[\"admin\"]", 1), &[]);
    let problem =
        "vars.ISSUERS[1]: unknown capability `admin` in may, expected one of `view`, `write`, `publish`";
    assert!(ended.code == Some(2) && ended.stdout.contains(problem), "{}", ended.stdout);
}

#[test]
fn all_errors_are_reported_at_once() {
    let bench = Bench::new("check-config-all");
    let text = good()
        .replace("none_required", "never")
        .replace("\"any_of\":[\"admit\"]", "\"any_of\":[]")
        .replace("CORS_ORIGINS = \"*\"", "CORS_ORIGINS = \"x\"\nORIGIN_URL = \"ftp://o\"\nLOG_CHECKS = \"\"");
    let ended = check(&bench, &text, &["--json"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let problems = report["environments"][0]["problems"].as_array().unwrap();
    let mut keys: Vec<_> = problems.iter().map(|problem| problem["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "vars.CORS_ORIGINS",
            "vars.ISSUERS[0]",
            "vars.ISSUERS[1].audience.any_of",
            "vars.LOG_CHECKS",
            "vars.ORIGIN_URL"
        ]
    );
    assert_eq!((&report["is_fine"], &report["file"]), (&false.into(), &"wrangler.toml".into()));
    assert_eq!(report["environments"][0]["problems"][0]["severity"], "error");
}

#[test]
fn secrets_are_checked_where_they_can_be_seen_and_never_shown() {
    let bench = Bench::new("check-config-secrets");
    bench.write(".dev.vars", "# mine\nPUBLISHER_SECRET='hunter2hunter2'\nCORS_ORIGINS=nonsense\n");
    let ended = check(&bench, &good(), &["--dev-vars", ".dev.vars"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("error: .dev.vars: PUBLISHER_SECRET: HS256 needs at least 32 bytes"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("error: .dev.vars: CORS_ORIGINS: "), "{}", ended.stdout);
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    // ISSUERS itself may be a secret.
    let without = good().replace(&format!("ISSUERS = '{ISSUERS}'\n"), "");
    assert_eq!(check(&bench, &without, &[]).code, Some(2));
    let ended = check(&bench, &without, &["--secret", "ISSUERS"]).ok();
    assert!(ended.stdout.contains("ISSUERS is not seen here (its value is not checked)"), "{}", ended.stdout);
    check(&bench, &(without.clone() + "[secrets]\nrequired = [\"ISSUERS\"]\n"), &[]).ok();
    bench.write(
        "secrets.json",
        format!("{{\"ISSUERS\": {ISSUERS}, \"PUBLISHER_SECRET\": \"{}\"}}", "s".repeat(32)),
    );
    let ended = check(&bench, &without, &["--secrets", "secrets.json"]).ok();
    assert!(!ended.stdout.contains("secret put"), "{}", ended.stdout);
    // A secret in the place of its name is not shown.
    let ended = check(&bench, &good().replace("PUBLISHER_SECRET", "s3cr3t-value"), &[]);
    assert_eq!(ended.code, Some(2));
    assert!(!ended.stdout.contains("s3cr3t-value"), "{}", ended.stdout);
}

#[test]
fn json_is_read_as_toml_is() {
    let bench = Bench::new("check-config-json");
    let text = "{\n  // for viewers\n  \"name\": \"admit\",\n  \"main\": \"build/index.js\",\n  \"compatibility_date\": \"2026-11-17\",\n  \"vars\": {\"LOG_CHECKS\": \"yes\"},\n}\n";
    bench.write("wrangler.jsonc", text);
    let ended = bench.run(&["check-config"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stdout.contains("error: wrangler.jsonc:6: vars.LOG_CHECKS: "), "{}", ended.stdout);
    bench.write("other.json", "{");
    bench.run(&["check-config", "--config", "other.json"]).failed(1, "not valid JSON");
    bench.run(&["check-config", "-c", "none.toml"]).failed(1, "cannot read none.toml");
    fs::remove_file(bench.dir.join("wrangler.jsonc")).unwrap();
    bench.run(&["check-config"]).failed(1, "name the file with --config");
    check(&bench, "a = \n", &[]).failed(1, "line 1");
}

#[test]
fn signers_and_their_keys() {
    let bench = Bench::new("check-config-playback");
    let playback = r#"[{"merchant":1,"item_type":"film","signer":"cloudfront","secret":"CLOUDFRONT_KEY","key_id":"K1","hosts":["d1.cloudfront.net"],"path_prefix":"/films/"},
 {"merchant":1,"item_type":"series","signer":"cat","alg":"ES256","secret":"CAT_KEY","key_id":"k","issuer":"i","hosts":["media.example.com"],"path_prefix":"/series/"},
 {"merchant":1,"item_type":"clip","signer":"akamai","secret":"AKAMAI_KEY","hosts":["media.example.com"],"covers":"file"}]"#;
    let with = |playback: &str, more: &str| {
        good().replace("[vars]\n", &format!("[vars]\nPLAYBACK = '''{playback}'''\n{more}"))
    };
    // Keys at Cloudflare are not seen, and not taken for wrong ones.
    let ended = check(&bench, &with(playback, ""), &[]).ok();
    for name in ["CLOUDFRONT_KEY", "CAT_KEY", "AKAMAI_KEY"] {
        let expected = format!("{name} is not seen here (a signer's key; it is not checked)");
        assert!(ended.stdout.contains(&expected), "{}", ended.stdout);
    }
    let ended = check(&bench, &with(&playback.replace(r#""key_id":"K1","#, ""), ""), &[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stdout.contains("vars.PLAYBACK[0].key_id: missing"), "{}", ended.stdout);
    // Keys that are seen are checked: each in the form that its signer reads.
    bench.write(".dev.vars", "CLOUDFRONT_KEY=hunter2hunter2\nAKAMAI_KEY=00112233445566778899aabbccddeeff\n");
    let ended = check(&bench, &with(playback, ""), &["--dev-vars", ".dev.vars"]);
    assert_eq!(ended.code, Some(2));
    let expected = "error: .dev.vars: CLOUDFRONT_KEY: expected a private key in PEM";
    assert!(ended.stdout.contains(expected) && ended.stdout.contains("1 error, "), "{}", ended.stdout);
    let ended =
        check(&bench, &with(playback, "AKAMAI_KEY = \"00112233445566778899aabbccddeeff\"\n"), &[]).ok();
    assert!(ended.stdout.contains("vars.AKAMAI_KEY: a secret stands in the file"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("00112233"), "{}", ended.stdout);
}
