//! The entitlement snapshot: its data model, its byte format, the reader and the builder.
//! `docs/storage-schema.md` pins every byte.

pub mod customer;
pub mod delta;
pub mod directory;
pub mod index;
pub mod item;
pub mod key;
pub mod object;
pub mod schema;
pub mod table;
pub mod time;
pub mod wire;
