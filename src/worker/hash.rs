//! SHA-256 by the platform: `node:crypto` uses the processor's instructions for it, which Wasm cannot
//! reach (docs/adr/0012).

use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::*;

use super::verifier::get_builtin_module;

#[wasm_bindgen]
extern "C" {
    /// The module `node:crypto`.
    type NodeHashing;

    #[wasm_bindgen(method, catch)]
    fn hash(this: &NodeHashing, algorithm: &str, data: &[u8], encoding: &str) -> Result<Vec<u8>, JsValue>;
}

/// Shorter texts are hashed here. The call alone costs as much as hashing one to two KiB (`cargo xtask bench snapshot`
/// has both for several lengths).
const CALL_BYTES: usize = 2 * 1024;

/// Hashes with `node:crypto`, where that is faster.
pub struct NodeHash {
    crypto: NodeHashing,
}

impl NodeHash {
    /// `None` when the runtime has no `node:crypto`.
    #[must_use]
    pub fn new() -> Option<Self> {
        let module = get_builtin_module("node:crypto").ok()?;
        module.is_object().then(|| Self { crypto: module.unchecked_into() })
    }

    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        let by_platform = if bytes.len() < CALL_BYTES { None } else { self.by_platform(bytes) };
        by_platform.unwrap_or_else(|| Sha256::digest(bytes).into())
    }

    /// The same by the platform, however short; `None` when it does not do it.
    ///
    /// It hashes `bytes` themselves, through a view of Wasm's own memory, and not the buffer that they were copied
    /// from, which other code might hold and change. They stay the same meanwhile: no other code runs
    /// before the digest is there.
    #[must_use]
    pub fn by_platform(&self, bytes: &[u8]) -> Option<[u8; 32]> {
        self.crypto.hash("sha256", bytes, "buffer").ok()?.try_into().ok()
    }
}
