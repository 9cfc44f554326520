//! Questions of support staff: who is a customer, what do they hold, and which rule does a token break.
//!
//! ```text
//! token ─► may it explain? ─► about whom? ─► read::customers: the record, its holdings, or a search
//!                         └─► body ─► verified(the token in it) ─► the rule at which that ended
//! ```
//!
//! | token of an issuer that may `explain` beside | sees |
//! | --- | --- |
//! | `check` | every customer of the merchants that the issuer speaks for; others do not exist |
//! | `view` alone | its own customer; others are 403 |
//!
//! Every look leaves an audit event, which names customers by their keys.

use std::{cell::OnceCell, rc::Rc};

use super::{
    Permission,
    answer::{Attempt, Attempted, Next},
    authzen::Caller,
    body::{self, RequestBody},
    finish::subject_hash,
    plan::SupportPlan,
    read::{CustomerRead, CustomersRead, NamedCustomer, Read},
};
use crate::{
    api::{
        authzen::check_headers,
        contract::Route,
        error::ApiError,
        reply::{Caching, Reply, Request},
        support::{self, Inspection, Presented, Reached, Wanted, Who},
    },
    limits::INSPECT_MAX_BYTES,
    ports::Platform,
    snapshot::key::EntryKey,
    token::{BearerToken, Capability, IssuerConfig, Rule, Scope, VerifiedToken, peek},
};

/// What 403 adds for a viewer who asks about another customer.
const NOT_ITS_OWN: &str = "the token may ask about its own customer only";

/// Largest number of keys in an audit event: a UUID may be a subject in each namespace.
const LOGGED_KEYS_MAX: usize = 8;

/// The rights that an accepted token is tried for.
const RIGHTS: [(&str, Permission); 8] = [
    ("view", Permission::View),
    ("ask", Permission::Ask),
    ("explain", Permission::Explain),
    ("write", Permission::Write),
    ("pass_through", Permission::PassThrough),
    ("read_snapshot", Permission::Snapshot(&[Scope::SnapshotRead])),
    ("publish", Permission::Snapshot(&[Scope::SnapshotWrite])),
    ("collect", Permission::Snapshot(&[Scope::SnapshotCollect])),
];

impl<P: Platform> Attempt<'_, P> {
    /// Answers a question, or asks for its body once the token has been verified.
    #[inline(never)]
    pub fn support(&self, plan: &SupportPlan) -> Attempted<Next, P> {
        let token = self.token()?;
        let issuers = &*self.config.issuers;
        Permission::Explain.check(&token, issuers)?;
        let may_see_all = token.principal.may.has(Capability::Check);
        let caller = Caller { token: &token, issuers };
        match plan {
            SupportPlan::Customer(look) => {
                let (look, who) = ((*look)?, who(self.request).ok_or(ApiError::INVALID_WHO)?);
                let mut asked = named(&caller, &who);
                if !may_see_all {
                    asked.retain(|one| one.key == token.principal.customer_key);
                    if asked.is_empty() {
                        return Err(not_its_own().into());
                    }
                }
                self.answer(&Read::Customer(CustomerRead {
                    namespaces: namespaces(issuers),
                    token,
                    asked,
                    look,
                }))
            }
            SupportPlan::Find(find) => {
                let find = (*find)?;
                if !may_see_all {
                    return Err(not_its_own().into());
                }
                self.answer(&Read::Customers(CustomersRead { namespaces: namespaces(issuers), token, find }))
            }
            SupportPlan::Token(presented) => match presented.get() {
                Some(presented) => self.inspect(presented),
                None => Ok(Next::ReadBody),
            },
        }
    }

    /// Verifies a token as that of a request, and tells where that ended.
    fn inspect(&self, presented: &Presented) -> Attempted<Next, P> {
        // A revocation is one of the rules.
        self.denylist_is_read()?;
        let text = BearerToken::parse(presented.as_header()).map_or("", |bearer| bearer.as_str());
        let [header, claims] = peek(text);
        let (header, claims) = (header.as_ref(), claims.as_ref());
        let issuers = &*self.config.issuers;
        let body = match self.verified(presented.as_header())? {
            Ok(token) => {
                let issuer = issuers.get(token.issuer).map_or("", |issuer| issuer.issuer.as_str());
                let mut rights = Vec::with_capacity(RIGHTS.len());
                for (name, permission) in RIGHTS {
                    let lack = permission.check(&token, issuers).err();
                    rights.push((name, lack.map(|refusal| (refusal.reason, refusal.detail))));
                }
                let reached = Reached::Accepted(&token, issuer, &rights);
                support::token(&Inspection { header, claims, reached })
            }
            Err(refusal) => {
                let Reply { status, reason, detail, .. } = &refusal.reply;
                // What an operator wrote about a revocation is for the log.
                let detail = if refusal.rule == Rule::Denylist { "revoked" } else { detail.as_str() };
                let reached = Reached::Ended(refusal.rule, *status, reason, detail);
                support::token(&Inspection { header, claims, reached })
            }
        };
        Ok(Next::Reply(Reply::ok(body, Caching::Private)))
    }
}

fn not_its_own() -> Reply {
    Reply::detailed(ApiError::InvalidPrivileges, NOT_ITS_OWN)
}

fn namespaces(issuers: &[IssuerConfig]) -> Vec<String> {
    issuers.iter().map(|issuer| issuer.namespace.clone()).collect()
}

/// The customer that a path names.
fn who<'a>(request: &Request<'a>) -> Option<Who<'a>> {
    match Route::parse(request.path) {
        Some(Route::Customer(segment)) => Who::parse(segment),
        _ => None,
    }
}

/// The customers that may be meant: several by a UUID, which may be a subject in any namespace.
fn named(caller: &Caller<'_>, who: &Who<'_>) -> Vec<NamedCustomer> {
    match who {
        Who::Me => {
            let own = &caller.token.principal;
            let id = [&own.namespace, ":", &own.subject].concat();
            vec![NamedCustomer { key: own.customer_key, id: Some(id) }]
        }
        Who::Key(key) => vec![NamedCustomer { key: *key, id: None }],
        Who::Name(id) => {
            vec![NamedCustomer { key: caller.principal(id).customer_key, id: Some(id.clone().into_owned()) }]
        }
        Who::Uuid(subject) => {
            let mut all: Vec<NamedCustomer> = Vec::new();
            for IssuerConfig { namespace, .. } in caller.issuers {
                let key = EntryKey::customer(namespace, subject);
                if all.iter().all(|known| known.key != key) {
                    all.push(NamedCustomer { key, id: Some([namespace, ":", subject].concat()) });
                }
            }
            all
        }
    }
}

/// The subject of a question, for its audit event: keys of customers, or the terms of a search. Nothing for a token.
pub(super) fn subject_of(
    plan: &SupportPlan,
    request: &Request<'_>,
    token: &Rc<VerifiedToken>,
    issuers: &[IssuerConfig],
) -> Option<String> {
    Some(match plan {
        SupportPlan::Customer(_) => {
            let named = named(&Caller { token, issuers }, &who(request)?);
            let hashes: Vec<_> =
                named.iter().take(LOGGED_KEYS_MAX).map(|one| subject_hash(one.key)).collect();
            hashes.join(",")
        }
        SupportPlan::Find(find) => match find.as_ref().ok()?.wanted {
            Wanted::Number(number) => format!("number {number}"),
            Wanted::Uuid(uuid) => format!("uuid {uuid}"),
        },
        SupportPlan::Token(_) => return None,
    })
}

/// A request as logs may show it: the path to a customer names a person.
pub(super) fn logged<'r>(request: Request<'r>) -> Request<'r> {
    const CUSTOMERS: &str = "/customers/";
    let path = if request.path.starts_with(CUSTOMERS) { CUSTOMERS } else { request.path };
    Request { path, ..request }
}

/// Reads the body with the token to inspect.
pub(super) async fn read_body(
    presented: &OnceCell<Rc<Presented>>,
    request: &Request<'_>,
    content: &mut impl RequestBody,
) -> Result<(), Reply> {
    check_headers(request.passed("content-type"), request.passed("content-encoding"))?;
    let bytes = body::read(content, INSPECT_MAX_BYTES).await?;
    presented.set(Rc::new(Presented::read(&bytes)?)).map_err(|_| ApiError::Internal.into())
}
