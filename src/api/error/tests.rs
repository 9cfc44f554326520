use std::collections::BTreeSet;

use super::*;

#[test]
fn every_message_is_in_the_list_once() {
    let messages: BTreeSet<_> =
        ApiError::all().map(|error| (error.status(), error.field(), error.message())).collect();
    assert_eq!(messages.len(), ApiError::all().count());
    assert!(messages.iter().all(|(_, _, message)| !message.is_empty()));
}

#[test]
fn bodies_have_the_form_that_clients_decode() {
    assert_eq!(
        ApiError::NoAccess.body(),
        r#"{"code":402,"message":"No access","errors":{"402":"No access"}}"#
    );
    assert_eq!(
        ApiError::INVALID_ID.body(),
        r#"{"code":422,"message":"The id must be a positive integer","errors":{"id":"The id must be a positive integer"}}"#
    );
}

#[test]
fn words_of_the_api_differ_from_those_of_a_gateway() {
    let is_body = |status, body: &str| {
        ApiError::is_body(status, serde_json::from_str::<Value>(body).unwrap().as_object().unwrap())
    };
    for error in ApiError::all() {
        // Errors of the service are not the client's, and the 422 of access checks names no field.
        // A 400 is not an answer that an upstream gives to a check or a write.
        let is_clients =
            error.status() < 500 && error.status() != 400 && error != ApiError::InvalidIdOnAccess;
        assert_eq!(is_body(error.status(), &error.body()), is_clients, "{error:?}");
        assert!(!is_body(400, &error.body()), "{error:?}");
    }
    assert!(is_body(409, &ApiError::LeaseHeld.body_with("Another publisher holds the lease: a, until 9")));
    for body in [
        r#"{"code":403,"message":"Forbidden"}"#,
        r#"{"code":403,"message":"Forbidden","errors":{}}"#,
        r#"{"code":403,"message":"Forbidden","errors":{"403":"Forbidden"}}"#,
        r#"{"code":403,"message":"Forbidden","errors":["Forbidden"]}"#,
        r#"{"code":403,"message":"Invalid privileges"}"#,
        r#"{"code":403,"message":"Invalid privileges","errors":{"403":"Forbidden"}}"#,
        r#"{"code":"403","message":"Invalid privileges","errors":{"403":"Invalid privileges"}}"#,
    ] {
        assert!(!is_body(403, body), "{body}");
    }
}

#[test]
fn details_are_escaped() {
    let body: Value = serde_json::from_str(&ApiError::LeaseHeld.body_with("a\"b\\\n{}")).unwrap();
    assert_eq!((&body["code"], &body["message"]), (&409.into(), &"a\"b\\\n{}".into()));
    assert_eq!(body["errors"]["409"], body["message"]);
}

#[test]
fn limits_in_messages_are_those_of_the_service() {
    use crate::limits::{CHECK_MAX_OBJECTS, PACK_MAX_OBJECTS};
    for limit in [PACK_MAX_OBJECTS, CHECK_MAX_OBJECTS] {
        assert!(ApiError::TooManyObjects.message().starts_with(&format!("More than {limit} objects")));
    }
}

#[test]
fn statuses_and_messages_of_the_contract() {
    let table = [
        (ApiError::InvalidToken, 401, "Invalid auth token"),
        (ApiError::NoAccess, 402, "No access"),
        (ApiError::InvalidPrivileges, 403, "Invalid privileges"),
        (ApiError::ItemNotFound, 404, "Item not found"),
        (ApiError::FeeNotFound, 404, "Access fee not found"),
        (ApiError::InvalidIdOnAccess, 422, "No access"),
    ];
    for (error, status, message) in table {
        assert_eq!((error.status(), error.message()), (status, message));
    }
}
