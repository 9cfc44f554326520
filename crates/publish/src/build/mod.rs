//! Builds a snapshot's objects from lines of the publish schema. Native only: the Worker never builds one.

mod catalogue;
mod fit;
mod sink;
mod tree;

use std::{collections::BTreeMap, io};

use admit_snapshot::{
    head::Head,
    index::encode_index,
    key::{EntryKey, ItemSalt},
    limits::OBJECT_MAX_BYTES,
    object::{Digest, FormatError, ObjectKind, ObjectName},
    schema::Line,
    time::UnixSecs,
};

pub use self::{
    catalogue::Rendered,
    sink::{MemorySink, ObjectSink},
    tree::{Layout, SHARD_TARGET_BYTES, ShardBits, shard_bits, write_shard},
};
pub(crate) use self::{
    fit::{GivenWay, Sizes, entry_bytes, make_room, no_room, shard_bytes},
    tree::build_records,
};
use super::{
    published::Published,
    source::{
        About, Added, Catalogue, History, Input, Location, Problems, SET_ASIDE_MAX, Source, SpillPlan,
        Strictness, Taken, encode_customer,
    },
};

/// An index of more shards than this has pages of this many digests: 2^15 × 32 bytes is 1 MiB.
pub const PAGE_ABOVE_BITS: u8 = 15;

/// A snapshot, ready to be uploaded and named by a head. `T` is what is known of an object: its bytes, or only
/// how many they are.
#[derive(Clone, Debug)]
pub struct Built<T = Vec<u8>> {
    /// Every object, each before those that refer to it.
    pub objects: Vec<(ObjectName, T)>,
    /// The index.
    pub index: Digest,
    /// The directory.
    pub directory: Digest,
    /// Number of customers.
    pub customers: u64,
    /// Number of items.
    pub items: u64,
}

impl<T> Built<T> {
    /// The head that names this snapshot.
    #[must_use]
    pub fn head(&self, seq: u64, as_of: UnixSecs) -> Head {
        let head = Head::new(seq, as_of, self.index, self.directory);
        Head { customers: self.customers, items: self.items, ..head }
    }
}

/// What became of lines.
#[derive(Debug)]
pub struct Outcome {
    /// The snapshot, whose objects the sink has; none when there are errors.
    pub built: Option<Built<u64>>,
    /// All that is wrong or odd, in the order of lines.
    pub problems: Problems,
    /// All but customers. What is set aside is in it, customers included.
    pub catalogue: Catalogue,
    /// What was written to the temporary file meanwhile, in bytes.
    pub spilled_bytes: u64,
}

/// Data that the format cannot express, or that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not expressible in the byte format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Not expressible as JSON.
    #[error("cannot be rendered as JSON: {0}")]
    Render(#[from] serde_json::Error),
    /// A reference that the checks of the lines let through: an error of ours.
    #[error("unresolved {0}")]
    Unresolved(&'static str),
    /// An object that the edge would refuse.
    #[error("a {kind} of {bytes} bytes, and an object has at most {OBJECT_MAX_BYTES}: {hint}")]
    TooLarge {
        /// What kind of object.
        kind: &'static str,
        /// How large it would be.
        bytes: usize,
        /// What makes it so.
        hint: &'static str,
    },
    /// The lines, the temporary file or the objects' destination failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The lines are wrong.
    #[error("{} of the lines are wrong", .0.errors.total())]
    Lines(Box<Problems>),
}

impl Source {
    /// Checks what customers refer to and builds the snapshot. The objects go to `sink` as they are made, also
    /// when it turns out at the end that lines are wrong. Without a `layout` the keys of items are derived with a
    /// salt that everybody knows: such a snapshot must not be published.
    ///
    /// # Errors
    /// When the data cannot be expressed in the format, or reading or writing fails. What is wrong with the
    /// lines is in the outcome.
    pub fn build(self, layout: Option<Layout>, sink: &impl ObjectSink) -> Result<Outcome, BuildError> {
        self.build_over(layout.unwrap_or(IN_MEMORY), None, sink)
    }

    /// Builds the snapshot over what is `published`, from which the last good state of records comes that are set
    /// aside.
    ///
    /// # Errors
    /// As [`Self::build`], and when a last good state cannot be read.
    pub fn build_over(
        mut self,
        Layout { bits, salt }: Layout,
        published: Option<&Published<'_>>,
        sink: &impl ObjectSink,
    ) -> Result<Outcome, BuildError> {
        let is_lenient = self.strictness == Strictness::SetAside;
        self.catalogue.salt = salt;
        let rendered = if is_lenient { self.settle(published)? } else { self.check()? };
        self.catalogue.set_aside.clone_from(&self.problems.set_aside);
        let mut objects = Vec::new();
        let customer_bits = bits.map(|bits| bits.customers);
        let customers = tree::build_customers(&self, customer_bits, published, sink, &mut objects)?;
        self.problems.append(customers.problems);
        self.problems.settle();
        self.catalogue.set_aside.clone_from(&self.problems.set_aside);
        let spilled_bytes = self.customers.spilled_bytes();
        let built = match rendered.filter(|_| is_lenient || self.problems.errors.is_empty()) {
            Some(Rendered { directory, items }) if !self.is_beyond_use() => {
                let mut store = |kind, object| store(kind, object, sink, &mut objects);
                let item_count = items.len() as u64;
                let items = keyed(items, salt);
                let item_tree = build_records(&items, bits.map(|bits| bits.items), &mut store)?;
                let (index, pages) = encode_index(salt, &customers.tree, &item_tree, PAGE_ABOVE_BITS)?;
                for page in pages {
                    store(ObjectKind::Page, page)?;
                }
                let index = store(ObjectKind::Index, index)?;
                let directory = store(ObjectKind::Directory, directory)?;
                Some(Built { objects, index, directory, customers: customers.count, items: item_count })
            }
            _ => None,
        };
        Ok(Outcome { built, problems: self.problems, catalogue: self.catalogue, spilled_bytes })
    }

    /// The catalogue as edges read it, if nothing is wrong.
    fn check(&mut self) -> Result<Option<Rendered>, BuildError> {
        self.catalogue.set_aside.clone_from(&self.problems.set_aside);
        self.catalogue.check(&mut self.problems);
        if !self.problems.errors.is_empty() {
            return Ok(None);
        }
        let rendered = Rendered::of(&self.catalogue)?;
        self.catalogue.check_sizes(&rendered, &mut self.problems);
        Ok(Some(rendered).filter(|_| self.problems.errors.is_empty()))
    }

    /// The catalogue as edges read it, once wrong records have given way to their last good state.
    fn settle(&mut self, published: Option<&Published<'_>>) -> Result<Option<Rendered>, BuildError> {
        if self.is_beyond_use() {
            return Ok(None);
        }
        // Nothing is read of what is published as long as nothing of it is needed.
        if !self.needs_published() {
            let rendered = Rendered::of(&self.catalogue)?;
            if !self.catalogue.is_too_large(&rendered) {
                self.catalogue.warn(&mut self.problems);
                return Ok(Some(rendered));
            }
        }
        let before = published.map(Published::catalogue).transpose()?;
        let history = History::new(before.as_ref());
        let rendered = self.catalogue.settle(&history, Input::Whole, &mut self.problems)?;
        self.catalogue.warn(&mut self.problems);
        Ok(Some(rendered))
    }

    /// Whether a last good state is needed: a line could not be read, or a record of the catalogue is wrong.
    fn needs_published(&self) -> bool {
        !self.problems.errors.is_empty() || self.catalogue.is_wrong()
    }

    /// Whether so much is wrong that nothing can be made of the lines: not even where they stand in the origin's
    /// history is known, or they are wrong altogether.
    fn is_beyond_use(&self) -> bool {
        self.problems.set_aside.is_position_lost() || self.problems.set_aside.is_overflowing()
    }
}

/// What to say where more is wrong than can be set aside.
#[must_use]
pub fn beyond_use(problems: &Problems) -> Option<String> {
    if problems.set_aside.is_position_lost() {
        Some("the snapshot line cannot be used: without it nobody knows which changes come next".to_owned())
    } else if problems.set_aside.is_overflowing() {
        Some(format!(
            "more than {SET_ASIDE_MAX} records cannot be used: this is not a record that went wrong"
        ))
    } else {
        None
    }
}

/// Names an object, checks that edges would take it, and gives it to `sink`.
fn store(
    kind: ObjectKind,
    object: Vec<u8>,
    sink: &impl ObjectSink,
    objects: &mut Vec<(ObjectName, u64)>,
) -> Result<Digest, BuildError> {
    check_size(kind, object.len())?;
    let name = ObjectName::of(kind, &object);
    objects.push((name, object.len() as u64));
    sink.store(name, object)?;
    Ok(name.digest)
}

/// The layout of snapshots that never leave the process.
const IN_MEMORY: Layout = Layout::new(ItemSalt::IN_MEMORY);

/// Records of items by their keys.
pub(crate) fn keyed(items: BTreeMap<i64, Vec<u8>>, salt: ItemSalt) -> BTreeMap<EntryKey, Vec<u8>> {
    items.into_iter().map(|(id, record)| (EntryKey::item(salt, id), record)).collect()
}

/// Builds a small snapshot in memory from NDJSON, published at `now`. The keys of its items are derived with a salt
/// that everybody knows: it must not be published.
///
/// # Errors
/// As [`Source::build`], and when lines are wrong.
pub fn build_ndjson(ndjson: &[u8], now: UnixSecs) -> Result<Built, BuildError> {
    let mut source = Source::new(now, Strictness::Refuse, SpillPlan::default());
    source.read("lines", ndjson)?;
    let sink = MemorySink::default();
    let Outcome { built, problems, .. } = source.build(None, &sink)?;
    let Some(Built { objects, index, directory, customers, items }) = built else {
        return Err(BuildError::Lines(Box::new(problems)));
    };
    let objects = objects.into_iter().map(|(name, _)| (name, sink.take(name).unwrap_or_default())).collect();
    Ok(Built { objects, index, directory, customers, items })
}

/// Builds a snapshot in memory from a few lines, as published at `now`. They may be a part of what belongs
/// together: what they refer to is not looked for, except what rendering needs.
///
/// # Errors
/// When something that rendering needs is not there, or a line cannot be expressed in the format.
pub fn build_part(lines: impl IntoIterator<Item = Line>, now: UnixSecs) -> Result<Built, BuildError> {
    let at = Location { file: "lines".into(), line: 0 };
    let (mut catalogue, mut customers) = (Catalogue::default(), BTreeMap::new());
    let mut problems = Problems::default();
    for line in lines {
        let mut record = Vec::new();
        let added = catalogue.add(line, &at, now, Taken::Replace).and_then(|added| {
            let Added::Customer(customer) = added else { return Ok(()) };
            let key = encode_customer(&customer, &at, now, &mut problems, &mut record)?;
            customers.insert(key, record);
            Ok(())
        });
        added.unwrap_or_else(|problem| problems.error(&at, About::default(), problem));
    }
    if !problems.errors.is_empty() {
        return Err(BuildError::Lines(Box::new(problems)));
    }
    let mut objects = Vec::new();
    let mut store = |kind, object: Vec<u8>| {
        check_size(kind, object.len())?;
        let name = ObjectName::of(kind, &object);
        objects.push((name, object));
        Ok(name.digest)
    };
    let Rendered { directory, items } = Rendered::of(&catalogue)?;
    let customer_tree = build_records(&customers, None, &mut store)?;
    let item_count = items.len() as u64;
    let item_tree = build_records(&keyed(items, IN_MEMORY.salt), None, &mut store)?;
    let (index, pages) = encode_index(IN_MEMORY.salt, &customer_tree, &item_tree, PAGE_ABOVE_BITS)?;
    for page in pages {
        store(ObjectKind::Page, page)?;
    }
    let (index, directory) = (store(ObjectKind::Index, index)?, store(ObjectKind::Directory, directory)?);
    Ok(Built { objects, index, directory, customers: customers.len() as u64, items: item_count })
}

/// Checks that an edge would take an object of so many bytes.
///
/// # Errors
/// `TooLarge`, with what makes it so.
pub fn check_size(kind: ObjectKind, bytes: usize) -> Result<(), BuildError> {
    if bytes <= OBJECT_MAX_BYTES {
        return Ok(());
    }
    let hint = match kind {
        ObjectKind::Shard => "the records that lie in it are too large together",
        ObjectKind::Directory => "too many merchants, apps and licences, or too long ones",
        ObjectKind::Delta => "too many changes for one delta: they have to be written into the shards",
        ObjectKind::Index | ObjectKind::Page => "too many shards",
    };
    Err(BuildError::TooLarge { kind: kind.prefix(), bytes, hint })
}

#[cfg(test)]
mod tests;
