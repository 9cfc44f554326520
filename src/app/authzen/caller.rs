//! The party that asks: about whom it may ask, and what it sees.
//!
//! | token of an issuer that may | about its own customer | about any customer |
//! | --- | --- | --- |
//! | `view` | yes, with all that its claims say | 403 |
//! | `check` | yes | yes; customers and items of merchants that the issuer does not speak for count as unknown |
//! | `explain` beside one of them | names the moment, and sees the grants that were looked at | the same |

use std::rc::Rc;

use uuid::Uuid;

use crate::{
    api::{
        authzen::{AskedTime, Evaluation, Unknown, Verdict},
        error::ApiError,
    },
    app::{
        batch::Rulings,
        read::{Ruling, Terms},
        unavailable,
    },
    entitlement::{Considered, Reason},
    snapshot::{key::EntryKey, time::UnixSecs},
    token::{Capability, IssuerConfig, Principal, Roles, Scopes, VerifiedToken},
};

/// The message of 403 for a viewer who asks about another customer.
const NOT_ITS_OWN: &str = "Invalid privileges: the token may ask about its own customer only";

/// The party that asks.
pub(super) struct Caller<'a> {
    pub token: &'a Rc<VerifiedToken>,
    pub issuers: &'a [IssuerConfig],
}

impl Caller<'_> {
    fn may(&self, capability: Capability) -> bool {
        self.token.principal.may.has(capability)
    }

    /// Customer, item and terms of a question that the caller may ask; else its answer.
    pub fn asked<'e>(&self, evaluation: &'e Evaluation) -> Result<(&'e Rc<str>, i64, Terms), Verdict> {
        let Evaluation { customer, item, time } = evaluation;
        let id = customer.as_ref().ok_or_else(|| unknown(Unknown::SubjectType))?;
        self.may_ask_about(id)?;
        let item_id = item.map_err(unknown)?;
        let at = self.moment(*time).map_err(Verdict::of)?;
        Ok((
            id,
            item_id,
            Terms {
                at,
                is_service: self.is_service(id),
                explains: self.may(Capability::Explain),
                merchant: None,
            },
        ))
    }

    /// Whether the caller may ask about a customer.
    pub fn may_ask_about(&self, id: &str) -> Result<(), Verdict> {
        if self.may(Capability::Check) || !self.is_service(id) {
            return Ok(());
        }
        Err(Verdict::Failed(ApiError::InvalidPrivileges, NOT_ITS_OWN))
    }

    /// The moment that counts, for callers who may name one; others ask about the present.
    pub fn moment(&self, time: AskedTime) -> Result<Option<UnixSecs>, ApiError> {
        if self.may(Capability::Explain) { time.transpose() } else { Ok(None) }
    }

    /// Whether the customer is another one than the owner of a viewer's token.
    pub fn is_service(&self, id: &str) -> bool {
        let own = &self.token.principal;
        !self.may(Capability::View) || subject_of(id, &own.namespace) != Some(&own.subject)
    }

    /// The customer that an id names. A viewer's own token says more than the id.
    pub fn principal(&self, id: &str) -> Principal {
        let own = &self.token.principal;
        if !self.is_service(id) {
            return own.clone();
        }
        // A namespace may contain colons: the longest one that an issuer has counts.
        let known = self.issuers.iter().map(|issuer| issuer.namespace.as_str());
        let known = known.filter(|namespace| subject_of(id, namespace).is_some());
        let namespace = known.max_by_key(|namespace| namespace.len());
        let namespace =
            namespace.unwrap_or_else(|| id.split_once(':').map_or("", |(namespace, _)| namespace));
        let subject = subject_of(id, namespace).unwrap_or_default();
        Principal {
            namespace: namespace.into(),
            subject: subject.to_owned(),
            customer_key: EntryKey::customer(namespace, subject),
            client_id: None,
            merchant_id: None,
            merchant_uuid: None,
            account_id: None,
            roles: Roles::default(),
            scopes: Scopes::NONE,
            may: own.may,
            may_test: false,
            merchants: own.merchants.clone(),
        }
    }

    pub fn shown(&self) -> Shown {
        let is_bound = self.token.principal.merchants.is_some();
        Shown { explains: self.may(Capability::Explain), is_bound }
    }
}

/// The subject of an id of this namespace.
fn subject_of<'i>(id: &'i str, namespace: &str) -> Option<&'i str> {
    id.strip_prefix(namespace)?.strip_prefix(':')
}

/// What a caller sees of an answer.
pub(super) struct Shown {
    explains: bool,
    /// Whether the issuer speaks for some merchants only.
    is_bound: bool,
}

impl Shown {
    /// The answer to one of several questions.
    pub fn verdict(&self, rulings: &Rulings, position: usize) -> Verdict {
        let Some(ruling) = rulings.each.get(position) else { return Verdict::of(ApiError::Internal) };
        let reason = match ruling {
            Ruling::Unreadable => return Verdict::of(unavailable()),
            // Of merchants that the issuer does not speak for, nothing is known.
            Ruling::Denied(Reason::OtherMerchant) if self.is_bound => Unknown::Item.code(),
            // As everywhere, an inactive item is an unknown one, but for callers who ask why.
            Ruling::Denied(Reason::ItemInactive) if !self.explains => Unknown::Item.code(),
            ruling => ruling.code(),
        };
        let seen = rulings.considered.get(position).filter(|_| self.explains);
        let is_upstream = matches!(ruling, Ruling::GrantedUpstream(_));
        Verdict::Decided {
            decision: ruling.status() == 200,
            reason,
            expires_at: ruling.shown_end(),
            // It is not known which version of the origin's has granted.
            seq: (!is_upstream).then_some(rulings.seq),
            explained: seen.map_or_else(String::new, |seen| explained(rulings.as_of, seen)),
        }
    }
}

fn unknown(unknown: Unknown) -> Verdict {
    let (decision, reason, expires_at, seq) = (false, unknown.code(), None, None);
    Verdict::Decided { decision, reason, expires_at, seq, explained: String::new() }
}

/// The age of the snapshot, and the grants that were looked at, as members of a context.
fn explained(as_of: UnixSecs, seen: &[Considered]) -> String {
    let mut out = String::new();
    number(&mut out, "as_of", Some(as_of));
    out.push_str(r#","considered":["#);
    for (position, Considered { grant, license_id, obstacle }) in seen.iter().enumerate() {
        out.push_str(if position > 0 { r#",{"source":""# } else { r#"{"source":""# });
        out.push_str(grant.reason.code());
        out.push('"');
        text(&mut out, "obstacle", obstacle.map(Reason::code));
        number(&mut out, "access_id", Some(grant.access_id).filter(|id| *id != 0));
        let mut uuid = Uuid::encode_buffer();
        let license_id = license_id.map(|id| &*Uuid::from_u128(id).hyphenated().encode_lower(&mut uuid));
        text(&mut out, "license_id", license_id);
        number(&mut out, "created_at", Some(grant.created_at));
        number(&mut out, "starts_at", grant.starts_at);
        number(&mut out, "expires_at", Some(grant.shown_end()));
        out.push('}');
    }
    out.push(']');
    out
}

/// A further member that is a text without characters that JSON escapes, or null.
fn text(out: &mut String, name: &str, text: Option<&str>) {
    let quote = if text.is_some() { "\"" } else { "" };
    for part in [",\"", name, "\":", quote, text.unwrap_or("null"), quote] {
        out.push_str(part);
    }
}

/// A further member that is a number or null.
fn number(out: &mut String, name: &str, number: Option<i64>) {
    let mut buffer = itoa::Buffer::new();
    let number = number.map_or("null", |number| buffer.format(number));
    for part in [",\"", name, "\":", number] {
        out.push_str(part);
    }
}
