//! The fresh lane: heads arrive within seconds, and a lane that fails, lies or forgets costs no more than that.

use admit::{
    api::reply::Reply,
    limits::{LANE_TIMEOUT_MS, OBJECT_MAX_BYTES},
    ports::Platform as _,
    snapshot::denylist::{Denied, Target},
};
use admit_testing::memory::{Fault, LaneFault, MemoryLane, MemoryPlatform};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, JWKS_URL, START, Signer, token, viewer},
    origin::{ORIGIN_URL, Pair, denial},
    repeat::{introduced, validity},
};

const FOREVER: Option<i64> = Some(START + 1_000_000);

/// An edge with a lane, over an empty store.
pub fn laned() -> Edge {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    platform.lane().open();
    Edge::new(platform)
}

pub fn lane(edge: &Edge) -> &MemoryLane {
    edge.platform().lane()
}

/// A version in which the customer may play item 1, or may not.
pub fn version(seq: u64, is_granted: bool) -> Business {
    Business::new(seq, FOREVER.filter(|_| is_granted))
}

/// Publishes through the edge's publish API. Returns whether the lane took the head.
pub fn publish(edge: &Edge, business: &Business) -> Option<bool> {
    business.publish_objects(edge.platform());
    let value = business.jws(Signer::Publisher).into_bytes();
    let reply = edge.publish("PUT", "/snapshot/head", "", value);
    assert_eq!(reply.status, 201, "{:?}", reply.body);
    json_of(&reply)["announced"].as_bool()
}

pub fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(reply.body.as_bytes()).unwrap()
}

/// A check, and what the platform does behind its answer.
pub fn check(edge: &Edge) -> u16 {
    let status = edge.check();
    while edge.refresh_behind() {}
    status
}

/// The numbers of `/healthz` for operators.
pub fn health(edge: &Edge) -> Value {
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let claims = json!({
        "iss": "https://i.example", "sub": "operator", "scope": "snapshot:read", "exp": START + 100_000,
    });
    json_of(&edge.get("/healthz", &Signer::Publisher.sign("JWT", &claims)))
}

pub fn logged(edge: &Edge, text: &str) -> usize {
    edge.platform().memory_log().lines().iter().filter(|line| line.contains(text)).count()
}

/// The stored head stays the one before at every edge, as for up to a minute in KV.
pub fn store_lags(edge: &Edge) {
    edge.platform().store().break_on("head", Fault::Stale);
}

#[test]
fn a_revocation_is_seen_behind_the_next_answer_though_the_store_lags() {
    let publisher = laned();
    assert_eq!(publish(&publisher, &version(1, true)), Some(true));
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    assert_eq!(publish(&publisher, &version(2, false)), Some(true));
    store_lags(&viewers);
    viewers.advance_secs(2);
    assert_eq!(check(&viewers), 200, "the lane is asked behind this answer");
    assert_eq!(check(&viewers), 402);
    // The store, which is asked by its own clock, shows the version before, and that is no problem.
    for _ in 0..40 {
        viewers.advance_secs(3);
        assert_eq!(check(&viewers), 402);
    }
    let health = health(&viewers);
    assert_eq!(
        (&health["status"], &health["head_from"], &health["seq"]),
        (&json!("ok"), &json!("lane"), &json!(2))
    );
    assert_eq!(logged(&viewers, "refresh_failed"), 0);
    assert_eq!(logged(&viewers, r#""event":"snapshot","seq":2"#), 1);
}

#[test]
fn an_isolate_that_slept_asks_before_it_answers_and_only_once() {
    let publisher = laned();
    publish(&publisher, &version(1, true));
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    publish(&publisher, &version(2, false));
    store_lags(&viewers);
    viewers.advance_secs(5);
    let asked = lane(&viewers).asked();
    assert_eq!(viewers.check_at_once(&viewer(), 50), [402; 50]);
    assert_eq!(lane(&viewers).asked(), asked + 1);
    // A new isolate asks lane and store at the same time; the newer head counts.
    assert_eq!(viewers.beside().check(), 402);
}

#[test]
fn known_viewers_and_kept_answers_take_part() {
    let publisher = laned();
    publish(&publisher, &version(1, true));
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    let known = introduced(&viewers, &viewer()).unwrap();
    let kept = validity(&viewers, known).unwrap();
    assert!(viewers.app.repeat(&kept).is_some());
    publish(&publisher, &version(2, false));
    viewers.advance_secs(2);
    // Due: an ordinary answer has to begin the question.
    assert!(viewers.app.repeat(&kept).is_none() && viewers.app.grant(known, 1, 0).is_none());
    assert!(viewers.refresh_behind());
    assert!(viewers.app.repeat(&kept).is_none() && viewers.app.grant(known, 1, 0).is_none());
    assert_eq!(viewers.check(), 402);
}

#[test]
fn a_lane_that_says_old_never_takes_an_isolate_back() {
    let publisher = laned();
    lane(&publisher).cache();
    publish(&publisher, &version(1, true));
    // As for the first head that there is.
    lane(&publisher).purge();
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    // A purge is lost: the cache in this place repeats the version before. The store's clock finds the new one.
    publish(&publisher, &version(2, false));
    let mut secs = 0;
    while check(&viewers) == 200 {
        viewers.advance_secs(2);
        secs += 2;
        assert!(secs <= 62, "without the lane it takes no longer");
    }
    for _ in 0..20 {
        viewers.advance_secs(2);
        assert_eq!(check(&viewers), 402);
    }
    let health = health(&viewers);
    assert_eq!((&health["head_from"], &health["lane"]["failed"]), (&json!("kv"), &json!(0)));
    assert!(health["lane"]["older"].as_u64() >= Some(20), "{health}");
    // An isolate that starts now is as well off.
    assert_eq!(viewers.beside().check(), 402);
    lane(&viewers).purge();
    viewers.advance_secs(2);
    assert_eq!(check(&viewers), 402);
}

#[test]
fn a_publish_past_the_worker_is_found_by_the_stores_clock() {
    let edge = laned();
    publish(&edge, &version(1, true));
    assert_eq!(check(&edge), 200);
    // By `kv:`, which tells no lane.
    version(2, false).publish(edge.platform());
    let mut secs = 0;
    while check(&edge) == 200 {
        edge.advance_secs(2);
        secs += 2;
        assert!(secs <= 62);
    }
    assert_eq!(health(&edge)["head_from"], "kv");
}

#[test]
fn a_lane_that_says_nothing_or_garbage_is_not_believed_and_asked_less() {
    let good = version(1, true).jws(Signer::Publisher);
    let newer = version(9, false);
    let (strange, joined) = (newer.jws(Signer::Stranger), newer.jws(Signer::Publisher));
    let garbage = [
        Vec::new(),
        b"\n".to_vec(),
        vec![0xff; 4_000],
        vec![b'a'; OBJECT_MAX_BYTES],
        good.as_bytes()[..good.len() - 9].to_vec(),
        strange.into_bytes(),
        [joined.as_bytes(), b"\nanother delta"].concat(),
    ];
    for (position, value) in garbage.into_iter().enumerate() {
        let edge = laned();
        publish(&edge, &version(1, true));
        assert_eq!(check(&edge), 200);
        lane(&edge).break_with(Some(LaneFault::Says(value.clone())));
        let asked = lane(&edge).asked();
        for _ in 0..120 {
            edge.advance_secs(1);
            assert_eq!(check(&edge), 200, "{position}");
        }
        // After 2, 3, 5, 9, 17, 33 and 65 seconds.
        assert_eq!(lane(&edge).asked() - asked, 7, "{position}");
        assert!(logged(&edge, r#""event":"lane","problem":""#) >= 1, "{position}");
        assert_eq!(health(&edge)["lane"]["failed"], 7, "{position}");
        // An isolate that starts with it waits for the store, as without a lane.
        assert_eq!(edge.beside().check(), 200, "{position}");
        lane(&edge).break_with(None);
        publish(&edge, &version(2, false));
        edge.advance_secs(61);
        assert_eq!(check(&edge), 402, "{position}");
    }
    let edge = laned();
    version(1, true).publish(edge.platform());
    for _ in 0..60 {
        edge.advance_secs(1);
        assert_eq!(check(&edge), 200, "nothing was announced yet");
    }
    assert_eq!(health(&edge)["lane"]["failed"], 0);
}

#[test]
fn a_dead_lane_costs_one_answer_its_time_limit_and_leaves_the_stores_bound() {
    for fault in [LaneFault::Error, LaneFault::Hangs] {
        let edge = laned();
        publish(&edge, &version(1, true));
        assert_eq!(check(&edge), 200);
        edge.advance_secs(5);
        lane(&edge).break_with(Some(fault.clone()));
        lane(&edge).set_deaf(true);
        let now_ms = || edge.platform().clock().now_ms();
        let waited = |status: u16| {
            let since_ms = now_ms();
            assert_eq!(edge.check(), status, "{fault:?}");
            now_ms() - since_ms
        };
        assert!(waited(200) <= LANE_TIMEOUT_MS, "{fault:?}");
        // Until it answers again, nothing waits for it: not even after a sleep.
        for _ in 0..20 {
            assert_eq!(waited(200), 0, "{fault:?}");
            while edge.refresh_behind() {}
            edge.advance_secs(1);
        }
        assert_eq!(publish(&edge, &version(2, false)), Some(false));
        let viewers = edge.beside();
        assert_eq!(viewers.check(), 402, "the store has it");
        let mut secs = 0;
        let running = Edge::new(edge.platform().beside());
        store_lags(&running);
        assert_eq!(running.check(), 200);
        running.platform().store().mend();
        while check(&running) == 200 {
            running.advance_secs(1);
            secs += 1;
            assert!(secs <= 61, "{fault:?}");
        }
        lane(&edge).break_with(None);
        lane(&edge).set_deaf(false);
        running.advance_secs(61);
        check(&running);
        assert_eq!(publish(&edge, &version(3, true)), Some(true));
        store_lags(&running);
        running.advance_secs(3);
        check(&running);
        assert_eq!(check(&running), 200, "it is back");
    }
}

#[test]
fn a_lane_that_flaps_is_never_believed_backwards() {
    let edge = laned();
    publish(&edge, &version(1, true));
    assert_eq!(check(&edge), 200);
    let (old, new) = (version(1, true), version(2, false));
    new.publish_objects(edge.platform());
    let says = |business: &Business| Some(LaneFault::Says(business.jws(Signer::Publisher).into_bytes()));
    lane(&edge).faults(
        [says(&new), says(&old), Some(LaneFault::Error), says(&old), says(&new), Some(LaneFault::Nothing)]
            .into_iter()
            .cycle()
            .take(60),
    );
    edge.advance_secs(2);
    assert_eq!(check(&edge), 200);
    for second in 0..200 {
        edge.advance_secs(1);
        assert_eq!(check(&edge), 402, "{second}: the store says old all the time, and the lane at times");
    }
    assert_eq!(health(&edge)["seq"], 2);
}

#[test]
fn two_publishers_and_the_newer_head_stays() {
    let first = laned();
    let second = first.beside();
    publish(&first, &version(1, true));
    publish(&second, &version(3, false));
    // The store shows the second edge's head to no other edge yet: the first publisher's older one is refused there,
    // and one that gets through to the lane late changes nothing.
    version(2, true).publish_objects(first.platform());
    assert_eq!(first.put_head(&version(2, true)), 409);
    let late = version(2, true).jws(Signer::Publisher);
    let told = admit::ports::FreshLane::announce(lane(&first), late.as_bytes(), None);
    admit_testing::memory::block_on(told).unwrap();
    assert_eq!(lane(&first).peek(), Some(version(3, false).jws(Signer::Publisher).into_bytes()));
    let viewers = first.beside();
    store_lags(&viewers);
    assert_eq!(viewers.check(), 402);
    assert_eq!(publish(&first, &version(4, true)), Some(true));
    viewers.advance_secs(5);
    assert_eq!(check(&viewers), 200);
}

#[test]
fn a_rollback_takes_away_and_gives_back_within_seconds() {
    let edge = laned();
    let viewers = edge.beside();
    let with_both = |seq| {
        let access = |id: i64, item: i64| json!({"id": id, "item_id": item, "created_at": 1});
        Business::with_accesses(seq, &[access(5, 1), access(6, 2)])
    };
    let status = |item: i64| viewers.get(&format!("/items/{item}/access"), &viewer()).status;
    publish(&edge, &version(1, true));
    publish(&edge, &with_both(2));
    store_lags(&viewers);
    assert_eq!((status(1), status(2)), (200, 200));
    // The content of version 1 under a new number, then that of version 2 again.
    for (seq, of_two) in [(3, 402), (4, 200), (5, 402)] {
        let content = if of_two == 200 { with_both(seq) } else { version(seq, true) };
        publish(&edge, &content);
        viewers.advance_secs(3);
        while viewers.refresh_behind() {}
        assert_eq!((status(1), status(2)), (200, of_two), "{seq}");
    }
}

#[test]
fn revoked_while_the_origin_is_down_and_denials_confirmed_meanwhile() {
    let platform = laned().app.platform().beside();
    let edge = Edge::configured(platform, &[("ORIGIN_URL", ORIGIN_URL)]);
    let publisher = laned_beside(&edge);
    publish(&publisher, &version(1, true));
    assert_eq!(check(&edge), 200);
    edge.platform().upstream().serve(|_| denial(503, "Down"));
    publish(&publisher, &version(2, false));
    store_lags(&edge);
    edge.advance_secs(3);
    check(&edge);
    assert_eq!(check(&edge), 402, "the origin is not needed to take something away");
    // It comes back and knows of a purchase that the snapshot does not have yet: the denial is confirmed, and is none.
    let pair = Pair::new(&[]);
    pair.truth.borrow_mut().granted.insert((CUSTOMER.to_owned(), 1));
    let truth = std::rc::Rc::clone(&pair.truth);
    edge.platform().upstream().serve(move |seen| truth.borrow_mut().answer(seen));
    edge.advance_secs(60);
    assert_eq!(check(&edge), 200);
    // The version with the purchase arrives by the lane; then the origin may go.
    publish(&publisher, &version(3, true));
    edge.advance_secs(3);
    check(&edge);
    edge.platform().upstream().serve(|_| denial(503, "Down"));
    edge.advance_secs(200);
    check(&edge);
    assert_eq!((check(&edge), health(&edge)["seq"].clone()), (200, json!(3)));
}

fn laned_beside(edge: &Edge) -> Edge {
    Edge::new(edge.platform().beside())
}

#[test]
fn a_revoked_token_is_refused_within_seconds() {
    let edge = laned();
    let viewers = edge.beside();
    publish(&edge, &version(1, true));
    let stolen = token(&json!({"sub": CUSTOMER, "jti": "stolen", "iat": START - 10}));
    let status = || viewers.get("/items/1/access", &stolen).status;
    assert_eq!(status(), 200);
    let mut business = version(1, true);
    business.head.as_of += 1;
    business.head.denylist.add(Denied {
        target: Target::TokenId("stolen".to_owned()),
        since: START,
        until: START + 3_600,
        is_lifted: false,
        reason: "stolen".to_owned(),
    });
    publish(&edge, &business);
    store_lags(&viewers);
    viewers.advance_secs(2);
    assert!(viewers.refresh_behind());
    assert_eq!(status(), 401);
}

#[test]
fn a_publish_never_fails_by_its_lane() {
    let edge = laned();
    lane(&edge).set_deaf(true);
    assert_eq!(publish(&edge, &version(1, true)), Some(false));
    assert_eq!(publish(&edge, &version(2, true)), Some(false));
    assert_eq!(logged(&edge, r#""event":"lane","problem":"announce: "#), 1, "repetitions are counted");
    assert_eq!(lane(&edge).announced(), 2);
    assert_eq!(check(&edge), 200);
}

#[test]
fn without_a_lane_or_with_a_lane_that_is_off_everything_is_as_before() {
    let edge = Edge::started();
    assert_eq!(publish(&edge, &version(1, true)), None);
    assert_eq!(
        (health(&edge)["head_from"].clone(), health(&edge)["lane"].clone()),
        (json!("kv"), Value::Null)
    );
    let edge = Edge::configured(laned().app.platform().beside(), &[("FRESH_SECS", "0")]);
    assert_eq!(publish(&edge, &version(1, true)), None);
    for _ in 0..100 {
        assert_eq!(check(&edge), 200);
        edge.advance_secs(1);
    }
    assert_eq!((lane(&edge).asked(), lane(&edge).announced()), (0, 0));
}

#[test]
fn the_interval_is_the_configured_one() {
    for secs in [1_u64, 2, 10] {
        let edge = Edge::configured(laned().app.platform().beside(), &[("FRESH_SECS", &secs.to_string())]);
        publish(&edge, &version(1, true));
        assert_eq!(check(&edge), 200);
        let asked = lane(&edge).asked();
        for _ in 0..60 {
            edge.advance_secs(1);
            check(&edge);
        }
        assert_eq!(lane(&edge).asked() - asked, usize::try_from(60 / secs).unwrap(), "{secs}");
    }
}
