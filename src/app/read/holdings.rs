//! A viewer's holdings, for a client's other calls: used trials, purchases, and the plans of JW's access bridge.

use super::{
    LookUps, ReadError,
    answers::{public, too_large},
};
use crate::{
    api::{
        bodies::{self, Bought, TooLarge},
        contract::Route,
        error::ApiError,
        query,
        reply::{Caching, Reply},
    },
    entitlement::{app_of_site, ends_at, held_plans, offered_plans},
    limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS},
    snapshot::{customer::CustomerRecord, index::Tree, item::ItemRecord, time::UnixSecs, version::Version},
    token::Principal,
};

/// A page of purchases. Clients count pages from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct PurchasePage {
    /// Only accesses that count now, or only those that do not; all without it.
    is_active: Option<bool>,
    page: u32,
    size: usize,
}

impl PurchasePage {
    /// `status`, `page` and `size`. Parameters with other names are ignored.
    ///
    /// # Errors
    /// 422, naming the first parameter that is invalid.
    pub fn of(query: &str) -> Result<Self, ApiError> {
        let value = |name| query::last(query, name).map(Option::unwrap_or_default);
        let is_active = match value("status").as_deref() {
            None | Some("") => None,
            Some("active") => Some(true),
            Some("inactive") => Some(false),
            Some(_) => return Err(ApiError::INVALID_STATUS),
        };
        let page = match value("page").as_deref() {
            None | Some("0") => Some(0),
            Some(page) => query::positive(page),
        };
        let size = match value("size").as_deref() {
            None => Some(PAGE_DEFAULT_ITEMS),
            Some(size) => query::positive(size).and_then(|size| usize::try_from(size).ok()),
        };
        Ok(Self {
            is_active,
            page: page.ok_or(ApiError::INVALID_PURCHASE_PAGE)?,
            size: size.filter(|size| *size <= PAGE_MAX_ITEMS).ok_or(ApiError::INVALID_SIZE)?,
        })
    }

    /// The parameters as they were understood.
    pub fn query(&self) -> String {
        let Self { is_active, page, size } = self;
        let status = match is_active {
            None => "",
            Some(true) => "status=active&",
            Some(false) => "status=inactive&",
        };
        format!("{status}page={page}&size={size}")
    }
}

fn private(body: Result<String, TooLarge>) -> Reply {
    body.map_or_else(too_large, |body| Reply::ok(body, Caching::Private))
}

/// A bare boolean. A trial counts as used if the origin says so, or if an access to the item began with one.
#[inline(never)]
pub(super) fn used_trial(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
) -> Result<Reply, ReadError> {
    let record = look_ups.customer(principal)?;
    let mut is_used = false;
    if let Some(record) = &record {
        let customer = CustomerRecord::new(record.bytes())?;
        is_used = customer.has_used_trial(item_id)?;
        for bought in customer.purchases() {
            let (access, purchase) = bought?;
            is_used |= access.item_id == item_id && purchase.is_some_and(|purchase| purchase.is_trial);
        }
    }
    Ok(Reply::ok(is_used.to_string(), Caching::Private))
}

/// A page of the customer's accesses, the newest first.
#[inline(never)]
pub(super) fn purchases(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    asked: PurchasePage,
    now: UnixSecs,
) -> Result<Reply, ReadError> {
    let record = look_ups.customer(principal)?;
    let customer = record.as_ref().map(|record| CustomerRecord::new(record.bytes())).transpose()?;
    let mut all = Vec::new();
    for bought in customer.iter().flat_map(CustomerRecord::purchases) {
        let (access, purchase) = bought?;
        let is_active = access.starts_at.is_none_or(|starts_at| starts_at <= now)
            && access.expires_at.is_none_or(|expires_at| now < expires_at);
        if asked.is_active.is_none_or(|wanted| wanted == is_active) {
            all.push(Bought { access, purchase, ends_at: ends_at(&access, now) });
        }
    }
    all.sort_unstable_by_key(|bought| std::cmp::Reverse((bought.access.created_at, bought.access.id)));
    let skipped = usize::try_from(asked.page).unwrap_or(usize::MAX).saturating_mul(asked.size);
    let shown: Vec<_> = all.iter().copied().skip(skipped).take(asked.size).collect();
    let mut items = Vec::with_capacity(shown.len());
    for bought in &shown {
        items.push(look_ups.ask(Tree::Items, look_ups.item_key(bought.access.item_id))?);
    }
    look_ups.complete()?;
    let mut page = Vec::with_capacity(shown.len());
    for (bought, item) in shown.into_iter().zip(&items) {
        page.push((bought, item.as_ref().map(|item| ItemRecord::new(item.bytes())).transpose()?));
    }
    Ok(private(bodies::purchases(all.len(), customer.as_ref(), &page)?))
}

/// The plans that a viewer holds now, for a passport of JW's access bridge.
#[inline(never)]
pub(super) fn entitlements(
    look_ups: &mut LookUps<'_>,
    principal: Option<&Principal>,
    now: UnixSecs,
) -> Result<Reply, ReadError> {
    let Some(principal) = principal else { return Ok(private(bodies::plans(std::iter::empty()))) };
    let record = look_ups.customer(principal)?;
    let customer = record.as_ref().map(|record| CustomerRecord::new(record.bytes())).transpose()?;
    let held = held_plans(principal, customer.as_ref(), &look_ups.version.directory, now)?;
    let plans = held.iter().map(|plan| (plan.id, plan.license.name.as_str(), Some(plan.expires_at)));
    Ok(private(bodies::plans(plans)))
}

/// The plans that the app of the site offers; 404 for an unknown site.
#[inline(never)]
pub(super) fn plans(version: &Version, path: &str) -> Reply {
    let Some(Route::Plans(site)) = Route::parse(path) else { return ApiError::RouteNotFound.into() };
    let Some(app) = app_of_site(&version.directory, site) else { return ApiError::SiteNotFound.into() };
    let offered = offered_plans(&version.directory, app);
    public(bodies::plans(offered.map(|(id, license)| (id, license.name.as_str(), None))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_purchases_are_counted_from_0() {
        let page = |is_active, page, size| Ok(PurchasePage { is_active, page, size });
        for (query, expected) in [
            ("", page(None, 0, PAGE_DEFAULT_ITEMS)),
            ("status=active&page=0&size=5", page(Some(true), 0, 5)),
            ("status=inactive&page=3&size=100&type=ppv", page(Some(false), 3, 100)),
            ("status=", page(None, 0, PAGE_DEFAULT_ITEMS)),
            ("status=revoked", Err(ApiError::INVALID_STATUS)),
            ("page=-1", Err(ApiError::INVALID_PURCHASE_PAGE)),
            ("size=0", Err(ApiError::INVALID_SIZE)),
            ("size=101", Err(ApiError::INVALID_SIZE)),
        ] {
            assert_eq!(PurchasePage::of(query), expected, "{query}");
            if let Ok(page) = expected {
                assert_eq!(PurchasePage::of(&page.query()), Ok(page), "{query}");
            }
        }
    }
}
