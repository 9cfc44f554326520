//! Responses from replies.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use wasm_bindgen::prelude::*;
use web_sys::{Headers, Response, ResponseInit};

use crate::api::reply::{Body, Reply};

/// What the runtime refuses, it throws.
type Result<T> = std::result::Result<T, JsValue>;

/// The header that differs from answer to answer.
const REQUEST_ID: &str = "x-request-id";

/// How many sets of headers are kept: few are common, and each answer looks through them.
const KNOWN_MAX: usize = 16;

#[wasm_bindgen(module = "/src/worker/respond.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn respond(init: &ResponseInit, id: &str, body: &str) -> Result<Response>;
}

thread_local! {
    /// Each header costs two texts across the border, so that the usual sets are made once.
    static KNOWN: RefCell<Vec<KnownHeaders>> = const { RefCell::new(Vec::new()) };
}

thread_local! {
    /// Whether responses tell the entry module their reason, for data points.
    static TELLS: Cell<bool> = const { Cell::new(false) };
}

/// The property of a response with the reason and the detail of the log, in two lines: `points.mjs` reads it.
const TOLD: &str = "told";

/// Makes responses tell their reason from now on.
pub(super) fn tell_reasons() {
    TELLS.set(true);
}

type Header = (&'static str, Cow<'static, str>);

/// A status and headers, ready for the runtime.
struct KnownHeaders {
    status: u16,
    headers: Vec<Header>,
    init: ResponseInit,
}

/// The response.
pub(super) fn from_reply(reply: &Reply, is_head: bool) -> Result<Response> {
    let response = made(reply, is_head)?;
    if TELLS.get() {
        let told = [&reply.reason, "\n", &reply.detail].concat();
        js_sys::Reflect::set(&response, &TOLD.into(), &told.into())?;
    }
    Ok(response)
}

fn made(reply: &Reply, is_head: bool) -> Result<Response> {
    if let (Body::Json(text), false, Some(id)) = (&reply.body, is_head, reply.header(REQUEST_ID))
        && let Some(response) = from_known(reply, id, text)
    {
        return response;
    }
    let headers = headers_of(reply)?;
    let init = init_of(reply, &headers);
    if is_head && reply.status != 204 {
        // The origin's answer to HEAD does not have the body whose length this is.
        if !matches!(reply.body, Body::Passed(_)) {
            headers.set("content-length", &reply.body.as_bytes().len().to_string())?;
        }
        return Response::new_with_opt_str_and_init(None, &init);
    }
    match &reply.body {
        // A grant that was not signed: it has no body.
        Body::Empty | Body::Unsigned(_) => Response::new_with_opt_str_and_init(None, &init),
        Body::Json(text) => Response::new_with_opt_str_and_init(Some(text), &init),
        Body::Bytes(bytes) | Body::Passed(bytes) => {
            let array = js_sys::Uint8Array::from(bytes.as_slice());
            Response::new_with_opt_js_u8_array_and_init(Some(&array), &init)
        }
    }
}

fn headers_of(reply: &Reply) -> Result<Headers> {
    let headers = Headers::new()?;
    for (name, value) in &reply.headers {
        headers.set(name, value)?;
    }
    Ok(headers)
}

fn init_of(reply: &Reply, headers: &Headers) -> ResponseInit {
    let init = ResponseInit::new();
    init.set_status(reply.status);
    init.set_headers(headers);
    init
}

/// Status and headers of a reply, ready for the runtime.
pub(super) fn init(reply: &Reply) -> Result<JsValue> {
    Ok(init_of(reply, &headers_of(reply)?).into())
}

/// `None` if these headers are not worth keeping.
fn from_known(reply: &Reply, id: &str, body: &str) -> Option<Result<Response>> {
    KNOWN.with_borrow_mut(|known| {
        let found = match known.iter().position(|known| known.is_of(reply)) {
            Some(found) => found,
            None if is_common(reply) => {
                if known.len() >= KNOWN_MAX {
                    // The first that came: those that are in use come again.
                    known.remove(0);
                }
                known.push(KnownHeaders::new(reply)?);
                known.len() - 1
            }
            None => return None,
        };
        Some(respond(&known.get(found)?.init, id, body))
    })
}

/// Whether the headers may come again. Durations hardly do; the origin of a page is one of a few.
fn is_common(reply: &Reply) -> bool {
    reply.headers.iter().all(|(name, value)| {
        matches!(value, Cow::Borrowed(_)) || matches!(*name, REQUEST_ID | "access-control-allow-origin")
    })
}

impl KnownHeaders {
    fn new(reply: &Reply) -> Option<Self> {
        let init = init_of(reply, &headers_of(reply).ok()?);
        Some(Self { status: reply.status, headers: reply.headers.clone(), init })
    }

    fn is_of(&self, reply: &Reply) -> bool {
        let same = |(known, header): (&Header, &Header)| {
            known.0 == header.0 && (known.0 == REQUEST_ID || known.1 == header.1)
        };
        self.status == reply.status
            && self.headers.len() == reply.headers.len()
            && self.headers.iter().zip(&reply.headers).all(same)
    }
}
