//! All records but customers: merchants with apps, licences, access types, items and packages.

use admit_snapshot::{
    schema::{
        AccessControlType, AccessFee, AccessType, App, Client, ClientMode, Item, ItemType, License,
        LicenseState, Line, Locale, Merchant, MetadataEntry,
    },
    time::{Timestamp, UnixSecs},
};
use uuid::Uuid;

use super::random::{Random, Zipf};

/// The id of the first item and of the first merchant. Packages follow the items.
const FIRST_ID: u64 = 1_000;

/// The size of the business. Item, package and licence number `n` belong to merchant `n` modulo `merchants`.
/// The lower an item's number, the more popular it is with its merchant's customers.
pub struct Size {
    /// The seed of all random numbers.
    pub seed: u64,
    /// Merchants, at least 1.
    pub merchants: u64,
    /// Items that are not packages, at least one for each merchant.
    pub items: u64,
    /// Packages.
    pub packages: u64,
    /// Licences.
    pub licenses: u64,
    /// The time of the data before the first day.
    pub as_of: UnixSecs,
    /// Popularity of a merchant's items.
    pub zipf: Zipf,
}

/// Topics of random sequences: each record has a sequence of its own.
pub mod topic {
    /// A merchant.
    pub const MERCHANT: u64 = 1;
    /// A licence.
    pub const LICENSE: u64 = 2;
    /// An item.
    pub const ITEM: u64 = 3;
    /// A package.
    pub const PACKAGE: u64 = 4;
    /// A customer.
    pub const CUSTOMER: u64 = 5;
    /// The choice of the customers that a day changes.
    pub const CHOICE: u64 = 6;
    /// The change that a day makes to a customer.
    pub const CHANGE: u64 = 7;
}

impl Size {
    /// How many of `all` belong to this merchant, when they are dealt out in turn.
    pub const fn share(&self, all: u64, merchant: u64) -> u64 {
        // Rounded up for the first merchants, which get one of the remainder each.
        (all + self.merchants - 1 - merchant) / self.merchants
    }

    /// The id of a merchant.
    pub const fn merchant_id(&self, merchant: u64) -> i64 {
        (FIRST_ID + merchant).cast_signed()
    }

    /// The id of a merchant's item by its rank of popularity.
    pub const fn item_id(&self, merchant: u64, rank: u64) -> i64 {
        (FIRST_ID + rank * self.merchants + merchant).cast_signed()
    }

    /// The id of a merchant's package by its rank.
    pub const fn package_id(&self, merchant: u64, rank: u64) -> i64 {
        self.item_id(merchant, rank) + self.items.cast_signed()
    }

    /// A merchant's licence by its rank.
    pub fn license_id(&self, merchant: u64, rank: u64) -> Uuid {
        Random::new(self.seed, topic::LICENSE, rank * self.merchants + merchant).uuid()
    }

    /// The state of a merchant's licence by its rank: of 8, one is inactive, one pending and one a draft.
    pub const fn license_state(rank: u64) -> LicenseState {
        match rank % 8 {
            5 => LicenseState::Inactive,
            6 => LicenseState::Pending,
            7 => LicenseState::Draft,
            _ => LicenseState::Live,
        }
    }

    /// All lines but the customers'.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let merchants = (0..self.merchants).flat_map(|merchant| self.merchant(merchant));
        let licenses = (0..self.licenses).map(|number| self.license(number));
        let items = (0..self.items).map(|number| self.item(number));
        merchants.chain(licenses).chain(items).chain((0..self.packages).map(|number| self.package(number)))
    }

    const fn of(&self, number: u64) -> (u64, u64) {
        (number % self.merchants, number / self.merchants)
    }

    const fn before(&self, days: u64) -> Timestamp {
        Timestamp::At(self.as_of - (days * 86_400).cast_signed())
    }

    fn merchant(&self, merchant: u64) -> [Line; 4] {
        let mut random = Random::new(self.seed, topic::MERCHANT, merchant);
        let (id, name, before) =
            (self.merchant_id(merchant), format!("Merchant {merchant}"), self.before(1_500));
        let client = |kind: &str, mode| Client { client_id: format!("client-{merchant}-{kind}"), mode };
        let access_type = |number, name: &str, quantity, period: &str| {
            Line::AccessType(AccessType {
                id: id * 10 + number,
                account_id: id,
                name: name.to_owned(),
                quantity,
                period: period.to_owned(),
                created_at: before,
                updated_at: before,
            })
        };
        [
            Line::Merchant(Merchant { id, uuid: random.uuid().to_string(), name: name.clone() }),
            Line::App(App {
                id: format!("app-{merchant}"),
                merchant_id: id,
                name,
                plan_id: random.uuid().to_string(),
                clients: vec![client("live", ClientMode::Live), client("test", ClientMode::Test)],
            }),
            access_type(1, "ppv", 48, "hour"),
            access_type(2, "subscription", 1, "month"),
        ]
    }

    fn license(&self, number: u64) -> Line {
        let (merchant, rank) = self.of(number);
        let (items, packages) = (self.share(self.items, merchant), self.share(self.packages, merchant));
        let item_ids = match packages {
            0 => (0..items.min(10)).map(|item| self.item_id(merchant, item)).collect(),
            _ => vec![self.package_id(merchant, rank % packages)],
        };
        let status = Self::license_state(rank);
        Line::License(License {
            id: self.license_id(merchant, rank).to_string(),
            internal_id: format!("L{number:05}"),
            app_id: format!("app-{merchant}"),
            name: format!("Plan {rank}"),
            description: format!("Everything in plan {rank}"),
            rank: (rank % 100).cast_signed(),
            status,
            test_mode: status == LicenseState::Pending,
            locales: vec![Locale { name: "Germany".to_owned(), country_code: "DE".to_owned() }],
            price_tier: None,
            item_ids,
        })
    }

    fn item(&self, number: u64) -> Line {
        let (merchant, rank) = self.of(number);
        let mut random = Random::new(self.seed, topic::ITEM, number);
        let item = self.any_item(merchant, self.item_id(merchant, rank), &mut random);
        let metadata = MetadataEntry {
            id: item.id,
            name: "genre".to_owned(),
            value: format!("genre {}", random.below(20)),
        };
        Line::Item(Item {
            title: format!("Title {number}"),
            content: format!("{{\"video_id\":\"{}\"}}", random.below(1_000_000_000)),
            metadata: vec![metadata],
            // Most items can be bought; one in 50 is free, one in 50 is withdrawn.
            is_active: !random.percent(2),
            access_control_type: access_control(random.percent(2)),
            ..item
        })
    }

    fn package(&self, number: u64) -> Line {
        let (merchant, rank) = self.of(number);
        let mut random = Random::new(self.seed, topic::PACKAGE, number);
        let items = self.share(self.items, merchant);
        let (first, count) = (random.below(items), (2 + random.below(39)).min(items));
        let members = (0..count).map(|member| self.item_id(merchant, (first + member) % items));
        Line::Item(Item {
            title: format!("Package {number}"),
            item_type: item_type(10, "package", "package"),
            item_ids: members.collect(),
            ..self.any_item(merchant, self.package_id(merchant, rank), &mut random)
        })
    }

    fn any_item(&self, merchant: u64, id: i64, random: &mut Random) -> Item {
        let created_at = self.before(60 + random.below(1_000));
        let merchant_id = self.merchant_id(merchant);
        let fee = |number: i64, description: &str, cents: u64| AccessFee {
            id: id * 10 + number,
            amount: serde_json::Number::from(cents / 100),
            currency: "EUR".to_owned(),
            description: description.to_owned(),
            access_type_id: merchant_id * 10 + number,
            trial_period: None,
            setup_fee: None,
            geo_restriction: None,
            starts_at: None,
            expires_at: None,
            plan_switch_enabled: false,
            created_at,
            updated_at: created_at,
        };
        Item {
            id,
            merchant_id,
            title: String::new(),
            is_active: true,
            access_control_type: access_control(false),
            item_type: item_type(44, "brightcove_asset", "ovp"),
            age_restriction: None,
            metadata: Vec::new(),
            content: String::new(),
            external_asset_id: None,
            plan_switch_enabled: false,
            item_ids: Vec::new(),
            fees: vec![
                fee(1, "48-hour rental", 300 + 100 * random.below(5)),
                fee(2, "Monthly subscription", 800 + 100 * random.below(8)),
            ],
            created_at,
            updated_at: created_at,
        }
    }
}

fn access_control(is_free: bool) -> AccessControlType {
    let (id, name) = if is_free { (1, "Free") } else { (4, "Paid") };
    AccessControlType { id, name: name.to_owned(), auth: !is_free }
}

fn item_type(id: i64, name: &str, content_type: &str) -> ItemType {
    let [name, content_type, host, description] =
        [name, content_type, "inplayer", "Asset"].map(str::to_owned);
    ItemType { id, name, content_type, host, description }
}
