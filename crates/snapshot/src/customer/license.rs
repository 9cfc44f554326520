//! The subscriptions of a customer's record.

use crate::{
    instant::Zoned,
    object::FormatError,
    schema::{IntervalUnit, LicenseType, RenewStatus, SubscriptionStatus},
    time::UnixSecs,
    wire::{Cursor, Put},
};

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

/// Least length of a licence in bytes: its UUID.
pub(super) const LICENSE_MIN_LEN: usize = 16;

/// Decodes subscriptions one by one.
pub(super) struct HeldReader<'a> {
    /// Behind the last subscription that was read.
    pub(super) cursor: Cursor<'a>,
    /// Number of subscriptions left.
    count: usize,
}

impl<'a> HeldReader<'a> {
    pub(super) const fn new(cursor: Cursor<'a>, count: usize) -> Self {
        Self { cursor, count }
    }
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

pub(super) fn write_license(out: &mut Vec<u8>, license: &HeldLicense<'_>) {
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
