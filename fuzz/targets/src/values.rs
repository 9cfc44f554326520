//! Readers of single values: headers, times, numbers.

use std::net::IpAddr;

use admit::{
    api::{
        cors::Cors,
        media_type::{MediaType, is_token},
        page_origin::PageOrigin,
        query, retry_after, viewer,
        write::check_body_headers,
    },
    instant::{self, EARLIEST, LATEST},
    number,
    snapshot::time::{Timestamp, ZonedTime, iso8601},
};
use serde_json::Value;

const NOW: i64 = 1_800_000_000;

/// A header value, by the readers of all headers.
pub fn headers(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if let Some(media_type) = MediaType::parse(text) {
        assert!(!(media_type.is_json() && media_type.is_form()), "{text} is two types");
    }
    let _ = (check_body_headers(text, ""), check_body_headers("application/json", text));
    let _ = (query::seq(text), retry_after::seconds(text, NOW), is_token(text));
    let address = viewer::shown_address(text);
    assert!(address.parse::<IpAddr>().is_ok(), "shown as an address: {address}");
    assert_eq!(viewer::shown_address(&address), address, "an address in two forms");
    let country = viewer::shown_country(text);
    assert!(
        country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()),
        "shown as a country: {country}"
    );
    if let Ok(origin) = PageOrigin::parse(text) {
        assert_eq!(PageOrigin::parse(origin.as_str()).as_ref(), Ok(&origin), "an origin in two forms");
        assert!(origin.is(origin.as_str()), "{} is not itself", origin.as_str());
    }
    if let Ok(cors) = Cors::parse(text) {
        for (_, value) in cors.headers(text).iter().chain(&Cors::preflight_headers(text)) {
            assert!(!value.contains(['\r', '\n']) || text.contains(['\r', '\n']), "a header within a header");
        }
    }
    let _ = (Cors::preflight_headers(text), Cors::private_network_header(text));
    MediaType::parse(text).is_some() || PageOrigin::parse(text).is_ok()
}

/// Whether a value contains a number that is not an integer. `serde_json` may read a number with more than 15
/// digits as a neighbour of the written one, so such numbers are exempt from the round trip.
pub fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_float),
        Value::Object(object) => object.values().any(has_float),
        _ => false,
    }
}

/// A time and a number, as text and as JSON.
pub fn instants(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let is_moment = instant::from_text(text).is_ok();
    if let Ok(moment) = instant::from_text(text) {
        assert!((EARLIEST..=LATEST).contains(&moment.at), "{} is read from {text}", moment.at);
        let quoted = instant::from_json(&Value::from(text));
        assert_eq!(quoted, Ok(moment), "JSON and text differ");
        let shown = iso8601(moment.at, moment.offset_mins);
        if let Ok(again) = instant::from_text(&shown) {
            assert_eq!(again, moment, "{text} is shown as {shown}");
        }
        if let Some(secs) = number::whole_text(text) {
            assert_eq!(secs, moment.at, "a number and a moment differ");
        }
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else { return is_moment };
    let moment = instant::from_json(&value);
    if let (Some(number), Ok(moment)) = (number::whole(&value), &moment) {
        assert_eq!(number, moment.at, "a number and a moment differ");
    }
    let timestamp = serde_json::from_value::<Timestamp>(value.clone());
    if let (Ok(moment), Ok(timestamp)) = (&moment, &timestamp) {
        assert_eq!(timestamp.resolve(NOW), moment.at, "the publish schema reads another moment");
    }
    if let Ok(timestamp) = timestamp {
        assert!((EARLIEST..=LATEST).contains(&timestamp.resolve(NOW)), "beyond the bounds: {text}");
    }
    is_moment || serde_json::from_value::<ZonedTime>(value).is_ok()
}
