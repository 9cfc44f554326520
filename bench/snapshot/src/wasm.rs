//! What `worker/main.js` calls.

use std::{cell::RefCell, hint::black_box};

use admit::{snapshot::object::Digest, worker::NodeHash};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use crate::{Subject, Work};

thread_local! {
    static SUBJECT: RefCell<Option<Subject>> = const { RefCell::new(None) };
}

fn with_subject<T>(work: impl FnOnce(&mut Subject) -> Result<T, JsError>) -> Result<T, JsError> {
    SUBJECT.with_borrow_mut(|subject| match subject {
        Some(subject) => work(subject),
        None => Err(JsError::new("nothing was prepared")),
    })
}

/// Loads a pack.
#[wasm_bindgen]
pub fn prepare(pack: &[u8], names: &str, in_delta: u32) -> Result<(), JsError> {
    SUBJECT.set(Some(Subject::new(pack, names, in_delta as usize)?));
    Ok(())
}

/// A shard as the store would give it: the largest one, and then one of each of the sizes.
#[wasm_bindgen]
pub fn shard(which: u32) -> Result<Uint8Array, JsError> {
    with_subject(|subject| Ok(Uint8Array::from(subject.shard(which as usize)?)))
}

/// Repeats the work of that name.
#[wasm_bindgen]
pub fn do_work(work: &str, times: u32) -> Result<f64, JsError> {
    let work = Work::named(work).ok_or_else(|| JsError::new("no such work"))?;
    with_subject(|subject| Ok(subject.repeat(work, times)? as f64))
}

/// Repeats what the Worker does with a shard from JavaScript: copy it in, hash it, check it.
#[wasm_bindgen]
pub fn load(which: u32, shard: &Uint8Array, times: u32) -> Result<u32, JsError> {
    let platform = platform()?;
    load_by(which, shard, times, |bytes| Digest(platform.sha256(bytes)))
}

/// The same, hashed in Wasm.
#[wasm_bindgen]
pub fn load_wasm(which: u32, shard: &Uint8Array, times: u32) -> Result<u32, JsError> {
    load_by(which, shard, times, Digest::of)
}

fn load_by(
    which: u32,
    shard: &Uint8Array,
    times: u32,
    digest_of: impl Fn(&[u8]) -> Digest,
) -> Result<u32, JsError> {
    with_subject(|subject| {
        let mut entries = 0_usize;
        for _ in 0..times {
            entries = subject.load(which as usize, shard.to_vec(), &digest_of)?;
        }
        Ok(u32::try_from(entries).unwrap_or(u32::MAX))
    })
}

/// The same without the digest.
#[wasm_bindgen]
pub fn open(shard: &Uint8Array, times: u32) -> Result<u32, JsError> {
    let mut entries = 0_usize;
    for _ in 0..times {
        entries = Subject::open(shard.to_vec())?;
    }
    Ok(u32::try_from(entries).unwrap_or(u32::MAX))
}

/// Hashes `len` bytes `times` times, in Wasm or by the platform. The first time, which is not measured, both must come
/// to the same digest.
#[wasm_bindgen]
pub fn hash(len: usize, is_by_platform: bool, times: u32) -> Result<u32, JsError> {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
    let platform = platform()?;
    let by_platform = |bytes: &[u8]| platform.by_platform(bytes).map(Digest);
    if times == 1 && by_platform(&bytes) != Some(Digest::of(&bytes)) {
        return Err(JsError::new("the platform's digest is another one"));
    }
    let mut hashed = 0;
    for _ in 0..times {
        let bytes = black_box(bytes.as_slice());
        let digest = if is_by_platform { by_platform(bytes) } else { Some(Digest::of(bytes)) };
        hashed += u32::from(black_box(digest).is_some());
    }
    Ok(hashed)
}

fn platform() -> Result<NodeHash, JsError> {
    NodeHash::new().ok_or_else(|| JsError::new("no node:crypto"))
}
