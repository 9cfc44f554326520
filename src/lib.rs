//! Admit: edge entitlement checks for streaming services.

pub mod api;
pub mod app;
pub mod config;
pub mod entitlement;
pub mod limits;
#[cfg(not(target_arch = "wasm32"))]
pub mod memory;
pub mod ports;
pub mod snapshot;
pub mod token;
#[cfg(target_arch = "wasm32")]
mod worker;
