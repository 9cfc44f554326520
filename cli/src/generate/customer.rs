//! Customers, and the changes that a day makes to some of them.

use admit_snapshot::{
    schema::{
        Access, Customer, CustomerLicense, IntervalUnit, LicenseState, LicenseType, RenewStatus,
        SubscriptionStatus,
    },
    time::{Timestamp, UnixSecs, ZonedTime},
};

use super::{
    catalogue::{Size, topic},
    random::Random,
};

/// Seconds in a day.
pub const DAY_SECS: UnixSecs = 86_400;

/// The customers of a business.
pub struct Customers<'a> {
    /// The business before the first day.
    pub size: &'a Size,
    /// The number of customers.
    pub count: u64,
    /// The average number of accesses that a customer holds.
    pub grants_per_customer: u64,
    /// The number of customers that a day changes.
    pub changes_per_day: u64,
    /// The number of days that have passed.
    pub days: u64,
}

impl Customers<'_> {
    /// Customer `number` after all days.
    pub fn customer(&self, number: u64) -> Customer {
        let mut customer = self.signed_up(number, 0);
        for day in 1..=self.days {
            if self.is_changed(number, day) {
                self.change(&mut customer, number, day);
            }
        }
        customer
    }

    /// Whether a day changes a customer. The customers are divided into equal parts, one for each of the day's
    /// changes, and the day changes one customer of each part.
    fn is_changed(&self, number: u64, day: u64) -> bool {
        let (count, parts) = (u128::from(self.count), u128::from(self.changes_per_day));
        if parts == 0 {
            return false;
        }
        let part = u128::from(number) * parts / count;
        // The numbers in this part, `first..end`, in integers so that all parts together are exactly
        // `0..count`.
        let (first, end) = ((part * count).div_ceil(parts), ((part + 1) * count).div_ceil(parts));
        let length = u64::try_from(end - first).unwrap_or(0);
        let part = u64::try_from(part).unwrap_or(0);
        let chosen = Random::new(self.size.seed ^ day, topic::CHOICE, part).below(length);
        u128::from(number) == first + u128::from(chosen)
    }

    /// The customer who has had this number since `day`.
    fn signed_up(&self, number: u64, day: u64) -> Customer {
        let size = self.size;
        let mut random = Random::new(size.seed ^ day.rotate_left(32), topic::CUSTOMER, number);
        let merchant = random.below(size.merchants);
        let uuid = random.uuid().to_string();
        let mut customer = Customer {
            namespace: if random.percent(90) { "vendor" } else { "cognito" }.to_owned(),
            subject: uuid.clone(),
            // A customer who replaces another gets an id that no customer had before.
            id: (day * self.count + number + 1).cast_signed(),
            uuid,
            merchant_id: size.merchant_id(merchant),
            accesses: Vec::new(),
            licenses: Vec::new(),
            used_trials: Vec::new(),
        };
        // A geometric distribution: most customers hold a few accesses, some hold many, at most 32 times the
        // average.
        let (average, now) = (self.grants_per_customer, size.as_of + day.cast_signed() * DAY_SECS);
        while (customer.accesses.len() as u64) < 32 * average && random.below(average + 1) < average {
            let (created_at, starts_at, expires_at) = dates(&mut random, now);
            self.grant(&mut customer, &mut random, created_at, starts_at, expires_at);
        }
        let licenses = size.share(size.licenses, merchant);
        if licenses > 0 && random.percent(30) {
            let both = 1 + u64::from(licenses > 1 && random.percent(10));
            customer.licenses = (0..both).map(|_| self.subscription(merchant, &mut random, now)).collect();
        }
        customer
    }

    fn grant(
        &self,
        customer: &mut Customer,
        random: &mut Random,
        created_at: UnixSecs,
        starts_at: Option<UnixSecs>,
        expires_at: Option<UnixSecs>,
    ) {
        let size = self.size;
        let merchant = (customer.merchant_id - size.merchant_id(0)).cast_unsigned();
        let (items, packages) = (size.share(size.items, merchant), size.share(size.packages, merchant));
        let item_id = if packages > 0 && random.percent(15) {
            size.package_id(merchant, size.zipf.rank(random, packages.min(items)))
        } else {
            size.item_id(merchant, size.zipf.rank(random, items))
        };
        // Ids grow within a customer and stay below 2^53 for up to 10^11 customers.
        let last = customer.accesses.iter().map(|access| access.id).max();
        let id = last.map_or(customer.id * 65_536, |last| last + 1);
        let (starts_at, expires_at) = (starts_at.map(Timestamp::At), expires_at.map(Timestamp::At));
        customer.accesses.push(Access {
            id,
            item_id,
            starts_at,
            expires_at,
            created_at: Timestamp::At(created_at),
            renews_on: None,
            purchase: None,
        });
    }

    fn subscription(&self, merchant: u64, random: &mut Random, now: UnixSecs) -> CustomerLicense {
        let size = self.size;
        let rank = random.below(size.share(size.licenses, merchant));
        // Customers cannot hold draft or pending licences; a merchant's first licence is live.
        let rank = match Size::license_state(rank) {
            LicenseState::Live | LicenseState::Inactive => rank,
            LicenseState::Draft | LicenseState::Pending => 0,
        };
        let zoned = |at| ZonedTime { at: Timestamp::At(at), offset_mins: 0 };
        let date_added = now - secs(random, 1, 700);
        let mut license = CustomerLicense {
            license_id: size.license_id(merchant, rank).to_string(),
            license_type: if random.percent(90) { LicenseType::Single } else { LicenseType::Bundle },
            name: format!("Plan {rank}"),
            status: SubscriptionStatus::Active,
            renew_status: if random.percent(85) { RenewStatus::Renew } else { RenewStatus::Cancel },
            renews_on: Some(zoned(now + secs(random, 0, 30))),
            interval_length: 1,
            interval_unit: IntervalUnit::Months,
            billing_cycle_anchor: Some(zoned(date_added)),
            date_added: zoned(date_added),
            trial: random.percent(40),
            trial_duration: None,
            trial_reset: None,
            cancelled_at: None,
            starts_at: None,
            expires_at: None,
        };
        match random.below(100) {
            0..15 => cancel(&mut license, date_added + (now - date_added) / 2),
            15..20 => license.status = SubscriptionStatus::Overdue,
            _ => {}
        }
        license
    }

    /// The change that a day makes to a customer: 60 % buy something, 15 % get more time or lose some, 15 %
    /// begin or end a subscription, 7 % lose an access, 3 % leave and are replaced by a new customer.
    fn change(&self, customer: &mut Customer, number: u64, day: u64) {
        let mut random = Random::new(self.size.seed ^ day, topic::CHANGE, number);
        let now = self.size.as_of + day.cast_signed() * DAY_SECS - random.below(86_400).cast_signed();
        let merchant = (customer.merchant_id - self.size.merchant_id(0)).cast_unsigned();
        match (random.below(100), customer.accesses.last_mut(), customer.licenses.last_mut()) {
            (0..15, Some(access), _) => {
                access.expires_at = Some(Timestamp::At(now + secs(&mut random, 30, 60)))
            }
            (15..22, Some(_), _) => drop(customer.accesses.pop()),
            (22..37, _, Some(license)) if license.status != SubscriptionStatus::Cancelled => {
                cancel(license, now);
            }
            (22..37, _, None) if self.size.share(self.size.licenses, merchant) > 0 => {
                customer.licenses.push(self.subscription(merchant, &mut random, now));
            }
            (37..40, ..) => *customer = self.signed_up(number, day),
            _ => self.grant(customer, &mut random, now, None, Some(now + 2 * DAY_SECS)),
        }
        // An end that is moved must stay after the start.
        if let Some(access) = customer.accesses.last_mut()
            && let (Some(Timestamp::At(starts_at)), Some(Timestamp::At(expires_at))) =
                (access.starts_at, access.expires_at)
            && expires_at <= starts_at
        {
            access.expires_at = Some(Timestamp::At(starts_at + DAY_SECS));
        }
    }
}

fn cancel(license: &mut CustomerLicense, at: UnixSecs) {
    license.status = SubscriptionStatus::Cancelled;
    license.renew_status = RenewStatus::Cancel;
    license.renews_on = None;
    license.cancelled_at = Some(Timestamp::At(at));
}

/// A random duration between two numbers of days, in seconds.
fn secs(random: &mut Random, from_days: u64, to_days: u64) -> UnixSecs {
    (from_days * 86_400 + random.below((to_days - from_days) * 86_400) + 1).cast_signed()
}

/// When an access was made, starts and ends: of 100, 25 never end, 40 are valid, 30 have ended, 5 have not
/// started.
fn dates(random: &mut Random, now: UnixSecs) -> (UnixSecs, Option<UnixSecs>, Option<UnixSecs>) {
    match random.below(100) {
        0..25 => (now - secs(random, 1, 1_000), None, None),
        25..65 => (now - secs(random, 1, 300), None, Some(now + secs(random, 0, 365))),
        65..95 => {
            let created_at = now - secs(random, 100, 1_000);
            (created_at, Some(created_at), Some(created_at + secs(random, 1, 99)))
        }
        _ => {
            let starts_at = now + secs(random, 1, 60);
            (now - secs(random, 1, 30), Some(starts_at), Some(starts_at + secs(random, 1, 30)))
        }
    }
}
