//! Admit: edge entitlement checks for streaming services.

pub mod ports;
pub mod snapshot;
