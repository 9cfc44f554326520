//! The short way: one synchronous call for what can be answered from memory. `entry.js` calls it with the texts
//! that the service reads, and goes through `fetch` where it gives nothing (docs/adr/0010).

use std::cell::Cell;

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use worker::{Context, worker_sys};

use crate::{
    api::{
        bodies::ACCESS_FRAME,
        reply::{Body, Reply},
    },
    app::{Answered, Granted, Validity},
    entitlement::Grant,
    fnv,
    limits::{ANSWERS_PER_TOKEN, ITEM_TEXTS_MAX_BYTES, KNOWN_VIEWERS_MAX, KNOWN_VIEWERS_MAX_BYTES},
};

use super::{
    SERVICE, refresh_behind,
    request::{ADDRESS_HEADER, Incoming, MIN_SEQ_HEADER, further_headers, seq_of},
    response, service_made,
};

/// Largest number that JavaScript holds exactly, 2^53 - 1.
const NUMBER_EXACT_MAX: u64 = (1 << 53) - 1;

/// Whether this instance has a service: an earlier request made it.
#[wasm_bindgen]
#[must_use]
pub fn is_ready() -> bool {
    SERVICE.with_borrow(|service| matches!(service, Some(Ok(_))))
}

/// What `entry.js` reads of requests beside `Authorization`: the names of the headers `address`, `country` and
/// `min_seq`, and whether `origin` matters; and how many answers it keeps, of how many bytes. Undefined until
/// a request has made the service.
#[wasm_bindgen]
#[must_use]
pub fn inputs() -> JsValue {
    let Some(service) = service_made() else { return JsValue::UNDEFINED };
    let config = service.config();
    let names = Object::new();
    let set = |name: &str, value: JsValue| {
        // Setting a property of an object that was just made cannot fail.
        let _ = Reflect::set(&names, &name.into(), &value);
    };
    set("address", config.address_header.as_deref().unwrap_or(ADDRESS_HEADER).into());
    set("country", config.country_header.as_deref().map_or(JsValue::UNDEFINED, JsValue::from));
    set("origin", config.cors.needs_origin().into());
    set("min_seq", if config.upstream.is_some() { MIN_SEQ_HEADER.into() } else { JsValue::UNDEFINED });
    let frame: js_sys::Array = ACCESS_FRAME.into_iter().map(JsValue::from_str).collect();
    set("frame", frame.into());
    set("viewers_max", KNOWN_VIEWERS_MAX.into());
    set("viewers_max_bytes", KNOWN_VIEWERS_MAX_BYTES.into());
    set("items_max_bytes", ITEM_TEXTS_MAX_BYTES.into());
    set("answers_max", u32::try_from(ANSWERS_PER_TOKEN).unwrap_or(u32::MAX).into());
    names.into()
}

/// Whether an answer with this validity may be given again, as [`App::repeat`](crate::app::App::repeat); 0 if not.
#[wasm_bindgen]
#[must_use]
pub fn repeat(epoch: u32, since: f64, until: f64) -> u32 {
    // `i64` would be a BigInt. Seconds are exact in `f64` for 285 million years, and "for ever" comes back as such.
    let validity = Validity { epoch, since: since as i64, until: until as i64 };
    service_made().and_then(|service| service.repeat(&validity)).unwrap_or(0)
}

/// A response if the answer is in memory, the promise of one if something has to be loaded. Undefined, and nothing
/// has happened, if the request is neither a read nor a call or is passed through, or no request has made the service yet. `asked` is given for a check
/// of one item or several: its `handle` is set for a viewer who is known from now on, and `epoch`, `since`, `until` and
/// `body` for an answer about several that may be given again, as [`repeat`] knows them. `merchant` is given for a call by another Worker: NaN, or
/// the [only merchant](crate::api::reply::Request::merchant) of its binding. It gets the status and the body as one
/// text instead of a response (docs/adr/0050).
///
/// # Errors
/// The runtime refuses the response.
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "an object would cost a call into JavaScript for each member")]
pub fn answer(
    request: web_sys::Request,
    context: worker_sys::Context,
    asked: Option<Object>,
    method: String,
    url: String,
    authorization: Option<String>,
    ip_address: Option<String>,
    country: Option<String>,
    page_origin: Option<String>,
    min_seq: Option<String>,
    merchant: Option<f64>,
) -> Result<JsValue, JsValue> {
    let (is_call, is_read) = (merchant.is_some(), matches!(method.as_str(), "GET" | "HEAD"));
    if !is_read && !is_call {
        return Ok(JsValue::UNDEFINED);
    }
    let Some(service) = service_made() else { return Ok(JsValue::UNDEFINED) };
    let passed = if is_read { Vec::new() } else { further_headers(&request.headers(), false) };
    let mut incoming = Incoming {
        request,
        method,
        url,
        authorization: authorization.unwrap_or_default(),
        page_origin: page_origin.unwrap_or_default(),
        ip_address: ip_address.unwrap_or_default(),
        country: country.unwrap_or_default(),
        holder: String::new(),
        min_seq: min_seq.as_deref().map_or(0, seq_of),
        merchant: merchant.filter(|merchant| !merchant.is_nan()).map(|merchant| merchant as i64),
        passed,
    };
    let context = Context::new(context);
    match service.answer(&incoming.view()) {
        Answered::Now(reply) => {
            if let Some(asked) = asked.filter(|_| reply.status == 200) {
                if let Some(handle) = service.introduce(&incoming.authorization) {
                    Reflect::set(&asked, &"handle".into(), &handle.into())?;
                }
                if let (Some(lasts_until), Body::Json(body), false) =
                    (reply.lasts_until, &reply.body, is_call)
                    && let Some(validity) =
                        service.keep(&incoming.authorization, fnv::hash(incoming.url.bytes()), lasts_until)
                {
                    let Validity { epoch, since, until } = validity;
                    Reflect::set(&asked, &"epoch".into(), &epoch.into())?;
                    Reflect::set(&asked, &"since".into(), &(since as f64).into())?;
                    Reflect::set(&asked, &"until".into(), &(until as f64).into())?;
                    Reflect::set(&asked, &"body".into(), &body.as_str().into())?;
                }
            }
            refresh_behind(service, &context);
            given(&reply, incoming.is_head(), is_call)
        }
        // Even by GET it may change something at the origin: `fetch` lets it go on when the client has gone.
        Answered::Later(pending) if pending.passes_through() => Ok(JsValue::UNDEFINED),
        Answered::Later(pending) => Ok(future_to_promise(async move {
            incoming.read_trace(service.config());
            let reply = service.resume(&incoming.view(), pending, incoming.body()).await;
            refresh_behind(service, &context);
            given(&reply, incoming.is_head(), is_call)
        })
        .into()),
    }
}

/// The answer, as [`answer`] gives it to a request or to a call: for a call the status and the body, or the reason of a
/// 403.
fn given(reply: &Reply, is_head: bool, is_call: bool) -> Result<JsValue, JsValue> {
    if !is_call {
        return Ok(response::from_reply(reply, is_head)?.into());
    }
    let mut text = reply.status.to_string();
    match &reply.body {
        // What token or binding lacks says nothing about the viewer, and the caller's developer has to know it.
        _ if reply.status == 403 => text += &reply.reason,
        Body::Json(body) => text += body,
        _ => {}
    }
    Ok(text.into())
}

/// Numbers that [`grant`] leaves for `known.mjs`: epoch, access, creation, expiry, start, and the times between which
/// the answer is right.
const GRANTED_NUMBERS: usize = 7;

thread_local! {
    static GRANTED: Cell<[f64; GRANTED_NUMBERS]> = const { Cell::new([0.0; GRANTED_NUMBERS]) };
}

/// Where [`grant`] leaves its numbers: the memory, the address in it, and how many.
#[wasm_bindgen]
#[must_use]
pub fn granted_numbers() -> js_sys::Float64Array {
    GRANTED.with(|numbers| {
        // The memory may grow, and is another one then: the entry asks anew when it finds the view empty.
        let memory = Reflect::get(&wasm_bindgen::memory(), &"buffer".into()).unwrap_or_default();
        let address = u32::try_from(numbers.as_ptr().addr()).unwrap_or_default();
        js_sys::Float64Array::new_with_byte_offset_and_length(&memory, address, GRANTED_NUMBERS as u32)
    })
}

/// The number of the request if the check is granted as [`App::grant`](crate::app::App::grant) has it; 0 if it takes the
/// ordinary way. The grant's numbers are in [`granted_numbers`]: a grant without a start, and an answer that is not worth
/// keeping, have NaN there.
#[wasm_bindgen]
#[must_use]
pub fn grant(handle: u32, item: f64, query_hash: u32) -> u32 {
    SERVICE.with_borrow(|service| {
        let Some(Ok(service)) = service else { return 0 };
        let Some(granted) = service.grant(handle, item as i64, query_hash) else { return 0 };
        let Some(numbers) = numbers_of(&granted) else { return 0 };
        GRANTED.set(numbers);
        granted.number
    })
}

/// As JavaScript's numbers; nothing if one of them would not be exact.
fn numbers_of(granted: &Granted) -> Option<[f64; GRANTED_NUMBERS]> {
    let Grant { access_id, created_at, starts_at, .. } = granted.grant;
    let exact = |number: i64| (number.unsigned_abs() <= NUMBER_EXACT_MAX).then_some(number as f64);
    let (since, until) = match granted.validity {
        // "For ever" is not exact, and comes back as such.
        Some(Validity { since, until, .. }) => (since as f64, until as f64),
        None => (f64::NAN, f64::NAN),
    };
    Some([
        f64::from(granted.epoch),
        exact(access_id)?,
        exact(created_at)?,
        exact(granted.grant.shown_end())?,
        starts_at.map_or(Some(f64::NAN), exact)?,
        since,
        until,
    ])
}

/// What a data point has of the snapshot: the time of its data in unix seconds, and the merchant of an item; 0 for what
/// is not in memory.
#[wasm_bindgen]
#[must_use]
pub fn told(item: f64) -> Vec<f64> {
    let numbers = service_made().map_or((0, 0), |service| service.told(item as i64));
    vec![numbers.0 as f64, numbers.1 as f64]
}

/// The viewer's part of a body, as [`App::viewer_text`](crate::app::App::viewer_text).
#[wasm_bindgen]
#[must_use]
pub fn viewer_text(handle: u32, ip_address: Option<String>, country: Option<String>) -> Option<String> {
    let (ip_address, country) = (ip_address.unwrap_or_default(), country.unwrap_or_default());
    service_made()?.viewer_text(handle, &ip_address, &country)
}

/// The item's parts of a body, as [`App::item_texts`](crate::app::App::item_texts): none of them for an item whose texts
/// are too long, undefined where memory does not have the item.
#[wasm_bindgen]
#[must_use]
pub fn item_texts(item: f64) -> Option<Vec<String>> {
    service_made()?.item_texts(item as i64).map(|texts| texts.map(Vec::from).unwrap_or_default())
}

/// Status and headers of granted checks, as `respond.js` takes them.
///
/// # Errors
/// The runtime refuses the headers.
#[wasm_bindgen]
pub fn granted_init(page_origin: Option<String>) -> Result<JsValue, JsValue> {
    let Some(service) = service_made() else { return Ok(JsValue::UNDEFINED) };
    response::init(&service.granted_frame(&page_origin.unwrap_or_default()))
}
