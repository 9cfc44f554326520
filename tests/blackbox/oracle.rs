//! The expected answers for the sample catalogue, computed from its lines. This is written from the contract,
//! independently of the service: both must give the same answers.

use admit::snapshot::{
    schema::{
        AccessFee, Client, ClientMode, Customer, CustomerLicense, Item, License, LicenseState,
        SubscriptionStatus,
    },
    time::Timestamp,
};
use serde_json::{Map, Value, json};

use super::{catalogue::Lines, personas::Persona};

/// The end that answers show for a grant without end.
const NEVER: i64 = 253_402_300_799;

/// The expected answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    NotFound,
    Denied,
    /// Granted until this time.
    Granted(i64),
}

/// The catalogue and the time of publishing.
pub struct Oracle<'a> {
    pub lines: &'a Lines,
    /// When it was published.
    pub at: i64,
}

impl Oracle<'_> {
    fn secs(&self, time: Option<Timestamp>) -> Option<i64> {
        time.map(|time| time.resolve(self.at))
    }

    fn is_in_force(&self, starts_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: i64) -> bool {
        self.secs(starts_at).is_none_or(|at| at <= now) && self.secs(expires_at).is_none_or(|at| now < at)
    }

    pub fn item(&self, id: i64) -> Option<&Item> {
        self.lines.items.get(&id)
    }

    pub fn customer(&self, persona: &Persona) -> Option<&Customer> {
        let key = (persona.issuer.clone(), persona.claim("sub")?.to_owned());
        self.lines.customers.get(&key)
    }

    /// The client that the token names, with its app and the app's merchant.
    fn client(&self, persona: &Persona) -> Option<(&Client, &str, i64)> {
        let id = persona.claim("client_id").or_else(|| persona.claim("azp"))?;
        self.lines.apps.iter().find_map(|app| {
            let client = app.clients.iter().find(|client| client.client_id == id)?;
            Some((client, app.id.as_str(), app.merchant_id))
        })
    }

    fn license(&self, id: &str) -> Option<&License> {
        self.lines.licenses.iter().find(|license| license.id == id)
    }

    /// Whether access to `id` includes the item: it is the item, or a package that contains it.
    fn leads_to(&self, id: i64, item: &Item) -> bool {
        id == item.id || self.item(id).is_some_and(|package| package.item_ids.contains(&item.id))
    }

    fn unlocks(&self, license: &License, item: &Item) -> bool {
        license.item_ids.iter().any(|id| self.leads_to(*id, item))
    }

    /// Whether a subscription unlocks anything: only these states and dates do.
    fn is_live(&self, held: &CustomerLicense, now: i64) -> bool {
        matches!(held.status, SubscriptionStatus::Active | SubscriptionStatus::Overdue)
            && self.is_in_force(held.starts_at, held.expires_at, now)
    }

    pub fn check(&self, persona: &Persona, item_id: i64, now: i64) -> Check {
        let Some(item) = self.item(item_id).filter(|item| item.is_active) else { return Check::NotFound };
        let customer = self.customer(persona);
        let client = self.client(persona);
        let merchant = customer
            .map(|customer| customer.merchant_id)
            .or_else(|| persona.claims.get("mid")?.as_i64())
            .or(client.map(|(_, _, merchant)| merchant));
        if merchant.is_some_and(|merchant| merchant != item.merchant_id) {
            return Check::Denied;
        }
        let mut ends = Vec::new();
        if !item.access_control_type.auth {
            ends.push(NEVER);
        }
        for access in customer.iter().flat_map(|customer| &customer.accesses) {
            if self.leads_to(access.item_id, item)
                && self.is_in_force(access.starts_at, access.expires_at, now)
            {
                ends.push(self.secs(access.expires_at).unwrap_or(NEVER));
            }
        }
        let test_app = client.filter(|(client, ..)| client.mode == ClientMode::Test).map(|(_, app, _)| app);
        if let Some(app) = test_app {
            let is_granted = |license: &License| {
                license.app_id == app
                    && license.test_mode
                    && license.status == LicenseState::Pending
                    && self.unlocks(license, item)
            };
            if self.lines.licenses.iter().any(is_granted) {
                ends.push(NEVER);
            }
        } else {
            for held in customer.iter().flat_map(|customer| &customer.licenses) {
                let Some(license) = self.license(&held.license_id) else { continue };
                let is_available = matches!(license.status, LicenseState::Live | LicenseState::Inactive);
                if is_available
                    && !license.test_mode
                    && self.is_live(held, now)
                    && self.unlocks(license, item)
                {
                    ends.push(self.secs(held.expires_at).unwrap_or(NEVER));
                }
            }
        }
        ends.into_iter().max().map_or(Check::Denied, |end| Check::Granted(end.min(NEVER)))
    }

    /// The names of the licences that `/license` lists, best first, each with its end.
    pub fn listed(&self, persona: &Persona, now: i64) -> Vec<(String, i64)> {
        const YEAR_SECS: i64 = 365 * 86_400;
        let Some((client, app, _)) = self.client(persona) else { return Vec::new() };
        let mut listed: Vec<(String, i64)> = if client.mode == ClientMode::Test {
            let all = self.lines.licenses.iter();
            let pending =
                all.filter(|it| it.app_id == app && it.test_mode && it.status == LicenseState::Pending);
            pending.map(|license| (license.id.clone(), license.rank)).collect()
        } else {
            let held = self.customer(persona).into_iter().flat_map(|customer| &customer.licenses);
            held.filter_map(|held| {
                let license = self.license(&held.license_id)?;
                let is_of_app = license.app_id == app
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
        json!({
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
        })
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
