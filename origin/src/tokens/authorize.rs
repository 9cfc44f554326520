//! `/oauth2/authorize`: a sign-in page that sends an authorization code to the client. There are no sessions:
//! who signs in types the password, so that no other page can do so in their name.

use std::borrow::Cow;

use admit::api::reply::{Body, Caching, Reply};
use form_urlencoded::Serializer;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use serde_json::{Map, Value};

use super::{CODE_TTL_SECS, identity, oauth::keep_code, redirect, refresh::Remembered, secret};
use crate::{
    db::from_json,
    limits::{SIGN_IN_MAX_FIELDS, TEXT_MAX_BYTES},
    request::Incoming,
    state::Shared,
    wire::{Fields, Refused, form},
};

/// What a client asks for (RFC 6749 §4.1.1, RFC 7636 §4.3).
pub struct AuthorizationRequest {
    client_id: String,
    /// Where the code goes: one that is [registered](redirect::is_registered).
    pub redirect_uri: String,
    /// Made from the verifier by SHA-256.
    pub code_challenge: String,
    scope: String,
    state: Option<String>,
    /// Comes back in the `id_token`.
    pub nonce: Option<String>,
}

/// Answers `/oauth2/authorize`.
///
/// # Errors
/// When the database fails, or a body cannot be read.
pub fn answer(
    shared: &Shared,
    connection: &mut Connection,
    incoming: &Incoming,
    now: i64,
) -> Result<Reply, Refused> {
    let is_post = incoming.method == "POST";
    let parameters = match is_post {
        true => incoming.payload.read()?,
        false => form::parse_up_to(incoming.query.as_bytes(), SIGN_IN_MAX_FIELDS)?,
    };
    // What came with a password must not be sent along with the redirect (RFC 9700 §4.12).
    let redirect_status = if is_post { 303 } else { 302 };
    let request = match read(connection, &parameters)? {
        Ok(request) => request,
        Err(NotAsked::Page(page)) => return Ok(page),
        Err(NotAsked::Told { redirect_uri, mut answer, state }) => {
            // RFC 9207: which server it comes from, whatever it says.
            answer.push(("iss", shared.settings.issuer.clone()));
            answer.extend(state.map(|state| ("state", state)));
            return Ok(send_to(&redirect_uri, &answer, redirect_status));
        }
    };
    if !is_post {
        return Ok(page(200, &sign_in_form(&parameters, None)));
    }
    let fields = Fields::new(&parameters);
    let text = |name| fields.text(name, TEXT_MAX_BYTES).unwrap_or_default();
    let client = identity::client(connection, &request.client_id)?;
    let (username, password) = (text("username"), text("password"));
    let identity =
        identity::by_password(&shared.settings, connection, client.as_ref(), &username, &password)?;
    let Some(identity) = identity else {
        return Ok(page(401, &sign_in_form(&parameters, Some("Wrong user name or password."))));
    };
    // A client that has a secret shows it with the code.
    let has_secret = client.as_ref().is_some_and(|client| client.has_secret);
    let identity = identity.through(client.as_ref(), has_secret);
    let Some(identity::Identity { of: of @ identity::Of::Account(account_id), .. }) = identity else {
        let problem = "This is a test app: it takes accounts of testers only.";
        return Ok(page(401, &sign_in_form(&parameters, Some(problem))));
    };
    let code = secret::random()?;
    let remembered = Remembered {
        family: uuid::Uuid::new_v4().to_string(),
        of,
        client_id: request.client_id.clone(),
        scope: request.scope.clone(),
        signed_in_at: now,
    };
    let _writing = shared.lock();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // A used code is kept for as long as what was made from it may live, to be known when it comes back.
    let kept = now.saturating_sub(shared.settings.refresh_ttl_secs);
    transaction.execute("DELETE FROM authorization_codes WHERE expires_at <= ?1", [kept])?;
    let expires_at = now.saturating_add(CODE_TTL_SECS);
    keep_code(&transaction, &code, &remembered, account_id, &request, expires_at)?;
    transaction.commit()?;
    let mut answer = vec![("code", code)];
    answer.extend(request.state.map(|state| ("state", state)));
    answer.push(("iss", shared.settings.issuer.clone()));
    Ok(send_to(&request.redirect_uri, &answer, redirect_status))
}

/// The page for a password that comes too early after wrong ones.
#[must_use]
pub fn delayed(incoming: &Incoming, wait_secs: u32) -> Reply {
    let parameters = incoming.payload.read().unwrap_or_default();
    let problem = format!("Too many attempts. Try again in {wait_secs} seconds.");
    page(429, &sign_in_form(&parameters, Some(&problem)))
}

/// Why a request asks for nothing that could be granted.
enum NotAsked {
    /// Shown to the person: there is no client to tell.
    Page(Reply),
    /// Told to the client.
    Told { redirect_uri: String, answer: Vec<(&'static str, String)>, state: Option<String> },
}

/// Reads and checks what a client asks for. What is wrong with client or address is shown to the person and
/// goes nowhere; the rest is told to the client.
fn read(
    connection: &Connection,
    parameters: &Map<String, Value>,
) -> Result<Result<AuthorizationRequest, NotAsked>, Refused> {
    let fields = Fields::new(parameters);
    let text = |name| fields.text(name, TEXT_MAX_BYTES);
    let client_id = text("client_id").unwrap_or_default();
    let redirect_uri = text("redirect_uri").unwrap_or_default();
    let sql = "SELECT redirect_uris_json FROM clients WHERE client_id = ?1";
    let registered: Option<String> =
        connection.prepare_cached(sql)?.query_row([&client_id], |row| row.get(0)).optional()?;
    let registered: Vec<String> = registered.as_deref().map(from_json).transpose()?.unwrap_or_default();
    if !redirect::is_registered(&registered, &redirect_uri) {
        let page = page(400, "<p>This app is not known, or may not be returned to.</p>");
        return Ok(Err(NotAsked::Page(page)));
    }
    let state = text("state");
    let wrong = |error: &str, description: &str| {
        let answer = vec![("error", error.to_owned()), ("error_description", description.to_owned())];
        Ok(Err(NotAsked::Told { redirect_uri: redirect_uri.clone(), answer, state: state.clone() }))
    };
    if text("response_type").as_deref() != Some("code") {
        return wrong("unsupported_response_type", "response_type must be code");
    }
    let challenge = text("code_challenge").filter(|challenge| challenge.len() == 43);
    let (Some(code_challenge), Some("S256")) = (challenge, text("code_challenge_method").as_deref()) else {
        return wrong("invalid_request", "code_challenge with code_challenge_method S256 is required");
    };
    let scope = text("scope").unwrap_or_default();
    let nonce = text("nonce");
    // A state that is left out would look to the client like somebody else's answer.
    if fields.finish().is_err() {
        return wrong("invalid_request", "A parameter is too long, or not text");
    }
    Ok(Ok(AuthorizationRequest { client_id, redirect_uri, code_challenge, scope, state, nonce }))
}

fn send_to(to: &str, answer: &[(&str, String)], status: u16) -> Reply {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(answer);
    let separator = if to.contains('?') { '&' } else { '?' };
    let location = format!("{to}{separator}{}", query.finish());
    Reply {
        status,
        body: Body::Empty,
        caching: Caching::Private,
        headers: vec![("location", Cow::Owned(location)), ("referrer-policy", Cow::Borrowed("no-referrer"))],
        reason: Cow::Borrowed("redirect"),
        detail: String::new(),
        validity: None,
        is_unapplied: false,
    }
}

/// The page's form, which sends along all that the client asked for.
fn sign_in_form(parameters: &Map<String, Value>, problem: Option<&str>) -> String {
    const SENT_ALONG: [&str; 8] = [
        "response_type",
        "client_id",
        "redirect_uri",
        "code_challenge",
        "code_challenge_method",
        "scope",
        "state",
        "nonce",
    ];
    let mut form = problem.map(|problem| format!("<p role=\"alert\">{problem}</p>")).unwrap_or_default();
    form.push_str("<form method=\"post\">");
    for name in SENT_ALONG {
        if let Some(value) = parameters.get(name).and_then(Value::as_str) {
            let value = escaped(value);
            form.push_str(&format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"));
        }
    }
    form.push_str(
        "<p><label>User name <input name=\"username\" autocomplete=\"username\" required></label></p>\
         <p><label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label></p>\
         <p><button>Sign in</button></p></form>",
    );
    form
}

fn page(status: u16, content: &str) -> Reply {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sign in</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body><h1>Sign in</h1>{content}</body></html>"
    );
    Reply {
        status,
        body: Body::Bytes(html.into_bytes()),
        caching: Caching::Private,
        headers: vec![
            ("content-type", Cow::Borrowed("text/html; charset=utf-8")),
            // No form-action: it would also forbid the redirect to the client.
            (
                "content-security-policy",
                Cow::Borrowed("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
            ),
            ("referrer-policy", Cow::Borrowed("no-referrer")),
        ],
        reason: Cow::Borrowed("page"),
        detail: String::new(),
        validity: None,
        is_unapplied: false,
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
