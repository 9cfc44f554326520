//! Checks of several items in one request: the reader of their numbers, and the body of the answer.

use super::{contract::Id, query};
use crate::{limits::CHECKS_MAX_ITEMS, snapshot::time::UnixSecs};

/// The item numbers that the parameter `items` of a query lists, separated by commas, each once, in the order of the
/// query. `None` unless they are 1 to [`CHECKS_MAX_ITEMS`] numbers.
///
/// ```
/// use admit::api::checks::item_ids;
///
/// assert_eq!(item_ids("items=5102,5101,5102"), Some(vec![5102, 5101]));
/// assert_eq!(item_ids("items=5102,x"), None);
/// ```
#[must_use]
pub fn item_ids(query: &str) -> Option<Vec<i64>> {
    let items = query::last(query, "items")??;
    let mut item_ids = Vec::new();
    for (position, item) in items.split(',').enumerate() {
        let item_id = Id::from(item).number().filter(|_| position < CHECKS_MAX_ITEMS)?;
        if !item_ids.contains(&item_id) {
            item_ids.push(item_id);
        }
    }
    Some(item_ids)
}

/// The body for `/access`: of each item its number and, if the viewer may play it, when the access ends, unix seconds; else
/// the status of the single check.
#[must_use]
pub fn body(answers: impl ExactSizeIterator<Item = (i64, Result<UnixSecs, u16>)>) -> String {
    // The longest entry has 74 bytes, most have 52.
    let mut body = String::with_capacity(16 + 64 * answers.len());
    body.push_str(r#"{"items":["#);
    let mut number = itoa::Buffer::new();
    for (position, (item_id, answer)) in answers.enumerate() {
        body.push_str(if position == 0 { r#"{"id":"# } else { r#",{"id":"# });
        body.push_str(number.format(item_id));
        match answer {
            Ok(expires_at) => {
                body.push_str(r#","access":true,"expires_at":"#);
                body.push_str(number.format(expires_at));
            }
            Err(code) => {
                body.push_str(r#","access":false,"code":"#);
                body.push_str(number.format(i64::from(code)));
            }
        }
        body.push('}');
    }
    body.push_str("]}");
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn numbers_are_listed_once_each_in_the_order_of_the_query() {
        for (query, expected) in [
            ("items=1", Some(vec![1])),
            ("items=3,1,2", Some(vec![3, 1, 2])),
            ("items=3,1,3,3,2,1", Some(vec![3, 1, 2])),
            ("items=007,7", Some(vec![7])),
            ("items=1%2C2", Some(vec![1, 2])),
            ("items=9223372036854775807", Some(vec![i64::MAX])),
            ("items=1&x=2&items=5", Some(vec![5])),
            ("", None),
            ("items", None),
            ("items=", None),
            ("item=1", None),
            ("items=,", None),
            ("items=1,", None),
            ("items=,1", None),
            ("items=1,,2", None),
            ("items=0", None),
            ("items=-1", None),
            ("items=+1", None),
            ("items=1.0", None),
            ("items=1 2", None),
            ("items=1,x", None),
            ("items=%", None),
            ("items=%ff", None),
            ("items=9223372036854775808", None),
        ] {
            assert_eq!(item_ids(query), expected, "{query}");
        }
    }

    #[test]
    fn at_most_two_hundred_numbers_are_asked_for_repeated_or_not() {
        let query = |count: usize, item: &str| format!("items={}", vec![item; count].join(","));
        assert_eq!(item_ids(&query(200, "7")), Some(vec![7]));
        assert_eq!(item_ids(&query(201, "7")), None);
        let distinct: Vec<_> = (1..=200).map(|id: i64| id.to_string()).collect();
        assert_eq!(item_ids(&format!("items={}", distinct.join(","))).map(|ids| ids.len()), Some(200));
    }

    #[test]
    fn a_body_has_an_entry_for_each_item() {
        let answers = [(5101, Ok(1_800_000_000)), (5102, Err(402)), (9, Err(404))];
        let expected = r#"{"items":[{"id":5101,"access":true,"expires_at":1800000000},{"id":5102,"access":false,"code":402},{"id":9,"access":false,"code":404}]}"#;
        assert_eq!(body(answers.into_iter()), expected);
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_panic(query in "(items=)?[0-9,%ax&=]{0,40}") {
            if let Some(ids) = item_ids(&query) {
                prop_assert!(!ids.is_empty() && ids.iter().all(|id| *id > 0));
            }
        }

        #[test]
        fn every_body_is_json(answers in prop::collection::vec((any::<i64>(), prop::result::maybe_ok(any::<i64>(), any::<u16>())), 0..20)) {
            let shown: Value = serde_json::from_str(&body(answers.clone().into_iter())).unwrap();
            let expected = answers.into_iter().map(|(id, answer)| match answer {
                Ok(expires_at) => json!({"id": id, "access": true, "expires_at": expires_at}),
                Err(code) => json!({"id": id, "access": false, "code": code}),
            });
            prop_assert_eq!(shown, json!({"items": expected.collect::<Vec<_>>()}));
        }
    }
}
