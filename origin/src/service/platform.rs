//! What the edge's service needs of its platform, as far as an origin has it: no store, no issuer to ask.

use std::fmt;

use admit::{
    ports::{Entropy, KeySource, KeySourceError, Log, ObjectStore, Platform, StoreError},
    token::NativeVerifier,
};

use crate::clock::Clock;

/// The platform of a thread that answers.
#[derive(Debug)]
pub struct OriginPlatform {
    clock: Clock,
}

impl OriginPlatform {
    /// A platform with this clock.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

/// Nothing is stored and nothing is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl ObjectStore for Nowhere {
    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError("an origin stores no snapshot".to_owned()))
    }
}

impl KeySource for Nowhere {
    async fn fetch(&self, _: &str, _: usize) -> Result<Vec<u8>, KeySourceError> {
        Err(KeySourceError("an origin fetches no keys".to_owned()))
    }
}

/// Standard error, a line for each event.
#[derive(Clone, Copy, Debug)]
pub struct StandardError;

impl Log for StandardError {
    fn log(&self, line: fmt::Arguments<'_>) {
        eprintln!("{line}");
    }
}

/// The system's random numbers.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn random(&self) -> [u8; 16] {
        *uuid::Uuid::new_v4().as_bytes()
    }
}

impl Platform for OriginPlatform {
    type Verifier = NativeVerifier;
    type Store = Nowhere;
    type Keys = Nowhere;

    fn verifier(&self) -> &NativeVerifier {
        &NativeVerifier
    }

    fn store(&self) -> &Nowhere {
        &Nowhere
    }

    fn keys(&self) -> &Nowhere {
        &Nowhere
    }

    fn log(&self) -> &dyn Log {
        &StandardError
    }

    fn entropy(&self) -> &dyn Entropy {
        &SystemEntropy
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    async fn sleep(&self, _: u64) {}
}
