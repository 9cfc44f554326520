//! How a client authenticates at the token endpoint (RFC 6749 §2.3.1).
//!
//! | method | how |
//! | --- | --- |
//! | `client_secret_basic` | `Authorization: Basic`, with id and secret escaped as in a form |
//! | `client_secret_post` | the fields `client_id` and `client_secret` |
//! | `none` | the field `client_id`, for apps, which cannot keep a secret |

use base64ct::{Base64Unpadded, Encoding};

use super::oauth_error::OAuthError;
use crate::{
    limits::TEXT_MAX_BYTES,
    wire::{Fields, form},
};

/// A client as it presents itself; nothing is verified yet.
#[derive(Debug, PartialEq, Eq)]
pub struct PresentedClient {
    /// The id in the header or the fields.
    pub client_id: String,
    /// The secret, if one was sent: it must then be correct.
    pub secret: Option<String>,
}

/// Reads how the client authenticates. An `Authorization` header of another scheme is ignored: players in
/// browsers send the viewer's bearer with every request.
///
/// # Errors
/// `invalid_client` if the header cannot be read; `invalid_request` without a client, or with two.
pub fn presented(authorization: &str, fields: &Fields<'_>) -> Result<PresentedClient, OAuthError> {
    let (client_id, secret) =
        (fields.text("client_id", TEXT_MAX_BYTES), fields.text("client_secret", TEXT_MAX_BYTES));
    let Some(credentials) = basic(authorization) else {
        let client_id = client_id.ok_or_else(|| OAuthError::missing(fields, "client_id is required"))?;
        return Ok(PresentedClient { client_id, secret });
    };
    let Some((by_header, by_header_secret)) = read(credentials) else {
        let description = "The header Authorization is not Basic with an escaped client_id and client_secret";
        return Err(OAuthError::invalid_client(description));
    };
    if secret.is_some() {
        let description =
            "The client authenticates twice: send either the header Authorization or client_secret";
        return Err(OAuthError::invalid_request(description));
    }
    if client_id.is_some_and(|client_id| client_id != by_header) {
        let description = "client_id is another one than that of the header Authorization";
        return Err(OAuthError::invalid_request(description));
    }
    // An empty secret means a client without one.
    let secret = (!by_header_secret.is_empty()).then_some(by_header_secret);
    Ok(PresentedClient { client_id: by_header, secret })
}

/// The credentials behind the scheme `Basic`.
fn basic(authorization: &str) -> Option<&str> {
    let (scheme, credentials) = authorization.trim_ascii().split_once(' ').unwrap_or((authorization, ""));
    scheme.eq_ignore_ascii_case("Basic").then_some(credentials.trim_ascii())
}

fn read(credentials: &str) -> Option<(String, String)> {
    let bytes = Base64Unpadded::decode_vec(credentials.trim_end_matches('=')).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (client_id, secret) = text.split_once(':')?;
    let client_id = form::text(client_id).filter(|client_id| !client_id.is_empty())?;
    Some((client_id, form::text(secret)?))
}

#[cfg(test)]
mod tests {
    use base64ct::Base64;
    use serde_json::{Value, json};

    use super::*;

    fn presented_by(authorization: &str, fields: &Value) -> Result<(String, Option<String>), &'static str> {
        let fields = Fields::new(fields.as_object().unwrap());
        match presented(authorization, &fields) {
            Ok(PresentedClient { client_id, secret }) => Ok((client_id, secret)),
            Err(error) => Err(error.error),
        }
    }

    fn header(text: &str) -> String {
        format!("Basic {}", Base64::encode_string(text.as_bytes()))
    }

    #[test]
    fn by_header_or_by_fields() {
        let both = |id: &str, secret: &str| Ok((id.to_owned(), Some(secret.to_owned())));
        let none = |id: &str| Ok((id.to_owned(), None));
        let nothing = json!({});
        for (authorization, fields, expected) in [
            (header("shop:s3cret"), &nothing, both("shop", "s3cret")),
            (header("shop:s3cret").replace("Basic ", "bAsIc  "), &nothing, both("shop", "s3cret")),
            (header("shop:s3cret").trim_end_matches('=').to_owned(), &nothing, both("shop", "s3cret")),
            // RFC 6749 §2.3.1: both are escaped before they are joined.
            (header("sh%3Aop+1:s%2B%C3%A9:x"), &nothing, both("sh:op 1", "s+é:x")),
            (header("shop:s3cret"), &json!({"client_id": "shop"}), both("shop", "s3cret")),
            (header("app:"), &nothing, none("app")),
            (String::new(), &json!({"client_id": "shop", "client_secret": "s"}), both("shop", "s")),
            (String::new(), &json!({"client_id": "app", "client_secret": ""}), none("app")),
            ("Bearer x.y.z".to_owned(), &json!({"client_id": "app"}), none("app")),
            (header("shop:s"), &json!({"client_secret": "s"}), Err("invalid_request")),
            (header("shop:s"), &json!({"client_id": "other"}), Err("invalid_request")),
            (String::new(), &nothing, Err("invalid_request")),
            (String::new(), &json!({"client_id": ["x"]}), Err("invalid_request")),
            ("Basic".to_owned(), &json!({"client_id": "shop"}), Err("invalid_client")),
            ("Basic c2hvcA==".to_owned(), &nothing, Err("invalid_client")),
            ("Basic !".to_owned(), &nothing, Err("invalid_client")),
            (header(":s"), &nothing, Err("invalid_client")),
            (header("shop:%FF"), &nothing, Err("invalid_client")),
            (format!("{0}, {0}", header("shop:s")), &nothing, Err("invalid_client")),
        ] {
            assert_eq!(presented_by(&authorization, fields), expected, "{authorization} {fields}");
        }
    }
}
