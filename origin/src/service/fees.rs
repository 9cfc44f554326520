//! Writes of an item's fees.

use admit::{
    api::error::ApiError,
    instant::UnixSecs,
    snapshot::{
        schema::{AccessFee, GeoRestriction, GeoRestrictionKind, Item, SetupFee, TrialPeriod},
        time::Timestamp,
    },
};
use serde_json::Number;

use super::{
    budget::Changed,
    job::{Job, Success},
};
use crate::{
    db::{DbError, numbers::RecordKind, records},
    limits::TEXT_MAX_BYTES,
    period::{Period, PeriodError, UNITS},
    text::shown,
    wire::{Fields, OriginError, Refused},
};

/// The fields of a fee in a body, as far as they were sent.
struct FeeFields {
    access_type_id: i64,
    amount: Number,
    currency: String,
    description: String,
    trial_period: Option<TrialPeriod>,
    setup_fee: Option<(Number, String)>,
    restriction: Option<(GeoRestrictionKind, Option<String>, Option<i64>)>,
    starts_at: Option<UnixSecs>,
    expires_at: Option<UnixSecs>,
}

/// `POST /v2/items/{id}/access-fees`: adds a fee.
///
/// # Errors
/// 400, 404, 422.
pub fn create(job: &mut Job<'_>, item_id: i64) -> Result<Success, Refused> {
    let said = read(job, &Fields::new(job.fields))?;
    let mut item = job.item(item_id)?;
    let fee = new_fee(job, said, None)?;
    item.fees.push(fee.clone());
    job.put_item(&item, Changed::Fees)?;
    Ok(Success::Created(job.fee_json(&item, &fee)?))
}

/// `PUT /v2/items/{id}/access-fees/{fee_id}`: replaces the whole fee.
///
/// # Errors
/// 400, 404, 422, and 412 if a customer holds access bought by the fee and the new fee would sell something
/// else.
pub fn replace(job: &mut Job<'_>, item_id: i64, fee_id: i64) -> Result<Success, Refused> {
    let said = read(job, &Fields::new(job.fields))?;
    let mut item = job.item(item_id)?;
    let fee = replaced(job, &mut item, fee_id, said)?;
    job.put_item(&item, Changed::Fees)?;
    Ok(Success::Created(job.fee_json(&item, &fee)?))
}

/// `DELETE /v2/items/{id}/access-fees/{fee_id}`: removes a fee.
///
/// # Errors
/// 404, and 412 while a customer holds access bought by the fee.
pub fn delete(job: &mut Job<'_>, item_id: i64, fee_id: i64) -> Result<Success, Refused> {
    let mut item = job.item(item_id)?;
    position(&item, fee_id)?;
    if is_in_use(job, item_id, fee_id)? {
        return Err(OriginError::FeeInUse.into());
    }
    item.fees.retain(|fee| fee.id != fee_id);
    job.put_smaller_item(&item)?;
    Ok(Success::Done)
}

/// `PATCH /v2/items/{id}/access-fees/bulk`: replaces fees, and adds those whose `id` is 0. If one fee is
/// refused, none is changed.
///
/// # Errors
/// 400, 404, 412, 422.
pub fn bulk(job: &mut Job<'_>, item_id: i64) -> Result<Success, Refused> {
    let fields = Fields::new(job.fields);
    let objects = fields.objects("access_fees").unwrap_or_default();
    if objects.is_empty() {
        fields.wrong("access_fees", "is required");
    }
    let mut seen = Vec::new();
    let mut parts = Vec::new();
    for object in &objects {
        let id = object.required_integer("id");
        if id.is_some_and(|id| id < 0) || (id != Some(0) && seen.contains(&id)) {
            object.wrong("id", "must be 0 for a new fee, or that of a fee, once");
        }
        seen.push(id);
        parts.push((id, parse(job, object)?));
    }
    fields.finish()?;
    let mut item = job.item(item_id)?;
    let mut changed = Vec::new();
    for (id, said) in parts {
        // A missing required field has noted a problem, and `finish` below reports it.
        let (Some(id), Some(said)) = (id, said) else { continue };
        changed.push(if id == 0 {
            let fee = new_fee(job, said, None)?;
            item.fees.push(fee.clone());
            fee
        } else {
            replaced(job, &mut item, id, said)?
        });
    }
    job.put_item(&item, Changed::Fees)?;
    Ok(Success::Created(job.fees_json(&item, &changed)?))
}

fn position(item: &Item, fee_id: i64) -> Result<usize, Refused> {
    item.fees.iter().position(|fee| fee.id == fee_id).ok_or_else(|| ApiError::FeeNotFound.into())
}

fn replaced(job: &Job<'_>, item: &mut Item, fee_id: i64, said: FeeFields) -> Result<AccessFee, Refused> {
    let position = position(item, fee_id)?;
    let Some(slot) = item.fees.get_mut(position) else { return Err(ApiError::FeeNotFound.into()) };
    if slot.access_type_id != said.access_type_id && is_in_use(job, item.id, fee_id)? {
        return Err(OriginError::FeeInUse.into());
    }
    *slot = new_fee(job, said, Some(slot))?;
    Ok(slot.clone())
}

/// Whether a customer holds access that was bought by the fee.
fn is_in_use(job: &Job<'_>, item_id: i64, fee_id: i64) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM accesses WHERE item_id = ?1 AND fee_id = ?2
               AND (expires_at IS NULL OR expires_at > ?3))";
    Ok(job.db.prepare_cached(sql)?.query_row([item_id, fee_id, job.now], |row| row.get(0))?)
}

/// The fee that the body describes. Parts that the previous fee also has keep their numbers.
fn new_fee(job: &Job<'_>, said: FeeFields, before: Option<&AccessFee>) -> Result<AccessFee, DbError> {
    let id = match before {
        Some(before) => before.id,
        None => job.number(RecordKind::Fee)?,
    };
    let setup_fee = match said.setup_fee {
        None => None,
        Some((fee_amount, description)) => {
            let id = match before.and_then(|before| before.setup_fee.as_ref()) {
                Some(setup_fee) => setup_fee.id,
                None => job.number(RecordKind::SetupFee)?,
            };
            Some(SetupFee { id, fee_amount, description })
        }
    };
    let geo_restriction = match said.restriction {
        None => None,
        Some((kind, country_iso, country_set_id)) => {
            let id = match before.and_then(|before| before.geo_restriction.as_ref()) {
                Some(restriction) => restriction.id,
                None => job.number(RecordKind::GeoRestriction)?,
            };
            Some(GeoRestriction { id, country_iso, country_set_id, kind })
        }
    };
    let now = Timestamp::At(job.now);
    Ok(AccessFee {
        id,
        amount: said.amount,
        currency: said.currency,
        description: said.description,
        access_type_id: said.access_type_id,
        trial_period: said.trial_period,
        setup_fee,
        geo_restriction,
        starts_at: said.starts_at.map(Timestamp::At),
        expires_at: said.expires_at.map(Timestamp::At),
        plan_switch_enabled: before.is_some_and(|before| before.plan_switch_enabled),
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
    })
}

/// Reads a body that describes one fee.
fn read(job: &Job<'_>, fields: &Fields<'_>) -> Result<FeeFields, Refused> {
    let said = parse(job, fields)?;
    fields.finish()?;
    said.ok_or_else(|| Refused::field("amount", "The amount is required"))
}

/// Reads a fee. `None` if a required field is missing; the problems are noted in `fields`.
fn parse(job: &Job<'_>, fields: &Fields<'_>) -> Result<Option<FeeFields>, Refused> {
    let access_type_id = fields.required_integer("access_type_id");
    if let Some(id) = access_type_id {
        let access_type = records::access_type(job.db, id)?;
        let own = access_type.filter(|access_type| access_type.account_id == job.caller.merchant_id);
        match own.as_ref().map(Period::of) {
            None => fields
                .wrong("access_type_id", &format!("must name an access type of this merchant, not {id}")),
            // A purchase by a fee with such a period would fail after the viewer has paid.
            Some(Err(error)) => {
                fields
                    .wrong("access_type_id", &format!("names an access type that cannot be sold ({error})"));
            }
            Some(Ok(_)) => {}
        }
    }
    let currency = fields.code("currency", TEXT_MAX_BYTES);
    match &currency {
        Some(currency) if !is_letters(currency, 3) => {
            fields.wrong("currency", &format!("must be three letters of ISO 4217, not {}", shown(currency)));
        }
        Some(_) => {}
        None => fields.wrong("currency", "is required"),
    }
    let description = fields.required_text("description", TEXT_MAX_BYTES);
    let (starts_at, expires_at) = (fields.moment("starts_at"), fields.moment("expires_at"));
    if starts_at.zip(expires_at).is_some_and(|(starts_at, expires_at)| expires_at <= starts_at) {
        fields.wrong("expires_at", "must be after the starts_at");
    }
    let (trial_period, restriction) = (trial_period(fields), restriction(fields));
    let setup_fee = setup_fee(fields)?;
    let amount = amount(fields, "amount")?;
    if amount.is_none() {
        fields.wrong("amount", "is required");
    }
    let (Some(access_type_id), Some(amount), Some(currency), Some(description)) =
        (access_type_id, amount, currency, description)
    else {
        return Ok(None);
    };
    Ok(Some(FeeFields {
        access_type_id,
        amount,
        currency,
        description,
        trial_period,
        setup_fee,
        restriction,
        starts_at,
        expires_at,
    }))
}

/// An optional amount: a number that is not negative.
fn amount(fields: &Fields<'_>, name: &str) -> Result<Option<Number>, Refused> {
    let Some(sent) = fields.text(name, TEXT_MAX_BYTES) else { return Ok(None) };
    let amount = fields.number(name).filter(|amount| amount.as_f64().is_some_and(f64::is_sign_positive));
    amount.map(Some).ok_or_else(|| {
        let name = fields.name_of(name);
        Refused::Named {
            error: OriginError::FeeAmount,
            problem: format!("The {name} must be a number from 0 on, such as 4.50, not {}", shown(&sent)),
            name,
        }
    })
}

fn trial_period(fields: &Fields<'_>) -> Option<TrialPeriod> {
    const NAMES: [&str; 3] = ["trial_period_quantity", "trial_period_period", "trial_period_description"];
    if !NAMES.iter().any(|name| fields.text(name, TEXT_MAX_BYTES).is_some()) {
        return None;
    }
    let quantity = fields.required_integer("trial_period_quantity");
    let unit = fields.required_text("trial_period_period", TEXT_MAX_BYTES);
    // An invalid or missing quantity is reported by itself; the unit is checked all the same.
    let period = Period::new(quantity.unwrap_or(1), unit.as_deref().unwrap_or("day"));
    match &period {
        Ok(_) => {}
        Err(PeriodError::Unit(found)) => {
            fields.wrong("trial_period_period", &format!("must be one of {UNITS}, not {found}"));
            if let Some(quantity) = quantity.filter(|quantity| *quantity < 1) {
                fields.wrong("trial_period_quantity", &format!("must be at least 1, not {quantity}"));
            }
        }
        Err(error @ PeriodError::Quantity { .. }) => {
            fields.wrong("trial_period_quantity", &format!("cannot be sold ({error})"));
        }
    }
    Some(TrialPeriod {
        quantity: quantity?,
        period: period.ok()?.unit().name().to_owned(),
        description: fields.text("trial_period_description", TEXT_MAX_BYTES).unwrap_or_default(),
    })
}

fn setup_fee(fields: &Fields<'_>) -> Result<Option<(Number, String)>, Refused> {
    let description = fields.text("setup_fee_description", TEXT_MAX_BYTES);
    let amount = amount(fields, "setup_fee_amount")?;
    if amount.is_none() && description.is_some() {
        fields.wrong("setup_fee_amount", "is required");
    }
    Ok(amount.map(|amount| (amount, description.unwrap_or_default())))
}

fn restriction(fields: &Fields<'_>) -> Option<(GeoRestrictionKind, Option<String>, Option<i64>)> {
    let country_iso = fields.code("country_iso", TEXT_MAX_BYTES);
    if let Some(country) = country_iso.as_ref().filter(|country| !is_letters(country, 2)) {
        fields.wrong("country_iso", &format!("must be two letters of ISO 3166-1, not {}", shown(country)));
    }
    let country_set_id = fields.integer("country_set_id");
    let kinds = [("blacklist", GeoRestrictionKind::Blacklist), ("whitelist", GeoRestrictionKind::Whitelist)];
    let kind = fields.word("restriction_type", &kinds);
    match (&country_iso, country_set_id, kind) {
        (None, None, None) => None,
        (Some(_), Some(_), _) => {
            fields.wrong("country_iso", "and country_set_id exclude each other");
            None
        }
        (None, None, Some(_)) => {
            fields.wrong("country_iso", "or country_set_id is required with restriction_type");
            None
        }
        (_, _, None) => {
            fields.wrong("restriction_type", "is required with a country");
            None
        }
        (_, _, Some(kind)) => Some((kind, country_iso, country_set_id)),
    }
}

fn is_letters(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
