//! A second implementation of the decision, computed from published lines. It is written from
//! `docs/publish-schema.md` ("What opens an item"), independently of the service: tests ask both, and both must give
//! the same answer.

use admit_snapshot::{
    schema::{
        App, Client, ClientMode, Customer, CustomerLicense, Item, License, LicenseState, RenewStatus,
        SubscriptionStatus,
    },
    time::{Timestamp, UnixSecs},
};

/// The end that answers show for a grant without end: 9999-12-31T23:59:59Z.
pub const NEVER: UnixSecs = 253_402_300_799;

/// The expected answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The item is unknown or inactive.
    NotFound,
    /// The viewer may not play the item.
    Denied,
    /// The viewer may play the item until this time.
    Granted(UnixSecs),
}

/// The published records that decide about access.
#[derive(Clone, Debug)]
pub struct Oracle<'a> {
    /// Items and packages.
    pub items: Vec<&'a Item>,
    /// Licences.
    pub licenses: &'a [License],
    /// Apps with their clients.
    pub apps: &'a [App],
    /// When the lines were published: relative times are resolved at it.
    pub at: UnixSecs,
}

/// The viewer who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Viewer<'a> {
    /// The viewer's record, if it is published.
    pub customer: Option<&'a Customer>,
    /// The client that the token names.
    pub client_id: Option<&'a str>,
    /// The merchant that the token names.
    pub merchant_id: Option<i64>,
}

impl Oracle<'_> {
    /// A time of the lines in unix seconds.
    #[must_use]
    pub fn secs(&self, time: Option<Timestamp>) -> Option<UnixSecs> {
        time.map(|time| time.resolve(self.at))
    }

    /// An item or a package.
    #[must_use]
    pub fn item(&self, id: i64) -> Option<&Item> {
        self.items.iter().copied().find(|item| item.id == id)
    }

    /// A licence.
    #[must_use]
    pub fn license(&self, id: &str) -> Option<&License> {
        self.licenses.iter().find(|license| license.id == id)
    }

    /// A client with its app.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<(&Client, &App)> {
        self.apps.iter().find_map(|app| {
            let client = app.clients.iter().find(|client| client.client_id == id)?;
            Some((client, app))
        })
    }

    fn is_in_force(
        &self,
        starts_at: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        now: UnixSecs,
    ) -> bool {
        self.secs(starts_at).is_none_or(|at| at <= now) && self.secs(expires_at).is_none_or(|at| now < at)
    }

    /// Whether access to `id` includes the item: it is the item, or a package that contains it.
    fn leads_to(&self, id: i64, item: &Item) -> bool {
        id == item.id || self.item(id).is_some_and(|package| package.item_ids.contains(&item.id))
    }

    fn unlocks(&self, license: &License, item: &Item) -> bool {
        license.item_ids.iter().any(|id| self.leads_to(*id, item))
    }

    /// Whether a subscription unlocks anything: only these states and dates do.
    fn is_live(&self, held: &CustomerLicense, now: UnixSecs) -> bool {
        matches!(held.status, SubscriptionStatus::Active | SubscriptionStatus::Overdue)
            && self.is_in_force(held.starts_at, held.expires_at, now)
    }

    /// The answer to a check of `item_id` at `now`.
    #[must_use]
    pub fn check(&self, viewer: &Viewer<'_>, item_id: i64, now: UnixSecs) -> Check {
        let Some(item) = self.item(item_id).filter(|item| item.is_active) else { return Check::NotFound };
        let client = viewer.client_id.and_then(|id| self.client(id));
        let merchant = viewer
            .customer
            .map(|customer| customer.merchant_id)
            .or(viewer.merchant_id)
            .or(client.map(|(_, app)| app.merchant_id));
        if merchant.is_some_and(|merchant| merchant != item.merchant_id) {
            return Check::Denied;
        }
        // The end of each grant, how close it is to the item, and the end that the answer shows.
        let mut ends = Vec::new();
        let shown = |end: Option<Timestamp>, renews_on: Option<UnixSecs>| match self.secs(end) {
            Some(end) => (end.min(NEVER), end.min(NEVER)),
            None => (NEVER, renews_on.filter(|at| (now + 1..NEVER).contains(at)).unwrap_or(NEVER)),
        };
        if !item.access_control_type.auth {
            ends.push((0, 0, shown(None, None)));
        }
        for access in viewer.customer.iter().flat_map(|customer| &customer.accesses) {
            if self.leads_to(access.item_id, item)
                && self.is_in_force(access.starts_at, access.expires_at, now)
            {
                let closeness = if access.item_id == item.id { 3 } else { 2 };
                ends.push((closeness, -access.id, shown(access.expires_at, self.secs(access.renews_on))));
            }
        }
        let test_app = client.filter(|(client, _)| client.mode == ClientMode::Test).map(|(_, app)| app);
        if let Some(app) = test_app {
            let is_granted = |license: &License| {
                license.app_id == app.id
                    && license.test_mode
                    && license.status == LicenseState::Pending
                    && self.unlocks(license, item)
            };
            if self.licenses.iter().any(is_granted) {
                ends.push((1, 0, shown(None, None)));
            }
        } else {
            for held in viewer.customer.iter().flat_map(|customer| &customer.licenses) {
                let Some(license) = self.license(&held.license_id) else { continue };
                let is_available = matches!(license.status, LicenseState::Live | LicenseState::Inactive);
                if is_available
                    && !license.test_mode
                    && self.is_live(held, now)
                    && self.unlocks(license, item)
                {
                    let renews = held.renews_on.filter(|_| held.renew_status == RenewStatus::Renew);
                    ends.push((
                        1,
                        0,
                        shown(held.expires_at, renews.map(|renews| renews.at.resolve(self.at))),
                    ));
                }
            }
        }
        // The grant that lasts longest, then the closest, then the oldest; of equals the first.
        let longest = |(closeness, age, (end, _)): &(u8, i64, (UnixSecs, UnixSecs))| (*end, *closeness, *age);
        let best = ends.iter().map(longest).max();
        let answered = ends.iter().find(|grant| Some(longest(grant)) == best);
        answered.map_or(Check::Denied, |(_, _, (_, shown))| Check::Granted(*shown))
    }
}
