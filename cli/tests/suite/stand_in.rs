//! A fake of a whole origin: export, changes, access checks, writes and keys, all correct except for one
//! flaw.

mod answer;
mod server;
mod world;
mod writes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use self::answer::Answer;

/// The bearer that may read export and changes.
pub const FEED_TOKEN: &str = "sync-job";
/// The merchant's bearer.
pub const MERCHANT: &str = "merchant";
/// The bearer of a customer who owns the item.
pub const OWNER: &str = "owner";
/// The bearer of a customer who does not own it.
pub const STRANGER: &str = "stranger";
/// The bearer of a customer who buys it.
pub const BUYER: &str = "buyer";
/// The id of the customer who buys it.
pub const BUYER_ID: i64 = 3;
/// The item.
pub const ITEM: i64 = 33;

/// A running origin.
pub struct StandIn {
    /// Its URL.
    pub url: String,
    shared: Arc<Shared>,
}

/// The state that its threads share.
pub struct Shared {
    flaw: &'static str,
    jwks: String,
    url: String,
    state: Mutex<State>,
}

/// The origin's data.
#[derive(Default)]
struct State {
    /// Lines of the feed; the first one is change 1.
    changes: Vec<String>,
    /// Accesses that the buyer holds.
    bought: u32,
    /// The id of the last access.
    last_access: u32,
    /// The number of exports that were read.
    exports: u32,
    /// Accesses of the stranger to another item, which change while others write.
    others: u32,
    /// For each idempotency key, the request and its answer.
    keys: BTreeMap<String, (String, Answer)>,
    /// Whether the buyer's next check ignores the last write.
    lags: bool,
    /// The number of requests that would change data.
    writes: u32,
}

impl Shared {
    /// Whether the origin has this flaw.
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    /// The time by its clock, in HTTP's format.
    #[expect(clippy::disallowed_methods, reason = "a test has a clock")]
    fn date(&self) -> String {
        let ahead_secs = match self.flaw {
            "clock-is-slow" => -3_600,
            "clock-is-fast" => 30,
            _ => 0,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        let at = chrono::DateTime::from_timestamp(now + ahead_secs, 0).unwrap();
        at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl StandIn {
    /// Starts an origin with this flaw, or with `""` for none. It runs until the tests end.
    pub fn start(flaw: &'static str, jwks: &str) -> Self {
        let (listener, url) = server::listen();
        // Three changes that do not concern the edge.
        let changes = (1..=3).map(|seq| format!("{{\"seq\":{seq}}}")).collect();
        let state = Mutex::new(State { changes, ..State::default() });
        let shared = Arc::new(Shared { flaw, jwks: jwks.to_owned(), url: url.clone(), state });
        server::serve(listener, Arc::clone(&shared));
        Self { url, shared }
    }

    /// Whether the buyer has no access left.
    pub fn is_clean(&self) -> bool {
        self.shared.state().bought == 0
    }

    /// The number of requests that would change data.
    pub fn writes(&self) -> u32 {
        self.shared.state().writes
    }
}
