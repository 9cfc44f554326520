//! What to revoke, as the command line names it.

use std::fs;

use admit_publish::{limits::DENIED_MAX_SECS, store::Store};
use admit_snapshot::{
    denylist::{self, Denied, is_text},
    instant,
    key::EntryKey,
    limits::DENIED_TEXT_MAX_BYTES,
    object::Digest,
    time::UnixSecs,
};
use admit_token::limits::LEEWAY_MAX_SECS;
use anyhow::{Context, Result, anyhow, bail};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value};

use super::moment;

/// The options that name a target; exactly one is given.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// `--token`.
    pub token: &'a Option<String>,
    /// `--customer`.
    pub customer: &'a Option<String>,
    /// `--issuer-key`.
    pub key: &'a Option<Vec<String>>,
}

/// What to revoke.
pub struct Target {
    target: denylist::Target,
    /// The customer's namespace, to check that an issuer has it.
    namespace: Option<String>,
    /// When the token expires, if known.
    ends_at: Option<UnixSecs>,
}

impl Target {
    /// Parses the options.
    ///
    /// # Errors
    /// The target cannot be read, or is too long for a head.
    pub fn read(asked: Asked<'_>) -> Result<Self> {
        match (asked.token, asked.customer, asked.key.as_deref()) {
            (Some(token), _, _) => Self::token(token),
            (_, Some(customer), _) => Self::customer(customer),
            (_, _, Some([issuer, kid])) => Self::key(issuer, kid),
            _ => bail!("name what to revoke with one of --token, --customer and --issuer-key"),
        }
    }

    fn token(given: &str) -> Result<Self> {
        let text = match given.strip_prefix('@') {
            Some(path) => fs::read_to_string(path).with_context(|| format!("--token: cannot read {path}"))?,
            None => given.to_owned(),
        };
        let text = text.trim();
        let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
        if text.is_empty() {
            bail!("--token is empty: expected a token, its jti, or @FILE");
        }
        if let Some(claims) = claims(text) {
            let signed = text.rsplit_once('.').map_or(text, |(signed, _)| signed);
            let target = denylist::Target::Token(Digest::of(signed.as_bytes()));
            let ends_at = claims.get("exp").and_then(|exp| instant::from_json(exp).ok()).map(|end| end.at);
            return Ok(Self { target, namespace: None, ends_at });
        }
        if !is_text(text) {
            bail!("--token: neither a JSON Web Token nor a jti of at most {DENIED_TEXT_MAX_BYTES} bytes");
        }
        Ok(Self { target: denylist::Target::TokenId(text.to_owned()), namespace: None, ends_at: None })
    }

    fn customer(name: &str) -> Result<Self> {
        let parts =
            name.split_once(':').filter(|(namespace, subject)| !namespace.is_empty() && !subject.is_empty());
        let Some((namespace, subject)) = parts else {
            bail!("--customer: expected NAMESPACE:SUBJECT, such as vendor:4711, found {name:?}");
        };
        let target = denylist::Target::Customer(EntryKey::customer(namespace, subject));
        Ok(Self { target, namespace: Some(namespace.to_owned()), ends_at: None })
    }

    fn key(issuer: &str, kid: &str) -> Result<Self> {
        if kid.is_empty() || !is_text(issuer) || !is_text(kid) {
            bail!(
                "--issuer-key: expected an issuer and the name of a key, each of 1 to {DENIED_TEXT_MAX_BYTES} bytes"
            );
        }
        let target = denylist::Target::IssuerKey { issuer: issuer.to_owned(), kid: kid.to_owned() };
        Ok(Self { target, namespace: None, ends_at: None })
    }

    /// Checks that the Worker behind `store` has the issuer or the namespace: a misspelt one would refuse no
    /// token.
    ///
    /// # Errors
    /// The Worker does not have it, or does not answer.
    pub fn check_known(&self, store: &Store, is_lifted: bool) -> Result<()> {
        let Some(issuers) = store.issuers()? else { return Ok(()) };
        if let denylist::Target::IssuerKey { issuer, kid } = &self.target
            && let Some(kids) =
                issuers.iter().find(|known| known.issuer == *issuer).and_then(|it| it.kids.as_ref())
        {
            check_key(issuer, kid, kids, is_lifted)?;
        }
        let (option, wanted, known): (_, _, Vec<_>) = match (&self.target, &self.namespace) {
            (denylist::Target::IssuerKey { issuer, .. }, _) => {
                ("--issuer-key: no issuer", issuer, issuers.into_iter().map(|issuer| issuer.issuer).collect())
            }
            (_, Some(namespace)) => (
                "--customer: no issuer with the namespace",
                namespace,
                issuers.into_iter().map(|issuer| issuer.namespace).collect(),
            ),
            _ => return Ok(()),
        };
        if known.contains(wanted) {
            return Ok(());
        }
        let known = known.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        bail!("{option} {wanted:?} at this Worker, so no token would be refused: it has {known}")
    }

    /// The entry for the denylist.
    ///
    /// # Errors
    /// The end is missing or not allowed.
    pub fn entry(&self, until: Option<&str>, reason: &str, now: UnixSecs, is_lifted: bool) -> Result<Denied> {
        let reason = reason.trim();
        if !is_text(reason) {
            bail!("--reason: longer than {DENIED_TEXT_MAX_BYTES} bytes");
        }
        // Issuers' tokens are accepted for up to this leeway after their end.
        let end = self.ends_at.map(|end| end.saturating_add(LEEWAY_MAX_SECS.into()));
        let until = match (until, end) {
            _ if is_lifted => now,
            (Some(text), _) => instant::from_text(text).map_err(|error| anyhow!("--until {error}"))?.at,
            (None, Some(end)) => end,
            (None, None) => bail!("--until is needed: the time at which the last of these tokens ends"),
        };
        let is_ended = |end: UnixSecs| !is_lifted && end <= now;
        if end.is_some_and(is_ended) {
            bail!("--token: it has already ended, at {}", moment(self.ends_at.unwrap_or(now)));
        }
        if is_ended(until) {
            bail!("--until: {} has passed", moment(until));
        }
        if until > now.saturating_add(DENIED_MAX_SECS) {
            bail!("--until: {} is more than ten years ahead", moment(until));
        }
        if let Some(end) = end.filter(|end| !is_lifted && until < *end) {
            bail!("--until: {} is before the token ends: {} is needed", moment(until), moment(end));
        }
        Ok(Denied { target: self.target.clone(), since: now, until, is_lifted, reason: reason.to_owned() })
    }
}

/// Checks that an issuer has a key of that name in the Worker's configuration. An entry for a removed key may
/// still be lifted.
fn check_key(issuer: &str, kid: &str, kids: &[String], is_lifted: bool) -> Result<()> {
    if is_lifted || kids.iter().any(|known| known == kid) {
        return Ok(());
    }
    if kids.is_empty() {
        bail!(
            "--issuer-key: the keys of {issuer:?} have no names at this Worker (a shared secret never has one), so \
             who holds one goes by any name. Replace the key or the secret in its configuration instead"
        );
    }
    let kids = kids.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    bail!(
        "--issuer-key: no key {kid:?} of {issuer:?} at this Worker, so no token would be refused: it has {kids}"
    )
}

/// The claims of a text in the form of a JSON Web Token. Its signature does not matter here.
fn claims(text: &str) -> Option<Map<String, Value>> {
    let [header, payload, _] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
    let object = |part: &str| serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).ok()?).ok();
    let _: Map<String, Value> = object(header)?;
    object(payload)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixSecs = 1_800_000_000;

    fn jwt(claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        format!("{}.{}.c2ln", part(&json!({"alg": "HS256"})), part(claims))
    }

    fn error<T>(result: Result<T>) -> String {
        format!("{:#}", result.err().unwrap())
    }

    #[test]
    fn a_token_is_named_by_itself_or_by_its_jti() {
        let text = jwt(&json!({"exp": NOW + 100}));
        let signed = text.rsplit_once('.').unwrap().0;
        for text in [text.clone(), format!(" Bearer {text}\n")] {
            let target = Target::token(&text).unwrap();
            assert_eq!(target.target, denylist::Target::Token(Digest::of(signed.as_bytes())));
            assert_eq!(
                target.entry(None, "", NOW, false).unwrap().until,
                NOW + 100 + i64::from(LEEWAY_MAX_SECS)
            );
            let early = error(target.entry(Some("2027-01-15T08:01:00Z"), "", NOW, false));
            assert!(early.contains("before the token ends"), "{early}");
        }
        for jti in ["a.b.c", "7f9c-1", "a.b"] {
            assert_eq!(Target::token(jti).unwrap().target, denylist::Target::TokenId(jti.to_owned()));
        }
        assert!(error(Target::token(&"a".repeat(DENIED_TEXT_MAX_BYTES + 1))).contains("neither"));
        assert!(error(Target::token("@/does/not/exist")).contains("cannot read"));
        let ended = Target::token(&jwt(&json!({"exp": NOW - 301}))).unwrap();
        assert!(error(ended.entry(None, "", NOW, false)).contains("already ended"));
    }

    #[test]
    fn a_key_that_has_no_name_at_the_worker_cannot_be_revoked_by_one() {
        let check = |kids: &[&str], is_lifted| {
            let kids: Vec<_> = kids.iter().map(|kid| (*kid).to_owned()).collect();
            check_key("https://i.example", "k1", &kids, is_lifted)
        };
        check(&["k0", "k1"], false).unwrap();
        check(&["k0"], true).unwrap();
        assert!(error(check(&[], false)).contains("shared secret"));
        assert!(error(check(&["k0"], false)).ends_with("it has \"k0\""));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_the_name_of_its_option() {
        for name in ["anna", ":anna", "vendor:", ""] {
            assert!(
                error(Target::customer(name)).starts_with("--customer: expected NAMESPACE:SUBJECT"),
                "{name}"
            );
        }
        assert!(error(Target::key("https://i.example", "")).starts_with("--issuer-key: "));
        let target = Target::customer("vendor:a:b").unwrap();
        assert_eq!(target.target, denylist::Target::Customer(EntryKey::customer("vendor", "a:b")));
        for (until, problem) in [
            (None, "--until is needed"),
            (Some("2026-01-01"), "has passed"),
            (Some("2099-01-01"), "more than ten years ahead"),
            (Some("soon"), "--until "),
            (Some("1800000000000"), "milliseconds"),
        ] {
            let error = error(target.entry(until, "", NOW, false));
            assert!(error.contains(problem), "{until:?}: {error}");
        }
        let long = "a".repeat(DENIED_TEXT_MAX_BYTES + 1);
        assert!(error(target.entry(Some("2028-01-01"), &long, NOW, false)).starts_with("--reason"));
        let entry = target.entry(Some("2028-01-01"), " stolen ", NOW, false).unwrap();
        assert_eq!((entry.since, entry.until, entry.reason.as_str()), (NOW, 1_830_297_600, "stolen"));
    }
}
