//! `PLAYBACK`, and the URLs that clients ask to be signed.

use admit_playback::{Grant, Item, NativeSigner, Playback, Source, Viewer};
use serde_json::Value;

const NOW: i64 = 1_800_000_000;
const MERCHANT: i64 = 1;
const ITEM_TYPE: &str = "film";

/// Three lines: `PLAYBACK`, an item's content, and a URL that a client asks for. A signature must not outlive its grant,
/// an item's own URL is always one of its own, and a foreign host is never signed.
pub fn any(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (configured, content, asked) = (line(), line(), line());
    let playback = match Playback::parse(configured, &secret) {
        Ok(playback) => playback,
        Err(error) => {
            assert!(!error.problem.is_empty(), "an error that says nothing");
            let is_named = error.field.starts_with("PLAYBACK") || configured.contains(&error.field);
            assert!(is_named, "an unknown field: {error}");
            assert!(!error.to_string().contains(TEXT), "an error shows a secret");
            return false;
        }
    };
    assert!(!format!("{playback:?}").contains(TEXT), "Debug shows a secret");
    let entries: Value = serde_json::from_str(configured).unwrap_or_default();
    let item = Item { merchant_id: MERCHANT, item_type: ITEM_TYPE, content, external_id: Some("film-7") };
    let grant = Grant { now: NOW, ends_at: NOW + 3_600, is_unlimited: false };
    let viewer = Viewer { subject: "vendor:viewer", country: Some("CH"), address: Some("203.0.113.7") };
    let mut is_signed = false;
    for entry in playback.entries(MERCHANT, ITEM_TYPE) {
        let own = entry.sign(&item, grant, viewer, &NativeSigner);
        is_signed |= own.as_ref().is_ok_and(|source| is_sound(source, grant));
        let Ok(source) = entry.sign_url(&item, asked, grant, viewer, &NativeSigner) else { continue };
        is_signed |= is_sound(&source, grant);
        let host = host(asked).unwrap_or_else(|| unreachable!("signed without a host: {asked}"));
        assert!(all_hosts(&entries).any(|known| known == host), "signed for another host: {asked}");
    }
    for entry in playback.entries(MERCHANT, ITEM_TYPE) {
        let Ok(media) = entry.media_of(&item) else { continue };
        let Ok(source) = entry.sign(&item, grant, viewer, &NativeSigner) else { continue };
        // A signer of URLs signs the item's own URL by name too.
        if host(&media).is_some() {
            let named = entry.sign_url(&item, &media, grant, viewer, &NativeSigner);
            assert_eq!(named, Ok(source), "{media}");
        }
    }
    is_signed
}

/// Whether a source is not empty. It must not end after the grant.
fn is_sound(source: &Source, grant: Grant) -> bool {
    assert!(source.expires_at <= grant.ends_at && source.expires_at > grant.now, "{source:?}");
    assert!(!source.token.is_empty(), "an empty proof");
    true
}

/// Host and port of a URL.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?']).next()
}

/// Every host of every entry.
fn all_hosts(entries: &Value) -> impl Iterator<Item = &str> {
    let hosts = entries.as_array().into_iter().flatten().filter_map(|entry| entry.get("hosts")?.as_array());
    hosts.flatten().filter_map(Value::as_str)
}

const TEXT: &str = "a secret that no message may show";

fn secret(name: &str) -> Option<String> {
    match name {
        "TEXT" => Some(TEXT.to_owned()),
        "HEX" => Some("403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388".to_owned()),
        "P256" => Some(P256.to_owned()),
        _ => None,
    }
}

const P256: &str = include_str!("../../../crates/playback/testdata/p256-pkcs8.pem");
