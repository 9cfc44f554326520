//! What a follower's metrics say. The driver reports events; everything that is known at other times only, such as the
//! lease, is read when the metrics are asked for.

use std::sync::{Mutex, PoisonError};

use admit_metrics::{
    Error, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Watched, counter, counters,
    gauge, gauges, histogram,
};
use admit_snapshot::{
    head::Head,
    time::{Timestamp, UnixSecs},
};

use super::machine::{Cause, Changes, Event, Fed, Whole};
use crate::{limits::DELTA_BUDGET_BYTES, run::changes::End, store::Store};

/// From this many failures of a task in a row on, the follower is not ready. The first ones are hiccups.
const NOT_READY_FAILURES: i64 = 3;

/// Seconds from a change at the origin to its head. Edges read the head up to two minutes later.
const DELAY_BOUNDS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0, 3_600.0];

/// The tasks of a follower, as labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Asking the origin for changes.
    Feed,
    /// Publishing changes, or shards.
    Publish,
    /// Renewing the head of a quiet origin.
    Renew,
    /// Publishing everything.
    Whole,
    /// Holding the lease.
    Lease,
    /// Writing the delta into the shards.
    Compact,
    /// Collecting garbage.
    Garbage,
    /// Comparing the stored head.
    Look,
    /// Checking stored objects.
    Check,
}

impl Task {
    const ALL: [Self; 9] = [
        Self::Feed,
        Self::Publish,
        Self::Renew,
        Self::Whole,
        Self::Lease,
        Self::Compact,
        Self::Garbage,
        Self::Look,
        Self::Check,
    ];

    /// Those without which edges get nothing new.
    const NEEDED: [Self; 5] = [Self::Feed, Self::Publish, Self::Renew, Self::Whole, Self::Lease];

    const fn name(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Publish => "publish",
            Self::Renew => "renew",
            Self::Whole => "whole",
            Self::Lease => "lease",
            Self::Compact => "compact",
            Self::Garbage => "garbage",
            Self::Look => "look",
            Self::Check => "check",
        }
    }
}

/// The metrics of a follower.
pub struct Monitor {
    registry: Registry,
    seq: IntGauge,
    origin_seq: IntGauge,
    lag: IntGauge,
    as_of: IntGauge,
    customers: IntGauge,
    items: IntGauge,
    set_aside: IntGauge,
    delta_bytes: IntGauge,
    publishes: IntCounterVec,
    changes: IntCounter,
    delay: Histogram,
    failures: IntCounterVec,
    in_a_row: IntGaugeVec,
    last_success: IntGaugeVec,
    turned_at: IntGauge,
    missing_objects: IntCounter,
    repaired_objects: IntCounter,
    heads_replaced: IntCounter,
    lease_held: IntGauge,
    lease_until: IntGauge,
    store: Mutex<Option<Store>>,
}

impl Monitor {
    /// All metrics, still without values, of a process that has started at `now`.
    ///
    /// # Errors
    /// Does not happen: the names are valid and differ.
    pub fn new(now: UnixSecs) -> Result<Self, Error> {
        let registry = Registry::new();
        let made = Self::register(registry.clone())?;
        let info =
            gauges(&registry, "admit_build_info", "Always 1; the labels have the version.", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let started = "process_start_time_seconds";
        gauge(&registry, started, "When the process started, in unix seconds.")?.set(now);
        let budget = "admit_follower_delta_budget_bytes";
        let help = "The size from which on the delta is written into the shards.";
        gauge(&registry, budget, help)?.set(number(DELTA_BUDGET_BYTES));
        // Series that begin with their first event would hide it from `increase`.
        for task in Task::ALL {
            made.in_a_row.with_label_values(&[task.name()]).set(0);
        }
        for kind in ["changes", "shards", "renewal", "whole"] {
            made.publishes.with_label_values(&[kind]).inc_by(0);
        }
        Ok(made)
    }

    fn register(registry: Registry) -> Result<Self, Error> {
        let gauge = |name: &str, help: &str| gauge(&registry, name, help);
        let counter = |name: &str, help: &str| counter(&registry, name, help);
        Ok(Self {
            seq: gauge("admit_follower_published_seq", "The published head's number.")?,
            origin_seq: gauge(
                "admit_follower_published_origin_seq",
                "How many of the origin's changes the published head reflects.",
            )?,
            lag: gauge(
                "admit_follower_lag_changes",
                "How many changes the origin had beyond the published ones when it last said so.",
            )?,
            as_of: gauge(
                "admit_follower_head_as_of_timestamp_seconds",
                "When the published data was true at the origin, in unix seconds.",
            )?,
            customers: gauge("admit_follower_customers", "Customers in the published shards.")?,
            items: gauge("admit_follower_items", "Items in the published shards.")?,
            set_aside: gauge(
                "admit_follower_set_aside_records",
                "Records whose newest state is invalid: the last good one is published.",
            )?,
            delta_bytes: gauge("admit_follower_delta_bytes", "The size of the changes beside the shards.")?,
            publishes: counters(
                &registry,
                "admit_follower_publishes_total",
                "Published heads: with changes, with new shards, renewed, or of everything.",
                &["kind"],
            )?,
            changes: counter("admit_follower_changes_total", "Published changes of the origin.")?,
            delay: histogram(
                &registry,
                "admit_follower_publish_delay_seconds",
                "From the last change of a publish, by the origin's clock, to its head.",
                &DELAY_BOUNDS,
            )?,
            failures: counters(
                &registry,
                "admit_follower_failures_total",
                "Failures by task and kind.",
                &["task", "kind"],
            )?,
            in_a_row: gauges(
                &registry,
                "admit_follower_failures_in_a_row",
                "Failures of a task since it last succeeded.",
                &["task"],
            )?,
            last_success: gauges(
                &registry,
                "admit_follower_last_success_timestamp_seconds",
                "When a task last succeeded, in unix seconds.",
                &["task"],
            )?,
            turned_at: gauge(
                "admit_follower_turn_timestamp_seconds",
                "When the follower last began a step, in unix seconds.",
            )?,
            missing_objects: counter(
                "admit_follower_missing_objects_total",
                "Objects that were missing or broken in the store when they were checked.",
            )?,
            repaired_objects: counter(
                "admit_follower_repaired_objects_total",
                "Objects that were uploaded again.",
            )?,
            heads_replaced: counter(
                "admit_follower_heads_replaced_total",
                "How often the stored head was not the published one, and was put back.",
            )?,
            lease_held: gauge("admit_follower_lease_held", "1 while the follower holds the lease, else 0.")?,
            lease_until: gauge(
                "admit_follower_lease_end_timestamp_seconds",
                "When the lease ends unless it is renewed, in unix seconds.",
            )?,
            registry,
            store: Mutex::default(),
        })
    }

    /// The store whose lease is watched.
    pub fn watch(&self, store: &Store) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(store.clone());
    }

    /// Notes that a step begins at `now`.
    pub fn turned(&self, now: UnixSecs) {
        self.turned_at.set(now);
    }

    /// Notes that edges serve `after` now, in the place of `before`.
    pub fn replaced(&self, before: &Head, after: &Head, is_whole: bool, now: UnixSecs) {
        if is_whole {
            return self.published(after, "whole", Task::Whole, now);
        }
        if before.index != after.index {
            return self.published(after, "shards", Task::Publish, now);
        }
        if before.seq == after.seq {
            return self.published(after, "renewal", Task::Renew, now);
        }
        self.published(after, "changes", Task::Publish, now);
    }

    fn published(&self, head: &Head, kind: &str, task: Task, now: UnixSecs) {
        self.publishes.with_label_values(&[kind]).inc();
        self.succeeded(task, now);
        // Another head has come, so what kept one from coming is over.
        for task in [Task::Publish, Task::Renew, Task::Whole, Task::Lease] {
            self.in_a_row.with_label_values(&[task.name()]).set(0);
        }
        self.seq.set(number(head.seq));
        let published = number(head.origin_seq());
        let newest = self.origin_seq.get().saturating_add(self.lag.get());
        self.lag.set(newest.saturating_sub(published).max(0));
        self.origin_seq.set(published);
        self.as_of.set(head.as_of);
        self.customers.set(number(head.customers));
        self.items.set(number(head.items));
        self.set_aside.set(number(head.set_aside.unwrap_or(0)));
    }

    /// Notes that `count` changes are published, the last of which was made at `as_of`.
    pub fn changes_published(&self, count: usize, as_of: Option<Timestamp>, now: UnixSecs) {
        self.changes.inc_by(count as u64);
        if let Some(as_of) = as_of {
            let secs = now.saturating_sub(as_of.resolve(now)).max(0);
            // Exact for 285 million years.
            self.delay.observe(secs as f64);
        }
    }

    /// Notes the size of the delta.
    pub fn delta(&self, bytes: usize) {
        self.delta_bytes.set(number(bytes));
    }

    /// Notes that the origin has committed `seq` changes.
    pub fn origin_has(&self, seq: u64) {
        self.lag.set(number(seq).saturating_sub(self.origin_seq.get()).max(0));
    }

    /// Notes objects that were uploaded again.
    pub fn repaired(&self, count: usize) {
        self.repaired_objects.inc_by(count as u64);
    }

    /// Notes that the stored head was another one.
    pub fn head_replaced(&self) {
        self.heads_replaced.inc();
    }

    /// Notes the answer to a request.
    pub fn saw(&self, event: &Event, now: UnixSecs) {
        match event {
            Event::Fed(fed) => self.fed(fed, now),
            Event::Collected(Ok(_)) => self.succeeded(Task::Garbage, now),
            Event::Collected(Err(failure)) => self.failed(Task::Garbage, failure.cause),
            Event::Looked(Some(_)) => self.succeeded(Task::Look, now),
            Event::Looked(None) => self.fails(Task::Look, "unheard"),
            Event::Checked(Some(bad)) => {
                self.succeeded(Task::Check, now);
                self.missing_objects.inc_by(bad.len() as u64);
            }
            Event::Checked(None) => self.fails(Task::Check, "unheard"),
            Event::Lease(Ok(_)) => self.succeeded(Task::Lease, now),
            Event::Lease(Err(failure)) => self.failed(Task::Lease, failure.cause),
            Event::Compacted(Ok(shards)) => {
                self.succeeded(Task::Compact, now);
                self.delta(shards.delta_bytes);
            }
            Event::Compacted(Err(failure)) => self.failed(Task::Compact, failure.cause),
            Event::Encoded(Err(failure)) | Event::Put(Err(failure)) => {
                self.failed(Task::Publish, failure.cause)
            }
            Event::Whole(Whole::Rejected) => self.fails(Task::Whole, "rejected"),
            Event::Whole(Whole::Failed(failure)) => self.failed(Task::Whole, failure.cause),
            Event::Whole(Whole::Published(_)) => self.delta(0),
            // Published heads are noted by `replaced`, whether the answer came or was lost.
            Event::Put(Ok(_))
            | Event::Encoded(Ok(_))
            | Event::Woken { .. }
            | Event::Reached(_)
            | Event::Repaired(_)
            | Event::Found(_) => {}
        }
    }

    fn fed(&self, fed: &Fed, now: UnixSecs) {
        let kind = match fed {
            Fed::Changes(Changes { doubt, end, delta_bytes, .. }) => {
                self.delta(*delta_bytes);
                match end {
                    Some(End::Gap { .. }) => "gap",
                    Some(End::BrokenOff(_)) => "broken_off",
                    Some(End::NoChange(_)) => "invalid",
                    Some(End::Wrong { .. }) => "wrong",
                    None if doubt.is_some() => "doubtful",
                    None => return self.succeeded(Task::Feed, now),
                }
            }
            Fed::Gone => "gone",
            Fed::Unheard(_) => "unheard",
            Fed::Refused(_) => "refused",
            Fed::Unusable(_) => "unusable",
        };
        self.fails(Task::Feed, kind);
    }

    /// Notes a success.
    pub fn succeeded(&self, task: Task, now: UnixSecs) {
        self.last_success.with_label_values(&[task.name()]).set(now);
        self.in_a_row.with_label_values(&[task.name()]).set(0);
    }

    /// Notes a failure.
    pub fn failed(&self, task: Task, cause: Cause) {
        self.fails(task, cause.name());
    }

    fn fails(&self, task: Task, kind: &str) {
        self.failures.with_label_values(&[task.name(), kind]).inc();
        self.in_a_row.with_label_values(&[task.name()]).inc();
    }
}

impl Watched for Monitor {
    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn refresh(&self) {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(store) = store else { return };
        let until = store.tenure_until();
        self.lease_held.set(i64::from(until.is_some() && store.check_tenure().is_ok()));
        self.lease_until.set(until.unwrap_or(0));
    }

    fn problems(&self) -> Vec<&'static str> {
        if self.seq.get() == 0 {
            return vec!["nothing published yet"];
        }
        let fails = |task: &Task| self.in_a_row.with_label_values(&[task.name()]).get() >= NOT_READY_FAILURES;
        let mut problems: Vec<_> = Task::NEEDED.into_iter().filter(fails).map(Task::name).collect();
        if self.lease_held.get() == 0 && !problems.contains(&Task::Lease.name()) {
            problems.push(Task::Lease.name());
        }
        problems
    }
}

/// As a gauge's number. None of them comes near its bound.
fn number<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
