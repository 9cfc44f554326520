//! Sign-in at `/accounts/authenticate`, with the account of ada@example.com.

use origin::settings::Settings;
use serde_json::Value;

use super::{CUSTOMER_SUBJECT, Origin, Response, command};

pub const CLIENT: &str = "5hq2v8mfernhollowweb71c0";
pub const PASSWORD: &str = "correct horse battery staple";

/// The password of viewers who register.
pub const REGISTERED: &str = "a password of my own";

/// An address that tests register for a client.
pub const REDIRECT: &str = "https://tv.example/return";

/// The example of RFC 7636, appendix B, with its [`CHALLENGE`].
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub fn with_account() -> Origin {
    with_account_by(|_| {})
}

/// The same with other settings.
pub fn with_account_by(change: impl FnOnce(&mut Settings)) -> Origin {
    let origin = Origin::with(change);
    let customer = format!("vendor:{CUSTOMER_SUBJECT}");
    let account = ["account", "set", "--merchant", "2101", "--username", "ada@example.com", "--name", "Ada"];
    let added = command(&origin, &[&account[..], &["--customer", &customer]].concat(), PASSWORD).unwrap();
    assert_eq!(added, "consumer ada@example.com");
    origin
}

/// An origin on which viewers register themselves.
pub fn open_origin() -> Origin {
    Origin::with(|settings| settings.allows_registration = true)
}

/// A registration as the SDK sends it.
pub fn register(origin: &Origin, username: &str) -> Response {
    let password = REGISTERED.replace(' ', "+");
    let form = format!(
        "full_name=New+Viewer&username={username}&password={password}&password_confirmation={password}\
         &client_id={CLIENT}&type=consumer&referrer=https%3A%2F%2Ftv.example%2F&grant_type=password\
         &metadata%5Bterms%5D=on&metadata%5Bconsents%5D=%5B%5D&branding_id="
    );
    origin.ask("POST", "/v2/accounts").form(&form).send()
}

/// The access token of an answer to a sign-in.
pub fn bearer(signed_in: &Value) -> String {
    signed_in["access_token"].as_str().unwrap().to_owned()
}

pub fn authenticate(origin: &Origin, form: &str) -> Response {
    origin.ask("POST", "/v2/accounts/authenticate").form(form).send()
}

/// The account of ada@example.com signs in. Returns the answer with its tokens.
pub fn signed_in(origin: &Origin) -> Value {
    authenticate(origin, &by_password(CLIENT, "ada@example.com", PASSWORD)).expect(200).json()
}

pub fn by_password(client_id: &str, username: &str, password: &str) -> String {
    format!(
        "client_id={client_id}&grant_type=password&username={username}&password={}",
        password.replace(' ', "+")
    )
}

pub fn refresh(origin: &Origin, client_id: &str, token: &Value) -> Response {
    let token = token.as_str().unwrap();
    authenticate(origin, &format!("client_id={client_id}&grant_type=refresh_token&refresh_token={token}"))
}

pub fn check(origin: &Origin, token: &Value) -> Response {
    origin.ask("GET", "/items/5101/access").bearer(token.as_str().unwrap()).send()
}
