//! A second implementation of the decision, computed from published lines. It is written from
//! `docs/publish-schema.md` ("What opens an item"), independently of the service: tests ask both, and both must give
//! the same answer.

use admit_snapshot::{
    schema::{
        App, Client, ClientMode, Customer, CustomerLicense, Item, License, LicenseState, SubscriptionStatus,
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
        let mut ends = Vec::new();
        if !item.access_control_type.auth {
            ends.push(NEVER);
        }
        for access in viewer.customer.iter().flat_map(|customer| &customer.accesses) {
            if self.leads_to(access.item_id, item)
                && self.is_in_force(access.starts_at, access.expires_at, now)
            {
                ends.push(self.secs(access.expires_at).unwrap_or(NEVER));
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
                ends.push(NEVER);
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
                    ends.push(self.secs(held.expires_at).unwrap_or(NEVER));
                }
            }
        }
        ends.into_iter().max().map_or(Check::Denied, |end| Check::Granted(end.min(NEVER)))
    }
}
