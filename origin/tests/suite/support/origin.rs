//! An origin in this process: a real server on a real database, with a clock that tests move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use origin::{clock::Clock, db, db::import::import, server, settings::Settings};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    Ask, CUSTOMER, CUSTOMER_SUBJECT, Dir, FEED_SECRET, MERCHANT, OTHER_MERCHANT, Response, samples,
    tokens::{signed, variables},
};

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

    /// A write by the merchant.
    pub fn write<'a>(&'a self, method: &'a str, path: &str, form: &str) -> Response {
        self.ask(method, path).bearer(&self.merchant()).form(form).send()
    }

    /// The customer's check of the item.
    pub fn check(&self, item_id: i64) -> Response {
        self.ask("GET", &format!("/items/{item_id}/access")).bearer(&self.customer()).send()
    }

    pub fn grant(&self, item_id: i64) -> Response {
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

    /// A token of the vendor, valid for an hour unless the claims say otherwise.
    pub fn token(&self, claims: Value) -> String {
        self.token_of("https://vendor.dev.admit.example", claims)
    }

    pub fn token_of(&self, issuer: &str, claims: Value) -> String {
        let mut all = json!({"iss": issuer, "aud": "admit-dev", "exp": self.now() + 3_600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        signed(&all)
    }

    pub fn feed(&self, path: &str) -> Response {
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
