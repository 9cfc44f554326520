//! `jw`: JSON Web Tokens for JW Player's delivery API, HS256 with the claims `resource` and `exp`.

use crate::{
    error::{PlaybackError, SignError},
    key::HmacKey,
    members::Members,
    ports::PlatformSigner,
    rule::PLACE,
    signers::{Ask, Signed, Signer, jwt},
    url::{MediaUrl, is_host},
};

/// Signs for JW Player.
#[derive(Debug)]
pub(crate) struct Jw {
    key: HmacKey,
    /// The delivery API's path, with `{media}` in the place of the id.
    resource: String,
    host: String,
}

/// Where JW Player serves media.
const HOST: &str = "cdn.jwplayer.com";

impl Jw {
    /// Reads `resource` and `host`.
    pub fn read(members: &mut Members, key: HmacKey) -> Result<Self, PlaybackError> {
        let resource = members.text("resource")?.unwrap_or_else(|| "/v2/media/{media}".to_owned());
        let host = members.text("host")?.unwrap_or_else(|| HOST.to_owned());
        if !is_host(&host) {
            return Err(members.wrong("host", "expected the name of a host in lower case"));
        }
        let example = ["https://", &host, &resource.replacen(PLACE, "x", 1)].concat();
        if !resource.contains(PLACE) || MediaUrl::parse(&example).is_err() {
            return Err(members.wrong("resource", "expected a path with {media}, such as /v2/media/{media}"));
        }
        Ok(Self { key, resource, host })
    }

    /// Tells two entries of one item type apart: a token for playback and one for DRM.
    pub fn slot(&self) -> String {
        self.resource.clone()
    }
}

impl Signer for Jw {
    fn sign(&self, ask: &Ask<'_>, _platform: &dyn PlatformSigner) -> Result<Signed, SignError> {
        let resource = self.resource.replacen(PLACE, ask.id()?, 1);
        let claims =
            jwt::claims([("resource", resource.as_str().into()), ("exp", ask.window.expires_at().into())]);
        let token = jwt::sign("HS256", None, claims, |message| self.key.mac(message))?;
        let url = ["https://", &self.host, &resource, "?token=", &token].concat();
        Ok(Signed { url: Some(url), token })
    }
}
