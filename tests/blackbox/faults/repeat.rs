//! Kept answers are never used for longer than the service would give them again.

use admit::{
    api::reply::{Reply, Request, Validity},
    app::Answered,
    ports::Platform as _,
};
use admit_testing::memory::{Fault, MemoryBody, block_on};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::faults::edge::{Business, Edge, JWKS_URL, START, Signer, fetched_viewer, token, viewer};

const FOREVER: Option<i64> = Some(START + 1_000_000);

/// A check of item 1, as the Worker makes it.
fn ask(edge: &Edge, token: &str) -> Reply {
    let authorization = format!("Bearer {token}");
    let request = request("/items/1/access", &authorization);
    let reply = block_on(edge.app.handle(&request, MemoryBody::default()));
    edge.refresh_behind();
    reply
}

fn request<'a>(path: &'a str, authorization: &'a str) -> Request<'a> {
    Request {
        method: "GET",
        path,
        authorization,
        ip_address: "192.0.2.1",
        country: "DE",
        ..Request::default()
    }
}

/// An edge that has answered `token` often enough, and until when that answer may be used again.
fn warm(business: &Business, variables: &[(&str, &str)], token: &str) -> (Edge, Option<Validity>) {
    let edge = Edge::started();
    let edge = Edge::configured(edge.platform().beside(), variables);
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    business.publish(edge.platform());
    assert_eq!(ask(&edge, token).validity, None, "most tokens are used once");
    let validity = ask(&edge, token).validity;
    (edge, validity)
}

#[test]
fn only_repeated_checks_are_kept() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let authorization = format!("Bearer {}", viewer());
    let validity = |target: &str| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request { query, ..request(path, &authorization) };
        block_on(edge.app.handle(&request, MemoryBody::default())).validity
    };
    assert_eq!(validity("/healthz"), None, "not a check");
    assert_eq!(validity("/items/1/access?_=x"), None, "loaded");
    assert_eq!(validity("/items/1/access"), None, "asked for the first time");
    assert!(validity("/items/1/access").is_some());
    for n in 0..20 {
        assert_eq!(validity(&format!("/items/1/access?_={n}")), None);
    }
    assert_eq!(validity("/items/1/access"), None, "asked too long ago");
    assert!(validity("/items/1/access").is_some());
    assert!(validity("/items/1/access?_=19").is_some());
}

#[test]
fn an_answer_ends_with_the_grant() {
    let (edge, validity) = warm(&Business::new(1, Some(START + 20)), &[], &viewer());
    let validity = validity.unwrap();
    assert_eq!((validity.since, validity.until), (START, START + 20));
    assert!(edge.app.repeat(&validity).is_some());
    edge.advance_secs(19);
    assert!(edge.app.repeat(&validity).is_some());
    edge.advance_secs(1);
    assert_eq!(edge.app.repeat(&validity), None);
    assert_eq!(ask(&edge, &viewer()).status, 402);
}

#[test]
fn an_answer_ends_with_the_token() {
    let token = token(&json!({"sub": "alice", "exp": START + 10}));
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &token);
    edge.advance_secs(9);
    assert!(edge.app.repeat(&validity.unwrap()).is_some());
    edge.advance_secs(1);
    assert_eq!(edge.app.repeat(&validity.unwrap()), None);
}

#[test]
fn a_clock_that_goes_back_ends_an_answer() {
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &viewer());
    edge.platform().clock().set_ms(u64::try_from(START - 1).unwrap() * 1_000);
    assert_eq!(edge.app.repeat(&validity.unwrap()), None);
}

#[test]
fn an_answer_ends_with_its_version_and_not_with_a_head_that_stayed() {
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &viewer());
    let validity = validity.unwrap();
    edge.advance_secs(29);
    assert!(edge.app.repeat(&validity).is_some());
    // An ordinary answer starts the refresh that is due.
    edge.advance_secs(1);
    assert_eq!(edge.app.repeat(&validity), None);
    let refresh = edge.app.begin_refresh().unwrap();
    assert!(edge.app.repeat(&validity).is_some(), "while it is under way");
    block_on(edge.app.refresh(refresh));
    assert!(edge.app.repeat(&validity).is_some(), "the head is the same");

    Business::new(2, None).publish(edge.platform());
    edge.advance_secs(30);
    edge.refresh_behind();
    assert_eq!(edge.app.repeat(&validity), None);
    assert_eq!(ask(&edge, &viewer()).status, 402);
}

#[test]
fn an_isolate_that_slept_looks_first() {
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &viewer());
    edge.advance_secs(600);
    let refresh = edge.app.begin_refresh();
    assert!(refresh.is_none(), "not in the background");
    assert_eq!(edge.app.repeat(&validity.unwrap()), None);
}

#[test]
fn an_answer_ends_when_this_isolate_stores_a_head() {
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &viewer());
    let revoked = Business::new(2, None);
    revoked.publish_objects(edge.platform());
    assert_eq!(edge.put_head(&revoked), 201);
    assert_eq!(edge.app.repeat(&validity.unwrap()), None);
    assert_eq!(ask(&edge, &viewer()).status, 402);
}

#[test]
fn an_answer_ends_with_the_issuers_keys() {
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &fetched_viewer());
    let validity = validity.unwrap();
    edge.platform().keys().serve(JWKS_URL, Signer::Stranger.jwks().as_bytes());
    until_keys_are_old(&edge);
    let refresh = edge.app.begin_refresh().unwrap();
    assert!(edge.app.repeat(&validity).is_some(), "while it is under way");
    block_on(edge.app.refresh(refresh));
    assert!(edge.app.begin_refresh().is_none(), "nothing else is due");
    assert_eq!(edge.app.repeat(&validity), None);
    assert_eq!(ask(&edge, &fetched_viewer()).status, 503, "the issuer may have published the key since");
}

/// Advances the clock until the keys that were fetched at the start are due again, with a fresh head.
fn until_keys_are_old(edge: &Edge) {
    for secs in [45].into_iter().chain([30; 18]) {
        edge.advance_secs(secs);
        assert!(edge.refresh_behind());
    }
    edge.advance_secs(15);
}

#[test]
fn old_keys_are_refreshed_by_an_ordinary_answer() {
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &fetched_viewer());
    let validity = validity.unwrap();
    until_keys_are_old(&edge);
    assert_eq!(edge.app.repeat(&validity), None);
    edge.platform().clock().set_ms(edge.platform().clock().now_ms() - 1_000);
    assert!(edge.app.repeat(&validity).is_some(), "a second before");
    edge.advance_secs(1);
    let refresh = edge.app.begin_refresh().unwrap();
    assert!(edge.app.repeat(&validity).is_some(), "while it is under way");
    block_on(edge.app.refresh(refresh));
    assert!(edge.app.repeat(&validity).is_some(), "the keys are the same");
}

#[test]
fn every_request_is_logged_that_is_to_be() {
    let (_, validity) = warm(&Business::new(1, FOREVER), &[("LOG_CHECKS", "all")], &viewer());
    assert_eq!(validity, None);
    let (_, validity) = warm(&Business::new(1, None), &[("LOG_CHECKS", "denied")], &viewer());
    assert_eq!(validity, None);
    let (_, validity) = warm(&Business::new(1, FOREVER), &[("LOG_CHECKS", "denied")], &viewer());
    assert!(validity.is_some());
}

#[test]
fn each_request_has_a_number_of_its_own() {
    let (edge, validity) = warm(&Business::new(1, FOREVER), &[], &viewer());
    let id = |reply: &Reply| reply.header("x-request-id").unwrap().to_owned();
    let before = id(&ask(&edge, &viewer()));
    let number = edge.app.repeat(&validity.unwrap()).unwrap();
    let after = id(&ask(&edge, &viewer()));
    let digits = |id: &str| u32::from_str_radix(&id[17..], 16).unwrap();
    assert_eq!((digits(&before) + 1, number + 1), (number, digits(&after)));
    assert_eq!(before[..17], after[..17]);
}

#[test]
fn the_version_before_answers_for_the_moment_only() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    ask(&edge, &viewer());
    // A new head whose shards are not available yet.
    let next = Business::new(2, None);
    let shards = |name: &str| name.starts_with("shard/");
    for (name, object) in next.objects.iter().filter(|(name, _)| !shards(&name.to_string())) {
        edge.platform().store().insert(&name.to_string(), object);
    }
    edge.platform().store().insert("head", next.jws(Signer::Publisher).as_bytes());
    edge.advance_secs(31);
    edge.refresh_behind();
    for _ in 0..3 {
        let reply = ask(&edge, &viewer());
        assert_eq!((reply.status, reply.validity), (200, None));
    }
}

/// An event in the life of an edge.
#[derive(Clone, Debug)]
enum Event {
    /// The clock moves, forwards or backwards.
    Clock(i64),
    /// The business publishes: item 1 belongs to the customer for this number of seconds, or is not bought.
    Publish(Option<i64>),
    /// The edge does the refresh that is due.
    Refresh,
    /// The issuer changes its keys.
    Keys(bool),
    /// The store fails, or works again.
    Store(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (-3_i64..35).prop_map(Event::Clock),
        1 => (300_i64..700).prop_map(Event::Clock),
        2 => proptest::option::of(1_i64..200).prop_map(Event::Publish),
        6 => Just(Event::Refresh),
        1 => any::<bool>().prop_map(Event::Keys),
        1 => any::<bool>().prop_map(Event::Store),
    ]
}

/// Everything that a client sees, except the request id.
fn seen(reply: &Reply) -> (u16, Vec<u8>, Vec<(&'static str, String)>) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let headers = headers.map(|(name, value)| (*name, value.to_string())).collect();
    (reply.status, reply.body.as_bytes().to_vec(), headers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_may_be_given_again_is_what_would_be_answered(events in vec(event(), 1..60), exp in 20_i64..2_000) {
        let edge = Edge::started();
        edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
        let mut seq = 1;
        Business::new(seq, Some(START + 30)).publish(edge.platform());
        let claims: Value = json!({"sub": "alice", "exp": START + exp});
        let tokens = [viewer(), token(&claims), fetched_viewer()].map(|token| format!("Bearer {token}"));
        let questions = tokens.iter().flat_map(|token| ["/items/1/access", "/items/2/access"].map(|path| (path, token)));
        let mut kept: Vec<_> = questions.map(|(path, token)| (request(path, token), None::<Reply>)).collect();
        for event in events {
            match event {
                Event::Clock(secs) => {
                    let clock = edge.platform().clock();
                    clock.set_ms(clock.now_ms().saturating_add_signed(secs * 1_000));
                }
                Event::Publish(lasts_secs) => {
                    seq += 1;
                    let now = i64::try_from(edge.platform().clock().now_ms() / 1_000).unwrap();
                    Business::new(seq, lasts_secs.map(|secs| now + secs)).publish(edge.platform());
                }
                Event::Refresh => while edge.refresh_behind() {},
                Event::Keys(same) => {
                    let signer = if same { Signer::Publisher } else { Signer::Stranger };
                    edge.platform().keys().serve(JWKS_URL, signer.jwks().as_bytes());
                }
                Event::Store(works) => {
                    let store = edge.platform().store();
                    if works { store.mend() } else { store.break_on("", Fault::Error) }
                }
            }
            for (request, kept) in &mut kept {
                let again = kept.as_ref().filter(|reply| edge.app.repeat(&reply.validity.unwrap()).is_some());
                let answered = edge.app.answer(request);
                if let Some(again) = again {
                    let Answered::Now(answered) = &answered else {
                        prop_assert!(false, "{:?} would be loaded first: {answered:?}", request.path);
                        continue;
                    };
                    prop_assert_eq!(seen(again), seen(answered));
                }
                let reply = match answered {
                    Answered::Now(reply) => reply,
                    Answered::Later(pending) => block_on(edge.app.resume(request, pending, MemoryBody::default())),
                };
                if reply.validity.is_some() {
                    *kept = Some(reply);
                }
            }
        }
    }
}
