//! Progress of an upload or a walk: a bar on a terminal, otherwise a line every few seconds.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::clock::now;

/// Between two lines without a terminal: the log of an hour's work stays readable.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Counts finished objects and shows the progress.
pub struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    objects_total: u64,
    bytes_total: Option<u64>,
    objects: AtomicU64,
    bytes: AtomicU64,
    lines: AtomicU64,
}

impl Progress {
    /// Starts at 0 of `objects_total` and `bytes_total`.
    pub fn new(objects_total: usize, bytes_total: u64) -> Self {
        let template = "{bar:30} {msg} objects, {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        Self::with(objects_total as u64, Some(bytes_total), template)
    }

    /// Starts at 0 of `objects_total`, whose sizes are unknown.
    pub fn of_objects(objects_total: usize) -> Self {
        let template = "{bar:30} {pos}/{len} objects, {msg}, {per_sec}, {eta} left";
        Self::with(objects_total as u64, None, template)
    }

    fn with(objects_total: u64, bytes_total: Option<u64>, template: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(bytes_total.unwrap_or(objects_total));
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            started: now(),
            bar,
            objects_total,
            bytes_total,
            objects: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            lines: AtomicU64::new(0),
        }
    }

    /// Counts one more object of `object_bytes`.
    pub fn advance(&self, object_bytes: u64) {
        let objects = self.objects.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(object_bytes, Ordering::Relaxed) + object_bytes;
        if let Some(bar) = &self.bar {
            if self.bytes_total.is_some() {
                bar.set_message(format!("{objects}/{}", self.objects_total));
                bar.set_position(bytes);
            } else {
                bar.set_message(HumanBytes(bytes).to_string());
                bar.set_position(objects);
            }
            return;
        }
        let line = self.started.elapsed().as_secs() / LINE_EVERY.as_secs();
        if self.lines.fetch_max(line, Ordering::Relaxed) < line {
            let of_bytes =
                self.bytes_total.map_or_else(String::new, |total| format!(" of {}", HumanBytes(total)));
            eprintln!("  {objects} of {} objects, {}{of_bytes}", self.objects_total, HumanBytes(bytes));
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
