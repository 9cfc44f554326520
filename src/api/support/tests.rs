use proptest::prelude::*;

use super::*;
use crate::api::authzen::Cursor;

const UUID: &str = "22eb023f-a94b-49a8-9304-c220ab90301f";

#[test]
fn customers_are_named_in_four_ways() {
    let key = EntryKey::customer("vendor", UUID);
    let digits: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let upper = digits.to_uppercase();
    for (segment, who) in [
        ("me", Some(Who::Me)),
        (&digits, Some(Who::Key(key))),
        (&upper, Some(Who::Key(key))),
        (UUID, Some(Who::Uuid(UUID.into()))),
        ("vendor:a%2Fb", Some(Who::Name("vendor:a/b".into()))),
        ("a:b:c", Some(Who::Name("a:b:c".into()))),
        ("m%65", Some(Who::Me)),
        ("", None),
        ("88011", None),
        ("anna", None),
        ("vendor:%ff", None),
        ("+2eb023fa94b49a89304c220ab90301f", None),
    ] {
        assert_eq!(Who::parse(segment), who, "{segment}");
    }
}

#[test]
fn parameters_are_checked() {
    let token = PageToken { question: 1, limit: 2, cursor: Cursor(3, 4) };
    let text = token.text();
    for (query, expected) in [
        ("", Ok(Look::default())),
        ("at=&page_token=", Ok(Look::default())),
        ("at=1900000000", Ok(Look { at: Some(1_900_000_000), token: None })),
        ("at=1970-01-01T00:01:00Z", Ok(Look { at: Some(60), token: None })),
        ("at=tomorrow", Err(ApiError::INVALID_AT)),
        ("at=1795311834000", Err(ApiError::INVALID_AT)),
        (&format!("page_token={text}"), Ok(Look { at: None, token: Some(token) })),
        ("page_token=x", Err(ApiError::INVALID_PAGE_TOKEN)),
    ] {
        assert_eq!(Look::of(query), expected, "{query}");
    }
    let uuid = Wanted::Uuid(UUID.parse().unwrap());
    for (query, expected) in [
        ("number=88011", Ok(Wanted::Number(88_011))),
        ("number=-1&uuid=x", Ok(Wanted::Number(-1))),
        (&format!("uuid={UUID}&number="), Ok(uuid)),
        ("", Err(ApiError::INVALID_NUMBER)),
        ("number=", Err(ApiError::INVALID_NUMBER)),
        ("number=1e3", Err(ApiError::INVALID_NUMBER)),
        ("number=9223372036854775808", Err(ApiError::INVALID_NUMBER)),
        ("uuid=x", Err(ApiError::INVALID_NUMBER)),
        ("number=1&page_token=x", Err(ApiError::INVALID_PAGE_TOKEN)),
    ] {
        assert_eq!(Find::of(query).map(|find| find.wanted), expected, "{query}");
    }
}

#[test]
fn a_token_is_read_and_not_shown() {
    let read = |body: &str| Presented::read(body.as_bytes());
    let token = read(r#"{"token": " Bearer a.b.c\n", "more": 1}"#).unwrap();
    assert_eq!((token.as_header(), format!("{token:?}").as_str()), ("Bearer a.b.c", "Presented(12 bytes)"));
    for (body, error) in [
        ("", ApiError::NOT_JSON),
        ("[]", ApiError::NOT_JSON),
        ("{}", ApiError::INVALID_TOKEN_TEXT),
        (r#"{"token": null}"#, ApiError::INVALID_TOKEN_TEXT),
        (r#"{"token": 5}"#, ApiError::INVALID_TOKEN_TEXT),
    ] {
        assert_eq!(read(body), Err(error), "{body}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in any::<String>(), odd in "[0-9a-f%:.=&-]{0,60}") {
        for text in [text, odd] {
            let _ = (Who::parse(&text), Look::of(&text), Find::of(&text), Presented::read(text.as_bytes()));
        }
    }
}
