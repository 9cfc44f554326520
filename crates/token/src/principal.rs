//! Who asks, as a verified token says.

use std::{cell::Cell, rc::Rc};

use admit_snapshot::key::EntryKey;

use super::{
    capability::{Capabilities, Scopes},
    error::ClaimsError,
};
use crate::limits::ANSWERS_PER_TOKEN;

/// What a token said when its signature was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Its issuer's place in the configuration.
    pub issuer: usize,
    /// Who asks.
    pub principal: Principal,
    /// When it is in force.
    pub times: ValidTimes,
    /// What was asked with it lately.
    pub asked: Asked,
}

/// The last few questions that a token came with, as numbers that stand for them. 0 stands for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(Cell<[u64; ANSWERS_PER_TOKEN]>);

impl Asked {
    /// Whether `question` is one of the last; it is from now on.
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

/// When a token is in force, in unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidTimes {
    /// The later of `nbf` and `iat`; nothing when the token has neither.
    pub not_before: Option<i64>,
    /// `exp`.
    pub expires_at: i64,
}

impl ValidTimes {
    /// Whether the token is in force at `now`, give or take `leeway_secs`.
    ///
    /// # Errors
    /// It has expired (RFC 7519 §4.1.4: *on* `exp` it has), or its time has not come.
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

/// Who asks, and in which roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The namespace of the issuer's customers.
    pub namespace: Rc<str>,
    /// The value of the claim that names the customer.
    pub subject: String,
    /// Where the customer is found in the snapshot: namespace and subject.
    pub customer_key: EntryKey,
    /// The OAuth client: `client_id`, else `azp`, else the only `aud`.
    pub client_id: Option<String>,
    /// `mid`.
    pub merchant_id: Option<i64>,
    /// `mui`.
    pub merchant_uuid: Option<String>,
    /// `aid`.
    pub account_id: Option<i64>,
    /// `ctx`, as far as the issuer may say so.
    pub roles: Roles,
    /// `scope`, as far as the issuer may say so.
    pub scopes: Scopes,
    /// What the issuer's tokens may be used for.
    pub may: Capabilities,
    /// Whether a test-mode client of the issuer opens pending test licences.
    pub may_test: bool,
    /// The merchants whom the issuer speaks for; all of them when its configuration names none.
    pub merchants: Option<Rc<[i64]>>,
}

impl Principal {
    /// Whether the issuer speaks for this merchant. What a token says of another one is not heard.
    #[must_use]
    pub fn is_heard_by(&self, merchant_id: i64) -> bool {
        self.merchants.as_ref().is_none_or(|merchants| merchants.contains(&merchant_id))
    }

    /// Whether the token may speak in a merchant's name at all: an issuer of some merchants has to say by `mid` in the
    /// name of which of them it speaks.
    #[must_use]
    pub fn may_speak(&self) -> bool {
        self.merchants.is_none() || self.merchant_id.is_some_and(|id| self.is_heard_by(id))
    }
}

/// The roles that `ctx` names. None unless it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Buys and watches.
    pub consumer: bool,
    /// Sells: the token may write in the name of its merchant.
    pub merchant: bool,
}
