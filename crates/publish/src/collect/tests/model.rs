//! A store in a directory with a clock that the test sets, the steps of its processes, and the rules that hold after each
//! step.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use admit_snapshot::{
    delta::encode_delta,
    denylist::{Denied, Target},
    directory::Directory,
    head::Head,
    index::{NewTree, encode_index},
    key::{EntryKey, ItemSalt},
    object::{Digest, ObjectKind, ObjectName},
    table::write_table,
};
use anyhow::{Context, Result, bail};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    collect::{GRACE_MIN_SECS, Options, collect},
    head::{HeadSigner, SignedHead},
    rollback,
    run::upload::{Mode, Objects, upload},
    store::{NewHead, Object, Store, garbage::forget, reach::reach},
};

const START: i64 = 1_700_000_000;

pub const OPTIONS: Options = Options { grace_secs: GRACE_MIN_SECS, keep: 2, is_dry_run: false };

/// The key pair of RFC 8037, appendix A.1.
const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"publisher","alg":"EdDSA",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// Built objects in memory, as a publisher's source.
struct InMemory<'a> {
    names: Vec<(ObjectName, u64)>,
    objects: HashMap<ObjectName, &'a [u8]>,
}

impl<'a> InMemory<'a> {
    /// Equal objects are kept once.
    fn new(objects: &'a [Object]) -> Self {
        let mut all = Self { names: Vec::with_capacity(objects.len()), objects: HashMap::new() };
        for (name, object) in objects {
            if all.objects.insert(*name, object).is_none() {
                all.names.push((*name, object.len() as u64));
            }
        }
        all
    }
}

impl Objects for InMemory<'_> {
    fn names(&self) -> &[(ObjectName, u64)] {
        &self.names
    }

    fn read(&self, name: ObjectName) -> Result<Vec<u8>> {
        Ok(self.objects.get(&name).with_context(|| format!("{name} was not built"))?.to_vec())
    }
}

/// What a process does. Each step may be killed after a number of writes.
#[derive(Clone, Debug)]
pub enum Step {
    /// Publishes a version with these shards of customers and this directory.
    Publish([u8; 4], u8),
    /// Publishes a delta on top of the published version.
    Sync(u8),
    /// Rolls back to one of the kept versions.
    RollBack(usize),
    /// Revokes a token for a number of seconds, without the lease; `None` lifts the revocation.
    Revoke(u8, Option<i64>),
    /// Runs the collector.
    Collect,
    /// Lets time pass, in seconds.
    Pass(i64),
}

pub fn steps() -> impl Strategy<Value = Vec<(Step, usize)>> {
    let step = prop_oneof![
        // Few different values, so that versions share shards, and now and then the whole index.
        3 => (0..6_u8, 0..2_u8).prop_map(|(it, directory)| Step::Publish([it, it / 2, 0, 1], directory)),
        3 => (0..3_u8).prop_map(Step::Sync),
        1 => (0..4_usize).prop_map(Step::RollBack),
        2 => (0..3_u8, prop_oneof![3 => (1..900_i64).prop_map(Some), 1 => Just(None)])
            .prop_map(|(token, secs)| Step::Revoke(token, secs)),
        4 => Just(Step::Collect),
        3 => prop_oneof![1..200_i64, 500..700_i64].prop_map(Step::Pass),
    ];
    // Most steps are not killed.
    let killed_after = prop_oneof![3 => Just(usize::MAX), 1 => 0..14_usize];
    prop::collection::vec((step, killed_after), 1..40)
}

/// A head that was published, and when it was replaced.
pub struct Was {
    head: Head,
    /// The delta that it carried: an edge that holds the head holds the delta.
    carried: Option<ObjectName>,
    replaced_at: Option<i64>,
}

pub struct Model {
    pub path: PathBuf,
    now: Arc<AtomicI64>,
    pub heads: Vec<Was>,
    /// Until when each token is revoked, by the revocations that succeeded.
    revoked: HashMap<u8, i64>,
}

impl Model {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("admit-gc-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("publisher.jwk"), JWK).unwrap();
        Self { path, now: Arc::new(AtomicI64::new(START)), heads: Vec::new(), revoked: HashMap::new() }
    }

    pub fn key(&self) -> PathBuf {
        self.path.join("publisher.jwk")
    }

    pub fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub fn store(&self, writes: usize) -> Store {
        let now = Arc::clone(&self.now);
        Store::killed_after(
            writes,
            &self.path.join("store"),
            Arc::new(move || Ok(now.load(Ordering::Relaxed))),
        )
    }

    fn signer(&self) -> Result<HeadSigner> {
        HeadSigner::new(&self.key(), None)
    }

    fn published(&self, store: &Store) -> Option<Head> {
        match SignedHead::read(&store.head().unwrap()?, Some(&self.key())).unwrap() {
            SignedHead::Verified(head) => Some(head),
            other => panic!("{other:?}"),
        }
    }

    /// Runs a step, which may be killed after `writes` writes.
    pub fn step(&self, step: &Step, writes: usize) -> Result<()> {
        let store = self.store(writes);
        if let Step::Pass(secs) = step {
            self.now.fetch_add(*secs, Ordering::Relaxed);
            return Ok(());
        }
        if let Step::Revoke(token, secs) = step {
            return self.revoke(&store, *token, *secs);
        }
        let _lease = store.lock(true)?;
        match step {
            Step::Publish(shards, directory) => self.publish(&store, *shards, *directory),
            Step::Sync(delta) => self.sync(&store, *delta),
            Step::RollBack(which) => {
                let versions = store.versions()?;
                let seq = versions.get(which % versions.len().max(1)).context("nothing to roll back to")?;
                let (current, head) = rollback::prepare(&store, *seq, &self.key())?;
                rollback::publish(&store, &self.signer()?, &current, &head).map(drop)
            }
            Step::Collect => collect(&store, Some(&self.key()), OPTIONS).map(drop),
            Step::Pass(_) | Step::Revoke(..) => Ok(()),
        }
    }

    fn publish(&self, store: &Store, shards: [u8; 4], directory: u8) -> Result<()> {
        let current = self.published(store);
        let (index, directory, objects) = content(shards, directory);
        let reached = match &current {
            Some(head) => reach(store, head)?,
            None => HashSet::new(),
        };
        upload(store, &InMemory::new(&objects), &reached, Mode::Upload)?;
        let seq = current.as_ref().map_or(1, |head| head.seq + 1);
        let head = Head { published_at: Some(self.now()), ..Head::new(seq, self.now(), index, directory) };
        let new =
            NewHead { head: &head, follows: current.as_ref(), takes_away: true, signer: &self.signer()? };
        store.keep_version(new)?;
        store.put_head(new).map(drop)
    }

    fn sync(&self, store: &Store, delta: u8) -> Result<()> {
        let Some(current) = self.published(store) else { return Ok(()) };
        let delta = encode_delta([&[(EntryKey([delta; 16]), b"x")], &[], &[]])?;
        let name = ObjectName::of(ObjectKind::Delta, &delta);
        let (seq, published_at) = (current.seq + 1, Some(self.now()));
        let head = Head { seq, published_at, delta: Some(name.digest), ..current.clone() };
        forget(store, &head.named().collect())?;
        let object = (name, delta);
        // Some heads carry their delta, some lead to an object.
        if head.seq.is_multiple_of(2) || !store.carry(&object)? {
            store.put_objects(&[object])?;
        }
        store
            .put_head(NewHead {
                head: &head,
                follows: Some(&current),
                takes_away: true,
                signer: &self.signer()?,
            })
            .map(drop)
    }

    /// As `admit revoke` does it, while another publisher holds the lease.
    fn revoke(&self, store: &Store, token: u8, secs: Option<i64>) -> Result<()> {
        let Some(current) = self.published(store) else { bail!("nothing is published yet") };
        let now = self.now();
        let target = Target::TokenId(token.to_string());
        let known = current.denylist.entries().iter().find(|known| known.target == target);
        let entry = Denied {
            since: known.map_or(now, |known| now.max(known.since + 1)),
            until: known.map_or(now, |known| known.until).max(now + secs.unwrap_or(0)),
            is_lifted: secs.is_none(),
            reason: String::new(),
            target,
        };
        let others = self.store(usize::MAX);
        let _lease = others.lock(true)?;
        let mut head = current.renewed(current.as_of + 1);
        head.denylist.add(entry);
        store
            .put_head(NewHead {
                head: &head,
                follows: Some(&current),
                takes_away: true,
                signer: &self.signer()?,
            })
            .map(drop)
    }

    /// Records the revocations, and checks that the published head still has all of it.
    pub fn check_revoked(&mut self, step: &Step, is_done: bool) {
        let Some(head) = self.published(&self.store(0)) else { return };
        let now = self.now();
        if let (Step::Revoke(token, secs), true) = (step, is_done) {
            match secs {
                Some(secs) => {
                    let until = self.revoked.entry(*token).or_default();
                    *until = (*until).max(now + secs);
                }
                None => drop(self.revoked.remove(token)),
            }
        }
        for (token, until) in &self.revoked {
            let target = Target::TokenId(token.to_string());
            let is_refused = |entry: &Denied| entry.target == target && entry.is_in_force(now);
            let is_there = head.denylist.entries().iter().any(is_refused);
            assert!(
                is_there || now >= *until,
                "token {token} after {step:?} in seq {}: {:?}",
                head.seq,
                head.denylist
            );
        }
        for entry in head.denylist.entries().iter().filter(|entry| entry.is_in_force(now)) {
            let Target::TokenId(token) = &entry.target else { panic!("{entry:?}") };
            assert!(self.revoked.contains_key(&token.parse().unwrap()), "{token} was lifted: {step:?}");
        }
    }

    /// Records the head that edges find now.
    pub fn observe(&mut self) {
        let store = self.store(0);
        let Some(head) = self.published(&store) else { return };
        let carried = store.beside_head();
        assert!(carried.is_none_or(|carried| head.named().any(|named| named == carried)));
        let now = self.now();
        let last = self.heads.last_mut();
        if last.as_ref().is_some_and(|last| last.head == head) {
            return;
        }
        if let Some(last) = last {
            last.replaced_at = Some(now);
        }
        self.heads.push(Was { head, carried, replaced_at: None });
    }

    /// Checks that every head that an edge may hold, and every kept version, can be read.
    pub fn check(&self, step: &Step) {
        let store = self.store(0);
        let since = self.now() - OPTIONS.grace_secs;
        let held = self.heads.iter().filter(|was| was.replaced_at.is_none_or(|at| at > since));
        for was in held {
            check_whole(&store, &was.head, was.carried, step);
        }
        for seq in store.versions().unwrap() {
            let SignedHead::Verified(head) =
                SignedHead::read(&store.version(seq).unwrap().unwrap(), Some(&self.key())).unwrap()
            else {
                panic!("version {seq}")
            };
            check_whole(&store, &head, None, step);
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn check_whole(store: &Store, head: &Head, carried: Option<ObjectName>, step: &Step) {
    let mut names =
        reach(store, head).unwrap_or_else(|error| panic!("seq {} after {step:?}: {error:#}", head.seq));
    names.retain(|name| Some(*name) != carried);
    let checked = store.check(&names.into_iter().collect::<Vec<_>>(), &|_| ()).unwrap();
    assert_eq!(checked, crate::store::Checked::default(), "seq {} after {step:?}", head.seq);
}

/// Objects with pages, whose content is a few numbers, so that versions share some of them.
fn content(shards: [u8; 4], directory: u8) -> (Digest, Digest, Vec<Object>) {
    let mut objects = Vec::new();
    let mut put = |kind, object: Vec<u8>| {
        let name = ObjectName::of(kind, &object);
        objects.push((name, object));
        name.digest
    };
    let customers = shards.map(|number| {
        let mut shard = ObjectKind::Shard.header().to_vec();
        write_table(&mut shard, &[(EntryKey([number; 16]), b"x")]).unwrap();
        Some(put(ObjectKind::Shard, shard))
    });
    let (customers, empty) = (NewTree::new(customers.to_vec()).unwrap(), NewTree::new(vec![None]).unwrap());
    let (index, pages) = encode_index(ItemSalt::IN_MEMORY, [&customers, &empty, &empty], 1).unwrap();
    for page in pages {
        put(ObjectKind::Page, page);
    }
    let mut content = Directory::default();
    content.merchants.insert(1, Uuid::from_u128(directory.into()));
    let directory = put(ObjectKind::Directory, content.encode());
    (put(ObjectKind::Index, index), directory, objects)
}
