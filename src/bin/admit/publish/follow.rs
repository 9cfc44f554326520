//! Publishes what the origin's change feed brings, until it is stopped.

use std::{
    process::ExitCode,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use admit::{
    limits::{DELTA_BUDGET_BYTES, OBJECT_MAX_BYTES},
    snapshot::{change::Feed, head::Head, index::Index, object::ObjectKind, time::iso8601, update::Content},
};
use anyhow::{Context, Error, Result, bail};
use indicatif::{HumanBytes, HumanCount};

use super::{
    Args, EXIT_DATA, Lease,
    changes::{Batch, End, apply, as_of, compacted_head, next_head, read},
    compaction::{Compaction, Done},
    publisher::{Broken, Publisher},
    seq::Seq,
    whole::{self, Ended, Version},
};
use crate::{
    origin::{self, Answer, Origin},
    progress::now,
    store::{LeaseHeld, Object, is_shut_out},
    token::now_unix_secs,
};

/// A delta beyond this waits for the compaction; an object has at most 8 MiB.
const DELTA_MAX_BYTES: usize = OBJECT_MAX_BYTES - OBJECT_MAX_BYTES / 8;

/// How often a feed that leaves something out is asked again before the whole is published instead.
const GAPS_MAX: u32 = 3;

/// The longest pause after an origin that does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Follows the origin from the version that was just published.
///
/// # Errors
/// The origin or the store refuses: trying again would not help.
pub fn run(args: &Args, publisher: Publisher, version: Version, lease: &Lease) -> Result<ExitCode> {
    let origin = Origin::new(args.feed()?, args.origin_token.as_deref())?;
    let mut follower = Follower::new(args, lease, publisher, version)?;
    println!("Following {} from {}", origin.url(), follower.head.origin_seq());
    loop {
        if let Some(reason) = follower.step(&origin)?
            && !follower.publish_whole(&reason)?
        {
            return Ok(ExitCode::from(EXIT_DATA));
        }
    }
}

struct Follower<'a> {
    args: &'a Args,
    lease: &'a Lease,
    publisher: Publisher,
    head: Head,
    index: Arc<Index>,
    content: Content,
    compaction: Option<Compaction>,
    published_at: Instant,
    collected_at: Instant,
    /// How often in a row something was missing.
    gaps: u32,
    /// How often in a row the origin did not answer.
    failures: u32,
    /// Where the origin stood when the whole was published because the feed could not be used.
    whole_at: Option<u64>,
    /// The shards of a compaction are in use here, but no published head names them yet.
    is_base_due: bool,
    /// The head that was sent last, unless it is known to be published.
    attempted: Option<Head>,
    /// Writes of the last attempt.
    writes: usize,
}

impl<'a> Follower<'a> {
    fn new(args: &'a Args, lease: &'a Lease, publisher: Publisher, version: Version) -> Result<Self> {
        let index =
            Index::decode(publisher.object(ObjectKind::Index, version.head.index)?).context("index")?;
        Ok(Self {
            args,
            lease,
            publisher,
            head: version.head,
            index: Arc::new(index),
            content: Content::built(version.catalogue)?,
            compaction: None,
            published_at: now(),
            collected_at: now(),
            gaps: 0,
            failures: 0,
            whole_at: None,
            is_base_due: false,
            attempted: None,
            writes: 0,
        })
    }

    /// Asks the origin once and publishes what is new. Why the whole has to be published, if it has to be.
    fn step(&mut self, origin: &Origin) -> Result<Option<String>> {
        if self.compaction.as_ref().is_some_and(Compaction::is_ended) {
            self.install_compaction()?;
        }
        self.collect_garbage();
        let asked_at = now();
        let after = self.head.origin_seq();
        let read = match origin.changes(after)? {
            Answer::Gone => return Ok(Some(format!("the origin no longer has the changes after {after}"))),
            Answer::Unavailable(error, pause) => return self.pause(&error, pause),
            Answer::Changes(body) => read(&mut Feed::new(origin.url(), origin::lines(body)), after),
        };
        let mut batch = match read {
            Ok(batch) => batch,
            Err(error) => return self.pause(&Error::new(error).context(origin.url().to_owned()), None),
        };
        self.failures = 0;
        apply(&mut self.content, &mut batch, origin.url(), now_unix_secs()?)?;
        if !batch.changes.is_empty() {
            self.publish(&batch)?;
        }
        match batch.end {
            Some(end @ End::Gap { .. }) => {
                self.gaps = if batch.changes.is_empty() { self.gaps + 1 } else { 1 };
                eprintln!("warning: {}: {end}", origin.url());
                if self.gaps > GAPS_MAX {
                    return Ok(Some("the feed goes on leaving something out".to_owned()));
                }
                sleep(Duration::from_secs(1));
            }
            Some(End::BrokenOff(error)) => {
                return self.pause(&Error::new(error).context(origin.url().to_owned()), None);
            }
            Some(end) => return Ok(Some(end.to_string())),
            None => {
                self.gaps = 0;
                // An origin that does not wait for changes must not be asked all the time.
                if batch.changes.is_empty() {
                    sleep(self.every().saturating_sub(asked_at.elapsed()));
                }
            }
        }
        Ok(None)
    }

    /// Deltas that are superseded every few seconds would fill the store.
    fn collect_garbage(&mut self) {
        let every = Duration::from_secs(self.args.gc_every);
        // What a compaction has written is in use although nothing leads to it yet.
        if every.is_zero() || self.compaction.is_some() || self.collected_at.elapsed() < every {
            return;
        }
        self.collected_at = now();
        match self.publisher.collect_garbage() {
            Ok(report) => println!(
                "Collected garbage: {} objects deleted, {} marked",
                HumanCount(report.deleted as u64),
                HumanCount(report.marked as u64)
            ),
            Err(error) => eprintln!("warning: garbage could not be collected: {error:#}"),
        }
    }

    const fn every(&self) -> Duration {
        Duration::from_secs(self.args.every)
    }

    /// Waits until an origin that does not answer is asked again, which is done for ever: what is published
    /// stays right as far as it goes, and expiry is judged at the edge.
    fn pause(&mut self, error: &Error, asked: Option<Duration>) -> Result<Option<String>> {
        let pause = asked.unwrap_or_else(|| Duration::from_secs(1 << self.failures.min(5))).min(PAUSE_MAX);
        self.failures += 1;
        eprintln!("warning: {error:#}; asking again in {} s", pause.as_secs());
        sleep(pause);
        Ok(None)
    }

    /// Publishes the content, which has the changes of `batch` in it, however long the store does not answer:
    /// what is published stays right as far as it goes.
    ///
    /// # Errors
    /// Somebody else publishes now, or the store no longer lets this publisher in.
    fn publish(&mut self, batch: &Batch) -> Result<()> {
        let started = now();
        self.until_published(|follower| follower.try_publish(batch))?;
        let bytes = self.content.delta().size_bytes();
        println!(
            "Published seq {}, as of {}: {} changes, {} writes, delta {}, {:.3} s",
            self.head.seq,
            iso8601(self.head.as_of, 0),
            HumanCount(batch.changes.len() as u64),
            self.writes,
            HumanBytes(bytes as u64),
            started.elapsed().as_secs_f64()
        );
        if bytes > DELTA_BUDGET_BYTES && self.compaction.is_none() {
            println!("The delta is full: writing it into the shards, while changes go on being published");
            self.compaction = Some(self.begin_compaction());
        }
        Ok(())
    }

    /// Publishes by `attempt`, again and again while the store does not answer.
    fn until_published(&mut self, attempt: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        let mut failures = 0;
        loop {
            let Err(error) = self.hold_lease().and_then(|()| attempt(self)) else { return Ok(()) };
            if error.is::<LeaseHeld>() || is_shut_out(&error) {
                return Err(error);
            }
            // It may have been published although the answer was lost.
            if let Ok(Some(head)) = self.publisher.head(Broken::PassOver) {
                if self.attempted.as_ref().is_some_and(|attempted| says_the_same(attempted, &head)) {
                    self.have_published(head);
                    return Ok(());
                }
                if head.seq > self.head.seq {
                    return Err(error);
                }
            }
            let pause = Duration::from_secs(1 << failures.min(5)).min(PAUSE_MAX);
            failures += 1;
            eprintln!("warning: {error:#}; publishing again in {} s", pause.as_secs());
            sleep(pause);
        }
    }

    /// If the store was away for longer than a lease lasts and nobody else has taken it meanwhile, this
    /// follower takes it again and goes on. What a compaction has written may have been collected since, so
    /// that it begins anew.
    fn hold_lease(&mut self) -> Result<()> {
        if self.lease.check(&self.publisher.store).is_ok() {
            return Ok(());
        }
        self.lease.take_again(&self.publisher.store)?;
        self.compaction = None;
        if self.is_base_due {
            return Err(LeaseHeld::new_shards_may_be_gone().into());
        }
        Ok(())
    }

    fn try_publish(&mut self, batch: &Batch) -> Result<()> {
        let Some(last) = batch.changes.last() else { return Ok(()) };
        sleep(self.every().saturating_sub(self.published_at.elapsed()));
        let moment = now_unix_secs()?;
        while self.content.delta().size_bytes() > DELTA_MAX_BYTES {
            // Too much for a delta: the shards have to be written first.
            let compaction = match self.compaction.take() {
                Some(compaction) => compaction,
                None => self.begin_compaction(),
            };
            let done = compaction.wait(&self.publisher)?;
            self.have_compacted(done);
        }
        let as_of = as_of(last, moment);
        let (next, objects) = next_head(&self.content, &self.head, self.head.index, last.seq, as_of)?;
        self.put(next, objects)
    }

    fn put(&mut self, next: Head, objects: Vec<Object>) -> Result<()> {
        self.writes = objects.len() + 1;
        self.attempted = Some(next.clone());
        let published = if self.is_base_due {
            self.publisher.put_all(objects)?;
            self.publisher.publish_base(next, Some(&self.head))?
        } else {
            self.publisher.publish_delta(next, objects, &self.head)?
        };
        self.have_published(published);
        Ok(())
    }

    fn have_published(&mut self, head: Head) {
        self.head = head;
        self.attempted = None;
        self.is_base_due = false;
        self.published_at = now();
    }

    /// Goes on from shards that a compaction has written. Until a head names them, nothing else may be published.
    fn have_compacted(&mut self, done: Done) {
        self.content.compacted(&done.then);
        self.head = Head { index: done.compacted.index, ..compacted_head(&self.head, &done) };
        self.index = done.index;
        self.is_base_due = true;
    }

    fn begin_compaction(&self) -> Compaction {
        Compaction::begin(&self.publisher, &self.index, &self.content, &self.args.temp_dir())
    }

    /// Publishes the shards that a compaction has written. What has changed since stays in the delta.
    fn install_compaction(&mut self) -> Result<()> {
        let Some(compaction) = self.compaction.take() else { return Ok(()) };
        let done = match compaction.wait(&self.publisher) {
            Ok(done) => done,
            Err(error) => {
                // Nothing is lost: the delta has it all, and is tried again with the next change.
                eprintln!("warning: the delta could not be written into the shards: {error:#}");
                return Ok(());
            }
        };
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
        sleep(self.every().saturating_sub(self.published_at.elapsed()));
        // The same data in other objects: the same seq, later.
        let (seq, origin) = (self.head.seq, self.head.origin_seq());
        let as_of = self.head.as_of.saturating_add(1);
        let (next, objects) = next_head(&self.content, &self.head, self.head.index, origin, as_of)?;
        self.put(Seq { version: seq, origin }.of(next), objects)
    }

    /// Publishes the whole, because the feed cannot be used. Whether that was possible.
    fn publish_whole(&mut self, reason: &str) -> Result<bool> {
        let at = self.head.origin_seq();
        if self.whole_at == Some(at) {
            bail!("{reason}, and publishing the whole did not help");
        }
        eprintln!("warning: {reason}; publishing the whole");
        if let Some(compaction) = self.compaction.take() {
            // Two would write at once. What it has written is garbage then.
            let _ = compaction.wait(&self.publisher);
        }
        let from = self.args.from.as_deref().context("--from")?;
        match whole::run(self.args, from, &self.publisher, self.lease)? {
            Ended::Published(version) => {
                self.whole_at = Some(version.head.origin_seq());
                self.index = Arc::new(
                    Index::decode(self.publisher.object(ObjectKind::Index, version.head.index)?)
                        .context("index")?,
                );
                self.content = Content::built(version.catalogue)?;
                self.have_published(version.head);
                self.gaps = 0;
                Ok(true)
            }
            Ended::Wrong | Ended::Done => Ok(false),
        }
    }
}

/// Whether two heads say the same of the data, whenever they were signed.
fn says_the_same(left: &Head, right: &Head) -> bool {
    let said = |head: &Head| (head.seq, head.origin_seq(), head.index, head.directory, head.delta);
    said(left) == said(right)
}
