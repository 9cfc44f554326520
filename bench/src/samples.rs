//! Nanoseconds of one of many repetitions, measured over and over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::numbers::median;

/// How often and how long a piece of work is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Measurements, of which the median counts.
    pub rounds: usize,
    /// The least duration of each, long enough for the clock not to matter.
    pub slice: Duration,
}

/// The median of nanoseconds for one repetition. `work` does its argument's number of repetitions.
pub fn nanos(effort: Effort, mut work: impl FnMut(u32) -> Result<()>) -> Result<f64> {
    let mut time = |times: u32| -> Result<Duration> {
        let start = now();
        work(times)?;
        Ok(start.elapsed())
    };
    let mut times = 1_u32;
    while time(times)? < effort.slice && times < u32::MAX / 2 {
        times *= 2;
    }
    let sample = |_| -> Result<f64> { Ok(time(times)?.as_secs_f64() * 1e9 / f64::from(times)) };
    let samples = (0..effort.rounds).map(sample).collect::<Result<Vec<_>>>()?;
    median(&samples).context("no samples")
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}
