//! Signatures of a moment ago. Viewers of one film get the same proof within a window, and RSA costs the platform a
//! thousand times more than a look here.

use std::{cell::RefCell, rc::Rc};

use admit_playback::ports::{KeyForm, PlatformError, PlatformSigner, SigningAlgorithm, SigningKey};
use sha2::{Digest as _, Sha256};

use crate::limits::SIGNATURES_MAX;

/// A hash of message and key, and the signature.
type Known = ([u8; 32], Rc<[u8]>);

/// The signatures that an isolate remembers. Each message has one place, where the next one that has the same place takes
/// over. A message names its window, so that the next window's message is another one.
#[derive(Debug, Default)]
pub(super) struct SignatureMemory(RefCell<Vec<Option<Known>>>);

impl SignatureMemory {
    fn get(&self, name: &[u8; 32]) -> Option<Rc<[u8]>> {
        let known = self.0.borrow();
        let (known, signature) = known.get(place(name))?.as_ref()?;
        (known == name).then(|| Rc::clone(signature))
    }

    fn set(&self, name: [u8; 32], signature: &[u8]) {
        let places = &mut *self.0.borrow_mut();
        // Nothing until the first signature.
        if places.is_empty() {
            places.resize_with(SIGNATURES_MAX, || None);
        }
        if let Some(slot) = places.get_mut(place(&name)) {
            *slot = Some((name, signature.into()));
        }
    }
}

/// Any bytes of a hash are as good as others.
fn place(name: &[u8; 32]) -> usize {
    let number = name.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    usize::try_from(number).unwrap_or(0) % SIGNATURES_MAX
}

/// A platform's signer that remembers its signatures. Keys that are imported through it keep the memory.
pub(super) struct Remembering<'a> {
    pub platform: &'a dyn PlatformSigner,
    pub memory: &'a Rc<SignatureMemory>,
}

impl PlatformSigner for Remembering<'_> {
    fn import(
        &self,
        algorithm: SigningAlgorithm,
        form: KeyForm,
        der: &[u8],
    ) -> Result<Box<dyn SigningKey>, PlatformError> {
        let key = self.platform.import(algorithm, form, der)?;
        // One key may sign by two algorithms.
        let named = Sha256::new().chain_update([algorithm as u8]).chain_update(der);
        Ok(Box::new(RememberingKey { key, named: named.finalize().into(), memory: Rc::clone(self.memory) }))
    }
}

struct RememberingKey {
    key: Box<dyn SigningKey>,
    /// Names key and algorithm among those that share the memory.
    named: [u8; 32],
    memory: Rc<SignatureMemory>,
}

impl SigningKey for RememberingKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let name = Sha256::new().chain_update(self.named).chain_update(message).finalize().into();
        if let Some(signature) = self.memory.get(&name) {
            return Ok(signature.to_vec());
        }
        let signature = self.key.sign(message)?;
        self.memory.set(name, &signature);
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Signs with the number of the signature.
    #[derive(Default)]
    struct Counting(Rc<Cell<u32>>);

    impl PlatformSigner for Counting {
        fn import(
            &self,
            _: SigningAlgorithm,
            _: KeyForm,
            _: &[u8],
        ) -> Result<Box<dyn SigningKey>, PlatformError> {
            Ok(Box::new(Self(Rc::clone(&self.0))))
        }
    }

    impl SigningKey for Counting {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PlatformError> {
            if message.is_empty() {
                return Err(PlatformError("on cue".to_owned()));
            }
            self.0.set(self.0.get() + 1);
            Ok(self.0.get().to_be_bytes().to_vec())
        }
    }

    #[test]
    fn a_message_is_signed_once_by_each_key() {
        let (platform, memory) = (Counting::default(), Rc::default());
        let signer = Remembering { platform: &platform, memory: &memory };
        let import = |algorithm, der: &[u8]| signer.import(algorithm, KeyForm::Pkcs8, der).unwrap();
        let one = import(SigningAlgorithm::RsaSha256, b"one");
        let other = import(SigningAlgorithm::RsaSha256, b"other");
        let sha1 = import(SigningAlgorithm::RsaSha1, b"one");
        let first = one.sign(b"film").unwrap();
        assert_eq!(one.sign(b"film").unwrap(), first);
        assert_eq!(import(SigningAlgorithm::RsaSha256, b"one").sign(b"film").unwrap(), first);
        assert_ne!(other.sign(b"film").unwrap(), first);
        assert_ne!(sha1.sign(b"film").unwrap(), first);
        assert_ne!(one.sign(b"film, a window later").unwrap(), first);
        // A failure is not remembered.
        assert!(one.sign(b"").is_err() && one.sign(b"").is_err());
    }

    #[test]
    fn the_memory_is_bounded() {
        let (platform, memory) = (Counting::default(), Rc::default());
        let key = Remembering { platform: &platform, memory: &memory };
        let key = key.import(SigningAlgorithm::Es256, KeyForm::Sec1, b"key").unwrap();
        for number in 0..3 * u32::try_from(SIGNATURES_MAX).unwrap() {
            key.sign(&number.to_be_bytes()).unwrap();
        }
        assert_eq!(memory.0.borrow().len(), SIGNATURES_MAX);
    }
}
