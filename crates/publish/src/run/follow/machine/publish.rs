//! Puts changes and the shards of a compaction: an attempt is repeated for as long as the store does not answer.

use std::time::Duration;

use admit_snapshot::{head::Head, limits::OBJECT_MAX_BYTES, object::ObjectName, time::iso8601};
use indicatif::{HumanBytes, HumanCount};

use super::{
    Changes, Effect, Encoded, Event, FAILURES_MAX, Failure, Follower, Hold, Moment, NeedsWhole, Phase,
    Publication, Request, SENT_MAX, Shards, event::Cause,
};
use crate::{
    limits::DELTA_BUDGET_BYTES,
    output::Notice,
    peer::outage::Outage,
    run::changes::{as_of, next_head},
};

/// A larger delta waits for the compaction; an object has at most 8 MiB.
pub(super) const DELTA_MAX_BYTES: usize = OBJECT_MAX_BYTES - OBJECT_MAX_BYTES / 8;

/// How often in a row the store may say that an object is missing. It may not see an object yet that
/// was stored a moment ago.
pub(super) const INCOMPLETE_MAX: u32 = 3;

/// A publish under way.
pub(super) struct Attempt {
    goal: Goal,
    stage: Stage,
    started_at: Duration,
    /// The number of writes in the last attempt.
    writes: usize,
    /// Failures of the store in a row.
    outage: Outage,
    /// How often in a row the store said that an object is missing.
    incomplete: u32,
    /// How often in a row publishing failed although the store was heard.
    failures: u32,
}

/// The subject of a publish.
enum Goal {
    /// The content, which includes these changes.
    Changes { changes: Box<Changes>, asked_at: Duration },
    /// This number of objects that a compaction has written. Later changes stay in the delta.
    Shards { objects: usize },
}

/// The request that is under way.
enum Stage {
    /// A pause: the minimum time since the last publish, or after a failure.
    Pausing,
    Securing,
    Compacting {
        /// Whether the compaction has all of the content.
        is_all: bool,
    },
    Encoding,
    Putting,
    /// The head may have been published although the answer was lost.
    Finding(Failure),
}

impl Follower {
    /// Publishes the content, which includes `changes`.
    pub(super) fn publish(&mut self, changes: Changes, asked_at: Duration, now: Moment) -> Request {
        self.begin(Goal::Changes { changes: Box::new(changes), asked_at }, now)
    }

    /// Publishes the shards that a compaction has written.
    pub(super) fn install(&mut self, done: Result<Shards, Failure>, now: Moment) -> Request {
        self.is_compacting = false;
        match done {
            Ok(shards) => {
                self.failed_compactions = 0;
                let objects = shards.objects;
                self.have_compacted(&shards);
                self.begin(Goal::Shards { objects }, now)
            }
            Err(failure) => {
                // Nothing is lost: the delta has everything, and the next change tries again.
                let told = format!("the delta could not be written into the shards: {}", failure.text());
                self.failed_compactions =
                    if let Cause::Unheard(_) = failure.cause { 0 } else { self.failed_compactions + 1 };
                if self.failed_compactions >= FAILURES_MAX {
                    self.failed_compactions = 0;
                    return self.need_whole(&NeedsWhole::Lasting(told), now);
                }
                let text = format!("warning: {told}");
                self.warn(Notice::new("not_compacted", text).with("error", failure.text()));
                self.tend(now)
            }
        }
    }

    fn begin(&mut self, goal: Goal, now: Moment) -> Request {
        self.forget_attempt();
        let attempt = Attempt {
            goal,
            stage: Stage::Pausing,
            started_at: now.elapsed,
            writes: 0,
            outage: Outage::default(),
            incomplete: 0,
            failures: 0,
        };
        self.attempt(attempt, now)
    }

    /// Begins an attempt, as soon as the minimum time since the last publish has passed.
    fn attempt(&mut self, attempt: Attempt, now: Moment) -> Request {
        let since = now.elapsed.saturating_sub(self.published_at);
        match self.rhythm.every.saturating_sub(since) {
            Duration::ZERO => self.at(attempt, Stage::Securing, Request::HoldLease),
            distance => self.at(attempt, Stage::Pausing, Request::Sleep(distance)),
        }
    }

    /// Goes on with an attempt.
    pub(super) fn publishing(&mut self, mut attempt: Attempt, event: Event, now: Moment) -> Request {
        let stage = std::mem::replace(&mut attempt.stage, Stage::Pausing);
        match (stage, event) {
            (Stage::Pausing, Event::Woken { .. }) => self.attempt(attempt, now),
            (Stage::Securing, Event::Lease(Ok(hold))) => {
                if self.note_hold(hold) {
                    self.prepare(attempt)
                } else {
                    self.need_whole(&NeedsWhole::StaleShards, now)
                }
            }
            (Stage::Compacting { is_all }, Event::Compacted(Ok(shards))) => {
                self.have_compacted(&shards);
                let left = self.delta_bytes;
                if is_all && left > DELTA_MAX_BYTES {
                    let need = NeedsWhole::TooLarge(format!("{left} bytes are left beside the shards"));
                    return self.need_whole(&need, now);
                }
                self.prepare(attempt)
            }
            (Stage::Encoding, Event::Encoded(Ok(encoded))) => self.encoded(attempt, &encoded, now),
            (Stage::Putting, Event::Put(Ok(head))) => {
                self.have_published(head, now);
                self.succeeded(attempt, now)
            }
            (
                Stage::Securing | Stage::Compacting { .. } | Stage::Encoding | Stage::Putting,
                Event::Lease(Err(failure))
                | Event::Compacted(Err(failure))
                | Event::Encoded(Err(failure))
                | Event::Put(Err(failure)),
            ) => self.failed(attempt, failure, now),
            (Stage::Finding(failure), Event::Found(head)) => self.found(attempt, failure, head, now),
            // As in `step`: this does not happen.
            _ => self.rest(Duration::ZERO),
        }
    }

    /// Notes how the lease is held. Returns whether the publish can go on: if the lease had ended, the objects of a
    /// compaction may have been collected.
    pub(super) fn note_hold(&mut self, hold: Hold) -> bool {
        if hold == Hold::Unbroken {
            return true;
        }
        if std::mem::take(&mut self.is_compacting) {
            self.effects.push(Effect::DropCompaction);
        }
        self.is_stale |= self.is_base_due;
        !self.is_stale
    }

    fn prepare(&mut self, attempt: Attempt) -> Request {
        if matches!(attempt.goal, Goal::Changes { .. }) && self.delta_bytes > DELTA_MAX_BYTES {
            // Too much for a delta: the shards must be written first. A compaction under way does not have
            // all of the content.
            let is_all = !std::mem::take(&mut self.is_compacting);
            return self.at(attempt, Stage::Compacting { is_all }, Request::Compact);
        }
        let directory = self.head.directory;
        self.at(attempt, Stage::Encoding, Request::Encode { directory })
    }

    fn encoded(&mut self, mut attempt: Attempt, encoded: &Encoded, now: Moment) -> Request {
        attempt.writes = encoded.writes;
        let next = match &attempt.goal {
            Goal::Changes { changes, .. } => {
                // The content may be ahead of a feed that has fallen back.
                let last = changes.last.max(self.head.origin_seq());
                next_head(&self.head, &encoded.named, last, as_of(changes.as_of, now.unix_secs))
            }
            Goal::Shards { .. } => {
                // The same data in other objects: the same seq with a later time.
                let Head { seq, origin_seq, .. } = self.head;
                let Head { as_of, changed_at, .. } = self.head.renewed(self.head.as_of.saturating_add(1));
                let next = next_head(&self.head, &encoded.named, self.head.origin_seq(), as_of);
                Head { seq, origin_seq, changed_at, ..next }
            }
        };
        let publication = self.publication(next);
        self.at(attempt, Stage::Putting, publication)
    }

    /// The request that publishes `head`.
    pub(super) fn publication(&mut self, head: Head) -> Request {
        if self.attempted.as_ref().is_some_and(|before| !before.says_the_same(&head)) {
            self.forget_attempt();
        }
        self.attempted = Some(head.clone());
        let (follows, is_base) = (self.published.clone(), self.is_base_due);
        Request::Put(Box::new(Publication { head, follows, is_base }))
    }

    fn failed(&mut self, mut attempt: Attempt, failure: Failure, now: Moment) -> Request {
        match failure.cause {
            Cause::Final => return Request::Fail(failure.error),
            Cause::TooLarge => return self.need_whole(&NeedsWhole::TooLarge(failure.text()), now),
            Cause::Incomplete => {
                attempt.incomplete += 1;
                self.upload_named_in(&failure);
            }
            _ => attempt.incomplete = 0,
        }
        if attempt.incomplete >= INCOMPLETE_MAX {
            return self.need_whole(&NeedsWhole::Incomplete(failure.text()), now);
        }
        self.at(attempt, Stage::Finding(failure), Request::Find)
    }

    /// Decides by the stored head whether the attempt has succeeded after all, and otherwise waits for the next one.
    fn found(&mut self, mut attempt: Attempt, failure: Failure, head: Option<Head>, now: Moment) -> Request {
        if let Some(head) = head {
            if self.attempted.as_ref().is_some_and(|attempted| attempted.says_the_same(&head)) {
                self.have_published(head, now);
                return self.succeeded(attempt, now);
            }
            let is_newer = (head.seq, head.as_of) > (self.published.seq, self.published.as_of);
            let is_earlier = self.sent.iter().any(|sent| sent.says_the_same(&head));
            if is_newer && !is_earlier && !head.says_the_same(&self.published) {
                return Request::Fail(failure.error);
            }
            if is_newer && is_earlier {
                self.continue_from(&head);
            }
            if is_newer {
                // Perhaps a renewal whose answer was lost, or a revocation.
                self.published = head;
            }
        }
        // The Worker has seen a newer head than the store shows here; the store will show it soon.
        let is_outside = matches!(failure.cause, Cause::Unheard(_) | Cause::Older);
        attempt.failures = if is_outside { 0 } else { attempt.failures + 1 };
        if attempt.failures >= FAILURES_MAX {
            return self.need_whole(&NeedsWhole::Lasting(failure.text()), now);
        }
        let pause = attempt.outage.failed(&failure.text(), failure.retry_after(), now.unix_secs);
        self.effects.extend(pause.say.map(Effect::Warn));
        self.at(attempt, Stage::Pausing, Request::Sleep(pause.pause))
    }

    /// Continues from an earlier attempt whose answer was lost. The content has its changes, and perhaps later shards.
    fn continue_from(&mut self, head: &Head) {
        let Head { index, customers, items, .. } = self.head;
        self.is_base_due &= head.index != index;
        self.head = Head { index, customers, items, ..head.clone() };
    }

    fn succeeded(&mut self, attempt: Attempt, now: Moment) -> Request {
        let Attempt { goal, mut outage, started_at, writes, .. } = attempt;
        self.effects.extend(outage.ended("The store", now.unix_secs).map(Effect::Say));
        let (seq, bytes) = (self.head.seq, HumanBytes(self.delta_bytes as u64));
        match goal {
            Goal::Changes { changes, asked_at } => {
                let (as_of, count) = (iso8601(self.head.as_of, 0), HumanCount(changes.count as u64));
                let secs = now.elapsed.saturating_sub(started_at).as_secs_f64();
                let plural = if writes == 1 { "" } else { "s" };
                let text = format!(
                    "Published seq {seq}, as of {as_of}: {count} changes, {writes} write{plural}, delta {bytes}, {secs:.3} s"
                );
                let notice = Notice::new("published", text).with("seq", seq).with("as_of", as_of);
                let notice = notice.with("origin_seq", self.head.origin_seq()).with("changes", changes.count);
                self.say(
                    notice.with("writes", writes).with("delta_bytes", self.delta_bytes).with("secs", secs),
                );
                if self.delta_bytes > DELTA_BUDGET_BYTES && !self.is_compacting {
                    let text =
                        "The delta is full: writing it into the shards, while changes go on being published";
                    self.say(Notice::new("delta_full", text).with("delta_bytes", self.delta_bytes));
                    self.is_compacting = true;
                    self.effects.push(Effect::BeginCompaction);
                }
                self.after_changes(*changes, asked_at, now)
            }
            Goal::Shards { objects } => {
                let many = HumanCount(objects as u64);
                let text = format!("Published seq {seq} with new shards: {many} objects, delta {bytes}");
                let notice = Notice::new("published_shards", text).with("seq", seq).with("objects", objects);
                self.say(notice.with("delta_bytes", self.delta_bytes));
                self.tend(now)
            }
        }
    }

    /// Continues from the shards that a compaction has written. Until a head names them, nothing else may be
    /// published.
    fn have_compacted(&mut self, shards: &Shards) {
        self.forget_attempt();
        let Shards { index, customers, items, delta_bytes, .. } = *shards;
        let head = &mut self.head;
        head.index = index;
        head.customers = head.customers.saturating_add_signed(customers);
        head.items = head.items.saturating_add_signed(items);
        self.delta_bytes = delta_bytes;
        self.is_base_due = true;
    }

    /// Remembers the last head that was sent as an earlier one: it does not have all of the content, or leads to other
    /// shards. If it is found, it is not the success of the publish under way.
    fn forget_attempt(&mut self) {
        if self.sent.len() == SENT_MAX {
            self.sent.remove(0);
        }
        self.sent.extend(self.attempted.take());
    }

    /// Notes that edges serve `head` now.
    pub(super) fn have_published(&mut self, head: Head, now: Moment) {
        self.published = head.clone();
        self.head = head;
        self.watch.have_published(&self.published, now.elapsed);
        self.attempted = None;
        self.sent.clear();
        self.is_base_due = false;
        self.incomplete = 0;
        self.published_at = now.elapsed;
    }

    /// Uploads the objects again that the store reports as missing or broken.
    pub(super) fn upload_named_in(&mut self, failure: &Failure) {
        let error = failure.text();
        let is_named = |name: &ObjectName| error.contains(&name.to_string());
        let mut names: Vec<_> = self.attempted.as_ref().unwrap_or(&self.head).named().collect();
        // A Worker of an earlier release does not say which, so it may be any of them.
        if names.iter().any(is_named) {
            names.retain(is_named);
        }
        self.effects.push(Effect::Upload(names));
    }

    fn at(&mut self, attempt: Attempt, stage: Stage, request: Request) -> Request {
        self.await_as(Phase::Publishing(Box::new(Attempt { stage, ..attempt })), request)
    }
}
