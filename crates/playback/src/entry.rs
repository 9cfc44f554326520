//! An entry of `PLAYBACK`, ready to sign.

use std::rc::Rc;

use crate::{
    error::SignError,
    media::{Item, Media, Viewer},
    ports::{PlatformError, PlatformSigner},
    rule::{IdRule, UrlRule},
    signers::{Ask, Signer},
    url::MediaUrl,
    window::{Window, WindowRule},
};

/// The kinds of signers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignerKind {
    /// JW Player.
    Jw,
    /// Amazon CloudFront.
    CloudFront,
    /// Cloudflare Stream.
    CloudflareStream,
    /// Mux.
    Mux,
    /// Common Access Tokens (CTA-5007).
    Cat,
    /// Akamai EdgeAuth.
    Akamai,
    /// HMAC-SHA256 over path and expiry.
    HmacUrl,
}

impl SignerKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Jw,
        Self::CloudFront,
        Self::CloudflareStream,
        Self::Mux,
        Self::Cat,
        Self::Akamai,
        Self::HmacUrl,
    ];

    /// The name in `PLAYBACK` and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jw => "jw",
            Self::CloudFront => "cloudfront",
            Self::CloudflareStream => "cloudflare_stream",
            Self::Mux => "mux",
            Self::Cat => "cat",
            Self::Akamai => "akamai",
            Self::HmacUrl => "hmac_url",
        }
    }

    /// Whether a signature names the URL's host. If not, it opens its path on every host whose server knows the key.
    pub(crate) const fn names_hosts(self) -> bool {
        match self {
            Self::CloudFront | Self::Cat => true,
            Self::Akamai | Self::HmacUrl | Self::Jw | Self::CloudflareStream | Self::Mux => false,
        }
    }
}

/// A grant of this very request: the proof that something may be signed.
///
/// Make one only from a decision that allows, at the time of that decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The time of the decision, in unix seconds.
    pub now: i64,
    /// When the grant ends, in unix seconds; 253402300799 or later if it never does.
    pub ends_at: i64,
    /// Whether the grant has no end and needs no renewal. Only then may a CDN renew a signature by itself.
    pub is_unlimited: bool,
}

/// What a viewer gets: a source of `GET /items/{id}/playback`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The signer.
    pub kind: SignerKind,
    /// The URL to play, with the proof in it, if the signer knows the platform's URL.
    pub url: Option<String>,
    /// The proof by itself.
    pub token: String,
    /// When the proof ends, in unix seconds. Never after the grant.
    pub expires_at: i64,
    /// Until then (exclusive), the same question has the same answer, which may be given again from memory.
    pub same_until: i64,
}

/// Which media an entry signs.
#[derive(Clone, Debug)]
pub(crate) enum MediaRule {
    Id(IdRule),
    Url(UrlRule),
}

/// A signer for one merchant and one item type.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) merchant_id: i64,
    pub(crate) item_type: String,
    pub(crate) kind: SignerKind,
    pub(crate) secret: String,
    /// Tells entries of one kind and one item type apart, beside their hosts.
    pub(crate) slot: String,
    pub(crate) is_shared: bool,
    pub(crate) window: WindowRule,
    pub(crate) media: MediaRule,
    pub(crate) signer: Rc<dyn Signer>,
}

impl Entry {
    /// The kind of the signer.
    #[must_use]
    pub const fn kind(&self) -> SignerKind {
        self.kind
    }

    /// The name of the secret that holds the key.
    #[must_use]
    pub fn secret_name(&self) -> &str {
        &self.secret
    }

    /// The item's media id or URL, as this entry reads it.
    ///
    /// # Errors
    /// The item names none, or a malformed one.
    pub fn media_of(&self, item: &Item<'_>) -> Result<String, SignError> {
        match &self.media {
            MediaRule::Id(rule) => rule.id(item),
            MediaRule::Url(rule) => rule.own(item),
        }
    }

    /// Signs the item's own media.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign(
        &self,
        item: &Item<'_>,
        grant: Grant,
        viewer: Viewer<'_>,
        platform: &dyn PlatformSigner,
    ) -> Result<Source, SignError> {
        let media = self.media_of(item)?;
        match &self.media {
            MediaRule::Id(_) => self.sign_media(Media::Id(&media), grant, viewer, platform),
            MediaRule::Url(rule) => {
                let url = MediaUrl::parse(&media)?;
                rule.check(url)?;
                self.sign_media(Media::Url(url), grant, viewer, platform)
            }
        }
    }

    /// Signs a URL that the client names. It must be the item's own URL, or lie in the folder that a signature for the
    /// item covers, unless the entry has `any_url`.
    ///
    /// # Errors
    /// [`SignError::Foreign`] for other URLs, and for entries that sign ids; else see [`SignError`].
    pub fn sign_url(
        &self,
        item: &Item<'_>,
        url: &str,
        grant: Grant,
        viewer: Viewer<'_>,
        platform: &dyn PlatformSigner,
    ) -> Result<Source, SignError> {
        let MediaRule::Url(rule) = &self.media else {
            return Err(SignError::Foreign("this signer signs media ids, not URLs"));
        };
        let url = MediaUrl::parse(url)?;
        rule.check_asked(item, url)?;
        self.sign_media(Media::Url(url), grant, viewer, platform)
    }

    fn sign_media(
        &self,
        media: Media<'_>,
        grant: Grant,
        viewer: Viewer<'_>,
        platform: &dyn PlatformSigner,
    ) -> Result<Source, SignError> {
        let window = Window::new(grant.now, grant.ends_at, self.window).ok_or(SignError::Ended)?;
        let ask = Ask { media, window, is_unlimited: grant.is_unlimited, viewer };
        let signed = self.signer.sign(&ask, platform)?;
        Ok(Source {
            kind: self.kind,
            url: signed.url,
            token: signed.token,
            expires_at: window.expires_at(),
            same_until: window.same_until(),
        })
    }

    /// Imports the key on the platform now, instead of with the first signature.
    ///
    /// # Errors
    /// The platform refuses it.
    pub fn check_key(&self, platform: &dyn PlatformSigner) -> Result<(), PlatformError> {
        self.signer.check_key(platform)
    }

    /// Whether both could sign the same media.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (&self.media, &other.media) {
            (MediaRule::Url(one), MediaRule::Url(two)) => one.shares_paths(two) && one.shares_hosts(two),
            (MediaRule::Id(_), MediaRule::Id(_)) => self.kind == other.kind,
            _ => false,
        }
    }

    /// Whether a signature of one with the other's key could open the other's media.
    pub(crate) fn opens(&self, other: &Self) -> bool {
        match (&self.media, &other.media) {
            (MediaRule::Url(one), MediaRule::Url(two)) => {
                let are_hosts_signed = self.kind.names_hosts() && other.kind.names_hosts();
                one.shares_paths(two) && (!are_hosts_signed || one.shares_hosts(two))
            }
            _ => self.overlaps(other),
        }
    }

    /// The entry as a name for people.
    pub(crate) fn label(&self) -> String {
        format!("merchant {}, {}", self.merchant_id, self.item_type)
    }
}
