//! The right to fetch an issuer's keys, and one fetch, without the I/O.

use super::{Tokens, stored::StoredKeys};
use crate::{
    app::Event,
    limits::JWKS_REDIRECTS_MAX,
    ports::{IssuerKeysError, KeyAnswer, Log, SignatureVerifier},
    snapshot::time::UnixSecs,
    token::{KeysFetched, SentFetch, redirected},
};

/// The right to fetch the keys of an issuer, which only a few requests have at a time. Dropping it gives it back, so
/// that a request that is not answered after all keeps no other one waiting.
pub struct KeyTicket<V: SignatureVerifier> {
    tokens: Tokens<V>,
    issuer: usize,
    /// Whether it is still to be given back.
    is_held: bool,
}

/// A fetch that has been sent: the caller asks [`Self::url`] and reports by [`Self::answered`]. Its answer decides
/// about every token that was seen before it was sent.
pub struct KeyFetch<V: SignatureVerifier> {
    ticket: KeyTicket<V>,
    sent: SentFetch,
    url: String,
    redirects_left: usize,
}

/// What follows an answer to a [`KeyFetch`].
pub enum Fetched<V: SignatureVerifier> {
    /// The address redirected to another one within its origin: ask that.
    Redirected(KeyFetch<V>),
    /// The fetch has ended: the document, if its keys are in use now.
    Ended(Option<Vec<u8>>),
}

impl<V: SignatureVerifier> KeyTicket<V> {
    pub(super) const fn new(tokens: Tokens<V>, issuer: usize) -> Self {
        Self { tokens, issuer, is_held: true }
    }

    /// The address of the issuer's JWKS.
    pub(super) fn url(&self) -> Option<String> {
        self.tokens.0.verifier.borrow().jwks_url(self.issuer).map(str::to_owned)
    }

    /// Whether the issuer's tokens can be verified now.
    pub(super) fn has_keys(&self) -> bool {
        self.tokens.0.verifier.borrow().has_keys(self.issuer)
    }

    /// Takes keys that another isolate fetched.
    pub(super) fn take_stored(&self, stored: &StoredKeys, platform: &V, log: &dyn Log) {
        let (issuer, fetched_at) = (self.issuer, stored.fetched_at);
        let outcome = self
            .tokens
            .change(|verifier| verifier.keys_cached(issuer, &stored.document, fetched_at, platform));
        self.tokens.log_fetched(issuer, &outcome, log);
    }

    /// Begins the fetch. Call it right before the address is asked.
    #[must_use]
    pub fn send(mut self) -> Option<KeyFetch<V>> {
        let url = self.url()?;
        let sent = self.tokens.change(|verifier| verifier.fetch_sent(self.issuer))?;
        // A fetch that was sent keeps its place until it is answered or counts as lost: a client that hangs up must not
        // make the next request ask the issuer again.
        self.is_held = false;
        Some(KeyFetch { ticket: self, sent, url, redirects_left: JWKS_REDIRECTS_MAX })
    }
}

impl<V: SignatureVerifier> Drop for KeyTicket<V> {
    fn drop(&mut self) {
        if self.is_held {
            self.tokens.change(|verifier| verifier.keys_not_fetched(self.issuer));
        }
    }
}

impl<V: SignatureVerifier> KeyFetch<V> {
    /// The address to ask.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes the answer of [`Self::url`].
    #[must_use]
    pub fn answered(
        mut self,
        answer: Result<KeyAnswer, IssuerKeysError>,
        now: UnixSecs,
        platform: &V,
        log: &dyn Log,
    ) -> Fetched<V> {
        let document = match answer {
            Ok(KeyAnswer::Document(document)) => Ok(document),
            Ok(KeyAnswer::Redirect(location)) => match redirected(&self.url, &location) {
                Ok(url) if self.redirects_left > 0 => {
                    self.redirects_left -= 1;
                    self.url = url;
                    return Fetched::Redirected(self);
                }
                Ok(_) => Err(format!("more than {JWKS_REDIRECTS_MAX} redirects")),
                Err(problem) => Err(problem),
            },
            Err(error) => Err(error.to_string()),
        };
        let Self { ticket: KeyTicket { tokens, issuer, .. }, sent, .. } = &mut self;
        let issuer = *issuer;
        if let Err(error) = &document {
            Event::KeysUnavailable { issuer, error }.log(log);
        }
        let document = document.ok();
        let outcome = tokens
            .change(|verifier| verifier.keys_fetched(issuer, *sent, document.as_deref(), now, platform));
        tokens.log_fetched(issuer, &outcome, log);
        let is_in_use = matches!(outcome, KeysFetched::Changed { .. } | KeysFetched::Unchanged);
        Fetched::Ended(document.filter(|_| is_in_use))
    }
}
