//! How often customers ask, tenants, and addresses that have no token.

use super::bucket::Bucket;
use crate::{
    limits::{
        BUCKETS_MAX, CONFIRM_REPEAT_MS, CONFIRMED_SLOTS, CUSTOMER_CONFIRMS, CUSTOMER_CONFIRMS_PER_SEC,
        CUSTOMER_WAYS, OFTEN_BURST, OFTEN_PER_SEC,
    },
    snapshot::key::{EntryKey, mix},
};

/// How often a customer asks.
#[derive(Clone, Copy, Debug)]
struct Customer {
    key: EntryKey,
    bucket: Bucket,
    /// Runs out for those who ask more often than a player that waits for a purchase.
    often: Bucket,
    /// When the customer last asked.
    asked_at_ms: Option<u64>,
    /// When the origin last confirmed one of the customer's denials.
    denied_at_ms: Option<u64>,
    /// When it confirmed the one before that.
    denied_before_ms: Option<u64>,
}

/// How a customer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The first time within [`CONFIRM_REPEAT_MS`].
    Afresh,
    /// As often as players and pages do.
    Now,
    /// Again and again: others go first.
    Again,
    /// More often than any customer may.
    TooOften,
}

/// The customers who asked lately. A customer has [`CUSTOMER_WAYS`] places; where all are taken, the one who has asked
/// least is forgotten.
#[derive(Debug, Default)]
pub struct Customers(Vec<Option<Customer>>);

impl Customers {
    /// How a customer may ask now; that counts as having asked.
    pub fn ask(&mut self, customer: EntryKey, now_ms: u64) -> Pace {
        let is_denied_again = self.is_asking_again(customer, now_ms);
        let Some(known) = self.entry(customer, now_ms) else { return Pace::TooOften };
        let before_ms = known.asked_at_ms.replace(now_ms);
        let is_often = !known.often.take(now_ms, OFTEN_PER_SEC, OFTEN_BURST);
        if !known.bucket.take(now_ms, CUSTOMER_CONFIRMS_PER_SEC.into(), CUSTOMER_CONFIRMS.into()) {
            Pace::TooOften
        } else if is_often || is_denied_again {
            Pace::Again
        } else if before_ms.is_none_or(|at_ms| now_ms.saturating_sub(at_ms) >= CONFIRM_REPEAT_MS) {
            Pace::Afresh
        } else {
            Pace::Now
        }
    }

    /// The origin has confirmed a denial of this customer.
    pub fn denied(&mut self, customer: EntryKey, now_ms: u64) {
        if let Some(known) = self.entry(customer, now_ms) {
            known.denied_before_ms = known.denied_at_ms.replace(now_ms);
        }
    }

    /// Whether the origin has confirmed two denials of this customer lately. After one, the customer may just have
    /// bought something.
    fn is_asking_again(&self, customer: EntryKey, now_ms: u64) -> bool {
        let before = self.get(customer).and_then(|known| known.denied_before_ms);
        before.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < CONFIRM_REPEAT_MS)
    }

    /// When the origin last confirmed a denial of this customer, in milliseconds, as far as that is known.
    pub fn denied_at_ms(&self, customer: EntryKey) -> Option<u64> {
        self.get(customer)?.denied_at_ms
    }

    fn get(&self, key: EntryKey) -> Option<&Customer> {
        let places = self.0.get(places(key))?;
        places.iter().flatten().find(|known| known.key == key)
    }

    fn entry(&mut self, key: EntryKey, now_ms: u64) -> Option<&mut Customer> {
        // Nothing until the first denial.
        if self.0.is_empty() {
            self.0.resize(CONFIRMED_SLOTS, None);
        }
        let places = self.0.get_mut(places(key))?;
        let is_known = |place: &Option<Customer>| place.as_ref().is_some_and(|known| known.key == key);
        let found = places.iter().position(is_known).or_else(|| {
            // A bucket to which all tokens have come back may be forgotten; an empty place is a full bucket.
            let spent = |place: &Option<Customer>| {
                place.as_ref().map(|known| known.bucket.spent(now_ms, CUSTOMER_CONFIRMS_PER_SEC.into()))
            };
            let (least, _) = places.iter().enumerate().min_by_key(|(_, place)| spent(place))?;
            let new = Customer {
                key,
                bucket: Bucket::default(),
                often: Bucket::default(),
                asked_at_ms: None,
                denied_at_ms: None,
                denied_before_ms: None,
            };
            *places.get_mut(least)? = Some(new);
            Some(least)
        })?;
        places.get_mut(found)?.as_mut()
    }
}

/// The key is a part of a SHA-256: any bytes of it are as good as others.
fn places(EntryKey(key): EntryKey) -> std::ops::Range<usize> {
    let key = key.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let sets = CONFIRMED_SLOTS / CUSTOMER_WAYS;
    let first = usize::try_from(mix(key) % sets as u64).unwrap_or(0) * CUSTOMER_WAYS;
    first..first + CUSTOMER_WAYS
}

/// Token buckets of a few parties, as numbers that stand for them. If there are too many, the one that has asked least is
/// forgotten.
#[derive(Debug, Default)]
pub struct Buckets(Vec<(u64, Bucket)>);

impl Buckets {
    /// Takes one from a party's bucket, if there is one, as [`Bucket::take`].
    pub fn take(&mut self, party: u64, now_ms: u64, per_sec: u64, burst: u64) -> bool {
        let known = self.0.iter().position(|(known, _)| *known == party).unwrap_or_else(|| {
            if self.0.len() >= BUCKETS_MAX {
                let spent = self.0.iter().map(|(_, bucket)| bucket.spent(now_ms, per_sec)).enumerate();
                let least = spent.min_by_key(|(_, spent)| *spent).map_or(0, |(place, _)| place);
                self.0.swap_remove(least);
            }
            self.0.push((party, Bucket::default()));
            self.0.len() - 1
        });
        self.0.get_mut(known).is_some_and(|(_, bucket)| bucket.take(now_ms, per_sec, burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: EntryKey = EntryKey([1; 16]);
    const BOB: EntryKey = EntryKey([2; 16]);

    fn account(number: u64) -> EntryKey {
        EntryKey::customer("v", &number.to_string())
    }

    fn may_ask(customers: &mut Customers, customer: EntryKey, now_ms: u64) -> bool {
        customers.ask(customer, now_ms) != Pace::TooOften
    }

    #[test]
    fn who_was_denied_is_known_beside_the_budget() {
        let mut customers = Customers::default();
        assert_eq!(customers.denied_at_ms(ALICE), None);
        while may_ask(&mut customers, ALICE, 1_000) {}
        customers.denied(ALICE, 1_000);
        assert_eq!((customers.denied_at_ms(ALICE), customers.denied_at_ms(BOB)), (Some(1_000), None));
        assert!(!customers.is_asking_again(ALICE, 1_001), "what was bought in between is asked for");
        assert!(!may_ask(&mut customers, ALICE, 1_000));
        customers.denied(ALICE, 1_100);
        assert!(customers.is_asking_again(ALICE, 1_101) && !customers.is_asking_again(BOB, 1_101));
        assert!(!customers.is_asking_again(ALICE, 1_000 + CONFIRM_REPEAT_MS));
    }

    #[test]
    fn players_that_wait_for_a_purchase_do_not_ask_again_and_again() {
        let asked = |customers: &mut Customers, every_ms: usize| {
            let at = (1_000..61_000).step_by(every_ms);
            at.map(|now_ms| customers.ask(ALICE, now_ms)).collect::<Vec<_>>()
        };
        assert!(asked(&mut Customers::default(), 3_000).iter().all(|asked| *asked == Pace::Afresh));
        let often = asked(&mut Customers::default(), 100);
        assert_eq!(often.first(), Some(&Pace::Afresh));
        assert!(often.iter().filter(|asked| **asked == Pace::Again).count() > 500);
        // Whose denials were confirmed needs no more than two questions.
        let mut customers = Customers::default();
        for now_ms in [1_000, 1_001] {
            customers.ask(ALICE, now_ms);
            customers.denied(ALICE, now_ms);
        }
        assert_eq!((customers.ask(ALICE, 1_002), customers.ask(BOB, 1_002)), (Pace::Again, Pace::Afresh));
        assert_eq!(customers.ask(BOB, 1_003), Pace::Now);
    }

    /// Accounts that fall into the same place would reset each other's budgets, and have no limit.
    #[test]
    fn accounts_that_share_a_place_have_no_more_than_others() {
        let colliding = |of: EntryKey, count: usize| -> Vec<_> {
            (0..).map(account).filter(|key| *key != of && places(*key) == places(of)).take(count).collect()
        };
        let mut customers = Customers::default();
        let pair = [account(0), colliding(account(0), 1)[0]];
        let rounds =
            (0..1_000).map(|_| pair.iter().filter(|key| may_ask(&mut customers, **key, 1_000)).count());
        assert_eq!(rounds.sum::<usize>(), 2 * CUSTOMER_CONFIRMS as usize);
        // However many pass by: one that has used up its budget stays known.
        for key in colliding(account(0), 200) {
            may_ask(&mut customers, key, 1_000);
            assert!(!may_ask(&mut customers, account(0), 1_000));
        }
    }

    #[test]
    fn bounded() {
        let mut customers = Customers::default();
        for number in 0..10_000 {
            assert!(may_ask(&mut customers, account(number), 1_000));
        }
        assert_eq!(customers.0.len(), CONFIRMED_SLOTS);
        // As the limits reckon.
        assert!(size_of::<Option<Customer>>() <= 104);
        let mut buckets = Buckets::default();
        while buckets.take(7, 1_000, 1, 10) {}
        for party in 100..10_000 {
            assert!(buckets.take(party, 1_000, 1, 10));
        }
        assert_eq!(buckets.0.len(), BUCKETS_MAX);
        assert!(!buckets.take(7, 1_000, 1, 10), "who has used up a budget is not forgotten");
        assert!(buckets.take(7, 2_000, 1, 10));
    }
}
