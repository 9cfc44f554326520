//! A customer's record: identity, accesses with their purchases, licences and used trials.
//!
//! Layout: id, UUID, merchant id; the count of accesses, then the accesses in ascending order of item; the
//! count of licences, then the licences; the items whose trial was used, unless there are none. Integers are zigzag
//! LEB128. An item id is written as the difference
//! from the one before, a date as the difference from `created_at`; both differences are small, so most take
//! one to three bytes.
//!
//! ```
//! use admit_snapshot::customer::{Access, CustomerRecord, NewCustomer};
//!
//! let access = Access { id: 1, item_id: 5101, created_at: 1_900_000_000, ..Access::default() };
//! let bytes = NewCustomer { id: 42, merchant_id: 21, accesses: vec![access], ..NewCustomer::default() }.encode();
//!
//! let record = CustomerRecord::new(&bytes)?;
//! assert_eq!((record.id, record.merchant_id), (42, 21));
//! assert_eq!(record.accesses().collect::<Result<Vec<_>, _>>()?, [access]);
//! assert_eq!(record.held()?.len(), 0, "no subscriptions");
//! assert!(!record.has_used_trial(5101)?);
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use uuid::Uuid;

use super::{
    instant::Zoned,
    item::{IdList, write_ids},
    object::FormatError,
    schema::{IntervalUnit, LicenseType, RenewStatus, SubscriptionStatus},
    time::UnixSecs,
    wire::{Cursor, Put},
};

/// A grant on an item or a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Number of the access record.
    pub id: i64,
    /// Number of the item or package.
    pub item_id: i64,
    /// When it was granted, unix seconds.
    pub created_at: UnixSecs,
    /// First second at which it counts. `None`: from the beginning.
    pub starts_at: Option<UnixSecs>,
    /// First second at which it no longer counts. `None`: it never ends.
    pub expires_at: Option<UnixSecs>,
    /// When it will be renewed next, unix seconds. It decides nothing; answers show it to people. `None`: it will not
    /// be, or the origin does not say.
    pub renews_on: Option<UnixSecs>,
}

/// How an access was bought, as far as the origin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase<'a> {
    /// Amount that was paid, in units of the currency: a JSON number such as `9.99`.
    pub amount: &'a str,
    /// Currency of the amount: ISO 4217.
    pub currency: &'a str,
    /// Number of the fee that was bought. The item's record describes it, unless it is no longer sold.
    pub access_fee_id: Option<i64>,
    /// Name of the payment method.
    pub payment_method: Option<&'a str>,
    /// Whether the access began with a trial.
    pub is_trial: bool,
}

/// A customer's subscription to a licence. Answers of `/license` show these values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLicense<'a> {
    /// UUID of the licence, which the directory describes.
    pub license_id: u128,
    /// Whether it was bought alone or as part of a bundle.
    pub license_type: LicenseType,
    /// Whether it unlocks items: only `ACTIVE` and `OVERDUE` do.
    pub status: SubscriptionStatus,
    /// Whether it will be renewed.
    pub renew_status: RenewStatus,
    /// Name of the subscription, for people.
    pub name: &'a str,
    /// Unit of the billing interval.
    pub interval_unit: IntervalUnit,
    /// Length of the billing interval, in its unit.
    pub interval_length: u32,
    /// Whether the subscription began with a trial.
    pub trial: bool,
    /// When it was bought.
    pub date_added: Zoned,
    /// When it will be renewed next.
    pub renews_on: Option<Zoned>,
    /// The moment from which renewals are counted.
    pub billing_cycle_anchor: Option<Zoned>,
    /// Length of the trial in days.
    pub trial_duration: Option<u32>,
    /// Days until another trial is possible.
    pub trial_reset: Option<u32>,
    /// When it was cancelled, unix seconds.
    pub cancelled_at: Option<UnixSecs>,
    /// First second at which it unlocks items. `None`: from the beginning.
    pub starts_at: Option<UnixSecs>,
    /// First second at which it no longer unlocks items. `None`: it never ends.
    pub expires_at: Option<UnixSecs>,
}

/// A customer's record, read in place. Accesses and licences are decoded when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct CustomerRecord<'a> {
    /// Number of the customer, `customer_id` in answers.
    pub id: i64,
    /// UUID of the customer, `customer_uuid` in answers.
    pub uuid: Uuid,
    /// Number of the merchant that the customer belongs to.
    pub merchant_id: i64,
    access_count: usize,
    accesses: Cursor<'a>,
}

/// Least length of an access in bytes: item, id, `created_at` and flags.
const ACCESS_MIN_LEN: usize = 4;
/// Least length of a licence in bytes: its UUID.
const LICENSE_MIN_LEN: usize = 16;

impl<'a> CustomerRecord<'a> {
    /// Reads the fixed part of a record.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn new(record: &'a [u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(record);
        let id = cursor.signed()?;
        let uuid = Uuid::from_u128(cursor.uuid()?);
        let merchant_id = cursor.signed()?;
        let access_count = cursor.count(ACCESS_MIN_LEN)?;
        Ok(Self { id, uuid, merchant_id, access_count, accesses: cursor })
    }

    /// The accesses, in ascending order of item.
    pub fn accesses(&self) -> impl Iterator<Item = Result<Access, FormatError>> + use<'a> {
        let mut reader = AccessReader { cursor: self.accesses, item_id: 0 };
        // Stop after an error: the position of all further accesses is unknown.
        let mut failed = false;
        (0..self.access_count).map_while(move |_| {
            if failed {
                return None;
            }
            let next = reader.next();
            failed = next.is_err();
            Some(next)
        })
    }

    /// The accesses, in ascending order of item, each with its purchase if the origin says how it was bought. An error
    /// ends the iteration.
    pub fn purchases(
        &self,
    ) -> impl Iterator<Item = Result<(Access, Option<Purchase<'a>>), FormatError>> + use<'a> {
        let mut reader = AccessReader { cursor: self.accesses, item_id: 0 };
        let mut left = self.access_count;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let next = reader.next_with_purchase();
            // Stop after an error: the position of all further accesses is unknown.
            left = if next.is_ok() { left } else { 0 };
            Some(next)
        })
    }

    /// Numbers of the items whose trial the customer has used, ascending.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn used_trials(&self) -> Result<IdList<'a>, FormatError> {
        let mut reader = self.licenses_reader()?;
        for license in reader.by_ref() {
            license?;
        }
        // Formats 1 and 2, and records without used trials, end with the licences.
        if reader.cursor.rest().is_empty() {
            return Ok(IdList::default());
        }
        IdList::read(&mut reader.cursor)
    }

    /// Whether the customer has used the trial of an item.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn has_used_trial(&self, item_id: i64) -> Result<bool, FormatError> {
        Ok(self.used_trials()?.iter().any(|used| used == item_id))
    }

    /// All subscriptions, in the publisher's order. Only for callers with memory to spare: a record may hold
    /// many thousands.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn licenses(&self) -> Result<Vec<HeldLicense<'a>>, FormatError> {
        self.held()?.collect()
    }

    /// The subscriptions one by one, in the publisher's order. An error ends the iteration.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn held(
        &self,
    ) -> Result<impl ExactSizeIterator<Item = Result<HeldLicense<'a>, FormatError>> + use<'a>, FormatError>
    {
        self.licenses_reader()
    }

    fn licenses_reader(&self) -> Result<HeldReader<'a>, FormatError> {
        let mut reader = AccessReader { cursor: self.accesses, item_id: 0 };
        for _ in 0..self.access_count {
            reader.next()?;
        }
        let mut cursor = reader.cursor;
        let count = cursor.count(LICENSE_MIN_LEN)?;
        Ok(HeldReader { cursor, count })
    }
}

/// Decodes subscriptions one by one.
struct HeldReader<'a> {
    cursor: Cursor<'a>,
    /// Number of subscriptions left.
    count: usize,
}

impl<'a> Iterator for HeldReader<'a> {
    type Item = Result<HeldLicense<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.count.checked_sub(1)?;
        let next = read_license(&mut self.cursor);
        // Stop after an error: the position of all further subscriptions is unknown.
        self.count = if next.is_ok() { left } else { 0 };
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for HeldReader<'_> {}

struct AccessReader<'a> {
    cursor: Cursor<'a>,
    item_id: i64,
}

/// Bits of an access's flags, for the fields that follow.
const STARTS_AT: u8 = 1;
const EXPIRES_AT: u8 = 1 << 1;
const RENEWS_ON: u8 = 1 << 2;
const PURCHASE: u8 = 1 << 3;

/// Bits of a purchase's flags.
const ACCESS_FEE_ID: u8 = 1;
const PAYMENT_METHOD: u8 = 1 << 1;
const IS_TRIAL: u8 = 1 << 2;

impl<'a> AccessReader<'a> {
    /// The next access. The texts of its purchase are not checked.
    fn next(&mut self) -> Result<Access, FormatError> {
        let (access, has_purchase) = self.next_access()?;
        if has_purchase {
            skip_purchase(&mut self.cursor)?;
        }
        Ok(access)
    }

    fn next_with_purchase(&mut self) -> Result<(Access, Option<Purchase<'a>>), FormatError> {
        let (access, has_purchase) = self.next_access()?;
        let purchase = has_purchase.then(|| read_purchase(&mut self.cursor)).transpose()?;
        Ok((access, purchase))
    }

    /// The next access, and whether its purchase follows.
    fn next_access(&mut self) -> Result<(Access, bool), FormatError> {
        self.item_id = self.item_id.wrapping_add(self.cursor.signed()?);
        let id = self.cursor.signed()?;
        let created_at = self.cursor.signed()?;
        let flags = self.cursor.u8()?;
        if flags & !(STARTS_AT | EXPIRES_AT | RENEWS_ON | PURCHASE) != 0 {
            return Err(FormatError::Invalid("access flags"));
        }
        let mut date = |bit: u8| -> Result<Option<UnixSecs>, FormatError> {
            if flags & bit == 0 {
                return Ok(None);
            }
            Ok(Some(created_at.wrapping_add(self.cursor.signed()?)))
        };
        let (starts_at, expires_at, renews_on) = (date(STARTS_AT)?, date(EXPIRES_AT)?, date(RENEWS_ON)?);
        let access = Access { id, item_id: self.item_id, created_at, starts_at, expires_at, renews_on };
        Ok((access, flags & PURCHASE != 0))
    }
}

/// As [`read_purchase`], for callers that only decide.
fn skip_purchase(cursor: &mut Cursor<'_>) -> Result<(), FormatError> {
    let flags = purchase_flags(cursor)?;
    let skip_text = |cursor: &mut Cursor<'_>| {
        let len = cursor.count(1)?;
        cursor.take(len).map(drop)
    };
    skip_text(cursor)?;
    skip_text(cursor)?;
    if flags & ACCESS_FEE_ID != 0 {
        cursor.signed()?;
    }
    if flags & PAYMENT_METHOD != 0 {
        skip_text(cursor)?;
    }
    Ok(())
}

fn purchase_flags(cursor: &mut Cursor<'_>) -> Result<u8, FormatError> {
    let flags = cursor.u8()?;
    if flags & !(ACCESS_FEE_ID | PAYMENT_METHOD | IS_TRIAL) != 0 {
        return Err(FormatError::Invalid("purchase flags"));
    }
    Ok(flags)
}

fn read_purchase<'a>(cursor: &mut Cursor<'a>) -> Result<Purchase<'a>, FormatError> {
    let flags = purchase_flags(cursor)?;
    Ok(Purchase {
        is_trial: flags & IS_TRIAL != 0,
        amount: cursor.text()?,
        currency: cursor.text()?,
        access_fee_id: (flags & ACCESS_FEE_ID != 0).then(|| cursor.signed()).transpose()?,
        payment_method: (flags & PAYMENT_METHOD != 0).then(|| cursor.text()).transpose()?,
    })
}

fn write_purchase(out: &mut Vec<u8>, purchase: &Purchase<'_>) {
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let fee = flag(purchase.access_fee_id.is_some(), ACCESS_FEE_ID);
    let method = flag(purchase.payment_method.is_some(), PAYMENT_METHOD);
    out.push(fee | method | flag(purchase.is_trial, IS_TRIAL));
    out.put_text(purchase.amount);
    out.put_text(purchase.currency);
    if let Some(id) = purchase.access_fee_id {
        out.put_signed(id);
    }
    if let Some(method) = purchase.payment_method {
        out.put_text(method);
    }
}

const BUNDLE: u8 = 1;
const TRIAL: u8 = 1 << 1;
const RENEW_CANCEL: u8 = 1 << 2;
const STATUS_SHIFT: u8 = 3;
const UNIT_SHIFT: u8 = 5;
/// A bit that no writer sets, in both bytes of flags. A later format may give it a meaning that this reader
/// does not know, so it is an error.
const UNUSED: u8 = 1 << 7;

fn read_license<'a>(cursor: &mut Cursor<'a>) -> Result<HeldLicense<'a>, FormatError> {
    let license_id = cursor.uuid()?;
    let flags = cursor.u8()?;
    let present = cursor.u8()?;
    if (flags | present) & UNUSED != 0 {
        return Err(FormatError::Invalid("licence flags"));
    }
    // Flags: bits 0 to 2 are bundle, trial and cancelled renewal; bits 3 and 4 the status; bits 5 and 6 the
    // unit.
    let status = match (flags >> STATUS_SHIFT) & 0b11 {
        0 => SubscriptionStatus::Active,
        1 => SubscriptionStatus::Overdue,
        2 => SubscriptionStatus::Cancelled,
        _ => return Err(FormatError::Invalid("licence status")),
    };
    let interval_unit = match (flags >> UNIT_SHIFT) & 0b11 {
        0 => IntervalUnit::Days,
        1 => IntervalUnit::Weeks,
        2 => IntervalUnit::Months,
        _ => IntervalUnit::Years,
    };
    let name = cursor.text()?;
    let interval_length = read_u32(cursor)?;
    let date_added = read_zoned(cursor)?;
    let mut present = Present(present);
    Ok(HeldLicense {
        license_id,
        license_type: if flags & BUNDLE == 0 { LicenseType::Single } else { LicenseType::Bundle },
        status,
        renew_status: if flags & RENEW_CANCEL == 0 { RenewStatus::Renew } else { RenewStatus::Cancel },
        name,
        interval_unit,
        interval_length,
        trial: flags & TRIAL != 0,
        date_added,
        renews_on: present.next(cursor, read_zoned)?,
        billing_cycle_anchor: present.next(cursor, read_zoned)?,
        trial_duration: present.next(cursor, read_u32)?,
        trial_reset: present.next(cursor, read_u32)?,
        cancelled_at: present.next(cursor, Cursor::signed)?,
        starts_at: present.next(cursor, Cursor::signed)?,
        expires_at: present.next(cursor, Cursor::signed)?,
    })
}

/// Bits for the optional fields that follow, lowest bit first.
struct Present(u8);

impl Present {
    fn next<'a, T>(
        &mut self,
        cursor: &mut Cursor<'a>,
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T, FormatError>,
    ) -> Result<Option<T>, FormatError> {
        let is_present = self.0 & 1 != 0;
        self.0 >>= 1;
        is_present.then(|| read(cursor)).transpose()
    }
}

fn read_u32(cursor: &mut Cursor<'_>) -> Result<u32, FormatError> {
    u32::try_from(cursor.varint()?).map_err(|_| FormatError::Invalid("number"))
}

fn read_zoned(cursor: &mut Cursor<'_>) -> Result<Zoned, FormatError> {
    let at = cursor.signed()?;
    let offset_mins = i16::try_from(cursor.signed()?).map_err(|_| FormatError::Invalid("offset"))?;
    Ok(Zoned { at, offset_mins })
}

/// Content of a customer record to be written.
#[derive(Clone, Debug, Default)]
pub struct NewCustomer<'a> {
    /// Number of the customer, `customer_id` in answers.
    pub id: i64,
    /// UUID of the customer, `customer_uuid` in answers.
    pub uuid: Uuid,
    /// Number of the merchant that the customer belongs to.
    pub merchant_id: i64,
    /// The accesses, in any order.
    pub accesses: Vec<Access>,
    /// How each access was bought, in the order of `accesses`. May be shorter; nothing is known about the rest.
    pub purchases: Vec<Option<Purchase<'a>>>,
    /// The subscriptions, in the order in which answers list them.
    pub licenses: Vec<HeldLicense<'a>>,
    /// Numbers of the items whose trial was used, in any order.
    pub used_trials: Vec<i64>,
}

impl NewCustomer<'_> {
    /// Encodes the record.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 20 * self.accesses.len());
        self.encode_into(&mut out);
        out
    }

    /// Encodes the record at the end of `out`.
    pub fn encode_into(mut self, out: &mut Vec<u8>) {
        self.purchases.resize(self.accesses.len(), None);
        let mut accesses: Vec<_> = self.accesses.iter().zip(&self.purchases).collect();
        accesses.sort_by_key(|(access, _)| (access.item_id, access.id));
        out.put_signed(self.id);
        out.put_uuid(self.uuid.as_u128());
        out.put_signed(self.merchant_id);
        out.put_varint(self.accesses.len() as u64);
        let mut item_id = 0_i64;
        for (access, purchase) in accesses {
            out.put_signed(access.item_id.wrapping_sub(item_id));
            item_id = access.item_id;
            out.put_signed(access.id);
            out.put_signed(access.created_at);
            let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
            let dates = [
                (access.starts_at, STARTS_AT),
                (access.expires_at, EXPIRES_AT),
                (access.renews_on, RENEWS_ON),
            ];
            let flags = dates.iter().fold(flag(purchase.is_some(), PURCHASE), |flags, (date, bit)| {
                flags | flag(date.is_some(), *bit)
            });
            out.push(flags);
            for date in dates.into_iter().filter_map(|(date, _)| date) {
                out.put_signed(date.wrapping_sub(access.created_at));
            }
            if let Some(purchase) = purchase {
                write_purchase(out, purchase);
            }
        }
        out.put_varint(self.licenses.len() as u64);
        for license in &self.licenses {
            write_license(out, license);
        }
        self.used_trials.sort_unstable();
        self.used_trials.dedup();
        if !self.used_trials.is_empty() {
            write_ids(out, &self.used_trials);
        }
    }
}

fn write_license(out: &mut Vec<u8>, license: &HeldLicense<'_>) {
    out.put_uuid(license.license_id);
    let mut flags = match license.status {
        SubscriptionStatus::Active => 0,
        SubscriptionStatus::Overdue => 1,
        SubscriptionStatus::Cancelled => 2,
    } << STATUS_SHIFT;
    flags |= match license.interval_unit {
        IntervalUnit::Days => 0,
        IntervalUnit::Weeks => 1,
        IntervalUnit::Months => 2,
        IntervalUnit::Years => 3,
    } << UNIT_SHIFT;
    if license.license_type == LicenseType::Bundle {
        flags |= BUNDLE;
    }
    if license.renew_status == RenewStatus::Cancel {
        flags |= RENEW_CANCEL;
    }
    if license.trial {
        flags |= TRIAL;
    }
    out.push(flags);
    // The second byte of flags says which optional fields follow, the first field in the lowest bit.
    let present = [
        license.renews_on.is_some(),
        license.billing_cycle_anchor.is_some(),
        license.trial_duration.is_some(),
        license.trial_reset.is_some(),
        license.cancelled_at.is_some(),
        license.starts_at.is_some(),
        license.expires_at.is_some(),
    ];
    out.push(present.iter().rev().fold(0, |bits, present| (bits << 1) | u8::from(*present)));
    out.put_text(license.name);
    out.put_varint(u64::from(license.interval_length));
    for zoned in
        [Some(license.date_added), license.renews_on, license.billing_cycle_anchor].into_iter().flatten()
    {
        out.put_signed(zoned.at);
        out.put_signed(i64::from(zoned.offset_mins));
    }
    for number in [license.trial_duration, license.trial_reset].into_iter().flatten() {
        out.put_varint(u64::from(number));
    }
    for date in [license.cancelled_at, license.starts_at, license.expires_at].into_iter().flatten() {
        out.put_signed(date);
    }
}

#[cfg(test)]
mod tests;
