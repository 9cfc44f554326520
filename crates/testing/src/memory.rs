//! A platform in memory for tests and tools: a clock that the test sets, and a store, issuers, limits and an
//! origin that fail on demand.
//!
//! Native only. Several platforms may share one [`MemoryStore`], as edges share a KV namespace.

mod lane;
mod limits;
mod origin;
mod store;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use admit::{
    app::{BodyError, RequestBody},
    ports::{IssuerKeys, IssuerKeysError, KeyAnswer, Log, Platform},
};
use admit_playback::{NativeSigner, ports::PlatformSigner};
use admit_token::{NativeVerifier, ports::Entropy};
pub use lane::{LaneFault, MemoryLane};
pub use limits::MemoryLimits;
pub use origin::{MemoryOrigin, OriginFault, SeenRequest};
pub use store::{Fault, KEY_MAX_BYTES, LIST_MAX_KEYS, MemoryStore, VALUE_MAX_BYTES, WRITE_PAUSE_MS};

/// A clock that only moves when it is set. Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct MemoryClock(Rc<Time>);

#[derive(Debug, Default)]
struct Time {
    now_ms: Cell<u64>,
    /// Whether pauses wait for the clock instead of moving it.
    is_awaited: Cell<bool>,
    /// The end of the pause that ends first, among those that were looked at since the clock moved.
    next_ms: Cell<Option<u64>>,
}

/// Whether a future asked to be polled again at once.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl MemoryClock {
    /// A clock that shows `now_ms`, milliseconds since the epoch.
    #[must_use]
    pub fn at(now_ms: u64) -> Self {
        let clock = Self::default();
        clock.set_ms(now_ms);
        clock
    }

    /// The current time, in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.0.now_ms.get()
    }

    /// Sets the time to `now_ms`, earlier or later.
    pub fn set_ms(&self, now_ms: u64) {
        self.0.now_ms.set(now_ms);
    }

    /// Makes pauses of requests and the latency of the store wait for [`run`](Self::run), so that they pass at the same
    /// time. Else each of them moves the clock, which is simpler where few requests run at once.
    pub fn await_pauses(&self) {
        self.0.is_awaited.set(true);
    }

    /// The outputs of futures that run at the same time, in their order, each with the moment at which it was there, in
    /// milliseconds since the epoch. The clock moves from the end of one pause to that of the next.
    ///
    /// # Panics
    /// If nothing would wake a future any more.
    pub fn run<T>(&self, futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<(T, u64)> {
        /// Passes over the futures without an end of a pause; each future yields a few times at most.
        const IDLE_MAX: u32 = 1_000;
        let mut outputs: Vec<Option<(T, u64)>> = futures.iter().map(|_| None).collect();
        let mut running: Vec<_> = futures.into_iter().enumerate().collect();
        let mut idle = 0;
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        while !running.is_empty() {
            running.retain_mut(|(position, future)| {
                match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Pending => true,
                    Poll::Ready(output) => {
                        if let Some(place) = outputs.get_mut(*position) {
                            *place = Some((output, self.now_ms()));
                        }
                        false
                    }
                }
            });
            // A future that only let others run goes on at the same moment.
            let has_yielded = woken.0.swap(false, Ordering::Relaxed);
            idle = match self.0.next_ms.take().filter(|_| !has_yielded) {
                Some(next_ms) => {
                    self.set_ms(next_ms.max(self.now_ms()));
                    0
                }
                None => idle + 1,
            };
            assert!(idle < IDLE_MAX, "the futures hang");
        }
        outputs.into_iter().flatten().collect()
    }

    /// Lets `ms` pass.
    async fn pass(&self, ms: u64) {
        if !self.0.is_awaited.get() {
            return self.advance_ms(ms);
        }
        let end_ms = self.now_ms().saturating_add(ms);
        std::future::poll_fn(|_| {
            if self.now_ms() >= end_ms {
                return Poll::Ready(());
            }
            let next_ms = self.0.next_ms.get().map_or(end_ms, |next_ms| next_ms.min(end_ms));
            self.0.next_ms.set(Some(next_ms));
            Poll::Pending
        })
        .await;
    }

    /// Advances the time by `ms`.
    pub fn advance_ms(&self, ms: u64) {
        self.set_ms(self.now_ms().saturating_add(ms));
    }

    /// Advances the time by `secs`.
    pub fn advance_secs(&self, secs: u64) {
        self.advance_ms(secs.saturating_mul(1_000));
    }
}

/// Issuers' JWKS documents, by URL.
#[derive(Debug, Default)]
pub struct MemoryKeys {
    documents: RefCell<HashMap<String, Result<KeyAnswer, String>>>,
    fetches: RefCell<Vec<String>>,
}

impl MemoryKeys {
    /// Answers requests for `url` with `document` from now on.
    pub fn serve(&self, url: &str, document: &[u8]) {
        self.documents.borrow_mut().insert(url.to_owned(), Ok(KeyAnswer::Document(document.to_vec())));
    }

    /// Redirects requests for `url` from now on.
    pub fn redirect(&self, url: &str, location: &str) {
        self.documents.borrow_mut().insert(url.to_owned(), Ok(KeyAnswer::Redirect(location.to_owned())));
    }

    /// Fails requests for `url` from now on.
    pub fn fail(&self, url: &str, problem: &str) {
        self.documents.borrow_mut().insert(url.to_owned(), Err(problem.to_owned()));
    }

    /// The URLs that were fetched, in order.
    #[must_use]
    pub fn fetches(&self) -> Vec<String> {
        self.fetches.borrow().clone()
    }
}

impl IssuerKeys for MemoryKeys {
    async fn fetch(&self, url: &str, limit_bytes: usize) -> Result<KeyAnswer, IssuerKeysError> {
        self.fetches.borrow_mut().push(url.to_owned());
        // Lets other futures run before the answer arrives.
        yield_once().await;
        match self.documents.borrow().get(url) {
            None => Err(IssuerKeysError("no such host".to_owned())),
            Some(Err(problem)) => Err(IssuerKeysError(problem.clone())),
            Some(Ok(KeyAnswer::Document(document))) if document.len() > limit_bytes => {
                Err(IssuerKeysError(format!("longer than {limit_bytes} bytes")))
            }
            Some(Ok(answer)) => Ok(answer.clone()),
        }
    }
}

/// Keeps log lines.
#[derive(Debug, Default)]
pub struct MemoryLog(RefCell<Vec<String>>);

impl MemoryLog {
    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// The lines so far; they are removed.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

impl Log for MemoryLog {
    fn log(&self, line: fmt::Arguments<'_>) {
        self.0.borrow_mut().push(line.to_string());
    }
}

/// Constant bytes instead of random ones, so that results can be compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedEntropy(pub [u8; 16]);

impl Entropy for FixedEntropy {
    fn random(&self) -> [u8; 16] {
        self.0
    }
}

/// A platform in memory. Signatures are verified by [`NativeVerifier`] and made by [`NativeSigner`].
#[derive(Debug, Default)]
pub struct MemoryPlatform {
    clock: MemoryClock,
    store: Rc<MemoryStore>,
    lane: Rc<MemoryLane>,
    keys: Rc<MemoryKeys>,
    origin: Rc<MemoryOrigin>,
    limits: Rc<MemoryLimits>,
    log: MemoryLog,
    entropy: FixedEntropy,
    verifier: NativeVerifier,
}

impl MemoryPlatform {
    /// A platform with an empty store at `now_ms`, milliseconds since the epoch.
    #[must_use]
    pub fn at(now_ms: u64) -> Self {
        let clock = MemoryClock::at(now_ms);
        Self {
            store: Rc::new(MemoryStore::new(clock.clone())),
            origin: Rc::new(MemoryOrigin::new(clock.clone())),
            limits: Rc::new(MemoryLimits::new(clock.clone())),
            clock,
            ..Self::default()
        }
    }

    /// Another platform that shares clock, store, lane, issuers, origin and limits, like a second isolate.
    #[must_use]
    pub fn beside(&self) -> Self {
        let Self { clock, store, lane, keys, origin, limits, .. } = self;
        Self {
            clock: clock.clone(),
            store: store.clone(),
            lane: lane.clone(),
            keys: keys.clone(),
            origin: origin.clone(),
            limits: limits.clone(),
            ..Self::default()
        }
    }

    /// The clock.
    pub const fn clock(&self) -> &MemoryClock {
        &self.clock
    }

    /// The log.
    pub const fn memory_log(&self) -> &MemoryLog {
        &self.log
    }
}

impl Platform for MemoryPlatform {
    type Verifier = NativeVerifier;
    type Store = MemoryStore;
    type Lane = MemoryLane;
    type Keys = MemoryKeys;
    type Upstream = MemoryOrigin;
    type Limits = MemoryLimits;

    fn verifier(&self) -> &NativeVerifier {
        &self.verifier
    }

    fn signer(&self) -> &dyn PlatformSigner {
        &NativeSigner
    }

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn lane(&self) -> &MemoryLane {
        &self.lane
    }

    fn keys(&self) -> &MemoryKeys {
        &self.keys
    }

    fn upstream(&self) -> &MemoryOrigin {
        &self.origin
    }

    fn limits(&self) -> &MemoryLimits {
        &self.limits
    }

    fn log(&self) -> &dyn Log {
        &self.log
    }

    fn entropy(&self) -> &dyn Entropy {
        &self.entropy
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    async fn sleep(&self, ms: u64) {
        // What is there at once is there before the pause ends, also where pauses move the clock.
        yield_once().await;
        self.clock.pass(ms).await;
        yield_once().await;
    }
}

/// Yields once, so that other futures can run.
pub(crate) async fn yield_once() {
    let mut is_second = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_second, true) {
            return Poll::Ready(());
        }
        // A joined future is polled again only if it asks for it.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A request body, complete or cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryBody {
    /// The bytes that arrive.
    pub bytes: Vec<u8>,
    /// Whether the client goes away after these bytes.
    pub is_interrupted: bool,
    /// Whether the client sends no `Content-Length`.
    pub is_chunked: bool,
}

impl From<Vec<u8>> for MemoryBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }
}

impl RequestBody for MemoryBody {
    type Stream = Self;

    async fn read(&mut self, limit_bytes: usize) -> Result<Vec<u8>, BodyError> {
        if self.bytes.len() > limit_bytes {
            return Err(BodyError::TooLarge);
        }
        if self.is_interrupted { Err(BodyError::Interrupted) } else { Ok(std::mem::take(&mut self.bytes)) }
    }

    fn declared_bytes(&self) -> Option<usize> {
        // A body that is cut off has declared more bytes.
        Some(self.bytes.len() + usize::from(self.is_interrupted)).filter(|_| !self.is_chunked)
    }

    fn stream(&mut self, keep: bool) -> Option<Self> {
        Some(if keep { self.clone() } else { std::mem::take(self) })
    }
}

/// Polls a future once, for tests that hold several at the same time. The test must poll it again.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of a future that waits only for memory.
///
/// # Panics
/// If the future hangs, since nothing would wake it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    /// Each round of a joined future takes one poll; no test joins more than this.
    const POLLS_MAX: usize = 100_000;
    let mut future = pin!(future);
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    #[expect(clippy::panic, reason = "a test that would wait for ever must fail")]
    {
        panic!("the future hangs")
    }
}

#[cfg(test)]
mod tests {
    use admit::ports::ObjectStore as _;

    use super::*;

    #[test]
    fn latency_moves_the_clock() {
        let platform = MemoryPlatform::at(1_000);
        platform.store().set_latency_ms(20);
        assert_eq!(block_on(platform.store().get("k")), Ok(None));
        assert_eq!(platform.beside().now_ms(), 1_020);
    }

    #[test]
    fn issuers_answer_fail_and_are_counted() {
        let keys = MemoryKeys::default();
        keys.serve("https://i.example/jwks", b"{}");
        assert_eq!(
            block_on(keys.fetch("https://i.example/jwks", 2)),
            Ok(KeyAnswer::Document(b"{}".to_vec()))
        );
        assert!(block_on(keys.fetch("https://i.example/jwks", 1)).is_err());
        keys.fail("https://i.example/jwks", "status 500");
        assert!(block_on(keys.fetch("https://i.example/jwks", 2)).is_err());
        assert_eq!(keys.fetches().len(), 3);
    }
}
