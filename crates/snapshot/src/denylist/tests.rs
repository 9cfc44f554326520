use proptest::prelude::*;

use super::*;

const NOW: UnixSecs = 1_700_000_000;

fn entry(target: Target, since: UnixSecs, until: UnixSecs) -> Denied {
    Denied { target, since, until, is_lifted: false, reason: String::new() }
}

fn jti(name: &str) -> Target {
    Target::TokenId(name.to_owned())
}

fn list(entries: impl IntoIterator<Item = Denied>) -> Denylist {
    let mut list = Denylist::default();
    entries.into_iter().for_each(|entry| list.add(entry));
    list
}

fn presented() -> Presented<'static> {
    Presented {
        signed: "e30.e30",
        token_id: Some("a"),
        customer: EntryKey::customer("v", "anna"),
        issued_at: Some(NOW - 10),
        issuer: "https://i.example",
        kid: Some("k1"),
    }
}

#[test]
fn each_kind_of_entry_refuses_its_own_tokens_and_no_others() {
    let own = presented();
    let key = |issuer: &str, kid: &str| Target::IssuerKey { issuer: issuer.into(), kid: kid.into() };
    for (target, is_refused) in [
        (jti("a"), true),
        (jti("A"), false),
        (Target::Token(Digest::of(b"e30.e30")), true),
        (Target::Token(Digest::of(b"e30.e30.sig")), false),
        (Target::Customer(EntryKey::customer("v", "anna")), true),
        (Target::Customer(EntryKey::customer("w", "anna")), false),
        (key("https://i.example", "k1"), true),
        (key("https://i.example", "k2"), false),
        (key("https://j.example", "k1"), false),
    ] {
        let list = list([entry(target.clone(), NOW - 5, NOW + 100)]);
        assert_eq!(list.refuses(&own, NOW).is_some(), is_refused, "{target}");
        assert_eq!(list.refuses(&own, NOW + 99).is_some(), is_refused, "{target}");
        assert!(list.refuses(&own, NOW + 100).is_none(), "{target}: it has ended");
    }
    let nameless = Presented { token_id: None, kid: None, ..own };
    let list = list([entry(jti("a"), NOW, NOW + 9), entry(key("https://i.example", "k1"), NOW, NOW + 9)]);
    assert!(list.refuses(&nameless, NOW).is_none());
}

#[test]
fn a_token_is_hashed_at_most_once_per_check() {
    let hashed = |list: &Denylist| {
        let count = std::cell::Cell::new(0);
        let refused = list.refuses_by(&presented(), NOW, || {
            count.set(count.get() + 1);
            Digest::of(b"e30.e30")
        });
        (refused.is_some(), count.get())
    };
    let others = || (0..230_u8).map(|n| entry(Target::Token(Digest::of(&[n])), NOW, NOW + 9));
    assert_eq!(hashed(&list([])), (false, 0));
    assert_eq!(hashed(&list([entry(jti("b"), NOW, NOW + 9)])), (false, 0));
    assert_eq!(hashed(&list(others())), (false, 1));
    let own = entry(Target::Token(Digest::of(b"e30.e30")), NOW, NOW + 9);
    assert_eq!(hashed(&list(others().chain([own]))), (true, 1));
    let ended = (0..9_u8).map(|n| entry(Target::Token(Digest::of(&[n])), NOW - 9, NOW));
    assert_eq!(hashed(&list(ended)), (false, 0));
}

#[test]
fn a_customers_later_tokens_are_good() {
    let list = list([entry(Target::Customer(EntryKey::customer("v", "anna")), NOW, NOW + 100)]);
    for (issued_at, is_refused) in [(Some(NOW), true), (Some(NOW + 1), false), (None, true)] {
        let token = Presented { issued_at, ..presented() };
        assert_eq!(list.refuses(&token, NOW + 2).is_some(), is_refused, "{issued_at:?}");
    }
}

#[test]
fn a_lift_outlasts_publishers_that_have_not_seen_it() {
    let revoked = list([entry(jti("a"), 10, 100)]);
    let lift = Denied { is_lifted: true, ..entry(jti("a"), 20, 100) };
    let mut lifted = revoked.clone();
    lifted.add(lift.clone());
    assert!(revoked.refuses(&presented(), 50).is_some() && lifted.refuses(&presented(), 50).is_none());
    let mut merged = lifted.clone();
    merged.merge(&revoked, 50);
    assert_eq!(merged, lifted);
    let mut merged = revoked.clone();
    merged.merge(&lifted, 50);
    assert_eq!(merged, lifted);
    assert!(lifted.has_all_of(&revoked, 50) && !revoked.has_all_of(&list([entry(jti("b"), 9, 99)]), 50));
    // Revoked again, later.
    merged.add(entry(jti("a"), 30, 100));
    assert!(merged.refuses(&presented(), 50).is_some());
}

#[test]
fn entries_that_have_ended_are_dropped_a_little_later() {
    let mut denylist = list([entry(jti("a"), 10, 100), entry(jti("b"), 10, 200)]);
    denylist.merge(&Denylist::default(), 100 + DENYLIST_GRACE_SECS - 1);
    assert_eq!(denylist.entries().len(), 2);
    denylist.merge(&Denylist::default(), 100 + DENYLIST_GRACE_SECS);
    assert_eq!(denylist, list([entry(jti("b"), 10, 200)]));
}

/// Pins the JSON inside published heads.
#[test]
fn json_is_pinned() {
    let key = Target::IssuerKey { issuer: "https://i.example".into(), kid: "k".into() };
    let mut denylist = list([
        Denied { reason: "stolen".into(), ..entry(jti("a"), 1, 2) },
        entry(Target::Token(Digest([0; 32])), 1, 2),
        entry(Target::Customer(EntryKey([0xab; 16])), 1, 2),
    ]);
    denylist.add(Denied { is_lifted: true, ..entry(key, 1, 2) });
    let text = format!(
        r#"[{{"jti":"a","reason":"stolen","since":1,"until":2}},{{"since":1,"token":"{}","until":2}},{{"customer":"{}","since":1,"until":2}},{{"issuer":"https://i.example","kid":"k","lifted":true,"since":1,"until":2}}]"#,
        "0".repeat(64),
        "ab".repeat(16)
    );
    assert_eq!(serde_json::to_string(&denylist).unwrap(), text);
    assert_eq!(Denylist::parse(&serde_json::from_str(&text).unwrap()), Some(denylist));
}

#[test]
fn invalid_entries_are_refused_and_unknown_kinds_skipped() {
    let long = "a".repeat(DENIED_TEXT_MAX_BYTES + 1);
    for wrong in [
        json!({}),
        json!(["jti"]),
        json!([{"jti": 1, "since": 1, "until": 2}]),
        json!([{"jti": long, "since": 1, "until": 2}]),
        json!([{"jti": "a", "since": 1}]),
        json!([{"token": "00", "since": 1, "until": 2}]),
        json!([{"customer": format!("+{}", "0".repeat(31)), "since": 1, "until": 2}]),
    ] {
        assert_eq!(Denylist::parse(&wrong), None, "{wrong}");
    }
    let later = json!([{"device": "x"}, {"jti": "a", "since": 1, "until": 2}]);
    assert_eq!(Denylist::parse(&later), Some(list([entry(jti("a"), 1, 2)])));
}

fn any_list() -> impl Strategy<Value = Denylist> {
    let one = ("[a-c]", 0_i64..6, 0_i64..900, any::<bool>())
        .prop_map(|(name, since, until, is_lifted)| Denied { is_lifted, ..entry(jti(&name), since, until) });
    proptest::collection::vec(one, 0..6).prop_map(list)
}

proptest! {
    /// Publishers may see each other's entries in any order and more than once.
    #[test]
    fn merging_forgets_nothing_and_ends_in_the_same_list(a in any_list(), b in any_list(), now in 0_i64..900) {
        let merged = |one: &Denylist, other: &Denylist| {
            let mut merged = one.clone();
            merged.merge(other, now);
            merged.entries.sort_by_key(|entry| entry.target.to_string());
            merged
        };
        let both = merged(&a, &b);
        prop_assert_eq!(&both, &merged(&b, &a));
        prop_assert_eq!(&both, &merged(&both, &a));
        prop_assert!(both.has_all_of(&a, now) && both.has_all_of(&b, now));
    }
}
