//! A customer and what they hold, and customers by number: the reads of support staff.

use std::rc::Rc;

use super::{LookUps, ReadError, may_be_about};
use crate::{
    api::{
        authzen::{Cursor, PageToken},
        error::ApiError,
        reply::{Caching, Reply},
        support::{self, CustomerPage, Find, Identity, Look, Wanted},
    },
    app::finish::subject_hash,
    fnv,
    limits::{CUSTOMERS_PAGE_MAX, CUSTOMERS_PAGE_SHARDS, HOLDINGS_PAGE, HOLDINGS_TRIALS_MAX},
    snapshot::{
        customer::CustomerRecord,
        holding::{HeldAccess, HeldSubscription, name_of},
        index::Tree,
        item::ItemRecord,
        key::EntryKey,
        time::UnixSecs,
        version::{Record, Walked},
    },
    token::VerifiedToken,
};

/// A customer by the key of the record.
#[derive(Clone, Debug)]
pub(in crate::app) struct NamedCustomer {
    pub key: EntryKey,
    /// `namespace:subject`, where it is known.
    pub id: Option<String>,
}

/// Who is the customer, and what do they hold?
pub(in crate::app) struct CustomerRead {
    pub token: Rc<VerifiedToken>,
    /// The customers that may be meant.
    pub asked: Vec<NamedCustomer>,
    pub look: Look,
    /// The namespaces of the edge's issuers.
    pub namespaces: Vec<String>,
}

/// Which customers have a number or a UUID?
pub(in crate::app) struct CustomersRead {
    pub token: Rc<VerifiedToken>,
    pub find: Find,
    /// The namespaces of the edge's issuers.
    pub namespaces: Vec<String>,
}

/// A record that the caller may see.
struct Shown<'a> {
    key: String,
    id: Option<String>,
    record: &'a Record,
    customer: CustomerRecord<'a>,
}

impl<'a> Shown<'a> {
    fn new(
        key: EntryKey,
        id: Option<&String>,
        record: &'a Record,
        customer: CustomerRecord<'a>,
        namespaces: &[String],
    ) -> Self {
        let id = id.cloned().or_else(|| {
            let (namespace, subject) = name_of(key, &customer, namespaces.iter().map(String::as_str))?;
            Some([namespace, ":", &subject].concat())
        });
        Self { key: subject_hash(key), id, record, customer }
    }

    fn identity(&self, look_ups: &LookUps<'_>) -> Identity<'_> {
        let Self { key, id, record, customer } = self;
        Identity { key, id: id.as_deref(), record: customer, source: look_ups.version.source(record) }
    }
}

/// Whether the caller may see customers of a merchant.
fn may_see(look_ups: &LookUps<'_>, token: &VerifiedToken, merchant_id: i64) -> bool {
    token.principal.may_act_for(merchant_id) && may_be_about(look_ups.merchant, merchant_id)
}

/// A page about a customer: the accesses in the record's order, and then the subscriptions.
#[inline(never)]
pub(super) fn customer(
    look_ups: &mut LookUps<'_>,
    read: &CustomerRead,
    now: UnixSecs,
) -> Result<Reply, ReadError> {
    let CustomerRead { token, asked, look, namespaces } = read;
    let mut records = Vec::with_capacity(asked.len());
    for one in asked {
        records.push(look_ups.ask(Tree::Customers, one.key)?);
    }
    look_ups.complete()?;
    let mut shown = None;
    for (one, record) in asked.iter().zip(&records) {
        let Some(record) = record else { continue };
        let customer = CustomerRecord::new(record.bytes())?;
        if may_see(look_ups, token, customer.merchant_id) {
            let before =
                shown.replace((one.key, Shown::new(one.key, one.id.as_ref(), record, customer, namespaces)));
            if before.is_some() {
                return Ok(ApiError::SHARED_UUID.into());
            }
        }
    }
    let Some((key, shown)) = shown else { return Ok(ApiError::CustomerNotFound.into()) };
    let question = fnv::hash(key.0.into_iter().chain(look.at.unwrap_or(UnixSecs::MIN).to_be_bytes()));
    let offset = match look.token {
        None => 0,
        Some(PageToken { question: known, limit: HOLDINGS_PAGE, cursor: Cursor(offset, 0) })
            if known == question =>
        {
            usize::try_from(offset).unwrap_or(usize::MAX)
        }
        Some(_) => return Ok(ApiError::INVALID_PAGE_TOKEN.into()),
    };
    let at = look.at.unwrap_or(now);
    let (customer, source) = (&shown.customer, look_ups.version.source(shown.record));
    let accesses = customer.purchases().collect::<Result<Vec<_>, _>>()?;
    let subscriptions = customer.held()?;
    let total = accesses.len() + subscriptions.len();
    let page = accesses.get(offset..).unwrap_or_default();
    let page = page.get(..HOLDINGS_PAGE).unwrap_or(page);
    let mut items = Vec::with_capacity(page.len());
    for (access, _) in page {
        items.push(look_ups.ask(Tree::Items, look_ups.item_key(access.item_id))?);
    }
    look_ups.complete()?;
    let mut holdings = Vec::with_capacity(HOLDINGS_PAGE);
    for ((access, purchase), item) in page.iter().zip(&items) {
        let item = item.as_ref().map(|item| ItemRecord::new(item.bytes())).transpose()?;
        // An access to another merchant's item is shown without the item.
        let item = item.filter(|item| may_see(look_ups, token, item.merchant_id));
        holdings.push(support::access(&HeldAccess::new(*access, *purchase, item.as_ref(), at), source));
    }
    let skipped = offset.saturating_sub(accesses.len());
    for held in subscriptions.skip(skipped).take(HOLDINGS_PAGE - holdings.len()) {
        let held = HeldSubscription::new(held?, &look_ups.version.directory, at);
        holdings.push(support::subscription(&held, source));
    }
    let end = offset.saturating_add(holdings.len());
    let next = (end < total && !holdings.is_empty()).then_some(PageToken {
        question,
        limit: HOLDINGS_PAGE,
        cursor: Cursor(end as u64, 0),
    });
    let trials = customer.used_trials()?;
    let used_trials = trials.iter().take(if offset == 0 { HOLDINGS_TRIALS_MAX } else { 0 }).collect();
    let (head, identity) = (&look_ups.version.head, shown.identity(look_ups));
    let body = support::customer(&CustomerPage { head, at, identity, holdings, used_trials, next, total });
    Ok(Reply::ok(body, Caching::Private))
}

/// A page of a search through all customers. A record that cannot be read costs only itself.
#[inline(never)]
pub(super) fn find(look_ups: &mut LookUps<'_>, read: &CustomersRead) -> Result<Reply, ReadError> {
    let CustomersRead { token, find: Find { wanted, token: page_token }, namespaces } = read;
    let question = match wanted {
        Wanted::Number(number) => fnv::hash(number.to_be_bytes()),
        Wanted::Uuid(uuid) => fnv::hash(uuid.into_bytes()),
    };
    let after = match page_token {
        None => None,
        Some(token) if token.question == question && token.limit == CUSTOMERS_PAGE_MAX => {
            Some(token.cursor.key())
        }
        Some(_) => return Ok(ApiError::INVALID_PAGE_TOKEN.into()),
    };
    let walked = look_ups.version.walk(Tree::Customers, after, CUSTOMERS_PAGE_SHARDS, look_ups.objects)?;
    let (records, mut last) = match walked {
        Walked::Load(names) => return Err(ReadError::Missing(names)),
        Walked::Records(records, last) => (records, last),
    };
    let mut found = Vec::new();
    for (key, record) in &records {
        let Ok(customer) = CustomerRecord::new(record.bytes()) else { continue };
        let is_wanted = match wanted {
            Wanted::Number(number) => customer.id == *number,
            Wanted::Uuid(uuid) => customer.uuid == *uuid,
        };
        if is_wanted && may_see(look_ups, token, customer.merchant_id) {
            found.push(Shown::new(*key, None, record, customer, namespaces));
            if found.len() >= CUSTOMERS_PAGE_MAX {
                last = Some(*key);
                break;
            }
        }
    }
    let index = &look_ups.version.index;
    let shards = index.shard_count(Tree::Customers);
    let shards_read = last.map_or(shards, |last| last.shard(index.shard_bits(Tree::Customers)) + 1);
    let next = last.map(|last| PageToken { question, limit: CUSTOMERS_PAGE_MAX, cursor: Cursor::of(last) });
    let identities: Vec<_> = found.iter().map(|shown| shown.identity(look_ups)).collect();
    let body = support::found(&look_ups.version.head, &identities, next, shards_read, shards);
    Ok(Reply::ok(body, Caching::Private))
}
