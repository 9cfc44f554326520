//! Failures and refusals for one customer, item, merchant or address do not close anything for others, and no
//! kind of traffic closes another kind.

use admit::{
    api::reply::Request,
    limits::{
        ADDRESS_ASKS, ANONYMOUS_SHARE, BREAKER_FAILURES, BREAKER_OPEN_MS, CONFIRMS_PER_SEC,
        CUSTOMER_CONFIRMS, PAUSE_PARTIES, PAUSE_TRY_MS,
    },
    ports::UpstreamAnswer,
};
use admit_testing::memory::{MemoryBody, SeenRequest, block_on};
use serde_json::json;

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, START, token},
    origin::{ORIGIN_URL, Pair, access, answer, denial},
};

const FORM: &str = "application/x-www-form-urlencoded";

fn told_to_wait(status: u16, secs: &str) -> UpstreamAnswer {
    let mut told = denial(status, "Slow down");
    told.headers.push(("retry-after", secs.to_owned()));
    told
}

/// Whether a request to the upstream carries this customer's token.
fn is_of(seen: &SeenRequest, subject: &str) -> bool {
    seen.header("authorization").ends_with(&token(&json!({ "sub": subject })))
}

/// A read without a token, from an address.
fn anonymous(pair: &Pair, path: &str, ip_address: &str, min_seq: u64) -> u16 {
    let request = Request { method: "GET", path, ip_address, min_seq, ..Request::default() };
    block_on(pair.edge.app.handle(&request, MemoryBody::default())).status
}

fn sign_in(pair: &Pair, ip_address: &str, body: &str) -> u16 {
    send(pair, "", "/oauth2/token", ip_address, body)
}

fn write_of(pair: &Pair, claims: &serde_json::Value) -> u16 {
    send(pair, &format!("Bearer {}", token(claims)), "/v2/items", "198.51.100.1", "title=x")
}

fn send(pair: &Pair, authorization: &str, path: &str, ip_address: &str, body: &str) -> u16 {
    let passed = [("content-type", FORM.to_owned())];
    let request =
        Request { method: "POST", path, authorization, ip_address, passed: &passed, ..Request::default() };
    block_on(pair.edge.app.handle(&request, MemoryBody::from(body.as_bytes().to_vec()))).status
}

#[test]
fn only_the_customer_who_is_told_to_wait_waits() {
    for status in [429, 503] {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |seen| {
            if is_of(seen, "bot") { told_to_wait(status, "30") } else { answer(200, &access(1)) }
        });
        for _ in 0..100 {
            assert_eq!(pair.check("bot", 1).status, 402);
        }
        assert_eq!(pair.asked(), 1, "it is asked no more for the bot");
        assert_eq!(pair.status(1), 200, "{status}: another buyer is confirmed at once");
        pair.edge.advance_secs(30);
        pair.check("bot", 1);
        assert_eq!(pair.asked(), 3, "and for the bot again when the time is over");
    }
}

/// A few accounts over their limits do not speak for all customers, however often they are told so.
#[test]
fn several_that_are_told_to_wait_are_not_all_while_others_are_served() {
    let pair = Pair::new(&[]);
    pair.origin().serve(|seen| {
        if seen.url.contains("/items/2/") { told_to_wait(429, "1") } else { answer(200, &access(1)) }
    });
    for second in 0..60 {
        for bot in 1..PAUSE_PARTIES {
            pair.check(&format!("bot-{bot}"), 2);
        }
        assert_eq!(pair.check(&format!("buyer-{second}"), 1).status, 200, "{second}");
        pair.edge.advance_secs(1);
    }
}

#[test]
fn all_wait_when_several_customers_are_told_so_at_once() {
    let pair = Pair::new(&[]);
    pair.origin().serve(|_| told_to_wait(429, "30"));
    for buyer in 0..PAUSE_PARTIES {
        assert_eq!(pair.check(&format!("buyer-{buyer}"), 1).status, 402);
    }
    assert_eq!(pair.asked(), PAUSE_PARTIES);
    for buyer in 0..50 {
        let reply = pair.check(&format!("later-{buyer}"), 1);
        assert_eq!(
            (reply.status, reply.detail.as_str()),
            (402, "not confirmed: the origin has asked for a pause")
        );
    }
    assert_eq!(pair.asked(), PAUSE_PARTIES, "nobody is asked for");
    // One customer a second tries. When one is served, all are.
    pair.edge.platform().clock().advance_ms(PAUSE_TRY_MS);
    for buyer in 50..60 {
        pair.check(&format!("later-{buyer}"), 1);
    }
    assert_eq!(pair.asked(), PAUSE_PARTIES + 1);
    pair.origin().serve(|_| answer(200, &access(1)));
    pair.edge.platform().clock().advance_ms(PAUSE_TRY_MS);
    for buyer in 60..70 {
        assert_eq!(pair.check(&format!("later-{buyer}"), 1).status, 200);
    }
}

/// One merchant's item takes the upstream too long. However many viewers it has, they wait for no answer, and
/// the viewers of other items are not affected.
#[test]
fn an_item_that_fails_closes_itself() {
    let pair = Pair::new(&[]);
    pair.origin().serve(|seen| {
        if seen.url.contains("/items/2/") { denial(500, "Oops") } else { answer(200, &access(1)) }
    });
    for viewer in 0..100 {
        assert_eq!(pair.check(&format!("viewer-{viewer}"), 2).status, 402);
    }
    assert_eq!(pair.asked(), BREAKER_FAILURES as usize);
    assert_eq!(pair.status(1), 200);
    // Neither does a customer whose every question fails, for whatever reason.
    let pair = Pair::new(&[]);
    pair.origin()
        .serve(|seen| if is_of(seen, "bot") { denial(500, "Oops") } else { answer(200, &access(1)) });
    for item in 1..100 {
        pair.check("bot", item);
    }
    assert_eq!(pair.asked(), BREAKER_FAILURES as usize);
    assert_eq!(pair.status(1), 200);
}

/// Whichever kind of request fails at the upstream, and whichever client sends it, all other kinds go on.
#[test]
fn no_kind_of_traffic_closes_another() {
    type LaneCase = (&'static str, fn(&SeenRequest) -> bool, fn(&Pair, usize) -> u16);

    let kinds: [LaneCase; 6] = [
        (
            "confirmations",
            |seen| seen.url.ends_with("/access") && seen.method == "GET",
            |pair, who| pair.check(&format!("buyer-{who}"), i64::try_from(who % 2 + 1).unwrap()).status,
        ),
        (
            "insisting reads",
            |seen| seen.url.ends_with("/license"),
            |pair, who| {
                let authorization = format!("Bearer {}", token(&json!({"sub": format!("fan-{who}")})));
                let request = Request {
                    method: "GET",
                    path: "/license",
                    authorization: &authorization,
                    min_seq: 99,
                    ..Request::default()
                };
                let reply = block_on(pair.edge.app.handle(&request, MemoryBody::default()));
                if reply.reason == "origin" { 200 } else { 402 }
            },
        ),
        (
            "anonymous reads",
            |seen| seen.url.ends_with("/access-fees"),
            |pair, who| {
                let ip_address = format!("203.0.113.{who}");
                let path = "/items/1/access-fees";
                let request = Request {
                    method: "GET",
                    path,
                    ip_address: &ip_address,
                    min_seq: 99,
                    ..Request::default()
                };
                let reply = block_on(pair.edge.app.handle(&request, MemoryBody::default()));
                if reply.reason == "origin" { 200 } else { 402 }
            },
        ),
        (
            "writes",
            |seen| seen.url.ends_with("/v2/items"),
            |pair, who| write_of(pair, &json!({"sub": "shop", "ctx": ["merchant"], "mid": who + 1})),
        ),
        (
            "sign-ins",
            |seen| seen.url.ends_with("/token") && seen.body.starts_with(b"grant_type=password"),
            |pair, who| sign_in(pair, &format!("203.0.113.{who}"), "grant_type=password&username=u"),
        ),
        (
            "refreshes",
            |seen| seen.url.ends_with("/token") && seen.body.starts_with(b"grant_type=refresh_token"),
            |pair, who| {
                sign_in(pair, &format!("203.0.113.{who}"), "grant_type=refresh_token&refresh_token=r")
            },
        ),
    ];
    for (failing, is_failing, _) in kinds {
        let pair = Pair::new(&[]);
        // Both items are published and in memory.
        assert_eq!(pair.edge.get("/items/1/access-fees", "").status, 200);
        pair.origin().serve(move |seen| {
            if is_failing(seen) {
                return UpstreamAnswer { status: 502, ..UpstreamAnswer::default() };
            }
            let item = if seen.url.contains("/items/2/") { 2 } else { 1 };
            answer(if seen.method == "GET" { 200 } else { 201 }, &access(item))
        });
        let (_, _, provoke) = kinds.iter().find(|(name, ..)| *name == failing).unwrap();
        let asked = pair.origin().seen().len();
        for who in 0..50 {
            assert!(!(200..300).contains(&provoke(&pair, who)), "{failing}");
        }
        let sent = pair.origin().seen().len() - asked;
        assert!(sent <= 3 * BREAKER_FAILURES as usize, "{failing}: {sent} sent until the circuit was open");
        for (name, _, ask) in &kinds {
            if *name != failing {
                let status = ask(&pair, 100);
                assert!((200..300).contains(&status), "{failing} closes {name}: {status}");
            }
        }
    }
}

/// Guesses from one address, however the upstream answers them, do not keep other viewers from signing in or
/// staying signed in.
#[test]
fn a_stranger_closes_no_sign_in() {
    let busy = told_to_wait(503, "5");
    let page = UpstreamAnswer { status: 503, ..UpstreamAnswer::default() };
    for given in [denial(401, "Wrong"), busy, page, told_to_wait(429, "30")] {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |seen| {
            if seen.body.ends_with(b"guess") {
                given.clone()
            } else {
                answer(200, &json!({"access_token": "t"}))
            }
        });
        for _ in 0..100 {
            sign_in(&pair, "198.51.100.7", "grant_type=password&username=u&password=guess");
            sign_in(&pair, "198.51.100.7", "grant_type=refresh_token&refresh_token=guess");
        }
        assert_eq!(sign_in(&pair, "203.0.113.1", "grant_type=password&username=v&password=right"), 200);
        assert_eq!(sign_in(&pair, "203.0.113.1", "grant_type=refresh_token&refresh_token=right"), 200);
        assert_eq!(
            send(&pair, "", "/accounts/authenticate", "203.0.113.1", "username=v&password=right"),
            200
        );
    }
}

/// Guesses on the sign-in page are not refreshes, whatever their form says.
#[test]
fn a_guess_that_calls_itself_a_refresh_closes_no_refresh() {
    let pair = Pair::new(&[]);
    pair.origin().serve(|seen| {
        let is_guess = seen.url.ends_with("/authorization");
        answer(if is_guess { 502 } else { 200 }, &json!({"access_token": "t"}))
    });
    let body = "grant_type=refresh_token&username=u&password=guess";
    for who in 0..50 {
        let status = send(&pair, "", "/oauth2/authorization", &format!("203.0.113.{who}"), body);
        assert!(matches!(status, 502 | 503), "{who}: {status}");
    }
    assert_eq!(sign_in(&pair, "198.51.100.1", "grant_type=refresh_token&refresh_token=r"), 200);
}

/// All writes of one merchant fail; those of other merchants succeed.
#[test]
fn a_merchant_closes_no_other_s_writes() {
    let pair = Pair::new(&[]);
    let shop = |mid: i64| json!({"sub": "shop", "ctx": ["merchant"], "mid": mid});
    let broken = token(&shop(7));
    pair.origin().serve(move |seen| {
        if seen.header("authorization").ends_with(&broken) {
            return UpstreamAnswer { status: 504, ..UpstreamAnswer::default() };
        }
        answer(201, &json!({"id": 1}))
    });
    for _ in 0..100 {
        assert!(matches!(write_of(&pair, &shop(7)), 502 | 503));
    }
    assert_eq!(pair.origin().seen().len(), BREAKER_FAILURES as usize);
    assert_eq!(write_of(&pair, &shop(8)), 201);
    // A merchant without an id is identified by the subject.
    assert_eq!(write_of(&pair, &json!({"sub": "other", "ctx": ["merchant"]})), 201);
    pair.edge.platform().clock().advance_ms(BREAKER_OPEN_MS);
    assert_eq!(write_of(&pair, &shop(7)), 502, "it is tried again");
}

/// For an hour ten accounts ask ten times a second each, and every buyer is confirmed.
#[test]
fn ten_accounts_leave_buyers_their_confirmations() {
    let pair = Pair::new(&[]);
    let mut items = (1..=100).cycle();
    for second in 0..60 {
        for _ in 0..10 {
            for bot in 0..10 {
                // Each question is new; an account does not repeat one within seconds.
                for item in items.by_ref().take(2) {
                    assert_ne!(pair.check(&format!("bot-{bot}"), item).status, 200);
                }
            }
            pair.edge.platform().clock().advance_ms(100);
        }
        for buyer in 0..10 {
            let subject = format!("buyer-{second}-{buyer}");
            pair.bought(&subject, 1);
            assert_eq!(pair.check(&subject, 1).status, 200, "{subject}");
        }
    }
}

/// A tenant with any number of accounts uses up the shared budget; another tenant's buyers have the reserve.
#[test]
fn a_tenant_leaves_others_their_confirmations() {
    let issuers = json!([
        {"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
         "keys": {"secret": "SECRET", "alg": "HS256"}},
        {"issuer": "https://w.example", "namespace": "w", "audience": "none_required", "merchants": [8],
         "keys": {"secret": "SECRET", "alg": "HS256"}},
    ])
    .to_string();
    // Tenants of another issuer, and of another merchant of the same issuer.
    let tenants: [fn(usize) -> serde_json::Value; 2] = [
        |bot| json!({"iss": "https://w.example", "sub": format!("bot-{bot}"), "mid": bot}),
        |bot| json!({"sub": format!("bot-{bot}"), "mid": 8}),
    ];
    for tenant in tenants {
        let pair = Pair::new(&[]);
        let edge = Edge::restricted(pair.edge.platform().beside(), &issuers, ORIGIN_URL);
        let pair = Pair { edge, truth: pair.truth };
        for second in 0..30 {
            for bot in 0..1_000 {
                pair.edge.get("/items/1/access", &token(&tenant(second * 1_000 + bot)));
            }
            for buyer in 0..10 {
                let subject = format!("buyer-{second}-{buyer}");
                pair.bought(&subject, 1);
                let buyer = token(&json!({"sub": subject, "mid": 7}));
                assert_eq!(pair.edge.get("/items/1/access", &buyer).status, 200, "{subject}");
            }
            pair.edge.advance_secs(1);
        }
    }
}

/// Reads without a token that insist on newer data than the snapshot's do not keep the upstream busy.
#[test]
fn strangers_who_insist_have_little_and_leave_others_everything() {
    let pair = Pair::new(&[]);
    for _ in 0..1_000 {
        assert_eq!(anonymous(&pair, "/items/1", "198.51.100.7", u64::MAX), 200, "the snapshot's");
    }
    assert_eq!(pair.asked(), ADDRESS_ASKS as usize);
    // All addresses of a network count as one.
    for host in 0..1_000 {
        anonymous(&pair, "/items/1", &format!("2001:db8::{host:x}"), u64::MAX);
    }
    assert_eq!(pair.asked(), 2 * ADDRESS_ASKS as usize);
    let pair = Pair::new(&[]);
    for second in 0..10 {
        for host in 0..1_000 {
            anonymous(&pair, "/items/1", &format!("10.{second}.{}.{}", host / 250, host % 250), u64::MAX);
        }
        pair.edge.advance_secs(1);
    }
    let per_sec = u64::from(CONFIRMS_PER_SEC) / ANONYMOUS_SHARE;
    assert_eq!(pair.asked() as u64, 2 * per_sec + 9 * per_sec);
    let asked = pair.asked();
    pair.bought(CUSTOMER, 1);
    assert_eq!((pair.status(1), pair.asked()), (200, asked + 1));
}

/// A customer who insists although the snapshot grants uses none of the budget that buyers need.
#[test]
fn who_insists_on_what_is_granted_leaves_buyers_their_confirmations() {
    let pair = Pair::new(&[]);
    Business::new(2, Some(START + 1_000_000)).publish(pair.edge.platform());
    pair.edge.advance_secs(61);
    pair.origin().serve(|seen| {
        if is_of(seen, CUSTOMER) {
            UpstreamAnswer { status: 504, ..UpstreamAnswer::default() }
        } else {
            answer(200, &access(2))
        }
    });
    for _ in 0..1_000 {
        assert_eq!(pair.check_with_min_seq("/items/1/access", 99).status, 200, "the snapshot's");
    }
    assert!(pair.asked() <= CUSTOMER_CONFIRMS as usize);
    assert_eq!(pair.check("buyer", 2).status, 200);
}

/// The same person with another merchant, account, role or scope: the upstream's answer for one says nothing
/// about another.
#[test]
fn what_is_remembered_belongs_to_all_that_a_token_says() {
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 50);
    let mut tokens = vec![json!({"sub": CUSTOMER, "mid": 7, "aid": 9, "scope": "a b"})];
    for (name, value) in [
        ("mid", json!(8)),
        ("mui", json!("11a7ed90-65d3-4ee2-9d91-4e1409678576")),
        ("aid", json!(10)),
        ("client_id", json!("tv")),
        ("scope", json!("a c")),
        ("ctx", json!(["merchant"])),
    ] {
        let mut claims = tokens[0].clone();
        claims[name] = value;
        tokens.push(claims);
    }
    for (asked, claims) in tokens.iter().enumerate() {
        for _ in 0..3 {
            assert_eq!(pair.edge.get("/items/50/access", &token(claims)).status, 200, "{claims}");
        }
        assert_eq!(pair.asked(), asked + 1, "{claims}");
    }
}

/// The upstream gets the parameters that a read has, as they were understood, and no others.
#[test]
fn no_more_of_a_query_than_is_understood() {
    let pair = Pair::new(&[]);
    for (target, sent) in [
        (
            "/items/packages/1/items?page=2&limit=007&a[]&a[]&a[]=%00",
            "/items/packages/1/items?page=2&limit=7",
        ),
        ("/items/packages/1/items", "/items/packages/1/items"),
        ("/items/1?a[]&a[]", "/items/1"),
    ] {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request { method: "GET", path, query, min_seq: 99, ..Request::default() };
        block_on(pair.edge.app.handle(&request, MemoryBody::default()));
        assert_eq!(pair.origin().seen().pop().unwrap().url, format!("{ORIGIN_URL}{sent}"));
    }
}
