//! SHA-256 by the platform: `node:crypto` uses the processor's instructions for it, which Wasm cannot
//! reach (docs/adr/0012).

use std::cell::Cell;

use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::*;

use super::node;

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

/// How much is hashed here before `node:crypto` is loaded for it: the objects of a first check. To load the module takes
/// as long as to hash some 500 KiB here.
const UNLOADED_MAX_BYTES: usize = 256 * 1024;

/// Hashes with `node:crypto`, where that is faster.
#[derive(Default)]
pub struct NodeHash {
    /// Hashed here because the module is not loaded.
    unloaded_bytes: Cell<usize>,
}

impl NodeHash {
    /// `None` when the runtime has no Node modules. This loads none.
    #[must_use]
    pub fn new() -> Option<Self> {
        node::has_modules().then(Self::default)
    }

    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        let by_platform = if self.is_hashed_here(bytes.len()) { None } else { self.by_platform(bytes) };
        by_platform.unwrap_or_else(|| Sha256::digest(bytes).into())
    }

    fn is_hashed_here(&self, len: usize) -> bool {
        if len < CALL_BYTES || node::is_loaded() {
            return len < CALL_BYTES;
        }
        let hashed = self.unloaded_bytes.get().saturating_add(len);
        let is_little = hashed <= UNLOADED_MAX_BYTES;
        if is_little {
            self.unloaded_bytes.set(hashed);
        }
        is_little
    }

    /// The same by the platform, however short; `None` when it does not do it.
    ///
    /// It hashes `bytes` themselves, through a view of Wasm's own memory, and not the buffer that they were copied
    /// from, which other code might hold and change. They stay the same meanwhile: no other code runs
    /// before the digest is there.
    #[must_use]
    pub fn by_platform(&self, bytes: &[u8]) -> Option<[u8; 32]> {
        node::crypto::<NodeHashing>()?.hash("sha256", bytes, "buffer").ok()?.try_into().ok()
    }
}
