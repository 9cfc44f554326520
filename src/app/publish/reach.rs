//! The objects to which the published head leads. They cannot be deleted: `admit gc` deletes objects that are out of use,
//! and a token that leaks from it must not be enough to take the snapshot away.

use std::rc::Rc;

use super::{head::Heads, store_failed};
use crate::{
    api::{error::ApiError, reply::Reply},
    app::library::LoadError,
    ports::Platform,
    snapshot::{
        head::Head,
        index::{Index, Tree},
        object::{ObjectKind, ObjectName},
    },
};

impl<P: Platform> Heads<'_, P> {
    /// Whether an object may go: the published head does not lead to it, not through its index and pages either.
    pub(super) async fn check_unneeded(&self, name: ObjectName) -> Result<(), Reply> {
        let needed = |problem: String| Err(Reply::detailed(ApiError::ObjectNeeded, &problem));
        // A head that cannot be read may lead to anything.
        let stored = match self.stored_head().await?.transpose() {
            Ok(stored) => stored,
            Err(error) => return needed(format!("the head cannot be read ({error}) and may lead to {name}")),
        };
        let Some(head) = self.newest(stored) else { return Ok(()) };
        if head.named().any(|named| named == name) {
            return needed(format!("{name} is in use. Publish another head first"));
        }
        match self.leads_to(&head, name).await {
            Ok(false) => Ok(()),
            Ok(true) => needed(format!("{name} is in use. Publish another head first")),
            Err((_, LoadError::Store(error))) => Err(store_failed(error)),
            Err((unreadable, error)) => needed(format!(
                "{unreadable} cannot be read ({error}) and may lead to {name}. Publish with --repair first"
            )),
        }
    }

    /// Whether the index of `head`, or one of its pages, names the object. With what could not be read.
    async fn leads_to(&self, head: &Head, name: ObjectName) -> Result<bool, (ObjectName, LoadError)> {
        if !matches!(name.kind, ObjectKind::Page | ObjectKind::Shard) {
            return Ok(false);
        }
        let index_name = ObjectName { kind: ObjectKind::Index, digest: head.index };
        let wrong = |error| (index_name, LoadError::Format(error));
        let index = self.index_of(head).await.map_err(|error| (index_name, error))?;
        for tree in Tree::ALL {
            let pages = index.pages(tree).map_err(wrong)?;
            let shards = index.top_shards(tree).map_err(wrong)?;
            if pages.contains(&name) || shards.iter().any(|(_, shard)| *shard == name) {
                return Ok(true);
            }
            if name.kind == ObjectKind::Page {
                continue;
            }
            for (position, page) in pages.into_iter().enumerate() {
                let object = self.page(page).await.map_err(|error| (page, error))?;
                let shards = index.page_shards(tree, position, &object);
                let shards = shards.map_err(|error| (page, LoadError::Format(error)))?;
                if shards.iter().any(|(_, shard)| *shard == name) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The index of a head: that of the version in use, if it is the same.
    async fn index_of(&self, head: &Head) -> Result<Rc<Index>, LoadError> {
        let current = self.reader.library.read().versions.current().cloned();
        if let Some(current) = current.filter(|current| current.head.index == head.index) {
            return Ok(Rc::clone(&current.index));
        }
        let name = ObjectName { kind: ObjectKind::Index, digest: head.index };
        Ok(Rc::new(Index::decode(self.reader.read_recent(name).await?)?))
    }

    /// A page, kept in memory for the next deletion: a collection asks for all pages again and again.
    async fn page(&self, name: ObjectName) -> Result<Rc<[u8]>, LoadError> {
        let kept = self.reader.library.write().objects.cache.get(name);
        if let Some(page) = kept {
            return Ok(page);
        }
        let page: Rc<[u8]> = self.reader.read_recent(name).await?.into();
        self.reader.library.write().objects.cache.insert(name, Rc::clone(&page));
        Ok(page)
    }
}
