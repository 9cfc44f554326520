//! The publisher: reads the lines that origins write, builds snapshots from them, publishes them and keeps them up to
//! date.
//!
//! ```text
//! lines ─► source ─► build ─► objects and head          a whole publish
//! feed ─► change ─► update ─► delta ─► new shards       changes, and their compaction
//!                   published: the version in use, read back
//! ```
//!
//! A [`run`] reads lines and changes from an [`origin`], puts the objects into a [`store`] and publishes a signed
//! [`head`]. [`verify`], [`diff`], [`rollback`] and [`collect`] work on the versions in a store.
//! `docs/publish-schema.md` describes the lines, `docs/publishing.md` the commands that use this crate.

// Declared first: the other modules use its macros.
#[macro_use]
pub mod output;

pub mod bearer;
pub mod build;
pub mod change;
pub mod clock;
pub mod collect;
pub mod diff;
pub mod gunzip;
pub mod head;
pub mod key;
pub mod limits;
pub mod origin;
pub mod overlay;
pub mod parallel;
pub mod peer;
pub mod progress;
pub mod published;
pub mod render;
pub mod rollback;
pub mod run;
pub mod salt;
pub mod source;
pub mod store;
pub mod taken;
pub mod update;
pub mod verify;

/// The `User-Agent` of requests to other services.
pub const USER_AGENT: &str = concat!("admit/", env!("CARGO_PKG_VERSION"));
