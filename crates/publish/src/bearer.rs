//! Bearer tokens for the command's own calls: a fixed text, a file that another program keeps fresh, or
//! tokens that the command signs with a key, each before the last one ends.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use admit_native::private_file;
use admit_snapshot::time::UnixSecs;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use ureq::http::HeaderValue;

use crate::{key::PrivateKey, peer::time::Time};

/// The scope that publishing requires; the default of `scope` in `--token-claims`.
const SCOPE: &str = "snapshot:publish";

/// The default of `sub` in `--token-claims`.
const SUBJECT: &str = "admit";

/// How a publisher authenticates to a Worker: a token, or a key that signs tokens.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// A token, or `@FILE`: a file that is read at each call.
    pub token: Option<String>,
    /// The private JWK of an issuer that may publish. It takes precedence over a token, because the environment may
    /// hold a token for other commands.
    pub key: Option<PathBuf>,
    /// The claims of tokens that the key signs, as a JSON object.
    pub claims: Option<String>,
    /// How long each token lives, in seconds.
    pub ttl_secs: i64,
}

impl Credentials {
    /// The bearer, if there are credentials. Signed tokens get their times from `time`.
    ///
    /// # Errors
    /// The token contains invalid characters, or the key or the claims cannot be used.
    pub fn bearer(&self, time: &Arc<dyn Time>) -> Result<Option<Bearer>> {
        match (&self.key, &self.token) {
            (Some(key), _) => {
                let claims = self.claims.as_deref().context(
                    "--token-key needs --token-claims, such as {\"iss\":\"https://publisher.example\"}",
                )?;
                Bearer::signing(key, claims, self.ttl_secs, Arc::clone(time)).map(Some)
            }
            (None, Some(token)) => Bearer::new(token).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Whether the key `kid` of `issuer` signs these tokens.
    ///
    /// # Errors
    /// The key cannot be read, or the claims are invalid.
    pub fn is_signed_by(&self, issuer: &str, kid: &str, time: &Arc<dyn Time>) -> Result<bool> {
        let Some(Bearer::Key(signer)) = self.bearer(time)? else { return Ok(false) };
        let own_issuer = signer.claims.get("iss").and_then(Value::as_str);
        Ok(own_issuer == Some(issuer) && signer.key.kid() == kid)
    }
}

/// Where a token comes from.
#[derive(Clone)]
pub enum Bearer {
    /// The value of `Authorization`.
    Fixed(String),
    /// A file that holds the token. It is read at each call, because a follower outlives its tokens.
    File(PathBuf),
    /// A key that signs tokens.
    Key(Arc<Signer>),
}

/// Signs tokens, and reuses each for the first half of its life.
pub struct Signer {
    key: PrivateKey,
    claims: Map<String, Value>,
    ttl_secs: i64,
    time: Arc<dyn Time>,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    header: String,
    renew_at: UnixSecs,
}

impl Bearer {
    /// A fixed token, or with `@FILE` the token in that file.
    ///
    /// # Errors
    /// The token contains invalid characters, or the file cannot be read.
    pub fn new(text: &str) -> Result<Self> {
        match text.strip_prefix('@') {
            Some(path) => {
                let bearer = Self::File(path.into());
                private_file::warn_if_shared(Path::new(path));
                match bearer.header() {
                    Ok(_) => Ok(bearer),
                    Err(error) => bail!("cannot take the token from {path}: {error}"),
                }
            }
            None => match header(text) {
                Some(header) => Ok(Self::Fixed(header)),
                None => bail!("invalid token: expected visible ASCII characters without spaces"),
            },
        }
    }

    /// Signs `claims`, a JSON object, with the JWK in the file `key`. Each token lives `ttl_secs`.
    ///
    /// # Errors
    /// The key cannot be read, or the claims are not a JSON object with `iss`.
    pub fn signing(key: &Path, claims: &str, ttl_secs: i64, time: Arc<dyn Time>) -> Result<Self> {
        let key = PrivateKey::read(key).context("--token-key")?;
        let mut claims: Map<String, Value> = serde_json::from_str(claims)
            .context("--token-claims must be a JSON object, such as {\"iss\":\"https://publisher.example\",\"aud\":\"admit\"}")?;
        if claims.get("iss").and_then(Value::as_str).is_none_or(str::is_empty) {
            bail!("--token-claims: `iss` is needed, the issuer in the Worker's ISSUERS that has this key");
        }
        if let Some(fixed) = ["exp", "iat"].into_iter().find(|name| claims.contains_key(*name)) {
            bail!("--token-claims: `{fixed}` is set for each token; leave it out");
        }
        claims.entry("sub").or_insert_with(|| SUBJECT.into());
        claims.entry("scope").or_insert_with(|| SCOPE.into());
        let signer = Signer { key, claims, ttl_secs, time, kept: Mutex::default() };
        Ok(Self::Key(Arc::new(signer)))
    }

    /// The value of `Authorization`.
    ///
    /// # Errors
    /// The file cannot be read, its text is not a token, or signing fails.
    pub fn header(&self) -> io::Result<String> {
        match self {
            Self::Fixed(header) => Ok(header.clone()),
            Self::File(path) => header(&fs::read_to_string(path)?).ok_or_else(|| {
                io::Error::other("invalid token: expected visible ASCII characters without spaces")
            }),
            Self::Key(signer) => signer.header().map_err(io::Error::other),
        }
    }

    /// Whether a later call may return another token, so that a retry after 401 makes sense.
    pub const fn is_renewed(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }
}

impl Signer {
    /// The kept token while more than half of its life is left, so that none ends on its way to the Worker;
    /// otherwise a new one.
    fn header(&self) -> Result<String> {
        let now = self.time.unix_secs()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A token from the future means that the clock was set back: do not use it beyond its end.
        let is_good =
            |kept: &&Kept| now < kept.renew_at && kept.renew_at <= now.saturating_add(self.ttl_secs);
        if let Some(kept) = kept.as_ref().filter(is_good) {
            return Ok(kept.header.clone());
        }
        let token = mint(&self.key, self.claims.clone(), self.ttl_secs, now)?;
        let header = header(&token).context("the signed token contains invalid characters")?;
        *kept = Some(Kept { header: header.clone(), renew_at: now.saturating_add(self.ttl_secs / 2) });
        Ok(header)
    }
}

/// Signs a JWT issued at `now` that lives `ttl_secs`, unless `claims` has `iat` and `exp`.
///
/// # Errors
/// The claims cannot be serialised.
pub fn mint(key: &PrivateKey, mut claims: Map<String, Value>, ttl_secs: i64, now: i64) -> Result<String> {
    let exp = now.saturating_add(ttl_secs);
    claims.entry("exp").or_insert_with(|| exp.into());
    // An expired token was issued before it expired.
    claims.entry("iat").or_insert_with(|| now.min(exp).into());
    key.sign("JWT", &serde_json::to_vec(&claims)?)
}

fn header(token: &str) -> Option<String> {
    let header = format!("Bearer {}", token.trim());
    HeaderValue::from_str(&header).is_ok().then_some(header)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicI64, Ordering},
        time::Duration,
    };

    use base64ct::{Base64UrlUnpadded, Encoding};

    use super::*;
    use crate::peer::time::Machine;

    #[test]
    fn a_token_in_a_file_is_read_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let named = format!("@{}", path.display());
        assert!(Bearer::new(&named).err().unwrap().to_string().contains("cannot take the token from"));
        fs::write(&path, "first\n").unwrap();
        let bearer = Bearer::new(&named).unwrap();
        assert_eq!(bearer.header().unwrap(), "Bearer first");
        fs::write(&path, "second").unwrap();
        assert_eq!(bearer.header().unwrap(), "Bearer second");
        fs::write(&path, "se\u{0}cret").unwrap();
        assert!(!bearer.header().unwrap_err().to_string().contains("cret"));
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_and_not_shown() {
        assert_eq!(Bearer::new(" a.b.c ").unwrap().header().unwrap(), "Bearer a.b.c");
        let error = Bearer::new("se\ncret").err().unwrap();
        assert!(!format!("{error:#}").contains("cret"));
    }

    #[derive(Default)]
    struct Clock(AtomicI64);

    impl Time for Clock {
        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }

        fn unix_secs(&self) -> Result<UnixSecs> {
            Ok(self.0.load(Ordering::Relaxed))
        }

        fn sleep(&self, _: Duration) {}
    }

    fn key(dir: &Path) -> PathBuf {
        let path = dir.join("issuer.jwk");
        let jwk =
            r#"{"kty":"oct","kid":"i","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}"#;
        fs::write(&path, jwk).unwrap();
        path
    }

    fn claims(header: &str) -> Value {
        let payload = header.split('.').nth(1).unwrap();
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
    }

    #[test]
    fn a_signed_token_is_kept_for_half_its_life_and_never_sent_after_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Clock::default());
        let json = r#"{"iss":"https://publisher.example","aud":"admit"}"#;
        let bearer = Bearer::signing(&key(dir.path()), json, 10, clock.clone()).unwrap();
        let mut tokens = Vec::new();
        for now in (1_000..1_100).chain(500..520) {
            clock.0.store(now, Ordering::Relaxed);
            let header = bearer.header().unwrap();
            let claims = claims(&header);
            assert!(
                claims["iat"].as_i64() <= Some(now) && claims["exp"].as_i64() > Some(now + 4),
                "{now}: {claims}"
            );
            assert_eq!((&claims["sub"], &claims["scope"]), (&"admit".into(), &SCOPE.into()));
            if tokens.last() != Some(&header) {
                tokens.push(header);
            }
        }
        assert_eq!(tokens.len(), 20 + 4, "one for each five seconds");
        assert!(bearer.is_renewed());
    }

    #[test]
    fn claims_that_make_no_token_are_refused_with_what_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        for (claims, said) in [
            ("nonsense", "--token-claims must be a JSON object"),
            ("[]", "--token-claims must be a JSON object"),
            ("{}", "`iss` is needed"),
            (r#"{"iss":""}"#, "`iss` is needed"),
            (r#"{"iss":"i","exp":1}"#, "`exp` is set for each token"),
        ] {
            let error =
                Bearer::signing(&key(dir.path()), claims, 10, Arc::new(Machine::default())).err().unwrap();
            assert!(format!("{error:#}").contains(said), "{claims}: {error:#}");
        }
        let error =
            Bearer::signing(Path::new("nowhere"), "{}", 10, Arc::new(Machine::default())).err().unwrap();
        assert!(format!("{error:#}").starts_with("--token-key: cannot read the key nowhere"));
    }
}
