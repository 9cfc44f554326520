//! The byte format, the publish schema and the samples, as the documents have them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers may panic")]

mod format;
mod samples;
mod schema;
