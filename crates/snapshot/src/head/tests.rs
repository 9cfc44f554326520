use super::*;

fn head(seq: u64, as_of: UnixSecs) -> Head {
    let digest = Digest([0; 32]);
    Head { customers: 1, items: 2, ..Head::new(seq, as_of, digest, digest) }
}

#[test]
fn seq_never_falls() {
    let current = head(5, 100);
    assert_eq!(head(6, 90).may_follow(Some(&current), 200, 0), Ok(()));
    assert_eq!(head(5, 101).may_follow(Some(&current), 200, 0), Ok(()));
    let older = Err(HeadError::Older { seq: 5, current: 5 });
    assert_eq!(head(5, 99).may_follow(Some(&current), 200, 0), older);
    let older = Err(HeadError::Older { seq: 4, current: 5 });
    assert_eq!(head(4, 150).may_follow(Some(&current), 200, 0), older);
    assert_eq!(head(1, 150).may_follow(None, 200, 0), Ok(()));
}

#[test]
fn a_head_from_the_future_or_of_another_format_is_refused() {
    assert_eq!(head(1, 300).may_follow(None, 200, 100), Ok(()));
    assert_eq!(head(1, 301).may_follow(None, 200, 100), Err(HeadError::FromTheFuture));
    for (format, expected) in
        [(0, Err(HeadError::Format(0))), (1, Ok(())), (3, Ok(())), (4, Err(HeadError::Format(4)))]
    {
        let other = Head { format, ..head(1, 1) };
        assert_eq!(other.may_follow(None, 200, 0), expected);
        assert_eq!(other.may_follow(Some(&head(1, 1)), 200, 0), expected, "a rollback across formats");
    }
}

/// Pins the JSON of published heads: a change here changes the format and needs a migration plan.
#[test]
fn json_is_pinned() {
    let zeros = "0".repeat(64);
    let json = format!(
        r#"{{"format":3,"seq":5,"as_of":100,"index":"{zeros}","directory":"{zeros}","customers":1,"items":2}}"#
    );
    assert_eq!(serde_json::to_string(&head(5, 100)).unwrap(), json);
    assert_eq!(serde_json::from_str::<Head>(&json).unwrap(), head(5, 100));
    assert!(serde_json::from_str::<Head>(&json.replace("000\"", "00x\"")).is_err());
    let rolled_back = Head { origin_seq: Some(3), published_at: Some(120), ..head(5, 100) };
    let more = json.replace(r#""as_of":100"#, r#""origin_seq":3,"as_of":100,"published_at":120"#);
    assert_eq!(serde_json::to_string(&rolled_back).unwrap(), more);
    assert_eq!(serde_json::from_str::<Head>(&more).unwrap(), rolled_back);
    assert_eq!((head(5, 100).origin_seq(), rolled_back.origin_seq()), (5, 3));
    let renewed = head(5, 100).renewed(160);
    let more = json.replace(r#""as_of":100"#, r#""as_of":160,"changed_at":100"#);
    assert_eq!(serde_json::to_string(&renewed).unwrap(), more);
    assert_eq!(serde_json::from_str::<Head>(&more).unwrap(), renewed);
}

#[test]
fn a_head_of_another_store_or_below_the_floor_is_refused() {
    let of = |aud: Option<&str>| Head { aud: aud.map(str::to_owned), ..head(5, 100) };
    let rules =
        |audience: Option<&str>, min_seq| HeadRules { audience: audience.map(str::to_owned), min_seq };
    assert_eq!(of(None).check(&rules(None, 5)), Ok(()));
    assert_eq!(of(Some("staging")).check(&rules(None, 0)), Ok(()), "without the variable any is taken");
    assert_eq!(of(Some("production")).check(&rules(Some("production"), 0)), Ok(()));
    for found in [None, Some("staging"), Some("Production"), Some("")] {
        let error = of(found).check(&rules(Some("production"), 0)).unwrap_err();
        assert!(matches!(error, HeadError::OtherStore { .. }), "{error}");
        assert!(error.to_string().contains("\"production\" (SNAPSHOT_AUDIENCE)"), "{error}");
    }
    let floor = Err(HeadError::BelowFloor { seq: 5, floor: 6 });
    assert_eq!(of(None).check(&rules(None, 6)), floor);
}

#[test]
fn a_store_has_a_plain_name() {
    for name in ["production", "eu-1.tv/prod:2", &"a".repeat(HEAD_TEXT_MAX_BYTES)] {
        assert!(is_audience(name), "{name}");
    }
    for name in ["", " ", "a b", "a\n", "\"", "ä", &"a".repeat(HEAD_TEXT_MAX_BYTES + 1)] {
        assert!(!is_audience(name), "{name}");
    }
}

#[test]
fn a_renewed_head_says_the_same_later_and_since_when() {
    let first = head(5, 100);
    let renewed = first.renewed(160).renewed(220);
    assert_eq!((first.changed_at(), renewed.as_of, renewed.changed_at()), (100, 220, 100));
    assert!(renewed.says_the_same(&first) && !renewed.says_the_same(&head(6, 220)));
    assert_eq!(renewed.may_follow(Some(&first), 220, 0), Ok(()));
    let older = Err(HeadError::Older { seq: 5, current: 5 });
    assert_eq!(first.may_follow(Some(&renewed), 220, 0), older);
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let json = serde_json::to_value(head(5, 100)).unwrap();
    let with = |name: &str, value: Value| {
        let mut changed = json.clone();
        changed[name] = value;
        Head::try_from(changed)
    };
    for name in ["format", "seq", "as_of", "index", "directory", "customers", "items"] {
        assert_eq!(with(name, Value::Null), Err(name));
        assert_eq!(with(name, "x".into()), Err(name));
        assert_eq!(with(name, 1.5.into()), Err(name));
    }
    assert_eq!(with("format", 256.into()), Err("format"));
    assert_eq!(with("seq", (-1).into()), Err("seq"));
    let set_aside = Head { set_aside: Some(3), ..head(5, 100) };
    assert_eq!(with("set_aside", 3.into()), Ok(set_aside));
    let named = Head { aud: Some("a".into()), ..head(5, 100) };
    assert_eq!(with("aud", "a".into()), Ok(named));
    for name in ["origin_seq", "changed_at", "published_at", "delta", "set_aside", "denylist"] {
        assert_eq!(with(name, Value::Null), Ok(head(5, 100)));
        assert_eq!(with(name, "x".into()), Err(name));
    }
    for name in ["aud", "published_by"] {
        assert_eq!(with(name, Value::Null), Ok(head(5, 100)));
        assert_eq!(with(name, 1.into()), Err(name));
        assert_eq!(with(name, "a".repeat(HEAD_TEXT_MAX_BYTES + 1).into()), Err(name));
    }
    assert_eq!(with("what", true.into()), Ok(head(5, 100)), "what a later version may say");
    assert_eq!(Head::try_from(Value::Null), Err("format"));
}
