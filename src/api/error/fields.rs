//! Errors about one field, parameter or header of a request (400, 415 and 422): its name and the expectation.

use super::{ApiError, FieldError};

/// Declares the errors and the list of them all, so that none can be left out.
macro_rules! errors {
    ($variant:ident, $all:ident: $($name:ident $field:literal $expected:literal)+) => {
        impl ApiError {
            $(
                #[doc = concat!("`", $field, "`: ", $expected, ".")]
                pub const $name: Self = Self::$variant(FieldError { name: $field, expected: $expected });
            )+
        }

        /// All of them.
        pub(super) const $all: &[ApiError] = &[$(ApiError::$name),+];
    };
}

errors! {
    InvalidField, INVALID_FIELDS:
    INVALID_ID "id" "The id must be a positive integer"
    INVALID_ITEMS "items" "The items must be 1 to 200 positive integers, separated by commas"
    INVALID_FEE_ID "fee_id" "The fee_id must be a positive integer"
    INVALID_MEDIA_ID "media_id" "The media_id must be 1 to 128 letters, digits, -, _ and ."
    INVALID_EXTERNAL_ID "external_id" "The external_id must be 1 to 256 bytes of UTF-8, percent-encoded, after a type of letters, digits, - and _"
    INVALID_MERCHANT_UUID "merchant_uuid" "The merchant_uuid must be a UUID"
    SHARED_EXTERNAL_ID "merchant_uuid" "The merchant_uuid is required, because items of several merchants have this external id"
    INVALID_MEDIA_URL "url" "The url must be one of the item's media"
    INVALID_PAGE "page" "The page must be a positive integer"
    INVALID_STATUS "status" "The status must be active or inactive"
    INVALID_PURCHASE_PAGE "page" "The page must be an integer; the first one is 0"
    INVALID_SIZE "size" "The size must be an integer from 1 to 100"
    INVALID_LIMIT "limit" "The limit must be an integer from 1 to 100"
    LARGE_PAGE "limit" "The limit makes a page of more than 1 MiB: 15 items always fit"
    INVALID_IDEMPOTENCY_KEY "Idempotency-Key" "The Idempotency-Key must have visible ASCII characters only"
    LONG_SIGN_IN_QUERY "query" "The query of a sign-in must have at most 16384 bytes"
    MANY_SIGN_IN_FIELDS "body" "A sign-in must have at most 32 fields"
    INTERRUPTED_BODY "body" "The body ended early"
    NOT_THE_OBJECT "body" "The body does not have the digest and the header that its name says"
    NOT_A_PACK "body" "The body is not a pack of objects"
    NOT_OBJECT_NAMES "body" "Every line must be the name of an object"
    NOT_A_HEAD "body" "The body is not a head that a key of SNAPSHOT_KEYS has signed"
    INCOMPLETE_HEAD "body" "An object that the head names is not stored"
    FUTURE_HEAD "as_of" "The head's as_of lies in the future"
    OTHER_FORMAT "format" "The head names another format"
    OTHER_STORE "aud" "The head is for another store"
    SEQ_BELOW_FLOOR "seq" "The head's seq is below SNAPSHOT_MIN_SEQ"
    OTHER_SEQ "seq" "The head has another seq than its key"
    NOT_A_LEASE "body" "The body is not a lease"
    LEASE_END "until" "A lease must end within 600 s from now, by the clock of this service"
    INVALID_WHO "who" "The customer must be me, a UUID, a key of 32 hexadecimal digits, or namespace:subject, percent-encoded"
    SHARED_UUID "who" "The customer must be namespace:subject, because customers of several namespaces have this UUID"
    INVALID_AT "at" "The at must be unix seconds or a time such as 2030-01-03T00:00:00Z"
    INVALID_NUMBER "number" "The number must be an integer, or in its place the uuid a UUID"
    INVALID_PAGE_TOKEN "page_token" "The page_token must be one that this route has answered to the same question"
    INVALID_PREFIX "prefix" "The prefix must be shard/, page/, index/, delta/, directory/ or version/, with or without digits after it"
    INVALID_CURSOR "cursor" "The cursor must be one that this route has answered"
    INVALID_FROM "from" "The from must be the seq of a version, or head"
    INVALID_TO "to" "The to must be the seq of a version, or head"
    OTHER_ITEM_KEYS "to" "The items of these versions have other keys and too many shards: compare them by admit diff"
}

errors! {
    UnsupportedHeader, UNSUPPORTED_HEADERS:
    CONTENT_ENCODING "Content-Encoding" "The body must be sent without a Content-Encoding"
    CHARSET "Content-Type" "The charset of the Content-Type must be UTF-8"
}

errors! {
    BadRequest, BAD_REQUESTS:
    NOT_JSON_TYPE "Content-Type" "The Content-Type must be application/json, in UTF-8"
    NOT_JSON "body" "The body must be a JSON object"
    INVALID_SUBJECT "subject" "The subject must be an object with the strings type and id"
    INVALID_ACTION "action" "The action must be an object with the string name"
    INVALID_RESOURCE "resource" "The resource must be an object with the strings type and id; a search needs no id"
    INVALID_CONTEXT "context" "The context must be an object, and include_free in it a boolean"
    INVALID_TIME "context" "The time of the context must be unix seconds or a time such as 2030-01-03T00:00:00Z"
    INVALID_EVALUATIONS "evaluations" "The evaluations must be an array of at most 200 objects"
    INVALID_OPTIONS "options" "The options must be an object; evaluations_semantic in it is execute_all, deny_on_first_deny or permit_on_first_permit"
    INVALID_PAGE_OBJECT "page" "The page must be an object; limit in it is a non-negative integer, and token one that this route has answered"
    INVALID_TOKEN_TEXT "token" "The token must be a string"
    INVALID_DIFF_TOKEN "page_token" "The page_token must be one that this route has answered for the same versions"
    OTHER_QUESTION "page" "The token of the page belongs to another question or limit: begin again without a token"
}
