//! The accesses of a customer's record, each with its purchase.

use crate::{
    object::FormatError,
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

/// Least length of an access in bytes: item, id, `created_at` and flags.
pub(super) const ACCESS_MIN_LEN: usize = 4;

/// Decodes accesses one by one.
pub(super) struct AccessReader<'a> {
    /// Behind the last access that was read.
    pub(super) cursor: Cursor<'a>,
    /// Item of that access, from which the next one counts.
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
    pub(super) const fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor, item_id: 0 }
    }

    /// The next access. The texts of its purchase are not checked.
    pub(super) fn next(&mut self) -> Result<Access, FormatError> {
        let (access, has_purchase) = self.next_access()?;
        if has_purchase {
            skip_purchase(&mut self.cursor)?;
        }
        Ok(access)
    }

    pub(super) fn next_with_purchase(&mut self) -> Result<(Access, Option<Purchase<'a>>), FormatError> {
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

/// Writes an access behind one on the item `before`: 0 for the first.
pub(super) fn write_access(out: &mut Vec<u8>, access: &Access, purchase: Option<&Purchase<'_>>, before: i64) {
    out.put_signed(access.item_id.wrapping_sub(before));
    out.put_signed(access.id);
    out.put_signed(access.created_at);
    let dates =
        [(access.starts_at, STARTS_AT), (access.expires_at, EXPIRES_AT), (access.renews_on, RENEWS_ON)];
    let flags = dates
        .iter()
        .fold(flag(purchase.is_some(), PURCHASE), |flags, (date, bit)| flags | flag(date.is_some(), *bit));
    out.push(flags);
    for date in dates.into_iter().filter_map(|(date, _)| date) {
        out.put_signed(date.wrapping_sub(access.created_at));
    }
    if let Some(purchase) = purchase {
        write_purchase(out, purchase);
    }
}

fn write_purchase(out: &mut Vec<u8>, purchase: &Purchase<'_>) {
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

const fn flag(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}
