//! Transfers that are under way in this isolate, by the bytes that they may hold: viewers share its memory with them.

use std::cell::{Cell, RefCell};

use crate::limits::{TRANSFER_LOST_MS, TRANSFERS_MAX_BYTES};

/// Transfers that are under way.
#[derive(Debug, Default)]
pub(in crate::app) struct InFlight {
    transfers: RefCell<Vec<Transferring>>,
    begun: Cell<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Transferring {
    number: u32,
    bytes: usize,
    since_ms: u64,
}

/// The room of one transfer, until it is dropped. The runtime drops no request whose client has gone: it is never woken
/// again. Room that has been held for [`TRANSFER_LOST_MS`] is therefore free again.
#[derive(Debug)]
pub(super) struct Room<'a> {
    of: &'a InFlight,
    number: u32,
}

impl InFlight {
    /// Takes room for `bytes`, if there is any beside `left_bytes`, which are left to others.
    pub(super) fn begin(&self, bytes: usize, left_bytes: usize, now_ms: u64) -> Option<Room<'_>> {
        let mut transfers = self.transfers.borrow_mut();
        // A clock that was set back must not keep room for longer.
        transfers.retain(|transfer| now_ms.abs_diff(transfer.since_ms) < TRANSFER_LOST_MS);
        let held: usize = transfers.iter().map(|transfer| transfer.bytes).sum();
        if held + bytes + left_bytes > TRANSFERS_MAX_BYTES {
            return None;
        }
        let number = self.begun.get().wrapping_add(1);
        self.begun.set(number);
        transfers.push(Transferring { number, bytes, since_ms: now_ms });
        Some(Room { of: self, number })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.of.transfers.borrow_mut().retain(|transfer| transfer.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = TRANSFERS_MAX_BYTES / 2;

    #[test]
    fn room_is_taken_and_given_back() {
        let all = InFlight::default();
        let first = all.begin(HALF, 0, 0);
        let second = all.begin(HALF, 0, 0);
        assert!(first.is_some() && second.is_some());
        assert!(all.begin(1, 0, 0).is_none());
        drop(first);
        assert!(all.begin(HALF + 1, 0, 0).is_none());
        assert!(all.begin(HALF, 0, 0).is_some());
        drop(second);
        assert!(all.begin(TRANSFERS_MAX_BYTES, 0, 0).is_some());
    }

    #[test]
    fn some_of_it_can_be_left_to_others() {
        let all = InFlight::default();
        let first = all.begin(HALF, HALF, 0);
        assert!(first.is_some() && all.begin(1, HALF, 0).is_none());
        assert!(all.begin(HALF, 0, 0).is_some());
    }

    #[test]
    fn room_of_a_request_that_never_ends_is_free_again() {
        let all = InFlight::default();
        std::mem::forget(all.begin(HALF, 0, 1_000));
        let late = all.begin(HALF, 0, 2_000).unwrap();
        assert!(all.begin(1, 0, 1_000 + TRANSFER_LOST_MS - 1).is_none());
        let after = all.begin(HALF, 0, 1_000 + TRANSFER_LOST_MS).unwrap();
        assert!(all.begin(1, 0, 1_000 + TRANSFER_LOST_MS).is_none());
        // A lost transfer that ends after all gives back only its own room.
        let lost = Room { of: &all, number: 1 };
        drop(lost);
        assert!(all.begin(1, 0, 1_000 + TRANSFER_LOST_MS).is_none());
        drop((late, after));
        assert!(all.begin(TRANSFERS_MAX_BYTES, 0, 0).is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_room() {
        let all = InFlight::default();
        std::mem::forget(all.begin(TRANSFERS_MAX_BYTES, 0, 10 * TRANSFER_LOST_MS));
        assert!(all.begin(1, 0, 0).is_some());
    }
}
