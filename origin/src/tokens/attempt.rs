//! A sign-in, as far as it is read before a thread starts on it: which queue it waits in, whose failures it
//! counts among, and what the log says about it.

use admit::api::{contract::Route, reply::Reply};
use sha2::{Digest, Sha256};

use super::client;
use crate::{event::Event, guessing::Source, limits::TEXT_MAX_BYTES, request::Incoming, wire::Fields};

/// Bytes of the user name's hash in the log: 64 bits.
const LOGGED_HASH_BYTES: usize = 8;

/// Longest client id in the log.
const LOGGED_CLIENT_BYTES: usize = 64;

/// A request that signs in, or continues a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The grant type, in OAuth's terms.
    pub grant: GrantType,
    /// The client id in the request, empty if absent.
    pub client_id: String,
    /// The user name, if the request has a password.
    pub username: Option<String>,
}

/// How a request signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// A password that an app sends.
    Password,
    /// A password typed on the sign-in page.
    Page,
    /// A program's secret.
    ClientCredentials,
    /// A refresh token.
    Refresh,
    /// An authorization code.
    Code,
    /// An unknown or unreadable grant.
    Other,
}

impl GrantType {
    const fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Page => "page",
            Self::ClientCredentials => "client_credentials",
            Self::Refresh => "refresh_token",
            Self::Code => "authorization_code",
            Self::Other => "other",
        }
    }
}

impl Attempt {
    /// Reads a request to `route`; `None` if the route is not for sign-in. An unreadable request is
    /// still an attempt, without a client and a user.
    #[must_use]
    pub fn of(route: Route<'_>, incoming: &Incoming) -> Option<Self> {
        let is_page = route == Route::Authorize;
        let signs_in = is_page || matches!(route, Route::Authenticate | Route::Token | Route::LegacyToken);
        if incoming.method != "POST" || !signs_in {
            return None;
        }
        let body = incoming.payload.read().unwrap_or_default();
        let fields = Fields::new(&body);
        let text = |name| fields.text(name, TEXT_MAX_BYTES);
        let grant = match text("grant_type").as_deref() {
            _ if is_page => GrantType::Page,
            Some("password") if route == Route::Authenticate => GrantType::Password,
            Some("client_credentials") => GrantType::ClientCredentials,
            Some("refresh_token") => GrantType::Refresh,
            Some("authorization_code") if route != Route::Authenticate => GrantType::Code,
            _ => GrantType::Other,
        };
        let username = if grant.has_password() { text("username") } else { None };
        let presented = client::presented(&incoming.authorization, &fields);
        let client_id = presented.map(|presented| presented.client_id).unwrap_or_default();
        Some(Self { grant, client_id, username })
    }

    /// The event of an attempt that was answered with `reply`. `None` for a successful refresh, which is routine.
    #[must_use]
    pub fn event<'a>(&'a self, source: Source, reply: &'a Reply) -> Option<Event<'a>> {
        let outcome = match reply.status {
            200..=399 if self.grant == GrantType::Refresh => return None,
            // A redirect with an error says so in its address.
            300..=399 if reply.header("location").is_some_and(|to| to.contains("error=")) => "invalid",
            200..=399 => "granted",
            400 if reply.reason.starts_with("invalid_grant") => "refused",
            401 => "refused",
            429 => "delayed",
            500.. => "unavailable",
            _ => "invalid",
        };
        let (Source::Address(address) | Source::Shared(address)) = source;
        let end = self.client_id.floor_char_boundary(LOGGED_CLIENT_BYTES);
        Some(Event::SignIn {
            grant: self.grant.word(),
            client_id: self.client_id.get(..end).unwrap_or_default(),
            address,
            outcome,
            user: self.username.as_deref().map(hashed),
            request_id: reply.header("x-request-id"),
        })
    }
}

impl GrantType {
    /// Whether a password is checked, which takes tens of milliseconds.
    #[must_use]
    pub const fn has_password(self) -> bool {
        matches!(self, Self::Password | Self::Page)
    }
}

/// A user name as the log shows it: unreadable, but findable by its owner's name. The first 16 digits of
/// `printf %s ada@example.com | sha256sum`, in lower case.
fn hashed(username: &str) -> String {
    let hash = Sha256::digest(username.to_ascii_lowercase().as_bytes());
    hash.iter().take(LOGGED_HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use admit::api::{error::ApiError, reply::Caching};
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::{Body, Budget, Payload};

    fn incoming(method: &str, form: &str) -> Incoming {
        let content_type = "application/x-www-form-urlencoded".to_owned();
        let body = Body::Whole(form.as_bytes().to_vec());
        let payload =
            Payload { content_type, content_encoding: String::new(), body, budget: Budget::SIGN_IN };
        Incoming { method: method.to_owned(), payload, ..Incoming::default() }
    }

    #[test]
    fn requests_with_a_password_are_recognized() {
        use Route::{Authenticate, Authorize, ItemsV2, Token};
        let attempt = |route, form| Attempt::of(route, &incoming("POST", form));
        for (route, form, grant, username) in [
            (Authenticate, "grant_type=password&username=ada&client_id=c", GrantType::Password, Some("ada")),
            (Authenticate, "grant_type=refresh_token&refresh_token=x&client_id=c", GrantType::Refresh, None),
            (Authenticate, "grant_type=client_credentials&client_id=c", GrantType::ClientCredentials, None),
            (Authenticate, "client_id=c", GrantType::Other, None),
            (Token, "grant_type=authorization_code&client_id=c", GrantType::Code, None),
            // This endpoint accepts no passwords.
            (Token, "grant_type=password&username=ada&client_id=c", GrantType::Other, None),
            (Authorize, "username=ada&client_id=c", GrantType::Page, Some("ada")),
        ] {
            let expected =
                Attempt { grant, client_id: "c".to_owned(), username: username.map(str::to_owned) };
            assert_eq!(attempt(route, form), Some(expected), "{form}");
        }
        assert_eq!(attempt(ItemsV2, "username=ada"), None);
        assert_eq!(Attempt::of(Authorize, &incoming("GET", "")), None);
        let unreadable = attempt(Authenticate, &"a[]&".repeat(100)).unwrap();
        assert_eq!((unreadable.grant, unreadable.username), (GrantType::Other, None));
    }

    #[test]
    fn the_log_has_user_and_grant_and_no_secret() {
        let form = "grant_type=password&username=Ada@example.com&password=s3cret&client_id=app";
        let attempt = Attempt::of(Route::Authenticate, &incoming("POST", form)).unwrap();
        let from = Source::Address(IpAddr::from([203, 0, 113, 9]));
        let line = |reply: &Reply| attempt.event(from, reply).unwrap().to_string();
        let refused = line(&ApiError::InvalidToken.into());
        let expected = json!({
            "event": "sign_in", "grant": "password", "client": "app", "address": "203.0.113.9",
            "outcome": "refused",
        });
        let refused: Value = serde_json::from_str(&refused).unwrap();
        assert_eq!(refused["user"], hashed("ada@example.com"));
        assert_eq!(refused["user"].as_str().unwrap().len(), 16);
        for member in ["event", "grant", "client", "address", "outcome"] {
            assert_eq!(refused[member], expected[member]);
        }
        assert!(!line(&ApiError::Internal.into()).contains("s3cret"));
        assert!(line(&Reply::ok(String::new(), Caching::Private)).contains("granted"));
        assert!(line(&ApiError::TooManyRequests.into()).contains("delayed"));
        let refresh = Attempt { grant: GrantType::Refresh, ..attempt.clone() };
        assert!(refresh.event(from, &Reply::ok(String::new(), Caching::Private)).is_none());
        assert!(refresh.event(from, &ApiError::InvalidToken.into()).is_some());
    }
}
