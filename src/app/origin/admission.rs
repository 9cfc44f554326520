//! Whether the upstream may be asked now: budgets, the circuit, and what customers are owed.

use std::fmt;

use super::{Evidence, OriginState, Question, evidence::CustomerName};
use crate::limits::CONFIRM_REPEAT_LEAVES;

/// Why the upstream is not asked, for the log line of the answer that nobody confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// `CONFIRMS_PER_SEC` is 0.
    Off,
    /// The customer has asked too often.
    Customer,
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
            Self::Budget => "the budget is used up",
            Self::Pause => "the origin has asked for a pause",
            Self::Circuit => "circuit open",
            Self::Awaited => "another request waits for the answer",
        })
    }
}

impl OriginState {
    /// Whether a question may be asked that ends by `deadline_ms`; that counts as having asked. `per_sec` is how many
    /// may be asked in a second.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(
        &mut self,
        question: &Question,
        per_sec: u64,
        now_ms: u64,
        deadline_ms: u64,
    ) -> Result<(), NotAsked> {
        if per_sec == 0 {
            return Err(NotAsked::Off);
        }
        let burst = per_sec.saturating_mul(2);
        let Some((_, token)) = question.check.zip(question.token.as_ref()) else {
            if !self.reads_budget.take(now_ms, per_sec, burst) {
                return Err(NotAsked::Budget);
            }
            return self.admit_by_circuit(now_ms, deadline_ms);
        };
        let principal = &token.principal;
        let denied_at_ms = self.memory.denied_at_ms(principal.customer_key);
        let is_repeated = self.memory.is_asking_again(principal.customer_key, now_ms);
        let left = if is_repeated { burst / CONFIRM_REPEAT_LEAVES } else { 0 };
        // The breaker comes last: it counts each request that it admits as sent.
        let refusal = if !self.memory.may_ask(principal.customer_key, now_ms) {
            NotAsked::Customer
        } else if !self.checks_budget.take_and_leave(now_ms, per_sec, burst, left) {
            NotAsked::Budget
        } else if let Err(refusal) = self.admit_by_circuit(now_ms, deadline_ms) {
            refusal
        } else {
            return Ok(());
        };
        let is_admitted = self.is_owed(question, now_ms)
            || self.evidence.take_reserved(principal.merchant_id, denied_at_ms, now_ms, per_sec);
        if is_admitted { Ok(()) } else { Err(refusal) }
    }

    fn admit_by_circuit(&mut self, now_ms: u64, deadline_ms: u64) -> Result<(), NotAsked> {
        let reads = &mut self.reads;
        reads
            .admit(now_ms, deadline_ms)
            .map_err(|_| if reads.is_paused(now_ms) { NotAsked::Pause } else { NotAsked::Circuit })
    }

    /// Whether the customer who asks is owed an answer, whatever the budgets and the circuit say; that counts as
    /// having had it.
    pub fn is_owed(&mut self, question: &Question, now_ms: u64) -> bool {
        let Self { evidence, .. } = self;
        let Some(token) = question.token.as_ref().filter(|_| evidence.is_any(now_ms)) else { return false };
        let names = CustomerName::of_asker(&token.principal, question.published);
        evidence.take_owed(token.principal.merchant_id, &names, now_ms)
    }

    /// What was granted lately.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}
