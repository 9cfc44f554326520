//! Requests that are passed through and under way: how many there may be, of one prefix and of one party.

use super::lane::Party;
use crate::limits::{PASS_THROUGH_AT_ONCE, PASS_THROUGH_PER_PARTY, PASS_THROUGH_PER_PREFIX};

/// Who holds which place.
#[derive(Debug, Default)]
pub struct Places {
    held: Vec<Place>,
    taken: u32,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    number: u32,
    party: Party,
    until_ms: u64,
}

impl Places {
    /// Takes a place, and gives its number, if there is one. The runtime never wakes a request whose client has gone, so
    /// that a place is free again after `until_ms`, whether it was left or not.
    pub fn take(&mut self, party: Party, now_ms: u64, until_ms: u64) -> Option<u32> {
        self.held.retain(|place| place.until_ms > now_ms);
        let of_prefix = self.held.iter().filter(|place| place.party.what == party.what).count();
        let of_party = self.held.iter().filter(|place| place.party.who == party.who).count();
        let is_free = self.held.len() < PASS_THROUGH_AT_ONCE
            && of_prefix < PASS_THROUGH_PER_PREFIX
            && of_party < PASS_THROUGH_PER_PARTY;
        is_free.then(|| {
            self.taken = self.taken.wrapping_add(1);
            self.held.push(Place { number: self.taken, party, until_ms });
            self.taken
        })
    }

    /// Leaves a place.
    pub fn leave(&mut self, number: u32) {
        self.held.retain(|place| place.number != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many places there are for parties that begin at `who`, each with one request.
    fn free(places: &mut Places, who: u64, prefix: i64, now_ms: u64) -> usize {
        let mut parties = who..;
        std::iter::from_fn(|| places.take(Party::of(parties.next()?, Some(prefix)), now_ms, now_ms + 100))
            .count()
    }

    #[test]
    fn a_prefix_that_hangs_leaves_places_to_others() {
        let mut places = Places::default();
        assert_eq!(free(&mut places, 0, 1, 0), PASS_THROUGH_PER_PREFIX);
        assert_eq!(free(&mut places, 100, 2, 0), PASS_THROUGH_AT_ONCE - PASS_THROUGH_PER_PREFIX);
        assert_eq!(free(&mut places, 200, 2, 99), 0);
        assert_eq!(free(&mut places, 200, 2, 100), PASS_THROUGH_PER_PREFIX, "all of them are lost");
    }

    #[test]
    fn a_party_that_hangs_leaves_places_to_others() {
        let mut places = Places::default();
        let taken = std::iter::from_fn(|| places.take(Party::of(7, Some(1)), 0, 100)).collect::<Vec<_>>();
        assert_eq!(taken.len(), PASS_THROUGH_PER_PARTY);
        assert!(places.take(Party::of(8, Some(1)), 0, 100).is_some());
        places.leave(taken[0]);
        assert!(places.take(Party::of(7, Some(2)), 0, 100).is_some());
        assert_eq!(places.take(Party::of(7, Some(2)), 0, 100), None);
    }
}
