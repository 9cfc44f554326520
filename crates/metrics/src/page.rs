//! The answers, without HTTP.

use prometheus::{Error, TextEncoder};
use serde::Serialize;

use crate::Watched;

/// An answer.
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<&'static str>,
}

const JSON: &str = "application/json";

/// All metrics as they are now, in Prometheus' text format.
///
/// # Errors
/// A metric cannot be written, which does not happen for metrics of [`make`](crate::counter).
pub fn text(watched: &dyn Watched) -> Result<String, Error> {
    watched.refresh();
    TextEncoder::new().encode_to_string(&watched.registry().gather())
}

/// The answer to a GET of `path`.
pub fn page(watched: &dyn Watched, path: &str) -> Page {
    match path {
        "/metrics" => match text(watched) {
            Ok(body) => Page { status: 200, content_type: prometheus::TEXT_FORMAT, body },
            Err(error) => plain(500, &error.to_string()),
        },
        "/healthz" => health(Vec::new()),
        "/readyz" => {
            watched.refresh();
            health(watched.problems())
        }
        _ => plain(404, "/metrics, /healthz, /readyz"),
    }
}

fn health(problems: Vec<&'static str>) -> Page {
    let (code, status) = if problems.is_empty() { (200, "ok") } else { (503, "not ready") };
    // Texts alone: this cannot fail.
    let body = serde_json::to_string(&Health { status, problems }).unwrap_or_default();
    Page { status: code, content_type: JSON, body }
}

/// A line of text.
pub fn plain(status: u16, text: &str) -> Page {
    Page { status, content_type: "text/plain; charset=utf-8", body: format!("{text}\n") }
}
