//! A token's rights: those that it asks for and that its issuer has.

use std::cell::RefCell;

use admit_token::{Capabilities, Capability, Principal, Roles, Scope, Scopes};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{NOW, VENDOR, World, claims_with, issuer_with};

const MERCHANT: i64 = 21;

/// The principal of a token with these claims, from an issuer with these members.
fn principal(issuer: &Value, claims: &Value) -> Principal {
    let mut world = World::new(&[issuer_with(issuer)]);
    world.verify(&VENDOR.token(None, &claims_with(claims)), NOW).unwrap().principal.clone()
}

fn scopes(scopes: &[Scope]) -> Scopes {
    scopes.iter().fold(Scopes::NONE, |all, scope| all.with(*scope))
}

#[test]
fn roles_and_scopes_in_all_their_forms() {
    let of = |claims: Value| principal(&json!({"may": ["view", "write", "publish"]}), &claims);
    let can_write = |scope: Value| of(json!({"scope": scope})).scopes.has(Scope::SnapshotWrite);
    assert!(of(json!({"ctx": "merchant"})).roles.merchant);
    assert!(of(json!({"ctx": ["consumer"]})).roles.consumer);
    assert!(!of(json!({"ctx": ["MERCHANT", "merchants", ""]})).roles.merchant);
    assert!(!of(json!({"ctx": "consumer merchant"})).roles.merchant);
    assert!(can_write(json!(["snapshot:publish"])) && can_write(json!("openid  snapshot:publish")));
    assert!(!can_write(json!("snapshot:publisher")) && !can_write(json!(["openid snapshot:publish"])));
}

#[test]
fn publishing_is_the_sum_of_three_scopes() {
    let all = [Scope::SnapshotRead, Scope::SnapshotWrite, Scope::SnapshotCollect];
    for (scope, expected) in [
        ("snapshot:publish", &all[..]),
        ("snapshot:read snapshot:publish", &all),
        ("snapshot:read", &[Scope::SnapshotRead]),
        ("snapshot:write", &[Scope::SnapshotWrite]),
        ("snapshot:collect snapshot:read", &[Scope::SnapshotCollect, Scope::SnapshotRead]),
        ("snapshot:reads", &[]),
        ("", &[]),
    ] {
        // The old member and the new one.
        for issuer in [json!({"may_publish": true}), json!({"may": ["publish"]})] {
            let found = principal(&issuer, &json!({ "scope": scope })).scopes;
            assert_eq!(found, scopes(expected), "{scope} by {issuer}");
        }
        assert_eq!(principal(&json!({}), &json!({ "scope": scope })).scopes, Scopes::NONE, "{scope}");
    }
}

/// An issuer that is limited to merchants is trusted for no other merchant, and for no data of all merchants.
#[test]
fn an_issuer_of_some_merchants_is_bound_to_them() {
    let issuer = json!({"may": ["view", "write", "publish", "feed"], "merchants": [MERCHANT, 22]});
    let of = |claims: Value| principal(&issuer, &claims);
    for (claims, may_write) in [
        (json!({"ctx": "merchant", "mid": MERCHANT}), true),
        (json!({"ctx": "merchant", "mid": "22"}), true),
        (json!({"ctx": "merchant", "mid": 23}), false),
        (json!({"ctx": "merchant"}), false),
        (json!({"ctx": "merchant", "mui": "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934"}), false),
        (json!({"ctx": "merchant", "mid": ""}), false),
    ] {
        assert_eq!(of(claims.clone()).roles.merchant, may_write, "{claims}");
    }
    let everything = of(json!({"mid": MERCHANT, "scope": "snapshot:publish snapshot:read feed:read"}));
    assert_eq!((everything.scopes, everything.roles), (Scopes::NONE, Roles::default()));
}

#[test]
fn a_test_client_is_a_matter_of_the_issuer() {
    let claims = json!({"client_id": "test", "test_clients": true, "may": ["write"]});
    assert!(!principal(&json!({}), &claims).may_test);
    assert!(principal(&json!({"test_clients": true}), &claims).may_test);
}

/// Issuers with every set of capabilities, each without and with `merchants`; the position of an issuer is
/// its number.
fn issuers() -> Vec<Value> {
    (0..128_u32)
        .map(|number| {
            let may: Vec<_> = Capability::ALL
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| number & (1 << bit) != 0)
                .map(|(_, capability)| capability.name())
                .collect();
            let mut issuer = json!({"may": may, "audience": "none_required"});
            if number & 64 != 0 {
                issuer["merchants"] = json!([MERCHANT]);
            }
            if may.is_empty() {
                issuer.as_object_mut().unwrap().remove("may");
            }
            issuer
        })
        .collect()
}

thread_local! {
    static WORLDS: RefCell<Vec<World>> =
        RefCell::new(issuers().iter().map(|issuer| World::new(&[issuer_with(issuer)])).collect());
}

/// Words that give rights in some claim, and words that look like them.
fn words() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "merchant",
        "consumer",
        "snapshot:publish",
        "snapshot:read",
        "snapshot:write",
        "snapshot:collect",
        "feed:read",
        "view",
        "write",
        "publish",
        "feed",
        "check",
        "explain",
        "*",
        "snapshot:*",
        "openid",
        "",
        "merchant consumer",
    ]);
    let list = prop::collection::vec(word, 0..5);
    prop_oneof![
        list.clone().prop_map(|words| json!(words)),
        list.clone().prop_map(|words| json!(words.join(" "))),
        list.prop_map(|words| {
            let gaps = words.iter().enumerate().map(|(at, word)| ((2 * at).to_string(), json!(word)));
            Value::Object(gaps.collect())
        }),
        prop_oneof![Just(json!(1)), Just(json!(true)), Just(Value::Null), Just(json!({"merchant": true}))],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    /// No claims give a principal more rights than its issuer has.
    #[test]
    fn claims_give_nothing_that_the_issuer_does_not_have(
        issuer in 0..128_usize,
        claims in prop::collection::btree_map(
            prop::sample::select(vec!["ctx", "scope", "mid", "may", "may_publish", "roles", "merchants", "test_clients", "mui"]),
            prop_oneof![3 => words(), 1 => (20..24_i64).prop_map(|mid| json!(mid))],
            0..6,
        ),
    ) {
        let bits = issuer & 63;
        let is_bound = issuer & 64 != 0;
        let has = |capability: Capability| match bits {
            0 => capability == Capability::View,
            _ => bits & (1 << Capability::ALL.iter().position(|known| *known == capability).unwrap()) != 0,
        };
        let token = VENDOR.token(None, &claims_with(&json!(claims)));
        let verified = WORLDS.with_borrow_mut(|worlds| worlds[issuer].verify(&token, NOW));
        // Unreadable claims refuse the token.
        if let Ok(verified) = verified {
            let Principal { may, may_test, roles, scopes, merchant_id, ref merchants, .. } = verified.principal;
            prop_assert_eq!(may, Capability::ALL.into_iter().filter(|known| has(*known)).collect::<Capabilities>());
            prop_assert!(!may_test);
            prop_assert_eq!(merchants.is_some(), is_bound);
            prop_assert!(!roles.consumer || has(Capability::View));
            prop_assert!(!roles.merchant || has(Capability::Write));
            prop_assert!(!roles.merchant || !is_bound || merchant_id == Some(MERCHANT));
            for scope in Scope::ALL {
                prop_assert!(!scopes.has(scope) || (has(scope.capability()) && !is_bound), "{:?}", scope);
            }
        }
    }
}
