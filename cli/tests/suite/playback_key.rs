//! `admit playback-key`, run as a user runs it: what it writes is a secret that `PLAYBACK` accepts, and the public half
//! that it prints belongs to it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

use admit_playback::{Grant, Item, NativeSigner, Playback, Viewer};
use admit_token::{
    NativeVerifier,
    ports::{SignatureAlgorithm, SignatureVerifier as _},
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use tempfile::TempDir;

fn admit(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_admit")).arg("playback-key").args(args).output().unwrap()
}

/// What the command prints, and what it says beside it.
fn printed(args: &[&str]) -> (String, String) {
    let output = admit(args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = text(output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    (text(output.stdout), said)
}

/// The token that an entry signs with a secret.
fn signed(entry: &Value, secret: &str) -> String {
    let mut whole = json!({"merchant": 1, "item_type": "film", "secret": "KEY"});
    whole.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
    let playback = Playback::parse(&json!([whole]).to_string(), &|_| Some(secret.to_owned())).unwrap();
    let content = r#"{"video_id": "7", "url": "https://media.example.com/films/7/main.m3u8"}"#;
    let item = Item { merchant_id: 1, item_type: "film", content, external_id: Some("7") };
    let grant = Grant { now: 1_900_000_000, ends_at: 1_900_000_600, is_unlimited: false };
    let entry = playback.entries(1, "film").next().unwrap();
    entry.sign(&item, grant, Viewer::default(), &NativeSigner).unwrap().token
}

#[test]
fn every_signer_gets_a_secret_that_it_accepts() {
    let dir = TempDir::new().unwrap();
    let (hosts, path_prefix) = (json!(["media.example.com"]), "/films/");
    for (signer, entry, says) in [
        ("jw", json!({}), "JW Player's dashboard"),
        ("cloudfront", json!({"key_id": "K1", "hosts": hosts, "path_prefix": path_prefix}), ""),
        ("cloudflare_stream", json!({"key_id": "k"}), "Cloudflare makes Stream's keys"),
        ("mux", json!({"key_id": "k"}), "Mux makes its keys"),
        (
            "cat",
            json!({"alg": "HS256", "key_id": "k", "issuer": "i", "hosts": hosts, "path_prefix": path_prefix}),
            "for both sides",
        ),
        ("akamai", json!({"hosts": hosts, "path_prefix": path_prefix}), "for both sides"),
        ("hmac_url", json!({"hosts": hosts, "path_prefix": path_prefix}), "for both sides"),
    ] {
        let file = dir.path().join(signer);
        let (public, said) = printed(&["--signer", signer, "--out", file.to_str().unwrap()]);
        assert!(said.contains(says), "{signer}: {said}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let secret = fs::read_to_string(&file).unwrap();
        assert_eq!(public.is_empty(), !secret.contains("PRIVATE"), "{signer}: {public}");
        let mut entry = entry;
        entry["signer"] = signer.into();
        assert!(!signed(&entry, &secret).is_empty());
    }
}

#[test]
fn the_printed_half_verifies_what_the_secret_signs() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("mux.pem");
    let path = file.to_str().unwrap();
    let (public, _) = printed(&["--signer", "mux", "--key-id", "k7", "--out", path]);
    let jwk: Value = serde_json::from_str(&public).unwrap();
    assert_eq!((&jwk["kid"], &jwk["alg"]), (&json!("k7"), &json!("RS256")));
    let token = signed(&json!({"signer": "mux", "key_id": "k7"}), &fs::read_to_string(&file).unwrap());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let jwk = serde_json::from_value(jwk).unwrap();
    let key = NativeVerifier.import(SignatureAlgorithm::Rs256, &jwk).unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    assert!(NativeVerifier.verify(&key, message.as_bytes(), &signature));
    // The same half again, in both forms.
    assert_eq!(printed(&["--public", path, "--format", "jwk", "--key-id", "k7"]).0, public);
    assert!(printed(&["--public", path]).0.starts_with("-----BEGIN PUBLIC KEY-----\n"));
}

#[test]
fn the_vendor_s_form() {
    let dir = TempDir::new().unwrap();
    let path = |name| dir.path().join(name).to_str().unwrap().to_owned();
    let (public, _) = printed(&["--signer", "cloudfront", "--out", &path("cloudfront")]);
    assert!(
        public.starts_with("-----BEGIN PUBLIC KEY-----\n") && public.ends_with("-----END PUBLIC KEY-----\n")
    );
    let (public, _) = printed(&["--signer", "cat", "--alg", "ES256", "--out", &path("cat")]);
    assert_eq!(serde_json::from_str::<Value>(&public).unwrap()["crv"], "P-256");
    let entry = json!({
        "signer": "cat", "alg": "ES256", "key_id": "k", "issuer": "i", "hosts": ["media.example.com"],
        "path_prefix": "/films/",
    });
    assert!(!signed(&entry, &fs::read_to_string(path("cat")).unwrap()).is_empty());
}

#[test]
fn mistakes() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("key");
    let path = file.to_str().unwrap();
    let complaint = |args: &[&str]| {
        let output = admit(args);
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(
        complaint(&["--signer", "akamai", "--alg", "ES256", "--out", path])
            .contains("--alg is for --signer cat")
    );
    assert!(!file.exists());
    assert!(complaint(&["--signer", "akamai"]).contains("--out"));
    assert!(complaint(&[]).contains("--signer"));
    printed(&["--signer", "akamai", "--out", path]);
    let first = fs::read(&file).unwrap();
    assert!(complaint(&["--signer", "akamai", "--out", path]).contains("--force replaces it"));
    assert_eq!(fs::read(&file).unwrap(), first);
    let problem = complaint(&["--public", path]);
    assert!(problem.contains("expected a private key in PEM"), "{problem}");
    assert!(!problem.contains(std::str::from_utf8(&first).unwrap()), "the secret is not shown");
    printed(&["--signer", "akamai", "--out", path, "--force"]);
    assert_ne!(fs::read(&file).unwrap(), first);
}
