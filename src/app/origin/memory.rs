//! What the origin said a moment ago, who is asking, and who has asked how often.

use std::{collections::BTreeMap, rc::Rc};

use lru::LruCache;

use super::bucket::Bucket;
use crate::{
    config::OriginConfig,
    limits::{
        CONFIRM_DENIALS, CONFIRM_UNKNOWN_MS, CONFIRMED_MAX, CONFIRMED_MAX_BYTES, CUSTOMER_CONFIRMS,
        CUSTOMER_CONFIRMS_PER_SEC,
    },
    snapshot::key::EntryKey,
};

/// A check: the customer, and the item.
pub type Check = (EntryKey, i64);

/// What the origin said of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// May play it: the answer's body, and when the access ends, unix seconds.
    Granted(Rc<str>, i64),
    /// May not.
    Denied,
    /// There is no such item.
    NoItem,
    /// It could not tell.
    Unknown,
}

#[derive(Clone, Debug)]
enum Entry {
    Verdict {
        verdict: Verdict,
        /// How often it was given in a row.
        times: u8,
        until_ms: u64,
    },
    Customer(Bucket),
}

/// The memory of an isolate. Plain data, bounded.
#[derive(Debug)]
pub struct Memory {
    // Customers' buckets lie under item 0, which there is none of.
    entries: LruCache<Check, Entry>,
    bodies_bytes: usize,
    /// Checks that a request is asking, and when it is given up.
    asking: BTreeMap<Check, u64>,
    /// Counts how often everything was forgotten: what was asked before that may not be true any more.
    generation: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            entries: LruCache::unbounded(),
            bodies_bytes: 0,
            asking: BTreeMap::new(),
            generation: 0,
        }
    }
}

impl Memory {
    /// What need not be asked again. A denial only if the origin has given it twice: the first may have been
    /// asked for before this check's customer bought.
    pub fn get(&mut self, check: Check, now_ms: u64) -> Option<Verdict> {
        match self.entries.get(&check)? {
            Entry::Verdict { verdict, times, until_ms } if now_ms < *until_ms => {
                let is_enough = match verdict {
                    Verdict::Denied | Verdict::NoItem => *times >= CONFIRM_DENIALS,
                    Verdict::Granted(..) | Verdict::Unknown => true,
                };
                is_enough.then(|| verdict.clone())
            }
            _ => None,
        }
    }

    /// Remembers what the origin said, unless everything was forgotten since it was asked.
    pub fn insert(
        &mut self,
        check: Check,
        verdict: Verdict,
        generation: u32,
        now_ms: u64,
        config: &OriginConfig,
    ) {
        if generation != self.generation {
            return;
        }
        let until_ms = match &verdict {
            Verdict::Granted(_, expires_at) => {
                let end_ms = u64::try_from(*expires_at).unwrap_or(0).saturating_mul(1_000);
                end_ms.min(now_ms.saturating_add(config.granted_secs.saturating_mul(1_000)))
            }
            Verdict::Denied | Verdict::NoItem => now_ms.saturating_add(config.denied_ms),
            Verdict::Unknown => now_ms.saturating_add(CONFIRM_UNKNOWN_MS),
        };
        let times = match self.entries.peek(&check) {
            Some(Entry::Verdict { verdict: before, times, until_ms })
                if *before == verdict && now_ms < *until_ms =>
            {
                times.saturating_add(1)
            }
            _ => 1,
        };
        self.put(check, Entry::Verdict { verdict, times, until_ms });
    }

    /// Something was written: what was remembered may not be true any more.
    pub fn forget(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        let customers = std::mem::replace(&mut self.entries, LruCache::unbounded());
        self.bodies_bytes = 0;
        // A write is no way round the budget.
        for (check, entry) in customers {
            if matches!(entry, Entry::Customer(_)) {
                self.entries.put(check, entry);
            }
        }
    }

    /// Changes with each [`Self::forget`].
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether a customer may ask now; that counts as having asked.
    pub fn may_ask(&mut self, customer: EntryKey, now_ms: u64) -> bool {
        let key = (customer, 0);
        let mut bucket = match self.entries.get(&key) {
            Some(Entry::Customer(bucket)) => *bucket,
            _ => Bucket::default(),
        };
        let may = bucket.take(now_ms, CUSTOMER_CONFIRMS_PER_SEC.into(), CUSTOMER_CONFIRMS.into());
        self.put(key, Entry::Customer(bucket));
        may
    }

    /// Whether a request is asking this already, and has not been lost.
    pub fn is_asking(&self, check: Check, now_ms: u64) -> bool {
        self.asking.get(&check).is_some_and(|until_ms| now_ms < *until_ms)
    }

    /// A request asks this, until `until_ms` at the latest.
    pub fn begin(&mut self, check: Check, now_ms: u64, until_ms: u64) {
        self.asking.retain(|_, until_ms| now_ms < *until_ms);
        self.asking.insert(check, until_ms);
    }

    /// A request has asked this.
    pub fn end(&mut self, check: Check) {
        self.asking.remove(&check);
    }

    fn put(&mut self, check: Check, entry: Entry) {
        self.bodies_bytes += size_bytes(&entry);
        let before = self.entries.put(check, entry);
        self.bodies_bytes -= before.as_ref().map_or(0, size_bytes);
        while self.entries.len() > CONFIRMED_MAX || self.bodies_bytes > CONFIRMED_MAX_BYTES {
            let Some((_, oldest)) = self.entries.pop_lru() else { break };
            self.bodies_bytes -= size_bytes(&oldest);
        }
    }
}

fn size_bytes(entry: &Entry) -> usize {
    match entry {
        Entry::Verdict { verdict: Verdict::Granted(body, _), .. } => body.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const ALICE: EntryKey = EntryKey([1; 16]);
    const BOB: EntryKey = EntryKey([2; 16]);

    fn config() -> OriginConfig {
        let issuer = r#"[{"issuer":"i","namespace":"n","audience":"none_required","keys":{"jwks_url":"https://i.example/j"}}]"#;
        let config = Config::parse(&|name| match name {
            "ISSUERS" => Some(issuer.to_owned()),
            "SNAPSHOT_KEYS" => Some(r#"{"keys":[]}"#.to_owned()),
            "ORIGIN_URL" => Some("https://o.example".to_owned()),
            _ => None,
        });
        config.unwrap().origin.unwrap()
    }

    fn insert(memory: &mut Memory, check: Check, verdict: &Verdict, now_ms: u64) {
        let generation = memory.generation();
        memory.insert(check, verdict.clone(), generation, now_ms, &config());
    }

    #[test]
    fn two_denials_within_a_second_answer_one_does_not() {
        let mut memory = Memory::default();
        insert(&mut memory, (ALICE, 1), &Verdict::Denied, 1_000);
        assert_eq!(memory.get((ALICE, 1), 1_000), None);
        insert(&mut memory, (ALICE, 1), &Verdict::Denied, 1_500);
        assert_eq!(memory.get((ALICE, 1), 2_499), Some(Verdict::Denied));
        assert_eq!((memory.get((ALICE, 2), 2_499), memory.get((BOB, 1), 2_499)), (None, None));
        assert_eq!(memory.get((ALICE, 1), 2_500), None);
        // Another second, another count.
        insert(&mut memory, (ALICE, 1), &Verdict::Denied, 2_500);
        assert_eq!(memory.get((ALICE, 1), 2_600), None);
        insert(&mut memory, (ALICE, 1), &Verdict::NoItem, 2_600);
        assert_eq!(memory.get((ALICE, 1), 2_700), None, "another verdict");
    }

    #[test]
    fn a_grant_answers_at_once_but_not_beyond_its_end() {
        let mut memory = Memory::default();
        let body: Rc<str> = "{}".into();
        insert(&mut memory, (ALICE, 1), &Verdict::Granted(Rc::clone(&body), 1_000), 1_000);
        assert!(memory.get((ALICE, 1), 30_999).is_some());
        assert_eq!(memory.get((ALICE, 1), 31_000), None);
        insert(&mut memory, (ALICE, 1), &Verdict::Granted(body, 5), 1_000);
        assert!(memory.get((ALICE, 1), 4_999).is_some());
        assert_eq!(memory.get((ALICE, 1), 5_000), None);
    }

    #[test]
    fn a_write_ends_what_was_remembered_and_what_was_being_asked() {
        let mut memory = Memory::default();
        let before = memory.generation();
        for _ in 0..2 {
            insert(&mut memory, (ALICE, 1), &Verdict::Denied, 1_000);
        }
        while memory.may_ask(ALICE, 1_000) {}
        memory.forget();
        assert_eq!(memory.get((ALICE, 1), 1_000), None);
        for _ in 0..2 {
            memory.insert((ALICE, 1), Verdict::Denied, before, 1_000, &config());
        }
        assert_eq!(memory.get((ALICE, 1), 1_000), None);
        assert!(!memory.may_ask(ALICE, 1_000), "the budget is what it was");
        assert!(memory.may_ask(BOB, 1_000));
    }

    #[test]
    fn one_asks_until_it_is_lost() {
        let mut memory = Memory::default();
        memory.begin((ALICE, 1), 1_000, 3_500);
        assert!(memory.is_asking((ALICE, 1), 3_499));
        assert!(!memory.is_asking((ALICE, 2), 1_000));
        assert!(!memory.is_asking((ALICE, 1), 3_500));
        memory.begin((BOB, 1), 4_000, 6_500);
        assert_eq!(memory.asking.len(), 1, "what was lost is not kept");
        memory.end((BOB, 1));
        assert!(!memory.is_asking((BOB, 1), 4_001));
    }

    #[test]
    fn bounded_in_number_and_in_bytes() {
        let mut memory = Memory::default();
        let body: Rc<str> = "x".repeat(64 * 1024).into();
        for id in 1..10_000 {
            let verdict = if id % 3 == 0 {
                Verdict::Granted(Rc::clone(&body), i64::MAX)
            } else {
                Verdict::Denied
            };
            insert(&mut memory, (ALICE, id), &verdict, 1_000);
            memory.may_ask(EntryKey([u8::try_from(id % 200).unwrap(); 16]), 1_000);
            assert!(memory.entries.len() <= CONFIRMED_MAX && memory.bodies_bytes <= CONFIRMED_MAX_BYTES);
        }
        assert!(memory.get((ALICE, 9_999), 1_000).is_some());
        memory.forget();
        assert_eq!(memory.bodies_bytes, 0);
    }
}
