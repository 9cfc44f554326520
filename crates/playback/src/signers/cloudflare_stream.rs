//! `cloudflare_stream`: JSON Web Tokens for Cloudflare Stream, RS256 with `sub` (the video's id), `kid`, `exp`, `nbf`,
//! and `accessRules` if signatures are bound to the viewer.

use serde_json::json;

use crate::{
    error::{PlaybackError, SignError},
    key::PrivateKey,
    members::Members,
    ports::{PlatformError, PlatformSigner},
    signers::{Ask, Bindings, Signed, Signer, jwt},
    url::is_host,
};

/// Signs for Cloudflare Stream.
#[derive(Debug)]
pub(crate) struct CloudflareStream {
    key: PrivateKey,
    key_id: String,
    /// The account's host, such as `customer-abc.cloudflarestream.com`.
    host: Option<String>,
    bind: Bindings,
}

impl CloudflareStream {
    /// Reads `key_id`, `host` and `bind`.
    pub fn read(members: &mut Members, key: PrivateKey) -> Result<Self, PlaybackError> {
        let key_id = members.required("key_id")?;
        let host = members.text("host")?;
        if host.as_deref().is_some_and(|host| !is_host(host)) {
            return Err(members.wrong("host", "expected a name such as customer-abc.cloudflarestream.com"));
        }
        let bind = Bindings::read(members, &["country", "address"])?;
        // Stream applies the first rule that matches: two that allow would be "or".
        if bind.country && bind.address {
            return Err(members.wrong("bind", "expected country or address: Stream cannot demand both"));
        }
        Ok(Self { key, key_id, host, bind })
    }
}

impl Signer for CloudflareStream {
    fn sign(&self, ask: &Ask<'_>, platform: &dyn PlatformSigner) -> Result<Signed, SignError> {
        let mut claims = jwt::claims([
            ("sub", ask.id()?.into()),
            ("kid", self.key_id.as_str().into()),
            ("exp", ask.window.expires_at().into()),
            ("nbf", ask.window.not_before().into()),
        ]);
        let allowed = match (self.bind.country(&ask.viewer)?, self.bind.address(&ask.viewer)?) {
            (Some(country), _) => {
                Some(json!({"type": "ip.geoip.country", "action": "allow", "country": [country]}))
            }
            (None, Some(address)) => {
                let prefix = if address.is_ipv4() { 32 } else { 128 };
                Some(json!({"type": "ip.src", "action": "allow", "ip": [format!("{address}/{prefix}")]}))
            }
            (None, None) => None,
        };
        claims.extend(
            allowed.map(|rule| ("accessRules".to_owned(), json!([rule, {"type": "any", "action": "block"}]))),
        );
        let sign = |message: &[u8]| self.key.sign(message, platform);
        let token = jwt::sign("RS256", Some(&self.key_id), claims, sign)?;
        let url = |host: &String| ["https://", host, "/", &token, "/manifest/video.m3u8"].concat();
        Ok(Signed { url: self.host.as_ref().map(url), token })
    }

    fn check_key(&self, platform: &dyn PlatformSigner) -> Result<(), PlatformError> {
        self.key.check(platform)
    }
}
