//! Every issuer, capability and route: a token has at most the rights of its issuer, and of those only the
//! ones in its scopes.

use admit::snapshot::object::{Digest, ObjectKind, ObjectName};
use serde_json::{Value, json};

use super::{
    catalogue::Published,
    check::{Pages, error_body, problems},
    configured, issuers,
    subject::Subject,
    wire::{Payload, Wire},
    writes::{self, FORM, WRITES},
};

const MERCHANT: i64 = 2101;
const MERCHANT_UUID: &str = "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934";
const OTHER_MERCHANT: i64 = 3407;
const OTHER_UUID: &str = "b7d2e810-44c9-4f6e-9c15-0a8e6f3d2b71";

/// An issuer of the matrix.
#[derive(Clone, Debug)]
struct Issuer {
    name: String,
    /// Its `may`; empty for an issuer without the member.
    may: Vec<&'static str>,
    /// Whether it is limited to merchants; then to one.
    is_bound: bool,
}

impl Issuer {
    fn may(&self, capability: &str) -> bool {
        self.may.contains(&capability) || (self.may.is_empty() && capability == "view")
    }

    fn token(&self, subject: &dyn Subject, claims: &Value) -> String {
        issuers::token_by(&self.name, claims, subject.now() + 3_600)
    }
}

/// Every set of the capabilities that the edge's routes need, without and with `merchants`; and the
/// capabilities that no route needs.
fn all() -> Vec<Issuer> {
    const ASKED_FOR: [&str; 3] = ["view", "write", "publish"];
    let sets = (0..16_usize).map(|number| {
        let has = |bit: &usize| number & (1 << bit) != 0;
        let may = (0..ASKED_FOR.len()).filter(has).map(|bit| ASKED_FOR[bit]).collect();
        (may, has(&ASKED_FOR.len()))
    });
    let others = ["feed", "check", "explain"].map(|capability| (vec![capability], false));
    // To explain, an issuer needs another capability beside it, which says about which customers.
    let explainers = [
        (vec!["check", "explain"], false),
        (vec!["check", "explain"], true),
        (vec!["view", "explain"], false),
    ];
    let named = sets.chain(others).chain(explainers).enumerate();
    named
        .map(|(number, (may, is_bound))| Issuer {
            name: format!("https://issuer-{number}.example"),
            may,
            is_bound,
        })
        .collect()
}

/// The usual variables, with the issuers of the matrix added.
pub fn variables(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let entries = all().into_iter().map(|issuer| {
        let merchant = issuer.is_bound.then_some(MERCHANT);
        let mut entry = issuers::by_vendors_secret(&issuer.name, "vendor", &json!(issuer.may), merchant);
        if issuer.may.is_empty() {
            // Left out, it has a default.
            entry.as_object_mut().unwrap().remove("may");
        }
        entry
    });
    issuers::with_issuers(configured::variables(changes), entries)
}

struct Run<'a> {
    subject: &'a dyn Subject,
    sent: usize,
}

impl Run<'_> {
    /// Sends a request with a token. A refusal has the same words on every route.
    fn expect(&mut self, wire: &Wire, token: &str, status: u16, at: &str) {
        self.sent += 1;
        let wire = wire.clone().bearer(token);
        let answer = self.subject.send(&wire);
        let at = format!("{at}: {} -> {} {}", wire.describe(), answer.status, answer.text());
        assert_eq!(answer.status, status, "{at}");
        // `writes.rs` checks the origin's answers.
        if status >= 400 || wire.target.starts_with(b"/snapshot/") || wire.method == "GET" {
            assert_eq!(problems(&wire, &answer, Pages::All), [""; 0], "{at}");
        }
        if status == 403 && wire.method != "HEAD" {
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            // Support staff learn which customers their token may ask about.
            let (words, _) = message.split_once(": the token may ask").unwrap_or((&message, ""));
            assert_eq!(
                (words, answer.json()),
                ("Invalid privileges", error_body(403, &message, None)),
                "{at}"
            );
        }
    }
}

/// The right that a request of the publish API needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Read,
    Write,
    Collect,
    WriteOrCollect,
}

impl Right {
    fn is_in(self, scope: &str) -> bool {
        let has = |name: &str| scope.split(' ').any(|known| known == name || known == "snapshot:publish");
        match self {
            Self::Read => has("snapshot:read"),
            Self::Write => has("snapshot:write"),
            Self::Collect => has("snapshot:collect"),
            Self::WriteOrCollect => has("snapshot:write") || has("snapshot:collect"),
        }
    }
}

const SCOPES: [&str; 9] = [
    "",
    "openid snapshot:reader snapshot:*",
    "feed:read",
    "snapshot:read",
    "snapshot:write",
    "snapshot:collect",
    "snapshot:read snapshot:write",
    "snapshot:read snapshot:collect",
    "snapshot:publish",
];

/// Each request of the publish API, the right that it needs, and its status with that right. None changes
/// anything.
fn transfers(published: &Published) -> Vec<(Wire, Right, u16)> {
    let (name, object) = &published.built.objects[0];
    let path = format!("/snapshot/{name}");
    let in_use =
        published.built.objects.iter().map(|(name, _)| *name).find(|name| name.kind == ObjectKind::Shard);
    let unknown = ObjectName { kind: ObjectKind::Shard, digest: Digest([7; 32]) };
    let delete = |key: &str| Wire::new("DELETE", &format!("/snapshot/{key}"));
    let post = |path: &str, body: String| Wire {
        body: Payload::Whole(body.into_bytes()),
        ..Wire::new("POST", path)
    };
    let (read, write, collect, either) = (Right::Read, Right::Write, Right::Collect, Right::WriteOrCollect);
    vec![
        (Wire::get("/snapshot/head"), read, 200),
        (Wire::new("HEAD", "/snapshot/head"), read, 200),
        (Wire::get(&path), read, 200),
        (Wire::get("/snapshot/version/99"), read, 404),
        (Wire::get("/snapshot/lease"), read, 404),
        (Wire::get("/snapshot/keys?prefix=shard/"), read, 200),
        (Wire::get("/snapshot/issuers"), read, 200),
        (Wire::get("/snapshot/report"), read, 200),
        (Wire::new("HEAD", "/snapshot/report"), read, 200),
        (Wire::get("/snapshot/diff?from=head&to=head"), read, 200),
        (Wire::get("/snapshot/diff?from=99&to=head"), read, 404),
        (Wire::get("/snapshot/diff"), read, 422),
        (Wire::put(&path, object.clone()), write, 201),
        (Wire::put("/snapshot/head", b"x".to_vec()), write, 422),
        (Wire::put("/snapshot/version/7", b"x".to_vec()), write, 422),
        (post("/snapshot/pack", "x".to_owned()), write, 422),
        (post("/snapshot/check", name.to_string()), write, 200),
        (delete(&unknown.to_string()), collect, 204),
        (delete("version/99"), collect, 204),
        // An object in use stays, whatever the scope.
        (delete(&in_use.unwrap().to_string()), collect, 409),
        (Wire::put("/snapshot/lease", b"{}".to_vec()), either, 422),
        (delete("lease"), either, 204),
        (Wire::put("/snapshot/garbage", br#"{"at":1,"keys":[]}"#.to_vec()), either, 201),
    ]
}

/// Runs the matrix. Returns the number of requests. The subject has [`variables`] and an origin, and holds
/// `published`.
pub fn run(subject: &dyn Subject, published: &Published) -> usize {
    let mut run = Run { subject, sent: 0 };
    let transfers = transfers(published);
    for issuer in all() {
        let at = format!("{issuer:?}");
        reads(&mut run, &issuer, &at);
        merchants(&mut run, &issuer, &at);
        for scope in SCOPES {
            let claims = json!({"sub": "sync", "mid": MERCHANT, "ctx": ["merchant"], "scope": scope});
            let token = issuer.token(subject, &claims);
            for (wire, right, status) in &transfers {
                let is_allowed = issuer.may("publish") && !issuer.is_bound && right.is_in(scope);
                run.expect(wire, &token, if is_allowed { *status } else { 403 }, &format!("{at} {scope:?}"));
            }
        }
    }
    run.sent
}

fn reads(run: &mut Run<'_>, issuer: &Issuer, at: &str) {
    let holder = json!({"sub": "6fa04b30-448d-48ce-9362-f5f6039d98b4", "mid": MERCHANT, "ctx": ["merchant", "consumer"],
        "scope": "snapshot:publish feed:read view"});
    let nobody = json!({"sub": "nobody", "mid": MERCHANT, "ctx": ["consumer"]});
    for (claims, access) in [(&holder, 200), (&nobody, 402)] {
        let token = issuer.token(run.subject, claims);
        let mut checked = |path: &str, status: u16| {
            run.expect(&Wire::get(path), &token, if issuer.may("view") { status } else { 403 }, at);
        };
        checked("/items/5101/access", access);
        checked("/license", 200);
        // Without the right to ask, the number is not looked at.
        checked("/items/x/access", 422);
        let may_explain = issuer.may("explain") && (issuer.may("view") || issuer.may("check"));
        let own = if access == 200 { 200 } else { 404 };
        let mut looked = |path: &str, may: bool, status: u16| {
            run.expect(&Wire::get(path), &token, if may { status } else { 403 }, at);
        };
        looked("/customers/me", may_explain, own);
        looked("/customers/me?at=x", may_explain, 422);
        if access == 200 {
            looked(
                "/customers/vendor:687701d2-7eef-4ae9-a1be-cd432fc3af69",
                may_explain && issuer.may("check"),
                200,
            );
        }
        looked("/customers?number=88002", may_explain && issuer.may("check"), 200);
        let inspect = Wire::post("/tokens/inspect", br#"{"token": "x"}"#.to_vec())
            .header("Content-Type", "application/json");
        run.expect(&inspect, &token, if may_explain { 200 } else { 403 }, at);
        for path in ["/items/5101", "/items/5001/access-fees", "/items/packages/5001/items", "/healthz"] {
            run.expect(&Wire::get(path), &token, 200, at);
        }
    }
}

fn merchants(run: &mut Run<'_>, issuer: &Issuer, at: &str) {
    let own = json!({"mid": MERCHANT});
    for (claims, is_heard) in [
        (json!({"mid": MERCHANT, "mui": MERCHANT_UUID}), true),
        (own, true),
        (json!({"mid": OTHER_MERCHANT}), !issuer.is_bound),
        (json!({"mui": MERCHANT_UUID}), !issuer.is_bound),
        (json!({"mid": MERCHANT, "mui": OTHER_UUID}), !issuer.is_bound),
        (json!({"mid": OTHER_MERCHANT, "mui": MERCHANT_UUID}), !issuer.is_bound),
    ] {
        for (ctx, is_merchant) in [(json!(["merchant"]), true), (json!(["consumer"]), false)] {
            let mut all = json!({"sub": "shop", "ctx": ctx, "scope": "merchant write snapshot:publish"});
            all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            let token = issuer.token(run.subject, &all);
            for (method, target, status) in
                WRITES.into_iter().filter(|(_, target, _)| !target.contains("auth"))
            {
                let wire = match method {
                    "DELETE" => Wire::new(method, target),
                    _ => writes::write(method, target, FORM, "title=x"),
                };
                let is_allowed = issuer.may("write") && is_merchant && is_heard;
                run.expect(&wire, &token, if is_allowed { status } else { 403 }, &format!("{at} {all}"));
            }
        }
    }
}

/// The sample issuers, each trying to do another one's work: the publisher's key grants access, the viewers'
/// identity provider deletes an item, a viewer's token replaces the snapshot.
pub fn attacks(subject: &dyn Subject) -> usize {
    let mut run = Run { subject, sent: 0 };
    let token = |issuer: &str, claims: Value| {
        issuers::token(issuer, claims.as_object().unwrap(), subject.now() + 3_600)
    };
    let publisher = token("publisher", json!({"sub": "sync", "ctx": ["merchant"], "mid": OTHER_MERCHANT}));
    let grant =
        writes::write("POST", "/items/access", FORM, "item_id=6203&consumer_id=88026&expires_at=4102444800");
    run.expect(&grant, &publisher, 403, "a grant by the publisher's key");
    let viewer = token("cognito", json!({"sub": "a-viewer", "ctx": ["merchant"], "mid": MERCHANT}));
    run.expect(&Wire::new("DELETE", "/v2/items/5101"), &viewer, 403, "an item deleted by a viewers' issuer");
    let both = token(
        "cognito",
        json!({"sub": "a", "ctx": "merchant", "mid": MERCHANT, "scope": "snapshot:publish"}),
    );
    for (method, path) in
        [("GET", "/snapshot/head"), ("PUT", "/snapshot/head"), ("DELETE", "/snapshot/version/1")]
    {
        run.expect(&Wire::new(method, path), &both, 403, "the snapshot by a viewers' issuer");
    }
    // The vendor's own merchants may write, and its viewers may read.
    let merchant = token("vendor", json!({"sub": "shop", "ctx": ["merchant"], "mid": MERCHANT}));
    run.expect(&Wire::new("DELETE", "/v2/items/5101"), &merchant, 201, "a merchant");
    run.expect(&Wire::get("/license"), &subject.token("subscriber"), 200, "a viewer");
    run.sent
}
