//! Kept answers are never used for longer than the service would give them again.

use admit::{
    api::{
        bodies::ACCESS_FRAME,
        reply::{Body, Reply, Request},
    },
    app::{Answered, Granted, Handle, Validity},
    entitlement::Grant,
    ports::Platform as _,
};
use admit_testing::memory::{Fault, MemoryBody, block_on};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::faults::edge::{Business, Edge, JWKS_URL, START, Signer, fetched_viewer, token, viewer};

const FOREVER: Option<i64> = Some(START + 1_000_000);

/// A check of item 1, as the Worker makes it.
fn ask(edge: &Edge, token: &str) -> Reply {
    ask_as(edge, &format!("Bearer {token}"))
}

fn ask_as(edge: &Edge, authorization: &str) -> Reply {
    let request = request("/items/1/access", authorization);
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

/// An edge that has answered `token` often enough to know its viewer, and until when that answer may be used again.
fn warm(business: &Business, variables: &[(&str, &str)], token: &str) -> (Edge, Option<Validity>) {
    let edge = Edge::started();
    let edge = Edge::configured(edge.platform().beside(), variables);
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    business.publish(edge.platform());
    ask(&edge, token);
    let validity = introduced(&edge, token).and_then(|viewer| validity(&edge, viewer));
    (edge, validity)
}

/// The handle of a viewer whose token came twice.
pub fn introduced(edge: &Edge, token: &str) -> Option<Handle> {
    let authorization = format!("Bearer {token}");
    assert_eq!(edge.app.introduce(&authorization), None, "most tokens are used once");
    edge.app.introduce(&authorization)
}

/// How long the answer to a check of item 1 may be given again.
pub fn validity(edge: &Edge, viewer: Handle) -> Option<Validity> {
    assert_eq!(
        edge.app.grant(viewer, 1, 0).and_then(|granted| granted.validity),
        None,
        "asked for the first time"
    );
    edge.app.grant(viewer, 1, 0)?.validity
}

/// The body that the Worker's entry joins, as `known.mjs` does.
fn joined(edge: &Edge, granted: &Granted, viewer: Handle, item_id: i64) -> String {
    let Grant { access_id, created_at, starts_at, .. } = granted.grant;
    let expires_at = granted.grant.shown_end();
    let [id, created, expires, starts] = ACCESS_FRAME;
    let viewer = edge.app.viewer_text(viewer, "192.0.2.1", "DE").unwrap();
    let [account, content] = edge.app.item_texts(item_id).flatten().unwrap();
    let start = starts_at.map(|start| format!("{starts}{start}")).unwrap_or_default();
    format!("{id}{access_id}{account}{viewer}{created}{created_at}{expires}{expires_at}{start}{content}")
}

#[test]
fn only_repeated_checks_are_kept() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    ask(&edge, &viewer());
    let viewer = introduced(&edge, &viewer()).unwrap();
    let is_kept = |query| edge.app.grant(viewer, 1, query).unwrap().validity.is_some();
    assert!(!is_kept(0), "asked for the first time");
    assert!(is_kept(0));
    for query in 1..=20 {
        assert!(!is_kept(query));
    }
    assert!(!is_kept(0), "asked too long ago");
    assert!(is_kept(0) && is_kept(20));
}

#[test]
fn only_a_verified_token_that_may_view_has_a_handle_and_only_in_its_instance() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    ask(&edge, &viewer());
    for authorization in ["", "Bearer", "Bearer x.y.z", "Basic YTpi"] {
        assert_eq!([0; 3].map(|_| edge.app.introduce(authorization)), [None; 3], "{authorization}");
    }
    let handle = introduced(&edge, &viewer()).unwrap();
    for spelling in ["bearer ", "Bearer  ", "BEARER "] {
        let authorization = [spelling, &viewer()].concat();
        assert_eq!(ask_as(&edge, &authorization).status, 200, "{spelling}");
        assert_eq!([0; 3].map(|_| edge.app.introduce(&authorization)), [None; 3], "one handle for a token");
    }
    assert!(edge.app.grant(handle, 1, 0).is_some());
    assert_eq!(edge.app.grant(handle, 2, 0), None, "not granted");
    assert_eq!(edge.app.grant(handle, 999, 0), None, "unknown");
    for stranger in [0, handle.wrapping_add(1), handle.wrapping_sub(8192), handle.wrapping_add(8192)] {
        assert_eq!(edge.app.grant(stranger, 1, 0), None, "{stranger}");
    }
    let other = edge.beside();
    ask(&other, &viewer());
    assert_eq!(other.app.grant(handle, 1, 0), None, "an instance that did not give it");
}

#[test]
fn the_handle_of_a_viewer_who_came_long_ago_is_taken_again() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    ask(&edge, &viewer());
    let first = introduced(&edge, &viewer()).unwrap();
    let authorization = format!("Bearer {}", viewer());
    let last = (0..8_192).map(|_| edge.app.introduce(&authorization).unwrap()).last().unwrap();
    assert_eq!(edge.app.grant(first, 1, 0), None);
    assert!(edge.app.grant(last, 1, 0).is_some());
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
    let known = edge.app.introduce(&format!("Bearer {}", viewer())).unwrap();
    let next = edge.app.grant(known, 1, 0).unwrap().number;
    let after = id(&ask(&edge, &viewer()));
    let digits = |id: &str| u32::from_str_radix(&id[17..], 16).unwrap();
    assert_eq!((digits(&before) + 1, number + 1, next + 1), (number, next, digits(&after)));
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
    assert_eq!([0; 3].map(|_| ask(&edge, &viewer()).status), [200; 3]);
    let viewer = introduced(&edge, &viewer()).unwrap();
    assert_eq!(edge.app.grant(viewer, 1, 0), None, "the next request looks for the shards again");
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

/// An answer about several items as the Worker's entry keeps it, if it does.
fn given_again(edge: &Edge, authorization: &str, reply: &Reply) -> Option<(Validity, String)> {
    let validity = edge.app.keep(authorization, 7, reply.lasts_until?)?;
    Some((validity, String::from_utf8(reply.body.as_bytes().to_vec()).unwrap()))
}

#[test]
fn a_page_is_kept_if_all_of_it_is_granted_by_the_snapshot_and_it_came_before() {
    let page = |edge: &Edge, items: &str| {
        let authorization = format!("Bearer {}", viewer());
        let query = format!("items={items}");
        let request = Request { query: &query, ..request("/access", &authorization) };
        let reply = block_on(edge.app.handle(&request, MemoryBody::default()));
        edge.refresh_behind();
        given_again(edge, &authorization, &reply)
    };
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(page(&edge, "1"), None, "asked for the first time");
    let (validity, body) = page(&edge, "1").unwrap();
    assert_eq!(body, format!(r#"{{"items":[{{"id":1,"access":true,"expires_at":{}}}]}}"#, START + 1_000_000));
    assert!(edge.app.repeat(&validity).is_some());
    assert_eq!([0; 3].map(|_| page(&edge, "1,77")), [const { None }; 3], "an unknown item");
    Business::new(2, None).publish(edge.platform());
    edge.advance_secs(31);
    edge.refresh_behind();
    assert_eq!(edge.app.repeat(&validity), None);
    assert_eq!([0; 3].map(|_| page(&edge, "1")), [const { None }; 3], "not bought");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_joined_or_given_again_is_what_would_be_answered(events in vec(event(), 1..60), exp in 20_i64..2_000) {
        let edge = Edge::started();
        edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
        let mut seq = 1;
        Business::new(seq, Some(START + 30)).publish(edge.platform());
        let claims: Value = json!({"sub": "alice", "exp": START + exp});
        let tokens = [viewer(), token(&claims), fetched_viewer()].map(|token| format!("Bearer {token}"));
        let questions = tokens.iter().flat_map(|token| ["/items/1/access", "/items/2/access", "/access"].map(|path| (path, token)));
        let mut kept: Vec<_> = questions
            .map(|(path, token)| (Request { query: "items=1", ..request(path, token) }, None::<(Validity, String)>))
            .collect();
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
                let item_id = if request.path == "/items/1/access" { 1 } else { 2 };
                let is_page = request.path == "/access";
                let viewer = edge.app.introduce(request.authorization);
                let again = kept.take_if(|(validity, _)| edge.app.repeat(validity).is_some());
                let granted = viewer.filter(|_| !is_page);
                let granted = granted.and_then(|viewer| Some((viewer, edge.app.grant(viewer, item_id, 0)?)));
                let granted = granted.map(|(viewer, granted)| (joined(&edge, &granted, viewer, item_id), granted));
                let answered = edge.app.answer(request);
                let bodies = again.iter().map(|(_, body)| body).chain(granted.iter().map(|(body, _)| body));
                for body in bodies {
                    let Answered::Now(answered) = &answered else {
                        prop_assert!(false, "{:?} would be loaded first", request.path);
                        continue;
                    };
                    let mut frame = edge.app.granted_frame(request.page_origin);
                    frame.body = Body::Json(body.clone());
                    prop_assert_eq!(seen(&frame), seen(answered));
                }
                let given = match answered {
                    Answered::Now(reply) if is_page => given_again(&edge, request.authorization, &reply),
                    Answered::Now(_) => None,
                    Answered::Later(pending) => {
                        block_on(edge.app.resume(request, pending, MemoryBody::default()));
                        None
                    }
                };
                let joined = granted.and_then(|(body, granted)| Some((granted.validity?, body)));
                *kept = joined.or(given).or(again);
            }
        }
    }
}
