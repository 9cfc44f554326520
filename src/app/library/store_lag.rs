//! Whether the store stays behind the fresh lane, which was told of each head after the store had it.

use crate::{limits::STORE_BEHIND_SECS, snapshot::time::UnixSecs};

/// `seq` and `as_of` of a head.
pub type Order = (u64, UnixSecs);

/// The first head of the lane that the store did not show when it was read, and when that was.
#[derive(Debug, Default)]
pub struct StoreLag(Option<(Order, UnixSecs)>);

impl StoreLag {
    /// The store was read and shows the head `shown`; the lane has said `lane`, if the head in use is the lane's. Returns
    /// whether the store should have shown a later head by now.
    pub fn is_behind(&mut self, shown: Order, lane: Option<Order>, now: UnixSecs) -> bool {
        self.0 = self.0.filter(|(missing, _)| lane.is_some() && *missing > shown);
        let newest = lane.filter(|lane| *lane > shown);
        // Later heads are expected to take longer, so that the first one counts.
        let since = self.0.or_else(|| newest.map(|lane| (lane, now)));
        self.0 = since;
        since.is_some_and(|(_, since)| now.saturating_sub(since) > STORE_BEHIND_SECS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_may_take_its_time_for_each_head() {
        let mut lag = StoreLag::default();
        // A head a second: the store is 60 s behind, always.
        for now in 0..1_000_u64 {
            let at = i64::try_from(now).unwrap();
            let order = |seq: u64| (seq, 0);
            assert!(!lag.is_behind(order(now), Some(order(now + 60)), at), "{now}");
        }
    }

    #[test]
    fn a_head_that_the_store_never_shows_is_noticed() {
        let mut lag = StoreLag::default();
        let (old, forged) = ((5, 50), (9, 90));
        assert!(!lag.is_behind(old, Some(forged), 1_000));
        assert!(!lag.is_behind(old, Some(forged), 1_000 + STORE_BEHIND_SECS));
        assert!(lag.is_behind((6, 60), Some((10, 95)), 1_001 + STORE_BEHIND_SECS), "others come and go");
        assert!(!lag.is_behind(forged, Some(forged), 2_000));
        assert!(!lag.is_behind(forged, None, 9_000));
        // A renewal: the same content, a later time.
        assert!(!lag.is_behind((9, 90), Some((9, 150)), 9_000));
        assert!(lag.is_behind((9, 90), Some((9, 210)), 9_001 + STORE_BEHIND_SECS));
        assert!(!lag.is_behind((9, 90), None, 9_900), "the store's head is in use");
        assert!(!lag.is_behind((9, 90), Some((9, 270)), 9_901));
    }
}
