//! Whether the upstream may be asked now: budgets, the circuits, and what customers are owed.

use std::fmt;

use uuid::Uuid;

use super::{
    UpstreamQuestion, UpstreamState,
    customers::Pace,
    evidence::CustomerName,
    lane::{Closed, Lane, Party},
};
use crate::{
    limits::{
        ADDRESS_ASKS, ADDRESS_ASKS_PER_SEC, ANONYMOUS_SHARE, CONFIRM_REPEAT_LEAVES, FRESH_SHARE, TENANT_SHARE,
    },
    snapshot::key::{EntryKey, mix},
    token::VerifiedToken,
};

/// Why the upstream is not asked, for the log line of the unconfirmed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// `CONFIRMS_PER_SEC` is 0.
    Off,
    /// The customer has asked too often.
    Customer,
    /// The address has, without a token.
    Address,
    /// All customers together have.
    Budget,
    /// The upstream has asked to be left alone.
    Pause,
    /// The upstream has failed again and again.
    Circuit,
    /// Another request asks the same, and has not had an answer in its time.
    Awaited,
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "confirmations are off",
            Self::Customer => "the customer's budget is used up",
            Self::Address => "the address' budget is used up",
            Self::Budget => "the budget is used up",
            Self::Pause => "the origin has asked for a pause",
            Self::Circuit => "circuit open",
            Self::Awaited => "another request waits for the answer",
        })
    }
}

impl From<Closed> for NotAsked {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Pause(_) => Self::Pause,
            Closed::Circuit(_) => Self::Circuit,
        }
    }
}

/// The properties of a question by which budgets, circuits and evidence admit it.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'q> {
    /// The token of the client who asks, if the question needs one.
    pub token: Option<&'q VerifiedToken>,
    /// Who asks, and about what.
    pub party: Party,
    /// As [`UpstreamQuestion::is_confirmation`].
    pub is_confirmation: bool,
    /// As [`UpstreamQuestion::published`].
    pub published: Option<(i64, Uuid)>,
}

impl UpstreamState {
    /// The kind of traffic that a question belongs to.
    pub const fn lane(&mut self, applicant: &Applicant<'_>) -> &mut Lane {
        match (applicant.token, applicant.is_confirmation) {
            (Some(_), true) => &mut self.checks,
            (Some(_), false) => &mut self.reads,
            (None, _) => &mut self.anonymous,
        }
    }

    /// Whether a question may be asked that ends by `deadline_ms`; that counts as having asked. `per_sec` is how many
    /// denials may be confirmed in a second.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(
        &mut self,
        applicant: &Applicant<'_>,
        per_sec: u64,
        now_ms: u64,
        deadline_ms: u64,
    ) -> Result<(), NotAsked> {
        if per_sec == 0 {
            return Err(NotAsked::Off);
        }
        let party = applicant.party;
        let Some(token) = applicant.token else {
            let address = (ADDRESS_ASKS_PER_SEC.into(), ADDRESS_ASKS.into());
            if !self.addresses.take(party.who, now_ms, address.0, address.1) {
                return Err(NotAsked::Address);
            }
            let per_sec = (per_sec / ANONYMOUS_SHARE).max(1);
            if !self.anonymous.budget.take(now_ms, per_sec, per_sec.saturating_mul(2)) {
                return Err(NotAsked::Budget);
            }
            return Ok(self.anonymous.admit(party, now_ms, deadline_ms)?);
        };
        let customer = token.principal.customer_key;
        let denied_at_ms = self.memory.customers.denied_at_ms(customer);
        let asked = self.memory.customers.ask(customer, now_ms);
        let burst = per_sec.saturating_mul(2);
        if !applicant.is_confirmation {
            if asked == Pace::TooOften {
                return Err(NotAsked::Customer);
            }
            if !self.reads.budget.take(now_ms, per_sec, burst) {
                return Err(NotAsked::Budget);
            }
            return Ok(self.reads.admit(party, now_ms, deadline_ms)?);
        }
        // The circuit comes last: it counts each request that it admits as sent.
        let refusal = if asked == Pace::TooOften {
            NotAsked::Customer
        } else if !self.take_of_budget(token, asked, per_sec, now_ms) {
            NotAsked::Budget
        } else if let Err(closed) = self.checks.admit(party, now_ms, deadline_ms) {
            closed.into()
        } else {
            return Ok(());
        };
        let is_admitted = self.is_owed(applicant, now_ms)
            || self.evidence.take_reserved(token.principal.merchant_id, denied_at_ms, now_ms, per_sec);
        if is_admitted { Ok(()) } else { Err(refusal) }
    }

    /// Takes one of the confirmations of this second. Customers who ask again and again leave some to others. The
    /// reserve beside them is for customers who have just come, of tenants who have not used up their own share.
    fn take_of_budget(&mut self, token: &VerifiedToken, asked: Pace, per_sec: u64, now_ms: u64) -> bool {
        let burst = per_sec.saturating_mul(2);
        let share = (per_sec / TENANT_SHARE).max(1);
        let has_share = self.tenants.take(tenant(token), now_ms, share, share.saturating_mul(2));
        let left = if asked == Pace::Again { burst / CONFIRM_REPEAT_LEAVES } else { 0 };
        if self.checks.budget.take_and_leave(now_ms, per_sec, burst, left) {
            return true;
        }
        let reserved = (per_sec / FRESH_SHARE).max(1);
        asked == Pace::Afresh && has_share && self.fresh.take(now_ms, reserved, reserved.saturating_mul(2))
    }

    /// Whether the customer who asks is owed an answer, whatever the budgets and the circuit say; that counts as
    /// having had it.
    pub fn is_owed(&mut self, applicant: &Applicant<'_>, now_ms: u64) -> bool {
        let Self { evidence, .. } = self;
        let Some(token) = applicant.token.filter(|_| evidence.is_any(now_ms)) else { return false };
        let names = CustomerName::of_asker(&token.principal, applicant.published);
        evidence.take_owed(token.principal.merchant_id, &names, now_ms)
    }
}

/// A number that stands for a customer. The key is a part of a SHA-256: any bytes of it are as good as others.
pub fn number_of(EntryKey(key): EntryKey) -> u64 {
    key.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A number that stands for the business that a token is of: the issuer, and the merchant that it speaks for.
fn tenant(token: &VerifiedToken) -> u64 {
    let principal = &token.principal;
    let merchant = principal.merchant_id.filter(|merchant| principal.may_act_for(*merchant));
    mix(mix(token.issuer as u64) ^ merchant.unwrap_or(0).cast_unsigned())
}

impl UpstreamQuestion {
    /// Whether it is about a denial, which is confirmed before it is given. Granted checks, and other reads, are asked
    /// because a client insists.
    pub const fn is_confirmation(&self) -> bool {
        self.check.is_some() && self.otherwise.status != 200
    }

    /// What budgets, circuits and evidence go by.
    pub fn applicant(&self) -> Applicant<'_> {
        let party = match &self.token {
            Some(token) => {
                let who = number_of(token.principal.customer_key);
                Party::of(who, self.check.map(|(_, item)| item))
            }
            None => Party::at(self.address),
        };
        let Self { token, published, .. } = self;
        Applicant {
            token: token.as_deref(),
            party,
            is_confirmation: self.is_confirmation(),
            published: *published,
        }
    }
}
