//! How far an upload is: a bar on a terminal, a line every few seconds elsewhere.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal: a log of an hour's upload stays readable.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far an upload is.
pub struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    objects_total: u64,
    bytes_total: u64,
    objects: AtomicU64,
    bytes: AtomicU64,
    lines: AtomicU64,
}

impl Progress {
    /// Nothing of `objects_total` is done.
    pub fn new(objects_total: usize, bytes_total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = "{bar:30} {msg} objects, {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
            let bar = ProgressBar::new(bytes_total);
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            started: now(),
            bar,
            objects_total: objects_total as u64,
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
            bar.set_message(format!("{objects}/{}", self.objects_total));
            bar.set_position(bytes);
            return;
        }
        let line = self.started.elapsed().as_secs() / LINE_EVERY.as_secs();
        if self.lines.fetch_max(line, Ordering::Relaxed) < line {
            let (bytes, bytes_total) = (HumanBytes(bytes), HumanBytes(self.bytes_total));
            eprintln!("  {objects} of {} objects, {bytes} of {bytes_total}", self.objects_total);
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
