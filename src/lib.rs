//! Admit: edge entitlement checks for streaming services.

pub mod limits;
pub mod ports;
pub mod snapshot;
pub mod token;
