//! The byte format, the publish schema and the samples, as the documents have them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

mod format;
mod samples;
mod schema;
