//! Publishes everything, when changes cannot be published.

use std::time::Duration;

use super::{Effect, Follower, Moment, Phase, Request, Whole, event::Cause};
use crate::output::Notice;

/// The publish cannot be completed from here: only a full publish helps.
#[derive(Debug, thiserror::Error)]
pub(super) enum NeedsWhole {
    /// Shards that were about to be published may be gone.
    #[error(
        "this publisher had no lease for a while, and others may have deleted the shards that it was about to \
         publish"
    )]
    StaleShards,
    /// A publish with new shards failed, and the full publish after it.
    #[error("changes were written into the shards, and could not be published")]
    Unpublished,
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

impl Follower {
    /// Publishes everything, because only that helps. Nothing that is stored is trusted then.
    pub(super) fn need_whole(&mut self, need: &NeedsWhole, now: Moment) -> Request {
        self.effects.push(Effect::TrustNothingOnce);
        self.publish_whole(&need.to_string(), now)
    }

    /// Publishes everything, because the feed cannot be used. If that fails now, the feed is asked again: it
    /// may have recovered, and otherwise leads here again.
    pub(super) fn publish_whole(&mut self, reason: &str, now: Moment) -> Request {
        if self.whole_at == Some(self.head.origin_seq()) {
            // The last full publish did not help. An export is too expensive to read every second.
            let pause = self.pause_after_whole(
                &format!("{reason}, and publishing the whole did not help"),
                None,
                now,
            );
            return self.await_as(Phase::BeforeWhole, Request::Sleep(pause));
        }
        let text = format!("warning: {reason}; publishing the whole");
        self.warn(Notice::new("publishing_whole", text).with("reason", reason));
        self.begin_whole()
    }

    pub(super) fn begin_whole(&mut self) -> Request {
        // The driver waits for the compaction first: otherwise two would write at once.
        self.is_compacting = false;
        self.await_as(Phase::Whole, Request::Whole)
    }

    pub(super) fn whole(&mut self, whole: Whole, now: Moment) -> Request {
        match whole {
            Whole::Published(head) => {
                self.whole_at = Some(head.origin_seq());
                self.delta_bytes = 0;
                self.have_published(*head, now);
                (self.gaps, self.is_stale) = (0, false);
                self.rest(Duration::ZERO)
            }
            Whole::Rejected if self.rhythm.is_strict => Request::EndRejected,
            Whole::Rejected => {
                let error = "the whole was to be published, but it has errors";
                let pause = self.pause_after_whole(error, None, now);
                self.rest(pause)
            }
            Whole::Failed(failure) if failure.cause == Cause::Final => Request::Fail(failure.error),
            Whole::Failed(failure) => {
                let pause = self.pause_after_whole(&failure.text(), failure.retry_after(), now);
                self.rest(pause)
            }
        }
    }

    /// Counts a full publish that failed or did not help, and returns the pause before the next one.
    fn pause_after_whole(&mut self, error: &str, asked: Option<Duration>, now: Moment) -> Duration {
        let pause = self.whole_outage.failed(error, asked, now.unix_secs);
        self.effects.extend(pause.say.map(Effect::Warn));
        pause.pause
    }
}
