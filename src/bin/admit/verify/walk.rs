//! Reads every object that the head reaches, a few at a time, one in memory for each.

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use admit::{
    limits::HEAD_SKEW_SECS,
    snapshot::{
        delta::{Tables, tables},
        directory::Directory,
        head::Head,
        index::{Index, Tree},
        object::{FormatError, ObjectKind, ObjectName},
        table::Table,
        time::UnixSecs,
    },
};
use anyhow::{Context, Result};
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::{
    record::{Checked, Scope, check_table, parse_object},
    report::{HeadReport, Report},
};
use crate::{
    head::{Published, published},
    parallel,
    progress::Progress,
    store::Store,
};

/// Objects that are read at the same time, 64 KiB each as a rule and 8 MiB at most.
const THREADS: usize = 8;

/// Reads everything in `store` and checks it, the head with `key`, at `now`. What was found is there even if
/// the walk could not be completed.
pub fn walk(store: &Store, key: &Path, now: UnixSecs) -> (Report, Result<()>) {
    let walk = Walk { store, report: Mutex::default() };
    let outcome = walk.run(key, now);
    let mut report = walk.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.finish(outcome.is_ok());
    (report, outcome)
}

struct Walk<'s> {
    store: &'s Store,
    report: Mutex<Report>,
}

/// What is in memory during the whole walk.
struct Base<'a> {
    index: &'a Index,
    directory: Option<&'a Directory>,
    progress: &'a Progress,
}

impl Walk<'_> {
    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, key: &Path, now: UnixSecs) -> Result<()> {
        let jws = self.store.head()?.context("nothing is published yet")?;
        let Some(head) = self.head(&jws, key, now)? else { return Ok(()) };
        let name = |kind, digest| ObjectName { kind, digest };
        let directory = self.directory(name(ObjectKind::Directory, head.directory))?;
        let delta_name = head.delta.map(|digest| name(ObjectKind::Delta, digest));
        let delta_object = delta_name.map(|name| self.object(name)).transpose()?.flatten();
        let delta = match (&delta_object, delta_name) {
            (Some(object), Some(name)) => self.decoded(name, tables(object)),
            _ => None,
        };
        if let Some((name, delta)) = delta_name.zip(delta) {
            self.check_delta(name, delta, directory.as_ref());
        }
        let index_name = name(ObjectKind::Index, head.index);
        let Some(index) = self.object(index_name)? else { return Ok(()) };
        let Some(index) = self.decoded(index_name, Index::decode(index)) else { return Ok(()) };
        let shards = index.shard_count(Tree::Customers) + index.shard_count(Tree::Items);
        let pages = index.pages(Tree::Customers)?.len() + index.pages(Tree::Items)?.len();
        let progress = Progress::of_objects(shards + pages);
        let base = Base { index: &index, directory: directory.as_ref(), progress: &progress };
        let customers = self.tree(Tree::Customers, &base);
        let items = customers.and_then(|customers| Ok((customers, self.tree(Tree::Items, &base)?)));
        progress.finish();
        let (customers, items) = items?;
        let mut report = self.report();
        if report.unread == 0 {
            (report.customers, report.items) = (Some(customers), Some(items));
            report.compare("customers", head.customers, customers);
            report.compare("items", head.items, items);
        }
        Ok(())
    }

    /// The head, if it can be read; problems with it are noted.
    fn head(&self, jws: &str, key: &Path, now: UnixSecs) -> Result<Option<Head>> {
        let published = published(jws, Some(key))?;
        let mut report = self.report();
        let head = match published {
            Published::Verified(head) => head,
            Published::Unverified(head) | Published::OtherKey(head) => {
                report.problem(&"head", None, "it is signed by another key than --key");
                head
            }
            Published::Broken(reason) => {
                report.problem(&"head", None, &reason);
                return Ok(None);
            }
        };
        if let Err(error) = head.may_follow(None, now, HEAD_SKEW_SECS) {
            report.problem(&"head", None, &error.to_string());
        }
        let Head { seq, as_of, customers, items, .. } = head;
        report.head = Some(HeadReport { seq, as_of, customers, items });
        Ok(Some(head))
    }

    /// An object, if it is there and is what its name says; otherwise that is noted.
    fn object(&self, name: ObjectName) -> Result<Option<Vec<u8>>> {
        match self.store.object(name) {
            Ok(Some(object)) => {
                self.report().count(name.kind, object.len());
                Ok(Some(object))
            }
            Ok(None) => {
                self.report().unreadable(name, "it is named by what is published, but it is not there");
                Ok(None)
            }
            Err(error) => match error.downcast_ref::<FormatError>() {
                Some(error) => {
                    self.report().unreadable(name, &error.to_string());
                    Ok(None)
                }
                None => Err(error),
            },
        }
    }

    fn decoded<T>(&self, name: ObjectName, decoded: Result<T, FormatError>) -> Option<T> {
        decoded.inspect_err(|error| self.report().unreadable(name, &error.to_string())).ok()
    }

    fn directory(&self, name: ObjectName) -> Result<Option<Directory>> {
        let Some(object) = self.object(name)? else { return Ok(None) };
        let Some(directory) = self.decoded(name, Directory::decode(&object)) else { return Ok(None) };
        let mut report = self.report();
        for (id, license) in &directory.licenses {
            if let Err(error) = parse_object::<IgnoredAny>(&license.json) {
                let id = Uuid::from_u128(*id);
                report.problem(&name, None, &format!("licence {id} is no JSON object: {error}"));
            }
        }
        for app in &directory.apps {
            if !directory.merchants.contains_key(&app.merchant_id) {
                let what = format!("there is no merchant {} of app {:?}", app.merchant_id, app.id);
                report.problem(&name, None, &what);
            }
        }
        if directory.encode() != object {
            report.problem(&name, None, "it is not written as the format says");
        }
        drop(report);
        Ok(Some(directory))
    }

    /// Notes what is wrong with a delta.
    fn check_delta(&self, name: ObjectName, delta: Tables<'_>, directory: Option<&Directory>) {
        for tree in [Tree::Customers, Tree::Items] {
            self.note(name, tree, check_table(&delta.of(tree), Scope { tree, shard: None, directory }));
        }
    }

    fn note(&self, name: ObjectName, tree: Tree, checked: Checked) -> u64 {
        let mut report = self.report();
        for (key, what) in checked.problems {
            report.problem(&name, key.map(|key| (tree, key)), &what);
        }
        checked.found
    }

    /// Reads a tree's shards, page by page where there are pages; how many records they have.
    fn tree(&self, tree: Tree, base: &Base<'_>) -> Result<u64> {
        let mut found = self.shards(tree, &base.index.top_shards(tree)?, base)?;
        for (position, name) in base.index.pages(tree)?.into_iter().enumerate() {
            let Some(page) = self.object(name)? else { continue };
            base.progress.advance(page.len() as u64);
            if let Some(shards) = self.decoded(name, base.index.page_shards(tree, position, &page)) {
                found += self.shards(tree, &shards, base)?;
            }
        }
        Ok(found)
    }

    fn shards(&self, tree: Tree, shards: &[(usize, ObjectName)], base: &Base<'_>) -> Result<u64> {
        let found = AtomicU64::new(0);
        let bits = u8::try_from(base.index.shard_count(tree).trailing_zeros())?;
        parallel::for_each(shards, THREADS, |(number, name)| {
            let Some(object) = self.object(*name)? else { return Ok(()) };
            if let Some(table) = self.decoded(*name, Table::of_shard(&object)) {
                let scope = Scope { tree, shard: Some((*number, bits)), directory: base.directory };
                found.fetch_add(self.note(*name, tree, check_table(&table, scope)), Ordering::Relaxed);
            }
            base.progress.advance(object.len() as u64);
            Ok(())
        })?;
        Ok(found.into_inner())
    }
}
