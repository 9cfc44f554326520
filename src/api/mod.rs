//! The wire contract: routes, bodies, errors, CORS.

pub mod authzen;
pub mod bodies;
pub mod checks;
pub mod contract;
pub mod cors;
pub mod diff;
pub mod error;
pub(crate) mod json;
mod list;
pub mod media_type;
pub mod page_origin;
pub mod pass_through;
pub mod playback;
mod punycode;
pub mod query;
pub mod reply;
pub mod retry_after;
pub mod support;
pub mod trace;
pub(crate) mod upstream_error;
pub mod viewer;
pub mod write;
