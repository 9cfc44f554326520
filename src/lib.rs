//! Admit: edge entitlement checks for streaming services.

pub mod api;
pub mod entitlement;
pub mod limits;
pub mod ports;
pub mod snapshot;
pub mod token;
