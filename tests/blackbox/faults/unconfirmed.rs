//! The log line of an unconfirmed denial says why it was not confirmed.

use admit::limits::{BREAKER_FAILURES, CUSTOMER_CONFIRMS};
use admit_testing::memory::{MemoryBody, block_on};
use futures_util::future::join_all;

use crate::faults::{
    edge::{CUSTOMER, check_request},
    origin::{Pair, customer, denial},
};

/// An unconfirmed denial has the reason in its log line; a confirmed one has no detail.
#[test]
fn a_denial_that_was_not_confirmed_says_why() {
    let told = |pair: &Pair, subject: &str, detail: &str| {
        let _before = pair.edge.platform().memory_log().take();
        let reply = pair.check(subject, 1);
        assert_eq!((reply.status, reply.detail.as_str()), (402, detail));
        let detail = format!(r#""reason":"{}","detail":"{detail}""#, reply.reason);
        let lines = pair.edge.platform().memory_log().take();
        assert!(lines.iter().any(|line| line.contains(&detail)), "{detail}: {lines:?}");
    };
    let variables = |rest: &[(&'static str, &'static str)]| [&[("LOG_CHECKS", "denied")], rest].concat();
    let off = Pair::new(&variables(&[("CONFIRMS_PER_SEC", "0")]));
    told(&off, CUSTOMER, "not confirmed: confirmations are off");

    let pair = Pair::new(&variables(&[]));
    for _ in 0..3 {
        assert_eq!(pair.check(CUSTOMER, 1).detail, "", "confirmed, or remembered");
    }
    for item in 2..=i64::from(CUSTOMER_CONFIRMS) {
        pair.check("bot", item);
    }
    pair.check("bot", 500);
    told(&pair, "bot", "not confirmed: the customer's budget is used up");
    let few = Pair::new(&variables(&[("CONFIRMS_PER_SEC", "1")]));
    assert_eq!((few.status(2), few.status(3)), (402, 402));
    told(&few, "other", "not confirmed: the budget is used up");

    let paused = Pair::new(&variables(&[]));
    paused.origin().serve(|_| denial(429, "Slow down"));
    told(&paused, CUSTOMER, "not confirmed: status is 429");
    told(&paused, CUSTOMER, "not confirmed: the origin has asked for a pause");
    let failing = Pair::new(&variables(&[]));
    failing.origin().serve(|_| denial(500, "Oops"));
    for _ in 0..BREAKER_FAILURES {
        told(&failing, CUSTOMER, "not confirmed: status is 500");
    }
    told(&failing, CUSTOMER, "not confirmed: circuit open");

    // Checks that waited for an answer that does not tell.
    let pair = Pair::new(&variables(&[]));
    assert_eq!(pair.status(2), 402, "everything is in memory");
    pair.origin().serve(|_| denial(500, "Oops"));
    pair.origin().set_latency_ms(50);
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = check_request(&authorization);
    let checks = (0..2).map(|_| pair.edge.app.handle(&request, MemoryBody::default()));
    let details: Vec<_> = block_on(join_all(checks)).into_iter().map(|reply| reply.detail).collect();
    assert_eq!(details, ["not confirmed: status is 500", "not confirmed: the origin could not tell"]);
}
