//! Makes metrics and registers them, so that none is forgotten.

use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// A counter.
///
/// # Errors
/// The name is invalid or taken, as in all functions of this module.
pub fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, Error> {
    registered(registry, IntCounter::new(name, help)?)
}

/// Counters by labels.
///
/// # Errors
/// As [`counter`].
pub fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, Error> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

/// A gauge.
///
/// # Errors
/// As [`counter`].
pub fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, Error> {
    registered(registry, IntGauge::new(name, help)?)
}

/// Gauges by labels.
///
/// # Errors
/// As [`counter`].
pub fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

/// A histogram of seconds, with the upper bounds of its buckets.
///
/// # Errors
/// As [`counter`].
pub fn histogram(registry: &Registry, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram, Error> {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    registered(registry, Histogram::with_opts(options)?)
}

/// Histograms of seconds by labels.
///
/// # Errors
/// As [`counter`].
pub fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    bounds: &[f64],
) -> Result<HistogramVec, Error> {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    registered(registry, HistogramVec::new(options, labels)?)
}
