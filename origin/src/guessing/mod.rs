//! Delays sign-ins after failed ones, before a password is hashed.
//!
//! ```text
//!                        counted by
//! failure of ada from A ─┬─ (ada, A)   delays ada from A
//!                        ├─ A          delays all accounts from A
//!                        ├─ A's /48    delays all accounts from that site, if A is an IPv6 address
//!                        └─ ada        makes other addresses' delays for ada start sooner and last longer
//! ```
//!
//! - Every attempt counts as a failure as soon as it is let through, so that many at once are not free. A success
//!   takes its failure back.
//! - An attempt during a delay is refused without a look at the password, and prolongs nothing: otherwise a
//!   stranger could delay an account's owner for ever.
//! - Unknown accounts are treated like existing ones, so that answers do not reveal which accounts exist.
//! - The memory is bounded and ends with the process.
//!
//! The reasons are in docs/adr/0027-guessing-passwords.md.

mod table;
#[cfg(test)]
mod tests;

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use admit::instant::UnixSecs;

use self::table::Table;
use crate::limits::{
    GUESS_SETS, GUESSES_BY_ADDRESS, GUESSES_BY_ALL, GUESSES_BY_SHARED_ADDRESS, GUESSES_BY_SITE,
    GUESSES_OF_ACCOUNT, GUESSES_OF_TARGET,
};

/// A sign-in attempt as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guesser<'a> {
    /// The user name as typed. Letter case does not count, as in the database.
    pub username: &'a str,
    /// Where the request comes from.
    pub from: Source,
}

/// The source of a request, as precisely as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The address of one viewer or household.
    Address(IpAddr),
    /// The address of a peer that may stand for any number of viewers: a proxy, or an edge that does not send
    /// its secret.
    Shared(IpAddr),
}

impl Default for Source {
    /// An unknown sender, who may be any number of viewers.
    fn default() -> Self {
        Self::Shared(IpAddr::from([0, 0, 0, 0]))
    }
}

impl Source {
    /// The network that is counted: a /64 of IPv6, since a household has 2^64 addresses, or one address of
    /// IPv4.
    fn network(self) -> IpAddr {
        let (Self::Address(address) | Self::Shared(address)) = self;
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                [a, b, c, d, 0, 0, 0, 0].into()
            }
            address @ IpAddr::V4(_) => address,
        }
    }

    /// The /48 that is counted as well: a sender with one /64 of IPv6 easily has the /48's other 65,535.
    fn site(self) -> Option<[u16; 3]> {
        let IpAddr::V6(network) = self.network() else { return None };
        let [a, b, c, ..] = network.segments();
        Some([a, b, c])
    }
}

/// An attempt that may go on. Its outcome must be [settled](Guessing::settle).
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Try {
    pair: u64,
    address: Option<u64>,
    site: Option<u64>,
    account: u64,
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The password was correct.
    Right,
    /// The password was wrong.
    Wrong,
    /// The password was never checked.
    Unknown,
}

/// Recent failed sign-ins, in bounded memory.
#[derive(Debug)]
pub struct Guessing {
    /// Random, so that strangers cannot choose which entries they push out.
    hasher: RandomState,
    counts: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    pairs: Table,
    addresses: Table,
    sites: Table,
    accounts: Table,
}

impl Default for Guessing {
    fn default() -> Self {
        let counts = Tables {
            pairs: Table::new(GUESS_SETS),
            addresses: Table::new(GUESS_SETS),
            sites: Table::new(GUESS_SETS),
            accounts: Table::new(GUESS_SETS),
        };
        Self { hasher: RandomState::new(), counts: Mutex::new(counts) }
    }
}

impl Guessing {
    /// Lets an attempt through at `now`, and counts it as a failure until it is settled.
    ///
    /// # Errors
    /// The seconds, at least 1, for which attempts are refused.
    pub fn attempt(&self, guesser: Guesser<'_>, now: UnixSecs) -> Result<Try, u32> {
        let name = guesser.username.to_ascii_lowercase();
        let network = guesser.from.network();
        let pair = self.hasher.hash_one((&name, network));
        let account = self.hasher.hash_one(&name);
        let is_shared = matches!(guesser.from, Source::Shared(_));
        let address = (!is_shared).then(|| self.hasher.hash_one(network));
        let site = guesser.from.site().filter(|_| !is_shared).map(|site| self.hasher.hash_one(site));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Tables { pairs, addresses, sites, accounts } = &mut *counts;
        // Which rule delays this pair: by how precisely the sender is known, and whether the account is under
        // attack from many addresses.
        let rule = if is_shared {
            GUESSES_BY_SHARED_ADDRESS
        } else if accounts.failures(account, GUESSES_BY_ALL, now) > GUESSES_BY_ALL.free {
            GUESSES_OF_TARGET
        } else {
            GUESSES_OF_ACCOUNT
        };
        let of_address = address.map_or(0, |address| addresses.wait_secs(address, now));
        let of_site = site.map_or(0, |site| sites.wait_secs(site, now));
        // The longest delay decides. Nothing is counted for a refused attempt.
        let wait_secs = pairs.wait_secs(pair, now).max(of_address).max(of_site);
        if wait_secs > 0 {
            return Err(u32::try_from(wait_secs).unwrap_or(u32::MAX));
        }
        pairs.fail(pair, rule, now);
        accounts.fail(account, GUESSES_BY_ALL, now);
        if let Some(address) = address {
            addresses.fail(address, GUESSES_BY_ADDRESS, now);
        }
        if let Some(site) = site {
            sites.fail(site, GUESSES_BY_SITE, now);
        }
        Ok(Try { pair, address, site, account })
    }

    /// Records the outcome of an attempt.
    pub fn settle(&self, tried: Try, ending: Ending) {
        let Try { pair, address, site, account } = tried;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Tables { pairs, addresses, sites, accounts } = &mut *counts;
        match ending {
            Ending::Wrong => return,
            Ending::Right => pairs.forget(pair),
            Ending::Unknown => pairs.take_back(pair),
        }
        // Only one failure is taken back: otherwise a guesser would clear the count by signing in to an
        // account of their own.
        accounts.take_back(account);
        if let Some(address) = address {
            addresses.take_back(address);
        }
        if let Some(site) = site {
            sites.take_back(site);
        }
    }
}
