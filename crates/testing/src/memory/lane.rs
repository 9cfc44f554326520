//! A fresh lane in memory that fails on demand.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::Poll,
};

use admit::ports::{FreshLane, LaneError};
use admit_snapshot::{head::Head, head_value::HeadValue, store_key::copied_bytes};
use base64ct::{Base64UrlUnpadded, Encoding as _};

/// What the lane does with a question instead of answering it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneFault {
    /// It fails.
    Error,
    /// It never answers.
    Hangs,
    /// It says that no head was announced.
    Nothing,
    /// It says these bytes.
    Says(Vec<u8>),
}

/// A lane in memory: the newest announced head, and a cache before it that is purged on demand. There is none until it
/// is opened.
#[derive(Debug, Default)]
pub struct MemoryLane {
    is_there: Cell<bool>,
    newest: RefCell<Option<Vec<u8>>>,
    /// What the cache says until it is purged; `None` without a cache.
    cached: RefCell<Option<Option<Vec<u8>>>>,
    is_cached: Cell<bool>,
    /// Faults of the next questions, and the one of all further ones.
    faults: RefCell<VecDeque<Option<LaneFault>>>,
    broken: RefCell<Option<LaneFault>>,
    is_deaf: Cell<bool>,
    /// Whether the next announcement waits, and whether one that waits goes on.
    holds_next: Cell<bool>,
    is_released: Cell<bool>,
    asked: Cell<usize>,
    announced: Cell<usize>,
}

impl MemoryLane {
    /// Opens the lane, for isolates that start from now on.
    pub fn open(&self) {
        self.is_there.set(true);
    }

    /// Puts a cache before the lane, which repeats its answer until [`purge`](Self::purge).
    pub fn cache(&self) {
        self.is_cached.set(true);
    }

    /// Empties the cache.
    pub fn purge(&self) {
        *self.cached.borrow_mut() = None;
    }

    /// Sets what the lane says, whatever was announced.
    pub fn set(&self, value: Option<&[u8]>) {
        *self.newest.borrow_mut() = value.map(<[u8]>::to_vec);
    }

    /// What the lane would say.
    #[must_use]
    pub fn peek(&self) -> Option<Vec<u8>> {
        self.newest.borrow().clone()
    }

    /// Gives the next questions these faults, one after another; `None` is a right answer.
    pub fn faults(&self, faults: impl IntoIterator<Item = Option<LaneFault>>) {
        self.faults.borrow_mut().extend(faults);
    }

    /// Gives all questions this fault from now on, or none.
    pub fn break_with(&self, fault: Option<LaneFault>) {
        *self.broken.borrow_mut() = fault;
    }

    /// Makes announcements fail from now on, or ends that.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.is_deaf.set(is_deaf);
    }

    /// Makes the next announcement wait until [`release`](Self::release).
    pub fn hold_next(&self) {
        self.holds_next.set(true);
        self.is_released.set(false);
    }

    /// Lets the announcement that waits go on.
    pub fn release(&self) {
        self.is_released.set(true);
    }

    /// The number of questions so far.
    #[must_use]
    pub const fn asked(&self) -> usize {
        self.asked.get()
    }

    /// The number of announcements so far.
    #[must_use]
    pub const fn announced(&self) -> usize {
        self.announced.get()
    }
}

impl FreshLane for MemoryLane {
    fn is_there(&self) -> bool {
        self.is_there.get()
    }

    async fn newest(&self) -> Result<Option<Vec<u8>>, LaneError> {
        self.asked.set(self.asked.get() + 1);
        let fault = self.faults.borrow_mut().pop_front();
        let said = match fault.unwrap_or_else(|| self.broken.borrow().clone()) {
            None if self.is_cached.get() => {
                let mut cached = self.cached.borrow_mut();
                Ok(cached.get_or_insert_with(|| self.newest.borrow().clone()).clone())
            }
            None => Ok(self.newest.borrow().clone()),
            Some(LaneFault::Nothing) => Ok(None),
            Some(LaneFault::Says(value)) => Ok(Some(value)),
            Some(LaneFault::Error) => Err(LaneError("broken on cue".to_owned())),
            Some(LaneFault::Hangs) => std::future::pending().await,
        };
        said.map(|value| {
            value.map(|mut value| {
                value.truncate(copied_bytes("head", value.len()));
                value
            })
        })
    }

    async fn announce(&self, value: &[u8], over: Option<&[u8]>) -> Result<Option<Vec<u8>>, LaneError> {
        self.announced.set(self.announced.get() + 1);
        if self.holds_next.take() {
            std::future::poll_fn(|_| if self.is_released.get() { Poll::Ready(()) } else { Poll::Pending })
                .await;
        }
        if self.is_deaf.get() {
            return Err(LaneError("deaf on cue".to_owned()));
        }
        let order = |value: &[u8]| head(value).map(|head| (head.seq, head.as_of));
        let mut newest = self.newest.borrow_mut();
        let is_over = over.is_some() && over == newest.as_deref();
        if newest.as_deref().and_then(order) > order(value) && !is_over {
            return Ok(newest.clone());
        }
        *newest = Some(value.to_vec());
        Ok(None)
    }
}

/// The head in a value, unverified, as the object at Cloudflare reads it.
fn head(value: &[u8]) -> Option<Head> {
    let jws = std::str::from_utf8(HeadValue::split(value).jws).ok()?;
    let payload = Base64UrlUnpadded::decode_vec(jws.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}
