//! Reads, answered from one version of the snapshot.

mod answers;
mod batch;
mod customers;
mod holdings;
mod known;
mod search;

pub(super) use self::{
    batch::{Ruling, Seen, Terms, decide_each},
    customers::{CustomerRead, CustomersRead, NamedCustomer},
    holdings::PurchasePage,
    known::InMemory,
};
use std::{cell::Cell, rc::Rc};

use uuid::Uuid;

use super::{
    ServiceReason,
    asker::{AccessCheck, asker},
    health::{Condition, Health},
    unavailable,
};
use crate::{
    api::{
        authzen::Search,
        error::ApiError,
        playback::{self, PlaybackForm},
        reply::{Reply, Request},
    },
    entitlement::{Decided, Decision, Question, Reason, decide},
    snapshot::{
        customer::CustomerRecord,
        external_id::ExternalRecord,
        index::Tree,
        key::EntryKey,
        limits::EXTERNAL_ID_ITEMS_MAX,
        object::{FormatError, ObjectName},
        time::UnixSecs,
        version::{Found, ObjectCache, Record, Version},
    },
    token::{Principal, VerifiedToken},
};

/// The type of the items whose media `/v2/items/jw-media/token` signs.
const MEDIA_TOKEN_ITEM_TYPE: &str = "jw_asset";

/// Why a version of the snapshot did not answer.
pub(super) enum ReadError {
    /// Objects that are not in memory.
    Missing(Vec<ObjectName>),
    /// An object that was read and has invalid content.
    Corrupt(FormatError),
}

impl From<FormatError> for ReadError {
    fn from(error: FormatError) -> Self {
        Self::Corrupt(error)
    }
}

/// A read that is permitted, with its parameters checked. Only the snapshot is missing.
pub(super) enum Read {
    /// May the owner of the token play the item?
    Access {
        token: Rc<VerifiedToken>,
        item_id: i64,
    },
    /// May the owner of the token play the item? A grant comes with a signed proof.
    Playback {
        token: Rc<VerifiedToken>,
        form: PlaybackForm,
        /// The item; nothing until its media id is found.
        item_id: Cell<Option<i64>>,
    },
    /// Which licences does the owner of the token have?
    License {
        token: Rc<VerifiedToken>,
    },
    /// Has the owner of the token used the trial of the item?
    UsedTrial {
        token: Rc<VerifiedToken>,
        item_id: i64,
    },
    /// Which accesses does the owner of the token have, and how were they bought?
    Purchases {
        token: Rc<VerifiedToken>,
        page: PurchasePage,
    },
    /// Which plans does the viewer hold? An anonymous one holds none.
    Entitlements {
        token: Option<Rc<VerifiedToken>>,
    },
    /// Which items may a customer play?
    Search {
        principal: Box<Principal>,
        terms: Terms,
        search: Search,
    },
    /// Who is a customer, and what do they hold?
    Customer(CustomerRead),
    /// Which customers have a number or a UUID?
    Customers(CustomersRead),
    /// How is the service? `is_detailed` is whether a token lets the client see more than whether it works.
    Health {
        is_detailed: bool,
    },
    Public(PublicRead),
}

/// A read of the catalogue, which needs no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublicRead {
    Item {
        item_id: i64,
        merchant: Option<Uuid>,
    },
    /// The item that type and external id of the request's path name.
    ExternalItem {
        merchant: Option<Uuid>,
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
    /// The plans of the app that the path names.
    Plans,
}

/// The source of an answer.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The version of the snapshot.
    pub version: &'a Version,
    /// The state of the snapshot, for `/healthz`.
    pub condition: Condition,
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

/// Look-ups in one version. They collect the names of all objects that are not in memory before they give up, so that
/// these can be loaded at once.
pub(super) struct LookUps<'a> {
    version: &'a Version,
    objects: &'a mut ObjectCache,
    missing: Vec<ObjectName>,
    /// The only merchant whose items and customers the answer may be about, as [`Request::merchant`].
    pub merchant: Option<i64>,
}

impl<'a> LookUps<'a> {
    /// Look-ups in a version, with the objects in memory.
    pub const fn new(version: &'a Version, objects: &'a mut ObjectCache) -> Self {
        Self { version, objects, missing: Vec::new(), merchant: None }
    }
}

impl LookUps<'_> {
    fn ask(&mut self, tree: Tree, key: EntryKey) -> Result<Option<Record>, FormatError> {
        Ok(match self.find(tree, key)? {
            Found::Record(record) => Some(record),
            Found::Absent | Found::Load(_) => None,
        })
    }

    /// As [`ask`](Self::ask), and tells a record that the version does not have from one that is not in memory.
    fn find(&mut self, tree: Tree, key: EntryKey) -> Result<Found, FormatError> {
        let found = self.version.look_up(tree, key, self.objects)?;
        if let Found::Load(name) = &found
            && !self.missing.contains(name)
        {
            self.missing.push(*name);
        }
        Ok(found)
    }

    /// The record of the customer that a token names, for answers that show the customer's data. A customer of a merchant
    /// that the token's issuer does not speak for counts as absent: issuers may share a namespace. Checks read the record
    /// themselves, since [`decide`] compares the merchants.
    fn customer(&mut self, principal: &Principal) -> Result<Option<Record>, ReadError> {
        let record = self.ask(Tree::Customers, principal.customer_key)?;
        self.complete()?;
        let Some(record) = record else { return Ok(None) };
        let merchant_id = CustomerRecord::new(record.bytes())?.merchant_id;
        let is_shown = principal.may_act_for(merchant_id) && may_be_about(self.merchant, merchant_id);
        Ok(is_shown.then_some(record))
    }

    /// Gives up if any object that was asked for is missing.
    fn complete(&mut self) -> Result<(), ReadError> {
        if self.missing.is_empty() {
            Ok(())
        } else {
            Err(ReadError::Missing(std::mem::take(&mut self.missing)))
        }
    }

    fn item_key(&self, id: i64) -> EntryKey {
        self.version.index.item_key(id)
    }

    /// The items that an external id names.
    fn external(&mut self, item_type: &str, id: &str) -> Result<Option<Record>, ReadError> {
        let record = self.ask(Tree::ExternalIds, self.version.index.external_key(item_type, id))?;
        self.complete()?;
        Ok(record)
    }

    /// The item of the viewer's merchant whose media `media_id` names. Of several, such as a film that is sold in two
    /// ways, it is the first that the viewer may play now, and else the first. A viewer without a known merchant gets
    /// an item of the only merchant with that media; the decision tells whether the viewer may play it.
    #[inline(never)]
    fn media_item(
        &mut self,
        principal: &Principal,
        query: &str,
        now: UnixSecs,
    ) -> Result<Option<i64>, ReadError> {
        let Some(media_id) = playback::media_id(query) else { return Ok(None) };
        let customer = self.ask(Tree::Customers, principal.customer_key)?;
        let Some(named) = self.external(MEDIA_TOKEN_ITEM_TYPE, &media_id)? else { return Ok(None) };
        let named = ExternalRecord::new(named.bytes())?;
        let customer = customer.as_ref().map(|customer| CustomerRecord::new(customer.bytes())).transpose()?;
        let merchant = customer.map(|customer| customer.merchant_id).or(principal.merchant_id);
        let Some(merchant) = merchant.or_else(|| named.only_merchant()) else { return Ok(None) };
        let first = named.of_merchant(merchant);
        // With one item there is nothing to choose: it is decided when it is answered.
        if named.all_of_merchant(merchant).nth(1).is_none() {
            return Ok(first);
        }
        let items = || named.all_of_merchant(merchant).take(EXTERNAL_ID_ITEMS_MAX);
        for (place, item_id) in items().enumerate() {
            // The others are asked for together, so that those that are not in memory are loaded at once.
            if place == 1 {
                for other in items().skip(1) {
                    self.ask(Tree::Items, self.item_key(other))?;
                }
            }
            if answers::is_granted(self, principal, item_id, now)? {
                return Ok(Some(item_id));
            }
        }
        Ok(first)
    }

    fn item(&mut self, id: i64) -> Result<Option<Record>, ReadError> {
        let record = self.ask(Tree::Items, self.item_key(id))?;
        self.complete()?;
        Ok(record)
    }
}

/// Whether an answer that may be about one merchant only, if any is given, may be about this one.
fn may_be_about(only: Option<i64>, merchant_id: i64) -> bool {
    only.is_none_or(|only| only == merchant_id)
}

/// As [`decide`]; for the items of other merchants than the only one, a denial.
fn decide_for(only: Option<i64>, question: &Question<'_>) -> Result<Decided, FormatError> {
    if may_be_about(only, question.item.merchant_id) {
        return decide(question);
    }
    Ok(Decided { decision: Decision::Deny(Reason::OtherMerchant), until: UnixSecs::MAX })
}

/// Number and UUID of a customer, as far as they are published and in memory.
pub(super) fn published_customer(
    principal: &Principal,
    version: &Version,
    objects: &mut ObjectCache,
) -> Option<(i64, Uuid)> {
    let Ok(Found::Record(record)) = version.look_up(Tree::Customers, principal.customer_key, objects) else {
        return None;
    };
    let customer = CustomerRecord::new(record.bytes()).ok()?;
    Some((customer.id, customer.uuid))
}

impl Read {
    /// The check that this is, if it is one. `authorization` holds its token.
    pub fn check(&self, authorization: &str) -> Option<AccessCheck> {
        match self {
            Self::Access { token, item_id } => Some((asker(token, authorization), *item_id)),
            Self::Playback { token, item_id, .. } => Some((asker(token, authorization), item_id.get()?)),
            _ => None,
        }
    }

    /// The token, if the read takes one.
    pub const fn token(&self) -> Option<&Rc<VerifiedToken>> {
        match self {
            Self::Access { token, .. }
            | Self::Playback { token, .. }
            | Self::License { token }
            | Self::UsedTrial { token, .. }
            | Self::Purchases { token, .. }
            | Self::Entitlements { token: Some(token) } => Some(token),
            Self::Entitlements { token: None }
            | Self::Search { .. }
            | Self::Customer(_)
            | Self::Customers(_)
            | Self::Health { .. }
            | Self::Public(_) => None,
        }
    }

    /// The form of the proof that a grant comes with, if this is a playback question.
    pub const fn playback(&self) -> Option<PlaybackForm> {
        match self {
            Self::Playback { form, .. } => Some(*form),
            _ => None,
        }
    }

    /// The query that the upstream gets with it: the parameters that the read has, as they were understood, and no
    /// others that a client sent. So a remembered answer to a check holds whatever else the client sent.
    pub fn query(&self, asked: &str) -> String {
        match self {
            Self::Public(PublicRead::PackageItems { page, limit, .. }) if !asked.is_empty() => {
                format!("page={page}&limit={limit}")
            }
            Self::Public(PublicRead::ExternalItem { merchant: Some(merchant) }) => {
                format!("merchant_uuid={merchant}")
            }
            Self::Purchases { page, .. } => page.query(),
            _ => String::new(),
        }
    }

    /// Number and UUID of the customer who asks, as far as they are published and in memory.
    pub fn customer(&self, version: &Version, objects: &mut ObjectCache) -> Option<(i64, Uuid)> {
        published_customer(&self.token()?.principal, version, objects)
    }

    /// Whether it is answered from the published snapshot, and the upstream may be asked as well: it knows no media ids.
    pub const fn is_of_the_snapshot(&self) -> bool {
        match self {
            // The upstream has no such route.
            Self::Health { .. } | Self::Search { .. } | Self::Customer(_) | Self::Customers(_) => false,
            Self::Playback { item_id, .. } => item_id.get().is_some(),
            Self::Access { .. }
            | Self::License { .. }
            | Self::UsedTrial { .. }
            | Self::Purchases { .. }
            | Self::Entitlements { .. }
            | Self::Public(_) => true,
        }
    }

    /// Whether the upstream may know better than a snapshot that gives this answer: it does not grant, or there is
    /// no snapshot.
    pub fn is_open(&self, reply: &Reply) -> bool {
        match self {
            _ if !self.is_of_the_snapshot() => false,
            // The upstream's own answer would be as long.
            _ if reply.reason == ServiceReason::TooLarge.code() => false,
            Self::Access { .. } | Self::Playback { .. } => match reply.status {
                // No purchase makes an item another merchant's.
                402 => reply.reason != Reason::OtherMerchant.code(),
                404 => reply.reason == ServiceReason::UnknownItem.code(),
                status => status == 503,
            },
            _ => reply.status == 503,
        }
    }

    /// Answers from a version and the objects in memory.
    ///
    /// # Errors
    /// With the objects that are not in memory, or with an invalid one.
    pub fn answer(
        &self,
        source: Source<'_>,
        objects: &mut ObjectCache,
        request: &Request<'_>,
        now: UnixSecs,
    ) -> Result<Reply, ReadError> {
        let look_ups = &mut LookUps { merchant: request.merchant, ..LookUps::new(source.version, objects) };
        match self {
            Self::Access { token, item_id } => {
                answers::access(look_ups, &token.principal, *item_id, request, now)
            }
            Self::Playback { token, form, item_id } => {
                let id = match item_id.get() {
                    // Which item it is cannot be told, so this is not a denial.
                    None if !source.version.index.has_external_ids() => {
                        return Ok(Reply::error(unavailable(), ServiceReason::NoExternalIds.code()));
                    }
                    None => look_ups.media_item(&token.principal, request.query, now)?,
                    known => known,
                };
                let Some(id) = id else {
                    return Ok(Reply::error(ApiError::ItemNotFound, ServiceReason::UnknownMedia.code()));
                };
                item_id.set(Some(id));
                answers::playback(look_ups, &token.principal, id, *form, now)
            }
            Self::License { token } => answers::license(look_ups, &token.principal, now),
            Self::Search { principal, terms, search } => {
                search::answer(look_ups, principal, *terms, search, now)
            }
            Self::Customer(read) => customers::customer(look_ups, read, now),
            Self::Customers(read) => customers::find(look_ups, read),
            Self::Health { is_detailed } => {
                let Source { version, condition, .. } = source;
                Ok(Health { version, objects: look_ups.objects, condition }.reply(*is_detailed, now))
            }
            Self::UsedTrial { token, item_id } => holdings::used_trial(look_ups, &token.principal, *item_id),
            Self::Purchases { token, page } => holdings::purchases(look_ups, &token.principal, *page, now),
            Self::Entitlements { token } => {
                holdings::entitlements(look_ups, token.as_ref().map(|token| &token.principal), now)
            }
            Self::Public(read) => read.answer(look_ups, source.window, request.path),
        }
    }
}
