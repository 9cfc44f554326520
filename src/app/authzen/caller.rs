//! The party that asks: the customers that it may ask about, and the members that it sees.
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
        json::{Object, array},
    },
    app::{
        ServiceReason,
        batch::Rulings,
        read::{Ruling, Seen, Terms},
        unavailable,
    },
    entitlement::{Considered, Reason},
    snapshot::time::UnixSecs,
    token::{Capability, IssuerConfig, Principal, VerifiedToken},
};

/// The message of 403 for a viewer who asks about another customer.
const NOT_ITS_OWN: &str = "Invalid privileges: the token may ask about its own customer only";

/// The party that asks.
pub(in crate::app) struct Caller<'a> {
    pub token: &'a Rc<VerifiedToken>,
    pub issuers: &'a [IssuerConfig],
}

impl Caller<'_> {
    fn may(&self, capability: Capability) -> bool {
        self.token.principal.may.has(capability)
    }

    /// Customer, item and terms of a question that the caller may ask; else its answer.
    pub fn asked<'e>(&self, evaluation: &'e Evaluation) -> Result<(&'e Rc<str>, i64, Terms), Verdict> {
        let Evaluation { customer, item, time, asks_origin } = evaluation;
        let id = customer.as_ref().ok_or_else(|| unknown(Unknown::SubjectType))?;
        self.may_ask_about(id)?;
        let item_id = item.map_err(unknown)?;
        let at = self.moment(*time).map_err(Verdict::of)?;
        let explains = self.may(Capability::Explain);
        Ok((
            id,
            item_id,
            Terms {
                at,
                is_service: self.is_service(id),
                explains,
                asks_upstream: explains && *asks_origin,
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
        !self.may(Capability::View) || subject_in(id, &own.namespace) != Some(&own.subject)
    }

    /// The customer that an id names. A viewer's own token says more than the id.
    pub fn principal(&self, id: &str) -> Principal {
        let own = &self.token.principal;
        if !self.is_service(id) {
            return own.clone();
        }
        // A namespace may contain colons: the longest one that an issuer has counts.
        let known = self.issuers.iter().map(|issuer| issuer.namespace.as_str());
        let known = known.filter(|namespace| subject_in(id, namespace).is_some());
        let namespace = known.max_by_key(|namespace| namespace.len());
        let namespace =
            namespace.unwrap_or_else(|| id.split_once(':').map_or("", |(namespace, _)| namespace));
        let subject = subject_in(id, namespace).unwrap_or_default();
        let merchants = own.merchants.clone();
        Principal { may: own.may, merchants, ..Principal::named(namespace, subject) }
    }

    pub fn shown(&self) -> Shown {
        let is_bound = self.token.principal.merchants.is_some();
        Shown { explains: self.may(Capability::Explain), is_bound }
    }
}

/// The subject of an id, if the id is of this namespace.
fn subject_in<'i>(id: &'i str, namespace: &str) -> Option<&'i str> {
    id.strip_prefix(namespace)?.strip_prefix(':')
}

/// What a caller sees of an answer.
pub(in crate::app) struct Shown {
    explains: bool,
    /// Whether the issuer speaks for some merchants only.
    is_bound: bool,
}

impl Shown {
    /// Whether the upstream may be asked for this caller about a question with this ruling: of customers and items that the
    /// issuer does not speak for, its word is not for the caller either.
    pub const fn may_ask_upstream(&self, ruling: Ruling) -> bool {
        !self.is_bound
            || match ruling {
                Ruling::Denied(reason) => !matches!(reason, Reason::OtherMerchant | Reason::UnknownCustomer),
                Ruling::Granted(_) | Ruling::GrantedUpstream(_) => true,
                Ruling::UnknownItem | Ruling::Unreadable => false,
            }
    }

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
        let upstream_end = match ruling {
            Ruling::GrantedUpstream(ends_at) => Some(*ends_at),
            _ => None,
        };
        Verdict::Decided {
            decision: ruling.status() == 200,
            reason,
            expires_at: ruling.shown_end(),
            // It is not known which version of the origin's has granted.
            seq: upstream_end.is_none().then_some(rulings.seq),
            explained: seen.map_or_else(String::new, |seen| explained(rulings.as_of, seen, upstream_end)),
        }
    }
}

fn unknown(unknown: Unknown) -> Verdict {
    let (decision, reason, expires_at, seq) = (false, unknown.code(), None, None);
    Verdict::Decided { decision, reason, expires_at, seq, explained: String::new() }
}

/// The age of the snapshot, and the grants that were looked at, as members of a context. The upstream's grant, if it
/// decided, ends at `granted_upstream`.
fn explained(as_of: UnixSecs, seen: &[Seen], granted_upstream: Option<UnixSecs>) -> String {
    let mut grants: Vec<_> = seen.iter().map(seen_grant).collect();
    if let Some(ends_at) = granted_upstream {
        let name = ServiceReason::Upstream.code();
        let mut grant = Object::default();
        grant.text("source", Some(name)).text("found_in", Some(name));
        for unknown in ["obstacle", "access_id", "license_id", "created_at", "starts_at"] {
            grant.raw(unknown, "null");
        }
        grants.push(grant.number("expires_at", Some(ends_at)).end());
    }
    let mut members = Object::default();
    members.number("as_of", Some(as_of)).raw("considered", &array(&grants));
    members.members()
}

fn seen_grant((considered, found_in): &Seen) -> String {
    let Considered { grant, license_id, obstacle } = considered;
    let mut uuid = Uuid::encode_buffer();
    let license_id = license_id.map(|id| &*Uuid::from_u128(id).hyphenated().encode_lower(&mut uuid));
    let mut object = Object::default();
    object.text("source", Some(grant.reason.code())).text("found_in", Some(found_in.name()));
    object.text("obstacle", obstacle.map(Reason::code));
    object.number("access_id", Some(grant.access_id).filter(|id| *id != 0)).text("license_id", license_id);
    object.number("created_at", Some(grant.created_at)).number("starts_at", grant.starts_at);
    object.number("expires_at", Some(grant.shown_end()));
    object.end()
}
