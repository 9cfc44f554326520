//! Responses from replies.

use web_sys::{Headers, Response, ResponseInit};
use worker::Result;

use crate::api::reply::{Body, Reply};

pub(super) fn from_reply(reply: &Reply, is_head: bool) -> Result<Response> {
    let headers = Headers::new()?;
    for (name, value) in &reply.headers {
        headers.set(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(reply.status);
    init.set_headers(&headers);
    if is_head && reply.status != 204 {
        headers.set("content-length", &reply.body.as_bytes().len().to_string())?;
        return Ok(Response::new_with_opt_str_and_init(None, &init)?);
    }
    Ok(match &reply.body {
        Body::Empty => Response::new_with_opt_str_and_init(None, &init)?,
        Body::Json(text) => Response::new_with_opt_str_and_init(Some(text), &init)?,
        Body::Bytes(bytes) => {
            let array = js_sys::Uint8Array::from(bytes.as_slice());
            Response::new_with_opt_js_u8_array_and_init(Some(&array), &init)?
        }
    })
}
