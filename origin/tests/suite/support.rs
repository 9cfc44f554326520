//! An origin to ask, and whoever asks it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs256Key},
};
use origin::{clock::Clock, db, db::import::import, server, settings::Settings};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The merchant of the sample catalogue in whose name most tests write.
pub const MERCHANT: i64 = 2101;
pub const MERCHANT_UUID: &str = "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934";
pub const OTHER_MERCHANT: i64 = 3407;
/// A customer who holds nothing, by number and by subject.
pub const CUSTOMER: i64 = 88_005;
pub const CUSTOMER_SUBJECT: &str = "f6421bd1-fb4f-4718-80ed-c6da1d205fa5";
pub const FEED_SECRET: &str = "feed-secret-feed-secret-feed-secret";
const SECRET: &str = "a secret of at least thirty-two bytes";

pub fn samples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name)
}

/// A directory of a test's own, removed with it.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("origin-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn db(&self) -> PathBuf {
        self.0.join("origin.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The issuers of the samples, all with a shared secret.
pub fn variables() -> BTreeMap<String, String> {
    let issuer = |issuer: &str, namespace: &str, audience: Value, may: &[&str]| {
        json!({
            "issuer": issuer, "namespace": namespace, "audience": audience, "may": may, "test_clients": true,
            "keys": {"secret": "TEST_SECRET", "alg": "HS256"},
        })
    };
    let dev = json!({"any_of": ["admit-dev"]});
    let issuers = json!([
        issuer("https://vendor.dev.admit.example", "vendor", dev.clone(), &["view", "write"]),
        issuer("https://cognito.dev.admit.example/pool", "cognito", json!("none_required"), &["view"]),
        issuer("https://publisher.dev.admit.example", "publisher", dev, &["publish"]),
    ]);
    BTreeMap::from([
        ("ISSUERS".to_owned(), issuers.to_string()),
        ("TEST_SECRET".to_owned(), SECRET.to_owned()),
        ("LOG_CHECKS".to_owned(), "none".to_owned()),
        ("TRUSTED_COUNTRY_HEADER".to_owned(), "x-country".to_owned()),
    ])
}

/// A server in this process, on the sample catalogue.
pub struct Origin {
    pub url: String,
    pub dir: Dir,
    pub settings: Settings,
    clock: Arc<AtomicI64>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Origin {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = Dir::new();
        let clock = Arc::new(AtomicI64::new(Clock::system().now()));
        let mut settings = Settings::new(dir.db(), "https://origin.example".to_owned());
        settings.clock = Clock::set(Arc::clone(&clock));
        settings.feed_secret = Some(FEED_SECRET.to_owned());
        settings.variables = variables();
        settings.allows_password_grant = true;
        change(&mut settings);
        let mut connection = db::open(&settings.db).unwrap();
        import(&mut connection, &samples("catalogue"), settings.clock.now()).unwrap();
        let (url, end, thread) = serve(settings.clone());
        Self { url, dir, settings, clock, end: Some(end), thread: Some(thread) }
    }

    /// Ends the server and starts another on the same database.
    pub fn restart(&mut self) {
        self.stop();
        let (url, end, thread) = serve(self.settings.clone());
        (self.url, self.end, self.thread) = (url, Some(end), Some(thread));
    }

    fn stop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub fn advance(&self, secs: i64) {
        self.clock.fetch_add(secs, Ordering::SeqCst);
    }

    pub fn connection(&self) -> rusqlite::Connection {
        db::connect_to(&self.settings.db).unwrap()
    }

    pub fn seq(&self) -> u64 {
        db::seq(&self.connection()).unwrap()
    }

    pub fn ask<'a>(&'a self, method: &'a str, path: &str) -> Ask<'a> {
        Ask::new(method, format!("{}{path}", self.url))
    }

    /// A write in the merchant's name.
    pub fn write<'a>(&'a self, method: &'a str, path: &str, form: &str) -> Answer {
        self.ask(method, path).bearer(&self.merchant()).form(form).send()
    }

    /// Whether the customer may play the item.
    pub fn check(&self, item_id: i64) -> Answer {
        self.ask("GET", &format!("/items/{item_id}/access")).bearer(&self.customer()).send()
    }

    pub fn grant(&self, item_id: i64) -> Answer {
        let form = format!("item_id={item_id}&consumer_id={CUSTOMER}&expires_at={}", self.now() + 3_600);
        self.write("POST", "/items/access", &form)
    }

    pub fn merchant(&self) -> String {
        self.token(json!({"sub": "merchant", "mid": MERCHANT, "ctx": ["merchant"]}))
    }

    pub fn other_merchant(&self) -> String {
        self.token(json!({"sub": "other", "mid": OTHER_MERCHANT, "ctx": ["merchant"]}))
    }

    pub fn customer(&self) -> String {
        self.token(json!({"sub": CUSTOMER_SUBJECT, "mid": MERCHANT, "ctx": ["consumer"]}))
    }

    /// A token of the vendor, with an hour to live unless the claims say otherwise.
    pub fn token(&self, claims: Value) -> String {
        self.token_of("https://vendor.dev.admit.example", claims)
    }

    pub fn token_of(&self, issuer: &str, claims: Value) -> String {
        let mut all = json!({"iss": issuer, "aud": "admit-dev", "exp": self.now() + 3_600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        signed(&all)
    }

    pub fn feed(&self, path: &str) -> Answer {
        self.ask("GET", path).bearer(FEED_SECRET).send()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(settings: Settings) -> (String, oneshot::Sender<()>, thread::JoinHandle<()>) {
    let (end, ended) = oneshot::channel::<()>();
    let (send_url, url) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send_url.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            server::serve(settings, listener, async { drop(ended.await) }).await.unwrap();
        });
    });
    (url.recv().unwrap(), end, thread)
}

pub fn signed(claims: &Value) -> String {
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let head = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = Hs256.sign(&Hs256Key::new(SECRET.as_bytes()), head.as_bytes());
    format!("{head}.{}", Base64UrlUnpadded::encode_string(&signature.as_bytes()))
}

/// A request.
pub struct Ask<'a> {
    method: &'a str,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl<'a> Ask<'a> {
    pub fn new(method: &'a str, url: String) -> Self {
        Self { method, url, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        let value = format!("Bearer {token}");
        self.header("authorization", &value)
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Whatever the headers say of it.
    pub fn bytes(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub fn form(self, form: &str) -> Self {
        if form.is_empty() { self } else { self.body("application/x-www-form-urlencoded", form) }
    }

    pub fn json(self, json: &Value) -> Self {
        self.body("application/json", json.to_string())
    }

    pub fn send(self) -> Answer {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .build();
        let agent = ureq::Agent::new_with_config(config);
        let mut request = ureq::http::Request::builder().method(self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = if self.body.is_empty() {
            agent.run(request.body(()).unwrap()).unwrap()
        } else {
            agent.run(request.body(self.body).unwrap()).unwrap()
        };
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        Answer { status: response.status().as_u16(), headers, text }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub fn seq(&self) -> u64 {
        self.header("entitlement-seq").unwrap().parse().unwrap()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// An error in the one body that all have, with this message.
    #[track_caller]
    pub fn refused(self, status: u16, message: &str) -> Self {
        let answer = self.expect(status);
        let json = answer.json();
        assert_eq!((&json["code"], &json["message"]), (&json!(status), &json!(message)));
        let errors = json["errors"].as_object().unwrap();
        assert!(!errors.is_empty() && errors.values().all(Value::is_string), "{errors:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        answer
    }

    /// 422 with exactly these fields.
    #[track_caller]
    pub fn invalid(self, fields: &[&str]) -> Self {
        let answer = self.expect(422);
        let json = answer.json();
        let named: Vec<_> = json["errors"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, fields, "{}", answer.text);
        answer
    }

    pub fn lines(&self) -> Vec<Value> {
        self.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
