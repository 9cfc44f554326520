//! The edge of these tests: a small business, published into a store in memory, and isolates that answer from
//! it.

use admit::{
    api::reply::{Reply, Request},
    app::App,
    config::Config,
    ports::Platform as _,
    snapshot::{
        head::{HEAD_TYPE, Head},
        object::ObjectName,
    },
};
use admit_publish::build::build_ndjson;
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on, poll_once};
use futures_util::future::join_all;
use jwt_compact::{
    Algorithm, AlgorithmSignature as _,
    alg::{Ed25519, Hs256, Hs256Key},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

use crate::issuers::compact;

/// When the tests start, in unix seconds.
pub const START: i64 = 1_800_000_000;

/// The customer of every business here.
pub const CUSTOMER: &str = "alice";

/// The content of every item, which playback signs. It names no media id, so that the snapshot has no external ids.
pub const CONTENT: &str = r#"{"film":"m1","url":"https://media.example.com/films/1/main.m3u8"}"#;

pub const JWKS_URL: &str = "https://i.example/jwks";

const SECRET: &str = "a secret of thirty-two bytes or more";
const CACHE_SECRET: &str = "another secret of thirty-two bytes";

/// RFC 8032 §7.1, tests 1 and 2: the publisher's key, and a stranger's.
const KEYS: [(&str, &str); 2] = [
    ("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
    ("TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"),
];

/// The owner of a key.
#[derive(Clone, Copy)]
pub enum Signer {
    Publisher,
    Stranger,
}

impl Signer {
    fn jwk(self, with_secret: bool) -> Value {
        let (d, x) = KEYS[self as usize];
        let mut jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k", "x": x});
        if with_secret {
            jwk["d"] = d.into();
        }
        jwk
    }

    pub fn jwks(self) -> String {
        json!({"keys": [self.jwk(false)]}).to_string()
    }

    pub fn sign(self, typ: &str, payload: &Value) -> String {
        self.sign_under(&json!({"alg": "EdDSA", "kid": "k", "typ": typ}), payload)
    }

    /// Without a `kid`.
    pub fn sign_nameless(self, typ: &str, payload: &Value) -> String {
        self.sign_under(&json!({"alg": "EdDSA", "typ": typ}), payload)
    }

    fn sign_under(self, header: &Value, payload: &Value) -> String {
        let jwk: JsonWebKey<'_> = serde_json::from_value(self.jwk(true)).unwrap();
        let key = <Ed25519 as Algorithm>::SigningKey::try_from(&jwk).unwrap();
        compact(header, payload.to_string().as_bytes(), |message| {
            Ed25519.sign(&key, message).as_bytes().into_owned()
        })
    }
}

/// A viewer's token from the issuer with the shared secret.
pub fn viewer() -> String {
    token(&json!({"sub": CUSTOMER}))
}

/// A token with these claims from the issuer with the shared secret.
pub fn token(claims: &Value) -> String {
    let key = Hs256Key::new(SECRET);
    let mut all = json!({"iss": "https://v.example", "exp": START + 100_000});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    compact(&json!({"alg": "HS256"}), all.to_string().as_bytes(), |message| {
        Hs256.sign(&key, message).as_bytes().into_owned()
    })
}

/// A viewer's token from the issuer whose keys are fetched.
pub fn fetched_viewer() -> String {
    let claims = json!({"iss": "https://i.example", "sub": CUSTOMER, "exp": START + 100_000});
    Signer::Publisher.sign("JWT", &claims)
}

/// A check of item 1.
pub fn check_request(authorization: &str) -> Request<'_> {
    Request { method: "GET", path: "/items/1/access", authorization, ..Request::default() }
}

/// A business: item 1 belongs to the customer until `expires_at`; item 2 was not bought.
pub struct Business {
    pub head: Head,
    pub objects: Vec<(ObjectName, Vec<u8>)>,
}

impl Business {
    pub fn new(seq: u64, expires_at: Option<i64>) -> Self {
        let access = expires_at.map(|at| json!({"id": 5, "item_id": 1, "created_at": 1, "expires_at": at}));
        Self::with_accesses(seq, access.as_slice())
    }

    /// With these accesses of the customer.
    pub fn with_accesses(seq: u64, accesses: &[Value]) -> Self {
        let item = |id: i64| {
            json!({
                "type": "item", "id": id, "merchant_id": 7, "title": "t", "is_active": true,
                "access_control_type": {"id": 4, "name": "Paid", "auth": true},
                "item_type": {"id": 44, "name": "jw_asset", "content_type": "ovp", "host": "h", "description": "d"},
                "content": CONTENT, "created_at": 1, "updated_at": 1,
            })
        };
        let uuid = "11a7ed90-65d3-4ee2-9d91-4e1409678576";
        let customer = |namespace: &str| {
            json!({
                "type": "customer", "namespace": namespace, "subject": CUSTOMER, "id": 9, "uuid": uuid, "merchant_id": 7,
                "accesses": accesses,
            })
        };
        let merchant = json!({"type": "merchant", "id": 7, "uuid": uuid});
        let ndjson: Vec<_> =
            [merchant, item(1), item(2), customer("v"), customer("i")].iter().map(Value::to_string).collect();
        let built = build_ndjson(ndjson.join("\n").as_bytes(), START).unwrap();
        let head = built.head(seq, START);
        Self { head, objects: built.objects }
    }

    pub fn jws(&self, signer: Signer) -> String {
        signer.sign(HEAD_TYPE, &serde_json::to_value(&self.head).unwrap())
    }

    /// Puts the objects and then the head directly into the store.
    pub fn publish(&self, platform: &MemoryPlatform) {
        self.publish_objects(platform);
        platform.store().insert("head", self.jws(Signer::Publisher).as_bytes());
    }

    pub fn publish_objects(&self, platform: &MemoryPlatform) {
        for (name, object) in &self.objects {
            platform.store().insert(&name.to_string(), object);
        }
    }
}

/// An isolate.
pub struct Edge {
    pub app: App<MemoryPlatform>,
}

impl Edge {
    pub fn new(platform: MemoryPlatform) -> Self {
        Self::configured(platform, &[])
    }

    /// With variables beside the usual ones, or instead of them. An empty value means "not set".
    pub fn configured(platform: MemoryPlatform, variables: &[(&str, &str)]) -> Self {
        let issuers = json!([
            {"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
             "may": ["view", "write"], "keys": {"secret": "SECRET", "alg": "HS256"}},
            {"issuer": "https://i.example", "namespace": "i", "audience": "none_required", "may_publish": true,
             "keys": {"jwks_url": JWKS_URL}},
        ]);
        Self::with_issuers(platform, &issuers.to_string(), variables)
    }

    /// With other issuers, and variables beside the usual ones or instead of them.
    pub fn with_issuers(platform: MemoryPlatform, issuers: &str, variables: &[(&str, &str)]) -> Self {
        let config = Config::parse(&|name| match name {
            "ISSUERS" => Some(issuers.to_owned()),
            "SNAPSHOT_KEYS" => Some(Signer::Publisher.jwks()),
            "SECRET" => Some(SECRET.to_owned()),
            _ => {
                let usual = [("JWKS_CACHE_SECRET", CACHE_SECRET)];
                let found = variables.iter().chain(&usual).find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned()).filter(|value| !value.is_empty())
            }
        });
        Self { app: App::new(platform, config.unwrap()).unwrap() }
    }

    /// With other issuers than the usual ones. With an empty URL there is no origin.
    pub fn restricted(platform: MemoryPlatform, issuers: &str, origin_url: &str) -> Self {
        let config = Config::parse(&|name| match name {
            "ISSUERS" => Some(issuers.to_owned()),
            "SNAPSHOT_KEYS" => Some(Signer::Publisher.jwks()),
            "SECRET" => Some(SECRET.to_owned()),
            "ORIGIN_URL" => Some(origin_url.to_owned()).filter(|url| !url.is_empty()),
            _ => None,
        });
        Self { app: App::new(platform, config.unwrap()).unwrap() }
    }

    pub fn started() -> Self {
        Self::new(MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000))
    }

    /// An isolate with the same store, clock and issuers.
    pub fn beside(&self) -> Self {
        Self::new(self.platform().beside())
    }

    pub fn platform(&self) -> &MemoryPlatform {
        self.app.platform()
    }

    pub fn advance_secs(&self, secs: u64) {
        self.platform().clock().advance_secs(secs);
    }

    /// `target` may have a query.
    pub fn get(&self, target: &str, token: &str) -> Reply {
        let authorization = format!("Bearer {token}");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request =
            Request { method: "GET", path, query, authorization: &authorization, ..Request::default() };
        block_on(self.app.handle(&request, MemoryBody::default()))
    }

    /// A publisher's `Authorization`, whose keys can be fetched from now on.
    pub fn publisher_authorization(&self) -> String {
        self.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
        let claims = json!({
            "iss": "https://i.example", "sub": "sync", "scope": "snapshot:publish", "exp": START + 100_000,
        });
        format!("Bearer {}", Signer::Publisher.sign("JWT", &claims))
    }

    /// Calls the publish API with a token that may publish. `target` may have a query.
    pub fn publish(&self, method: &str, target: &str, holder: &str, body: impl Into<MemoryBody>) -> Reply {
        let authorization = self.publisher_authorization();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request =
            Request { method, path, query, holder, authorization: &authorization, ..Request::default() };
        block_on(self.app.handle(&request, body.into()))
    }

    /// Puts a head with the publish API.
    pub fn put_head(&self, business: &Business) -> u16 {
        self.publish("PUT", "/snapshot/head", "", business.jws(Signer::Publisher).into_bytes()).status
    }

    /// Checks item 1 for `count` viewers at the same time.
    pub fn check_at_once(&self, token: &str, count: usize) -> Vec<u16> {
        let authorization = format!("Bearer {token}");
        let request = check_request(&authorization);
        let checks = (0..count).map(|_| self.app.handle(&request, MemoryBody::default()));
        block_on(join_all(checks)).into_iter().map(|reply| reply.status).collect()
    }

    /// Two checks of item 1 behind one that never ends.
    pub fn check_behind_one_that_hangs(&self) -> Vec<u16> {
        let authorization = format!("Bearer {}", viewer());
        let request = check_request(&authorization);
        let mut hanging = Box::pin(self.app.handle(&request, MemoryBody::default()));
        for _ in 0..20 {
            assert!(poll_once(&mut hanging).is_pending());
        }
        let checks = (0..2).map(|_| self.app.handle(&request, MemoryBody::default()));
        block_on(join_all(checks)).into_iter().map(|reply| reply.status).collect()
    }

    /// The status of a check of item 1.
    pub fn check(&self) -> u16 {
        self.get("/items/1/access", &viewer()).status
    }

    /// Does what the platform does after an answer.
    pub fn refresh_behind(&self) -> bool {
        let refresh = self.app.begin_refresh();
        let is_due = refresh.is_some();
        if let Some(refresh) = refresh {
            block_on(self.app.refresh(refresh));
        }
        is_due
    }
}
