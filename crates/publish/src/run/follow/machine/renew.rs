//! Renews the head: the same data, true at a later time.
//!
//! A renewal is tried once. A failure does no harm, and a later round tries again.

use std::time::Duration;

use admit_snapshot::{head::Head, time::UnixSecs};

use super::{
    Effect, Event, Failure, Follower, Moment, NeedsWhole, Phase, Request, event::Cause,
    publish::INCOMPLETE_MAX,
};

/// A renewal under way.
pub(super) struct Renewal {
    as_of: UnixSecs,
    then: Then,
    stage: Stage,
}

/// The task after a renewal.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// The other tasks of the round.
    Tend,
    /// The end of the round, in which the origin was asked at this time.
    RestSince(Duration),
}

/// The request that is under way.
enum Stage {
    Securing,
    Putting,
    /// The renewal may have succeeded although the answer was lost.
    Finding(Failure),
}

impl Follower {
    /// Renews the head if it is old, after the origin has said that nothing has changed. So the age of the
    /// head tells a quiet origin from one that is not heard. A renewal also repairs a head that was put back
    /// or deleted.
    pub(super) fn renew_head(&mut self, asked_at: Duration, now: Moment) -> Option<Request> {
        let (every, elapsed) = (self.rhythm.heartbeat, now.elapsed);
        let is_old = elapsed.saturating_sub(self.published_at) >= every && elapsed >= self.renewal_at;
        if every.is_zero() || !is_old || now.unix_secs <= self.head.as_of {
            return None;
        }
        Some(self.renew(now.unix_secs, Then::RestSince(asked_at), now))
    }

    /// Publishes the same data again, as of `as_of`.
    pub(super) fn renew(&mut self, as_of: UnixSecs, then: Then, now: Moment) -> Request {
        if self.is_base_due {
            // The content has changes that no head has, in shards that no head names: it is not the published data.
            return self.need_whole(&NeedsWhole::Unpublished, now);
        }
        let renewal = Renewal { as_of, then, stage: Stage::Securing };
        self.await_as(Phase::Renewing(renewal), Request::HoldLease)
    }

    /// Goes on with a renewal.
    pub(super) fn renewing(&mut self, renewal: Renewal, event: Event, now: Moment) -> Request {
        let Renewal { as_of, then, stage } = renewal;
        match (stage, event) {
            (Stage::Securing, Event::Lease(Ok(hold))) => {
                if !self.note_hold(hold) {
                    return self.need_whole(&NeedsWhole::StaleShards, now);
                }
                let publication = self.publication(self.head.renewed(as_of));
                self.await_as(Phase::Renewing(Renewal { as_of, then, stage: Stage::Putting }), publication)
            }
            (Stage::Putting, Event::Put(Ok(head))) => {
                self.have_published(head, now);
                let line = self.renewal_outage.ended("The store", now.unix_secs);
                self.effects.extend(line.map(Effect::Say));
                self.go_on(then, now)
            }
            (Stage::Securing | Stage::Putting, Event::Lease(Err(failure)) | Event::Put(Err(failure))) => {
                self.renewal_failed(as_of, then, failure, now)
            }
            (Stage::Finding(failure), Event::Found(head)) => {
                match head.filter(|head| head.says_the_same(&self.head) && head.as_of >= as_of) {
                    // The answer was lost. A revocation would be a second later than the renewal.
                    Some(head) => self.have_published(head, now),
                    None => {
                        let pause = self.renewal_outage.failed(&failure.text(), None, now.unix_secs);
                        self.effects.extend(pause.say.map(Effect::Warn));
                        self.renewal_at = now.elapsed.saturating_add(pause.pause);
                    }
                }
                self.go_on(then, now)
            }
            // As in `step`: this does not happen.
            _ => self.rest(Duration::ZERO),
        }
    }

    fn renewal_failed(&mut self, as_of: UnixSecs, then: Then, failure: Failure, now: Moment) -> Request {
        match failure.cause {
            Cause::Final => Request::Fail(failure.error),
            Cause::Incomplete => {
                self.incomplete += 1;
                self.upload_named_in(&failure);
                if self.incomplete >= INCOMPLETE_MAX {
                    return self.need_whole(&NeedsWhole::Incomplete(failure.text()), now);
                }
                self.go_on(then, now)
            }
            _ => {
                let renewal = Renewal { as_of, then, stage: Stage::Finding(failure) };
                self.await_as(Phase::Renewing(renewal), Request::Find)
            }
        }
    }

    fn go_on(&mut self, then: Then, now: Moment) -> Request {
        match then {
            Then::Tend => self.tend(now),
            Then::RestSince(asked_at) => self.rest_since(asked_at, now),
        }
    }
}

/// The head that a stray one is replaced by: an edge without `SNAPSHOT_AUDIENCE` may have used the stray one, and does
/// not accept a smaller `seq` afterwards.
pub(super) fn beyond(stray_seq: u64, head: &Head) -> Head {
    if stray_seq < head.seq {
        return head.clone();
    }
    let (seq, origin_seq) = (stray_seq.saturating_add(1), Some(head.origin_seq()));
    Head { seq, origin_seq, ..head.clone() }
}
