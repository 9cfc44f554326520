//! Permissions: which verified tokens a route accepts, and the log line for the others.
//!
//! A [`Principal`] has no right that its issuer does not have, so a route looks at the principal alone. The issuer's
//! configuration is read for the log line only: it says whether token or issuer lacks the right, and what to change.

use crate::{
    api::{contract::Auth, error::ApiError, reply::Reply},
    token::{Capability, IssuerConfig, Principal, Scope, VerifiedToken},
};

/// A right that a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// A viewer asks for themselves.
    View,
    /// A viewer asks for themselves, or a service for any customer.
    Ask,
    /// Support staff ask about a customer, or about a token.
    Explain,
    /// A merchant writes.
    Write,
    /// A viewer or a merchant sends something that is passed through. What they may do there, the origin knows alone.
    PassThrough,
    /// The snapshot is read or changed: one of these scopes.
    Snapshot(&'static [Scope]),
    /// The origin's export and change feed are read, which hold every merchant's data.
    Feed,
}

impl Permission {
    /// The right that an operation of the [table](crate::api::contract::table) asks for; none if it asks for no token.
    #[must_use]
    pub const fn of(auth: Auth) -> Option<Self> {
        match auth {
            Auth::None => None,
            Auth::Viewer => Some(Self::View),
            Auth::Asker => Some(Self::Ask),
            Auth::Explainer => Some(Self::Explain),
            Auth::Merchant => Some(Self::Write),
            Auth::Scopes(scopes) => Some(Self::Snapshot(scopes)),
            Auth::Feed => Some(Self::Feed),
        }
    }

    const fn capability(self) -> Capability {
        match self {
            Self::View | Self::PassThrough => Capability::View,
            Self::Ask => Capability::Check,
            Self::Explain => Capability::Explain,
            Self::Write => Capability::Write,
            Self::Snapshot(_) => Capability::Publish,
            Self::Feed => Capability::Feed,
        }
    }

    /// Lets the tokens pass that have the permission.
    ///
    /// # Errors
    /// With the answer to others, which is not complete: see [`Completion`](super::Completion).
    pub fn check(self, token: &VerifiedToken, issuers: &[IssuerConfig]) -> Result<(), Reply> {
        if self.is_given(&token.principal) {
            return Ok(());
        }
        let issuer = issuers.get(token.issuer);
        let detail = issuer.map(|issuer| self.what_is_missing(&token.principal, issuer));
        let refusal = Reply::error(ApiError::InvalidPrivileges, self.code());
        Err(refusal.with_detail(detail.unwrap_or_default()))
    }

    fn is_given(self, principal: &Principal) -> bool {
        match self {
            Self::View => principal.may.has(Capability::View),
            Self::Ask => principal.may.has(Capability::View) || principal.may.has(Capability::Check),
            Self::Explain => principal.may.has(Capability::Explain) && Self::Ask.is_given(principal),
            Self::Write => principal.roles.merchant,
            Self::PassThrough => principal.may.has(Capability::View) || principal.may.has(Capability::Write),
            Self::Snapshot(scopes) => principal.scopes.has_any(scopes),
            // A merchant's token is the merchant's, whatever scope it was given.
            Self::Feed => principal.scopes.has(Scope::FeedRead) && !principal.roles.merchant,
        }
    }

    /// The reason that the log gives when the permission is missing.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::View => "may_not_view",
            Self::Ask => "may_not_ask",
            Self::Explain => "may_not_explain",
            Self::Write => "not_a_merchant",
            Self::PassThrough => "may_not_pass_through",
            Self::Snapshot([Scope::SnapshotRead]) => "may_not_read_snapshot",
            Self::Snapshot([Scope::SnapshotCollect]) => "may_not_collect",
            Self::Snapshot(_) => "may_not_publish",
            Self::Feed => "may_not_read_feed",
        }
    }

    /// Which of token and issuer lacks what, and what to change.
    fn what_is_missing(self, principal: &Principal, issuer: &IssuerConfig) -> String {
        if !issuer.may.has(self.capability()) {
            return issuer.lacks(self.capability());
        }
        let name = &issuer.issuer;
        match self {
            // Every token of an issuer that may does.
            Self::View | Self::Ask | Self::PassThrough => String::new(),
            // The capability `check` decides which customers the token may explain.
            Self::Explain => issuer.lacks(Capability::Check),
            Self::Write if !principal.may_act_as_merchant() => {
                format!("claim mid: one of the merchants of issuer {name:?} is expected")
            }
            Self::Write => "claim ctx: \"merchant\" is expected".to_owned(),
            Self::Snapshot(_) | Self::Feed if issuer.merchants.is_some() => {
                format!("issuer {name:?} has merchants, and this is the data of every merchant")
            }
            Self::Feed if principal.roles.merchant => {
                "claim ctx: merchant, and the feed is the data of every merchant".to_owned()
            }
            Self::Feed => format!("claim scope: {} is expected", Scope::FeedRead.name()),
            Self::Snapshot(scopes) => {
                let names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
                format!("claim scope: {} is expected", names.join(" or "))
            }
        }
    }
}
