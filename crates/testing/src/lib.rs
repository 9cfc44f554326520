//! For tests: a platform in memory that fails on demand ([`memory`]), an HTTP server on loopback ([`http`]), and a
//! second implementation of the decision ([`oracle`]).

pub mod http;
pub mod memory;
pub mod oracle;
