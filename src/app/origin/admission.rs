//! Whether the upstream may be asked now: budgets, the circuit, and what customers are owed.

use super::{Evidence, OriginState, Question, evidence::CustomerName};
use crate::limits::{CONFIRM_REPEAT_LEAVES, CONFIRM_REPEAT_MS};

impl OriginState {
    /// Whether a question may be asked that ends by `deadline_ms`; that counts as having asked. `per_sec` is how many
    /// may be asked in a second.
    pub fn admit(&mut self, question: &Question, per_sec: u64, now_ms: u64, deadline_ms: u64) -> bool {
        if per_sec == 0 {
            return false;
        }
        let burst = per_sec.saturating_mul(2);
        let Some((_, token)) = question.check.zip(question.token.as_ref()) else {
            return self.reads_budget.take(now_ms, per_sec, burst)
                && self.reads.admit(now_ms, deadline_ms).is_ok();
        };
        let principal = &token.principal;
        let denied_at_ms = self.memory.denied_at_ms(principal.customer_key);
        let is_repeated = denied_at_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < CONFIRM_REPEAT_MS);
        let left = if is_repeated { burst / CONFIRM_REPEAT_LEAVES } else { 0 };
        // The breaker comes last: it counts each request that it admits as sent.
        let is_admitted = self.memory.may_ask(principal.customer_key, now_ms)
            && self.checks_budget.take_and_leave(now_ms, per_sec, burst, left)
            && self.reads.admit(now_ms, deadline_ms).is_ok();
        is_admitted
            || self.is_owed(question, now_ms)
            || self.evidence.take_reserved(principal.merchant_id, denied_at_ms, now_ms, per_sec)
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
