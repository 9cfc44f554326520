//! `cloudfront`: CloudFront signed URLs, RSA with SHA-1 or SHA-256.
//!
//! A signature for one file that is bound to nothing has a *canned* policy: CloudFront rebuilds the policy from the URL
//! and `Expires`. Any other has a *custom* policy, which travels in the URL.

use std::net::IpAddr;

use base64ct::{Base64, Encoding as _};

use crate::{
    error::{PlaybackError, SignError},
    key::PrivateKey,
    members::Members,
    ports::{PlatformError, PlatformSigner, SigningAlgorithm},
    rule::Covers,
    signers::{Ask, Bindings, Signed, Signer},
};

/// Signs URLs for CloudFront.
#[derive(Debug)]
pub(crate) struct CloudFront {
    key: PrivateKey,
    key_pair_id: String,
    is_sha1: bool,
    covers: Covers,
    bind: Bindings,
}

impl CloudFront {
    /// Reads `key_id`, `alg` and `bind`; `key` makes the private key for an algorithm.
    pub fn read(
        members: &mut Members,
        covers: Covers,
        key: impl FnOnce(SigningAlgorithm) -> Result<PrivateKey, PlaybackError>,
    ) -> Result<Self, PlaybackError> {
        let key_pair_id = members.required("key_id")?;
        if !key_pair_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(
                members.wrong("key_id", "expected the id of a CloudFront public key, such as K2JCJMDEHXQW5F")
            );
        }
        let is_sha1 = members.choice("alg", &[("SHA256", false), ("SHA1", true)])?.unwrap_or(false);
        let bind = Bindings::read(members, &["address"])?;
        let algorithm = if is_sha1 { SigningAlgorithm::RsaSha1 } else { SigningAlgorithm::RsaSha256 };
        Ok(Self { key: key(algorithm)?, key_pair_id, is_sha1, covers, bind })
    }

    /// The viewer's address, if signatures are bound to it. CloudFront's policies know IPv4 only.
    fn address(&self, ask: &Ask<'_>) -> Result<Option<IpAddr>, SignError> {
        match self.bind.address(&ask.viewer)? {
            Some(IpAddr::V6(_)) => {
                Err(SignError::Unbound("IPv4 address: CloudFront's policies know no IPv6"))
            }
            address => Ok(address),
        }
    }
}

impl Signer for CloudFront {
    fn sign(&self, ask: &Ask<'_>, platform: &dyn PlatformSigner) -> Result<Signed, SignError> {
        let url = ask.url()?;
        let expires_at = ask.window.expires_at();
        let address = self.address(ask)?;
        // The signature covers the members' order and the missing blanks. A checked URL needs no JSON escapes.
        let (policy, first) = if self.covers == Covers::File && address.is_none() {
            let condition = format!(r#"{{"DateLessThan":{{"AWS:EpochTime":{expires_at}}}}}"#);
            let policy =
                format!(r#"{{"Statement":[{{"Resource":"{}","Condition":{condition}}}]}}"#, url.text());
            (policy, format!("Expires={expires_at}"))
        } else {
            let resource = match self.covers {
                Covers::File => url.text().to_owned(),
                Covers::Folder => url.folder_url() + "*",
            };
            let from = ask.window.not_before();
            let address = address.map_or_else(String::new, |address| {
                format!(r#","IpAddress":{{"AWS:SourceIp":"{address}/32"}}"#)
            });
            let policy = format!(
                r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires_at}}},"DateGreaterThan":{{"AWS:EpochTime":{from}}}{address}}}}}]}}"#
            );
            let first = ["Policy=", &encoded(policy.as_bytes())].concat();
            (policy, first)
        };
        let signature = encoded(&self.key.sign(policy.as_bytes(), platform)?);
        let algorithm = if self.is_sha1 { "" } else { "&Hash-Algorithm=SHA256" };
        let token =
            [&first, "&Key-Pair-Id=", &self.key_pair_id, "&Signature=", &signature, algorithm].concat();
        Ok(Signed { url: Some(url.with_query(&token)), token })
    }

    fn check_key(&self, platform: &dyn PlatformSigner) -> Result<(), PlatformError> {
        self.key.check(platform)
    }
}

/// CloudFront's base64: `-`, `_` and `~` for `+`, `=` and `/`.
fn encoded(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
        .chars()
        .map(|c| match c {
            '+' => '-',
            '=' => '_',
            '/' => '~',
            c => c,
        })
        .collect()
}
