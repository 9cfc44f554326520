//! The clock of this machine.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// The current time, for measuring durations.
#[expect(clippy::disallowed_methods, reason = "a native command has a clock; the service is given one")]
pub fn now() -> Instant {
    Instant::now()
}

/// The current time in unix seconds.
///
/// # Errors
/// The machine's clock is set before 1970.
#[expect(clippy::disallowed_methods, reason = "a native command has a clock; the service is given one")]
pub fn now_unix_secs() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(now.context("the clock of this machine is set before 1970")?.as_secs().cast_signed())
}

/// The current time in unix milliseconds.
///
/// # Errors
/// The machine's clock is set before 1970.
#[expect(clippy::disallowed_methods, reason = "a native command has a clock; the service is given one")]
pub fn now_unix_millis() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = now.context("the clock of this machine is set before 1970")?.as_millis();
    Ok(i64::try_from(millis).unwrap_or(i64::MAX))
}
