//! Parties that are stopped for a while.

use crate::limits::STOPS_MAX;

/// Keys that are left alone for a while. Bounded: of too many, those that would end first are forgotten, which costs
/// the upstream a request.
#[derive(Debug, Default)]
pub struct Stops(Vec<((bool, u64), u64)>);

impl Stops {
    /// For how many more milliseconds `key` is left alone.
    pub fn left_ms(&self, key: (bool, u64), now_ms: u64) -> Option<u64> {
        let (_, until_ms) = self.0.iter().find(|(known, _)| *known == key)?;
        until_ms.checked_sub(now_ms).filter(|left_ms| *left_ms > 0)
    }

    /// Leaves `key` alone until `until_ms`, or longer if that was so already.
    pub fn begin(&mut self, key: (bool, u64), until_ms: u64, now_ms: u64) {
        self.0.retain(|(_, until_ms)| *until_ms > now_ms);
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == key) {
            *known = until_ms.max(*known);
            return;
        }
        if self.0.len() >= STOPS_MAX {
            let first = self.0.iter().enumerate().min_by_key(|(_, (_, until_ms))| *until_ms);
            let first = first.map_or(0, |(place, _)| place);
            self.0.swap_remove(first);
        }
        self.0.push((key, until_ms));
    }

    /// Leaves `key` alone no longer.
    pub fn end(&mut self, key: (bool, u64)) {
        self.0.retain(|(known, _)| *known != key);
    }

    /// Ends all stops.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_then_and_not_longer() {
        let mut stops = Stops::default();
        stops.begin((false, 1), 5_000, 1_000);
        stops.begin((false, 1), 4_000, 1_000);
        assert_eq!(stops.left_ms((false, 1), 4_999), Some(1));
        assert_eq!((stops.left_ms((false, 1), 5_000), stops.left_ms((true, 1), 1_000)), (None, None));
        stops.end((false, 1));
        assert_eq!(stops.left_ms((false, 1), 1_000), None);
    }

    #[test]
    fn bounded_and_the_longest_stay() {
        let mut stops = Stops::default();
        stops.begin((false, 0), 90_000, 1_000);
        for key in 1..10_000 {
            stops.begin((false, key), 5_000 + key, 1_000);
        }
        assert_eq!(stops.0.len(), STOPS_MAX);
        assert!(stops.left_ms((false, 0), 1_000).is_some() && stops.left_ms((false, 9_999), 1_000).is_some());
        stops.begin((false, 1), 100_000, 95_000);
        assert_eq!(stops.0.len(), 1, "what has ended is not kept");
    }
}
