//! The origin, the store, the lease and the clocks. Luck chooses each answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use admit_snapshot::{head::Head, object::Digest};
use anyhow::anyhow;

use super::super::{
    event::{Cause, Changes, Effect, Encoded, Failure, Fed, Hold, Moment, Shards, Whole},
    publish::DELTA_MAX_BYTES,
};
use super::{super::*, EVERY};
use crate::{
    limits::DELTA_BUDGET_BYTES,
    peer::{Unheard, outage::PAUSE_MAX},
    run::{
        changes::{End, Named},
        publisher::Stray,
        seq::Seq,
    },
};

/// A change of this size fills the budget of a delta in a few steps.
const CHANGE_BYTES: usize = DELTA_BUDGET_BYTES / 3;

/// The order of heads.
type Order = (u64, i64);

/// Everything around a follower.
pub struct World<'a> {
    pub luck: &'a [u8],
    pub now: Moment,
    /// The origin's count of changes, and those that it has forgotten.
    pub count: u64,
    forgotten: u64,
    /// The head that the store shows. `None` after it was spoilt.
    pub stored: Option<Head>,
    /// The order of the last head that this publisher has put, and the changes in it.
    pub put: (Order, u64),
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
    pub compaction: Option<(Digest, Vec<u64>)>,
    /// Whether the lease has ended since it was last checked.
    has_lapsed: bool,
    /// A failure that ends a follower has occurred.
    pub is_ended: bool,
    /// Failures of the origin in a row, and when it was last asked without news.
    pub deaf: u32,
    is_deaf: bool,
    pub quiet_at: Option<Duration>,
}

fn failure(cause: Cause) -> Failure {
    Failure { error: anyhow!("a failure: {cause:?}"), cause }
}

fn digest(changes: &[u64], salt: u8) -> Digest {
    let bytes: Vec<_> = changes.iter().flat_map(|change| change.to_le_bytes()).chain([salt]).collect();
    Digest::of(&bytes)
}

impl<'a> World<'a> {
    pub fn new(luck: &'a [u8]) -> Self {
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
    pub fn pick(&mut self, options: u8) -> u8 {
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

    pub fn whole(&mut self) -> Whole {
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

    pub fn ask(&mut self, after: u64) -> Fed {
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

    pub fn hold_lease(&mut self) -> Result<Hold, Failure> {
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

    pub fn collect(&mut self) -> Result<(usize, usize), Failure> {
        assert!(self.compaction.is_none(), "garbage is collected while a compaction writes shards");
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        self.delete_unreached();
        Ok((1, 2))
    }

    pub fn compact(&mut self) -> Result<Shards, Failure> {
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

    pub fn encode(&mut self) -> Result<Encoded, Failure> {
        assert!(self.delta_bytes() <= DELTA_MAX_BYTES, "an object that edges refuse");
        if self.pick(24) == 1 {
            return Err(failure(Cause::TooLarge));
        }
        let delta = (!self.delta.is_empty()).then(|| digest(&self.delta, 1));
        self.deltas.extend(delta.map(|delta| (delta, self.delta.clone())));
        Ok(Encoded { named: Named { directory: Digest([0; 32]), delta, set_aside: None }, writes: 2 })
    }

    pub fn put(&mut self, head: Head, published: &Head) -> Result<Head, Failure> {
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

    pub fn look(&mut self) -> Option<Result<Head, Stray>> {
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

    pub fn sleep(&mut self, pause: Duration) {
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

    pub fn perform(&mut self, effect: &Effect) {
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
