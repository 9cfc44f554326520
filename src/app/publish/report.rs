//! What operators want to know of this edge and its store, for a bounded price.

use std::rc::Rc;

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use serde::Serialize;

use super::{Failed, Publisher};
use crate::{
    advice,
    api::{
        json::json,
        reply::{Caching, Reply},
    },
    app::{
        library::{LoadError, all},
        seconds,
    },
    config::Config,
    limits::{
        CHECKS_AT_ONCE, HEAD_SKEW_SECS, REPORT_COUNTED_SHARDS, REPORT_KEY_PAGES, REPORT_PAGES, REPORT_SHARDS,
        REPORT_VERSIONS,
    },
    ports::{ObjectStore as _, Platform},
    snapshot::{
        delta,
        head::Head,
        head_value::HeadValue,
        heap_sort::heap_sort,
        index::{Index, Place, Tree},
        key::EntryKey,
        object::{HEAD_KEY, ObjectKind, ObjectName},
        report::{
            DeltaReport, Effect, HeadReport, HistoryReport, KeptVersion, LeaseReport, Measured, ObjectReport,
            ObjectsReport, ShardsReport, Signature, sample,
        },
        store_key::{StoreKey, VERSION_PREFIX},
        table::Table,
        time::UnixSecs,
        version::Version,
    },
    token::key_name,
};

/// The report.
#[derive(Serialize)]
struct EdgeReport {
    now: UnixSecs,
    head_from: &'static str,
    head: Option<HeadReport>,
    kid: Option<String>,
    stored: Option<StoredHead>,
    objects: Option<ObjectsReport>,
    history: HistoryReport,
    configuration: Configuration,
}

/// The head in the store, if it is another one than that in use.
#[derive(Serialize)]
struct StoredHead {
    seq: Option<u64>,
    as_of: Option<UnixSecs>,
    published_at: Option<UnixSecs>,
    /// Why this edge refuses it.
    problem: Option<String>,
}

#[derive(Serialize)]
struct Configuration {
    warnings: Vec<Warning>,
    unset: Vec<&'static str>,
}

#[derive(Serialize)]
struct Warning {
    key: String,
    problem: String,
    change: &'static str,
}

impl Configuration {
    fn of(config: &Config) -> Self {
        let warnings = advice::of_issuers(config).into_iter().map(|advice| Warning {
            key: match advice.position {
                Some(position) => ["ISSUERS[", &position.to_string(), "]"].concat(),
                None => "ISSUERS".to_owned(),
            },
            problem: advice.problem.into_owned(),
            change: advice.change,
        });
        Self { warnings: warnings.collect(), unset: advice::unset(config) }
    }
}

impl<P: Platform> Publisher<'_, P> {
    /// Describes the snapshot in use and its store.
    pub(super) async fn report(&self) -> Result<Reply, Failed> {
        let library = self.reader.library;
        if library.read().versions.current().is_none() {
            self.loader.refresh_head().await;
        }
        let now = seconds(self.reader.platform.now_ms());
        let current = library.read().versions.current().cloned();
        let stored = self.reader.platform.store().get_recent(HEAD_KEY).await?;
        let stored = stored.as_deref().map(HeadValue::split);
        let kid = stored.and_then(|value| key_name(std::str::from_utf8(value.jws).ok()?));
        let current_head = current.as_ref().map(|current| &current.head);
        let stored = stored.and_then(|value| self.stored(value, current_head, now));
        let (mut head, mut objects) = (None, None);
        if let Some(version) = current.as_deref() {
            let effects =
                [self.effect(version, Tree::Customers).await?, self.effect(version, Tree::Items).await?];
            head = Some(HeadReport::new(&version.head, effects, Signature::Verified, now));
            objects = Some(self.objects(version).await?);
        }
        let head_from = library.read().versions.source().name();
        let history = self.history(now).await?;
        let configuration = Configuration::of(self.config);
        let report = EdgeReport { now, head_from, head, kid, stored, objects, history, configuration };
        Ok(Reply::ok(json(&report), Caching::Private))
    }

    /// The stored head, unless it is the one in use.
    fn stored(&self, value: HeadValue<'_>, current: Option<&Head>, now: UnixSecs) -> Option<StoredHead> {
        let read = self.reader.verify_head(value.jws).map(|head| {
            let may_be_used = self
                .reader
                .check_carried(value, &head)
                .and_then(|()| head.may_follow(current, now, HEAD_SKEW_SECS));
            (head, may_be_used.err())
        });
        match read {
            Ok((head, None)) if current == Some(&head) => None,
            Ok((head, error)) => Some(StoredHead {
                seq: Some(head.seq),
                as_of: Some(head.as_of),
                published_at: head.published_at,
                problem: error.map(|error| error.to_string()),
            }),
            Err(error) => Some(StoredHead {
                seq: None,
                as_of: None,
                published_at: None,
                problem: Some(error.to_string()),
            }),
        }
    }

    async fn objects(&self, version: &Version) -> Result<ObjectsReport, Failed> {
        let Version { head, index, delta, .. } = version;
        let directory = ObjectName { kind: ObjectKind::Directory, digest: head.directory };
        let directory_bytes = self.reader.read_object(directory).await?.len();
        let delta = match head.delta.zip(delta.as_deref()) {
            Some((digest, object)) => {
                let name = ObjectName { kind: ObjectKind::Delta, digest };
                Some(DeltaReport::new(name, object)?)
            }
            None => None,
        };
        let index_name = ObjectName { kind: ObjectKind::Index, digest: head.index };
        let mut pages = 0;
        for tree in [Tree::Customers, Tree::Items] {
            pages += index.pages(tree)?.len();
        }
        Ok(ObjectsReport {
            index: ObjectReport::new(index_name, index.object().len()),
            directory: ObjectReport::new(directory, directory_bytes),
            delta,
            pages,
            customers: self.shards(index, Tree::Customers).await?,
            items: self.shards(index, Tree::Items).await?,
        })
    }

    /// Measures some shards of a tree.
    async fn shards(&self, index: &Index, tree: Tree) -> Result<ShardsReport, Failed> {
        let mut shards = index.top_shards(tree)?;
        let pages: Vec<_> = index.pages(tree)?.into_iter().enumerate().collect();
        let count = pages.len();
        for (position, name) in sample(pages, REPORT_PAGES) {
            let page = self.object(name).await?;
            shards.extend(index.page_shards(tree, position, &page)?);
        }
        let total = (count <= REPORT_PAGES).then_some(shards.len());
        let mut measured = Vec::new();
        let names: Vec<_> = sample(shards, REPORT_SHARDS).into_iter().map(|(_, name)| name).collect();
        for some in names.chunks(CHECKS_AT_ONCE) {
            let objects = some.iter().map(|name| self.reader.read_object(*name).boxed_local());
            for object in all(objects.collect()).await {
                measured.push(Measured::shard(&object?)?);
            }
        }
        Ok(ShardsReport::new(index.shard_count(tree), total, measured))
    }

    /// The effect of the delta on a tree. `None` if it touches too many shards.
    async fn effect(&self, version: &Version, tree: Tree) -> Result<Option<Effect>, Failed> {
        let Some(object) = version.delta.as_deref() else { return Ok(Some(Effect::default())) };
        let (changes, bits) = (delta::tables(object)?.of(tree), version.index.shard_bits(tree));
        let mut touched: Vec<_> = changes.iter().map(|(key, _)| key.shard(bits)).collect();
        touched.dedup();
        if touched.len() > REPORT_COUNTED_SHARDS {
            return Ok(None);
        }
        let mut total = Effect::default();
        for number in touched {
            let key = EntryKey::first_of(number, bits);
            let page = match version.index.page_of(tree, key)? {
                Some((name, _)) => Some(self.object(name).await?),
                None => None,
            };
            let shard = match version.index.place(tree, key, |_| page)? {
                Place::Shard(name) => Some(self.object(name).await?),
                Place::Nowhere | Place::Page(_) => None,
            };
            let table = shard.as_deref().map(Table::of_shard).transpose()?;
            let here = changes.iter().filter(|(key, _)| key.shard(bits) == number);
            total += Effect::of(here, table.as_ref())?;
        }
        Ok(Some(total))
    }

    /// An object: from memory if it is there.
    async fn object(&self, name: ObjectName) -> Result<Rc<[u8]>, Failed> {
        let kept = self.reader.library.write().objects.cache.get(name);
        match kept {
            Some(object) => Ok(object),
            None => Ok(Rc::from(self.reader.read_object(name).await?)),
        }
    }

    /// The newest versions that are kept, and the lease.
    async fn history(&self, now: UnixSecs) -> Result<HistoryReport, Failed> {
        let store = self.reader.platform.store();
        let (mut seqs, mut cursor, mut is_whole) = (Vec::new(), None, false);
        for _ in 0..REPORT_KEY_PAGES {
            let page = store.list(VERSION_PREFIX, cursor.as_deref()).await?;
            seqs.extend(page.keys.iter().filter_map(|key| match StoreKey::parse(key) {
                Some(StoreKey::Version(seq)) => Some(seq),
                _ => None,
            }));
            cursor = page.cursor;
            if cursor.is_none() {
                is_whole = true;
                break;
            }
        }
        heap_sort(&mut seqs, |left, right| left > right);
        let newest = seqs.iter().copied().take(REPORT_VERSIONS);
        let heads = newest.clone().map(|seq| -> LocalBoxFuture<'_, Result<Vec<u8>, LoadError>> {
            async move {
                let key = StoreKey::Version(seq).to_string();
                store.get_recent(&key).await?.ok_or(LoadError::NotFound)
            }
            .boxed_local()
        });
        let mut versions = Vec::new();
        for (seq, jws) in newest.zip(all(heads.collect()).await) {
            match jws.and_then(|jws| self.reader.verify_signature(&jws)) {
                Ok(head) => versions.push(KeptVersion::new(seq, &head)),
                Err(LoadError::Store(error)) => return Err(error.into()),
                // Deleted meanwhile, or signed by another key: a rollback does not take it either.
                Err(_) => {}
            }
        }
        let lease = self.leases().stored_lease().await?.and_then(|lease| LeaseReport::new(lease, now));
        Ok(HistoryReport { versions_total: is_whole.then_some(seqs.len()), versions, lease })
    }
}
