//! The publish API.

use admit::api::{
    contract::{Endpoint, Methods, table},
    error::ApiError,
};
use serde_json::{Value, json};

use super::Group;
use crate::{
    describe::{Ask, Caller, Description, Shape},
    headers,
    parameters::query,
    schema::{named, pattern, text},
};

const OPERATOR: Caller = Caller::Sample("operator");
const PUBLISHER: Caller = Caller::Variable("publisher");
const BYTES: &str = "application/octet-stream";
const SHARD: &str = "/snapshot/shard/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
const READ: &str = "The stored bytes.";

fn read(endpoint: &'static Endpoint, target: &'static str) -> Description {
    Description::of(endpoint, Methods::READ, READ)
        .answer("200", "The stored bytes", Shape::Bytes(BYTES))
        .errors(&[ApiError::ObjectNotFound])
        .example(Ask::new("stored", OPERATOR, target).shows(200, Value::Null))
}

fn put(endpoint: &'static Endpoint, text: &'static str, target: &'static str, key: &str) -> Description {
    Description::of(endpoint, Methods::PUT, text)
        .body(BYTES, bytes())
        .answer("201", "It is stored", Shape::Json(named("Stored")))
        .example(Ask::new("stored", PUBLISHER, target).by("PUT").shows(201, json!({ "stored": key })))
}

fn delete(endpoint: &'static Endpoint, text: &'static str, target: &'static str) -> Description {
    Description::of(endpoint, Methods::DELETE, text)
        .parameter(headers::holder())
        .answer("204", "It is removed, or was not there", Shape::Nothing)
        .errors(&[ApiError::LeaseHeld])
        .example(Ask::new("removed", PUBLISHER, target).by("DELETE").shows(204, Value::Null))
}

fn bytes() -> Value {
    json!({ "type": "string", "format": "binary" })
}

pub fn group() -> Group {
    let of_head = [
        ApiError::NOT_A_HEAD,
        ApiError::OTHER_FORMAT,
        ApiError::OTHER_STORE,
        ApiError::FUTURE_HEAD,
        ApiError::SEQ_BELOW_FLOOR,
        ApiError::LeaseHeld,
    ];
    let head = put(
        &table::HEAD,
        "Publishes. The body is the signed head, and may carry its delta behind a line feed: 1 MiB in all. The head is refused while its index, directory or delta is not stored, and one that is older than the published head always.",
        "/snapshot/head",
        "head",
    )
    .parameter(headers::holder())
    .errors(&of_head)
    .errors(&[ApiError::OlderHead, ApiError::INCOMPLETE_HEAD]);
    let version = put(
        &table::VERSION,
        "History: no isolate answers from it. The head may be older than the published one.",
        "/snapshot/version/1",
        "version/1",
    )
    .parameter(headers::holder())
    .errors(&of_head)
    .errors(&[ApiError::OTHER_SEQ]);
    let object = put(
        &table::OBJECT,
        "Changes nothing until a head leads to it.",
        SHARD,
        "shard/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
    )
    .errors(&[ApiError::NOT_THE_OBJECT]);
    let lease = put(
        &table::LEASE,
        "One publisher at a time. 409 while another one holds the lease.",
        "/snapshot/lease",
        "lease",
    )
    .errors(&[ApiError::NOT_A_LEASE, ApiError::LEASE_END, ApiError::LeaseHeld]);
    let garbage = put(
        &table::GARBAGE,
        "Belongs to `admit gc`; the Worker does not read it.",
        "/snapshot/garbage",
        "garbage",
    );
    let removed = delete(
        &table::OBJECT,
        "409 for every object that the published head leads to, or might lead to while it cannot be read.",
        SHARD,
    )
    .errors(&[ApiError::ObjectNeeded]);
    Group {
        name: "Publishing",
        text: "For `admit` and other publishers, at the edge. Every request may be repeated",
        operations: [
            vec![
                read(&table::HEAD, "/snapshot/head"),
                head,
                read(&table::OBJECT, SHARD),
                object,
                removed,
                read(&table::VERSION, "/snapshot/version/1"),
                version,
                delete(&table::VERSION, "Removes history.", "/snapshot/version/1"),
                read(&table::LEASE, "/snapshot/lease"),
                lease,
                delete(&table::LEASE, "409 while another publisher holds it.", "/snapshot/lease"),
                read(&table::GARBAGE, "/snapshot/garbage"),
                garbage,
                read(&table::START, "/snapshot/start"),
            ],
            several(),
        ]
        .concat(),
    }
}

fn several() -> Vec<Description> {
    let pack = Description::of(
        &table::PACK,
        Methods::POST,
        "Up to 40 objects and 4 MiB, one after another, each behind its length: 4 bytes, unsigned, little-endian. All are checked before any is stored.",
    )
    .body(BYTES, bytes())
    .answer("201", "All are stored", Shape::Json(named("StoredObjects")))
    .errors(&[ApiError::NOT_A_PACK, ApiError::TooManyObjects])
    .example(Ask::new("a pack", PUBLISHER, "/snapshot/pack").by("POST").shows(201, json!({ "stored": 40 })));
    let check = Description::of(
        &table::CHECK,
        Methods::POST,
        "The names of up to 40 objects, `shard/<digest>`, one a line. They are read from the store.",
    )
    .body("text/plain", text())
    .answers("Those that are missing, and those that have other bytes", named("ObjectCheck"))
    .errors(&[ApiError::NOT_OBJECT_NAMES, ApiError::TooManyObjects])
    .example(
        Ask::new("all there", PUBLISHER, "/snapshot/check")
            .by("POST")
            .shows(200, json!({ "missing": [], "broken": [] })),
    );
    let prefix = pattern("^(shard|page|index|delta|directory)/[0-9a-f]{0,64}$|^version/[0-9]{0,20}$");
    let keys = Description::of(&table::KEYS, Methods::READ, "The names of stored objects and versions.")
        .parameter(crate::parameters::required_query(
            "prefix",
            prefix,
            "The kind, and the first digits",
            "shard/",
        ))
        .parameter(query("cursor", text(), "Of the page before"))
        .answers("A page of names", named("StoredKeys"))
        .errors(&[ApiError::INVALID_PREFIX, ApiError::INVALID_CURSOR])
        .example(Ask::new("shards", OPERATOR, "/snapshot/keys?prefix=shard/"));
    let issuers = Description::of(
        &table::ISSUERS,
        Methods::READ,
        "The issuers of this edge in the order of its configuration: for publishers, and for support.",
    )
    .answers("The issuers", named("Issuers"))
    .example(Ask::new("issuers", OPERATOR, "/snapshot/issuers"));
    vec![pack, check, keys, issuers]
}
