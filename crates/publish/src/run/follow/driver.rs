//! Carries out the requests of a [`Follower`]: I/O, and changes of the content in memory.

use std::{process::ExitCode, sync::Arc};

use admit_snapshot::{
    index::Index,
    object::{Digest, ObjectKind, ObjectName},
    time::Timestamp,
};
use anyhow::{Context, Result};

use super::{
    WholeVersion,
    machine::{
        self, Changes, Effect, Encoded, Event, Failure, Fed, Follower, HEAD_REPLACED, Hold, Moment,
        Publication, Request, Rhythm, Shards,
    },
    monitor::Monitor,
};
use crate::{
    change::Feed,
    origin::{FeedAnswer, Origin},
    output::{Level, Notice, tell_notice, write_notice},
    peer::{Unheard, unheard},
    run::{
        EXIT_DATA, RunLease, Settings,
        changes::{apply, objects, read},
        compaction::Compaction,
        input, namespaces,
        publisher::{Broken, Publisher},
    },
    store::{Object, reach::reach},
    update::Content,
};

/// A follower with its hands: the store, the origin, and the content in memory.
pub struct Driver<'a> {
    settings: &'a Settings,
    lease: &'a RunLease,
    publisher: Publisher,
    origin: Origin,
    /// The published index, or that of the shards which are about to be published.
    index: Arc<Index>,
    content: Content,
    namespaces: namespaces::Checker,
    compaction: Option<Compaction>,
    /// The encoded content, until it is uploaded.
    objects: Vec<Object>,
    pub(super) follower: Follower,
    /// The answer to the last request.
    event: Event,
    monitor: Arc<Monitor>,
    /// How many changes the content has that are not published, and when the last one was made.
    unpublished: Option<(usize, Option<Timestamp>)>,
}

impl<'a> Driver<'a> {
    /// Follows from the version that was published as a whole.
    ///
    /// # Errors
    /// `--from` or the feed's address is missing, the catalogue cannot be rendered, or the machine's clock is wrong.
    pub fn new(
        settings: &'a Settings,
        lease: &'a RunLease,
        publisher: Publisher,
        whole: WholeVersion,
        monitor: Arc<Monitor>,
    ) -> Result<Self> {
        let origin = settings.origin(settings.feed()?)?;
        let WholeVersion { version, index } = whole;
        let rhythm = Rhythm::of(settings, &origin.feed_name());
        Ok(Self {
            settings,
            lease,
            publisher,
            index: Arc::new(index),
            content: Content::built(version.catalogue)?,
            namespaces: namespaces::Checker::new(settings),
            compaction: None,
            objects: Vec::new(),
            follower: Follower::new(rhythm, version.head, moment(settings)?),
            event: Event::Woken { has_compacted: false },
            origin,
            monitor,
            unpublished: None,
        })
    }

    /// The feed's name.
    pub fn feed(&self) -> String {
        self.origin.feed_name()
    }

    /// Follows until that ends.
    ///
    /// # Errors
    /// Another publisher has taken over, or the store no longer accepts this one.
    pub fn run(mut self) -> Result<ExitCode> {
        loop {
            if let Some(code) = self.turn()? {
                return Ok(code);
            }
        }
    }

    /// Gives the follower the last event, and carries out its effects and its request. Returns the exit code that ends it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) fn turn(&mut self) -> Result<Option<ExitCode>> {
        let event = std::mem::replace(&mut self.event, Event::Woken { has_compacted: false });
        let step = self.step(event)?;
        step.effects.into_iter().for_each(|effect| self.perform(effect));
        self.event = match step.request {
            Request::Fail(error) => return Err(error),
            Request::EndRejected => return Ok(Some(ExitCode::from(EXIT_DATA))),
            Request::Sleep(pause) => {
                if !pause.is_zero() {
                    self.settings.outside.time.sleep(pause);
                }
                Event::Woken { has_compacted: self.compaction.as_ref().is_some_and(Compaction::is_ended) }
            }
            Request::CollectGarbage => Event::Collected(
                self.publisher
                    .collect_garbage()
                    .map(|report| (report.deleted, report.marked))
                    .map_err(Failure::of),
            ),
            Request::Look => Event::Looked(self.publisher.look().ok()),
            // An object that cannot be read on the way is named by the head, or will be found in a later pass.
            Request::Reach(head) => Event::Reached(
                reach(&self.publisher.store, &head)
                    .map(|names| names.into_iter().collect())
                    .unwrap_or_default(),
            ),
            Request::Check(names) => Event::Checked(self.check(&names)),
            Request::Repair(names) => Event::Repaired(self.upload_again(&names)),
            Request::HoldLease => Event::Lease(self.hold_lease().map_err(Failure::of)),
            Request::Ask { after } => Event::Fed(self.ask(after)),
            Request::Compact => Event::Compacted(self.compact().map_err(Failure::of)),
            Request::Encode { directory } => Event::Encoded(self.encode(directory).map_err(Failure::of)),
            Request::Put(publication) => Event::Put(self.put(*publication).map_err(Failure::of)),
            Request::Find => Event::Found(self.publisher.head(Broken::PassOver).ok().flatten()),
            Request::Whole => Event::Whole(self.whole()?),
        };
        self.monitor.saw(&self.event, self.settings.outside.time.unix_secs()?);
        Ok(None)
    }

    /// The follower's reaction to the last event. A head that is published now is noted.
    fn step(&mut self, event: Event) -> Result<machine::Step> {
        let now = moment(self.settings)?;
        self.monitor.turned(now.unix_secs);
        let is_whole = matches!(event, Event::Whole(machine::Whole::Published(_)));
        let before = self.follower.published().clone();
        let step = self.follower.step(event, now);
        let after = self.follower.published();
        if is_whole || (before.seq, before.as_of, before.index) != (after.seq, after.as_of, after.index) {
            self.monitor.replaced(&before, after, is_whole, now.unix_secs);
            // A renewal, and shards that a compaction has written, have none of the changes.
            if is_whole {
                self.unpublished = None;
            } else if before.origin_seq() != after.origin_seq()
                && let Some((count, as_of)) = self.unpublished.take()
            {
                self.monitor.changes_published(count, as_of, now.unix_secs);
            }
        }
        Ok(step)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Say(notice) => write_notice(&notice),
            Effect::Warn(notice) => {
                if notice.event() == HEAD_REPLACED {
                    self.monitor.head_replaced();
                }
                tell_notice(&notice, Level::Warning);
            }
            Effect::Upload(names) => drop(self.upload_again(&names)),
            Effect::BeginCompaction => self.compaction = Some(self.begin_compaction()),
            Effect::DropCompaction => self.compaction = None,
            Effect::TrustNothingOnce => self.publisher.trust_nothing_once(),
        }
    }

    /// If the store was away for longer than the lease lasts, and no other publisher has taken the lease, takes it
    /// again.
    fn hold_lease(&self) -> Result<Hold> {
        if self.lease.check(&self.publisher.store).is_ok() {
            return Ok(Hold::Unbroken);
        }
        self.lease.take_again(&self.publisher.store)?;
        Ok(Hold::TakenAgain)
    }

    /// Asks the origin once, and applies its changes to the content.
    fn ask(&mut self, after: u64) -> Fed {
        let changes = match self.origin.changes(after) {
            FeedAnswer::Gone => return Fed::Gone,
            FeedAnswer::Unheard(unheard) => return Fed::Unheard(unheard),
            FeedAnswer::Changes(changes) => changes,
        };
        let name = self.origin.feed_name();
        let mut feed = Feed::new(&name, changes.lines).after_line(changes.first_line);
        let mut batch = match read(&mut feed, after) {
            Ok(batch) => batch,
            Err(error) => return Fed::Unheard(Unheard::new(format!("{name}: {error}"))),
        };
        match self.namespaces.take_unknown(&mut batch.changes, &name, &self.publisher.store) {
            Ok(unknown) => {
                batch.left_out.extend(unknown);
                batch.left_out.sort_by_key(|left_out| left_out.seq);
            }
            // It is unknown whether tokens can find these customers, so the changes wait.
            Err(error) => {
                let not_told = not_told(&error);
                let failure = Failure::of(error);
                return if failure.is_final() { Fed::Refused(failure) } else { Fed::Unheard(not_told) };
            }
        }
        let strictness = self.settings.strictness();
        let applied = self
            .settings
            .outside
            .time
            .unix_secs()
            .and_then(|now| apply(&mut self.content, &mut batch, &name, now, strictness));
        if let Err(error) = applied {
            return Fed::Unusable(format!("the changes after {after} cannot be applied: {error:#}"));
        }
        let last = batch.changes.last();
        if let Some(last) = last {
            self.unpublished = Some((batch.changes.len(), last.as_of));
        }
        // An origin that does not say how many changes it has tells of those that it sends.
        self.monitor.origin_has(changes.seq.unwrap_or(0).max(last.map_or(after, |last| last.seq)));
        Fed::Changes(Changes {
            count: batch.changes.len(),
            last: last.map_or(after, |last| last.seq),
            as_of: last.and_then(|last| last.as_of),
            delta_bytes: self.content.delta().size_bytes(),
            end: batch.end,
            doubt: changes.doubt,
        })
    }

    fn check(&self, names: &[ObjectName]) -> Option<Vec<ObjectName>> {
        let checked = self.publisher.store.check(names, &|_| ()).ok()?;
        Some(checked.missing.into_iter().chain(checked.broken).collect())
    }

    fn begin_compaction(&self) -> Compaction {
        Compaction::begin(&self.publisher, &self.index, &self.content, &self.settings.temp_dir())
    }

    /// Waits for the compaction under way, or for a new one, and continues from its shards.
    fn compact(&mut self) -> Result<Shards> {
        let compaction = self.compaction.take().unwrap_or_else(|| self.begin_compaction());
        let done = compaction.wait(&self.publisher)?;
        input::show_crowded(&done.compacted.set_aside);
        self.content.compacted(&done.then, &done.compacted);
        self.index = done.index;
        let compacted = done.compacted;
        Ok(Shards {
            index: compacted.index,
            customers: compacted.customers,
            items: compacted.items,
            objects: compacted.objects.len(),
            delta_bytes: self.content.delta().size_bytes(),
        })
    }

    fn encode(&mut self, directory: Digest) -> Result<Encoded> {
        let (named, objects) = objects(&self.content, directory, self.index.salt())?;
        let encoded = Encoded { named, writes: self.publisher.writes(&objects)? };
        self.objects = objects;
        Ok(encoded)
    }

    fn put(&mut self, publication: Publication) -> Result<admit_snapshot::head::Head> {
        let Publication { head, follows, is_base } = publication;
        let objects = std::mem::take(&mut self.objects);
        if is_base {
            self.publisher.put_all(objects)?;
            self.publisher.publish_base(head, Some(&follows))
        } else {
            self.publisher.publish_delta(head, objects, &follows)
        }
    }

    /// Publishes everything.
    fn whole(&mut self) -> Result<machine::Whole> {
        if let Some(compaction) = self.compaction.take() {
            // Otherwise two would write at once. The objects of the compaction are garbage then.
            let _ = compaction.wait(&self.publisher);
        }
        let from = self.settings.from.as_deref().context("--from")?;
        match WholeVersion::publish(self.settings, from, &self.publisher, self.lease) {
            Ok(Some(WholeVersion { version, index })) => {
                self.index = Arc::new(index);
                self.content = Content::built(version.catalogue)?;
                self.objects = Vec::new();
                Ok(machine::Whole::Published(Box::new(version.head)))
            }
            Ok(None) => Ok(machine::Whole::Rejected),
            Err(error) => Ok(machine::Whole::Failed(Failure::of(error))),
        }
    }

    /// Uploads those of these objects that are in memory, and returns their names.
    fn upload_again(&self, names: &[ObjectName]) -> Vec<ObjectName> {
        let delta = self.content.delta().encode(self.index.salt()).ok().flatten();
        let at_hand = [
            (ObjectKind::Index, Some(self.index.object().to_vec())),
            (ObjectKind::Directory, Some(self.content.directory().to_vec())),
            (ObjectKind::Delta, delta),
        ];
        let objects = at_hand.into_iter().filter_map(|(kind, object)| {
            let object: Object = object.map(|object| (ObjectName::of(kind, &object), object))?;
            names.contains(&object.0).then_some(object)
        });
        let mut done = Vec::new();
        for (name, object) in objects {
            let uploaded = self.publisher.put_all(vec![(name, object)]).map_err(Failure::of);
            match uploaded {
                Ok(()) => {
                    let text =
                        format!("warning: {name} was missing or broken in the store, and is uploaded again");
                    tell_notice(
                        &Notice::new("repaired", text).with("object", name.to_string()),
                        Level::Warning,
                    );
                    self.monitor.repaired(1);
                    done.push(name);
                }
                Err(failure) if failure.is_final() => {}
                Err(failure) => {
                    let text =
                        format!("warning: {name} is missing or broken in the store: {}", failure.text());
                    let notice = Notice::new("not_repaired", text).with("object", name.to_string());
                    tell_notice(&notice.with("error", failure.text()), Level::Warning);
                }
            }
        }
        done
    }
}

/// The time, by both clocks.
fn moment(settings: &Settings) -> Result<Moment> {
    let time = &settings.outside.time;
    Ok(Moment { elapsed: time.elapsed(), unix_secs: time.unix_secs()? })
}

/// The Worker's issuers could not be read.
fn not_told(error: &anyhow::Error) -> Unheard {
    let retry_after = unheard(error).and_then(|unheard| unheard.retry_after);
    Unheard { text: format!("the issuers of the Worker: {error:#}"), retry_after }
}
