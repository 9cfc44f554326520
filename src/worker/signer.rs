//! Playback signatures by the platform: `node:crypto`'s synchronous `sign`, so that an answer with a signature is one
//! call, as a check is (docs/adr/0041).
//!
//! A known quirk of workerd: `sign` takes a key object only bare, never within options, so that ECDSA signatures are DER
//! and have to be converted.

use admit_playback::ecdsa_raw;
use wasm_bindgen::prelude::*;

use super::{node, platform::shown, verifier::set};
use crate::ports::{KeyForm, PlatformError, PlatformSigner, SigningAlgorithm, SigningKey};

#[wasm_bindgen]
extern "C" {
    /// The module `node:crypto`.
    type NodeCrypto;

    #[wasm_bindgen(method, js_name = createPrivateKey, catch)]
    fn create_private_key(this: &NodeCrypto, options: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn sign(
        this: &NodeCrypto,
        digest: &str,
        data: &[u8],
        key: &JsValue,
    ) -> Result<js_sys::Uint8Array, JsValue>;
}

/// Signs with `node:crypto`.
pub(super) struct NodeSigner;

struct NodePrivateKey {
    crypto: NodeCrypto,
    algorithm: SigningAlgorithm,
    key: JsValue,
}

impl PlatformSigner for NodeSigner {
    fn import(
        &self,
        algorithm: SigningAlgorithm,
        form: KeyForm,
        der: &[u8],
    ) -> Result<Box<dyn SigningKey>, PlatformError> {
        let options = js_sys::Object::new();
        set(&options, "key", &js_sys::Uint8Array::from(der).into());
        set(&options, "format", &"der".into());
        set(&options, "type", &form.name().into());
        // Its words could quote the key.
        let refused = |_| PlatformError("node:crypto refuses the private key".to_owned());
        let crypto =
            node::crypto::<NodeCrypto>().ok_or_else(|| PlatformError("no node:crypto".to_owned()))?;
        let key = crypto.create_private_key(&options).map_err(refused)?;
        Ok(Box::new(NodePrivateKey { crypto, algorithm, key }))
    }
}

impl SigningKey for NodePrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let digest = match self.algorithm {
            SigningAlgorithm::RsaSha1 => "sha1",
            SigningAlgorithm::RsaSha256 | SigningAlgorithm::Es256 => "sha256",
        };
        let signature = self.crypto.sign(digest, message, &self.key);
        let signature = signature.map_err(|error| PlatformError(shown(&error)))?.to_vec();
        match self.algorithm {
            SigningAlgorithm::Es256 => {
                let raw = ecdsa_raw(&signature);
                raw.ok_or_else(|| PlatformError("node:crypto gave a malformed ECDSA signature".to_owned()))
            }
            SigningAlgorithm::RsaSha1 | SigningAlgorithm::RsaSha256 => Ok(signature),
        }
    }
}
