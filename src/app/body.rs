//! Bodies of requests.

use crate::{
    api::{error::ApiError, reply::Reply},
    limits::LOGGED_PATH_MAX_BYTES,
};

/// The body of a request, read when and as far as it is wanted.
pub trait RequestBody {
    /// Passes the body on as it arrives.
    type Stream;

    /// The whole body.
    ///
    /// # Errors
    /// When it is longer than `limit_bytes`, or the client went away.
    fn read(&mut self, limit_bytes: usize) -> impl Future<Output = Result<Vec<u8>, BodyError>>;

    /// How long it is, as far as the client said: `Some(0)` without a body, `None` for an unknown length.
    fn declared_bytes(&self) -> Option<usize>;

    /// The body as it arrives. With `keep`, it may be taken once more.
    fn stream(&mut self, keep: bool) -> Option<Self::Stream>;
}

/// A body that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than it may be.
    TooLarge,
    /// It ended early.
    Interrupted,
}

/// Reads a whole body.
///
/// # Errors
/// With the answer to a body that is too long or incomplete.
pub(super) async fn read(body: &mut impl RequestBody, limit_bytes: usize) -> Result<Vec<u8>, Reply> {
    body.read(limit_bytes).await.map_err(|error| match error {
        BodyError::TooLarge => ApiError::BodyTooLarge(limit_bytes).into(),
        BodyError::Interrupted => ApiError::INTERRUPTED_BODY.into(),
    })
}

/// Refuses a body by the value of its header. The message names that value, except where clients expect a fixed message.
pub(super) fn unsupported(error: ApiError, value: &str) -> Reply {
    let found = value.get(..value.floor_char_boundary(LOGGED_PATH_MAX_BYTES)).unwrap_or_default();
    match error {
        ApiError::UnsupportedMediaType => Reply::from(error).with_detail(format!("found {found:?}")),
        _ => Reply::detailed(error, found),
    }
}
