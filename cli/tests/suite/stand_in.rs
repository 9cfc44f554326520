//! A stand-in for a whole origin: export, changes, access checks, writes and keys, all as they should be, but for
//! one flaw.

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
/// The bearer of one who does not.
pub const STRANGER: &str = "stranger";
/// The bearer of one who buys it.
pub const BUYER: &str = "buyer";
/// The number of the one who buys it.
pub const BUYER_ID: i64 = 3;
/// The item.
pub const ITEM: i64 = 33;

/// A running origin.
pub struct StandIn {
    /// Where it answers.
    pub url: String,
    shared: Arc<Shared>,
}

/// What its threads share.
pub struct Shared {
    flaw: &'static str,
    jwks: String,
    url: String,
    state: Mutex<State>,
}

/// What it knows.
#[derive(Default)]
struct State {
    /// Lines of the feed; the first is change 1.
    changes: Vec<String>,
    /// Accesses that the buyer holds.
    bought: u32,
    /// The last number of an access.
    last_access: u32,
    /// Exports that were read.
    exports: u32,
    /// Accesses that the stranger holds on another item, while others write.
    others: u32,
    /// What was sent with keys of idempotency, and answered.
    keys: BTreeMap<String, (String, Answer)>,
    /// Whether the buyer's next check is answered as if the last write had not been made.
    lags: bool,
    /// Requests that would change something.
    writes: u32,
}

impl Shared {
    /// Whether this is its flaw.
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    /// The time by its clock, as HTTP writes it.
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
    /// Starts one with this flaw, or none. It answers until the tests end.
    pub fn start(flaw: &'static str, jwks: &str) -> Self {
        let (listener, url) = server::listen();
        // Three changes that do not concern the edge.
        let changes = (1..=3).map(|seq| format!("{{\"seq\":{seq}}}")).collect();
        let state = Mutex::new(State { changes, ..State::default() });
        let shared = Arc::new(Shared { flaw, jwks: jwks.to_owned(), url: url.clone(), state });
        server::serve(listener, Arc::clone(&shared));
        Self { url, shared }
    }

    /// Whether the buyer has been left with nothing.
    pub fn is_clean(&self) -> bool {
        self.shared.state().bought == 0
    }

    /// How many requests would have changed something.
    pub fn writes(&self) -> u32 {
        self.shared.state().writes
    }
}
