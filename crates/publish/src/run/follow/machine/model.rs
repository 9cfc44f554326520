//! A model of everything around a follower: an origin, a store, a lease and two clocks, in a few lines without I/O.
//!
//! A life is a string of random bytes. Each request takes the next bytes to choose its answer: the right one, or one of
//! the failures that it can have. When the bytes run out, everything works, and the follower must publish everything.
//! A change is its number, and a content the list of changes that are in it, so that a lost change, a change that comes
//! twice and a wrong order are seen at each head.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use admit_snapshot::{
    head::Head,
    object::{Digest, ObjectKind, ObjectName},
};
use anyhow::anyhow;
use proptest::{prelude::*, strategy::ValueTree as _};

use super::{
    event::{Cause, Changes, Effect, Encoded, Event, Failure, Fed, Hold, Moment, Request, Shards, Whole},
    publish::DELTA_MAX_BYTES,
    *,
};
use crate::{
    limits::DELTA_BUDGET_BYTES,
    peer::{Unheard, outage::PAUSE_MAX},
    run::{
        changes::{End, Named},
        publisher::Stray,
        seq::Seq,
    },
};

const EVERY: Duration = Duration::from_secs(2);

/// How many requests it may take until everything is published, once everything works.
const TURNS_MAX: usize = 3_000;

/// A change of this size fills the budget of a delta in a few steps.
const CHANGE_BYTES: usize = DELTA_BUDGET_BYTES / 3;

/// The order of heads.
type Order = (u64, i64);

struct World<'a> {
    luck: &'a [u8],
    now: Moment,
    /// The origin's count of changes, and those that it has forgotten.
    count: u64,
    forgotten: u64,
    /// The head that the store shows. `None` after it was spoilt.
    stored: Option<Head>,
    /// The order of the last head that this publisher has put, and the changes in it.
    put: (Order, u64),
    /// The index of that head.
    put_index: Option<Digest>,
    /// Which changes the shards of an index have, and which a delta has.
    shards: BTreeMap<Digest, Vec<u64>>,
    deltas: BTreeMap<Digest, Vec<u64>>,
    /// The indexes whose shards a collection has deleted, of this publisher or of another one.
    deleted: BTreeSet<Digest>,
    /// The driver's content: the index of the shards, and the changes beside them.
    index: Digest,
    delta: Vec<u64>,
    /// The shards and the delta from which a compaction has begun.
    compaction: Option<(Digest, Vec<u64>)>,
    /// Whether the lease has ended since it was last checked.
    has_lapsed: bool,
    /// A failure that ends a follower has occurred.
    is_ended: bool,
    /// Failures of the origin in a row, and when it was last asked without news.
    deaf: u32,
    is_deaf: bool,
    quiet_at: Option<Duration>,
}

fn failure(cause: Cause) -> Failure {
    Failure { error: anyhow!("a failure: {cause:?}"), cause }
}

fn digest(changes: &[u64], salt: u8) -> Digest {
    let bytes: Vec<_> = changes.iter().flat_map(|change| change.to_le_bytes()).chain([salt]).collect();
    Digest::of(&bytes)
}

impl<'a> World<'a> {
    fn new(luck: &'a [u8]) -> Self {
        let index = digest(&[1], 0);
        Self {
            luck,
            now: Moment { elapsed: Duration::ZERO, unix_secs: 1_700_000_000 },
            count: 1,
            forgotten: 0,
            stored: None,
            put: ((0, 0), 0),
            put_index: None,
            shards: BTreeMap::from([(index, vec![1])]),
            deltas: BTreeMap::new(),
            deleted: BTreeSet::new(),
            index,
            delta: Vec::new(),
            compaction: None,
            has_lapsed: false,
            is_ended: false,
            deaf: 0,
            is_deaf: false,
            quiet_at: None,
        }
    }

    /// A number below `options`; 0, which means that all is well, more often than not.
    fn pick(&mut self, options: u8) -> u8 {
        match self.luck.split_first() {
            Some((byte, rest)) => {
                self.luck = rest;
                if *byte < 150 { 0 } else { byte % options }
            }
            None => 0,
        }
    }

    /// One of the failures that any request to the store may have.
    fn trouble(&mut self) -> Option<Failure> {
        let cause = match self.pick(8) {
            1 | 2 => Cause::Unheard(None),
            3 => Cause::Unheard(Some(Duration::from_secs(9))),
            4 => Cause::Other,
            5 => Cause::Older,
            6 => Cause::Incomplete,
            // Rare, because it ends a life.
            7 if self.pick(16) == 7 => {
                self.is_ended = true;
                Cause::Final
            }
            _ => return None,
        };
        Some(failure(cause))
    }

    fn delta_bytes(&self) -> usize {
        self.delta.len() * CHANGE_BYTES
    }

    /// What edges serve with `head`.
    fn served(&self, head: &Head) -> Vec<u64> {
        let shards = self.shards.get(&head.index).expect("the shards of a published head are stored");
        let delta = head.delta.map(|delta| self.deltas[&delta].clone()).unwrap_or_default();
        [shards.clone(), delta].concat()
    }

    /// A head arrives at the store, which refuses an older one, as a Worker does.
    fn accept(&mut self, head: Head) -> Result<Head, Failure> {
        let order = (head.seq, head.as_of);
        if order < self.put.0 {
            return Err(failure(Cause::Older));
        }
        assert!(head.origin_seq() >= self.put.1, "changes are taken back");
        assert!(!self.deleted.contains(&head.index), "a head leads to deleted shards");
        let served = self.served(&head);
        let all: Vec<_> = (1..=served.len() as u64).collect();
        assert_eq!(served, all, "a change is lost, or comes twice, or in another order");
        // After a failed publish the content may be ahead of the count. The feed repeats those changes.
        assert!((head.origin_seq()..=self.count).contains(&(served.len() as u64)), "the count is wrong");
        (self.put, self.put_index) = ((order, head.origin_seq()), Some(head.index));
        self.stored = Some(head.clone());
        Ok(head)
    }

    fn whole(&mut self) -> Whole {
        if let Some(trouble) = self.trouble() {
            return Whole::Failed(trouble);
        }
        if self.pick(6) == 1 {
            return Whole::Rejected;
        }
        let changes: Vec<_> = (1..=self.count).collect();
        let ((seq, as_of), origin) = self.put;
        let now = self.now.unix_secs;
        let number = if self.count > origin || seq > origin {
            Seq { version: self.count.max(seq + 1), origin: self.count }
        } else if now > as_of {
            Seq { version: seq, origin }
        } else {
            return Whole::Failed(failure(Cause::Other));
        };
        self.index = digest(&changes, 0);
        self.shards.insert(self.index, changes);
        self.deleted.remove(&self.index);
        (self.delta, self.compaction, self.has_lapsed) = (Vec::new(), None, false);
        let head = number.of(Head::new(seq, now, self.index, Digest([0; 32])));
        self.accept(head).map_or_else(Whole::Failed, |head| Whole::Published(Box::new(head)))
    }

    fn ask(&mut self, after: u64) -> Fed {
        assert!(
            self.quiet_at.take().is_none_or(|asked| self.now.elapsed - asked >= EVERY),
            "a quiet origin is asked all the time"
        );
        self.count += u64::from(self.pick(4));
        if self.pick(12) == 3 {
            self.count += 1;
            self.forgotten = self.count;
        }
        let fed = self.feed(after);
        self.is_deaf = matches!(fed, Fed::Unheard(_));
        self.deaf = if self.is_deaf { self.deaf + 1 } else { 0 };
        fed
    }

    fn feed(&mut self, after: u64) -> Fed {
        match self.pick(9) {
            1 | 2 => return Fed::Unheard(Unheard::new("reset")),
            3 => return Fed::Unusable("a catalogue that cannot be rendered".to_owned()),
            4 if self.pick(16) == 4 => {
                self.is_ended = true;
                return Fed::Refused(failure(Cause::Final));
            }
            _ if after < self.forgotten => return Fed::Gone,
            _ => {}
        }
        let end = match self.pick(12) {
            1 => Some(End::BrokenOff(std::io::Error::other("reset"))),
            2 | 3 => Some(End::Gap { expected: 1, found: 9 }),
            _ => None,
        };
        let all = self.count.saturating_sub(after);
        let count = if end.is_some() { all / 2 } else { all };
        let known = self.shards[&self.index].len() as u64 + self.delta.len() as u64;
        assert!(after <= known, "the content has no change {after}");
        // A change that the content has already changes nothing in it.
        self.delta.extend((after + 1..=after + count).filter(|change| *change > known));
        if count == 0 && end.is_none() {
            self.quiet_at = Some(self.now.elapsed);
        }
        Fed::Changes(Changes {
            count: usize::try_from(count).unwrap(),
            last: after + count,
            as_of: None,
            delta_bytes: self.delta_bytes(),
            end,
            doubt: (self.pick(12) == 5).then(|| "an empty page".to_owned()),
        })
    }

    fn hold_lease(&mut self) -> Result<Hold, Failure> {
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        if !std::mem::take(&mut self.has_lapsed) {
            return Ok(Hold::Unbroken);
        }
        // Another publisher has collected garbage.
        self.delete_unreached();
        Ok(Hold::TakenAgain)
    }

    /// Deletes the shards that no head reaches. A collection marks them first, and this model leaves out the grace.
    fn delete_unreached(&mut self) {
        if self.put_index != Some(self.index) {
            self.deleted.insert(self.index);
        }
    }

    fn collect(&mut self) -> Result<(usize, usize), Failure> {
        assert!(self.compaction.is_none(), "garbage is collected while a compaction writes shards");
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        self.delete_unreached();
        Ok((1, 2))
    }

    fn compact(&mut self) -> Result<Shards, Failure> {
        let (index, then) = self.compaction.take().unwrap_or_else(|| (self.index, self.delta.clone()));
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        let shards = [self.shards[&index].clone(), then.clone()].concat();
        assert_eq!(self.index, index, "two compactions");
        self.index = digest(&shards, 0);
        let objects = shards.len();
        self.shards.insert(self.index, shards);
        self.deleted.remove(&self.index);
        self.delta.drain(..then.len());
        let delta_bytes = self.delta_bytes();
        Ok(Shards { index: self.index, customers: 0, items: 0, objects, delta_bytes })
    }

    fn encode(&mut self) -> Result<Encoded, Failure> {
        assert!(self.delta_bytes() <= DELTA_MAX_BYTES, "an object that edges refuse");
        if self.pick(24) == 1 {
            return Err(failure(Cause::TooLarge));
        }
        let delta = (!self.delta.is_empty()).then(|| digest(&self.delta, 1));
        self.deltas.extend(delta.map(|delta| (delta, self.delta.clone())));
        Ok(Encoded { named: Named { directory: Digest([0; 32]), delta, set_aside: None }, writes: 2 })
    }

    fn put(&mut self, head: Head, published: &Head) -> Result<Head, Failure> {
        let order = |head: &Head| (head.seq, head.as_of);
        assert!(order(&head) > order(published), "{head:?} after {published:?}");
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        let mut head = self.accept(head)?;
        match self.pick(6) {
            // A revocation in between: the same data, a second later.
            1 => {
                head.as_of += 1;
                self.put.0.1 += 1;
                self.stored = Some(head.clone());
                Ok(head)
            }
            // The answer is lost.
            2 | 3 => Err(failure(Cause::Unheard(None))),
            _ => Ok(head),
        }
    }

    fn look(&mut self) -> Option<Result<Head, Stray>> {
        match self.pick(8) {
            1 | 2 => None,
            3 => {
                // The stored head is spoilt, perhaps with a larger seq.
                let seq = self.put.0.0 + u64::from(self.pick(3));
                self.stored = None;
                Some(Err(Stray { text: "another head".to_owned(), seq }))
            }
            _ => Some(self.stored.clone().ok_or_else(|| Stray { text: "no head".to_owned(), seq: 0 })),
        }
    }

    fn sleep(&mut self, pause: Duration) {
        assert!(pause <= WHOLE_PAUSE_MAX, "{pause:?}");
        if std::mem::take(&mut self.is_deaf) {
            let least = Duration::from_secs(1 << (self.deaf - 1).min(5)).min(PAUSE_MAX).mul_f64(0.75);
            assert!((least..=PAUSE_MAX).contains(&pause), "{pause:?} after {} failures", self.deaf);
        }
        self.now.elapsed += pause;
        self.now.unix_secs += pause.as_secs().cast_signed();
        match self.pick(30) {
            1 => self.now.unix_secs -= 1_800,
            2 => self.now.unix_secs += 1_800,
            3 => self.has_lapsed = true,
            // The process or the machine slept.
            4 => self.now.elapsed += Duration::from_secs(7_200),
            _ => {}
        }
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::BeginCompaction => {
                assert!(self.compaction.is_none(), "two compactions at once");
                self.compaction = Some((self.index, self.delta.clone()));
            }
            Effect::DropCompaction => self.compaction = None,
            Effect::Say(_) | Effect::Warn(_) | Effect::Upload(_) | Effect::TrustNothingOnce => {}
        }
    }
}

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
