//! How a follower publishes: changes, the shards of a compaction, and a renewed head.

use std::time::Duration;

use admit_snapshot::{
    head::Head,
    limits::OBJECT_MAX_BYTES,
    time::{UnixSecs, iso8601},
};
use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};

use super::{
    super::{
        changes::{Batch, as_of, compacted_head, next_head},
        compaction::{Compaction, Done},
        input,
        publisher::Broken,
        seq::Seq,
    },
    Follower, is_final,
};
use crate::{
    build::BuildError,
    limits::DELTA_BUDGET_BYTES,
    peer::{outage::Outage, unheard},
    store::{Object, is_incomplete, is_older},
};

/// A larger delta waits for the compaction; an object has at most 8 MiB.
const DELTA_MAX_BYTES: usize = OBJECT_MAX_BYTES - OBJECT_MAX_BYTES / 8;

/// How often in a row the store may say that an object is missing. It may not see an object yet that
/// was stored a moment ago.
const INCOMPLETE_MAX: u32 = 3;

/// How often in a row publishing may fail although all peers answer properly: waiting does not mend that.
const FAILURES_MAX: u32 = 3;

/// The publish cannot be completed from here: only a full publish helps.
#[derive(Debug, thiserror::Error)]
pub enum NeedsWhole {
    /// Shards that were about to be published may be gone.
    #[error(
        "this publisher had no lease for a while, and others may have deleted the shards that it was about to \
         publish"
    )]
    StaleShards,
    /// An object that the head names was deleted or damaged.
    #[error("an object of the published version is missing or broken in the store ({0})")]
    Incomplete(String),
    /// An object would be larger than edges accept. A full publish has other shards, and sets aside what
    /// makes them too large.
    #[error("the changes do not fit the published version ({0})")]
    TooLarge(String),
    /// An error that is neither an unheard peer nor anything that time mends.
    #[error("the changes cannot be published ({0})")]
    Lasting(String),
}

impl Follower<'_> {
    /// Publishes the content, which includes the changes of `batch`. It retries for as long as the store does
    /// not answer: the published version stays correct as far as it goes.
    ///
    /// # Errors
    /// Another publisher has taken over, the store no longer accepts this publisher, or [`NeedsWhole`].
    pub fn publish(&mut self, batch: &Batch) -> Result<()> {
        let started = self.elapsed();
        self.until_published(|follower| follower.try_publish(batch))?;
        let bytes = self.content.delta().size_bytes();
        println!(
            "Published seq {}, as of {}: {} changes, {} writes, delta {}, {:.3} s",
            self.head.seq,
            iso8601(self.head.as_of, 0),
            HumanCount(batch.changes.len() as u64),
            self.writes,
            HumanBytes(bytes as u64),
            self.elapsed().saturating_sub(started).as_secs_f64()
        );
        if bytes > DELTA_BUDGET_BYTES && self.compaction.is_none() {
            println!("The delta is full: writing it into the shards, while changes go on being published");
            self.compaction = Some(self.begin_compaction());
        }
        Ok(())
    }

    /// Calls `attempt` until it succeeds, as long as the store does not answer.
    fn until_published(&mut self, attempt: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        let mut outage = Outage::default();
        let (mut incomplete, mut failures) = (0, 0);
        loop {
            let Err(error) = self.hold_lease().and_then(|()| attempt(self)) else { break };
            if is_final(&error) || error.is::<NeedsWhole>() {
                return Err(error);
            }
            if let Some(BuildError::TooLarge { .. }) = error.downcast_ref() {
                // It would be as large the next time.
                return Err(NeedsWhole::TooLarge(format!("{error:#}")).into());
            }
            incomplete = if is_incomplete(&error) { incomplete + 1 } else { 0 };
            if incomplete > 0 {
                self.mend(&error);
            }
            if incomplete >= INCOMPLETE_MAX {
                return Err(NeedsWhole::Incomplete(format!("{error:#}")).into());
            }
            // It may have been published although the answer was lost.
            if let Ok(Some(head)) = self.publisher.head(Broken::PassOver) {
                if self.attempted.as_ref().is_some_and(|attempted| attempted.says_the_same(&head)) {
                    self.have_published(head);
                    break;
                }
                let is_newer = (head.seq, head.as_of) > (self.published.seq, self.published.as_of);
                if is_newer && !head.says_the_same(&self.published) {
                    return Err(error);
                }
                if is_newer {
                    // Perhaps a renewal whose answer was lost, or a revocation.
                    self.published = head;
                }
            }
            let unheard = unheard(&error);
            // The Worker has seen a newer head than the store shows here; the store will show it soon.
            failures = if unheard.is_some() || is_older(&error) { 0 } else { failures + 1 };
            if failures >= FAILURES_MAX {
                return Err(NeedsWhole::Lasting(format!("{error:#}")).into());
            }
            let asked = unheard.and_then(|unheard| unheard.retry_after);
            let pause = outage.failed(&format!("{error:#}"), asked, self.now()?);
            pause.say.iter().for_each(|line| eprintln!("{line}"));
            self.sleep(pause.pause);
        }
        outage.ended("The store", self.now()?).iter().for_each(|line| println!("{line}"));
        Ok(())
    }

    /// If the store was away for longer than the lease lasts, and no other publisher has taken the lease,
    /// this follower takes it again and continues. The objects of a compaction may have been collected
    /// meanwhile, so a compaction starts over.
    pub fn hold_lease(&mut self) -> Result<()> {
        if self.lease.check(&self.publisher.store).is_ok() {
            return Ok(());
        }
        self.lease.take_again(&self.publisher.store)?;
        self.compaction = None;
        if self.is_base_due { Err(NeedsWhole::StaleShards.into()) } else { Ok(()) }
    }

    fn try_publish(&mut self, batch: &Batch) -> Result<()> {
        let Some(last) = batch.changes.last() else { return Ok(()) };
        self.keep_distance();
        let moment = self.now()?;
        while self.content.delta().size_bytes() > DELTA_MAX_BYTES {
            // Too much for a delta: the shards must be written first. A compaction under way does not have
            // all of the content.
            let earlier = self.compaction.take();
            let is_all = earlier.is_none();
            let compaction = earlier.unwrap_or_else(|| self.begin_compaction());
            let done = compaction.wait(&self.publisher)?;
            self.have_compacted(done);
            let left = self.content.delta().size_bytes();
            if is_all && left > DELTA_MAX_BYTES {
                return Err(NeedsWhole::TooLarge(format!("{left} bytes are left beside the shards")).into());
            }
        }
        let as_of = as_of(last, moment);
        let (index, salt) = (self.head.index, self.index.salt());
        let (next, objects) = next_head(&self.content, &self.head, index, salt, last.seq, as_of)?;
        self.put(next, objects)
    }

    /// Waits until the minimum time since the last publish has passed.
    fn keep_distance(&self) {
        self.sleep(self.every().saturating_sub(self.elapsed().saturating_sub(self.published_at)));
    }

    fn put(&mut self, next: Head, objects: Vec<Object>) -> Result<()> {
        self.writes = objects.len() + 1;
        self.attempted = Some(next.clone());
        let published = if self.is_base_due {
            self.publisher.put_all(objects)?;
            self.publisher.publish_base(next, Some(&self.published))?
        } else {
            self.publisher.publish_delta(next, objects, &self.published)?
        };
        self.have_published(published);
        Ok(())
    }

    /// Notes that edges serve `head` now.
    pub fn have_published(&mut self, head: Head) {
        self.published = head.clone();
        self.head = head;
        self.watch.have_published(&self.published, self.elapsed());
        self.attempted = None;
        self.is_base_due = false;
        self.incomplete = 0;
        self.published_at = self.elapsed();
    }

    /// Renews the head if it is old, after the origin has said that nothing has changed. So the age of the
    /// head tells a quiet origin from one that is not heard. A renewal also repairs a head that was put back
    /// or deleted. A failed renewal does no harm, and is tried again.
    ///
    /// # Errors
    /// Another publisher has taken over, the store no longer accepts this publisher, or [`NeedsWhole`].
    pub fn renew_head(&mut self) -> Result<()> {
        let (every, elapsed) = (Duration::from_secs(self.settings.heartbeat), self.elapsed());
        let is_old = elapsed.saturating_sub(self.published_at) >= every && elapsed >= self.renewal_at;
        let now = self.now()?;
        if every.is_zero() || !is_old || now <= self.head.as_of {
            return Ok(());
        }
        self.renew(now)
    }

    /// Publishes the same data again, as of `now`. A failure does no harm, and is tried again.
    ///
    /// # Errors
    /// As [`Self::renew_head`].
    pub fn renew(&mut self, now: UnixSecs) -> Result<()> {
        let elapsed = self.elapsed();
        let renewed = self.hold_lease().and_then(|()| self.put(self.head.renewed(now), Vec::new()));
        match renewed {
            Ok(()) => {
                self.renewal_outage.ended("The store", now).iter().for_each(|line| println!("{line}"));
                Ok(())
            }
            Err(error) if is_final(&error) || error.is::<NeedsWhole>() => Err(error),
            Err(error) if is_incomplete(&error) => {
                self.incomplete += 1;
                self.mend(&error);
                match self.incomplete {
                    ..INCOMPLETE_MAX => Ok(()),
                    _ => Err(NeedsWhole::Incomplete(format!("{error:#}")).into()),
                }
            }
            Err(error) => {
                if let Ok(Some(head)) = self.publisher.head(Broken::PassOver)
                    && head.says_the_same(&self.head)
                    && head.as_of >= now
                {
                    // The renewal succeeded, but the answer was lost. A revocation would be a second later
                    // than what was published.
                    self.have_published(head);
                    return Ok(());
                }
                let pause = self.renewal_outage.failed(&format!("{error:#}"), None, now);
                pause.say.iter().for_each(|line| eprintln!("{line}"));
                self.renewal_at = elapsed.saturating_add(pause.pause);
                Ok(())
            }
        }
    }

    /// Continues from the shards that a compaction has written. Until a head names them, nothing else may be
    /// published.
    fn have_compacted(&mut self, done: Done) {
        input::show_crowded(&done.compacted.set_aside);
        self.content.compacted(&done.then, &done.compacted);
        self.head = Head { index: done.compacted.index, ..compacted_head(&self.head, &done) };
        self.index = done.index;
        self.is_base_due = true;
    }

    fn begin_compaction(&self) -> Compaction {
        Compaction::begin(&self.publisher, &self.index, &self.content, &self.settings.temp_dir())
    }

    /// Publishes the shards that a compaction has written. Later changes stay in the delta.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn install_compaction(&mut self) -> Result<()> {
        let Some(compaction) = self.compaction.take() else { return Ok(()) };
        let done = match compaction.wait(&self.publisher) {
            Ok(done) => done,
            Err(error) => {
                // Nothing is lost: the delta has everything, and the next change tries again.
                let told = format!("the delta could not be written into the shards: {error:#}");
                self.failed_compactions =
                    if unheard(&error).is_some() { 0 } else { self.failed_compactions + 1 };
                if self.failed_compactions >= FAILURES_MAX {
                    self.failed_compactions = 0;
                    return Err(NeedsWhole::Lasting(told).into());
                }
                eprintln!("warning: {told}");
                return Ok(());
            }
        };
        self.failed_compactions = 0;
        let objects = done.compacted.objects.len();
        self.have_compacted(done);
        self.until_published(Self::try_publish_shards)?;
        println!(
            "Published seq {} with new shards: {} objects, delta {}",
            self.head.seq,
            HumanCount(objects as u64),
            HumanBytes(self.content.delta().size_bytes() as u64)
        );
        Ok(())
    }

    fn try_publish_shards(&mut self) -> Result<()> {
        self.keep_distance();
        // The same data in other objects: the same seq with a later time.
        let (seq, origin) = (self.head.seq, self.head.origin_seq());
        let Head { as_of, changed_at, .. } = self.head.renewed(self.head.as_of.saturating_add(1));
        let (index, salt) = (self.head.index, self.index.salt());
        let (next, objects) = next_head(&self.content, &self.head, index, salt, origin, as_of)?;
        self.put(Seq { version: seq, origin }.of(Head { changed_at, ..next }), objects)
    }
}
