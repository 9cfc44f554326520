//! The publisher: reads the lines that origins write, builds snapshots from them and keeps the snapshots up to date.
//!
//! ```text
//! lines ─► source ─► build ─► objects and head          a whole publish
//! feed ─► change ─► update ─► delta ─► new shards       changes, and their compaction
//!                   published: the version in use, read back
//! ```
//!
//! The crate makes objects and leaves their upload to the caller. `docs/publish-schema.md` describes the lines,
//! `docs/publishing.md` the commands that use this crate.

pub mod build;
pub mod change;
pub mod limits;
pub mod parallel;
pub mod published;
pub mod render;
pub mod salt;
pub mod source;
pub mod update;
