//! Reads, answered from one version of the snapshot.

use std::{borrow::Cow, rc::Rc};

use super::{
    answer::LARGE_PAGE,
    health::Health,
    origin::{Check, asker},
    unavailable,
};
use crate::{
    api::{
        bodies::{self, TooLarge, Viewer},
        error::ApiError,
        reply::{Caching, Reply, Request, Validity},
    },
    entitlement::{Decided, Decision, Question, Reason, client_app, decide, listed_licenses},
    limits::PAGE_SURE_ITEMS,
    snapshot::{
        cost::ItemCost,
        customer::CustomerRecord,
        index::Tree,
        item::ItemRecord,
        key::EntryKey,
        object::{FormatError, ObjectName},
        time::UnixSecs,
        version::{Found, ObjectCache, Record, Version},
    },
    token::{Principal, VerifiedToken},
};

/// The reason of a check of an item that the snapshot does not know, and the origin may.
const UNKNOWN_ITEM: &str = "unknown_item";

/// The reason of an answer that would be longer than the budget.
const TOO_LARGE: &str = "too_large";

/// Why a version of the snapshot did not answer.
pub(super) enum Missing {
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
pub(super) enum Read {
    Access {
        token: Rc<VerifiedToken>,
        item_id: i64,
    },
    License {
        token: Rc<VerifiedToken>,
    },
    Item {
        item_id: i64,
        merchant: Option<uuid::Uuid>,
    },
    Fees {
        item_id: i64,
    },
    Fee {
        item_id: i64,
        fee_id: i64,
    },
    Package {
        item_id: i64,
    },
    PackageItems {
        item_id: i64,
        page: u32,
        limit: usize,
    },
    /// `is_detailed` is whether a token lets the client see more than whether it works.
    Health {
        is_detailed: bool,
    },
}

/// What a read is answered from.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The version of the snapshot.
    pub version: &'a Version,
    /// What the service knows, as [`Validity::epoch`]; nothing if the answer is not to be given again.
    pub epoch: Option<u32>,
    /// How the snapshot is, for `/healthz`.
    pub condition: &'static str,
    /// Which members of a package the version has; nothing if it has all of them.
    pub window: Option<MemberWindow>,
}

/// The members of a package that a version has, where it has one page of them and not all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberWindow {
    /// How many active members come before the first one.
    pub offset: u64,
    /// How many active members the package has.
    pub total: usize,
}

/// Look-ups in one version, which collect everything that is not in memory before they give up, so that it
/// can be loaded at once.
struct LookUps<'a> {
    version: &'a Version,
    objects: &'a mut ObjectCache,
    missing: Vec<ObjectName>,
}

impl LookUps<'_> {
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

    fn item_key(&self, id: i64) -> EntryKey {
        self.version.index.item_key(id)
    }

    fn item(&mut self, id: i64) -> Result<Option<Record>, Missing> {
        let record = self.ask(Tree::Items, self.item_key(id))?;
        self.complete()?;
        Ok(record)
    }
}

impl Read {
    /// The check that this is, if it is one. `authorization` holds its token.
    pub fn check(&self, authorization: &str) -> Option<Check> {
        match self {
            Self::Access { token, item_id } => Some((asker(token, authorization), *item_id)),
            _ => None,
        }
    }

    /// Who asks, if it takes a token.
    pub const fn token(&self) -> Option<&Rc<VerifiedToken>> {
        match self {
            Self::Access { token, .. } | Self::License { token } => Some(token),
            _ => None,
        }
    }

    /// The query that the upstream gets with it: the parameters that the read has, as they were understood, and none of
    /// what else a client sent. What is remembered of a check answers whatever comes along.
    pub fn query(&self, asked: &str) -> String {
        match self {
            Self::PackageItems { page, limit, .. } if !asked.is_empty() => {
                format!("page={page}&limit={limit}")
            }
            _ => String::new(),
        }
    }

    /// Number and UUID of the customer who asks, as far as they are published and in memory.
    pub fn customer(&self, version: &Version, objects: &mut ObjectCache) -> Option<(i64, uuid::Uuid)> {
        let key = self.token()?.principal.customer_key;
        let Ok(Found::Record(record)) = version.look_up(Tree::Customers, key, objects) else { return None };
        let customer = CustomerRecord::new(record.bytes()).ok()?;
        Some((customer.id, customer.uuid))
    }

    /// Whether it reads what is published, and needs no token for it.
    pub const fn is_anonymous(&self) -> bool {
        self.is_of_the_snapshot() && self.token().is_none()
    }

    /// Whether it is answered from what is published.
    pub const fn is_of_the_snapshot(&self) -> bool {
        !matches!(self, Self::Health { .. })
    }

    /// Whether the origin may know better than a snapshot that gives this answer: it does not grant, or there is
    /// no snapshot.
    pub fn is_open(&self, reply: &Reply) -> bool {
        match self {
            Self::Health { .. } => false,
            // The origin's own answer would be as long.
            _ if reply.reason == TOO_LARGE => false,
            Self::Access { .. } => match reply.status {
                // No purchase makes an item another merchant's.
                402 => reply.reason != Reason::OtherMerchant.code(),
                404 => reply.reason == UNKNOWN_ITEM,
                status => status == 503,
            },
            _ => reply.status == 503,
        }
    }

    /// Answers from what is known and the objects in memory.
    ///
    /// # Errors
    /// With what is not in memory, or what makes no sense.
    pub fn answer(
        &self,
        known: Known<'_>,
        objects: &mut ObjectCache,
        request: &Request<'_>,
        now: UnixSecs,
    ) -> Result<Reply, Missing> {
        let look_ups = &mut LookUps { version: known.version, objects, missing: Vec::new() };
        match self {
            Self::Access { token, item_id } => {
                let (mut reply, until) = access(look_ups, &token.principal, *item_id, request, now)?;
                // Few questions come again, and keeping answers costs something: the second time shows which.
                let until = until.min(token.times.expires_at);
                if let Some(epoch) = known.epoch
                    && until > now.saturating_add(1)
                    && token.asked.again(stand_in(*item_id, request.query))
                {
                    reply.validity = Some(Validity { epoch, since: now, until });
                }
                Ok(reply)
            }
            Self::License { token } => license(look_ups, &token.principal, now),
            Self::Health { is_detailed } => {
                let Known { version, condition, .. } = known;
                Ok(Health { version, objects: look_ups.objects, condition }.reply(*is_detailed, now))
            }
            Self::Item { item_id, merchant } => public_item(look_ups, *item_id, |item, version| {
                let owner = version.directory.merchants.get(&item.merchant_id);
                if merchant.is_some_and(|merchant| owner != Some(&merchant)) {
                    return Ok(ApiError::ItemNotFound.into());
                }
                Ok(public(bodies::item(item)))
            }),
            Self::Fees { item_id } => public_item(look_ups, *item_id, |item, _| {
                let cost = ItemCost::of(item)?;
                Ok(public(bodies::fees(item, item.fee_list()?.iter(), &cost)))
            }),
            Self::Fee { item_id, fee_id } => public_item(look_ups, *item_id, |item, _| {
                let fee = item.fee_list()?.iter().find(|fee| fee.id == *fee_id);
                Ok(fee.map_or_else(|| ApiError::FeeNotFound.into(), |fee| public(bodies::fee(item, &fee))))
            }),
            Self::Package { item_id } => public_item(look_ups, *item_id, |item, _| {
                Ok(if item.is_package { public(bodies::item(item)) } else { ApiError::ItemNotFound.into() })
            }),
            Self::PackageItems { item_id, page, limit } => {
                package_items(look_ups, known.window, *item_id, *page, *limit)
            }
        }
    }
}

/// Stands for a question of a token (FNV-1a). Two that have the same one are kept needlessly, and not mixed up.
fn stand_in(item_id: i64, query: &str) -> u64 {
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    query.as_bytes().iter().fold(item_id.cast_unsigned().wrapping_add(1), hash)
}

fn public(body: Result<String, TooLarge>) -> Reply {
    body.map_or_else(too_large, |body| Reply::ok(body, Caching::Public))
}

/// 503 for one record that costs more than an answer may: an older publisher let it in. It costs nobody else anything,
/// and asking again costs little.
fn too_large(error: TooLarge) -> Reply {
    Reply::error(unavailable(), TOO_LARGE).with_detail(error.to_string())
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

/// The answer to a check, and the moment before which time does not change it.
fn access(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_id: i64,
    request: &Request<'_>,
    now: UnixSecs,
) -> Result<(Reply, UnixSecs), Missing> {
    let item = look_ups.ask(Tree::Items, look_ups.item_key(item_id))?;
    let customer = look_ups.ask(Tree::Customers, principal.customer_key)?;
    look_ups.complete()?;
    let Some(item) = item else {
        return Ok((Reply::error(ApiError::ItemNotFound, UNKNOWN_ITEM), UnixSecs::MAX));
    };
    let item = ItemRecord::new(item.bytes())?;
    let customer = customer.as_ref().map(|customer| CustomerRecord::new(customer.bytes())).transpose()?;
    let directory = &look_ups.version.directory;
    let question = Question { principal, customer: customer.as_ref(), item: &item, directory, now };
    let Decided { decision, until } = decide(&question)?;
    let grant = match decision {
        Decision::Allow(grant) => grant,
        Decision::Deny(reason) => {
            let error =
                if reason == Reason::ItemInactive { ApiError::ItemNotFound } else { ApiError::NoAccess };
            return Ok((Reply::error(error, reason.code()), until));
        }
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
    let reply = match bodies::access(&grant, &viewer, &item) {
        Ok(body) => {
            let reason = Cow::Borrowed(grant.reason.code());
            Reply { reason, ..Reply::ok(body, Caching::Private) }
        }
        // Not to be kept.
        Err(error) => return Ok((too_large(error), now)),
    };
    Ok((reply, until))
}

fn license(look_ups: &mut LookUps<'_>, principal: &Principal, now: UnixSecs) -> Result<Reply, Missing> {
    let customer = look_ups.ask(Tree::Customers, principal.customer_key)?;
    look_ups.complete()?;
    let customer = customer.as_ref().map(|customer| CustomerRecord::new(customer.bytes())).transpose()?;
    let directory = &look_ups.version.directory;
    let entries = listed_licenses(principal, customer.as_ref(), directory, now)?;
    let client_id = principal.client_id.as_deref();
    let app = client_app(principal, directory).map(|client| client.app);
    let body = bodies::license(app, client_id, &entries, now);
    Ok(body.map_or_else(too_large, |body| Reply::ok(body, Caching::Private)))
}

fn package_items(
    look_ups: &mut LookUps<'_>,
    window: Option<MemberWindow>,
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
        return Ok(LARGE_PAGE.into());
    }
    Ok(public(body))
}
