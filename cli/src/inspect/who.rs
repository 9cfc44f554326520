//! Customers as the command line names them, and viewers' tokens, which are read without verification.

use std::fs;

use admit_snapshot::time::{UnixSecs, iso8601};
use admit_token::{Principal, Roles, peek};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A customer, as the command line names them.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    /// `NAMESPACE:SUBJECT`. Subjects may contain colons, so the whole text may also be a subject.
    Name {
        /// The part before the first colon.
        namespace: String,
        /// The part after it.
        subject: String,
        /// The whole text.
        text: String,
    },
    /// The value of the customer claim, in an unknown namespace.
    Subject(String),
    /// The customer's id.
    Number(i64, String),
    /// The customer's UUID, which often is the subject too.
    Uuid(Uuid, String),
    /// A viewer's token.
    Token(Box<Unverified>),
}

/// A token whose signature was not verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Unverified {
    /// The token.
    pub text: String,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// A token, as the report shows it.
#[derive(Debug, Serialize)]
pub struct TokenReport {
    /// `iss`.
    pub issuer: Option<String>,
    /// Always false: the issuer's keys are not fetched.
    pub is_verified: bool,
    /// `exp`.
    pub expires_at: Option<String>,
    /// Whether it has ended at the time of the check.
    pub is_expired: bool,
}

impl Who {
    /// Parses `--customer`: a name, a subject, an id, a UUID, or a token.
    ///
    /// # Errors
    /// It is empty, or names a file that cannot be read or holds no token.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            bail!("expected a customer's number, UUID, subject, NAMESPACE:SUBJECT or token, found nothing");
        }
        if text.starts_with('@') {
            return Ok(Self::Token(Box::new(Unverified::read(text)?)));
        }
        if let Some(token) = Unverified::parse(text) {
            return Ok(Self::Token(Box::new(token)));
        }
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Self::Number(number, text.to_owned()));
        }
        if let Ok(uuid) = Uuid::parse_str(text) {
            return Ok(Self::Uuid(uuid, text.to_owned()));
        }
        // Subjects contain colons more often than namespaces do.
        Ok(match text.split_once(':') {
            Some((namespace, subject)) if !namespace.is_empty() && !subject.is_empty() => Self::Name {
                namespace: namespace.to_owned(),
                subject: subject.to_owned(),
                text: text.to_owned(),
            },
            _ => Self::Subject(text.to_owned()),
        })
    }
}

impl Unverified {
    /// Reads a token, or with `@FILE` the one in that file.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold a token. The message does not contain the text.
    pub fn read(text: &str) -> Result<Self> {
        let found = match text.strip_prefix('@') {
            Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?,
            None => text.to_owned(),
        };
        Self::parse(found.trim()).context("expected a JSON Web Token: three parts with dots between")
    }

    /// Reads a bearer of any form, or with `@FILE` the one in that file.
    ///
    /// # Errors
    /// The file cannot be read, or the text contains invalid characters. The message does not contain it.
    pub fn bearer(text: &str) -> Result<String> {
        crate::check_origin::token(text)
    }

    /// Parses a token: header and claims must be JSON objects in base64url.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
        let [Some(_header), Some(claims)] = peek(text) else { return None };
        (text.split('.').count() == 3).then(|| Self { text: text.to_owned(), claims })
    }

    /// A claim, if it is text.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A claim that names a customer: text, or an integer as text.
    pub fn name_of(&self, name: &str) -> Option<String> {
        match self.claims.get(name)? {
            Value::String(name) if !name.is_empty() => Some(name.clone()),
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            _ => None,
        }
    }

    /// Describes the token at the time `at`.
    pub fn report(&self, at: UnixSecs) -> TokenReport {
        let ends = self.claims.get("exp").and_then(admit_snapshot::number::whole);
        TokenReport {
            issuer: self.text_of("iss").map(str::to_owned),
            is_verified: false,
            expires_at: ends.map(|ends| iso8601(ends, 0)),
            is_expired: ends.is_none_or(|ends| ends <= at),
        }
    }

    /// Copies the claims that the edge reads, besides the name, into `principal`.
    pub fn fill(&self, principal: &mut Principal) {
        let audience = match self.claims.get("aud") {
            Some(Value::String(audience)) => Some(audience.clone()),
            Some(Value::Array(audiences)) => match audiences.as_slice() {
                [Value::String(audience)] => Some(audience.clone()),
                _ => None,
            },
            _ => None,
        };
        let text = |name: &str| self.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let has_role = |role: &str| match self.claims.get("ctx") {
            Some(Value::String(context)) => context == role,
            Some(Value::Array(contexts)) => contexts.iter().any(|context| context == role),
            _ => false,
        };
        principal.client_id =
            principal.client_id.take().or_else(|| text("client_id")).or_else(|| text("azp")).or(audience);
        principal.merchant_id = self.claims.get("mid").and_then(admit_snapshot::number::whole);
        principal.merchant_uuid = text("mui");
        principal.account_id = self.claims.get("aid").and_then(admit_snapshot::number::whole);
        principal.roles = Roles { consumer: has_role("consumer"), merchant: has_role("merchant") };
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        format!("{}.{}.c2ln", part(&json!({"alg": "HS256"})), part(claims))
    }

    #[test]
    fn customers_are_named_in_five_ways() {
        let uuid = "11a7ed90-65d3-4ee2-9d91-4e1409678576";
        assert_eq!(Who::parse(" 33 ").unwrap(), Who::Number(33, "33".to_owned()));
        assert_eq!(Who::parse(uuid).unwrap(), Who::Uuid(uuid.parse().unwrap(), uuid.to_owned()));
        assert_eq!(Who::parse("ada@example.com").unwrap(), Who::Subject("ada@example.com".to_owned()));
        assert_eq!(
            Who::parse("a:b:c").unwrap(),
            Who::Name { namespace: "a".to_owned(), subject: "b:c".to_owned(), text: "a:b:c".to_owned() }
        );
        assert_eq!(Who::parse(":b").unwrap(), Who::Subject(":b".to_owned()));
        let jwt = token(&json!({"sub": 7, "iss": "i"}));
        for text in [jwt.clone(), format!("Bearer {jwt}")] {
            let Who::Token(found) = Who::parse(&text).unwrap() else { panic!("{text}") };
            assert_eq!((found.name_of("sub").as_deref(), found.text_of("iss")), (Some("7"), Some("i")));
        }
        // Three parts with dots between them are a subject, unless they are JSON.
        assert_eq!(Who::parse("a.b.c").unwrap(), Who::Subject("a.b.c".to_owned()));
        assert!(Who::parse("").is_err() && Who::parse("@/does/not/exist").is_err());
    }

    #[test]
    fn what_a_token_says_is_taken_over() {
        let text = token(&json!({
            "exp": 100, "aud": ["app"], "mid": "21", "aid": 7, "ctx": ["consumer"], "mui": ""
        }));
        let token = Unverified::read(&text).unwrap();
        assert!(token.report(100).is_expired && !token.report(99).is_expired);
        let mut principal = Principal::named("", "");
        token.fill(&mut principal);
        assert_eq!((principal.client_id.as_deref(), principal.merchant_id), (Some("app"), Some(21)));
        assert_eq!((principal.account_id, principal.merchant_uuid), (Some(7), None));
        assert!(principal.roles.consumer && !principal.roles.merchant);
    }
}
