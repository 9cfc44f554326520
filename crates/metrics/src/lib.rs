//! Metrics and health of a native program, at an address of their own ([ADR 64](../../../docs/adr/0064-metrics.md)).
//!
//! A program implements [`Watched`], and [`serve`] answers from it:
//!
//! | path | answer |
//! | --- | --- |
//! | `/metrics` | all metrics, in Prometheus' text format |
//! | `/healthz` | 200 while the process runs: restart it when this fails |
//! | `/readyz` | 200, or 503 with the reasons why the program does not do its work at the moment |
//!
//! The address has no token. It belongs on loopback or a private network.
//!
//! ```
//! use std::sync::Arc;
//!
//! use admit_metrics::{Registry, Watched, counter, serve};
//!
//! struct Program(Registry);
//!
//! impl Watched for Program {
//!     fn registry(&self) -> &Registry {
//!         &self.0
//!     }
//!     fn problems(&self) -> Vec<&'static str> {
//!         Vec::new()
//!     }
//! }
//!
//! let registry = Registry::new();
//! counter(&registry, "example_requests_total", "Requests since the start.")?.inc();
//! let address = serve("127.0.0.1:0".parse()?, Arc::new(Program(registry)))?;
//! assert_ne!(address.port(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod make;
mod page;
mod server;

pub use make::{counter, counters, gauge, gauges, histogram, histograms};
pub use page::text;
pub use prometheus::{
    Error, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};
pub use server::serve;

/// A program whose metrics and health are served.
pub trait Watched: Send + Sync + 'static {
    /// All of its metrics.
    fn registry(&self) -> &Registry;

    /// Sets the metrics that are read on demand. Called before each answer.
    fn refresh(&self) {}

    /// Why the program does not do its work at the moment, each in a word; empty if it does.
    fn problems(&self) -> Vec<&'static str>;
}
