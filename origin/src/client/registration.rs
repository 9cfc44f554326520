//! `POST /accounts`: viewers register themselves.

use admit::{
    api::reply::{Caching, Reply},
    snapshot::schema::Customer,
};
use rusqlite::TransactionBehavior;
use serde_json::{Value, json};

use super::{Answered, Job, account, ok, password};
use crate::{
    db::{
        accounts::{self, NewAccount, Profile},
        audit, changes, customers,
        numbers::{self, RecordKind},
        register_fields,
    },
    limits::{NAME_MAX_BYTES, TEXT_MAX_BYTES},
    tokens::{self, identity},
    wire::{Fields, OriginError, Refused},
};

/// `POST /accounts`: makes a customer with an account, and signs them in.
///
/// # Errors
/// 400 if registration is closed, 422 naming the fields, 429 after many requests of one address.
pub fn register(job: &mut Job<'_>) -> Result<Answered, Refused> {
    let settings = &job.shared.settings;
    if !settings.allows_registration {
        return Err(OriginError::RegistrationClosed.into());
    }
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    // The SDK calls it `username`, and apps know it as the e-mail address.
    let name = if fields.has("username") || !fields.has("email") { "username" } else { "email" };
    let username = email(&fields, name);
    let client_id = fields.required_text("client_id", TEXT_MAX_BYTES);
    fields.word("type", &[("consumer", ())]);
    fields.word("grant_type", &[("password", ())]);
    let password = password::new(&fields);
    if !fields.has("full_name") {
        fields.wrong("full_name", "is required");
    }
    let profile = account::profile(&fields, &Profile::default());
    let client = match &client_id {
        Some(client_id) => identity::client(job.connection, client_id)?,
        None => None,
    };
    // Accounts of testers are an operator's to make, so a test-mode client would only refuse the new one.
    let client = client.filter(|client| !client.is_test);
    if client_id.is_some() && client.is_none() {
        fields.wrong("client_id", "must be a live client of an app, or a merchant's UUID");
    }
    if let Some(client) = &client {
        for asked in register_fields::load(job.connection, client.merchant_id)? {
            let value = profile.metadata.get(&asked.name).and_then(Value::as_str).unwrap_or_default();
            if asked.required && !asked.is_answered_by(value) {
                fields.wrong(&format!("metadata[{}]", asked.name), "is required");
            }
        }
    }
    fields.finish()?;
    let (Some(username), Some(password), Some(client_id), Some(client)) =
        (username, password, client_id, client)
    else {
        return Err(Refused::field(name, "The registration is incomplete"));
    };
    job.count("register", &username)?;
    // Before the lock is taken, because hashing takes tens of milliseconds.
    let hash = password::hashed(&password)?;
    let (now, via) = (job.now, job.incoming.via());
    let uuid = uuid::Uuid::new_v4().to_string();
    // The new customer acts. A token that the request carries is another person's, or an earlier one's.
    let actor = job.anonymous(client.merchant_id, &format!("{}:{uuid}", settings.namespace));
    let _writing = job.shared.lock();
    let transaction = job.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if accounts::by_name(&transaction, client.merchant_id, &username)?.is_some() {
        return Err(Refused::field(name, &format!("The {name} has an account already")));
    }
    let customer = Customer {
        namespace: settings.namespace.clone(),
        subject: uuid.clone(),
        id: numbers::next(&transaction, RecordKind::Customer)?,
        uuid,
        merchant_id: client.merchant_id,
        accesses: Vec::new(),
        licenses: Vec::new(),
        used_trials: Vec::new(),
    };
    let (customer_key, seq) = customers::insert(&transaction, &customer, &actor, now)?;
    let account = NewAccount {
        merchant_id: client.merchant_id,
        username: &username,
        password_hash: &hash,
        customer_key,
        profile: &profile,
    };
    let account_id = accounts::insert(&transaction, &account, now)?;
    changes::cut(&transaction, seq, settings.keep_changes, now)?;
    audit::cut(&transaction, client.merchant_id, settings.keep_audit, now)?;
    let body = tokens::sign_in::first(settings, &transaction, account_id, &client_id, via, now)?;
    transaction.commit()?;
    Ok(Answered { reply: Reply::ok(body, Caching::Private), seq: Some(seq) })
}

/// `GET /accounts/register-fields/{client}`: what the merchant asks for, beside the name and password of every app.
///
/// # Errors
/// 404 if neither a client nor a merchant has this name.
pub fn fields(job: &Job<'_>) -> Result<Reply, Refused> {
    let client = identity::client(job.connection, job.path.parameter)?.ok_or(OriginError::NoMerchant)?;
    let fields = register_fields::load(job.connection, client.merchant_id)?;
    let numbered = (1_usize..).zip(&fields).map(|(id, field)| {
        let mut json = json!(field);
        if let Some(json) = json.as_object_mut() {
            json.insert("id".to_owned(), id.into());
        }
        json
    });
    Ok(ok(&json!({"collection": numbered.collect::<Vec<_>>()})))
}

/// An e-mail address, as far as it can be told without sending a mail.
fn email(fields: &Fields<'_>, name: &str) -> Option<String> {
    let text = fields.required_text(name, NAME_MAX_BYTES)?;
    let text = text.trim_ascii();
    let is_email = text
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if is_email && !text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Some(text.to_owned());
    }
    fields.wrong(name, "must be an e-mail address");
    None
}
