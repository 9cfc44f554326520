//! The way through the index of a version to its shards.

use admit_snapshot::{
    index::{Index, Tree},
    object::{FormatError, ObjectName},
};

/// Shards by their position in a tree.
pub type Shards = Vec<(usize, ObjectName)>;

/// Visits the shards of a tree that have entries: those that the index itself names, then those of each of its pages.
/// `page` reads the page at a position and returns its shards, by [`Index::page_shards`].
///
/// # Errors
/// The index is corrupt, or `page` or `visit` fails.
pub fn walk_shards<E: From<FormatError>>(
    index: &Index,
    tree: Tree,
    mut page: impl FnMut(usize, ObjectName) -> Result<Shards, E>,
    mut visit: impl FnMut(Shards) -> Result<(), E>,
) -> Result<(), E> {
    visit(index.top_shards(tree)?)?;
    for (position, name) in index.pages(tree)?.into_iter().enumerate() {
        visit(page(position, name)?)?;
    }
    Ok(())
}
