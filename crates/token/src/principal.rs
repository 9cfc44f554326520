//! The requester, as a verified token describes it.

use std::{cell::Cell, rc::Rc};

use admit_snapshot::key::EntryKey;

use super::{
    capability::{Capabilities, Scopes},
    error::ClaimsError,
};
use crate::limits::ANSWERS_PER_TOKEN;

/// The content of a token whose signature and claims were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Index of the issuer in the configuration.
    pub issuer: usize,
    /// The requester.
    pub principal: Principal,
    /// The token's period of validity.
    pub times: ValidTimes,
    /// The latest questions that were asked with the token.
    pub asked: Asked,
    /// Whether it came before.
    pub is_known: Cell<bool>,
}

/// Hashes of the last [`ANSWERS_PER_TOKEN`] questions that a token came with. 0 marks a free place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(Cell<[u64; ANSWERS_PER_TOKEN]>);

impl Asked {
    /// Whether `question` is one of the last. If not, it is added and replaces the oldest.
    ///
    /// ```
    /// use admit_token::Asked;
    ///
    /// let asked = Asked::default();
    /// assert!(!asked.again(5101), "the first time");
    /// assert!(asked.again(5101), "the second time");
    /// ```
    pub fn again(&self, question: u64) -> bool {
        let mut last = self.0.get();
        if last.contains(&question) {
            return true;
        }
        last.rotate_right(1);
        if let Some(first) = last.first_mut() {
            *first = question;
        }
        self.0.set(last);
        false
    }
}

/// The period in which a token is valid, in unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidTimes {
    /// The later of `nbf` and `iat`. `None` if the token has neither.
    pub not_before: Option<i64>,
    /// `exp`, the first second at which the token is no longer valid.
    pub expires_at: i64,
}

impl ValidTimes {
    /// Checks that the token is valid at `now`, with `leeway_secs` of tolerance on both sides.
    ///
    /// # Errors
    /// The token has expired (RFC 7519 §4.1.4: *on* `exp` it has), or is not valid yet.
    pub(super) fn check(self, now: i64, leeway_secs: u32) -> Result<(), ClaimsError> {
        if now >= self.expires_at.saturating_add(leeway_secs.into()) {
            return Err(ClaimsError::Expired);
        }
        if self.not_before.is_some_and(|start| start > now.saturating_add(leeway_secs.into())) {
            return Err(ClaimsError::NotYetValid);
        }
        Ok(())
    }
}

/// The requester and its rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Namespace of the issuer's customers.
    pub namespace: Rc<str>,
    /// Value of the claim that names the customer.
    pub subject: String,
    /// Key of the customer's record in the snapshot, computed from namespace and subject.
    pub customer_key: EntryKey,
    /// The OAuth client: `client_id`, else `azp`, else the only `aud`.
    pub client_id: Option<String>,
    /// `mid`: the merchant that the token speaks for.
    pub merchant_id: Option<i64>,
    /// `mui`: the same merchant by its UUID.
    pub merchant_uuid: Option<String>,
    /// `aid`: the account's number at the origin.
    pub account_id: Option<i64>,
    /// Roles of `ctx` that the issuer may give.
    pub roles: Roles,
    /// Scopes of `scope` that the issuer may give.
    pub scopes: Scopes,
    /// The issuer's capabilities.
    pub may: Capabilities,
    /// Whether the issuer's test-mode clients may open pending test licences.
    pub may_test: bool,
    /// The merchants that the issuer speaks for. `None` means all.
    pub merchants: Option<Rc<[i64]>>,
}

impl Principal {
    /// The customer of this name, as far as a name tells: no claims, no roles, the default capabilities, all merchants.
    #[must_use]
    pub fn named(namespace: &str, subject: &str) -> Self {
        Self {
            namespace: namespace.into(),
            subject: subject.to_owned(),
            customer_key: EntryKey::customer(namespace, subject),
            client_id: None,
            merchant_id: None,
            merchant_uuid: None,
            account_id: None,
            roles: Roles::default(),
            scopes: Scopes::NONE,
            may: Capabilities::DEFAULT,
            may_test: false,
            merchants: None,
        }
    }

    /// Whether the issuer is trusted for this merchant. Claims about other merchants are ignored.
    #[must_use]
    pub fn may_act_for(&self, merchant_id: i64) -> bool {
        self.merchants.as_ref().is_none_or(|merchants| merchants.contains(&merchant_id))
    }

    /// Whether the token may act as a merchant at all. A token of an issuer that is bound to some merchants
    /// must name one of them by `mid`.
    #[must_use]
    pub fn may_act_as_merchant(&self) -> bool {
        self.merchants.is_none() || self.merchant_id.is_some_and(|id| self.may_act_for(id))
    }
}

/// The roles that `ctx` names. A token without `ctx` has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Buys and watches.
    pub consumer: bool,
    /// Sells: the token may write on behalf of its merchant.
    pub merchant: bool,
}
