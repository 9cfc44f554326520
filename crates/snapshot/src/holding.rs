//! A customer's accesses and subscriptions as people look at them: what each is about, and whether it counts at a moment.
//! Support staff see the same at the edge and by `admit inspect`.
//!
//! ```
//! use admit_snapshot::{
//!     customer::Access,
//!     holding::{HeldAccess, State},
//! };
//!
//! let access = Access { id: 1, item_id: 5101, expires_at: Some(2000), ..Access::default() };
//! // The item is not published.
//! let held = HeldAccess::new(access, None, None, 1999);
//! assert_eq!((held.kind(), held.state), ("access", State::Running));
//! assert_eq!(HeldAccess::new(access, None, None, 2000).state.when(), "past");
//! ```

use super::{
    customer::{Access, CustomerRecord, HeldLicense, Purchase},
    directory::{AppEntry, Directory, LicenseEntry},
    item::ItemRecord,
    key::EntryKey,
    schema::SubscriptionStatus,
    time::UnixSecs,
};

/// Whether an access or a subscription counts at a moment. A running one need not open an item: the item may be inactive,
/// or the licence not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It counts.
    Running,
    /// It has ended.
    Past,
    /// It has not begun.
    Future,
    /// The subscription was cancelled.
    Cancelled,
}

impl State {
    /// The state by dates, as checks judge them: at the end it has ended, at the start it has begun.
    #[must_use]
    pub fn of(starts_at: Option<UnixSecs>, expires_at: Option<UnixSecs>, at: UnixSecs) -> Self {
        if expires_at.is_some_and(|expires_at| expires_at <= at) {
            Self::Past
        } else if starts_at.is_some_and(|starts_at| at < starts_at) {
            Self::Future
        } else {
            Self::Running
        }
    }

    /// Where it lies on a line of time: `past`, `running` or `future`. A cancelled one opens nothing any more.
    #[must_use]
    pub const fn when(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Past | Self::Cancelled => "past",
            Self::Future => "future",
        }
    }
}

/// The item or package of an access, as far as people want to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldItem {
    /// The title.
    pub title: Option<String>,
    /// Number of the merchant.
    pub merchant_id: i64,
    /// Whether it is a package.
    pub is_package: bool,
}

/// An access, judged at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAccess<'a> {
    /// The access.
    pub access: Access,
    /// How it was bought, as far as the origin says.
    pub purchase: Option<Purchase<'a>>,
    /// Its item or package, if that is published.
    pub item: Option<HeldItem>,
    /// Whether it counts.
    pub state: State,
}

impl<'a> HeldAccess<'a> {
    /// Judges an access at the moment `at`. `item` is the record of its item or package, if that is published.
    #[must_use]
    pub fn new(
        access: Access,
        purchase: Option<Purchase<'a>>,
        item: Option<&ItemRecord<'_>>,
        at: UnixSecs,
    ) -> Self {
        let item = item.map(|item| HeldItem {
            title: item.title(),
            merchant_id: item.merchant_id,
            is_package: item.is_package,
        });
        Self { access, purchase, item, state: State::of(access.starts_at, access.expires_at, at) }
    }

    /// `item` or `package`; `access` if what it opens is not published.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.item {
            Some(HeldItem { is_package: true, .. }) => "package",
            Some(_) => "item",
            None => "access",
        }
    }
}

/// A subscription to a licence, judged at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSubscription<'a> {
    /// The subscription.
    pub held: HeldLicense<'a>,
    /// The licence, if it is published.
    pub license: Option<&'a LicenseEntry>,
    /// The licence's app, if that is published.
    pub app: Option<&'a AppEntry>,
    /// Whether it counts.
    pub state: State,
}

impl<'a> HeldSubscription<'a> {
    /// Judges a subscription at the moment `at`.
    #[must_use]
    pub fn new(held: HeldLicense<'a>, directory: &'a Directory, at: UnixSecs) -> Self {
        let license = directory.licenses.get(&held.license_id);
        let app = license.and_then(|license| directory.apps.get(license.app));
        let state = match held.status {
            SubscriptionStatus::Cancelled => State::Cancelled,
            _ => State::of(held.starts_at, held.expires_at, at),
        };
        Self { held, license, app, state }
    }
}

/// Namespace and subject of the customer whose record has this key, if the subject is the customer's UUID or number, as
/// it often is. The snapshot holds nothing but a hash of the two.
#[must_use]
pub fn name_of<'n>(
    key: EntryKey,
    customer: &CustomerRecord<'_>,
    namespaces: impl Iterator<Item = &'n str>,
) -> Option<(&'n str, String)> {
    let subjects = [customer.uuid.to_string(), customer.id.to_string()];
    for namespace in namespaces {
        for subject in &subjects {
            if EntryKey::customer(namespace, subject) == key {
                return Some((namespace, subject.clone()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{customer::NewCustomer, item::NewItem};

    #[test]
    fn periods_are_judged_as_checks_judge_them() {
        for (starts_at, expires_at, state, when) in [
            (None, None, State::Running, "running"),
            (Some(100), Some(101), State::Running, "running"),
            (Some(101), None, State::Future, "future"),
            (None, Some(100), State::Past, "past"),
            (Some(101), Some(100), State::Past, "past"),
        ] {
            let found = State::of(starts_at, expires_at, 100);
            assert_eq!((found, found.when()), (state, when), "{starts_at:?} {expires_at:?}");
        }
        assert_eq!(State::Cancelled.when(), "past");
    }

    #[test]
    fn an_access_is_named_by_what_it_opens() {
        for (is_package, kind) in [(false, "item"), (true, "package")] {
            let item = NewItem {
                merchant_id: 21,
                is_package,
                details: r#""id":5101,"title":"“Don't Wake the Owl” 🦉"}"#,
                ..NewItem::default()
            };
            let item = item.encode();
            let held = HeldAccess::new(Access::default(), None, Some(&ItemRecord::new(&item).unwrap()), 100);
            assert_eq!(held.kind(), kind);
            let title = Some("“Don't Wake the Owl” 🦉".to_owned());
            assert_eq!(held.item, Some(HeldItem { title, merchant_id: 21, is_package }));
        }
        assert_eq!(HeldAccess::new(Access::default(), None, None, 100).kind(), "access");
    }

    #[test]
    fn names_are_found_where_the_subject_is_an_id() {
        let uuid = Uuid::from_u128(7);
        let record = NewCustomer { id: 42, uuid, ..NewCustomer::default() }.encode();
        let customer = CustomerRecord::new(&record).unwrap();
        let find = |namespace: &str, subject: &str| {
            name_of(EntryKey::customer(namespace, subject), &customer, ["shop", "club"].into_iter())
        };
        assert_eq!(find("club", "42"), Some(("club", "42".to_owned())));
        assert_eq!(find("shop", &uuid.to_string()), Some(("shop", uuid.to_string())));
        assert_eq!(find("elsewhere", "42"), None);
        assert_eq!(find("shop", "anna"), None);
    }
}
