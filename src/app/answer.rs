//! Answers from memory, or says what is missing. No I/O.

use std::{borrow::Cow, rc::Rc};

use super::{App, Need, State, Transfer, seconds, snapshots::HeadState, unavailable};
use crate::{
    api::{
        bodies::{self, Viewer},
        error::ApiError,
        reply::{Body, Caching, Reply, Request},
        route::{Id, Route},
    },
    entitlement::{Decision, Question, Reason, decide, listed_licenses},
    limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS},
    ports::Platform,
    snapshot::{
        customer::CustomerRecord,
        index::Tree,
        item::ItemRecord,
        key::EntryKey,
        object::{FormatError, ObjectName},
        time::UnixSecs,
        version::{Found, ObjectCache, Record, Version},
    },
    token::{Principal, VerifiedToken, VerifyError},
};

const INVALID_ID: ApiError = ApiError::InvalidField("id", "The id must be a positive integer");
const INVALID_FEE_ID: ApiError = ApiError::InvalidField("fee_id", "The fee_id must be a positive integer");
const INVALID_PAGE: ApiError = ApiError::InvalidField("page", "The page must be a positive integer");
const INVALID_LIMIT: ApiError = ApiError::InvalidField("limit", "The limit must be an integer from 1 to 100");

/// Why a version of the snapshot did not answer.
enum Missing {
    /// Objects that are not in memory.
    Objects(Vec<ObjectName>),
    /// An object that was read and makes no sense.
    Corrupt(FormatError),
}

impl From<FormatError> for Missing {
    fn from(error: FormatError) -> Self {
        Self::Corrupt(error)
    }
}

/// A read, checked as far as it can be without the snapshot.
enum Read {
    Access { token: Rc<VerifiedToken>, item_id: i64 },
    License { token: Rc<VerifiedToken> },
    Item { item_id: i64, merchant: Option<uuid::Uuid> },
    Fees { item_id: i64 },
    Fee { item_id: i64, fee_id: i64 },
    Package { item_id: i64 },
    PackageItems { item_id: i64, page: u32, limit: usize },
    Health,
}

impl<P: Platform> App<P> {
    pub(super) fn answer_at(&self, request: &Request<'_>, now_ms: u64) -> Result<Reply, Need> {
        let now = seconds(now_ms);
        // A preflight carries no token, and its page must learn of a 404 as well: every path has one.
        if request.method == "OPTIONS" {
            return Ok(preflight(request));
        }
        let Some(route) = Route::parse(request.path) else { return Ok(ApiError::RouteNotFound.into()) };
        let is_read = matches!(request.method, "GET" | "HEAD");
        let is_upload = request.method == "PUT" && route.allow().contains("PUT");
        if !is_read && !is_upload {
            return Ok(ApiError::MethodNotAllowed(route.allow()).into());
        }
        let read = match self.checked(request, route, now) {
            Ok(read) => read,
            Err(Refusal::Reply(reply)) => return Ok(reply),
            Err(Refusal::Need(need)) => return Err(need),
        };
        self.answer_read(&read, request, now)
    }

    /// The token and the parameters, before the snapshot is asked.
    fn checked(&self, request: &Request<'_>, route: Route<'_>, now: UnixSecs) -> Result<Read, Refusal> {
        Ok(match route {
            Route::Access(id) => {
                let token = self.token(request, now)?;
                Read::Access { token, item_id: id.number().ok_or(ApiError::InvalidIdOnAccess)? }
            }
            Route::License => Read::License { token: self.token(request, now)? },
            Route::Item(id) => Read::Item { item_id: item_id(id)?, merchant: None },
            Route::MerchantItem(merchant, id) => {
                Read::Item { item_id: item_id(id)?, merchant: Some(merchant) }
            }
            Route::Fees(id) => Read::Fees { item_id: item_id(id)? },
            Route::Fee(id, fee_id) => {
                Read::Fee { item_id: item_id(id)?, fee_id: fee_id.number().ok_or(INVALID_FEE_ID)? }
            }
            Route::Package(id) => Read::Package { item_id: item_id(id)? },
            Route::PackageItems(id) => {
                let (page, limit) = page_and_limit(request.query)?;
                Read::PackageItems { item_id: item_id(id)?, page, limit }
            }
            Route::Health => Read::Health,
            Route::SnapshotHead => return Err(self.transfer_need(request, None, now)?),
            Route::SnapshotObject(name) => return Err(self.transfer_need(request, Some(name), now)?),
        })
    }

    fn token(&self, request: &Request<'_>, now: UnixSecs) -> Result<Rc<VerifiedToken>, Refusal> {
        let State { tokens, .. } = &mut *self.state.borrow_mut();
        let (verifier, entropy) = (self.platform.verifier(), self.platform.entropy());
        Ok(tokens.verify(request.authorization, now, verifier, entropy)?)
    }

    fn transfer_need(
        &self,
        request: &Request<'_>,
        name: Option<ObjectName>,
        now: UnixSecs,
    ) -> Result<Refusal, Refusal> {
        if !self.token(request, now)?.principal.may_publish {
            return Err(Reply::error(ApiError::InvalidPrivileges, "may_not_publish").into());
        }
        let is_upload = request.method == "PUT";
        Ok(Refusal::Need(Need::Transfer(Transfer { name, is_upload })))
    }

    fn answer_read(&self, read: &Read, request: &Request<'_>, now: UnixSecs) -> Result<Reply, Need> {
        let State { snapshots, .. } = &mut *self.state.borrow_mut();
        match snapshots.head_state(now) {
            HeadState::Missing | HeadState::Expired => return Err(Need::Head),
            HeadState::Unavailable => return Ok(Reply::error(unavailable(), "no_snapshot")),
            HeadState::Fresh | HeadState::Stale => {}
        }
        for version in snapshots.versions() {
            let mut look_up = LookUps::new(&version, &mut snapshots.objects);
            match read.answer(&mut look_up, request, now) {
                Ok(reply) => return Ok(reply),
                Err(Missing::Objects(names)) => {
                    // An object that the store does not have yet leaves the answer to the version before.
                    if !names.iter().any(|name| snapshots.is_unreadable(*name, now)) {
                        return Err(Need::Objects(names));
                    }
                }
                Err(Missing::Corrupt(error)) => {
                    let seq = version.head.seq;
                    self.platform
                        .log()
                        .log(format_args!(r#"{{"event":"corrupt","seq":{seq},"error":"{error}"}}"#));
                }
            }
        }
        Ok(Reply::error(unavailable(), "unreadable"))
    }
}

/// A request that is answered, or has to wait, before the snapshot is asked.
enum Refusal {
    Reply(Reply),
    Need(Need),
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Reply(error.into())
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(error) => Self::Reply(Reply::error(ApiError::InvalidToken, error.code())),
            VerifyError::NeedKeys(issuer) => Self::Need(Need::Keys(issuer)),
            VerifyError::KeysUnavailable { retry_after_secs, .. } => {
                Self::Reply(Reply::error(ApiError::Unavailable { retry_after_secs }, "keys_unavailable"))
            }
        }
    }
}

fn preflight(request: &Request<'_>) -> Reply {
    let mut reply = Reply::ok(String::new(), Caching::Private);
    reply.status = 204;
    reply.body = Body::Empty;
    if let Some(route) = Route::parse(request.path) {
        reply.headers.push(("allow", Cow::Borrowed(route.allow())));
    }
    reply.headers.extend(crate::api::cors::Cors::preflight_headers());
    reply
}

fn item_id(id: Id<'_>) -> Result<i64, ApiError> {
    id.number().ok_or(INVALID_ID)
}

/// `page` (from 1) and `limit`. Parameters with other names are ignored: native SDKs send some.
fn page_and_limit(query: &str) -> Result<(u32, usize), ApiError> {
    let (mut page, mut limit) = (1, PAGE_DEFAULT_ITEMS);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Not as `usize`, which the Worker has 32 bits of and other machines 64.
        let number = || Id::from(value).number().and_then(|number| u32::try_from(number).ok());
        match name {
            "page" => page = number().ok_or(INVALID_PAGE)?,
            "limit" => {
                let number = number().and_then(|number| usize::try_from(number).ok());
                limit = number.filter(|limit| *limit <= PAGE_MAX_ITEMS).ok_or(INVALID_LIMIT)?;
            }
            _ => {}
        }
    }
    Ok((page, limit))
}

/// Look-ups in one version, which collect everything that is not in memory before they give up, so that it
/// can be loaded at once.
struct LookUps<'a> {
    version: &'a Version,
    objects: &'a mut ObjectCache,
    missing: Vec<ObjectName>,
}

impl<'a> LookUps<'a> {
    const fn new(version: &'a Version, objects: &'a mut ObjectCache) -> Self {
        Self { version, objects, missing: Vec::new() }
    }

    fn ask(&mut self, tree: Tree, key: EntryKey) -> Result<Option<Record>, FormatError> {
        Ok(match self.version.look_up(tree, key, self.objects)? {
            Found::Record(record) => Some(record),
            Found::Absent => None,
            Found::Load(name) => {
                if !self.missing.contains(&name) {
                    self.missing.push(name);
                }
                None
            }
        })
    }

    /// Gives up if anything that was asked for is missing.
    fn complete(&mut self) -> Result<(), Missing> {
        if self.missing.is_empty() {
            Ok(())
        } else {
            Err(Missing::Objects(std::mem::take(&mut self.missing)))
        }
    }

    fn item(&mut self, id: i64) -> Result<Option<Record>, Missing> {
        let record = self.ask(Tree::Items, EntryKey::item(id))?;
        self.complete()?;
        Ok(record)
    }
}

impl Read {
    fn answer(
        &self,
        look_ups: &mut LookUps<'_>,
        request: &Request<'_>,
        now: UnixSecs,
    ) -> Result<Reply, Missing> {
        match self {
            Self::Access { token, item_id } => access(look_ups, &token.principal, *item_id, request, now),
            Self::License { token } => license(look_ups, &token.principal, now),
            Self::Health => Ok(health(look_ups.version, look_ups.objects, now)),
            Self::Item { item_id, merchant } => public_item(look_ups, *item_id, |item, version| {
                let owner = version.directory.merchants.get(&item.merchant_id);
                if merchant.is_some_and(|merchant| owner != Some(&merchant)) {
                    return Ok(ApiError::ItemNotFound.into());
                }
                Ok(public(bodies::item(item)))
            }),
            Self::Fees { item_id } => public_item(look_ups, *item_id, |item, _| {
                let fees: Vec<_> = item.fees()?.iter().map(|fee| bodies::fee(item, fee)).collect();
                Ok(public(format!("[{}]", fees.join(","))))
            }),
            Self::Fee { item_id, fee_id } => public_item(look_ups, *item_id, |item, _| {
                let fee = item.fees()?.into_iter().find(|fee| fee.id == *fee_id);
                Ok(fee.map_or_else(|| ApiError::FeeNotFound.into(), |fee| public(bodies::fee(item, &fee))))
            }),
            Self::Package { item_id } => public_item(look_ups, *item_id, |item, _| {
                Ok(if item.is_package { public(bodies::item(item)) } else { ApiError::ItemNotFound.into() })
            }),
            Self::PackageItems { item_id, page, limit } => package_items(look_ups, *item_id, *page, *limit),
        }
    }
}

const fn public(json: String) -> Reply {
    Reply::ok(json, Caching::Public)
}

fn public_item(
    look_ups: &mut LookUps<'_>,
    item_id: i64,
    answer: impl FnOnce(&ItemRecord<'_>, &Version) -> Result<Reply, FormatError>,
) -> Result<Reply, Missing> {
    let Some(record) = look_ups.item(item_id)? else { return Ok(ApiError::ItemNotFound.into()) };
    let item = ItemRecord::new(record.bytes())?;
    if !item.is_active {
        return Ok(Reply::error(ApiError::ItemNotFound, Reason::ItemInactive.code()));
    }
    Ok(answer(&item, look_ups.version)?)
}

fn access(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
    request: &Request<'_>,
    now: UnixSecs,
) -> Result<Reply, Missing> {
    let item = look_ups.ask(Tree::Items, EntryKey::item(item_id))?;
    let customer = look_ups.ask(Tree::Customers, principal.customer_key)?;
    look_ups.complete()?;
    let Some(item) = item else { return Ok(ApiError::ItemNotFound.into()) };
    let item = ItemRecord::new(item.bytes())?;
    let customer = customer.as_ref().map(|customer| CustomerRecord::new(customer.bytes())).transpose()?;
    let directory = &look_ups.version.directory;
    let question = Question { principal, customer: customer.as_ref(), item: &item, directory, now };
    let grant = match decide(&question)? {
        Decision::Allow(grant) => grant,
        Decision::Deny(reason @ Reason::ItemInactive) => {
            return Ok(Reply::error(ApiError::ItemNotFound, reason.code()));
        }
        Decision::Deny(reason) => return Ok(Reply::error(ApiError::NoAccess, reason.code())),
    };
    let uuid = customer.map(|customer| customer.uuid.hyphenated());
    let mut uuid_text = uuid::Uuid::encode_buffer();
    let viewer = Viewer {
        // A free item is granted to customers whom the snapshot does not know yet: the token names them.
        customer_id: customer.map_or_else(|| principal.account_id.unwrap_or(0), |customer| customer.id),
        customer_uuid: match &uuid {
            Some(uuid) => uuid.encode_lower(&mut uuid_text),
            None => &principal.subject,
        },
        ip_address: request.ip_address,
        country: request.country,
    };
    let mut reply = Reply::ok(bodies::access(&grant, &viewer, &item), Caching::Private);
    reply.reason = Cow::Borrowed(grant.reason.code());
    Ok(reply)
}

fn license(look_ups: &mut LookUps<'_>, principal: &Principal, now: UnixSecs) -> Result<Reply, Missing> {
    let customer = look_ups.ask(Tree::Customers, principal.customer_key)?;
    look_ups.complete()?;
    let customer = customer.as_ref().map(|customer| CustomerRecord::new(customer.bytes())).transpose()?;
    let directory = &look_ups.version.directory;
    let entries = listed_licenses(principal, customer.as_ref(), directory, now)?;
    let client_id = principal.client_id.as_deref();
    let app = client_id.and_then(|client_id| directory.client(client_id)).map(|client| client.app);
    let body = bodies::license(app, client_id, &entries, now).map_err(|_| FormatError::Invalid("licence"))?;
    Ok(Reply::ok(body, Caching::Private))
}

fn package_items(
    look_ups: &mut LookUps<'_>,
    item_id: i64,
    page: u32,
    limit: usize,
) -> Result<Reply, Missing> {
    let Some(record) = look_ups.item(item_id)? else { return Ok(ApiError::ItemNotFound.into()) };
    let package = ItemRecord::new(record.bytes())?;
    if !package.is_package || !package.is_active {
        return Ok(ApiError::ItemNotFound.into());
    }
    let members = package.members()?;
    // At most 100 a page: the product fits.
    let offset = u64::from(page - 1) * limit as u64;
    let mut records = Vec::with_capacity(limit.min(members.len()));
    for member in members.iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(limit) {
        records.extend(look_ups.ask(Tree::Items, EntryKey::item(member))?);
    }
    look_ups.complete()?;
    let mut items = Vec::with_capacity(records.len());
    for record in &records {
        let item = ItemRecord::new(record.bytes())?;
        if item.is_active {
            items.push(bodies::item(&item));
        }
    }
    Ok(public(bodies::package_items(members.len(), page, offset, limit, &items)))
}

fn health(version: &Version, objects: &ObjectCache, now: UnixSecs) -> Reply {
    let head = &version.head;
    let body = serde_json::json!({
        "status": "ok",
        "seq": head.seq,
        "as_of": head.as_of,
        "age_secs": now.saturating_sub(head.as_of),
        "customers": head.customers,
        "items": head.items,
        "objects_in_memory": objects.len(),
        "bytes_in_memory": objects.size_bytes(),
    });
    Reply::ok(body.to_string(), Caching::Private)
}
