//! Heads by the fresh lane: asked for the newest one, and told of a new one (docs/adr/0056).

use futures_util::{
    FutureExt as _,
    future::{Either, select},
};

use super::{LoadError, Loader, Snapshots};
use crate::{
    app::Event,
    limits::{LANE_ANNOUNCE_TIMEOUT_MS, LANE_TIMEOUT_MS},
    ports::{FreshLane as _, LaneError, Log, Platform},
    snapshot::time::UnixSecs,
};

impl<P: Platform> Loader<'_, P> {
    /// The newest head by the lane; `None` if nothing was announced since there is one.
    pub(super) async fn ask_lane(&self) -> Result<Option<Vec<u8>>, LoadError> {
        let asked = self.reader.platform.lane().newest().boxed_local();
        self.in_time(asked, LANE_TIMEOUT_MS).await
    }

    /// What the lane said of a head was used, or not: an older head is ignored, and so is anything else that does not
    /// follow the one in use.
    pub(super) fn note_lane(
        snapshots: &mut Snapshots,
        outcome: Result<(), LoadError>,
        now: UnixSecs,
        log: &dyn Log,
    ) {
        let lane = &mut snapshots.lane;
        match outcome {
            Ok(()) => lane.answered(now),
            Err(error) if error.is_older() => lane.said_older(now),
            Err(error) => {
                let problem = error.to_string();
                if let Some(times) = lane.failed(&problem, now) {
                    Event::Lane { problem: &problem, times }.log(log);
                }
            }
        }
    }

    /// Tells the lane of a head that was stored. `None` without a lane, `false` if it did not confirm: edges then learn
    /// of the head as without one.
    pub(in crate::app) async fn announce(&self, value: &[u8]) -> Option<bool> {
        let platform = self.reader.platform;
        if !self.reader.library.read().lane.is_open() {
            return None;
        }
        let told = platform.lane().announce(value).boxed_local();
        let told = self.in_time(told, LANE_ANNOUNCE_TIMEOUT_MS).await;
        let snapshots = &mut *self.reader.library.write();
        snapshots.lane.expire();
        let problem = match told {
            Ok(true) => None,
            // Of a publisher's head that was lost or is forged: isolates refuse it if it is, and then have KV alone.
            Ok(false) => Some("announce: the lane has a newer head".to_owned()),
            Err(error) => Some(["announce: ", &error.to_string()].concat()),
        };
        if let Some(problem) = &problem
            && let Some(times) = snapshots.lane.problem(problem, self.now())
        {
            Event::Lane { problem, times }.log(platform.log());
        }
        Some(problem.is_none())
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
