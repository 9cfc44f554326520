//! Requests: copies what the service reads, and reads the body when it is wanted.

use wasm_bindgen::JsValue;

use super::body::{self, Unread};
use crate::{
    api::{
        query,
        reply::Request,
        trace::TRACE_HEADERS,
        write::{INSPECTED_HEADERS, PASSED_HEADERS},
    },
    app::{BodyError, RequestBody},
    config::Config,
    snapshot::lease::HOLDER_HEADER,
};

/// Where Cloudflare puts the viewer's address. It overwrites what a client sends under this name.
pub(super) const ADDRESS_HEADER: &str = "cf-connecting-ip";

/// How many of the origin's changes an answer has to reflect at least.
pub(super) const MIN_SEQ_HEADER: &str = "entitlement-min-seq";

/// A request, as far as the service reads it.
pub(super) struct Incoming {
    pub(super) request: web_sys::Request,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) authorization: String,
    pub(super) page_origin: String,
    pub(super) ip_address: String,
    pub(super) country: String,
    pub(super) holder: String,
    pub(super) min_seq: u64,
    pub(super) merchant: Option<i64>,
    pub(super) passed: Vec<(&'static str, String)>,
}

impl Incoming {
    pub fn new(request: &web_sys::Request, config: &Config) -> Self {
        let headers = request.headers();
        let header = |name: &str| headers.get(name).ok().flatten().unwrap_or_default();
        let method = request.method();
        let is_read = matches!(method.as_str(), "GET" | "HEAD");
        let has_upstream = config.upstream.is_some();
        let min_seq = if is_read && has_upstream { seq_of(&header(MIN_SEQ_HEADER)) } else { 0 };
        // Each header costs a call into JavaScript, and checks are reads.
        let passed = if is_read { Vec::new() } else { further_headers(&headers, has_upstream) };
        Self {
            min_seq,
            merchant: None,
            passed,
            holder: if is_read { String::new() } else { header(HOLDER_HEADER) },
            method,
            url: request.url(),
            authorization: header("authorization"),
            page_origin: if config.cors.needs_origin() { header("origin") } else { String::new() },
            ip_address: header(config.address_header.as_deref().unwrap_or(ADDRESS_HEADER)),
            country: match &config.country_header {
                Some(name) => header(name),
                None => country(request),
            },
            // Not `request.clone()`, which is the fetch API's and would copy the body.
            request: Clone::clone(request),
        }
    }

    /// Reads the headers that a read has beside the others when it is passed through.
    pub fn read_passed(&mut self) {
        self.passed = further_headers(&self.request.headers(), true);
    }

    /// Reads the headers of the trace of a read that waits: an origin that is asked gets them, and the log.
    pub fn read_trace(&mut self, config: &Config) {
        if self.passed.is_empty() && config.upstream.is_some() {
            let headers = self.request.headers();
            self.passed = named(&headers, TRACE_HEADERS.into_iter());
        }
    }

    pub fn view(&self) -> Request<'_> {
        let (base_url, path, query) = parts(&self.url);
        Request {
            base_url,
            method: &self.method,
            path,
            query,
            authorization: &self.authorization,
            page_origin: &self.page_origin,
            ip_address: &self.ip_address,
            country: &self.country,
            holder: &self.holder,
            min_seq: self.min_seq,
            merchant: self.merchant,
            passed: &self.passed,
        }
    }

    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    pub fn body(&self) -> Body<'_> {
        Body(&self.request)
    }
}

/// The headers of a request other than a read, as [`Request::passed`] has them. Those of writes are read only if there
/// is an origin to pass them on to.
pub(super) fn further_headers(headers: &web_sys::Headers, has_upstream: bool) -> Vec<(&'static str, String)> {
    // Questions in the form of AuthZEN need no origin, and their type is checked.
    let passed = PASSED_HEADERS.into_iter().filter(|name| has_upstream || *name == "content-type");
    named(headers, INSPECTED_HEADERS.into_iter().chain(passed))
}

fn named(
    headers: &web_sys::Headers,
    names: impl Iterator<Item = &'static str>,
) -> Vec<(&'static str, String)> {
    names.filter_map(|name| Some((name, headers.get(name).ok().flatten()?))).collect()
}

/// What a preflight asks for.
pub(super) fn preflight_headers(request: &web_sys::Request) -> Vec<(&'static str, String)> {
    further_headers(&request.headers(), false)
}

/// The number of [`MIN_SEQ_HEADER`]. A value that is not a number asks for nothing.
pub(super) fn seq_of(text: &str) -> u64 {
    query::seq(text).unwrap_or(0)
}

/// The country that Cloudflare found for the viewer. No header: clients can send those.
fn country(request: &web_sys::Request) -> String {
    let field = |object: &JsValue, name: &str| js_sys::Reflect::get(object, &JsValue::from_str(name)).ok();
    field(request, "cf")
        .filter(JsValue::is_object)
        .and_then(|cf| field(&cf, "country"))
        .and_then(|country| country.as_string())
        .unwrap_or_default()
}

/// Scheme and host, path, and query of an absolute URL. The runtime makes it absolute and resolves and decodes nothing,
/// so that the text that is cut out is the text that was sent.
fn parts(url: &str) -> (&str, &str, &str) {
    let host_at = url.find("://").map_or(0, |scheme_end| scheme_end + 3);
    let target_at = url.get(host_at..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| host_at + at);
    let (base_url, target) = url.split_at_checked(target_at).unwrap_or((url, ""));
    let target = if target.is_empty() { "/" } else { target };
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (base_url, path, query)
}

/// The body of a request.
pub(super) struct Body<'a>(&'a web_sys::Request);

impl RequestBody for Body<'_> {
    type Stream = JsValue;

    async fn read(&mut self, limit_bytes: usize) -> Result<Vec<u8>, BodyError> {
        if self.declared_bytes().is_some_and(|len| len > limit_bytes) {
            return Err(BodyError::TooLarge);
        }
        body::whole(self.0.body(), limit_bytes).await.map_err(|error| match error {
            Unread::TooLong => BodyError::TooLarge,
            Unread::Broken(_) => BodyError::Interrupted,
        })
    }

    fn declared_bytes(&self) -> Option<usize> {
        if body_of(self.0).is_none() {
            return Some(0);
        }
        // The runtime has held the body to the declared length.
        let declared: u64 = self.0.headers().get("content-length").ok().flatten()?.parse().ok()?;
        // Longer than this machine can count is longer than anything that is read.
        Some(usize::try_from(declared).unwrap_or(usize::MAX))
    }

    fn stream(&mut self, keep: bool) -> Option<JsValue> {
        if keep {
            // The runtime keeps what the first one reads for the second.
            return body_of(&self.0.clone().ok()?);
        }
        body_of(self.0)
    }
}

/// The stream of a request's body, if it has one.
fn body_of(request: &web_sys::Request) -> Option<JsValue> {
    request.body().map(JsValue::from)
}
