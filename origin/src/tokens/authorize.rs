//! `/oauth2/authorize`: a sign-in page that sends an authorization code to the client. There are no sessions:
//! every sign-in takes a password, so another page cannot start one in the viewer's name.

use std::borrow::Cow;

use admit::api::reply::{Body, Caching, Reply};
use form_urlencoded::Serializer;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use serde_json::{Map, Value};

use super::{CODE_TTL_SECS, identity, oauth::keep_code, redirect, refresh::Session, secret};
use crate::{
    db::from_json,
    limits::{SIGN_IN_MAX_FIELDS, TEXT_MAX_BYTES},
    request::Incoming,
    state::Shared,
    wire::{Fields, Refused, form},
};

/// A client's request for a code (RFC 6749 §4.1.1, RFC 7636 §4.3).
pub struct AuthorizationRequest {
    client_id: String,
    /// Where the code goes: a [registered](redirect::is_registered) address.
    pub redirect_uri: String,
    /// SHA-256 of the verifier, in base64url.
    pub code_challenge: String,
    scope: String,
    state: Option<String>,
    /// Repeated in the `id_token`.
    pub nonce: Option<String>,
}

/// Answers `/oauth2/authorize`.
///
/// # Errors
/// If the database fails, or a body cannot be read.
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
    // After a POST, 303 keeps the browser from sending the password on to the client (RFC 9700 §4.12).
    let redirect_status = if is_post { 303 } else { 302 };
    let request = match read(connection, &parameters)? {
        Ok(request) => request,
        Err(Refusal::Page(page)) => return Ok(page),
        Err(Refusal::Redirect { redirect_uri, mut answer, state }) => {
            // RFC 9207: an error answer also names the server that it comes from.
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
    // A client with a secret sends it later, with the code.
    let has_secret = client.as_ref().is_some_and(|client| client.has_secret);
    let identity = identity.through(client.as_ref(), has_secret);
    let Some(identity::Identity { holder: holder @ identity::Holder::Account(account_id), .. }) = identity
    else {
        let problem = "This is a test app: it takes accounts of testers only.";
        return Ok(page(401, &sign_in_form(&parameters, Some(problem))));
    };
    let code = secret::random()?;
    let session = Session {
        family: uuid::Uuid::new_v4().to_string(),
        holder,
        client_id: request.client_id.clone(),
        scope: request.scope.clone(),
        signed_in_at: now,
    };
    let _writing = shared.lock();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Used codes are kept while tokens made from them may live, so that a reused code is recognized.
    let kept = now.saturating_sub(shared.settings.refresh_ttl_secs);
    transaction.execute("DELETE FROM authorization_codes WHERE expires_at <= ?1", [kept])?;
    let expires_at = now.saturating_add(CODE_TTL_SECS);
    keep_code(&transaction, &code, &session, account_id, &request, expires_at)?;
    transaction.commit()?;
    let mut answer = vec![("code", code)];
    answer.extend(request.state.map(|state| ("state", state)));
    answer.push(("iss", shared.settings.issuer.clone()));
    Ok(send_to(&request.redirect_uri, &answer, redirect_status))
}

/// The sign-in page for a password that comes during a delay.
#[must_use]
pub fn delayed(incoming: &Incoming, wait_secs: u32) -> Reply {
    let parameters = incoming.payload.read().unwrap_or_default();
    let problem = format!("Too many attempts. Try again in {wait_secs} seconds.");
    page(429, &sign_in_form(&parameters, Some(&problem)))
}

/// Why a request cannot be granted.
enum Refusal {
    /// A page for the viewer: no valid client address is known.
    Page(Reply),
    /// A redirect that tells the client.
    Redirect { redirect_uri: String, answer: Vec<(&'static str, String)>, state: Option<String> },
}

/// Reads and checks a request. Problems with the client or its address are shown to the viewer and never
/// redirected; all others are reported to the client.
fn read(
    connection: &Connection,
    parameters: &Map<String, Value>,
) -> Result<Result<AuthorizationRequest, Refusal>, Refused> {
    let fields = Fields::new(parameters);
    let text = |name| fields.text(name, TEXT_MAX_BYTES);
    let client_id = text("client_id").unwrap_or_default();
    let redirect_uri = text("redirect_uri").unwrap_or_default();
    let sql = "SELECT redirect_uris_json FROM clients WHERE client_id = ?1";
    let registered: Option<String> =
        connection.prepare_cached(sql)?.query_row([&client_id], |row| row.get(0)).optional()?;
    let registered: Vec<String> = registered.as_deref().map(from_json).transpose()?.unwrap_or_default();
    if !redirect::is_registered(&registered, &redirect_uri) {
        let page = page(400, "<p>Unknown app, or an address that is not registered for it.</p>");
        return Ok(Err(Refusal::Page(page)));
    }
    let state = text("state");
    let wrong = |error: &str, description: &str| {
        let answer = vec![("error", error.to_owned()), ("error_description", description.to_owned())];
        Ok(Err(Refusal::Redirect { redirect_uri: redirect_uri.clone(), answer, state: state.clone() }))
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
    // A dropped `state` would make the answer look like another request's, so a bad one is refused.
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
        is_unapplied: false,
        lasts_until: None,
    }
}

/// The form of the page, which repeats the parameters of the request.
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
            // No `form-action`: it would also forbid the redirect to the client.
            (
                "content-security-policy",
                Cow::Borrowed("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
            ),
            ("referrer-policy", Cow::Borrowed("no-referrer")),
        ],
        reason: Cow::Borrowed("page"),
        detail: String::new(),
        is_unapplied: false,
        lasts_until: None,
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
