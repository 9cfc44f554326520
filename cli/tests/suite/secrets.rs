//! Secrets, and peers that cannot be trusted: http, command lines, modes of files, heads of other keys.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use admit_testing::http::{Response, Server};

use crate::bench::{Bench, Ended, catalogue};

/// Reserved for documentation (RFC 5737): no server answers, so a request would run into its timeout.
const ELSEWHERE: &str = "http://192.0.2.1";

/// A server on another loopback address, which the rule does not count as "this machine".
struct Neighbour {
    url: String,
    _server: Server,
    requests: Arc<AtomicUsize>,
}

impl Neighbour {
    fn answering(address: &str, body: String) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        let server = Server::start_at(address, move |request| {
            seen.fetch_add(1, Ordering::SeqCst);
            let _gone = request.respond(&Response::json(200, &body));
        });
        Self { url: server.url(), _server: server, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[test]
fn http_to_another_machine_is_refused_by_every_command() {
    let bench = Bench::new("http-elsewhere");
    bench.write("all.ndjson", catalogue(1));
    let key = ["--key", "publisher.jwk"];
    let export = format!("{ELSEWHERE}/export");
    let commands: [Vec<&str>; 12] = [
        vec!["publish", "--from", &export, "--dry-run"],
        vec!["publish", "--from", &export, "--follow", "--to", "dir:out", key[0], key[1]],
        vec!["publish", "--from", "all.ndjson", "--to", ELSEWHERE, key[0], key[1]],
        vec!["publish", "--changes", &export, "--to", ELSEWHERE, key[0], key[1]],
        vec!["verify", "--from", ELSEWHERE, key[0], key[1]],
        vec!["inspect", "--from", ELSEWHERE],
        vec!["diff", "--from", ELSEWHERE, "1", "2"],
        vec!["gc", "--from", ELSEWHERE, key[0], key[1]],
        vec!["rollback", "--from", ELSEWHERE, key[0], key[1], "--to", "1"],
        vec!["check-origin", ELSEWHERE],
        vec!["check-origin", "http://127.0.0.1:1", "--export", &export],
        vec!["check-origin", "http://127.0.0.1:1", "--issuer", ELSEWHERE],
    ];
    for command in commands {
        let ended = bench.run(&command);
        assert_ne!(ended.code, Some(0), "{command:?}");
        let expected = ["192.0.2.1", "must be an https URL (http only for localhost)", "--insecure-http"];
        assert!(expected.iter().all(|text| ended.stderr.contains(text)), "{command:?}: {}", ended.stderr);
    }
    let mut kv = bench.command(&["verify", "--from", "kv:account/namespace", key[0], key[1]]);
    kv.env("CLOUDFLARE_API_TOKEN", "t").env("CLOUDFLARE_API_BASE_URL", ELSEWHERE);
    Ended::from(kv.output().unwrap()).failed(1, "--insecure-http");
}

#[test]
fn the_exception_is_an_option_and_is_named() {
    let bench = Bench::new("http-insecure");
    let export = format!("{}\n", catalogue(1));
    let neighbour = Neighbour::answering("127.0.0.2", export);
    let export = format!("{}/export", neighbour.url);
    let publish = ["publish", "--from", &export, "--dry-run", "--seq", "1"];
    bench.run(&publish).failed(1, "--insecure-http");
    assert_eq!(neighbour.requests(), 0, "nothing was sent");
    let ended = bench.run(&[&publish[..], &["--insecure-http"]].concat()).ok();
    assert!(ended.stderr.contains("warning: --insecure-http: over http"), "{}", ended.stderr);
    assert_eq!(neighbour.requests(), 1);
    bench.run(&["publish", "--from", "ftp://127.0.0.2/x", "--dry-run", "--insecure-http"]).failed(1, "ftp");
}

/// An issuer's document may name any address: the rule applies there too.
#[test]
fn an_address_that_a_peer_names_is_judged_alike() {
    let bench = Bench::new("http-jwks");
    let keys = Neighbour::answering("127.0.0.2", r#"{"keys":[]}"#.to_owned());
    let jwks = format!("{}/jwks", keys.url);
    let issuer = Neighbour::answering("127.0.0.1", format!(r#"{{"issuer":"x","jwks_uri":"{jwks}"}}"#));
    let check = ["check-origin", "http://127.0.0.1:1", "--issuer", &issuer.url, "--timeout-secs", "1"];
    let ended = bench.run(&check);
    assert!(issuer.requests() > 0, "{}", ended.stdout);
    assert_eq!(keys.requests(), 0, "{}", ended.stdout);
}

fn mode(bench: &Bench, file: &str, mode: u32) {
    fs::set_permissions(bench.dir.join(file), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn readable_files_of_secrets_are_reported() {
    let bench = Bench::new("modes");
    bench.write("all.ndjson", catalogue(1));
    bench.write("token.jwt", "a.b.c");
    bench.write("secrets", "A=b\n");
    bench.write("wrangler.toml", "name = \"x\"\n");
    let publish = ["publish", "--from", "all.ndjson", "--to", "dir:out", "--key", "publisher.jwk"];
    let with_token =
        ["check-origin", "http://127.0.0.1:1", "--timeout-secs", "1", "--granted", "@token.jwt", "7"];
    let token = ["token", "--key", "publisher.jwk", "--claims", r#"{"iss":"https://i.example"}"#];
    let commands: [(&str, &[&str]); 5] = [
        ("publisher.jwk", &publish),
        ("publisher.jwk", &token),
        ("publisher.jwk", &["keygen", "--public", "publisher.jwk"]),
        ("token.jwt", &with_token),
        ("secrets", &["check-config", "--secrets", "secrets"]),
    ];
    for (file, command) in commands {
        for (bits, is_told) in [(0o644, true), (0o600, false)] {
            mode(&bench, file, bits);
            let stderr = bench.run(command).stderr;
            let warning =
                format!("warning: {file}: users other than its owner have access to this secret (mode 0644)");
            assert_eq!(stderr.contains(&warning), is_told, "{command:?} {bits:o}: {stderr}");
        }
    }
}

#[test]
fn a_secret_on_the_command_line_is_reported() {
    let bench = Bench::new("argv");
    bench.write("token.jwt", "a.b.c");
    mode(&bench, "token.jwt", 0o600);
    let warning = "--token: other users of this machine can read a secret on the command line; use the variable \
                   ADMIT_TOKEN or @FILE";
    let inspect =
        |token: &[&str]| bench.run(&[&["inspect", "--from", "dir:elsewhere"], token].concat()).stderr;
    let told = inspect(&["--token", "hunter2"]);
    assert!(told.contains(warning) && !told.contains("hunter2"), "{told}");
    for token in [&["--token", "@token.jwt"][..], &[]] {
        let stderr = inspect(token);
        assert!(!stderr.contains("command line"), "{token:?}: {stderr}");
    }
    let checked = bench.run(&["check-origin", "ftp://x", "--granted", "hunter2", "7"]).stderr;
    assert!(checked.contains("--granted: other users") && !checked.contains("hunter2"), "{checked}");
}

#[test]
fn a_head_of_another_key_is_believed_only_with_that_key() {
    let bench = Bench::new("old-key");
    bench.keygen("next");
    bench.keygen("stranger");
    bench.write("all.ndjson", catalogue(2));
    let publish = |key: &str, more: &[&str]| {
        let args = ["publish", "--from", "all.ndjson", "--to", "dir:out", "--key", key];
        bench.run(&[&args, more].concat())
    };
    publish("publisher.jwk", &["--seq", "7"]).ok();
    let before = fs::read(bench.dir.join("out/head")).unwrap();
    publish("next.jwk", &[]).failed(1, "is signed by another key than --key, so nothing in it is believed");
    publish("next.jwk", &["--old-key", "stranger.jwk"]).failed(1, "--old-key FILE");
    assert_eq!(fs::read(bench.dir.join("out/head")).unwrap(), before, "nothing changed");
    // The private key, or the output of `keygen --public`: the seq continues, and nothing is uploaded again.
    bench.write("old.jwks", bench.jwks("publisher"));
    let ended = publish("next.jwk", &["--old-key", "old.jwks"]).ok();
    assert!(ended.stdout.contains("Published seq 8"), "{}", ended.stdout);
    let ended = publish("publisher.jwk", &["--old-key", "next.jwk"]).ok();
    assert!(ended.stdout.contains("Published seq 9"), "{}", ended.stdout);
}

/// An attacker who can write to the store must not be able to keep the publisher out, or make it omit
/// objects.
#[test]
fn a_head_that_a_stranger_signed_neither_sets_the_seq_nor_saves_an_upload() {
    let bench = Bench::new("forged-head");
    bench.keygen("stranger");
    bench.write("all.ndjson", catalogue(2));
    let publish = |key: &str, to: &str, seq: &str| {
        bench.run(&["publish", "--from", "all.ndjson", "--to", to, "--key", key, "--seq", seq])
    };
    publish("publisher.jwk", "dir:out", "7").ok();
    publish("stranger.jwk", "dir:forged", "18446744073709551614").ok();
    fs::copy(bench.dir.join("forged/head"), bench.dir.join("out/head")).unwrap();
    fs::remove_dir_all(bench.dir.join("out/shard")).unwrap();
    let ended = publish("publisher.jwk", "dir:out", "8").ok();
    assert!(ended.stderr.contains("is signed by another key than --key, and is ignored"), "{}", ended.stderr);
    assert!(ended.stdout.contains("Published seq 8"), "{}", ended.stdout);
    bench.run(&["verify", "--from", "dir:out", "--key", "publisher.jwk"]).ok();
}

#[test]
fn a_symmetric_key_in_a_plain_variable_is_reported() {
    let bench = Bench::new("oct-plain");
    let issuers = r#"[{"issuer":"https://id.example","namespace":"main","audience":"none_required","keys":{"jwks":{"keys":[{"kty":"oct","alg":"HS256","kid":"a","k":"YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyBvciBtb3Jl"}]}}}]"#;
    let config = |issuers: &str| format!("name = \"admit\"\n[vars]\nISSUERS = '{issuers}'\n");
    bench.write("wrangler.toml", config(issuers));
    let told = bench.run(&["check-config"]).stdout;
    assert!(told.contains("vars.ISSUERS[0].keys.jwks: holds a symmetric key"), "{told}");
    assert!(!told.contains("YSBzZWNyZXQ"), "{told}");
    // In a file of secrets it is allowed.
    bench.write("wrangler.toml", "name = \"admit\"\n");
    bench.write("secrets.json", serde_json::json!({"ISSUERS": issuers}).to_string());
    mode(&bench, "secrets.json", 0o600);
    let told = bench.run(&["check-config", "--secrets", "secrets.json"]).stdout;
    assert!(!told.contains("symmetric"), "{told}");
}
