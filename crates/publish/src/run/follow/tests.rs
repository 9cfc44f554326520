//! A follower's whole life in this process. An origin and the service are behind one wire, on which any
//! answer may be replaced by a fault; only the follower's own pauses move the clock.

mod crowded;
mod life;
mod odd;
mod watched;
mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use admit_snapshot::{
    head::Head,
    index::Tree,
    key::{EntryKey, ItemSalt},
    table::{Entry, Table},
};
use anyhow::{Context as _, Result};
use proptest::prelude::*;

use self::{
    life::Step,
    odd::{Fault, Odd, faults},
    world::World,
};
use super::{super::publisher::Broken, *};
use crate::{
    published::Published,
    store::{Store, reach},
};

/// This many rounds publish everything, whatever single fault occurs. A round during an outage is one pause.
const ROUNDS_MAX: usize = 80;

/// All records of the published version, by tree and key, and the directory.
type Content = (BTreeMap<(u8, EntryKey), Vec<u8>>, Vec<u8>);

/// The content of the published version.
fn content(store: &Store) -> Result<Content> {
    let published = Published::open(store, None)?;
    let mut records = BTreeMap::new();
    for (number, tree) in Tree::ALL.into_iter().enumerate() {
        let (number, mut of_tree) = (u8::try_from(number)?, BTreeMap::new());
        let mut put = |key: EntryKey, entry: Entry<'_>| match entry {
            Entry::Record(record) => drop(of_tree.insert(key, record.to_vec())),
            Entry::Removed => drop(of_tree.remove(&key)),
            Entry::Unknown => {}
        };
        for name in published.shards(tree)?.into_values() {
            let object = reach::read(store, name)?;
            Table::of_shard(&object)?
                .iter()
                .try_for_each(|(key, entry)| entry.map(|entry| put(key, entry)))?;
        }
        let delta = published.delta();
        for (key, entry) in delta.iter().flat_map(|tables| tables.of(tree).iter()) {
            put(key, entry?);
        }
        // Each store has a salt of its own, so items are compared by id, and external ids by the items that they name.
        for (key, record) in of_tree {
            let key = match tree {
                Tree::Customers => key,
                Tree::Items => EntryKey::item(ItemSalt::NONE, key.item_id()),
                Tree::ExternalIds => EntryKey::external_id(ItemSalt::NONE, "", &format!("{record:?}")),
            };
            records.insert((number, key), record);
        }
    }
    let head = Publisher::new(store.clone(), None, None)?.head(Broken::Refuse)?;
    let directory = head.map(|head| {
        reach::read(
            store,
            admit_snapshot::object::ObjectName { kind: ObjectKind::Directory, digest: head.directory },
        )
    });
    Ok((records, directory.transpose()?.unwrap_or_default()))
}

/// Follows until the origin has nothing new and everything is published.
fn follow(world: &World) -> Result<()> {
    let (publisher, monitor) = watched(world)?;
    follow_as(world, publisher, monitor)
}

/// As [`follow`], with metrics that the caller looks at.
fn follow_as(world: &World, publisher: Publisher, monitor: Arc<Monitor>) -> Result<()> {
    let settings = world.settings();
    let lease = RunLease::new()?;
    let from = settings.from.clone().context("--from")?;
    let whole =
        first_whole(&settings, &from, &publisher, &lease, &monitor)?.context("the whole has errors")?;
    let mut driver = Driver::new(&settings, &lease, publisher, whole, monitor)?;
    for _ in 0..ROUNDS_MAX {
        anyhow::ensure!(driver.round()?.is_none(), "the follower ended");
        if world.is_told() && driver.follower.head().origin_seq() == world.seq() {
            return Ok(());
        }
    }
    anyhow::bail!("{} of {} is published", driver.follower.head().origin_seq(), world.seq())
}

/// A publisher in this world, and its metrics.
fn watched(world: &World) -> Result<(Publisher, Arc<Monitor>)> {
    let settings = world.settings();
    let store = Store::open_in(world::EDGE, &settings.token, &settings.outside)?;
    let publisher = Publisher::new(store, settings.key.as_deref(), None)?;
    let monitor = monitor(&publisher)?;
    Ok((publisher, monitor))
}

/// The metrics of a follower of this store.
fn monitor(publisher: &Publisher) -> Result<Arc<Monitor>> {
    let monitor = Arc::new(Monitor::new(world::START)?);
    monitor.watch(&publisher.store);
    Ok(monitor)
}

impl Driver<'_> {
    /// Goes on to the end of the round: the origin is asked once in each.
    fn round(&mut self) -> Result<Option<ExitCode>> {
        loop {
            let code = self.turn()?;
            if code.is_some() || self.follower.is_resting() {
                return Ok(code);
            }
        }
    }
}

/// What a full publish of an export makes. Most worlds of a test end with the same export.
static WHOLES: LazyLock<Mutex<BTreeMap<String, Arc<Content>>>> = LazyLock::new(Mutex::default);

/// The content after a full publish into another store.
fn published_as_a_whole(world: &World) -> Arc<Content> {
    let export = world.export();
    let known = WHOLES.lock().unwrap().get(&export).cloned();
    known.unwrap_or_else(|| {
        let content = Arc::new(publish_as_a_whole(world));
        Arc::clone(WHOLES.lock().unwrap().entry(export).or_insert(content))
    })
}

fn publish_as_a_whole(world: &World) -> Content {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::scratch(dir.path());
    let settings = world.settings();
    let publisher = Publisher::new(store.clone(), settings.key.as_deref(), None).unwrap();
    let from = settings.from.clone().unwrap();
    assert!(matches!(
        whole::run(&settings, &from, &publisher, &RunLease::new().unwrap()),
        Ok(WholeOutcome::Published(_))
    ));
    content(&store).unwrap()
}

fn check(steps: &[Step], fault: Option<Fault>) -> Result<usize, TestCaseError> {
    let world = World::new(steps, fault.clone());
    let followed = follow(&world);
    prop_assert!(followed.is_ok(), "{fault:?}: {:#}", followed.unwrap_err());
    let requests = world.requests();
    world.heal();
    let store = Store::open_in(world::EDGE, &world.settings().token, &world.settings().outside).unwrap();
    let found = content(&store);
    prop_assert!(found.is_ok(), "{fault:?}: {:#}", found.unwrap_err());
    prop_assert_eq!(&found.unwrap(), &*published_as_a_whole(&world), "{:?}", fault);
    Ok(requests)
}

/// The life that each fault is tried in: changes of customers and of the catalogue, quiet, a lost history.
const LIFE: [Step; 6] =
    [Step::Set(1, 3), Step::Quiet, Step::Remove(2), Step::Forget, Step::Rename, Step::Set(9, 1)];

#[test]
fn a_quiet_life_is_published_as_the_whole_is() {
    let requests = check(&LIFE, None).unwrap();
    assert!(requests > 20, "{requests} requests only");
}

/// Lives once with each of these faults, at each request, in as many threads as there are processors.
fn check_at_every_request(kinds: &[Odd], times: usize) {
    let requests = check(&LIFE, None).unwrap();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    // Each number stands for a request and a kind of fault.
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let (at, odd) = (number / kinds.len(), kinds[number % kinds.len()].clone());
                    if at >= requests {
                        break;
                    }
                    check(&LIFE, Some(Fault { at, times, odd })).unwrap();
                }
            });
        }
    });
}

#[test]
fn any_single_odd_answer_anywhere_changes_nothing_in_the_end() {
    check_at_every_request(&Odd::all(), 1);
}

/// A follower that cannot know whether it has taken or given back the lease must not be blocked by its own
/// lease.
#[test]
fn lost_answers_leave_no_lease_in_the_way_of_its_own_holder() {
    check_at_every_request(&[Odd::Lost], 6);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Other lives, and faults that outlast the retries of one call.
    #[test]
    fn odd_answers_change_nothing_in_any_life(
        steps in prop::collection::vec(life::step(), 1..8),
        fault in faults(),
    ) {
        check(&steps, Some(fault))?;
    }
}

/// Follows an origin that is quiet after one change for some minutes. Once the change is published and
/// visible everywhere, `tamper` changes the store. Renewals of the head are turned off.
fn follow_tampered(tamper: impl FnOnce(&World, &Head)) -> (World, Head) {
    let (world, head, _) = follow_tampered_watched(tamper);
    (world, head)
}

/// As [`follow_tampered`], with the metrics at the end.
fn follow_tampered_watched(tamper: impl FnOnce(&World, &Head)) -> (World, Head, Arc<Monitor>) {
    let steps: Vec<_> = [Step::Set(1, 3)].into_iter().chain([Step::Quiet; 60]).collect();
    let world = World::new(&steps, None);
    let settings = Settings { heartbeat: 0, gc_every: 0, ..world.settings() };
    let store = Store::open_in(world::EDGE, &settings.token, &settings.outside).unwrap();
    let publisher = Publisher::new(store.clone(), settings.key.as_deref(), Some("production")).unwrap();
    let lease = RunLease::new().unwrap();
    let from = settings.from.clone().unwrap();
    let monitor = monitor(&publisher).unwrap();
    let whole = first_whole(&settings, &from, &publisher, &lease, &monitor).unwrap().unwrap();
    let mut driver = Driver::new(&settings, &lease, publisher, whole, Arc::clone(&monitor)).unwrap();
    let rounds = |driver: &mut Driver<'_>, count| {
        for _ in 0..count {
            assert!(driver.round().unwrap().is_none());
        }
    };
    // Each round lasts 20 s.
    rounds(&mut driver, 12);
    let head = driver.follower.published().clone();
    assert_eq!((head.seq, head.aud.as_deref()), (2, Some("production")));
    tamper(&world, &head);
    rounds(&mut driver, 20);
    let found = content(&store);
    assert!(found.unwrap() == *published_as_a_whole(&world), "other records are published");
    let published = world.head();
    assert_eq!(&published, driver.follower.published());
    (world, published, monitor)
}

#[test]
fn a_head_that_replaces_the_right_one_does_not_stay() {
    let (_, head) = follow_tampered(|_, _| ());
    let untouched = head.as_of;
    let stored = |head: &Head| head.clone();
    let older = |head: &Head| Head { seq: 1, as_of: world::START, ..stored(head) };
    let foreign = |head: &Head| Head { seq: 99, aud: Some("staging".to_owned()), ..stored(head) };
    for (tampered, seq) in [(&older as &dyn Fn(&Head) -> Head, 2), (&foreign, 100)] {
        let (world, head) = follow_tampered(|world, head| {
            let signer =
                crate::head::HeadSigner::new(world.settings().key.as_deref().unwrap(), None).unwrap();
            world.tamper("head", signer.sign(&tampered(head)).unwrap().as_bytes());
        });
        assert_eq!((head.seq, head.origin_seq(), head.aud.as_deref()), (seq, 2, Some("production")));
        assert!(head.as_of > untouched, "{head:?}");
        // One write, and no more.
        assert_eq!(world.puts("/snapshot/head"), 3);
    }
    for value in [&b"x"[..], b"not a head"] {
        let (_, head) = follow_tampered(|world, _| world.tamper("head", value));
        assert!(head.seq == 2 && head.as_of > untouched, "{head:?}");
    }
}

#[test]
fn what_a_head_names_and_leads_to_is_mended_within_minutes() {
    for kind in [ObjectKind::Index, ObjectKind::Directory, ObjectKind::Delta, ObjectKind::Shard] {
        let (world, head) = follow_tampered(|world, head| {
            let settings = world.settings();
            let store = Store::open_in(world::EDGE, &settings.token, &settings.outside).unwrap();
            let names = reach::reach(&store, head).unwrap();
            let of_kind: Vec<_> = names.into_iter().filter(|name| name.kind == kind).collect();
            assert!(!of_kind.is_empty(), "{kind:?}");
            of_kind.iter().for_each(|name| world.tamper(&name.to_string(), b"spoilt"));
        });
        // Shards are not in memory, so only a full publish can restore them.
        let wholes = world.puts(&format!("/snapshot/version/{}", head.seq)) + usize::from(head.seq == 2) - 1;
        assert_eq!(wholes > 0, kind == ObjectKind::Shard, "{kind:?}: {head:?}");
    }
}

/// While the origin is not heard, its data must not look fresh; once it is heard, it may.
#[test]
fn the_head_is_renewed_while_the_origin_is_quiet_and_heard() {
    let quiet = [Step::Quiet; 20];
    let world = World::new(&quiet, None);
    follow(&world).unwrap();
    let head = world.head();
    assert_eq!(head.seq, 1);
    let age = world.now() - head.as_of;
    assert!(head.as_of > head.changed_at() && age <= 60 + 21, "{age} s old: {head:?}");
    // One write a minute, not one for each request.
    let renewals = world.puts("/snapshot/head") - 1;
    let lasted = usize::try_from(world.now() - world::START).unwrap();
    assert!(renewals >= 4 && renewals <= lasted / 60 + 1, "{renewals} in {lasted} s");
    // Only web pages in place of its answers, or empty answers.
    for odd in [Odd::page(200), Odd::Instead(200, &[], ""), Odd::Instead(204, &[], "")] {
        let deaf = World::new(&[Step::Quiet], None);
        deaf.replace_feed(odd.clone());
        assert!(follow(&deaf).is_err(), "the feed is never told of");
        let (waited, head) = (deaf.now() - world::START, deaf.head());
        assert!(waited > 70 && head.as_of <= world::START + 30, "{odd:?}: {waited} s, {head:?}");
    }
    // The feed's own empty answer renews the head.
    let ndjson: &[_] = &[("content-type", crate::origin::NDJSON)];
    for odd in [Odd::Instead(200, ndjson, ""), Odd::Instead(204, &[("entitlement-seq", "1")], "")] {
        let heard = World::new(&[Step::Quiet], None);
        heard.replace_feed(odd.clone());
        assert!(follow(&heard).is_err(), "the feed is never told of");
        assert!(heard.head().as_of > world::START + 60, "{odd:?}: {:?}", heard.head());
    }
}
