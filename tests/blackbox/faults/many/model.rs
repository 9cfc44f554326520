//! Random lives: an answer about many items beside the single checks.

use std::{cell::Cell, rc::Rc};

use admit::limits::CHECKS_MAX_CONFIRMS;
use proptest::{collection::vec, prelude::*};

use super::{access, ask, business, entries, entry_of};
use crate::faults::{
    edge::{CUSTOMER, Edge, START},
    origin::{Pair, Truth, customer, denial},
};

/// What happens between two questions.
#[derive(Clone, Debug)]
enum Event {
    /// The business publishes these accesses: item, start and end in seconds from now.
    Publish(Vec<(i64, Option<i64>, Option<i64>)>),
    /// The customer buys an item at the origin.
    Buys(i64),
    /// The origin revokes every access.
    Revokes,
    /// Time passes, in milliseconds.
    Passes(u64),
    /// The origin fails, or works again.
    Origin(bool),
    /// The origin learns to answer questions about several items, or forgets it.
    Evaluations(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let access = (1_i64..13, proptest::option::of(-50_i64..50), proptest::option::of(-50_i64..200));
    prop_oneof![
        2 => vec(access, 0..6).prop_map(Event::Publish),
        3 => (1_i64..20).prop_map(Event::Buys),
        1 => Just(Event::Revokes),
        4 => (0_u64..1_500).prop_map(Event::Passes),
        2 => (1_000_u64..80_000).prop_map(Event::Passes),
        1 => any::<bool>().prop_map(Event::Origin),
        2 => any::<bool>().prop_map(Event::Evaluations),
    ]
}

/// Three edges with the same data: one is asked about many items, one about each, and one has no origin.
struct Trio {
    many: Pair,
    single: Pair,
    lone: Edge,
    fails: Rc<Cell<bool>>,
}

impl Trio {
    fn new() -> Self {
        let fails = Rc::new(Cell::new(false));
        let pair = || {
            let pair = Pair::without_snapshot(&[]);
            let (truth, fails) = (Rc::clone(&pair.truth), Rc::clone(&fails));
            pair.origin().serve(move |seen| {
                if fails.get() { denial(500, "Oops") } else { Truth::answer(&mut truth.borrow_mut(), seen) }
            });
            pair
        };
        let (many, single) = (pair(), pair());
        Self { many, single, lone: Edge::started(), fails }
    }

    fn edges(&self) -> [&Edge; 3] {
        [&self.many.edge, &self.single.edge, &self.lone]
    }

    fn now_ms(&self) -> u64 {
        self.lone.platform().clock().now_ms()
    }

    fn set_ms(&self, now_ms: u64) {
        for edge in self.edges() {
            edge.platform().clock().set_ms(now_ms);
        }
    }

    fn happen(&self, event: &Event, seq: &mut u64) {
        match event {
            Event::Publish(accesses) => {
                *seq += 1;
                let now = i64::try_from(self.now_ms() / 1_000).unwrap() - START;
                let later = |secs: Option<i64>| secs.map(|secs| now + secs);
                // A start must come before its end.
                let accesses: Vec<_> = accesses
                    .iter()
                    .filter(|(_, starts, ends)| starts.zip(*ends).is_none_or(|(starts, ends)| starts < ends))
                    .map(|(id, starts, ends)| access(*id, later(*starts), later(*ends)))
                    .collect();
                let business = business(*seq, 12, &[CUSTOMER], &accesses);
                for edge in self.edges() {
                    business.publish(edge.platform());
                }
            }
            Event::Buys(id) => {
                for pair in [&self.many, &self.single] {
                    pair.bought(CUSTOMER, *id);
                }
            }
            Event::Revokes => {
                for pair in [&self.many, &self.single] {
                    pair.revoked();
                }
            }
            Event::Passes(ms) => self.set_ms(self.now_ms() + ms),
            Event::Origin(fails) => self.fails.set(*fails),
            Event::Evaluations(are_there) => self.many.truth.borrow_mut().has_evaluations = *are_there,
        }
    }

    /// The batch's entry of each item is its single check's; where it is not confirmed, the snapshot's.
    fn compare(&self, ids: &[i64]) -> Result<(), TestCaseError> {
        let now_ms = self.now_ms();
        self.many.origin().forget_requests();
        let reply = ask(&self.many.edge, ids);
        let (at_once, asked): (Vec<_>, Vec<_>) =
            self.many.origin().seen().into_iter().partition(|seen| seen.method == "POST");
        let single = |edge: &Edge, id: i64| {
            edge.platform().clock().set_ms(now_ms);
            entry_of(id, &edge.get(&format!("/items/{id}/access"), &customer(CUSTOMER)))
        };
        // An edge reads the head when it is asked: all three look at the same moments, so that they have the same version.
        let lone: Vec<_> = ids.iter().map(|id| single(&self.lone, *id)).collect();
        let is_unconfirmed = reply.detail.contains("not confirmed");
        let mut unconfirmed = 0;
        for ((id, entry), lone) in ids.iter().zip(entries(&reply)).zip(&lone) {
            let expected = single(&self.single.edge, *id);
            if entry != expected {
                unconfirmed += 1;
                prop_assert!(is_unconfirmed, "{id}: {entry} is not {expected}: {}", reply.detail);
                prop_assert_eq!(&entry, lone);
            }
        }
        // Each question may be sent twice if the connection breaks, which this origin's do not.
        prop_assert!(at_once.len() <= 1 && asked.len() <= CHECKS_MAX_CONFIRMS, "{} questions", asked.len());
        // One question confirms all, however many they are.
        let is_answered = !at_once.is_empty() && self.many.truth.borrow().has_evaluations;
        prop_assert!(!is_answered || self.fails.get() || asked.is_empty(), "{} questions", asked.len());
        prop_assert!(
            unconfirmed == 0 || self.fails.get() || (ids.len() > CHECKS_MAX_CONFIRMS && !is_answered),
            "{}",
            reply.detail
        );
        self.set_ms(now_ms);
        if is_unconfirmed || ids.len() > CHECKS_MAX_CONFIRMS {
            // The two have asked about different items, or failed differently often: let memory and circuits end.
            self.fails.set(false);
            self.set_ms(now_ms + 40_000);
            for edge in self.edges() {
                edge.get("/items/500/access", &customer(CUSTOMER));
            }
            self.set_ms(now_ms + 80_000);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_answer_about_many_items_is_that_of_the_single_checks(
        lives in vec((vec(event(), 0..4), proptest::sample::subsequence((1..=16).chain([150, 160]).collect::<Vec<i64>>(), 1..18), any::<bool>()), 1..12),
    ) {
        let trio = Trio::new();
        let mut seq = 0;
        trio.happen(&Event::Publish(Vec::new()), &mut seq);
        for (events, mut ids, is_short) in lives {
            for event in &events {
                trio.happen(event, &mut seq);
            }
            if is_short {
                ids.truncate(CHECKS_MAX_CONFIRMS);
            }
            trio.compare(&ids)?;
        }
    }
}
