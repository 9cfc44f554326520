//! Which items may a customer play? A page at a time, and each page for a bounded price.
//!
//! What a customer holds leads to items and packages, and packages lead to their members: these are looked up one by
//! one. Nothing in the snapshot leads from a licence to its items, and nothing lists free items. A customer with a licence,
//! and a search that wants free items, goes through the whole catalogue instead, some shards at a time: the page may be
//! short then, or empty, and its token leads on.

use super::{LookUps, ReadError, Terms};
use crate::{
    api::{
        authzen::{self, Cursor, PageToken, Search},
        error::ApiError,
        reply::Reply,
    },
    app::authzen::found,
    entitlement::{Decision, Held, Question, client_app, decide_by},
    fnv,
    limits::{AUTHZEN_PAGE_LOOKS, AUTHZEN_PAGE_MAX_ITEMS, AUTHZEN_PAGE_SHARDS},
    snapshot::{
        customer::CustomerRecord,
        index::Tree,
        item::ItemRecord,
        object::FormatError,
        schema::{ClientMode, SubscriptionStatus},
        time::UnixSecs,
        version::Walked,
    },
    token::Principal,
};

/// A search, by one version and at one moment.
struct Searched<'a> {
    principal: &'a Principal,
    customer: Option<&'a CustomerRecord<'a>>,
    /// What the customer holds.
    held: Held<'a>,
    include_free: bool,
    limit: usize,
    now: UnixSecs,
}

/// A page of results, and the place after which the next one begins.
struct Page {
    item_ids: Vec<i64>,
    next: Option<Cursor>,
}

/// The answer to a search.
#[inline(never)]
pub(super) fn answer(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    terms: Terms,
    search: &Search,
    now: UnixSecs,
) -> Result<Reply, ReadError> {
    let record = look_ups.ask(Tree::Customers, principal.customer_key)?;
    look_ups.complete()?;
    let customer = record.as_ref().map(|record| CustomerRecord::new(record.bytes())).transpose()?;
    let is_known =
        |customer: &&CustomerRecord<'_>| !terms.is_service || principal.may_act_for(customer.merchant_id);
    let customer = customer.as_ref().filter(is_known);
    let limit = search.limit.or(search.token.map(|token| token.limit));
    let limit = limit.map_or(AUTHZEN_PAGE_MAX_ITEMS, |limit| limit.min(AUTHZEN_PAGE_MAX_ITEMS));
    let searched = Searched {
        principal,
        customer,
        held: customer.map(Held::of).transpose()?.unwrap_or_default(),
        include_free: search.include_free,
        limit,
        now: terms.at.unwrap_or(now),
    };
    let is_whole = searched.needs_whole_catalogue(look_ups)?;
    let question = question_hash(principal, terms, search.include_free, is_whole);
    let cursor = match search.token {
        Some(token) if token.question != question || token.limit != limit => {
            return Ok(ApiError::OTHER_QUESTION.into());
        }
        Some(token) => Some(token.cursor),
        None => None,
    };
    let page = if is_whole { searched.whole(look_ups, cursor)? } else { searched.held(look_ups, cursor)? };
    let token = page.next.map(|cursor| PageToken { question, limit, cursor }.text());
    let seq = look_ups.version.head.origin_seq();
    let mut context =
        if customer.is_none() { authzen::reason("unknown_customer") + "," } else { String::new() };
    context.push_str(r#""seq":"#);
    context.push_str(itoa::Buffer::new().format(seq));
    Ok(found(&page.item_ids, &token.unwrap_or_default(), &context))
}

impl Searched<'_> {
    /// Whether something that the customer has, or asks for, opens items to which nothing in the snapshot leads.
    fn needs_whole_catalogue(&self, look_ups: &LookUps<'_>) -> Result<bool, FormatError> {
        let is_test = client_app(self.principal, &look_ups.version.directory)
            .is_some_and(|client| client.mode == ClientMode::Test);
        if self.include_free || (self.principal.may_test && is_test) {
            return Ok(true);
        }
        Ok(self.held.licenses().iter().any(|held| {
            let has_ended = held.expires_at.is_some_and(|expires_at| expires_at <= self.now);
            held.status != SubscriptionStatus::Cancelled && !has_ended
        }))
    }

    fn may_play(&self, look_ups: &LookUps<'_>, mut item: ItemRecord<'_>) -> Result<bool, FormatError> {
        // That an item is free does not count unless it is asked for.
        item.is_free &= self.include_free;
        let item = &item;
        let directory = &look_ups.version.directory;
        let (principal, customer, now) = (self.principal, self.customer, self.now);
        let decided = decide_by(&self.held, &Question { principal, customer, item, directory, now })?;
        Ok(matches!(decided.decision, Decision::Allow(_)))
    }

    /// The items on which the customer has an access, and the members of packages. The cursor is the number of an item
    /// or package, and how many of the places within it were looked at: 1 for itself, and one for each member.
    fn held(&self, look_ups: &mut LookUps<'_>, cursor: Option<Cursor>) -> Result<Page, ReadError> {
        let Cursor(from, mut skipped) = cursor.unwrap_or_default();
        let mut page = Page { item_ids: Vec::new(), next: None };
        let mut looks = 0;
        let leading = self.held.accesses().chunk_by(|one, next| one.item_id == next.item_id);
        'pages: for leads in leading.filter_map(|same| same.first()).map(|access| access.item_id) {
            let Ok(number) = u64::try_from(leads) else { continue };
            if number < from {
                continue;
            }
            if number > from {
                skipped = 0;
            }
            let Some(record) = look_ups.ask(Tree::Items, look_ups.item_key(leads))? else {
                looks += 1;
                // One that is not in memory is looked at in the next round, and loaded with the others.
                if looks >= AUTHZEN_PAGE_LOOKS {
                    page.next = Some(Cursor(number, u64::MAX));
                    break;
                }
                continue;
            };
            let package = ItemRecord::without_texts(record.bytes())?;
            let members = package.members()?;
            let places = std::iter::once(leads).chain(members.iter());
            for (place, item_id) in (0_u64..).zip(places).skip(usize::try_from(skipped).unwrap_or(usize::MAX))
            {
                if looks >= AUTHZEN_PAGE_LOOKS || page.item_ids.len() >= self.limit {
                    page.next = Some(Cursor(number, place));
                    break 'pages;
                }
                looks += 1;
                let Some(record) = look_ups.ask(Tree::Items, look_ups.item_key(item_id))? else { continue };
                let item = ItemRecord::without_texts(record.bytes())?;
                // An item to which several accesses lead is a result of the first of them.
                let is_first = self.held.first_leading_to(&item) == Some(leads);
                if is_first && self.may_play(look_ups, item)? {
                    page.item_ids.push(item_id);
                }
            }
        }
        look_ups.complete()?;
        Ok(page)
    }

    /// All items, in the order of their keys. The cursor is the key of the last one.
    fn whole(&self, look_ups: &mut LookUps<'_>, cursor: Option<Cursor>) -> Result<Page, ReadError> {
        let mut page = Page { item_ids: Vec::new(), next: None };
        if self.limit == 0 {
            page.next = Some(cursor.unwrap_or_default());
            return Ok(page);
        }
        let after = cursor.map(Cursor::key);
        let walked = look_ups.version.walk(Tree::Items, after, AUTHZEN_PAGE_SHARDS, look_ups.objects)?;
        let (records, mut last) = match walked {
            Walked::Load(names) => return Err(ReadError::Missing(names)),
            Walked::Records(records, last) => (records, last),
        };
        for (key, record) in records {
            if page.item_ids.len() >= self.limit {
                break;
            }
            let item = ItemRecord::without_texts(record.bytes())?;
            if self.may_play(look_ups, item)? {
                page.item_ids.push(item.id);
            }
            if page.item_ids.len() >= self.limit {
                last = Some(key);
            }
        }
        page.next = last.map(Cursor::of);
        Ok(page)
    }
}

/// Stands for a question: two pages belong together if it is the same. A collision mixes two searches of one client.
fn question_hash(principal: &Principal, terms: Terms, include_free: bool, is_whole: bool) -> u64 {
    let at = terms.at.unwrap_or(UnixSecs::MIN).to_be_bytes();
    let flags = [u8::from(include_free), u8::from(is_whole)];
    fnv::hash(principal.customer_key.0.into_iter().chain(at).chain(flags))
}
