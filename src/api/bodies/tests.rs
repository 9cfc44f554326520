use serde_json::{Value, json};

use super::*;
use crate::{
    entitlement::Reason,
    limits::{ACCESS_FRAME_BYTES, CUSTOMER_MAX_BYTES, DETAILS_MAX_BYTES, LICENSE_MAX_BYTES, PAGE_SURE_ITEMS},
    snapshot::{cost::held_entry, directory::LicenseEntry, item::NewItem, schema::LicenseState},
};

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn record() -> Vec<u8> {
    let fees = vec![FeeRecord { id: 5, details: r#""id":5,"amount":9.99}"# }];
    let details = r#""id":33,"title":"Foo \"bar\""}"#;
    NewItem { id: 33, merchant_id: 21, content: r#""{\"video_id\":1}""#, details, fees, ..NewItem::default() }
        .encode()
}

const GRANT: Grant = Grant {
    reason: Reason::ItemAccess,
    access_id: 44,
    created_at: 1,
    starts_at: None,
    expires_at: 9,
    renews_on: None,
    renews: false,
};

#[test]
fn access_has_content_and_details_do_not() {
    let record = record();
    let item_record = ItemRecord::new(&record).unwrap();
    let viewer = Viewer { customer_id: 33, customer_uuid: "11a7", ip_address: "2001:db8::1", country: "DE" };
    let body = parsed(&access(&GRANT, &viewer, &item_record).unwrap());
    let expected = json!({
        "id": 44, "account_id": 21, "customer_id": 33, "customer_uuid": "11a7", "ip_address": "2001:db8::1",
        "country_code": "DE", "created_at": 1, "expires_at": 9,
        "item": {"content": "{\"video_id\":1}", "id": 33, "title": "Foo \"bar\""},
    });
    assert_eq!(body, expected);
    assert_eq!(parsed(&item(&item_record).unwrap()), json!({"id": 33, "title": "Foo \"bar\""}));
    let fees = item_record.fees().unwrap();
    let expected = json!({"id": 5, "amount": 9.99, "item": {"id": 33, "title": "Foo \"bar\""}});
    assert_eq!(parsed(&fee(&item_record, &fees[0]).unwrap()), expected);
}

#[test]
fn headers_of_clients_cannot_break_the_body() {
    let record = record();
    let item_record = ItemRecord::new(&record).unwrap();
    let viewer =
        Viewer { customer_id: 0, customer_uuid: "a\"b\\\u{1}é", ip_address: "1\",\"x\":\"", country: "\"}" };
    let grant = Grant { starts_at: Some(-62_135_596_800), ..GRANT };
    let body = parsed(&access(&grant, &viewer, &item_record).unwrap());
    assert_eq!(body["customer_uuid"], "a\"b\\\u{1}é");
    assert_eq!(body["ip_address"], "0.0.0.0");
    assert_eq!(body["country_code"], "XX");
    assert_eq!(body["starts_at"], -62_135_596_800_i64);
}

#[test]
fn a_page_of_items() {
    let record = record();
    let items = vec![ItemRecord::new(&record).unwrap(); 2];
    let body = parsed(&package_items(3, 2, 2, 2, &items).unwrap());
    let item = json!({"id": 33, "title": "Foo \"bar\""});
    assert_eq!(body, json!({"total": 3, "page": 2, "offset": 2, "limit": 2, "collection": [item, item]}));
    let body = parsed(&package_items(0, 1, 0, 25, &[]).unwrap());
    assert_eq!(body, json!({"total": 0, "page": 1, "offset": 0, "limit": 25, "collection": []}));
}

/// An item with details and content of these lengths, and a fee for each of `fees`, which are lengths too.
fn long(details: usize, content: usize, fees: &[usize]) -> Vec<u8> {
    let text = "x".repeat(details.max(content).max(fees.iter().copied().max().unwrap_or_default()));
    let fees = (1..).zip(fees).map(|(id, bytes)| FeeRecord { id, details: &text[..*bytes] }).collect();
    NewItem { details: &text[..details], content: &text[..content], fees, ..NewItem::default() }.encode()
}

fn list(item: &ItemRecord<'_>) -> Result<String, TooLarge> {
    fees(item, item.fee_list().unwrap().iter(), &ItemCost::of(item).unwrap())
}

#[test]
fn the_length_of_a_body_is_known_before_it_is_written() {
    for lengths in [&[][..], &[7], &[300, 1, 90_000, 0]] {
        let record = long(1_000, 10, lengths);
        let item_record = ItemRecord::new(&record).unwrap();
        let list = list(&item_record).unwrap();
        assert_eq!(list.len(), ItemCost::of(&item_record).unwrap().fees_answer());
        assert_eq!(list.len(), list.capacity());
        let whole = item(&item_record).unwrap();
        assert_eq!((whole.len(), whole.capacity()), (1_001, 1_001));
        for one in item_record.fee_list().unwrap().iter() {
            let one = fee(&item_record, &one).unwrap();
            assert_eq!(one.len(), one.capacity());
        }
    }
}

#[test]
fn an_answer_at_the_budget_is_given_and_one_byte_more_is_not() {
    let each = "{\"item\":{,".len();
    let over = |bytes: usize, by: usize| Err(TooLarge { bytes: bytes + by });
    for by in [0, 1] {
        let details = ANSWER_MAX_BYTES - 1 + by;
        let found = item(&ItemRecord::new(&long(details, 0, &[])).unwrap()).map(|body| body.len());
        assert_eq!(found, if by == 0 { Ok(ANSWER_MAX_BYTES) } else { over(ANSWER_MAX_BYTES, by) });
        // Two fees, one comma and two brackets.
        let last = ANSWER_MAX_BYTES - 2 * (each + 65_000) - 3 - 100 + by;
        let found = list(&ItemRecord::new(&long(65_000, 0, &[100, last])).unwrap()).map(|body| body.len());
        assert_eq!(found, if by == 0 { Ok(ANSWER_MAX_BYTES) } else { over(ANSWER_MAX_BYTES, by) });
        let content = ANSWER_MAX_BYTES - ACCESS_FRAME_BYTES - 500 + by;
        let viewer = Viewer {
            customer_id: i64::MIN,
            customer_uuid: &"\u{1}".repeat(CUSTOMER_MAX_BYTES),
            ip_address: "2001:db8:85a3:8d3:1319:8a2e:370:7348",
            country: "DE",
        };
        let grant = Grant {
            access_id: i64::MIN,
            created_at: i64::MIN,
            starts_at: Some(i64::MIN),
            expires_at: i64::MIN,
            ..GRANT
        };
        let record = long(500, content, &[]);
        let found = access(&grant, &viewer, &ItemRecord::new(&record).unwrap());
        let found = found.map(|body| (body.len() / 1024).min(ANSWER_MAX_BYTES / 1024));
        assert_eq!(found, if by == 0 { Ok(ANSWER_MAX_BYTES / 1024 - 1) } else { over(ANSWER_MAX_BYTES, by) });
    }
    let record = long(DETAILS_MAX_BYTES, 0, &[]);
    let items = vec![ItemRecord::new(&record).unwrap(); 100];
    let page = |count: usize| package_items(usize::MAX, u32::MAX, u64::MAX, count, &items[..count]);
    assert!(page(PAGE_SURE_ITEMS).unwrap().len() <= ANSWER_MAX_BYTES);
    assert!(page(PAGE_SURE_ITEMS + 1).is_err(), "as many as fit");
    assert_eq!(page(100).unwrap_err().bytes, PAGE_FRAME_BYTES + 100 * (DETAILS_MAX_BYTES + 2));
}

#[test]
fn the_sums_do_not_wrap() {
    let cost = ItemCost { details: usize::MAX / 2, content: usize::MAX, fees: usize::MAX, fees_details: 9 };
    assert_eq!(
        (cost.fees_answer(), cost.access_answer(), cost.fee_answer(9)),
        (usize::MAX, usize::MAX, usize::MAX / 2 + 19)
    );
}

#[test]
fn licences_are_listed_up_to_the_budget() {
    let entry = |bytes: usize| LicenseEntry {
        app: 0,
        rank: 0,
        state: LicenseState::Pending,
        is_test_mode: true,
        name: "\u{1}".repeat(20),
        json: format!("\"{}\"", "x".repeat(bytes - 2)),
    };
    let (long, short) = (entry(LICENSE_MAX_BYTES), entry(2));
    let listed = |entry, count| license(None, None, &vec![HeldEntry::Test(entry); count], 0);
    for count in 0..100 {
        let longest = LICENSES_FRAME_BYTES + count * held_entry(&long.name, long.json.len());
        match listed(&long, count) {
            Ok(body) => assert!(body.len() <= ANSWER_MAX_BYTES && body.len() <= longest, "{count}"),
            Err(error) => {
                assert!(longest > ANSWER_MAX_BYTES && error.bytes > ANSWER_MAX_BYTES, "{count}")
            }
        }
    }
    assert!(listed(&long, 60).is_ok() && listed(&long, 70).is_err());
    assert!(listed(&short, LICENSES_MAX).is_ok() && listed(&short, LICENSES_MAX + 1).is_err());
}

#[test]
fn licences_without_an_app_are_an_empty_list() {
    let body = parsed(&license(None, None, &[], 0).unwrap());
    assert_eq!(body, json!({"plan_id": null, "client_id": null, "items": []}));
}
