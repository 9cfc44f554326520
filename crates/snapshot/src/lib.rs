//! The entitlement snapshot: its data model, its byte format and its reader. `docs/storage-schema.md` pins every
//! byte.
//!
//! ```text
//! head (signed) ─┬─► index (─► page) ─► shard: customers, items, or external ids
//!                ├─► directory: merchants, apps, clients, licences
//!                └─► delta: changes since the shards were written
//! ```
//!
//! A [`Version`](version::Version) holds head, index, directory and delta, and looks records up by their
//! [`EntryKey`](key::EntryKey). When a look-up needs a shard or page, it names the object and leaves the loading to
//! the caller. Records ([`customer`], [`item`], [`external_id`]) are read in place, without copies.
//!
//! The Worker reads snapshots with this crate, and `admit-publish` builds them. The crate depends on neither, does no
//! I/O, reads no clock, and is the same code in Wasm and natively.

mod every_variant;
mod source;

pub mod compare;
pub mod cost;
pub mod customer;
pub mod delta;
pub mod denylist;
pub mod details;
pub mod directory;
pub mod external_id;
pub mod head;
pub mod head_value;
pub mod heap_sort;
pub mod holding;
pub mod index;
pub mod instant;
pub mod item;
pub mod key;
pub mod lease;
pub mod limits;
pub mod media;
pub mod number;
pub mod object;
pub mod pack;
pub mod report;
pub mod rules;
pub mod schema;
pub mod store_key;
pub mod table;
pub mod time;
pub mod version;
pub mod wire;
