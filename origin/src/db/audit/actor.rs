//! The actors of audit entries.

use admit::token::Principal;
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;

/// The actor of an audit entry, and the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The merchant that the actor acts for; 0 for none.
    pub merchant_id: i64,
    /// `iss` of the token, or [`COMMAND`](Self::COMMAND).
    pub issuer: String,
    /// Namespace and subject of the token, joined by a colon; for a command, user and host.
    pub name: String,
    /// The OAuth client, if the token names one.
    pub client: Option<String>,
    /// `jti` of the token, if it has one.
    pub jti: Option<String>,
    /// The id of the request in the answer, and in the logs of edge and origin.
    pub request_id: Option<String>,
    /// The viewer's address, as far as the origin believes it.
    pub address: Option<String>,
}

/// The request through which an actor acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Via<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The viewer's address, as far as it is believed.
    pub address: &'a str,
}

impl Actor {
    /// The `issuer` of actors that run a command on the machine.
    pub const COMMAND: &'static str = "command";

    /// The user that runs this command, and the machine, from the operating system and the environment.
    #[must_use]
    pub fn command(merchant_id: i64) -> Self {
        let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        let host = gethostname::gethostname();
        let name = format!("{user}{}@{}", uid().unwrap_or_default(), host.to_string_lossy());
        Self { merchant_id, issuer: Self::COMMAND.to_owned(), name, ..Self::default() }
    }

    /// The holder of a verified token. `token` is the token's text.
    #[must_use]
    pub fn of_token(issuer: &str, principal: &Principal, token: &str, via: Via<'_>) -> Self {
        Self {
            client: principal.client_id.clone(),
            jti: TokenNames::of(token).jti,
            ..Self::new(issuer, &format!("{}:{}", principal.namespace, principal.subject), via)
        }
    }

    /// An actor called `name` by the issuer, for no merchant.
    #[must_use]
    pub fn new(issuer: &str, name: &str, via: Via<'_>) -> Self {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            issuer: issuer.to_owned(),
            name: name.to_owned(),
            request_id: given(via.request_id),
            address: given(via.address),
            ..Self::default()
        }
    }
}

/// The user's number from the kernel: environment variables can be set to anything.
fn uid() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        let process = std::fs::metadata("/proc/self").ok()?;
        Some(format!("({})", std::os::unix::fs::MetadataExt::uid(&process)))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The names of a token and of its session, each if it is text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenNames {
    /// `jti`
    pub jti: Option<String>,
    /// `sid`
    pub session: Option<String>,
}

impl TokenNames {
    /// Reads a token whose signature was verified.
    #[must_use]
    pub fn of(token: &str) -> Self {
        #[derive(Deserialize)]
        struct Claims {
            #[serde(default)]
            jti: Option<serde_json::Value>,
            #[serde(default)]
            sid: Option<serde_json::Value>,
        }
        let payload = token.split('.').nth(1).and_then(|part| Base64UrlUnpadded::decode_vec(part).ok());
        let claims = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
        let Some(Claims { jti, sid }) = claims else { return Self::default() };
        let text = |value: Option<serde_json::Value>| value?.as_str().map(str::to_owned);
        Self { jti: text(jti), session: text(sid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_token_and_its_session() {
        let names = |claims: &str| {
            let token = format!("x.{}.y", Base64UrlUnpadded::encode_string(claims.as_bytes()));
            let TokenNames { jti, session } = TokenNames::of(&token);
            (jti, session)
        };
        let both = (Some("a".to_owned()), Some("b".to_owned()));
        assert_eq!(names(r#"{"sub": "s", "jti": "a", "sid": "b"}"#), both);
        assert_eq!(names(r#"{"jti": "a", "sid": 7}"#), (both.0, None));
        for none in [r#"{"jti": null}"#, r#"{"jti": 7}"#, "{}", "[]", "x"] {
            assert_eq!(names(none), (None, None), "{none}");
        }
        assert_eq!(TokenNames::of("x"), TokenNames::default());
    }

    #[test]
    fn a_command_names_its_user_and_machine() {
        let actor = Actor::command(7);
        let (user, host) = actor.name.split_once('@').unwrap();
        assert!(!user.is_empty() && !host.is_empty(), "{}", actor.name);
        assert_eq!((actor.merchant_id, actor.issuer.as_str()), (7, "command"));
    }
}
