//! `/accounts`: the viewer's account, read and changed.

use admit::api::reply::Reply;
use rusqlite::TransactionBehavior;
use serde_json::{Map, Value, json};

use super::{Job, ok};
use crate::{
    db::{
        accounts::{self, Account, Owner, Profile},
        to_json,
    },
    limits::{METADATA_MAX_BYTES, NAME_MAX_BYTES},
    wire::{Fields, Refused},
};

/// `GET /accounts`
///
/// # Errors
/// 404 if the token's holder has no account here.
pub fn show(job: &Job<'_>) -> Result<Reply, Refused> {
    let account = job.account()?;
    Ok(ok(&json_of(job, &account)))
}

/// `PUT /accounts`: fields that are not sent stay as they are; `metadata` is replaced as a whole.
///
/// # Errors
/// 404, 422, or if the database fails.
pub fn change(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let account = job.account()?;
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let profile = profile(&fields, &account.profile);
    fields.finish()?;
    let _writing = job.shared.lock();
    let transaction = job.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    accounts::set_profile(&transaction, account.id, &profile, job.now)?;
    transaction.commit()?;
    let changed = Account { profile, updated_at: job.now, ..account };
    Ok(ok(&json_of(job, &changed)))
}

/// The account as its holder sees it: one of the merchant's people has no role through other parties' apps.
fn json_of(job: &Job<'_>, account: &Account) -> Value {
    let mut body = account.json();
    let has_role = job.token.is_some_and(|token| token.verified.principal.roles.merchant);
    if matches!(account.owner, Owner::Merchant { .. })
        && !has_role
        && let Some(body) = body.as_object_mut()
    {
        body.insert("roles".to_owned(), json!([]));
    }
    body
}

/// Reads the fields of a profile; `current` has those that are not sent. Problems are noted in `fields`.
pub fn profile(fields: &Fields<'_>, current: &Profile) -> Profile {
    let text = |name, current: &String| match fields.has(name) {
        true => fields.text(name, NAME_MAX_BYTES).unwrap_or_default(),
        false => current.clone(),
    };
    let full_name = fields.text("full_name", NAME_MAX_BYTES).unwrap_or_else(|| current.full_name.clone());
    let metadata = match fields.has("metadata") {
        true => metadata(fields),
        false => current.metadata.clone(),
    };
    let date_of_birth = match fields.has("date_of_birth") {
        true => fields.moment("date_of_birth"),
        false => current.date_of_birth,
    };
    Profile { full_name, referrer: text("referrer", &current.referrer), metadata, date_of_birth }
}

fn metadata(fields: &Fields<'_>) -> Map<String, Value> {
    let pairs = fields.texts("metadata", METADATA_MAX_BYTES).unwrap_or_default();
    let metadata: Map<_, _> = pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let bytes = to_json(&metadata).map_or(usize::MAX, |json| json.len());
    if bytes > METADATA_MAX_BYTES {
        fields
            .wrong("metadata", &format!("must have at most {METADATA_MAX_BYTES} bytes as JSON, not {bytes}"));
    }
    metadata
}
