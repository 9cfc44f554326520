//! What the metrics of an origin say. Most are counted where something happens; what the database and its file are like is
//! read when the metrics are asked for.

use std::{fs, path::Path, time::Duration};

use admit::snapshot::time::UnixSecs;
use admit_metrics::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Watched,
    counters, gauge, gauges, histogram, histograms,
};

use crate::{db::DbError, state::Shared};

/// From a millisecond, which a read takes, to the 20 s for which a reader of the feed may wait.
const REQUEST_BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 25.0];

/// A queue is answered with 503 long before a request waits this long, unless its class hashes passwords.
const WAIT_BOUNDS: [f64; 9] = [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The metrics of an origin.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    sign_ins: IntCounterVec,
    database_failures: IntCounterVec,
    lock_wait: Histogram,
    queued: IntGaugeVec,
    busy: IntGaugeVec,
    threads: IntGaugeVec,
    waits: HistogramVec,
    overloaded: IntCounterVec,
    seq: IntGauge,
    writable: IntGauge,
    bytes: IntGaugeVec,
}

/// The metrics of one pool of threads.
#[derive(Clone, Debug)]
pub struct PoolMetrics {
    /// Requests that wait for a thread.
    pub queued: IntGauge,
    /// Threads that answer a request.
    pub busy: IntGauge,
    /// Seconds from a request's arrival to its thread.
    pub wait: Histogram,
    /// Requests that found the queue full.
    pub overloaded: IntCounter,
}

impl Metrics {
    /// All metrics of a process that has started at `now`.
    ///
    /// # Errors
    /// Does not happen: the names are valid and differ.
    pub fn new(now: UnixSecs) -> Result<Self, Error> {
        let registry = Registry::new();
        let info =
            gauges(&registry, "admit_build_info", "Always 1; the labels have the version.", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let started = "process_start_time_seconds";
        gauge(&registry, started, "When the process started, in unix seconds.")?.set(now);
        let class = &["class"];
        Ok(Self {
            requests: counters(
                &registry,
                "origin_requests_total",
                "Answered requests by class and status; the class is unknown for those that were refused unread.",
                &["class", "status"],
            )?,
            durations: histograms(
                &registry,
                "origin_request_duration_seconds",
                "From the headers of a request to the beginning of its answer. Readers of the feed wait up to 20 s.",
                class,
                &REQUEST_BOUNDS,
            )?,
            sign_ins: counters(
                &registry,
                "origin_sign_ins_total",
                "Attempts to sign in by outcome.",
                &["outcome"],
            )?,
            database_failures: counters(
                &registry,
                "origin_database_failures_total",
                "Errors of the database by kind.",
                &["kind"],
            )?,
            lock_wait: histogram(
                &registry,
                "origin_write_lock_wait_seconds",
                "How long writes wait for each other.",
                &WAIT_BOUNDS,
            )?,
            queued: gauges(&registry, "origin_queued_requests", "Requests that wait for a thread.", class)?,
            busy: gauges(&registry, "origin_busy_threads", "Threads that answer a request.", class)?,
            threads: gauges(&registry, "origin_threads", "Threads of a class.", class)?,
            waits: histograms(
                &registry,
                "origin_queue_wait_seconds",
                "From the arrival of a request to its thread.",
                class,
                &WAIT_BOUNDS,
            )?,
            overloaded: counters(
                &registry,
                "origin_overloaded_total",
                "Requests that were answered 503 because the queue of their class was full.",
                class,
            )?,
            seq: gauge(&registry, "origin_seq", "Changes that this process has committed or found.")?,
            writable: gauge(
                &registry,
                "origin_database_writable",
                "0 from a failed write until one succeeds, else 1.",
            )?,
            bytes: gauges(
                &registry,
                "origin_database_bytes",
                "The size of the database and of its write-ahead log.",
                &["file"],
            )?,
            registry,
        })
    }

    /// Notes an answer; `class` is that of its request, if it had one.
    pub fn answered(&self, class: Option<&str>, status: u16, took: Duration) {
        let class = class.unwrap_or("unknown");
        self.requests.with_label_values(&[class, &status.to_string()]).inc();
        self.durations.with_label_values(&[class]).observe(took.as_secs_f64());
    }

    /// Notes an attempt to sign in.
    pub fn signed_in(&self, outcome: &str) {
        self.sign_ins.with_label_values(&[outcome]).inc();
    }

    /// Notes an error of the database.
    pub fn database_failed(&self, error: &DbError) {
        let kind = error.unwritable().map_or("other", crate::db::Unwritable::code);
        self.database_failures.with_label_values(&[kind]).inc();
    }

    /// Notes how long a write waited for the lock.
    pub fn lock_waited(&self, wait: Duration) {
        self.lock_wait.observe(wait.as_secs_f64());
    }

    /// The metrics of a pool with this many threads.
    #[must_use]
    pub fn pool(&self, class: &str, threads: usize) -> PoolMetrics {
        let label = &[class];
        self.threads.with_label_values(label).set(i64::try_from(threads).unwrap_or(i64::MAX));
        PoolMetrics {
            queued: self.queued.with_label_values(label),
            busy: self.busy.with_label_values(label),
            wait: self.waits.with_label_values(label),
            overloaded: self.overloaded.with_label_values(label),
        }
    }
}

impl Watched for Shared {
    fn registry(&self) -> &Registry {
        &self.metrics.registry
    }

    fn refresh(&self) {
        let metrics = &self.metrics;
        metrics.seq.set(i64::try_from(*self.seq.borrow()).unwrap_or(i64::MAX));
        metrics.writable.set(i64::from(self.storage.problem().is_none()));
        let db = &self.settings.db;
        metrics.bytes.with_label_values(&["database"]).set(size(db));
        let mut wal = db.clone().into_os_string();
        wal.push("-wal");
        metrics.bytes.with_label_values(&["wal"]).set(size(Path::new(&wal)));
    }

    fn problems(&self) -> Vec<&'static str> {
        // The reason is in `/healthz` of the service and in the log.
        self.storage.problem().map(crate::db::Unwritable::code).into_iter().collect()
    }
}

/// In bytes; 0 without a file.
fn size(path: &Path) -> i64 {
    fs::metadata(path).map_or(0, |file| i64::try_from(file.len()).unwrap_or(i64::MAX))
}
