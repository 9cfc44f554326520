//! Lists the keys of the store, for `admit gc`, which looks for objects that nothing refers to any more.

use std::borrow::Cow;

use super::store_failed;
use crate::{
    api::{
        error::ApiError,
        json::json,
        query,
        reply::{Caching, Reply},
    },
    limits::CURSOR_MAX_BYTES,
    ports::{KeyPage, ObjectStore},
    snapshot::{object::ObjectKind, store_key::VERSION_PREFIX},
};

/// A page of the keys that begin with a prefix.
pub(super) async fn list(query: &str, store: &impl ObjectStore) -> Result<Reply, Reply> {
    let (prefix, cursor) = prefix_and_cursor(query)?;
    let page = store.list(&prefix, cursor.as_deref()).await.map_err(store_failed)?;
    let KeyPage { keys, cursor } = page;
    let (keys, cursor) = (json(&keys), json(&cursor));
    Ok(Reply::ok(format!(r#"{{"keys":{keys},"cursor":{cursor}}}"#), Caching::Private))
}

/// `prefix`, and `cursor` unless it is the first page. An empty cursor means the first page.
fn prefix_and_cursor(query: &str) -> Result<(Cow<'_, str>, Option<Cow<'_, str>>), ApiError> {
    let prefix = query::last(query, "prefix").flatten().filter(|prefix| is_prefix(prefix));
    let prefix = prefix.ok_or(ApiError::INVALID_PREFIX)?;
    let cursor =
        query::last(query, "cursor").map(|cursor| cursor.ok_or(ApiError::INVALID_CURSOR)).transpose()?;
    let cursor = cursor.filter(|cursor| !cursor.is_empty());
    match &cursor {
        Some(cursor) if cursor.len() > CURSOR_MAX_BYTES => Err(ApiError::INVALID_CURSOR),
        _ => Ok((prefix, cursor)),
    }
}

/// Whether only keys of the snapshot begin with `text`: other keys of the namespace are not listed.
fn is_prefix(text: &str) -> bool {
    let digits = ObjectKind::ALL
        .into_iter()
        .find_map(|kind| text.strip_prefix(kind.prefix())?.strip_prefix('/'))
        .or_else(|| text.strip_prefix(VERSION_PREFIX));
    digits.is_some_and(|digits| {
        digits.len() <= 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefixes_are_those_of_the_snapshot() {
        for (query, prefix, cursor) in [
            ("prefix=shard/", "shard/", None),
            ("prefix=shard%2F0a", "shard/0a", None),
            ("prefix=version/1&cursor=", "version/1", None),
            ("cursor=a%2Bb%3d%3D&x=%&prefix=delta/", "delta/", Some("a+b==")),
            ("prefix=page/&cursor=a+b", "page/", Some("a+b")),
        ] {
            let (found, next) = prefix_and_cursor(query).unwrap();
            assert_eq!((found.as_ref(), next.as_deref()), (prefix, cursor), "{query}");
        }
        let long = format!("prefix=shard/{}", "0".repeat(65));
        for query in [
            "",
            "prefix",
            "prefix=",
            "prefix=shard",
            "prefix=jwks/",
            "prefix=s",
            "prefix=head",
            "prefix=lease",
            "prefix=shard//",
            "prefix=shard/%2e%2e",
            "prefix=shard/A",
            "prefix=%73hards/",
            "prefix=shard%2",
            "prefix=shard%+2",
            "prefix=%ff",
            "Prefix=shard/",
            &long,
        ] {
            assert_eq!(prefix_and_cursor(query), Err(ApiError::INVALID_PREFIX), "{query}");
        }
        for cursor in ["%", "%zz", "%80", &"c".repeat(CURSOR_MAX_BYTES + 1)] {
            let query = format!("prefix=shard/&cursor={cursor}");
            assert_eq!(prefix_and_cursor(&query), Err(ApiError::INVALID_CURSOR), "{cursor}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_panic(query in any::<String>()) {
            let _ = prefix_and_cursor(&query);
            let _ = prefix_and_cursor(&format!("prefix={query}"));
        }
    }
}
