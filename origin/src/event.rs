//! Log events of the origin, and their one writer: a JSON object per line on standard error.
//!
//! Text of clients is part of some events. It is written as JSON text, so that it cannot begin a line of its own. No
//! event has a token, a secret or a user name, except `password_token` in development. docs/origin.md describes `sign_in` and `token_theft`.

use std::{fmt, net::IpAddr};

use admit_publish::output;
use serde_json::{Value, json};

use crate::db::{DbError, audit::Via};

/// An event for the operator's log.
#[derive(Clone)]
pub enum Event<'a> {
    /// `database`: the database failed, or accepted no write.
    Database(&'a DbError),
    /// `export`: an export was broken off.
    ExportBroken {
        /// Why.
        error: &'a str,
    },
    /// `unreadable`: the records of a read make no snapshot.
    Unreadable {
        /// What the publisher's builder found.
        error: &'a str,
    },
    /// `keys`: the service could not be rebuilt after a change of keys, so the previous keys stay in use.
    Keys {
        /// Why.
        error: &'a anyhow::Error,
    },
    /// `program`: a program is refused because a customer has its client id as subject.
    ProgramNamedLikeCustomer {
        /// The program's client id.
        client_id: &'a str,
    },
    /// `sign_in`: an attempt to sign in was answered.
    SignIn {
        /// The grant type, in OAuth's terms.
        grant: &'a str,
        /// The beginning of the client id in the request.
        client_id: &'a str,
        /// Where the request came from.
        address: IpAddr,
        /// `granted`, `refused`, `delayed`, `invalid` or `unavailable`.
        outcome: &'a str,
        /// The beginning of the user name's hash, with a password.
        user: Option<String>,
        /// The id of the request, which a reply by the service has.
        request_id: Option<&'a str>,
    },
    /// `password_token`: a token for a new password was made. It is a secret, shown for development only.
    PasswordToken {
        /// The account, by its row.
        account: i64,
        /// The token.
        token: &'a str,
        /// The id of the request.
        request_id: &'a str,
    },
    /// `token_theft`: a used refresh token or code came back, and its session has ended.
    TokenTheft {
        /// `refresh_token` or `authorization_code`.
        what: &'a str,
        /// The client that signed in.
        client_id: &'a str,
        /// The account that signed in, by its row.
        account: Option<i64>,
        /// The program that signed in, by its client id.
        program: Option<&'a str>,
        /// When the session began, in unix seconds.
        signed_in_at: i64,
        /// The request that used the token again.
        via: Via<'a>,
    },
}

impl Event<'_> {
    fn json(&self) -> Value {
        match self {
            Self::Database(error) => json!({"event": "database", "error": error.to_string()}),
            Self::ExportBroken { error } => json!({"event": "export", "error": error}),
            Self::Unreadable { error } => json!({"event": "unreadable", "error": error}),
            // `#` joins the causes: `outer: inner`.
            Self::Keys { error } => json!({"event": "keys", "error": format!("{error:#}")}),
            Self::ProgramNamedLikeCustomer { client_id } => json!({
                "event": "program", "client": client_id,
                "error": "a customer has the program's client id as subject",
            }),
            Self::SignIn { grant, client_id, address, outcome, user, request_id } => {
                let mut line = json!({
                    "event": "sign_in", "grant": grant, "client": client_id, "address": address.to_string(),
                    "outcome": outcome,
                });
                // Members without a value are left out.
                for (name, value) in [("user", user.as_deref()), ("request_id", *request_id)] {
                    if let (Some(line), Some(value)) = (line.as_object_mut(), value) {
                        line.insert(name.to_owned(), value.into());
                    }
                }
                line
            }
            Self::PasswordToken { account, token, request_id } => json!({
                "event": "password_token", "account": account, "token": token, "request_id": request_id,
            }),
            Self::TokenTheft { what, client_id, account, program, signed_in_at, via } => json!({
                "event": "token_theft", "level": "warning", "what": what, "client": client_id,
                "account": account, "program": program, "signed_in_at": signed_in_at,
                "request_id": via.request_id, "address": via.address,
            }),
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json().fmt(f)
    }
}

/// Writes an event to standard error.
pub fn log(event: Event<'_>) {
    output::tell_object(format_args!("{event}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_pinned() {
        let error = anyhow::anyhow!("inner").context("outer");
        let via = Via { request_id: "r-1", address: "203.0.113.9" };
        for (event, line) in [
            (
                Event::Database(&DbError::UnknownKey),
                r#"{"error":"the key is unknown or has ended: `origin keys list` shows those that verify","event":"database"}"#,
            ),
            (
                Event::ExportBroken { error: "not written: \n" },
                r#"{"error":"not written: \n","event":"export"}"#,
            ),
            (Event::Unreadable { error: "x" }, r#"{"error":"x","event":"unreadable"}"#),
            (Event::Keys { error: &error }, r#"{"error":"outer: inner","event":"keys"}"#),
            (
                Event::ProgramNamedLikeCustomer { client_id: "shop" },
                r#"{"client":"shop","error":"a customer has the program's client id as subject","event":"program"}"#,
            ),
            (
                Event::SignIn {
                    grant: "password",
                    client_id: "c",
                    address: IpAddr::from([203, 0, 113, 9]),
                    outcome: "refused",
                    user: Some("b5fc85e55755f9e0".to_owned()),
                    request_id: None,
                },
                r#"{"address":"203.0.113.9","client":"c","event":"sign_in","grant":"password","outcome":"refused","user":"b5fc85e55755f9e0"}"#,
            ),
            (
                Event::PasswordToken { account: 7, token: "t", request_id: "r-1" },
                r#"{"account":7,"event":"password_token","request_id":"r-1","token":"t"}"#,
            ),
            (
                Event::TokenTheft {
                    what: "refresh_token",
                    client_id: "c",
                    account: Some(7),
                    program: None,
                    signed_in_at: 1_800_000_000,
                    via,
                },
                r#"{"account":7,"address":"203.0.113.9","client":"c","event":"token_theft","level":"warning","program":null,"request_id":"r-1","signed_in_at":1800000000,"what":"refresh_token"}"#,
            ),
        ] {
            assert_eq!(event.to_string(), line);
        }
    }
}
