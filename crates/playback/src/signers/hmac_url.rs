//! `hmac_url`: URLs under HMAC-SHA256, for a media server or a CDN function of one's own.
//!
//! The parameters are `folder` (if the signature covers one), `exp`, `kid` (if a key id is configured) and `sig`, the
//! base64url of the HMAC over path, line feed and `exp`. The path is `folder`, else that of the request:
//!
//! ```text
//! https://media.example.com/films/7/main.m3u8?folder=/films/7/&exp=1900000000&sig=...
//! HMAC-SHA256(key, "/films/7/\n1900000000")
//! ```
//!
//! A server computes the same, compares in constant time, and refuses a path outside `folder` and a time from `exp` on.
//! The path of a file never ends with a slash, so that neither signature can be taken for the other.

use base64ct::{Base64UrlUnpadded, Encoding as _};

use crate::{
    error::{PlaybackError, SignError},
    key::HmacKey,
    members::Members,
    ports::PlatformSigner,
    rule::Covers,
    signers::{Ask, Signed, Signer},
};

/// Signs URLs with HMAC-SHA256.
#[derive(Debug)]
pub(crate) struct HmacUrl {
    key: HmacKey,
    key_id: Option<String>,
    covers: Covers,
}

impl HmacUrl {
    /// Reads `key_id`.
    pub fn read(members: &mut Members, covers: Covers, key: HmacKey) -> Result<Self, PlaybackError> {
        let key_id = members.text("key_id")?;
        if key_id.as_deref().is_some_and(|id| !id.bytes().all(is_unreserved)) {
            return Err(members.wrong("key_id", "expected letters, digits, -, _ and ."));
        }
        Ok(Self { key, key_id, covers })
    }
}

impl Signer for HmacUrl {
    fn sign(&self, ask: &Ask<'_>, _platform: &dyn PlatformSigner) -> Result<Signed, SignError> {
        let url = ask.url()?;
        let expires_at = ask.window.expires_at().to_string();
        let path = match self.covers {
            Covers::File => url.path(),
            Covers::Folder => url.folder(),
        };
        let mac = self.key.mac([path, "\n", &expires_at].concat().as_bytes())?;
        let mut token = String::new();
        if self.covers == Covers::Folder {
            token.push_str("folder=");
            // As in a form, where these have meanings of their own.
            token.push_str(&path.replace('%', "%25").replace('+', "%2B"));
            token.push('&');
        }
        token.push_str("exp=");
        token.push_str(&expires_at);
        if let Some(key_id) = &self.key_id {
            token.push_str("&kid=");
            token.push_str(key_id);
        }
        token.push_str("&sig=");
        token.push_str(&Base64UrlUnpadded::encode_string(&mac));
        Ok(Signed { url: Some(url.with_query(&token)), token })
    }
}

/// Reads `param`: the name of the parameter that holds a token.
pub(super) fn parameter(members: &mut Members, default: &str) -> Result<String, PlaybackError> {
    let name = members.text("param")?.unwrap_or_else(|| default.to_owned());
    if name.bytes().all(is_unreserved) {
        return Ok(name);
    }
    Err(members.wrong("param", "expected letters, digits, -, _ and ."))
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
