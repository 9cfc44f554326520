//! `docs/playback.md` agrees with the code: its examples are valid, and its numbers are those of the limits.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{collections::BTreeSet, fs, path::Path};

use admit_playback::{Playback, SecretForm, SignerKind, limits};
use serde_json::Value;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/playback.md");
    fs::read_to_string(path).unwrap()
}

/// A secret of the form that the signer reads.
fn secret(kind: SignerKind) -> &'static str {
    match SecretForm::of(kind) {
        SecretForm::Text => "c2lnbiBub3RoaW5nIHdpdGggdGhpcyBrZXkhISEh",
        SecretForm::Hex => "403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388",
        SecretForm::Rsa => include_str!("../testdata/rsa-pkcs8.pem"),
        SecretForm::P256 => include_str!("../testdata/p256-pkcs8.pem"),
    }
}

#[test]
fn examples_are_valid() {
    let page = page();
    let mut shown = BTreeSet::new();
    for block in page.split("\n```json\n").skip(1) {
        let json = block.split("\n```").next().unwrap();
        let entries: Vec<Value> = serde_json::from_str(json).unwrap();
        let kind_of = |name: &str| {
            let entry = entries.iter().find(|entry| entry["secret"] == name)?;
            SignerKind::ALL.into_iter().find(|kind| entry["signer"] == kind.name())
        };
        let secret = |name: &str| kind_of(name).map(|kind| secret(kind).to_owned());
        if let Err(error) = Playback::parse(json, &secret) {
            panic!("{error} in {json}");
        }
        shown.extend(entries.iter().map(|entry| entry["signer"].as_str().unwrap().to_owned()));
    }
    assert_eq!(shown.len(), SignerKind::ALL.len(), "every signer has an example: {shown:?}");
}

#[test]
fn every_signer_has_a_section() {
    let page = page();
    for kind in SignerKind::ALL {
        assert!(page.contains(&format!("\n## `{}`\n", kind.name())), "{kind:?}");
    }
}

#[test]
fn numbers_are_the_limits() {
    let page = page();
    let (ttl_least, ttl_most) = (limits::TTL_MIN_SECS, limits::TTL_MAX_SECS);
    for row in [
        format!("of up to {} entries", limits::ENTRIES_MAX),
        format!("| `ttl_secs` | int, {ttl_least} to {ttl_most} | `{}` |", limits::TTL_DEFAULT_SECS),
        format!("| `round_secs` | int, 1 to {} | `{}` |", limits::ROUND_MAX_SECS, limits::ROUND_DEFAULT_SECS),
        format!(
            "| `leeway_secs` | int, 0 to {} | `{}` |",
            limits::LEEWAY_MAX_SECS,
            limits::LEEWAY_DEFAULT_SECS
        ),
        format!("at most {} together with `round_secs`", limits::STREAM_TTL_MAX_SECS),
        format!("A media id has 1 to {} letters", limits::MEDIA_ID_MAX_BYTES),
        format!("at most {} bytes, on one of `hosts`", limits::URL_MAX_BYTES),
        format!("| `jw` | the text, at least {} bytes |", limits::JW_SECRET_MIN_BYTES),
        format!("| `hmac_url` | the text, at least {} bytes |", limits::HMAC_KEY_MIN_BYTES),
        format!("| `cat`, `HS256` | at least {} hexadecimal digits |", 2 * limits::HMAC_KEY_MIN_BYTES),
        format!("| `akamai` | at least {} hexadecimal digits |", 2 * limits::AKAMAI_KEY_MIN_BYTES),
    ] {
        assert!(page.contains(&row), "{row:?}");
    }
}

#[test]
fn the_shown_url_is_a_golden_vector() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("../src/signers/golden.json")).unwrap();
    let url = golden.iter().find(|vector| vector["name"] == "hmac_url, folder").unwrap();
    assert!(page().contains(url["url"].as_str().unwrap()));
    assert!(page().contains(url["secret"].as_str().unwrap()));
}
