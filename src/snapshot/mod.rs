//! The entitlement snapshot: its data model, its byte format, the reader and the builder.

pub mod key;
pub mod schema;
pub mod time;
