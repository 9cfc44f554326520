//! Known viewers: a check by a token that was verified before, answered in numbers.
//!
//! A body has texts that hardly change - the viewer's and the item's - and the numbers of the grant. The Worker's entry
//! has these texts in JavaScript, where copying them out of Wasm for each check would cost more than the check
//! (docs/adr/0046). It asks with two numbers, the viewer's handle and the item's, and gets the grant's numbers.
//!
//! ```text
//! introduce(authorization) ──► handle, from the second answer on
//! grant(handle, item) ──► Granted: the numbers, and the epoch of the texts that belong to them
//! viewer_text(handle, …), item_texts(item) ──► the texts, for one epoch
//! ```
//!
//! Everything but a plain grant from memory takes the ordinary way: each method gives nothing then.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
};

use super::{
    App, Permission,
    library::Snapshots,
    near::{NearItems, NearRecord, NearRecords},
    read::InMemory,
};
use crate::{
    api::reply::{Caching, Reply, Request},
    entitlement::Grant,
    limits::{ITEM_TEXT_MAX_BYTES, KNOWN_VIEWERS_MAX},
    ports::Platform,
    snapshot::time::UnixSecs,
    token::VerifiedToken,
};

/// Stands for a verified token. Never 0.
pub type Handle = u32;

/// How long an answer may be given again to the same question: the same token, URL, address and country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The state that the answer comes from, as [`Granted::epoch`].
    pub epoch: u32,
    /// The first moment, in unix seconds.
    pub since: UnixSecs,
    /// The first moment after it, in unix seconds.
    pub until: UnixSecs,
}

/// A check that is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The number of the request, for the end of its id. Never 0.
    pub number: u32,
    /// The state that the grant comes from. Texts of another epoch do not belong to it.
    pub epoch: u32,
    /// The grant.
    pub grant: Grant,
    /// How long the answer may be given again. Few questions come again, and keeping an answer costs something: nothing
    /// unless the token came with the question a while ago.
    pub validity: Option<Validity>,
}

/// The handles of the last [`KNOWN_VIEWERS_MAX`] tokens that were introduced, and the items that they asked for.
#[derive(Default)]
pub(super) struct KnownViewers {
    next: Cell<Option<Handle>>,
    near: RefCell<Near>,
}

#[derive(Default)]
struct Near {
    ring: Vec<Place>,
    items: NearItems,
}

/// A known viewer.
#[derive(Default)]
struct Place {
    handle: Handle,
    /// The [`epoch`](super::Tokens::epoch) in which the token was verified.
    verified_in: u32,
    /// Not the token itself: memory drops it when others push it out.
    token: Weak<VerifiedToken>,
    customer: NearRecord,
}

impl Place {
    /// The token, unless keys or denylist have changed since it was verified.
    fn token(&self, handle: Handle, epoch: u32) -> Option<Rc<VerifiedToken>> {
        if self.handle == handle && self.verified_in == epoch { self.token.upgrade() } else { None }
    }
}

impl KnownViewers {
    /// Gives a token a handle, in the place of the oldest. `first` is where an instance begins to count: handles of an
    /// earlier instance do not fit.
    fn add(&self, token: &Rc<VerifiedToken>, epoch: u32, first: u32) -> Handle {
        let handle = self.next.get().unwrap_or(first).max(1);
        self.next.set(Some(handle.wrapping_add(1)));
        let ring = &mut self.near.borrow_mut().ring;
        if ring.is_empty() {
            ring.resize_with(KNOWN_VIEWERS_MAX as usize, Default::default);
        }
        if let Some(place) = ring.get_mut(place_of(handle)) {
            let customer = NearRecord::default();
            *place = Place { handle, verified_in: epoch, token: Rc::downgrade(token), customer };
        }
        handle
    }

    fn token(&self, handle: Handle, epoch: u32) -> Option<Rc<VerifiedToken>> {
        self.near.borrow().ring.get(place_of(handle))?.token(handle, epoch)
    }
}

const fn place_of(handle: Handle) -> usize {
    (handle % KNOWN_VIEWERS_MAX) as usize
}

impl<P: Platform> App<P> {
    /// A handle for the token in `authorization`, if it was verified before and lets its owner view. Most tokens come
    /// once: the second call for a token gives the handle. Headers that spell the same token in another way than all clients
    /// do get none: each spelling would take the place of another viewer.
    pub fn introduce(&self, authorization: &str) -> Option<Handle> {
        let token = authorization.strip_prefix("Bearer ")?;
        if token.trim_ascii() != token {
            return None;
        }
        let token = self.tokens.remembered(authorization, self.now(), self.platform.entropy())?;
        if !token.is_known.replace(true) {
            return None;
        }
        Permission::View.check(&token, &self.config.issuers).ok()?;
        Some(self.known.add(&token, self.tokens.epoch(), self.instance()))
    }

    /// The grant of a check, if memory has it, and nothing is due: no look at the store, no log line, no confirmation.
    /// `query_hash` stands for the rest of the question.
    pub fn grant(&self, handle: Handle, item_id: i64, query_hash: u32) -> Option<Granted> {
        let now = self.now();
        let Near { ring, items } = &mut *self.known.near.borrow_mut();
        let place = ring.get_mut(place_of(handle))?;
        let token = place.token(handle, self.tokens.epoch())?;
        let snapshots = &mut *self.library.write();
        let stale_from = snapshots.stale_from(self.config.head_max_age_secs).unwrap_or(UnixSecs::MAX);
        if !self.is_quiet(snapshots, now)
            || now >= stale_from
            || !self.tokens.is_in_force(&token, now)
            || self.completion.logs_grants()
        {
            return None;
        }
        let epoch = self.epoch(snapshots);
        let near = NearRecords {
            epoch: snapshots.versions.epoch(),
            item: items.place(item_id)?,
            customer: &mut place.customer,
        };
        let mut memory =
            InMemory { version: snapshots.versions.current()?, objects: &mut snapshots.objects.cache };
        let (grant, until) = memory.grant(&token.principal, item_id, near, now)?;
        let until = until.min(stale_from);
        let number = self.completion.count_request();
        let question = (u64::from(query_hash) << 32) ^ item_id.cast_unsigned().wrapping_add(1);
        Some(Granted { number, epoch, grant, validity: validity(&token, question, epoch, now, until) })
    }

    /// How long an answer may be given again to the same token, as [`Granted::validity`]: that of an ordinary check which
    /// [lasts](Reply::lasts_until) and was just made. `question` stands for its URL.
    pub fn keep(&self, authorization: &str, question: u64, lasts_until: UnixSecs) -> Option<Validity> {
        let (now, snapshots) = (self.now(), &*self.library.read());
        if !self.is_quiet(snapshots, now) || self.completion.logs_grants() {
            return None;
        }
        let token = self.tokens.remembered(authorization, now, self.platform.entropy())?;
        let stale_from = snapshots.stale_from(self.config.head_max_age_secs).unwrap_or(UnixSecs::MAX);
        validity(&token, question, self.epoch(snapshots), now, lasts_until.min(stale_from))
    }

    /// The number of this request, for the end of its id, if the answer that had this [`Granted::validity`] is still the
    /// right one to the same question; never 0. It costs a comparison or two, so that the caller, which keeps answers,
    /// need not judge them.
    pub fn repeat(&self, validity: &Validity) -> Option<u32> {
        let (now, snapshots) = (self.now(), &*self.library.read());
        let is_known =
            validity.epoch == self.epoch(snapshots) && validity.since <= now && now < validity.until;
        (is_known && self.is_quiet(snapshots, now)).then(|| self.completion.count_request())
    }

    /// The viewer's part of the bodies of the present epoch.
    pub fn viewer_text(&self, handle: Handle, ip_address: &str, country: &str) -> Option<String> {
        let token = self.known.token(handle, self.tokens.epoch())?;
        self.in_memory(|memory| memory.viewer_text(&token.principal, ip_address, country))
    }

    /// The item's parts of the bodies of the present epoch; `Some(None)` if they are longer than it is worth to hold them
    /// twice, nothing if memory does not have the item.
    pub fn item_texts(&self, item_id: i64) -> Option<Option<[String; 2]>> {
        self.in_memory(|memory| memory.item_texts(item_id, ITEM_TEXT_MAX_BYTES))
    }

    /// The time of the data of the present version, and the merchant of an item; 0 for what is not in memory.
    pub fn told(&self, item_id: i64) -> (UnixSecs, i64) {
        let told = self.in_memory(|memory| Some((memory.version.head.as_of, memory.merchant(item_id))));
        told.unwrap_or_default()
    }

    /// A complete answer to a granted check but for its body, for its status and headers.
    pub fn granted_frame(&self, page_origin: &str) -> Reply {
        let request = Request { page_origin, ..Request::default() };
        self.complete(&request, Reply::ok(String::new(), Caching::Private), None)
    }

    /// Whether the current version answers as it is, and no refresh is due: that one is left to an ordinary answer,
    /// which begins it.
    fn is_quiet(&self, snapshots: &Snapshots, now: UnixSecs) -> bool {
        snapshots.may_answer(now) && !snapshots.refresh_due(now) && !self.tokens.is_refresh_due(now)
    }

    /// Stands for everything that an answer depends on beside the question and the moment.
    fn epoch(&self, snapshots: &Snapshots) -> u32 {
        // Neither count ever goes back, so that no two states have the same sum; and each instance begins at another
        // number, so that answers kept from an earlier instance do not fit.
        self.instance().wrapping_add(snapshots.versions.epoch()).wrapping_add(self.tokens.epoch())
    }

    fn instance(&self) -> u32 {
        let [.., a, b, c, d] = self.completion.instance(self.platform.entropy()).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    fn in_memory<T>(&self, ask: impl FnOnce(&mut InMemory<'_>) -> Option<T>) -> Option<T> {
        let snapshots = &mut *self.library.write();
        let version = Rc::clone(snapshots.versions.current()?);
        ask(&mut InMemory { version: &version, objects: &mut snapshots.objects.cache })
    }
}

/// How long an answer to `question` stands that would stand until `until`, if it is worth keeping.
fn validity(
    token: &VerifiedToken,
    question: u64,
    epoch: u32,
    now: UnixSecs,
    until: UnixSecs,
) -> Option<Validity> {
    let until = until.min(token.times.expires_at);
    // A collision only keeps an answer that is not asked for again: kept answers are found by their whole URL.
    let is_kept = until > now.saturating_add(1) && token.asked.again(question);
    is_kept.then_some(Validity { epoch, since: now, until })
}
