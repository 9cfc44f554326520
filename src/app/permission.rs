//! What a verified token may be used for, and what the log says when it may not.
//!
//! The [`Principal`] has nothing that its issuer does not have, so a route looks at the principal alone. The issuer's
//! configuration is consulted for the log line only: which of the two lacks what, and what to change.

use super::{App, Refusal};
use crate::{
    api::{error::ApiError, reply::Reply},
    ports::Platform,
    token::{Capability, Principal, Scope, VerifiedToken},
};

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permission {
    /// A viewer asks for themselves.
    View,
    /// A merchant writes.
    Write,
    /// The snapshot is read or changed: one of these scopes.
    Snapshot(&'static [Scope]),
}

impl Permission {
    const fn capability(self) -> Capability {
        match self {
            Self::View => Capability::View,
            Self::Write => Capability::Write,
            Self::Snapshot(_) => Capability::Publish,
        }
    }

    fn is_given(self, principal: &Principal) -> bool {
        match self {
            Self::View => principal.may.has(Capability::View),
            Self::Write => principal.roles.merchant,
            Self::Snapshot(scopes) => principal.scopes.has_any(scopes),
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::View => "may_not_view",
            Self::Write => "not_a_merchant",
            Self::Snapshot([Scope::SnapshotRead]) => "may_not_read_snapshot",
            Self::Snapshot([Scope::SnapshotCollect]) => "may_not_collect",
            Self::Snapshot(_) => "may_not_publish",
        }
    }

    /// What the token itself has to say for it.
    fn claim(self) -> String {
        match self {
            // Every token of an issuer that may does.
            Self::View => String::new(),
            Self::Write => "claim ctx: \"merchant\" is expected".to_owned(),
            Self::Snapshot(scopes) => {
                let names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
                format!("claim scope: {} is expected", names.join(" or "))
            }
        }
    }
}

impl<P: Platform> App<P> {
    /// Lets those pass who have the permission.
    pub(super) fn permit(&self, token: &VerifiedToken, permission: Permission) -> Result<(), Refusal> {
        if permission.is_given(&token.principal) {
            return Ok(());
        }
        let refusal = Reply::error(ApiError::InvalidPrivileges, permission.reason());
        Err(refusal.with_detail(self.what_lacks(token, permission)).into())
    }

    /// Which of issuer and token lacks what, for the log.
    fn what_lacks(&self, token: &VerifiedToken, permission: Permission) -> String {
        let Some(issuer) = self.config.issuers.get(token.issuer) else { return String::new() };
        let capability = permission.capability();
        if !issuer.may.has(capability) {
            return issuer.lacks(token.issuer, capability);
        }
        let at = format!("ISSUERS[{}] ({:?})", token.issuer, issuer.issuer);
        match permission {
            Permission::Snapshot(_) if issuer.merchants.is_some() => {
                format!(
                    "{at} has merchants, and the snapshot holds every merchant's data: no token of it may publish"
                )
            }
            Permission::Write if issuer.merchants.is_some() && !token.principal.may_speak() => {
                format!("claim mid: one of the merchants of {at} is expected")
            }
            _ => permission.claim(),
        }
    }
}
