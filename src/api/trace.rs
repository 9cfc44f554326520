//! Distributed traces (W3C Trace Context): which trace a request belongs to. The edge passes the headers on as they are,
//! and takes no part in the trace itself.
//!
//! ```
//! use admit::api::trace::trace_id;
//!
//! let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! assert_eq!(trace_id(traceparent), Some("0af7651916cd43dd8448eb211c80319c"));
//! assert_eq!(trace_id("00-0-1"), None);
//! ```

/// The header that names a trace.
pub const TRACEPARENT: &str = "traceparent";

/// The header with what tracing systems add to it.
pub const TRACESTATE: &str = "tracestate";

/// The headers of a trace, both of which are passed on.
pub const TRACE_HEADERS: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// The trace id of a `traceparent`, for the log; `None` if the header is not valid. Later versions may be longer.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.get(3..35)?;
    let are_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let dashes = [2, 35, 52].into_iter().all(|at| traceparent.as_bytes().get(at) == Some(&b'-'));
    let parts = [traceparent.get(..2)?, id, traceparent.get(36..52)?, traceparent.get(53..55)?];
    let is_long = traceparent.len() > 55;
    let is_valid = dashes && parts.into_iter().all(are_hex) && !traceparent.starts_with("ff");
    let is_whole =
        !is_long || (!traceparent.starts_with("00") && traceparent.as_bytes().get(55) == Some(&b'-'));
    (is_valid && is_whole && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn headers_of_the_standard_are_read() {
        let valid = format!("00-{ID}-b7ad6b7169203331-01");
        for (header, expected) in [
            (valid.clone(), Some(ID)),
            (format!("00-{ID}-b7ad6b7169203331-00"), Some(ID)),
            // A later version may have more parts; this one may not.
            (format!("cc-{ID}-b7ad6b7169203331-01-what-the-future-holds"), Some(ID)),
            (format!("{valid}-more"), None),
            (format!("cc-{ID}-b7ad6b7169203331-01.what"), None),
            (format!("ff-{ID}-b7ad6b7169203331-01"), None),
            (valid.to_uppercase(), None),
            (format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), None),
            (format!("{valid}, {valid}"), None),
            (format!("00-{ID}-b7ad6b7169203331"), None),
            (String::new(), None),
        ] {
            assert_eq!(trace_id(&header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,80}") {
            prop_assert!(trace_id(&text).is_none_or(|id| id.len() == 32 && text.contains(id)));
        }
    }
}
