//! The configuration as operators write it, and the error for each mistake.

use serde_json::{Value, json};

use super::*;
use crate::NativeSigner;

const RSA: &str = include_str!("../../testdata/rsa-pkcs8.pem");
const P256: &str = include_str!("../../testdata/p256-pkcs8.pem");
const HEX: &str = "403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388";

fn secret(name: &str) -> Option<String> {
    Some(match name {
        "TEXT" | "OTHER_TEXT" => "a secret that nobody may read in a message".to_owned(),
        "SHORT" => "too short".to_owned(),
        "HEX" => HEX.to_owned(),
        "RSA" => RSA.to_owned(),
        "P256" => P256.to_owned(),
        _ => return None,
    })
}

/// A valid entry of each signer.
fn entry(signer: &str) -> Value {
    let hosts = json!(["media.example.com"]);
    let specific = match signer {
        "jw" => json!({"secret": "TEXT"}),
        "cloudfront" => {
            json!({"secret": "RSA", "key_id": "K2JCJMDEHXQW5F", "hosts": hosts, "path_prefix": "/films/"})
        }
        "cloudflare_stream" => json!({"secret": "RSA", "key_id": "k"}),
        "mux" => json!({"secret": "RSA", "key_id": "k"}),
        "cat" => json!({
            "secret": "HEX", "alg": "HS256", "key_id": "k", "issuer": "i", "hosts": hosts, "path_prefix": "/films/",
        }),
        "akamai" => json!({"secret": "HEX", "hosts": hosts, "path_prefix": "/films/"}),
        _ => json!({"secret": "TEXT", "hosts": hosts, "path_prefix": "/films/"}),
    };
    with(json!({"merchant": 1, "item_type": "film", "signer": signer}), specific)
}

fn with(mut entry: Value, overrides: Value) -> Value {
    let members = entry.as_object_mut().unwrap();
    for (name, value) in overrides.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    entry
}

fn parse(entries: &[Value]) -> Result<Playback, PlaybackError> {
    Playback::parse(&Value::from(entries.to_vec()).to_string(), &secret)
}

fn error(entry: Value) -> String {
    parse(&[entry]).unwrap_err().to_string()
}

#[test]
fn every_signer_has_a_valid_entry() {
    let entries = SignerKind::ALL.map(|kind| entry(kind.name()));
    let playback = parse(&entries).unwrap();
    let kinds: Vec<_> = playback.entries(1, "film").map(Entry::kind).collect();
    assert_eq!(kinds, SignerKind::ALL);
    assert_eq!(playback.check_keys(&NativeSigner), Ok(()));
    assert_eq!(playback.entries(2, "film").count() + playback.entries(1, "series").count(), 0);
    assert!(parse(&[]).unwrap().is_empty());
}

#[test]
fn every_member_is_needed_or_has_a_default() {
    for kind in SignerKind::ALL {
        let whole = entry(kind.name());
        for name in whole.as_object().unwrap().keys() {
            let mut entry = whole.clone();
            entry.as_object_mut().unwrap().remove(name);
            let problem = error(entry);
            assert!(problem.starts_with(&format!("PLAYBACK[0].{name}: missing")), "{kind:?}: {problem}");
        }
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (signer, overrides, expected) in [
        ("jw", json!({"signer": "jwplayer"}), "PLAYBACK[0].signer: expected one of jw, cloudfront, "),
        ("jw", json!({"merchant": "1"}), "PLAYBACK[0].merchant: expected the number of a merchant"),
        ("jw", json!({"item_type": "a b"}), "PLAYBACK[0].item_type: expected the name of an item type"),
        ("jw", json!({"ttl_secs": 29}), "PLAYBACK[0].ttl_secs: expected a whole number from 30 to 604800"),
        ("jw", json!({"ttl_secs": 60.5}), "PLAYBACK[0].ttl_secs: expected a whole number"),
        ("jw", json!({"ttl_secs": "60"}), "PLAYBACK[0].ttl_secs: expected a whole number"),
        ("jw", json!({"round_secs": 0}), "PLAYBACK[0].round_secs: expected a whole number from 1 to 3600"),
        ("jw", json!({"leeway_secs": 301}), "PLAYBACK[0].leeway_secs: expected a whole number from 0 to 300"),
        ("jw", json!({"shared": 1}), "PLAYBACK[0].shared: expected true or false"),
        ("jw", json!({"resource": "/v2/media/x"}), "PLAYBACK[0].resource: expected a path with {media}"),
        ("jw", json!({"resource": "{media}"}), "PLAYBACK[0].resource: "),
        ("jw", json!({"host": "https://x"}), "PLAYBACK[0].host: "),
        (
            "jw",
            json!({"hosts": ["x"]}),
            "PLAYBACK[0]: unknown member `hosts`; expected some of signer, merchant, ",
        ),
        ("jw", json!({"ttl": 60}), "PLAYBACK[0]: unknown member `ttl`"),
        (
            "cloudfront",
            json!({"key_id": "K-1"}),
            "PLAYBACK[0].key_id: expected the id of a CloudFront public key",
        ),
        ("cloudfront", json!({"alg": "SHA512"}), "PLAYBACK[0].alg: expected one of SHA256, SHA1"),
        ("cloudfront", json!({"bind": ["country"]}), "PLAYBACK[0].bind: expected some of address"),
        ("cloudfront", json!({"bind": []}), "PLAYBACK[0].bind: expected a list of 1 to 16 texts"),
        ("cloudfront", json!({"hosts": "x"}), "PLAYBACK[0].hosts: expected a list"),
        (
            "cloudflare_stream",
            json!({"ttl_secs": 86_400}),
            "PLAYBACK[0].ttl_secs: expected, with round_secs, at most 86400",
        ),
        ("mux", json!({"aud": "video"}), "PLAYBACK[0].aud: expected one of v, t, g, s, d"),
        ("cat", json!({"alg": "RS256"}), "PLAYBACK[0].alg: expected one of HS256, ES256"),
        ("cat", json!({"methods": ["get"]}), "PLAYBACK[0].methods: expected names of methods in capitals"),
        ("cat", json!({"renewal": {"expadd": 60}}), "PLAYBACK[0].renewal.type: missing"),
        ("cat", json!({"renewal": {"type": "header"}}), "PLAYBACK[0].renewal.expadd: expected the seconds"),
        (
            "cat",
            json!({"renewal": {"type": "header", "expadd": 60, "exp": 1}}),
            "PLAYBACK[0].renewal: unknown member `exp`",
        ),
        ("cat", json!({"renewal": 60}), "PLAYBACK[0].renewal: expected a JSON object"),
        ("akamai", json!({"param": "a&b"}), "PLAYBACK[0].param: expected letters"),
        ("hmac_url", json!({"key_id": "a&b"}), "PLAYBACK[0].key_id: expected letters"),
    ] {
        let problem = error(with(entry(signer), overrides));
        assert!(problem.starts_with(expected), "{expected:?}: {problem:?}");
    }
    assert_eq!(error(json!(1)), "PLAYBACK[0]: expected a JSON object");
    for json in ["", "{}", "[", "null"] {
        let problem = Playback::parse(json, &secret).unwrap_err().to_string();
        assert_eq!(problem, "PLAYBACK: expected a JSON array");
    }
}

#[test]
fn secrets_that_are_missing_or_of_the_wrong_kind_are_named() {
    for (signer, name, expected) in [
        ("jw", "MISSING", "MISSING: PLAYBACK[0].secret names this secret, but it is not bound"),
        ("jw", "SHORT", "SHORT: expected at least 24 bytes"),
        ("jw", "RSA", "RSA: expected a symmetric key, found a PEM file"),
        ("hmac_url", "SHORT", "SHORT: expected at least 32 bytes"),
        ("cloudfront", "TEXT", "TEXT: expected a private key in PEM, or the base64 of one"),
        ("cloudfront", "P256", "P256: expected an RSA private key, found one of the curve P-256"),
        ("cloudflare_stream", "HEX", "HEX: expected a private key in PEM, or the base64 of one"),
        ("mux", "P256", "P256: expected an RSA private key, found one of the curve P-256"),
        ("cat", "RSA", "RSA: expected at least 64 hexadecimal digits, an even number"),
        ("akamai", "TEXT", "TEXT: expected at least 32 hexadecimal digits, an even number"),
    ] {
        assert_eq!(error(with(entry(signer), json!({"secret": name}))), expected);
    }
    let es256 = json!({"alg": "ES256", "secret": "RSA"});
    let expected = "RSA: expected a private key of the curve P-256, found an RSA key";
    assert_eq!(error(with(entry("cat"), es256)), expected);
}

#[test]
fn messages_and_debug_show_no_secret() {
    // The secret itself in the place of its name, and in places that have nothing to do with it.
    let text = secret("TEXT").unwrap();
    for member in ["secret", "signer", "item_type", "key_id", "hosts", "covers", "ttl_secs", "bind", "url"] {
        for kind in SignerKind::ALL {
            let entry = with(entry(kind.name()), json!({ member: text.clone() }));
            if let Err(problem) = parse(&[entry]) {
                assert!(!problem.to_string().contains("nobody may read"), "{problem}");
            }
        }
    }
    let shown = format!("{:?}", parse(&SignerKind::ALL.map(|kind| entry(kind.name()))).unwrap());
    for secret in ["nobody may read", HEX, "MIIE", "403697"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!shown.contains("64, 54, 151"), "the bytes of HEX");
}

#[test]
fn merchants_cannot_open_each_other_s_media() {
    let of = |merchant: i64, overrides| with(with(entry("cat"), json!({ "merchant": merchant })), overrides);
    let (one, two) = (of(1, json!({})), of(2, json!({})));
    let problem = parse(&[one.clone(), two.clone()]).unwrap_err().to_string();
    let expected = "PLAYBACK[1]: PLAYBACK[0] (merchant 1, film) signs with the same secret";
    assert!(problem.starts_with(expected), "{problem}");
    let shared = json!({"shared": true});
    assert!(parse(&[with(one.clone(), shared.clone()), two.clone()]).is_err());
    assert!(parse(&[with(one, shared.clone()), with(two, shared)]).is_ok());
    let jw = |merchant: i64, secret: &str| with(entry("jw"), json!({"merchant": merchant, "secret": secret}));
    assert!(parse(&[jw(1, "TEXT"), jw(2, "TEXT")]).is_err());
    assert!(parse(&[jw(1, "TEXT"), jw(2, "OTHER_TEXT")]).is_ok());
}

#[test]
fn hosts_keep_merchants_apart_only_where_signatures_name_them() {
    for (signer, names_the_host) in
        [("cloudfront", true), ("cat", true), ("akamai", false), ("hmac_url", false)]
    {
        let of =
            |merchant: i64, overrides| with(with(entry(signer), json!({ "merchant": merchant })), overrides);
        let other_host = json!({"hosts": ["two.example.com"]});
        let other_hosts = parse(&[of(1, json!({})), of(2, other_host.clone())]);
        assert_eq!(other_hosts.is_ok(), names_the_host, "{signer}");
        if let Err(problem) = other_hosts {
            let problem = problem.to_string();
            assert!(problem.contains("name no host") && !problem.contains("keys, hosts"), "{problem}");
        }
        // Paths keep all of them apart, unless one lies in the other.
        let prefixes = |one: &str, two: &str| {
            parse(&[of(1, json!({"path_prefix": one})), of(2, json!({"path_prefix": two}))])
        };
        assert!(prefixes("/1/", "/2/").is_ok(), "{signer}");
        assert!(prefixes("/", "/2/").is_err() && prefixes("/2/x/", "/2/").is_err(), "{signer}");
        // One merchant may have two hosts with one key.
        assert!(parse(&[of(1, json!({})), of(1, other_host)]).is_ok(), "{signer}");
    }
    // A host may accept both forms.
    let akamai = with(entry("akamai"), json!({"merchant": 2, "hosts": ["two.example.com"]}));
    assert!(parse(&[entry("cat"), akamai]).is_err());
}

#[test]
fn two_entries_of_one_item_type() {
    let mux = |aud: &str| with(entry("mux"), json!({ "aud": aud }));
    assert!(parse(&[mux("v"), mux("t"), mux("d")]).is_ok());
    let problem = parse(&[mux("v"), entry("jw"), mux("v")]).unwrap_err().to_string();
    assert_eq!(problem, "PLAYBACK[2]: PLAYBACK[0] (merchant 1, film) signs the same media in the same way");
    assert!(parse(&[entry("akamai"), entry("cat")]).is_ok());
    let many = vec![json!(1); ENTRIES_MAX + 1];
    assert_eq!(parse(&many).unwrap_err().to_string(), "PLAYBACK: expected at most 256 entries, found 257");
}
