//! The follower as a state machine without I/O: [`Follower::step`] takes an event and the time, and returns effects
//! and one request, whose answer is the next event ([ADR 38](../../../../../../docs/adr/0038-the-follower-is-a-state-machine.md)).
//!
//! ```text
//! round:   install an ended compaction ─► collect garbage ─► look at the head ─► check objects ─► ask the origin
//!          ─► publish its changes, or renew the head ─► rest
//! publish: keep the distance ─► hold the lease ─► (compact) ─► encode ─► put; after a failure find the head, wait, again
//! ```
//!
//! Whatever cannot be published as changes ends in `whole`: everything is published from the export. `publish` and
//! `renew` put heads, `watch` repairs the store, `model` tests all of it with random events.

mod event;
#[cfg(test)]
mod model;
mod publish;
mod renew;
mod watch;
mod whole;

use std::time::Duration;

use admit_snapshot::{head::Head, object::ObjectName};
use indicatif::HumanCount;

pub use self::event::{
    Cause, Changes, Effect, Encoded, Event, Failure, Fed, Hold, Moment, Publication, Request, Shards, Step,
    Whole,
};
use self::{publish::Attempt, renew::Renewal, watch::Watch, whole::NeedsWhole};
use crate::{
    output::Notice,
    peer::{
        Unheard,
        outage::{Outage, WHOLE_PAUSE_MAX},
    },
    run::{Settings, changes::End},
};

/// How often a feed with a gap or an invalid line is asked again before everything is published instead.
const GAPS_MAX: u32 = 3;

/// How often in a row something may fail although all peers answer properly: waiting does not mend that.
const FAILURES_MAX: u32 = 3;

/// The event of the log line about a stored head that is not the published one.
pub const HEAD_REPLACED: &str = "head_replaced";

/// How many heads without an answer are remembered. Each failed full publish in between adds one.
const SENT_MAX: usize = 16;

/// How often a follower does what.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// The feed's URL, for messages.
    pub feed: String,
    /// The least time between two publishes.
    pub every: Duration,
    /// Between two collections of garbage; zero for never.
    pub gc_every: Duration,
    /// How old the head of a quiet origin may become; zero for any age.
    pub heartbeat: Duration,
    /// Whether invalid data ends the follower.
    pub is_strict: bool,
}

impl Rhythm {
    /// That of the command line, for the feed at this URL.
    pub fn of(settings: &Settings, feed: &str) -> Self {
        let Settings { every, gc_every, heartbeat, strict, .. } = *settings;
        Self {
            feed: feed.to_owned(),
            every: Duration::from_secs(every),
            gc_every: Duration::from_secs(gc_every),
            heartbeat: Duration::from_secs(heartbeat),
            is_strict: strict,
        }
    }
}

/// The state of a follower: the published head, the request under way, and counts of failures.
pub struct Follower {
    rhythm: Rhythm,
    /// The head that the next publish builds on.
    head: Head,
    /// The published head. While the shards of a compaction are about to be published, its index differs from
    /// that of `head`.
    published: Head,
    /// The size of the delta of the content.
    delta_bytes: usize,
    /// The expected content of the store, and the last findings.
    watch: Watch,
    /// Whether a compaction is under way.
    is_compacting: bool,
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
    /// Those shards may have been deleted: nothing but a full publish may follow, however often it fails.
    is_stale: bool,
    /// The head that was sent last, unless it is known to be published.
    attempted: Option<Head>,
    /// Other heads that were sent since the last one that is known to be published. Each may have arrived although its
    /// answer was lost.
    sent: Vec<Head>,
    phase: Phase,
    /// The effects of the current step.
    effects: Vec<Effect>,
}

/// The request that is under way.
enum Phase {
    /// Between two rounds.
    Resting,
    /// A compaction that has ended is read.
    Installing,
    Collecting,
    Looking,
    Reaching,
    Checking,
    /// Before objects that are missing or broken are uploaded again.
    Securing(Vec<ObjectName>),
    Repairing(Vec<ObjectName>),
    Asking {
        asked_at: Duration,
    },
    Publishing(Box<Attempt>),
    Renewing(Renewal),
    /// The pause before a full publish.
    BeforeWhole,
    Whole,
}

impl Follower {
    /// A follower of the version that was published as `head`.
    pub fn new(rhythm: Rhythm, head: Head, now: Moment) -> Self {
        let now = now.elapsed;
        Self {
            rhythm,
            watch: Watch::new(&head, now),
            published: head.clone(),
            head,
            delta_bytes: 0,
            is_compacting: false,
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
            is_stale: false,
            attempted: None,
            sent: Vec::new(),
            phase: Phase::Resting,
            effects: Vec::new(),
        }
    }

    /// The head that the next publish builds on.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The published head.
    pub const fn published(&self) -> &Head {
        &self.published
    }

    /// Whether a compaction is under way.
    #[cfg(test)]
    pub const fn is_compacting(&self) -> bool {
        self.is_compacting
    }

    /// Whether a round has ended, and the next one has not begun.
    #[cfg(test)]
    pub const fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Resting)
    }

    /// Reacts to an event. The first one is [`Event::Woken`]; each further one answers the request before.
    pub fn step(&mut self, event: Event, now: Moment) -> Step {
        let phase = std::mem::replace(&mut self.phase, Phase::Resting);
        let request = match (phase, event) {
            (Phase::Resting, Event::Woken { has_compacted }) => self.begin_round(has_compacted, now),
            (Phase::Installing, Event::Compacted(done)) => self.install(done, now),
            (Phase::Collecting, Event::Collected(collected)) => self.collected(collected, now),
            (Phase::Looking, Event::Looked(found)) => self.looked(found, now),
            (Phase::Reaching, Event::Reached(names)) => self.check(|| names),
            (Phase::Checking, Event::Checked(bad)) => self.checked(bad, now),
            (Phase::Securing(bad), Event::Lease(hold)) => self.secured(bad, hold, now),
            (Phase::Repairing(bad), Event::Repaired(done)) => self.repaired(bad, &done, now),
            (Phase::Asking { asked_at }, Event::Fed(fed)) => self.fed(fed, asked_at, now),
            (Phase::Publishing(attempt), event) => self.publishing(*attempt, event, now),
            (Phase::Renewing(renewal), event) => self.renewing(renewal, event, now),
            (Phase::BeforeWhole, Event::Woken { .. }) => self.begin_whole(),
            (Phase::Whole, Event::Whole(whole)) => self.whole(whole, now),
            // The driver answers every request with its event, so this does not happen. A new round is always safe.
            _ => self.rest(Duration::ZERO),
        };
        Step { effects: std::mem::take(&mut self.effects), request }
    }

    fn begin_round(&mut self, has_compacted: bool, now: Moment) -> Request {
        if self.is_stale {
            return self.need_whole(&NeedsWhole::StaleShards, now);
        }
        if has_compacted && self.is_compacting {
            return self.await_as(Phase::Installing, Request::Compact);
        }
        self.tend(now)
    }

    /// The next task that is due before the origin is asked. Each notes its time when it begins, so it is done once a
    /// round.
    fn tend(&mut self, now: Moment) -> Request {
        if self.is_garbage_due(now) {
            self.collected_at = now.elapsed;
            return self.await_as(Phase::Collecting, Request::CollectGarbage);
        }
        if let Some(request) = self.look_after(now) {
            return request;
        }
        let after = self.head.origin_seq();
        self.await_as(Phase::Asking { asked_at: now.elapsed }, Request::Ask { after })
    }

    /// Deltas that are replaced every few seconds would fill the store. The objects of a compaction are in use although
    /// no head reaches them yet: while it writes them, and after that until a head names them.
    const fn is_garbage_due(&self, now: Moment) -> bool {
        let every = self.rhythm.gc_every;
        let since = now.elapsed.saturating_sub(self.collected_at);
        let is_idle = !self.is_compacting && !self.is_base_due;
        !every.is_zero() && is_idle && since.as_nanos() >= every.as_nanos()
    }

    fn collected(&mut self, collected: Result<(usize, usize), Failure>, now: Moment) -> Request {
        match collected {
            Ok((deleted, marked)) => {
                let (deleted, marked) = (deleted as u64, marked as u64);
                let (many, more) = (HumanCount(deleted), HumanCount(marked));
                let text = format!("Collected garbage: {many} objects deleted, {more} marked");
                self.say(Notice::new("collected", text).with("deleted", deleted).with("marked", marked));
            }
            Err(failure) => {
                let text = format!("warning: garbage could not be collected: {}", failure.text());
                self.warn(Notice::new("not_collected", text).with("error", failure.text()));
            }
        }
        self.tend(now)
    }

    /// Acts on the origin's answer.
    fn fed(&mut self, fed: Fed, asked_at: Duration, now: Moment) -> Request {
        let changes = match fed {
            Fed::Changes(changes) => changes,
            Fed::Gone => {
                let after = self.head.origin_seq();
                return self
                    .publish_whole(&format!("the origin no longer has the changes after {after}"), now);
            }
            Fed::Unheard(unheard) => return self.wait(&unheard, now),
            Fed::Refused(failure) => return Request::Fail(failure.error),
            Fed::Unusable(reason) => return self.publish_whole(&reason, now),
        };
        self.delta_bytes = changes.delta_bytes;
        if changes.count == 0 {
            return self.after_changes(changes, asked_at, now);
        }
        self.origin_is_heard(now);
        self.publish(changes, asked_at, now)
    }

    /// After the changes of an answer are published, or if it had none.
    fn after_changes(&mut self, changes: Changes, asked_at: Duration, now: Moment) -> Request {
        let Changes { count, end, doubt, .. } = changes;
        let feed = &self.rhythm.feed;
        match end {
            Some(end @ (End::Gap { .. } | End::NoChange(_))) => {
                self.gaps = if count == 0 { self.gaps + 1 } else { 1 };
                if self.gaps > GAPS_MAX {
                    let reason = match end {
                        End::Gap { .. } => format!("the feed still has a gap: {end}"),
                        end => format!("the feed still has a line that is not a change: {end}"),
                    };
                    return self.publish_whole(&reason, now);
                }
                let unheard = Unheard::new(format!("{feed}: {end}"));
                self.wait(&unheard, now)
            }
            Some(End::BrokenOff(error)) => {
                let unheard = Unheard::new(format!("{feed}: {error}"));
                self.wait(&unheard, now)
            }
            Some(end) => self.publish_whole(&end.to_string(), now),
            // There may be more changes.
            None if count > 0 => self.rest(Duration::ZERO),
            None => {
                if let Some(doubt) = doubt {
                    // It may be the origin's own answer after all: the next change must not wait for a
                    // growing pause.
                    let pause = self.origin_outage.failed(&doubt, Some(self.rhythm.every), now.unix_secs);
                    self.effects.extend(pause.say.map(Effect::Warn));
                } else {
                    self.origin_is_heard(now);
                    if let Some(request) = self.renew_head(asked_at, now) {
                        return request;
                    }
                }
                self.rest_since(asked_at, now)
            }
        }
    }

    /// Notes that the origin has given a usable answer.
    fn origin_is_heard(&mut self, now: Moment) {
        self.gaps = 0;
        let lines = [
            self.origin_outage.ended("The origin", now.unix_secs),
            self.whole_outage.ended("The feed", now.unix_secs),
        ];
        self.effects.extend(lines.into_iter().flatten().map(Effect::Say));
        self.whole_at = None;
    }

    /// Asks the origin again after a growing pause.
    fn wait(&mut self, unheard: &Unheard, now: Moment) -> Request {
        let pause = self.origin_outage.failed(&unheard.text, unheard.retry_after, now.unix_secs);
        self.effects.extend(pause.say.map(Effect::Warn));
        self.rest(pause.pause)
    }

    /// The next round begins after `pause`.
    fn rest(&mut self, pause: Duration) -> Request {
        self.await_as(Phase::Resting, Request::Sleep(pause))
    }

    /// The next round begins when the minimum time since `asked_at` has passed: an origin that answers at once instead
    /// of waiting must not be asked all the time.
    fn rest_since(&mut self, asked_at: Duration, now: Moment) -> Request {
        self.rest(self.rhythm.every.saturating_sub(now.elapsed.saturating_sub(asked_at)))
    }

    /// Waits in `phase` for the answer to `request`.
    fn await_as(&mut self, phase: Phase, request: Request) -> Request {
        self.phase = phase;
        request
    }

    fn say(&mut self, notice: Notice) {
        self.effects.push(Effect::Say(notice));
    }

    fn warn(&mut self, notice: Notice) {
        self.effects.push(Effect::Warn(notice));
    }
}
