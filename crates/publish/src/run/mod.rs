//! A run of the publisher: turns the origin's records into the snapshot that edges serve - fully, incrementally, or
//! continuously.
//!
//! `whole` publishes an export: `input` reads it, `namespaces` and `loss` check it, `kept` holds the built
//! objects, `upload` sends those that the store lacks. `changes` publishes a delta, `compaction` writes a
//! large delta into the shards, `follow` does both for as long as it runs. `publisher` signs and puts the
//! head, `seq` numbers it, `outcome` reports.

pub(crate) mod changes;
mod compaction;
mod follow;
mod input;
mod kept;
mod loss;
mod namespaces;
mod outcome;
mod publisher;
mod seq;
pub mod upload;
pub mod whole;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use self::{publisher::Publisher, whole::WholeOutcome};
use crate::{
    bearer::Credentials,
    origin::{Origin, is_database, is_url},
    peer::Outside,
    source::Strictness,
    store::{Guard, Holder, Store},
};

/// The exit code when the data is wrong and nothing was published, so that a job can tell it from a network
/// failure.
const EXIT_DATA: u8 = 2;

/// The exit code when the version was published and records were set aside.
const EXIT_SET_ASIDE: u8 = 3;

/// What to publish, where, and how.
#[derive(Clone, Default)]
pub struct Settings {
    /// The export: an NDJSON file, a directory, `-` for stdin, or the URL of the origin's export or database.
    pub from: Option<String>,
    /// Changes to apply to the published snapshot: a file, `-` for stdin, or the URL of a feed or database.
    pub changes: Option<String>,
    /// Keep running, and publish the changes from the feed.
    pub follow: bool,
    /// The least time between two publishes while following, in seconds.
    pub every: u64,
    /// How often a follower collects garbage, in seconds; 0 for never.
    pub gc_every: u64,
    /// How often a follower of a quiet origin renews the head, in seconds; 0 for never.
    pub heartbeat: u64,
    /// The store; without one the input is only checked and built.
    pub to: Option<String>,
    /// The private JWK that signs the head.
    pub key: Option<PathBuf>,
    /// The previous key, while `key` replaces it.
    pub old_key: Option<PathBuf>,
    /// The name of the store; without it the published head's stays.
    pub audience: Option<String>,
    /// Authenticates to the Worker.
    pub token: Credentials,
    /// Bearer token for the origin, or `@FILE`.
    pub origin_token: Option<String>,
    /// Write nothing.
    pub dry_run: bool,
    /// Publish nothing if any record cannot be used, instead of setting it aside.
    pub strict: bool,
    /// Report as JSON.
    pub json: bool,
    /// The origin's count of changes, if the input does not have it.
    pub seq: Option<u64>,
    /// The directory for temporary files.
    pub temp_dir: Option<PathBuf>,
    /// Publish even if most grants would be removed.
    pub allow_loss: bool,
    /// Publish customers even if no issuer of the Worker has their namespace.
    pub allow_unknown_namespaces: bool,
    /// Take the lease over from another publisher.
    pub force: bool,
    /// Check every object of the new version, and upload those that are broken.
    pub repair: bool,
    /// The network, and time; replaced by tests.
    pub outside: Outside,
}

impl Settings {
    const fn strictness(&self) -> Strictness {
        if self.strict { Strictness::Refuse } else { Strictness::SetAside }
    }

    fn temp_dir(&self) -> PathBuf {
        self.temp_dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// The origin at `url`.
    fn origin(&self, url: &str) -> Result<Origin> {
        Origin::new(url, self.origin_token.as_deref(), &self.outside)
    }

    /// The URL of the origin's change feed.
    fn feed(&self) -> Result<&str> {
        match (&self.changes, &self.from) {
            (Some(url), _) | (None, Some(url)) if is_url(url) => Ok(url),
            _ => bail!("--follow needs the origin's URL, in --from or in --changes"),
        }
    }
}

/// Publishes according to `settings`: an export, changes, or both continuously. Returns the exit code of the result.
///
/// # Errors
/// The input or the key cannot be read, or the store does not answer or refuses.
pub fn run(settings: &Settings) -> Result<ExitCode> {
    if settings.follow {
        settings.feed()?;
    }
    // Addresses are printed from here on, so those with a password are refused first.
    for place in [&settings.from, &settings.changes].into_iter().flatten().filter(|place| is_database(place))
    {
        settings.origin(place)?;
    }
    let open = |to| Store::open_in(to, &settings.token, &settings.outside).context("--to");
    let store = settings.to.as_deref().map(open).transpose()?;
    let publisher = match store {
        Some(store) => Some(
            Publisher::new(store, settings.key.as_deref(), settings.audience.as_deref())?
                .believing(settings.old_key.as_deref()),
        ),
        None => None,
    };
    let Some(from) = &settings.from else {
        let publisher =
            publisher.context("--changes needs --to: changes are applied to the published version")?;
        return changes::run(settings, &publisher);
    };
    let Some(publisher) = publisher else { return whole::check(settings, from) };
    let lease = RunLease::new()?;
    if settings.follow {
        return follow::run(settings, from, publisher, &lease);
    }
    match whole::run(settings, from, &publisher, &lease)? {
        WholeOutcome::Rejected => Ok(ExitCode::from(EXIT_DATA)),
        WholeOutcome::Rehearsed(set_aside) => Ok(exit_code(set_aside)),
        WholeOutcome::Published(published) => Ok(exit_code(published.catalogue.set_aside.total())),
    }
}

/// The exit code of a publish that has set this number of records aside.
fn exit_code(set_aside: u64) -> ExitCode {
    if set_aside == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_SET_ASIDE) }
}

/// The lease of this run, if it has taken one. A signal gives it back before it ends the run.
pub struct RunLease {
    holder: Holder,
    guard: Arc<Mutex<Option<Guard>>>,
}

impl RunLease {
    /// No lease yet.
    ///
    /// # Errors
    /// The system has no random numbers for the holder's name.
    pub fn new() -> Result<Self> {
        Ok(Self { holder: Holder::new()?, guard: Arc::default() })
    }

    /// Takes the lease, unless this run has it. A lease that ended while the store was away is taken again.
    ///
    /// # Errors
    /// Another publisher holds it, or the store does not answer.
    pub fn take(&self, store: &Store, force: bool) -> Result<()> {
        let mut guard = self.guard();
        if guard.is_some() {
            drop(guard);
            return if store.check_tenure().is_ok() { Ok(()) } else { self.take_again(store) };
        }
        *guard = Some(store.lock_as(&self.holder, force)?);
        drop(guard);
        self.give_back_on_signal()
    }

    /// Takes the lease again after it could not be renewed in time, unless another publisher has it now.
    ///
    /// # Errors
    /// Another publisher holds it, or the store does not answer.
    pub fn take_again(&self, store: &Store) -> Result<()> {
        let mut guard = self.guard();
        // A lease that has ended need not be given back.
        drop(guard.take());
        *guard = Some(store.lock_as(&self.holder, false)?);
        Ok(())
    }

    /// Checks that this run may write.
    ///
    /// # Errors
    /// This run has no lease, or has lost it.
    pub fn check(&self, store: &Store) -> Result<()> {
        if self.guard().is_none() {
            bail!("this publisher has no lease");
        }
        store.check_tenure()
    }

    fn guard(&self) -> std::sync::MutexGuard<'_, Option<Guard>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A publish may be interrupted at any moment: the edge goes on serving what it served. But the next
    /// publisher should not have to wait for the lease to end.
    fn give_back_on_signal(&self) -> Result<()> {
        use signal_hook::{consts::TERM_SIGNALS, iterator::Signals, low_level::emulate_default_handler};
        let mut signals = Signals::new(TERM_SIGNALS).context("cannot wait for signals")?;
        let lease = Arc::downgrade(&self.guard);
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                eprintln!("admit: stopping");
                if let Some(lease) = lease.upgrade() {
                    drop(lease.lock().unwrap_or_else(PoisonError::into_inner).take());
                }
                // As without a handler, so that the parent process sees which signal ended this one.
                let _ = emulate_default_handler(signal);
            }
        });
        Ok(())
    }
}

/// A duration as text.
fn secs(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::store::LeaseHeld;

    #[test]
    fn a_lease_that_ended_is_taken_again_unless_another_publisher_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let moment = Arc::new(AtomicI64::new(1_800_000_000));
        let store = || {
            let moment = Arc::clone(&moment);
            Store::in_dir(dir.path(), Arc::new(move || Ok(moment.load(Ordering::Relaxed))))
        };
        let (ours, theirs) = (store(), store());
        let lease = RunLease::new().unwrap();
        assert!(lease.check(&ours).is_err());
        lease.take(&ours, false).unwrap();
        lease.check(&ours).unwrap();
        // The store did not answer, so the lease could not be renewed.
        moment.fetch_add(1_000, Ordering::Relaxed);
        assert!(lease.check(&ours).is_err());
        lease.take_again(&ours).unwrap();
        lease.check(&ours).unwrap();
        moment.fetch_add(1_000, Ordering::Relaxed);
        let other = theirs.lock(false).unwrap();
        let error = lease.take_again(&ours).unwrap_err();
        assert!(error.is::<LeaseHeld>(), "{error:#}");
        assert!(lease.check(&ours).is_err(), "without a lease nothing is written");
        drop(other);
        lease.take_again(&ours).unwrap();
        lease.check(&ours).unwrap();
    }
}
