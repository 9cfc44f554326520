//! Writes the bodies of answers.

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    api::{
        authzen::PageToken,
        json::{Object, array, json},
    },
    limits::HOLDINGS_TEXT_MAX_BYTES,
    snapshot::{
        customer::{CustomerRecord, Purchase},
        head::Head,
        holding::{HeldAccess, HeldItem, HeldSubscription},
        instant::Zoned,
        time::UnixSecs,
        version::Source,
    },
    token::{Capability, Principal, Rule, Scope, VerifiedToken},
};

/// A customer, as the snapshot knows them.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The key of the record, as 32 hexadecimal digits.
    pub key: &'a str,
    /// `namespace:subject`, where that is known.
    pub id: Option<&'a str>,
    /// The record.
    pub record: &'a CustomerRecord<'a>,
    /// Where the record is.
    pub source: Source,
}

impl Identity<'_> {
    fn json(&self) -> String {
        let mut object = Object::default();
        object.text("key", Some(self.key)).text("id", self.id).number("number", Some(self.record.id));
        uuid(&mut object, "uuid", self.record.uuid);
        object.number("merchant_id", Some(self.record.merchant_id));
        object.text("source", Some(self.source.name())).end()
    }
}

/// A page about a customer.
#[derive(Debug)]
pub struct CustomerPage<'a> {
    /// The head of the version that answers.
    pub head: &'a Head,
    /// The moment that states are about, unix seconds.
    pub at: UnixSecs,
    /// The customer.
    pub identity: Identity<'a>,
    /// What the page has, by [`access`] and [`subscription`].
    pub holdings: Vec<String>,
    /// Numbers of items whose trial was used.
    pub used_trials: Vec<i64>,
    /// The next page, if there is one.
    pub next: Option<PageToken>,
    /// How many holdings there are in all.
    pub total: usize,
}

/// The body about a customer.
#[must_use]
pub fn customer(page: &CustomerPage<'_>) -> String {
    let mut shown = Object::default();
    next(&mut shown, page.next).number("count", Some(page.holdings.len() as i64));
    shown.number("total", Some(page.total as i64));
    let mut body = Object::default();
    body.raw("version", &version(page.head)).number("at", Some(page.at));
    body.raw("customer", &page.identity.json()).raw("holdings", &array(&page.holdings));
    body.raw("used_trials", &json(&page.used_trials)).raw("page", &shown.end()).end()
}

/// The body of a search for customers. `shards_read` of `shards` were looked at, up to the end of this page.
#[must_use]
pub fn found(
    head: &Head,
    customers: &[Identity<'_>],
    next_page: Option<PageToken>,
    shards_read: usize,
    shards: usize,
) -> String {
    let mut page = Object::default();
    next(&mut page, next_page).number("shards_read", Some(shards_read as i64));
    page.number("shards", Some(shards as i64));
    let customers: Vec<_> = customers.iter().map(Identity::json).collect();
    let mut body = Object::default();
    body.raw("version", &version(head)).raw("results", &array(&customers)).raw("page", &page.end()).end()
}

fn version(head: &Head) -> String {
    let seq = i64::try_from(head.origin_seq()).unwrap_or(i64::MAX);
    Object::default().number("seq", Some(seq)).number("as_of", Some(head.as_of)).end()
}

fn next(page: &mut Object, token: Option<PageToken>) -> &mut Object {
    page.text("next_token", Some(&token.map(PageToken::text).unwrap_or_default()))
}

/// An access, as an entry of `holdings`.
#[must_use]
pub fn access(held: &HeldAccess<'_>, source: Source) -> String {
    let HeldAccess { access, purchase, item, state } = held;
    let mut object = Object::default();
    object
        .text("type", Some(held.kind()))
        .number("id", Some(access.id))
        .number("item_id", Some(access.item_id));
    named(&mut object, "title", item.as_ref().and_then(|HeldItem { title, .. }| title.as_deref()));
    object.number("merchant_id", item.as_ref().map(|item| item.merchant_id));
    object.number("created_at", Some(access.created_at));
    period(&mut object, access.starts_at, access.expires_at, access.renews_on);
    object.text("state", Some(state.when())).text("source", Some(source.name()));
    object.raw("purchase", &purchase.as_ref().map_or_else(|| "null".to_owned(), bought)).end()
}

fn bought(purchase: &Purchase<'_>) -> String {
    let mut object = Object::default();
    // Published as a JSON number, and shown with the digits that the origin gave it.
    object.raw("amount", purchase.amount);
    named(&mut object, "currency", Some(purchase.currency));
    object.number("access_fee_id", purchase.access_fee_id);
    named(&mut object, "payment_method", purchase.payment_method);
    object.flag("is_trial", purchase.is_trial).end()
}

/// A subscription, as an entry of `holdings`.
#[must_use]
pub fn subscription(subscription: &HeldSubscription<'_>, source: Source) -> String {
    let HeldSubscription { held, license, app, state } = subscription;
    let mut object = Object::default();
    object.text("type", Some("license"));
    uuid(&mut object, "license_id", Uuid::from_u128(held.license_id));
    named(&mut object, "title", Some(held.name));
    named(&mut object, "license_name", license.map(|license| license.name.as_str()));
    object.raw("license_state", &json(&license.map(|license| license.state)));
    named(&mut object, "app", app.map(|app| app.id.as_str()));
    named(&mut object, "plan_id", app.map(|app| app.plan_id.as_str()));
    object.number("merchant_id", app.map(|app| app.merchant_id));
    object.raw("status", &json(&held.status)).raw("renew_status", &json(&held.renew_status));
    object.flag("is_trial", held.trial).number("created_at", Some(held.date_added.at));
    let renews_on = held.renews_on.map(|Zoned { at, .. }| at);
    period(&mut object, held.starts_at, held.expires_at, renews_on);
    object.number("cancelled_at", held.cancelled_at).text("state", Some(state.when()));
    object.text("source", Some(source.name())).end()
}

fn period(
    object: &mut Object,
    starts_at: Option<UnixSecs>,
    expires_at: Option<UnixSecs>,
    renews_on: Option<UnixSecs>,
) {
    object.number("starts_at", starts_at).number("expires_at", expires_at).number("renews_on", renews_on);
}

/// A member that is an origin's text, cut to the room that a page has for it.
fn named(object: &mut Object, name: &str, text: Option<&str>) {
    object.text(
        name,
        text.map(|text| text.get(..text.floor_char_boundary(HOLDINGS_TEXT_MAX_BYTES)).unwrap_or_default()),
    );
}

fn uuid(object: &mut Object, name: &str, uuid: Uuid) {
    object.text(name, Some(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer())));
}

/// The reason of a 403, and the missing right.
pub type Lack = (Cow<'static, str>, String);

/// How far the check of a token came.
#[derive(Clone, Copy, Debug)]
pub enum Reached<'a> {
    /// The token is accepted. With its issuer's name, and each right: its name, and if it is not given the reason and
    /// the missing right.
    Accepted(&'a VerifiedToken, &'a str, &'a [(&'static str, Option<Lack>)]),
    /// The check ended at a rule, with a status, a reason and a detail.
    Ended(Rule, u16, &'a str, &'a str),
}

/// A token, as its owner would be told about it.
#[derive(Clone, Copy, Debug)]
pub struct Inspection<'a> {
    /// The header, if it can be read.
    pub header: Option<&'a Map<String, Value>>,
    /// The claims, if they can be read.
    pub claims: Option<&'a Map<String, Value>>,
    /// How far its check came.
    pub reached: Reached<'a>,
}

/// The body about a token.
#[must_use]
pub fn token(inspection: &Inspection<'_>) -> String {
    let Inspection { header, claims, reached } = inspection;
    let (status, ended) = match reached {
        Reached::Accepted(..) => (200, None),
        Reached::Ended(rule, status, ..) => (*status, Some(*rule)),
    };
    let rules: Vec<_> = Rule::ALL.iter().map(|rule| rule_of(*rule, ended, reached)).collect();
    let mut body = Object::default();
    body.flag("accepted", ended.is_none()).number("status", Some(status.into()));
    body.raw("header", &json(header)).raw("claims", &json(claims)).raw("rules", &array(&rules));
    let (principal, rights) = match reached {
        Reached::Accepted(token, issuer, rights) => {
            (principal(token, issuer), rights.iter().map(|(name, lack)| right(name, lack.as_ref())).collect())
        }
        Reached::Ended(..) => ("null".to_owned(), Vec::new()),
    };
    body.raw("principal", &principal).raw("rights", &array(&rights)).end()
}

fn rule_of(rule: Rule, ended: Option<Rule>, reached: &Reached<'_>) -> String {
    let mut object = Object::default();
    object.text("rule", Some(rule.name()));
    match (ended, reached) {
        (Some(ended), _) if rule > ended => object.text("result", Some("not_reached")),
        (Some(ended), Reached::Ended(_, _, reason, detail)) if rule == ended => {
            object.text("result", Some("failed")).text("reason", Some(reason)).text("detail", Some(detail))
        }
        _ => object.text("result", Some("passed")),
    };
    object.end()
}

fn right(name: &str, lack: Option<&Lack>) -> String {
    let mut object = Object::default();
    object.text("right", Some(name)).flag("given", lack.is_none());
    if let Some((reason, detail)) = lack {
        object.text("reason", Some(reason)).text("detail", Some(detail));
    }
    object.end()
}

fn principal(token: &VerifiedToken, issuer: &str) -> String {
    let VerifiedToken { principal, times, .. } = token;
    let Principal { roles, scopes, may, .. } = principal;
    let customer = [&principal.namespace, ":", &principal.subject].concat();
    let names = |names: &mut dyn Iterator<Item = &'static str>| json(&names.collect::<Vec<_>>());
    let roles = [(roles.consumer, "consumer"), (roles.merchant, "merchant")];
    let mut object = Object::default();
    object.text("issuer", Some(issuer)).text("customer", Some(&customer));
    object.text("client_id", principal.client_id.as_deref()).number("merchant_id", principal.merchant_id);
    object.text("merchant_uuid", principal.merchant_uuid.as_deref());
    object.number("account_id", principal.account_id);
    object.raw("roles", &names(&mut roles.into_iter().filter(|(has, _)| *has).map(|(_, name)| name)));
    let scopes = Scope::ALL.into_iter().filter(|scope| scopes.has(*scope));
    object.raw("scopes", &names(&mut scopes.map(Scope::name)));
    object.raw("capabilities", &names(&mut may.iter().map(Capability::name)));
    object.raw("merchants", &json(&principal.merchants.as_deref()));
    object.number("not_before", times.not_before).number("expires_at", Some(times.expires_at)).end()
}
