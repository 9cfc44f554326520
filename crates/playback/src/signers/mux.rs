//! `mux`: JSON Web Tokens for Mux, RS256 with `sub` (the playback id), `aud`, `exp` and `kid`.

use crate::{
    error::{PlaybackError, SignError},
    key::PrivateKey,
    members::Members,
    ports::{PlatformError, PlatformSigner},
    signers::{Ask, Signed, Signer, jwt},
    url::is_host,
};

/// What a token opens: Mux's `aud`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Video,
    Thumbnail,
    Gif,
    Storyboard,
    DrmLicense,
}

impl Audience {
    const fn claim(self) -> &'static str {
        match self {
            Self::Video => "v",
            Self::Thumbnail => "t",
            Self::Gif => "g",
            Self::Storyboard => "s",
            Self::DrmLicense => "d",
        }
    }

    /// The host, and the path behind the playback id. `None` for DRM licences, whose URL the player knows.
    const fn place(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Video => Some(("stream.mux.com", ".m3u8")),
            Self::Thumbnail => Some(("image.mux.com", "/thumbnail.jpg")),
            Self::Gif => Some(("image.mux.com", "/animated.gif")),
            Self::Storyboard => Some(("image.mux.com", "/storyboard.vtt")),
            Self::DrmLicense => None,
        }
    }
}

/// Signs for Mux.
#[derive(Debug)]
pub(crate) struct Mux {
    key: PrivateKey,
    key_id: String,
    audience: Audience,
    /// A host of the operator's own.
    host: Option<String>,
}

impl Mux {
    /// Reads `key_id`, `aud` and `host`.
    pub fn read(members: &mut Members, key: PrivateKey) -> Result<Self, PlaybackError> {
        use Audience::{DrmLicense, Gif, Storyboard, Thumbnail, Video};
        let key_id = members.required("key_id")?;
        let all =
            [Video, Thumbnail, Gif, Storyboard, DrmLicense].map(|audience| (audience.claim(), audience));
        let audience = members.choice("aud", &all)?.unwrap_or(Video);
        let host = members.text("host")?;
        if host.as_deref().is_some_and(|host| !is_host(host)) {
            return Err(members.wrong("host", "expected the name of a host in lower case"));
        }
        Ok(Self { key, key_id, audience, host })
    }

    /// Tells two entries of one item type apart.
    pub fn slot(&self) -> String {
        self.audience.claim().to_owned()
    }
}

impl Signer for Mux {
    fn sign(&self, ask: &Ask<'_>, platform: &dyn PlatformSigner) -> Result<Signed, SignError> {
        let id = ask.id()?;
        let claims = jwt::claims([
            ("sub", id.into()),
            ("aud", self.audience.claim().into()),
            ("exp", ask.window.expires_at().into()),
            ("kid", self.key_id.as_str().into()),
        ]);
        let sign = |message: &[u8]| self.key.sign(message, platform);
        let token = jwt::sign("RS256", Some(&self.key_id), claims, sign)?;
        let url = self.audience.place().map(|(host, path)| {
            ["https://", self.host.as_deref().unwrap_or(host), "/", id, path, "?token=", &token].concat()
        });
        Ok(Signed { url, token })
    }

    fn check_key(&self, platform: &dyn PlatformSigner) -> Result<(), PlatformError> {
        self.key.check(platform)
    }
}
