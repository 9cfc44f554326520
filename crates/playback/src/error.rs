//! What can be wrong with the configuration, and why a request is not signed.

use crate::ports::PlatformError;

/// An invalid value in `PLAYBACK`, or in a secret that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PlaybackError {
    /// The variable and the path within it, such as `PLAYBACK[0].hosts`, or the name of the secret.
    pub field: String,
    /// The problem, without any secret.
    pub problem: String,
}

impl PlaybackError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Why an entry signs nothing for a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The grant has ended. The answer is that of a denial.
    #[error("the grant has ended")]
    Ended,
    /// The item names neither a media id nor a URL for this signer.
    #[error("the item names no media for this signer: {0}")]
    NoMedia(&'static str),
    /// The media id or URL is malformed.
    #[error("unusable media: {0}")]
    Malformed(&'static str),
    /// The URL is not one that this entry may sign for this item: another host, another path, or another item's media.
    #[error("the URL is not this item's media: {0}")]
    Foreign(&'static str),
    /// The entry binds signatures to the viewer's country or address, which is unknown or of an unsupported kind.
    #[error("the signature must be bound to the viewer's {0}")]
    Unbound(&'static str),
    /// The platform failed. The operator's configuration or the platform is at fault, not the viewer.
    #[error("cannot sign with {secret}: {source}")]
    Platform {
        /// Name of the secret.
        secret: String,
        /// The platform's words.
        source: PlatformError,
    },
}
