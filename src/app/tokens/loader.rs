//! Gets an issuer's keys through the ports: from the store, or from the issuer.

use super::{
    fetch::{Fetched, KeyTicket},
    stored::{self, StoredKeys},
};
use crate::{
    app::{Event, seconds},
    limits::JWKS_MAX_BYTES,
    ports::{IssuerKeys as _, ObjectStore as _, Platform},
    token::Secret,
};

/// Loads issuers' keys. With a secret, it keeps them in the store for isolates to come.
pub(in crate::app) struct KeyLoader<'a, P: Platform> {
    pub platform: &'a P,
    /// `JWKS_CACHE_SECRET`.
    pub secret: Option<&'a Secret>,
}

impl<P: Platform> KeyLoader<'_, P> {
    /// Fetches the keys for which the ticket is, or takes them from the store.
    pub async fn load(&self, ticket: KeyTicket<P::Verifier>) {
        let Some(jwks_url) = ticket.url() else { return };
        let (verifier, log) = (self.platform.verifier(), self.platform.log());
        if !ticket.has_keys()
            && let Some(stored) = self.stored(&jwks_url).await
        {
            ticket.take_stored(&stored, verifier, log);
            // Old ones serve while nothing better can be had. A token that needs newer ones asks again.
            if ticket.has_keys() && stored.is_fresh(seconds(self.platform.now_ms())) {
                return;
            }
        }
        let Some(mut fetch) = ticket.send() else { return };
        let document = loop {
            let answer = self.platform.keys().fetch(fetch.url(), JWKS_MAX_BYTES).await;
            match fetch.answered(answer, seconds(self.platform.now_ms()), verifier, log) {
                Fetched::Redirected(next) => fetch = next,
                Fetched::Ended(document) => break document,
            }
        };
        if let Some(document) = document {
            self.store(&jwks_url, &document).await;
        }
    }

    async fn stored(&self, url: &str) -> Option<StoredKeys> {
        let secret = self.secret?;
        let value = self.platform.store().get(&stored::key(url)).await.ok()??;
        let keys = StoredKeys::open(&value, url, secret);
        if keys.is_none() {
            Event::StoredKeysRefused.log(self.platform.log());
        }
        keys
    }

    async fn store(&self, url: &str, document: &[u8]) {
        let Some(secret) = self.secret else { return };
        let now = seconds(self.platform.now_ms());
        let Some(value) = StoredKeys::seal(document, now, url, secret) else { return };
        // A store that refuses costs the next isolate a fetch, no more.
        if let Err(error) = self.platform.store().put(&stored::key(url), &value).await {
            Event::KeysNotStored { error: &error }.log(self.platform.log());
        }
    }
}
