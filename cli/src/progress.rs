//! How far an upload or a walk is: a bar on a terminal, a line every few seconds elsewhere.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal: the log of an hour's work stays readable.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far the work is.
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
    /// Nothing of `objects_total` and `bytes_total` is done.
    pub fn new(objects_total: usize, bytes_total: u64) -> Self {
        let template = "{bar:30} {msg} objects, {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        Self::with(objects_total as u64, Some(bytes_total), template)
    }

    /// Nothing of `objects_total`, whose sizes are not known, is done.
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

    /// One more object of so many bytes is done.
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

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The moment, for measuring how long something took.
#[expect(clippy::disallowed_methods, reason = "a native command has a clock; the service is given one")]
pub fn now() -> Instant {
    Instant::now()
}
