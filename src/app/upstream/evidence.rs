//! Writes that went through this edge a moment ago. A grant that it passed on is evidence that a customer's next
//! denial is not true any more: that denial is confirmed even when budgets are used up or the circuit is open
//! (docs/adr/0015).
//!
//! A grant names its customer in its own way (`consumer_id`), and a token in its own. Where both can be matched, the
//! customer is owed answers. Where they cannot, customers of the same merchant share a reserve.

use serde_json::Value;
use uuid::Uuid;

use super::bucket::Bucket;
use crate::{
    api::{media_type::MediaType, query},
    fnv,
    limits::{
        GRANTED_ASKS, GRANTED_CUSTOMERS_MAX, GRANTED_MERCHANTS_MAX, GRANTED_MS, GRANTED_PER_MERCHANT_MAX,
        RESERVED_SHARE,
    },
    number,
    token::Principal,
};

/// A customer as a write or a token names one, hashed. Two that collide cost a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerName(u64);

impl CustomerName {
    /// The name as text: a number in any of its spellings, or anything else in either case.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let number = number::whole_text(text).map(|number| number.to_string());
        let canonical = number.unwrap_or_else(|| text.to_ascii_lowercase());
        Self(fnv::hash(canonical.bytes()))
    }

    /// The customer of a grant: `consumer_id` of a form or of JSON.
    pub fn of_grant(content_type: &str, body: &[u8]) -> Option<Self> {
        let media_type = MediaType::parse(content_type)?;
        if media_type.is_form() {
            return query::last_of_form(body, "consumer_id").map(|text| Self::new(&text));
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let body: Value = serde_json::from_slice(body).ok()?;
        let customer = body.get("consumer_id")?;
        match number::whole(customer) {
            Some(number) => Some(Self::new(&number.to_string())),
            None => customer.as_str().map(Self::new),
        }
    }

    /// All names of the customer who asks: by the token, and by the snapshot, which may know number and UUID.
    pub fn of_asker(principal: &Principal, published: Option<(i64, Uuid)>) -> Vec<Self> {
        let mut names = vec![Self::new(&principal.subject)];
        names.extend(principal.account_id.map(|id| Self::new(&id.to_string())));
        if let Some((id, uuid)) = published {
            names.extend([Self::new(&id.to_string()), Self::new(&uuid.to_string())]);
        }
        names
    }
}

/// A customer of a recent grant.
#[derive(Clone, Copy, Debug)]
struct Granted {
    customer: CustomerName,
    /// Whose write it was, if the token said so.
    merchant: Option<i64>,
    at_ms: u64,
    /// How many answers the customer is still owed.
    asks_left: u8,
}

/// The evidence that an isolate has.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The oldest first.
    customers: Vec<Granted>,
    /// Merchants, and when something of theirs was last granted.
    merchants: Vec<(Option<i64>, u64)>,
    reserve: Bucket,
}

impl Evidence {
    /// Something of `merchant` was granted, or opened: to `customer`, if the write said so.
    pub fn note(&mut self, merchant: Option<i64>, customer: Option<CustomerName>, now_ms: u64) {
        self.merchants.retain(|(known, at_ms)| *known != merchant && is_recent(*at_ms, now_ms));
        if self.merchants.len() >= GRANTED_MERCHANTS_MAX {
            self.merchants.remove(0);
        }
        self.merchants.push((merchant, now_ms));
        let Some(customer) = customer else { return };
        self.customers.retain(|known| {
            is_recent(known.at_ms, now_ms) && !(known.customer == customer && known.merchant == merchant)
        });
        // A merchant who grants to thousands at once displaces none of the others' customers.
        let of_merchant = || self.customers.iter().filter(|known| known.merchant == merchant);
        let oldest = if of_merchant().count() >= GRANTED_PER_MERCHANT_MAX {
            self.customers.iter().position(|known| known.merchant == merchant)
        } else {
            (self.customers.len() >= GRANTED_CUSTOMERS_MAX).then_some(0)
        };
        if let Some(oldest) = oldest {
            self.customers.remove(oldest);
        }
        self.customers.push(Granted { customer, merchant, at_ms: now_ms, asks_left: GRANTED_ASKS });
    }

    /// Whether anything was granted lately.
    pub fn is_any(&self, now_ms: u64) -> bool {
        self.merchants.iter().any(|(_, at_ms)| is_recent(*at_ms, now_ms))
    }

    /// Takes one of the answers that the customer with these names is owed.
    pub fn take_owed(&mut self, merchant: Option<i64>, names: &[CustomerName], now_ms: u64) -> bool {
        let owed = self.customers.iter_mut().find(|known| {
            names.contains(&known.customer)
                && known.asks_left > 0
                && is_recent(known.at_ms, now_ms)
                && is_same(known.merchant, merchant)
        });
        let Some(owed) = owed else { return false };
        owed.asks_left -= 1;
        true
    }

    /// Takes one of the answers that are reserved for customers of a merchant with a recent grant. A customer who was
    /// denied after that grant has had one. `per_sec` is the budget that the reserve is a share of.
    pub fn take_reserved(
        &mut self,
        merchant: Option<i64>,
        denied_at_ms: Option<u64>,
        now_ms: u64,
        per_sec: u64,
    ) -> bool {
        let is_due = self.merchants.iter().any(|(known, at_ms)| {
            is_same(*known, merchant)
                && is_recent(*at_ms, now_ms)
                && denied_at_ms.is_none_or(|denied_at_ms| denied_at_ms <= *at_ms)
        });
        let per_sec = (per_sec / RESERVED_SHARE).max(1);
        is_due && self.reserve.take(now_ms, per_sec, per_sec.saturating_mul(2))
    }
}

const fn is_recent(at_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(at_ms) < GRANTED_MS
}

/// Whether two tokens may be of the same merchant: one that names none may be of any.
fn is_same(a: Option<i64>, b: Option<i64>) -> bool {
    a.is_none() || b.is_none() || a == b
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: Option<i64> = Some(7);
    const FORM: &str = "application/x-www-form-urlencoded";

    fn name(text: &str) -> CustomerName {
        CustomerName::new(text)
    }

    #[test]
    fn a_grant_names_its_customer_in_a_form_or_in_json() {
        for (content_type, body) in [
            (FORM, "item_id=1&consumer_id=88005"),
            (FORM, "consumer_id=1&consumer_id=0088005&x=%"),
            (FORM, "consumer%5Fid=88005"),
            (FORM, "\u{feff}consumer_id=+88005+"),
            ("application/json", "\u{feff}{\"consumer_id\":\"88005\"}"),
            ("application/json", r#"{"consumer_id":88005.0}"#),
            ("Application/X-WWW-Form-Urlencoded; charset=utf-8", "consumer_id=%388005"),
            ("application/json", r#"{"item_id":1,"consumer_id":88005}"#),
            ("application/vnd.api+json", r#"{"consumer_id":" 88005 "}"#),
        ] {
            assert_eq!(CustomerName::of_grant(content_type, body.as_bytes()), Some(name("88005")), "{body}");
        }
        for (content_type, body) in [
            (FORM, "item_id=1"),
            (FORM, "consumer_id=%ff"),
            ("application/json", r#"{"consumer_id":[88005]}"#),
            ("application/json", "consumer_id=88005"),
            ("application/json", r#"{"consumer_id":"#),
            ("text/plain", "consumer_id=88005"),
            ("", "consumer_id=88005"),
        ] {
            assert_eq!(CustomerName::of_grant(content_type, body.as_bytes()), None, "{body}");
        }
        assert_eq!(
            name("11A7ED90-65d3-4ee2-9d91-4e1409678576"),
            name("11a7ed90-65d3-4ee2-9d91-4e1409678576")
        );
        assert_ne!(name("88005"), name("88006"));
    }

    #[test]
    fn a_customer_is_owed_some_answers_for_some_time() {
        let mut evidence = Evidence::default();
        assert!(!evidence.is_any(1_000));
        evidence.note(SHOP, Some(name("9")), 1_000);
        let names = [name("alice"), name("9")];
        assert!(evidence.is_any(1_000));
        assert!(!evidence.take_owed(SHOP, &[name("8")], 1_000), "another customer");
        assert!(!evidence.take_owed(Some(8), &names, 1_000), "another merchant's customer with that number");
        assert!(evidence.take_owed(None, &names, 1_000), "a token that names no merchant");
        for _ in 1..GRANTED_ASKS {
            assert!(evidence.take_owed(SHOP, &names, 1_000 + GRANTED_MS - 1));
        }
        assert!(!evidence.take_owed(SHOP, &names, 1_001), "all had");
        evidence.note(SHOP, Some(name("9")), 2_000);
        assert!(evidence.take_owed(SHOP, &names, 2_000), "another grant");
        assert!(!evidence.take_owed(SHOP, &names, 2_000 + GRANTED_MS), "too late");
        assert!(!evidence.is_any(2_000 + GRANTED_MS));
    }

    #[test]
    fn customers_of_the_merchant_share_a_reserve_once_each() {
        let mut evidence = Evidence::default();
        assert!(!evidence.take_reserved(SHOP, None, 1_000, 100));
        evidence.note(SHOP, None, 1_000);
        assert!(!evidence.take_reserved(Some(8), None, 1_000, 100), "another merchant's");
        assert!(!evidence.take_reserved(SHOP, Some(1_001), 1_001, 100), "denied since");
        assert!(evidence.take_reserved(SHOP, Some(999), 1_001, 100), "denied before");
        let taken = (0..100).filter(|_| evidence.take_reserved(SHOP, None, 1_001, 100)).count();
        assert_eq!(taken, 39, "two seconds of a fifth");
        assert!(evidence.take_reserved(SHOP, None, 1_051, 100));
        assert!(!evidence.take_reserved(SHOP, None, 1_000 + GRANTED_MS, 100));
        let mut evidence = Evidence::default();
        evidence.note(None, None, 1_000);
        assert!(evidence.take_reserved(SHOP, None, 1_000, 1), "of one a second, one");
    }

    #[test]
    fn bounded_and_fair_between_merchants() {
        let mut evidence = Evidence::default();
        evidence.note(Some(8), Some(name("other")), 1_000);
        for customer in 0..10_000 {
            evidence.note(SHOP, Some(name(&customer.to_string())), 1_000);
        }
        assert_eq!(evidence.customers.len(), GRANTED_PER_MERCHANT_MAX + 1);
        assert!(evidence.take_owed(Some(8), &[name("other")], 1_000));
        assert!(
            evidence.take_owed(SHOP, &[name("9999")], 1_000)
                && !evidence.take_owed(SHOP, &[name("0")], 1_000)
        );
        for merchant in 0..10_000 {
            evidence.note(Some(merchant), Some(name("x")), 1_001);
        }
        assert_eq!(evidence.merchants.len(), GRANTED_MERCHANTS_MAX);
        assert_eq!(evidence.customers.len(), GRANTED_CUSTOMERS_MAX);
        // As the limits reckon.
        assert!(size_of::<Granted>() <= 40);
    }
}
