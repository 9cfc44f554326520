//! A model of everything around a follower: an origin, a store, a lease and two clocks, in a few lines without I/O.
//!
//! A life is a string of random bytes. Each request takes the next bytes to choose its answer: the right one, or one of
//! the failures that it can have. When the bytes run out, everything works, and the follower must publish everything.
//! A change is its number, and a content the list of changes that are in it, so that a lost change, a change that comes
//! twice and a wrong order are seen at each head.

mod world;

use std::{collections::BTreeMap, time::Duration};

use admit_snapshot::object::{ObjectKind, ObjectName};
use proptest::{prelude::*, strategy::ValueTree as _};

use self::world::World;
use super::{
    event::{Event, Request, Whole},
    *,
};
use crate::limits::DELTA_BUDGET_BYTES;

const EVERY: Duration = Duration::from_secs(2);

/// How many requests it may take until everything is published, once everything works.
const TURNS_MAX: usize = 3_000;

fn rhythm() -> Rhythm {
    Rhythm {
        feed: "the feed".to_owned(),
        every: EVERY,
        gc_every: Duration::from_secs(3_600),
        heartbeat: Duration::from_secs(60),
        is_strict: false,
    }
}

/// Starts a follower, as the command does: by a full publish.
fn start(world: &mut World<'_>) -> Option<Follower> {
    for _ in 0..TURNS_MAX {
        match world.whole() {
            Whole::Published(head) => return Some(Follower::new(rhythm(), *head, world.now)),
            _ if world.is_ended => return None,
            _ => world.sleep(Duration::from_secs(30)),
        }
    }
    panic!("nothing is ever published");
}

/// Lives until the luck has run out and everything is published. Returns how often each kind of request came.
fn live(luck: &[u8]) -> BTreeMap<&'static str, usize> {
    let (mut world, mut asked) = (World::new(luck), BTreeMap::new());
    let mut note = |what| *asked.entry(what).or_insert(0) += 1;
    let Some(mut follower) = start(&mut world) else { return asked };
    let mut event = Event::Woken { has_compacted: false };
    let mut turns = 0;
    loop {
        // After new changes, a delta beyond its budget is written into the shards.
        let has_news =
            matches!(&event, Event::Put(Ok(head)) if head.origin_seq() > follower.published.origin_seq());
        let must_compact = has_news && follower.delta_bytes > DELTA_BUDGET_BYTES;
        let Step { effects, request } = follower.step(event, world.now);
        effects.iter().for_each(|effect| world.perform(effect));
        assert!(
            !must_compact || world.compaction.is_some() || matches!(request, Request::Whole),
            "no compaction"
        );
        event = match request {
            Request::Sleep(pause) => {
                note("sleep");
                let is_done = world.luck.is_empty() && follower.is_resting();
                let is_told = world.stored.as_ref().is_some_and(|head| head.origin_seq() == world.count);
                if is_done && is_told && world.put.0 == (follower.published.seq, follower.published.as_of) {
                    return asked;
                }
                world.sleep(pause);
                if follower.is_resting() && world.pick(60) == 7 {
                    note("restart");
                    let Some(again) = start(&mut world) else { return asked };
                    follower = again;
                    (world.deaf, world.quiet_at) = (0, None);
                }
                let has_compacted = world.compaction.is_some() && world.pick(3) == 0;
                Event::Woken { has_compacted }
            }
            Request::CollectGarbage => {
                note("collect");
                Event::Collected(world.collect())
            }
            Request::Look => Event::Looked(world.look()),
            Request::Reach(head) => Event::Reached(head.named().collect()),
            Request::Check(names) => {
                note("check");
                let bad = usize::from(world.pick(5));
                Event::Checked((bad != 4).then(|| names.into_iter().take(bad).collect()))
            }
            Request::Repair(names) => {
                note("repair");
                let is_at_hand = |name: &ObjectName| name.kind != ObjectKind::Shard && world.pick(2) == 0;
                Event::Repaired(names.into_iter().filter(is_at_hand).collect())
            }
            Request::HoldLease => Event::Lease(world.hold_lease()),
            Request::Ask { after } => {
                note("ask");
                Event::Fed(world.ask(after))
            }
            Request::Compact => {
                note("compact");
                Event::Compacted(world.compact())
            }
            Request::Encode { .. } => Event::Encoded(world.encode()),
            Request::Put(publication) => {
                note("put");
                Event::Put(world.put(publication.head, &follower.published))
            }
            Request::Find => Event::Found(if world.pick(4) == 1 { None } else { world.stored.clone() }),
            Request::Whole => {
                note("whole");
                (world.compaction, world.quiet_at) = (None, None);
                Event::Whole(world.whole())
            }
            Request::EndRejected => panic!("only a strict follower ends by invalid data"),
            Request::Fail(error) => {
                assert!(world.is_ended, "{error:#}");
                return asked;
            }
        };
        turns += 1;
        assert!(!world.luck.is_empty() || turns < TURNS_MAX + luck.len(), "never published: {:?}", world.put);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_change_is_published_once_and_in_order(
        luck in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        live(&luck);
    }
}

/// The property above says little if lives are quiet.
#[test]
fn lives_meet_everything_that_a_follower_does() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut asked = BTreeMap::new();
    for _ in 0..300 {
        let luck = prop::collection::vec(any::<u8>(), 600).new_tree(&mut runner).unwrap().current();
        for (what, count) in live(&luck) {
            *asked.entry(what).or_insert(0) += count;
        }
    }
    for what in ["sleep", "restart", "collect", "check", "repair", "ask", "compact", "put", "whole"] {
        assert!(asked.get(what).is_some_and(|count| *count > 100), "{what}: {asked:?}");
    }
}
