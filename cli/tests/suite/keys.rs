//! `admit keygen` and `admit token`, run as a user runs them: the service accepts their tokens, and private
//! keys stay private.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use admit_token::{NativeVerifier, TokenVerifier, parse_issuers, ports::Entropy};
use serde_json::{Value, json};

/// A directory that is removed after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

struct Fixed;

impl Entropy for Fixed {
    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

fn admit(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_admit")).args(args).output().unwrap()
}

fn stdout(args: &[&str]) -> String {
    let output = admit(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn complaint(args: &[&str]) -> String {
    let output = admit(args);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(output.stdout.is_empty(), "{args:?} printed something");
    String::from_utf8(output.stderr).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the command under test uses the machine's clock")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// Whether the service accepts `token` from the issuer whose private key is in `key`.
fn accepted(alg: &str, key: &str, token: &str) -> bool {
    let keys = match alg {
        "HS256" => json!({ "secret": "SECRET", "alg": alg }),
        _ => json!({ "jwks": serde_json::from_str::<Value>(&stdout(&["keygen", "--public", key])).unwrap() }),
    };
    let issuers = json!([{
        "issuer": "https://id.example", "namespace": "main", "audience": { "any_of": ["tv"] }, "keys": keys,
    }]);
    let secret = |name: &str| (name == "SECRET").then(|| stdout(&["keygen", "--secret", key]));
    let issuers = parse_issuers(&issuers.to_string(), &secret).unwrap();
    let mut verifier = TokenVerifier::new(issuers, &NativeVerifier).unwrap();
    verifier.verify(&format!("Bearer {token}"), now(), &NativeVerifier, &Fixed).is_ok()
}

#[test]
fn the_service_takes_tokens_of_every_algorithm() {
    let scratch = Scratch::new("every-algorithm");
    let claims = r#"{"iss":"https://id.example","aud":"tv","sub":"viewer"}"#;
    for alg in ["EdDSA", "ES256", "RS256", "HS256"] {
        let (key, other) = (scratch.path(alg), scratch.path(&format!("{alg}-other")));
        for path in [&key, &other] {
            stdout(&["keygen", "--alg", alg, "--kid", "k1", "--out", path]);
        }
        let token = stdout(&["token", "--key", &key, "--claims", claims]);
        assert!(accepted(alg, &key, &token), "{alg}");
        assert!(!accepted(alg, &other, &token), "{alg}: signed by another key of the same name");
        let expired = stdout(&["token", "--key", &key, "--claims", claims, "--ttl-secs", "-86400"]);
        assert!(!accepted(alg, &key, &expired), "{alg}: expired");
    }
}

#[test]
fn only_the_owner_can_read_a_private_key_and_no_private_member_is_printed() {
    let scratch = Scratch::new("private");
    for alg in ["EdDSA", "ES256", "RS256"] {
        let key = scratch.path(alg);
        stdout(&["keygen", "--alg", alg, "--kid", "k1", "--out", &key]);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{alg}");
        let public: Value = serde_json::from_str(&stdout(&["keygen", "--public", &key])).unwrap();
        let members = public["keys"][0].as_object().unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(!members.contains_key(member), "{alg} shows {member}");
        }
        assert_eq!((&members["kid"], &members["alg"]), (&json!("k1"), &json!(alg)));
    }
}

#[test]
fn a_key_is_replaced_only_by_force_and_stays_private_then() {
    let scratch = Scratch::new("force");
    let key = scratch.path("key");
    let make = ["keygen", "--alg", "EdDSA", "--kid", "k1", "--out", &key];
    stdout(&make);
    let first = fs::read(&key).unwrap();
    assert!(complaint(&make).contains("--force"));
    assert_eq!(fs::read(&key).unwrap(), first);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    stdout(&[&make[..], &["--force"]].concat());
    assert_ne!(fs::read(&key).unwrap(), first);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn wrong_uses_are_refused_with_a_reason() {
    let scratch = Scratch::new("wrong-uses");
    let (ed, hs, odd) = (scratch.path("ed"), scratch.path("hs"), scratch.path("odd"));
    stdout(&["keygen", "--alg", "EdDSA", "--kid", "k1", "--out", &ed]);
    stdout(&["keygen", "--alg", "HS256", "--kid", "k1", "--out", &hs]);
    fs::write(&odd, r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"AA"}"#).unwrap();
    assert!(complaint(&["keygen", "--public", &hs]).contains("symmetric"));
    assert!(complaint(&["keygen", "--secret", &ed]).contains("not symmetric"));
    assert!(complaint(&["token", "--key", &odd]).contains("kid"));
    assert!(complaint(&["token", "--key", &scratch.path("none")]).contains("cannot read"));
    assert!(
        complaint(&["token", "--key", &ed, "--claims", "[1]"]).contains("--claims must be a JSON object")
    );
    assert!(
        complaint(&["keygen", "--alg", "none", "--kid", "k1", "--out", &odd]).contains("possible values")
    );
}

#[test]
fn times_in_milliseconds_are_noticed() {
    let scratch = Scratch::new("milliseconds");
    let key = scratch.path("key");
    stdout(&["keygen", "--alg", "HS256", "--kid", "k1", "--out", &key]);
    let output = admit(&["token", "--key", &key, "--claims", r#"{"exp":1893456000000}"#]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("warning: --claims: exp looks like milliseconds"),
        "{said}"
    );
}

#[test]
fn given_times_are_kept() {
    let scratch = Scratch::new("times");
    let key = scratch.path("key");
    stdout(&["keygen", "--alg", "HS256", "--kid", "k1", "--out", &key]);
    let token = stdout(&["token", "--key", &key, "--claims", r#"{"exp":17,"iat":4}"#]);
    let payload = token.split('.').nth(1).unwrap();
    let payload = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::decode_vec(payload).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), json!({ "exp": 17, "iat": 4 }));
}
