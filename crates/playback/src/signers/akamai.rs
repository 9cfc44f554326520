//! `akamai`: Akamai EdgeAuth tokens, version 2.0: fields between tildes, under HMAC-SHA256.
//!
//! A signature for a folder names it in `acl`. One for a file is an URL token, whose path the edge server adds itself.

use crate::{
    error::{PlaybackError, SignError},
    key::HmacKey,
    members::Members,
    ports::PlatformSigner,
    rule::Covers,
    signers::{Ask, Bindings, Signed, Signer, hmac_url::parameter},
};

/// Signs URLs for Akamai.
#[derive(Debug)]
pub(crate) struct Akamai {
    key: HmacKey,
    /// Name of the parameter that holds the token.
    parameter: String,
    covers: Covers,
    bind: Bindings,
}

impl Akamai {
    /// Reads `param` and `bind`.
    pub fn read(members: &mut Members, covers: Covers, key: HmacKey) -> Result<Self, PlaybackError> {
        let parameter = parameter(members, "__token__")?;
        Ok(Self { key, parameter, covers, bind: Bindings::read(members, &["address"])? })
    }
}

impl Signer for Akamai {
    fn sign(&self, ask: &Ask<'_>, _platform: &dyn PlatformSigner) -> Result<Signed, SignError> {
        let url = ask.url()?;
        // The edge server decodes the token's parameter, and compares the rest with the encoded path.
        if url.folder().contains(['%', '+']) {
            return Err(SignError::Malformed("Akamai tokens cannot name a path with % or +"));
        }
        let mut fields = Vec::with_capacity(5);
        fields.extend(self.bind.address(&ask.viewer)?.map(|address| format!("ip={address}")));
        fields.push(format!("st={}", ask.window.not_before()));
        fields.push(format!("exp={}", ask.window.expires_at()));
        if self.covers == Covers::Folder {
            fields.push(format!("acl={}*", url.folder()));
        }
        let visible = fields.join("~");
        let signed = match self.covers {
            Covers::Folder => visible.clone(),
            Covers::File => [&visible, "~url=", url.path()].concat(),
        };
        let mac: String = self.key.mac(signed.as_bytes())?.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = [&visible, "~hmac=", &mac].concat();
        Ok(Signed { url: Some(url.with_query(&[&self.parameter, "=", &token].concat())), token })
    }
}
