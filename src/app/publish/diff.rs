//! What changed between two versions, a page at a time, and each page for a bounded price.

use std::rc::Rc;

use futures_util::FutureExt as _;

use super::{Failed, Publisher};
use crate::{
    api::{
        diff::{DiffCursor, DiffQuestion, DiffToken, Named, Which},
        error::ApiError,
        json::json,
        reply::{Caching, Reply},
    },
    app::library::{LoadError, all},
    limits::{
        CHECKS_AT_ONCE, DIFF_ANSWER_BYTES, DIFF_LOOKS_MAX, DIFF_PAGE_BYTES, DIFF_PAGE_PARTS,
        DIFF_PARTS_AT_ONCE, OBJECT_MAX_BYTES,
    },
    ports::{ObjectStore as _, Platform},
    snapshot::{
        compare::{
            Bounds, Compared, Comparison, Counts, DirectoryChanges, How, PartSize, RecordChange, VersionFacts,
        },
        head::Head,
        head_value::HeadValue,
        index::Tree,
        object::{HEAD_KEY, ObjectKind, ObjectName},
        store_key::StoreKey,
        version::{ObjectCache, Version},
    },
};

/// The changes of one kind of record on a page, rendered.
#[derive(Default)]
struct Shown {
    counts: Counts,
    changes: String,
}

impl Shown {
    fn add(&mut self, change: &RecordChange) {
        match change.how {
            How::Added => self.counts.added += 1,
            How::Removed => self.counts.removed += 1,
            How::Changed => self.counts.changed += 1,
        }
        if !self.changes.is_empty() {
            self.changes.push(',');
        }
        self.changes.push_str(&json(change));
    }

    /// `"customers":{…}`.
    fn push(&self, name: &str, body: &mut String) {
        let counts = json(&self.counts);
        let counts = counts.strip_suffix('}').unwrap_or_default();
        for part in ["\"", name, "\":", counts, r#","changes":["#, &self.changes, "]},"] {
            body.push_str(part);
        }
    }
}

impl<P: Platform> Publisher<'_, P> {
    /// A page of the changes from one version to another.
    pub(super) async fn diff(&self, query: &str) -> Result<Reply, Failed> {
        let question = DiffQuestion::parse(query)?;
        // The newest delta may be stored with the head alone.
        let stored = self.reader.platform.store().get_recent(HEAD_KEY).await?;
        let stored = stored.as_deref().map(HeadValue::split);
        let (heads, cursor) = match question.token {
            Some(token) => ([token.before.head(), token.after.head()], token.cursor),
            None => {
                let head_of = |which| self.head_of(which, stored);
                ([head_of(question.from).await?, head_of(question.to).await?], DiffCursor::START)
            }
        };
        let delta = stored.and_then(|value| value.delta);
        let digest = delta.map(|delta| self.reader.digest_of(delta));
        let at_hand = digest.map(|digest| ObjectName { kind: ObjectKind::Delta, digest }).zip(delta);
        let at_hand = at_hand.as_slice();
        let [before, after] = heads.map(|head| self.loader.open(head, at_hand));
        let before = before.await?;
        let after = after.await?;
        let mut body = "{".to_owned();
        if question.token.is_none() {
            for (name, version) in [(r#""before":"#, &before), (r#","after":"#, &after)] {
                body.push_str(name);
                body.push_str(&json(&self.facts(version).await?));
            }
            body.push_str(r#","directory":"#);
            body.push_str(&json(&DirectoryChanges::new(&before.directory, &after.directory)));
            body.push(',');
        }
        let (shown, next) = self.page(&before, &after, cursor).await?;
        for (name, shown) in ["customers", "items"].into_iter().zip(&shown) {
            shown.push(name, &mut body);
        }
        let is_named = |name: &ObjectName| {
            question.token.is_none()
                && [&before, &after].iter().any(|version| version.head.delta == Some(name.digest))
        };
        if let (Some(_), [(name, delta)]) = (&next, at_hand)
            && is_named(name)
        {
            self.keep_delta(*name, delta).await?;
        }
        let token = next.map(|cursor| {
            DiffToken { before: Named::of(&before.head), after: Named::of(&after.head), cursor }.text()
        });
        for part in [r#""page":{"next_token":""#, &token.unwrap_or_default(), r#""}}"#] {
            body.push_str(part);
        }
        Ok(Reply::ok(body, Caching::Private))
    }

    /// Stores the delta that the head carries as an object, if it is not one yet. The next head carries another, and the
    /// pages that follow are about this one; once no head names it, it is collected as any other object.
    async fn keep_delta(&self, name: ObjectName, delta: &[u8]) -> Result<(), Failed> {
        match self.reader.read_recent(name).await {
            Ok(_) => Ok(()),
            Err(LoadError::Store(error)) => Err(error.into()),
            Err(_) => Ok(self.reader.platform.store().put(&name.to_string(), delta).await?),
        }
    }

    /// The head of a version: a kept one, or the stored head, whose version may be a delta and have no record.
    async fn head_of(&self, which: Which, stored: Option<HeadValue<'_>>) -> Result<Head, Failed> {
        if let Which::Seq(seq) = which {
            let key = StoreKey::Version(seq).to_string();
            if let Some(jws) = self.reader.platform.store().get_recent(&key).await? {
                return Ok(self.reader.verify_signature(&jws)?);
            }
        }
        let head = self.reader.verify_head(stored.ok_or(ApiError::ObjectNotFound)?.jws)?;
        let is_meant = which == Which::Head || which == Which::Seq(head.seq);
        if is_meant { Ok(head) } else { Err(ApiError::ObjectNotFound.into()) }
    }

    /// What answers say of a version.
    async fn facts(&self, version: &Version) -> Result<VersionFacts, Failed> {
        let name = ObjectName { kind: ObjectKind::Directory, digest: version.head.directory };
        let directory = self.reader.read_object(name).await?;
        Ok(VersionFacts::new(version, directory.len()))
    }

    /// The changes after `cursor`, of customers and of items, and the place where the next page begins.
    async fn page(
        &self,
        before: &Version,
        after: &Version,
        mut cursor: DiffCursor,
    ) -> Result<([Shown; 2], Option<DiffCursor>), Failed> {
        let bounds = Bounds { parts_max: DIFF_PARTS_AT_ONCE, looks_max: DIFF_LOOKS_MAX };
        let mut objects = ObjectCache::new(usize::MAX);
        let [mut customers, mut items] = [Shown::default(), Shown::default()];
        let (mut parts, mut bytes) = (0, 0);
        loop {
            let comparison = Comparison::new(cursor.tree, before, after, PartSize::Small)?;
            let compared = comparison.walk(cursor.after, bounds, &mut objects);
            let page = match compared? {
                Compared::TooLarge => return Err(ApiError::OTHER_ITEM_KEYS.into()),
                Compared::Load(names) => {
                    bytes += self.load(&names, &mut objects).await?;
                    continue;
                }
                Compared::Page(page) => page,
            };
            parts += page.parts;
            let shown = if cursor.tree == Tree::Customers { &mut customers } else { &mut items };
            cursor.after = page.next;
            let mut is_cut = false;
            for change in &page.changes {
                shown.add(change);
                // The page ends within a part: the next one begins after this record.
                if shown.changes.len() >= DIFF_ANSWER_BYTES {
                    (cursor.after, is_cut) = (Some(change.key), true);
                    break;
                }
            }
            let is_looked_through = page.next.is_some() && page.parts < DIFF_PARTS_AT_ONCE;
            if cursor.after.is_none() {
                if cursor.tree == Tree::Items {
                    return Ok(([customers, items], None));
                }
                cursor = DiffCursor { tree: Tree::Items, after: None };
            }
            if is_cut || is_looked_through || parts >= DIFF_PAGE_PARTS || bytes >= DIFF_PAGE_BYTES {
                return Ok(([customers, items], Some(cursor)));
            }
        }
    }

    /// Loads shards and pages, some at a time. They are not kept for checks, which need those of one version only.
    async fn load(&self, names: &[ObjectName], objects: &mut ObjectCache) -> Result<usize, Failed> {
        let mut bytes = 0;
        for some in names.chunks(CHECKS_AT_ONCE) {
            let loads = some.iter().map(|name| self.reader.read_object(*name).boxed_local());
            for (name, object) in some.iter().zip(all(loads.collect()).await) {
                let object = object?;
                bytes += object.len();
                objects.insert(*name, Rc::from(object));
            }
            if bytes > CHECKS_AT_ONCE * OBJECT_MAX_BYTES {
                return Err(ApiError::OTHER_ITEM_KEYS.into());
            }
        }
        Ok(bytes)
    }
}
