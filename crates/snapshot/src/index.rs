//! The index: which shard holds which keys. One tree for customers, one for items, one for external ids.
//!
//! Layout of the object: the salt of the items' keys (16 bytes; absent in format 1); then for each tree
//! `shard_bits` (u8) and `page_bits` (u8); then the digests, 32 bytes each, tree by tree. Formats 1 and 2 have no
//! tree of external ids.
//!
//! A tree has `1 << shard_bits` shards, and the leading bits of a key choose one. If `page_bits` is 0, the
//! index lists the digests of the shards in order. Otherwise it lists those of `1 << page_bits` pages. Each
//! page (kind `page`) holds the digests of an equal part of the shards, in order. A digest of zeros stands
//! for a shard without entries.
//!
//! ```
//! use admit_snapshot::{
//!     index::{Index, NewTree, Place, Tree, encode_index},
//!     key::{EntryKey, ItemSalt},
//!     object::{Digest, ObjectKind, ObjectName},
//! };
//!
//! // Two shards of customers, the first of them without entries, and one shard of items.
//! let digest = Digest::of(b"a shard");
//! let customers = NewTree::new(vec![None, Some(digest)])?;
//! let (items, external_ids) = (NewTree::new(vec![None])?, NewTree::new(vec![None])?);
//! let (object, pages) = encode_index(ItemSalt::IN_MEMORY, [&customers, &items, &external_ids], 15)?;
//! assert!(pages.is_empty(), "this index is small enough for one object");
//!
//! let index = Index::decode(object)?;
//! let no_page = |_| None::<Vec<u8>>;
//! // The first bit of a key chooses one of two shards.
//! assert_eq!(index.place(Tree::Customers, EntryKey([0; 16]), no_page)?, Place::Nowhere);
//! let shard = ObjectName { kind: ObjectKind::Shard, digest };
//! assert_eq!(index.place(Tree::Customers, EntryKey([0xff; 16]), no_page)?, Place::Shard(shard));
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use super::{
    key::{EntryKey, ItemSalt},
    object::{Digest, Format, FormatError, ObjectKind, ObjectName, body, versioned_body},
    wire::Cursor,
};

const DIGEST_LEN: usize = 32;

/// Length of a tree's shape in bytes.
const SHAPE_LEN: usize = 2;

/// Largest number of shards as a power of two. More would need pages of pages: 2^30 shards of 64 KiB are 64
/// TiB.
const MAX_SHARD_BITS: u8 = 30;

/// Stands for a shard without entries. No object has this digest.
const EMPTY: [u8; DIGEST_LEN] = [0; DIGEST_LEN];

/// One of the three trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Customers, by [`EntryKey::customer`].
    Customers,
    /// Items, by [`EntryKey::item`].
    Items,
    /// The items that external ids name, by [`EntryKey::external_id`].
    ExternalIds,
}

impl Tree {
    /// All trees, in the order in which index and delta hold them.
    pub const ALL: [Self; 3] = [Self::Customers, Self::Items, Self::ExternalIds];
}

/// Where the entry of a key may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this shard or nowhere.
    Shard(ObjectName),
    /// Nowhere: its shard has no entries.
    Nowhere,
    /// In a shard that this page names. The page must be loaded first.
    Page(ObjectName),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    shard_bits: u8,
    page_bits: u8,
}

impl Shape {
    /// A tree of one shard, which has no entries.
    const EMPTY: Self = Self { shard_bits: 0, page_bits: 0 };

    fn read([shard_bits, page_bits]: [u8; SHAPE_LEN]) -> Result<Self, FormatError> {
        let shape = Self { shard_bits, page_bits };
        shape.check()?;
        Ok(shape)
    }

    const fn top_len(self) -> usize {
        1 << (if self.page_bits == 0 { self.shard_bits } else { self.page_bits })
    }

    fn check(self) -> Result<(), FormatError> {
        if self.shard_bits > MAX_SHARD_BITS || self.page_bits > self.shard_bits {
            return Err(FormatError::Invalid("shape of the index"));
        }
        Ok(())
    }
}

/// A decoded index. It keeps the object's bytes and reads digests in place.
#[derive(Clone, Debug)]
pub struct Index {
    object: Vec<u8>,
    salt: ItemSalt,
    /// Offset of the first digest in the object.
    digests_at: usize,
    customers: Shape,
    items: Shape,
    /// Absent in formats 1 and 2.
    external_ids: Option<Shape>,
}

impl Index {
    /// Decodes the object.
    ///
    /// # Errors
    /// The bytes are not an index, or their length does not fit the trees' shapes.
    pub fn decode(object: Vec<u8>) -> Result<Self, FormatError> {
        let (format, content) = versioned_body(ObjectKind::Index, &object)?;
        let (salt, content) = match format {
            Format::One => (ItemSalt::NONE, content),
            Format::Two | Format::Three => {
                let (salt, content) = content.split_first_chunk().ok_or(FormatError::Truncated)?;
                (ItemSalt::new(*salt), content)
            }
        };
        let mut cursor = Cursor::new(content);
        let (customers, items) = (Shape::read(cursor.array()?)?, Shape::read(cursor.array()?)?);
        let external_ids = match format {
            Format::One | Format::Two => None,
            Format::Three => Some(Shape::read(cursor.array()?)?),
        };
        let digests = cursor.rest();
        let count = customers.top_len() + items.top_len() + external_ids.map_or(0, Shape::top_len);
        // Saturate: 2^30 digests exceed what 32 bits can count in bytes.
        if digests.len() != count.saturating_mul(DIGEST_LEN) {
            return Err(FormatError::Truncated);
        }
        let digests_at = object.len() - digests.len();
        Ok(Self { salt, digests_at, customers, items, external_ids, object })
    }

    /// The bytes from which the index was decoded.
    #[must_use]
    pub fn object(&self) -> &[u8] {
        &self.object
    }

    /// The salt from which the keys of items are derived.
    #[must_use]
    pub const fn salt(&self) -> ItemSalt {
        self.salt
    }

    /// The key of an item.
    #[must_use]
    pub fn item_key(&self, id: i64) -> EntryKey {
        EntryKey::item(self.salt, id)
    }

    /// The key of an external id of items of this type.
    #[must_use]
    pub fn external_key(&self, item_type: &str, external_id: &str) -> EntryKey {
        EntryKey::external_id(self.salt, item_type, external_id)
    }

    /// Whether the snapshot knows external ids. An index of format 1 or 2 does not: there the tree of external ids is
    /// empty, and that says nothing about an item.
    #[must_use]
    pub const fn has_external_ids(&self) -> bool {
        self.external_ids.is_some()
    }

    /// Finds the shard of `key`. `page` returns the bytes of a page if it is loaded.
    ///
    /// # Errors
    /// A page is corrupt or too short.
    pub fn place<P: AsRef<[u8]>>(
        &self,
        tree: Tree,
        key: EntryKey,
        page: impl FnOnce(ObjectName) -> Option<P>,
    ) -> Result<Place, FormatError> {
        let shape = self.shape(tree);
        let shard = key.shard(shape.shard_bits);
        if shape.page_bits == 0 {
            return Ok(shard_place(self.top(tree, shard)?));
        }
        let name = ObjectName { kind: ObjectKind::Page, digest: self.top(tree, key.shard(shape.page_bits))? };
        match page(name) {
            None => Ok(Place::Page(name)),
            Some(page) => {
                // The first `page_bits` bits chose the page; the remaining ones choose the shard within it.
                let within = shard & ((1 << (shape.shard_bits - shape.page_bits)) - 1);
                digest_at(body(ObjectKind::Page, page.as_ref())?, within).map(shard_place)
            }
        }
    }

    /// Number of shards of a tree, empty ones included.
    #[must_use]
    pub const fn shard_count(&self, tree: Tree) -> usize {
        1 << self.shape(tree).shard_bits
    }

    /// How many leading bits of a key are the number of its shard.
    #[must_use]
    pub const fn shard_bits(&self, tree: Tree) -> u8 {
        self.shape(tree).shard_bits
    }

    /// Whether both indexes lead to the same shards or pages of a tree.
    ///
    /// # Errors
    /// An index ends too early.
    pub fn has_equal_shards(&self, other: &Self, tree: Tree) -> Result<bool, FormatError> {
        let shape = self.shape(tree);
        if shape != other.shape(tree) {
            return Ok(false);
        }
        for position in 0..shape.top_len() {
            if self.top(tree, position)? != other.top(tree, position)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The page that names the shard of `key`, and how many shards it names, as a power of two. `None` if the index
    /// itself lists the shards.
    ///
    /// # Errors
    /// The index ends too early.
    pub fn page_of(&self, tree: Tree, key: EntryKey) -> Result<Option<(ObjectName, u8)>, FormatError> {
        let Shape { shard_bits, page_bits } = self.shape(tree);
        if page_bits == 0 {
            return Ok(None);
        }
        let digest = self.top(tree, key.shard(page_bits))?;
        Ok(Some((ObjectName { kind: ObjectKind::Page, digest }, shard_bits - page_bits)))
    }

    /// The pages of a tree in order. Empty if the index itself lists the shards.
    ///
    /// # Errors
    /// The index ends too early.
    pub fn pages(&self, tree: Tree) -> Result<Vec<ObjectName>, FormatError> {
        let shape = self.shape(tree);
        let count = if shape.page_bits == 0 { 0 } else { shape.top_len() };
        (0..count)
            .map(|position| Ok(ObjectName { kind: ObjectKind::Page, digest: self.top(tree, position)? }))
            .collect()
    }

    /// The shards of a tree that have entries, in order. `page` returns the bytes of a page.
    ///
    /// # Errors
    /// A page is missing, corrupt or too short.
    pub fn shards<P: AsRef<[u8]>>(
        &self,
        tree: Tree,
        mut page: impl FnMut(ObjectName) -> Option<P>,
    ) -> Result<Vec<ObjectName>, FormatError> {
        if self.shape(tree).page_bits == 0 {
            return Ok(self.top_shards(tree)?.into_iter().map(|(_, name)| name).collect());
        }
        let mut shards = Vec::new();
        for (position, name) in self.pages(tree)?.into_iter().enumerate() {
            let object = page(name).ok_or(FormatError::Truncated)?;
            shards
                .extend(self.page_shards(tree, position, object.as_ref())?.into_iter().map(|(_, name)| name));
        }
        Ok(shards)
    }

    /// The shards with entries that the index itself lists, each with its number. Empty for a tree with
    /// pages.
    ///
    /// # Errors
    /// The index ends too early.
    pub fn top_shards(&self, tree: Tree) -> Result<Vec<(usize, ObjectName)>, FormatError> {
        let shape = self.shape(tree);
        let count = if shape.page_bits == 0 { shape.top_len() } else { 0 };
        numbered_shards(0, (0..count).map(|position| self.top(tree, position)))
    }

    /// The shards with entries that the page at `position` lists, each with its number in the tree.
    ///
    /// # Errors
    /// `page` is not a page, or has the wrong length.
    pub fn page_shards(
        &self,
        tree: Tree,
        position: usize,
        page: &[u8],
    ) -> Result<Vec<(usize, ObjectName)>, FormatError> {
        let shape = self.shape(tree);
        let (digests, rest) = body(ObjectKind::Page, page)?.as_chunks::<DIGEST_LEN>();
        if digests.len() != 1 << (shape.shard_bits - shape.page_bits) || !rest.is_empty() {
            return Err(FormatError::Truncated);
        }
        let first = position.saturating_mul(digests.len());
        numbered_shards(first, digests.iter().map(|digest| Ok(Digest(*digest))))
    }

    const fn shape(&self, tree: Tree) -> Shape {
        match tree {
            Tree::Customers => self.customers,
            Tree::Items => self.items,
            Tree::ExternalIds => match self.external_ids {
                Some(shape) => shape,
                None => Shape::EMPTY,
            },
        }
    }

    fn top(&self, tree: Tree, position: usize) -> Result<Digest, FormatError> {
        // The digests of a tree follow those of the trees before it.
        let skipped = match tree {
            Tree::Customers => 0,
            Tree::Items => self.customers.top_len(),
            Tree::ExternalIds if self.external_ids.is_none() => return Ok(Digest(EMPTY)),
            Tree::ExternalIds => self.customers.top_len() + self.items.top_len(),
        };
        let digests = self.object.get(self.digests_at..).ok_or(FormatError::Truncated)?;
        digest_at(digests, skipped + position)
    }
}

/// Numbers consecutive shards from `first` on, and keeps those that have entries.
fn numbered_shards(
    first: usize,
    digests: impl Iterator<Item = Result<Digest, FormatError>>,
) -> Result<Vec<(usize, ObjectName)>, FormatError> {
    let mut shards = Vec::new();
    for (position, digest) in digests.enumerate() {
        if let Place::Shard(name) = shard_place(digest?) {
            shards.push((first + position, name));
        }
    }
    Ok(shards)
}

const fn shard_place(digest: Digest) -> Place {
    // A `match`, because `==` on arrays is not const.
    match digest.0 {
        EMPTY => Place::Nowhere,
        _ => Place::Shard(ObjectName { kind: ObjectKind::Shard, digest }),
    }
}

fn digest_at(digests: &[u8], position: usize) -> Result<Digest, FormatError> {
    digests
        .as_chunks::<DIGEST_LEN>()
        .0
        .get(position)
        .map(|digest| Digest(*digest))
        .ok_or(FormatError::Truncated)
}

/// One tree of an index to be written. `None` stands for a shard without entries.
#[derive(Clone, Debug)]
pub struct NewTree {
    shards: Vec<Option<Digest>>,
}

impl NewTree {
    /// Takes the digests of all shards in order.
    ///
    /// # Errors
    /// Their number is not a power of two, or is too large.
    pub fn new(shards: Vec<Option<Digest>>) -> Result<Self, FormatError> {
        if shards.len().is_power_of_two() && shards.len() <= 1 << MAX_SHARD_BITS {
            Ok(Self { shards })
        } else {
            Err(FormatError::Invalid("number of shards"))
        }
    }
}

/// Encodes the index of the trees, in the order of [`Tree::ALL`], and its pages. A tree of more than
/// `1 << page_above_bits` shards gets pages with that number of digests each. The keys of items and external ids were
/// derived with `salt`.
///
/// # Errors
/// The salt is [`ItemSalt::NONE`], or a tree has too many shards.
pub fn encode_index(
    salt: ItemSalt,
    trees: [&NewTree; Tree::ALL.len()],
    page_above_bits: u8,
) -> Result<(Vec<u8>, Vec<Vec<u8>>), FormatError> {
    let mut pages = Vec::new();
    let mut tops = Vec::new();
    let mut object = ObjectKind::Index.header().to_vec();
    object.extend(salt.bytes().ok_or(FormatError::Invalid("an index without a salt"))?);
    for tree in trees {
        let shard_bits = u8::try_from(tree.shards.len().trailing_zeros())
            .map_err(|_| FormatError::Invalid("number of shards"))?;
        let digests = tree.shards.iter().map(|shard| shard.map_or(EMPTY, |digest| digest.0));
        if shard_bits <= page_above_bits {
            object.extend([shard_bits, 0]);
            tops.extend(digests);
            continue;
        }
        object.extend([shard_bits, shard_bits - page_above_bits]);
        let digests: Vec<_> = digests.collect();
        for part in digests.chunks(1 << page_above_bits) {
            let page = [ObjectKind::Page.header().as_slice(), part.as_flattened()].concat();
            tops.push(Digest::of(&page).0);
            pages.push(page);
        }
    }
    object.extend(tops.as_flattened());
    Ok((object, pages))
}

#[cfg(test)]
mod tests;
