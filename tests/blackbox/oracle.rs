//! The expected answers for the sample catalogue: decisions by [`admit_testing::oracle`], and the bodies that the
//! contract promises, computed from the lines.

use admit::snapshot::{
    schema::{AccessFee, ClientMode, Customer, Item, LicenseState, SubscriptionStatus},
    time::Timestamp,
};
use admit_testing::oracle::{self, Viewer};
use serde_json::{Map, Value, json};

pub use admit_testing::oracle::Check;

use super::{catalogue::Lines, personas::Persona};

/// The catalogue and the time of publishing.
pub struct Oracle<'a> {
    pub lines: &'a Lines,
    /// When it was published.
    pub at: i64,
}

impl Oracle<'_> {
    fn decisions(&self) -> oracle::Oracle<'_> {
        let Lines { items, licenses, apps, .. } = self.lines;
        oracle::Oracle { items: items.values().collect(), licenses, apps, at: self.at }
    }

    fn secs(&self, time: Option<Timestamp>) -> Option<i64> {
        time.map(|time| time.resolve(self.at))
    }

    pub fn item(&self, id: i64) -> Option<&Item> {
        self.lines.items.get(&id)
    }

    pub fn customer(&self, persona: &Persona) -> Option<&Customer> {
        let key = (persona.issuer.clone(), persona.claim("sub")?.to_owned());
        self.lines.customers.get(&key)
    }

    pub fn check(&self, persona: &Persona, item_id: i64, now: i64) -> Check {
        let viewer = Viewer {
            customer: self.customer(persona),
            client_id: client_id(persona),
            merchant_id: persona.claims.get("mid").and_then(Value::as_i64),
        };
        self.decisions().check(&viewer, item_id, now)
    }

    /// The names of the licences that `/license` lists, best first, each with its end.
    pub fn listed(&self, persona: &Persona, now: i64) -> Vec<(String, i64)> {
        const YEAR_SECS: i64 = 365 * 86_400;
        let decisions = self.decisions();
        let client = client_id(persona).and_then(|id| decisions.client(id));
        let Some((client, app)) = client else { return Vec::new() };
        let mut listed: Vec<(String, i64)> = if client.mode == ClientMode::Test {
            let all = self.lines.licenses.iter();
            let pending =
                all.filter(|it| it.app_id == app.id && it.test_mode && it.status == LicenseState::Pending);
            pending.map(|license| (license.id.clone(), license.rank)).collect()
        } else {
            let held = self.customer(persona).into_iter().flat_map(|customer| &customer.licenses);
            held.filter_map(|held| {
                let license = decisions.license(&held.license_id)?;
                let is_of_app = license.app_id == app.id
                    && !license.test_mode
                    && matches!(license.status, LicenseState::Live | LicenseState::Inactive);
                let ended = self.secs(held.expires_at).filter(|at| *at <= now);
                let is_shown = if held.status == SubscriptionStatus::Cancelled {
                    let ended = self.secs(held.cancelled_at).or(ended);
                    ended.is_none_or(|at| now - at < YEAR_SECS)
                } else {
                    ended.is_none_or(|at| now - at < YEAR_SECS)
                        && self.secs(held.starts_at).is_none_or(|at| at <= now)
                };
                (is_of_app && is_shown).then(|| (license.id.clone(), license.rank))
            })
            .collect()
        };
        listed.sort_by_key(|(_, rank)| std::cmp::Reverse(*rank));
        listed
    }

    /// The public details of an item.
    pub fn item_json(&self, item: &Item) -> Value {
        let metahash: Map<String, Value> =
            item.metadata.iter().map(|entry| (entry.name.clone(), entry.value.clone().into())).collect();
        let mut json = json!({
            "id": item.id,
            "merchant_id": item.merchant_id,
            "merchant_uuid": self.lines.merchants[&item.merchant_id].uuid.to_string(),
            "title": item.title,
            "is_active": item.is_active,
            "active": item.is_active,
            "access_control_type": item.access_control_type,
            "item_type": item.item_type,
            "age_restriction": item.age_restriction,
            "metadata": item.metadata,
            "metahash": metahash,
            "plan_switch_enabled": item.plan_switch_enabled,
            "created_at": item.created_at.resolve(self.at),
            "updated_at": item.updated_at.resolve(self.at),
        });
        if let Some(id) = &item.external_asset_id {
            json["external_asset_id"] = id.as_str().into();
        }
        json
    }

    pub fn fee_json(&self, item: &Item, fee: &AccessFee) -> Value {
        let access_type = &self.lines.access_types[&fee.access_type_id];
        json!({
            "id": fee.id,
            "merchant_id": item.merchant_id,
            "amount": fee.amount,
            "currency": fee.currency,
            "description": fee.description,
            "item_id": item.id,
            "item": self.item_json(item),
            "access_type": {
                "id": access_type.id,
                "account_id": access_type.account_id,
                "name": access_type.name,
                "quantity": access_type.quantity,
                "period": access_type.period,
                "created_at": access_type.created_at.resolve(self.at),
                "updated_at": access_type.updated_at.resolve(self.at),
            },
            "trial_period": fee.trial_period,
            "setup_fee": fee.setup_fee,
            "geo_restriction": fee.geo_restriction,
            "starts_at": self.secs(fee.starts_at),
            "expires_at": self.secs(fee.expires_at),
            "plan_switch_enabled": fee.plan_switch_enabled,
            "created_at": fee.created_at.resolve(self.at),
            "updated_at": fee.updated_at.resolve(self.at),
        })
    }
}

/// The client that the token names.
fn client_id(persona: &Persona) -> Option<&str> {
    persona.claim("client_id").or_else(|| persona.claim("azp"))
}
