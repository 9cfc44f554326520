//! The words between [`Follower`](super::Follower) and its driver: events in, effects and one request out.

use std::time::Duration;

use admit_snapshot::{
    head::Head,
    object::{Digest, ObjectName},
    time::{Timestamp, UnixSecs},
};
use anyhow::Error;

use crate::{
    build::BuildError,
    output::Notice,
    peer::{Unheard, unheard},
    run::{
        changes::{End, Named},
        publisher::Stray,
    },
    store::{LeaseHeld, is_incomplete, is_older, is_shut_out},
};

/// The time, by both clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The monotonic clock, by which the follower waits.
    pub elapsed: Duration,
    /// The calendar clock, which may jump.
    pub unix_secs: UnixSecs,
}

/// Why something did not work.
#[derive(Debug)]
pub struct Failure {
    /// The error, for the end of a follower.
    pub error: Error,
    /// What can be done about it.
    pub cause: Cause,
}

/// Which reaction helps against a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Another publisher has taken over, or the store refuses this one: waiting does not help.
    Final,
    /// An object would be larger than edges accept, and would be as large the next time.
    TooLarge,
    /// The store says that an object of the new version is missing or broken.
    Incomplete,
    /// The peer was not heard, and may have asked for a pause.
    Unheard(Option<Duration>),
    /// The Worker has seen a newer head than the store shows.
    Older,
    /// Everything else.
    Other,
}

impl Cause {
    /// The cause that `error` stands for.
    pub fn of(error: &Error) -> Self {
        if error.is::<LeaseHeld>() || is_shut_out(error) {
            Self::Final
        } else if let Some(BuildError::TooLarge { .. }) = error.downcast_ref() {
            Self::TooLarge
        } else if is_incomplete(error) {
            Self::Incomplete
        } else if let Some(unheard) = unheard(error) {
            Self::Unheard(unheard.retry_after)
        } else if is_older(error) {
            Self::Older
        } else {
            Self::Other
        }
    }

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
            Self::Unheard(_) => "unheard",
            Self::Older => "older",
            Self::Other => "other",
        }
    }
}

impl Failure {
    /// The failure that `error` stands for.
    pub fn of(error: Error) -> Self {
        Self { cause: Cause::of(&error), error }
    }

    /// Whether waiting does not help.
    pub fn is_final(&self) -> bool {
        self.cause == Cause::Final
    }

    /// The error with its context, on one line.
    pub fn text(&self) -> String {
        format!("{:#}", self.error)
    }

    /// How long the peer asks to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.cause {
            Cause::Unheard(retry_after) => retry_after,
            _ => None,
        }
    }
}

/// The answer of the driver to a request.
#[derive(Debug)]
pub enum Event {
    /// The pause is over.
    Woken {
        /// Whether a compaction is under way and has ended.
        has_compacted: bool,
    },
    /// [`Request::CollectGarbage`]: the numbers of deleted and of marked objects.
    Collected(Result<(usize, usize), Failure>),
    /// [`Request::Look`]: the stored head, or a description of another value; `None` if the store was not heard.
    Looked(Option<Result<Head, Stray>>),
    /// [`Request::Reach`]: the objects to check in this pass.
    Reached(Vec<ObjectName>),
    /// [`Request::Check`]: the objects that are missing or broken; `None` if the store was not heard.
    Checked(Option<Vec<ObjectName>>),
    /// [`Request::Repair`]: the objects that were uploaded again.
    Repaired(Vec<ObjectName>),
    /// [`Request::HoldLease`].
    Lease(Result<Hold, Failure>),
    /// [`Request::Ask`].
    Fed(Fed),
    /// [`Request::Compact`].
    Compacted(Result<Shards, Failure>),
    /// [`Request::Encode`].
    Encoded(Result<Encoded, Failure>),
    /// [`Request::Put`]: the head as published, with revocations and the store's name.
    Put(Result<Head, Failure>),
    /// [`Request::Find`]: the stored head, if it can be read and is this publisher's.
    Found(Option<Head>),
    /// [`Request::Whole`].
    Whole(Whole),
}

/// How the lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Without a gap.
    Unbroken,
    /// It had ended, and was taken again: other publishers may have been at work in between.
    TakenAgain,
}

/// The origin's answer to a request for changes.
#[derive(Debug)]
pub enum Fed {
    /// The origin no longer has these changes.
    Gone,
    /// The origin, or the Worker that knows the issuers, was not heard.
    Unheard(Unheard),
    /// The Worker refuses this publisher.
    Refused(Failure),
    /// The changes cannot be applied, for this reason.
    Unusable(String),
    /// The content includes these changes now.
    Changes(Changes),
}

/// Changes that the content includes, and that are not published yet.
#[derive(Debug)]
pub struct Changes {
    /// How many there are. 0 if the origin has nothing new.
    pub count: usize,
    /// The origin's count of the last change.
    pub last: u64,
    /// When the last change was made, by the origin's clock.
    pub as_of: Option<Timestamp>,
    /// The size of the delta with these changes.
    pub delta_bytes: usize,
    /// Why the feed cannot be read further, if it cannot.
    pub end: Option<End>,
    /// Why the answer may not be the origin's own, if that is doubtful.
    pub doubt: Option<String>,
}

/// The result of a compaction: shards that are uploaded, and that no head names yet.
#[derive(Debug)]
pub struct Shards {
    /// The new index.
    pub index: Digest,
    /// The change of the number of customers in the shards.
    pub customers: i64,
    /// The change of the number of items in the shards.
    pub items: i64,
    /// The number of new objects.
    pub objects: usize,
    /// The size of the delta that is left beside the new shards.
    pub delta_bytes: usize,
}

/// The content as objects, ready for upload.
#[derive(Debug)]
pub struct Encoded {
    /// The names for the head.
    pub named: Named,
    /// The number of writes that publish it.
    pub writes: usize,
}

/// The result of a full publish.
#[derive(Debug)]
pub enum Whole {
    /// The content is published under this head.
    Published(Box<Head>),
    /// The data is invalid, which has been reported.
    Rejected,
    /// The origin or the store was not heard, or refused.
    Failed(Failure),
}

/// An action of the driver that has no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Prints a line on standard output.
    Say(Notice),
    /// Prints a line on standard error.
    Warn(Notice),
    /// Uploads those of these objects again that are in memory.
    Upload(Vec<ObjectName>),
    /// Starts to write the delta into the shards, in the background.
    BeginCompaction,
    /// Drops the compaction under way: objects that it has written may have been deleted.
    DropCompaction,
    /// Makes the next full publish check every stored object.
    TrustNothingOnce,
}

/// The next action of the driver, which it answers with an event.
#[derive(Debug)]
pub enum Request {
    /// Wait, then [`Event::Woken`].
    Sleep(Duration),
    /// Delete objects that no version needs.
    CollectGarbage,
    /// Read the stored head, to compare it.
    Look,
    /// Name all objects that a head reaches.
    Reach(Box<Head>),
    /// Check stored objects.
    Check(Vec<ObjectName>),
    /// Upload those of these objects again that are in memory.
    Repair(Vec<ObjectName>),
    /// Check the lease, and take it again if it has ended.
    HoldLease,
    /// Ask the origin for the changes after this count, and apply them to the content.
    Ask {
        /// The last published change.
        after: u64,
    },
    /// Wait for the compaction under way, or for a new one.
    Compact,
    /// Encode the content beside the directory of this name.
    Encode {
        /// The published directory.
        directory: Digest,
    },
    /// Upload the encoded objects, then publish the head.
    Put(Box<Publication>),
    /// Read the stored head after a failure.
    Find,
    /// Publish everything.
    Whole,
    /// Stop with the exit code for invalid data.
    EndRejected,
    /// Stop with this error.
    Fail(Error),
}

/// A head to be published.
#[derive(Debug)]
pub struct Publication {
    /// The head.
    pub head: Head,
    /// The published head that it replaces.
    pub follows: Head,
    /// Whether it names new shards, and is kept for `admit rollback`.
    pub is_base: bool,
}

/// The follower's reaction to an event.
#[derive(Debug)]
pub struct Step {
    /// First these, in this order.
    pub effects: Vec<Effect>,
    /// Then this.
    pub request: Request,
}
