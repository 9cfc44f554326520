//! Changes a published snapshot without building it again. Changes become a delta; a delta that has grown is
//! written into the shards. Native only: the Worker only reads the result.

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
