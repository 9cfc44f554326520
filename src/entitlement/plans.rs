//! Plans: what JW's access bridge calls licences. It asks which ones a viewer holds, and makes a passport of them.

use super::{
    client_app, is_test,
    licenses::{license_grant, pending_test_licenses},
};
use crate::{
    snapshot::{
        customer::CustomerRecord,
        directory::{Directory, LicenseEntry},
        object::FormatError,
        schema::{LicenseState, SubscriptionStatus},
        time::UnixSecs,
    },
    token::Principal,
};

/// How long the plan of a test licence, which has no purchase, is shown to last: as in `/license`.
const TEST_PLAN_SECS: i64 = 30 * 86_400;

/// A plan that a viewer holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldPlan<'a> {
    /// UUID of the licence.
    pub id: u128,
    /// The licence.
    pub license: &'a LicenseEntry,
    /// When it ends or is renewed next, unix seconds.
    pub expires_at: UnixSecs,
}

/// The licences that unlock items for the viewer at `now`, in the publisher's order. If the token names a client, those of
/// its app. A test-mode client holds the pending test licences of its app, and nothing else. Apps of merchants that the
/// token's issuer does not speak for have no plans, whether the client or a licence names them.
///
/// # Errors
/// The customer's record is corrupt.
pub fn held_plans<'a>(
    principal: &Principal,
    customer: Option<&CustomerRecord<'_>>,
    directory: &'a Directory,
    now: UnixSecs,
) -> Result<Vec<HeldPlan<'a>>, FormatError> {
    let client = client_app(principal, directory);
    if let Some(client) = client.as_ref().filter(|client| is_test(client)) {
        let pending = pending_test_licenses(directory, client.position).filter(|_| principal.may_test);
        let expires_at = now.saturating_add(TEST_PLAN_SECS);
        return Ok(pending.map(|(id, license)| HeldPlan { id, license, expires_at }).collect());
    }
    let mut plans = Vec::new();
    let is_of_unheard_client =
        client.is_none() && principal.client_id.as_deref().is_some_and(|id| directory.client(id).is_some());
    let Some(customer) = customer.filter(|_| !is_of_unheard_client) else { return Ok(plans) };
    for held in customer.held()? {
        let held = held?;
        let Some(license) = directory.licenses.get(&held.license_id) else { continue };
        let is_of_client = client.as_ref().is_none_or(|client| client.position == license.app);
        let app = directory.apps.get(license.app);
        let is_of_heard_app = app.is_some_and(|app| principal.may_act_for(app.merchant_id));
        let has_begun = held.starts_at.is_none_or(|starts_at| starts_at <= now);
        let grant = license_grant(&held).renewing_after(now);
        if is_of_client
            && is_of_heard_app
            && license.is_for_holders()
            && held.status != SubscriptionStatus::Cancelled
            && has_begun
            && now < grant.expires_at
        {
            plans.push(HeldPlan { id: held.license_id, license, expires_at: grant.shown_end() });
        }
    }
    Ok(plans)
}

/// The position of the app that `site` names: by its number, its `plan_id` or one of its clients. Where there is only one
/// app, any site means that app: JW's ids of sites are unknown here.
#[must_use]
pub fn app_of_site(directory: &Directory, site: &str) -> Option<usize> {
    let is_named = |app: &crate::snapshot::directory::AppEntry| app.id == site || app.plan_id == site;
    let by_client = || directory.client(site).map(|client| client.position);
    let only = || (directory.apps.len() == 1).then_some(0);
    directory.apps.iter().position(is_named).or_else(by_client).or_else(only)
}

/// The live licences of an app, which anyone may buy, by UUID.
pub fn offered_plans(directory: &Directory, app: usize) -> impl Iterator<Item = (u128, &LicenseEntry)> {
    let is_offered = move |license: &LicenseEntry| {
        license.app == app && !license.is_test_mode && license.state == LicenseState::Live
    };
    directory
        .licenses
        .iter()
        .filter(move |(_, license)| is_offered(license))
        .map(|(id, license)| (*id, license))
}
