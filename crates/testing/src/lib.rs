//! For tests: a platform in memory that breaks on cue, and an HTTP server on loopback.

pub mod http;
pub mod memory;
