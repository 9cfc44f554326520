//! The upstream's answers of a moment ago, and the requests that are asking it.

use std::rc::Rc;

use super::customers::Customers;
use crate::{
    app::asker::AccessCheck,
    config::UpstreamConfig,
    limits::{CONFIRM_DENIALS, CONFIRM_UNKNOWN_MS, CONFIRMED_BODY_MAX_BYTES, CONFIRMED_SLOTS},
    snapshot::key::{EntryKey, mix},
};

/// The upstream's answer to a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// May play it: the answer's body, and when the access ends, unix seconds.
    Granted(Rc<str>, i64),
    /// May play it until this moment, unix seconds: the answer about one of several items, which has no body.
    Permitted(i64),
    /// May not.
    Denied,
    /// The item does not exist.
    NoItem,
    /// It has not answered, or what it answered cannot be read. This is not a denial, and is not remembered as one.
    CannotTell,
}

#[derive(Clone, Debug)]
struct Said {
    check: AccessCheck,
    verdict: Verdict,
    /// How often in a row.
    times: u8,
    /// When it was said.
    at_ms: u64,
    until_ms: u64,
}

/// The memory of an isolate. Every check has one place, where the next one that has the same place takes over:
/// whatever is forgotten is asked again.
#[derive(Debug, Default)]
pub struct Memory {
    said: Slots<Said>,
    /// How often customers ask.
    pub customers: Customers,
    /// The requests that are asking, no more than may be sent in their time.
    asking: Vec<Asking>,
    /// Counts how often everything was forgotten: an answer that was asked for before that may be outdated.
    generation: u32,
}

/// A request that asks the upstream about one item or several of one asker.
#[derive(Debug)]
struct Asking {
    asker: EntryKey,
    item_ids: Vec<i64>,
    /// When it is given up, milliseconds.
    until_ms: u64,
}

#[derive(Debug)]
struct Slots<T>(Vec<Option<T>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slots<T> {
    fn get(&self, (asker, item): AccessCheck) -> Option<&T> {
        self.0.get(place(asker, item))?.as_ref()
    }

    fn set(&mut self, (asker, item): AccessCheck, value: T) {
        // Nothing until the first denial.
        if self.0.is_empty() {
            self.0.resize_with(CONFIRMED_SLOTS, || None);
        }
        if let Some(slot) = self.0.get_mut(place(asker, item)) {
            *slot = Some(value);
        }
    }
}

/// The key is a part of a SHA-256: any bytes of it are as good as others.
fn place(EntryKey(asker): EntryKey, item: i64) -> usize {
    let asker = asker.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mixed = mix(asker ^ item.cast_unsigned());
    usize::try_from(mixed % CONFIRMED_SLOTS as u64).unwrap_or(0)
}

impl Memory {
    /// What a check that arrived at `since_ms` need not ask again. A denial only if the origin has given it twice: the
    /// first may have been asked for before this check's customer bought. That the origin could not tell is known
    /// only to those who waited for its answer.
    pub fn get(&self, check: AccessCheck, since_ms: u64, now_ms: u64) -> Option<Verdict> {
        let said = self.said(check, now_ms)?;
        let is_enough = match said.verdict {
            Verdict::Denied | Verdict::NoItem => said.times >= CONFIRM_DENIALS,
            Verdict::Granted(..) | Verdict::Permitted(_) => true,
            Verdict::CannotTell => since_ms < said.at_ms,
        };
        is_enough.then(|| said.verdict.clone())
    }

    fn said(&self, check: AccessCheck, now_ms: u64) -> Option<&Said> {
        self.said.get(check).filter(|said| said.check == check && now_ms < said.until_ms)
    }

    /// Remembers what the origin said, unless everything was forgotten since it was asked.
    pub fn insert(
        &mut self,
        check: AccessCheck,
        verdict: Verdict,
        generation: u32,
        now_ms: u64,
        config: &UpstreamConfig,
    ) {
        if generation != self.generation {
            return;
        }
        let for_ms = match &verdict {
            Verdict::Granted(body, _) if body.len() > CONFIRMED_BODY_MAX_BYTES => return,
            Verdict::Granted(_, expires_at) | Verdict::Permitted(expires_at) => {
                let end_ms = u64::try_from(*expires_at).unwrap_or(0).saturating_mul(1_000);
                end_ms.saturating_sub(now_ms).min(config.granted_secs.saturating_mul(1_000))
            }
            Verdict::Denied | Verdict::NoItem => config.denied_ms,
            Verdict::CannotTell => CONFIRM_UNKNOWN_MS,
        };
        let before = self.said(check, now_ms);
        if verdict == Verdict::CannotTell
            && before.is_some_and(|said| matches!(said.verdict, Verdict::Granted(..) | Verdict::Permitted(_)))
        {
            return;
        }
        let before = before.filter(|said| said.verdict == verdict);
        let times = before.map_or(1, |said| said.times.saturating_add(1));
        let until_ms = now_ms.saturating_add(for_ms);
        self.said.set(check, Said { check, verdict, times, at_ms: now_ms, until_ms });
    }

    /// Something was written, so that the remembered answers may be outdated. The budgets of customers stay, so that a
    /// write is not a way round them.
    pub fn forget(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.said = Slots::default();
        // Their answers will not be remembered, so that later requests must not wait for them.
        self.asking.clear();
    }

    /// Changes with each [`Self::forget`].
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether a request is asking this already, and has not been lost.
    pub fn is_asking(&self, (asker, item_id): AccessCheck, now_ms: u64) -> bool {
        let mut asking =
            self.asking.iter().filter(|asking| asking.asker == asker && now_ms < asking.until_ms);
        asking.any(|asking| asking.item_ids.contains(&item_id))
    }

    /// A request of `asker` asks about these items, until `until_ms` at the latest.
    pub fn begin(&mut self, asker: EntryKey, item_ids: &[i64], now_ms: u64, until_ms: u64) {
        self.asking.retain(|asking| now_ms < asking.until_ms);
        self.asking.push(Asking { asker, item_ids: item_ids.to_vec(), until_ms });
    }

    /// A request of `asker` has asked about these items.
    pub fn end(&mut self, asker: EntryKey, item_ids: &[i64]) {
        self.asking.retain(|asking| asking.asker != asker || asking.item_ids != item_ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::upstream::customers::Pace, config::Config};

    const ALICE: EntryKey = EntryKey([1; 16]);
    const BOB: EntryKey = EntryKey([2; 16]);

    fn config() -> UpstreamConfig {
        let issuer = r#"[{"issuer":"i","namespace":"n","audience":"none_required","keys":{"jwks_url":"https://i.example/j"}}]"#;
        let config = Config::parse(&|name| match name {
            "ISSUERS" => Some(issuer.to_owned()),
            "SNAPSHOT_KEYS" => Some(r#"{"keys":[]}"#.to_owned()),
            "ORIGIN_URL" => Some("https://o.example".to_owned()),
            _ => None,
        });
        config.unwrap().upstream.unwrap()
    }

    fn insert(memory: &mut Memory, check: AccessCheck, verdict: &Verdict, now_ms: u64) {
        let generation = memory.generation();
        memory.insert(check, verdict.clone(), generation, now_ms, &config());
    }

    #[test]
    fn two_denials_within_a_second_answer_one_does_not() {
        let mut memory = Memory::default();
        insert(&mut memory, (ALICE, 1), &Verdict::Denied, 1_000);
        assert_eq!(memory.get((ALICE, 1), 1_000, 1_000), None);
        insert(&mut memory, (ALICE, 1), &Verdict::Denied, 1_500);
        assert_eq!(memory.get((ALICE, 1), 2_499, 2_499), Some(Verdict::Denied));
        assert_eq!((memory.get((ALICE, 2), 2_499, 2_499), memory.get((BOB, 1), 2_499, 2_499)), (None, None));
        assert_eq!(memory.get((ALICE, 1), 2_500, 2_500), None);
        // Another second, another count.
        insert(&mut memory, (ALICE, 1), &Verdict::Denied, 2_500);
        assert_eq!(memory.get((ALICE, 1), 2_600, 2_600), None);
        insert(&mut memory, (ALICE, 1), &Verdict::NoItem, 2_600);
        assert_eq!(memory.get((ALICE, 1), 2_700, 2_700), None, "another verdict");
    }

    #[test]
    fn a_grant_answers_at_once_but_not_beyond_its_end() {
        let mut memory = Memory::default();
        let body: Rc<str> = "{}".into();
        insert(&mut memory, (ALICE, 1), &Verdict::Granted(Rc::clone(&body), 1_000), 1_000);
        assert!(memory.get((ALICE, 1), 30_999, 30_999).is_some());
        assert_eq!(memory.get((ALICE, 1), 31_000, 31_000), None);
        insert(&mut memory, (ALICE, 1), &Verdict::Granted(body, 5), 1_000);
        assert!(memory.get((ALICE, 1), 4_999, 4_999).is_some());
        assert_eq!(memory.get((ALICE, 1), 5_000, 5_000), None);
    }

    #[test]
    fn that_it_cannot_tell_is_known_to_those_who_waited_only() {
        let mut memory = Memory::default();
        insert(&mut memory, (ALICE, 1), &Verdict::CannotTell, 2_000);
        assert_eq!(memory.get((ALICE, 1), 1_999, 2_000), Some(Verdict::CannotTell));
        assert_eq!(memory.get((ALICE, 1), 2_000, 2_000), None);
        assert_eq!(memory.get((ALICE, 1), 1_999, 3_000), None);
        // A grant that is remembered outlives an answer that cannot be read.
        let granted = Verdict::Granted("{}".into(), i64::MAX);
        insert(&mut memory, (ALICE, 2), &granted, 2_000);
        insert(&mut memory, (ALICE, 2), &Verdict::CannotTell, 2_001);
        assert_eq!(memory.get((ALICE, 2), 2_002, 2_002), Some(granted));
    }

    #[test]
    fn a_write_ends_what_was_remembered_and_what_was_being_asked() {
        let mut memory = Memory::default();
        let before = memory.generation();
        for _ in 0..2 {
            insert(&mut memory, (ALICE, 1), &Verdict::Denied, 1_000);
        }
        while memory.customers.ask(ALICE, 1_000) != Pace::TooOften {}
        memory.forget();
        assert_eq!(memory.get((ALICE, 1), 1_000, 1_000), None);
        for _ in 0..2 {
            memory.insert((ALICE, 1), Verdict::Denied, before, 1_000, &config());
        }
        assert_eq!(memory.get((ALICE, 1), 1_000, 1_000), None);
        assert_eq!(memory.customers.ask(ALICE, 1_000), Pace::TooOften, "the budget is what it was");
        assert_eq!(memory.customers.ask(BOB, 1_000), Pace::Afresh);
    }

    #[test]
    fn one_asks_until_it_is_lost() {
        let mut memory = Memory::default();
        memory.begin(ALICE, &[1], 1_000, 3_500);
        assert!(memory.is_asking((ALICE, 1), 3_499));
        assert!(!memory.is_asking((ALICE, 2), 1_000));
        assert!(!memory.is_asking((ALICE, 1), 3_500));
        memory.begin(BOB, &[1, 2], 4_000, 6_500);
        assert!(memory.is_asking((BOB, 2), 4_001) && !memory.is_asking((ALICE, 2), 4_001));
        assert_eq!(memory.asking.len(), 1, "what was lost is not kept");
        memory.end(BOB, &[1]);
        assert!(memory.is_asking((BOB, 1), 4_001), "another question");
        memory.end(BOB, &[1, 2]);
        assert!(!memory.is_asking((BOB, 1), 4_001));
    }

    #[test]
    fn bounded_in_number_and_in_bytes() {
        let mut memory = Memory::default();
        let body: Rc<str> = "x".repeat(CONFIRMED_BODY_MAX_BYTES).into();
        for id in 1..10_000 {
            insert(&mut memory, (ALICE, id), &Verdict::Granted(Rc::clone(&body), i64::MAX), 1_000);
            assert!(memory.get((ALICE, id), 1_000, 1_000).is_some());
        }
        let known = (1..10_000).filter(|id| memory.get((ALICE, *id), 1_000, 1_000).is_some()).count();
        assert_eq!(known, CONFIRMED_SLOTS, "every place is used");
        // As the limits reckon.
        assert!(size_of::<Option<Said>>() <= 80);
        let longer: Rc<str> = "x".repeat(CONFIRMED_BODY_MAX_BYTES + 1).into();
        insert(&mut memory, (BOB, 1), &Verdict::Granted(longer, i64::MAX), 1_000);
        assert_eq!(memory.get((BOB, 1), 1_000, 1_000), None);
    }
}
