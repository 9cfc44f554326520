//! Reads everything that the published head reaches, and reports all problems.
//!
//! `walk` reads the objects, `record` checks tables and records, `external` compares external ids with items, `report`
//! collects the problems.

mod external;
mod record;
pub mod report;
mod walk;

pub use self::walk::verify;
