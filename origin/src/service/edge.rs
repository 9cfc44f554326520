//! The parts of the edge's service that an origin uses: tokens and the keys of other issuers, permissions, the answers
//! to reads, and the headers and log lines of all answers.

use std::{cell::RefCell, fmt, io::Read as _, rc::Rc};

use admit::{
    api::{
        authzen::Asked,
        error::ApiError,
        reply::{Reply, Request},
    },
    app::{
        Completion, Fetched, KeyTicket, LocalQuestions, LocalRead, MemberWindow, Permission, ServiceReason,
        Tokens, Unverified,
    },
    config::{Config, ConfigError},
    limits::{JWKS_MAX_BYTES, RETRY_AFTER_SECS},
    ports::{Entropy, IssuerKeysError, KeyAnswer, Log},
    snapshot::{
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
    token::{IssuerConfig, NativeVerifier, VerifiedToken},
};
use admit_native::http_client::{self, RootsError};
use admit_publish::output;

use crate::{clock::Clock, limits::JWKS_TIMEOUT};

/// The `User-Agent` of requests to issuers.
const USER_AGENT: &str = concat!("admit-origin/", env!("CARGO_PKG_VERSION"));

/// The edge's parts, for one thread.
pub struct EdgeParts {
    issuers: Vec<IssuerConfig>,
    tokens: Tokens<NativeVerifier>,
    completion: Completion,
    clock: Clock,
    /// Asks issuers for their keys. The thread waits for the answer.
    client: ureq::Agent,
    /// The header `Authorization` of the request in hand, and the outcome of its verification. Several steps of a
    /// request ask for it, and a second try could find keys that the first one did not.
    verified: RefCell<Option<(String, Verified)>>,
}

/// The outcome of a verification.
type Verified = Result<Rc<VerifiedToken>, Reply>;

/// Why the parts cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A key of the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The environment names root certificates that cannot be read.
    #[error(transparent)]
    Roots(#[from] RootsError),
}

impl EdgeParts {
    /// Makes the configured keys ready.
    ///
    /// # Errors
    /// A key, or a root certificate, cannot be used.
    pub fn new(config: Config, clock: Clock) -> Result<Self, EdgeError> {
        // Redirects are followed by `KeyFetch`, only within the issuer's web origin.
        let client = http_client::config(USER_AGENT)?.timeout_global(Some(JWKS_TIMEOUT)).build();
        Ok(Self {
            tokens: Tokens::new(&config.issuers, &NativeVerifier, &StandardError)?,
            completion: Completion::new(&config),
            issuers: config.issuers,
            clock,
            client: client.into(),
            verified: RefCell::default(),
        })
    }

    /// Begins a request: its token has not been verified yet.
    pub fn begin(&self) {
        self.verified.take();
    }

    /// Verifies the request's token, with its issuer's keys fetched if they are missing.
    ///
    /// # Errors
    /// The reply to a request whose token is refused, or cannot be verified now. It is not complete.
    pub fn verify(&self, request: &Request<'_>) -> Verified {
        if let Some((authorization, verified)) = &*self.verified.borrow()
            && authorization == request.authorization
        {
            return verified.clone();
        }
        let verified = self.verify_now(request);
        self.verified.replace(Some((request.authorization.to_owned(), verified.clone())));
        verified
    }

    fn verify_now(&self, request: &Request<'_>) -> Verified {
        let verified = match self.token(request) {
            Err(Unverified::NeedKeys(ticket)) => {
                self.fetch(ticket);
                self.token(request)
            }
            verified => verified,
        };
        verified.map_err(|error| match error {
            Unverified::Refused(refusal) => refusal.reply,
            Unverified::NeedKeys(_) | Unverified::Busy => {
                let unavailable = ApiError::Unavailable { retry_after_secs: RETRY_AFTER_SECS };
                Reply::error(unavailable, ServiceReason::KeysUnavailable.code())
            }
        })
    }

    fn token(&self, request: &Request<'_>) -> Result<Rc<VerifiedToken>, Unverified<NativeVerifier>> {
        self.tokens.verify(request.authorization, self.clock.now(), &NativeVerifier, &SystemEntropy)
    }

    /// Lets the tokens pass that have a permission.
    ///
    /// # Errors
    /// The reply to others. It is not complete.
    pub fn permit(&self, token: &VerifiedToken, permission: Permission) -> Result<(), Reply> {
        permission.check(token, &self.issuers)
    }

    /// The `iss` of a token's issuer.
    #[must_use]
    pub fn issuer(&self, token: &VerifiedToken) -> &str {
        self.issuers.get(token.issuer).map_or("", |issuer| issuer.issuer.as_str())
    }

    /// Answers a read from `version`, all of whose objects are in `objects`. The reply is not complete.
    pub fn answer(
        &self,
        request: &Request<'_>,
        version: &Version,
        objects: &mut ObjectCache,
        window: Option<MemberWindow>,
    ) -> Reply {
        let read = LocalRead { request, issuers: &self.issuers, now: self.clock.now(), log: &StandardError };
        read.answer(version, objects, window, || self.verify(request))
    }

    /// Questions that the owner of a token asks at `now`.
    #[must_use]
    pub fn questions<'a>(
        &'a self,
        token: &'a Rc<VerifiedToken>,
        asked: &'a Asked,
        now: UnixSecs,
    ) -> LocalQuestions<'a> {
        LocalQuestions { token, issuers: &self.issuers, asked, now }
    }

    /// Answers questions from `version`, all of whose objects are in `objects`. The reply is not complete.
    #[must_use]
    pub fn answer_questions(
        &self,
        questions: &LocalQuestions<'_>,
        version: &Version,
        objects: &mut ObjectCache,
    ) -> Reply {
        questions.answer(version, objects, &StandardError)
    }

    /// Adds the headers that every answer has, and writes the log line.
    #[must_use]
    pub fn complete(&self, request: &Request<'_>, reply: Reply) -> Reply {
        self.completion.complete(request, reply, &StandardError, &SystemEntropy)
    }

    /// Fetches the keys of an issuer again, if they are old.
    pub fn refresh_keys(&self) {
        if let Some(ticket) = self.tokens.begin_refresh(self.clock.now()) {
            self.fetch(ticket);
        }
    }

    fn fetch(&self, ticket: KeyTicket<NativeVerifier>) {
        let mut next = ticket.send();
        while let Some(fetch) = next {
            let answer = self.ask(fetch.url());
            next = match fetch.answered(answer, self.clock.now(), &NativeVerifier, &StandardError) {
                Fetched::Redirected(fetch) => Some(fetch),
                Fetched::Ended(_) => None,
            };
        }
    }

    /// Asks an issuer's address for its keys.
    fn ask(&self, url: &str) -> Result<KeyAnswer, IssuerKeysError> {
        let failed = |error: &dyn fmt::Display| IssuerKeysError(error.to_string());
        let mut response = self.client.get(url).call().map_err(|error| failed(&error))?;
        if KeyAnswer::is_redirect(response.status().as_u16()) {
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            return Ok(KeyAnswer::Redirect(location.unwrap_or_default().to_owned()));
        }
        if response.status() != 200 {
            return Err(IssuerKeysError(format!("status {}", response.status())));
        }
        let mut document = Vec::new();
        // One byte more than the limit distinguishes a document that just fits from one that is too long.
        let limit = u64::try_from(JWKS_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let reader = response.body_mut().as_reader().take(limit);
        std::io::copy(&mut { reader }, &mut document).map_err(|error| failed(&error))?;
        let document = http_client::unpacked(document, JWKS_MAX_BYTES).map_err(|error| failed(&error))?;
        if document.len() > JWKS_MAX_BYTES {
            return Err(IssuerKeysError(format!("longer than {JWKS_MAX_BYTES} bytes")));
        }
        Ok(KeyAnswer::Document(document))
    }
}

/// Log lines on standard error.
struct StandardError;

impl Log for StandardError {
    fn log(&self, line: fmt::Arguments<'_>) {
        output::tell_object(line);
    }
}

/// The system's random numbers.
struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn random(&self) -> [u8; 16] {
        *uuid::Uuid::new_v4().as_bytes()
    }
}
