//! The short way: one synchronous call for what can be answered from memory. `entry.js` calls it with the texts
//! that the service reads, and takes the generated way where it gives nothing (docs/adr/0010).

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use worker::{Context, worker_sys};

use crate::{
    api::reply::Validity,
    app::Answered,
    limits::{ANSWERS_MAX, ANSWERS_MAX_BYTES, ANSWERS_PER_TOKEN},
};

use super::{
    SERVICE, refresh_behind,
    request::{ADDRESS_HEADER, Incoming, MIN_SEQ_HEADER, seq_of},
    response, service_made,
};

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
    set("answers_max", ANSWERS_MAX.into());
    set("answers_max_bytes", ANSWERS_MAX_BYTES.into());
    set("answers_per_token", u32::try_from(ANSWERS_PER_TOKEN).unwrap_or(u32::MAX).into());
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
/// has happened, if the request is not a read, or no request has made the service yet. If the answer may be given again,
/// `asked` gets the texts for that.
///
/// # Errors
/// The runtime refuses the response.
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "an object would cost a call into JavaScript for each member")]
pub fn answer(
    request: web_sys::Request,
    context: worker_sys::Context,
    asked: Object,
    method: String,
    url: String,
    authorization: Option<String>,
    ip_address: Option<String>,
    country: Option<String>,
    page_origin: Option<String>,
    min_seq: Option<String>,
) -> Result<JsValue, JsValue> {
    if !matches!(method.as_str(), "GET" | "HEAD") {
        return Ok(JsValue::UNDEFINED);
    }
    let Some(service) = service_made() else { return Ok(JsValue::UNDEFINED) };
    let incoming = Incoming {
        request,
        method,
        url,
        authorization: authorization.unwrap_or_default(),
        page_origin: page_origin.unwrap_or_default(),
        ip_address: ip_address.unwrap_or_default(),
        country: country.unwrap_or_default(),
        holder: String::new(),
        min_seq: min_seq.as_deref().map_or(0, seq_of),
        passed: Vec::new(),
    };
    let context = Context::new(context);
    match service.answer(&incoming.view()) {
        Answered::Now(reply) => {
            refresh_behind(service, &context);
            Ok(response::from_reply(&reply, incoming.is_head(), Some(&asked))?.into())
        }
        Answered::Later(pending) => Ok(future_to_promise(async move {
            let reply = service.resume(&incoming.view(), pending, incoming.body()).await;
            refresh_behind(service, &context);
            Ok(response::from_reply(&reply, incoming.is_head(), None)?.into())
        })
        .into()),
    }
}
