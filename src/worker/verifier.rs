//! Signatures by the platform: `node:crypto`'s synchronous `verify`, 20 to 35 times faster for RSA and P-256
//! than wasm, and without a promise, so that even a check with a new token is one call (docs/adr/0002).
//!
//! Known quirks of workerd, which the vectors of the Worker's tests watch: `verify` takes a key object only
//! bare, never within options, so that ECDSA signatures have to be DER; and with PSS padding it is always
//! false, while a `Verify` object is right.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use jwt_compact::jwk::JsonWebKey;
use wasm_bindgen::prelude::*;

use crate::{
    ports::{ImportKeyError, SignatureAlgorithm, SignatureVerifier},
    token::ecdsa_der,
};

#[wasm_bindgen]
extern "C" {
    /// `process.getBuiltinModule`: gives a built-in module without an import statement, of which the glue
    /// that wasm-bindgen generates has none.
    #[wasm_bindgen(js_namespace = process, js_name = getBuiltinModule, catch)]
    pub(super) fn get_builtin_module(name: &str) -> Result<JsValue, JsValue>;

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
}

/// `RSA_PKCS1_PSS_PADDING` of `node:crypto`'s constants.
const PSS_PADDING: u32 = 6;

/// Verifies with `node:crypto`.
pub(super) struct NodeVerifier {
    crypto: NodeCrypto,
}

/// A key, ready for one algorithm.
pub(super) struct NodeKey {
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

impl NodeVerifier {
    /// `None` when the runtime has no `node:crypto`.
    pub fn new() -> Option<Self> {
        let module = get_builtin_module("node:crypto").ok()?;
        module.is_object().then(|| Self { crypto: module.unchecked_into() })
    }

    fn verify_pss(&self, key: &NodeKey, message: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
        let verify = self.crypto.create_verify(&key.digest)?;
        verify.update(message)?;
        verify.is_signed_by(&key.key, signature)
    }
}

impl SignatureVerifier for NodeVerifier {
    type Key = NodeKey;

    fn import(&self, algorithm: SignatureAlgorithm, key: &JsonWebKey<'_>) -> Result<NodeKey, ImportKeyError> {
        use SignatureAlgorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let refused = |_| ImportKeyError("the platform refuses it".to_owned());
        let options = js_sys::Object::new();
        set(&options, "key", &public_jwk(algorithm, key)?);
        set(&options, "format", &"jwk".into());
        // For PSS as well, so that a key that cannot be used is refused here.
        let key_object = self.crypto.create_public_key(&options).map_err(refused)?;
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
            _ => return Ok(NodeKey { method, digest, key: key_object }),
        };
        set(&options, "padding", &PSS_PADDING.into());
        set(&options, "saltLength", &JsValue::from(salt_len));
        Ok(NodeKey { method, digest, key: options.into() })
    }

    fn verify(&self, key: &NodeKey, message: &[u8], signature: &[u8]) -> bool {
        let verified = match key.method {
            Method::Bare => self.crypto.verify(&key.digest, message, &key.key, signature),
            Method::Ecdsa { coordinate_len } => match ecdsa_der(signature, coordinate_len) {
                Some(der) => self.crypto.verify(&key.digest, message, &key.key, &der),
                None => Ok(false),
            },
            Method::Pss => self.verify_pss(key, message, signature),
        };
        // It throws for signatures of an impossible form; those are as wrong as any other.
        verified.unwrap_or(false)
    }
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
