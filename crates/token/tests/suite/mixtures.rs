//! A JWKS with any mixture of valid and odd entries serves every token that a valid entry's key has signed,
//! and refuses no token that a left-out entry's key has signed.

use admit_token::KeysFetched;
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::support::{NOW, Signer, World, good_claims, issuer_with};

/// A valid entry, and the `kid` of a token that its key signs.
#[derive(Clone, Debug)]
struct Good {
    entry: Value,
    token: String,
    signer: Signer,
}

/// Few keys, so that names and keys are repeated.
fn good() -> impl Strategy<Value = Good> {
    let kid = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("7"))];
    let members = prop::collection::vec(
        prop::sample::select(vec![
            ("use", json!("sig")),
            ("use", json!(null)),
            ("alg", json!(null)),
            ("key_ops", json!(["verify"])),
            ("key_ops", json!(["sign", "verify"])),
            ("key_ops", json!(null)),
            ("x5c", json!(["MIIB"])),
            ("x5t", json!(1)),
            ("nbf", json!({"any": [1, {}]})),
            ("d", json!("AAAA")),
        ]),
        0..4,
    );
    (1_u8..5, any::<bool>(), kid, members, any::<bool>()).prop_map(|(seed, is_ec, kid, members, padded)| {
        let signer = if is_ec { Signer::Es256(seed) } else { Signer::EdDsa(seed) };
        let mut entry = signer.jwk(kid);
        if kid == Some("7") {
            entry["kid"] = json!(7);
        }
        if padded {
            entry["x"] =
                format!("{}=", entry["x"].as_str().unwrap()).replace('-', "+").replace('_', "/").into();
        }
        for (name, value) in members {
            entry[name] = value;
        }
        Good { entry, token: signer.token(kid, &good_claims()), signer }
    })
}

/// An entry that probably cannot be used, and a token that its key signs.
#[derive(Clone, Debug)]
struct Odd {
    entry: Value,
    /// `None` if the entry has no key, or one that is not for signatures.
    token: Option<String>,
}

impl Odd {
    fn new(good: &Good, name: &str, value: Value) -> Self {
        let mut entry = good.entry.clone();
        entry[name] = value;
        let kid = match &entry["kid"] {
            Value::String(kid) if !kid.is_empty() => Some(kid.clone()),
            Value::Number(kid) => Some(kid.to_string()),
            _ => None,
        };
        let token = good.signer.token(kid.as_deref(), &good_claims());
        Self { entry, token: (!["use", "key_ops"].contains(&name)).then_some(token) }
    }
}

/// A valid entry with one member replaced, or any JSON.
fn odd() -> impl Strategy<Value = Odd> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z0-9+/=_-]{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["RSA", "EC", "OKP", "oct", "enc", "P-384", "RS256", "none"])
            .prop_map(Value::from),
    ];
    let name =
        prop::sample::select(vec!["kty", "crv", "alg", "use", "key_ops", "kid", "n", "e", "x", "y", "k"]);
    let any_json = leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    });
    let name = prop::sample::select(vec!["kty", "crv", "alg", "use", "key_ops", "kid", "x", "y"]);
    prop_oneof![
        any_json.clone().prop_map(|entry| Odd { entry, token: None }),
        (good(), name, any_json).prop_map(|(good, name, value)| Odd::new(&good, name, value)),
    ]
}

fn document(good: &[Good], odd: &[Odd], places: &[Index], shape: u8) -> Value {
    let mut entries: Vec<Value> = good.iter().map(|good| good.entry.clone()).collect();
    for (odd, place) in odd.iter().zip(places) {
        entries.insert(place.index(entries.len() + 1), odd.entry.clone());
    }
    match shape {
        0 => Value::Array(entries),
        // A list with gaps, in PHP's form.
        1 => {
            let numbered =
                entries.into_iter().enumerate().map(|(index, entry)| (format!("{}", 2 * index), entry));
            json!({"keys": numbered.collect::<serde_json::Map<_, _>>()})
        }
        _ => json!({"keys": entries, "x": [null]}),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_token_of_a_good_entry_is_served(
        good in prop::collection::vec(good(), 1..6),
        odd in prop::collection::vec(odd(), 0..8),
        places in prop::collection::vec(any::<Index>(), 8),
        (shape, has_mark) in (0..6_u8, any::<bool>()),
    ) {
        let document = document(&good, &odd, &places, shape);
        let mut text = document.to_string();
        let issuer = issuer_with(&json!({"keys": {"jwks": document}}));
        let mut worlds = Vec::new();
        if issuer["keys"]["jwks"].is_object() {
            worlds.push(("inline", World::new(&[issuer])));
        }
        if has_mark {
            text.insert(0, '\u{feff}');
        }
        for is_cached in [false, true] {
            let url = "https://vendor.example/jwks";
            let mut world = World::new(&[issuer_with(&json!({"keys": {"jwks_url": url}}))]);
            let fetch = world.verifier.fetch_sent(0).unwrap();
            let taken = if is_cached {
                world.verifier.keys_cached(0, text.as_bytes(), NOW, &world.platform)
            } else {
                world.verifier.keys_fetched(0, fetch, Some(text.as_bytes()), NOW, &world.platform)
            };
            let is_taken = matches!(taken, KeysFetched::Changed { .. });
            prop_assert!(is_taken, "{:?}", taken);
            worlds.push((if is_cached { "cached" } else { "fetched" }, world));
        }
        for (kind, mut world) in worlds {
            for Good { token, entry, .. } in &good {
                prop_assert_eq!(world.code(token), "ok", "{}: {}", kind, entry);
            }
            // Neither accepted nor refused, unless the key can be used after all.
            for Odd { entry, token } in &odd {
                let code = token.as_ref().map_or("ok", |token| world.code(token));
                let is_open = ["ok", "key_left_out", "ambiguous_key", "need_keys", "keys_unavailable"].contains(&code);
                prop_assert!(is_open, "{}: {}: {}", kind, code, entry);
            }
            let stranger = world.code(&Signer::EdDsa(99).token(Some("a"), &good_claims()));
            prop_assert_ne!(stranger, "ok");
        }
    }
}
