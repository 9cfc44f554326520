//! Heads by the fresh lane: asked for the newest one, and told of a new one (docs/adr/0056).

use futures_util::{
    FutureExt as _,
    future::{Either, select},
};

use super::{LoadError, Loader, Snapshots};
use crate::{
    app::Event,
    limits::{HEAD_SKEW_SECS, HEAD_VALUE_MAX_BYTES, LANE_ANNOUNCE_TIMEOUT_MS, LANE_TIMEOUT_MS},
    ports::{FreshLane as _, LaneError, Log, Platform},
    snapshot::{head::Head, head_value::HeadValue, time::UnixSecs},
};

/// A head that reached the lane and not the store: a forged one, or a store that does not take writes.
const STORE_BEHIND: &str = "behind: the store has shown an older head than the lane for more than 120 s";

/// What became of a head that the lane was told of.
enum Told {
    /// The lane has it.
    Newest,
    /// The lane has it instead of a newer one that is invalid.
    Over(LoadError),
    /// The lane has a newer one.
    Refused,
}

impl<P: Platform> Loader<'_, P> {
    /// The newest head by the lane; `None` if nothing was announced since there is one.
    pub(super) async fn ask_lane(&self) -> Result<Option<Vec<u8>>, LoadError> {
        let asked = self.reader.platform.lane().newest().boxed_local();
        self.in_time(asked, LANE_TIMEOUT_MS).await
    }

    /// What the lane said of a head at `said_at` was used, or not: an older head is ignored, and so is anything else that
    /// does not follow the one in use.
    pub(super) fn note_lane(
        snapshots: &mut Snapshots,
        outcome: Result<(), LoadError>,
        said_at: UnixSecs,
        now: UnixSecs,
        log: &dyn Log,
    ) {
        let lane = &mut snapshots.lane;
        let (problem, times) = match outcome {
            Ok(()) => return lane.answered(said_at),
            Err(error) if error.is_older() => return lane.said_older(said_at),
            Err(error) if error.is_of_objects() => {
                lane.was_ahead(said_at);
                let problem = ["ahead: ", &error.to_string()].concat();
                let times = lane.problem(&problem, now);
                (problem, times)
            }
            Err(error) => {
                let problem = error.to_string();
                let times = lane.failed(&problem, now);
                (problem, times)
            }
        };
        if let Some(times) = times {
            Event::Lane { problem: &problem, times }.log(log);
        }
    }

    /// Logs that the store, which has just shown `head`, stays behind the lane.
    pub(super) fn note_stored(&self, head: &Head) {
        let (now, snapshots) = (self.now(), &mut *self.reader.library.write());
        if snapshots.store_shows(head, now)
            && let Some(times) = snapshots.lane.problem(STORE_BEHIND, now)
        {
            Event::Lane { problem: STORE_BEHIND, times }.log(self.reader.platform.log());
        }
    }

    /// Tells the lane of a head that was stored. `None` without a lane, `false` if it did not confirm: edges then learn
    /// of the head as without one.
    pub(in crate::app) async fn announce(&self, value: &[u8]) -> Option<bool> {
        let platform = self.reader.platform;
        if !self.reader.library.read().lane.is_open() {
            return None;
        }
        let told = self.in_time(self.tell(value).boxed_local(), LANE_ANNOUNCE_TIMEOUT_MS).await;
        let snapshots = &mut *self.reader.library.write();
        snapshots.lane.expire();
        let is_told = matches!(told, Ok(Told::Newest | Told::Over(_)));
        let problem = match told {
            Ok(Told::Newest) => return Some(true),
            Ok(Told::Over(error)) => {
                ["announce: an invalid head was replaced: ", &error.to_string()].concat()
            }
            Ok(Told::Refused) => "announce: the lane has a newer head".to_owned(),
            Err(error) => ["announce: ", &error.to_string()].concat(),
        };
        if let Some(times) = snapshots.lane.problem(&problem, self.now()) {
            Event::Lane { problem: &problem, times }.log(platform.log());
        }
        Some(is_told)
    }

    /// Tells the lane of a head, and a second time if what it has instead is not a newer head that may be used here: the
    /// lane compares numbers and cannot verify signatures.
    async fn tell(&self, value: &[u8]) -> Result<Told, LaneError> {
        let lane = self.reader.platform.lane();
        let Some(newer) = lane.announce(value, None).await? else { return Ok(Told::Newest) };
        let Err(error) = self.verify_value(&newer) else { return Ok(Told::Refused) };
        Ok(match lane.announce(value, Some(&newer)).await? {
            None => Told::Over(error),
            Some(_) => Told::Refused,
        })
    }

    /// Whether isolates use a value of the key `head`, if it is newer than theirs: the publisher signed it for this store,
    /// it is neither too long nor of the future, and it carries no other delta than its own.
    fn verify_value(&self, value: &[u8]) -> Result<(), LoadError> {
        if value.len() > HEAD_VALUE_MAX_BYTES {
            return Err(LoadError::TooLarge);
        }
        let value = HeadValue::split(value);
        let head = self.reader.verify_head(value.jws)?;
        head.may_follow(None, self.now(), HEAD_SKEW_SECS)?;
        Ok(self.reader.check_carried(value, &head)?)
    }

    /// The lane's answer, unless it takes longer than `limit_ms`.
    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, LaneError>> + Unpin,
        limit_ms: u64,
    ) -> Result<T, LoadError> {
        match select(asked, self.reader.platform.sleep(limit_ms).boxed_local()).await {
            Either::Left((answer, _)) => Ok(answer?),
            Either::Right(_) => Err(LaneError("no answer in time".to_owned()).into()),
        }
    }
}
