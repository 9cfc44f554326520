//! Changes a published snapshot without building it anew: changes become a delta, and a delta that has grown
//! becomes new shards. Native only: the Worker only reads what comes of it.

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
