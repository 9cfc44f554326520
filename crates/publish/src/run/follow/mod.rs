//! `admit publish --follow`: publishes the changes from the origin's feed until it is stopped.
//!
//! A follower runs for years. It waits out unusual answers of the origin and of the store, and asks again:
//! `step` asks the origin once and says what comes next, `head` publishes, `watch` repairs the store. Only a
//! wrong command line, another publisher in its place, and the store's own refusal end a follower.

mod head;
#[cfg(test)]
mod tests;
mod watch;

use std::{process::ExitCode, sync::Arc, time::Duration};

use admit_snapshot::{head::Head, index::Index, object::ObjectKind};
use anyhow::{Context, Error, Result};
use indicatif::HumanCount;

use self::{head::NeedsWhole, watch::Watch};
use super::{
    EXIT_DATA, RunLease,
    changes::{End, apply, read},
    compaction::Compaction,
    namespaces,
    publisher::Publisher,
    whole,
    whole::{PublishedWhole, WholeOutcome},
};
use crate::{
    change::Feed,
    origin::{FeedAnswer, Origin},
    peer::{
        Unheard,
        outage::{Outage, WHOLE_PAUSE_MAX},
        unheard,
    },
    run::Settings,
    store::{LeaseHeld, is_shut_out, reach::decode_index},
    update::Content,
};

/// How often a feed with a gap or an invalid line is asked again before everything is published instead.
const GAPS_MAX: u32 = 3;

/// A lease that ends within this many seconds is waited for: as long as the leases of earlier versions of
/// this command.
const LEASE_WAIT_MAX_SECS: u64 = 120;

/// Publishes everything, and follows the origin from there.
///
/// # Errors
/// The command line is wrong, another publisher is at work, or the store says that this one may not publish.
pub fn run(settings: &Settings, from: &str, publisher: Publisher, lease: &RunLease) -> Result<ExitCode> {
    let origin = settings.origin(settings.feed()?)?;
    let Some(whole) = first_whole(settings, from, &publisher, lease)? else {
        return Ok(ExitCode::from(EXIT_DATA));
    };
    let mut follower = Follower::new(settings, lease, publisher, whole)?;
    println!("Following {} from {}", origin.url(), follower.head.origin_seq());
    loop {
        if let Some(code) = follower.round(&origin)? {
            return Ok(code);
        }
    }
}

/// A fully published version, to continue from.
struct Whole {
    version: PublishedWhole,
    index: Index,
}

impl Whole {
    /// Publishes everything; `None` if the data is wrong, which has been reported.
    fn publish(
        settings: &Settings,
        from: &str,
        publisher: &Publisher,
        lease: &RunLease,
    ) -> Result<Option<Self>> {
        let WholeOutcome::Published(version) = whole::run(settings, from, publisher, lease)? else {
            return Ok(None);
        };
        let index = publisher.object(ObjectKind::Index, version.head.index).map_err(|error| {
            // The index was published a moment ago, and is gone or not visible yet: publish everything once
            // more, with all objects.
            publisher.trust_nothing_once();
            Unheard::new(format!("the index that was just published: {error:#}"))
        })?;
        let index = decode_index(index)?;
        Ok(Some(Self { version: *version, index }))
    }
}

/// Publishes everything as soon as origin and store are heard. A lease in the way may be left over from
/// another machine, so its end is waited for, once.
fn first_whole(
    settings: &Settings,
    from: &str,
    publisher: &Publisher,
    lease: &RunLease,
) -> Result<Option<Whole>> {
    let (time, mut outage) = (&settings.outside.time, Outage::default());
    let mut has_waited = false;
    loop {
        let error = match Whole::publish(settings, from, publisher, lease) {
            Err(error) if unheard(&error).is_some() => error,
            Err(error) => {
                let ends_in_secs = error.downcast_ref::<LeaseHeld>().and_then(|held| held.ends_in_secs);
                match ends_in_secs.filter(|secs| !has_waited && *secs <= LEASE_WAIT_MAX_SECS) {
                    Some(secs) => {
                        eprintln!("warning: {error:#}. Waiting for its end");
                        has_waited = true;
                        time.sleep(Duration::from_secs(secs + 1));
                        continue;
                    }
                    None => return Err(error),
                }
            }
            published => return published,
        };
        let asked = unheard(&error).and_then(|unheard| unheard.retry_after);
        let pause = outage.failed(&format!("{error:#}"), asked, time.unix_secs()?);
        pause.say.iter().for_each(|line| eprintln!("{line}"));
        time.sleep(pause.pause);
    }
}

/// Whether waiting does not help: another publisher has taken over, or the store refuses this one.
fn is_final(error: &Error) -> bool {
    error.is::<LeaseHeld>() || is_shut_out(error)
}

/// The Worker's issuers could not be read.
fn not_told(error: &Error) -> Unheard {
    let retry_after = unheard(error).and_then(|unheard| unheard.retry_after);
    Unheard { text: format!("the issuers of the Worker: {error:#}"), retry_after }
}

/// What to do after the origin was asked once.
#[derive(Debug)]
enum Next {
    /// Ask again after this time.
    Ask(Duration),
    /// The origin was not heard: ask again after a growing pause.
    Wait(Unheard),
    /// The feed cannot be used: publish everything, for this reason.
    Whole(String),
}

struct Follower<'a> {
    settings: &'a Settings,
    lease: &'a RunLease,
    publisher: Publisher,
    /// The head that the next publish builds on.
    head: Head,
    /// The published head. While the shards of a compaction are about to be published, its index differs from
    /// that of `head`.
    published: Head,
    index: Arc<Index>,
    content: Content,
    /// The expected content of the store, and the last findings.
    watch: Watch,
    namespaces: namespaces::Checker,
    compaction: Option<Compaction>,
    /// How often in a row a compaction failed although the store was heard.
    failed_compactions: u32,
    /// When a head was last published or renewed.
    published_at: Duration,
    collected_at: Duration,
    /// How often in a row the feed had a gap or an invalid line.
    gaps: u32,
    /// Failures of the origin in a row.
    origin_outage: Outage,
    /// How often in a row a full publish failed or did not help.
    whole_outage: Outage,
    /// How often in a row the head could not be renewed.
    renewal_outage: Outage,
    /// The earliest time of the next renewal.
    renewal_at: Duration,
    /// How often in a row a renewal failed because an object is missing.
    incomplete: u32,
    /// The origin's count when everything was published because the feed could not be used.
    whole_at: Option<u64>,
    /// The shards of a compaction are in use here, but no published head names them yet.
    is_base_due: bool,
    /// The head that was sent last, unless it is known to be published.
    attempted: Option<Head>,
    /// The number of writes in the last attempt.
    writes: usize,
}

impl<'a> Follower<'a> {
    fn new(settings: &'a Settings, lease: &'a RunLease, publisher: Publisher, whole: Whole) -> Result<Self> {
        let Whole { version, index } = whole;
        let now = settings.outside.time.elapsed();
        Ok(Self {
            settings,
            lease,
            publisher,
            watch: Watch::new(&version.head, now),
            published: version.head.clone(),
            head: version.head,
            index: Arc::new(index),
            content: Content::built(version.catalogue)?,
            namespaces: namespaces::Checker::new(settings),
            compaction: None,
            failed_compactions: 0,
            published_at: now,
            collected_at: now,
            gaps: 0,
            origin_outage: Outage::default(),
            whole_outage: Outage::with_pauses_up_to(WHOLE_PAUSE_MAX),
            renewal_outage: Outage::default(),
            renewal_at: now,
            incomplete: 0,
            whole_at: None,
            is_base_due: false,
            attempted: None,
            writes: 0,
        })
    }

    /// Asks the origin once and acts on its answer. Returns an exit code if that ends the follower.
    fn round(&mut self, origin: &Origin) -> Result<Option<ExitCode>> {
        let next = match self.step(origin) {
            Err(error) if error.is::<NeedsWhole>() => {
                self.publisher.trust_nothing_once();
                Next::Whole(error.to_string())
            }
            next => next?,
        };
        match next {
            Next::Ask(pause) => self.sleep(pause),
            Next::Wait(Unheard { text, retry_after }) => {
                let pause = self.origin_outage.failed(&text, retry_after, self.now()?);
                pause.say.iter().for_each(|line| eprintln!("{line}"));
                self.sleep(pause.pause);
            }
            Next::Whole(reason) => return self.publish_whole(&reason),
        }
        Ok(None)
    }

    /// Asks the origin once and publishes its new changes.
    fn step(&mut self, origin: &Origin) -> Result<Next> {
        if self.compaction.as_ref().is_some_and(Compaction::is_ended) {
            self.install_compaction()?;
        }
        self.collect_garbage();
        self.look_after()?;
        let asked_at = self.elapsed();
        let after = self.head.origin_seq();
        let changes = match origin.changes(after) {
            FeedAnswer::Gone => {
                return Ok(Next::Whole(format!("the origin no longer has the changes after {after}")));
            }
            FeedAnswer::Unheard(unheard) => return Ok(Next::Wait(unheard)),
            FeedAnswer::Changes(changes) => changes,
        };
        let broken_off =
            |error: std::io::Error| Next::Wait(Unheard::new(format!("{}: {error}", origin.url())));
        let mut batch = match read(&mut Feed::new(origin.url(), changes.lines), after) {
            Ok(batch) => batch,
            Err(error) => return Ok(broken_off(error)),
        };
        let store = &self.publisher.store;
        match self.namespaces.take_unknown(&mut batch.changes, origin.url(), store) {
            Ok(unknown) => {
                batch.left_out.extend(unknown);
                batch.left_out.sort_by_key(|left_out| left_out.seq);
            }
            Err(error) if is_final(&error) => return Err(error),
            // It is unknown whether tokens can find these customers, so the changes wait.
            Err(error) => return Ok(Next::Wait(not_told(&error))),
        }
        let now = self.now()?;
        let strictness = self.settings.strictness();
        if let Err(error) = apply(&mut self.content, &mut batch, origin.url(), now, strictness) {
            return Ok(Next::Whole(format!("the changes after {after} cannot be applied: {error:#}")));
        }
        if !batch.changes.is_empty() {
            self.origin_is_heard()?;
            self.publish(&batch)?;
        }
        Ok(match batch.end {
            Some(end @ (End::Gap { .. } | End::NoChange(_))) => {
                self.gaps = if batch.changes.is_empty() { self.gaps + 1 } else { 1 };
                if self.gaps > GAPS_MAX {
                    return Ok(Next::Whole(match end {
                        End::Gap { .. } => format!("the feed still has a gap: {end}"),
                        end => format!("the feed still has a line that is not a change: {end}"),
                    }));
                }
                Next::Wait(Unheard::new(format!("{}: {end}", origin.url())))
            }
            Some(End::BrokenOff(error)) => broken_off(error),
            Some(end) => Next::Whole(end.to_string()),
            // There may be more changes.
            None if !batch.changes.is_empty() => Next::Ask(Duration::ZERO),
            None => {
                if let Some(doubt) = changes.doubt {
                    // It may be the origin's own answer after all: the next change must not wait for a
                    // growing pause.
                    let pause = self.origin_outage.failed(&doubt, Some(self.every()), self.now()?);
                    pause.say.iter().for_each(|line| eprintln!("{line}"));
                } else {
                    self.origin_is_heard()?;
                    self.renew_head()?;
                }
                // An origin that answers at once instead of waiting must not be asked all the time.
                Next::Ask(self.every().saturating_sub(self.elapsed().saturating_sub(asked_at)))
            }
        })
    }

    /// Notes that the origin has given a usable answer.
    fn origin_is_heard(&mut self) -> Result<()> {
        self.gaps = 0;
        let now = self.now()?;
        self.origin_outage.ended("The origin", now).iter().for_each(|line| println!("{line}"));
        self.whole_outage.ended("The feed", now).iter().for_each(|line| println!("{line}"));
        self.whole_at = None;
        Ok(())
    }

    /// Publishes everything, because the feed cannot be used. If that fails now, the feed is asked again: it
    /// may have recovered, and otherwise leads here again. Returns an exit code if that ends the follower.
    fn publish_whole(&mut self, reason: &str) -> Result<Option<ExitCode>> {
        if self.whole_at == Some(self.head.origin_seq()) {
            // The last full publish did not help. An export is too expensive to read every second.
            self.pause_before_whole(&format!("{reason}, and publishing the whole did not help"), None)?;
        } else {
            eprintln!("warning: {reason}; publishing the whole");
        }
        if let Some(compaction) = self.compaction.take() {
            // Otherwise two would write at once. What the compaction has written is garbage then.
            let _ = compaction.wait(&self.publisher);
        }
        let from = self.settings.from.as_deref().context("--from")?;
        let Whole { version, index } = match Whole::publish(self.settings, from, &self.publisher, self.lease)
        {
            Ok(Some(whole)) => whole,
            Ok(None) if self.settings.strict => return Ok(Some(ExitCode::from(EXIT_DATA))),
            Ok(None) => {
                self.pause_before_whole("the whole was to be published, but it has errors", None)?;
                return Ok(None);
            }
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                let asked = unheard(&error).and_then(|unheard| unheard.retry_after);
                self.pause_before_whole(&format!("{error:#}"), asked)?;
                return Ok(None);
            }
        };
        self.whole_at = Some(version.head.origin_seq());
        self.index = Arc::new(index);
        self.content = Content::built(version.catalogue)?;
        self.have_published(version.head);
        self.gaps = 0;
        Ok(None)
    }

    fn pause_before_whole(&mut self, error: &str, asked: Option<Duration>) -> Result<()> {
        let pause = self.whole_outage.failed(error, asked, self.now()?);
        pause.say.iter().for_each(|line| eprintln!("{line}"));
        self.sleep(pause.pause);
        Ok(())
    }

    /// Deltas that are replaced every few seconds would fill the store.
    fn collect_garbage(&mut self) {
        let every = Duration::from_secs(self.settings.gc_every);
        // The objects of a compaction are in use although no head reaches them yet.
        let now = self.elapsed();
        if every.is_zero() || self.compaction.is_some() || now.saturating_sub(self.collected_at) < every {
            return;
        }
        self.collected_at = now;
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
        Duration::from_secs(self.settings.every)
    }

    fn elapsed(&self) -> Duration {
        self.settings.outside.time.elapsed()
    }

    fn now(&self) -> Result<i64> {
        self.settings.outside.time.unix_secs()
    }

    fn sleep(&self, pause: Duration) {
        if !pause.is_zero() {
            self.settings.outside.time.sleep(pause);
        }
    }
}
