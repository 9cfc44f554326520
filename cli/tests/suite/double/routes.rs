//! The routes of the fake Worker, with the Worker's rules.

use std::time::{SystemTime, UNIX_EPOCH};

use admit::{api::error::ApiError, limits::CHECK_MAX_OBJECTS};
use admit_snapshot::{
    head::{HEAD_TYPE, Head},
    head_value::HeadValue,
    lease::{HOLDER_HEADER, Lease},
    limits::{GARBAGE_MAX_BYTES, HEAD_MAX_BYTES, OBJECT_MAX_BYTES, PACK_MAX_BYTES},
    object::{ObjectKind, ObjectName},
    pack::unpack,
    store_key::{LEASE_KEY, StoreKey, VERSION_PREFIX},
};
use admit_testing::http::Request;
use admit_token::{KeySet, NativeVerifier, verify_jws};
use serde_json::json;

use super::{Answer, State, TOKEN, error};

/// Keys in one answer of a list: few, so that a cursor is needed.
const PAGE_KEYS: usize = 7;

#[expect(clippy::disallowed_methods, reason = "a double has a clock; the service is given one")]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// The answer of a store that has not seen the objects yet.
pub fn unseen(request: &Request) -> Answer {
    match request.target.as_str() {
        "/snapshot/check" => {
            let names: Vec<_> = std::str::from_utf8(&request.body).unwrap().lines().collect();
            (200, json!({"missing": names, "broken": []}).to_string().into_bytes())
        }
        _ => error(404, "Object not found"),
    }
}

pub fn respond(request: &Request, state: &mut State) -> Answer {
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        return error(401, "Invalid auth token");
    }
    let Some(path) = request.target.strip_prefix("/snapshot/") else { return error(404, "Route not found") };
    match (request.method.as_str(), path) {
        ("POST", "pack") => pack(&request.body, state),
        ("POST", "check") => check(std::str::from_utf8(&request.body).unwrap(), state),
        ("GET", path) if path.starts_with("keys?") => keys(path, state),
        ("GET", "issuers") => {
            let issuer = |namespace: &str| {
                json!({
                    "issuer": format!("https://{namespace}.example"), "namespace": namespace, "customer_claim": "sub",
                    "merchants": null, "may": ["view"], "test_clients": true
                })
            };
            (
                200,
                json!({"issuers": [issuer("cognito"), issuer("publisher"), issuer("vendor")]})
                    .to_string()
                    .into_bytes(),
            )
        }
        (method, path) => match StoreKey::parse(path) {
            Some(key) => value(method, key, request.body.clone(), request.header(HOLDER_HEADER), state),
            None => error(404, "Object not found"),
        },
    }
}

fn value(method: &str, key: StoreKey, body: Vec<u8>, holder: &str, state: &mut State) -> Answer {
    let holder = Some(holder).filter(|holder| !holder.is_empty());
    let name = key.to_string();
    let lease = state.values.get(LEASE_KEY).and_then(|json| Lease::parse(json).ok());
    let excluding = lease.filter(|lease| lease.excludes(holder, now()));
    let held = excluding.map(|lease| {
        error(409, &format!("Another publisher holds the lease: {}, until {}", lease.host, lease.until))
    });
    match (method, key) {
        ("GET" | "HEAD", StoreKey::Head) => found(state.head_value().as_deref()),
        ("GET" | "HEAD", StoreKey::Object(_)) => found(state.objects.get(&name).map(Vec::as_slice)),
        ("GET" | "HEAD", _) => found(state.values.get(&name).map(Vec::as_slice)),
        ("PUT", StoreKey::Object(object)) => match object.check(&body) {
            _ if body.len() > OBJECT_MAX_BYTES => error(413, "Body too large"),
            Ok(()) => store_object(object, &body, state),
            Err(_) => error(422, "The bytes are not what the name says"),
        },
        ("PUT", StoreKey::Garbage) if body.len() > GARBAGE_MAX_BYTES => error(413, "Body too large"),
        ("PUT", StoreKey::Garbage) => store(name, body, state),
        ("PUT", StoreKey::Lease) => {
            match Lease::parse(&body).map(|lease| (lease.check(now()), lease)) {
                // The body names the holder.
                Ok((Ok(()), lease)) => {
                    match state.values.get(LEASE_KEY).and_then(|json| Lease::parse(json).ok()) {
                        Some(other) if other.excludes(Some(&lease.holder), now()) => {
                            held.unwrap_or(error(409, "Another publisher holds the lease"))
                        }
                        _ => store(name, body, state),
                    }
                }
                Ok((Err(problem), _)) | Err(problem) => error(422, &problem.to_string()),
            }
        }
        ("DELETE", StoreKey::Lease) => held.unwrap_or_else(|| delete(&name, state)),
        ("PUT" | "DELETE", _) if held.is_some() => held.unwrap(),
        ("PUT", StoreKey::Head) if state.is_earlier && body.len() > HEAD_MAX_BYTES => {
            error(413, "Body too large")
        }
        ("PUT", StoreKey::Head) => put_head(&body, state),
        ("PUT", StoreKey::Version(seq)) => match verified(std::str::from_utf8(&body).unwrap(), state) {
            Some(head) if head.seq == seq => store(name, body, state),
            Some(_) => error(422, "Not a head of that seq"),
            None => error(422, "The head is signed by no known key"),
        },
        ("DELETE", StoreKey::Object(object)) => {
            let head = state.published();
            let is_needed = head.is_some_and(|head| {
                [Some(head.index), Some(head.directory), head.delta].contains(&Some(object.digest))
            });
            if is_needed {
                error(409, &format!("The published snapshot needs this object: {name} is in use"))
            } else {
                delete(&name, state)
            }
        }
        ("DELETE", StoreKey::Version(_)) => delete(&name, state),
        _ => error(405, "Method not allowed"),
    }
}

fn found(value: Option<&[u8]>) -> Answer {
    value.map_or_else(|| error(404, "Object not found"), |value| (200, value.to_vec()))
}

fn store(key: String, value: Vec<u8>, state: &mut State) -> Answer {
    let stored = json!({ "stored": key }).to_string();
    state.values.insert(key, value);
    (201, stored.into_bytes())
}

fn store_object(name: ObjectName, object: &[u8], state: &mut State) -> Answer {
    state.objects.insert(name.to_string(), object.to_vec());
    state.stored_last = Some(name.to_string());
    (201, json!({ "stored": name.to_string() }).to_string().into_bytes())
}

fn delete(key: &str, state: &mut State) -> Answer {
    state.values.remove(key);
    state.objects.remove(key);
    (204, Vec::new())
}

fn pack(body: &[u8], state: &mut State) -> Answer {
    if body.len() > PACK_MAX_BYTES {
        return error(413, "Body too large");
    }
    let objects = match unpack(body) {
        Ok(objects) => objects,
        Err(problem) => return error(422, &problem.to_string()),
    };
    for (name, object) in &objects {
        store_object(*name, object, state);
    }
    (201, json!({ "stored": objects.len() }).to_string().into_bytes())
}

fn check(names: &str, state: &State) -> Answer {
    let (mut missing, mut broken) = (Vec::new(), Vec::new());
    if names.lines().count() > CHECK_MAX_OBJECTS {
        return error(413, "More than 40 objects");
    }
    for line in names.lines() {
        let Some(name) = ObjectName::parse(line) else { return error(422, "Not a name") };
        match state.objects.get(line) {
            None => missing.push(line),
            Some(object) if name.check(object).is_err() => broken.push(line),
            Some(_) => {}
        }
    }
    (200, json!({ "missing": missing, "broken": broken }).to_string().into_bytes())
}

fn keys(path: &str, state: &State) -> Answer {
    let parameter = |name: &str| {
        let query = path.split_once('?').unwrap().1;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.clone().find(|(it, _)| *it == name).map(|(_, value)| value.replace("%2F", "/"))
    };
    let prefix = parameter("prefix").unwrap();
    let is_prefix = ObjectKind::ALL.iter().any(|kind| prefix.starts_with(&format!("{}/", kind.prefix())));
    if !is_prefix && !prefix.starts_with(VERSION_PREFIX) {
        return error(422, "Not a prefix");
    }
    let all = state.objects.keys().chain(state.values.keys()).filter(|key| key.starts_with(&prefix));
    let after = parameter("cursor").unwrap_or_default();
    let mut left = all.filter(|key| **key > after);
    let page: Vec<_> = left.by_ref().take(PAGE_KEYS).collect();
    let cursor = left.next().and(page.last().copied());
    (200, json!({ "keys": page, "cursor": cursor }).to_string().into_bytes())
}

fn verified(jws: &str, state: &State) -> Option<Head> {
    let keys = KeySet::from_inline_jwks(&state.keys, &NativeVerifier).unwrap();
    verify_jws::<Head, _>(jws, &keys, HEAD_TYPE, &NativeVerifier).ok()
}

fn put_head(value: &[u8], state: &mut State) -> Answer {
    let HeadValue { jws, delta } = match state.is_earlier {
        true => HeadValue { jws: value, delta: None },
        false => HeadValue::split(value),
    };
    let jws = String::from_utf8_lossy(jws).into_owned();
    let Some(head) = verified(&jws, state) else {
        return (422, ApiError::NOT_A_HEAD.body().into_bytes());
    };
    let carried = HeadValue { jws: jws.as_bytes(), delta };
    if carried.check(&head).is_err() {
        return (422, ApiError::NOT_A_HEAD.body().into_bytes());
    }
    if head.may_follow(state.published().as_ref(), i64::MAX, 0).is_err() {
        return error(409, "A newer head is published");
    }
    for name in head.named() {
        if carried.named(&head).is_none_or(|(known, _)| known != name)
            && !state.objects.contains_key(&name.to_string())
        {
            let message = "An object that the head names is not stored";
            let body = json!({ "code": 422, "message": message, "errors": { "body": message } });
            return (422, body.to_string().into_bytes());
        }
    }
    if let Some((name, delta)) = carried.named(&head) {
        state.carried.insert(name.to_string(), delta.to_vec());
    }
    state.head = Some(jws);
    (201, br#"{"stored":"head"}"#.to_vec())
}
