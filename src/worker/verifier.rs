//! Signatures by the platform: `node:crypto`'s synchronous `verify`, 20 to 35 times faster for RSA and P-256
//! than wasm, and without a promise, so that even a check with a new token is one call (docs/adr/0002).
//!
//! Known quirks of workerd, which the vectors of the Worker's tests watch: `verify` takes a key object only
//! bare, never within options, so that ECDSA signatures have to be DER; and with PSS padding it is always
//! false, while a `Verify` object is right.

use std::cell::{Cell, OnceCell, RefCell};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use js_sys::{Promise, Uint8Array};
use jwt_compact::jwk::JsonWebKey;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::node;
use crate::{
    ports::{ImportKeyError, SignatureAlgorithm, SignatureVerifier},
    token::ecdsa_der,
};

#[wasm_bindgen]
extern "C" {
    /// The module `node:crypto`.
    type NodeCrypto;

    #[wasm_bindgen(method, js_name = createPublicKey, catch)]
    fn create_public_key(this: &NodeCrypto, key: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn verify(
        this: &NodeCrypto,
        algorithm: &JsValue,
        data: &[u8],
        key: &JsValue,
        signature: &[u8],
    ) -> Result<bool, JsValue>;

    #[wasm_bindgen(method, js_name = createVerify, catch)]
    fn create_verify(this: &NodeCrypto, algorithm: &JsValue) -> Result<Verify, JsValue>;

    /// A signature being verified.
    type Verify;

    #[wasm_bindgen(method, catch)]
    fn update(this: &Verify, data: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = verify, catch)]
    fn is_signed_by(this: &Verify, key: &JsValue, signature: &[u8]) -> Result<bool, JsValue>;

    type WebCrypto;

    #[wasm_bindgen(thread_local_v2, js_name = crypto)]
    static CRYPTO: WebCrypto;

    #[wasm_bindgen(method, getter)]
    fn subtle(this: &WebCrypto) -> SubtleCrypto;

    type SubtleCrypto;

    #[wasm_bindgen(method, js_name = importKey, catch)]
    fn import_key(
        this: &SubtleCrypto,
        format: &str,
        key: &JsValue,
        algorithm: &JsValue,
        is_extractable: bool,
        usages: &js_sys::Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn verify(
        this: &SubtleCrypto,
        algorithm: &JsValue,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// `RSA_PKCS1_PSS_PADDING` of `node:crypto`'s constants.
const PSS_PADDING: u32 = 6;

/// Verifies with `node:crypto`. Before that is loaded, WebCrypto verifies heads ahead: it takes a promise and no time to
/// load.
#[derive(Default)]
pub(super) struct NodeVerifier {
    /// What WebCrypto found to be right, until it is asked for.
    proven: RefCell<Option<Proven>>,
    /// How many keys there have been.
    keys: Cell<u64>,
}

/// A signature that was verified ahead.
struct Proven {
    key: u64,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// A key for one algorithm.
pub(super) struct NodeKey {
    /// No other key of this instance has it.
    number: u64,
    algorithm: SignatureAlgorithm,
    jwk: JsValue,
    /// Made at the first signature; nothing if the platform refuses the key.
    ready: OnceCell<Option<ReadyKey>>,
}

/// A key as `node:crypto` takes it.
struct ReadyKey {
    method: Method,
    /// The name of the digest; null for Ed25519, which has its own.
    digest: JsValue,
    /// A key object; for PSS, options with the JWK.
    key: JsValue,
}

#[derive(Clone, Copy)]
enum Method {
    Bare,
    /// Signatures are `r || s` in JOSE, DER here.
    Ecdsa {
        coordinate_len: usize,
    },
    Pss,
}

impl ReadyKey {
    fn new(crypto: &NodeCrypto, algorithm: SignatureAlgorithm, jwk: &JsValue) -> Result<Self, JsValue> {
        use SignatureAlgorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let options = js_sys::Object::new();
        set(&options, "key", jwk);
        set(&options, "format", &"jwk".into());
        // For PSS as well, so that a key that cannot be used is refused here.
        let key = crypto.create_public_key(&options)?;
        let (method, digest) = match algorithm {
            EdDsa => (Method::Bare, JsValue::NULL),
            Es256 => (Method::Ecdsa { coordinate_len: 32 }, "sha256".into()),
            Es384 => (Method::Ecdsa { coordinate_len: 48 }, "sha384".into()),
            Es512 => (Method::Ecdsa { coordinate_len: 66 }, "sha512".into()),
            Rs256 => (Method::Bare, "sha256".into()),
            Rs384 => (Method::Bare, "sha384".into()),
            Rs512 => (Method::Bare, "sha512".into()),
            Ps256 => (Method::Pss, "sha256".into()),
            Ps384 => (Method::Pss, "sha384".into()),
            Ps512 => (Method::Pss, "sha512".into()),
        };
        // The salt is as long as the hash (RFC 7518 §3.5).
        let salt_len = match algorithm {
            Ps256 => 32,
            Ps384 => 48,
            Ps512 => 64,
            _ => return Ok(Self { method, digest, key }),
        };
        set(&options, "padding", &PSS_PADDING.into());
        set(&options, "saltLength", &JsValue::from(salt_len));
        Ok(Self { method, digest, key: options.into() })
    }

    fn verify(&self, crypto: &NodeCrypto, message: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
        match self.method {
            Method::Bare => crypto.verify(&self.digest, message, &self.key, signature),
            Method::Ecdsa { coordinate_len } => match ecdsa_der(signature, coordinate_len) {
                Some(der) => crypto.verify(&self.digest, message, &self.key, &der),
                None => Ok(false),
            },
            Method::Pss => {
                let verify = crypto.create_verify(&self.digest)?;
                verify.update(message)?;
                verify.is_signed_by(&self.key, signature)
            }
        }
    }
}

impl NodeKey {
    /// The key as `node:crypto` takes it, made of its JWK once.
    fn ready(&self, crypto: &NodeCrypto) -> Option<&ReadyKey> {
        let ready = self.ready.get_or_init(|| ReadyKey::new(crypto, self.algorithm, &self.jwk).ok());
        ready.as_ref()
    }
}

impl SignatureVerifier for NodeVerifier {
    type Key = NodeKey;

    fn import(&self, algorithm: SignatureAlgorithm, key: &JsonWebKey<'_>) -> Result<NodeKey, ImportKeyError> {
        let number = self.keys.get();
        self.keys.set(number + 1);
        Ok(NodeKey { number, algorithm, jwk: public_jwk(algorithm, key)?, ready: OnceCell::new() })
    }

    fn verify(&self, key: &NodeKey, message: &[u8], signature: &[u8]) -> bool {
        let proven = self.proven.borrow_mut().take();
        if proven.is_some_and(|it| {
            (it.key, it.message.as_slice(), it.signature.as_slice()) == (key.number, message, signature)
        }) {
            return true;
        }
        let Some(crypto) = node::crypto::<NodeCrypto>() else { return false };
        // It throws for signatures of an impossible form; those are as wrong as any other.
        key.ready(&crypto).is_some_and(|ready| ready.verify(&crypto, message, signature).unwrap_or(false))
    }

    fn is_usable(&self, key: &NodeKey) -> bool {
        // A key that no signature was verified with is as good as any other.
        key.ready.get().is_none_or(Option::is_some)
    }

    async fn verify_ahead(&self, key: &NodeKey, message: &[u8], signature: &[u8]) {
        let is_wanted = key.algorithm == SignatureAlgorithm::EdDsa && !node::is_loaded();
        if is_wanted && is_right(&key.jwk, message, signature).await.unwrap_or(false) {
            let (message, signature) = (message.to_vec(), signature.to_vec());
            self.proven.replace(Some(Proven { key: key.number, message, signature }));
        }
    }
}

/// Whether a signature by Ed25519 is right, by WebCrypto.
async fn is_right(jwk: &JsValue, message: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
    let name: JsValue = "Ed25519".into();
    let subtle = CRYPTO.with(WebCrypto::subtle);
    let key = subtle.import_key("jwk", jwk, &name, false, &js_sys::Array::of1(&"verify".into()))?;
    let key = JsFuture::from(key).await?;
    // Copies, which no later change of Wasm's memory reaches.
    let verified = subtle.verify(&name, &key, &Uint8Array::from(signature), &Uint8Array::from(message))?;
    Ok(JsFuture::from(verified).await?.as_bool() == Some(true))
}

pub(super) fn set(object: &js_sys::Object, name: &str, value: &JsValue) {
    // Setting a property of an object that was just made cannot fail.
    let _ = js_sys::Reflect::set(object, &name.into(), value);
}

/// The public key as a JWK, if it is one for the algorithm: `node:crypto` would take any.
fn public_jwk(algorithm: SignatureAlgorithm, key: &JsonWebKey<'_>) -> Result<JsValue, ImportKeyError> {
    use SignatureAlgorithm::{EdDsa, Es256, Es384, Es512};
    let curve_of = |algorithm| match algorithm {
        Es384 => "P-384",
        Es512 => "P-521",
        _ => "P-256",
    };
    let jwk = js_sys::Object::new();
    let text = |name: &str, value: &str| set(&jwk, name, &value.into());
    let bytes = |name: &str, value: &[u8]| text(name, &Base64UrlUnpadded::encode_string(value));
    match (algorithm, key) {
        (EdDsa, JsonWebKey::KeyPair { curve, x, .. }) if curve == "Ed25519" => {
            text("kty", "OKP");
            text("crv", curve);
            bytes("x", x);
        }
        (Es256 | Es384 | Es512, JsonWebKey::EllipticCurve { curve, x, y, .. })
            if curve == curve_of(algorithm) =>
        {
            text("kty", "EC");
            text("crv", curve);
            bytes("x", x);
            bytes("y", y);
        }
        (EdDsa | Es256 | Es384 | Es512, _) => {
            return Err(ImportKeyError("not a key for this algorithm".to_owned()));
        }
        (_, JsonWebKey::Rsa { modulus, public_exponent, .. }) => {
            text("kty", "RSA");
            bytes("n", modulus);
            bytes("e", public_exponent);
        }
        _ => return Err(ImportKeyError("not a key for this algorithm".to_owned())),
    }
    Ok(jwk.into())
}
