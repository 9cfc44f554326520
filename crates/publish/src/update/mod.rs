//! Changes a published snapshot without building it again. Changes become a delta; a delta that has grown is
//! written into the shards. Native only: the Worker only reads the result.
//!
//! ```
//! use admit_publish::{
//!     build::MemorySink,
//!     change,
//!     source::{Problems, Source, SpillPlan, Strictness},
//!     update::Content,
//! };
//! use admit_snapshot::key::EntryKey;
//!
//! let lines = concat!(
//!     r#"{"type":"merchant","id":21,"uuid":"3b39b5ab-b5fc-4ba3-b770-73155d20e61f"}"#, "\n",
//!     r#"{"type":"customer","namespace":"shop","subject":"42","id":42,"uuid":"528b1b80-5868-4abc-a9b6-4d3455d719c8","merchant_id":21}"#, "\n",
//! );
//! let mut source = Source::new(1_900_000_000, Strictness::Refuse, SpillPlan::default());
//! source.read("all.ndjson", lines.as_bytes())?;
//! let outcome = source.build(None, &MemorySink::default())?;
//! let mut content = Content::built(outcome.catalogue)?;
//! assert!(content.delta().is_empty());
//!
//! let removal = r#"{"seq":2,"remove":[{"type":"customer","namespace":"shop","subject":"42"}]}"#;
//! let change = change::parse(removal.as_bytes()).map_err(|problem| problem.message)?;
//! content.apply(&[change], "feed", 1_900_000_000, &mut Problems::default())?;
//!
//! // An empty record marks the removed customer.
//! let delta = content.delta();
//! assert_eq!(delta.customers.get(&EntryKey::customer("shop", "42")), Some(&Vec::new()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod changes;
mod compact;
mod delta;
mod lenient;

pub use self::{
    changes::{Content, UpdateError},
    compact::{Compacted, SetAsideRecord, compact},
    delta::{Delta, ItemRecords, Records},
};

#[cfg(test)]
mod tests;
