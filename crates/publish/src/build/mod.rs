//! Builds a snapshot's objects from lines of the publish schema. Native only: the Worker never builds one.
//!
//! ```text
//! Source ─► Catalogue ─ check or settle ─► Rendered ─► directory, item shards ─┐
//!        └► Spill ─ bucket by bucket, on all processors ─► customer shards ────┴─► index ─► Built ─► Head
//! ```

mod catalogue;
mod external_ids;
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
    external_ids::{ExternalIds, Shared, Use},
    sink::{MemorySink, ObjectSink},
    tree::{Layout, SHARD_TARGET_BYTES, ShardBits, shard_bits, write_shard},
};
pub(crate) use self::{
    fit::{GivenWay, Sizes, entry_bytes, make_room, no_room, shard_bytes},
    tree::build_records,
};
use super::{
    published::PublishedRecords,
    source::{
        About, Added, Catalogue, History, Input, Location, Problems, SET_ASIDE_MAX, Source, SpillPlan,
        Strictness, Taken, encode_customer,
    },
};

/// Trees of more shards than two to this power have pages, with this power of digests each: 2^15 × 32 bytes
/// is 1 MiB.
pub const PAGE_ABOVE_BITS: u8 = 15;

/// A snapshot, ready to be uploaded and named by a head. `T` stands for an object: its bytes, or only
/// its length.
#[derive(Clone, Debug)]
pub struct Built<T = Vec<u8>> {
    /// All objects, each before those that refer to it.
    pub objects: Vec<(ObjectName, T)>,
    /// Name of the index.
    pub index: Digest,
    /// Name of the directory.
    pub directory: Digest,
    /// Number of customers in the shards.
    pub customers: u64,
    /// Number of items in the shards.
    pub items: u64,
}

impl<T> Built<T> {
    /// The head for this snapshot.
    #[must_use]
    pub fn head(&self, seq: u64, as_of: UnixSecs) -> Head {
        let head = Head::new(seq, as_of, self.index, self.directory);
        Head { customers: self.customers, items: self.items, ..head }
    }
}

/// Result of a build.
#[derive(Debug)]
pub struct BuildOutcome {
    /// The snapshot, whose objects the sink has received. `None` if there are errors.
    pub built: Option<Built<u64>>,
    /// All errors and warnings, in the order of lines.
    pub problems: Problems,
    /// All records except customers, and the list of records that are set aside, customers included.
    pub catalogue: Catalogue,
    /// Number of bytes written to the temporary file.
    pub spilled_bytes: u64,
}

/// Why a snapshot cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The byte format cannot express the data.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// JSON cannot express the data.
    #[error("cannot be rendered as JSON: {0}")]
    Render(#[from] serde_json::Error),
    /// A reference that the checks should have refused: a programming error.
    #[error("unresolved {0}")]
    Unresolved(&'static str),
    /// An object that the edge would refuse.
    #[error("a {kind} of {bytes} bytes is too large, expected at most {OBJECT_MAX_BYTES}: {hint}")]
    TooLarge {
        /// Kind of the object.
        kind: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// What makes it too large.
        hint: &'static str,
    },
    /// The lines, the temporary file or the destination of the objects failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Some lines are invalid.
    #[error("invalid lines: {}", .0.errors.total())]
    Lines(Box<Problems>),
}

impl Source {
    /// Checks the references of customers and builds the snapshot.
    ///
    /// Objects go to `sink` as they are made, even if lines turn out to be invalid at the end. Without a
    /// `layout`, the keys of items are derived with a well-known salt: such a snapshot must not be published.
    ///
    /// # Errors
    /// The format cannot express the data, or reading or writing fails. Problems of lines are in the outcome.
    pub fn build(self, layout: Option<Layout>, sink: &impl ObjectSink) -> Result<BuildOutcome, BuildError> {
        self.build_over(layout.unwrap_or(IN_MEMORY), None, sink)
    }

    /// Builds the snapshot over the `published` one, which supplies the last good state of records that are
    /// set aside.
    ///
    /// # Errors
    /// As [`Self::build`], or a last good state cannot be read.
    pub fn build_over(
        mut self,
        Layout { bits, salt }: Layout,
        published: Option<&PublishedRecords<'_>>,
        sink: &impl ObjectSink,
    ) -> Result<BuildOutcome, BuildError> {
        let is_lenient = self.strictness == Strictness::SetAside;
        self.catalogue.salt = salt;
        // First the catalogue, which decides what customers may refer to; then the customers; last the index,
        // which names both.
        let rendered = if is_lenient { self.settle(published)? } else { self.check()? };
        self.catalogue.set_aside.clone_from(&self.problems.set_aside);
        let mut objects = Vec::new();
        let customer_bits = bits.map(|bits| bits.customers);
        let customers = tree::build_customers(&self, customer_bits, published, sink, &mut objects)?;
        self.problems.append(customers.problems);
        self.problems.settle();
        self.catalogue.set_aside.clone_from(&self.problems.set_aside);
        let spilled_bytes = self.customers.spilled_bytes();
        // A strict build with errors stores nothing more; a lenient one goes on without the records set
        // aside.
        let built = match rendered.filter(|_| is_lenient || self.problems.errors.is_empty()) {
            Some(Rendered { directory, items, external_ids }) if !self.is_beyond_use() => {
                let mut store = |kind, object| store(kind, object, sink, &mut objects);
                let item_count = items.len() as u64;
                let items = keyed(items, salt);
                let item_tree = build_records(&items, bits.map(|bits| bits.items), &mut store)?;
                let external_ids =
                    build_records(&external_ids, bits.map(|bits| bits.external_ids), &mut store)?;
                let trees = [&customers.tree, &item_tree, &external_ids];
                let (index, pages) = encode_index(salt, trees, PAGE_ABOVE_BITS)?;
                for page in pages {
                    store(ObjectKind::Page, page)?;
                }
                let index = store(ObjectKind::Index, index)?;
                let directory = store(ObjectKind::Directory, directory)?;
                Some(Built { objects, index, directory, customers: customers.count, items: item_count })
            }
            _ => None,
        };
        Ok(BuildOutcome { built, problems: self.problems, catalogue: self.catalogue, spilled_bytes })
    }

    /// Renders the catalogue. `None` if it has errors.
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

    /// Renders the catalogue after wrong records have been replaced by their last good state.
    fn settle(&mut self, published: Option<&PublishedRecords<'_>>) -> Result<Option<Rendered>, BuildError> {
        if self.is_beyond_use() {
            return Ok(None);
        }
        // Avoid reading published objects while no last good state is needed.
        if !self.needs_published() {
            let rendered = Rendered::of(&self.catalogue)?;
            if !self.catalogue.is_too_large(&rendered) {
                self.catalogue.warn(&mut self.problems);
                return Ok(Some(rendered));
            }
        }
        let before = published.map(PublishedRecords::catalogue).transpose()?;
        let history = History::new(before.as_ref());
        let rendered = self.catalogue.settle(&history, Input::Whole, &mut self.problems)?;
        self.catalogue.warn(&mut self.problems);
        Ok(Some(rendered))
    }

    /// Whether a last good state is needed: a line is unreadable, or a record of the catalogue is wrong.
    fn needs_published(&self) -> bool {
        !self.problems.errors.is_empty() || self.catalogue.is_wrong()
    }

    /// Whether the lines as a whole are useless: their position in the origin's history is unknown, or too
    /// many records are wrong.
    fn is_beyond_use(&self) -> bool {
        self.problems.set_aside.is_position_lost() || self.problems.set_aside.is_overflowing()
    }
}

/// The reason why lines as a whole cannot be used, if there is one.
#[must_use]
pub fn beyond_use(problems: &Problems) -> Option<String> {
    if problems.set_aside.is_position_lost() {
        Some("the snapshot line cannot be used: without it the next change is unknown".to_owned())
    } else if problems.set_aside.is_overflowing() {
        Some(format!("more than {SET_ASIDE_MAX} records cannot be used: the export as a whole is broken"))
    } else {
        None
    }
}

/// Names an object, checks that edges would accept it, and passes it to `sink`.
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

/// Layout of snapshots that never leave the process.
const IN_MEMORY: Layout = Layout::new(ItemSalt::IN_MEMORY);

/// The records of items by their keys under `salt`.
pub(crate) fn keyed(items: BTreeMap<i64, Vec<u8>>, salt: ItemSalt) -> BTreeMap<EntryKey, Vec<u8>> {
    items.into_iter().map(|(id, record)| (EntryKey::item(salt, id), record)).collect()
}

/// Builds a small snapshot in memory from NDJSON, as published at `now`. The keys of its items are derived
/// with a well-known salt, so it must not be published.
///
/// # Errors
/// As [`Source::build`], or lines are invalid.
///
/// ```
/// use std::{collections::HashMap, rc::Rc};
///
/// use admit_publish::build::build_ndjson;
/// use admit_snapshot::{
///     customer::CustomerRecord,
///     directory::Directory,
///     index::{Index, Tree},
///     key::EntryKey,
///     object::{ObjectKind, ObjectName},
///     version::{Found, ObjectCache, Version},
/// };
///
/// let lines = concat!(
///     r#"{"type":"merchant","id":21,"uuid":"3b39b5ab-b5fc-4ba3-b770-73155d20e61f"}"#, "\n",
///     r#"{"type":"customer","namespace":"shop","subject":"42","id":42,"uuid":"528b1b80-5868-4abc-a9b6-4d3455d719c8","merchant_id":21}"#, "\n",
/// );
/// let built = build_ndjson(lines.as_bytes(), 1_900_000_000)?;
/// assert_eq!((built.customers, built.items), (1, 0));
///
/// // Look the customer up, as an edge does.
/// let head = built.head(1, 1_900_000_000);
/// let objects: HashMap<_, _> = built.objects.into_iter().collect();
/// let named = |kind, digest| objects[&ObjectName { kind, digest }].clone();
/// let version = Version {
///     index: Rc::new(Index::decode(named(ObjectKind::Index, head.index))?),
///     directory: Rc::new(Directory::decode(&named(ObjectKind::Directory, head.directory))?),
///     delta: None,
///     head,
/// };
/// let key = EntryKey::customer("shop", "42");
/// let mut cache = ObjectCache::new(1 << 20);
/// let Found::Load(shard) = version.look_up(Tree::Customers, key, &mut cache)? else { panic!("not loaded yet") };
/// cache.insert(shard, objects[&shard].clone().into());
/// let Found::Record(record) = version.look_up(Tree::Customers, key, &mut cache)? else { panic!("not found") };
/// assert_eq!(CustomerRecord::new(record.bytes())?.merchant_id, 21);
/// # Ok::<(), admit_publish::build::BuildError>(())
/// ```
pub fn build_ndjson(ndjson: &[u8], now: UnixSecs) -> Result<Built, BuildError> {
    let mut source = Source::new(now, Strictness::Refuse, SpillPlan::default());
    source.read("lines", ndjson)?;
    let sink = MemorySink::default();
    let BuildOutcome { built, problems, .. } = source.build(None, &sink)?;
    let Some(Built { objects, index, directory, customers, items }) = built else {
        return Err(BuildError::Lines(Box::new(problems)));
    };
    let objects = objects.into_iter().map(|(name, _)| (name, sink.take(name).unwrap_or_default())).collect();
    Ok(Built { objects, index, directory, customers, items })
}

/// Builds a snapshot in memory from a few lines, as published at `now`. The lines may be part of a larger
/// whole: their references are not checked, except those that rendering needs.
///
/// # Errors
/// A record that rendering needs is missing, or the format cannot express a line.
pub fn build_part(lines: impl IntoIterator<Item = Line>, now: UnixSecs) -> Result<Built, BuildError> {
    let at = Location { file: "lines".into(), line: 0 };
    let (mut catalogue, mut customers) = (Catalogue::default(), BTreeMap::new());
    let mut problems = Problems::default();
    for line in lines {
        let mut record = Vec::new();
        // Customers are encoded at once; all other records go to the catalogue.
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
    let Rendered { directory, items, external_ids } = Rendered::of(&catalogue)?;
    let customer_tree = build_records(&customers, None, &mut store)?;
    let item_count = items.len() as u64;
    let item_tree = build_records(&keyed(items, IN_MEMORY.salt), None, &mut store)?;
    let external_ids = build_records(&external_ids, None, &mut store)?;
    let trees = [&customer_tree, &item_tree, &external_ids];
    let (index, pages) = encode_index(IN_MEMORY.salt, trees, PAGE_ABOVE_BITS)?;
    for page in pages {
        store(ObjectKind::Page, page)?;
    }
    let (index, directory) = (store(ObjectKind::Index, index)?, store(ObjectKind::Directory, directory)?);
    Ok(Built { objects, index, directory, customers: customers.len() as u64, items: item_count })
}

/// Checks that an edge would accept an object of this length.
///
/// # Errors
/// `TooLarge`, with a hint at the cause.
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
