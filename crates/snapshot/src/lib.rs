//! The entitlement snapshot: its data model, its byte format and its reader. `docs/storage-schema.md` pins every byte.
//!
//! The Worker reads snapshots with this crate, and `admit-publish` builds them. It knows neither: it has no I/O and no
//! clock, and is the same code in Wasm and natively.

mod every_variant;

pub mod cost;
pub mod customer;
pub mod delta;
pub mod denylist;
pub mod directory;
pub mod head;
pub mod index;
pub mod instant;
pub mod item;
pub mod key;
pub mod lease;
pub mod limits;
pub mod number;
pub mod object;
pub mod pack;
pub mod schema;
pub mod store_key;
pub mod table;
pub mod time;
pub mod version;
pub mod wire;
