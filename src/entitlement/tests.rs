//! Fixtures. Records are encoded and read back, so that tests decide on published bytes.

mod checks;
mod explained;
mod listing;
mod merchants;
mod model;
mod order;
mod properties;
mod renewals;
mod steps;

use uuid::Uuid;

use super::*;
use crate::{
    instant::Zoned,
    snapshot::{
        customer::{HeldLicense, NewCustomer},
        directory::{AppEntry, LicenseEntry},
        item::NewItem,
        schema::{IntervalUnit, LicenseState, LicenseType, RenewStatus, SubscriptionStatus},
    },
};

const NOW: UnixSecs = 1_800_000_000;
const DAY: i64 = 86_400;
/// The year 1: Go's unset date, which real data contains.
const YEAR_ONE: UnixSecs = -62_135_596_800;

const MERCHANT: i64 = 21;
const OTHER_MERCHANT: i64 = 22;
const ITEM: i64 = 33;
const PACKAGE: i64 = 40;
const OTHER_PACKAGE: i64 = 41;
const ELSEWHERE: i64 = 99;

const LIVE_CLIENT: &str = "main-live";
const TEST_CLIENT: &str = "main-test";
const KIDS_LIVE_CLIENT: &str = "kids-live";
const KIDS_TEST_CLIENT: &str = "kids-test";
const OTHER_MERCHANTS_TEST_CLIENT: &str = "other-test";

/// The directory's licences: UUID, app, rank, state, test mode.
const LICENSES: [(u128, usize, i64, LicenseState, bool); 12] = [
    (LIVE, 0, 10, LicenseState::Live, false),
    (INACTIVE, 0, 30, LicenseState::Inactive, false),
    (PENDING, 0, 50, LicenseState::Pending, false),
    (DRAFT, 0, 60, LicenseState::Draft, false),
    (TEST_PENDING, 0, 5, LicenseState::Pending, true),
    (TEST_LIVE, 0, 70, LicenseState::Live, true),
    (TEST_DRAFT, 0, 80, LicenseState::Draft, true),
    (TEST_INACTIVE, 0, 90, LicenseState::Inactive, true),
    (TEST_PENDING_TOO, 0, 7, LicenseState::Pending, true),
    (KIDS_LIVE, 1, 20, LicenseState::Live, false),
    (KIDS_TEST_PENDING, 1, 1, LicenseState::Pending, true),
    (LIVE_TOO, 0, 10, LicenseState::Live, false),
];
const LIVE: u128 = 0x10;
const INACTIVE: u128 = 0x11;
const PENDING: u128 = 0x12;
const DRAFT: u128 = 0x13;
const TEST_PENDING: u128 = 0x14;
const TEST_LIVE: u128 = 0x15;
const TEST_DRAFT: u128 = 0x16;
const TEST_INACTIVE: u128 = 0x17;
const TEST_PENDING_TOO: u128 = 0x18;
const KIDS_LIVE: u128 = 0x19;
const KIDS_TEST_PENDING: u128 = 0x1a;
/// A second licence of the same rank as [`LIVE`].
const LIVE_TOO: u128 = 0x0f;
/// A licence that no directory has.
const UNKNOWN_LICENSE: u128 = 0xff;

fn directory() -> Directory {
    let app = |id: &str, merchant_id, clients: &[(&str, ClientMode)]| AppEntry {
        id: id.to_owned(),
        merchant_id,
        plan_id: format!("{id}-plan"),
        clients: clients.iter().map(|(client, mode)| ((*client).to_owned(), *mode)).collect(),
    };
    let mut directory = Directory::default();
    directory.merchants.insert(MERCHANT, Uuid::from_u128(0x21));
    directory.merchants.insert(OTHER_MERCHANT, Uuid::from_u128(0x22));
    directory
        .set_apps(vec![
            app("main", MERCHANT, &[(LIVE_CLIENT, ClientMode::Live), (TEST_CLIENT, ClientMode::Test)]),
            app(
                "kids",
                MERCHANT,
                &[(KIDS_LIVE_CLIENT, ClientMode::Live), (KIDS_TEST_CLIENT, ClientMode::Test)],
            ),
            app("other", OTHER_MERCHANT, &[(OTHER_MERCHANTS_TEST_CLIENT, ClientMode::Test)]),
        ])
        .unwrap();
    for (id, app, rank, state, is_test_mode) in LICENSES {
        let name = format!("licence {id:x}");
        let license = LicenseEntry { app, rank, state, is_test_mode, name, json: "{}".to_owned() };
        directory.licenses.insert(id, license);
    }
    directory
}

fn principal() -> Principal {
    Principal { may_test: true, ..Principal::named("vendor", "s") }
}

/// The inputs of a check before they are encoded.
#[derive(Clone, Debug)]
struct Scene {
    principal: Principal,
    customer: Option<NewCustomer<'static>>,
    item: NewItem<'static>,
    directory: Directory,
    now: UnixSecs,
}

/// A paid item in two packages, a customer of its merchant without grants, and a token without a client.
fn scene() -> Scene {
    let item = NewItem {
        id: ITEM,
        merchant_id: MERCHANT,
        is_active: true,
        packages: vec![PACKAGE, OTHER_PACKAGE],
        content: "\"\"",
        details: "\"id\":33}",
        ..NewItem::default()
    };
    let customer = NewCustomer { id: 7, merchant_id: MERCHANT, ..NewCustomer::default() };
    Scene { principal: principal(), customer: Some(customer), item, directory: directory(), now: NOW }
}

impl Scene {
    fn decide(&self) -> Decision {
        self.explain().0
    }

    /// Until when the decision stands.
    fn until(&self) -> UnixSecs {
        self.judge().0.until
    }

    /// The decision and the offers that were weighed.
    fn explain(&self) -> (Decision, Vec<Considered>) {
        let (decided, considered) = self.judge();
        (decided.decision, considered)
    }

    /// Decides with and without a list of offers, and by a record that was decoded before, and asserts that the decisions
    /// are equal.
    fn judge(&self) -> (Decided, Vec<Considered>) {
        let customer = self.customer.clone().map(NewCustomer::encode);
        let customer = customer.as_ref().map(|record| CustomerRecord::new(record).unwrap());
        let item = self.item.encode();
        let question = Question {
            principal: &self.principal,
            customer: customer.as_ref(),
            item: &ItemRecord::new(&item).unwrap(),
            directory: &self.directory,
            now: self.now,
        };
        let (decision, considered) = explain(&question).unwrap();
        let decided = decide(&question).unwrap();
        assert_eq!(decided.decision, decision);
        let held = question.customer.map(Held::of).transpose().unwrap().unwrap_or_default();
        assert_eq!(decide_by(&held, &question), Ok(decided), "the record was decoded before");
        (decided, considered)
    }

    fn client(mut self, client_id: &str) -> Self {
        self.principal.client_id = Some(client_id.to_owned());
        self
    }

    fn access(mut self, access: Access) -> Self {
        self.customer.as_mut().unwrap().accesses.push(access);
        self
    }

    fn holds(mut self, license: HeldLicense<'static>) -> Self {
        self.customer.as_mut().unwrap().licenses.push(license);
        self
    }

    fn unlocked_by(mut self, licenses: &[u128]) -> Self {
        self.item.licenses = licenses.to_vec();
        self
    }
}

const fn access(id: i64, item_id: i64, starts_at: Option<i64>, expires_at: Option<i64>) -> Access {
    Access { id, item_id, created_at: NOW - DAY, starts_at, expires_at, renews_on: None }
}

const fn held(license_id: u128, status: SubscriptionStatus) -> HeldLicense<'static> {
    HeldLicense {
        license_id,
        license_type: LicenseType::Single,
        status,
        renew_status: RenewStatus::Renew,
        name: "Monthly",
        interval_unit: IntervalUnit::Months,
        interval_length: 1,
        trial: false,
        date_added: Zoned { at: NOW - 10 * DAY, offset_mins: -420 },
        renews_on: None,
        billing_cycle_anchor: None,
        trial_duration: None,
        trial_reset: None,
        cancelled_at: None,
        starts_at: None,
        expires_at: None,
    }
}

#[track_caller]
fn assert_allowed(decision: Decision, reason: Reason) -> Grant {
    match decision {
        Decision::Allow(grant) if grant.reason == reason => grant,
        other => panic!("expected a grant through {reason:?}, found {other:?}"),
    }
}
