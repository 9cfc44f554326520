//! The entitlement snapshot: its data model, its byte format, the reader and the builder.
//! `docs/storage-schema.md` pins every byte.

#[cfg(not(target_arch = "wasm32"))]
pub mod build;
#[cfg(not(target_arch = "wasm32"))]
pub mod change;
pub mod cost;
pub mod customer;
pub mod delta;
pub mod denylist;
pub mod directory;
pub mod head;
pub mod index;
pub mod item;
pub mod key;
pub mod lease;
pub mod object;
pub mod pack;
#[cfg(not(target_arch = "wasm32"))]
pub mod published;
#[cfg(not(target_arch = "wasm32"))]
pub mod render;
pub mod schema;
#[cfg(not(target_arch = "wasm32"))]
pub mod source;
pub mod store_key;
pub mod table;
pub mod time;
#[cfg(not(target_arch = "wasm32"))]
pub mod update;
pub mod version;
pub mod wire;
