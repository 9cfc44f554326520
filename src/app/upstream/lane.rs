//! One kind of traffic to the upstream, and who may use it now. What an answer tells is held against the party that
//! got it; it is held against all parties only when several different ones got the same (docs/adr/0025).

use std::cmp::Reverse;

use super::{breaker::Breaker, bucket::Bucket, stops::Stops};
use crate::{
    api::viewer::Network,
    limits::{
        BREAKER_FAILURES, BREAKER_OPEN_MS, BREAKER_PARTIES, BREAKER_PAUSE_MAX_SECS, FAILURES_KEPT,
        PAUSE_PARTIES, PAUSE_WITHIN_MS,
    },
};

/// Whose request it is, and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// The customer, merchant or address, as a number that stands for it. It is left alone on its own account.
    pub who: u64,
    /// Who is one witness together, where several have to agree: the networks of a /48, else as `who`.
    pub witness: u64,
    /// The item; nothing where requests are not about one.
    pub what: Option<i64>,
}

impl Party {
    /// A customer or a merchant, and the item.
    pub const fn of(who: u64, what: Option<i64>) -> Self {
        Self { who, witness: who, what }
    }

    /// Who has no token is known by the network. Those of an unknown address are one party.
    pub fn at(network: Option<Network>) -> Self {
        let (who, witness) = network.map_or((0, 0), |network| (network.number(), network.site()));
        Self { who, witness, what: None }
    }
}

/// What an answer, or its absence, tells about the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It works.
    Well,
    /// Nothing: any client could have provoked this, or a server in front of the upstream answered.
    Nothing,
    /// It gave no answer, or not one of its own.
    Failed,
    /// It works, and asks for a pause of this many seconds.
    Wait(u64),
}

/// Why a request is not sent, and for how many more milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The upstream has asked for a pause.
    Pause(u64),
    /// It has failed again and again.
    Circuit(u64),
}

impl Closed {
    /// How long, in milliseconds.
    pub const fn wait_ms(self) -> u64 {
        match self {
            Self::Pause(ms) | Self::Circuit(ms) => ms,
        }
    }
}

/// One kind of traffic. Nothing that happens in one closes another.
#[derive(Debug, Default)]
pub struct Lane {
    /// How often all parties together may ask.
    pub budget: Bucket,
    /// The circuit of all parties together.
    circuit: Breaker,
    /// Parties that the upstream has asked to wait.
    waiting: Stops,
    /// Parties and items whose requests have failed again and again.
    failing: Stops,
    /// The failures since the last success, the oldest first.
    failures: Vec<Party>,
    /// The witnesses that were asked to wait since the last success, and when.
    told_to_wait: Vec<(u64, u64)>,
}

impl Lane {
    /// Whether a party may send a request that ends by `deadline_ms`, one way or the other.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&mut self, party: Party, now_ms: u64, deadline_ms: u64) -> Result<(), Closed> {
        if let Some(ms) = self.waiting.left_ms(who(party), now_ms) {
            return Err(Closed::Pause(ms));
        }
        let stopped = self.failing.left_ms(who(party), now_ms);
        let item = what(party).and_then(|what| self.failing.left_ms(what, now_ms));
        if let Some(ms) = stopped.max(item) {
            return Err(Closed::Circuit(ms));
        }
        self.circuit.admit(now_ms, deadline_ms)
    }

    /// Whether requests for an item are paused for all clients.
    pub fn is_paused(&self, item_id: i64, now_ms: u64) -> bool {
        self.failing.left_ms((true, item_id.cast_unsigned()), now_ms).is_some()
    }

    /// Learns from the outcome of a party's request that was sent at `sent_at_ms`.
    pub fn learn(&mut self, party: Party, sign: Sign, sent_at_ms: u64, now_ms: u64) {
        match sign {
            Sign::Well => {
                self.failures.clear();
                self.told_to_wait.clear();
                self.failing.end(who(party));
                what(party).into_iter().for_each(|what| self.failing.end(what));
                self.circuit.succeeded(sent_at_ms);
            }
            Sign::Nothing => self.circuit.unknown(),
            Sign::Failed => self.failed(party, now_ms),
            Sign::Wait(secs) => self.told_to_wait(party, secs, now_ms),
        }
    }

    /// Requests of another kind succeed: the upstream is back, and parties that were stopped after failures may try. A
    /// pause that it asked for goes on.
    pub fn half_open(&mut self) {
        self.failing.clear();
        self.circuit.half_open();
    }

    fn failed(&mut self, party: Party, now_ms: u64) {
        if self.failures.len() >= FAILURES_KEPT {
            // The oldest of the witness that has the most: its many failures push out none of others.
            let count =
                |of: &Party| self.failures.iter().filter(|failed| failed.witness == of.witness).count();
            let failures = self.failures.iter().enumerate();
            let oldest = failures.max_by_key(|(position, failed)| (count(failed), Reverse(*position)));
            let oldest = oldest.map_or(0, |(position, _)| position);
            self.failures.remove(oldest);
        }
        self.failures.push(party);
        let until_ms = now_ms.saturating_add(BREAKER_OPEN_MS);
        let by_party = self.failures.iter().filter(|failed| failed.who == party.who).count();
        if by_party >= BREAKER_FAILURES as usize {
            self.failing.begin(who(party), until_ms, now_ms);
        }
        let same_item = |failed: &&Party| failed.what == party.what;
        if let Some(key) = what(party)
            && is_common(self.failures.iter().filter(same_item))
        {
            self.failing.begin(key, until_ms, now_ms);
        }
        // If only the requests for one item fail, by all parties, the upstream is not down.
        let is_of_one_item = party.what.is_some() && self.failures.iter().all(|failed| same_item(&failed));
        if self.circuit.is_open() || (!is_of_one_item && is_common(self.failures.iter())) {
            self.circuit.open(now_ms);
        }
    }

    fn told_to_wait(&mut self, party: Party, secs: u64, now_ms: u64) {
        let secs = secs.min(BREAKER_PAUSE_MAX_SECS);
        self.waiting.begin(who(party), now_ms.saturating_add(secs.saturating_mul(1_000)), now_ms);
        self.told_to_wait.retain(|(known, at_ms)| {
            *known != party.witness && now_ms.saturating_sub(*at_ms) < PAUSE_WITHIN_MS
        });
        self.told_to_wait.push((party.witness, now_ms));
        self.circuit.unknown();
        if self.told_to_wait.len() >= PAUSE_PARTIES {
            self.told_to_wait.clear();
            self.circuit.pause(now_ms, secs);
        }
    }
}

/// Whether there are enough failures, by enough different parties, to hold them against the upstream as a whole.
fn is_common<'f>(failures: impl Iterator<Item = &'f Party>) -> bool {
    let (mut count, mut witnesses) = (0_u32, Vec::with_capacity(BREAKER_PARTIES));
    for failed in failures {
        count += 1;
        if witnesses.len() < BREAKER_PARTIES && !witnesses.contains(&failed.witness) {
            witnesses.push(failed.witness);
        }
    }
    count >= BREAKER_FAILURES && witnesses.len() >= BREAKER_PARTIES
}

/// The key of a party among the stops.
const fn who(party: Party) -> (bool, u64) {
    (false, party.who)
}

/// The key of its item.
fn what(party: Party) -> Option<(bool, u64)> {
    party.what.map(|item| (true, item.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(who: u64, what: i64) -> Party {
        Party::of(who, Some(what))
    }

    const fn at_large(who: u64) -> Party {
        Party::of(who, None)
    }

    fn admits(lane: &mut Lane, party: Party, now_ms: u64) -> bool {
        lane.admit(party, now_ms, now_ms + 2_000).is_ok()
    }

    #[test]
    fn one_party_that_is_told_to_wait_waits_alone() {
        let mut lane = Lane::default();
        for now_ms in (1_000..4_000).step_by(10) {
            lane.learn(at_large(1), Sign::Wait(30), now_ms, now_ms);
        }
        assert_eq!(lane.admit(at_large(1), 4_000, 5_000), Err(Closed::Pause(29_990)));
        assert!(admits(&mut lane, at_large(2), 4_000));
        assert!(admits(&mut lane, at_large(1), 40_000));
        // Longer than may be heeded.
        lane.learn(at_large(1), Sign::Wait(u64::MAX), 50_000, 50_000);
        assert_eq!(lane.admit(at_large(1), 50_000, 0), Err(Closed::Pause(BREAKER_PAUSE_MAX_SECS * 1_000)));
    }

    #[test]
    fn several_that_are_told_to_wait_within_a_second_pause_all() {
        let told = |within_ms: u64, parties: u64| {
            let mut lane = Lane::default();
            for who in 0..parties {
                let now_ms = 10_000 + who * within_ms;
                lane.learn(at_large(who), Sign::Wait(7), now_ms, now_ms);
            }
            (lane, 10_000 + (parties - 1) * within_ms)
        };
        let parties = PAUSE_PARTIES as u64;
        let (mut lane, now_ms) = told(10, parties - 1);
        assert!(admits(&mut lane, at_large(99), now_ms));
        let (mut lane, now_ms) = told(PAUSE_WITHIN_MS, parties);
        assert!(admits(&mut lane, at_large(99), now_ms), "not within a second");
        let (mut lane, now_ms) = told(10, parties);
        assert!(matches!(lane.admit(at_large(99), now_ms, now_ms), Err(Closed::Pause(_))));
        assert!(admits(&mut lane, at_large(99), now_ms + 7_000));
    }

    /// A few accounts that are over their limit do not speak for all while others are served.
    #[test]
    fn a_party_that_is_served_shows_that_not_all_have_to_wait() {
        let mut lane = Lane::default();
        for round in 0..100 {
            for who in 1..PAUSE_PARTIES as u64 {
                lane.learn(at_large(who), Sign::Wait(30), round, round);
            }
            assert!(admits(&mut lane, at_large(99), round));
            lane.learn(at_large(99), Sign::Well, round, round);
        }
    }

    #[test]
    fn failures_of_one_party_close_nothing_for_others() {
        let mut lane = Lane::default();
        for _ in 0..100 {
            lane.learn(of(1, 5), Sign::Failed, 1_000, 1_000);
        }
        assert_eq!(lane.admit(of(1, 6), 1_000, 0), Err(Closed::Circuit(BREAKER_OPEN_MS)));
        assert!(admits(&mut lane, of(2, 5), 1_000) && admits(&mut lane, of(2, 6), 1_000));
        // It tries again, and one more failure is enough.
        let later = 1_000 + BREAKER_OPEN_MS;
        assert!(admits(&mut lane, of(1, 5), later));
        lane.learn(of(1, 5), Sign::Failed, later, later);
        assert!(!admits(&mut lane, of(1, 5), later));
        lane.learn(of(1, 5), Sign::Well, later, later);
        assert!(admits(&mut lane, of(1, 5), later), "something that was under way succeeded");
    }

    /// A merchant whose item takes the upstream too long, and the merchant's many viewers.
    #[test]
    fn failures_for_one_item_close_that_item() {
        let mut lane = Lane::default();
        for who in 0..100 {
            lane.learn(of(who, 5), Sign::Failed, 1_000, 1_000);
        }
        assert!(!admits(&mut lane, of(200, 5), 1_000));
        assert!(admits(&mut lane, of(200, 6), 1_000) && admits(&mut lane, of(7, 6), 1_000));
        // Two customers do not close an item for a third.
        let mut lane = Lane::default();
        for who in 0..100 {
            lane.learn(of(who % 2, 5), Sign::Failed, 1_000, 1_000);
        }
        assert!(admits(&mut lane, of(200, 5), 1_000));
    }

    #[test]
    fn an_outage_closes_all_and_one_request_tries() {
        for is_item in [true, false] {
            let party = |who: u64| Party::of(who, is_item.then(|| i64::try_from(who).unwrap()));
            let mut lane = Lane::default();
            for who in 1..=u64::from(BREAKER_FAILURES) {
                assert!(admits(&mut lane, party(who), 1_000));
                lane.learn(party(who), Sign::Failed, 1_000, 1_000);
            }
            assert_eq!(lane.admit(party(99), 1_000, 0), Err(Closed::Circuit(BREAKER_OPEN_MS)));
            assert!(admits(&mut lane, party(99), 6_000) && !admits(&mut lane, party(98), 6_000));
            lane.learn(party(99), Sign::Failed, 6_000, 6_000);
            assert!(!admits(&mut lane, party(98), 6_001));
            // Writes work: one may try at once.
            lane.half_open();
            assert!(admits(&mut lane, party(98), 6_002) && !admits(&mut lane, party(97), 6_002));
            lane.learn(party(98), Sign::Well, 6_002, 6_003);
            assert!(admits(&mut lane, party(97), 6_003) && admits(&mut lane, party(96), 6_003));
        }
    }

    #[test]
    fn the_networks_of_a_site_are_one_witness() {
        let at = |address: &str| Party::at(Network::of(address));
        let of_site = |network: usize| at(&format!("2001:db8:1:{network:x}::7"));
        let mut lane = Lane::default();
        for round in 0..100 {
            lane.learn(of_site(round % 10), Sign::Failed, 1_000, 1_000);
            lane.learn(of_site(round % 10), Sign::Wait(30), 1_000, 1_000);
        }
        assert!(!admits(&mut lane, of_site(1), 1_000));
        assert!(admits(&mut lane, of_site(11), 1_000) && admits(&mut lane, at("203.0.113.1"), 1_000));
        // It pushes out nothing that others have seen: two more are enough.
        let mut lane = Lane::default();
        lane.learn(at("203.0.113.1"), Sign::Failed, 1_000, 1_000);
        (0..100).for_each(|network| lane.learn(of_site(network), Sign::Failed, 1_000, 1_000));
        assert!(admits(&mut lane, at("203.0.113.2"), 1_000));
        lane.learn(at("203.0.113.2"), Sign::Failed, 1_000, 1_000);
        assert!(!admits(&mut lane, at("203.0.113.3"), 1_000));
    }

    #[test]
    fn what_tells_nothing_changes_nothing() {
        let mut lane = Lane::default();
        for who in 0..100 {
            lane.learn(at_large(who), Sign::Nothing, 1_000, 1_000);
        }
        assert!(admits(&mut lane, at_large(1), 1_000));
        assert!(lane.failures.is_empty() && lane.told_to_wait.is_empty());
    }
}
