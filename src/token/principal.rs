//! Who asks, as a verified token says.

use std::{cell::Cell, rc::Rc};

use super::error::ClaimsError;
use crate::{limits::ANSWERS_PER_TOKEN, snapshot::key::EntryKey};

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
    /// `ctx`.
    pub roles: Roles,
    /// `scope`.
    pub scopes: Vec<String>,
    /// The merchants whom the issuer speaks for; all of them when its configuration names none.
    pub merchants: Option<Rc<[i64]>>,
    /// Whether the token may publish snapshots: the issuer may, and the scope says so.
    pub may_publish: bool,
    /// Whether the token may read the snapshot's objects: whoever may publish may, and so does the scope
    /// `snapshot:read` of an issuer that may publish.
    pub may_read_snapshot: bool,
}

impl Principal {
    /// Whether the issuer speaks for this merchant. What a token says of another one is not heard.
    #[must_use]
    pub fn is_heard_by(&self, merchant_id: i64) -> bool {
        self.merchants.as_ref().is_none_or(|merchants| merchants.contains(&merchant_id))
    }
}

/// The roles that `ctx` names. None unless it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Buys and watches.
    pub consumer: bool,
    /// Sells.
    pub merchant: bool,
}
