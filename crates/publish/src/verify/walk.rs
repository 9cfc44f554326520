//! Reads every object that the head reaches. Several threads read at the same time, each with one object in
//! memory.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use admit_snapshot::{
    delta::{Tables, tables},
    directory::Directory,
    head::Head,
    index::{Index, Tree},
    key::ItemSalt,
    limits::HEAD_SKEW_SECS,
    object::{FormatError, HEADER_LEN, ObjectKind, ObjectName},
    report::Effect,
    table::Table,
    time::UnixSecs,
};
use anyhow::{Context, Result};
use serde::de::IgnoredAny;
use uuid::Uuid;

use super::{
    external::Crosscheck,
    record::{Checked, Scope, check_table, parse_object},
    report::{HeadReport, StartState, VerifyReport},
};
use crate::{
    head::SignedHead,
    overlay::Overlay,
    parallel,
    progress::Progress,
    published::walk_shards,
    store::{Store, is_start_of, reach::shard_bits},
};

/// Objects that are read at the same time: usually 64 KiB each, at most 8 MiB.
const THREADS: usize = 8;

/// Reads and checks everything in `store`. The head is checked with `key` at the time `now`. The report has
/// all findings even if the walk fails.
pub fn verify(store: &Store, key: &Path, now: UnixSecs) -> (VerifyReport, Result<()>) {
    let walk = Walk { store, report: Mutex::default() };
    let outcome = walk.run(key, now);
    let mut report = walk.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.finish(outcome.is_ok());
    (report, outcome)
}

struct Walk<'s> {
    store: &'s Store,
    report: Mutex<VerifyReport>,
}

/// What the whole walk keeps in memory.
struct Base<'a> {
    index: &'a Index,
    directory: Option<&'a Directory>,
    delta: Option<Tables<'a>>,
    progress: &'a Progress,
    /// External ids; `None` in an index that has none.
    crosscheck: Option<Crosscheck>,
}

impl Walk<'_> {
    fn report(&self) -> MutexGuard<'_, VerifyReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, key: &Path, now: UnixSecs) -> Result<()> {
        let jws = self.store.head()?.context("nothing is published yet")?;
        let Some(head) = self.head(&jws, key, now)? else { return Ok(()) };
        self.check_beside(&head)?;
        let name = |kind, digest| ObjectName { kind, digest };
        let directory = self.directory(name(ObjectKind::Directory, head.directory))?;
        let delta_name = head.delta.map(|digest| name(ObjectKind::Delta, digest));
        let delta_object = delta_name.map(|name| self.object(name)).transpose()?.flatten();
        let delta = match (&delta_object, delta_name) {
            (Some(object), Some(name)) => self.decoded(name, tables(object)),
            _ => None,
        };
        let index_name = name(ObjectKind::Index, head.index);
        let index = self.object(index_name)?.and_then(|index| self.decoded(index_name, Index::decode(index)));
        if let Some((name, delta)) = delta_name.zip(delta) {
            self.check_delta(name, delta, index.as_ref().map(Index::salt), directory.as_ref());
        }
        let Some(index) = index else { return Ok(()) };
        let mut objects = 0;
        for tree in Tree::ALL {
            objects += index.shard_count(tree) + index.pages(tree)?.len();
        }
        let progress = Progress::of_objects(objects);
        let crosscheck = index.has_external_ids().then(|| Crosscheck::new(index.salt()));
        let base =
            Base { index: &index, directory: directory.as_ref(), delta, progress: &progress, crosscheck };
        let customers = self.tree(Tree::Customers, &base);
        let items = customers.and_then(|customers| Ok((customers, self.tree(Tree::Items, &base)?)));
        let all = items.and_then(|items| Ok((items, self.tree(Tree::ExternalIds, &base)?)));
        progress.finish();
        let ((customers, items), _) = all?;
        let mut report = self.report();
        if report.unread == 0 {
            report.customers = Some(customers.delta.total(customers.in_shards));
            report.items = Some(items.delta.total(items.in_shards));
            (report.delta_customers, report.delta_items) = (customers.delta, items.delta);
            report.compare("customers", head.customers, customers.in_shards);
            report.compare("items", head.items, items.in_shards);
            for (tree, key, what) in base.crosscheck.into_iter().flat_map(Crosscheck::problems) {
                report.problem(&index_name, Some((tree, key)), &what);
            }
        }
        Ok(())
    }

    /// Reads the head, and reports problems with it.
    fn head(&self, jws: &str, key: &Path, now: UnixSecs) -> Result<Option<Head>> {
        let published = SignedHead::read(jws, Some(key))?;
        let mut report = self.report();
        let head = match published {
            SignedHead::Verified(head) => head,
            SignedHead::Unverified(head) | SignedHead::OtherKey(head) => {
                report.problem(&"head", None, "it is signed by another key than --key");
                head
            }
            SignedHead::Broken(reason) => {
                report.problem(&"head", None, &reason);
                return Ok(None);
            }
        };
        if let Err(error) = head.may_follow(None, now, HEAD_SKEW_SECS) {
            report.problem(&"head", None, &error.to_string());
        }
        let Head { seq, as_of, customers, items, .. } = head;
        let (aud, denylist) = (head.aud.clone(), head.denylist.entries().len());
        report.head = Some(HeadReport { aud, denylist, seq, as_of, customers, items });
        Ok(Some(head))
    }

    /// Checks the values beside the head: the delta in its value, and the starting value. A wrong starting value is
    /// reported but does not count as a problem, because edges start without it.
    fn check_beside(&self, head: &Head) -> Result<()> {
        let beside = self.store.beside_head();
        let start = self.store.start()?;
        let mut report = self.report();
        if beside.is_some_and(|name| Some(name.digest) != head.delta) {
            let what = "the delta beside it is not the one that it names, so edges refuse the head";
            report.problem(&"head", None, what);
        }
        let named = [
            ObjectName { kind: ObjectKind::Index, digest: head.index },
            ObjectName { kind: ObjectKind::Directory, digest: head.directory },
        ];
        report.start = Some(match start {
            None => StartState::Absent,
            Some(start) if is_start_of(&start, named) => StartState::Right,
            Some(_) => StartState::Other,
        });
        Ok(())
    }

    /// Reads an object. A missing or damaged one is reported.
    fn object(&self, name: ObjectName) -> Result<Option<Vec<u8>>> {
        match self.store.object(name) {
            Ok(Some(object)) => {
                self.report().count(name.kind, object.len());
                Ok(Some(object))
            }
            Ok(None) => {
                self.report().unreadable(name, "it is missing, although a published object names it");
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
                report.problem(&name, None, &format!("licence {id} is not a JSON object: {error}"));
            }
        }
        for app in &directory.apps {
            if !directory.merchants.contains_key(&app.merchant_id) {
                let what = format!(
                    "app {:?} names merchant {}, which is not in the directory",
                    app.id, app.merchant_id
                );
                report.problem(&name, None, &what);
            }
        }
        // Compared without the header, which was checked and differs between formats.
        if directory.encode().get(HEADER_LEN..) != object.get(HEADER_LEN..) {
            report.problem(&name, None, "it is not written as the format says");
        }
        drop(report);
        Ok(Some(directory))
    }

    /// Reports problems of a delta.
    fn check_delta(
        &self,
        name: ObjectName,
        delta: Tables<'_>,
        salt: Option<ItemSalt>,
        directory: Option<&Directory>,
    ) {
        for tree in Tree::ALL {
            let scope = Scope { tree, shard: None, salt, directory };
            self.note(name, tree, check_table(&delta.of(tree), scope));
        }
    }

    fn note(&self, name: ObjectName, tree: Tree, checked: Checked) -> u64 {
        let mut report = self.report();
        for (key, what) in checked.problems {
            report.problem(&name, key.map(|key| (tree, key)), &what);
        }
        checked.found
    }

    /// Reads the shards of a tree, page by page if it has pages, and counts their records.
    fn tree(&self, tree: Tree, base: &Base<'_>) -> Result<Found> {
        let bits = shard_bits(base.index, tree);
        let overlay = Overlay::new(base.delta, tree, bits).unwrap_or_else(|_| {
            // The problem with the delta was reported. Without the delta nothing can be counted.
            self.report().unread += 1;
            Overlay::default()
        });
        if let Some((crosscheck, delta)) = base.crosscheck.as_ref().zip(base.delta) {
            crosscheck.add_delta(tree, &delta.of(tree));
        }
        let shards = Shards { tree, bits, base, overlay: &overlay };
        let mut found = Found::default();
        let mut numbers = BTreeSet::new();
        // A page that cannot be read is reported, and has no shards.
        let page = |position, name| -> Result<_> {
            let Some(page) = self.object(name)? else { return Ok(Vec::new()) };
            base.progress.advance(page.len() as u64);
            let list = self.decoded(name, base.index.page_shards(tree, position, &page));
            Ok(list.unwrap_or_default())
        };
        walk_shards(base.index, tree, page, |list| {
            numbers.extend(list.iter().map(|(number, _)| *number));
            let more = self.shards(&list, &shards)?;
            found.in_shards += more.in_shards;
            found.delta += more.delta;
            Ok(())
        })?;
        // Where the tree has no shard, every record of the delta is new.
        for number in overlay.parts().filter(|number| !numbers.contains(number)) {
            found.delta += overlay.effect(number, None)?;
        }
        Ok(found)
    }

    fn shards(&self, list: &[(usize, ObjectName)], shards: &Shards<'_>) -> Result<Found> {
        let Shards { tree, bits, base, overlay } = *shards;
        let found = Mutex::new(Found::default());
        parallel::for_each(list, THREADS, |(number, name)| {
            let Some(object) = self.object(*name)? else { return Ok(()) };
            if let Some(table) = self.decoded(*name, Table::of_shard(&object)) {
                let (shard, salt) = (Some((*number, bits)), Some(base.index.salt()));
                let scope = Scope { tree, shard, salt, directory: base.directory };
                let in_shard = self.note(*name, tree, check_table(&table, scope));
                if let Some(crosscheck) = &base.crosscheck {
                    crosscheck.add_shard(tree, &table, overlay.part(*number));
                }
                let delta = overlay.effect(*number, Some(&table)).unwrap_or_default();
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.in_shards += in_shard;
                found.delta += delta;
            }
            base.progress.advance(object.len() as u64);
            Ok(())
        })?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Numbers of records.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    in_shards: u64,
    delta: Effect,
}

/// How the shards of a tree are checked.
#[derive(Clone, Copy)]
struct Shards<'a> {
    tree: Tree,
    bits: u8,
    base: &'a Base<'a>,
    overlay: &'a Overlay<'a>,
}
