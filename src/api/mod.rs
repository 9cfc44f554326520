//! The wire contract: routes, bodies, errors, CORS.

pub mod bodies;
pub mod cors;
pub mod error;
pub(crate) mod json;
pub mod reply;
pub mod route;
pub mod write;
