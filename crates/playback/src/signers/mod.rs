//! The signers: one file for each, with the members of `PLAYBACK` that it reads, the form of its signature, and its
//! golden vectors.

pub(crate) mod akamai;
pub(crate) mod cat;
pub(crate) mod cloudflare_stream;
pub(crate) mod cloudfront;
pub(crate) mod hmac_url;
pub(crate) mod jw;
mod jwt;
pub(crate) mod mux;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr};

use crate::{
    error::{PlaybackError, SignError},
    media::{Media, Viewer},
    members::Members,
    ports::{PlatformError, PlatformSigner},
    url::MediaUrl,
    window::Window,
};

/// Signs proofs that a CDN, a video platform or a DRM server accepts.
pub(crate) trait Signer: fmt::Debug {
    /// Signs what opens `ask.media` within `ask.window`, or says that it cannot be bound to the viewer as configured.
    fn sign(&self, ask: &Ask<'_>, platform: &dyn PlatformSigner) -> Result<Signed, SignError>;

    /// Imports the key now, to find out whether the platform takes it.
    fn check_key(&self, platform: &dyn PlatformSigner) -> Result<(), PlatformError> {
        let _ = platform;
        Ok(())
    }
}

/// What a signer is asked to sign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// The media id or URL.
    pub media: Media<'a>,
    /// When the signature is valid.
    pub window: Window,
    /// Whether the grant has no end and needs no renewal. Only a signer whose tokens can be renewed elsewhere looks at it.
    pub is_unlimited: bool,
    /// The viewer, for signatures that are bound to one.
    pub viewer: Viewer<'a>,
}

impl<'a> Ask<'a> {
    pub(crate) fn id(&self) -> Result<&'a str, SignError> {
        match self.media {
            Media::Id(id) => Ok(id),
            Media::Url(_) => Err(SignError::NoMedia("expected a media id, not a URL")),
        }
    }

    pub(crate) fn url(&self) -> Result<MediaUrl<'a>, SignError> {
        match self.media {
            Media::Url(url) => Ok(url),
            Media::Id(_) => Err(SignError::NoMedia("expected a URL, not a media id")),
        }
    }
}

/// What a signer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The URL to play, with the proof in it. `None` if the signer does not know the platform's URL.
    pub url: Option<String>,
    /// The proof by itself. For URL signers: the parameters, without `?`, or the value of the token's parameter.
    pub token: String,
}

/// What a signature may be bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bindings {
    pub country: bool,
    pub address: bool,
}

impl Bindings {
    /// Reads `bind`, a list of `supported` names.
    pub fn read(members: &mut Members, supported: &[&str]) -> Result<Self, PlaybackError> {
        let names = members.texts("bind")?.unwrap_or_default();
        if names.iter().any(|name| !supported.contains(&name.as_str())) {
            return Err(members.wrong("bind", format!("expected some of {}", supported.join(", "))));
        }
        let has = |name: &str| names.iter().any(|known| known == name);
        Ok(Self { country: has("country"), address: has("address") })
    }

    /// The viewer's country, if signatures are bound to it.
    pub fn country<'a>(self, viewer: &Viewer<'a>) -> Result<Option<&'a str>, SignError> {
        if !self.country {
            return Ok(None);
        }
        // `XX` and `T1` are unknown and Tor.
        let known = viewer.country.filter(|code| {
            code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()) && *code != "XX"
        });
        known.map(Some).ok_or(SignError::Unbound("country"))
    }

    /// The viewer's address, if signatures are bound to it.
    pub fn address(self, viewer: &Viewer<'_>) -> Result<Option<IpAddr>, SignError> {
        if !self.address {
            return Ok(None);
        }
        let known = viewer.address.and_then(|text| text.parse::<IpAddr>().ok());
        known.filter(|address| !address.is_unspecified()).map(Some).ok_or(SignError::Unbound("address"))
    }
}
