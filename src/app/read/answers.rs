//! The answers to reads, from the records of one version.

use std::borrow::Cow;

use uuid::Uuid;

use super::{LookUps, MemberWindow, PublicRead, ReadError, decide_for, holdings::plans};
use crate::{
    api::{
        bodies::{self, TooLarge, Viewer},
        contract::Route,
        error::ApiError,
        playback::{Playable, PlaybackForm},
        reply::{Caching, Reply, Request},
    },
    app::{ServiceReason, finish::subject_hash, unavailable},
    entitlement::{Decided, Decision, Grant, Question, Reason, client_app, listed_licenses},
    limits::PAGE_SURE_ITEMS,
    snapshot::{
        cost::ItemCost,
        customer::CustomerRecord,
        external_id::{ExternalRecord, Named},
        index::Tree,
        item::ItemRecord,
        object::FormatError,
        time::UnixSecs,
        version::Version,
    },
    token::Principal,
};

impl PublicRead {
    /// Answers from the records of a version, for the route of `path`. `window` is which members of a package
    /// it has, if not all.
    #[inline(never)]
    pub(super) fn answer(
        self,
        look_ups: &mut LookUps<'_>,
        window: Option<MemberWindow>,
        path: &str,
    ) -> Result<Reply, ReadError> {
        match self {
            Self::Item { item_id, merchant } => public_item(look_ups, item_id, |item, version| {
                let owner = version.directory.merchants.get(&item.merchant_id);
                if merchant.is_some_and(|merchant| owner != Some(&merchant)) {
                    return Ok(ApiError::ItemNotFound.into());
                }
                Ok(public(bodies::item(item)))
            }),
            Self::ExternalItem { merchant } => external_item(look_ups, path, merchant),
            Self::Fees { item_id } => public_item(look_ups, item_id, |item, _| {
                let cost = ItemCost::of(item)?;
                Ok(public(bodies::fees(item, item.fee_list()?.iter(), &cost)))
            }),
            Self::Fee { item_id, fee_id } => public_item(look_ups, item_id, |item, _| {
                let fee = item.fee_list()?.iter().find(|fee| fee.id == fee_id);
                Ok(fee.map_or_else(|| ApiError::FeeNotFound.into(), |fee| public(bodies::fee(item, &fee))))
            }),
            Self::Package { item_id } => public_item(look_ups, item_id, |item, _| {
                Ok(if item.is_package { public(bodies::item(item)) } else { ApiError::ItemNotFound.into() })
            }),
            Self::Plans => Ok(plans(look_ups.version, path)),
            Self::PackageItems { item_id, page, limit } => {
                package_items(look_ups, window, item_id, page, limit)
            }
        }
    }
}

pub(super) fn public(body: Result<String, TooLarge>) -> Reply {
    body.map_or_else(too_large, |body| Reply::ok(body, Caching::Public))
}

/// 503 for a record that costs more than an answer may: an older publisher let it in. It affects no other record, and
/// asking again costs little.
pub(super) fn too_large(error: TooLarge) -> Reply {
    Reply::error(unavailable(), ServiceReason::TooLarge.code()).with_detail(error.to_string())
}

#[inline(never)]
fn public_item(
    look_ups: &mut LookUps<'_>,
    item_id: i64,
    answer: impl FnOnce(&ItemRecord<'_>, &Version) -> Result<Reply, FormatError>,
) -> Result<Reply, ReadError> {
    let Some(record) = look_ups.item(item_id)? else { return Ok(ApiError::ItemNotFound.into()) };
    let item = ItemRecord::new(record.bytes())?;
    if !item.is_active {
        return Ok(Reply::error(ApiError::ItemNotFound, Reason::ItemInactive.code()));
    }
    Ok(answer(&item, look_ups.version)?)
}

/// Decides a check. `then` gets the decision and the records that it comes from; nothing comes of an unknown item.
fn decided<T>(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
    now: UnixSecs,
    then: impl FnOnce(Decided, &ItemRecord<'_>, Option<&CustomerRecord<'_>>) -> T,
) -> Result<Option<T>, ReadError> {
    let item = look_ups.ask(Tree::Items, look_ups.item_key(item_id))?;
    let customer = look_ups.ask(Tree::Customers, principal.customer_key)?;
    look_ups.complete()?;
    let Some(item) = item else { return Ok(None) };
    let item = ItemRecord::new(item.bytes())?;
    let customer = customer.as_ref().map(|customer| CustomerRecord::new(customer.bytes())).transpose()?;
    let directory = &look_ups.version.directory;
    let question = Question { principal, customer: customer.as_ref(), item: &item, directory, now };
    Ok(Some(then(decide_for(look_ups.merchant, &question)?, &item, customer.as_ref())))
}

/// The answer to a check.
pub(super) fn access(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
    request: &Request<'_>,
    now: UnixSecs,
) -> Result<Reply, ReadError> {
    let (ip_address, country) = (request.ip_address, request.country);
    check(look_ups, principal, item_id, now, |grant, item, customer| {
        let body = |viewer: &Viewer<'_>| bodies::access(grant, viewer, item);
        let body = with_viewer(principal, customer, ip_address, country, body)?;
        let reason = Cow::Borrowed(grant.reason.code());
        Ok(Reply { reason, ..Reply::ok(body, Caching::Private) })
    })
}

/// The answer to a playback question. A grant is still to be signed.
#[inline(never)]
pub(super) fn playback(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
    form: PlaybackForm,
    now: UnixSecs,
) -> Result<Reply, ReadError> {
    check(look_ups, principal, item_id, now, |grant, item, _| {
        let text = [r#"{"content":"#, item.content, ",", item.details].concat();
        let json = serde_json::from_slice(text.as_bytes()).unwrap_or_default();
        let subject = subject_hash(principal.customer_key);
        let playable = Playable {
            is_unlimited: grant.is_unlimited(),
            ..Playable::new(form, grant.expires_at, item.merchant_id, &json, subject)
        };
        Ok(Reply::playable(playable, grant.reason.code()))
    })
}

/// Decides, and answers a denial; `granted` answers a grant.
fn check(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
    now: UnixSecs,
    granted: impl FnOnce(&Grant, &ItemRecord<'_>, Option<&CustomerRecord<'_>>) -> Result<Reply, TooLarge>,
) -> Result<Reply, ReadError> {
    let is_restricted = look_ups.merchant.is_some();
    let reply =
        decided(look_ups, principal, item_id, now, |decided, item, customer| match decided.decision {
            Decision::Allow(grant) => granted(&grant, item, customer).unwrap_or_else(too_large),
            Decision::Deny(Reason::ItemInactive) => {
                Reply::error(ApiError::ItemNotFound, Reason::ItemInactive.code())
            }
            // Not a denial: the binding is wrong, and no purchase helps.
            Decision::Deny(Reason::OtherMerchant) if is_restricted => {
                Reply::error(ApiError::InvalidPrivileges, Reason::OtherMerchant.code())
            }
            Decision::Deny(reason) => Reply::error(ApiError::NoAccess, reason.code()),
        })?;
    Ok(reply.unwrap_or_else(|| Reply::error(ApiError::ItemNotFound, ServiceReason::UnknownItem.code())))
}

/// Whether a check is granted. One of an unknown item is not.
pub(super) fn is_granted(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
    now: UnixSecs,
) -> Result<bool, ReadError> {
    let is_allowed = |decided: Decided, _: &ItemRecord<'_>, _: Option<&CustomerRecord<'_>>| {
        matches!(decided.decision, Decision::Allow(_))
    };
    Ok(decided(look_ups, principal, item_id, now, is_allowed)?.unwrap_or_default())
}

/// The viewer, as the body of a check shows them.
pub(super) fn with_viewer<T>(
    principal: &Principal,
    customer: Option<&CustomerRecord<'_>>,
    ip_address: &str,
    country: &str,
    then: impl FnOnce(&Viewer<'_>) -> T,
) -> T {
    let uuid = customer.map(|customer| customer.uuid.hyphenated());
    let mut uuid_text = Uuid::encode_buffer();
    then(&Viewer {
        // A free item is granted to customers that the snapshot does not have yet: the token names them.
        customer_id: customer.map_or_else(|| principal.account_id.unwrap_or(0), |customer| customer.id),
        customer_uuid: match &uuid {
            Some(uuid) => uuid.encode_lower(&mut uuid_text),
            None => &principal.subject,
        },
        ip_address,
        country,
    })
}

#[inline(never)]
pub(super) fn license(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    now: UnixSecs,
) -> Result<Reply, ReadError> {
    let customer = look_ups.customer(principal)?;
    let customer = customer.as_ref().map(|customer| CustomerRecord::new(customer.bytes())).transpose()?;
    let directory = &look_ups.version.directory;
    let entries = listed_licenses(principal, customer.as_ref(), directory, now)?;
    let client_id = principal.client_id.as_deref();
    let app = client_app(principal, directory).map(|client| client.app);
    let body = bodies::license(app, client_id, &entries, now);
    Ok(body.map_or_else(too_large, |body| Reply::ok(body, Caching::Private)))
}

/// The item that type and external id in `path` name. Without a merchant, an id that items of several merchants have
/// names none of them: any choice would show a client another merchant's item.
#[inline(never)]
fn external_item(look_ups: &mut LookUps<'_>, path: &str, merchant: Option<Uuid>) -> Result<Reply, ReadError> {
    if !look_ups.version.index.has_external_ids() {
        return Ok(Reply::error(unavailable(), ServiceReason::NoExternalIds.code()));
    }
    let name = match Route::parse(path) {
        Some(Route::ExternalItem(name)) => name.decoded(),
        _ => None,
    };
    // The plan has checked the path.
    let Some((item_type, id)) = name else { return Ok(ApiError::INVALID_EXTERNAL_ID.into()) };
    let Some(record) = look_ups.external(item_type, &id)? else { return Ok(ApiError::ItemNotFound.into()) };
    let named = ExternalRecord::new(record.bytes())?;
    let item_id = match merchant {
        Some(uuid) => {
            let merchants = &look_ups.version.directory.merchants;
            named.iter().find(|(merchant, _)| merchants.get(merchant) == Some(&uuid)).map(|(_, item)| item)
        }
        None => match named.only() {
            Named::Item(item_id) => Some(item_id),
            Named::Several => return Ok(ApiError::SHARED_EXTERNAL_ID.into()),
        },
    };
    let Some(item_id) = item_id else { return Ok(ApiError::ItemNotFound.into()) };
    public_item(look_ups, item_id, |item, _| Ok(public(bodies::item(item))))
}

#[inline(never)]
fn package_items(
    look_ups: &mut LookUps<'_>,
    window: Option<MemberWindow>,
    item_id: i64,
    page: u32,
    limit: usize,
) -> Result<Reply, ReadError> {
    let Some(record) = look_ups.item(item_id)? else { return Ok(ApiError::ItemNotFound.into()) };
    let package = ItemRecord::new(record.bytes())?;
    if !package.is_package || !package.is_active {
        return Ok(ApiError::ItemNotFound.into());
    }
    let members = package.members()?;
    let MemberWindow { offset: left_out, total } =
        window.unwrap_or(MemberWindow { offset: 0, total: members.len() });
    // At most 100 a page: the product fits.
    let offset = u64::from(page - 1) * limit as u64;
    let mut records = Vec::with_capacity(limit.min(members.len()));
    let skipped = usize::try_from(offset.saturating_sub(left_out)).unwrap_or(usize::MAX);
    for member in members.iter().skip(skipped).take(limit) {
        records.extend(look_ups.ask(Tree::Items, look_ups.item_key(member))?);
    }
    look_ups.complete()?;
    let mut items = Vec::with_capacity(records.len());
    for record in &records {
        let item = ItemRecord::new(record.bytes())?;
        if item.is_active {
            items.push(item);
        }
    }
    let body = bodies::package_items(total, page, offset, limit, &items);
    if body.is_err() && limit > PAGE_SURE_ITEMS {
        return Ok(ApiError::LARGE_PAGE.into());
    }
    Ok(public(body))
}
