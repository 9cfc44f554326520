//! The publisher: reads what origins write, builds snapshots from it and brings them up to date.
//!
//! Lines of the publish schema ([`source`]) become objects ([`build`]); changes ([`change`]) become a delta or new shards
//! of what is [`published`] ([`update`]).

pub mod build;
pub mod change;
pub mod limits;
pub mod parallel;
pub mod published;
pub mod render;
pub mod salt;
pub mod source;
pub mod update;
