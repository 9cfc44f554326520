//! Objects: stored by themselves or several at once, and checked where they are.

use futures_util::FutureExt as _;

use super::{Publisher, store_failed, stored};
use crate::{
    api::{
        error::ApiError,
        json::json,
        reply::{Caching, Reply},
    },
    app::{
        library::{LoadError, all},
        unavailable,
    },
    limits::{CHECK_MAX_OBJECTS, CHECKS_AT_ONCE, STORES_AT_ONCE},
    ports::{ObjectStore, Platform},
    snapshot::{
        object::ObjectName,
        pack::{PackError, unpack_by},
    },
};

impl<P: Platform> Publisher<'_, P> {
    /// Whether `object` is the one of that name.
    pub(super) fn check_object(&self, name: ObjectName, object: &[u8]) -> Result<(), Reply> {
        let checked = name.check_by(object, |bytes| self.reader.digest_of(bytes));
        checked.map_err(|error| Reply::error(ApiError::NOT_THE_OBJECT, error.to_string()))
    }

    /// Stores the objects of a pack, none unless all are good. Objects that are stored when the store fails in between
    /// does no harm: nothing refers to it yet, and the same pack may come again.
    pub(super) async fn store_pack(&self, pack: &[u8]) -> Result<Reply, Reply> {
        let objects =
            unpack_by(pack, |object| self.reader.digest_of(object)).map_err(|error| match error {
                PackError::TooMany => ApiError::TooManyObjects.into(),
                PackError::Object { .. } => Reply::detailed(ApiError::NOT_A_PACK, &error.to_string()),
            })?;
        let mut distinct: Vec<(ObjectName, &[u8])> = Vec::with_capacity(objects.len());
        for (name, object) in objects.iter().copied() {
            // KV refuses a second write to a key within a second.
            if !distinct.iter().any(|(known, _)| *known == name) {
                distinct.push((name, object));
            }
        }
        for some in distinct.chunks(STORES_AT_ONCE) {
            let puts = some.iter().map(|(name, object)| self.put_object(*name, object).boxed_local());
            for put in all(puts.collect()).await {
                put.map_err(|error| Reply::error(unavailable(), error.to_string()))?;
            }
        }
        Ok(stored(&objects.len().to_string()))
    }

    async fn put_object(&self, name: ObjectName, object: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.reader.platform.store().put(&name.to_string(), object).await?;
        Ok(Vec::new())
    }

    /// Reads objects and says which are missing, and which are not what their names say.
    pub(super) async fn check_objects(&self, names: &[u8]) -> Result<Reply, Reply> {
        let names = names_of(names)?;
        let (mut missing, mut broken) = (Vec::new(), Vec::new());
        for some in names.chunks(CHECKS_AT_ONCE) {
            let objects = some.iter().map(|name| self.reader.read_recent(*name).boxed_local());
            for (name, object) in some.iter().zip(all(objects.collect()).await) {
                match object {
                    Ok(_) => {}
                    Err(LoadError::Store(error)) => return Err(store_failed(error)),
                    Err(LoadError::NotFound) => missing.push(name.to_string()),
                    Err(_) => broken.push(name.to_string()),
                }
            }
        }
        let (missing, broken) = (json(&missing), json(&broken));
        Ok(Reply::ok(format!(r#"{{"missing":{missing},"broken":{broken}}}"#), Caching::Private))
    }
}

/// The names in a list, one a line.
fn names_of(list: &[u8]) -> Result<Vec<ObjectName>, Reply> {
    let list = std::str::from_utf8(list)
        .map_err(|_| Reply::detailed(ApiError::NOT_OBJECT_NAMES, "the list must be UTF-8 text"))?;
    let mut names = Vec::new();
    for line in list.lines() {
        if names.len() == CHECK_MAX_OBJECTS {
            return Err(ApiError::TooManyObjects.into());
        }
        let Some(name) = ObjectName::parse(line) else {
            return Err(Reply::detailed(
                ApiError::NOT_OBJECT_NAMES,
                &format!(
                    "line {} is invalid, expected a name such as shard/<64 hexadecimal digits>",
                    names.len() + 1
                ),
            ));
        };
        names.push(name);
    }
    Ok(names)
}
